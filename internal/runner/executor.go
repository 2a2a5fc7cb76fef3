package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// executor takes units from the queue and carries them through their steps. Its
// fields belong to the goroutine of work; visits talk to it through the channel.
type executor struct {
	r        *Runner
	inStep   []int     // visits per step
	scalers  []*scaler // per step; nil where the workers of the process are shared
	told     []bool    // per step: how many workers it has at the start
	active   int
	messages chan message
	visits   sync.WaitGroup
	seen     judgements
	err      error
	stay     bool // do not return when there is nothing to do
	gathered bool // fan-ins have been looked at since the last unit left a step
}

// message is what a visit tells the executor; exactly one field is set.
type message struct {
	event *Event
	done  *visit
}

func newExecutor(r *Runner) *executor {
	steps := r.options.Pipeline.Steps
	x := &executor{r: r, inStep: make([]int, len(steps)), told: make([]bool, len(steps)), messages: make(chan message)}
	for i := range steps {
		x.scalers = append(x.scalers, newScaler(steps[i].Workers, r.options.Workers))
	}
	return x
}

// work returns when nothing of the pipeline is left to do, here or elsewhere
// (unless it is to stay), or when ctx ends, and no visit is left. A fatal error of one visit stops the
// others.
func (x *executor) work(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		changed := x.r.options.Queue.Changed()
		if ctx.Err() == nil {
			if err := x.fill(ctx); err != nil && ctx.Err() == nil {
				x.err = errors.Join(x.err, err)
				cancel()
			}
		}
		if ctx.Err() == nil && x.gather(ctx) {
			continue
		}
		if x.active > 0 {
			x.handle(ctx, changed, cancel)
			continue
		}
		if ctx.Err() != nil || !x.idle(ctx, changed) {
			break
		}
	}
	x.visits.Wait()
	return x.err
}

// fill claims units for the free workers. The steps at the end of the pipeline
// go first, so that units are finished rather than begun.
func (x *executor) fill(ctx context.Context) error {
	p := x.r.options.Pipeline
	for i := len(p.Steps) - 1; i >= 0; i-- {
		if err := x.scale(ctx, i); err != nil {
			return err
		}
		free := x.free(i)
		if free <= 0 || p.Steps[i].Worker {
			continue
		}
		leases, err := x.r.options.Queue.Claim(ctx, x.r.request(&p.Steps[i], x.r.options.Worker, free, x.stay))
		if err != nil {
			return err
		}
		for _, l := range leases {
			x.start(ctx, &l, i)
		}
	}
	return nil
}

// request asks for units of a step. Who does not stay takes units of a step whose
// attempts fail too: it has to come to an end.
func (r *Runner) request(s *pipeline.Step, worker string, n int, stays bool) queue.ClaimRequest {
	c := queue.ClaimRequest{Pipeline: r.options.Pipeline.Name, Step: s.Name, Worker: worker, Max: n, Lease: r.lease(s), Guarded: stays}
	c.Group, c.GroupMax = r.options.Pipeline.Shared(s)
	if s.Worker { // nobody else bounds workers outside
		c.StepMax = s.Workers.Max
	}
	return c
}

func (x *executor) start(ctx context.Context, l *queue.Lease, step int) {
	ctx, stop := context.WithCancelCause(ctx)
	v := &visit{outcome: &outcome{attempts: l.Tries}, r: x.r, lease: l, step: step, s: &x.r.options.Pipeline.Steps[step], seen: &x.seen}
	v.tell = func(e Event) { x.messages <- message{event: &e} }
	release := x.r.options.Queue.Hold(l, x.r.lease(v.s), func(err error) {
		if errors.Is(err, queue.ErrFenced) {
			stop(err) // what it makes could not be committed
			return
		}
		x.r.log.Warn("lease not prolonged", "step", l.Step, "unit", l.Unit, "err", err)
	})
	x.active++
	x.inStep[step]++
	x.visits.Go(func() {
		begun := time.Now()
		v.run(ctx)
		v.took = time.Since(begun)
		release()
		stop(nil)
		x.messages <- message{done: v}
	})
}

// handle waits for one message of a visit, or for a change of the queue if there
// is a free worker.
func (x *executor) handle(ctx context.Context, changed <-chan struct{}, cancel context.CancelFunc) {
	if !x.hasRoom() || ctx.Err() != nil {
		changed = nil
	}
	var poll <-chan time.Time
	if changed != nil {
		timer := time.NewTimer(queue.DefaultPoll)
		defer timer.Stop()
		poll = timer.C
	}
	select {
	case <-changed:
	case <-poll: // a backoff may be over
		x.gathered = false
	case m := <-x.messages:
		if m.event != nil {
			x.r.tell(*m.event)
			return
		}
		x.active--
		x.inStep[m.done.step]--
		if s := x.scalers[m.done.step]; s != nil && m.done.state != Skipped {
			s.took(m.done.took)
		}
		x.gathered = false
		if err := m.done.fatal; err != nil {
			x.err = errors.Join(x.err, err)
			cancel()
		}
		if m.done.state != "" {
			x.r.tell(m.done.event(Finished))
		}
		if m.done.state == Blocked {
			x.r.tell(m.done.event(Paused))
		}
	}
}

// idle waits until there may be something to do. It reports whether there will
// be.
func (x *executor) idle(ctx context.Context, changed <-chan struct{}) bool {
	filling := x.r.filling.Load() // before the look, so that nothing falls between
	due, err := x.r.options.Queue.Due(ctx, x.r.options.Pipeline.Name, x.stay)
	if err != nil {
		if ctx.Err() == nil {
			x.err = errors.Join(x.err, err)
		}
		return false
	}
	if due.Open == 0 && !x.stay && !filling {
		left, err := x.r.options.Queue.Ungathered(ctx, x.r.options.Pipeline.Name, x.r.fans)
		if err != nil && ctx.Err() == nil {
			x.err = errors.Join(x.err, err)
		}
		if !left || err != nil {
			return false
		}
	}
	x.gathered = false
	wait := queue.DefaultPoll
	if due.NextUS > 0 {
		wait = time.UnixMicro(due.NextUS).Sub(x.r.options.Clock.Now())
	}
	// What is due and was not given out waits for a capacity that others hold.
	x.r.options.Clock.Wait(ctx, changed, min(max(wait, minIdle), maxIdle))
	return true
}

// maxIdle bounds the wait for a unit that is due, since another process may offer
// one before.
const maxIdle = time.Second

// minIdle keeps from asking without a pause.
const minIdle = 20 * time.Millisecond

// lease is how long a unit of a step is held without a sign of life.
func (r *Runner) lease(s *pipeline.Step) time.Duration {
	if s.Heartbeat > 0 {
		return s.Heartbeat
	}
	return r.options.Lease
}

// maxJudgements is how many judgements are kept for the steps behind; what is
// not there is read from the file again by the hook that wants it.
const maxJudgements = 256

// judgements are what hooks said about outputs of this process, as far as the steps
// behind ask for it. It is safe for concurrent use.
type judgements struct {
	mu    sync.Mutex
	all   map[string]*Judgement // by path
	order []string
}

func (j *judgements) put(path string, said *Judgement) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.all == nil {
		j.all = map[string]*Judgement{}
	}
	if _, ok := j.all[path]; !ok {
		j.order = append(j.order, path)
	}
	j.all[path] = said
	if len(j.order) > maxJudgements {
		delete(j.all, j.order[0])
		j.order = j.order[1:]
	}
}

func (j *judgements) get(path string) *Judgement {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all[path]
}

// offers returns the units behind one, for a state that it has reached in a
// step. parts are what its output is cut into, if the step is split.
func offers(p *pipeline.Pipeline, step string, state State, from queue.Offer, parts []part) []queue.Offer {
	var next []queue.Offer
	for i := range p.Steps {
		for _, n := range p.Steps[i].Needs {
			if n.Step != step || p.Steps[i].FanIn || !admits(n.Quality, state) { // a fan-in gets its unit when all are there
				continue
			}
			o := from
			o.Step, o.Parent, o.Needs, o.Input = p.Steps[i].Name, step, len(p.Steps[i].Needs), ""
			if s := p.Step(step); s.Split != nil {
				next = append(next, offerParts(o, parts)...)
				continue
			}
			next = append(next, o)
		}
	}
	return next
}

// admits reports whether an edge lets a unit through.
func admits(q pipeline.Quality, state State) bool {
	switch state {
	case Done, Skipped:
		return true
	case Quarantined, Blocked:
		return q == pipeline.Any
	default:
	}
	return false
}

// decode reads what an attempt stored of a unit; nothing if there is nothing that
// this version understands.
func decode(body string) *stored {
	if body == "" {
		return nil
	}
	var s stored
	if json.Unmarshal([]byte(body), &s) != nil || s.Version != storedVersion {
		return nil
	}
	return &s
}

func encode(s *stored) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("BUG: %w", err)
	}
	return string(b), nil
}
