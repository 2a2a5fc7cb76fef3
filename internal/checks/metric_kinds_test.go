package checks_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
)

func TestMetricKinds(t *testing.T) {
	t.Parallel()
	data := "n,c,x,y,d,z\n1,DE,1,2,2026-03-01,007\n2,DE,2,4,2026-03-02,010\n3,FR,3,6,2026-03-03,007\n4,AT,4,8,2026-03-04,010\n10,,5,10,,\n"
	for _, tc := range []struct {
		column, item string
		status       checks.Status
		message      string
	}{
		{"n", "quantile: {q: 0.5, equals: 3}", checks.Pass, "quantile 0.5 of n is 3, as expected (3)"},
		{"n", "quantile: {q: 75%, max: 4}", checks.Pass, "quantile 75% of n is 4, as expected (at most 4)"},
		{"n", "quantile: {q: 0.95, below: 8.5}", checks.Fail, "quantile 0.95 of n is 8.8, expected below 8.5"},
		{"n", "quantile: {q: 0, min: 1}", checks.Pass, "quantile 0 of n is 1, as expected (at least 1)"},
		{"n", "quantile: {q: 1, warn: {max: 9}, fail: {max: 20}}", checks.Warn, "quantile 1 of n is 10, expected at most 9"},
		{"d", "quantile: {q: 0.5, min: 2026-03-03}", checks.Fail, "quantile 0.5 of d is 2026-03-02T12:00:00, expected at least 2026-03-03"},
		{"c", "quantile: {q: 0.5, min: 1}", checks.Fail, "quantile 0.5 of c has no value to judge"},
		{"nope", "quantile: {q: 0.5, min: 1}", checks.Fail, `there is no column "nope"; there are n, c, x, y, d, z`},

		{"c", "entropy: {min: 1.5}", checks.Pass, "entropy of c is 1.5, as expected (at least 1.5)"},
		{"c", "entropy: {max: 1}", checks.Fail, "entropy of c is 1.5, expected at most 1"},
		{"z", "entropy: 1", checks.Pass, "entropy of z is 1, as expected (1)"},

		{"c", "most_common: DE", checks.Pass, `the most common value of c is "DE" (2 of 4 rows), as expected (DE)`},
		{"c", "most_common: {one_of: [FR, AT]}", checks.Fail, `the most common value of c is "DE" (2 of 4 rows), expected one of FR, AT`},
		{"c", "{most_common: FR, severity: warn}", checks.Warn, `the most common value of c is "DE" (2 of 4 rows), expected FR`},
		{"z", "most_common: [007, 010]", checks.Pass, `the most common values of z are "007", "010" (2 each), as expected (one of 007, 010)`},
		{"z", "most_common: {equals: 010}", checks.Fail, `the most common values of z are "007", "010" (2 each), expected 010`},

		{"c", "values: {equals: [DE, FR, AT]}", checks.Pass, "values of c are as expected (exactly DE, FR, AT)"},
		{"c", "values: {equals: [DE, CH]}", checks.Fail, `values of c: "AT", "FR" are not expected; "CH" is missing, expected exactly DE, CH`},
		{"c", "values: {subset_of: [DE, FR, AT, CH]}", checks.Pass, "values of c are as expected (none but DE, FR, AT, CH)"},
		{"c", "values: {subset_of: [DE, FR]}", checks.Fail, `values of c: "AT" is not expected, expected none but DE, FR`},
		{"c", "values: {superset_of: [DE]}", checks.Pass, "values of c are as expected (at least DE)"},
		{"c", "values: {superset_of: [DE, CH, US]}", checks.Fail, `values of c: "CH", "US" are missing, expected at least DE, CH, US`},
		{"n", "values: {equals: [1.0, 2, '3', 4, 1e1]}", checks.Pass, "values of n are as expected (exactly 1.0, 2, 3, 4, 1e1)"},
		{"z", "values: {equals: [007, 010]}", checks.Pass, "values of z are as expected (exactly 007, 010)"},
		{"d", "values: {superset_of: [2026-03-01]}", checks.Pass, "values of d are as expected (at least 2026-03-01)"},

		{"x", "correlation: {with: y, min: 0.99}", checks.Pass, "correlation of x with y is 1, as expected (at least 0.99)"},
		{"x", "correlation: {with: n, max: 0.5}", checks.Fail, "correlation of x with n is 0.894427, expected at most 0.5"},
		{"x", "correlation: {with: nope, min: 0}", checks.Fail, `there is no column "nope"; there are n, c, x, y, d, z`},
		{"x", "correlation: {with: c, min: 0}", checks.Error, `column "c" is of type string; correlation needs numbers`},
	} {
		res := one(t, tc.column, tc.item, data)
		require.Equal(t, tc.message, res.Message, tc.item)
		require.Equal(t, tc.status, res.Status, tc.item)
	}
}

func TestMetricKindsOfNothing(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"a,b\n", "a,b\n,1\n,2\n"} { // no rows; all null
		for item, want := range map[string]string{
			"quantile: {q: 0.5, min: 1}":       "quantile 0.5 of a has no value to judge",
			"entropy: {min: 1}":                "entropy of a has no value to judge",
			"most_common: x":                   "the most common value of a has no value to judge",
			"correlation: {with: b, min: 0.5}": "correlation of a with b has no value to judge",
		} {
			res := one(t, "a", item, data)
			require.Equal(t, want, res.Message)
			require.Equal(t, "no value", res.Reason)
			require.Equal(t, checks.Fail, res.Status)
		}
		require.Equal(t, checks.Pass, one(t, "a", "values: {subset_of: [x]}", data).Status)
		require.Equal(t, checks.Fail, one(t, "a", "values: {superset_of: [x]}", data).Status)
	}
	res := one(t, "a", "correlation: {with: b, min: 0.5}", "a,b\n1,5\n1,6\n1,7\n")
	require.Equal(t, "no value", res.Reason, "a constant column has no correlation")
}

// Beyond what is counted, a check says so rather than guess.
func TestMetricKindsOfManyValues(t *testing.T) {
	t.Parallel()
	var data strings.Builder
	data.WriteString("id,v\n")
	for i := range 100_000 {
		fmt.Fprintf(&data, "k%d,%d\n", i, i)
	}
	text := data.String()
	res := one(t, "id", "entropy: {min: 1}", text)
	require.Equal(t, checks.Pass, res.Status)
	require.Regexp(t, `^entropy of id is 16\.\d+ ± \d+\.\d+ \(estimated\), as expected`, res.Message)
	require.Equal(t, checks.Fail, one(t, "id", "entropy: {max: 2}", text).Status)
	require.Equal(t, checks.Fail, one(t, "id", "entropy: {one_of: [1, 17.5]}", text).Status)
	for _, limit := range []string{"{min: 16}", "{max: 16.5}", "{equals: 16.6}", "{min: 1, max: 16}", "{one_of: [1, 16.5]}", "{warn: {min: 15}, fail: {min: 1}}"} {
		res := one(t, "id", "entropy: "+limit, text)
		require.Equal(t, checks.Error, res.Status, limit)
		require.Regexp(t, `^entropy of id is from \d+(\.\d+)? to 16\.\d+, which is not known closer`, res.Message)
	}
	require.Equal(t, checks.Error, one(t, "id", "most_common: k1", text).Status)
	require.Equal(t, checks.Error, one(t, "id", "values: {superset_of: [k1]}", text).Status)
	res = one(t, "id", "values: {subset_of: [k1, k2]}", text)
	require.Equal(t, checks.Fail, res.Status)
	require.Regexp(t, `^values of id: about \d+,\d+ distinct values, expected none but k1, k2`, res.Message)
	res = one(t, "v", "quantile: {q: 0.9, min: 1}", text)
	f, ok := res.Value.Float()
	require.True(t, ok)
	require.InDelta(t, 90_000, f, 2_000)
}

// One pass over shifted, scaled pairs agrees with two passes.
func TestCorrelationAgreesWithTwoPasses(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	for _, shift := range []float64{0, 1e6, 1e9} {
		for _, n := range []int{2, 3, 7, 64, 1023, 4097} {
			var data strings.Builder
			data.WriteString("x,y\n")
			var xs, ys []float64
			for i := range n {
				x := shift + math.Round(1e6*r.NormFloat64())/1e6
				y := 0.5*(x-shift) + math.Round(1e6*r.NormFloat64())/1e6
				if i%10 == 9 {
					fmt.Fprintf(&data, "%v,\n", x) // a row without its pair
					continue
				}
				fmt.Fprintf(&data, "%v,%v\n", x, y)
				xs, ys = append(xs, x), append(ys, y)
			}
			got, ok := one(t, "x", "correlation: {with: y, min: -1}", data.String()).Value.Float()
			require.True(t, ok)
			require.InDelta(t, pearson(xs, ys), got, 1e-6, "%d rows around %g", n, shift)
		}
	}
}

func pearson(xs, ys []float64) float64 {
	mean := func(v []float64) (m float64) {
		for _, f := range v {
			m += f / float64(len(v))
		}
		return m
	}
	mx, my := mean(xs), mean(ys)
	var xx, yy, xy float64
	for i := range xs {
		dx, dy := xs[i]-mx, ys[i]-my
		xx, yy, xy = xx+dx*dx, yy+dy*dy, xy+dx*dy
	}
	return xy / math.Sqrt(xx*yy)
}

func TestMistakesInMetricKinds(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]string{
		"quantile: {max: 5}":                      `"q"`,
		"quantile: 0.5":                           "needs q and a limit",
		"quantile: {q: 0.5}":                      "needs a limit",
		"quantile: {q: 2, max: 5}":                "q lies between 0 and 1",
		"entropy":                                 "needs a limit",
		`entropy: {min: "x"}`:                     "needs numbers",
		"most_common":                             "needs values",
		"most_common: []":                         "is empty",
		"most_common: {one_of: [a], equals: b}":   "keep one",
		"{most_common: a, warn: {min: 1}}":        `has no zone "warn"`,
		"values: {equals: [a], subset_of: [b]}":   "needs one list",
		"values: {equals: a}":                     "expected a list",
		"values: [a]":                             "expected a mapping",
		"values: {sub_set_of: [a]}":               `did you mean "subset_of"?`,
		"correlation: {min: 0.5}":                 `"with"`,
		"correlation: {with: v, min: 0.5}":        "with itself is 1",
		"correlation: {with: w}":                  "needs a limit",
		"correlation: {with: w, min: 2026-01-01}": "needs numbers",
	} {
		_, diags := rules.Parse("r.yaml", []byte("columns:\n  v:\n    - "+item+"\n"), nil)
		require.Error(t, diags.Err(), item)
		require.Contains(t, diags.Err().Error(), want, item)
	}
}

func TestCorrelationDoesNotAllocate(t *testing.T) {
	sets, diags := rules.Parse("r.yaml", []byte("columns: {x: [{correlation: {with: y, min: 0}}]}"), nil)
	require.NoError(t, diags.Err())
	var c batch.Chunk
	c.Reset(2, nil)
	c.Filled()
	for i := range 2_000 {
		c.Vectors[0].Append(batch.Value{Type: batch.Integer, Int: int64(i)}, nil)
		c.Vectors[1].Append(batch.Value{Type: batch.Number, Float: float64(i * i)}, nil)
	}
	c.Rows, c.First = 2_000, 1
	columns := []batch.Column{{Name: "x"}, {Name: "y"}}
	ev := checks.New(rules.Plan(sets, 1))
	require.NoError(t, ev.Observe(columns, &c))
	require.LessOrEqual(t, testing.AllocsPerRun(5, func() { require.NoError(t, ev.Observe(columns, &c)) }), 2.0)
}
