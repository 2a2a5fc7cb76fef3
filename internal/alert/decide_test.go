package alert

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
)

var day0 = time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)

// batch makes a report of shop/orders with one result per status; its data is
// of the given day.
func batch(day int, statuses ...checks.Status) checks.Report {
	r := checks.Report{Dataset: "shop/orders", Batch: fmt.Sprintf("b%d", day), At: day0.AddDate(0, 0, day), Rows: 1000}
	for k, s := range statuses {
		r.Results = append(r.Results, checks.Result{ID: fmt.Sprintf("c%d", k), Status: s, Severity: checks.SeverityFail})
	}
	return r
}

func warnOnly(r checks.Report) checks.Report {
	for i := range r.Results {
		r.Results[i].Severity = checks.SeverityWarn
	}
	return r
}

func renamed(r checks.Report, name string) checks.Report {
	r.Batch = name
	return r
}

// step is a report seen at an hour after day0, or a change by hand.
type step struct {
	report checks.Report
	at     time.Duration
	hand   func(*Incident)
	event  Event
	status Status
	counts [2]int // bad and healthy batches
	same   bool   // nothing changes
}

func TestDecideLifeCycle(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	status := func(s Status) func(*Incident) { return func(i *Incident) { i.Status = s } }
	tests := map[string][]step{
		"healthy batches of a healthy dataset are no news": {
			{report: batch(0, checks.Pass, checks.Warn), same: true},
			{report: batch(1, checks.Learning), same: true},
			{report: batch(2), same: true},
		},
		"opens, updates, resolves after two healthy batches": {
			{report: batch(0, checks.Pass, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Fail), at: h, event: EventUpdated, status: Open, counts: [2]int{2, 0}},
			{report: batch(2, checks.Warn), at: 2 * h, status: Open, counts: [2]int{2, 1}},
			{report: batch(3, checks.Pass), at: 3 * h, event: EventResolved, status: Resolved, counts: [2]int{2, 2}},
			{report: batch(4, checks.Pass), at: 4 * h, same: true},
		},
		"a bad batch starts the count of healthy ones again": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Pass), status: Open, counts: [2]int{1, 1}},
			{report: batch(2, checks.Fail), event: EventUpdated, status: Open, counts: [2]int{2, 0}},
			{report: batch(3, checks.Pass), status: Open, counts: [2]int{2, 1}},
		},
		"learning, errors and batches without results never count as healthy": {
			{report: batch(0, checks.Error), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Pass, checks.Learning), status: Open, counts: [2]int{1, 0}},
			{report: batch(2), status: Open, counts: [2]int{1, 0}},
			{report: batch(3, checks.Pass, checks.Error), event: EventUpdated, status: Open, counts: [2]int{2, 0}},
			{report: batch(4, checks.Pass), status: Open, counts: [2]int{2, 1}},
			{report: batch(5, checks.Learning), status: Open, counts: [2]int{2, 1}},
			{report: batch(6, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{2, 2}},
		},
		"a rise of severity is told even to those who acknowledged or snoozed": {
			{report: warnOnly(batch(0, checks.Fail)), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: warnOnly(batch(1, checks.Fail)), hand: status(Snoozed), event: "", status: Snoozed, counts: [2]int{2, 0}},
			{report: batch(2, checks.Fail), event: EventRaised, status: Open, counts: [2]int{3, 0}},
			{report: warnOnly(batch(3, checks.Fail)), event: EventUpdated, status: Open, counts: [2]int{4, 0}},
			{report: batch(4, checks.Fail), event: EventUpdated, status: Open, counts: [2]int{5, 0}},
		},
		"repeats after a day while it stays open": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Fail), at: 23 * h, event: EventUpdated, status: Open, counts: [2]int{2, 0}},
			{report: batch(2, checks.Fail), at: 24 * h, event: EventRepeated, status: Open, counts: [2]int{3, 0}},
			{report: batch(3, checks.Fail), at: 47 * h, event: EventUpdated, status: Open, counts: [2]int{4, 0}},
			{report: batch(4, checks.Fail), at: 48 * h, hand: status(Acknowledged), event: EventUpdated, status: Acknowledged, counts: [2]int{5, 0}},
		},
		"an older batch judged again changes nothing": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Fail), event: EventUpdated, status: Open, counts: [2]int{2, 0}},
			{report: batch(0, checks.Pass), same: true},
			{report: batch(2, checks.Pass), status: Open, counts: [2]int{2, 1}},
			{report: batch(1, checks.Fail), same: true},
			{report: batch(1, checks.Pass), same: true},
			{report: batch(3, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{2, 2}},
			{report: batch(0, checks.Fail), same: true},
		},
		"the last batch judged again counts once": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(0, checks.Fail, checks.Fail), event: EventUpdated, status: Open, counts: [2]int{1, 0}},
			{report: batch(0, checks.Pass), status: Open, counts: [2]int{1, 1}},
			{report: batch(0, checks.Pass), same: true},
			{report: batch(0, checks.Fail), event: EventUpdated, status: Open, counts: [2]int{1, 0}},
		},
		"batches without a time or name are taken as they come": {
			{report: checks.Report{Dataset: "a/b", Results: batch(0, checks.Fail).Results}, event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: checks.Report{Dataset: "a/b", Results: batch(0, checks.Fail).Results}, event: EventUpdated, status: Open, counts: [2]int{2, 0}},
			{report: checks.Report{Dataset: "a/b", Results: batch(0, checks.Pass).Results}, status: Open, counts: [2]int{2, 1}},
			{report: checks.Report{Dataset: "a/b", Results: batch(0, checks.Pass).Results}, event: EventResolved, status: Resolved, counts: [2]int{2, 2}},
		},
		"two batches of one time are two": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: renamed(batch(0, checks.Fail), "other"), event: EventUpdated, status: Open, counts: [2]int{2, 0}},
		},
		"after the end a bad batch opens another incident": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Pass), status: Open, counts: [2]int{1, 1}},
			{report: batch(2, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{1, 2}},
			{report: batch(3, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cur *Incident
			ids, keys := 0, map[string]bool{}
			for k, s := range steps {
				if s.hand != nil {
					s.hand(cur)
				}
				var before Incident
				if cur != nil {
					before = cur.clone()
				}
				c := Decide(Input{
					Current: cur, Report: s.report, Now: day0.Add(s.at),
					ID: func() string { ids++; return fmt.Sprintf("I%d", ids) },
				}, Options{Channels: []string{"data"}})
				if s.same {
					require.Nil(t, c, "step %d", k)
					continue
				}
				require.NotNil(t, c, "step %d", k)
				if cur != nil {
					require.True(t, reflect.DeepEqual(before, *cur), "step %d changes its input", k)
				}
				require.Equal(t, s.event, c.Event, "step %d", k)
				require.Equal(t, s.status, c.Incident.Status, "step %d", k)
				require.Equal(t, s.counts[0], c.Incident.Batches, "bad batches at step %d", k)
				require.Equal(t, s.counts[1], c.Incident.Healthy, "healthy batches at step %d", k)
				for _, m := range c.Messages(Options{Channels: []string{"data"}}) {
					require.False(t, keys[m.Key], "key %s is used twice", m.Key)
					keys[m.Key] = true
				}
				cur = &c.Incident
			}
		})
	}
}

func TestIncidentTellsTheStoryOfItsLastBadBatch(t *testing.T) {
	t.Parallel()
	r := batch(0, checks.Warn, checks.Fail, checks.Error, checks.Fail)
	r.Results[1].Severity = checks.SeverityWarn
	r.Results[2].Owner, r.Results[2].Tags = "data-team", []string{"gold", "b"}
	r.Results[3].Owner, r.Results[3].Tags = "other", []string{"gold", "a"}
	r.Origin = checks.Origin{Pipeline: "daily", Step: "clean", Run: "R1", CorrelationID: "C1"}
	first := Decide(Input{Report: r, Now: day0, ID: func() string { return "I1" }}, Options{}).Incident
	require.Equal(t, []string{"c2", "c3", "c1"}, resultIDs(first.Findings))
	require.Equal(t, checks.SeverityFail, first.Severity)
	require.Equal(t, "data-team", first.Owner)
	require.Equal(t, []string{"a", "b", "gold"}, first.Tags)
	require.Equal(t, r.Origin, first.Origin)
	require.Equal(t, day0, first.OpenedAt)

	again := batch(1, checks.Fail)
	again.Rows, again.Origin = 7, checks.Origin{Pipeline: "daily", Step: "load", Run: "R2"}
	second := Decide(Input{Current: &first, Report: again, Now: day0.Add(time.Hour)}, Options{}).Incident
	require.Equal(t, "I1", second.ID)
	require.Equal(t, []string{"c0"}, resultIDs(second.Findings))
	require.Equal(t, int64(7), second.Rows)
	require.Equal(t, r.Origin, second.Origin, "where it was seen first does not move")
	require.Equal(t, "b0", second.FirstBatch)
	require.Equal(t, "b1", second.LastBatch)
	require.Equal(t, "R2", second.LastRun)
	require.Equal(t, day0.Add(time.Hour), second.UpdatedAt)
}

func resultIDs(rs []checks.Result) []string {
	out := make([]string, len(rs))
	for i := range rs {
		out[i] = rs[i].ID
	}
	return out
}

func TestDecideFoldsUnderTheFirstBadStepOfTheRun(t *testing.T) {
	t.Parallel()
	up := func(change func(*Incident)) Incident {
		i := Incident{
			ID: "U1", Dataset: "shop/raw", Status: Open, Origin: checks.Origin{Pipeline: "daily", Step: "extract", Run: "R0"},
			LastRun: "R1", OpenedAt: day0, NotifiedAt: day0, Batches: 1, Revision: 1,
		}
		if change != nil {
			change(&i)
		}
		return i
	}
	bad := batch(0, checks.Fail)
	bad.Origin = checks.Origin{Pipeline: "daily", Step: "clean", Run: "R1"}
	outside := batch(0, checks.Fail)
	later := up(func(i *Incident) { i.ID, i.Dataset, i.OpenedAt = "U0", "shop/mid", day0.Add(time.Minute) })
	tests := map[string]struct {
		upstream []Incident
		report   checks.Report
		parent   string // "" opens one of its own
		folded   []string
		event    Event
	}{
		"same run":              {[]Incident{up(nil)}, bad, "U1", []string{"shop/orders"}, EventUpdated},
		"first bad step":        {[]Incident{later, up(nil)}, bad, "U1", []string{"shop/orders"}, EventUpdated},
		"sorted among others":   {[]Incident{up(func(i *Incident) { i.Folded = []string{"shop/a", "shop/z"} })}, bad, "U1", []string{"shop/a", "shop/orders", "shop/z"}, EventUpdated},
		"snoozed parent":        {[]Incident{up(func(i *Incident) { i.Status = Snoozed })}, bad, "U1", []string{"shop/orders"}, ""},
		"other run":             {[]Incident{up(func(i *Incident) { i.LastRun = "R0" })}, bad, "", nil, EventOpened},
		"other pipeline":        {[]Incident{up(func(i *Incident) { i.Origin.Pipeline = "x" })}, bad, "", nil, EventOpened},
		"resolved parent":       {[]Incident{up(func(i *Incident) { i.Status = Resolved })}, bad, "", nil, EventOpened},
		"parent healthy by now": {[]Incident{up(func(i *Incident) { i.Healthy = 1 })}, bad, "", nil, EventOpened},
		"never under itself":    {[]Incident{up(func(i *Incident) { i.Dataset = "shop/orders" })}, bad, "", nil, EventOpened},
		"outside of a pipeline": {[]Incident{up(func(i *Incident) { i.Origin, i.LastRun = checks.Origin{}, "" })}, outside, "", nil, EventOpened},
		"nothing upstream":      {nil, bad, "", nil, EventOpened},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Decide(Input{Upstream: tt.upstream, Report: tt.report, Now: day0.Add(time.Hour), ID: func() string { return "NEW" }}, Options{})
			require.NotNil(t, c)
			require.Equal(t, tt.event, c.Event)
			require.Equal(t, tt.folded, c.Incident.Folded)
			if tt.parent == "" {
				require.Equal(t, "NEW", c.Incident.ID)
				return
			}
			require.Equal(t, tt.parent, c.Incident.ID)
			require.Equal(t, 2, c.Incident.Revision)
			again := Decide(Input{Upstream: []Incident{c.Incident}, Report: tt.report, Now: day0}, Options{})
			require.Nil(t, again, "a dataset is listed once")
		})
	}
}

func TestFoldingLeavesAnOpenIncidentItsOwnAndEndsWithTheRun(t *testing.T) {
	t.Parallel()
	own := Decide(Input{Report: batch(0, checks.Fail), Now: day0, ID: func() string { return "OWN" }}, Options{}).Incident
	bad := batch(1, checks.Fail)
	bad.Origin = checks.Origin{Pipeline: "daily", Step: "clean", Run: "R1"}
	parent := Incident{ID: "U1", Dataset: "shop/raw", Status: Open, Origin: checks.Origin{Pipeline: "daily"}, LastRun: "R1", Folded: []string{"x/y"}}
	c := Decide(Input{Current: &own, Upstream: []Incident{parent}, Report: bad, Now: day0}, Options{})
	require.Equal(t, "OWN", c.Incident.ID)
	require.Equal(t, EventUpdated, c.Event)

	next := batch(1, checks.Fail)
	next.Dataset, next.Origin = "shop/raw", checks.Origin{Pipeline: "daily", Run: "R2"}
	require.Empty(t, Decide(Input{Current: &parent, Report: next, Now: day0}, Options{}).Incident.Folded)
	next.Origin.Run = "R1"
	require.Equal(t, []string{"x/y"}, Decide(Input{Current: &parent, Report: next, Now: day0}, Options{}).Incident.Folded)
}

func TestRemind(t *testing.T) {
	t.Parallel()
	inc := Incident{ID: "I", Status: Open, NotifiedAt: day0, Revision: 3}
	require.Nil(t, Remind(&inc, day0.Add(24*time.Hour-1), Options{}))
	require.Nil(t, Remind(&inc, day0.Add(1000*time.Hour), Options{Repeat: -1}))
	c := Remind(&inc, day0.Add(24*time.Hour), Options{})
	require.Equal(t, EventRepeated, c.Event)
	require.Equal(t, 4, c.Incident.Revision)
	require.Nil(t, Remind(&c.Incident, day0.Add(25*time.Hour), Options{}))
	inc.Status = Acknowledged
	require.Nil(t, Remind(&inc, day0.Add(1000*time.Hour), Options{}))
	require.NotNil(t, Remind(&Incident{Status: Open, NotifiedAt: day0}, day0.Add(time.Hour), Options{Repeat: time.Hour}))
}

func TestResolveAfter(t *testing.T) {
	t.Parallel()
	inc := Decide(Input{Report: batch(0, checks.Fail), Now: day0, ID: func() string { return "I" }}, Options{}).Incident
	c := Decide(Input{Current: &inc, Report: batch(1, checks.Pass), Now: day0.Add(time.Hour)}, Options{ResolveAfter: 1})
	require.Equal(t, EventResolved, c.Event)
	require.Equal(t, day0.Add(time.Hour), c.Incident.ResolvedAt)
}
