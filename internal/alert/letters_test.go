package alert

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
)

// deadUnit is the nth unit that died, an hour after the one before.
func deadUnit(n int) *DeadUnit {
	id := fmt.Sprintf("UNIT%d", n)
	return &DeadUnit{
		Unit: id, Source: fmt.Sprintf("in/%d.csv", n), Run: "R1", CorrelationID: "C" + id, Cause: "data",
		Error: fmt.Sprintf("line %d is broken", n), Attempts: n, At: day0.Add(time.Duration(n) * time.Hour),
	}
}

// letters are dead units of which the first and the last are known.
func letters(dead, again int) DeadLetters {
	l := DeadLetters{Pipeline: "orders", Step: "parse", Dead: dead, Again: again}
	if dead > 0 {
		l.First, l.Last = deadUnit(1), deadUnit(dead)
	}
	return l
}

// deadStep is a change of the dead units at a time after day0, or one by hand.
type deadStep struct {
	died, dead, again int
	at                time.Duration
	hand              func(*Incident)
	event             Event
	status            Status
	given             int
	nothing           bool // nothing changes
	suppressed        []string
}

func TestDecideDeadLifeCycle(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	opened := deadStep{died: 1, dead: 1, event: EventOpened, status: Open, given: 1}
	resolved := deadStep{at: h, event: EventResolved, status: Resolved, given: 1}
	answered := func(a Answer) func(*Incident) {
		return func(i *Incident) { *i = must(Respond(i, a, "ann", day0)).Incident }
	}
	tests := map[string][]deadStep{
		"one incident for many units": {opened, {died: 1, dead: 2, event: EventUpdated, status: Open, given: 2}, {died: 7, dead: 9, event: EventUpdated, status: Open, given: 9}},
		"several at once":             {{died: 3, dead: 3, event: EventOpened, status: Open, given: 3}},
		"nothing died yet":            {{nothing: true}, {dead: 1, nothing: true}},
		"over when none is left":      {opened, resolved, {at: h, nothing: true}},
		"not over while tried again":  {opened, {again: 1, status: Open, given: 1}, resolved},
		"tried again in vain":         {opened, {again: 1, status: Open, given: 1}, {died: 1, dead: 1, event: EventUpdated, status: Open, given: 2}},
		"fewer are no news":           {{died: 2, dead: 2, event: EventOpened, status: Open, given: 2}, {dead: 1, status: Open, given: 2}},
		"acknowledged":                {opened, {hand: func(i *Incident) { i.Status = Acknowledged }, died: 1, dead: 2, event: EventUpdated, status: Acknowledged, given: 2}, {event: EventResolved, status: Resolved, given: 2}},
		"repeated after a day":        {opened, {at: 25 * h, died: 1, dead: 2, event: EventRepeated, status: Open, given: 2}},
		"snoozed until the next":      {opened, {hand: func(i *Incident) { i.Status = Snoozed }, died: 1, dead: 2, event: EventWoke, status: Open, given: 2}},
		"snoozed for a while": {opened, {hand: func(i *Incident) { i.Status, i.SnoozedUntil = Snoozed, day0.Add(4*h) }, died: 1, dead: 2, status: Snoozed, given: 2, suppressed: []string{"snoozed"}},
			{at: 5 * h, died: 1, dead: 3, event: EventWoke, status: Open, given: 3}},
		"soon again":              {opened, resolved, {at: h + time.Minute, died: 1, dead: 1, event: EventReopened, status: Open, given: 2, suppressed: []string{"flapping"}}},
		"much later":              {opened, resolved, {at: 3 * h, died: 1, dead: 1, event: EventOpened, status: Open, given: 1}},
		"answered fine is over":   {opened, {hand: answered(AnswerFine), dead: 1, nothing: true}, {died: 1, dead: 2, event: EventOpened, status: Open, given: 1}},
		"answered real is not":    {opened, {hand: answered(AnswerReal), died: 1, dead: 2, event: EventUpdated, status: Acknowledged, given: 2}},
		"the third time is quiet": {opened, resolved, {at: h, hand: func(i *Incident) { i.Flaps = 2 }, died: 1, dead: 1, event: EventUpdated, status: Open, given: 2, suppressed: []string{"flapping"}}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cur *Incident
			for k, s := range steps {
				if s.hand != nil {
					s.hand(cur)
				}
				var before Incident
				if cur != nil {
					before = cur.clone()
				}
				c := DecideDead(DeadInput{
					Current: cur, Letters: letters(s.dead, s.again), Died: s.died, Dataset: "shop/parsed", Owner: "orders-team", Tags: []string{"gold"},
					Now: day0.Add(s.at), ID: func() string { return fmt.Sprint("I", k) },
				}, Options{})
				if cur != nil {
					require.True(t, reflect.DeepEqual(before, *cur), "step %d changed what it was given", k)
				}
				if s.nothing {
					require.Nil(t, c, "step %d", k)
					continue
				}
				require.NotNil(t, c, "step %d", k)
				require.Equal(t, s.event, c.Event, "step %d", k)
				require.Equal(t, s.suppressed, c.Suppressed, "step %d", k)
				i := &c.Incident
				require.Equal(t, s.status, i.Status, "step %d", k)
				require.Equal(t, s.given, i.Batches, "step %d", k)
				require.Equal(t, checks.SeverityFail, i.Severity)
				require.Equal(t, []any{s.dead, s.again}, []any{i.DeadLetters.Dead, i.DeadLetters.Again}, "step %d", k)
				require.Equal(t, "shop/parsed orders-team gold parse", fmt.Sprint(i.Dataset, " ", i.Owner, " ", strings.Join(i.Tags, ","), " ", i.DeadStep()))
				cur = i
			}
		})
	}
}

func must(c *Change, err error) *Change {
	if err != nil {
		panic(err)
	}
	return c
}

// Routes and silences are those of all incidents.
func TestDeadUnitsAreRoutedAndSilenced(t *testing.T) {
	t.Parallel()
	in := DeadInput{Letters: letters(1, 0), Died: 1, Dataset: "shop/parsed", Owner: "orders-team", Tags: []string{"gold"}, Now: day0, ID: func() string { return "I" }}
	o := Options{Channels: []string{"data", "oncall", "rest"}, Routes: []Route{
		{Match: Match{Owner: "orders-team"}, Channels: []string{"data"}, Continue: true},
		{Match: Match{Tag: "gold", Severity: checks.SeverityFail}, Channels: []string{"oncall"}},
		{Channels: []string{"rest"}},
	}}
	c := DecideDead(in, o)
	require.Equal(t, []string{"data", "oncall"}, c.Incident.Channels)
	require.Len(t, c.Notices(o), 2)
	o.Silences = []Silence{{Match: Match{Dataset: "shop/*"}, Why: "stocktaking"}}
	c = DecideDead(in, o)
	require.Equal(t, "stocktaking", c.Incident.Silenced)
	require.Empty(t, c.Notices(o))
	o.Silences = nil
	c = Tick(&c.Incident, day0.Add(time.Minute), o)
	require.Equal(t, EventOpened, c.Event, "what is dead at the end of a silence is told then")
	// A bad batch of the same dataset is a story of its own.
	data := Decide(Input{Report: batch(0, checks.Fail), Now: day0, ID: func() string { return "D" }}, o).Incident
	data.Dataset = "shop/parsed"
	require.NotEqual(t, Fingerprint(&data), Fingerprint(&c.Incident))
	require.NotEqual(t, GroupLabels(&data), GroupLabels(&c.Incident))
	other := c.Incident
	other.DeadLetters = &DeadLetters{Pipeline: "orders", Step: "load"}
	require.NotEqual(t, Fingerprint(&other), Fingerprint(&c.Incident), "nor are those of two steps that write the same")
}
