// Package monitor is the one place where everything comes together: it reads
// a batch once, profiles it, judges it by rules and by the past, and hands the
// outcome to its sinks: the store, the metrics, the alerts. Every way in goes
// through Observe: commands, pipelines, the service.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
)

// Subject says which batch is observed.
type Subject struct {
	Dataset string // namespace/name
	// Batch names the batch; empty is the hash of what the reader read, for a
	// reader that has one.
	Batch string
	// At is the time of the batch; zero is now.
	At time.Time
	// AsOf is what freshness measures from; zero is At if that was given, else
	// now.
	AsOf time.Time
	// Location is the zone of times in the data that name none; nil is UTC.
	Location *time.Location
	// Modified is when the data was written; zero if unknown.
	Modified time.Time
	Source   profile.Source
	Origin   checks.Origin
	// Side is "input" or "output" of a pipeline step, else empty.
	Side string
	// Ancestors are the steps before this one in its pipeline: their incidents
	// take its failures in.
	Ancestors []string
	// Descendants are the steps after it.
	Descendants []string
	// Sampled says that a sample stands for the batch: it is judged by what was
	// learned, and goes to the sinks. Sample is the share of the rows that were
	// taken, set once they are read; 0 if all were.
	Sampled bool
	Sample  float64
	// Input is the profile of the step's input, for checks against it, and Rejects
	// how many of its records the step reported as bad.
	Input   *profile.Profile
	Rejects int64
	// Rules are the sets that apply.
	Rules []*rules.Set
	// Sensitive names columns whose values are masked, beside those that the
	// rules name.
	Sensitive checks.Sensitive
}

// Outcome is a judged batch.
type Outcome struct {
	Subject
	Profile *profile.Profile
	Report  checks.Report
	// Rejected has the numbers of all failing rows, if they were marked.
	Rejected []checks.Rejected
	// Took is how long reading and judging took.
	Took time.Duration
	// Partial says that the reader left rows out: the sinks were not called.
	Partial bool
	// Auto is the learned decision; nil where nothing judges.
	Auto *Auto
}

// History answers what checks want to know of the past of a dataset. Only
// accepted batches before the given time count, and never the batch itself.
type History interface {
	Past(ctx context.Context, s Subject, needs []checks.Need) map[checks.Need]checks.Past
}

// Sink takes outcomes: a store, metrics, alerts. Sinks are called one after
// the other, in their order.
type Sink interface {
	Accept(ctx context.Context, o *Outcome) error
}

// Options configure a Monitor.
type Options struct {
	// History is nil where nothing is known of the past.
	History History
	// Learner is nil where nothing is learned.
	Learner Learner
	Sinks   []Sink
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// FailingRows is how many failing rows a result keeps.
	FailingRows int
	// MarkRows remembers which rows fail, for Outcome.Rejected.
	MarkRows bool
	// Space is the memory and the disk of all checks that count exactly; nil is
	// the default memory alone, for each batch.
	Space *exact.Space
	// Key returns the key of sensitive columns; nil is one of this process alone.
	Key func(ctx context.Context) (*profile.Key, error)
	// Workers is how many goroutines work on the columns of a batch; 0 is one
	// for each processor. The outcome does not depend on it.
	Workers int
}

// Monitor observes batches. It is safe for concurrent use if its history and
// its sinks are.
type Monitor struct{ opts Options }

// New returns a monitor.
func New(opts Options) *Monitor {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Key == nil {
		own := sync.OnceValues(profile.RandomKey)
		opts.Key = func(context.Context) (*profile.Key, error) { return own() }
	}
	return &Monitor{opts: opts}
}

// hashed is a reader that can name its content.
type hashed interface{ Hash() string }

// partial is a reader that may have left rows of its batch out.
type partial interface{ Partial() bool }

// Observe reads the batch to its end, judges it and hands the outcome to the
// sinks. An error of reading gives no outcome. Errors of sinks are returned
// beside the outcome, joined; the other sinks are called all the same. A batch
// of which a part was left out is judged as it was seen and goes to no sink: its
// numbers would be taken for those of the whole. A panic of the reader or of a
// check is that of the caller.
func (m *Monitor) Observe(ctx context.Context, r batch.Reader, s Subject) (*Outcome, error) {
	o, err := m.Judge(ctx, r, s)
	if err != nil || o.Partial {
		return o, err
	}
	var errs []error
	for _, sink := range m.opts.Sinks {
		errs = append(errs, sink.Accept(ctx, o))
	}
	return o, errors.Join(errs...)
}

// Judge is Observe without the sinks, for callers that hand the outcome on by
// themselves.
func (m *Monitor) Judge(ctx context.Context, r batch.Reader, s Subject) (*Outcome, error) {
	start := m.opts.Now()
	if s.AsOf.IsZero() {
		s.AsOf = s.At
		if s.At.IsZero() {
			s.AsOf = start
		}
	}
	if s.At.IsZero() {
		s.At = start
	}
	plan := rules.Plan(s.Rules, m.opts.FailingRows)
	plan.MarkRows = m.opts.MarkRows
	plan.Sensitive = append(plan.Sensitive, s.Sensitive...)
	builder, err := m.builder(ctx, plan.Sensitive)
	if err != nil {
		return nil, err
	}
	plan.Known = known(ctx, plan.References())
	if m.opts.Space != nil {
		plan.Space = m.opts.Space.Until(ctx)
	}
	eval := checks.New(plan)
	defer eval.Close()
	p := pass{builder: builder, eval: eval, workers: m.opts.Workers}
	if err := p.read(ctx, r); err != nil {
		return nil, err
	}
	if h, ok := r.(hashed); ok && s.Batch == "" {
		s.Batch = h.Hash()
	}
	o := &Outcome{Subject: s}
	o.Profile = builder.Finish(r.Columns(), profile.Info{Dataset: s.Dataset, Source: s.Source, Stats: r.Stats(), ProfiledAt: m.opts.Now().UTC()})
	s.Sample, o.Sample = o.Profile.Stats.Sample, o.Profile.Stats.Sample
	results := eval.Results(checks.Input{
		Profile: o.Profile, At: s.At, AsOf: s.AsOf, Modified: s.Modified, Location: s.Location, Past: m.past(ctx, s, eval.Needs(r.Columns())),
		Rejects: s.Rejects,
	})
	if err := ctx.Err(); err != nil {
		return nil, err // what was not counted yet is no error of the data
	}
	if p, ok := r.(partial); ok && p.Partial() && !s.Sampled {
		o.Partial = true
	} else if o.Auto = m.learned(ctx, o); o.Auto != nil {
		results = append(results, o.Auto.Result)
	}
	o.Rejected = eval.Rejected()
	o.Report = checks.Report{
		Version: 1, Dataset: s.Dataset, Batch: s.Batch, At: s.At.UTC(), Verdict: checks.VerdictOf(results),
		Rows: o.Profile.Rows(), Results: results, Origin: s.Origin,
	}
	o.Report.Sample = checks.SampleOf(o.Profile)
	o.Took = m.opts.Now().Sub(start)
	return o, nil
}

// builder starts a profile that keeps no value of sensitive columns.
func (m *Monitor) builder(ctx context.Context, sensitive checks.Sensitive) (*profile.Builder, error) {
	b := profile.NewBuilder()
	if len(sensitive) == 0 {
		return b, nil
	}
	key, err := m.opts.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("the key of sensitive columns: %w", err)
	}
	b.Protect(key, sensitive.Has)
	return b, nil
}

// past answers the needs: those about the step's input here, all others by the
// history.
func (m *Monitor) past(ctx context.Context, s Subject, needs []checks.Need) map[checks.Need]checks.Past {
	out := map[checks.Need]checks.Past{}
	var rest []checks.Need
	for _, n := range needs {
		if why := checks.NotCompared(n.Metric, s.Sample); why != "" && !sameSample(s, n) {
			out[n] = checks.Past{Err: why}
		} else if n.Window.Input {
			out[n] = inputPast(s, n)
		} else {
			rest = append(rest, n)
		}
	}
	if len(rest) > 0 && m.opts.History != nil {
		for n, p := range m.opts.History.Past(ctx, s, rest) {
			out[n] = p
		}
	}
	return out
}

// sameSample reports whether a number of the step's input is of as large a sample
// as the batch.
func sameSample(s Subject, n checks.Need) bool {
	return n.Window.Input && s.Input != nil && s.Input.Stats.Sample == s.Sample
}

func inputPast(s Subject, n checks.Need) checks.Past {
	if s.Input == nil {
		return checks.Past{Err: "the input of the step is not profiled; against: input has a meaning only in a pipeline step with an input"}
	}
	return ProfilePast(s.Input, 1, n)
}

// ProfilePast answers a need from one profile that stands for the given number
// of batches.
func ProfilePast(p *profile.Profile, batches int, n checks.Need) checks.Past {
	if n.Profile {
		return checks.Past{Profile: p, Batches: batches, At: p.ProfiledAt, Baseline: batches == 0}
	}
	var v float64
	var ok bool
	if n.Column == "" {
		v, ok = p.Summary().Metric(n.Metric)
	} else if col := p.Column(n.Column); col != nil {
		v, ok = col.Metric(n.Metric)
	} else {
		return checks.Past{Err: fmt.Sprintf("the data to compare with has no column %q", n.Column)}
	}
	if !ok {
		return checks.Past{}
	}
	return checks.Past{Values: []float64{v}, Batches: batches, Baseline: batches == 0}
}

// Gate returns what a gate does with the batch: "" if it lets it pass, else the
// strictest action of the failed checks: block, quarantine or warn. A check
// without an action of its own takes fallback.
func (o *Outcome) Gate(fallback string) string {
	strength := map[string]int{"": 0, "warn": 1, "quarantine": 2, "block": 3}
	gate := ""
	for i := range o.Report.Results {
		r := &o.Report.Results[i]
		if r.Status != checks.Fail && r.Status != checks.Error || !r.Stops() {
			continue
		}
		action := r.OnFail
		if action == "" {
			action = fallback
		}
		if action == "" {
			action = "block"
		}
		if strength[action] > strength[gate] {
			gate = action
		}
	}
	return gate
}
