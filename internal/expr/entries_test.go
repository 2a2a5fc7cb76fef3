package expr_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/expr"
)

// TestConditionsByEntries gives chunks of a column as values and in dictionary
// form, with dictionaries that grow, are replaced, or are too large to be looked
// at: conditions are the same, in all readings.
func TestConditionsByEntries(t *testing.T) {
	t.Parallel()
	texts := []string{`s == "Ab"`, `s in ["a", "Ab"] or trim(lower(s)) startsWith "ü"`, `not (s matches "^[a-z]+$")`, "is_null(s) or len(s) > 2", "s > 5 and s < 100", `s != t and s == "a"`, "s == s"}
	for seed := range uint64(200) {
		g := &generator{rand.New(rand.NewPCG(seed, 3))}
		programs := []*expr.Program{}
		for _, text := range texts {
			programs = append(programs, compile(t, text))
		}
		plain, coded := expr.NewEvaluator(programs...), expr.NewEvaluator(programs...)
		var distinct []string
		dict := csvColumn()
		for range 6 {
			if g.r.IntN(4) == 0 {
				distinct, dict = nil, csvColumn()
			}
			n := 1 + g.r.IntN(20)
			cells, others := make([]string, n), make([]string, n)
			v := &batch.Vector{HasText: true, Inferred: true, Dict: dict}
			for range g.r.IntN(2) * 10 * n { // entries that no row of the chunk has
				distinct = append(distinct, g.cell(batch.Integer)+"x")
				appendCell(dict, distinct[len(distinct)-1])
			}
			for i := range cells {
				cells[i], others[i] = g.cell([]batch.Type{batch.String, batch.Integer}[g.r.IntN(2)]), g.cell(batch.String)
				at := slices.Index(distinct, cells[i])
				if at < 0 {
					at = len(distinct)
					distinct = append(distinct, cells[i])
					appendCell(dict, cells[i])
				}
				v.Codes = append(v.Codes, uint32(at))
			}
			other := csvColumn(others...)
			load := func(e *expr.Evaluator, s *batch.Vector) {
				e.Load(n, func(name string) *batch.Vector { return map[string]*batch.Vector{"s": s, "t": other}[name] })
			}
			load(plain, csvColumn(cells...))
			load(coded, v)
			for i, p := range programs {
				for _, r := range p.Readings(false) {
					require.Equal(t, plain.Truth(i, r), coded.Truth(i, r), "%s of %q in reading %d, seed %d", p.Text(), cells, r, seed)
				}
			}
		}
	}
}

// appendCell appends a cell to a column of csvColumn.
func appendCell(v *batch.Vector, cell string) {
	one := csvColumn(cell)
	v.Append(one.Value(0), one.Bytes(0))
}

func BenchmarkConditionsOfDictionary(b *testing.B) {
	g := &generator{rand.New(rand.NewPCG(5, 6))}
	cells := make([]string, 2048)
	for i := range cells {
		cells[i] = g.cell(batch.String)
	}
	v := dictionary(cells)
	for _, text := range []string{`s == "Ab"`, `s in ["a", "Ab"]`, `trim(lower(s)) startsWith "ü"`, `s matches "^[a-z]+$"`, "len(s) > 2"} {
		b.Run(strings.ReplaceAll(text, " ", ""), func(b *testing.B) {
			e := expr.NewEvaluator(compile(b, text))
			for b.Loop() {
				e.Load(2048, func(string) *batch.Vector { return v })
				e.Truth(0, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/row")
		})
	}
}
