package app

import (
	"context"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// runWatcher shows what runs and workers do with the units in the store, in this
// process and in all others: the service is the one place that Prometheus has to
// read.
type runWatcher struct {
	app  *App
	q    *queue.Queue
	last int64          // the ID up to which all events are counted
	seen map[int64]bool // IDs around last that are counted
	// steps are those that were ever met: their gauges go to 0, not away.
	steps map[step]bool
	runs  map[string]bool // that have not ended
	since int64           // start of the newest run that is known, in microseconds
}

type step struct{ pipeline, name string }

// attachedWithin is for how long a worker that holds nothing counts as attached.
const attachedWithin = time.Minute

// runsAtOnce bounds how many runs are looked at.
const runsAtOnce = 500

// open prepares the watcher, with the state before the app was made.
func (w *runWatcher) open(ctx context.Context) error {
	q, closeQueue, err := w.app.queue(ctx, nil)
	if err != nil {
		return err
	}
	_ = closeQueue // the store's own
	l, err := runner.NewLedger(ctx, q)
	if err != nil {
		return err
	}
	w.steps, w.seen, w.runs = map[step]bool{}, map[int64]bool{}, map[string]bool{}
	for _, p := range l.Pipelines() {
		w.app.opts.Metrics.DeclarePipeline(p, l.Steps(p)...)
		for _, s := range l.Steps(p) {
			w.steps[step{p, s}] = true
		}
	}
	before, err := q.EventsAfter(ctx, max(w.app.startEvent-overlap, 0), overlap)
	if err != nil {
		return err
	}
	for i := range before {
		if before[i].ID <= w.app.startEvent {
			w.seen[before[i].ID] = true
		}
	}
	w.last, w.since = w.app.startEvent, w.app.startRun
	if err := w.lastRuns(ctx, q, l.Pipelines()); err != nil {
		return err
	}
	w.q = q
	return nil
}

// lastRuns shows when each pipeline last succeeded before the start, and counts
// nothing.
func (w *runWatcher) lastRuns(ctx context.Context, q *queue.Queue, pipelines []string) error {
	for _, p := range pipelines {
		runs, err := q.Runs(ctx, p, 20)
		if err != nil {
			return err
		}
		shown := false
		for _, r := range runs { // the newest first
			if r.StartedUS > w.app.startRun {
				continue
			}
			if r.State == queue.RunRunning {
				w.runs[r.ID] = true
				continue
			}
			ok, err := succeeded(ctx, q, r)
			if err != nil {
				return err
			}
			if ok && !shown {
				shown = true
				w.app.opts.Metrics.Succeeded(p, time.UnixMicro(r.EndedUS))
			}
		}
	}
	return nil
}

// look counts what is new and reads the depths of the queues.
func (w *runWatcher) look(ctx context.Context) error {
	if w.app.opts.Metrics == nil {
		return nil
	}
	if w.q == nil {
		if err := w.open(ctx); err != nil {
			return err
		}
	}
	if err := w.events(ctx); err != nil {
		return err
	}
	if err := w.newRuns(ctx); err != nil {
		return err
	}
	known, err := w.forget(ctx)
	if err != nil {
		return err
	}
	return w.depths(ctx, known)
}

// forget takes the series of pipelines away that the store does not know any
// more, and returns those that it knows.
func (w *runWatcher) forget(ctx context.Context) (known map[string]string, err error) {
	if known, err = w.q.Definition(ctx); err != nil {
		return nil, err
	}
	gone := map[string]bool{}
	for s := range w.steps {
		if _, ok := known[s.pipeline]; !ok {
			gone[s.pipeline] = true
			delete(w.steps, s)
		}
	}
	for p := range gone {
		w.app.opts.Metrics.ForgetPipeline(p)
	}
	return known, nil
}

func (w *runWatcher) events(ctx context.Context) error {
	for {
		events, err := w.q.EventsAfter(ctx, max(w.last-overlap, 0), lookAt+overlap)
		if err != nil {
			return err
		}
		fresh := 0
		for i := range events {
			e := &events[i]
			if w.seen[e.ID] {
				continue
			}
			w.seen[e.ID] = true
			w.last = max(w.last, e.ID)
			w.count(e)
			fresh++
		}
		if fresh < lookAt {
			break
		}
	}
	for id := range w.seen {
		if id < w.last-overlap {
			delete(w.seen, id)
		}
	}
	return nil
}

// count adds an event to the metrics. Skipped units and attempts that were given
// back are no attempts.
func (w *runWatcher) count(e *queue.Event) {
	m := w.app.opts.Metrics
	if queue.IsCanary(e.Run) {
		return
	}
	w.steps[step{e.Pipeline, e.Step}] = true
	switch e.Kind {
	case queue.KindReplayed:
		m.Replayed(e.Pipeline, e.Step, 1)
		return
	case queue.KindLost:
		m.LeasesExpired(e.Pipeline, e.Step, 1)
	case queue.Kind(queue.Dead):
		if e.Cause == queue.CauseCrash || e.Cause == string(runner.CauseLease) { // its last attempt is the lost one
			m.DeadLettered(e.Pipeline, e.Step)
			return
		}
	case queue.KindRetry, queue.Kind(queue.Done), queue.Kind(queue.Quarantined):
	default:
		return
	}
	m.Waited(e.Pipeline, e.Step, micros(e.WaitUS), e.Correlation, e.Run)
	m.Step(metrics.Attempt{
		Pipeline: e.Pipeline, Step: e.Step, Took: micros(e.BusyUS), Reason: reasonOfEvent(e), Retry: e.Kind == queue.KindRetry,
		Dead: e.Kind == queue.Kind(queue.Dead), TraceID: e.Correlation, RunID: e.Run,
	})
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// reasonOfEvent returns why an attempt failed, "" if it did not.
func reasonOfEvent(e *queue.Event) string {
	switch {
	case e.Kind == queue.KindLost:
		return metrics.ReasonLost
	case causeReasons[runner.Cause(e.Cause)] != "":
		return causeReasons[runner.Cause(e.Cause)]
	case e.Kind == queue.Kind(queue.Done):
		return ""
	}
	return metrics.ReasonError
}

// newRuns counts runs that started or ended.
func (w *runWatcher) newRuns(ctx context.Context) error {
	runs, err := w.q.Runs(ctx, "", runsAtOnce)
	if err != nil {
		return err
	}
	newest := w.since
	for i := len(runs) - 1; i >= 0; i-- { // the oldest first
		r := runs[i]
		known := w.runs[r.ID]
		if !known && r.StartedUS <= w.since {
			continue
		}
		if !known {
			w.app.opts.Metrics.RunStarted(r.Pipeline)
			w.runs[r.ID] = true
			newest = max(newest, r.StartedUS)
		}
		if r.State == queue.RunRunning {
			continue
		}
		ok, err := succeeded(ctx, w.q, r)
		if err != nil {
			return err
		}
		w.app.opts.Metrics.RunEnded(r.Pipeline, ok, time.UnixMicro(r.EndedUS))
		delete(w.runs, r.ID)
	}
	w.since = newest
	return nil
}

// succeeded reports whether a run ended as exit code 0 says it: all units got
// through or were put into quarantine, and all was judged.
func succeeded(ctx context.Context, q *queue.Queue, r queue.Run) (bool, error) {
	if r.State != queue.RunEnded || r.Verdict == checks.Error.String() {
		return false, nil
	}
	n, err := q.Unfinished(ctx, r.ID)
	return n == 0, err
}

// depths sets the gauges of all steps of the pipelines that the store knows.
func (w *runWatcher) depths(ctx context.Context, known map[string]string) error {
	all, err := w.q.Depths(ctx)
	if err != nil {
		return err
	}
	attached, err := w.q.Attached(ctx, attachedWithin)
	if err != nil {
		return err
	}
	opened, err := w.q.Opened(ctx)
	if err != nil {
		return err
	}
	queues, dead := map[step]*metrics.Queue{}, map[step]int{}
	at := func(s step) *metrics.Queue {
		w.steps[s] = true
		if queues[s] == nil {
			queues[s] = &metrics.Queue{Pipeline: s.pipeline, Step: s.name}
		}
		return queues[s]
	}
	for _, d := range all {
		s := step{d.Pipeline, d.Step}
		switch d.State {
		case queue.Ready:
			at(s).Waiting, at(s).Oldest = int(d.Units), time.UnixMicro(d.OldestUS)
		case queue.Running:
			at(s).InFlight = int(d.Units)
		case queue.Dead, queue.Quarantined:
			dead[s] += int(d.Units)
			w.steps[s] = true
		default: // finished, or waiting for other steps
		}
	}
	for _, a := range attached {
		at(step{a.Pipeline, a.Step}).Workers = a.Workers
	}
	for _, o := range opened {
		at(step{o.Pipeline, o.Step}).Open = true
	}
	for s := range w.steps {
		if _, ok := known[s.pipeline]; !ok {
			delete(w.steps, s)
			continue
		}
		w.app.opts.Metrics.Queued(*at(s))
		w.app.opts.Metrics.DeadLetters(s.pipeline, s.name, dead[s])
	}
	return nil
}
