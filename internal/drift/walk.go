package drift

import (
	"math"

	"github.com/profilerhq/profiler/internal/sketch"
)

type weighted = sketch.Weighted[float64]

func total(s []weighted) uint64 {
	var n uint64
	for _, w := range s {
		n += w.Weight
	}
	return n
}

// prepare returns the values that have a weight, each once.
func prepare(s []weighted) []weighted {
	out := make([]weighted, 0, len(s))
	for _, w := range s {
		switch last := len(out) - 1; {
		case w.Weight == 0:
		case last >= 0 && out[last].Value == w.Value:
			out[last].Weight += w.Weight
		default:
			out = append(out, w)
		}
	}
	return out
}

// walk calls step for each value of either list, ascending, with the weights
// up to and including it.
func walk(a, b []weighted, step func(x float64, upToA, upToB uint64)) {
	var i, j int
	var upToA, upToB uint64
	for i < len(a) || j < len(b) {
		x := math.Inf(1)
		if i < len(a) {
			x = a[i].Value
		}
		if j < len(b) {
			x = min(x, b[j].Value)
		}
		for ; i < len(a) && a[i].Value == x; i++ {
			upToA += a[i].Weight
		}
		for ; j < len(b) && b[j].Value == x; j++ {
			upToB += b[j].Weight
		}
		step(x, upToA, upToB)
	}
}

// KS returns the largest difference of the two distribution functions, from 0
// to 1: Kolmogorov, 1933, Smirnov, 1939. Values ascend without NaN; only the
// ratios of the weights matter. It is NaN if a side has no weight.
func KS(a, b []sketch.Weighted[float64]) float64 {
	n, m := float64(total(a)), float64(total(b))
	if n == 0 || m == 0 {
		return math.NaN()
	}
	var d float64
	walk(a, b, func(_ float64, upToA, upToB uint64) {
		d = max(d, math.Abs(float64(upToA)/n-float64(upToB)/m))
	})
	return d
}

// Wasserstein returns the earth mover's distance ∫ |F−G| dx in the unit of the
// values: Vallender, "Calculation of the Wasserstein Distance Between
// Probability Distributions on the Line", 1974. Values ascend without NaN;
// only the ratios of the weights matter. It is infinite if different shares
// are infinite, and NaN if a side has no weight.
func Wasserstein(a, b []sketch.Weighted[float64]) float64 {
	e := exponent(a, b)
	return math.Ldexp(wasserstein(a, b, e), e)
}

// exponent returns the power of two that brings the largest finite value of
// both lists to about 1, so that neither differences nor squares overflow.
func exponent(lists ...[]weighted) int {
	var largest float64
	for _, list := range lists {
		for _, w := range list {
			if x := math.Abs(w.Value); !math.IsInf(x, 0) {
				largest = max(largest, x)
			}
		}
	}
	_, e := math.Frexp(largest)
	return e
}

// wasserstein computes the distance of the values times 2^−e.
func wasserstein(a, b []weighted, e int) float64 {
	n, m := float64(total(a)), float64(total(b))
	if n == 0 || m == 0 {
		return math.NaN()
	}
	var area, gap, before float64
	walk(a, b, func(x float64, upToA, upToB uint64) {
		x = math.Ldexp(x, -e)
		// Equal shares leave nothing to move, not even over an infinite way.
		if gap > 0 {
			area += gap * (x - before)
		}
		gap, before = math.Abs(float64(upToA)/n-float64(upToB)/m), x
	})
	return area
}

// wassersteinRatio divides the distance by the standard deviation of the
// finite values of a.
func wassersteinRatio(a, b []weighted) float64 {
	e := exponent(a, b)
	d := wasserstein(a, b, e)
	if d == 0 {
		return 0
	}
	// A standard deviation of 0 makes any distance infinitely large.
	return min(d/deviation(a, e), maxRatio)
}

// deviation returns the standard deviation (ddof 0) of the finite values times
// 2^−e.
func deviation(s []weighted, e int) float64 {
	var n uint64
	for _, w := range s {
		if !math.IsInf(w.Value, 0) {
			n += w.Weight
		}
	}
	each := func(f func(x, share float64)) {
		for _, w := range s {
			if !math.IsInf(w.Value, 0) {
				f(math.Ldexp(w.Value, -e), float64(w.Weight)/float64(n))
			}
		}
	}
	var mean, off, square float64
	each(func(x, share float64) { mean += share * x })
	// The mean is rounded; off corrects for it (Chan, Golub, LeVeque, 1983).
	each(func(x, share float64) {
		off += share * (x - mean)
		square += share * (x - mean) * (x - mean)
	})
	return math.Sqrt(max(0, square-off*off))
}
