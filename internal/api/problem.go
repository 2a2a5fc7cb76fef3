package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/profilerhq/profiler/internal/store"
)

// problem is an error as RFC 9457 wants it. Types are not named apart, so they
// are about:blank and the title is that of the status.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// statusError is an error of a handler with the status that it means.
type statusError struct {
	status int
	detail string
}

func (e *statusError) Error() string { return e.detail }

func badRequest(detail string) error { return &statusError{http.StatusBadRequest, detail} }
func notFound(detail string) error   { return &statusError{http.StatusNotFound, detail} }

// fail answers with the problem of an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *statusError
	switch {
	case errors.As(err, &e):
	case r.Context().Err() != nil:
		return // nobody is waiting any more
	case errors.Is(err, store.ErrNotFound):
		e = &statusError{http.StatusNotFound, err.Error()}
	default:
		s.log.Error("request not served", "method", r.Method, "path", r.URL.Path, "err", err)
		e = &statusError{http.StatusServiceUnavailable, "the history cannot be read: " + err.Error()}
	}
	s.problem(w, e.status, e.detail)
}

func (s *Server) problem(w http.ResponseWriter, status int, detail string) {
	s.send(w, status, "application/problem+json", problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
}

// send writes a value as JSON. Nothing is sent before all of it is written.
func (s *Server) send(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("answer not written", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the reader went away
}
