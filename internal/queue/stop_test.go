package queue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/queue"
)

func stopped(t testing.TB, q *queue.Queue, l *queue.Lease) string {
	t.Helper()
	d, err := q.Stopped(t.Context(), l)
	require.NoError(t, err)
	return l.Waited().String() + " " + d.String()
}

// keepsBack closes the gate of a step by a unit.
func keepsBack(t testing.TB, q *queue.Queue, l *queue.Lease) {
	t.Helper()
	require.NoError(t, complete(q, l, queue.Result{State: queue.Quarantined, Pause: true, Cause: "gate"}))
}

// named returns the lease of a unit; they come in no order.
func named(t testing.TB, leases []queue.Lease, unit string) *queue.Lease {
	t.Helper()
	for i := range leases {
		if leases[i].Unit == unit {
			return &leases[i]
		}
	}
	t.Fatal("no lease of ", unit)
	return nil
}

func TestStoppedByAGate(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 6)
		l := claim(t, q, "a", 2)
		c.add(time.Minute)
		keepsBack(t, q, &l[0])
		c.add(time.Minute)
		keepsBack(t, q, &l[1]) // under way when the other one closed it
		c.add(time.Hour)
		offer(t, q, queue.Offer{Key: key("a", "late")}, queue.Offer{Key: key("b", "u")})
		c.add(time.Hour)
		next := func(*queue.Row) (string, string, []queue.Offer) { return "", "", nil }
		require.NoError(t, q.Release(t.Context(), l[0].Key, queue.Decision{}, next, nil))
		c.add(time.Minute) // the other one still keeps it closed
		require.NoError(t, q.Discard(t.Context(), l[1].Key, queue.Decision{}))
		c.add(5 * time.Minute)
		require.Equal(t, "1h6m0s 0s", stopped(t, q, one(t, q, "b")), "another step")
		require.Equal(t, "2h8m0s 2h2m0s", stopped(t, q, one(t, q, "a")))
		c.add(time.Minute)

		l = claim(t, q, "a", 1) // a second time
		keepsBack(t, q, &l[0])
		c.add(time.Minute)
		require.NoError(t, q.Resume(t.Context(), "p"))
		c.add(time.Minute)
		rest := claim(t, q, "a", 9)
		require.Equal(t, "2h11m0s 2h3m0s", stopped(t, q, named(t, rest, "u005")))
		require.Equal(t, "1h9m0s 1h2m0s", stopped(t, q, named(t, rest, "late")), "it came in the middle")
	})
}

func TestStoppedByFailures(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 30)
		l := guarded(t, q, 11)
		for i := range l {
			fails(t, q, &l[i])
		}
		c.add(time.Minute)
		probe := guarded(t, q, 5)
		require.Len(t, probe, 1)
		require.Equal(t, "1m0s 1m0s", stopped(t, q, &probe[0]))
		keepsBack(t, q, &probe[0]) // for two reasons at once
		c.add(time.Minute)
		require.NoError(t, q.Resume(t.Context(), "p"))
		c.add(time.Minute)
		probe = guarded(t, q, 5)
		require.Equal(t, "3m0s 3m0s", stopped(t, q, &probe[0]))
		works(t, q, &probe[0])
		c.add(time.Minute)
		rest := guarded(t, q, 1)
		require.Equal(t, "4m0s 3m0s", stopped(t, q, &rest[0]))
		fails(t, q, &rest[0])
		c.add(time.Minute)
		again := claim(t, q, "a", 30)
		require.Equal(t, "1m0s 0s", stopped(t, q, named(t, again, rest[0].Unit)), "ready since the last attempt")
	})
}

// What a unit that was given back has waited is the time since.
func TestWaitedSinceItWasGivenBack(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 1)
		c.add(time.Minute)
		l := one(t, q, "a")
		require.Equal(t, time.Minute, l.Waited())
		c.add(20 * time.Second)
		require.NoError(t, q.GiveBack(t.Context(), l))
		c.add(time.Second)
		require.Equal(t, time.Second, one(t, q, "a").Waited())
	})
}

func TestOldStopsArePruned(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offers(t, q, 0, 3)
		keepsBack(t, q, one(t, q, "a"))
		c.add(time.Minute)
		require.NoError(t, q.Resume(t.Context(), "p"))
		keepsBack(t, q, one(t, q, "a"))
		c.add(time.Hour)
		_, err := q.Prune(t.Context(), c.Now())
		require.NoError(t, err)
		var n int
		require.NoError(t, q.DB().Tx(t.Context(), func(tx *db.Tx) error { return tx.Get(t.Context(), &n, "SELECT count(*) FROM step_stop") }))
		require.Equal(t, 1, n, "the one that lasts stays")
	})
}
