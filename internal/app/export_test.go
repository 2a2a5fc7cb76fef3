package app

import (
	"context"

	"github.com/profilerhq/profiler/internal/queue"
)

// Looker returns what the service does every few seconds.
func (a *App) Looker() func(context.Context) {
	return (&watcher{app: a, runs: runWatcher{app: a}}).look
}

// RunSchedules does what the rules schedule until the context ends.
func (a *App) RunSchedules(ctx context.Context) { a.schedules.run(ctx) }

// Units returns the queue beside the history, as pipelines of this process see it.
func (a *App) Units(ctx context.Context) (*queue.Queue, error) {
	q, _, err := a.queue(ctx, nil)
	return q, err
}
