package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/profile"
)

func orders() Incident {
	inc := Incident{
		ID: "01JD0000000000000000000000", Dataset: "shop/orders", Status: Open, Severity: checks.SeverityFail, Owner: "orders-team",
		Origin:   checks.Origin{Pipeline: "daily", Step: "clean", Run: "R1", CorrelationID: "4bf92f35"},
		OpenedAt: day0, UpdatedAt: day0.Add(26 * time.Hour), LastBatch: "2026-11-01", Batches: 2, Rows: 1234567, LastRun: "R7",
		Folded: []string{"shop/daily", "shop/weekly"},
	}
	inc.Findings = []checks.Result{
		{ID: "customer.in", Status: checks.Error, Reason: "missing column", Rule: &checks.Rule{File: "rules/orders.yaml"}},
		{ID: "amount.range", Status: checks.Fail, Value: profile.FloatScalar(0.03), Limit: "at most 0 failing rows",
			Message: "30 of 1,000 rows (3 %) are outside 0 … 10,000; first: row 17 is -4.2", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 12}},
		{ID: "auto", Status: checks.Fail, Value: profile.IntScalar(9), Limit: "7"},
	}
	return inc
}

func TestText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	show := func(name string, m Message) { fmt.Fprintf(&b, "== %s\n%s\n", name, Text(&m)) }
	show("opened in a pipeline", Message{Event: EventOpened, Incident: orders()})
	raised := orders()
	raised.Findings = raised.Findings[1:2]
	raised.Origin, raised.Folded, raised.Owner, raised.LastRun = checks.Origin{}, nil, "", ""
	show("raised", Message{Event: EventRaised, Incident: raised})
	show("repeated", Message{Event: EventRepeated, Incident: raised})
	resolved := raised
	resolved.Status, resolved.ResolvedAt, resolved.Healthy = Resolved, day0.Add(72*time.Hour), 2
	show("resolved", Message{Event: EventResolved, Incident: resolved})
	many := raised
	many.Findings = nil
	for k := range 1017 {
		many.Findings = append(many.Findings, checks.Result{ID: fmt.Sprintf("c%d.null_rate", k), Status: checks.Fail})
		many.Folded = append(many.Folded, fmt.Sprintf("shop/d%04d", k))
	}
	show("very many", Message{Event: EventUpdated, Incident: many})
	hostile := raised
	hostile.Dataset = "shop/\x1b[31mred\u202etxt"
	hostile.Findings = []checks.Result{{ID: "a\nb", Status: checks.Fail, Message: "bad \xff byte\r\nsecond line"}}
	show("hostile", Message{Event: EventOpened, Incident: hostile})
	drift := raised
	drift.Findings = []checks.Result{{ID: "country.drift", Kind: "drift", Column: "country", Status: checks.Fail, Message: "TV of country is 0.35 against 28 batches, expected below 0.2"}}
	drift.Chart = &Chart{Column: "country", Bins: []string{"DE", "NL", "IT"}, Past: []float64{45.1, 14.9, 12.1}, Now: []float64{73.4, 0, 0}, Values: true}
	drift.Flaps, drift.Answer, drift.AnsweredBy = 1, AnswerReal, "ann"
	show("drift", Message{Event: EventReopened, Incident: drift})
	snoozed := raised
	snoozed.Status, snoozed.SnoozedBy, snoozed.SnoozedUntil = Snoozed, "bob", day0
	snoozed.Origin = checks.Origin{Pipeline: "daily", Step: "extract"}
	snoozed.Began, snoozed.BeganWith = "shop/raw", "email.null_rate: 34 %"
	show("snoozed, moved", Message{Event: EventSnoozed, Incident: snoozed})
	closed := raised
	closed.Status, closed.Answer, closed.AnsweredBy = Resolved, AnswerFineOnce, "ann"
	show("answered", Message{Event: EventResolved, Incident: closed})
	died := func(dead, again, given int) Incident {
		i := DecideDead(DeadInput{Letters: letters(dead, again), Died: given, Dataset: "shop/parsed", Owner: "orders-team", Now: day0, ID: func() string { return "01JD" }}, Options{}).Incident
		return i
	}
	dead := died(3, 2, 3)
	show("dead units", Message{Event: EventOpened, Incident: dead})
	single := died(1, 0, 1)
	show("one dead unit", Message{Event: EventRepeated, Incident: single})
	again := died(0, 1, 1)
	again.Status, again.SnoozedBy = Snoozed, "bob"
	show("tried again", Message{Event: EventSnoozed, Incident: again})
	endless := died(1, 0, 1234)
	endless.DeadLetters.Dead, endless.DeadLetters.More = 1000, true
	show("very many dead units", Message{Event: EventWoke, Incident: endless})
	mended := DecideDead(DeadInput{Current: &single, Letters: letters(0, 0), Now: day0.Add(26 * time.Hour)}, Options{}).Incident
	show("dead units that are over", Message{Event: EventResolved, Incident: mended})
	digest := Digest{ID: "01JD", Entries: []Entry{EntryOf(&raised, ""), EntryOf(&snoozed, ""), EntryOf(&resolved, ""), EntryOf(&dead, "")}}
	for range 30 {
		digest.Entries = append(digest.Entries, EntryOf(&raised, ""))
	}
	show("digest", Message{Event: EventDigest, Digest: &digest})
	over := Digest{ID: "01JD", Entries: []Entry{EntryOf(&resolved, "")}}
	show("digest that is over", Message{Event: EventDigest, Digest: &over})
	weekly := NewWeekly([]Incident{raised, drift, snoozed, closed, dead}, day0.AddDate(0, 0, -1), day0.AddDate(0, 0, 6))
	show("weekly", Message{Event: EventWeekly, Weekly: &weekly})
	golden.Equal(t, b.Bytes(), "testdata/text.golden")
}

func TestLead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		f    checks.Result
		want string
	}{
		"number and limit": {checks.Result{ID: "amount.range", Value: profile.FloatScalar(0.03), Limit: "at most 0 failing rows", Message: "m"}, "amount.range: m"},
		"number":           {checks.Result{ID: "auto", Value: profile.IntScalar(7)}, "auto is 7"},
		"no number":        {checks.Result{ID: "a.type", Message: "column is missing"}, "a.type: column is missing"},
		"reason":           {checks.Result{ID: "a.type", Reason: "missing column"}, "a.type: missing column"},
		"nothing":          {checks.Result{ID: "a.type", Status: checks.Error}, "a.type: error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, Lead(&Incident{Findings: []checks.Result{tt.f}}))
		})
	}
	require.Empty(t, Lead(&Incident{}))
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		59 * time.Second: "less than a minute", time.Minute: "1 min", 59 * time.Minute: "59 min", time.Hour: "1 h",
		61 * time.Minute: "1 h 1 min", 24 * time.Hour: "1 d", 76 * time.Hour: "3 d 4 h",
	} {
		require.Equal(t, want, span(d))
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("pipe closed") }

func TestPrinter(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	m := Message{Event: EventOpened, Incident: orders()}
	_, retry, err := NewPrinter(&b).Notify(t.Context(), m)
	require.NoError(t, err)
	require.False(t, retry)
	require.Equal(t, Text(&m)+"\n", b.String())

	_, retry, err = NewPrinter(brokenWriter{}).Notify(t.Context(), m)
	require.EqualError(t, err, "print message: pipe closed")
	require.False(t, retry)
}

func TestMessagesSurviveTheOutbox(t *testing.T) {
	t.Parallel()
	inc := orders()
	inc.Threads = map[string]Thread{"data": {Channel: "C1", Message: "1.1"}}
	m := Message{Key: "k", Channel: "data", Event: EventRepeated, Incident: inc}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	var got Message
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, Text(&m), Text(&got))
	require.Equal(t, m.Key, got.Key)
	require.Equal(t, m.Incident.Threads, got.Incident.Threads)
}
