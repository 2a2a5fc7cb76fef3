package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// kernelSizes are the lengths at which kernels change their way of working.
var kernelSizes = []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 63, 64, 65, 125, 255, 256, 257, 511, 512, 513, 1023, 1024, 1700, 4097}

func TestSortKeysAgainstTheLibrary(t *testing.T) {
	t.Parallel()
	r := newRand(1)
	shapes := map[string]func(i, n int) int64{
		"random":    func(int, int) int64 { return int64(r.Uint64()) },
		"ties":      func(int, int) int64 { return r.Int64N(5) },
		"constant":  func(int, int) int64 { return 7 },
		"ascending": func(i, _ int) int64 { return int64(i) },
		"reversed":  func(i, n int) int64 { return int64(n - i) },
		"one early": func(i, n int) int64 { return int64(i % max(1, n-1)) },
		"edges":     func(int, int) int64 { return []int64{math.MinInt64, math.MaxInt64, 0, -1}[r.IntN(4)] },
		"saw":       func(i, _ int) int64 { return int64(i % 13) },
	}
	for name, shape := range shapes {
		for _, n := range kernelSizes {
			v := make([]int64, n)
			for i := range v {
				v[i] = shape(i, n)
			}
			want := slices.Sorted(slices.Values(v))
			sortKeys(v, make([]int64, n))
			require.True(t, slices.Equal(want, v), "%s, %d values", name, n)
		}
	}
}

// A network sorts everything if it sorts all inputs of zeros and ones (Knuth).
func TestSort8IsANetwork(t *testing.T) {
	t.Parallel()
	for in := range 256 {
		var v [8]int64
		ones := 0
		for i := range v {
			v[i] = int64(in >> i & 1)
			ones += in >> i & 1
		}
		sort8(&v)
		for i := range v {
			require.Equal(t, i >= 8-ones, v[i] == 1, "%08b", in)
		}
	}
}

func TestSortCounts(t *testing.T) {
	t.Parallel()
	r := newRand(2)
	for _, n := range kernelSizes {
		for name, value := range map[string]func() float64{
			"prices":  func() float64 { return math.Round(1e4*r.NormFloat64()) / 100 },
			"any":     func() float64 { return math.Float64frombits(r.Uint64N(0x7ff0 << 48)) },
			"equal":   func() float64 { return 3 },
			"few":     func() float64 { return float64(r.IntN(3)) - 1 },
			"extreme": func() float64 { return []float64{math.Inf(1), math.Inf(-1), 0}[r.IntN(3)] },
		} {
			reals := make([]Weighted[float64], n)
			ints := make([]Weighted[int64], n)
			for i := range reals {
				reals[i] = Weighted[float64]{value(), uint64(i)}
				ints[i] = Weighted[int64]{int64(r.Uint64()) >> r.IntN(64), uint64(i)}
			}
			requireSorted(t, reals, name)
			requireSorted(t, ints, name)
		}
	}
}

// requireSorted sorts c and proves that it is the same pairs in order.
func requireSorted[T Ordered](t *testing.T, c []Weighted[T], name string) {
	t.Helper()
	before := slices.Clone(c)
	sortCounts(c)
	require.True(t, slices.IsSortedFunc(c, byValue[T]), name)
	for _, w := range c {
		require.Equal(t, before[w.Weight], w, name)
	}
	slices.SortFunc(c, func(a, b Weighted[T]) int { return int(a.Weight) - int(b.Weight) })
	require.Equal(t, before, c, name)
}

func BenchmarkSortKeys(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]int64, benchSize)
	for i := range data {
		data[i] = int64(r.Uint64())
	}
	v, tmp := make([]int64, kllChunk), make([]int64, kllChunk)
	for name, sort := range map[string]func(){
		"merge":   func() { sortKeys(v, tmp) },
		"library": func() { slices.Sort(v) },
	} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				copy(v, data[i:])
				sort()
				i = (i + kllChunk) % benchSize
			}
			perValue(b, kllChunk)
		})
	}
}
