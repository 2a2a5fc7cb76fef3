package runner

import (
	"context"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

const (
	// shrinkAfter is how long fewer workers have to be enough before they become
	// fewer.
	shrinkAfter = time.Minute
	// lateFactor is how many times the median time of an attempt a unit may wait
	// before its step gets another worker; shortestMedian is the least that counts
	// as the median.
	lateFactor     = 5
	shortestMedian = 200 * time.Millisecond
	// timesKept is how many of the last attempts the median is of.
	timesKept = 51
)

// scaler decides how many units are in a step at once: as many as the queue asks
// for, more at once, fewer only after shrinkAfter. It belongs to one goroutine.
type scaler struct {
	low, high, at int // min, max and scale_at of the step
	limit         int
	changed       time.Time // of limit
	spare         time.Time // since when fewer would do; zero while they would not
	times         []time.Duration
	next          int // in times, once it is full
}

// newScaler returns nil for a step that shares the workers of the process. cores
// is the default for its largest number.
func newScaler(w pipeline.Workers, cores int) *scaler {
	if w.ScaleAt == 0 {
		return nil
	}
	high := w.Max
	if high == 0 {
		high = max(cores, w.Min)
	}
	return &scaler{low: w.Min, high: high, at: w.ScaleAt, limit: w.Min}
}

// enough is how many units have to be counted to know what is wanted.
func (s *scaler) enough() int { return s.high * s.at }

// took takes note of how long an attempt took.
func (s *scaler) took(d time.Duration) {
	if len(s.times) < timesKept {
		s.times = append(s.times, d)
		return
	}
	s.times[s.next] = d
	s.next = (s.next + 1) % timesKept
}

// median returns the median of the last attempts, 0 before there was one.
func (s *scaler) median() time.Duration {
	if len(s.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.times))
	return max(sorted[len(sorted)/2], shortestMedian)
}

// want returns how many units may be in the step from now on:
// ceil(ready / scale_at) between min and max, and one more for each median time
// that the oldest one goes on waiting for longer than lateFactor medians.
func (s *scaler) want(now time.Time, b queue.Backlog) int {
	wanted := min(max((b.Units+s.at-1)/s.at, s.low), s.high)
	if m := s.median(); m > 0 && b.Oldest > lateFactor*m {
		wanted = max(wanted, s.limit)
		if now.Sub(s.changed) >= m {
			wanted = min(max(wanted, s.limit+1), s.high)
		}
	}
	switch {
	case wanted > s.limit:
		s.limit, s.changed, s.spare = wanted, now, time.Time{}
	case wanted == s.limit:
		s.spare = time.Time{}
	case s.spare.IsZero():
		s.spare = now
	case now.Sub(s.spare) >= shrinkAfter:
		s.limit, s.changed, s.spare = wanted, now, time.Time{}
	}
	return s.limit
}

// free returns how many more units may enter a step now.
func (x *executor) free(i int) int {
	o := &x.r.options
	if s := x.scalers[i]; s != nil {
		if x.r.bounded {
			return min(s.limit-x.inStep[i], o.Workers-x.active)
		}
		return s.limit - x.inStep[i]
	}
	free := o.Workers - x.active
	if !x.r.bounded {
		for k, s := range x.scalers {
			if s != nil {
				free += x.inStep[k] // they have workers of their own
			}
		}
	}
	if limit := o.Pipeline.Steps[i].Workers.Max; limit > 0 {
		free = min(free, limit-x.inStep[i])
	}
	return free
}

// hasRoom reports whether any step may take another unit, or may when its queue
// asks for it.
func (x *executor) hasRoom() bool {
	for i, s := range x.scalers {
		grows := s != nil && s.limit < s.high && !(x.r.bounded && x.active >= x.r.options.Workers)
		if grows || x.free(i) > 0 {
			return true
		}
	}
	return false
}

// scale asks what the queue of a step wants.
func (x *executor) scale(ctx context.Context, i int) error {
	s, step := x.scalers[i], &x.r.options.Pipeline.Steps[i]
	if s == nil || step.Worker {
		return nil
	}
	b, err := x.r.options.Queue.Backlog(ctx, x.r.options.Pipeline.Name, step.Name, s.enough())
	if err != nil {
		return err
	}
	before := s.limit
	if n := s.want(x.r.options.Clock.Now(), b); n != before || !x.told[i] {
		x.told[i] = true
		x.r.tell(Event{Kind: Scaled, Step: step.Name, Workers: n})
	}
	return nil
}
