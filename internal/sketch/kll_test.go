package sketch

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func kllOf(seed uint64, v []float64) *KLL[float64] {
	s := NewKLL[float64](seed)
	for _, x := range v {
		s.Add(x)
	}
	return s
}

// rankError is the largest distance between the distribution of pairs and
// that of the exact sorted values, over all values.
func rankError(sorted []float64, pairs []Weighted[float64]) float64 {
	n := float64(len(sorted))
	var worst, before float64
	var sum uint64
	for _, p := range pairs {
		low, _ := slices.BinarySearch(sorted, p.Value)
		high, _ := slices.BinarySearch(sorted, math.Nextafter(p.Value, math.Inf(1)))
		sum += p.Weight
		at := float64(sum) / n
		worst = max(worst, math.Abs(before-float64(low)/n), math.Abs(at-float64(high)/n))
		before = at
	}
	return worst
}

func TestKLLStaysInsideItsBound(t *testing.T) {
	t.Parallel()
	for _, g := range generators {
		for _, n := range []int{1, 2, 1000, 1700, 5000, 50_000} {
			t.Run(fmt.Sprint(g.name, n), func(t *testing.T) {
				t.Parallel()
				seeds := 200_000 / max(n, 1000)
				outside, r := 0, newRand(uint64(n))
				data := g.make(r, n)
				sorted := slices.Sorted(slices.Values(data))
				for seed := range seeds + 1 {
					s := kllOf(uint64(seed), data)
					if s.Error() == 0 {
						require.Zero(t, rankError(sorted, s.Weighted()), "exact while nothing was compacted")
					}
					if rankError(sorted, s.Weighted()) > kllError {
						outside++
					}
				}
				require.LessOrEqual(t, outside, seeds/100)
			})
		}
	}
}

func TestKLLOverManySeeds(t *testing.T) {
	t.Parallel()
	const n, seeds = 20_000, 200
	data := generators[0].make(newRand(3), n)
	sorted := slices.Sorted(slices.Values(data))
	outside := 0
	var bias float64
	for seed := range uint64(seeds) {
		s := kllOf(seed, data)
		if rankError(sorted, s.Weighted()) > kllError {
			outside++
		}
		for q := 0.05; q < 1; q += 0.1 {
			bias += s.Rank(sorted[int(q*n)]) - q
		}
	}
	require.LessOrEqual(t, outside, seeds/100)
	// A rule that always keeps the same end drifts by 0.1 % and more.
	require.InDelta(t, 0, bias/seeds/10, 0.0003)
}

func TestKLLMergeStaysInsideTheBound(t *testing.T) {
	t.Parallel()
	for _, g := range generators {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			outside, runs := 0, 0
			for seed := range uint64(4) {
				r := newRand(seed)
				for _, k := range []int{2, 7, 60} {
					data := g.make(r, 20_000)
					sorted := slices.Sorted(slices.Values(data))
					var sketches []*KLL[float64]
					for i, part := range parts(r, data, k) {
						var back KLL[float64]
						reload(t, kllOf(uint64(i), part), &back)
						sketches = append(sketches, &back)
					}
					got := mergeTree(r, sketches, func(a, b *KLL[float64]) *KLL[float64] {
						before := encode(t, b)
						a.Merge(b)
						require.Equal(t, before, encode(t, b), "the other side must stay unchanged")
						return a
					})
					requireTotal(t, 20_000, got)
					require.Less(t, got.size, 2700, "memory")
					runs++
					if rankError(sorted, got.Weighted()) > kllError {
						outside++
					}
				}
			}
			require.Zero(t, outside, "of %d runs", runs)
		})
	}
}

func requireTotal[T Ordered](t *testing.T, n uint64, s *KLL[T]) {
	t.Helper()
	var sum uint64
	pairs := s.Weighted()
	for i, p := range pairs {
		sum += p.Weight
		require.True(t, i == 0 || pairs[i-1].Value < p.Value, "ascending, each value once")
	}
	require.Equal(t, n, sum)
	require.Equal(t, n, s.N())
}

func TestKLLWeightsAreExactAndInsideTheBound(t *testing.T) {
	t.Parallel()
	weights := map[string]func(r *rand.Rand) uint64{
		"16":         func(*rand.Rand) uint64 { return 16 },
		"up to 1000": func(r *rand.Rand) uint64 { return r.Uint64N(1000) },
		"powers":     func(r *rand.Rand) uint64 { return 1 << r.IntN(30) },
		"one heavy": func(r *rand.Rand) uint64 {
			if r.IntN(4000) == 0 {
				return 1 << 14
			}
			return 1
		},
		"skewed": func(r *rand.Rand) uint64 { return uint64(math.Exp(4 * math.Abs(r.NormFloat64()))) },
	}
	for name, weight := range weights {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := 0
			for seed := range uint64(10) {
				r := newRand(seed)
				s := NewKLL[float64](seed)
				var exact []Weighted[float64]
				for range 12_000 {
					v, n := math.Floor(1e6*r.Float64()), weight(r)
					s.AddWeighted(v, n)
					exact = append(exact, Weighted[float64]{v, n})
				}
				var total uint64
				for _, w := range exact {
					total += w.Weight
				}
				requireTotal(t, total, s)
				require.Less(t, s.size, 2700, "memory")
				if weightedError(exact, total, s) > kllError {
					outside++
				}
			}
			require.Zero(t, outside)
		})
	}
}

// weightedError is the largest error of a rank at the exact values.
func weightedError(exact []Weighted[float64], total uint64, s *KLL[float64]) float64 {
	slices.SortFunc(exact, func(a, b Weighted[float64]) int { return int(a.Value - b.Value) })
	pairs := s.Weighted()
	var worst float64
	var sum, held uint64
	j := 0
	for i, w := range exact {
		sum += w.Weight
		if i+1 < len(exact) && exact[i+1].Value == w.Value {
			continue
		}
		for j < len(pairs) && pairs[j].Value <= w.Value {
			held += pairs[j].Weight
			j++
		}
		worst = max(worst, math.Abs(float64(held)-float64(sum))/float64(total))
	}
	return worst
}

func TestKLLHugeWeights(t *testing.T) {
	t.Parallel()
	s := NewKLL[int64](1)
	s.AddWeighted(-3, 0)
	require.Zero(t, s.N())
	s.AddWeighted(5, 1<<63)
	s.AddWeighted(math.MinInt64, 1<<62+12345)
	for i := range int64(100_000) {
		s.Add(i)
	}
	requireTotal(t, 1<<63+1<<62+12345+100_000, s)
	require.Equal(t, int64(5), s.Quantile(0.9))
	require.Equal(t, int64(math.MinInt64), s.Quantile(0.1))
	var back KLL[int64]
	reload(t, s, &back)
}

func TestKLLIsExactWhileSmall(t *testing.T) {
	t.Parallel()
	r := newRand(9)
	s := NewKLL[int64](1)
	require.Zero(t, s.Quantile(0.5))
	require.Zero(t, s.Rank(1))
	require.Empty(t, s.Weighted())
	counts := map[int64]uint64{}
	for range 1500 {
		v := r.Int64N(300) - 150
		s.Add(v)
		counts[v]++
	}
	require.Zero(t, s.Error())
	for _, p := range s.Weighted() {
		require.Equal(t, counts[p.Value], p.Weight)
	}
	require.Len(t, s.Weighted(), len(counts))
	for range 5000 {
		s.Add(1)
	}
	require.Equal(t, 0.01, s.Error())
}

func TestKLLQuantileAndRank(t *testing.T) {
	t.Parallel()
	s := NewKLL[int64](1)
	for _, v := range []int64{40, 10, 30, 20} {
		s.Add(v)
	}
	for _, c := range []struct {
		q    float64
		want int64
	}{{0, 10}, {0.25, 10}, {0.26, 20}, {0.5, 20}, {0.75, 30}, {0.76, 40}, {1, 40}} {
		require.Equal(t, c.want, s.Quantile(c.q), "q = %v", c.q)
	}
	require.Equal(t, 0.0, s.Rank(9))
	require.Equal(t, 0.25, s.Rank(10))
	require.Equal(t, 0.75, s.Rank(39))
	require.Equal(t, 1.0, s.Rank(40))
}

func TestKLLKeysKeepOrder(t *testing.T) {
	t.Parallel()
	reals := []float64{
		math.Inf(-1), -math.MaxFloat64, -1.5, -1, -math.SmallestNonzeroFloat64,
		0, math.SmallestNonzeroFloat64, 1, 1.5, math.MaxFloat64, math.Inf(1),
	}
	for i, v := range reals {
		require.Equal(t, v, fromKey[float64](toKey(v)))
		require.True(t, i == 0 || toKey(reals[i-1]) < toKey(v))
	}
	require.Equal(t, toKey(0.0), toKey(math.Copysign(0, -1)))
	type named int64
	require.Equal(t, int64(math.MinInt64), toKey(named(math.MinInt64)))
	require.Equal(t, named(7), fromKey[named](7))
}

func TestKLLMergeLaws(t *testing.T) {
	t.Parallel()
	r := newRand(4)
	data := generators[1].make(r, 30_000)
	a, empty := kllOf(1, data), NewKLL[float64](77)
	before := encode(t, a)
	a.Merge(empty)
	require.Equal(t, before, encode(t, a), "an empty summary changes nothing")
	empty.Merge(a)
	require.Equal(t, before, encode(t, empty), "nor does it on the other side")
	empty.Add(3)
	require.Equal(t, before, encode(t, a), "no memory is shared")

	a.Merge(a)
	requireTotal(t, 60_000, a)
	require.Less(t, rankError(slices.Sorted(slices.Values(append(slices.Clone(data), data...))), a.Weighted()), kllError)

	once := encode(t, kllOf(5, data))
	require.Equal(t, once, encode(t, kllOf(5, data)), "seeded")
	require.NotEqual(t, encode(t, kllOf(5, data)), encode(t, kllOf(6, data)))

	small, other := kllOf(1, data[:300]), kllOf(2, data[300:700])
	left, right := kllOf(1, data[:300]), kllOf(2, data[300:700])
	left.Merge(other)
	right.Merge(small)
	require.Equal(t, left.Weighted(), right.Weighted(), "exact summaries commute")
	require.Zero(t, left.Error())
}

func TestKLLMergeKeepsTheBoundOfBothSides(t *testing.T) {
	t.Parallel()
	data := generators[1].make(newRand(4), 1800)
	lossy, one := kllOf(1, data), kllOf(2, data[:1])
	require.Equal(t, kllError, lossy.Error())
	size := lossy.size
	one.Merge(lossy)
	require.Equal(t, size+1, one.size, "nothing is compacted by the merge itself")
	require.Equal(t, kllError, one.Error())
}

func TestKLLCompactionIsFair(t *testing.T) {
	t.Parallel()
	const seeds = 4000
	var first, last int
	var sums [5]float64
	for seed := range uint64(seeds) {
		s := NewKLL[int64](mix(seed))
		for v := range int64(5) {
			s.Add(v)
		}
		s.compact(0)
		requireTotal(t, 5, s)
		switch s.levels[0].items[0] {
		case 0:
			first++
		case 4:
			last++
		}
		for v := range int64(5) {
			sums[v] += 5 * s.Rank(v)
		}
	}
	// Four standard deviations of a fair coin, and of ranks off by at most 1.
	require.Equal(t, seeds, first+last, "one end stays")
	require.InDelta(t, seeds/2, first, 4*math.Sqrt(seeds)/2)
	for v, sum := range sums {
		require.InDelta(t, v+1, sum/seeds, 4/math.Sqrt(seeds))
	}
}

func TestKLLHeavyValuesLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	s := NewKLL[int64](1)
	for v := range int64(505) {
		s.AddWeighted(v, 1<<20)
	}
	require.Equal(t, 19, s.top(), "the highest level that counts is below the heaviest value")
	for v := range int64(1500) {
		s.Add(v)
	}
	require.Zero(t, s.Error())
	requireTotal(t, 505<<20+1500, s)
}

func TestKLLEncoding(t *testing.T) {
	t.Parallel()
	for _, g := range generators {
		for _, n := range []int{0, 1, 1000, 20_000} {
			data := g.make(newRand(8), n)
			s := kllOf(1, data)
			var back KLL[float64]
			reload(t, s, &back)
			require.Equal(t, s.Weighted(), back.Weighted())
			require.Equal(t, s.Error(), back.Error())
			ints := NewKLL[int64](1)
			for _, v := range data {
				ints.Add(int64(v) - 5)
			}
			var intsBack KLL[int64]
			reload(t, ints, &intsBack)
			require.Equal(t, ints.Weighted(), intsBack.Weighted())
			refuses(t, encode(t, ints), &intsBack)
			refuses(t, encode(t, s), &back)
			require.ErrorContains(t, back.UnmarshalBinary(encode(t, ints)), "kind")
		}
	}
}

func TestKLLRefusesBadContent(t *testing.T) {
	t.Parallel()
	seed := make([]byte, 8)
	head := append([]byte{'I', 1, 0x80, 4, 0}, seed...)
	for name, tail := range map[string][]byte{
		"weights above n":   {1, 1, 2, 0, 0},
		"weights below n":   {9, 1, 2, 0, 0},
		"empty top level":   {1, 2, 1, 0, 0},
		"65 levels":         {0, 65},
		"forged count":      {5, 1, 0xff, 0xff, 0xff, 0x7f},
		"order wraps round": {2, 1, 2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		require.ErrorContains(t, NewKLL[int64](0).UnmarshalBinary(append(slices.Clone(head), tail...)),
			"decode quantile summary: ", name)
	}
	for name, v := range map[string]float64{"NaN": math.NaN(), "negative zero": math.Copysign(0, -1)} {
		s := kllOf(1, []float64{1})
		b := encode(t, s)
		for i := range 8 {
			b[len(b)-8+i] = byte(math.Float64bits(v) >> (8 * i))
		}
		require.ErrorContains(t, s.UnmarshalBinary(b), "not allowed", name)
	}
}

func TestQuantileOfIsType7(t *testing.T) {
	t.Parallel()
	r := newRand(2)
	require.True(t, math.IsNaN(QuantileOf[int64](nil, 0.5)))
	require.True(t, math.IsNaN(QuantileOf([]Weighted[int64]{{1, 1}}, math.NaN())))
	for range 300 {
		var pairs []Weighted[int64]
		var all []float64
		v := int64(-20)
		for range 1 + r.IntN(8) {
			v += 1 + r.Int64N(9)
			w := r.Uint64N(4)
			pairs = append(pairs, Weighted[int64]{v, w})
			for range w {
				all = append(all, float64(v))
			}
		}
		if len(all) == 0 {
			continue
		}
		for _, q := range []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1} {
			h := q * float64(len(all)-1)
			low := int(h)
			want := all[low]
			if low+1 < len(all) {
				want += (h - float64(low)) * (all[low+1] - all[low])
			}
			require.InDelta(t, want, QuantileOf(pairs, q), 1e-12)
		}
	}
	extreme := []Weighted[float64]{{-math.MaxFloat64, 1}, {math.MaxFloat64, 1}}
	require.Equal(t, 0.0, QuantileOf(extreme, 0.5))
	require.Equal(t, 2.0, QuantileOf([]Weighted[float64]{{1, 1}, {2, math.MaxUint64 - 1}}, 1))
}

func TestKLLAddDoesNotAllocate(t *testing.T) {
	r := newRand(1)
	reals, ints := NewKLL[float64](1), NewKLL[int64](1)
	for range 200_000 {
		reals.Add(r.Float64())
		ints.AddWeighted(r.Int64(), 1+r.Uint64N(1000))
	}
	require.Zero(t, testing.AllocsPerRun(20_000, func() { reals.Add(r.Float64()) }))
	require.Zero(t, testing.AllocsPerRun(20_000, func() { ints.AddWeighted(r.Int64(), 1+r.Uint64N(1000)) }))
}

func TestKLLMemoryStaysFlat(t *testing.T) {
	t.Parallel()
	s := NewKLL[int64](1)
	for i := range 40 {
		for v := range int64(5000) {
			s.AddWeighted(v*int64(i), 1<<i)
		}
		require.Less(t, s.size, 2700)
		require.LessOrEqual(t, len(s.levels), bits.Len64(s.N()))
	}
}

func FuzzKLLUnmarshalReal(f *testing.F) {
	for _, n := range []int{0, 1, 50, 5000} {
		f.Add(encode(f, kllOf(1, generators[0].make(newRand(1), n))))
	}
	other := kllOf(2, generators[1].make(newRand(1), 2000))
	fuzz(f, func() *KLL[float64] { return NewKLL[float64](0) }, func(s *KLL[float64]) {
		s.Weighted()
		if s.N() < 1<<63 {
			s.Merge(other)
			s.Add(1)
		}
	})
}

func FuzzKLLUnmarshalInteger(f *testing.F) {
	s := NewKLL[int64](1)
	for i := range int64(5000) {
		s.AddWeighted(i*i-1000, uint64(i))
		if i%1000 == 3 {
			f.Add(encode(f, s))
		}
	}
	fuzz(f, func() *KLL[int64] { return NewKLL[int64](0) }, func(s *KLL[int64]) {
		s.Weighted()
		if s.N() < 1<<63 {
			s.Merge(s)
		}
	})
}
