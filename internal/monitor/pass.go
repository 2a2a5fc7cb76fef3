package monitor

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// pass takes a batch through the profile and the checks. Its workers find the
// rows of the next chunks, and share the columns of those that were found: each
// is filled, profiled and judged by one of them. A column meets its chunks in
// their order, so that the outcome is the same for any number of workers, and
// its state exists once.
type pass struct {
	builder *profile.Builder
	eval    *checks.Evaluation
	workers int // 0 is one for each core
}

// read takes all chunks of a reader.
func (p *pass) read(ctx context.Context, r batch.Reader) error {
	n := p.workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	err := newCrew(p, r, n).run(ctx)
	var thrown *panicError
	if errors.As(err, &thrown) {
		panic(thrown.value)
	}
	return err
}

// panicError carries a panic to the goroutine that can recover it.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprint(e.value) }

// caught makes an error of a panic.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p}
	}
}
