package profile

import (
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/sketch"
)

// Entropy is the Shannon entropy of the values in bits (Shannon, "A
// Mathematical Theory of Communication", 1948). The true one lies between Low
// and High; all three numbers are equal when exact.
type Entropy struct {
	Value float64 `json:"value"`
	Exact bool    `json:"exact"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Error returns how far the true entropy may be from Value.
func (e *Entropy) Error() float64 { return max(e.High-e.Value, e.Value-e.Low) }

// manyCounts is the count from which on counts are summed one by one.
const manyCounts = 256

// entropyOf returns the entropy of values whose counts sum to n: sum of
// c/n·log2(n/c). Counts repeat, so that most logarithms are taken once; the
// order of the sum does not depend on that of the values.
func entropyOf(vals []counted, n uint64) *Entropy {
	var few [manyCounts]float64
	var many []uint64
	for i := range vals {
		if c := vals[i].count; c < manyCounts {
			few[c]++
		} else {
			many = append(many, c)
		}
	}
	slices.Sort(many)
	total, bits := float64(n), 0.0
	surprise := func(c float64) float64 { return c / total * math.Log2(total/c) }
	for c, times := range few {
		if times > 0 {
			bits += times * surprise(float64(c))
		}
	}
	for _, c := range many {
		bits += surprise(float64(c))
	}
	return &Entropy{Value: bits, Exact: true, Low: bits, High: bits}
}

// estimateEntropy returns the entropy of n values from their sketches.
func (g *group) estimateEntropy(n uint64) *Entropy {
	e := g.top.Entropy(n, min(g.hll.Estimate(), float64(n)), g.hll.Error())
	return entropyBetween(e)
}

// entropyBetween makes an estimate of a range. No rounding leaves the order of
// its numbers or an entropy below 0.
func entropyBetween(e sketch.EntropyRange) *Entropy {
	low := max(0, e.Low)
	high := max(low, e.High)
	return &Entropy{Value: min(max(e.Value, low), high), Low: low, High: high}
}
