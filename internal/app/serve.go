package app

import (
	"context"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/store"
)

// watchEvery is how often the service looks for what other processes have
// recorded, and for messages that wait.
const watchEvery = 5 * time.Second

// refreshEvery is how often receivers that forget are told again what is not
// resolved.
const refreshEvery = time.Minute

// pruneEvery is how often old history is deleted.
const pruneEvery = time.Hour

// Watch keeps the metrics up to date with the store, sends messages that wait
// in the outbox, and deletes what is older than the retention. It returns when
// the context ends.
func (a *App) Watch(ctx context.Context) {
	w := &watcher{app: a, runs: runWatcher{app: a}}
	a.serving.Store(true)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		a.listen(ctx)
	}()
	defer func() {
		<-listening
		a.sending.Wait()
	}()
	tick, refresh, prune := time.NewTicker(watchEvery), time.NewTicker(refreshEvery), time.NewTicker(pruneEvery)
	defer tick.Stop()
	defer refresh.Stop()
	defer prune.Stop()
	w.look(ctx)
	a.refresh(ctx)
	a.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		case <-refresh.C:
			a.refresh(ctx)
		case <-prune.C:
			a.prune(ctx)
		}
	}
}

// refresh tells the receivers that forget what is not resolved.
func (a *App) refresh(ctx context.Context) {
	refreshers := a.alerting.Load().refreshers
	if len(refreshers) == 0 {
		return
	}
	open, err := a.Store.Incidents(ctx, store.IncidentQuery{Open: true})
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error("incidents not read", "err", err)
		}
		return
	}
	var wg sync.WaitGroup
	for name, r := range refreshers {
		wg.Go(func() {
			if err := r.Refresh(ctx, name, open); err != nil && ctx.Err() == nil {
				a.log.Warn("alerts not refreshed, they may end before their incidents", "channel", name, "err", err)
			}
		})
	}
	wg.Wait()
}

// pruneRuns deletes what happened to units of pipelines long ago.
func (a *App) pruneRuns(ctx context.Context) error {
	if a.opts.RunRetention <= 0 {
		return nil
	}
	q, _, err := a.queue(ctx, nil) // the store's own
	if err != nil {
		return err
	}
	_, err = q.Prune(ctx, a.opts.Now().Add(-a.opts.RunRetention))
	return err
}

func (a *App) prune(ctx context.Context) {
	if err := a.pruneRuns(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("old runs not deleted", "err", err)
	}
	if a.opts.Retention == (store.Retention{}) {
		return
	}
	if _, err := a.Store.Prune(ctx, a.opts.Now(), a.opts.Retention); err != nil && ctx.Err() == nil {
		a.log.Error("old history not deleted", "err", err)
	}
}

// ServeOptions say how the service listens.
type ServeOptions struct {
	api.ServeOptions
	Version string
	// Reload loads configuration and rules again; nil leaves that out.
	Reload func(context.Context) error
	// Pipelines are those that the service runs; nil is none.
	Pipelines *Pipelines
}

// Serve answers HTTP and watches the store until the context ends. The app
// needs a store.
func (a *App) Serve(ctx context.Context, o ServeOptions) error {
	opts := api.Options{History: a.Store, Reload: o.Reload, Logger: a.log, Version: o.Version, Now: a.opts.Now}
	if o.Pipelines != nil {
		opts.Work, opts.Inbox = o.Pipelines.Broker, o.Pipelines.inbox
	}
	if a.opts.Metrics != nil {
		opts.Metrics = a.opts.Metrics.Handler()
	}
	server, err := api.New(opts)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.Watch(ctx)
	}()
	scheduled := make(chan struct{})
	go func() {
		defer close(scheduled)
		a.schedules.run(ctx)
	}()
	err = server.Serve(ctx, o.ServeOptions)
	stop()
	<-scheduled
	<-watched
	return err
}
