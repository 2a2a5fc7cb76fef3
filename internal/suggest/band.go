package suggest

import (
	"math"
	"slices"
)

// scale is a pair of functions between values and a line on which equal steps
// mean equal things.
type scale struct{ to, from func(float64) float64 }

var (
	// logScale is for counts: a batch of double size is as far away as one of
	// half the size.
	logScale = scale{func(f float64) float64 { return math.Log(math.Max(f, 1)) }, math.Exp}
	// logitScale is for shares.
	logitScale = scale{
		func(f float64) float64 { f = min(max(f, 1e-6), 1-1e-6); return math.Log(f / (1 - f)) },
		func(f float64) float64 { return 1 / (1 + math.Exp(-f)) },
	}
)

type interval struct{ lo, hi float64 }

// band widens the range of a number over batches so that the next batches of
// the same kind stay inside. The largest of n earlier batches is exceeded by
// the next one with probability 1/(n+1) whatever their distribution is, so that
// the range alone would alarm every n/2 batches. It is widened on each side by
// half of the range, and by at least log(1 + 3/√n) on the scale: fewer batches,
// more head-room.
func band(values []float64, s scale) interval {
	lo, hi := s.to(slices.Min(values)), s.to(slices.Max(values))
	room := math.Max((hi-lo)/2, math.Log1p(3/math.Sqrt(float64(len(values)))))
	return interval{s.from(lo - room), s.from(hi + room)}
}

// z95 is the two-sided 95 % point of the normal distribution.
const z95 = 1.959963984540054

// wilsonUpper is the upper end of the 95 % score interval of a share (E. B.
// Wilson, "Probable Inference, the Law of Succession, and Statistical
// Inference", JASA 22, 1927).
func wilsonUpper(k, n int64) float64 {
	if n == 0 {
		return 1
	}
	p, m, z2 := float64(k)/float64(n), float64(n), z95*z95
	return min(1, (p+z2/(2*m)+z95*math.Sqrt(p*(1-p)/m+z2/(4*m*m)))/(1+z2/m))
}

// unseen bounds the share of all values that none of n observed ones has. f1
// of them were seen once: I. J. Good's estimate of the share is f1/n ("The
// Population Frequencies of Species", Biometrika 40, 1953). upper is the exact
// 95 % bound for f1 = 0, the share that n draws miss with a chance of 5 %, and
// Wilson's of the estimate otherwise.
func unseen(f1, n int64) (estimate, upper float64) {
	if n == 0 {
		return 1, 1
	}
	if f1 == 0 {
		return 0, 1 - math.Pow(0.05, 1/float64(n))
	}
	return float64(f1) / float64(n), wilsonUpper(f1, n)
}

// roundUp and roundDown give limits that people would write: two significant
// digits, outwards.
func roundUp(f float64) float64   { return outwards(f, math.Ceil) }
func roundDown(f float64) float64 { return outwards(f, math.Floor) }

func outwards(f float64, round func(float64) float64) float64 {
	if f == 0 || math.IsInf(f, 0) || math.IsNaN(f) {
		return f
	}
	exp := math.Floor(math.Log10(math.Abs(f))) - 1
	if exp >= 0 {
		step := math.Pow(10, exp)
		return round(f/step) * step
	}
	inverse := math.Pow(10, -exp) // a power of ten, exact where 10^exp is not
	return round(f*inverse) / inverse
}

// tolerances are what a rule may tolerate of rows, as people write it.
var tolerances = []float64{0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95}

// tolerance returns the smallest written tolerance that is not below a share; 1
// if there is none.
func tolerance(share float64) float64 {
	for _, t := range tolerances {
		if share <= t {
			return t
		}
	}
	return 1
}
