package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// pass takes a batch through the profile and the checks. One goroutine finds
// the rows of the next chunks. The columns of a chunk are shared among the
// workers: each is filled, profiled and judged by one of them. A column meets
// its chunks in their order, so that the outcome is the same for any number of
// workers, and its state exists once.
type pass struct {
	builder *profile.Builder
	eval    *checks.Evaluation
	workers int
}

// part is a chunk on its way.
type part struct {
	chunk   *batch.Chunk
	columns []batch.Column
}

// smallChunk is how many values are not worth sharing among workers.
const smallChunk = 4096

// read takes all chunks of a reader.
func (p *pass) read(ctx context.Context, r batch.Reader) error {
	free, full := make(chan *batch.Chunk, batch.InFlight), make(chan part, batch.InFlight-1)
	for range cap(free) {
		free <- &batch.Chunk{}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		defer close(full)
		defer caught(&err)
		var columns []batch.Column
		for {
			var c *batch.Chunk
			select {
			case c = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			err := r.Next(ctx, c)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if now := r.Columns(); len(now) != len(columns) {
				columns = slices.Clone(now) // the reader's own slice changes while chunks are at work
			}
			select {
			case full <- part{c, columns}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	g.Go(func() (err error) {
		defer caught(&err)
		crew := p.newCrew()
		defer crew.stop()
		for next := range full {
			if err := crew.take(next); err != nil {
				return err
			}
			free <- next.chunk
		}
		return nil
	})
	err := g.Wait()
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

// crew are the workers of a pass.
type crew struct {
	p     *pass
	chunk *batch.Chunk
	next  atomic.Int64 // column of the chunk that is to be taken
	start []chan struct{}
	done  sync.WaitGroup
	mine  []worker
	// order are the columns of the chunk, those first that take longest: the
	// workers are done at about the same time. It decides nothing else.
	order  []int
	cost   []time.Duration // by column, of the chunks since it was put in order
	chunks int             // likewise
}

// reorderAfter is how many chunks pass before the columns are put in order
// again.
const reorderAfter = 64

// worker is the state of one worker.
type worker struct {
	hashes []uint64 // of the rows of the chunk, over the worker's columns
	err    error
	column int // at which err happened
}

// newCrew starts the workers but the first, which is the caller.
func (p *pass) newCrew() *crew {
	n := p.workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	c := &crew{p: p, mine: make([]worker, n)}
	for i := 1; i < n; i++ {
		start := make(chan struct{}, 1)
		c.start = append(c.start, start)
		go func() {
			for range start {
				c.work(&c.mine[i])
				c.done.Done()
			}
		}()
	}
	return c
}

func (c *crew) stop() {
	for _, start := range c.start {
		close(start)
	}
}

// take takes a chunk through all its columns.
func (c *crew) take(next part) error {
	chunk := next.chunk
	c.p.builder.Begin(next.columns, chunk)
	if err := c.p.eval.Begin(next.columns, chunk); err != nil {
		return err
	}
	c.chunk = chunk
	c.arrange(len(chunk.Vectors))
	c.next.Store(0)
	helpers := c.start
	if chunk.Rows*len(chunk.Vectors) < smallChunk {
		helpers = nil
	}
	helpers = helpers[:min(len(helpers), max(0, len(chunk.Vectors)-1))]
	c.done.Add(len(helpers))
	for _, start := range helpers {
		start <- struct{}{}
	}
	c.work(&c.mine[0])
	c.done.Wait()
	return c.finish(len(helpers) + 1)
}

// arrange puts n columns in the order in which they are taken: after the first
// chunk and then from time to time.
func (c *crew) arrange(n int) {
	if c.chunks++; n == len(c.order) && c.chunks < reorderAfter && c.chunks != 2 {
		return
	}
	for i := len(c.order); i < n; i++ {
		c.order, c.cost = append(c.order, i), append(c.cost, 0)
	}
	c.order, c.cost = c.order[:n], c.cost[:n]
	slices.SortStableFunc(c.order, func(a, b int) int { return cmp.Compare(c.cost[b], c.cost[a]) })
	clear(c.cost)
	if c.chunks >= reorderAfter {
		c.chunks = 0
	}
}

// finish joins what n workers found.
func (c *crew) finish(n int) error {
	first := &c.mine[0]
	for i := 1; i < n; i++ {
		w := &c.mine[i]
		if w.err != nil && (first.err == nil || w.column < first.column) {
			first.err, first.column = w.err, w.column
		}
		for k, h := range w.hashes {
			first.hashes[k] += h
		}
	}
	if first.err != nil {
		return first.err
	}
	c.p.builder.End(first.hashes)
	c.p.eval.End(c.chunk)
	return nil
}

// work takes columns until none is left.
func (c *crew) work(w *worker) {
	defer caught(&w.err)
	chunk := c.chunk
	w.hashes = slices.Grow(w.hashes[:0], chunk.Rows)[:chunk.Rows]
	clear(w.hashes)
	before := time.Now()
	for {
		next := int(c.next.Add(1) - 1)
		if next >= len(chunk.Vectors) {
			return
		}
		i := c.order[next]
		if _, err := chunk.Fill(i); err != nil {
			if w.err == nil || i < w.column { // the same error however columns are shared
				w.err, w.column = err, i
			}
			continue
		}
		c.p.builder.Column(chunk, i, w.hashes)
		c.p.eval.Column(chunk, i)
		now := time.Now()
		c.cost[i] += now.Sub(before)
		before = now
	}
}
