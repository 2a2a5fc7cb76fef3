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

// minute is a batch of the first hours.
func minute(m int, statuses ...checks.Status) checks.Report {
	r := batch(0, statuses...)
	r.Batch, r.At = fmt.Sprintf("m%d", m), day0.Add(time.Duration(m)*time.Minute)
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
			{report: batch(4, checks.Pass), at: 4 * h, status: Resolved, counts: [2]int{2, 3}},
			{report: batch(5, checks.Pass), at: 5 * h, status: Resolved, counts: [2]int{2, 4}},
			{report: batch(6, checks.Pass), at: 6 * h, same: true},
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
			{report: warnOnly(batch(1, checks.Fail)), hand: func(i *Incident) { i.Status, i.SnoozedUntil = Snoozed, day0.Add(h) }, event: "", status: Snoozed, counts: [2]int{2, 0}},
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
		"failing soon after its end it is the same incident": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Pass), status: Open, counts: [2]int{1, 1}},
			{report: batch(2, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{1, 2}},
			{report: batch(3, checks.Pass), status: Resolved, counts: [2]int{1, 3}},
			{report: batch(4, checks.Fail), event: EventReopened, status: Open, counts: [2]int{2, 0}},
			{report: batch(5, checks.Pass), status: Open, counts: [2]int{2, 1}},
			{report: batch(6, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{2, 2}},
			{report: batch(7, checks.Fail), event: EventReopened, status: Open, counts: [2]int{3, 0}},
			{report: batch(8, checks.Pass), status: Open, counts: [2]int{3, 1}},
			{report: batch(9, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{3, 2}},
			{report: batch(10, checks.Fail), event: EventUpdated, status: Open, counts: [2]int{4, 0}}, // nobody is called the third time
		},
		"failing long after its end it is another incident": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(1, checks.Pass), status: Open, counts: [2]int{1, 1}},
			{report: batch(2, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{1, 2}},
			{report: batch(3, checks.Pass), status: Resolved, counts: [2]int{1, 3}},
			{report: batch(4, checks.Pass), status: Resolved, counts: [2]int{1, 4}},
			{report: batch(5, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
		},
		"batches of one hour are soon however many there are": {
			{report: minute(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: minute(1, checks.Pass), status: Open, counts: [2]int{1, 1}},
			{report: minute(2, checks.Pass), event: EventResolved, status: Resolved, counts: [2]int{1, 2}},
			{report: minute(3, checks.Pass), status: Resolved, counts: [2]int{1, 3}},
			{report: minute(4, checks.Pass), status: Resolved, counts: [2]int{1, 4}},
			{report: minute(5, checks.Pass), same: true},
			{report: minute(50, checks.Fail), at: 50 * time.Minute, event: EventReopened, status: Open, counts: [2]int{2, 0}},
		},
		"a snooze until the next bad batch ends with it": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(0, checks.Fail, checks.Fail), hand: status(Snoozed), status: Snoozed, counts: [2]int{1, 0}},
			{report: batch(1, checks.Pass), status: Snoozed, counts: [2]int{1, 1}},
			{report: batch(2, checks.Fail), event: EventWoke, status: Open, counts: [2]int{2, 0}},
		},
		"a batch that was answered is no trouble any more": {
			{report: batch(0, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
			{report: batch(0, checks.Fail), hand: func(i *Incident) { i.Status, i.Answer = Resolved, AnswerFineOnce }, same: true},
			{report: batch(1, checks.Fail), event: EventOpened, status: Open, counts: [2]int{1, 0}},
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
				for _, n := range c.Notices(Options{Channels: []string{"data"}}) {
					key := Key(n.Story, n.Revision, n.Event, n.Channel)
					require.False(t, keys[key], "key %s is used twice", key)
					keys[key] = true
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
	require.Equal(t, again.Origin, second.Origin, "the first bad step moves")
	require.Equal(t, []string{"b0", "b1"}, second.BadBatches)
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
			ID: "U1", Dataset: "shop/raw", Status: Open, Origin: checks.Origin{Pipeline: "daily", Step: "extract", Run: "R0"}, Step: "extract",
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
		"of a step beside":      {[]Incident{up(func(i *Incident) { i.Origin.Step = "other" })}, bad, "", nil, EventOpened},
		"outside of a pipeline": {[]Incident{up(func(i *Incident) { i.Origin, i.LastRun = checks.Origin{}, "" })}, outside, "", nil, EventOpened},
		"nothing upstream":      {nil, bad, "", nil, EventOpened},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Decide(Input{Pipeline: tt.upstream, Ancestors: []string{"extract"}, Report: tt.report, Now: day0.Add(time.Hour), ID: func() string { return "NEW" }}, Options{})
			require.NotNil(t, c)
			require.Equal(t, tt.event, c.Event)
			require.Equal(t, tt.folded, c.Incident.Folded)
			if tt.parent == "" {
				require.Equal(t, "NEW", c.Incident.ID)
				return
			}
			require.Equal(t, tt.parent, c.Incident.ID)
			require.Equal(t, 2, c.Incident.Revision)
			again := Decide(Input{Pipeline: []Incident{c.Incident}, Ancestors: []string{"extract"}, Report: tt.report, Now: day0}, Options{})
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
	c := Decide(Input{Current: &own, Pipeline: []Incident{parent}, Report: bad, Now: day0}, Options{})
	require.Equal(t, "OWN", c.Incident.ID)
	require.Equal(t, EventUpdated, c.Event)

	next := batch(1, checks.Fail)
	next.Dataset, next.Origin = "shop/raw", checks.Origin{Pipeline: "daily", Run: "R2"}
	require.Empty(t, Decide(Input{Current: &parent, Report: next, Now: day0}, Options{}).Incident.Folded)
	next.Origin.Run = "R1"
	require.Equal(t, []string{"x/y"}, Decide(Input{Current: &parent, Report: next, Now: day0}, Options{}).Incident.Folded)
}

func TestTheFirstBadStepMoves(t *testing.T) {
	t.Parallel()
	at := func(name, step, run string, ancestors, descendants []string, pipeline ...Incident) Input {
		r := batch(0, checks.Fail)
		r.Dataset, r.Batch, r.Origin = name, run, checks.Origin{Pipeline: "daily", Step: step, Run: run}
		return Input{Report: r, Ancestors: ancestors, Descendants: descendants, Pipeline: pipeline, Now: day0, ID: func() string { return name }}
	}
	raw, mid, clean := []string{"mid", "clean"}, []string{"clean"}, []string{"raw", "mid"}
	c := Decide(at("s/clean", "clean", "R1", clean, nil), Options{})
	require.Equal(t, EventOpened, c.Event)

	// In a later run it begins at mid, then at raw before it.
	c = Decide(at("s/mid", "mid", "R2", []string{"raw"}, mid, c.Incident), Options{})
	require.Equal(t, "s/clean", c.Incident.ID, "no second incident")
	require.Equal(t, EventUpdated, c.Event)
	require.Equal(t, "mid", c.Incident.Origin.Step)
	require.Equal(t, "first seen at step mid of pipeline daily, in s/mid (c0: fail)", Where(&c.Incident))
	c = Decide(at("s/raw", "raw", "R2", nil, raw, c.Incident), Options{})
	require.Equal(t, "s/clean", c.Incident.ID)
	require.Equal(t, "raw", c.Incident.Origin.Step)
	require.Equal(t, "s/raw", c.Incident.Began)
	// What fails after it in the same run changes nothing about that.
	c = Decide(at("s/mid", "mid", "R2", []string{"raw"}, mid, c.Incident), Options{})
	require.Equal(t, "raw", c.Incident.Origin.Step)
	require.Equal(t, []string{"s/mid"}, c.Incident.Folded)
	in := at("s/clean", "clean", "R2", clean, nil)
	in.Current = &c.Incident
	c = Decide(in, Options{})
	require.Equal(t, "raw", c.Incident.Origin.Step)
	require.Equal(t, 2, c.Incident.Batches)
	// In the next run only clean is bad: it moves back.
	in = at("s/clean", "clean", "R3", clean, nil)
	in.Current = &c.Incident
	c = Decide(in, Options{})
	require.Equal(t, "clean", c.Incident.Origin.Step)
	require.Empty(t, c.Incident.Began)
	// One that recovers is another story.
	recovering := c.Incident
	recovering.Healthy = 1
	require.Equal(t, "s/raw", Decide(at("s/raw", "raw", "R4", nil, raw, recovering), Options{}).Incident.ID)
}

func TestTick(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	silence := Options{Silences: []Silence{{To: day0.Add(2 * h), Why: "stocktaking"}}}
	tests := map[string]struct {
		inc    Incident
		after  time.Duration
		o      Options
		event  Event
		status Status
		same   bool
	}{
		"not yet":                              {Incident{Status: Open}, 24*h - 1, Options{}, "", "", true},
		"repeated":                             {Incident{Status: Open}, 24 * h, Options{}, EventRepeated, Open, false},
		"after an hour":                        {Incident{Status: Open}, h, Options{Repeat: h}, EventRepeated, Open, false},
		"never":                                {Incident{Status: Open}, 1000 * h, Options{Repeat: -1}, "", "", true},
		"nobody repeats what is acknowledged":  {Incident{Status: Acknowledged}, 24 * h, Options{}, "", Acknowledged, false},
		"nor what is snoozed":                  {Incident{Status: Snoozed, SnoozedUntil: day0.Add(99 * h)}, 24 * h, Options{}, "", Snoozed, false},
		"a snooze is over":                     {Incident{Status: Snoozed, SnoozedUntil: day0.Add(h)}, h, Options{}, EventWoke, Open, false},
		"a snooze is not over":                 {Incident{Status: Snoozed, SnoozedUntil: day0.Add(h)}, h - 1, Options{}, "", "", true},
		"a snooze is over, and it may be well": {Incident{Status: Snoozed, SnoozedUntil: day0.Add(h), Healthy: 1}, h, Options{}, EventUpdated, Open, false},
		"a snooze until the next batch":        {Incident{Status: Snoozed}, h, Options{}, "", "", true},
		"a silence lasts":                      {Incident{Status: Open, Silenced: "x"}, h, silence, "", "", true},
		"a silence lasts beyond the repeat":    {Incident{Status: Open, Silenced: "x"}, h, Options{Repeat: 1, Silences: silence.Silences}, "", "", true},
		"a silence is over":                    {Incident{Status: Open, Silenced: "x"}, 2 * h, silence, EventOpened, Open, false},
		"a silence is over, it was told":       {Incident{Status: Open, Silenced: "x", Channels: []string{"data"}}, 2 * h, silence, EventWoke, Open, false},
		"resolved":                             {Incident{Status: Resolved}, 1000 * h, Options{}, "", "", true},
		"pending":                              {Incident{Status: Pending}, 1000 * h, Options{}, "", "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.inc.NotifiedAt, tt.inc.Revision = day0, 3
			c := Tick(&tt.inc, day0.Add(tt.after), tt.o)
			if tt.same {
				require.Nil(t, c)
				return
			}
			require.NotNil(t, c)
			require.Equal(t, tt.event, c.Event)
			require.Equal(t, tt.status, c.Incident.Status)
			require.Equal(t, 4, c.Incident.Revision)
			require.Empty(t, c.Incident.Silenced)
			require.Nil(t, Tick(&c.Incident, day0.Add(tt.after), tt.o), "once is enough")
		})
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	drift := func(day int, kinds ...string) checks.Report {
		r := batch(day)
		for k, kind := range kinds {
			r.Results = append(r.Results, checks.Result{ID: fmt.Sprint(kind, k), Kind: kind, Status: checks.Fail})
		}
		r.Origin = checks.Origin{Pipeline: "p", Step: "extract", Run: "R"}
		return r
	}
	three := Options{Confirm: []Confirm{{Match{Dataset: "other/*"}, 9}, {Match{}, 3}}}
	tests := map[string]struct {
		o         Options
		ancestors []string
		reports   []checks.Report
		events    []Event // of each report; "-" is forgotten
	}{
		"a blip":                               {three, nil, []checks.Report{batch(0, checks.Fail), batch(1, checks.Fail), batch(2, checks.Pass), batch(3, checks.Fail)}, []Event{"", "", "-", ""}},
		"confirmed":                            {three, nil, []checks.Report{batch(0, checks.Fail), batch(1, checks.Fail), batch(2, checks.Fail), batch(3, checks.Fail)}, []Event{"", "", EventOpened, EventUpdated}},
		"the same batch again is one":          {three, nil, []checks.Report{batch(0, checks.Fail), batch(0, checks.Fail), batch(0, checks.Fail)}, []Event{"", "", ""}},
		"drift at the first step":              {Options{}, nil, []checks.Report{drift(0, "drift"), drift(1, "drift", "drift")}, []Event{"", EventOpened}},
		"drift and more":                       {Options{}, nil, []checks.Report{drift(0, "drift", "range")}, []Event{EventOpened}},
		"drift at a later step":                {Options{}, []string{"source"}, []checks.Report{drift(0, "drift")}, []Event{EventOpened}},
		"what is said in words counts for all": {Options{Confirm: []Confirm{{Batches: 1}}}, nil, []checks.Report{drift(0, "drift")}, []Event{EventOpened}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cur *Incident
			for k, r := range tt.reports {
				c := Decide(Input{Current: cur, Report: r, Ancestors: tt.ancestors, Now: day0.Add(time.Duration(k) * time.Hour), ID: func() string { return "I" }}, tt.o)
				require.NotNil(t, c, "report %d", k)
				if tt.events[k] == "-" {
					require.True(t, c.Forget)
					require.Empty(t, c.Notices(tt.o))
					cur = nil
					continue
				}
				require.Equal(t, tt.events[k], c.Event, "report %d", k)
				require.Equal(t, c.Event == "", c.Incident.Status == Pending)
				if name == "a blip" && k == 3 {
					require.Equal(t, 1, c.Incident.Batches, "it starts from the beginning")
				} else {
					require.Equal(t, day0, c.Incident.OpenedAt, "it began with the first one")
				}
				cur = &c.Incident
			}
		})
	}
}

func TestWarningsOpenWhereARouteAsksForThem(t *testing.T) {
	t.Parallel()
	r := batch(0, checks.Pass, checks.Warn)
	r.Results[1].Owner = "orders-team"
	decide := func(o Options) *Change {
		return Decide(Input{Report: r, Now: day0, ID: func() string { return "I" }}, o)
	}
	all := []string{"data", "oncall"}
	require.Nil(t, decide(Options{Channels: all}))
	require.Nil(t, decide(Options{Channels: all, Routes: []Route{{Match: Match{Severity: checks.SeverityWarn, Owner: "x"}, Channels: all}}}))
	require.Nil(t, decide(Options{Channels: all, Routes: []Route{{Match: Match{Owner: "orders-team"}, Channels: all}}}), "a route for all severities asks for nothing")
	require.Nil(t, decide(Options{Channels: all, Routes: []Route{{Match: Match{Severity: checks.SeverityWarn}}}}), "a route without channels mutes")
	o := Options{Channels: all, Routes: []Route{{Match: Match{Severity: checks.SeverityWarn, Owner: "orders-team"}, Channels: []string{"data"}}, {Channels: []string{"oncall"}}}}
	c := decide(o)
	require.Equal(t, EventOpened, c.Event)
	require.Equal(t, checks.SeverityWarn, c.Incident.Severity)
	require.Equal(t, []string{"data"}, c.Incident.Channels)
	// The severity rises: the other channel hears of it too.
	worse := batch(1, checks.Fail)
	worse.Results[0].Owner = "orders-team"
	c = Decide(Input{Current: &c.Incident, Report: worse, Now: day0}, o)
	require.Equal(t, EventRaised, c.Event)
	require.Equal(t, []string{"data", "oncall"}, c.Incident.Channels)
	// A warning after that is another bad batch, not a healthy one.
	r.Batch, r.At = "b2", day0.AddDate(0, 0, 2)
	c = Decide(Input{Current: &c.Incident, Report: r, Now: day0}, o)
	require.Equal(t, EventUpdated, c.Event)
	require.Equal(t, checks.SeverityFail, c.Incident.Severity)
}

func TestSilences(t *testing.T) {
	t.Parallel()
	o := Options{Channels: []string{"data"}, Silences: []Silence{{Match: Match{Dataset: "shop/*"}, From: day0, To: day0.Add(time.Hour), Why: "stocktaking"}}}
	decide := func(cur *Incident, r checks.Report, after time.Duration) *Change {
		return Decide(Input{Current: cur, Report: r, Now: day0.Add(after), ID: func() string { return "I" }}, o)
	}
	c := decide(nil, batch(0, checks.Fail), 0)
	require.Equal(t, Open, c.Incident.Status, "it is open, but nobody is told")
	require.Equal(t, "stocktaking", c.Incident.Silenced)
	require.Equal(t, []string{"silenced"}, c.Suppressed)
	require.Empty(t, c.Notices(o))
	c = decide(&c.Incident, batch(1, checks.Fail), time.Minute)
	require.Empty(t, c.Notices(o))
	// Resolved within the silence nobody ever hears of it.
	ended := decide(&decide(&c.Incident, batch(2, checks.Pass), time.Minute).Incident, batch(3, checks.Pass), time.Minute)
	require.Equal(t, EventResolved, ended.Event)
	require.Empty(t, ended.Notices(o))
	// After the silence it is news.
	c = Tick(&c.Incident, day0.Add(time.Hour), o)
	require.Equal(t, EventOpened, c.Event)
	require.Len(t, c.Notices(o), 1)
	// One that was told before is only edited during a silence, and so is its end.
	o.Silences[0].From, o.Silences[0].To = day0.Add(2*time.Hour), day0.Add(40*time.Hour)
	c = decide(&c.Incident, batch(4, checks.Fail), 30*time.Hour)
	require.Equal(t, EventUpdated, c.Event, "a repeat that is not made")
	require.Equal(t, []string{"silenced"}, c.Suppressed)
	require.Len(t, c.Notices(o), 1)
	c = decide(&decide(&c.Incident, batch(5, checks.Pass), 31*time.Hour).Incident, batch(6, checks.Pass), 31*time.Hour)
	require.Equal(t, EventResolved, c.Notices(o)[0].Event)
	require.Empty(t, c.Incident.Silenced)
}

func TestWindows(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	night := Window{Days: []time.Weekday{time.Saturday}, From: 22 * time.Hour, To: 6 * time.Hour, Zone: berlin, Why: "x"}
	noon := Window{From: 12 * time.Hour, To: 13 * time.Hour, Why: "x"}
	for text, want := range map[string][2]bool{
		"2026-11-28T20:59:00Z": {false, false}, "2026-11-28T21:00:00Z": {true, false}, "2026-11-29T04:59:59Z": {true, false}, "2026-11-29T05:00:00Z": {false, false},
		"2026-11-29T21:00:00Z": {false, false}, "2026-11-30T12:00:00Z": {false, true}, "2026-11-30T13:00:00Z": {false, false},
		"2026-03-29T03:59:59Z": {true, false}, "2026-03-29T04:00:00Z": {false, false}, // the night in which the clock goes forward
	} {
		now, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		require.Equal(t, want, [2]bool{night.covers(now), noon.covers(now)}, text)
	}
}

func TestPeopleAct(t *testing.T) {
	t.Parallel()
	now := day0.Add(time.Hour)
	base := Incident{ID: "I", Dataset: "a/b", Status: Open, Revision: 1, FirstBatch: "b0", BadBatches: []string{"b0", "b1"}, Channels: []string{"data"}}
	c, err := Acknowledge(&base, " ann\x00 ", now)
	require.NoError(t, err)
	require.Equal(t, EventAcknowledged, c.Event)
	require.Equal(t, "acknowledged by ann\uFFFD at 2026-11-01 07:00 UTC", State(&c.Incident))
	again, err := Acknowledge(&c.Incident, "bob", now)
	require.NoError(t, err)
	require.Nil(t, again, "the first one counts")

	s, err := Snooze(&c.Incident, "", now.Add(8*time.Hour), now)
	require.NoError(t, err)
	require.Equal(t, EventSnoozed, s.Event)
	require.Equal(t, "snoozed by somebody until 2026-11-01 15:00 UTC", State(&s.Incident))
	require.Empty(t, s.Incident.AcknowledgedBy)
	s, err = Snooze(&base, "bob", time.Time{}, now)
	require.NoError(t, err)
	require.Equal(t, "snoozed by bob until the next bad batch", State(&s.Incident))
	_, err = Snooze(&base, "bob", now, now)
	require.EqualError(t, err, "2026-11-01T07:00:00Z is in the past")

	for _, tt := range []struct {
		answer  Answer
		status  Status
		event   Event
		batches []string
	}{
		{AnswerReal, Acknowledged, EventAnswered, []string{"b0", "b1"}},
		{AnswerFine, Resolved, EventResolved, []string{"b0", "b1"}},
		{AnswerFineOnce, Resolved, EventResolved, []string{"b0", "b1"}},
		{AnswerNewNormal, Resolved, EventResolved, []string{"b0"}},
	} {
		c, err := Respond(&base, tt.answer, "ann", now)
		require.NoError(t, err)
		require.Equal(t, tt.event, c.Event, tt.answer)
		require.Equal(t, tt.status, c.Incident.Status, tt.answer)
		require.Equal(t, tt.batches, c.Incident.Labelled(tt.answer))
		again, err := Respond(&c.Incident, tt.answer, "bob", now)
		require.NoError(t, err)
		require.Nil(t, again)
		later, err := Respond(&c.Incident, AnswerReal, "bob", now)
		require.NoError(t, err, "minds may be changed, after the end too")
		require.Equal(t, tt.answer == AnswerReal, later == nil)
	}
	_, err = Respond(&base, "maybe", "ann", now)
	require.EqualError(t, err, `the answer "maybe" is none of real, fine, fine-once and new-normal`)
	base.Status = Resolved
	_, err = Acknowledge(&base, "ann", now)
	require.EqualError(t, err, "the incident of a/b is resolved: there is nothing to acknowledge")
	_, err = Snooze(&base, "ann", time.Time{}, now)
	require.EqualError(t, err, "the incident of a/b is resolved: there is nothing to snooze")
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for _, tt := range [][3]Event{
		{EventOpened, EventUpdated, EventOpened}, {EventOpened, EventRaised, EventOpened}, {EventOpened, EventAcknowledged, EventOpened}, {EventOpened, EventResolved, EventResolved},
		{EventUpdated, EventUpdated, EventUpdated}, {EventUpdated, EventRaised, EventRaised}, {EventRaised, EventUpdated, EventRaised}, {EventRaised, EventResolved, EventResolved},
		{EventResolved, EventReopened, EventReopened}, {EventReopened, EventUpdated, EventReopened}, {EventResolved, EventAnswered, EventResolved}, {EventRepeated, EventSnoozed, EventRepeated},
	} {
		require.Equal(t, tt[2], Merge(tt[0], tt[1]), "%s, then %s", tt[0], tt[1])
	}
}

func TestResolveAfter(t *testing.T) {
	t.Parallel()
	inc := Decide(Input{Report: batch(0, checks.Fail), Now: day0, ID: func() string { return "I" }}, Options{}).Incident
	c := Decide(Input{Current: &inc, Report: batch(1, checks.Pass), Now: day0.Add(time.Hour)}, Options{ResolveAfter: 1})
	require.Equal(t, EventResolved, c.Event)
	require.Equal(t, day0.Add(time.Hour), c.Incident.ResolvedAt)
}
