package runner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

func TestScaler(t *testing.T) {
	t.Parallel()
	require.Nil(t, newScaler(pipeline.Workers{Max: 3}, 8), "without scale_at the workers of the process are shared")
	require.Equal(t, 6, newScaler(pipeline.Workers{Min: 1, ScaleAt: 5}, 6).high)
	require.Equal(t, 7, newScaler(pipeline.Workers{Min: 7, ScaleAt: 5}, 6).high)

	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	type look struct {
		second, ready int
		oldest        time.Duration
		want          int
	}
	for name, tt := range map[string]struct {
		took  time.Duration
		looks []look
	}{
		"up at once, down after a minute": {looks: []look{
			{0, 0, 0, 2}, {0, 40, 0, 2}, {0, 41, 0, 3}, {0, 1000, 0, 8}, {1, 0, 0, 8}, {60, 0, 0, 8}, {61, 0, 0, 2},
		}},
		"a minute without pause": {looks: []look{
			{0, 100, 0, 5}, {1, 0, 0, 5}, {50, 100, 0, 5}, {61, 0, 0, 5}, {120, 0, 0, 5}, {121, 60, 0, 3},
		}},
		"late": {took: 2 * time.Second, looks: []look{
			{0, 5, 10 * time.Second, 2}, {0, 5, 11 * time.Second, 3}, {1, 5, 12 * time.Second, 3}, {2, 5, 13 * time.Second, 4},
			{4, 5, 15 * time.Second, 5}, {6, 5, 9 * time.Second, 5}, {65, 5, 0, 5}, {66, 5, 0, 2},
		}},
		"quick steps wait a second first": {took: time.Millisecond, looks: []look{{0, 5, time.Second, 2}, {0, 5, 1001 * time.Millisecond, 3}}},
		"never above max":                 {took: time.Second, looks: []look{{0, 500, time.Hour, 8}, {5, 500, time.Hour, 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScaler(pipeline.Workers{Min: 2, Max: 8, ScaleAt: 20}, 4)
			if tt.took > 0 {
				s.took(tt.took)
			}
			for i, l := range tt.looks {
				require.Equal(t, l.want, s.want(at(l.second), queue.Backlog{Units: l.ready, Oldest: l.oldest}), "look %d: %+v", i, l)
			}
		})
	}
}

// The median is of the last attempts.
func TestScalerMedian(t *testing.T) {
	t.Parallel()
	s := newScaler(pipeline.Workers{Min: 1, ScaleAt: 1}, 4)
	require.Zero(t, s.median())
	for range timesKept {
		s.took(time.Hour)
	}
	require.Equal(t, time.Hour, s.median())
	for range timesKept/2 + 1 {
		s.took(time.Second)
	}
	require.Equal(t, time.Second, s.median())
	require.Len(t, s.times, timesKept)
}
