// Package app is the composition root: it connects the parts that do not know
// each other. Commands and the service get their monitor, store and channels
// here.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/answers"
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/exact/disk"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/store"
)

// Options say what an App is made of. Parts that are not wanted stay nil or
// zero.
type Options struct {
	// Store is the URL of the history; empty is none.
	Store string
	// StoreMustExist refuses to create it.
	StoreMustExist bool
	// NoRecord judges against the history and leaves it as it was.
	NoRecord bool
	// Keys are those of sensitive columns; nil is the store's, else a random one.
	Keys *Keys
	// Baseline replaces the history that checks compare with.
	Baseline *profile.Profile
	// Incidents is the file with answers about batches; empty is none.
	Incidents string
	// Alert sends messages even without a store.
	Alert bool
	// Channels are the configured receivers of messages by name.
	Channels map[string]alert.Receiver
	// ExternalURL is the address of the service for links; may be empty.
	ExternalURL string
	// Alerts says when and where people are told; its Channels are the names of
	// Channels.
	Alerts alert.Options
	// AlertTimeout bounds one delivery with its retries; 0 is that of one-shot
	// commands.
	AlertTimeout time.Duration
	// AlertTries bounds the tries of one delivery; 0 is that of one-shot commands.
	AlertTries int
	// AlertInterval is the least time between two messages of a channel.
	AlertInterval time.Duration
	Metrics       *metrics.Metrics
	FailingRows   int
	// MarkRows remembers which rows fail, for monitor.Outcome.Rejected.
	MarkRows bool
	// Memory is how many bytes the checks that count exactly have together; 0 is
	// the default. Beyond them they use temporary files.
	Memory int64
	Logger *slog.Logger
	// Messages is where incidents are printed when no channel is configured.
	Messages  io.Writer
	Now       func() time.Time
	Retention store.Retention
	// RunRetention is how long what happened to units is kept; 0 is for ever.
	RunRetention time.Duration
}

// App is a connected set of parts. Close it when it is no longer needed.
type App struct {
	opts      Options
	Monitor   *monitor.Monitor
	Store     *store.Store // nil without one
	schedules *schedules
	alerting  atomic.Pointer[alerting]
	answers   atomic.Pointer[[]answers.Answer] // nil without a file
	couriers  couriers
	sending   sync.WaitGroup // of the service's couriers
	serving   atomic.Bool
	untold    stories
	printing  sync.Mutex // of Messages
	// lastWeekly is the day whose weekly message is cared for.
	lastWeekly time.Time
	// startID is the batch recorded last when the app was made; own are those
	// that it recorded since.
	startID    int64
	startEvent int64 // the event of a unit recorded last when the app was made
	startRun   int64 // when the newest run of then began, in microseconds
	own        own
	declared   declared
	limits     limits
	log        *slog.Logger
}

// alerting is what decides about messages and delivers them; it is replaced as
// a whole.
type alerting struct {
	options    alert.Options
	dispatcher *alert.Dispatcher
	refreshers map[string]alert.Refresher // by channel
	digests    map[string]bool            // channels that take digests
	notifiers  map[string]alert.Notifier
}

// New opens the store and connects the parts.
func New(ctx context.Context, opts Options) (*App, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.FailingRows == 0 {
		opts.FailingRows = checks.DefaultFailingRows
	}
	if opts.Keys == nil {
		opts.Keys = NewKeys("", opts.NoRecord)
	}
	if opts.Memory == 0 {
		opts.Memory = exact.DefaultMemory
	}
	a := &App{opts: opts, log: opts.Logger}
	a.schedules = newSchedules(a)
	if err := a.Reconfigure(opts.Channels, opts.Alerts); err != nil {
		return nil, err
	}
	m := monitor.Options{Now: opts.Now, FailingRows: opts.FailingRows, MarkRows: opts.MarkRows, History: pinnedOnly{}, Space: exact.NewSpace(opts.Memory, disk.New(""))}
	if opts.Store != "" {
		s, err := store.Open(ctx, opts.Store, store.Options{Logger: opts.Logger, Now: opts.Now, MustExist: opts.StoreMustExist})
		if err != nil {
			return nil, &StoreError{err}
		}
		a.Store = s
		m.History, m.Learner = storeHistory{s}, storeHistory{s}
	}
	if opts.Baseline != nil {
		m.History, m.Learner = Baseline{opts.Baseline}, Baseline{opts.Baseline}
	}
	switch {
	case a.Store != nil && !opts.NoRecord:
		m.Sinks = append(m.Sinks, &storeSink{a})
	case opts.Alert:
		m.Sinks = append(m.Sinks, &alertSink{a})
	}
	if opts.Metrics != nil {
		m.Sinks = append(m.Sinks, &metricsSink{a})
		if err := a.measureStore(ctx); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	m.Key = func(ctx context.Context) (*profile.Key, error) { return a.opts.Keys.of(ctx, a.Store) }
	a.Monitor = monitor.New(m)
	if err := a.ReadAnswers(ctx, opts.Incidents); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// measureStore shows the connections of the store as metrics, and remembers
// what it held at the start.
func (a *App) measureStore(ctx context.Context) (err error) {
	if a.Store == nil {
		return nil
	}
	if a.startID, err = a.Store.LastID(ctx); err != nil {
		return &StoreError{err}
	}
	if a.watches() {
		q, _, err := a.queue(ctx, nil)
		if err == nil {
			a.startEvent, err = q.LastEvent(ctx)
		}
		if err == nil {
			var newest []queue.Run
			if newest, err = q.Runs(ctx, "", 1); len(newest) > 0 {
				a.startRun = newest[0].StartedUS
			}
		}
		if err != nil {
			return &StoreError{err}
		}
	}
	d := a.Store.DB()
	if err := a.opts.Metrics.RegisterDB("store", d.Writer().DB); err != nil {
		return err
	}
	if d.Reader() == d.Writer() {
		return nil
	}
	return a.opts.Metrics.RegisterDB("store_read", d.Reader().DB)
}

// queue returns the units of pipelines, which stand beside the history; without
// one they are kept in memory.
func (a *App) queue(ctx context.Context, clock runner.Clock) (*queue.Queue, func(), error) {
	opts := queue.Options{}
	if clock != nil {
		opts.Now = clock.Now
	}
	if a.Store != nil {
		opts.Letters = a.deadLetters
		q, err := queue.Open(ctx, a.Store.DB(), opts)
		if err != nil {
			err = &StoreError{err}
		}
		return q, func() {}, err
	}
	d, err := db.Open(ctx, "sqlite::memory:", db.Options{})
	if err != nil {
		return nil, nil, err
	}
	q, err := queue.Open(ctx, d, opts)
	return q, func() { d.Close() }, err //nolint:errcheck // it is gone with the process
}

// Observe sends a batch through the monitor and counts one that could not be
// read to its end. It is monitor.Observe otherwise.
func (a *App) Observe(ctx context.Context, r batch.Reader, s monitor.Subject) (*monitor.Outcome, error) {
	return a.counting(ctx, s, func() (*monitor.Outcome, error) { return a.Monitor.Observe(ctx, r, s) })
}

// Judge is Observe without the sinks.
func (a *App) Judge(ctx context.Context, r batch.Reader, s monitor.Subject) (*monitor.Outcome, error) {
	return a.counting(ctx, s, func() (*monitor.Outcome, error) { return a.Monitor.Judge(ctx, r, s) })
}

func (a *App) counting(ctx context.Context, s monitor.Subject, observe func() (*monitor.Outcome, error)) (*monitor.Outcome, error) {
	o, err := observe()
	if o == nil && err != nil {
		a.ProfileFailed(ctx, s.Dataset, s.Origin.Step)
	}
	return o, err
}

// ProfileFailed counts a profile that ended with an error, such as one of a
// source that cannot be opened. What was interrupted did not fail.
func (a *App) ProfileFailed(ctx context.Context, dataset, step string) {
	if a.opts.Metrics != nil && ctx.Err() == nil {
		a.opts.Metrics.ProfileFailed(dataset, step)
	}
}

// Close sends what is to be told at the end of a command, and closes the store.
func (a *App) Close() error {
	if err := a.limits.close(); err != nil {
		a.log.Warn("control groups not removed", "err", err)
	}
	if a.Store == nil {
		return nil
	}
	a.Tell(context.Background())
	return a.Store.Close()
}

// StoreError says that the store could not be opened, read or written.
type StoreError struct{ Err error }

// Error returns the text of the cause.
func (e *StoreError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Reconfigure replaces the channels and the routes of messages, or nothing if
// they are invalid. A channel without any secret prints its messages.
func (a *App) Reconfigure(receivers map[string]alert.Receiver, o alert.Options) error {
	out := a.opts.Messages
	if out == nil {
		out = io.Discard
	}
	channels := map[string]alert.Notifier{alert.Console: alert.NewPrinter(out)}
	refreshers, digests := map[string]alert.Refresher{}, map[string]bool{}
	for name, c := range receivers {
		n, err := c.Notifier(alert.ReceiverOptions{Logger: a.log, Now: a.opts.Now, ExternalURL: a.opts.ExternalURL})
		switch {
		case errors.Is(err, alert.ErrNoSecret):
			channels[name] = alert.NewPrinter(out)
		case err != nil:
			return fmt.Errorf("alerts.channels.%s: %w", name, err)
		default:
			channels[name] = n
			if r, ok := n.(alert.Refresher); ok {
				refreshers[name] = r
			}
		}
	}
	if err := o.Validate(); err != nil {
		return err
	}
	for name, n := range channels {
		if alert.TakesDigests(n) {
			digests[name] = true
		}
	}
	d, err := alert.NewDispatcher(alert.DispatcherOptions{
		Channels: channels, Logger: a.log, Timeout: a.opts.AlertTimeout, Interval: a.opts.AlertInterval, Tries: a.opts.AlertTries, Observer: a.observeDelivery,
	})
	if err != nil {
		return err
	}
	a.alerting.Store(&alerting{options: o, dispatcher: d, refreshers: refreshers, digests: digests, notifiers: channels})
	return nil
}

func (a *App) observeDelivery(channel string, took time.Duration, reason alert.Reason) {
	if a.opts.Metrics != nil {
		a.opts.Metrics.Notification(channel, took, string(reason))
	}
}

func newID() string { return ulid.MustNew(ulid.Now(), rand.Reader).String() }

// storeSink records outcomes with what they do to incidents, and sends the
// messages that come of it.
type storeSink struct{ app *App }

func (s *storeSink) Accept(ctx context.Context, o *monitor.Outcome) error {
	rec, err := s.app.recording(ctx, o)
	if err == nil {
		err = s.app.Store.DB().Tx(ctx, func(tx *db.Tx) error { return rec.write(ctx, tx) })
	}
	if err != nil {
		rec.forget()
		return &StoreError{fmt.Errorf("record the batch: %w", err)}
	}
	rec.written(ctx)
	return nil
}

// recording is the writing of one outcome into the store.
type recording struct {
	app      *App
	outcome  *monitor.Outcome
	record   func(context.Context, *db.Tx) (store.Changed, error)
	recorded store.Changed
	// suppressed are the reasons for which something is not told.
	suppressed []string
	noted      bool // as our own
}

// recording prepares the writing of an outcome, with what it does to incidents.
// It ends by written or by forget.
func (a *App) recording(ctx context.Context, o *monitor.Outcome) (*recording, error) {
	rec := &recording{app: a, outcome: o}
	now, id, settings := a.opts.Now(), newID(), a.alerting.Load().options
	obs := store.Observation{
		Profile: o.Profile, Report: o.Report, Side: o.Side, RulesFingerprint: rules.Fingerprint(o.Rules), Metrics: metricsOf(o.Rules), Learning: learningOf(o),
	}
	if o.Auto != nil && o.Auto.Decision.HasScore {
		obs.Score = &o.Auto.Decision.Score
	}
	in := alert.Input{
		Ancestors: o.Ancestors, Descendants: o.Descendants, Report: o.Report, Now: now, ID: func() string { return id },
	}
	if o.Side != store.SideInput {
		obs.Answer = a.answerOf(o.Dataset, o.Batch, o.At)
		in.Chart = a.chart(ctx, o)
	}
	decide := func(st store.IncidentState) store.IncidentChange {
		in := in
		in.Current, in.Pipeline = st.Current, st.Pipeline
		rec.suppressed = nil
		c := alert.Decide(in, settings)
		if c == nil {
			return store.IncidentChange{}
		}
		rec.suppressed = c.Suppressed
		return incidentChange(c, settings)
	}
	if o.Side == store.SideInput { // what a step reads was judged where it was written
		decide = nil
	}
	var err error
	rec.record, err = a.Store.Recorder(obs, decide)
	return rec, err
}

// write writes the outcome in a transaction.
func (r *recording) write(ctx context.Context, tx *db.Tx) (err error) {
	if !r.noted && r.app.opts.Metrics != nil && r.outcome.Side != store.SideInput {
		r.noted = true
		r.app.own.add(&r.outcome.Subject, 1) // before the watcher can meet it
	}
	r.recorded, err = r.record(ctx, tx)
	failpoint.Hit("before_commit")
	return err
}

// written takes up what the outcome has to tell, after the transaction.
func (r *recording) written(ctx context.Context) {
	if r.outcome.Side == store.SideInput {
		return
	}
	failpoint.Hit("after_commit")
	r.app.noted(r.recorded, r.suppressed)
	r.app.countIncidents(ctx)
}

// forget takes note that nothing was written.
func (r *recording) forget() {
	if r.noted {
		r.noted = false
		r.app.own.add(&r.outcome.Subject, -1)
	}
}

// learningOf is what an outcome teaches the store.
func learningOf(o *monitor.Outcome) *store.Learning {
	a := o.Auto
	if a == nil || a.Features == nil {
		return nil
	}
	l := &store.Learning{Features: a.Features, Options: a.Options, Decision: a.Decision}
	if a.Before != nil {
		l.Before, l.Version = a.Before.State, a.Before.Version
	}
	return l
}

// metricsOf lists the numbers that rules compare with the past and that are
// not stored anyway.
func metricsOf(sets []*rules.Set) []store.Metric {
	var out []store.Metric
	for _, s := range sets {
		for _, c := range s.Checks {
			for _, n := range c.Needs() {
				if !n.Profile {
					out = append(out, store.Metric{Column: n.Column, Metric: n.Metric})
				}
			}
		}
	}
	return out
}

// chart compares the column of the worst finding with the batches before; nil
// if there is nothing to compare. Nobody waits for it in a transaction.
func (a *App) chart(ctx context.Context, o *monitor.Outcome) *alert.Chart {
	bad := o.Report.Alarming()
	if len(bad) == 0 || bad[0].Column == "" || o.Profile == nil {
		return nil
	}
	before, err := a.Store.Profiles(ctx, store.Query{Dataset: o.Report.Dataset, Before: o.Report.At, Except: o.Report.Batch, Limit: chartBatches})
	if err != nil || len(before) == 0 {
		return nil // the message does without
	}
	past, err := profile.Merged(before...)
	if err != nil {
		return nil
	}
	return alert.NewChart(o.Profile.Summary(), past.Summary(), bad[0].Column)
}

// chartBatches is how many earlier batches a chart shows together.
const chartBatches = 7

// printf writes to Messages.
func (a *App) printf(format string, args ...any) {
	a.printing.Lock()
	defer a.printing.Unlock()
	fmt.Fprintf(a.opts.Messages, format, args...)
}

// alertSink sends messages about single reports, without a memory of
// incidents.
type alertSink struct{ app *App }

func (s *alertSink) Accept(ctx context.Context, o *monitor.Outcome) error {
	a := s.app
	settings := a.alerting.Load().options
	c := alert.Decide(alert.Input{Ancestors: o.Ancestors, Report: o.Report, Now: a.opts.Now(), ID: newID}, settings)
	if c == nil {
		return nil
	}
	var messages []alert.Message
	for _, n := range c.Notices(settings) {
		messages = append(messages, alert.Message{Key: alert.Key(n.Story, n.Revision, n.Event, n.Channel), Channel: n.Channel, Event: n.Event, Incident: c.Incident})
	}
	for _, out := range a.alerting.Load().dispatcher.Deliver(ctx, messages) {
		if out.Err != nil {
			a.complain(out.Message.Channel, out.Err)
		}
	}
	return nil
}

// metricsSink shows outcomes as metrics.
type metricsSink struct{ app *App }

func (s *metricsSink) Accept(_ context.Context, o *monitor.Outcome) error {
	if o.Side == store.SideInput {
		return nil
	}
	b := s.app.batchMetrics(o.Profile, o.Report)
	b.Took, b.SourceKind = o.Took, o.Source.Format
	b.RuleColumns = RuleColumns(o.Rules)
	s.app.opts.Metrics.Observe(b)
	return nil
}

// RuleColumns lists the columns that rules name, patterns left out: the results
// have what these found.
func RuleColumns(sets []*rules.Set) []string {
	names := []string{}
	for _, s := range sets {
		for _, c := range s.Checks {
			names = append(names, c.Columns...)
			if c.By != "" {
				names = append(names, c.By)
			}
		}
	}
	return names
}

// batchMetrics prepares a judged batch for the metrics.
func (a *App) batchMetrics(p *profile.Profile, r checks.Report) metrics.Batch {
	b := metrics.Batch{Summary: p.Summary(), Profile: p, Report: r, SourceKind: p.Source.Format}
	for i := range r.Results {
		res := &r.Results[i]
		if t := res.BaselineAt; t != nil && t.After(b.BaselineAt) {
			b.BaselineAt = *t
		}
		if b.Owner == "" {
			b.Owner = res.Owner
		}
		if res.Kind != "freshness" || res.Column == "" {
			continue
		}
		if col := b.Summary.Column(res.Column); col != nil {
			if _, hi, ok := col.Bounds(); ok && hi.Type.Family() == batch.Timestamp {
				b.NewestEvent = time.UnixMicro(hi.Int).UTC()
			}
		}
	}
	return b
}

// Subject describes an opened input for the monitor.
func Subject(dataset string, r *source.Reader, sets []*rules.Set) monitor.Subject {
	in, info := r.Input(), r.Info()
	return monitor.Subject{
		Dataset: dataset, Rules: sets, Modified: in.Modified,
		Source: profile.Source{URL: in.URL, Format: info.Format, Compression: info.Compression, Files: len(in.Files)},
	}
}
