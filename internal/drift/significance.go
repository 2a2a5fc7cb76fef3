package drift

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

const (
	// exactProduct is the largest n·m for which the p value of KS is computed
	// from all orders of the two samples.
	exactProduct = 10_000

	// minExpected is the expected count below which χ² cannot be trusted:
	// Cochran, "Some Methods for Strengthening the Common χ² Tests", 1954.
	minExpected = 5
)

// KolmogorovSurvival returns the chance that the limit of √n·D exceeds z:
// 2 Σ (−1)^(k−1) exp(−2k²z²), and for small z its other form √(2π)/z
// Σ exp(−(2k−1)²π²/8z²) from 1: Kolmogorov, 1933. It is 1 for z ≤ 0.
func KolmogorovSurvival(z float64) float64 {
	if z <= 0 {
		return 1
	}
	var s float64
	if z < 1 {
		for k := 1.0; k < 20; k += 2 {
			s += math.Exp(-k * k * math.Pi * math.Pi / (8 * z * z))
		}
		return min(1, max(0, 1-math.Sqrt(2*math.Pi)/z*s))
	}
	sign := 1.0
	for k := 1.0; k < 20; k++ {
		s += sign * math.Exp(-2*k*k*z*z)
		sign = -sign
	}
	return min(1, max(0, 2*s))
}

// KolmogorovLimit returns the p value of a KS distance d between samples of n
// and m values by the limit distribution: KolmogorovSurvival(d √(nm/(n+m))).
func KolmogorovLimit(d, n, m float64) float64 {
	return KolmogorovSurvival(d * math.Sqrt(n/(n+m)*m))
}

// ksExact returns the chance that samples of n and m values from one
// distribution without ties have a KS distance of d or more. It walks over all
// orders of the n+m values as paths in a grid: Hodges, "The Significance
// Probability of the Smirnov Two-Sample Test", 1958. It is false if n·m is
// above exactProduct, or if such samples cannot have the distance d.
func ksExact(d float64, rowsA, rowsB uint64) (p float64, ok bool) {
	if high, low := bits.Mul64(rowsA, rowsB); high > 0 || low > exactProduct {
		return 0, false
	}
	n, m := int64(rowsA), int64(rowsB)
	steps := d * float64(n*m)
	if math.Abs(steps-math.Round(steps)) > 1e-6 {
		return 0, false
	}
	far := int64(math.Round(steps))
	// chance[j] is the chance that a path from (i, j) gets far from the
	// diagonal. Every term is positive, so small p values stay exact.
	chance := make([]float64, m+1)
	for i := n; i >= 0; i-- {
		for j := m; j >= 0; j-- {
			if abs(i*m-j*n) >= far {
				chance[j] = 1
				continue
			}
			var p float64
			left := float64(n - i + m - j)
			if i < n {
				p += float64(n-i) / left * chance[j]
			}
			if j < m {
				p += float64(m-j) / left * chance[j+1]
			}
			chance[j] = p
		}
	}
	return chance[0], true
}

func abs(x int64) int64 { return max(x, -x) }

// ChiSquareSurvival returns the chance that χ² with dof degrees of freedom
// exceeds x; 1 if dof is not positive.
func ChiSquareSurvival(x float64, dof int) float64 {
	if dof <= 0 {
		return 1
	}
	return UpperGamma(float64(dof)/2, x/2)
}

// UpperGamma returns the regularized upper incomplete gamma function Q(a, x)
// for a > 0: a power series below x = a+1, and above it the continued fraction
// by Lentz's method: Abramowitz, Stegun, "Handbook of Mathematical Functions",
// 6.5.29 and 6.5.31. It is 1 for x ≤ 0.
func UpperGamma(a, x float64) float64 {
	switch {
	case math.IsNaN(a) || math.IsNaN(x):
		return math.NaN()
	case x <= 0:
		return 1
	case math.IsInf(x, 1):
		return 0
	}
	lg, _ := math.Lgamma(a)
	scale := math.Exp(a*math.Log(x) - x - lg)
	const enough = 1e-17
	if x < a+1 {
		term := 1 / a
		s := term
		for k := a + 1; term > s*enough; k++ {
			term *= x / k
			s += term
		}
		return min(1, max(0, 1-scale*s))
	}
	const tiny = 1e-300
	const rounds = 1_000_000
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	f := d
	for k := 1.0; k < rounds; k++ {
		coefficient := -k * (k - a)
		b += 2
		d = coefficient*d + b
		if math.Abs(d) < tiny {
			d = tiny
		}
		c = b + coefficient/c
		if math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		f *= c * d
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return min(1, max(0, scale*f))
}

// column is a column of the table that the test of significance looks at.
type column struct{ pooled, d float64 }

// tableP returns the p value of the two-sample χ² test over the bins, for n
// and m rows. Bins whose expected count is below 5 on the smaller side are
// folded into one. If that one is still below 5, an exact test takes its place
// and χ² the other bins'. If all bins are that small, numbers are tested by
// ordered, which needs no bins; without ordered the bins are grouped by size.
func tableP(cells []cell, n, m float64, ordered func() float64) float64 {
	var kept, small []column
	rest := column{}
	least := min(n, m)
	for _, c := range cells {
		col := column{pooled(c.p, c.q, n, m), c.d}
		if least*col.pooled >= minExpected {
			kept = append(kept, col)
			continue
		}
		small = append(small, col)
		rest.pooled += col.pooled
		rest.d += col.d
	}
	switch {
	case len(kept) == 0 && ordered != nil:
		return ordered()
	case len(kept) == 0:
		return columnsP(grouped(small, least), n, m)
	case rest.pooled == 0:
		return columnsP(kept, n, m)
	case least*rest.pooled >= minExpected:
		return columnsP(append(kept, rest), n, m)
	case len(kept) == 1:
		return rareP(rest, n, m)
	}
	// Two looks at one table: the smaller p value counts double (Bonferroni).
	return min(1, 2*min(rareP(rest, n, m), columnsP(kept, n, m)))
}

func columnsP(columns []column, n, m float64) float64 {
	var statistic float64
	for _, c := range columns {
		statistic += chiTerm(c.pooled, c.d, n, m)
	}
	return ChiSquareSurvival(statistic, len(columns)-1)
}

// grouped joins columns, smallest first, until each group expects enough. It
// looks at the pooled counts alone, so the groups do not depend on how the
// sides differ.
func grouped(columns []column, least float64) []column {
	slices.SortStableFunc(columns, func(a, b column) int { return cmp.Compare(a.pooled, b.pooled) })
	var groups []column
	var group column
	for _, c := range columns {
		group.pooled += c.pooled
		group.d += c.d
		if least*group.pooled >= minExpected {
			groups = append(groups, group)
			group = column{}
		}
	}
	if last := len(groups) - 1; last >= 0 {
		groups[last].pooled += group.pooled
		groups[last].d += group.d
	}
	return groups
}

// rareP returns the p value of one column against all others by the
// hypergeometric distribution, both tails: Fisher, 1935.
func rareP(c column, n, m float64) float64 {
	all, share := n+m, c.pooled-c.d*n/(n+m)
	if n < m {
		share = c.pooled + c.d*m/all
	}
	draws := min(n, m)
	marked := math.Round(c.pooled * all)
	hits := min(max(math.Round(share*draws), 0), marked, draws)
	step, end := 1.0, min(marked, draws)
	if hits < draws*c.pooled {
		step, end = -1, max(0, marked+draws-all)
	}
	term := math.Exp(logChoose(marked, hits) + logChoose(all-marked, draws-hits) - logChoose(all, draws))
	s := term
	for x := hits; x != end && term > s*1e-17; x += step {
		up := (marked - x) * (draws - x) / ((x + 1) * (all - marked - draws + x + 1))
		if step < 0 {
			up = x * (all - marked - draws + x) / ((marked - x + 1) * (draws - x + 1))
		}
		term *= up
		s += term
	}
	return min(1, 2*s)
}

func logChoose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}

// Adjusted returns for each p value the smallest rate of false discoveries at
// which it is rejected: p·m/rank, made monotone from the largest p down:
// Benjamini, Hochberg, "Controlling the False Discovery Rate", 1995. The order
// is that of p. The caller owns the slice.
func Adjusted(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out := make([]float64, len(p))
	least := 1.0
	for rank := len(p); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, p[i]*float64(len(p))/float64(rank))
		out[i] = least
	}
	return out
}

// BenjaminiHochberg tells for each p value whether it is a discovery when the
// expected rate of false ones is held at q: its Adjusted value is at most q. p
// must not hold NaN. For one p value that is p ≤ q.
func BenjaminiHochberg(p []float64, q float64) []bool {
	out := make([]bool, len(p))
	for i, a := range Adjusted(p) {
		out[i] = a <= q
	}
	return out
}
