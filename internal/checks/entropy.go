package checks

import (
	"cmp"
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
)

var entropySpec = Spec{
	Kind: "entropy", Level: MetricLevel, Column: true, Params: metricParams,
	Summary: "Shannon entropy of the values in bits.",
	parse: func(_ *Check, p params, errs *diag.List) judge {
		warn, fail, ok := parseZones("entropy", p, nil, errs)
		if !ok || !onlyNumbers("entropy", p, errs, warn, fail) {
			return nil
		}
		return &entropy{warn, fail}
	},
}

type entropy struct{ warn, fail *zone }

func (e *entropy) needs(string) []Need { return nil }

func (e *entropy) result(in *Input, col *profile.Column, res Result) Result {
	l := limits{warn: e.warn, fail: e.fail}
	subject := "entropy of " + col.Name
	counts, exact := countsOf(in.Profile, col)
	switch {
	case !exact:
		res.Limit = zoneLimit(e.warn, e.fail, false)
		return res.errorf("%s is not known: the column has too many distinct values to be counted", subject)
	case len(counts) == 0:
		return res.judgeNumber(subject, measurement{}, l)
	}
	bits := bitsOf(counts)
	return res.judgeNumber(subject, measurement{value: batch.Value{Type: batch.Number, Float: bits}, text: number(bits), ok: true}, l)
}

// countsOf returns the distinct values of a column, most frequent first. exact
// is false if they were not all counted; the list then has the frequent ones.
func countsOf(p *profile.Profile, col *profile.Column) (counts []profile.ValueCount, exact bool) {
	counts, missing := p.Values(col.Name, math.MaxInt32)
	byCount(counts)
	return counts, missing == 0 && col.Distinct.Exact
}

// byCount sorts values by their counts, most frequent first, ties by code
// point.
func byCount(values []profile.ValueCount) {
	slices.SortFunc(values, func(a, b profile.ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
}

// bitsOf is the entropy -Σ p·log2 p (Shannon, "A Mathematical Theory of
// Communication", 1948), computed as log2 n - Σ c·log2 c / n.
func bitsOf(counts []profile.ValueCount) float64 {
	n, sum := 0.0, 0.0
	for _, c := range counts {
		f := float64(c.Count)
		n += f
		sum += f * math.Log2(f)
	}
	return max(0, math.Log2(n)-sum/n)
}
