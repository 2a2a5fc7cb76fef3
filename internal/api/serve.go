package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/profilerhq/profiler/internal/neterr"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// DefaultAddress is where the service listens unless told otherwise.
const DefaultAddress = "127.0.0.1:8910"

// Limits of one connection: slow or idle clients cannot hold the service.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	// shutdownTimeout is how long running requests may go on after the end was
	// asked for.
	shutdownTimeout = 5 * time.Second
)

// ServeOptions say where a server listens. The zero value is DefaultAddress
// without TLS and credentials.
type ServeOptions struct {
	// Address is host:port; port 0 takes a free one. Empty is DefaultAddress.
	Address string
	// Listener is used instead of Address if it is not nil. Serve closes it.
	Listener net.Listener
	// WebConfigFile names a file of the exporter toolkit: TLS, client
	// certificates, basic_auth_users. Empty is none.
	WebConfigFile string
	// AllowExternal allows addresses that other machines can reach without both
	// TLS and credentials. It is logged as a warning.
	AllowExternal bool
	// Listening is called with the URL of the service once it listens; may be
	// nil. The URL names the port that was chosen for port 0.
	Listening func(url string)
}

// Serve answers requests until ctx ends, then lets the running ones finish
// within 5 seconds and returns nil. Errors say in one line why it cannot
// listen: the address is taken or wrong, other machines could reach it
// unprotected, the web configuration is invalid.
func (s *Server) Serve(ctx context.Context, o ServeOptions) error {
	guards, err := readProtection(o.WebConfigFile)
	if err != nil {
		if o.Listener != nil {
			_ = o.Listener.Close() // it was never used
		}
		return err
	}
	l, err := s.listen(ctx, o, guards)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	address := guards.url(l.Addr())
	s.log.Info("listening", "url", address, "tls", guards.tls, "credentials", guards.credentials)
	served := make(chan error, 1)
	go func() {
		served <- toolkit.Serve(l, srv, &toolkit.FlagConfig{WebConfigFile: &o.WebConfigFile}, slog.New(warnings{s.log.Handler()}))
	}()
	if o.Listening != nil {
		o.Listening(address)
	}
	select {
	case err := <-served:
		_ = l.Close() // the toolkit may have returned before it was served
		return fmt.Errorf("serve %s: %w", address, err)
	case <-ctx.Done():
	}
	return s.shutdown(ctx, srv, l, served)
}

// shutdown lets the running requests finish, within limits.
func (s *Server) shutdown(ctx context.Context, srv *http.Server, l net.Listener, served <-chan error) error {
	s.log.Info("shutting down")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	// A server that is only just starting does not know its listener yet.
	_ = l.Close()
	if err := srv.Shutdown(ctx); err != nil {
		s.log.Warn("requests broken off", "after", shutdownTimeout)
		_ = srv.Close() // nothing left to do about it
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// listen opens the address if it is safe to.
func (s *Server) listen(ctx context.Context, o ServeOptions, guards protection) (net.Listener, error) {
	if o.Listener != nil {
		if err := s.reachable(o.Listener.Addr(), o, guards); err != nil {
			_ = o.Listener.Close() // it was never used
			return nil, err
		}
		return o.Listener, nil
	}
	text := o.Address
	if text == "" {
		text = DefaultAddress
	}
	address, err := net.ResolveTCPAddr("tcp", text)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; write host:port, such as %s", text, neterr.Reason(err), DefaultAddress)
	}
	if err := s.reachable(address, o, guards); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: the address is in use; stop the other program or choose another port: %w", text, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: not allowed; choose a port from 1024 on: %w", text, syscall.EACCES)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", text, neterr.Reason(err))
	}
	return l, nil
}

// reachable refuses, or warns about, an address that other machines can reach
// and that is not protected.
func (s *Server) reachable(a net.Addr, o ServeOptions, guards protection) error {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() || guards.tls && guards.credentials {
		return nil
	}
	if !o.AllowExternal {
		return fmt.Errorf("%s can be reached from other machines and has %s; add both with a web configuration file, allow external access, or listen on %s", a, guards.missing(), DefaultAddress)
	}
	s.log.Warn("other machines can reach the service", "address", a.String(), "missing", guards.missing())
	return nil
}

// protection is what a web configuration protects the service with.
type protection struct{ tls, credentials bool }

func (p protection) missing() string {
	switch {
	case p.tls:
		return "no credentials"
	case p.credentials:
		return "no TLS"
	}
	return "neither TLS nor credentials"
}

// url is the address that people can open.
func (p protection) url(a net.Addr) string {
	scheme := "http://"
	if p.tls {
		scheme = "https://"
	}
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return scheme + net.JoinHostPort("localhost", fmt.Sprint(tcp.Port))
	}
	return scheme + a.String()
}

// readProtection checks a web configuration and says what it protects with.
// What cannot be made sense of counts as no protection.
func readProtection(file string) (protection, error) {
	var p protection
	if file == "" {
		return p, nil
	}
	if err := toolkit.Validate(file); err != nil {
		return p, fmt.Errorf("web configuration %s: %s", file, oneLine(err))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return p, fmt.Errorf("web configuration: %w", err)
	}
	docs, errs := yamldoc.Parse(file, data)
	if len(docs) == 0 {
		return p, nil
	}
	root := docs[0].Root().Mapping(&errs)
	if users := root.Get("basic_auth_users"); users != nil {
		p.credentials = users.Mapping(&errs).Len() > 0
	}
	if node := root.Get("tls_server_config"); node != nil && !node.IsNull() {
		server := node.Mapping(&errs)
		p.tls = server.Has("cert") || server.Has("cert_file")
		if auth, ok := server.Get("client_auth_type").String(&errs); ok && strings.Contains(auth, "RequireAndVerify") {
			p.credentials = true
		}
	}
	return p, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// warnings lets the toolkit report trouble only; that it listens is reported
// here.
type warnings struct{ slog.Handler }

// Enabled reports whether the level is at least a warning.
func (h warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}
