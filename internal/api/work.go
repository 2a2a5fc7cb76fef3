package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// Work gives units to workers that speak HTTP. It must be safe for concurrent
// use.
type Work interface {
	Lease(ctx context.Context, pipeline, step, worker string, n int, wait time.Duration) ([]runner.Assignment, error)
	Heartbeat(ctx context.Context, lease string) (time.Duration, error)
	Complete(ctx context.Context, lease string, output runner.Content, rejects []runner.Rejected) (runner.WorkState, error)
	Fail(ctx context.Context, lease, class, message string, retryAfter time.Duration) (runner.WorkState, error)
}

var _ Work = (*runner.Broker)(nil)

const (
	// maxWork is the largest message of a worker: 1 MiB of output in base64, and
	// rejects.
	maxWork = 8 << 20
	// maxWait is the longest time that a request for work stays open; the server
	// ends requests after 30 s.
	maxWait = 20 * time.Second
	// maxLeases is how many units one request gets.
	maxLeases = 100
)

// work adds the addresses of the lease API.
func (s *Server) work(handle func(string, methods)) {
	if s.opts.Work == nil {
		return
	}
	for path, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"lease": s.lease, "heartbeat": s.heartbeat, "complete": s.complete, "fail": s.failed,
	} {
		handle("/api/v1/work/"+path, methods{http.MethodPost: serve})
	}
}

// readWork decodes the message of a worker, strictly.
func readWork(r *http.Request, to any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxWork))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &statusError{http.StatusRequestEntityTooLarge, "the message is larger than 8 MiB; write the output to a file and send its ref"}
	case errors.Is(err, io.EOF):
		return badRequest("the message is empty; send a JSON object")
	case err != nil:
		return badRequest("the message is not as it should be: " + jsonMistake(err))
	}
	return nil
}

// jsonMistake says what is wrong with a JSON text, without the words of the decoder.
func jsonMistake(err error) string {
	var bad *json.UnmarshalTypeError
	switch {
	case errors.As(err, &bad) && bad.Field == "":
		return "send a JSON object, not " + bad.Value
	case errors.As(err, &bad):
		return fmt.Sprintf("%q cannot be a %s", bad.Field, bad.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// workError gives errors of the broker their status.
func workError(err error) error {
	switch {
	case errors.Is(err, queue.ErrFenced):
		return &statusError{http.StatusConflict, "fenced: " + queue.ErrFenced.Error()}
	case errors.Is(err, runner.ErrLease), errors.Is(err, runner.ErrWork):
		return badRequest(err.Error())
	case errors.Is(err, runner.ErrUnknownStep), errors.Is(err, queue.ErrNotFound):
		return notFound(err.Error())
	}
	return err
}

func (s *Server) lease(w http.ResponseWriter, r *http.Request) error {
	req := struct {
		Pipeline string  `json:"pipeline"`
		Step     string  `json:"step"`
		Worker   string  `json:"worker"`
		Max      int     `json:"max"`
		Wait     float64 `json:"wait_seconds"`
	}{Max: 1}
	if err := readWork(r, &req); err != nil {
		return err
	}
	if req.Pipeline == "" || req.Step == "" || req.Worker == "" {
		return badRequest("pipeline, step and worker are needed")
	}
	if req.Max < 1 || req.Max > maxLeases || req.Wait < 0 {
		return badRequest("max is from 1 to 100, wait_seconds at least 0")
	}
	wait := min(maxWait, time.Duration(req.Wait*float64(time.Second)))
	leases, err := s.opts.Work.Lease(r.Context(), req.Pipeline, req.Step, req.Worker, req.Max, wait)
	if err != nil {
		return workError(err)
	}
	if len(leases) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	s.send(w, http.StatusOK, "application/json", map[string]any{"leases": leases})
	return nil
}

func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Lease string `json:"lease"`
	}
	if err := readWork(r, &req); err != nil {
		return err
	}
	d, err := s.opts.Work.Heartbeat(r.Context(), req.Lease)
	if err != nil {
		return workError(err)
	}
	s.send(w, http.StatusOK, "application/json", map[string]any{"lease_seconds": d.Seconds()})
	return nil
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Lease   string            `json:"lease"`
		Output  runner.Content    `json:"output"`
		Rejects []runner.Rejected `json:"rejects"`
	}
	if err := readWork(r, &req); err != nil {
		return err
	}
	state, err := s.opts.Work.Complete(r.Context(), req.Lease, req.Output, req.Rejects)
	if err != nil {
		return workError(err)
	}
	s.send(w, http.StatusOK, "application/json", state)
	return nil
}

func (s *Server) failed(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Lease      string  `json:"lease"`
		Class      string  `json:"class"`
		Message    string  `json:"message"`
		RetryAfter float64 `json:"retry_after_seconds"`
	}
	if err := readWork(r, &req); err != nil {
		return err
	}
	state, err := s.opts.Work.Fail(r.Context(), req.Lease, req.Class, req.Message, time.Duration(req.RetryAfter*float64(time.Second)))
	if err != nil {
		return workError(err)
	}
	s.send(w, http.StatusOK, "application/json", state)
	return nil
}
