package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/csv"
)

var now = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func setsOf(t *testing.T, text string) []*rules.Set {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte(text), nil)
	require.NoError(t, diags.Err())
	return sets
}

// sink keeps what it gets, and fails if it is told to.
type sink struct {
	got *monitor.Outcome
	err error
}

func (s *sink) Accept(_ context.Context, o *monitor.Outcome) error {
	s.got = o
	return s.err
}

// history answers every need with one value and remembers what was asked.
type history struct{ asked []checks.Need }

func (h *history) Past(_ context.Context, _ monitor.Subject, needs []checks.Need) map[checks.Need]checks.Past {
	h.asked = needs
	out := map[checks.Need]checks.Past{}
	for _, n := range needs {
		out[n] = checks.Past{Values: []float64{100}}
	}
	return out
}

func reader(t *testing.T, r io.Reader) *csv.Reader {
	t.Helper()
	c, err := csv.New(r, csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	return c
}

// lines makes a CSV of n rows, many chunks for a large n.
func lines(n int) string {
	var b strings.Builder
	b.WriteString("id,v\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,%d\n", i, i%7)
	}
	return b.String()
}

func TestObserve(t *testing.T) {
	t.Parallel()
	const n = 20_000
	h, first, second := &history{}, &sink{err: errors.New("disk full")}, &sink{}
	m := monitor.New(monitor.Options{Now: clock, History: h, Sinks: []monitor.Sink{first, second}, FailingRows: 3})
	s := monitor.Subject{Dataset: "a/b", Batch: "x", Rules: setsOf(t, "checks: [{change: {of: row_count, max: 50%}}, {freshness: {max_age: 1h}}]\ncolumns: {id: [unique, {range: {max: 19_989}}]}"), Modified: now.Add(-30 * time.Minute)}
	o, err := m.Observe(t.Context(), reader(t, iotest.HalfReader(strings.NewReader(lines(n)))), s)
	require.ErrorContains(t, err, "disk full")
	require.Same(t, o, first.got)
	require.Same(t, o, second.got, "a sink that fails does not stop the others")
	require.Equal(t, int64(n), o.Profile.Rows())
	require.Equal(t, now, o.Report.At)
	require.Equal(t, []checks.Need{{Metric: "row_count", Window: checks.Window{Batches: 1}}}, h.asked)
	got := map[string]checks.Status{}
	for _, r := range o.Report.Results {
		got[r.ID] = r.Status
	}
	require.Equal(t, map[string]checks.Status{"parsable": checks.Pass, "change": checks.Fail, "freshness": checks.Pass, "id.unique": checks.Pass, "id.range": checks.Fail}, got)
	require.Equal(t, checks.Fail, o.Report.Verdict)
	require.Len(t, o.Report.Results[4].FailingRows, 3)
	require.Equal(t, int64(10), *o.Report.Results[4].Failed)
}

func TestAnErrorOfReadingGivesNoOutcome(t *testing.T) {
	t.Parallel()
	broken := errors.New("cable cut")
	kept := &sink{}
	m := monitor.New(monitor.Options{Now: clock, Sinks: []monitor.Sink{kept}})
	_, err := m.Observe(t.Context(), reader(t, io.MultiReader(strings.NewReader(lines(200_000)), iotest.ErrReader(broken))), monitor.Subject{Dataset: "a/b"})
	require.ErrorIs(t, err, broken)
	require.Nil(t, kept.got)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Observe(ctx, reader(t, strings.NewReader(lines(10))), monitor.Subject{Dataset: "a/b"})
	require.ErrorIs(t, err, context.Canceled)
}

// seen is a reader that may panic, or have left rows out.
type seen struct {
	*csv.Reader
	partial bool
	chunks  int // it panics behind so many; 0 is never
}

func (s *seen) Partial() bool { return s.partial }

func (s *seen) Next(ctx context.Context, c *batch.Chunk) error {
	if s.chunks--; s.chunks == 0 {
		panic("a mistake")
	}
	return s.Reader.Next(ctx, c)
}

func TestAPartOfABatchGoesToNoSink(t *testing.T) {
	t.Parallel()
	kept := &sink{}
	m := monitor.New(monitor.Options{Now: clock, Sinks: []monitor.Sink{kept}})
	o, err := m.Observe(t.Context(), &seen{Reader: reader(t, strings.NewReader(lines(10))), partial: true}, monitor.Subject{Dataset: "a/b"})
	require.NoError(t, err)
	require.True(t, o.Partial)
	require.Equal(t, int64(10), o.Profile.Rows())
	require.Nil(t, kept.got)
	o, err = m.Observe(t.Context(), &seen{Reader: reader(t, strings.NewReader(lines(10)))}, monitor.Subject{Dataset: "a/b"})
	require.NoError(t, err)
	require.False(t, o.Partial)
	require.Same(t, o, kept.got)
}

func TestAPanicIsThatOfTheCaller(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Options{Now: clock})
	for _, chunks := range []int{1, 4} {
		require.PanicsWithValue(t, "a mistake", func() {
			m.Observe(t.Context(), &seen{Reader: reader(t, strings.NewReader(lines(100_000))), chunks: chunks}, monitor.Subject{Dataset: "a/b"})
		})
	}
}

func TestChangeAgainstTheInputOfTheStep(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Options{Now: clock})
	s := monitor.Subject{Dataset: "a/b", Rules: setsOf(t, "checks: [{change: {of: row_count, against: input, max: 10%}}]")}
	o, err := m.Observe(t.Context(), reader(t, strings.NewReader(lines(50))), s)
	require.NoError(t, err)
	require.Equal(t, checks.Error, o.Report.Verdict, "no input is known")
	in, err := m.Observe(t.Context(), reader(t, strings.NewReader(lines(100))), monitor.Subject{Dataset: "a/a"})
	require.NoError(t, err)
	s.Input = in.Profile
	o, err = m.Observe(t.Context(), reader(t, strings.NewReader(lines(50))), s)
	require.NoError(t, err)
	require.Equal(t, "row_count is 50, the step's input has 100: -50 %, expected a change of at most 10 %", o.Report.Results[1].Message)
}

func TestBaselineProfileStandsForThePast(t *testing.T) {
	t.Parallel()
	m := monitor.New(monitor.Options{Now: clock})
	o, err := m.Observe(t.Context(), reader(t, strings.NewReader(lines(10))), monitor.Subject{Dataset: "a/b"})
	require.NoError(t, err)
	p := monitor.ProfilePast(o.Profile, 0, checks.Need{Column: "v", Metric: "max"})
	require.Equal(t, checks.Past{Values: []float64{6}, Baseline: true}, p)
	require.NotEmpty(t, monitor.ProfilePast(o.Profile, 0, checks.Need{Column: "nope", Metric: "max"}).Err)
	require.Same(t, o.Profile, monitor.ProfilePast(o.Profile, 0, checks.Need{Profile: true}).Profile)
}

func TestGate(t *testing.T) {
	t.Parallel()
	result := func(s checks.Status, action string) checks.Result { return checks.Result{Status: s, OnFail: action} }
	for _, tc := range []struct {
		results  []checks.Result
		fallback string
		want     string
	}{
		{nil, "", ""},
		{[]checks.Result{result(checks.Pass, "block"), result(checks.Warn, "block"), result(checks.Learning, "block")}, "", ""},
		{[]checks.Result{result(checks.Fail, "")}, "", "block"},
		{[]checks.Result{result(checks.Fail, "")}, "warn", "warn"},
		{[]checks.Result{result(checks.Fail, "warn"), result(checks.Fail, "quarantine")}, "block", "quarantine"},
		{[]checks.Result{result(checks.Fail, "warn"), result(checks.Error, "")}, "block", "block"},
		{[]checks.Result{result(checks.Fail, "block"), result(checks.Fail, "quarantine")}, "", "block"},
	} {
		o := &monitor.Outcome{Report: checks.Report{Results: tc.results}}
		require.Equal(t, tc.want, o.Gate(tc.fallback))
	}
}
