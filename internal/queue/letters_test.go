package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
)

// postbox notes what is told about dead units, in the transactions that committed.
type postbox struct{ got []queue.Letters }

func (p *postbox) take(_ context.Context, tx *db.Tx, l queue.Letters) error {
	tx.OnCommit(func() { p.got = append(p.got, l) })
	return nil
}

// told returns what came since the last call, as step, died, dead and again, with
// the first and the last dead unit.
func (p *postbox) told() (all []string) {
	for _, l := range p.got {
		s := fmt.Sprintf("%s +%d %d %d", l.Step, l.Died, l.Dead, l.Again)
		if l.First != nil {
			s += " " + l.First.Unit + " " + l.Last.Unit
		}
		all = append(all, s)
	}
	p.got = nil
	return all
}

// eachPosted is each with a postbox.
func eachPosted(t *testing.T, test func(t *testing.T, q *queue.Queue, c *clock, p *postbox)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		c, p := newClock(), &postbox{}
		test(t, open(t, url, queue.Options{Now: c.Now, Letters: p.take}), c, p)
	})
}

var died = queue.Result{State: queue.Dead, Cause: "data", Err: "broken"}

// A unit stays in the count until it has gone through its step or is discarded,
// also while it is tried again.
func TestLetters(t *testing.T) {
	eachPosted(t, func(t *testing.T, q *queue.Queue, c *clock, p *postbox) {
		ctx := t.Context()
		require.NoError(t, q.Define(ctx, "p", "what it is"))
		for i := range 4 {
			offer(t, q, queue.Offer{Key: key("a", fmt.Sprintf("u%d", i)), Correlation: "c", Source: "s"})
		}
		for _, l := range claim(t, q, "a", 3) {
			c.add(time.Second)
			require.NoError(t, complete(q, &l, died))
		}
		require.Equal(t, queue.Letter{Unit: "u0", Run: "r1", Correlation: "c", Source: "s", Cause: "data", Err: "broken", Tries: 1, EndedUS: c.Now().Add(-2 * time.Second).UnixMicro()}, *p.got[2].First)
		require.Equal(t, "what it is", p.got[0].Definition)
		require.Equal(t, []string{"a +1 1 0 u0 u0", "a +1 2 0 u0 u1", "a +1 3 0 u0 u2"}, p.told())
		require.NoError(t, complete(q, one(t, q, "a"), queue.Result{State: queue.Done}))
		require.Empty(t, p.told(), "nothing of it had died")

		require.NoError(t, q.Replay(ctx, key("a", "u0"), false, queue.Decision{}))
		require.Equal(t, []string{"a +0 2 1 u1 u2"}, p.told())
		c.add(time.Second)
		require.NoError(t, complete(q, one(t, q, "a"), died))
		require.Equal(t, []string{"a +1 3 0 u1 u0"}, p.told())
		require.NoError(t, q.Replay(ctx, key("a", "u0"), false, queue.Decision{}))
		require.NoError(t, q.Fail(ctx, one(t, q, "a"), queue.Failure{Cause: "attempts"}))
		l := one(t, q, "a")
		require.NoError(t, q.GiveBack(ctx, l))
		require.Equal(t, []string{"a +0 2 1 u1 u2"}, p.told(), "it is still on its way")
		require.NoError(t, complete(q, one(t, q, "a"), queue.Result{State: queue.Done}))
		require.Equal(t, []string{"a +0 2 0 u1 u2"}, p.told())
		require.NoError(t, q.Replay(ctx, key("a", "u0"), false, queue.Decision{}))
		require.NoError(t, complete(q, one(t, q, "a"), queue.Result{State: queue.Done}))
		require.Empty(t, p.told(), "what went through once is no dead unit when it is replayed")

		require.NoError(t, q.Discard(ctx, key("a", "u1"), queue.Decision{}))
		require.Equal(t, []string{"a +0 1 0 u2 u2"}, p.told())
		offer(t, q, queue.Offer{Key: key("a", "u2"), Run: "r2"}) // by the next run
		require.NoError(t, q.Cancel(ctx, "r2"))
		offer(t, q, queue.Offer{Key: key("a", "u2"), Run: "r3"})
		require.Empty(t, p.told())
		require.NoError(t, complete(q, one(t, q, "a"), queue.Result{State: queue.Quarantined}))
		require.Equal(t, []string{"a +0 0 0"}, p.told(), "a gate keeps it back, which is told otherwise")
		require.NoError(t, q.Discard(ctx, key("a", "u2"), queue.Decision{}))
		require.Empty(t, p.told())
	})
}

// Units whose workers vanished die in the claims of others, those of several steps
// in one.
func TestLettersOfVanishedWorkers(t *testing.T) {
	eachPosted(t, func(t *testing.T, q *queue.Queue, c *clock, p *postbox) {
		offer(t, q, queue.Offer{Key: key("b", "u1")}, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")}, queue.Offer{Key: key("a", "u3"), Run: queue.CanaryPrefix + "1"})
		for range queue.MaxLosses {
			require.Len(t, claim(t, q, "a", 9), 3)
			require.Len(t, claim(t, q, "b", 9), 1)
			c.add(lease + time.Second)
			require.Empty(t, p.told())
		}
		require.Empty(t, claim(t, q, "z", 1))
		require.Equal(t, queue.Dead, state(t, q, "a", "u3"), "a canary dies too, but nobody is told by this")
		require.Equal(t, []string{"a +2 2 0 u1 u2", "b +1 1 0 u1 u1"}, p.told())
	})
}

// A unit that nobody could judge is told like a dead one, until it goes through,
// is released or discarded.
func TestLettersOfUnitsThatNobodyJudged(t *testing.T) {
	eachPosted(t, func(t *testing.T, q *queue.Queue, _ *clock, p *postbox) {
		ctx := t.Context()
		unjudged := queue.Result{State: queue.Quarantined, Letter: true, Cause: "unjudged"}
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")})
		require.NoError(t, complete(q, one(t, q, "a"), unjudged))
		require.NoError(t, complete(q, one(t, q, "a"), unjudged))
		require.Equal(t, []string{"a +1 1 0 u1 u1", "a +1 2 0 u1 u2"}, p.told())
		require.NoError(t, q.Replay(ctx, key("a", "u1"), false, queue.Decision{}))
		require.NoError(t, complete(q, one(t, q, "a"), queue.Result{State: queue.Done}))
		require.Equal(t, []string{"a +0 1 1 u2 u2", "a +0 1 0 u2 u2"}, p.told())
		next := func(*queue.Row) (string, string, []queue.Offer) { return "", "", nil }
		require.NoError(t, q.Release(ctx, key("a", "u2"), queue.Decision{}, next, nil))
		require.Equal(t, []string{"a +0 0 0"}, p.told())
	})
}

// A step that gives up everything is counted up to a limit.
func TestLettersAreCountedUpToALimit(t *testing.T) {
	eachPosted(t, func(t *testing.T, q *queue.Queue, _ *clock, p *postbox) {
		var all []queue.Offer
		for i := range queue.MaxLetters + 2 {
			all = append(all, queue.Offer{Key: key("a", fmt.Sprintf("u%04d", i))})
		}
		offer(t, q, all...)
		_, err := q.DB().Exec(t.Context(), "UPDATE unit SET state = 'dead', died = 1 WHERE unit < ?", fmt.Sprintf("u%04d", queue.MaxLetters-1))
		require.NoError(t, err)
		for _, more := range []bool{false, true} {
			require.NoError(t, complete(q, one(t, q, "a"), died))
			require.Equal(t, more, p.got[0].More)
			require.Equal(t, queue.MaxLetters, p.got[0].Dead)
			p.told()
		}
	})
}

// A unit whose letter cannot be written is not dead.
func TestLettersAreOfTheSameTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		full := errors.New("the disk is full")
		q := open(t, url, queue.Options{Letters: func(context.Context, *db.Tx, queue.Letters) error { return full }})
		offer(t, q, queue.Offer{Key: key("a", "u1")})
		require.ErrorIs(t, complete(q, one(t, q, "a"), died), full)
		require.Equal(t, queue.Running, state(t, q, "a", "u1"))
	})
}

// What is no part of an output any more is no dead unit.
func TestLettersOfPartsThatAreGone(t *testing.T) {
	eachPosted(t, func(t *testing.T, q *queue.Queue, _ *clock, p *postbox) {
		ctx := t.Context()
		offer(t, q, queue.Offer{Key: key("a", "whole")}, queue.Offer{Key: key("b", "part")})
		require.NoError(t, complete(q, one(t, q, "b"), died))
		p.told()
		l := one(t, q, "a")
		require.NoError(t, q.DB().Tx(ctx, func(tx *db.Tx) error { return q.SaveParts(ctx, tx, l, "f", nil, []string{"part"}) }))
		require.Equal(t, []string{"b +0 0 0"}, p.told())
	})
}
