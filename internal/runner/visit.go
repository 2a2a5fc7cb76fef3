package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// outcome is what became of a unit in a step.
type outcome struct {
	state    State
	cause    Cause
	err      error
	stderr   string
	verdict  *checks.Status
	inputBad bool // the step's own look at its input failed
	judged   *Judgement
	rows     *int64
	rowsIn   *int64
	rejects  int64
	output   string // absolute; empty if there is none
	sha      string
	bytes    int64
	attempts int
	cpu      time.Duration
	peak     int64
	fatal    error // the store or the work directory cannot be written
}

// visit is one attempt at one unit in one step, under a lease.
type visit struct {
	*outcome
	r       *Runner
	lease   *queue.Lease
	step    int
	s       *pipeline.Step
	origin  sourceFile // what the unit was made of, for a step that reads the source
	inputs  []InputFile
	shas    []string
	rejectf string // absolute path of the rejects, or empty
	seen    *judgements
	tell    func(Event)
	joined  []joined // what a fan-in joins
	layout  *layout  // where it finds that
	kept    string   // what was stored of the output that is used again
	parts   []part   // what the output is cut into
	files   []file   // what an output that is a folder holds
	// sections are the ranges that an output was written by.
	sections []section
	// retryAfter is what an HTTP function asked for.
	retryAfter time.Duration
	took       time.Duration // by run
	began      bool          // the step itself was at work
}

// run carries the unit to its next state and commits it. The state stays empty
// if another attempt will follow.
func (v *visit) run(ctx context.Context) {
	failpoint.Hit("after_claim")
	if err := v.attach(ctx); err != nil {
		v.giveBack(ctx, err)
		return
	}
	over, err := v.tooLong(ctx)
	if err != nil {
		v.giveBack(ctx, err)
		return
	}
	if over || v.cause == CauseUnreadable {
		v.end(Dead)
		v.commit(ctx)
		return
	}
	resumed, err := v.resume(ctx)
	if err != nil {
		v.giveBack(ctx, err)
		return
	}
	if !resumed {
		v.tell(v.event(Started))
		retry := v.attempt(ctx)
		if v.state == "" && (ctx.Err() != nil || v.fatal != nil) {
			v.giveBack(ctx, v.fatal)
			return
		}
		if v.state == "" && retry && v.attempts < v.s.Retry.Attempts {
			v.again(ctx)
			return
		}
		if v.state == "" {
			v.giveUp()
		}
	}
	v.commit(ctx)
}

// tooLong reports that the unit stood ready for too long, or was lost too often.
// While its step took no units it does not count.
func (v *visit) tooLong(ctx context.Context) (bool, error) {
	waited := v.lease.Waited()
	if limit := v.s.QueueTimeout; limit > 0 && waited > limit {
		stopped, err := v.r.options.Queue.Stopped(ctx, v.lease)
		if err != nil {
			return false, err
		}
		if waited -= stopped; waited > limit {
			v.err, v.cause = fmt.Errorf("it stood ready for %s, longer than %s", waited.Round(time.Millisecond), limit), CauseTimeout
			return true, nil
		}
	}
	switch {
	case v.attempts > v.s.Retry.Attempts, v.attempts > 1 && v.lease.Lost && !slices.Contains(v.s.Retry.On, pipeline.OnLease):
		v.err, v.cause = errors.New("its worker vanished while working on it"), CauseLease
		return true, nil
	}
	return false, nil
}

// giveBack returns the unit untouched, because the run was stopped, the lease
// was lost, or something is wrong with the store or the work directory.
func (v *visit) giveBack(ctx context.Context, err error) {
	if v.output != "" && v.judged == nil {
		v.keep(ctx)
	}
	back := v.r.options.Queue.GiveBack(context.WithoutCancel(ctx), v.lease)
	if errors.Is(back, queue.ErrFenced) {
		back = nil
	}
	if ctx.Err() == nil {
		v.fatal = errors.Join(err, back)
	}
	v.state = ""
}

// keep stores an output that is not judged yet, so that the command need not run
// again.
func (v *visit) keep(ctx context.Context) {
	body, err := encode(v.stored(Waiting))
	if err != nil {
		return
	}
	if err := v.r.options.Queue.Keep(context.WithoutCancel(ctx), v.lease, v.r.prints[v.step], body); err != nil && !errors.Is(err, queue.ErrFenced) {
		v.r.log.Warn("the output of a stopped attempt is not kept", "step", v.s.Name, "unit", v.lease.Unit, "err", err)
	}
}

func (v *visit) unrecorded(err error) error {
	return &classified{ErrStore, fmt.Errorf("record unit %s of step %q: %w", v.lease.Unit, v.s.Name, err)}
}

// again gives the unit back for another attempt after the backoff.
func (v *visit) again(ctx context.Context) {
	wait := max(v.s.Retry.Wait(v.attempts, v.r.fraction()), v.retryAfter)
	f := queue.Failure{Cause: string(v.cause), Err: textOf(v.err), Wait: wait, Usage: v.usage(), Fingerprint: v.r.prints[v.step], Outcome: v.worked()}
	var err error
	if f.Body, err = encode(v.stored(Waiting)); err == nil {
		if v.output != "" {
			f.Output = f.Body
		}
		err = v.r.options.Queue.Fail(ctx, v.lease, f)
	}
	switch {
	case errors.Is(err, queue.ErrFenced):
		v.discardOutput()
	case err != nil && ctx.Err() == nil:
		v.fatal = v.unrecorded(err)
	case err == nil:
		e := v.event(Retrying)
		e.Wait = wait
		v.tell(e)
		v.tellBreaker()
	}
}

func (v *visit) usage() queue.Usage { return queue.Usage{CPU: v.cpu, PeakBytes: v.peak} }

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// attempt does what is left of the step: its command if there is no output yet,
// then the gate. It sets the state, or reports whether another attempt may help.
func (v *visit) attempt(ctx context.Context) (retry bool) {
	if v.output == "" {
		if v.joined != nil {
			defer func() { v.layout.remove() }()
			if err := v.lay(); err != nil {
				v.fatal = fmt.Errorf("work directory: %w", err)
				return false
			}
		}
		if retry, ok := v.before(ctx); !ok {
			return retry
		}
		if retry, ok := v.execute(ctx); !ok {
			return retry
		}
	}
	return v.judge(ctx)
}
