package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
)

// guarded claims as workers that stay do.
func guarded(t testing.TB, q *queue.Queue, n int) []queue.Lease {
	t.Helper()
	r := req("a", n)
	r.Guarded = true
	got, err := q.Claim(t.Context(), r)
	require.NoError(t, err)
	return got
}

func fails(t testing.TB, q *queue.Queue, l *queue.Lease) {
	t.Helper()
	require.NoError(t, q.Fail(t.Context(), l, queue.Failure{Cause: "attempts", Outcome: queue.Faulty}))
}

func works(t testing.TB, q *queue.Queue, l *queue.Lease) {
	t.Helper()
	require.NoError(t, complete(q, l, queue.Result{State: queue.Done, Outcome: queue.Worked}))
}

func offers(t testing.TB, q *queue.Queue, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		offer(t, q, queue.Offer{Key: key("a", fmt.Sprintf("u%03d", i))})
	}
}

func opened(t testing.TB, q *queue.Queue) string {
	t.Helper()
	all, err := q.Opened(t.Context())
	require.NoError(t, err)
	text := ""
	for _, o := range all {
		text += fmt.Sprintf("%s/%s %d %v %s;", o.Pipeline, o.Step, o.Times, o.Probing, o.Until().Format("15:04:05"))
	}
	return text
}

func TestBreakerOpensAndCloses(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 60)
		for range 10 { // 10 of 20 are not more than half
			l := guarded(t, q, 2)
			require.Len(t, l, 2)
			fails(t, q, &l[0])
			works(t, q, &l[1])
			require.Zero(t, l[0].PausedUntil)
		}
		require.Empty(t, opened(t, q))
		l := guarded(t, q, 3)
		require.Len(t, l, 3)
		fails(t, q, &l[0]) // the oldest of the 20 was a failure too
		require.Empty(t, opened(t, q))
		fails(t, q, &l[1])
		require.Equal(t, "00:00:10", l[1].PausedUntil.Format("15:04:05"))
		require.Equal(t, "p/a 1 false 00:00:10;", opened(t, q))
		require.Empty(t, guarded(t, q, 5), "no unit is given out")
		fails(t, q, &l[2])
		require.Equal(t, "p/a 1 false 00:00:10;", opened(t, q), "an attempt that began before does not prolong the pause")

		due, err := q.Due(t.Context(), "p", true)
		require.NoError(t, err)
		require.Equal(t, c.Now().Add(10*time.Second).UnixMicro(), due.NextUS)
		require.NotZero(t, due.Open)
		due, err = q.Due(t.Context(), "p", false)
		require.NoError(t, err)
		require.Equal(t, c.Now().UnixMicro(), due.NextUS)
		require.Len(t, claim(t, q, "a", 1), 1, "who has to come to an end does not wait")
		c.add(11 * time.Second)
		require.Empty(t, guarded(t, q, 5), "as long as a unit is worked on")
		c.add(lease)

		// The unit of that worker is lost meanwhile: no probe, no longer pause.
		probe := guarded(t, q, 5)
		require.Len(t, probe, 1)
		require.True(t, probe[0].Probe)
		require.Empty(t, guarded(t, q, 5), "one at a time")
		require.Equal(t, "p/a 1 true 00:02:11;", opened(t, q))
		fails(t, q, &probe[0])
		require.Equal(t, "p/a 2 false 00:01:31;", opened(t, q), "twice as long")
		c.add(20 * time.Second)
		probe = guarded(t, q, 5)
		require.Len(t, probe, 1)
		require.NoError(t, q.GiveBack(t.Context(), &probe[0]))
		probe = guarded(t, q, 5)
		require.Len(t, probe, 1, "what was given back is no finding")
		works(t, q, &probe[0])
		require.True(t, probe[0].Closed)
		require.Empty(t, opened(t, q))
		l = guarded(t, q, 5)
		require.Len(t, l, 5)
		for i := range l {
			fails(t, q, &l[i])
		}
		require.Empty(t, opened(t, q), "what failed before the pause does not count any more")
	})
}

// Data that are bad, and units that never came to the step, are none of its
// faults. Claims that are not guarded change nothing.
func TestBreakerCountsFaultsOfTheStep(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		offers(t, q, 0, 90)
		for _, l := range guarded(t, q, 30) {
			require.NoError(t, complete(q, &l, queue.Result{State: queue.Dead, Cause: "data", Outcome: queue.Worked}))
		}
		for _, l := range guarded(t, q, 30) {
			require.NoError(t, complete(q, &l, queue.Result{State: queue.Dead, Cause: "timeout"}))
		}
		for _, l := range claim(t, q, "a", 10) {
			fails(t, q, &l)
		}
		require.Empty(t, opened(t, q))
	})
}

// A probe whose worker vanishes failed; pauses have a bound.
func TestBreakerLosesItsProbe(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 40)
		for _, l := range guarded(t, q, 11) {
			fails(t, q, &l)
		}
		want := []string{"00:00:10", "00:00:20", "00:00:40", "00:01:20", "00:02:40", "00:05:00", "00:05:00"}
		for i, pause := range want {
			all, err := q.Opened(t.Context())
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Equal(t, pause, time.Unix(0, 0).UTC().Add(all[0].Until().Sub(c.Now())).Format("15:04:05"), "pause %d", i+1)
			c.add(all[0].Until().Sub(c.Now()))
			l := guarded(t, q, 9)
			require.Len(t, l, 1)
			c.add(lease + time.Second)
			require.Empty(t, guarded(t, q, 9), "the probe is lost, which is a failure")
		}
	})
}

// Of many workers one gets the probe.
func TestBreakerGivesOneProbe(t *testing.T) {
	c := newClock()
	url := dbtest.Postgres(t)
	q := open(t, url, queue.Options{Now: c.Now})
	offers(t, q, 0, 40)
	for _, l := range guarded(t, q, 11) {
		fails(t, q, &l)
	}
	c.add(time.Minute)
	var got atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		own := open(t, url, queue.Options{Now: c.Now})
		wg.Go(func() {
			r := req("a", 3)
			r.Worker, r.Guarded = fmt.Sprint("w", i), true
			l, err := own.Claim(context.Background(), r)
			if err != nil {
				t.Error(err)
			}
			got.Add(int64(len(l)))
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, got.Load())
}

// A unit that kills its workers is a dead letter with an event of its own.
func TestCrashIsAnEvent(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 1)
		for range queue.MaxLosses {
			require.Len(t, claim(t, q, "a", 1), 1)
			c.add(lease + time.Second)
		}
		require.Empty(t, claim(t, q, "a", 1))
		require.Equal(t, []string{"a lost", "a lost", "a lost", "a dead"}, kinds(t, q, "u000"))
		n, err := q.Unfinished(t.Context(), "r1")
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}
