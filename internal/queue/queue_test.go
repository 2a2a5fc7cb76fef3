package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
)

const lease = time.Minute

// clock is a time that the test moves.
type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) Now() time.Time       { return time.UnixMicro(c.us.Load()) }
func (c *clock) add(d time.Duration)  { c.us.Add(d.Microseconds()) }
func key(step, unit string) queue.Key { return queue.Key{Pipeline: "p", Step: step, Unit: unit} }
func req(step string, n int) queue.ClaimRequest {
	return queue.ClaimRequest{Pipeline: "p", Step: step, Worker: "w1", Max: n, Lease: lease}
}

// each runs a test on both databases with a clock that stands still.
func each(t *testing.T, test func(t *testing.T, q *queue.Queue, c *clock)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newClock()
		test(t, open(t, url, queue.Options{Now: c.Now}), c)
	})
}

func open(t testing.TB, url string, o queue.Options) *queue.Queue {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	q, err := queue.Open(t.Context(), d, o)
	require.NoError(t, err)
	return q
}

func offer(t testing.TB, q *queue.Queue, units ...queue.Offer) {
	t.Helper()
	for i := range units {
		if units[i].Run == "" {
			units[i].Run = "r1"
		}
	}
	require.NoError(t, q.DB().Tx(t.Context(), func(tx *db.Tx) error { return q.Offer(t.Context(), tx, units) }))
}

func claim(t testing.TB, q *queue.Queue, step string, n int) []queue.Lease {
	t.Helper()
	got, err := q.Claim(t.Context(), req(step, n))
	require.NoError(t, err)
	return got
}

func one(t testing.TB, q *queue.Queue, step string) *queue.Lease {
	t.Helper()
	got := claim(t, q, step, 1)
	require.Len(t, got, 1)
	return &got[0]
}

func complete(q *queue.Queue, l *queue.Lease, r queue.Result) error {
	ctx := context.Background()
	return q.DB().Tx(ctx, func(tx *db.Tx) error {
		_, err := q.Complete(ctx, tx, l, r)
		return err
	})
}

func state(t testing.TB, q *queue.Queue, step, unit string) queue.State {
	t.Helper()
	r, err := q.Get(t.Context(), key(step, unit))
	require.NoError(t, err)
	return r.State
}

func kinds(t testing.TB, q *queue.Queue, unit string) (all []string) {
	t.Helper()
	events, err := q.Events(t.Context(), queue.Filter{Unit: unit})
	require.NoError(t, err)
	for _, e := range events {
		all = append(all, e.Step+" "+string(e.Kind))
	}
	return all
}

func TestUnitGoesThroughTwoSteps(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1"), Correlation: "c1", Source: "in/1.csv"})
		c.add(3 * time.Second)
		l := one(t, q, "a")
		require.Equal(t, "u1 c1 in/1.csv r1 1 1", fmt.Sprint(l.Unit, " ", l.Correlation, " ", l.Source, " ", l.Run, " ", l.Attempt, " ", l.Tries))
		require.Equal(t, 3*time.Second, l.Waited())
		require.Empty(t, claim(t, q, "a", 1), "a held unit is nobody else's")
		c.add(2 * time.Second)
		require.NoError(t, complete(q, l, queue.Result{State: queue.Done, Body: `{"rows":3}`, Usage: queue.Usage{CPU: time.Second, PeakBytes: 7}, Next: []queue.Offer{{Key: key("b", "u1"), Run: "r1", Correlation: "c1", Parent: "a"}}}))
		require.NoError(t, complete(q, one(t, q, "b"), queue.Result{State: queue.Done}))
		row, err := q.Get(t.Context(), key("a", "u1"))
		require.NoError(t, err)
		require.Equal(t, `{"rows":3}`, row.Body)
		events, err := q.Events(t.Context(), queue.Filter{Unit: "u1"})
		require.NoError(t, err)
		require.Len(t, events, 2)
		e := events[0]
		require.Equal(t, []int64{3e6, 2e6, 1e6, 7}, []int64{e.WaitUS, e.BusyUS, e.CPUUS, e.PeakBytes})
		require.Equal(t, "w1", e.Worker)
	})
}

func TestFencing(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1")})
		first := one(t, q, "a")
		c.add(lease - time.Second)
		require.NoError(t, q.Heartbeat(t.Context(), first, lease))
		c.add(lease - time.Second)
		require.Empty(t, claim(t, q, "a", 1), "the heartbeat prolonged the lease")
		c.add(2 * time.Second)
		second := one(t, q, "a")
		require.Equal(t, []int{2, 2}, []int{second.Attempt, second.Tries})
		require.ErrorIs(t, q.Heartbeat(t.Context(), first, lease), queue.ErrFenced)
		require.ErrorIs(t, q.Fail(t.Context(), first, queue.Failure{}), queue.ErrFenced)
		require.ErrorIs(t, q.GiveBack(t.Context(), first), queue.ErrFenced)
		next := []queue.Offer{{Key: key("b", "u1"), Run: "r1"}}
		require.ErrorIs(t, complete(q, first, queue.Result{State: queue.Done, Next: next}), queue.ErrFenced)
		require.Empty(t, claim(t, q, "b", 1), "a fenced worker opens no step")
		require.NoError(t, complete(q, second, queue.Result{State: queue.Done, Next: next}))
		require.ErrorIs(t, complete(q, second, queue.Result{State: queue.Dead}), queue.ErrFenced, "a unit ends once")
		require.Equal(t, []string{"a lost", "a done"}, kinds(t, q, "u1"))
		require.Len(t, claim(t, q, "b", 9), 1)
	})
}

func TestVanishingWorkersKillAUnit(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offer(t, q, queue.Offer{Key: key("a", "poison"), Priority: 1}, queue.Offer{Key: key("a", "fine")})
		for range queue.MaxLosses {
			require.NotEmpty(t, claim(t, q, "a", 1))
			c.add(lease + time.Second)
		}
		got := claim(t, q, "a", 9)
		require.Len(t, got, 1)
		require.Equal(t, "fine", got[0].Unit)
		row, err := q.Get(t.Context(), key("a", "poison"))
		require.NoError(t, err)
		require.Equal(t, queue.Dead, row.State)
		require.Equal(t, queue.CauseCrash, row.Cause)
	})
}

func TestClaimThatFindsNothingLooksForVanishedWorkers(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1")})
		request := queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "w", Max: 1, Lease: queue.DefaultPoll / 4}
		for attempt := 1; attempt < queue.MaxLosses; attempt++ {
			got, err := q.Claim(t.Context(), request)
			require.NoError(t, err)
			require.Len(t, got, 1, "attempt %d", attempt)
			require.Equal(t, attempt, got[0].Attempt)
			c.add(queue.DefaultPoll / 3) // the last look was less than an interval ago
		}
	})
}

func TestFailedAttemptComesBackLater(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2"), Priority: 1})
		require.Equal(t, "u2", one(t, q, "a").Unit, "priority goes first")
		l := one(t, q, "a")
		require.NoError(t, q.Fail(t.Context(), l, queue.Failure{Cause: "attempts", Err: "exit 1", Wait: 10 * time.Second, Body: "kept"}))
		require.Empty(t, claim(t, q, "a", 9))
		due, err := q.Due(t.Context(), "p", false)
		require.NoError(t, err)
		require.Equal(t, queue.Due{Open: 2, NextUS: c.Now().Add(10 * time.Second).UnixMicro()}, due)
		c.add(10 * time.Second)
		again := one(t, q, "a")
		require.Equal(t, "kept", again.Body)
		require.Equal(t, 2, again.Tries)
		require.Zero(t, again.Waited(), "backing off is no waiting for a worker")
		require.NoError(t, q.GiveBack(t.Context(), again))
		require.Equal(t, 2, one(t, q, "a").Tries, "a released claim does not count")
	})
}

func TestFanIn(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		join := func(parent, run string) queue.Offer {
			return queue.Offer{Key: key("join", "u1"), Run: run, Parent: parent, Needs: 2}
		}
		offer(t, q, join("a", "r1"))
		offer(t, q, join("a", "r1"))
		require.Empty(t, claim(t, q, "join", 1), "one parent twice is one parent")
		offer(t, q, join("b", "r1"))
		require.NoError(t, complete(q, one(t, q, "join"), queue.Result{State: queue.Done}))
		offer(t, q, join("a", "r2"))
		require.Equal(t, queue.Waiting, state(t, q, "join", "u1"), "another run waits for its own parents")
		offer(t, q, join("b", "r2"))
		require.Equal(t, "r2", one(t, q, "join").Run)
	})
}

// Two parents whose transactions run side by side open their child all the same.
func TestParentsAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		q := open(t, url, queue.Options{})
		parent := func(name string, then func()) error {
			return q.DB().Tx(context.Background(), func(tx *db.Tx) error {
				err := q.Offer(context.Background(), tx, []queue.Offer{{Key: key("join", "u"), Run: "r", Parent: name, Needs: 2}})
				then()
				return err
			})
		}
		second := make(chan error, 1)
		require.NoError(t, parent("a", func() {
			go func() { second <- parent("b", func() {}) }()
			select { // the second one waits for this transaction, or it is wrong
			case err := <-second:
				second <- err
			case <-time.After(200 * time.Millisecond):
			}
		}))
		require.NoError(t, <-second)
		require.Len(t, claim(t, q, "join", 2), 1)
	})
}

func TestOfferAgain(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1")})
		held := one(t, q, "a")
		offer(t, q, queue.Offer{Key: key("a", "u1"), Run: "r2"})
		require.ErrorIs(t, complete(q, held, queue.Result{State: queue.Done}), queue.ErrFenced, "its input has changed")
		l := one(t, q, "a")
		require.NoError(t, complete(q, l, queue.Result{State: queue.Done, Body: "stored"}))
		offer(t, q, queue.Offer{Key: key("a", "u1"), Run: "r3"})
		l = one(t, q, "a")
		require.Equal(t, "stored", l.Body, "what is there is seen by the next worker")
		require.NoError(t, complete(q, l, queue.Result{State: queue.Done, Skipped: true}))
		row, err := q.Get(t.Context(), key("a", "u1"))
		require.NoError(t, err)
		require.True(t, row.Skipped)
		require.Equal(t, []string{"a done", "a skipped"}, kinds(t, q, "u1"))
	})
}

func TestPausedStep(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		ctx := t.Context()
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")}, queue.Offer{Key: key("a", "u3")})
		l := one(t, q, "a")
		require.NoError(t, complete(q, l, queue.Result{State: queue.Quarantined, Pause: true, Cause: "gate"}))
		require.Empty(t, claim(t, q, "a", 9))
		due, err := q.Due(ctx, "p", false)
		require.NoError(t, err)
		require.Zero(t, due.Open, "units in front of a closed gate are nobody's work")
		next := func(r *queue.Row) (string, string, []queue.Offer) {
			return "released", "", []queue.Offer{{Key: key("b", r.Unit), Run: r.Run}}
		}
		recorded := false
		require.NoError(t, q.Release(ctx, l.Key, queue.Decision{Who: "ann", Why: "a holiday"}, next, func(*db.Tx) error { recorded = true; return nil }))
		require.True(t, recorded)
		require.Len(t, claim(t, q, "a", 9), 2)
		require.Len(t, claim(t, q, "b", 9), 1)
		events, err := q.Events(ctx, queue.Filter{Unit: "u1", Step: "a"})
		require.NoError(t, err)
		require.Equal(t, "by ann: a holiday", events[len(events)-1].Detail)
		require.ErrorIs(t, q.Release(ctx, l.Key, queue.Decision{}, next, nil), queue.ErrNotFound, "it is released once")
	})
}

func TestCommitWhoseAnswerWasLost(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1"), Input: "in"})
		l := one(t, q, "a")
		require.Equal(t, "in", l.Input)
		r := queue.Result{State: queue.Done, Body: "b", Fingerprint: "f", Output: "o"}
		again := func(r queue.Result) (already bool, err error) {
			err = q.DB().Tx(t.Context(), func(tx *db.Tx) error {
				already, err = q.Complete(t.Context(), tx, l, r)
				return err
			})
			return already, err
		}
		already, err := again(r)
		require.NoError(t, err)
		require.False(t, already)
		already, err = again(r)
		require.NoError(t, err)
		require.True(t, already, "the very same end is no second one")
		_, err = again(queue.Result{State: queue.Done, Body: "other"})
		require.ErrorIs(t, err, queue.ErrFenced)
		require.Equal(t, []string{"a done"}, kinds(t, q, "u1"))
		for fingerprint, want := range map[string]string{"f": "o", "g": ""} {
			body, err := q.Output(t.Context(), l.Key, fingerprint)
			require.NoError(t, err)
			require.Equal(t, want, body)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		ctx := t.Context()
		for _, u := range []string{"AB1", "AB2", "CD3"} {
			offer(t, q, queue.Offer{Key: key("a", u), Correlation: "corr-" + u})
		}
		for _, l := range claim(t, q, "a", 9) {
			c.add(time.Hour)
			require.NoError(t, complete(q, &l, queue.Result{State: queue.Dead, Cause: "data", Err: "100% wrong: " + l.Unit, Body: "b"}))
		}
		find := func(f queue.Filter) (ids []string) {
			f.States = []queue.State{queue.Dead}
			rows, err := q.Units(ctx, f)
			require.NoError(t, err)
			for _, r := range rows {
				ids = append(ids, r.Unit)
			}
			return ids
		}
		require.Equal(t, []string{"AB1", "AB2"}, find(queue.Filter{IDs: []string{"AB"}}))
		require.Equal(t, []string{"CD3"}, find(queue.Filter{IDs: []string{"corr-CD"}}))
		require.Equal(t, []string{"AB2"}, find(queue.Filter{Err: "WRONG: ab2"}))
		require.Empty(t, find(queue.Filter{Err: "100_ wrong"}), "a pattern's letters are letters")
		require.Len(t, find(queue.Filter{Err: "data"}), 3, "the cause counts too")
		require.Equal(t, []string{"CD3"}, find(queue.Filter{Since: c.Now()}))
		require.Equal(t, []string{"AB1"}, find(queue.Filter{Limit: 1}))

		require.NoError(t, q.Replay(ctx, key("a", "AB1"), false, queue.Decision{Who: "ann"}))
		require.NoError(t, q.Discard(ctx, key("a", "CD3"), queue.Decision{Why: "a test"}))
		require.ErrorIs(t, q.Replay(ctx, key("a", "AB1"), false, queue.Decision{}), queue.ErrNotFound, "it is ready already")
		require.ErrorIs(t, q.Discard(ctx, key("a", "XX"), queue.Decision{}), queue.ErrNotFound)
		l := one(t, q, "a")
		require.Equal(t, "AB1 b 1 1 2", fmt.Sprint(l.Unit, " ", l.Body, " ", l.Replay, " ", l.Tries, " ", l.Attempt))
		require.NoError(t, complete(q, l, queue.Result{State: queue.Done, Fingerprint: "f", Output: "o"}))
		require.NoError(t, q.Replay(ctx, key("a", "AB1"), true, queue.Decision{}))
		require.Equal(t, "b", one(t, q, "a").Body, "what it gave before is known")
		output, err := q.Output(ctx, key("a", "AB1"), "f")
		require.NoError(t, err)
		require.Empty(t, output, "a forced replay does not use what was stored")
		offer(t, q, queue.Offer{Key: key("a", "CD3")})
		require.Equal(t, queue.Discarded, state(t, q, "a", "CD3"), "it is given up for good")
		depths, err := q.Depths(ctx)
		require.NoError(t, err)
		counts := map[queue.State]int64{}
		for _, d := range depths {
			counts[d.State] = d.Units
		}
		require.Equal(t, map[queue.State]int64{queue.Dead: 1, queue.Running: 1}, counts)
	})
}

// Steps of a group hold no more units together than it has places, whoever asks.
func TestGroup(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		q := open(t, url, queue.Options{})
		for i := range 20 {
			offer(t, q, queue.Offer{Key: key("a", fmt.Sprint(i))}, queue.Offer{Key: key("b", fmt.Sprint(i))})
		}
		grouped := func(step string, n int) queue.ClaimRequest {
			r := req(step, n)
			r.Group, r.GroupMax = []string{"a", "b"}, 5
			return r
		}
		var taken atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				got, err := q.Claim(context.Background(), grouped([]string{"a", "b"}[i%2], 3))
				if err != nil {
					t.Error(err)
				}
				taken.Add(int64(len(got)))
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, taken.Load())
		rows, err := q.Units(t.Context(), queue.Filter{States: []queue.State{queue.Running}, Limit: 1})
		require.NoError(t, err)
		l, _, err := q.Held(t.Context(), rows[0].Key, rows[0].Attempt)
		require.NoError(t, err)
		require.NoError(t, complete(q, &l, queue.Result{State: queue.Done}))
		got, err := q.Claim(t.Context(), grouped("b", 3))
		require.NoError(t, err)
		require.Len(t, got, 1, "a place is free again")
	})
}

// A step of its own may have a bound too; the smaller of the two counts.
func TestStepMax(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		q := open(t, url, queue.Options{})
		for i := range 20 {
			offer(t, q, queue.Offer{Key: key("a", fmt.Sprint(i))}, queue.Offer{Key: key("b", fmt.Sprint(i))})
		}
		bounded := func(step string, n int) queue.ClaimRequest {
			r := req(step, n)
			r.Group, r.GroupMax, r.StepMax = []string{"a", "b"}, 5, 3
			return r
		}
		var wg sync.WaitGroup
		var taken [2]atomic.Int64
		for i := range 12 {
			wg.Go(func() {
				got, err := q.Claim(context.Background(), bounded([]string{"a", "b"}[i%2], 2))
				if err != nil {
					t.Error(err)
				}
				taken[i%2].Add(int64(len(got)))
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, taken[0].Load()+taken[1].Load())
		require.LessOrEqual(t, taken[0].Load(), int64(3))
		require.LessOrEqual(t, taken[1].Load(), int64(3))
	})
}

func TestRuns(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		ctx := t.Context()
		require.NoError(t, q.Begin(ctx, "r1", "p"))
		c.add(time.Second)
		require.NoError(t, q.Begin(ctx, "r2", "other"))
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")})
		l := one(t, q, "a")
		require.NoError(t, q.Cancel(ctx, "r1"))
		require.Equal(t, queue.Running, state(t, q, "a", l.Unit))
		require.Equal(t, queue.Cancelled, state(t, q, "a", "u2"))
		require.NoError(t, q.End(ctx, queue.Run{ID: "r1", State: queue.RunCancelled, Verdict: "pass", FirstBadStep: "a"}))
		r, err := q.GetRun(ctx, "r1")
		require.NoError(t, err)
		require.Equal(t, "cancelled pass a 1000000", fmt.Sprint(r.State, " ", r.Verdict, " ", r.FirstBadStep, " ", r.EndedUS-r.StartedUS))
		_, err = q.GetRun(ctx, "none")
		require.ErrorIs(t, err, queue.ErrNotFound)
		all, err := q.Runs(ctx, "", 0)
		require.NoError(t, err)
		require.Equal(t, []string{"r2", "r1"}, []string{all[0].ID, all[1].ID})
		all, err = q.Runs(ctx, "p", 5)
		require.NoError(t, err)
		require.Len(t, all, 1)
	})
}

func TestPrune(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		ctx := t.Context()
		for day := range 3 {
			id := fmt.Sprint(day)
			require.NoError(t, q.Begin(ctx, id, "p"))
			for i := range 300 {
				offer(t, q, queue.Offer{Key: key("a", fmt.Sprint(id, "-", i)), Run: id})
			}
			for _, l := range claim(t, q, "a", 300) {
				require.NoError(t, complete(q, &l, queue.Result{State: queue.Done}))
			}
			if day < 2 {
				require.NoError(t, q.End(ctx, queue.Run{ID: id, State: queue.RunEnded}))
			}
			c.add(24 * time.Hour)
		}
		n, err := q.Prune(ctx, c.Now().Add(-36*time.Hour))
		require.NoError(t, err)
		require.EqualValues(t, 602, n, "the events of two days and their runs")
		left, err := q.Runs(ctx, "", 0)
		require.NoError(t, err)
		require.Len(t, left, 1)
		units, err := q.Units(ctx, queue.Filter{})
		require.NoError(t, err)
		require.Len(t, units, 900, "what was done is known for ever")
	})
}

// Many workers take each unit of two steps once, whoever is faster.
func TestManyWorkers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		const units, workers = 120, 8
		q := open(t, url, queue.Options{})
		var offers []queue.Offer
		for i := range units {
			offers = append(offers, queue.Offer{Key: key("a", fmt.Sprintf("u%03d", i))})
		}
		offer(t, q, offers...)
		var done [2]sync.Map
		var left atomic.Int64
		left.Store(2 * units)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for left.Load() > 0 {
					changed := q.Changed()
					worked := false
					for i, step := range []string{"a", "b"} {
						got, err := q.Claim(context.Background(), queue.ClaimRequest{Pipeline: "p", Step: step, Worker: fmt.Sprint(w), Max: 3, Lease: lease})
						if err != nil {
							t.Error(err)
							return
						}
						for _, l := range got {
							r := queue.Result{State: queue.Done}
							if step == "a" {
								r.Next = []queue.Offer{{Key: key("b", l.Unit), Run: l.Run, Parent: "a"}}
							}
							if err := complete(q, &l, r); err != nil {
								t.Error(err)
								return
							}
							if _, twice := done[i].LoadOrStore(l.Unit, true); twice {
								t.Errorf("%s was done twice", l.Key)
							}
							left.Add(-1)
							worked = true
						}
					}
					if !worked && left.Load() > 0 {
						q.Wait(context.Background(), changed, 50*time.Millisecond)
					}
				}
			})
		}
		wg.Wait()
		for i := range done {
			n := 0
			done[i].Range(func(any, any) bool { n++; return true })
			require.Equal(t, units, n)
		}
	})
}

// What another process makes ready is heard at once on Postgres.
func TestListen(t *testing.T) {
	url := dbtest.Postgres(t)
	a, b := open(t, url, queue.Options{}), open(t, url, queue.Options{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	changed := a.Changed()
	go func() { ended <- a.Listen(ctx) }()
	deadline := time.After(30 * time.Second)
	for heard := false; !heard; {
		offer(t, b, queue.Offer{Key: key("a", "u1")}) // until the listener has connected
		select {
		case <-changed:
			heard = true
		case <-deadline:
			t.Fatal("nothing was heard")
		case <-time.After(20 * time.Millisecond):
		}
	}
	stop()
	require.NoError(t, <-ended)
}

func BenchmarkClaimComplete(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			url := dbtest.SQLite
			if kind == "postgres" {
				url = dbtest.Postgres
			}
			q := open(b, url(b), queue.Options{})
			offers := make([]queue.Offer, b.N)
			for i := range offers {
				offers[i] = queue.Offer{Key: key("a", fmt.Sprintf("u%09d", i)), Run: "r1"}
			}
			start := time.Now()
			require.NoError(b, q.DB().Tx(b.Context(), func(tx *db.Tx) error { return q.Offer(b.Context(), tx, offers) }))
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "offered/s")
			b.ResetTimer()
			workers := 1
			if kind == "postgres" {
				workers = 4
			}
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for {
						got, err := q.Claim(context.Background(), req("a", 4))
						if err != nil {
							b.Error(err)
						}
						if err != nil || len(got) == 0 {
							return
						}
						for i := range got {
							next := []queue.Offer{{Key: key("b", got[i].Unit), Run: "r1", Parent: "a"}}
							if err := complete(q, &got[i], queue.Result{State: queue.Done, Body: `{"rows":1}`, Next: next}); err != nil {
								b.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "units/s")
		})
	}
}
