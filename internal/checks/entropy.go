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
	Kind: "entropy", Level: MetricLevel, Column: true, Params: metricParams(FormNumber),
	Short: &Param{Form: FormNumber, Summary: "Exactly this number."}, Example: "entropy: {min: 1.5}",
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

func (e *entropy) result(_ *Input, col *profile.Column, res Result) Result {
	l := limits{warn: e.warn, fail: e.fail}
	subject := "entropy of " + col.Name
	found := col.Entropy
	if found == nil {
		return res.judgeNumber(subject, measurement{}, l)
	}
	ends := (&metric{warn: e.warn, fail: e.fail}).ends()
	if !found.Exact && slices.ContainsFunc(ends, func(end float64) bool { return end >= found.Low && end <= found.High }) {
		res.Limit = zoneLimit(e.warn, e.fail, false)
		return res.errorf("%s is from %s to %s, which is not known closer: the column has too many distinct values to be counted", subject, number(found.Low), number(found.High))
	}
	m := measurement{value: batch.Value{Type: batch.Number, Float: found.Value}, text: number(found.Value), bound: found.Error(), ok: true}
	return res.judgeNumber(subject, m, l)
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
