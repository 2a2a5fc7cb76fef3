package drift

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/sketch"
)

func compare(t *testing.T, m Method, a, b Sample) Outcome {
	t.Helper()
	o, err := Compare(m, a, b)
	require.NoError(t, err, string(m))
	return o
}

func numbersOf(values ...float64) Sample { return Sample{Numbers: listOf(values...)} }

// texts builds an exact sample from "name", count pairs in falling order.
func texts(pairs ...any) Sample {
	s := Sample{Exact: true}
	for i := 0; i < len(pairs); i += 2 {
		s.Values = append(s.Values, Value{Text: pairs[i].(string), Count: uint64(pairs[i+1].(int))})
	}
	return s
}

func methodsFor(s Sample) []Method {
	return slices.DeleteFunc(Methods(), func(m Method) bool { return s.Numbers == nil && m.onNumbers() })
}

func TestMethodsParseAndHaveDefaults(t *testing.T) {
	t.Parallel()
	for _, m := range Methods() {
		got, ok := Parse(string(m))
		require.True(t, ok)
		require.Equal(t, m, got)
		warn, fail := m.Defaults()
		require.Positive(t, warn)
		require.Greater(t, fail, warn)
	}
	for _, name := range []string{"", "PSI", "kl"} {
		_, ok := Parse(name)
		require.False(t, ok, name)
	}
	warn, _ := Method("kl").Defaults()
	require.True(t, math.IsNaN(warn))
	warn, fail := MethodPSI.Defaults()
	require.Equal(t, [2]float64{0.1, 0.25}, [2]float64{warn, fail})
}

func TestAutoChoosesByKindAndDistinct(t *testing.T) {
	t.Parallel()
	var twenty []float64
	for i := range 20 {
		twenty = append(twenty, float64(i))
	}
	require.Equal(t, MethodTV, Auto(numbersOf(twenty...), true))
	require.Equal(t, MethodKS, Auto(numbersOf(append(twenty, 20)...), true))
	require.Equal(t, MethodKS, Auto(Sample{Numbers: listOf(1, 2), Distinct: 21}, true))
	require.Equal(t, MethodTV, Auto(texts("a", 1), false))
	require.Equal(t, MethodKS, compare(t, MethodAuto, numbersOf(append(twenty, 20)...), numbersOf(1)).Method)
	require.Equal(t, MethodTV, compare(t, MethodAuto, texts("a", 1), texts("a", 1)).Method)
}

func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	var unique []any
	for i := range 300 {
		unique = append(unique, fmt.Sprintf("id%d", i), 1)
	}
	for _, c := range []struct {
		name string
		m    Method
		a, b Sample
		want error
		text string
	}{
		{"empty baseline", MethodKS, Sample{}, numbersOf(1), ErrNoBaseline, "no value in the baseline"},
		{"empty both", MethodKS, Sample{}, Sample{}, ErrNoBaseline, "no value in the baseline"},
		{"empty batch", MethodKS, numbersOf(1), Sample{}, ErrNoValues, "no value"},
		{"weights of 0", MethodKS, numbersOf(1), Sample{Numbers: []weighted{{Value: 1}}, Rows: 5}, ErrNoValues, "no value"},
		{"kinds", MethodTV, numbersOf(1), texts("a", 1), ErrNotComparable, "the baseline holds numbers, the batch texts"},
		{"ks on texts", MethodKS, texts("a", 1), texts("a", 1), ErrNotComparable, "ks needs numbers and the column holds texts; use one of js, hellinger, tv, linf, chi2"},
		{"psi on texts", MethodPSI, texts("a", 1), texts("a", 1), ErrNotComparable, "psi needs numbers"},
		{"unknown", "kl", texts("a", 1), texts("a", 1), ErrNotComparable, `unknown method "kl"`},
		{"near-unique", MethodAuto, texts(unique...), texts("a", 1), ErrNotComparable, "cover 33.3 % of the baseline's rows"},
		{"near-unique, nothing frequent", MethodTV, Sample{Rows: 5000, Distinct: 4000}, texts("a", 1), ErrNotComparable, "cover 0.0 %"},
	} {
		_, err := Compare(c.m, c.a, c.b)
		require.ErrorIs(t, err, c.want, c.name)
		require.ErrorContains(t, err, c.text, c.name)
		require.Equal(t, errors.Is(c.want, ErrNoBaseline), errors.Is(err, ErrNoBaseline), c.name)
	}
	require.ErrorIs(t, ErrNoBaseline, ErrNoValues)
	require.NoError(t, nearUnique(Sample{Rows: 1000, Distinct: 100, Values: []Value{{"a", 9, 0}}}), "100 distinct texts fit")
	require.Error(t, nearUnique(Sample{Rows: 1000, Distinct: 101, Values: []Value{{"a", 9, 0}}}))
	_, err := Compare(MethodTV, texts("a", 1), texts(unique...))
	require.NoError(t, err, "the batch may be near-unique: that is drift")
}

func TestBinsFollowTheBaseline(t *testing.T) {
	t.Parallel()
	var hundred, low, ties []float64
	for i := 1; i <= 100; i++ {
		hundred = append(hundred, float64(i))
		low = append(low, float64(i%10)-50)
		ties = append(ties, float64(max(0, i-50)))
	}
	edges := deciles(listOf(hundred...))
	require.Equal(t, []float64{10.5, 20.5, 30.5, 40.5, 50.5, 60.5, 70.5, 80.5, 90.5}, edges)
	require.Equal(t, []float64{0, 0.5, 10.5, 20.5, 30.5, 40.5}, deciles(listOf(ties...)), "equal edges are one")
	require.Equal(t, []float64{5.5}, deciles(listOf(slices.Concat(slices.Repeat([]float64{math.Inf(-1)}, 4), []float64{5, 6}, slices.Repeat([]float64{math.Inf(1)}, 4))...)))

	cells := cellsOfNumbers(listOf(hundred...), listOf(append(low, math.Inf(-1))...), 100, 0)
	require.Len(t, cells, 10)
	for _, c := range cells {
		near(t, 0.1, c.p)
	}
	require.Equal(t, 1.0, cells[0].q, "below the first edge, and minus infinity")
	cells = cellsOfNumbers(listOf(hundred...), listOf(90.5, 1000, math.Inf(1), 90), 100, 0)
	require.Equal(t, 0.75, cells[9].q, "an edge belongs to the bin above it; so does infinity")

	// At most 20 distinct values: a bin for each and one for all others.
	cells = cellsOfNumbers(listOf(hundred[:20]...), listOf(1), 20, 0)
	require.Len(t, cells, 21)
	cells = cellsOfNumbers(listOf(hundred[:21]...), listOf(1), 21, 0)
	require.Len(t, cells, 10)
	cells = cellsOfNumbers(listOf(1, 1, 2, 5), listOf(0, 1, 2, 3, 7, 7, 7, 7), 3, 0)
	require.Len(t, cells, 4)
	require.Equal(t, []float64{0.5, 0.25, 0.25, 0}, []float64{cells[0].p, cells[1].p, cells[2].p, cells[3].p})
	require.Equal(t, []float64{0.125, 0.125, 0, 0.75}, []float64{cells[0].q, cells[1].q, cells[2].q, cells[3].q})
}

func TestMovesNameWhatMoved(t *testing.T) {
	t.Parallel()
	o := compare(t, MethodTV, texts("DE", 50, "US", 30, "BR", 20), texts("DE", 50, "BR", 44, "US", 6))
	require.Equal(t, MethodTV, o.Method)
	near(t, 0.24, o.Distance)
	require.Equal(t, `value "US"`, o.Moved[0].Label)
	require.Equal(t, "US", o.Moved[0].Text)
	near(t, 0.5, o.Moved[0].Part)
	require.Equal(t, `value "BR"`, o.Moved[1].Label)
	require.Equal(t, 0.2, o.Moved[1].Baseline)
	require.Equal(t, 0.44, o.Moved[1].Batch)
	require.Len(t, o.Moved, 2)

	o = compare(t, MethodJS, texts("DE", 50), texts("x\n"+strings.Repeat("é", 100), 50))
	require.Equal(t, 1.0, o.Distance)
	require.Equal(t, `value "x\n`+strings.Repeat("é", 58)+`…"`, o.Moved[1].Label)

	var spread, up []float64
	for i := range 1000 {
		spread, up = append(spread, float64(i)), append(up, float64(i)+950)
	}
	o = compare(t, MethodPSI, numbersOf(spread...), numbersOf(up...))
	require.Equal(t, "≥ 899.5", o.Moved[0].Label)
	require.Equal(t, 899.5, o.Moved[0].Low)
	require.True(t, math.IsInf(o.Moved[0].High, 1))
	require.Equal(t, "< 99.5", o.Moved[1].Label)
	require.Equal(t, "99.5 … 199.5", o.Moved[2].Label)
	require.Len(t, o.Moved, 10)
	parts := 0.0
	for _, m := range o.Moved {
		parts += m.Part
	}
	near(t, 1, parts)

	o = compare(t, MethodTV, numbersOf(1, 2), numbersOf(1, 3))
	require.Equal(t, []string{"2", "all others"}, []string{o.Moved[0].Label, o.Moved[1].Label})
	require.Empty(t, o.Moved[1].Text)
	o = compare(t, MethodTV, Sample{Values: []Value{{Text: "a", Count: 3}}, Exact: true, Rows: 4}, texts("a", 4))
	require.Equal(t, []string{`value "a"`, "all others"}, []string{o.Moved[0].Label, o.Moved[1].Label})

	narrow := []cell{{low: math.Inf(-1), high: 1.00000001}, {low: 1.00000001, high: 1.00000002}, {low: 1.00000002, high: math.Inf(1)}}
	digits := enoughDigits(narrow)
	require.Equal(t, "1.00000001 … 1.00000002", narrow[1].label(digits))
}

func TestWassersteinAtTheLimits(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	for _, c := range []struct {
		a, b []weighted
		want float64
	}{
		{listOf(5, 5), listOf(5), 0},
		{listOf(5, 5), listOf(6), maxRatio},
		{listOf(1, 2), listOf(1e9), maxRatio},
		{listOf(1, 2, inf), listOf(1, 2, inf), 0},
		{listOf(1, 2), listOf(1, 2, inf), maxRatio},
		{listOf(-inf, 1), listOf(-inf, -inf, 1), maxRatio},
		{listOf(-1e308, 1e308), listOf(-1e308), 1},
		{listOf(0, 4e-320), listOf(0), 1},
	} {
		require.InDelta(t, c.want, wassersteinRatio(c.a, c.b), 1e-9, "%v %v", c.a, c.b)
	}
	require.Equal(t, inf, Wasserstein(listOf(1), listOf(inf)))
	require.True(t, math.IsNaN(Wasserstein(nil, listOf(1))))
	require.True(t, math.IsNaN(KS(listOf(1), nil)))
}

func TestOpenCountsNeverCreateDrift(t *testing.T) {
	t.Parallel()
	exact := texts("a", 50, "b", 30, "c", 20)
	for _, c := range []struct {
		name  string
		batch Sample
		want  float64 // total variation
	}{
		{"within the error of a listed text", Sample{Values: []Value{{"a", 45, 10}, {"b", 25, 10}, {"c", 20, 10}}, Rows: 100, Missing: 10}, 0},
		{"at the end of the error", Sample{Values: []Value{{"a", 70, 2}, {"b", 15, 5}}, Rows: 100, Missing: 5}, 0.25},
		{"missing texts may count up to Missing", Sample{Values: []Value{{"a", 50, 0}, {"b", 30, 0}}, Rows: 100, Missing: 20}, 0},
		{"but not more", Sample{Values: []Value{{"a", 50, 0}, {"b", 30, 0}}, Rows: 100, Missing: 5}, 0.15},
		{"without Missing the last listed count is the bound", Sample{Values: []Value{{"a", 50, 0}, {"b", 30, 0}}, Rows: 100}, 0},
		{"what is listed by name cannot be missing", Sample{Values: []Value{{"a", 50, 0}, {"d", 45, 0}}, Rows: 100}, 0.45},
		{"an exact list has no open counts", Sample{Values: []Value{{"a", 50, 0}, {"b", 30, 0}, {"x", 20, 0}}, Exact: true}, 0.2},
	} {
		o := compare(t, MethodTV, exact, c.batch)
		require.InDelta(t, c.want, o.Distance, 1e-12, c.name)
		require.InDelta(t, c.want, compare(t, MethodTV, c.batch, exact).Distance, 1e-12, c.name+", the other way round")
		if c.want == 0 {
			require.Equal(t, 1.0, o.P, c.name)
		}
	}
	o := compare(t, MethodTV, exact, Sample{Values: []Value{{"a", 45, 10}}, Rows: 100, Missing: 7})
	near(t, 0.1, o.CountErrors)
	o = compare(t, MethodTV, exact, Sample{Values: []Value{{"a", 50, 0}, {"d", 45, 0}}, Rows: 100})
	near(t, 0.05, o.CountErrors, "no more is open than the rows that are not listed")
}

func TestRankErrorsComeOffBeforeTheTest(t *testing.T) {
	t.Parallel()
	// Every second bin has 1.5 % of the rows more, its neighbour less: no cut
	// is off by more than 1.5 %.
	var a, b []weighted
	for i := range 100 {
		a = append(a, weighted{Value: float64(i), Weight: 1000})
		b = append(b, weighted{Value: float64(i), Weight: 1000 + 150 - 300*uint64(i/10%2)})
	}
	for _, m := range []Method{MethodPSI, MethodTV, MethodChi2} {
		o := compare(t, m, Sample{Numbers: a}, Sample{Numbers: b})
		require.True(t, o.Significant, m)
		lossy := compare(t, m, Sample{Numbers: a, RankError: 0.01}, Sample{Numbers: b, RankError: 0.01})
		require.Equal(t, 1.0, lossy.P, m)
		require.Equal(t, o.Distance, lossy.Distance, m)
		require.Equal(t, 0.02, lossy.RankErrors)
	}
}

func TestDeviationFarFromZero(t *testing.T) {
	t.Parallel()
	for _, at := range []float64{0, 1e6, 1e12, 4e15} {
		s := listOf(at, at+1, at+5, at+9, at+9, at+11, at+12)
		require.InEpsilon(t, 4.430874976934521, math.Ldexp(deviation(s, exponent(s)), exponent(s)), 1e-6, at)
	}
}

func TestOnlyTheFirstHundredTextsGetABin(t *testing.T) {
	t.Parallel()
	var long, short []any
	for i := range 150 {
		long = append(long, fmt.Sprintf("v%03d", i), 1000-i)
		if i < 100 {
			short = append(short, fmt.Sprintf("v%03d", i), 1000-i)
		}
	}
	a, b := texts(long...), texts(short...)
	cells, _ := cellsOfTexts(a, a)
	require.Len(t, cells, 101)
	require.InDelta(t, 43_775.0/138_825, cells[100].p, 1e-12)
	cells, _ = cellsOfTexts(b, texts(long[200:]...))
	require.Len(t, cells, 151)
	b.Rows, b.Exact = a.rows(), false
	require.Zero(t, compare(t, MethodTV, a, b).Distance, "a cut list agrees with the whole one")
}

func TestSmallCountsAreTestedExactly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		a, b      Sample
		low, high float64 // bounds of p
	}{
		{"a new value in all of 20 rows", texts("a", 1_000_000), texts("b", 20), 0, 1e-30},
		{"one rare row proves nothing", texts("a", 1_000, "x", 1), texts("a", 30, "x", 1), 0.05, 0.2},
		{"3 of 30 where 1.7 % is usual", texts("a", 983_000, "x", 17_000), texts("a", 27, "x", 3), 0.02, 0.04},
		{"the same beside two frequent texts", texts("a", 500_000, "b", 483_000, "x", 17_000), texts("a", 14, "b", 13, "x", 3), 0.03, 0.08},
		{"2 of 20 gone", texts("a", 900, "x", 100), texts("a", 20), 0.1, 0.5},
		{"Fisher 3/0 against 0/3, doubled tail", texts("a", 3), texts("b", 3), 0.0999, 1},
	} {
		o := compare(t, MethodTV, c.a, c.b)
		require.GreaterOrEqual(t, o.P, c.low, c.name)
		require.LessOrEqual(t, o.P, c.high, c.name)
	}
	// Fisher's exact tail, by counting: 10 rows, 4 marked, 5 drawn, all 4 hit:
	// C(6,1)/C(10,5) = 6/252.
	near(t, 2*6./252, rareP(column{0.4, -0.8}, 5, 5))
	near(t, 2*66./252, rareP(column{0.4, 0.4}, 5, 5), "at most 1 hit: (6 + 4·15)/252")

	// Sixty usual values of which each alone is too rare in a batch of 100.
	usual := Sample{Exact: true}
	for i := range 60 {
		usual.Values = append(usual.Values, Value{Text: fmt.Sprint(i), Count: 16_000})
	}
	require.True(t, compare(t, MethodTV, usual, texts("new", 100)).Significant)
	var ramp []float64
	for i := range 10_000 {
		ramp = append(ramp, float64(i))
	}
	require.True(t, compare(t, MethodPSI, numbersOf(ramp...), numbersOf(slices.Repeat([]float64{9_999}, 8)...)).Significant,
		"8 rows fill no decile, but all of them lie at one end")
}

// sketched returns the sample of values as a profile of them would give it.
func sketched(values []float64, seed uint64) Sample {
	s := sketch.NewKLL[float64](seed)
	different := map[float64]bool{}
	for _, v := range values {
		s.Add(v)
		different[v] = true
	}
	return Sample{Numbers: s.Weighted(), RankError: s.Error(), Rows: s.N(), Distinct: uint64(len(different))}
}

func TestHalvesOfTheSameNumbersDoNotDrift(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]func() float64{
		"normal":      r.NormFloat64,
		"exponential": func() float64 { return math.Exp(3 * r.NormFloat64()) },
		"few":         func() float64 { return float64(r.IntN(6) * r.IntN(3)) },
		"many zeros":  func() float64 { return max(0, r.NormFloat64()) },
		"prices":      func() float64 { return math.Round(100*r.ExpFloat64()) / 100 },
	}
	for name, draw := range kinds {
		for _, n := range []int{60, 700, 5_000, 60_000} {
			values := make([]float64, 2*n)
			for i := range values {
				values[i] = draw()
			}
			a, b := sketched(values[:n], 1), sketched(values[n:], 2)
			require.Equal(t, n > 2_000 && name != "few" && name != "prices", a.RankError > 0 && name != "few" && name != "prices", "%s %d", name, n)
			for _, m := range Methods() {
				o := compare(t, m, a, b)
				_, fail := m.Defaults()
				require.False(t, o.Significant, "%s %d %s: %v", name, n, m, o)
				if n >= 5_000 {
					require.Less(t, o.Distance, fail/2, "%s %d %s", name, n, m)
				}
			}
		}
	}
}

func TestChanceIsWhatPSays(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	numbers := func(n int) Sample {
		var v []float64
		for range n {
			v = append(v, r.ExpFloat64())
		}
		return numbersOf(v...)
	}
	few := func(n int) Sample {
		var v []float64
		for range n {
			v = append(v, math.Floor(3*r.ExpFloat64()))
		}
		return numbersOf(v...)
	}
	words := func(n int) Sample {
		count := map[string]uint64{}
		for range n {
			count[fmt.Sprint(math.Floor(3*r.ExpFloat64()))]++
		}
		s := Sample{Exact: true}
		for text, n := range count {
			s.Values = append(s.Values, Value{Text: text, Count: n})
		}
		slices.SortFunc(s.Values, func(a, b Value) int { return strings.Compare(a.Text, b.Text) })
		return s
	}
	const runs = 400
	for name, draw := range map[string]func(int) Sample{"numbers": numbers, "few": few, "words": words} {
		for _, size := range [][2]int{{4, 9}, {20, 20}, {20, 1000}, {1000, 20}, {30, 500}, {300, 300}} {
			hits := 0
			for range runs {
				m := []Method{MethodTV, MethodKS}[r.IntN(2)]
				if name == "words" {
					m = MethodTV
				}
				if compare(t, m, draw(size[0]), draw(size[1])).P < 0.01 {
					hits++
				}
			}
			// Binomial with p = 0.01: more than 14 of 400 has a chance of 1e-5.
			require.LessOrEqual(t, hits, 14, "%s %v", name, size)
		}
	}
	o := compare(t, MethodTV, few(500), numbersOf(slices.Repeat([]float64{-1}, 60)...))
	require.True(t, o.Significant, "never seen numbers are found")
	o = compare(t, MethodTV, few(5000), numbers(200))
	require.True(t, o.Significant, "so are many different ones")
}

func TestShiftsAreFoundThroughSketches(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	a, b := make([]float64, 50_000), make([]float64, 50_000)
	for i := range a {
		a[i], b[i] = r.NormFloat64(), 1.2*r.NormFloat64()+0.6
	}
	for _, m := range Methods() {
		o := compare(t, m, sketched(a, 1), sketched(b, 2))
		warn, _ := m.Defaults()
		require.Greater(t, o.Distance, warn, m)
		require.True(t, o.Significant, m)
		exact := compare(t, m, numbersOf(a...), numbersOf(b...))
		require.InDelta(t, exact.Distance, o.Distance, 0.05, m)
		require.LessOrEqual(t, exact.P, o.P, m)
	}
}

func TestHalvesOfTheSameTextsDoNotDrift(t *testing.T) {
	t.Parallel()
	for _, skew := range []float64{1.3, 2} {
		z := rand.NewZipf(rand.New(rand.NewPCG(5, 6)), skew, 1, 100_000)
		half := func() Sample {
			f, different := sketch.NewFrequent(), map[uint64]bool{}
			const n = 100_000
			for range n {
				v := z.Uint64()
				different[v] = true
				f.Add(v*0x9e3779b97f4a7c15+1, fmt.Append(nil, v), 1)
			}
			s := Sample{Rows: n, Missing: 2 * f.Error(), Exact: f.Error() == 0, Distinct: uint64(len(different))}
			for _, it := range f.Top(2048) {
				s.Values = append(s.Values, Value{it.Text, it.Count, it.Error})
			}
			return s
		}
		a, b := half(), half()
		require.Equal(t, skew < 2, !a.Exact, "the skewed data fit, the others do not")
		for _, m := range methodsFor(a) {
			o := compare(t, m, a, b)
			require.False(t, o.Significant, "%v %s %v", skew, m, o)
			require.Less(t, o.Distance, 0.05, "%v %s", skew, m)
		}
	}
}

func randomSamples(r *rand.Rand) [2]Sample {
	n := []int{1, 2, 5, 21, 60, 300}[r.IntN(6)]
	var out [2]Sample
	if r.IntN(2) == 0 {
		for i := range out {
			var v []float64
			for range n {
				v = append(v, math.Round(10*r.NormFloat64()))
			}
			out[i].Numbers = listOf(v...)
		}
		return out
	}
	for i := range out {
		s := Sample{Exact: true}
		for k := range min(n, 60) {
			if c := r.Uint64N(50); c > 0 {
				s.Values = append(s.Values, Value{Text: fmt.Sprint(k), Count: c})
			}
		}
		s.Values = append(s.Values, Value{Text: "one", Count: 1})
		slices.SortStableFunc(s.Values, func(a, b Value) int { return int(b.Count) - int(a.Count) })
		out[i] = s
	}
	return out
}

func TestLawsOfDistances(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 400 {
		s := randomSamples(r)
		a, b := s[0], s[1]
		for _, m := range methodsFor(a) {
			same := compare(t, m, a, a)
			require.Zero(t, same.Distance, m)
			require.Equal(t, 1.0, same.P, m)
			require.Nil(t, same.Moved, m)

			o := compare(t, m, a, b)
			require.False(t, math.IsNaN(o.Distance) || o.Distance < 0, m)
			require.True(t, o.P >= 0 && o.P <= 1, "%s %v", m, o.P)
			require.Equal(t, fmt.Sprint(o), fmt.Sprint(compare(t, m, a, b)), "deterministic")
			if a.Numbers == nil || m == MethodKS {
				near(t, 1+o.Distance, 1+compare(t, m, b, a).Distance, "symmetric: %s", m)
			}
			if m != MethodPSI && m != MethodWasserstein {
				require.LessOrEqual(t, o.Distance, 1+1e-12, m)
			}
			require.Equal(t, fmt.Sprint(o), fmt.Sprint(compare(t, m, scaled(a, 7), scaled(b, 7))), "the scale of weights is free: %s", m)
		}
	}
}

// scaled multiplies the weights of numbers and keeps the rows.
func scaled(s Sample, by uint64) Sample {
	if s.Numbers == nil {
		return s
	}
	s.Rows = total(s.Numbers)
	s.Numbers = slices.Clone(s.Numbers)
	for i := range s.Numbers {
		s.Numbers[i].Weight *= by
	}
	return s
}
