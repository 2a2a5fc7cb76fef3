package sketch

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSumOfFindsBounds(t *testing.T) {
	t.Parallel()
	r := newRand(1)
	edges := []float64{
		0, math.Copysign(0, -1), 1, -1, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64,
		math.MaxFloat64 / 1e4, -math.MaxFloat64 / 1e4, 1.5, -1.5,
	}
	for _, n := range kernelSizes[1:] {
		for name, value := range map[string]func() float64{
			"edges":    func() float64 { return edges[r.IntN(len(edges))] },
			"positive": func() float64 { return r.ExpFloat64() },
			"negative": func() float64 { return -r.ExpFloat64() },
			"both":     r.NormFloat64,
			"zeros":    func() float64 { return edges[r.IntN(2)] },
		} {
			v := fill(n, func(int) float64 { return value() })
			sum, low, high := sumOf(v)
			require.Equal(t, slices.Min(v)+0, low, name)
			require.Equal(t, slices.Max(v)+0, high, name)
			require.False(t, math.Signbit(low) && low == 0 || math.Signbit(high) && high == 0, "no −0")
			want := bigFloat(0)
			for _, x := range v {
				want.Add(want, bigFloat(x))
			}
			f, _ := want.Float64()
			require.InDelta(t, f, sum.hi, 1e-15*math.Abs(f)+1e-25*max(high, -low), name)
		}
	}
}

// intShapes are columns of integers, the hard ones for floats among them.
var intShapes = map[string]func(i int) int64{
	"small":        func(i int) int64 { return int64(i*i) % 17 },
	"times":        func(i int) int64 { return 1_700_000_000_000_000 + int64(i)*int64(i) },
	"near maximum": func(i int) int64 { return math.MaxInt64 - int64(i*i%1000) },
	"near minimum": func(i int) int64 { return math.MinInt64 + int64(i*i%1000) },
	"wide":         func(i int) int64 { return int64(mix(uint64(i))) },
	"both ends":    func(i int) int64 { return math.MinInt64 ^ -int64(i&1) },
	"constant":     func(int) int64 { return -1<<53 - 1 },
	"wide at 2^53": func(i int) int64 { return int64(i%2)<<53 + int64(i%3) },
}

func TestMomentsOfIntegersAgainstBigIntegers(t *testing.T) {
	t.Parallel()
	for name, shape := range intShapes {
		for _, n := range kernelSizes[1:] {
			v := make([]int64, n)
			total, square := new(big.Int), new(big.Rat)
			for i := range v {
				v[i] = shape(i)
				total.Add(total, big.NewInt(v[i]))
			}
			mean := new(big.Rat).SetFrac(total, big.NewInt(int64(n)))
			for _, x := range v {
				d := new(big.Rat).Sub(new(big.Rat).SetInt64(x), mean)
				square.Add(square, d.Mul(d, d))
			}
			var m Moments
			var sum, slice Sum128
			for part := range slices.Chunk(v, 700) {
				m.AddInts(part, &sum)
				slice.AddSlice(part)
			}
			requireSum(t, total, sum)
			require.Equal(t, sum, slice)
			require.Equal(t, uint64(n), m.N())
			require.Equal(t, float64(slices.Min(v)), m.Min())
			require.Equal(t, float64(slices.Max(v)), m.Max())
			wantMean, _ := mean.Float64()
			require.InDelta(t, wantMean, m.Mean(), 1e-15*math.Abs(wantMean), name)
			requireClose(t, sum.Float64(), m.Sum(), 1e-15, 0, name)
			if n > 1 {
				variance, _ := square.Quo(square, new(big.Rat).SetInt64(int64(n-1))).Float64()
				tolerance := 1e-12 * variance
				if name == "wide" || name == "both ends" {
					tolerance *= 10 // values rounded to float64 before anything else
				}
				require.InDelta(t, variance, m.Variance(), tolerance, "%s, %d values", name, n)
			}
		}
	}
}

func TestMomentsOfIntegersAreThoseOfNumbers(t *testing.T) {
	t.Parallel()
	for name, shape := range intShapes {
		ints := make([]int64, 3001)
		v := make([]float64, len(ints))
		for i := range ints {
			ints[i] = shape(i) % (1 << 40)
			v[i] = float64(ints[i])
		}
		var m Moments
		m.AddInts(nil, nil)
		m.AddInts(ints[:1], nil)
		m.AddInts(ints[1:], nil)
		t.Log(name)
		requireMoments(t, v, m)
	}
}

func TestMomentsAddCounts(t *testing.T) {
	t.Parallel()
	for _, g := range generators {
		for _, offset := range []float64{0, 1e9} {
			v := g.make(newRand(3), 3000)
			counts := map[float64]uint64{}
			for i := range v {
				v[i] += offset
				counts[v[i]]++
			}
			c := []Weighted[float64]{{5, 0}}
			for x, n := range counts {
				c = append(c, Weighted[float64]{x, n})
			}
			var m Moments
			half := len(c) / 2
			m.AddCounts(c[:half])
			m.AddCounts(c[half:])
			requireMoments(t, v, m)
		}
	}
	var m Moments
	m.AddCounts(nil)
	m.AddCounts([]Weighted[float64]{{1, 0}})
	require.Zero(t, m)
	c := []Weighted[float64]{{0.1, 1<<60 + 1}, {0.7, 1<<61 + 3}, {-3, 5}}
	m.AddCounts(c)
	want := bigFloat(0)
	for _, w := range c {
		want.Add(want, bigFloat(0).Mul(bigFloat(w.Value), new(big.Float).SetPrec(400).SetUint64(w.Weight)))
	}
	f, _ := want.Float64()
	require.Equal(t, f, m.Sum())
	huge := Moments{}
	huge.AddCounts([]Weighted[float64]{{math.MaxFloat64, 2}, {1, 1}})
	require.True(t, math.IsInf(huge.Sum(), 1))
}

func TestMomentsBulkDoesNotAllocate(t *testing.T) {
	ints := make([]int64, 1000)
	wide := make([]int64, 1000)
	counts := make([]Weighted[float64], 100)
	for i := range ints {
		ints[i], wide[i] = int64(i), int64(mix(uint64(i)))
		counts[i%100] = Weighted[float64]{float64(i), uint64(i)}
	}
	var m Moments
	var sum Sum128
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		m.AddInts(ints, &sum)
		m.AddInts(wide, &sum)
		m.AddCounts(counts)
		sum.AddSlice(wide)
	}))
}
