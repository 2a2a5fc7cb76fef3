package runner

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// scheduler decides which unit enters which step next. Its fields belong to the
// goroutine of run; visits talk to it through the channel.
type scheduler struct {
	r        *Runner
	units    []*unit
	ready    []unitHeap // per step
	inStep   []int      // visits per step
	paused   []bool     // per step
	busy     int        // visits that hold a worker
	active   int        // visits
	awake    []chan struct{}
	messages chan message
	visits   sync.WaitGroup
	err      error
}

// message is what a visit tells the scheduler; exactly one field is set.
type message struct {
	event  *Event
	sleeps bool
	awake  chan struct{} // closed when the visit has a worker again
	done   *visit
}

func newScheduler(r *Runner, units []*unit) *scheduler {
	n := len(r.options.Pipeline.Steps)
	return &scheduler{r: r, units: units, ready: make([]unitHeap, n), inStep: make([]int, n), paused: make([]bool, n), messages: make(chan message)}
}

// run returns when nothing more can be done and no visit is left. A fatal error
// of one visit stops the others.
func (s *scheduler) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, u := range s.units {
		for i := range s.r.options.Pipeline.Steps {
			if len(s.r.options.Pipeline.Steps[i].Needs) == 0 {
				heap.Push(&s.ready[i], u)
			}
		}
	}
	for {
		s.fill(ctx)
		if s.active == 0 {
			break
		}
		s.handle(<-s.messages, cancel)
	}
	s.visits.Wait()
	for i := range s.ready {
		for _, u := range s.ready[i] {
			state := Waiting
			if ctx.Err() != nil {
				state = Cancelled
			}
			u.outcomes[i] = &outcome{state: state}
		}
	}
	return s.err
}

// fill gives free workers to visits that wait for one, then to new ones.
func (s *scheduler) fill(ctx context.Context) {
	for s.busy < s.r.options.Workers {
		if len(s.awake) > 0 {
			close(s.awake[0])
			s.awake = s.awake[1:]
			s.busy++
			continue
		}
		if ctx.Err() != nil {
			return
		}
		step := s.next()
		if step < 0 {
			return
		}
		u, _ := heap.Pop(&s.ready[step]).(*unit)
		s.start(ctx, u, step)
	}
}

// next returns the step that the next unit enters, or -1. The earliest unit goes
// first, so that units are finished rather than begun.
func (s *scheduler) next() int {
	best := -1
	for i, h := range s.ready {
		limit := s.r.options.Pipeline.Steps[i].Workers
		if len(h) == 0 || s.paused[i] || limit > 0 && s.inStep[i] >= limit {
			continue
		}
		if best < 0 || h[0].index < s.ready[best][0].index {
			best = i
		}
	}
	return best
}

func (s *scheduler) start(ctx context.Context, u *unit, step int) {
	v := &visit{outcome: &outcome{}, r: s.r, unit: u, step: step, s: &s.r.options.Pipeline.Steps[step]}
	s.attach(v)
	v.tell = func(e Event) { s.messages <- message{event: &e} }
	v.pause = func(ctx context.Context, d time.Duration) error {
		s.messages <- message{sleeps: true}
		err := s.r.options.Clock.Sleep(ctx, d)
		resumed := make(chan struct{})
		s.messages <- message{awake: resumed}
		<-resumed
		return err
	}
	s.busy++
	s.active++
	s.inStep[step]++
	s.visits.Go(func() {
		v.run(ctx)
		s.messages <- message{done: v}
	})
}

// attach gives a visit its inputs, and the records that are in them.
func (s *scheduler) attach(v *visit) {
	v.shas = []string{}
	if len(v.s.Needs) == 0 && v.unit.path != "" {
		v.inputs = []InputFile{{Path: v.unit.path}}
	}
	sum, known := int64(0), len(v.s.Needs) > 0
	for _, need := range v.s.Needs {
		o := v.unit.outcomes[s.index(need.Step)]
		v.inputs = append(v.inputs, InputFile{Step: need.Step, Path: o.output, Judgement: o.judged})
		v.shas = append(v.shas, o.sha)
		if o.rows == nil {
			known = false
		} else {
			sum += *o.rows
		}
	}
	if known {
		v.rowsIn = &sum
	}
}

func (s *scheduler) index(step string) int {
	return slices.IndexFunc(s.r.options.Pipeline.Steps, func(p pipeline.Step) bool { return p.Name == step })
}

func (s *scheduler) handle(m message, cancel context.CancelFunc) {
	switch {
	case m.event != nil:
		s.tell(*m.event)
	case m.sleeps:
		s.busy--
	case m.awake != nil:
		s.awake = append(s.awake, m.awake)
	case m.done != nil:
		s.busy--
		s.active--
		s.inStep[m.done.step]--
		if err := m.done.fatal; err != nil {
			if s.err == nil {
				s.err = err
			}
			m.done.state = Cancelled
			cancel()
		}
		s.finish(m.done)
	}
}

// finish opens the steps behind.
func (s *scheduler) finish(v *visit) {
	// Rows of the input that the step itself looked at are the best known ones.
	if v.s.Profile.Input && v.rowsIn == nil && len(v.inputs) == 1 && v.inputs[0].Judgement != nil {
		v.rowsIn = v.inputs[0].Judgement.Rows
	}
	v.unit.outcomes[v.step] = v.outcome
	s.tell(v.event(Finished))
	if v.state == Blocked && !s.paused[v.step] {
		s.paused[v.step] = true
		s.tell(v.event(Paused))
	}
	for i := range s.r.options.Pipeline.Steps {
		needs := s.r.options.Pipeline.Steps[i].Needs
		if slices.ContainsFunc(needs, func(n pipeline.Need) bool { return n.Step == v.s.Name }) &&
			!slices.ContainsFunc(needs, func(n pipeline.Need) bool { return !s.met(v.unit, n) }) {
			heap.Push(&s.ready[i], v.unit)
		}
	}
}

// met reports whether the output of a needed step is there in the quality that
// is asked for.
func (s *scheduler) met(u *unit, n pipeline.Need) bool {
	o := u.outcomes[s.index(n.Step)]
	if o == nil || o.output == "" {
		return false
	}
	switch o.state {
	case Done, Skipped:
		return true
	case Quarantined, Blocked:
		return n.Quality == pipeline.Any
	default:
		return false
	}
}

func (s *scheduler) tell(e Event) {
	log := s.r.log.With("step", e.Step, "unit", e.Unit, "correlation_id", e.CorrelationID, "attempt", e.Attempt)
	switch {
	case e.Kind == Started:
		log.Debug("step started")
	case e.Kind == Retrying:
		log.Warn("attempt failed, trying again", "cause", e.Cause, "err", e.Err, "wait", e.Wait)
	case e.Kind == Paused:
		log.Error("gate closed, no further unit enters the step")
	case e.State == Done, e.State == Skipped, e.State == Cancelled:
		level := log.Info
		if e.Verdict != nil && *e.Verdict >= checks.Warn {
			level = log.Warn
		}
		level("step finished", "state", e.State, "err", e.Err)
	default:
		log.Error("unit stopped", "state", e.State, "cause", e.Cause, "err", e.Err, "source", e.Source, "output", e.Output)
	}
	if s.r.options.Progress != nil {
		s.r.options.Progress(e)
	}
}

// unitHeap is a heap of units, the earliest of the source first.
type unitHeap []*unit

func (h unitHeap) Len() int           { return len(h) }
func (h unitHeap) Less(i, j int) bool { return h[i].index < h[j].index }
func (h unitHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push appends a unit, for the package heap.
func (h *unitHeap) Push(x any) {
	if u, ok := x.(*unit); ok {
		*h = append(*h, u)
	}
}

// Pop removes the last unit, for the package heap.
func (h *unitHeap) Pop() any {
	last := len(*h) - 1
	u := (*h)[last]
	*h = (*h)[:last]
	return u
}
