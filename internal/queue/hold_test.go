package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

// One statement prolongs all leases and tells which are over.
func TestHeartbeatsGoTogether(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		for i := range 20 {
			offer(t, q, queue.Offer{Key: key("a", fmt.Sprintf("u%02d", i))})
		}
		leases := claim(t, q, "a", 20)
		require.Len(t, leases, 20)
		require.NoError(t, q.GiveBack(t.Context(), &leases[17])) // it is ready
		require.NoError(t, q.GiveBack(t.Context(), &leases[18]))
		again := one(t, q, "a") // another attempt has it
		require.NoError(t, complete(q, &leases[19], queue.Result{State: queue.Done}))
		c.add(lease / 2)
		held := make([]*queue.Lease, len(leases))
		for i := range leases {
			held[i] = &leases[i]
		}
		over, err := q.Heartbeats(t.Context(), held, lease)
		require.NoError(t, err)
		require.ElementsMatch(t, []*queue.Lease{&leases[17], &leases[18], &leases[19]}, over)
		var until []int64
		require.NoError(t, q.DB().Select(t.Context(), &until, "SELECT lease_us FROM unit WHERE state = 'running' ORDER BY lease_us"))
		require.Len(t, until, 18)
		require.Equal(t, c.Now().Add(lease/2).UnixMicro(), until[0], "%s was not asked for", again.Key)
		for _, us := range until[1:] {
			require.Equal(t, c.Now().Add(lease).UnixMicro(), us)
		}
		if q.DB().Dialect.IsPostgres() {
			var statements int
			require.NoError(t, q.DB().Get(t.Context(), &statements, "SELECT count(DISTINCT CAST(xmin AS text)) FROM unit WHERE lease_us = ?", until[17]))
			require.Equal(t, 1, statements)
		}
	})
}

// A unit that somebody is just writing holds the others up no longer than its own
// end takes, which is not at all.
func TestHeartbeatsPassOverALock(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		if q.Alone() {
			t.Skip("one writer at a time")
		}
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")})
		leases := claim(t, q, "a", 2)
		c.add(time.Second)
		writer, err := q.DB().Writer().BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		defer writer.Rollback()
		_, err = writer.ExecContext(t.Context(), "UPDATE unit SET body = 'x' WHERE unit = $1", leases[0].Unit)
		require.NoError(t, err)
		over, err := q.Heartbeats(t.Context(), []*queue.Lease{&leases[0], &leases[1]}, lease)
		require.NoError(t, err)
		require.Empty(t, over)
		for i, l := range leases {
			var until int64
			require.NoError(t, q.DB().Get(t.Context(), &until, "SELECT lease_us FROM unit WHERE unit = ?", l.Unit))
			require.Equal(t, c.Now().Add(lease-time.Second+time.Duration(i)*time.Second).UnixMicro(), until)
		}
	})
}

// What is held is prolonged until it is released, and who has lost it is told.
func TestHold(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("a", "u2")}, queue.Offer{Key: key("a", "u3")})
		leases := claim(t, q, "a", 3)
		const length = 30 * time.Millisecond
		told := make(chan string, 100)
		hold := func(l *queue.Lease) func() {
			return q.Hold(l, length, func(err error) { told <- fmt.Sprint(l.Unit, ": ", err) })
		}
		until := func(l *queue.Lease) (us int64) {
			require.NoError(t, q.DB().Get(t.Context(), &us, "SELECT lease_us FROM unit WHERE unit = ?", l.Unit))
			return us
		}
		prolonged := func(l *queue.Lease) {
			t.Helper()
			want := c.Now().Add(length).UnixMicro()
			require.Eventually(t, func() bool { return until(l) == want }, time.Minute, time.Millisecond)
		}
		first, second := hold(&leases[0]), hold(&leases[1])
		prolonged(&leases[0])
		prolonged(&leases[1])
		first()
		last := until(&leases[0])
		c.add(time.Second)
		prolonged(&leases[1])
		require.Equal(t, last, until(&leases[0]), "it was released")
		require.NoError(t, q.GiveBack(t.Context(), &leases[1]))
		require.Equal(t, leases[1].Unit+": "+queue.ErrFenced.Error(), <-told)
		second()
		third := hold(&leases[2]) // after all were released
		c.add(time.Second)
		prolonged(&leases[2])
		third()
	})
}
