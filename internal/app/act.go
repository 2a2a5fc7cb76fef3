package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/store"
)

// Acknowledge notes that somebody looks after an incident. Errors match
// store.ErrNotFound without such an incident.
func (a *App) Acknowledge(ctx context.Context, id, who string) error {
	return a.changeIncident(ctx, id, func(i *alert.Incident) (*alert.Change, error) { return alert.Acknowledge(i, who, a.opts.Now()) })
}

// Snooze silences an incident until a time, or until its next bad batch if that
// is zero.
func (a *App) Snooze(ctx context.Context, id, who string, until time.Time) error {
	return a.changeIncident(ctx, id, func(i *alert.Incident) (*alert.Change, error) { return alert.Snooze(i, who, until, a.opts.Now()) })
}

// Answer notes what somebody says about the batches of an incident, and labels
// them.
func (a *App) Answer(ctx context.Context, id string, answer alert.Answer, who string) error {
	found, err := a.Store.Incidents(ctx, store.IncidentQuery{ID: id, Limit: 1})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("answer incident %s: %w", id, store.ErrNotFound)
	}
	in := &found[0]
	if _, err := alert.Respond(in, answer, who, a.opts.Now()); err != nil {
		return err
	}
	// The labels first: repeating them after a crash is harmless.
	for _, batch := range in.Labelled(answer) {
		err := a.Store.SetLabel(ctx, in.Dataset, batch, store.Label(answer), who)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // a batch that was pruned needs no label
			return err
		}
	}
	return a.changeIncident(ctx, id, func(i *alert.Incident) (*alert.Change, error) { return alert.Respond(i, answer, who, a.opts.Now()) })
}

func (a *App) changeIncident(ctx context.Context, id string, change func(*alert.Incident) (*alert.Change, error)) error {
	settings := a.alerting.Load().options
	var reasons []string
	done, err := a.Store.ChangeIncident(ctx, id, func(in alert.Incident) (store.IncidentChange, error) {
		c, err := change(&in)
		if c == nil || err != nil {
			return store.IncidentChange{}, err
		}
		reasons = c.Suppressed
		return incidentChange(c, settings), nil
	})
	if err != nil {
		return err
	}
	a.noted(done, reasons)
	return nil
}

// incidentChange is a change as the store takes it.
func incidentChange(c *alert.Change, o alert.Options) store.IncidentChange {
	if c.Forget {
		return store.IncidentChange{Forget: []string{c.Incident.ID}}
	}
	return store.IncidentChange{Incidents: []alert.Incident{c.Incident}, Notices: c.Notices(o)}
}

// noted takes up what a change left to do.
func (a *App) noted(done store.Changed, reasons []string) {
	a.suppressed(append(done.Merged, reasons...)...)
	if a.serving.Load() {
		return // it is sent when it is due
	}
	a.untold.add(done.Stories...)
}

// tick lets time pass over the incidents.
func (a *App) tick(ctx context.Context) error {
	open, err := a.Store.Incidents(ctx, store.IncidentQuery{Open: true})
	if err != nil {
		return err
	}
	now, settings := a.opts.Now(), a.alerting.Load().options
	for k := range open {
		if alert.Tick(&open[k], now, settings) == nil {
			continue
		}
		err := a.changeIncident(ctx, open[k].ID, func(i *alert.Incident) (*alert.Change, error) { return alert.Tick(i, now, settings), nil })
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return a.weekly(ctx, now)
}

// weekly puts the weekly message into the outbox on its day.
func (a *App) weekly(ctx context.Context, now time.Time) error {
	set := a.alerting.Load()
	day, ok := set.options.WeeklyDue(now)
	if !ok || a.lastWeekly.Equal(day) || len(set.digests) == 0 {
		return nil
	}
	all, err := a.Store.Incidents(ctx, store.IncidentQuery{Since: day.AddDate(0, 0, -7)})
	if err != nil {
		return err
	}
	if w := alert.NewWeekly(all, day.AddDate(0, 0, -7), day); w.Incidents > 0 {
		body, err := json.Marshal(w)
		if err != nil {
			return err
		}
		for name := range set.digests {
			if name == alert.Console && len(set.options.Channels) > 0 {
				continue
			}
			n := alert.Notice{Channel: name, Story: "weekly/" + day.Format("2006-01-02"), Event: alert.EventWeekly, Due: now, Body: string(body)}
			if _, err := a.Store.AddNotice(ctx, n); err != nil {
				return err
			}
		}
	}
	a.lastWeekly = day
	return nil
}
