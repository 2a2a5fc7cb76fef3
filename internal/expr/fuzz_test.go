package expr_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/expr"
)

// hostile are texts that a careless reader would choke on.
func hostile() []string {
	const n = 16_000
	return []string{
		strings.Repeat("(", n), strings.Repeat("(", n/2-1) + "a" + strings.Repeat(")", n/2-1), strings.Repeat("[", n), strings.Repeat("{", n),
		strings.Repeat("not ", n/4), strings.Repeat("- ", n/2) + "a", strings.Repeat("a.", n/2) + "a", strings.Repeat("a[", n/2), strings.Repeat("f(", n/2),
		strings.Repeat("a and ", n/6) + "a", strings.Repeat("a<", n/2) + "a", strings.Repeat("a==", n/3) + "a", strings.Repeat("abs(", 1_500) + "a" + strings.Repeat(")", 1_500) + "> 1",
		strings.Repeat("if a {", n/6), strings.Repeat("let a=", n/6), strings.Repeat("a ? b : ", n/8), strings.Repeat("a|f(", n/4), strings.Repeat("\"", n), strings.Repeat("/*", n/2),
		"a in [" + strings.Repeat("1,", n/2-10) + "1]", `a matches "` + strings.Repeat("(a{0,1000}){0,1000}", 100) + `"`, "a == \"" + strings.Repeat("\\u0041", n/7) + "\"",
		"a < (" + strings.Repeat("a < (", 1_000) + "a" + strings.Repeat(") < a", 1_000) + ") < a", strings.Repeat("a is_null(", n/10), "a\x00== \xff", "\xff\xfe", "a == '\xff'",
	}
}

func TestHostileTextsAreCheap(t *testing.T) {
	t.Parallel()
	for _, text := range hostile() {
		start := time.Now()
		var errs diag.List
		if p := expr.Compile(text, at, &errs); p == nil {
			require.True(t, errs.HasErrors(), "%.40s", text)
		}
		require.Less(t, time.Since(start), 20*time.Second, "%.40s", text)
	}
}

func FuzzExpression(f *testing.F) {
	g := &generator{rand.New(rand.NewPCG(3, 4))}
	for range 40 {
		f.Add(g.truth(2))
	}
	for _, text := range hostile() {
		if len(text) < 200 {
			f.Add(text)
		}
	}
	for _, text := range []string{`col("a.b") == 1 and not (n in [1, 2])`, `days(d - e) > 1 or d >= "2026-01-01"`, `is_null(s) || trim(s) matches "^[a-z]+$"`, "round(n / m, 2) != 0.5"} {
		f.Add(text)
	}
	var cells [10][]string
	names := []string{"n", "m", "x", "s", "t", "d", "e", "b", "c", "k"}
	columns := map[string]*batch.Vector{}
	for i, name := range names {
		for range 50 {
			cells[i] = append(cells[i], g.cell(columnTypes[name]))
		}
		columns[name] = csvColumn(cells[i]...)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var errs diag.List
		p := expr.Compile(text, at, &errs)
		if p == nil {
			require.True(t, errs.HasErrors())
			for _, d := range errs {
				require.Positive(t, d.Width)
				require.LessOrEqual(t, d.Pos.Column, len(text)+1)
			}
			return
		}
		require.NotEmpty(t, p.Columns())
		e := expr.NewEvaluator(p)
		e.Load(50, func(name string) *batch.Vector { return columns[name] })
		for _, r := range p.Readings(false)[:min(4, len(p.Readings(false)))] {
			require.Len(t, e.Truth(0, r), 50)
		}
		r, _ := e.Resolve(0, func(name string) (batch.Type, bool) { typ, ok := columnTypes[name]; return typ, ok })
		require.GreaterOrEqual(t, p.Index(r, false), 0)
		require.GreaterOrEqual(t, p.Index(r, true), 0)
	})
}

// table makes columns of n rows.
func table(n int) map[string]*batch.Vector {
	g := &generator{rand.New(rand.NewPCG(5, 6))}
	columns := map[string]*batch.Vector{}
	for name, typ := range columnTypes {
		cells := make([]string, n)
		for i := range cells {
			cells[i] = g.cell(typ)
		}
		columns[name] = csvColumn(cells...)
	}
	return columns
}

var conditions = []string{
	"n > 5", "n + m * 2 <= x / 3 and n % 2 == 0", `s == "Ab"`, `s in ["a", "Ab"] or trim(lower(t)) startsWith "ü"`, `s matches "^[a-z]+$"`, "d >= e", `d >= "2026-01-01" && days(d - e) < 30`,
	"is_null(n) or len(s) > 2", "b != c", "round(m, 2) == 2.5", "year(d) == 2026 and weekday(e) in [1, 2, 3]", `n == m or s == t`, `k < "12:00:00"`,
}

func TestNoAllocationPerRow(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector empties pools at random; it runs with -short")
	}
	for _, text := range conditions {
		p := compile(t, text)
		e := expr.NewEvaluator(p)
		columns := table(1024)
		vector := func(name string) *batch.Vector { return columns[name] }
		readings := p.Readings(false)
		run := func() {
			e.Load(1024, vector)
			for _, r := range readings {
				e.Truth(0, r)
			}
		}
		run()
		require.Zero(t, testing.AllocsPerRun(20, run), text)
	}
}

// What several programs share is computed once.
func TestCommonPartsAreComputedOnce(t *testing.T) {
	t.Parallel()
	columns := table(2048)
	vector := func(name string) *batch.Vector { return columns[name] }
	heavy := `trim(lower(s)) matches "^(a|b|c)+$"`
	p, q := compile(t, heavy), compile(t, heavy+" and n > 1")
	e := expr.NewEvaluator(p, q)
	e.Load(2048, vector)
	first := e.Truth(0, 0)
	e.Truth(1, 0)
	again := e.Truth(0, 0)
	require.Same(t, &first[0], &again[0], "the second program uses the first one's result")
	require.Equal(t, []string{"s", "n"}, e.Columns())
}

func BenchmarkConditions(b *testing.B) {
	columns := table(2048)
	vector := func(name string) *batch.Vector { return columns[name] }
	for _, text := range conditions {
		b.Run(strings.ReplaceAll(text, " ", ""), func(b *testing.B) {
			p := compile(b, text)
			e := expr.NewEvaluator(p)
			b.ReportAllocs()
			for b.Loop() {
				e.Load(2048, vector)
				e.Truth(0, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/row")
		})
	}
}
