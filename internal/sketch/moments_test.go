package sketch

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// exactMoments computes all statistics naively in 400 bits.
type exactMoments struct{ sum, mean, variance, skewness, kurtosis float64 }

func bigFloat(v float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(v) }

func exactOf(v []float64) exactMoments {
	sum, n := bigFloat(0), bigFloat(float64(len(v)))
	for _, x := range v {
		sum.Add(sum, bigFloat(x))
	}
	mean := bigFloat(0).Quo(sum, n)
	m2, m3, m4 := bigFloat(0), bigFloat(0), bigFloat(0)
	d, p := bigFloat(0), bigFloat(0)
	for _, x := range v {
		d.Sub(bigFloat(x), mean)
		m2.Add(m2, p.Mul(d, d))
		m3.Add(m3, p.Mul(p, d))
		m4.Add(m4, p.Mul(p, d))
	}
	var e exactMoments
	e.sum, _ = sum.Float64()
	e.mean, _ = mean.Float64()
	e.variance = math.NaN()
	if len(v) > 1 {
		v2 := bigFloat(0).Quo(m2, bigFloat(float64(len(v)-1)))
		e.variance, _ = v2.Float64()
	}
	if m2.Sign() == 0 {
		e.skewness, e.kurtosis = math.NaN(), math.NaN()
		return e
	}
	cube := bigFloat(0).Mul(m2, bigFloat(0).Mul(m2, m2))
	cube.Sqrt(cube)
	g := bigFloat(0).Sqrt(n)
	e.skewness, _ = g.Quo(g.Mul(g, m3), cube).Float64()
	g = bigFloat(0).Mul(n, m4)
	g.Quo(g, bigFloat(0).Mul(m2, m2))
	e.kurtosis, _ = g.Sub(g, bigFloat(3)).Float64()
	return e
}

func requireClose(t *testing.T, want, got, relative, floor float64, what string) {
	t.Helper()
	if math.IsNaN(want) {
		require.True(t, math.IsNaN(got), "%s is %v", what, got)
		return
	}
	require.InDelta(t, want, got, relative*max(math.Abs(want), floor), what)
}

func requireMoments(t *testing.T, v []float64, m Moments) {
	t.Helper()
	e := exactOf(v)
	require.Equal(t, uint64(len(v)), m.N())
	require.Equal(t, slices.Min(v), m.Min())
	require.Equal(t, slices.Max(v), m.Max())
	requireClose(t, e.sum, m.Sum(), 1e-15, 0, "sum")
	requireClose(t, e.mean, m.Mean(), 1e-15, 0, "mean")
	requireClose(t, math.Sqrt(e.variance), m.StdDev(), 1e-12, 0, "standard deviation")
	// Skewness and excess are differences: 1 is the scale of their error.
	requireClose(t, e.skewness, m.Skewness(), 1e-10, 1, "skewness")
	requireClose(t, e.kurtosis, m.Kurtosis(), 1e-10, 1, "kurtosis")
}

// ways feed the same values in all ways there are.
var ways = []struct {
	name string
	feed func(r *rand.Rand, v []float64) Moments
}{
	{"one by one", func(_ *rand.Rand, v []float64) (m Moments) {
		for _, x := range v {
			m.Add(x)
		}
		return m
	}},
	{"weighted", func(_ *rand.Rand, v []float64) (m Moments) {
		counts := map[float64]uint64{}
		for _, x := range v {
			counts[x]++
		}
		for _, x := range v {
			m.AddWeighted(x, counts[x])
			delete(counts, x)
		}
		return m
	}},
	{"slices", func(_ *rand.Rand, v []float64) (m Moments) {
		for part := range slices.Chunk(v, 257) {
			m.AddSlice(part)
		}
		return m
	}},
	{"merged", func(r *rand.Rand, v []float64) Moments {
		var all []Moments
		for i, part := range parts(r, v, 9) {
			var m Moments
			if i%2 == 0 {
				m.AddSlice(part)
			}
			for _, x := range part {
				if i%2 == 1 {
					m.Add(x)
				}
			}
			all = append(all, m)
		}
		return mergeTree(r, all, func(a, b Moments) Moments {
			a.Merge(b)
			return a
		})
	}},
}

func TestMomentsAgainstBigFloats(t *testing.T) {
	t.Parallel()
	for _, g := range generators {
		for _, offset := range []float64{0, 1e9, -1e12} {
			for _, n := range []int{1, 2, 3, 7, 8, 9, 63, 64, 65, 257, 4097} {
				t.Run(fmt.Sprint(g.name, offset, n), func(t *testing.T) {
					t.Parallel()
					r := newRand(uint64(n))
					v := g.make(r, n)
					for i := range v {
						v[i] += offset
					}
					for _, way := range ways {
						requireMoments(t, v, way.feed(r, v))
					}
				})
			}
		}
	}
}

func TestMomentsOfManyValuesWithALargeOffset(t *testing.T) {
	t.Parallel()
	r := newRand(1)
	v := fill(40_000, func(int) float64 { return 1e9 + 1e-3*r.NormFloat64() })
	want := math.Sqrt(exactOf(v).variance)
	for _, way := range ways {
		m := way.feed(r, v)
		requireClose(t, want, m.StdDev(), 1e-11, 0, way.name)
	}
}

func TestMomentsOfConstants(t *testing.T) {
	t.Parallel()
	for _, c := range []float64{0, 0.1, -1e9 / 3, 1e300, math.SmallestNonzeroFloat64, math.MaxFloat64} {
		for _, way := range ways {
			m := way.feed(newRand(1), slices.Repeat([]float64{c}, 3001))
			require.Equal(t, 0.0, m.Variance(), "%s of %v", way.name, c)
			require.Equal(t, 0.0, m.StdDev())
			require.Equal(t, c, m.Mean())
			require.True(t, math.IsNaN(m.Skewness()))
			require.True(t, math.IsNaN(m.Kurtosis()))
		}
	}
}

func TestMomentsOfFewValues(t *testing.T) {
	t.Parallel()
	var m Moments
	m.AddSlice(nil)
	m.AddWeighted(5, 0)
	m.Merge(Moments{})
	require.Equal(t, Moments{}, m)
	require.Zero(t, m.Sum())
	for _, v := range []float64{m.Mean(), m.Variance(), m.StdDev(), m.Skewness(), m.Kurtosis(), m.Min(), m.Max()} {
		require.True(t, math.IsNaN(v))
	}
	m.Add(3)
	require.True(t, math.IsNaN(m.Variance()), "one value has no variance")
	m.Add(5)
	require.Equal(t, 2.0, m.Variance())
	require.Equal(t, 0.0, m.Skewness())
	require.Equal(t, -2.0, m.Kurtosis())
}

func TestMomentsSumIsExact(t *testing.T) {
	t.Parallel()
	v := []float64{1e16, 1, -1e16, 1, 3e-9, 1e100, 1, -1e100}
	for _, way := range ways {
		if way.name == "merged" {
			continue // the order differs, and 1e100 hides what two doubles cannot hold
		}
		m := way.feed(newRand(1), v[:5])
		require.Equal(t, 2.000000003, m.Sum(), way.name)
	}
	var m Moments
	m.AddWeighted(0.1, 1<<60+1)
	want := new(big.Float).SetPrec(400).SetInt(new(big.Int).Lsh(big.NewInt(1), 60))
	want.Mul(want.Add(want, bigFloat(1)), bigFloat(0.1))
	f, _ := want.Float64()
	require.Equal(t, f, m.Sum())
	require.Equal(t, 0.1, m.Mean())
}

func TestMomentsBeyondTheRange(t *testing.T) {
	t.Parallel()
	v := []float64{math.MaxFloat64, math.MaxFloat64, math.MaxFloat64 / 2}
	for _, way := range ways[:3] {
		m := way.feed(newRand(1), v)
		require.True(t, math.IsInf(m.Sum(), 1), way.name)
		require.InEpsilon(t, math.MaxFloat64/6*5, m.Mean(), 1e-12, way.name)
		require.True(t, math.IsInf(m.Variance(), 1), way.name)
		require.Equal(t, math.MaxFloat64/2, m.Min())
		var back Moments
		reload(t, m, &back)
	}
}

func TestMomentsMergeLaws(t *testing.T) {
	t.Parallel()
	r := newRand(6)
	for range 50 {
		v := generators[0].make(r, 3+r.IntN(3000))
		i := 1 + r.IntN(len(v)-1)
		var a, b Moments
		a.AddSlice(v[:i])
		b.AddSlice(v[i:])
		ab, ba, alone := a, b, Moments{}
		ab.Merge(b)
		ba.Merge(a)
		alone.Merge(a)
		require.Equal(t, a, alone, "an empty summary changes nothing")
		alone.Merge(Moments{})
		require.Equal(t, a, alone)
		requireMoments(t, v, ab)
		requireMoments(t, v, ba)
		var back Moments
		reload(t, ab, &back)
		require.Equal(t, ab, back)
	}
}

func TestMomentsRefuseBadContent(t *testing.T) {
	t.Parallel()
	var m Moments
	m.AddSlice([]float64{1, 2, 4})
	good := encode(t, m)
	refuses(t, good, &Moments{})
	set := func(field int, v float64) []byte {
		b := slices.Clone(good)
		for i := range 8 {
			b[10+8*field+i] = byte(math.Float64bits(v) >> (8 * i))
		}
		return b
	}
	empty := slices.Clone(good)
	clear(empty[2:10])
	for name, b := range map[string][]byte{
		"empty with values": empty,
		"NaN minimum":       set(7, math.NaN()),
		"infinite maximum":  set(8, math.Inf(1)),
		"minimum above":     set(7, 9),
		"negative M2":       set(4, -1),
		"negative M4":       set(6, -1),
	} {
		require.ErrorContains(t, new(Moments).UnmarshalBinary(b), "decode moments summary: ", name)
	}
}

func TestMomentsDoNotAllocate(t *testing.T) {
	var m Moments
	v := generators[0].make(newRand(1), 1000)
	i := 0
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		m.Add(v[i%1000])
		m.AddWeighted(v[i%1000], 7)
		m.AddSlice(v)
		i++
	}))
}

func FuzzMomentsUnmarshal(f *testing.F) {
	var m Moments
	f.Add(encode(f, m))
	m.Add(-3)
	f.Add(encode(f, m))
	m.AddSlice(generators[0].make(newRand(1), 100))
	f.Add(encode(f, m))
	fuzz(f, func() *Moments { return &Moments{} }, func(m *Moments) {
		m.Kurtosis()
		m.Merge(*m)
		m.Add(1)
	})
}
