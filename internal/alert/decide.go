package alert

import (
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Input is what a decision is made of.
type Input struct {
	// Current is the newest incident of the report's dataset, resolved or not;
	// nil if there never was one. It is not changed.
	Current *Incident
	// Pipeline are the live incidents of other datasets of the report's
	// pipeline. They are not changed.
	Pipeline []Incident
	// Ancestors and Descendants are the steps before and after the report's.
	Ancestors, Descendants []string
	Report                 checks.Report
	// Chart compares the worst finding's column with its past; may be nil.
	Chart *Chart
	Now   time.Time
	// ID makes the id of a new incident; it is called at most once.
	ID func() string
}

// Change is an incident to store and what to tell about it. Without an Event
// nobody is told.
type Change struct {
	Incident Incident
	Event    Event
	// Forget says that the incident is to be deleted: a trouble that was not
	// confirmed.
	Forget bool
	// Suppressed are the reasons for which something was not told, in the words
	// of the metrics: grouped, silenced, acknowledged, snoozed, flapping.
	Suppressed []string
}

// Notices returns what is to be written into the outbox with the change.
func (c *Change) Notices(o Options) []Notice {
	if c.Event == "" || c.Forget {
		return nil
	}
	i := &c.Incident
	due := i.UpdatedAt
	if c.Event == EventOpened {
		due = due.Add(o.groupWait())
	}
	out := make([]Notice, 0, len(i.Channels))
	for _, name := range i.Channels {
		if len(o.Channels) > 0 && !slices.Contains(o.Channels, name) {
			continue // it is configured no more
		}
		out = append(out, Notice{Channel: name, Story: i.ID, Dataset: i.Dataset, Event: c.Event, Revision: i.Revision, Due: due})
	}
	return out
}

// Decide says what a report does to the incident of its dataset, or to the one
// of its pipeline that it belongs to. It returns nil if nothing changes. It is
// a pure function: the result shares no memory with the incidents given.
//
// A report with a result of fail or error is bad, one with a warn too where a
// route asks for it; one whose results are all pass or warn is healthy; any
// other, one without results too, is neither and leaves an incident as it
// stands. A batch older than the last one judged changes nothing, and the same
// batch judged again counts once.
func Decide(in Input, o Options) *Change {
	r, cur := &in.Report, in.Current
	if cur != nil && !r.At.IsZero() && r.At.Before(cur.JudgedAt) {
		return nil
	}
	findings := o.findings(r)
	var c *Change
	switch {
	case len(findings) == 0 && cur == nil:
		return nil
	case len(findings) == 0:
		c = calm(cur, r, in.Now, &o)
	case cur != nil && cur.Live():
		c = worsen(cur, &in, findings, &o)
	default:
		c = trouble(&in, findings, &o)
	}
	return o.finish(c, in.Now)
}

// trouble enters a bad batch of a dataset that has no live incident.
func trouble(in *Input, findings []checks.Result, o *Options) *Change {
	cur, r := in.Current, &in.Report
	if cur != nil && cur.Status == Resolved && cur.excused(r) {
		return nil
	}
	if parent := foldUnder(in); parent != nil {
		return fold(parent, r, in.Now)
	}
	if child := movesTo(in); child != nil {
		return move(child, in, findings)
	}
	if cur != nil && cur.Status == Resolved && o.soon(cur, r, in.Now) {
		return reopen(cur, in, findings)
	}
	return begin(in, findings, o)
}

// begin opens an incident, or remembers a bad batch that has to be confirmed.
func begin(in *Input, findings []checks.Result, o *Options) *Change {
	cur, r, now := in.Current, &in.Report, in.Now
	var inc Incident
	if cur != nil && cur.Status == Pending {
		inc = cur.next(now)
		if !cur.counted(r) {
			inc.Batches++
		}
	} else {
		inc = Incident{ID: in.ID(), Dataset: r.Dataset, OpenedAt: now, UpdatedAt: now, FirstBatch: r.Batch, Batches: 1, Revision: 1}
	}
	inc.Severity, inc.Origin, inc.Step = severityOf(findings), r.Origin, r.Origin.Step
	inc.bad(in, findings)
	if inc.Batches < o.confirmations(&inc, r.Origin.Step != "" && len(in.Ancestors) == 0) {
		inc.Status = Pending
		return &Change{Incident: inc}
	}
	inc.Status, inc.NotifiedAt = Open, now
	return &Change{Incident: inc, Event: EventOpened}
}

// worsen enters another bad batch, or the same one judged again.
func worsen(cur *Incident, in *Input, findings []checks.Result, o *Options) *Change {
	r, now := &in.Report, in.Now
	next := cur.next(now)
	if !cur.counted(r) {
		next.Batches++
	}
	moved := cur.Began != "" && cur.LastRun == r.Origin.Run && slices.Contains(in.Ancestors, cur.Origin.Step)
	next.Healthy = 0
	next.bad(in, findings)
	if !moved {
		next.Origin, next.Began, next.BeganWith = r.Origin, "", ""
	}
	raised := cur.Severity == checks.SeverityWarn && severityOf(findings) == checks.SeverityFail
	switch {
	case raised:
		next.Severity = checks.SeverityFail
		next.wake(now)
		return &Change{Incident: next, Event: EventRaised}
	case cur.Status == Snoozed && cur.SnoozedUntil.IsZero() && !cur.counted(r),
		cur.Status == Snoozed && !cur.SnoozedUntil.IsZero() && !now.Before(cur.SnoozedUntil):
		next.wake(now)
		return &Change{Incident: next, Event: EventWoke}
	case cur.Status == Snoozed:
		return &Change{Incident: next, Suppressed: []string{"snoozed"}}
	case cur.Status == Open && o.repeatDue(cur, now):
		next.NotifiedAt = now
		return &Change{Incident: next, Event: EventRepeated}
	}
	return &Change{Incident: next, Event: EventUpdated}
}

// wake opens an incident that somebody had acknowledged or snoozed.
func (i *Incident) wake(now time.Time) {
	i.Status, i.NotifiedAt = Open, now
	i.SnoozedBy, i.SnoozedUntil = "", time.Time{}
	i.AcknowledgedBy, i.AcknowledgedAt = "", time.Time{}
}

// counted reports whether the report is of the last bad batch, judged again.
func (i *Incident) counted(r *checks.Report) bool {
	return r.Batch != "" && r.Batch == i.LastBatch && r.Batch == i.JudgedBatch
}

// excused reports whether somebody said that the batch is fine.
func (i *Incident) excused(r *checks.Report) bool {
	return i.Answer != "" && i.Answer != AnswerReal && r.Batch != "" && slices.Contains(i.BadBatches, r.Batch)
}

// bad enters what a bad batch says.
func (i *Incident) bad(in *Input, findings []checks.Result) {
	r := &in.Report
	if i.LastRun != r.Origin.Run {
		i.Folded = nil
	}
	i.LastBatch, i.LastRun, i.Rows, i.Findings, i.Chart = r.Batch, r.Origin.Run, r.RowsRead(), findings, in.Chart
	if r.Batch != "" && !slices.Contains(i.BadBatches, r.Batch) {
		i.BadBatches = append(i.BadBatches, r.Batch)
		i.BadBatches = i.BadBatches[max(0, len(i.BadBatches)-maxBadBatches):]
	}
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
// the incident, and after it for telling whether the next failure is soon;
// another one is only remembered as judged.
func calm(cur *Incident, r *checks.Report, now time.Time, o *Options) *Change {
	healthy := healthy(r)
	switch {
	case cur.Status == Pending && !healthy, cur.Status == Resolved && (!healthy || cur.Healthy >= 2*o.resolveAfter()):
		return nil
	case cur.Status == Pending:
		return &Change{Incident: cur.clone(), Forget: true}
	case cur.Healthy > 0 && r.Batch != "" && r.Batch == cur.JudgedBatch:
		return nil
	}
	next := cur.next(now)
	next.judged(r)
	if !healthy {
		return &Change{Incident: next}
	}
	next.Healthy++
	if cur.Status == Resolved || next.Healthy < o.resolveAfter() {
		return &Change{Incident: next}
	}
	next.resolve(now)
	return &Change{Incident: next, Event: EventResolved}
}

func (i *Incident) resolve(now time.Time) {
	i.Status, i.ResolvedAt, i.NotifiedAt = Resolved, now, now
	i.SnoozedUntil = time.Time{}
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

// soon reports whether a failure belongs to an incident that is over: there
// were not yet as many further healthy batches as resolved it, or only a short
// time has passed by the clock and in the data. What somebody answered is over
// for good.
func (o *Options) soon(cur *Incident, r *checks.Report, now time.Time) bool {
	if cur.Answer != "" && cur.Answer != AnswerReal {
		return false
	}
	within := orDefault(o.ReopenWithin, DefaultReopenWithin)
	return cur.Healthy < 2*o.resolveAfter() ||
		now.Sub(cur.ResolvedAt) < within && (r.At.IsZero() || r.At.Sub(cur.JudgedAt) < within)
}

// quietFlaps is how often people are told of the same incident coming back.
// After that its message only changes.
const quietFlaps = 2

// reopen continues an incident that was over.
func reopen(cur *Incident, in *Input, findings []checks.Result) *Change {
	next := cur.next(in.Now)
	next.Flaps++
	next.Batches++
	next.Healthy, next.ResolvedAt, next.Severity = 0, time.Time{}, severityOf(findings)
	next.Answer, next.AnsweredBy, next.AnsweredAt = "", "", time.Time{}
	next.Origin, next.Began, next.BeganWith = in.Report.Origin, "", ""
	next.wake(in.Now)
	next.bad(in, findings)
	c := &Change{Incident: next, Event: EventReopened, Suppressed: []string{"flapping"}}
	if next.Flaps > quietFlaps {
		c.Event = EventUpdated
	}
	return c
}

// foldUnder returns the incident that a bad batch belongs to: the one opened
// first among those of earlier steps whose last bad batch was in the same run.
func foldUnder(in *Input) *Incident {
	return oldest(in, func(i *Incident) bool {
		return i.LastRun == in.Report.Origin.Run && slices.Contains(in.Ancestors, i.Origin.Step)
	})
}

// movesTo returns the incident of a later step that a bad batch belongs to: the
// trouble begins earlier than was seen before.
func movesTo(in *Input) *Incident {
	return oldest(in, func(i *Incident) bool { return slices.Contains(in.Descendants, i.Step) })
}

func oldest(in *Input, belongs func(*Incident) bool) *Incident {
	o := &in.Report.Origin
	var first *Incident
	for k := range in.Pipeline {
		i := &in.Pipeline[k]
		if !i.Live() || o.Run == "" || i.Origin.Pipeline != o.Pipeline || i.Dataset == in.Report.Dataset || i.Healthy > 0 || !belongs(i) {
			continue
		}
		if first == nil || i.OpenedAt.Before(first.OpenedAt) || i.OpenedAt.Equal(first.OpenedAt) && i.ID < first.ID {
			first = i
		}
	}
	return first
}

// fold lists the dataset of the report in the incident above it.
func fold(parent *Incident, r *checks.Report, now time.Time) *Change {
	at, listed := slices.BinarySearch(parent.Folded, r.Dataset)
	if listed {
		return nil
	}
	next := parent.next(now)
	next.Folded = slices.Insert(next.Folded, at, r.Dataset)
	c := &Change{Incident: next, Event: EventUpdated, Suppressed: []string{"grouped"}}
	if parent.Status == Snoozed {
		c.Event = ""
	}
	return c
}

// move notes in the incident of a later step that the trouble begins at the
// report's.
func move(child *Incident, in *Input, findings []checks.Result) *Change {
	r := &in.Report
	next := child.next(in.Now)
	if child.LastRun != r.Origin.Run {
		next.Folded = nil
	}
	next.Healthy, next.LastRun = 0, r.Origin.Run
	// Of several steps in one run the earliest counts, which comes last here
	// only if it has all others behind it.
	if child.Began == "" || child.LastRun != r.Origin.Run || slices.Contains(in.Descendants, child.Origin.Step) {
		next.Origin, next.Began, next.BeganWith = r.Origin, r.Dataset, Finding(&findings[0])
	} else if at, listed := slices.BinarySearch(next.Folded, r.Dataset); !listed {
		next.Folded = slices.Insert(next.Folded, at, r.Dataset)
	}
	c := &Change{Incident: next, Event: EventUpdated, Suppressed: []string{"grouped"}}
	switch {
	case child.Severity == checks.SeverityWarn && severityOf(findings) == checks.SeverityFail:
		c.Incident.Severity, c.Event = checks.SeverityFail, EventRaised
		c.Incident.wake(in.Now)
	case child.Status == Snoozed:
		c.Event = ""
	}
	return c
}

// finish chooses the channels of a change and holds back what a silence covers.
func (o *Options) finish(c *Change, now time.Time) *Change {
	if c == nil || c.Forget || c.Event == "" {
		return c
	}
	i := &c.Incident
	if !c.Event.news() || c.Event == EventResolved {
		if i.Silenced != "" && i.Status == Resolved {
			i.Silenced = ""
		}
		return c
	}
	if why := o.silencedBy(i, now); why != "" {
		i.Silenced = why
		c.Suppressed = append(c.Suppressed, "silenced")
		c.Event = EventUpdated // for those who know of it already
		return c
	}
	i.Silenced = ""
	for _, name := range o.channelsFor(i) {
		if !slices.Contains(i.Channels, name) {
			i.Channels = append(i.Channels, name)
		}
	}
	return c
}

// severityOf is fail if something could not be judged or a result counts as
// fail, else warn.
func severityOf(findings []checks.Result) checks.Severity {
	for i := range findings {
		if s := findings[i].Status; s == checks.Error || s == checks.Fail && findings[i].Severity != checks.SeverityWarn {
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
