package app

import "context"

// Looker returns what the service does every few seconds.
func (a *App) Looker() func(context.Context) {
	return (&watcher{app: a, runs: runWatcher{app: a}}).look
}

// RunSchedules does what the rules schedule until the context ends.
func (a *App) RunSchedules(ctx context.Context) { a.schedules.run(ctx) }
