package drift

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// near holds two numbers to 12 digits.
func near(t *testing.T, want, got float64, args ...any) {
	t.Helper()
	require.InEpsilon(t, want, got, 1e-12, args...)
}

// listOf returns the values as a list with weights.
func listOf(values ...float64) []weighted {
	slices.Sort(values)
	out := make([]weighted, 0, len(values))
	for _, v := range values {
		out = append(out, weighted{Value: v, Weight: 1})
	}
	return prepare(out)
}

// The golden values were computed with scipy 1.10.1.
func TestFormulasGiveTheGoldenValues(t *testing.T) {
	t.Parallel()
	type vectors struct{ p, q []float64 }
	in := []vectors{
		{[]float64{.1, .2, .3, .4}, []float64{.25, .25, .25, .25}},
		{[]float64{.36, .48, .16}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{[]float64{.36, .64}, []float64{.5, .5}},
	}
	reverse := func(f func(p, q []float64) float64) func(p, q []float64) float64 {
		return func(p, q []float64) float64 { return f(q, p) }
	}
	divergence := func(p, q []float64) float64 { return JS(p, q) * JS(p, q) }
	for _, c := range []struct {
		name string
		f    func(p, q []float64) float64
		want [3]float64
	}{
		{"KL(p,q)", KL, [3]float64{0.10644013528622318, 0.0852996013183706, 0.039728985766243535}},
		{"KL(q,p)", reverse(KL), [3]float64{0.12177727428716867, 0.09745500678538754, 0.04082199452025513}},
		{"PSI", PSI, [3]float64{0.22821740957339182, 0.18275460810375815, 0.08055098028649868}},
		{"JS, base 2", JS, [3]float64{0.2005033225314282, 0.1800075811209281, 0.1203056214446094}},
		{"JS divergence, base 2", divergence, [3]float64{0.04020158234614192, 0.03240272926100751, 0.014473442551173662}},
		{"Hellinger", Hellinger, [3]float64{0.16789959640267474, 0.1504982751076378, 0.1002522136355775}},
		{"L-infinity", LInf, [3]float64{0.15, 0.17333333333333334, 0.14}},
		{"total variation", TotalVariation, [3]float64{0.2, 0.17333333333333334, 0.14}},
	} {
		for i, v := range in {
			near(t, c.want[i], c.f(v.p, v.q), "%s of P%d", c.name, i+1)
		}
	}
	js := sum(in[0].p, in[0].q, jsTerm)
	near(t, 0.02786561345727674, js, "JS divergence in nats")
	near(t, 0.16692996572597965, math.Sqrt(js), "JS distance in nats")

	p, q := []float64{.5, .5, 0}, []float64{.25, .25, .5}
	near(t, 4.604318466668949, PSI(p, q), "empty bin")
	near(t, 0.5579230452841438, JS(p, q), "empty bin")
	near(t, 0.541196100146197, Hellinger(p, q), "empty bin")

	// Ten equal bins over i/100 hold 10 values each only if the edges are exact;
	// the golden value comes from edges k·0.1 in floating point.
	squares := []float64{.32, .13, .10, .09, .07, .07, .06, .06, .05, .05}
	near(t, 0.3954085574070811, PSI([]float64{.1, .1, .11, .09, .1, .11, .1, .09, .1, .1}, squares))
	near(t, 0.3963989758414505, PSI(slices.Repeat([]float64{.1}, 10), squares))
}

func TestChiSquareGivesTheGoldenValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b       []float64
		statistic  float64
		dof        int
		p, cramers float64
	}{
		{[]float64{30, 50, 20}, []float64{20, 60, 40}, 7.822222222222223, 2, 0.020018246204381352, 0.18856180831641267},
		{[]float64{90, 10}, []float64{70, 30}, 12.5, 1, 0.00040695201744495946, 0.25},
		{[]float64{90, 0, 10}, []float64{70, 0, 30}, 12.5, 1, 0.00040695201744495946, 0.25},
	} {
		statistic, dof := ChiSquare(c.a, c.b)
		near(t, c.statistic, statistic)
		require.Equal(t, c.dof, dof)
		near(t, c.p, ChiSquareSurvival(statistic, dof))
		near(t, c.cramers, CramersV(c.a, c.b))
	}
	near(t, 0.006363629995195269, ChiSquareSurvival(12.32, 3), "goodness of fit")
	near(t, 0.0007829382178911184, ChiSquareSurvival(11.28125, 1), "the p value of a given statistic")

	statistic, dof := ChiSquare([]float64{0, 0}, []float64{1, 2})
	require.Zero(t, statistic)
	require.Zero(t, dof)
	require.Zero(t, CramersV([]float64{0, 0}, []float64{1, 2}))
	require.Equal(t, 1.0, ChiSquareSurvival(5, 0))
}

func samplesN() [4][2][]weighted {
	ramp := func(from, to int) []weighted {
		var v []float64
		for i := from; i <= to; i++ {
			v = append(v, float64(i))
		}
		return listOf(v...)
	}
	var line, square []float64
	for i := range 100 {
		x := float64(i) / 100
		line, square = append(line, x), append(square, x*x)
	}
	return [4][2][]weighted{
		{ramp(1, 10), ramp(3, 12)},
		{listOf(0, 1, 3), listOf(5, 6, 8)},
		{ramp(1, 5), listOf(1, 1, 1, 10)},
		{listOf(line...), listOf(square...)},
	}
}

func TestSamplesGiveTheGoldenValues(t *testing.T) {
	t.Parallel()
	d := [4]float64{0.2, 1, 0.55, 0.25}
	exact := [4]float64{0.9944575548290717, 0.1, 0.4285714285714286, 0.0037294923618311367}
	limit := [4]float64{0.9882610776435244, 0.09956184831478034, 0.51214395698936, 0.003860908244679527}
	earth := [4]float64{2, 5, 2.35, 0.16665}
	ratio := [4]float64{0.6963106238227914, 4.0089186286863665, 1.6617009357883867, 0.5773214009544423}
	for i, s := range samplesN() {
		a, b := s[0], s[1]
		near(t, d[i], KS(a, b), "N%d", i+1)
		p, ok := ksExact(d[i], total(a), total(b))
		require.True(t, ok)
		near(t, exact[i], p, "N%d", i+1)
		near(t, limit[i], KolmogorovLimit(KS(a, b), float64(total(a)), float64(total(b))), "N%d", i+1)
		near(t, earth[i], Wasserstein(a, b), "N%d", i+1)
		near(t, ratio[i], wassersteinRatio(a, b), "N%d", i+1)

		o, err := Compare(MethodKS, Sample{Numbers: a}, Sample{Numbers: b})
		require.NoError(t, err)
		near(t, d[i], o.Distance)
		near(t, exact[i], o.P, "small exact samples take the exact p value")
		o, err = Compare(MethodWasserstein, Sample{Numbers: a}, Sample{Numbers: b})
		require.NoError(t, err)
		near(t, ratio[i], o.Distance)
		near(t, exact[i], o.P)

		o, err = Compare(MethodKS, Sample{Numbers: a, RankError: 0.01}, Sample{Numbers: b})
		require.NoError(t, err)
		near(t, d[i], o.Distance, "a rank error does not change the distance")
		near(t, KolmogorovLimit(d[i]-0.01, float64(total(a)), float64(total(b))), o.P)
	}
}

func TestExactTestKnowsItsLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d    float64
		n, m uint64
		ok   bool
	}{
		{0.5, 100, 100, true},
		{0.5, 100, 101, false},
		{0.5, 101, 100, false},
		{0.5, 1 << 33, 1 << 31, false},
		{0.55, 5, 4, true},
		{0.56, 5, 4, false},
	} {
		_, ok := ksExact(c.d, c.n, c.m)
		require.Equal(t, c.ok, ok, "%v", c)
	}
	p, _ := ksExact(1, 100, 100)
	lg, _ := math.Lgamma(201)
	half, _ := math.Lgamma(101)
	require.InEpsilon(t, 2*math.Exp(2*half-lg), p, 1e-10, "two of all orders: tiny values are not lost")
	p, _ = ksExact(0, 3, 7)
	require.Equal(t, 1.0, p)
}

func TestSurvivalGivesTheGoldenValues(t *testing.T) {
	t.Parallel()
	near(t, 0.26999967167735456, KolmogorovSurvival(1))
	near(t, 0.26999967167735456, KolmogorovSurvival(math.Nextafter(1, 0)), "both forms meet")
	near(t, 0.05002679733444698, KolmogorovSurvival(1.358))
	near(t, 0.009975522431181053, KolmogorovSurvival(1.628))
	require.Equal(t, 1.0, KolmogorovSurvival(0))
	require.Equal(t, 1.0, KolmogorovSurvival(0.01))

	// Closed forms: Q(1, x) = e^−x, Q(½, x) = erfc √x, and the recurrence
	// Q(a+1, x) = Q(a, x) + x^a e^−x / Γ(a+1).
	for _, x := range []float64{1e-9, 0.1, 0.5, 1, 1.49, 1.51, 3, 10, 40, 200} {
		near(t, math.Exp(-x), UpperGamma(1, x))
		near(t, math.Erfc(math.Sqrt(x)), UpperGamma(0.5, x))
		for _, a := range []float64{0.5, 1, 4.5, 30, 99.5} {
			lg, _ := math.Lgamma(a + 1)
			require.InDelta(t, UpperGamma(a, x)+math.Exp(a*math.Log(x)-x-lg), UpperGamma(a+1, x), 1e-12, "a %v x %v", a, x)
		}
	}
	require.Equal(t, 1.0, UpperGamma(3, 0))
	require.Zero(t, UpperGamma(3, math.Inf(1)))
	require.True(t, math.IsNaN(UpperGamma(3, math.NaN())))
}

func TestBenjaminiHochbergGivesTheGoldenValues(t *testing.T) {
	t.Parallel()
	p := []float64{.216, .001, .008, .039, .041, .042, .06, .074, .205, .212}
	found := BenjaminiHochberg(p, 0.05)
	require.Equal(t, []bool{false, true, true, false, false, false, false, false, false, false}, found)
	near(t, 0.01, slices.Min(Adjusted(p)))
	require.Equal(t, []bool{true}, BenjaminiHochberg([]float64{0.001}, 0.001))
	require.Equal(t, []bool{false}, BenjaminiHochberg([]float64{0.0011}, 0.001))
	require.Empty(t, BenjaminiHochberg(nil, 0.05))
	// The third p value alone is above its step 0.03; the fourth lifts it.
	require.Equal(t, []bool{true, true, true, true}, BenjaminiHochberg([]float64{.01, .02, .039, .04}, 0.04))
}
