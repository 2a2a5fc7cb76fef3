package runner

import (
	"context"

	"github.com/profilerhq/profiler/internal/pipeline"
)

const (
	// pressureFactor is how many rounds of all workers of a step may stand in front
	// of it before its source is held back.
	pressureFactor = 10
	// defaultScaleAt is how many units a worker has before it where the step does
	// not say.
	defaultScaleAt = 100
)

// pressure is how many units may stand ready in front of a step before the source
// is held back: 10 × max × scale_at.
func (r *Runner) pressure(s *pipeline.Step) int {
	workers, at := s.Workers.Max, s.Workers.ScaleAt
	if workers == 0 {
		workers = max(r.options.Workers, s.Workers.Min)
	}
	if at == 0 {
		at = defaultScaleAt
	}
	return pressureFactor * workers * at
}

// room returns how many units a source that never ends may emit now. While more
// than pressure units stand ready in front of a step it is 0, with that step: what
// comes in faster than it goes out stays where it is.
func (r *Runner) room(ctx context.Context) (n int, full string, err error) {
	p := r.options.Pipeline
	n = 1 << 30
	for i := range p.Steps {
		s := &p.Steps[i]
		limit := r.pressure(s)
		ready, err := r.options.Queue.Ready(ctx, p.Name, s.Name, limit+1)
		if err != nil {
			return 0, "", err
		}
		if ready > limit {
			return 0, s.Name, nil
		}
		if len(s.Needs) == 0 {
			n = min(n, limit+1-ready)
		}
	}
	return n, "", nil
}

// holds keeps the source back while there is no room, and tells when that begins
// and ends. It returns how many units may be emitted.
func (c *conductor) holds(ctx context.Context) (room int, err error) {
	room, full, err := c.r.room(ctx)
	if err != nil {
		return 0, err
	}
	if full != c.full {
		kind := Held
		if full == "" {
			kind = Resumed
		}
		c.full = full
		c.r.tell(Event{Kind: kind, Step: full})
	}
	return room, nil
}
