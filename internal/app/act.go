package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/rules"
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

// Label stores answers about batches of a dataset, learns it anew, and answers
// its live incident with the one that all of its bad batches have got; for a new
// level the first of them is enough. It returns the incident that was answered,
// as it is then; nil if there is none. Errors of the labels match those of
// store.SetLabels; then nothing is changed.
func (a *App) Label(ctx context.Context, dataset string, all []store.Labelled) (*alert.Incident, error) {
	if err := a.Store.SetLabels(ctx, dataset, all); err != nil {
		return nil, err
	}
	live, err := a.Store.Incidents(ctx, store.IncidentQuery{Dataset: dataset, Open: true})
	live = slices.DeleteFunc(live, func(i alert.Incident) bool { return i.DeadLetters != nil })
	if err != nil || len(live) == 0 || len(all) == 0 || all[0].Label == "" {
		return nil, err
	}
	in, answer := &live[0], alert.Answer(all[0].Label)
	about := in.Labelled(answer)
	for _, batch := range about {
		if !slices.ContainsFunc(all, func(l store.Labelled) bool { return l.Batch == batch && l.Label == all[0].Label }) {
			return nil, nil //nolint:nilnil // some of its batches have no such answer
		}
	}
	if len(about) == 0 || in.Answer == answer {
		return nil, nil //nolint:nilnil // nothing is said about it
	}
	if err := a.changeIncident(ctx, in.ID, func(i *alert.Incident) (*alert.Change, error) {
		return alert.Respond(i, answer, all[0].Who, a.opts.Now())
	}); err != nil {
		return nil, err
	}
	return a.FindIncident(ctx, in.ID)
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

// listen lets people act through the channels until the context ends. When the
// channels are replaced it goes on with the new ones.
func (a *App) listen(ctx context.Context) {
	var current *alerting
	end := func() {}
	defer func() { end() }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if set := a.alerting.Load(); set != current {
			end()
			current, end = set, a.listenTo(ctx, set)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// listenTo listens to the channels of a configuration until end is called,
// which waits for that.
func (a *App) listenTo(ctx context.Context, set *alerting) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, n := range set.notifiers {
		if l, ok := n.(alert.Listener); ok && l.Listens() {
			running.Go(func() { l.Listen(ctx, a.act) })
		}
	}
	return func() {
		stop()
		running.Wait()
	}
}

// act does what somebody asks for in a channel, and shows it at once.
func (a *App) act(ctx context.Context, x alert.Action) (err error) {
	switch x.Do {
	case alert.EventAcknowledged:
		err = a.Acknowledge(ctx, x.Incident, x.Who)
	case alert.EventSnoozed:
		var until time.Time
		if x.For > 0 {
			until = a.opts.Now().Add(x.For)
		}
		err = a.Snooze(ctx, x.Incident, x.Who, until)
	case alert.EventAnswered:
		err = a.Answer(ctx, x.Incident, x.Answer, x.Who)
	default:
		err = fmt.Errorf("there is no such action: %s", x.Do)
	}
	if err == nil {
		a.dispatch(ctx)
		a.countIncidents(ctx)
	}
	return err
}

// ErrUnknownChannel is the error for a channel that is not configured.
var ErrUnknownChannel = errors.New("is not configured under alerts.channels")

func (a *App) notifier(channel string) (alert.Notifier, error) {
	n, ok := a.alerting.Load().notifiers[channel]
	if !ok {
		return nil, fmt.Errorf("the channel %q %w", channel, ErrUnknownChannel)
	}
	return n, nil
}

// Try sends a sample to a channel at once, beside the outbox, and, unless it is
// to be kept, its end after it. A receiver that groups for a while would never
// show what ends at once, so one that forgets by itself is told nothing more.
func (a *App) Try(ctx context.Context, channel string, keep bool) (alert.Outcome, error) {
	n, err := a.notifier(channel)
	if err != nil {
		return alert.Outcome{}, err
	}
	m := alert.Message{Key: alert.Key("test", 1, alert.EventOpened, channel), Channel: channel, Event: alert.EventOpened, Incident: alert.Sample(a.opts.Now())}
	d := a.alerting.Load().dispatcher
	out := d.Deliver(ctx, []alert.Message{m})[0]
	if _, forgets := n.(alert.Refresher); out.Err != nil || keep || forgets {
		return out, nil
	}
	end := m
	end.Event, end.Key = alert.EventResolved, alert.Key("test", 2, alert.EventResolved, channel)
	i := &end.Incident
	i.Status, i.ResolvedAt, i.Healthy, i.Revision = alert.Resolved, a.opts.Now(), alert.DefaultResolveAfter, 2
	if out.Thread != (alert.Thread{}) {
		i.Threads = map[string]alert.Thread{channel: out.Thread}
	}
	ended := d.Deliver(ctx, []alert.Message{end})[0]
	if ended.Thread == (alert.Thread{}) {
		ended.Thread = out.Thread
	}
	return ended, nil
}

// Preview shows what a channel would be sent about an incident; nil if that is
// nothing.
func (a *App) Preview(channel string, m alert.Message) (any, error) {
	n, err := a.notifier(channel)
	if err != nil {
		return nil, err
	}
	p, ok := n.(alert.Previewer)
	if !ok {
		return map[string]string{"text": alert.Text(&m)}, nil
	}
	return p.Preview(m), nil
}

// FindIncident returns the incident that somebody names: by its id, the
// beginning of it, or its dataset, of which the newest counts unless several are
// open. Errors match store.ErrNotFound.
func (a *App) FindIncident(ctx context.Context, name string) (*alert.Incident, error) {
	open, err := a.Store.Incidents(ctx, store.IncidentQuery{Dataset: rules.DatasetName(name), Open: true})
	if err != nil || len(open) == 1 {
		return first(open), err
	}
	if len(open) > 1 {
		return nil, fmt.Errorf("%d incidents of %s are open, name one by its id: %w", len(open), name, store.ErrNotFound)
	}
	for _, q := range []store.IncidentQuery{{ID: name, Limit: 1}, {Dataset: rules.DatasetName(name), Limit: 1}} {
		found, err := a.Store.Incidents(ctx, q)
		if err != nil || len(found) == 1 {
			return first(found), err
		}
	}
	all, err := a.Store.Incidents(ctx, store.IncidentQuery{})
	if err != nil {
		return nil, err
	}
	var match []alert.Incident
	for k := range all {
		if len(name) >= shortestPrefix && strings.HasPrefix(all[k].ID, strings.ToUpper(name)) {
			match = append(match, all[k])
		}
	}
	switch len(match) {
	case 0:
		return nil, fmt.Errorf("there is no incident %q: %w", name, store.ErrNotFound)
	case 1:
		return &match[0], nil
	}
	return nil, fmt.Errorf("%d incidents begin with %q: %w", len(match), name, store.ErrNotFound)
}

// shortestPrefix is how much of an id has to be named.
const shortestPrefix = 4

func first(found []alert.Incident) *alert.Incident {
	if len(found) == 0 {
		return nil
	}
	return &found[0]
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

// FirstChannel is the first channel of the configuration, or the console.
func (a *App) FirstChannel() string {
	if names := a.alerting.Load().options.Channels; len(names) > 0 {
		return names[0]
	}
	return alert.Console
}
