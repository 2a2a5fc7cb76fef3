package backtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// cells write a value of a column by its name.
var cells = map[string]func(r *rand.Rand, day int) string{
	"float":   func(r *rand.Rand, _ int) string { return fmt.Sprintf("%.1f", r.NormFloat64()*20) },
	"spread":  func(r *rand.Rand, _ int) string { return fmt.Sprint(r.Float64()) },
	"integer": func(r *rand.Rand, day int) string { return fmt.Sprint(r.IntN(60) - 30 + day) },
	"mixed": func(r *rand.Rand, _ int) string {
		return []string{"1", "1.0", "1.5", "-0", "0", "2.50", "2.5"}[r.IntN(7)]
	},
	"gaps": func(r *rand.Rand, _ int) string { return []string{"", `""`, "3", "4"}[r.IntN(4)] },
	"code": func(r *rand.Rand, day int) string { return fmt.Sprintf("%0*d", 1+day/12*4, r.IntN(300)) },
	"late": func(r *rand.Rand, day int) string {
		if day > 15 && r.IntN(90) == 0 {
			return []string{"NaN", "none", "9007199254740993"}[r.IntN(3)]
		}
		return fmt.Sprint(r.IntN(50))
	},
	"text": func(r *rand.Rand, _ int) string { return fmt.Sprint("v", r.IntN(20)) },
	"date": func(r *rand.Rand, day int) string {
		return time.Date(2026, 1, 1+day-r.IntN(5), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	},
}

func profileOf(t *testing.T, table string) *profile.Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(table), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	o, err := monitor.New(monitor.Options{}).Observe(t.Context(), r, monitor.Subject{Dataset: "shop/orders"})
	require.NoError(t, err)
	data, err := o.Profile.Encode()
	require.NoError(t, err)
	p, err := profile.Decode(data)
	require.NoError(t, err)
	return p
}

// recordedDays are batches of the given columns, some of them not accepted or
// without a profile, on one day without rows.
func recordedDays(t *testing.T, days, rows int, names ...string) Input {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	in := Input{Dataset: "shop/orders"}
	for day := range days {
		var b strings.Builder
		columns := names
		if day == 20 {
			columns = names[:len(names)-1] // the last one is missing once
		}
		b.WriteString(strings.Join(columns, ",") + "\n")
		for range rows {
			for i, name := range columns {
				if i > 0 {
					b.WriteString(",")
				}
				b.WriteString(cells[name](r, day))
			}
			b.WriteString("\n")
			if day == 9 {
				b.Reset()
				b.WriteString(strings.Join(columns, ",") + "\n")
			}
		}
		batch := Batch{Name: fmt.Sprint(day), At: time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC), Accepted: day%7 != 3}
		if day != 5 {
			batch.Profile = profileOf(t, b.String())
		}
		in.Batches = append(in.Batches, batch)
	}
	return in
}

// A window that moves on has the profile of its batches that are merged anew,
// as far as a comparison of distributions reads it.
func TestAMovingWindowIsWhatItsBatchesMergeTo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		days    int
		rows    int
		from    int // batches before are not compared
		columns []string
		slide   []string // in the end
	}{
		{"small", 40, 60, 0, []string{"float", "integer", "mixed", "gaps", "code", "late", "text", "date"}, []string{"float", "integer", "mixed", "gaps"}},
		{"one is missing", 24, 30, 0, []string{"integer", "float"}, []string{"integer"}},
		{"too many to be counted", 32, 3000, 30, []string{"spread", "integer", "text"}, []string{"integer"}},
	} {
		for _, span := range []checks.Window{{Batches: 1}, {Batches: 6}, {Batches: 28}, {Span: 5 * 24 * time.Hour}} {
			if tc.from > 0 && span.Batches < 28 {
				continue
			}
			t.Run(fmt.Sprint(tc.name, span), func(t *testing.T) {
				t.Parallel()
				in := recordedDays(t, tc.days, tc.rows, tc.columns...)
				h := newHistory(in, checks.Plan{})
				h.compared = tc.columns
				w := &window{h: h}
				for i := range in.Batches {
					past := w.at(i, checks.Need{Profile: true, Window: span})
					if i < tc.from || past.Profile == nil {
						continue
					}
					var parts []*profile.Profile
					for _, k := range w.batches {
						parts = append(parts, in.Batches[k].Profile.Select(tc.columns))
					}
					want, err := profile.Merged(parts...)
					require.NoError(t, err)
					require.Equal(t, len(parts), past.Batches)
					sameDistributions(t, want, past.Profile, i)
				}
				require.NotContains(t, w.slides, "spread")
				for _, name := range tc.slide {
					if span.Batches == 1 {
						break // nothing is left of a column in a window without values
					}
					require.Contains(t, w.slides, name)
				}
			})
		}
	}
}

func sameDistributions(t *testing.T, want, got *profile.Profile, day int) {
	t.Helper()
	require.Equal(t, want.Rows(), got.Rows())
	require.ElementsMatch(t, want.ColumnNames(), got.ColumnNames())
	for _, name := range want.ColumnNames() {
		at := fmt.Sprintf("%s on day %d", name, day)
		a, b := want.Column(name), got.Outline(name)
		type outline struct {
			kind            any
			name, typ       string
			count, nulls    int64
			distinct        profile.Estimate
			ratio           *float64
			zoned, codes, s bool
		}
		of := func(c *profile.Column) outline {
			return outline{c.Kind(), c.Name, c.Type, c.Count, c.Nulls, c.Distinct, c.DistinctRatio, c.Zoned(), c.Codes(), c.Sensitive}
		}
		require.Equal(t, of(a), of(b), at)
		lo, hi, ok := a.Bounds()
		lo2, hi2, ok2 := b.Bounds()
		require.Equal(t, []any{lo, hi, ok}, []any{lo2, hi2, ok2}, at)
		n, e := want.Numbers(name)
		n2, e2 := got.Numbers(name)
		require.Equal(t, e, e2, at)
		require.Equal(t, n == nil, n2 == nil, at)
		if e > 0 {
			continue // an estimate, which depends on how the merges were nested
		}
		require.Len(t, n2, len(n), at)
		for k := range n {
			require.True(t, n[k].Value == n2[k].Value && n[k].Weight == n2[k].Weight, at)
		}
		v, missing := want.Values(name, 100)
		v2, missing2 := got.Values(name, 100)
		require.Equal(t, v, v2, at)
		require.Equal(t, missing, missing2, at)
		require.Equal(t, want.Lengths(name), got.Lengths(name), at)
		require.Equal(t, a.Top, got.Column(name).Top, at) // what is not merged yet is, once asked for
	}
}

// Samples of another share than those before are compared with none of them.
func TestAWindowOfSamples(t *testing.T) {
	t.Parallel()
	in := recordedDays(t, 20, 30, "integer", "text")
	in.Batches = slices.DeleteFunc(in.Batches, func(b Batch) bool { return b.Profile == nil || !b.Accepted })[:12]
	for i := range in.Batches {
		if s := &in.Batches[i].Profile.Stats; i >= 6 {
			s.Sample, s.RowsRead = 0.5, 60
		}
	}
	h := newHistory(in, checks.Plan{})
	h.compared = []string{"integer", "text"}
	w := &window{h: h}
	for i := range in.Batches {
		past := w.at(i, checks.Need{Profile: true, Window: checks.Window{Batches: 4}})
		if i == 0 || i == 6 {
			require.Nil(t, past.Profile, i)
			continue
		}
		want := min(4, i)
		if i > 6 {
			want = min(4, i-6)
		}
		require.Equal(t, want, past.Batches, i)
		require.Equal(t, h.share(i), past.Profile.Stats.Sample, i)
	}
	distinct := checks.Need{Column: "integer", Metric: "distinct", Window: checks.Window{Batches: 1}}
	rate := checks.Need{Column: "integer", Metric: "null_rate", Window: checks.Window{Batches: 1}}
	got := h.answer(t.Context(), 8, []checks.Need{distinct, rate})
	require.Contains(t, got[distinct].Err, "distinct of a sample (50 %) depends on how many rows it has")
	require.Len(t, got[rate].Values, 1)
	require.Len(t, h.answer(t.Context(), 3, []checks.Need{distinct})[distinct].Values, 1)
}
