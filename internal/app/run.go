package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/runner"
)

// RunOptions say how a pipeline runs.
type RunOptions struct {
	// Library holds the rules for steps that name none.
	Library *rules.Library
	Env     func(string) (string, bool)
	// Dir is the work directory; empty is beside the pipeline file.
	Dir     string
	Workers int
	// Variables is the environment of commands; nil is that of the process.
	Variables []string
	// Clock is the system's if it is nil.
	Clock runner.Clock
	// Look is how often the service looks for what is due; 0 is the runner's
	// default.
	Look time.Duration
	// Logger is the runner's; nil is that of the app.
	Logger *slog.Logger
	// Unmetered leaves the attempts to the watcher of the service, which counts
	// those of all processes.
	Unmetered bool
	// Progress is told what happens; Observed gets every outcome. Both are
	// called one at a time and may be nil.
	Progress func(runner.Event)
	Observed func(*monitor.Outcome)
}

// RunPipeline runs a pipeline to its end with profiling hooks around its
// steps.
func (a *App) RunPipeline(ctx context.Context, p *pipeline.Pipeline, o RunOptions) (runner.Summary, error) {
	q, closeQueue, err := a.queue(ctx, o.Clock)
	if err != nil {
		return runner.Summary{}, err
	}
	defer closeQueue()
	r, err := a.newRunner(q, p, o, &sync.Mutex{})
	if err != nil {
		return runner.Summary{}, err
	}
	m := a.opts.Metrics
	if m == nil || a.watches() {
		return r.Run(ctx)
	}
	m.RunStarted(p.Name)
	sum, err := r.Run(ctx)
	m.RunEnded(p.Name, err == nil && sum.ExitCode() == 0, a.opts.Now())
	for _, s := range sum.Steps {
		m.DeadLetters(p.Name, s.Name, s.Units.Dead+s.Units.Quarantined+s.Units.Blocked)
	}
	return sum, err
}

// Work takes units of pipelines from the store and carries them through their
// steps, until ctx ends or, with drain, until nothing is left to do. A work
// directory holds one folder for each pipeline.
func (a *App) Work(ctx context.Context, pipelines []*pipeline.Pipeline, o RunOptions, drain bool) error {
	all, closeQueue, err := a.runners(ctx, pipelines, o)
	if err != nil {
		return err
	}
	defer closeQueue()
	return runner.Work(ctx, all, drain)
}

// runners makes a runner for each pipeline, all of one queue.
func (a *App) runners(ctx context.Context, pipelines []*pipeline.Pipeline, o RunOptions) ([]*runner.Runner, func(), error) {
	q, closeQueue, err := a.queue(ctx, o.Clock)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var all []*runner.Runner
	for _, p := range pipelines {
		own := o
		if o.Dir != "" {
			own.Dir = filepath.Join(o.Dir, p.Name)
		}
		r, err := a.newRunner(q, p, own, &mu)
		if err != nil {
			closeQueue()
			return nil, nil, err
		}
		all = append(all, r)
	}
	return all, closeQueue, nil
}

// Pipelines are the pipelines of a service.
type Pipelines struct {
	runners []*runner.Runner
	// Broker gives units to workers that speak HTTP.
	Broker *runner.Broker
	inbox  *runner.Inbox
}

// Pipelines prepares pipelines for the service. The app needs a store.
func (a *App) Pipelines(ctx context.Context, pipelines []*pipeline.Pipeline, o RunOptions) (*Pipelines, error) {
	all, _, err := a.runners(ctx, pipelines, o) // the queue is the store's
	if err != nil {
		return nil, err
	}
	b, err := runner.NewBroker(ctx, all)
	if err != nil {
		return nil, err
	}
	inbox, err := runner.NewInbox(all)
	if err != nil {
		return nil, err
	}
	return &Pipelines{all, b, inbox}, nil
}

// Serve begins runs at their times and works on all units until ctx ends.
func (p *Pipelines) Serve(ctx context.Context) error { return runner.Serve(ctx, p.runners) }

// Ledger reads and decides about the units of pipelines in the store.
func (a *App) Ledger(ctx context.Context) (*runner.Ledger, error) {
	q, err := queue.Open(ctx, a.Store.DB(), queue.Options{Letters: a.deadLetters})
	if err != nil {
		return nil, &StoreError{err}
	}
	l, err := runner.NewLedger(ctx, q)
	if err != nil {
		return nil, &StoreError{err}
	}
	return l, nil
}

// newRunner puts hooks and metrics around the steps of a pipeline. mu guards the
// functions of the options, which are called one at a time.
func (a *App) newRunner(q *queue.Queue, p *pipeline.Pipeline, o RunOptions, mu *sync.Mutex) (*runner.Runner, error) {
	observed := func(out *monitor.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		if o.Observed != nil {
			o.Observed(out)
		}
	}
	hook, err := a.NewHook(p, o.Library, o.Env, observed)
	if err != nil {
		return nil, err
	}
	meter := &attemptMeter{app: a, pipeline: p.Name, started: map[[2]string]time.Time{}}
	log := o.Logger
	if log == nil {
		log = a.log
	}
	r, err := runner.New(runner.Options{
		Canary: func(ctx context.Context, end runner.CanaryEnd) error { return a.canaryEnded(ctx, p, end) },
		Queue:  q, Pipeline: p, Dir: o.Dir, Hooks: []runner.Hook{hook}, RulesFingerprint: hook.Fingerprint, Owner: hook.owner, Logger: log, Workers: o.Workers,
		Env: o.Variables, Clock: o.Clock, Look: o.Look, Groups: a.limits.of(p, log),
		Progress: func(ev runner.Event) {
			mu.Lock()
			defer mu.Unlock()
			a.control(p.Name, ev)
			if !o.Unmetered {
				meter.event(ev)
			}
			if o.Progress != nil {
				o.Progress(ev)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if c := p.Canary; c != nil {
		for _, file := range c.Expect {
			if _, err := ReadProfile(p.Path(file)); err != nil {
				return nil, fmt.Errorf("%s: canary: %w", c.Pos, err)
			}
		}
	}
	meter.run = r.RunID()
	if m := a.opts.Metrics; m != nil {
		names := make([]string, len(p.Steps))
		for i := range p.Steps {
			names[i] = p.Steps[i].Name
		}
		m.DeclarePipeline(p.Name, names...)
	}
	return r, nil
}

// control shows what this process decided about a pipeline.
func (a *App) control(pipeline string, ev runner.Event) {
	m := a.opts.Metrics
	if m == nil {
		return
	}
	switch ev.Kind {
	case runner.Scaled:
		m.Scaled(pipeline, ev.Step, ev.Workers)
	case runner.Held, runner.Resumed:
		m.SourceHeld(pipeline, ev.Kind == runner.Held)
	default:
	}
}

// watches reports whether the units of runs are counted by watching the store,
// as a service does.
func (a *App) watches() bool {
	return a.Store != nil && a.opts.Metrics != nil && a.opts.Metrics.Service()
}

// attemptMeter counts the attempts of a run and how long they took, for a
// one-shot command.
type attemptMeter struct {
	app           *App
	pipeline, run string
	started       map[[2]string]time.Time // by step and unit
}

// event takes what happened. Units that an earlier run has finished are no
// attempts.
func (t *attemptMeter) event(ev runner.Event) {
	if queue.IsCanary(ev.Run) {
		return
	}
	key, now := [2]string{ev.Step, ev.Unit}, t.app.opts.Now()
	if ev.Kind == runner.Started {
		t.started[key] = now
		if m := t.app.opts.Metrics; m != nil && !t.app.watches() {
			m.Waited(t.pipeline, ev.Step, ev.Waited, ev.CorrelationID, t.run)
		}
		return
	}
	m, since := t.app.opts.Metrics, t.started[key]
	ended := ev.Kind == runner.Finished || ev.Kind == runner.Retrying
	if m == nil || t.app.watches() || since.IsZero() || !ended {
		return
	}
	delete(t.started, key)
	m.Step(metrics.Attempt{
		Pipeline: t.pipeline, Step: ev.Step, Took: now.Sub(since), Reason: reasonOf(ev), Retry: ev.Kind == runner.Retrying,
		Dead: ev.State == runner.Dead, TraceID: ev.CorrelationID, RunID: t.run,
	})
}

// reasonOf returns why an attempt failed, "" if it did not.
func reasonOf(ev runner.Event) string {
	switch {
	case ev.State == runner.Cancelled:
		return metrics.ReasonCancelled
	case causeReasons[ev.Cause] != "":
		return causeReasons[ev.Cause]
	case ev.Kind == runner.Retrying, ev.State == runner.Dead:
		return metrics.ReasonError
	}
	return ""
}

// causeReasons are the causes that have a word of their own in the metrics.
var causeReasons = map[runner.Cause]string{
	runner.CauseTimeout:  metrics.ReasonTimeout,
	runner.CauseMemory:   metrics.ReasonMemory,
	runner.CauseGate:     metrics.ReasonCheck,
	runner.CauseUnjudged: metrics.ReasonUnjudged,
	runner.CauseLease:    metrics.ReasonLost,
	runner.CauseCrash:    metrics.ReasonLost,
}
