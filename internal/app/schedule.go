package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/store"
)

// scansAtOnce is how many sources are read at the same time.
const scansAtOnce = 2

// schedules is what the service does by itself: it scans the sources of rules at
// their times, and tells of batches that never came. A source whose scan is still
// at work is passed over.
type schedules struct {
	app     *App
	changed chan struct{} // the rules were replaced

	mu      sync.Mutex
	library *rules.Library
	running map[string]bool // scans, by dataset and source

	scans sync.WaitGroup
	slots chan struct{}
}

func newSchedules(a *App) *schedules {
	return &schedules{app: a, changed: make(chan struct{}, 1), running: map[string]bool{}, slots: make(chan struct{}, scansAtOnce)}
}

// UseRules gives the service its rules, at the start and when they are loaded
// again: what it scans, when, and what it judges by.
func (a *App) UseRules(lib *rules.Library) {
	a.schedules.mu.Lock()
	a.schedules.library = lib
	a.schedules.mu.Unlock()
	select {
	case a.schedules.changed <- struct{}{}:
	default:
	}
}

// rules returns the rules that are in force; nil before there are any.
func (s *schedules) rules() *rules.Library {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.library
}

// entry is something that is due at times.
type entry struct {
	next func(time.Time) time.Time
	at   time.Time
	do   func(ctx context.Context, at time.Time)
}

// run does what is due until the context ends, and waits for the scans.
func (s *schedules) run(ctx context.Context) {
	defer s.scans.Wait()
	var entries []entry
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := s.app.opts.Now()
		var first time.Time
		for i := range entries {
			e := &entries[i]
			if at := e.at; !at.IsZero() && !at.After(now) {
				e.at = e.next(now)
				e.do(ctx, at)
			}
			if !e.at.IsZero() && (first.IsZero() || e.at.Before(first)) {
				first = e.at
			}
		}
		wait := time.Hour // the clock may be set meanwhile
		if !first.IsZero() {
			wait = min(wait, max(0, first.Sub(s.app.opts.Now())))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.changed:
			entries = s.entries(ctx)
		}
	}
}

// entries lists what is due by the rules in force. Batches that should have come
// before are looked for at once, where the dataset has a history: rules that are
// new do not ask for the past.
func (s *schedules) entries(ctx context.Context) (out []entry) {
	lib := s.rules()
	if lib == nil {
		return nil
	}
	now := s.app.opts.Now()
	out = append(out, entry{nextLook, now, func(ctx context.Context, _ time.Time) {
		if err := s.overdue(ctx, lib); err != nil && ctx.Err() == nil {
			s.app.log.Error("late batches not looked for", "err", err)
		}
	}})
	for _, set := range lib.Scans() {
		out = append(out, entry{set.Scan.Schedule.Next, set.Scan.Schedule.Next(now), func(ctx context.Context, at time.Time) { s.start(ctx, lib, set, at) }})
	}
	for _, set := range lib.Sets {
		if set.Dataset == "" || checks.IsPattern(set.Dataset) {
			continue
		}
		for _, c := range set.Checks {
			expects, ok := c.Expects()
			if !ok {
				continue
			}
			look := func(ctx context.Context, known bool) {
				if err := s.arrival(ctx, set, expects, known); err != nil && ctx.Err() == nil {
					s.app.log.Error("arrivals not looked at", "dataset", set.Dataset, "err", err)
				}
			}
			look(ctx, true)
			out = append(out, entry{expects.Next, expects.Next(now), func(ctx context.Context, _ time.Time) { look(ctx, false) }})
		}
	}
	return out
}

// start scans a source beside other work.
func (s *schedules) start(ctx context.Context, lib *rules.Library, set *rules.Set, at time.Time) {
	key := set.Dataset + " " + set.Scan.Source
	s.mu.Lock()
	busy := s.running[key]
	s.running[key] = true
	s.mu.Unlock()
	if busy {
		s.app.log.Warn("scan passed over, the one before is still at work", "dataset", set.Dataset, "source", set.Scan.Source)
		return
	}
	s.scans.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.running, key)
			s.mu.Unlock()
		}()
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		defer func() { <-s.slots }()
		s.scan(ctx, lib.For(set.Dataset), set, at)
	})
}

// scan judges the batches of a source.
func (s *schedules) scan(ctx context.Context, sets []*rules.Set, set *rules.Set, at time.Time) {
	inputs, err := source.Expand([]string{set.Scan.Source}, set.Scan.Each)
	if err != nil {
		s.unread(ctx, sets, set, at, err)
		return
	}
	for _, in := range inputs {
		if ctx.Err() != nil {
			return
		}
		o, err := s.observe(ctx, in, sets, set, at)
		switch {
		case ctx.Err() != nil:
			return
		case o != nil:
			s.app.log.Info("scanned", "dataset", set.Dataset, "batch", o.Report.Batch, "rows", o.Report.Rows, "verdict", o.Report.Verdict.String())
			if err != nil {
				s.app.log.Error("scan not recorded", "dataset", set.Dataset, "err", err)
			}
		case err != nil:
			s.unread(ctx, sets, set, at, err)
		}
	}
}

// observe sends one input through the monitor. With each, files that are
// recorded and were not written since are passed over: then there is no outcome.
func (s *schedules) observe(ctx context.Context, in source.Input, sets []*rules.Set, set *rules.Set, at time.Time) (*monitor.Outcome, error) {
	name, when, asOf := at.UTC().Format(time.RFC3339), at, time.Time{}
	partition, ok := source.PartitionOf(in, time.UTC)
	switch {
	case ok:
		name, when, asOf = partition.Name, partition.From, partition.To
	case set.Scan.Each:
		name, when = filepath.Base(in.Files[0]), in.Modified
	}
	if set.Scan.Each {
		known, err := s.app.Store.Batches(ctx, store.Query{Dataset: set.Dataset, Batch: name, Limit: 1, All: true})
		if err != nil || len(known) > 0 && !in.Modified.After(known[0].RecordedAt) {
			return nil, err
		}
	}
	r, err := source.Open(ctx, in, source.Options{Format: set.Scan.Format, Delimiter: set.Scan.Delimiter})
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	subject := Subject(set.Dataset, r, sets)
	subject.Batch, subject.At, subject.AsOf = name, when, asOf
	return s.app.Observe(ctx, r, subject)
}

// unread records that a source could not be read: an error of the dataset.
func (s *schedules) unread(ctx context.Context, sets []*rules.Set, set *rules.Set, at time.Time, err error) {
	s.app.log.Error("scan failed", "dataset", set.Dataset, "source", set.Scan.Source, "err", err)
	if set.Scan.Each && isAbsent(err) {
		return // nothing has come yet
	}
	s.app.ProfileFailed(ctx, set.Dataset, "")
	res := checks.Result{
		ID: "source", Kind: "source", Status: checks.Error, Severity: checks.SeverityFail, Limit: "the source can be read", Message: err.Error(),
		Rule: &checks.Rule{File: set.Scan.Pos.File, Line: set.Scan.Pos.Line, Column: set.Scan.Pos.Column}, Owner: set.Owner, Tags: set.Tags,
	}
	s.record(ctx, sets, set.Dataset, at.UTC().Format(time.RFC3339), at, res)
}

// isAbsent reports whether a source has no file yet.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist)
}

// record writes a result without data to the store and tells of it.
func (s *schedules) record(ctx context.Context, sets []*rules.Set, dataset, batch string, at time.Time, res checks.Result) {
	o := &monitor.Outcome{Subject: monitor.Subject{Dataset: dataset, Batch: batch, At: at, AsOf: at, Rules: sets}}
	o.Report = checks.Report{Version: 1, Dataset: dataset, Batch: batch, At: at.UTC(), Verdict: checks.VerdictOf([]checks.Result{res}), Results: []checks.Result{res}}
	if err := (&storeSink{s.app}).Accept(ctx, o); err != nil && ctx.Err() == nil {
		s.app.log.Error("not recorded", "dataset", dataset, "batch", batch, "err", err)
	}
}

// arrival records a missing batch once. A batch came if any was recorded since
// the deadline before. known asks for a history: without it nothing is missing.
func (s *schedules) arrival(ctx context.Context, set *rules.Set, e checks.Expectation, known bool) error {
	now := s.app.opts.Now()
	due, before, ok := e.Due(now)
	if !ok {
		return nil
	}
	last, err := s.lastCame(ctx, set.Dataset)
	if err != nil {
		return err
	}
	if last.IsZero() && known || !before.IsZero() && last.After(before.Add(e.Grace())) {
		return nil
	}
	batch := "missing-" + due.UTC().Format(time.RFC3339)
	told, err := s.app.Store.Batches(ctx, store.Query{Dataset: set.Dataset, Batch: batch, Limit: 1, All: true})
	if err != nil || len(told) > 0 {
		return err
	}
	res := e.Missed(due, last, now)
	s.app.log.Warn("a batch did not come", "dataset", set.Dataset, "expected", due.UTC().Format(time.RFC3339))
	s.record(ctx, []*rules.Set{set}, set.Dataset, batch, due.Add(e.Grace()), res)
	return nil
}

// nextLook is when late batches are looked for after now.
func nextLook(now time.Time) time.Time {
	const every = 5 * time.Minute
	return now.Truncate(every).Add(every)
}

// overdue records batches that are late by what was learned of their datasets,
// each once. Where a rule says when batches come, that alone counts.
func (s *schedules) overdue(ctx context.Context, lib *rules.Library) error {
	all, err := s.app.Store.Datasets(ctx)
	if err != nil {
		return err
	}
	now := s.app.opts.Now()
	for i := range all {
		sets := lib.For(all[i].Dataset)
		if rules.AutoOf(sets).Preset == anomaly.Off || expectsBatches(sets) {
			continue
		}
		arrivals, err := s.arrivals(ctx, all[i].Dataset)
		if err != nil {
			return err
		}
		late, ok := anomaly.Overdue(arrivals, now)
		if !ok {
			continue
		}
		batch := "missing-" + late.Due.UTC().Format(time.RFC3339)
		told, err := s.app.Store.Batches(ctx, store.Query{Dataset: all[i].Dataset, Batch: batch, Limit: 1, All: true})
		if err != nil {
			return err
		}
		if len(told) > 0 {
			continue
		}
		s.app.log.Warn("a batch is late", "dataset", all[i].Dataset, "expected", late.Expected.Format(time.RFC3339))
		s.record(ctx, sets, all[i].Dataset, batch, late.Due, monitor.Missing(sets, &late, now))
	}
	return nil
}

// expectsBatches reports whether a rule says when batches come.
func expectsBatches(sets []*rules.Set) bool {
	for _, set := range sets {
		for _, c := range set.Checks {
			if _, ok := c.Expects(); ok {
				return true
			}
		}
	}
	return false
}

// arrivals lists when the newest batches with data came, that of a name once.
func (s *schedules) arrivals(ctx context.Context, dataset string) (out []anomaly.Arrival, err error) {
	all, err := s.app.Store.Batches(ctx, store.Query{Dataset: dataset, Limit: arrivalsLookAt, All: true})
	if err != nil {
		return nil, fmt.Errorf("read the batches of %s: %w", dataset, err)
	}
	known := map[string]int{}
	for i := range all {
		b := &all[i]
		if b.SchemaHash == "" || b.Side == monitor.SideInput {
			continue
		}
		if k, ok := known[b.Batch]; ok { // what several steps judged, or what came again
			if b.RecordedAt.Before(out[k].Came) {
				out[k].Came = b.RecordedAt
			}
			continue
		}
		known[b.Batch] = len(out)
		out = append(out, anomaly.Arrival{At: b.At, Came: b.RecordedAt})
	}
	return out, nil
}

// lastCame returns when the newest batch with data was recorded, the zero time
// if there is none.
func (s *schedules) lastCame(ctx context.Context, dataset string) (last time.Time, err error) {
	all, err := s.app.Store.Batches(ctx, store.Query{Dataset: dataset, Limit: arrivalsLookAt, All: true})
	if err != nil {
		return last, fmt.Errorf("read the batches of %s: %w", dataset, err)
	}
	for i := range all {
		if all[i].SchemaHash != "" && all[i].RecordedAt.After(last) {
			last = all[i].RecordedAt
		}
	}
	return last, nil
}

// arrivalsLookAt is how many of the newest batches, by their times, are looked at
// for the one that was recorded last.
const arrivalsLookAt = 200
