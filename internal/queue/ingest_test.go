package queue_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/queue"
)

func batch(unit string, numbers ...uint64) *queue.Ingest {
	return &queue.Ingest{
		Pipeline: "p", Source: "s", Run: "r1", Unit: unit, Numbers: numbers,
		Offers: []queue.Offer{{Key: key("a", unit), Run: "r1"}},
	}
}

func TestIngest(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		ctx := t.Context()
		known, err := q.Ingest(ctx, batch("u1", 1, 2, 3, 7))
		require.NoError(t, err)
		require.Empty(t, known)
		bad := batch("u2", 3, 4, 7, 9)
		bad.Rejects = []queue.Reject{{Key: key("a", "bad"), Run: "r1", Reason: "no"}}
		known, err = q.Ingest(ctx, bad)
		require.NoError(t, err)
		require.Equal(t, []uint64{3, 7}, known)
		_, err = q.Get(ctx, key("a", "u2"))
		require.ErrorIs(t, err, queue.ErrNotFound, "nothing is written")
		bad.Numbers = []uint64{4, 9}
		known, err = q.Ingest(ctx, bad)
		require.NoError(t, err)
		require.Empty(t, known)
		rejects, err := q.Rejects(ctx, queue.Filter{})
		require.NoError(t, err)
		require.Len(t, rejects, 1)
		other := batch("u3", 1)
		other.Source = "another"
		known, err = q.Ingest(ctx, other)
		require.NoError(t, err)
		require.Empty(t, known, "numbers of another stream")

		// The run is open until it is said that it is not.
		require.Len(t, claim(t, q, "a", 9), 3)
		runs, err := q.OpenRuns(ctx, "p")
		require.NoError(t, err)
		require.Equal(t, []string{"r1"}, runs)
		for _, u := range []string{"u1", "u2", "u3"} {
			l, _, err := q.Held(ctx, key("a", u), 1)
			require.NoError(t, err)
			require.NoError(t, complete(q, &l, queue.Result{State: queue.Done}))
		}
		finished, err := q.FinishedRuns(ctx, "p", false)
		require.NoError(t, err)
		require.Empty(t, finished)
		require.NoError(t, q.Filled(ctx, "p", "r1"))
		require.Zero(t, gather(t, q))
		require.NoError(t, q.Filled(ctx, "p", ""))
		require.Equal(t, 1, gather(t, q))

		// Numbers below the floor do not come again.
		require.NoError(t, q.Forget(ctx, "p", "s", 7))
		known, err = q.Ingest(ctx, batch("u4", 1, 9))
		require.NoError(t, err)
		require.Equal(t, []uint64{9}, known)
	})
}

// Many who get the same messages in different batches: each is in one unit.
func TestIngestAtOnce(t *testing.T) {
	each(t, func(t *testing.T, q *queue.Queue, _ *clock) {
		var mu sync.Mutex
		seen := map[uint64]int{}
		var all sync.WaitGroup
		for w := range 4 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(w)))
				for n := range 15 {
					from := r.Uint64N(100)
					var numbers []uint64
					for k := from; k < from+10; k++ {
						numbers = append(numbers, k)
					}
					for len(numbers) > 0 {
						b := batch(string(rune('A'+w))+string(rune('a'+n)), numbers...)
						known, err := q.Ingest(t.Context(), b)
						if err != nil {
							t.Error(err)
							return
						}
						if len(known) == 0 {
							mu.Lock()
							for _, k := range numbers {
								seen[k]++
							}
							mu.Unlock()
							break
						}
						numbers = slices.DeleteFunc(numbers, func(k uint64) bool { return slices.Contains(known, k) })
					}
				}
			})
		}
		all.Wait()
		for k, n := range seen {
			require.Equal(t, 1, n, k)
		}
		require.NotEmpty(t, seen)
	})
}

func TestSpans(t *testing.T) {
	require.Equal(t, "1-3,7,9-10", queue.Spans([]uint64{1, 2, 3, 7, 9, 10}))
	require.Equal(t, "5", queue.Spans([]uint64{5}))
	require.Empty(t, queue.Spans(nil))
}
