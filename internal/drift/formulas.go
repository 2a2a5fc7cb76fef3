package drift

import "math"

// psiFloor is the least share in PSI, which would be infinite for an empty bin.
const psiFloor = 1e-4

// sum adds up a term over two vectors of shares of equal length.
func sum(p, q []float64, term func(p, q float64) float64) float64 {
	var s float64
	for i := range p {
		s += term(p[i], q[i])
	}
	return s
}

func klTerm(p, q float64) float64 {
	if p == 0 {
		return 0
	}
	return p * math.Log(p/q)
}

func psiTerm(p, q float64) float64 {
	p, q = max(p, psiFloor), max(q, psiFloor)
	return (p - q) * math.Log(p/q)
}

func jsTerm(p, q float64) float64 {
	m := (p + q) / 2
	return (klTerm(p, m) + klTerm(q, m)) / 2
}

func hellingerTerm(p, q float64) float64 {
	d := math.Sqrt(p) - math.Sqrt(q)
	return d * d
}

func moveTerm(p, q float64) float64 { return math.Abs(p - q) }

// chiTerm is the part of one column in χ² of a table with rows of n and m
// values, given the column's pooled share and the difference d of its shares.
func chiTerm(pooled, d, n, m float64) float64 {
	if pooled == 0 {
		return 0
	}
	return d * d / pooled * (n / (n + m) * m)
}

// pooled returns the share of a column in both rows together.
func pooled(p, q, n, m float64) float64 { return (n*p + m*q) / (n + m) }

// KL returns the divergence Σ p ln(p/q) of two distributions of equal length in
// nats: Kullback, Leibler, "On Information and Sufficiency", 1951. It is
// infinite where p has a share and q has none.
func KL(p, q []float64) float64 { return sum(p, q, klTerm) }

// PSI returns the population stability index Σ (p−q) ln(p/q) of two
// distributions of equal length: Siddiqi, "Credit Risk Scorecards", 2006.
// Shares below 1e-4 are raised to it, without norming again.
func PSI(p, q []float64) float64 { return sum(p, q, psiTerm) }

// JS returns the Jensen–Shannon distance of two distributions of equal length:
// the square root of the divergence to base 2, from 0 to 1: Endres, Schindelin,
// "A New Metric for Probability Distributions", 2003.
func JS(p, q []float64) float64 {
	return math.Sqrt(max(0, sum(p, q, jsTerm)) / math.Ln2)
}

// Hellinger returns √(Σ (√p−√q)²) / √2 of two distributions of equal length,
// from 0 to 1: Hellinger, 1909.
func Hellinger(p, q []float64) float64 {
	return math.Sqrt(sum(p, q, hellingerTerm) / 2)
}

// TotalVariation returns ½ Σ |p−q| of two distributions of equal length: the
// share of rows that moved.
func TotalVariation(p, q []float64) float64 { return sum(p, q, moveTerm) / 2 }

// LInf returns the largest |p−q| of two distributions of equal length.
func LInf(p, q []float64) float64 {
	var d float64
	for i := range p {
		d = max(d, math.Abs(p[i]-q[i]))
	}
	return d
}

// ChiSquare returns the statistic of Pearson's test that two rows of counts of
// equal length come from one distribution, without a correction for
// continuity, and its degrees of freedom. Columns without a count are left out.
// Both are 0 if a row or all columns but one are empty.
func ChiSquare(a, b []float64) (statistic float64, dof int) {
	n, m := sumOf(a), sumOf(b)
	if n == 0 || m == 0 {
		return 0, 0
	}
	dof = -1
	for i := range a {
		if a[i]+b[i] > 0 {
			dof++
		}
		p, q := a[i]/n, b[i]/m
		statistic += chiTerm(pooled(p, q, n, m), p-q, n, m)
	}
	return statistic, dof
}

// CramersV returns √(χ²/N) of two rows of counts of equal length, from 0 to 1:
// Cramér, "Mathematical Methods of Statistics", 1946. It is 0 if a row is
// empty.
func CramersV(a, b []float64) float64 {
	n, m := sumOf(a), sumOf(b)
	if n == 0 || m == 0 {
		return 0
	}
	statistic, _ := ChiSquare(a, b)
	return math.Sqrt(statistic / (n + m))
}

func cramersV(p, q []float64, n, m float64) float64 {
	s := sum(p, q, func(p, q float64) float64 { return chiTerm(pooled(p, q, n, m), p-q, n, m) })
	return math.Sqrt(s / (n + m))
}

func sumOf(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x
	}
	return s
}
