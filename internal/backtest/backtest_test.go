package backtest_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/backtest"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source/csv"
	"github.com/profilerhq/profiler/internal/store"
)

var first = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func parse(t testing.TB, text string) []*rules.Set {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte(text), nil)
	require.NoError(t, diags.Err())
	return sets
}

// record sends tables through the monitor, one a day, into a store, and returns
// what was said about each.
func record(t testing.TB, a *app.App, sets []*rules.Set, tables []string) (reports []checks.Report) {
	t.Helper()
	for d, table := range tables {
		r, err := csv.New(strings.NewReader(table), csv.Options{Source: "in.csv"})
		require.NoError(t, err)
		at := first.AddDate(0, 0, d)
		o, err := a.Monitor.Observe(context.Background(), r, monitor.Subject{Dataset: "shop/orders", Batch: at.Format("2006-01-02"), At: at, AsOf: at.AddDate(0, 0, 1), Rules: sets})
		require.NoError(t, err)
		reports = append(reports, o.Report)
	}
	return reports
}

func newApp(t testing.TB) *app.App {
	t.Helper()
	a, err := app.New(context.Background(), app.Options{Store: "sqlite:" + filepath.Join(t.TempDir(), "h.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a
}

// load reads all recorded batches.
func load(t testing.TB, s *store.Store) backtest.Input {
	t.Helper()
	recorded, err := s.Replay(context.Background(), store.Query{Dataset: "shop/orders", All: true}, true)
	require.NoError(t, err)
	in := backtest.Input{Dataset: "shop/orders"}
	for _, r := range recorded {
		in.Batches = append(in.Batches, backtest.Batch{Name: r.Batch.Batch, At: r.At, AsOf: app.AsOf(&r), Label: string(r.Label), Accepted: r.Accepted, Profile: r.Profile, Results: r.Results})
	}
	return in
}

// days are tables whose numbers, sets and times move at random.
func days(n, rows int) (tables []string) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for d := range n {
		var b strings.Builder
		b.WriteString("id,amount,tax,status,country,at\n")
		scale := 1 + rnd.Float64()
		for i := range rows - rnd.IntN(rows/2) {
			amount := rnd.ExpFloat64() * 20 * scale
			note := []string{"paid", "open", "void", ""}[rnd.IntN(4)]
			fmt.Fprintf(&b, "%d,%.2f,%.2f,%s,%s,%s\n", d*1000+i-rnd.IntN(2), amount-1, amount*0.2, note, []string{"DE", "AT", "CH"}[rnd.IntN(3)],
				first.AddDate(0, 0, d).Add(time.Duration(rnd.IntN(24))*time.Hour).Format(time.RFC3339))
		}
		tables = append(tables, b.String())
	}
	return tables
}

const allKinds = `
checks:
  - row_count: {min: 40, max: 75}
  - schema: {columns: [id, amount, status], types: {id: integer}}
  - freshness: {column: at, max_age: 2h}
  - change: {of: row_count, against: previous, max: 20%}
  - change: {of: amount.mean, against: 7d, max: 10%}
  - change: {of: row_count, against: same_weekday, max: 15%}
  - unique: [id, status]
  - row: amount > tax
  - duplicate_rows: 0
columns:
  id: [not_null, unique, increasing]
  amount:
    - range: {min: 0, max: 120}
      warn: 0
      fail: 5%
    - range: {min: 0}
      where: status == "paid"
      fail: 2
    - mean: {min: 20, max: 33}
    - mean: {max: 30}
      where: status == "paid"
    - mean: {max: 36}
      by: country
    - not_null:
      by: country
    - quantile: {q: 0.9, max: 70}
    - correlation: {with: tax, min: 0.99}
    - drift: {}
    - drift: {method: ks, fail: 0.15, baseline: 7d}
  status:
    - null_rate: {max: 27%}
    - in: [paid, open]
      fail: 26%
    - drift: {method: tv, fail: 0.1, baseline: 5}
  "c*": [distinct: 3]
  gone: [not_null]
`

// The same rules give the same statuses without the rows, kind by kind and day
// by day.
func TestAReplayEqualsWhatWasSaid(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	sets := parse(t, allKinds)
	reports := record(t, a, sets, days(40, 80))
	out := backtest.Run(t.Context(), load(t, a.Store), sets)
	require.Equal(t, 40, out.Batches)
	fired := map[string]map[string]checks.Status{}
	spoke := 0
	for _, r := range out.Rules {
		require.Zero(t, r.NeedsRows, "%s: %s", r.ID, r.Reason)
		fired[r.ID] = map[string]checks.Status{}
		for _, f := range r.Fired {
			fired[r.ID][f.Batch] = f.Status
			spoke++
		}
	}
	require.Greater(t, spoke, 100)
	for _, rep := range reports {
		for _, r := range rep.Results {
			if r.Kind == "auto" {
				continue
			}
			want := r.Status
			if want != checks.Warn && want != checks.Fail {
				want = checks.Pass
			}
			require.Equal(t, want, fired[r.ID][rep.Batch], "%s on %s: %s", r.ID, rep.Batch, r.Message)
		}
	}
}

func ruleOf(t *testing.T, o *backtest.Outcome, id string) *backtest.Rule {
	t.Helper()
	for _, r := range o.Rules {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no rule %s", id)
	return nil
}

// Row checks are judged again from their counts as long as they count the same.
func TestRowChecksAreReplayedFromTheirCounts(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	record(t, a, parse(t, "columns: {v: [{range: {min: 0}}, {in: [1, 2], by: w}]}"), []string{"v,w\n1,a\n-1,a\n", "v,w\n1,a\n2,b\n", "v,w\n-1,a\n-1,a\n"})
	in := load(t, a.Store)
	for _, tc := range []struct {
		name, rule string
		fails      int
		needsRows  int
	}{
		{"as it was", "{range: {min: 0}}", 2, 0},
		{"with another limit", "{range: {min: 0}, fail: 1}", 1, 0},
		{"with a share", "{range: {min: 0}, fail: 50%}", 1, 0},
		{"with another name and note", "{range: {min: 0}, id: v.range, note: x}", 2, 0},
		{"as a warning", "{range: {min: 0}, severity: warn}", 0, 0},
		{"another range", "{range: {min: 1}}", 0, 3},
		{"other rows", "{range: {min: 0}, where: w == \"a\"}", 0, 3},
		{"a new rule", "{multiple_of: 3}", 0, 3},
		{"by segments, as it was", "{in: [1, 2], by: w}", 2, 0},
		{"by segments, other limits", "{in: [1, 2], by: w, fail: 1}", 0, 3},
		{"by other segments", "{in: [1, 2], by: v}", 0, 3},
		{"without segments", "{in: [1, 2]}", 0, 3},
		{"a number", "{null_rate: {max: 0}}", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out := backtest.Run(t.Context(), in, parse(t, "columns: {v: ["+tc.rule+"]}"))
			require.Len(t, out.Rules, 2) // parsable too
			require.Equal(t, tc.fails, out.Rules[1].Fail)
			require.Equal(t, tc.needsRows, out.Rules[1].NeedsRows, out.Rules[1].Reason)
			require.Equal(t, tc.needsRows, out.Unknown)
		})
	}
}

func TestVersionsAreCompared(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	old := parse(t, "checks: [{row_count: {min: 2}}, {column_count: 1}]\ncolumns: {v: [{mean: {max: 5}}]}")
	record(t, a, old, []string{"v\n1\n", "v\n1\n2\n", "v\n9\n9\n9\n"})
	require.NoError(t, a.Store.SetLabel(t.Context(), "shop/orders", "2026-01-03", store.LabelReal, "ann"))
	in := load(t, a.Store)
	now := parse(t, "checks: [{row_count: {min: 3}}]\ncolumns: {v: [{mean: {max: 5}}, {max: {max: 3}}]}")
	out := backtest.Run(t.Context(), in, now)
	out.Compare(backtest.Run(t.Context(), in, old))
	require.Equal(t, []string{"2026-01-01", "2026-01-02", "2026-01-03"}, out.Failing)
	require.Equal(t, []string{"2026-01-01", "2026-01-03"}, out.AgainstFailing)
	require.Equal(t, 1, out.Real)
	require.Equal(t, 1, out.Found)
	require.Equal(t, &backtest.Change{Status: "changed", Added: []string{"2026-01-02"}, Gone: []string{}}, ruleOf(t, out, "row_count").Change)
	require.Equal(t, "same", ruleOf(t, out, "v.mean").Change.Status)
	require.Equal(t, 1, ruleOf(t, out, "v.mean").Real)
	require.Equal(t, &backtest.Change{Status: "added", Added: []string{"2026-01-03"}, Gone: []string{}}, ruleOf(t, out, "v.max").Change)
	require.Equal(t, "removed", ruleOf(t, out, "column_count").Change.Status)
	for name, render := range map[string]func(*bytes.Buffer) error{
		"table":    func(b *bytes.Buffer) error { return backtest.Table(b, []*backtest.Outcome{out}, "git:main") },
		"markdown": func(b *bytes.Buffer) error { return backtest.Markdown(b, []*backtest.Outcome{out}, "git:main") },
	} {
		var b bytes.Buffer
		require.NoError(t, render(&b))
		for _, want := range []string{"v.max", "added +1", "removed", "1 real", "3 batches of 3 would have failed", "1 of the 1 that are labelled real", "by git:main 2"} {
			require.Contains(t, b.String(), want, name)
		}
	}
}

// 90 days of 50 columns by 100 rules, from the stored bytes to the outcome, with and
// without ten checks of drift against 28 days.
func BenchmarkBacktest(b *testing.B) {
	for _, drift := range []bool{false, true} {
		b.Run(fmt.Sprintf("drift=%t", drift), func(b *testing.B) { benchmark(b, drift) })
	}
}

func benchmark(b *testing.B, drift bool) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var tables []string
	for range 118 {
		var t strings.Builder
		for c := range 50 {
			fmt.Fprintf(&t, "c%d,", c)
		}
		t.WriteString("\n")
		for range 1000 {
			for c := range 50 {
				if c%2 == 0 {
					fmt.Fprintf(&t, "%.2f,", rnd.ExpFloat64()*100)
				} else {
					fmt.Fprintf(&t, "v%d,", rnd.IntN(40))
				}
			}
			t.WriteString("\n")
		}
		tables = append(tables, t.String())
	}
	var text strings.Builder
	text.WriteString("columns:\n")
	for c := range 50 {
		kinds := []string{"null_rate: {max: 1%}", "range: {min: 0, max: 500}"}
		switch {
		case drift && c%10 == 0:
			kinds[0] = "drift: {}"
		case drift && c%10 == 5:
			kinds[0] = "drift: {method: tv, fail: 0.2}"
		case c%2 == 0:
			kinds[0] = "mean: {min: 90, max: 110}"
		}
		if c%2 == 1 {
			kinds[1] = "distinct: {max: 40}"
		}
		fmt.Fprintf(&text, "  c%d: [{%s}, {%s}]\n", c, kinds[0], kinds[1])
	}
	sets := parse(b, text.String())
	stored := make([][]byte, len(tables)) // as the store keeps them
	for d, table := range tables {
		r, err := csv.New(strings.NewReader(table), csv.Options{Source: "in.csv"})
		require.NoError(b, err)
		o, err := monitor.New(monitor.Options{}).Observe(context.Background(), r, monitor.Subject{Dataset: "shop/orders"})
		require.NoError(b, err)
		stored[d], err = o.Profile.Encode()
		require.NoError(b, err)
	}
	b.ResetTimer()
	for b.Loop() {
		in := backtest.Input{Dataset: "shop/orders", From: first.AddDate(0, 0, 28)}
		profiles, _, err := profile.DecodeAll(stored)
		require.NoError(b, err)
		for d, p := range profiles {
			in.Batches = append(in.Batches, backtest.Batch{Name: fmt.Sprint(d), At: first.AddDate(0, 0, d), Accepted: true, Profile: p})
		}
		out := backtest.Run(context.Background(), in, sets)
		if out.Batches != 90 || len(out.Rules) != 101 {
			b.Fatal(out.Batches, len(out.Rules))
		}
	}
}
