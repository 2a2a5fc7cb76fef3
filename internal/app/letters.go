package app

import (
	"context"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/secret"
	"github.com/profilerhq/profiler/internal/store"
)

// maxDeadError bounds the error of a dead unit that people are told, in characters.
const maxDeadError = 300

// deadLetters writes what a change of the dead units of a step does to their
// incident, in the transaction of that change.
func (a *App) deadLetters(ctx context.Context, tx *db.Tx, l queue.Letters) error {
	settings := a.alerting.Load().options
	dataset, owner, tags := runner.DescribedStep(l.Definition, l.Pipeline, l.Step)
	in := alert.DeadInput{
		Letters: alert.DeadLetters{Pipeline: l.Pipeline, Step: l.Step, Dead: l.Dead, Again: l.Again, More: l.More, First: deadUnit(l.First), Last: deadUnit(l.Last)},
		Died:    l.Died, Dataset: dataset, Owner: owner, Tags: tags, Now: a.opts.Now(), ID: newID,
	}
	var suppressed []string
	changed, err := a.Store.ChangeDeadLetters(ctx, tx, l.Pipeline, l.Step, func(newest *alert.Incident) store.IncidentChange {
		in.Current = newest
		c := alert.DecideDead(in, settings)
		if c == nil {
			return store.IncidentChange{}
		}
		suppressed = c.Suppressed
		return incidentChange(c, settings)
	})
	if err != nil {
		return fmt.Errorf("write the incident of step %s of pipeline %s: %w", l.Step, l.Pipeline, err)
	}
	tx.OnCommit(func() {
		a.noted(changed, suppressed)
		if !a.serving.Load() { // the service counts by itself
			a.countIncidents(context.WithoutCancel(ctx))
		}
	})
	return nil
}

func deadUnit(l *queue.Letter) *alert.DeadUnit {
	if l == nil {
		return nil
	}
	return &alert.DeadUnit{
		Unit: l.Unit, Source: secret.Redact(l.Source), Run: l.Run, CorrelationID: l.Correlation, Cause: l.Cause,
		Error: alert.Shorten(secret.Redact(l.Err), maxDeadError), Attempts: l.Tries, At: time.UnixMicro(l.EndedUS).UTC(),
	}
}
