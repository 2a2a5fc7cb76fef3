package checks

import (
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/sketch"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var quantileSpec = Spec{
	Kind: "quantile", Level: MetricLevel, Column: true,
	Params:  append([]Param{{Name: "q", Form: FormShare, Required: true, Summary: "Which quantile: 0.5 or 50% is the median."}}, metricParams(FormLimit)...),
	Example: "quantile: {q: 0.95, max: 100}",
	Summary: "A quantile q of the values, between 0 and 1.",
	parse:   parseQuantile,
}

type quantile struct {
	q          float64
	text       string // q as it is written
	warn, fail *zone
}

func parseQuantile(_ *Check, p params, errs *diag.List) judge {
	if p.node.IsNull() || p.node.Kind() != yamldoc.Map {
		errs.Errorf(p.where(), 8, yamldoc.CodeMissingKey, "check \"quantile\" needs q and a limit, as in quantile: {q: 0.95, max: 100}")
		return nil
	}
	n := p.node.Mapping(errs).Required("q", `check "quantile"`, errs)
	q, ok := n.Percent(errs)
	warn, fail, limited := parseZones("quantile", p, []Param{{Name: "q"}}, errs)
	if !ok || !limited {
		return nil
	}
	if q < 0 || q > 1 {
		n.Errorf(errs, yamldoc.CodeValue, "%s is no quantile: q lies between 0 and 1, or 0%% and 100%%", n.Raw())
		return nil
	}
	return &quantile{q: q, text: n.Raw(), warn: warn, fail: fail}
}

func (k *quantile) needs(string) []Need { return nil }

func (k *quantile) result(in *Input, col *profile.Column, res Result) Result {
	if col.Sensitive {
		return res.unknownOfSensitive("quantile " + k.text + " of " + col.Name)
	}
	return res.judgeNumber("quantile "+k.text+" of "+col.Name, k.measure(in.Profile, col), limits{warn: k.warn, fail: k.fail})
}

// measure interpolates between the two nearest values (type 7 of Hyndman and
// Fan 1996) while they are counted, and takes the smallest value whose rank
// reaches q from a sketch.
func (k *quantile) measure(p *profile.Profile, col *profile.Column) measurement {
	w, rankErr := p.Numbers(col.Name)
	if len(w) == 0 {
		return measurement{}
	}
	f := sketch.QuantileOf(w, k.q)
	if rankErr > 0 {
		f = atRank(w, k.q)
	}
	v := batch.Value{Type: batch.Number, Float: f}
	if kind := col.Kind(); kind.Temporal() {
		if kind == batch.Date {
			kind = batch.Timestamp // between two days lies a time of day
		}
		v = batch.Value{Type: kind, Int: int64(math.Round(f))}
	}
	return measurement{value: v, text: string(v.AppendText(nil, col.Zoned())), ok: true}
}

// atRank returns the smallest value whose rank is at least q.
func atRank(w []sketch.Weighted[float64], q float64) float64 {
	var total, sum uint64
	for _, x := range w {
		total += x.Weight
	}
	i := slices.IndexFunc(w, func(x sketch.Weighted[float64]) bool {
		sum += x.Weight
		return float64(sum) >= q*float64(total)
	})
	return w[max(i, 0)].Value
}
