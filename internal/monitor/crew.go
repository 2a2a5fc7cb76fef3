package monitor

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
)

// crew are the workers of a pass. What there is to do is cut into tasks: to find
// the rows of a chunk, to take one column of one chunk, to end a chunk. A worker
// that is done with a task takes the next one that may be done; none belongs to
// anybody. So nobody waits for the others at the end of a chunk, and to read is
// not the business of somebody who needs a core of its own.
type crew struct {
	p       *pass
	r       batch.Reader
	workers int

	mu      sync.Mutex // of all below
	wake    sync.Cond  // there may be something to do, or all is done
	waiting int        // workers

	free    []*part // in turn, so that what a chunk's memory is like does not depend on the workers
	flight  []*part // in the order of their rows: begun, and at most one that is not
	columns []batch.Column
	busy    []bool  // by column: it is taken through a chunk
	met     []int64 // by column: so many chunks went through it
	chunks  int64   // that were read
	reading bool
	ending  bool // the first chunk is ended
	over    bool // no more is to be read
	err     error
	stop    context.CancelFunc
	memory  []batch.Memory // by worker, of the column at work

	// order are the columns in which they are taken, those first that take
	// longest: the last chunk is done at about the same time by all workers. It
	// decides nothing else.
	order  []int
	cost   []time.Duration // by column, since it was put in order
	sorted int64           // chunks that were begun when it was
}

// reorderAfter is how many chunks pass before the columns are put in order
// again.
const reorderAfter = 64

// part is a chunk on its way.
type part struct {
	chunk    batch.Chunk
	number   int64 // from 0
	columns  []batch.Column
	begun    bool
	alone    bool   // nobody looks at a column once it was taken
	order    []int  // of its columns
	from     int    // those before it in order are taken
	taken    []bool // by column
	borrowed []bool // by column: its memory is that of a worker
	left     int    // columns that are not done
	hashes   []rowHashes
	err      error
	column   int // at which err happened
}

// rowHashes are sums for the rows of a chunk over the columns that one worker
// took.
type rowHashes struct {
	sums []uint64
	used bool
}

// task is what a worker does.
type task struct {
	kind   taskKind
	part   *part
	column int
}

type taskKind uint8

const (
	nothing taskKind = iota
	readChunk
	takeColumn
	endChunk
)

func newCrew(p *pass, r batch.Reader, workers int) *crew {
	// One that waits for input should not stop the work.
	c := &crew{p: p, r: r, workers: max(2, workers)}
	c.memory = make([]batch.Memory, c.workers)
	c.wake.L = &c.mu
	for range batch.InFlight {
		c.free = append(c.free, &part{hashes: make([]rowHashes, c.workers)})
	}
	return c
}

// run takes all chunks.
func (c *crew) run(ctx context.Context) error {
	ctx, c.stop = context.WithCancel(ctx)
	defer c.stop()
	var done sync.WaitGroup
	for i := 1; i < c.workers; i++ {
		done.Go(func() { c.work(ctx, i) })
	}
	c.work(ctx, 0)
	done.Wait()
	return c.err
}

// work does tasks until none is left.
func (c *crew) work(ctx context.Context, worker int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		t := c.next()
		if t.kind == nothing {
			if c.over && len(c.flight) == 0 && !c.reading {
				c.wake.Broadcast()
				return
			}
			c.waiting++
			c.wake.Wait()
			c.waiting--
			continue
		}
		c.start(t)
		if c.waiting > 0 && c.next().kind != nothing {
			c.wake.Signal()
		}
		switch t.kind {
		case readChunk:
			c.read(ctx, t.part)
		case takeColumn:
			c.take(t.part, t.column, worker)
		default:
			c.end(t.part)
		}
	}
}

// next chooses a task: the end of a chunk and what follows it first, since all
// else waits for them.
func (c *crew) next() task {
	if len(c.flight) > 0 && c.flight[0].begun && c.flight[0].left == 0 && !c.ending {
		return task{kind: endChunk, part: c.flight[0]}
	}
	if !c.reading && !c.over && len(c.free) > 0 && (len(c.flight) == 0 || c.flight[len(c.flight)-1].begun) {
		return task{kind: readChunk, part: c.free[0]}
	}
	for _, p := range c.flight {
		if !p.begun {
			break
		}
		for p.from < len(p.order) && p.taken[p.order[p.from]] {
			p.from++
		}
		for _, i := range p.order[p.from:] {
			if !p.taken[i] && !c.busy[i] && c.met[i] == p.number {
				return task{kind: takeColumn, part: p, column: i}
			}
		}
		if p.err != nil {
			break // what follows it does not count
		}
	}
	return task{}
}

// start takes a task.
func (c *crew) start(t task) {
	switch t.kind {
	case readChunk:
		c.reading = true
		c.free = slices.Delete(c.free, 0, 1)
	case takeColumn:
		t.part.taken[t.column], c.busy[t.column] = true, true
	default:
		c.ending = true
	}
}

// read finds the rows of the next chunk.
func (c *crew) read(ctx context.Context, p *part) {
	c.mu.Unlock()
	err := c.find(ctx, p)
	c.mu.Lock()
	c.reading = false
	switch {
	case err == nil && !c.over:
		p.number, p.begun = c.chunks, false
		c.chunks++
		c.flight = append(c.flight, p)
		c.begin()
		return
	case !c.over && !errors.Is(err, io.EOF):
		c.err = err // unless a column of an earlier chunk fails
	}
	c.over = true
	c.wake.Broadcast()
}

func (c *crew) find(ctx context.Context, p *part) (err error) {
	defer caught(&err)
	if err := c.r.Next(ctx, &p.chunk); err != nil {
		return err
	}
	if now := c.r.Columns(); len(now) != len(c.columns) {
		c.columns = slices.Clone(now) // the reader's own slice changes while chunks are at work
	}
	p.columns = c.columns
	return nil
}

// begin starts the chunk that was read last, unless it has to wait for the end
// of the one before.
func (c *crew) begin() {
	last := len(c.flight) - 1
	if last < 0 || c.flight[last].begun {
		return
	}
	p := c.flight[last]
	if last > 0 && (len(p.columns) != len(c.flight[last-1].columns) || !c.p.eval.ByColumn()) {
		return
	}
	n := len(p.chunk.Vectors)
	for i := range p.hashes {
		p.hashes[i].used = false
	}
	p.begun, p.from, p.left, p.err = true, 0, n, nil
	if p.err = c.announce(p); p.err != nil {
		p.left, p.column = 0, -1
		return
	}
	p.alone = c.p.eval.ByColumn()
	c.arrange(p.number, n)
	p.order = append(p.order[:0], c.order...)
	p.taken = slices.Grow(p.taken[:0], n)[:n]
	clear(p.taken)
	p.borrowed = slices.Grow(p.borrowed[:0], n)[:n]
	clear(p.borrowed)
}

func (c *crew) announce(p *part) (err error) {
	defer caught(&err)
	c.p.builder.Begin(p.columns, &p.chunk)
	return c.p.eval.Begin(p.columns, &p.chunk)
}

// arrange puts n columns in the order in which they are taken: after the first
// chunk and then from time to time. Those that are new begin with the chunk of
// the given number.
func (c *crew) arrange(number int64, n int) {
	if n == len(c.order) && number-c.sorted < reorderAfter && number != 1 {
		return
	}
	for i := len(c.order); i < n; i++ {
		c.order, c.cost = append(c.order, i), append(c.cost, 0)
		c.busy, c.met = append(c.busy, false), append(c.met, number)
	}
	slices.SortStableFunc(c.order, func(a, b int) int { return cmp.Compare(c.cost[b], c.cost[a]) })
	clear(c.cost)
	c.sorted = number
}

// take takes a chunk through a column.
func (c *crew) take(p *part, i, worker int) {
	c.mu.Unlock()
	began := time.Now()
	err := c.column(p, i, worker)
	took := time.Since(began)
	c.mu.Lock()
	c.cost[i] += took
	c.busy[i] = false
	c.met[i]++
	p.left--
	if err != nil && (p.err == nil || i < p.column) { // the same error however columns are shared
		p.err, p.column = err, i
	}
}

func (c *crew) column(p *part, i, worker int) (err error) {
	defer caught(&err)
	if err := c.fill(p, i, worker); err != nil {
		return err
	}
	h := &p.hashes[worker]
	if !h.used {
		h.used = true
		h.sums = slices.Grow(h.sums[:0], p.chunk.Rows)[:p.chunk.Rows]
		clear(h.sums)
	}
	c.p.builder.Column(&p.chunk, i, h.sums)
	c.p.eval.Column(&p.chunk, i)
	if p.borrowed[i] {
		p.chunk.Vectors[i].Return(&c.memory[worker])
	}
	return nil
}

// fill makes a column ready, in the memory of the worker if nobody else will look
// at it.
func (c *crew) fill(p *part, i, worker int) (err error) {
	if p.alone {
		p.borrowed[i], err = p.chunk.FillIn(i, &c.memory[worker])
		return err
	}
	_, err = p.chunk.Fill(i)
	return err
}

// end ends the first chunk of those on their way. The first error ends the
// batch.
func (c *crew) end(p *part) {
	c.mu.Unlock()
	err := p.err
	if err == nil {
		err = c.finish(p)
	}
	c.mu.Lock()
	c.ending = false
	if err != nil {
		c.err, c.over, c.flight = err, true, nil
		c.stop() // what is being read is not wanted
		c.wake.Broadcast()
		return
	}
	c.flight = slices.Delete(c.flight, 0, 1)
	c.free = append(c.free, p)
	c.begin()
}

// finish joins what the workers found in a chunk.
func (c *crew) finish(p *part) (err error) {
	defer caught(&err)
	var sums []uint64
	for _, h := range p.hashes {
		switch {
		case !h.used:
		case sums == nil:
			sums = h.sums
		default:
			for k, x := range h.sums {
				sums[k] += x
			}
		}
	}
	if sums == nil { // a table without columns
		sums = make([]uint64, p.chunk.Rows)
	}
	c.p.builder.End(sums)
	c.p.eval.End(&p.chunk)
	return nil
}
