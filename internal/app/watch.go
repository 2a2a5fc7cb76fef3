package app

import (
	"context"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
)

// watcher shows what other processes have recorded, each batch once.
type watcher struct {
	app  *App
	runs runWatcher
	last int64          // the ID up to which all batches are shown
	seen map[int64]bool // IDs around last that are shown
	// names are the datasets that the store had; nil before the first look.
	names map[string]bool
}

// overlap is how many IDs are looked at again: on Postgres a batch may become
// visible after one with a greater ID.
const overlap = 256

// lookAt bounds how many batches one statement finds.
const lookAt = 500

func (w *watcher) look(ctx context.Context) {
	if err := w.observe(ctx); err != nil && ctx.Err() == nil {
		w.app.log.Error("history not read", "err", err)
	}
	if err := w.runs.look(ctx); err != nil && ctx.Err() == nil {
		w.app.log.Error("queues not read", "err", err)
	}
	if err := w.app.tick(ctx); err != nil && ctx.Err() == nil {
		w.app.log.Error("incidents not looked at", "err", err)
	}
	w.app.dispatch(ctx)
	if ctx.Err() == nil {
		w.app.countIncidents(ctx)
	}
}

// observe shows batches that are new in the store. What this process has
// recorded itself is shown already and is not counted again.
func (w *watcher) observe(ctx context.Context) error {
	if w.app.opts.Metrics == nil {
		return nil
	}
	if w.names == nil {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	for {
		batches, err := w.app.Store.Recorded(ctx, max(w.last-overlap, 0), lookAt+overlap)
		if err != nil {
			return err
		}
		fresh := 0
		for i := range batches {
			b := &batches[i]
			if w.seen[b.ID] {
				continue
			}
			if !w.app.own.take(b) {
				if err := w.show(ctx, b, false); err != nil {
					return err
				}
			}
			w.seen[b.ID] = true
			w.last = max(w.last, b.ID)
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
	return w.forget(ctx)
}

// begin shows the newest batch of each dataset: the gauges of a service that
// starts are those of the last one. What was recorded before the start is in
// no counter: else every restart would look like a new failure.
func (w *watcher) begin(ctx context.Context) error {
	start := w.app.startID
	newest, err := w.app.Store.Newest(ctx, start)
	if err != nil {
		return err
	}
	before, err := w.app.Store.Recorded(ctx, max(start-overlap, 0), overlap)
	if err != nil {
		return err
	}
	for i := range newest {
		if err := w.show(ctx, &newest[i], true); err != nil {
			return err
		}
	}
	w.last, w.seen, w.names = start, map[int64]bool{}, map[string]bool{}
	for i := range before {
		if id := before[i].ID; id <= start {
			w.seen[id] = true
		}
	}
	return nil
}

// show adds a batch to the metrics. One that a dataset's newer batch has
// replaced is counted alone.
func (w *watcher) show(ctx context.Context, b *store.Batch, known bool) error {
	p, rep, err := w.app.Store.Load(ctx, *b)
	if err != nil || p == nil {
		return err // a batch without a profile has nothing to show
	}
	m := w.app.batchMetrics(p, rep)
	m.Known = known
	if !known {
		m.Previous = w.previous(ctx, b) // whose schema it differs from
	}
	w.app.opts.Metrics.Observe(m)
	return nil
}

// previous returns the summary of the batch before, nil if there is none.
func (w *watcher) previous(ctx context.Context, b *store.Batch) *profile.Summary {
	before, err := w.app.Store.Profiles(ctx, store.Query{Dataset: b.Dataset, Before: b.At, Except: b.Batch, Limit: 1})
	if err != nil || len(before) == 0 {
		return nil
	}
	return before[0].Summary()
}

// forget removes the series of datasets that are no longer in the store. Those
// that rules name keep their counters.
func (w *watcher) forget(ctx context.Context) error {
	names, err := w.app.Store.Names(ctx)
	if err != nil {
		return err
	}
	now := make(map[string]bool, len(names))
	for _, n := range names {
		now[n] = true
	}
	for n := range w.names {
		if !now[n] && !w.app.declares(n) {
			w.app.opts.Metrics.Forget(n)
		}
	}
	w.names = now
	return nil
}

// own counts the batches that this process has recorded and that its watcher
// has not met yet. The zero value is empty; it is safe for concurrent use.
type own struct {
	mu      sync.Mutex
	batches map[ownBatch]int
}

type ownBatch struct {
	dataset, batch, step string
	at                   int64 // microseconds, as the store has it
}

// add notes a batch before it is recorded, n = -1 takes that back.
func (o *own) add(s *monitor.Subject, n int) {
	o.change(ownBatch{s.Dataset, s.Batch, s.Origin.Step, s.At.UnixMicro()}, n)
}

func (o *own) change(k ownBatch, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.batches == nil {
		o.batches = map[ownBatch]int{}
	}
	if o.batches[k] += n; o.batches[k] <= 0 {
		delete(o.batches, k)
	}
}

// take reports whether this process recorded the batch, once for each time.
func (o *own) take(b *store.Batch) bool {
	k := ownBatch{b.Dataset, b.Batch, b.Origin.Step, b.At.UnixMicro()}
	o.mu.Lock()
	n := o.batches[k]
	o.mu.Unlock()
	if n > 0 {
		o.change(k, -1)
	}
	return n > 0
}

// declared is what the configuration says there is.
type declared struct {
	mu                 sync.Mutex
	datasets, channels map[string]bool
}

// Declare makes the counters of what is configured start at 0, and removes the
// series of what was declared before and is configured no more. Datasets that
// the store knows keep theirs.
func (a *App) Declare(ctx context.Context, datasets []metrics.Known, channels []string) {
	m := a.opts.Metrics
	if m == nil {
		return
	}
	before := &a.declared
	before.mu.Lock()
	defer before.mu.Unlock()
	now, receivers := map[string]bool{}, map[string]bool{}
	for i := range datasets {
		m.Declare(datasets[i])
		now[datasets[i].Dataset] = true
	}
	for _, c := range channels {
		m.DeclareChannel(c)
		receivers[c] = true
	}
	for c := range before.channels {
		if !receivers[c] {
			m.ForgetChannel(c)
		}
	}
	for d := range before.datasets {
		if !now[d] && !a.stored(ctx, d) {
			m.Forget(d)
		}
	}
	before.datasets, before.channels = now, receivers
}

// stored reports whether the store has a batch of a dataset, or cannot tell.
func (a *App) stored(ctx context.Context, dataset string) bool {
	if a.Store == nil {
		return false
	}
	found, err := a.Store.Batches(ctx, store.Query{Dataset: dataset, Limit: 1, All: true})
	return err != nil || len(found) > 0
}

func (a *App) declares(dataset string) bool {
	a.declared.mu.Lock()
	defer a.declared.mu.Unlock()
	return a.declared.datasets[dataset]
}

// ConfigLoaded notes a load of the configuration.
func (a *App) ConfigLoaded(ok bool, at time.Time) {
	if a.opts.Metrics != nil {
		a.opts.Metrics.ConfigLoaded(ok, at)
	}
}
