package queue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

// What is due is counted up to a limit; what stands in a backoff is ready and not
// due.
func TestBacklog(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, c *clock) {
		ctx := t.Context()
		b, err := q.Backlog(ctx, "p", "a", 5)
		require.NoError(t, err)
		require.Equal(t, queue.Backlog{}, b)
		offer(t, q, queue.Offer{Key: key("a", "u1")}, queue.Offer{Key: key("b", "u1")})
		c.add(time.Minute)
		offer(t, q, queue.Offer{Key: key("a", "u2")}, queue.Offer{Key: key("a", "u3")})
		c.add(time.Second)
		require.NoError(t, q.Fail(ctx, one(t, q, "a"), queue.Failure{Cause: "attempts", Wait: time.Hour}))
		b, err = q.Backlog(ctx, "p", "a", 5)
		require.NoError(t, err)
		require.Equal(t, queue.Backlog{Units: 2, Oldest: time.Second}, b)
		b, err = q.Backlog(ctx, "p", "a", 1)
		require.NoError(t, err)
		require.Equal(t, 1, b.Units)
		for limit, want := range map[int]int{9: 3, 2: 2} {
			n, err := q.Ready(ctx, "p", "a", limit)
			require.NoError(t, err)
			require.Equal(t, want, n)
		}
	})
}
