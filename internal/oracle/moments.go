package oracle

import (
	"math"
	"math/big"
	"slices"
)

// precision is the bits of the mantissas that moments are computed with: far
// more than four powers of 53 bits lose by cancellation.
const precision = 384

// Moments are count, sum and central moments, from the definition.
type Moments struct {
	N                        int64
	Min, Max                 *big.Rat
	Sum                      *big.Float
	Mean                     *big.Float
	StdDev, Skewness, Excess float64 // NaN where they have no meaning
	// Abs is the largest magnitude.
	Abs float64

	counts map[number]int64
}

// number is an integer or the bits of a float.
type number struct {
	whole bool
	bits  uint64
}

// rat returns the number as a fraction.
func (n number) rat() *big.Rat {
	if n.whole {
		return new(big.Rat).SetInt64(int64(n.bits))
	}
	return new(big.Rat).SetFloat64(math.Float64frombits(n.bits))
}

func (m *Moments) add(k number) {
	if m.counts == nil {
		m.counts = map[number]int64{}
	}
	m.counts[k]++
	m.N++
}

func newFloat() *big.Float { return new(big.Float).SetPrec(precision) }

// finish computes the statistics: mean, then the sums of the powers of the
// distances to it.
func (m *Moments) finish() {
	m.StdDev, m.Skewness, m.Excess = math.NaN(), math.NaN(), math.NaN()
	m.Sum, m.Mean = newFloat(), newFloat()
	if m.N == 0 {
		return
	}
	values := make(map[number]*big.Float, len(m.counts))
	for k, n := range m.counts {
		r := k.rat()
		if m.Min == nil || r.Cmp(m.Min) < 0 {
			m.Min = r
		}
		if m.Max == nil || r.Cmp(m.Max) > 0 {
			m.Max = r
		}
		v := newFloat().SetRat(r)
		values[k] = v
		m.Sum.Add(m.Sum, newFloat().Mul(v, newFloat().SetInt64(n)))
		f, _ := v.Float64()
		m.Abs = max(m.Abs, math.Abs(f))
	}
	n := newFloat().SetInt64(m.N)
	m.Mean.Quo(m.Sum, n)
	var power [5]*big.Float
	for i := range power {
		power[i] = newFloat()
	}
	for k, v := range values {
		d := newFloat().Sub(v, m.Mean)
		term := newFloat().SetInt64(m.counts[k])
		for i := 1; i < len(power); i++ {
			term = newFloat().Mul(term, d)
			power[i].Add(power[i], term)
		}
	}
	m2, m3, m4 := power[2], power[3], power[4]
	if m.N > 1 {
		variance := newFloat().Quo(m2, newFloat().SetInt64(m.N-1))
		m.StdDev, _ = newFloat().Sqrt(variance).Float64()
	}
	if m2.Sign() == 0 {
		return
	}
	// g1 = √n·M3/M2^1.5, g2 = n·M4/M2² − 3.
	m32 := newFloat().Mul(m2, newFloat().Sqrt(m2))
	m.Skewness, _ = newFloat().Mul(newFloat().Sqrt(n), newFloat().Quo(m3, m32)).Float64()
	g2 := newFloat().Quo(newFloat().Mul(n, m4), newFloat().Mul(m2, m2))
	m.Excess, _ = g2.Sub(g2, newFloat().SetInt64(3)).Float64()
}

// Quantile is type 7 of Hyndman and Fan (1996) over sorted values: linear
// interpolation between the order statistics around (n−1)·q.
func Quantile(sorted []float64, q float64) float64 {
	at := float64(len(sorted)-1) * q
	i := int(math.Floor(at))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	share := at - float64(i)
	return sorted[i]*(1-share) + sorted[i+1]*share
}

// Ranks returns the shares of the values below v and up to v.
func Ranks(sorted []float64, v float64) (below, upTo float64) {
	lo, _ := slices.BinarySearch(sorted, v)
	hi := lo
	for hi < len(sorted) && sorted[hi] == v {
		hi++
	}
	n := float64(len(sorted))
	return float64(lo) / n, float64(hi) / n
}
