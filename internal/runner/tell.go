package runner

import (
	"context"
	"log/slog"

	"github.com/profilerhq/profiler/internal/checks"
)

// tell logs what happened and passes it to Options.Progress, one call at a time.
func (r *Runner) tell(e Event) {
	log := r.log.With("run", e.Run, "step", e.Step, "unit", e.Unit, "correlation_id", e.CorrelationID, "attempt", e.Attempt)
	switch {
	case e.Kind == Started:
		log.Debug("step started")
	case e.Kind == Retrying:
		log.Warn("attempt failed, trying again", "cause", e.Cause, "err", e.Err, "wait", e.Wait)
	case e.Kind == Scaled:
		r.log.Info("units at once", "step", e.Step, "workers", e.Workers)
	case e.Kind == Held:
		r.log.Warn("source held back, too many units stand before a step", "step", e.Step, "limit", r.pressure(r.options.Pipeline.Step(e.Step)))
	case e.Kind == Resumed:
		r.log.Info("source goes on")
	case e.Kind == Paused:
		log.Error("gate closed, no further unit enters the step")
	case e.State == Done, e.State == Skipped, e.State == Cancelled:
		level := slog.LevelInfo
		if e.Verdict != nil && *e.Verdict >= checks.Warn {
			level = slog.LevelWarn
		}
		if e.Err != nil {
			log = log.With("err", e.Err)
		}
		log.Log(context.Background(), level, "step finished", "state", e.State)
	default:
		log.Error("unit stopped", "state", e.State, "cause", e.Cause, "err", e.Err, "source", e.Source, "output", e.Output)
	}
	if r.options.Progress != nil {
		r.telling.Lock()
		defer r.telling.Unlock()
		r.options.Progress(e)
	}
}
