package app

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
)

// storeHistory answers what checks ask of the past from the store.
type storeHistory struct{ store *store.Store }

var (
	_ monitor.History = storeHistory{}
	_ monitor.Learner = storeHistory{}
)

// Learned returns what was learned of the dataset before the batch.
func (h storeHistory) Learned(ctx context.Context, s monitor.Subject) (*monitor.Learned, error) {
	state, version, err := h.store.Learned(ctx, s.Dataset, s.Batch, s.At)
	if err != nil {
		return nil, err
	}
	return &monitor.Learned{State: state, Version: version}, nil
}

// Past answers each need by itself; what cannot be read makes the checks that
// asked for it end in error.
func (h storeHistory) Past(ctx context.Context, s monitor.Subject, needs []checks.Need) map[checks.Need]checks.Past {
	out := map[checks.Need]checks.Past{}
	for _, n := range needs {
		p, err := h.past(ctx, s, n)
		if err != nil {
			p = checks.Past{Err: "the history could not be read: " + err.Error()}
		}
		out[n] = p
	}
	return out
}

func (h storeHistory) past(ctx context.Context, s monitor.Subject, n checks.Need) (checks.Past, error) {
	if n.Window.Pinned != "" {
		return pinned(n), nil
	}
	if n.Dataset != "" {
		return h.other(ctx, s, n)
	}
	if n.Results != "" {
		values, methods, err := h.store.ResultValues(ctx, s.Dataset, n.Results, s.Batch, s.At, 60)
		return checks.Past{Values: values, Methods: methods}, err
	}
	q := store.Query{Dataset: s.Dataset, Before: s.At, Except: s.Batch, Limit: n.Window.Batches}
	if n.Window.Span > 0 {
		q.Since = s.At.Add(-n.Window.Span)
	}
	if n.Profile {
		profiles, err := h.store.Profiles(ctx, q)
		// Samples of another share do not merge.
		profiles = slices.DeleteFunc(profiles, func(p *profile.Profile) bool { return p.Stats.Sample != s.Sample })
		if err != nil || len(profiles) == 0 {
			return checks.Past{}, err
		}
		q.Limit = 1
		newest, err := h.store.Batches(ctx, q)
		if err != nil {
			return checks.Past{}, err
		}
		merged, err := profile.MergedPast(profiles...)
		past := checks.Past{Profile: merged, Batches: len(profiles)}
		if len(newest) > 0 {
			past.At = newest[0].At
		}
		return past, err
	}
	points, err := h.store.Series(ctx, s.Dataset, n.Column, n.Metric, s.At, 0)
	if err != nil {
		return checks.Past{}, err
	}
	return checks.Past{Values: choose(points, s, n.Window)}, nil
}

// other returns the number of another dataset's batch: that of the same name,
// else of the same time, else the newest one before.
func (h storeHistory) other(ctx context.Context, s monitor.Subject, n checks.Need) (checks.Past, error) {
	points, err := h.store.Series(ctx, n.Dataset, n.Column, n.Metric, s.At.Add(time.Microsecond), 0)
	if err != nil || len(points) == 0 {
		return checks.Past{}, err
	}
	at := slices.IndexFunc(points, func(p store.Point) bool { return p.Batch == s.Batch })
	return checks.Past{Values: []float64{points[max(at, 0)].Value}, Batches: 1}, nil // newest first: those of the same time lead
}

// sameWeekdays is how many batches of one weekday are compared with.
const sameWeekdays = 4

// choose picks the points of a window, newest first.
func choose(points []store.Point, s monitor.Subject, w checks.Window) (values []float64) {
	limit := w.Batches
	if w.SameWeekday {
		limit = sameWeekdays
	}
	for _, p := range points {
		switch {
		case p.Batch == s.Batch,
			w.SameWeekday && p.At.UTC().Weekday() != s.At.UTC().Weekday(),
			w.Span > 0 && p.At.Before(s.At.Add(-w.Span)):
			continue
		}
		values = append(values, p.Value)
		if limit > 0 && len(values) == limit {
			break
		}
	}
	return values
}

func pinned(n checks.Need) checks.Past {
	p, err := ReadProfile(n.Window.Pinned)
	if err != nil {
		return checks.Past{Err: err.Error()}
	}
	return monitor.ProfilePast(p, 0, n)
}

// ReadProfile reads a saved profile.
func ReadProfile(path string) (*profile.Profile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	p, err := profile.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; save it again with profiler profile --save", path, err)
	}
	return p, nil
}

// Baseline is a history of one profile: it replaces what checks would compare
// with.
type Baseline struct{ Profile *profile.Profile }

var (
	_ monitor.History = Baseline{}
	_ monitor.Learner = Baseline{}
)

// Learned is what the one profile teaches: its columns and types.
func (b Baseline) Learned(_ context.Context, s monitor.Subject) (*monitor.Learned, error) {
	state := anomaly.NewState()
	f := anomaly.Extract(b.Profile, s.At.Add(-time.Microsecond))
	o := anomaly.Options{Preset: anomaly.Normal}
	state.Add("baseline", f, o, state.Judge(f, o), anomaly.NoLabel)
	return &monitor.Learned{State: state}, nil
}

// Past answers all needs from the profile.
func (b Baseline) Past(_ context.Context, _ monitor.Subject, needs []checks.Need) map[checks.Need]checks.Past {
	out := map[checks.Need]checks.Past{}
	for _, n := range needs {
		if n.Results != "" {
			continue
		}
		if n.Dataset != "" {
			out[n] = checks.Past{Err: "a baseline knows nothing of " + n.Dataset + "; name a store"}
			continue
		}
		out[n] = monitor.ProfilePast(b.Profile, 0, n)
	}
	return out
}

// pinnedOnly is the history without a store: files alone.
type pinnedOnly struct{}

func (pinnedOnly) Past(_ context.Context, _ monitor.Subject, needs []checks.Need) map[checks.Need]checks.Past {
	out := map[checks.Need]checks.Past{}
	for _, n := range needs {
		if n.Window.Pinned != "" {
			out[n] = pinned(n)
		}
	}
	return out
}

// AsOf is the moment that freshness of a recorded batch was measured from. A
// batch that is named after its day was complete at the end of it.
func AsOf(r *store.Recorded) time.Time {
	if day, err := time.Parse("2006-01-02", r.Batch.Batch); err == nil && day.Equal(r.At) {
		return day.AddDate(0, 0, 1)
	}
	return r.At
}

// PastHistory answers needs of batches that were recorded earlier.
type PastHistory struct{ h storeHistory }

// History returns the history of a store.
func History(s *store.Store) PastHistory { return PastHistory{storeHistory{s}} }

// PastOf answers the needs of a recorded batch.
func (p PastHistory) PastOf(ctx context.Context, dataset, batch string, at time.Time, needs []checks.Need) map[checks.Need]checks.Past {
	return p.h.Past(ctx, monitor.Subject{Dataset: dataset, Batch: batch, At: at}, needs)
}
