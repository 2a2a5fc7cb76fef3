// Package api is the HTTP side of the service: the JSON API, the metrics, the
// addresses that operators ask for health, and the web pages, with TLS,
// credentials and an orderly end.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/web"
)

// History is what the API and the pages read. It must be safe for concurrent
// use. Get returns an error that matches store.ErrNotFound for an unknown
// batch; the others find nothing for an unknown dataset.
type History interface {
	Datasets(ctx context.Context) ([]store.DatasetInfo, error)
	Batches(ctx context.Context, q store.Query) ([]store.Batch, error)
	Get(ctx context.Context, dataset, batch string) (*profile.Profile, checks.Report, error)
	Incidents(ctx context.Context, q store.IncidentQuery) ([]alert.Incident, error)
}

var _ History = (*store.Store)(nil)

// Options say what a server serves.
type Options struct {
	// History is required.
	History History
	// Metrics serves /metrics; nil leaves that address unknown.
	Metrics http.Handler
	// Reload loads the configuration again, all or nothing. It is never called
	// twice at a time. nil leaves /-/reload unknown.
	Reload func(context.Context) error
	// Work gives units to workers; nil leaves those addresses unknown.
	Work Work
	// Inbox takes units that are sent to pipelines; nil leaves those addresses
	// unknown.
	Inbox Inbox
	// Ready says why the service is not ready; nil, as a function and as an
	// error, means that it is.
	Ready func() error
	// Logger may be nil.
	Logger *slog.Logger
	// Version of the program, shown on pages; may be empty.
	Version string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Server answers HTTP requests. It is safe for concurrent use.
type Server struct {
	opts      Options
	log       *slog.Logger
	handler   http.Handler
	reloading sync.Mutex
}

// New returns a server. It returns an error if there is no history.
func New(opts Options) (*Server, error) {
	if opts.History == nil {
		return nil, errors.New("the server needs a history")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	pages, err := web.New(web.Options{History: opts.History, Version: opts.Version, Metrics: opts.Metrics != nil, Logger: opts.Logger, Now: opts.Now})
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, log: opts.Logger}
	s.handler = s.guard(s.routes(pages))
	return s, nil
}

// Handler returns the handler of all addresses, without TLS and credentials.
func (s *Server) Handler() http.Handler { return s.handler }

// methods are the handlers of one address by method; GET serves HEAD too.
type methods map[string]func(http.ResponseWriter, *http.Request) error

func (s *Server) routes(pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, m methods) { mux.Handle(path, s.only(m)) }
	handle("/-/healthy", methods{http.MethodGet: healthy})
	handle("/-/ready", methods{http.MethodGet: s.ready})
	if s.opts.Reload != nil {
		handle("/-/reload", methods{http.MethodPost: s.reload})
	}
	if s.opts.Metrics != nil {
		handle("/metrics", methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error {
			s.opts.Metrics.ServeHTTP(w, r)
			return nil
		}})
	}
	handle("/api/v1/datasets", methods{http.MethodGet: s.datasets})
	handle("/api/v1/datasets/{namespace}/{name}", methods{http.MethodGet: s.dataset})
	handle("/api/v1/datasets/{namespace}/{name}/profiles", methods{http.MethodGet: s.profiles})
	handle("/api/v1/datasets/{namespace}/{name}/incidents", methods{http.MethodGet: s.incidents})
	s.work(handle)
	s.inbox(handle)
	unknown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.problem(w, http.StatusNotFound, "there is nothing at "+r.URL.Path)
	})
	mux.Handle("/api", unknown)
	mux.Handle("/api/", unknown)
	mux.Handle("/-/", unknown)
	mux.Handle("/", pages)
	return mux
}

// only answers other methods than the given ones with a problem.
func (s *Server) only(m methods) http.Handler {
	allowed := slices.Sorted(maps.Keys(m))
	if m[http.MethodGet] != nil {
		m[http.MethodHead] = m[http.MethodGet]
		allowed = slices.Sorted(maps.Keys(m))
	}
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := m[r.Method]
		if serve == nil {
			w.Header().Set("Allow", allow)
			s.problem(w, http.StatusMethodNotAllowed, "this address takes "+allow+" only")
			return
		}
		if err := serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// guard is around all handlers: no content is guessed, no other site may send
// changes, and a panic costs one request.
func (s *Server) guard(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.log.Error("request not served", "method", r.Method, "path", r.URL.Path, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
				s.problem(w, http.StatusInternalServerError, "a mistake of the program; its log tells more")
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := foreign.Check(r); err != nil {
			s.problem(w, http.StatusForbidden, "a page of another site must not send this request")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintln(w, text) // the reader went away
	return nil
}

func healthy(w http.ResponseWriter, _ *http.Request) error { return plain(w, "healthy") }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.opts.Ready != nil {
		if err := s.opts.Ready(); err != nil {
			return &statusError{http.StatusServiceUnavailable, "not ready: " + err.Error()}
		}
	}
	return plain(w, "ready")
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	// A reload is all or nothing, so it does not end with its request.
	if err := s.opts.Reload(context.WithoutCancel(r.Context())); err != nil {
		s.log.Error("configuration not reloaded", "err", err)
		return &statusError{http.StatusInternalServerError, "the configuration was not reloaded, the old one stays in force: " + err.Error()}
	}
	return plain(w, "reloaded")
}
