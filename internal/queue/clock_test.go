package queue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
)

// The system's clock was set back by an hour between two processes: what was ready
// is due all the same, and a lease of the one that is gone ends.
func TestClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d, err := db.Open(t.Context(), url, db.Options{})
		require.NoError(t, err)
		defer d.Close()
		future := func() time.Time { return time.Now().Add(time.Hour) }
		before, err := queue.Open(t.Context(), d, queue.Options{Now: future})
		require.NoError(t, err)
		if before.Alone() {
			require.NoError(t, before.Begin(t.Context(), "r", "p"))
		}
		put := func(q *queue.Queue, unit string) {
			o := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: unit}, Run: "r", Correlation: "c"}
			require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error { return q.Offer(t.Context(), tx, []queue.Offer{o}) }))
		}
		claim := func(q *queue.Queue) []queue.Lease {
			leases, err := q.Claim(t.Context(), queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "w", Max: 10, Lease: time.Microsecond})
			require.NoError(t, err)
			return leases
		}
		if !before.Alone() { // the server's clock is not a worker's business
			before, err = queue.Open(t.Context(), d, queue.Options{})
			require.NoError(t, err)
		}
		put(before, "held")
		require.Len(t, claim(before), 1)
		put(before, "ready")
		after, err := queue.Open(t.Context(), d, queue.Options{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			for _, l := range claim(after) {
				if l.Unit == "held" {
					return l.Lost
				}
			}
			return false
		}, time.Minute, time.Millisecond)
	})
}
