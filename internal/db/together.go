package db

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Bounds of the transactions that share a commit.
const (
	togetherMax  = 64
	togetherTime = 5 * time.Millisecond
)

// together lets transactions of one process that wait for SQLite's only writer
// share a commit, and with it the one sync of the journal that makes it durable
// (group commit: DeWitt et al., "Implementation techniques for main memory
// database systems", 1984). Each has a savepoint, so that one that fails takes
// nothing back but its own changes.
type together struct {
	lead chan struct{} // holds a token while somebody writes

	mu      sync.Mutex
	waiting []*sharer
}

// sharer is a transaction that waits or runs.
type sharer struct {
	ctx   context.Context
	fn    func(*Tx) error
	ended chan ending
}

// ending is what became of a sharer: it is committed and its hooks are to be run,
// its function failed or panicked, or it has to run by itself.
type ending struct {
	hooks    []func()
	err      error
	panicked any
	alone    bool
}

// errExit stands for a function that ended its goroutine.
var errExit = errors.New("the function of a transaction ended its goroutine")

// txTogether is Tx on SQLite. Whoever gets the token runs what waits until its own
// transaction has ended.
func (d *DB) txTogether(ctx context.Context, fn func(*Tx) error) error {
	g := &d.group
	me := &sharer{ctx: ctx, fn: fn, ended: make(chan ending, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, me)
	g.mu.Unlock()
	for {
		select {
		case e := <-me.ended:
			return d.end(me, e)
		case g.lead <- struct{}{}:
			d.leadOn(g, me)
		case <-ctx.Done():
			if g.leave(me) {
				return joinContext(ctx, errors.New("the transaction did not begin"))
			}
			return d.end(me, <-me.ended)
		}
	}
}

// end carries out what became of a sharer, on its own goroutine.
func (d *DB) end(s *sharer, e ending) error {
	switch {
	case e.panicked != nil:
		panic(e.panicked)
	case e.alone:
		return d.inTx(s.ctx, d.writer, nil, s.fn)
	case e.err != nil && s.ctx.Err() != nil:
		return d.Explain(joinContext(s.ctx, e.err))
	case e.err != nil:
		return d.Explain(e.err)
	}
	for _, f := range e.hooks {
		f()
	}
	return nil
}

// leadOn runs those that wait and gives the token back. What belongs to others
// runs on a goroutine of its own, which one of them may end.
func (d *DB) leadOn(g *together, me *sharer) {
	defer func() { <-g.lead }()
	batch := g.take()
	if len(batch) == 1 && batch[0] == me {
		d.commitAlone(me)
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if len(batch) == 1 {
			d.commitAlone(batch[0])
		} else if len(batch) > 1 {
			d.commitTogether(g, batch)
		}
	}()
	<-ended
}

// commitAlone runs a transaction that nobody shares.
func (d *DB) commitAlone(s *sharer) {
	e := ending{err: errExit}
	defer func() { s.ended <- e }()
	e.panicked, e.err = shielded(func() (err error) {
		e.hooks, err = d.retriedTx(s.ctx, d.writer, nil, s.fn)
		return err
	})
}

// take takes those that wait, the first ones first.
func (g *together) take() []*sharer {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), togetherMax)
	batch := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return batch
}

// putBack lets sharers wait again, before all others.
func (g *together) putBack(batch []*sharer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.Insert(g.waiting, 0, batch...)
}

// leave takes a sharer out that has not begun.
func (g *together) leave(s *sharer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// commitTogether runs transactions in one. What it does not begin, because the
// first ones take long, waits again. Should the shared transaction fail, those
// that did not fail themselves run again one by one.
func (d *DB) commitTogether(g *together, batch []*sharer) {
	ends := make([]ending, len(batch))
	begun, committed := 0, false
	defer func() {
		g.putBack(batch[begun:])
		for i, s := range batch[:begun] {
			if !committed && ends[i].err == nil && ends[i].panicked == nil {
				ends[i] = ending{alone: true}
			}
			s.ended <- ends[i]
		}
	}()
	ctx := context.Background() // each keeps to its own, this one is all of theirs
	tx, err := d.writer.BeginTxx(ctx, nil)
	if err != nil {
		begun = len(batch)
		return
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	for since := time.Now(); begun < len(batch) && (begun == 0 || time.Since(since) < togetherTime); {
		s, e := batch[begun], &ends[begun]
		begun++
		if e.err = s.ctx.Err(); e.err != nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT sharer"); err != nil {
			return
		}
		t := &Tx{tx: tx, db: d}
		e.err = errExit
		e.panicked, e.err = shielded(func() error { return s.fn(t) })
		leave := "RELEASE sharer"
		if e.err != nil || e.panicked != nil {
			leave = "ROLLBACK TO sharer; RELEASE sharer"
		}
		e.hooks = t.onCommit
		if e.panicked == nil && Retryable(e.err) {
			*e = ending{alone: true}
		}
		if _, err := tx.ExecContext(ctx, leave); err != nil {
			return // an error or an interrupt has rolled the whole transaction back
		}
	}
	committed = tx.Commit() == nil
}

// shielded calls fn and returns what it panicked with.
func shielded(fn func() error) (panicked any, err error) {
	defer func() { panicked = recover() }()
	return nil, fn()
}
