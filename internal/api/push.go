package api

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/profilerhq/profiler/internal/runner"
)

// Inbox takes units that are sent to pipelines. It must be safe for concurrent
// use.
type Inbox interface {
	Accept(ctx context.Context, path string, in runner.Pushed) (runner.Accepted, error)
}

var _ Inbox = (*runner.Inbox)(nil)

// maxKey is the longest idempotency key in bytes.
const maxKey = 256

// inbox adds the addresses below /in/.
func (s *Server) inbox(handle func(string, methods)) {
	if s.opts.Inbox != nil {
		handle("/in/", methods{http.MethodPost: s.push})
	}
}

// push stores what is sent as units. The answer 202 comes when they are on disk.
func (s *Server) push(w http.ResponseWriter, r *http.Request) error {
	in := runner.Pushed{Body: r.Body, Key: r.Header.Get("Idempotency-Key"), Traceparent: r.Header.Get("Traceparent")}
	if len(in.Key) > maxKey {
		return badRequest("the Idempotency-Key is longer than 256 bytes")
	}
	switch coding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); coding {
	case "", "identity":
	case "gzip":
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return badRequest("the body is not gzip, as its Content-Encoding says")
		}
		in.Body = unpacked
	default:
		w.Header().Set("Accept-Encoding", "gzip")
		return &statusError{http.StatusUnsupportedMediaType, "the Content-Encoding is gzip or none"}
	}
	a, err := s.opts.Inbox.Accept(r.Context(), r.URL.Path, in)
	switch {
	case errors.Is(err, runner.ErrPath):
		return notFound("no pipeline takes data at " + r.URL.Path)
	case errors.Is(err, runner.ErrTooLarge):
		return &statusError{http.StatusRequestEntityTooLarge, err.Error()}
	case errors.Is(err, runner.ErrReused):
		return &statusError{http.StatusConflict, err.Error()}
	case errors.Is(err, runner.ErrBusySteps):
		w.Header().Set("Retry-After", "5")
		return &statusError{http.StatusTooManyRequests, err.Error() + "; send it again later"}
	case errors.Is(err, runner.ErrBody), errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest(err.Error())
	case err != nil && r.Context().Err() == nil:
		s.log.Error("nothing accepted", "path", r.URL.Path, "err", err)
		return &statusError{http.StatusServiceUnavailable, "nothing was accepted: " + err.Error()}
	case err != nil:
		return err
	}
	s.send(w, http.StatusAccepted, "application/json", a)
	return nil
}
