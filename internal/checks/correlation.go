package checks

import (
	"math"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var correlationSpec = Spec{
	Kind: "correlation", Level: MetricLevel, Column: true,
	Params:  append([]Param{{Name: "with", Form: FormText, Required: true, Summary: "The other column."}}, metricParams(FormNumber)...),
	Example: "correlation: {with: tax, min: 0.9}",
	Summary: "Pearson's correlation with another column of numbers.",
	parse:   parseCorrelation,
}

type correlation struct {
	with       string
	warn, fail *zone
}

func parseCorrelation(c *Check, p params, errs *diag.List) judge {
	if p.node.IsNull() || p.node.Kind() != yamldoc.Map {
		errs.Errorf(p.where(), 11, yamldoc.CodeMissingKey, "check \"correlation\" needs with and a limit, as in correlation: {with: tax, min: 0.9}")
		return nil
	}
	n := p.node.Mapping(errs).Required("with", `check "correlation"`, errs)
	with, ok := n.String(errs)
	warn, fail, limited := parseZones("correlation", p, []Param{{Name: "with"}}, errs)
	if !ok || !limited || !onlyNumbers("correlation", p, errs, warn, fail) {
		return nil
	}
	if with == c.Column {
		n.Errorf(errs, yamldoc.CodeValue, "the correlation of a column with itself is 1; name another column")
		return nil
	}
	c.Columns = []string{with}
	return &correlation{with: with, warn: warn, fail: fail}
}

func (k *correlation) scanner() rowEvaluator { return &comoments{} }

func (k *correlation) result(in *Input, col *profile.Column, e rowEvaluator, res Result) Result {
	other := in.Profile.Summary().Column(k.with)
	r, ok := e.(*comoments).pearson()
	for _, c := range []*profile.Column{col, other} {
		if kind := c.Kind(); c.Count > 0 && !kind.Numeric() {
			res.Limit = zoneLimit(k.warn, k.fail, false)
			return res.errorf("column %q is of type %s; correlation needs numbers", c.Name, c.Type)
		}
	}
	m := measurement{value: batch.Value{Type: batch.Number, Float: r}, text: number(r), ok: ok}
	return res.judgeNumber("correlation of "+col.Name+" with "+k.with, m, limits{warn: k.warn, fail: k.fail})
}

// comoments accumulates pairs of numbers in one pass, without cancellation
// (P. Pébay, "Formulas for Robust, One-Pass Parallel Computation of Covariances
// and Arbitrary-Order Statistical Moments", SAND2008-6212, 2008).
type comoments struct {
	n            int64
	meanX, meanY float64
	xx, yy, xy   float64 // sums of products of deviations
}

func (m *comoments) observe(r *rows) {
	if len(r.cols) == 0 {
		return
	}
	if r.sel != nil {
		for _, i := range r.sel {
			m.take(r, int(i))
		}
		return
	}
	for i := range r.v.Len() {
		m.take(r, i)
	}
}

func (m *comoments) take(r *rows, i int) {
	x, ok1 := finiteAt(r.v, i)
	y, ok2 := finiteAt(r.cols[0], i)
	if ok1 && ok2 {
		m.add(x, y)
	}
}

// finiteAt returns the number of row i; ok is false for all other values.
func finiteAt(v *batch.Vector, i int) (f float64, ok bool) {
	v, i = v.At(i)
	switch v.Types[i] {
	case batch.Integer:
		return float64(v.Ints[i]), true
	case batch.Number:
		f = v.Floats[i]
		return f, !math.IsNaN(f) && !math.IsInf(f, 0)
	default:
		return 0, false
	}
}

func (m *comoments) add(x, y float64) {
	m.n++
	n := float64(m.n)
	dx, dy := x-m.meanX, y-m.meanY
	m.meanX += dx / n
	m.meanY += dy / n
	m.xx += dx * (x - m.meanX)
	m.yy += dy * (y - m.meanY)
	m.xy += dx * (y - m.meanY)
}

func (m *comoments) absent(earlier) {}

func (m *comoments) outcome(*profile.Column) outcome { return outcome{evaluated: m.n} }

// pearson returns the correlation; ok is false for fewer than 2 pairs and for
// a column that does not vary.
func (m *comoments) pearson() (r float64, ok bool) {
	scale := math.Sqrt(m.xx * m.yy)
	if scale == 0 || math.IsInf(scale, 0) { // beyond what a product holds
		scale = math.Sqrt(m.xx) * math.Sqrt(m.yy)
	}
	if m.n < 2 || scale == 0 || math.IsInf(scale, 0) || math.IsNaN(scale) {
		return 0, false
	}
	return min(1, max(-1, m.xy/scale)), true
}

// merge takes in the pairs of other rows (Chan, Golub and LeVeque 1979).
func (m *comoments) merge(other rowEvaluator) {
	o, ok := other.(*comoments)
	if !ok || o.n == 0 {
		return
	}
	if m.n == 0 {
		*m = *o
		return
	}
	n, a, b := float64(m.n+o.n), float64(m.n), float64(o.n)
	dx, dy := o.meanX-m.meanX, o.meanY-m.meanY
	m.xx += o.xx + dx*dx*a*b/n
	m.yy += o.yy + dy*dy*a*b/n
	m.xy += o.xy + dx*dy*a*b/n
	m.meanX += dx * b / n
	m.meanY += dy * b / n
	m.n += o.n
}
