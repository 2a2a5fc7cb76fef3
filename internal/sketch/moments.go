package sketch

import (
	"encoding/binary"
	"math"
)

// Moments summarises finite numbers: count, sum, mean, central moments to
// order 4, minimum and maximum. Updates are pairwise: Chan, Golub, LeVeque,
// 1979; Pébay, "Formulas for Robust, One-Pass Parallel Computation of
// Covariances and Arbitrary-Order Statistical Moments", 2008. Sum and mean are
// double-double, so that a large common offset costs no digits. The zero value
// is an empty summary. Numbers whose sum or powers leave the range of float64
// (beyond about 1e77 for the fourth power) give infinite or NaN statistics.
type Moments struct {
	n          uint64
	sum, mean  double
	m2, m3, m4 float64 // sums of powers of the distance to the mean
	min, max   float64
}

// double is an unevaluated sum of two float64 with abs(lo) ≤ ulp(hi)/2.
type double struct{ hi, lo float64 }

// twoSum returns a+b and its rounding error (Knuth).
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	t := s - a
	return s, (a - (s - t)) + (b - t)
}

func (d double) add(o double) double {
	s, e := twoSum(d.hi, o.hi)
	return normal(s, e+(d.lo+o.lo))
}

// normal makes a double of a large and a small part. Beyond the range of
// float64 there is no small part.
func normal(hi, lo float64) double {
	s, e := twoSum(hi, lo)
	switch {
	case !math.IsInf(s, 0) && !math.IsNaN(s):
		return double{s, e}
	case math.IsInf(hi, 0):
		return double{hi: hi}
	}
	return double{hi: s}
}

// sub returns d−o as the nearest float64.
func (d double) sub(o double) float64 {
	s, e := twoSum(d.hi, -o.hi)
	return s + (e + (d.lo - o.lo))
}

// times returns d·f for an exact f.
func (d double) times(f float64) double {
	p := d.hi * f
	return normal(p, math.FMA(d.hi, f, -p)+d.lo*f)
}

// over returns d/f for an exact f.
func (d double) over(f float64) double {
	q := d.hi / f
	r := math.FMA(-q, f, d.hi) + d.lo
	return normal(q, r/f)
}

// Add counts v, which must be finite.
func (m *Moments) Add(v float64) {
	if m.n == 0 {
		*m = Moments{n: 1, sum: double{hi: v}, mean: double{hi: v}, min: v, max: v}
		return
	}
	before := float64(m.n)
	m.n++
	n := float64(m.n)
	m.sum = m.sum.add(double{hi: v})
	m.min, m.max = min(m.min, v), max(m.max, v)
	s, e := twoSum(v, -m.mean.hi)
	delta := s + (e - m.mean.lo)
	if delta == 0 {
		return
	}
	step := delta / n
	step2 := step * step
	term := delta * step * before
	m.m4 += term*step2*(n*n-3*n+3) + 6*step2*m.m2 - 4*step*m.m3
	m.m3 += term*step*(n-2) - 3*step*m.m2
	m.m2 += term
	m.mean = m.mean.add(double{hi: step})
}

// AddWeighted counts v, which must be finite, n times.
func (m *Moments) AddWeighted(v float64, n uint64) {
	if n == 0 {
		return
	}
	// Each half of n is exact as a float64, all of it may not be.
	one := double{hi: v}
	sum := one.times(float64(n >> 32 << 32)).add(one.times(float64(n & math.MaxUint32)))
	m.Merge(Moments{n: n, sum: sum, mean: one, min: v, max: v})
}

// Merge adds the values of o. Merging with an empty summary changes nothing;
// otherwise order matters within rounding only.
func (m *Moments) Merge(o Moments) {
	if o.n == 0 {
		return
	}
	if m.n == 0 {
		*m = o
		return
	}
	a, b := float64(m.n), float64(o.n)
	n := a + b
	m.n += o.n
	m.sum = m.sum.add(o.sum)
	m.min, m.max = min(m.min, o.min), max(m.max, o.max)
	delta := o.mean.sub(m.mean)
	pa, pb := a/n, b/n
	d2 := delta * delta
	m.m4 += o.m4 + d2*d2*a*pb*(pa*pa-pa*pb+pb*pb) +
		6*d2*(pa*pa*o.m2+pb*pb*m.m2) + 4*delta*(pa*o.m3-pb*m.m3)
	m.m3 += o.m3 + d2*delta*a*pb*(pa-pb) + 3*delta*(pa*o.m2-pb*m.m2)
	m.m2 += o.m2 + d2*a*pb
	m.mean = m.mean.add(double{hi: delta}.times(pb))
}

// N returns how many values were counted.
func (m Moments) N() uint64 { return m.n }

// Sum returns the sum of the values; 0 when empty.
func (m Moments) Sum() float64 { return m.sum.hi }

// Mean returns the mean; NaN when empty.
func (m Moments) Mean() float64 {
	switch {
	case m.n == 0:
		return math.NaN()
	case m.min == m.max:
		return m.min
	case math.IsInf(m.sum.hi, 0) || math.IsNaN(m.sum.hi):
		return m.mean.hi
	}
	return m.sum.over(float64(m.n)).hi
}

// Variance returns the variance with divisor n−1: NaN below two values, and
// exactly 0 if all are equal.
func (m Moments) Variance() float64 {
	if m.n < 2 {
		return math.NaN()
	}
	return m.m2 / float64(m.n-1)
}

// StdDev returns the square root of Variance.
func (m Moments) StdDev() float64 { return math.Sqrt(m.Variance()) }

// Skewness returns g1 = √n·M3/M2^1.5 with the sums M of powers of the distance
// to the mean; NaN if fewer than two different values were counted.
func (m Moments) Skewness() float64 {
	if m.n == 0 || m.min == m.max {
		return math.NaN()
	}
	return m.m3 / m.m2 / math.Sqrt(m.m2) * math.Sqrt(float64(m.n))
}

// Kurtosis returns the excess g2 = n·M4/M2² − 3; NaN if fewer than two
// different values were counted.
func (m Moments) Kurtosis() float64 {
	if m.n == 0 || m.min == m.max {
		return math.NaN()
	}
	return m.m4/m.m2/m.m2*float64(m.n) - 3
}

// Min returns the smallest value; NaN when empty.
func (m Moments) Min() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return m.min
}

// Max returns the largest value; NaN when empty.
func (m Moments) Max() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return m.max
}

func (m *Moments) fields() [9]*float64 {
	return [...]*float64{
		&m.sum.hi, &m.sum.lo, &m.mean.hi, &m.mean.lo,
		&m.m2, &m.m3, &m.m4, &m.min, &m.max,
	}
}

// AppendBinary appends the encoded summary to b. The error is always nil.
func (m Moments) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, kindMoments, version)
	b = binary.LittleEndian.AppendUint64(b, m.n)
	for _, f := range m.fields() {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(*f))
	}
	return b, nil
}

// UnmarshalBinary replaces the summary by the encoded one. On an error the
// summary is unchanged.
func (m *Moments) UnmarshalBinary(b []byte) error {
	r := open(b, kindMoments, "moments")
	out := Moments{n: r.uint64()}
	for _, f := range out.fields() {
		*f = r.float64()
	}
	switch {
	case r.err != nil:
	case out.n == 0:
		if out != (Moments{}) {
			r.fail("an empty summary holds values")
		}
	case math.IsInf(out.min, 0) || math.IsInf(out.max, 0) || !(out.min <= out.max):
		r.fail("the minimum and maximum are no range")
	case out.m2 < 0 || out.m4 < 0:
		r.fail("an even moment is negative")
	}
	if err := r.close(); err != nil {
		return err
	}
	*m = out
	return nil
}
