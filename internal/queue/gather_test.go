package queue_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

// report joins the units of step a, taking those of step b whatever their verdict.
func report() []queue.FanIn {
	unit := func(name string) func(string) string { return func(run string) string { return name + " of " + run } }
	return []queue.FanIn{
		{Step: "report", Needs: []queue.FanInNeed{{Step: "a"}, {Step: "b", Any: true}}, Before: []string{"a", "b"}, Hold: []string{"a"}, Unit: unit("report")},
		{Step: "mail", Needs: []queue.FanInNeed{{Step: "report"}}, Before: []string{"a", "b", "report"}, Hold: []string{"a", "report"}, Unit: unit("mail")},
	}
}

func gather(t *testing.T, q *queue.Queue) int {
	t.Helper()
	n, err := q.Gather(t.Context(), "p", report())
	require.NoError(t, err)
	return n
}

// members lists what a fan-in joins.
func members(t *testing.T, q *queue.Queue, step string) (all []string) {
	t.Helper()
	rows, err := q.Members(t.Context(), key(step, step+" of r1"))
	require.NoError(t, err)
	for _, r := range rows {
		all = append(all, r.Step+" "+r.Unit)
	}
	slices.Sort(all)
	return all
}

// end takes a unit through a step.
func end(t *testing.T, q *queue.Queue, step string, s queue.State) {
	t.Helper()
	require.NoError(t, complete(q, one(t, q, step), queue.Result{State: s}))
}

func TestGather(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		ctx := t.Context()
		why := queue.Decision{Why: "test"}
		require.NoError(t, q.Begin(ctx, "r1", "p"))
		offer(t, q, queue.Offer{Key: key("a", "u1"), Correlation: "c1"}, queue.Offer{Key: key("a", "u2"), Correlation: "c2"})
		offer(t, q, queue.Offer{Key: key("b", "u1"), Correlation: "c1"}, queue.Offer{Key: key("a", "x"), Run: "other"})
		require.Zero(t, gather(t, q))
		end(t, q, "a", queue.Done)
		end(t, q, "b", queue.Quarantined) // over any it counts as done
		lease := one(t, q, "a")
		require.Zero(t, gather(t, q), "one is worked on")
		require.NoError(t, complete(q, lease, queue.Result{State: queue.Dead}))

		// A dead unit is waited for until somebody decides, and nobody looks meanwhile.
		require.Zero(t, gather(t, q))
		row, err := q.Get(ctx, key("report", "report of r1"))
		require.NoError(t, err)
		require.Equal(t, queue.Waiting, row.State)
		require.Equal(t, "it joins all units of the run and waits for 1 dead at a; replay, release or discard them", row.Err)
		finished, err := q.FinishedRuns(ctx, "p", true)
		require.NoError(t, err)
		require.Equal(t, []string{"r1"}, finished, "nothing goes on by itself")
		require.NoError(t, q.Discard(ctx, key("a", "u2"), why))
		finished, err = q.FinishedRuns(ctx, "p", true)
		require.NoError(t, err)
		require.Empty(t, finished)
		require.Equal(t, 1, gather(t, q))
		require.Equal(t, []string{"a u1", "b u1"}, members(t, q, "report"))
		require.Zero(t, gather(t, q), "it is made once")
		row, err = q.Get(ctx, key("report", "report of r1"))
		require.NoError(t, err)
		require.Equal(t, "c1", row.Correlation, "all have the same one")
		joined, err := q.JoinedBy(ctx, "p", []string{"u1"})
		require.NoError(t, err)
		require.Len(t, joined, 1)
		require.Equal(t, "report", joined[0].Step)

		// A fan-in of a fan-in comes after it.
		end(t, q, "report", queue.Done)
		require.Equal(t, 1, gather(t, q))
		end(t, q, "mail", queue.Done)
		require.Equal(t, []string{"report report of r1"}, members(t, q, "mail"))

		// A replay of a member makes both ready again, as replays; a discarded one
		// that comes back is a member.
		require.NoError(t, q.Replay(ctx, key("a", "u2"), false, why))
		require.Zero(t, gather(t, q))
		end(t, q, "a", queue.Done)
		require.Equal(t, 1, gather(t, q))
		l := one(t, q, "report")
		require.Equal(t, 1, l.Replay)
		require.Equal(t, "report of r1", l.Correlation, "units of several correlations have that of their own")
		require.Equal(t, []string{"a u1", "a u2", "b u1"}, members(t, q, "report"))
		require.NoError(t, complete(q, l, queue.Result{State: queue.Done}))
		require.Equal(t, 1, gather(t, q))
		require.Equal(t, 1, one(t, q, "mail").Replay)
		require.Contains(t, kinds(t, q, "mail of r1"), "mail replayed")

		// A replay of the fan-in alone changes nothing about its set.
		require.NoError(t, q.Replay(ctx, key("report", "report of r1"), false, why))
		require.Zero(t, gather(t, q))
		require.Equal(t, 2, one(t, q, "report").Replay)
	})
}

// A unit that is replayed while the fan-in works takes it from its worker.
func TestGatherFencesAFanInWhoseSetChanges(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		require.NoError(t, q.Begin(t.Context(), "r1", "p"))
		offer(t, q, queue.Offer{Key: key("a", "u1")})
		end(t, q, "a", queue.Done)
		require.Equal(t, 1, gather(t, q))
		l := one(t, q, "report")
		require.NoError(t, q.Replay(t.Context(), key("a", "u1"), false, queue.Decision{}))
		end(t, q, "a", queue.Done)
		require.Equal(t, 1, gather(t, q))
		require.ErrorIs(t, complete(q, l, queue.Result{State: queue.Done}), queue.ErrFenced)
		end(t, q, "report", queue.Done)
	})
}

// What a later run takes over is its own: the earlier fan-in is called off. Runs
// that were stopped join nothing, and neither does one without units.
func TestGatherOfRunsThatCameToNothing(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		ctx := t.Context()
		require.NoError(t, q.Begin(ctx, "r1", "p"))
		offer(t, q, queue.Offer{Key: key("a", "u1")})
		end(t, q, "a", queue.Dead)
		require.Zero(t, gather(t, q))
		require.Equal(t, queue.Waiting, state(t, q, "report", "report of r1"))
		first, err := q.BeginOnce(ctx, "r2", "p", time.Time{}, []queue.Offer{{Key: key("a", "u1"), Run: "r2"}})
		require.NoError(t, err)
		require.True(t, first)
		require.Zero(t, gather(t, q))
		require.Equal(t, queue.Cancelled, state(t, q, "report", "report of r1"))
		require.NoError(t, q.Cancel(ctx, "r2"))
		require.NoError(t, q.End(ctx, queue.Run{ID: "r2", State: queue.RunCancelled}))
		require.Zero(t, gather(t, q))
		_, err = q.Get(ctx, key("report", "report of r2"))
		require.ErrorIs(t, err, queue.ErrNotFound)
		require.NoError(t, q.Begin(ctx, "r3", "p"))
		require.Zero(t, gather(t, q))
	})
}

// A closed gate is waited for, and the fan-in comes when it is open again.
func TestGatherWaitsForAClosedGate(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		ctx := t.Context()
		require.NoError(t, q.Begin(ctx, "r1", "p"))
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")})
		require.NoError(t, complete(q, one(t, q, "a"), queue.Result{State: queue.Quarantined, Pause: true}))
		require.Zero(t, gather(t, q))
		row, err := q.Get(ctx, key("report", "report of r1"))
		require.NoError(t, err)
		require.Contains(t, row.Err, "1 quarantined at a, 1 before the closed gate of a")
		next := func(*queue.Row) (string, string, []queue.Offer) { return "", "", nil }
		require.NoError(t, q.Release(ctx, key("a", "u1"), queue.Decision{}, next, nil))
		require.Zero(t, gather(t, q))
		end(t, q, "a", queue.Done)
		require.Equal(t, 1, gather(t, q))
		require.Equal(t, []string{"a u1", "a u2"}, members(t, q, "report"))
	})
}

// Many gather at once while the last units end: the fan-in comes once and is
// complete.
func TestGatherAtOnce(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		require.NoError(t, q.Begin(t.Context(), "r1", "p"))
		var all []queue.Offer
		for i := range 40 {
			all = append(all, queue.Offer{Key: key("a", string(rune('A'+i)))})
		}
		offer(t, q, all...)
		var mu sync.Mutex
		made := 0
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for {
					l, err := q.Claim(t.Context(), req("a", 1))
					if err != nil || len(l) == 0 {
						return
					}
					err = complete(q, &l[0], queue.Result{State: queue.Done})
					n, err2 := q.Gather(t.Context(), "p", report())
					mu.Lock()
					made += n
					mu.Unlock()
					if errors.Join(err, err2) != nil {
						t.Errorf("worker: %v, %v", err, err2)
					}
				}
			})
		}
		workers.Wait()
		made += gather(t, q) // of two that end at once, each may have seen the other running
		require.Equal(t, 1, made)
		require.Len(t, members(t, q, "report"), 40)
	})
}

// A later run takes over the units of one that crashed, one step after the other:
// what is left of the set meanwhile is not joined.
func TestGatherWhileUnitsAreTakenOver(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		ctx := t.Context()
		fans := []queue.FanIn{{Step: "report", Needs: []queue.FanInNeed{{Step: "b"}}, Before: []string{"a", "b"}, Hold: []string{"a", "b"}, Unit: func(run string) string { return "of " + run }}}
		look := func() (n int, left bool) {
			n, err := q.Gather(ctx, "p", fans)
			require.NoError(t, err)
			left, err = q.Ungathered(ctx, "p", fans)
			require.NoError(t, err)
			return n, left
		}
		next := func(run, unit string) {
			l := one(t, q, "a")
			require.NoError(t, complete(q, l, queue.Result{State: queue.Done, Skipped: run == "r2", Next: []queue.Offer{{Key: key("b", l.Unit), Run: l.Run, Correlation: "c"}}}))
			require.Equal(t, []string{run, unit}, []string{l.Run, l.Unit})
		}
		require.NoError(t, q.Begin(ctx, "r1", "p"))
		offer(t, q, queue.Offer{Key: key("a", "u1"), Run: "r1"}, queue.Offer{Key: key("a", "u2"), Run: "r1"})
		next("r1", "u1")
		next("r1", "u2")
		end(t, q, "b", queue.Done)
		end(t, q, "b", queue.Done) // and then its process is killed
		require.NoError(t, q.Begin(ctx, "r2", "p"))
		offer(t, q, queue.Offer{Key: key("a", "u1"), Run: "r2"}, queue.Offer{Key: key("a", "u2"), Run: "r2"})
		next("r2", "u1")
		n, left := look()
		require.Zero(t, n, "half of the units are the other run's")
		require.True(t, left)
		end(t, q, "b", queue.Done)
		n, _ = look()
		require.Zero(t, n)
		next("r2", "u2")
		end(t, q, "b", queue.Done)
		n, left = look()
		require.Equal(t, 1, n, "that of the later run alone")
		require.False(t, left)
		rows, err := q.Members(ctx, key("report", "of r2"))
		require.NoError(t, err)
		require.Len(t, rows, 2)
	})
}
