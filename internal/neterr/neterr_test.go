package neterr_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/neterr"
)

func get(t *testing.T, address string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	return err
}

// Real failures, each as a person reads it.
func TestReason(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := gone.Addr().String()
	require.NoError(t, gone.Close())
	cut, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cut.Close()) })
	go func() {
		for c, err := cut.Accept(); err == nil; c, err = cut.Accept() {
			_ = c.Close()
		}
	}()

	refused := neterr.Reason(get(t, "http://"+free+"/secret"))
	require.EqualError(t, refused, "nothing listens on "+free)
	require.ErrorIs(t, refused, syscall.ECONNREFUSED)
	require.EqualError(t, neterr.Reason(get(t, strings.Replace(server.URL, "http:", "https:", 1))), "http: server gave HTTP response to HTTPS client")
	_, err = tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // no TLS answers
	require.EqualError(t, neterr.Reason(err), "what answers there does not speak TLS")
	require.NotContains(t, neterr.Reason(get(t, "http://"+cut.Addr().String()+"/secret")).Error(), "secret")
	_, err = net.ResolveTCPAddr("tcp", "99")
	require.EqualError(t, neterr.Reason(err), "missing port in address")
	_, err = net.Listen("tcp", server.Listener.Addr().String())
	require.EqualError(t, neterr.Reason(err), "address already in use")
	missing := &url.Error{Op: "Get", URL: "http://x/secret", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x.example", IsNotFound: true}}}
	require.EqualError(t, neterr.Reason(missing), "there is no host x.example")
	away := &net.DNSError{Err: "server misbehaving", Name: "x.example", IsTemporary: true}
	require.EqualError(t, neterr.Reason(away), "the name server did not find the host x.example")
	require.NoError(t, neterr.Reason(nil))
	other := errors.New("other")
	require.Same(t, other, neterr.Reason(other))
	require.ErrorIs(t, neterr.Reason(&url.Error{Op: "Get", Err: context.Canceled}), context.Canceled)
	require.EqualError(t, neterr.Reason(&url.Error{Op: "Get", URL: "http://x/secret", Err: io.ErrUnexpectedEOF}), "unexpected EOF")
}
