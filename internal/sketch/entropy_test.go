package sketch

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEntropyTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		counts []uint64
		bits   float64
	}{
		{nil, 0},
		{[]uint64{0, 0}, 0},
		{[]uint64{7}, 0},
		{[]uint64{7, 0}, 0},
		{[]uint64{1, 1}, 1},
		{[]uint64{5, 5, 5, 5}, 2},
		{[]uint64{2, 1, 1}, 1.5},
		{slices.Repeat([]uint64{3}, 1<<16), 16},
		{[]uint64{1 << 62, 1 << 62}, 1},
		{[]uint64{9, 1}, 0.4689955935892812},
	} {
		require.InDelta(t, c.bits, Entropy(slices.Values(c.counts)), 1e-15, "%v", c.counts[:min(5, len(c.counts))])
	}
}

// log2 x from a quotient of whole numbers: n·H = n·log₂n − Σ c·log₂c is the
// logarithm of n^n / Π c^c.
func TestEntropyAgainstBigIntegers(t *testing.T) {
	t.Parallel()
	r := newRand(1)
	for range 50 {
		counts := make([]uint64, 1+r.IntN(20))
		var n int64
		product := big.NewInt(1)
		for i := range counts {
			counts[i] = 1 + r.Uint64N(40)
			n += int64(counts[i])
			c := new(big.Int).SetUint64(counts[i])
			product.Mul(product, c.Exp(c, c, nil))
		}
		power := big.NewInt(n)
		power.Exp(power, power, nil)
		q := new(big.Float).SetPrec(200).Quo(new(big.Float).SetInt(power), new(big.Float).SetInt(product))
		exponent := q.MantExp(q)
		mantissa, _ := q.Float64()
		want := (float64(exponent) + math.Log2(mantissa)) / float64(n)
		require.InDelta(t, want, Entropy(slices.Values(counts)), 1e-13)
	}
}

func TestFrequentEntropyLiesInsideItsBounds(t *testing.T) {
	t.Parallel()
	for name, shape := range numberShapes {
		for _, way := range []string{"all", "sampled", "merged"} {
			t.Run(fmt.Sprint(name, " ", way), func(t *testing.T) {
				t.Parallel()
				outside, runs := 0, 0
				for seed := range uint64(12) {
					column := numberedOf(shape(newRand(seed), 60_000))
					f, hll := NewFrequent(), NewHLL()
					hll.AddHashes(column.hashes)
					switch way {
					case "all":
						column.feed(f, nil, 2000)
					case "sampled":
						column.feed(f, &Sampler{random: seed, seen: 1 << 40}, 2000)
					default:
						half := len(column.values) / 2
						o := NewFrequent()
						(&numbered{values: column.values[:half], hashes: column.hashes[:half]}).feed(f, nil, 2000)
						(&numbered{values: column.values[half:], hashes: column.hashes[half:]}).feed(o, nil, 2000)
						f.Merge(o)
					}
					truth := Entropy(maps.Values(column.truth()))
					e := f.Entropy(60_000, hll.Estimate(), hll.Error())
					require.LessOrEqual(t, e.Low, e.Value)
					require.LessOrEqual(t, e.Value, e.High)
					runs++
					if truth < e.Low-1e-9 || truth > e.High+1e-9 {
						outside++
					}
					if seed == 0 {
						t.Logf("truth %.3f, estimate %.3f, bounds %.3f to %.3f", truth, e.Value, e.Low, e.High)
					}
					require.InDelta(t, truth, e.Value, 1.5)
				}
				require.LessOrEqual(t, outside, runs/100, "of %d", runs)
			})
		}
	}
}

func TestFrequentEntropyIsExactWhileItFits(t *testing.T) {
	t.Parallel()
	column := numberedOf(draw(30_000, func(i int) uint64 { return uint64(i*i) % 2000 }))
	f := NewFrequent()
	column.feed(f, nil, 2000)
	truth := Entropy(maps.Values(column.truth()))
	e := f.Entropy(30_000, 1, 1)
	require.InDelta(t, truth, e.Value, 1e-12)
	require.Equal(t, EntropyRange{e.Value, e.Value, e.Value}, e)
	require.Zero(t, NewFrequent().Entropy(0, 0, 0))
	require.Zero(t, (&Frequent{purged: 3}).Entropy(0, 0, 0))
}

// No column that agrees with the held counts lies outside: brute force over
// all columns of a few rows.
func TestEntropyBoundsAgainstAllColumns(t *testing.T) {
	t.Parallel()
	r := newRand(3)
	for range 300 {
		rows := 4 + r.IntN(14)
		purged := uint64(1 + r.IntN(2))
		f := &Frequent{purged: purged}
		used := 0
		for range r.IntN(3) {
			c := uint64(1 + r.IntN(4))
			f.push(r.Uint64(), 0, c)
			used += int(c)
		}
		if used > rows {
			continue
		}
		distinct := len(f.counts) + 1 + r.IntN(6)
		e := f.Entropy(uint64(rows), float64(distinct), 0)
		counts := make([]uint64, 0, distinct)
		var walk func(left int)
		walk = func(left int) {
			i := len(counts)
			if i == distinct {
				if left == 0 {
					h := Entropy(slices.Values(counts))
					require.True(t, h >= e.Low-1e-9 && h <= e.High+1e-9, "%v: %v, %+v", counts, h, e)
				}
				return
			}
			low, high := uint64(0), purged
			if i < len(f.counts) {
				low = f.counts[i]
				high = low + purged
			}
			for c := low; c <= high && int(c) <= left; c++ {
				counts = append(counts, c)
				walk(left - int(c))
				counts = counts[:i]
			}
		}
		walk(rows)
	}
}
