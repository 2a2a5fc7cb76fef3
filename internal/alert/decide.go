package alert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Defaults of Options.
const (
	DefaultResolveAfter = 2
	DefaultRepeat       = 24 * time.Hour
)

// Options are the settings that decide when and where people are told. The
// zero value resolves after 2 healthy batches, repeats every 24 hours and tells
// nobody but the console.
type Options struct {
	// ResolveAfter is the number of healthy batches in a row that resolve an
	// incident; 0 is DefaultResolveAfter.
	ResolveAfter int
	// Repeat is the time after which people are told again about an incident
	// that is still open; 0 is DefaultRepeat, a negative one never repeats.
	Repeat time.Duration
	// Routes choose the channels. Without any, all Channels are told.
	Routes []Route
	// Channels are the names of all configured channels, in the order of the
	// configuration. Without any, messages go to Console.
	Channels []string
}

// Validate returns everything that is wrong with the options, joined: routes
// to unknown channels and broken patterns.
func (o *Options) Validate() error {
	var errs []error
	if o.ResolveAfter < 0 {
		errs = append(errs, fmt.Errorf("resolve_after is %d: it must be at least 1", o.ResolveAfter))
	}
	for i := range o.Routes {
		if err := o.Routes[i].validate(o.Channels); err != nil {
			errs = append(errs, fmt.Errorf("route %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Options) resolveAfter() int {
	if o.ResolveAfter <= 0 {
		return DefaultResolveAfter
	}
	return o.ResolveAfter
}

// due reports whether people are to be told again about an incident.
func (o *Options) due(inc *Incident, now time.Time) bool {
	every := o.Repeat
	if every == 0 {
		every = DefaultRepeat
	}
	return every > 0 && inc.Status == Open && now.Sub(inc.NotifiedAt) >= every
}

// Input is what a decision is made of.
type Input struct {
	// Current is the newest incident of the report's dataset, resolved or not;
	// nil if there never was one. It is not changed.
	Current *Incident
	// Upstream are the incidents of the steps before the report's step in its
	// pipeline. Only open ones whose last bad batch was in the report's run are
	// looked at, so the caller need not choose by run. They are not changed.
	Upstream []Incident
	Report   checks.Report
	Now      time.Time
	// ID makes the id of a new incident; it is called at most once.
	ID func() string
}

// Change is an incident to store and what to tell about it. Without an Event
// nobody is told.
type Change struct {
	Incident Incident
	Event    Event
}

// Messages returns what is to be sent about the change, one message per
// channel.
func (c *Change) Messages(o Options) []Message {
	if c.Event == "" {
		return nil
	}
	return Messages(&c.Incident, c.Event, o)
}

// Decide says what a report does to the incident of its dataset, or to the one
// upstream that it folds under. It returns nil if nothing changes. It is a pure
// function: the result shares no memory with the incidents given.
//
// A report with a result of fail or error is bad; one whose results are all
// pass or warn is healthy; any other, one without results too, is neither and
// leaves an incident as it stands. A batch older than the last one judged
// changes nothing, and the same batch judged again counts once.
func Decide(in Input, o Options) *Change {
	r := &in.Report
	cur := in.Current
	if cur != nil && !r.At.IsZero() && r.At.Before(cur.JudgedAt) {
		return nil
	}
	live := cur != nil && cur.Status != Resolved
	findings := worstFirst(r.Alarming())
	switch {
	case len(findings) == 0 && !live:
		return nil
	case len(findings) == 0:
		return calm(cur, r, in.Now, &o)
	case live:
		return worsen(cur, r, findings, in.Now, &o)
	}
	if parent := foldUnder(in.Upstream, r); parent != nil {
		return fold(parent, r, in.Now)
	}
	return open(r, findings, in.Now, in.ID())
}

// Remind returns the repeat of an incident that is open for longer than the
// repeat interval since people were last told; nil if it is not due. It is for
// datasets that get no further batch.
func Remind(inc *Incident, now time.Time, o Options) *Change {
	if !o.due(inc, now) {
		return nil
	}
	next := inc.next(now)
	next.NotifiedAt = now
	return &Change{next, EventRepeated}
}

// next returns a copy to be changed.
func (i *Incident) next(now time.Time) Incident {
	n := i.clone()
	n.Revision++
	n.UpdatedAt = now
	return n
}

func open(r *checks.Report, findings []checks.Result, now time.Time, id string) *Change {
	inc := Incident{
		ID: id, Dataset: r.Dataset, Status: Open, Severity: severityOf(findings),
		Origin: r.Origin, OpenedAt: now, UpdatedAt: now, NotifiedAt: now,
		FirstBatch: r.Batch, Batches: 1, Revision: 1,
	}
	inc.bad(r, findings)
	return &Change{inc, EventOpened}
}

// worsen enters another bad batch, or the same one judged again.
func worsen(cur *Incident, r *checks.Report, findings []checks.Result, now time.Time, o *Options) *Change {
	next := cur.next(now)
	if !cur.counted(r) {
		next.Batches++
	}
	next.Healthy = 0
	next.bad(r, findings)
	raised := cur.Severity == checks.SeverityWarn && severityOf(findings) == checks.SeverityFail
	switch {
	case raised:
		next.Severity, next.Status, next.NotifiedAt = checks.SeverityFail, Open, now
		return &Change{next, EventRaised}
	case o.due(cur, now):
		next.NotifiedAt = now
		return &Change{next, EventRepeated}
	case cur.Status == Snoozed:
		return &Change{next, ""}
	}
	return &Change{next, EventUpdated}
}

// counted reports whether the report is of the last bad batch, judged again.
func (i *Incident) counted(r *checks.Report) bool {
	return r.Batch != "" && r.Batch == i.LastBatch && r.Batch == i.JudgedBatch
}

// bad enters what the last bad batch says.
func (i *Incident) bad(r *checks.Report, findings []checks.Result) {
	if i.LastRun != r.Origin.Run {
		i.Folded = nil
	}
	i.LastBatch, i.LastRun, i.Rows, i.Findings = r.Batch, r.Origin.Run, r.Rows, findings
	i.judged(r)
	i.Owner, i.Tags = "", nil
	for k := range findings {
		if i.Owner == "" {
			i.Owner = findings[k].Owner
		}
		i.Tags = append(i.Tags, findings[k].Tags...)
	}
	slices.Sort(i.Tags)
	i.Tags = slices.Compact(i.Tags)
}

func (i *Incident) judged(r *checks.Report) {
	i.JudgedBatch = r.Batch
	if !r.At.IsZero() {
		i.JudgedAt = r.At
	}
}

// calm enters a batch that is not bad: a healthy one counts towards the end of
// the incident, another one is only remembered as judged.
func calm(cur *Incident, r *checks.Report, now time.Time, o *Options) *Change {
	if cur.Healthy > 0 && r.Batch != "" && r.Batch == cur.JudgedBatch {
		return nil
	}
	next := cur.next(now)
	next.judged(r)
	if !healthy(r) {
		return &Change{next, ""}
	}
	next.Healthy++
	if next.Healthy < o.resolveAfter() {
		return &Change{next, ""}
	}
	next.Status, next.ResolvedAt, next.NotifiedAt = Resolved, now, now
	return &Change{next, EventResolved}
}

func healthy(r *checks.Report) bool {
	for i := range r.Results {
		s := r.Results[i].Status
		if r.Results[i].Kind == checks.KindAuto && s == checks.Learning {
			continue // an incident need not wait for weeks of learning
		}
		if s != checks.Pass && s != checks.Warn {
			return false
		}
	}
	return len(r.Results) > 0
}

// foldUnder returns the incident that a bad batch belongs to: the one opened
// first among those whose last bad batch was in the same run of the same
// pipeline.
func foldUnder(upstream []Incident, r *checks.Report) *Incident {
	var parent *Incident
	for i := range upstream {
		u := &upstream[i]
		if u.Status == Resolved || r.Origin.Run == "" || u.LastRun != r.Origin.Run ||
			u.Origin.Pipeline != r.Origin.Pipeline || u.Dataset == r.Dataset || u.Healthy > 0 {
			continue
		}
		if parent == nil || u.OpenedAt.Before(parent.OpenedAt) ||
			u.OpenedAt.Equal(parent.OpenedAt) && u.ID < parent.ID {
			parent = u
		}
	}
	return parent
}

// fold lists the dataset of the report in the incident above it.
func fold(parent *Incident, r *checks.Report, now time.Time) *Change {
	at, listed := slices.BinarySearch(parent.Folded, r.Dataset)
	if listed {
		return nil
	}
	next := parent.next(now)
	next.Folded = slices.Insert(next.Folded, at, r.Dataset)
	if parent.Status == Snoozed {
		return &Change{next, ""}
	}
	return &Change{next, EventUpdated}
}

// severityOf is fail if something could not be judged or a result counts as
// fail, else warn.
func severityOf(findings []checks.Result) checks.Severity {
	for i := range findings {
		if findings[i].Status == checks.Error || findings[i].Severity != checks.SeverityWarn {
			return checks.SeverityFail
		}
	}
	return checks.SeverityWarn
}

// worstFirst sorts by status, then severity, and keeps the order of the report
// among equals.
func worstFirst(findings []checks.Result) []checks.Result {
	slices.SortStableFunc(findings, func(a, b checks.Result) int {
		if a.Status != b.Status {
			return int(b.Status) - int(a.Status)
		}
		// "fail" sorts before "warn".
		return strings.Compare(string(a.Severity), string(b.Severity))
	})
	return findings
}
