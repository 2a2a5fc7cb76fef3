package anomaly

import (
	"math"
	"slices"
)

// scaleK is what differences of a metric are divided by in K.
func (s *series) scaleK(noise, floor float64) float64 {
	spread := 0.0
	if s.high > s.low {
		spread = s.high - s.low
	}
	return max(math.Hypot(spread, 4*noise)+2*floor, 1e-12)
}

// nearest holds distances by batch, for the batches that K looks at.
type nearest struct {
	first int64 // seq of the oldest batch
	sum   []float64
	count []float64
}

// distance is K: the mean distance to the nearest accepted batches.
func (s *State) distance(found []finding) float64 {
	near := nearest{first: s.seq - keptValues, sum: make([]float64, keptValues), count: make([]float64, keptValues)}
	for i := range found {
		fd := &found[i]
		x := s.index[fd.column].series[fd.kind]
		by := 1 / x.scaleK(fd.noise, fd.floor)
		for j := range x.entries {
			e := &x.entries[j]
			if !e.accepted || e.seq < near.first {
				continue
			}
			diff := max(-clipK, min(clipK, (e.value-fd.x)*by))
			near.sum[e.seq-near.first] += diff * diff
			near.count[e.seq-near.first]++
		}
	}
	return meanNearest(near.sum, near.count, s.admitted(near.first))
}

// admitted tells which batches from first on were admitted.
func (s *State) admitted(first int64) []bool {
	out := make([]bool, keptValues)
	for i := len(s.batches) - 1; i >= 0 && s.batches[i].seq >= first; i-- {
		out[s.batches[i].seq-first] = s.batches[i].accepted
	}
	return out
}

func meanNearest(sum, count []float64, use []bool) float64 {
	var best [neighbours]float64
	n := 0
	for i := range sum {
		if !use[i] || count[i] == 0 {
			continue
		}
		d := math.Sqrt(sum[i] / count[i])
		if n < neighbours {
			best[n] = d
			n++
			slices.Sort(best[:n])
		} else if d < best[neighbours-1] {
			best[neighbours-1] = d
			slices.Sort(best[:])
		}
	}
	if n == 0 {
		return 0
	}
	total := 0.0
	for _, d := range best[:n] {
		total += d
	}
	return total / float64(n)
}

// learnK computes the threshold of K from the distances of each accepted batch
// to the others.
func (s *State) learnK() {
	first := s.seq - keptValues
	use := s.admitted(first)
	n := 0
	for _, u := range use {
		if u {
			n++
		}
	}
	if s.thK = 0; n < leastHistory {
		return
	}
	pairs := newPairs()
	for _, c := range s.columns {
		for _, x := range c.series {
			if x != nil && x.accepted >= leastHistory {
				pairs.add(x, first)
			}
		}
	}
	var out []float64
	for i := range use {
		if use[i] {
			out = append(out, meanNearest(pairs.row(i), pairs.counts(i), others(use, i)))
		}
	}
	slices.Sort(out)
	s.thK = max(leastK, 1.1*quantile(out, 0.99))
}

func others(use []bool, i int) []bool {
	out := slices.Clone(use)
	out[i] = false
	return out
}

// pairs are the distances between all batches.
type pairs struct {
	sum   [][]float64
	count [][]float64
	buf   []pairValue
}

type pairValue struct {
	at int
	v  float64
}

func newPairs() *pairs {
	p := &pairs{sum: make([][]float64, keptValues), count: make([][]float64, keptValues)}
	s, c := make([]float64, keptValues*keptValues), make([]float64, keptValues*keptValues)
	for i := range keptValues {
		p.sum[i], p.count[i] = s[i*keptValues:(i+1)*keptValues], c[i*keptValues:(i+1)*keptValues]
	}
	return p
}

func (p *pairs) add(x *series, first int64) {
	by := 1 / x.scaleK(x.noise, x.floor)
	p.buf = p.buf[:0]
	for i := range x.entries {
		if e := &x.entries[i]; e.accepted && e.seq >= first {
			p.buf = append(p.buf, pairValue{int(e.seq - first), e.value * by})
		}
	}
	for i, a := range p.buf {
		sum, count := p.sum[a.at], p.count[a.at]
		for _, b := range p.buf[:i] {
			diff := max(-clipK, min(clipK, a.v-b.v))
			sum[b.at] += diff * diff
			count[b.at]++
		}
	}
}

// row returns the sums of a batch with all others.
func (p *pairs) row(i int) []float64 { return mirror(p.sum, i) }

func (p *pairs) counts(i int) []float64 { return mirror(p.count, i) }

func mirror(m [][]float64, i int) []float64 {
	out := slices.Clone(m[i])
	for j := i + 1; j < len(m); j++ {
		out[j] = m[j][i]
	}
	return out
}
