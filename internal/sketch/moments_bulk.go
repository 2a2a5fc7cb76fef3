package sketch

import "math"

// AddSlice counts all values of v, which must be finite. It is the fast path:
// power sums around the mean of the slice, then one merge. A slice should fit
// the cache, since it is read twice.
func (m *Moments) AddSlice(v []float64) {
	if len(v) == 0 {
		return
	}
	o := Moments{n: uint64(len(v))}
	o.sum, o.min, o.max = sumOf(v)
	if o.min == o.max {
		m.AddWeighted(v[0], o.n)
		return
	}
	if math.IsInf(o.sum.hi, 0) || math.IsNaN(o.sum.hi) {
		for _, x := range v {
			m.Add(x)
		}
		return
	}
	o.mean = o.sum.over(float64(len(v)))
	s2, s3, s4 := powerSums(v, o.mean.hi)
	// From the shift, which is the mean rounded to a float64, to the mean.
	o.center(o.mean.lo, s2, s3, s4)
	m.Merge(o)
}

// AddInts counts all values of v, and adds them to sum exactly unless it is
// nil. It is the fast path of integers, and like AddSlice in all else.
func (m *Moments) AddInts(v []int64, sum *Sum128) {
	if len(v) == 0 {
		return
	}
	total, low, high := intSum(v)
	if sum != nil {
		sum.Merge(total)
	}
	if uint64(high)-uint64(low) > 1<<53 {
		var o Moments
		o.addWideInts(v)
		o.sum = total.double() // of the values before they were rounded
		m.Merge(o)
		return
	}
	o := Moments{n: uint64(len(v)), min: float64(low), max: float64(high)}
	o.sum = total.double()
	n := float64(len(v))
	o.mean = o.sum.over(n)
	// Distances to an integer near the mean are exact, and so is their sum.
	base := low + int64(total.minus(low, o.n).Float64()/n)
	s2, s3, s4 := intPowerSums(v, base)
	o.center(total.minus(base, o.n).Float64()/n, s2, s3, s4)
	m.Merge(o)
}

// addWideInts counts integers that are too far apart for exact distances.
func (m *Moments) addWideInts(v []int64) {
	var part [256]float64
	for len(v) > 0 {
		n := min(len(v), len(part))
		for i, x := range v[:n] {
			part[i] = float64(x)
		}
		m.AddSlice(part[:n])
		v = v[n:]
	}
}

// AddCounts counts each value of c, which must be finite, as often as its
// weight says. It gives what AddWeighted gives one by one, within rounding.
func (m *Moments) AddCounts(c []Weighted[float64]) {
	o := Moments{min: math.Inf(1), max: math.Inf(-1)}
	for i := range c {
		v, w := c[i].Value, c[i].Weight
		if w == 0 {
			continue
		}
		o.n += w
		// Each half of a weight is exact as a float64, all of it may not be.
		f := float64(w & math.MaxUint32)
		p := v * f
		o.sum = o.sum.add(double{p, math.FMA(v, f, -p)})
		if high := w >> 32; high != 0 {
			f = float64(high << 32)
			p = v * f
			o.sum = o.sum.add(double{p, math.FMA(v, f, -p)})
		}
		o.min, o.max = min(o.min, v), max(o.max, v)
	}
	if o.n == 0 {
		return
	}
	if o.min == o.max {
		m.AddWeighted(o.min, o.n)
		return
	}
	if math.IsInf(o.sum.hi, 0) || math.IsNaN(o.sum.hi) {
		for _, w := range c {
			m.AddWeighted(w.Value, w.Weight)
		}
		return
	}
	o.mean = o.sum.over(float64(o.n))
	var s2, s3, s4 float64
	for i := range c {
		x := c[i].Value - o.mean.hi
		x2 := x * x
		w := float64(c[i].Weight) * x2
		s2 += w
		s3 += w * x
		s4 += w * x2
	}
	o.center(o.mean.lo, s2, s3, s4)
	m.Merge(o)
}

// center sets the central moments from power sums around a shift that lies d
// below the mean.
func (m *Moments) center(d, s2, s3, s4 float64) {
	n := float64(m.n)
	m.m2 = max(0, s2-n*d*d)
	m.m3 = s3 - 3*d*s2 + 2*n*d*d*d
	m.m4 = max(0, s4-4*d*s3+6*d*d*s2-3*n*d*d*d*d)
}

// sumOf returns the sum, minimum and maximum of a slice that is not empty. Two
// chains of additions run side by side to hide their latency. The bounds come
// from the bits: below a common sign, their order is that of the values. So
// they use the units for integers, which have nothing else to do.
func sumOf(v []float64) (sum double, low, high float64) {
	var a, b, ea, eb float64
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	far := uint64(0)
	rest := v
	for len(rest) >= 2 {
		x, y := rest[0], rest[1]
		rest = rest[2:]
		i, j := math.Float64bits(x), math.Float64bits(y)
		least = min(least, int64(i), int64(j))
		most = max(most, int64(i), int64(j))
		far = max(far, i, j)
		s := a + x
		t := s - a
		ea += (a - (s - t)) + (x - t)
		a = s
		s = b + y
		t = s - b
		eb += (b - (s - t)) + (y - t)
		b = s
	}
	if len(rest) == 1 {
		x := rest[0]
		i := math.Float64bits(x)
		least, most, far = min(least, int64(i)), max(most, int64(i)), max(far, i)
		s, e := twoSum(a, x)
		a, ea = s, ea+e
	}
	low, high = boundsOf(least, most, far)
	return normal(a, ea).add(normal(b, eb)), low, high
}

// boundsOf turns the bounds of bits, signed and unsigned, into those of the
// values. Negative values have negative bits, and the further from 0 they are
// the larger their bits. A bound of −0 becomes 0.
func boundsOf(least, most int64, far uint64) (low, high float64) {
	low, high = math.Float64frombits(uint64(least)), math.Float64frombits(uint64(most))
	if least < 0 {
		low = math.Float64frombits(far)
		if most < 0 {
			high = math.Float64frombits(uint64(least))
		}
	}
	return low + 0, high + 0
}

// powerSums returns the sums of the powers 2 to 4 of v−shift.
func powerSums(v []float64, shift float64) (s2, s3, s4 float64) {
	var a2, a3, a4, b2, b3, b4 float64
	for len(v) >= 2 {
		x, y := v[0]-shift, v[1]-shift
		v = v[2:]
		x2, y2 := x*x, y*y
		a2 += x2
		b2 += y2
		a3 += x2 * x
		b3 += y2 * y
		a4 += x2 * x2
		b4 += y2 * y2
	}
	if len(v) == 1 {
		x := v[0] - shift
		x2 := x * x
		a2 += x2
		a3 += x2 * x
		a4 += x2 * x2
	}
	return a2 + b2, a3 + b3, a4 + b4
}

// intPowerSums is powerSums of integers whose distances to base are below 2^53.
func intPowerSums(v []int64, base int64) (s2, s3, s4 float64) {
	var a2, a3, a4, b2, b3, b4 float64
	for len(v) >= 2 {
		x, y := float64(v[0]-base), float64(v[1]-base)
		v = v[2:]
		x2, y2 := x*x, y*y
		a2 += x2
		b2 += y2
		a3 += x2 * x
		b3 += y2 * y
		a4 += x2 * x2
		b4 += y2 * y2
	}
	if len(v) == 1 {
		x := float64(v[0] - base)
		x2 := x * x
		a2 += x2
		a3 += x2 * x
		a4 += x2 * x2
	}
	return a2 + b2, a3 + b3, a4 + b4
}

// intSum returns the exact sum, the minimum and the maximum of a slice that is
// not empty. The sum is taken in 64 bits and only if the bounds show that it may
// have wrapped once more in 128.
func intSum(v []int64) (sum Sum128, low, high int64) {
	low, high = v[0], v[0]
	low2, high2 := low, high
	var a, b int64
	rest := v
	for len(rest) >= 2 {
		x, y := rest[0], rest[1]
		rest = rest[2:]
		low, low2 = min(low, x), min(low2, y)
		high, high2 = max(high, x), max(high2, y)
		a += x
		b += y
	}
	if len(rest) == 1 {
		x := rest[0]
		low, high = min(low, x), max(high, x)
		a += x
	}
	low, high = min(low, low2), max(high, high2)
	if limit := math.MaxInt64 / int64(len(v)); low >= -limit && high <= limit {
		sum.Add(a + b)
		return sum, low, high
	}
	for _, x := range v {
		sum.Add(x)
	}
	return sum, low, high
}

// minus returns the sum without n times v.
func (s Sum128) minus(v int64, n uint64) Sum128 {
	var out Sum128
	out.AddWeighted(v, n)
	out = out.negate()
	out.Merge(s)
	return out
}

// AddSlice adds all values of v.
func (s *Sum128) AddSlice(v []int64) {
	if len(v) == 0 {
		return
	}
	sum, _, _ := intSum(v)
	s.Merge(sum)
}

// double returns the sum as a pair of float64, off by less than 2^-104 of it.
func (s Sum128) double() double {
	const digits = 1<<32 - 1
	d := double{hi: float64(s.hi>>32) * 0x1p96}
	d = d.add(double{hi: float64(s.hi&digits) * 0x1p64})
	d = d.add(double{hi: float64(s.lo>>32) * 0x1p32})
	return d.add(double{hi: float64(s.lo & digits)})
}
