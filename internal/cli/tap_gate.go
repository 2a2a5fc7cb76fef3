package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/tap"
)

// runGate holds the stream until the verdict and does with it what that says.
func (r *tapRun) runGate(ctx context.Context) error {
	hold := tap.NewHold(r.f.hold, r.memory)
	defer hold.Close() //nolint:errcheck // a file that cannot be removed has no name anyway, or was named
	t := tap.New(r.e.stdin, hold, tap.Options{Source: r.source, Wait: true})
	res, err := t.Run(ctx, r.judge, nil)
	var held *tap.HoldError
	switch {
	case errors.As(err, &held):
		return &exitError{exitUnjudged, held.Error() + "; nothing was released"}
	case err != nil:
		return err
	}
	code := r.failed(res.Err)
	if r.outcome == nil {
		r.e.message("there is no verdict; nothing was released")
		return exitWith(worse(code, exitUnjudged))
	}
	done, gated, err := r.settle(ctx, hold)
	if err != nil {
		return err
	}
	if err := r.reportWhole(ctx, res.Bytes); err != nil {
		return err
	}
	if done != "" {
		r.e.message(done)
	}
	return exitWith(worse(code, gated))
}

// settle releases what is held, keeps it or drops it. It returns what it did,
// if that is worth a message, and the exit code.
func (r *tapRun) settle(ctx context.Context, hold *tap.Hold) (did string, code int, err error) {
	action, code := r.outcome.Gate(""), r.code(r.outcome)
	unjudged := r.outcome.Report.Verdict == checks.Error
	switch {
	case action == "quarantine":
		path, err := hold.Keep(tap.FileName(strings.ReplaceAll(r.dataset, "/", "-")))
		if err != nil {
			return "", 0, &exitError{exitUnjudged, err.Error() + "; nothing was released"}
		}
		return "nothing was released; it is kept in " + path, code, nil
	case unjudged:
		return "there is no verdict; nothing was released", code, nil
	case action == "block":
		return "the gate is shut: nothing was released", code, nil
	}
	if action == "warn" && !r.explicit { // the rules say to let it pass
		code = exitOK
	}
	return "", code, r.release(ctx, hold)
}

// release writes what is held, until the context ends.
func (r *tapRun) release(ctx context.Context, hold *tap.Hold) error {
	done := make(chan error, 1)
	go func() { done <- hold.Release(r.e.stdout) }()
	select {
	case err := <-done:
		if err == nil {
			err = closeOutput(r.e.stdout)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
