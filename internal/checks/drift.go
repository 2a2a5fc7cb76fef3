package checks

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/drift"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var driftParams = []Param{
	{Name: "method", Form: FormChoice, OneOf: driftMethods(), Summary: "The distance between the distributions.", Default: "auto"},
	{Name: "warn", Form: FormShare, Summary: "The distance from which it is a warning.", Default: "that of the method"},
	{Name: "fail", Form: FormShare, Summary: "The distance from which it is a failure.", Default: "that of the method"},
	{Name: "baseline", Form: FormEarlier, Summary: "What it is compared with: previous, a number of batches, a span like 7d, or pinned:FILE.", Default: "28"},
}

func driftMethods() (names []string) {
	for _, m := range drift.Methods() {
		names = append(names, string(m))
	}
	return names
}

var driftSpec = Spec{
	Kind: "drift", Level: BatchLevel, Column: true, Params: driftParams, Bare: true, Example: "drift: {method: psi, warn: 0.1, fail: 0.25}",
	Summary: "The distribution of the values has not moved away from that of earlier batches.",
	parse:   parseDrift,
}

// defaultBaseline is how many accepted batches make the baseline of a drift
// check that names none.
const defaultBaseline = 28

// driftValues is how many frequent values of a side are compared.
const driftValues = 100

type driftCheck struct {
	method     drift.Method
	warn, fail *float64 // nil is off
	// defaulted is set while no limit is written: those of the method are used.
	defaulted bool
	window    Window
}

func parseDrift(c *Check, p params, errs *diag.List) judge {
	d := &driftCheck{method: drift.MethodAuto, window: Window{Batches: defaultBaseline}}
	m := p.mapping("drift", driftParams, errs)
	if m == nil && !p.node.IsNull() {
		return nil
	}
	if n := m.Get("method"); n != nil {
		name, ok := n.OneOf(errs, driftMethods()...)
		if !ok {
			return nil
		}
		d.method, _ = drift.Parse(name)
	}
	if n := m.Get("baseline"); n != nil {
		var none diag.List
		w, ok := ParseWindow(n, &none)
		if !ok || w.SameWeekday || w.Input {
			n.Errorf(errs, yamldoc.CodeValue, "expected previous, a number of batches, a span like 7d or pinned:FILE, got %s", n.Describe())
			return nil
		}
		if w.Pinned != "" && !filepath.IsAbs(w.Pinned) {
			w.Pinned = filepath.Join(filepath.Dir(c.Pos.File), w.Pinned) // as all files that rules name
		}
		d.window = w
	}
	for key, target := range map[string]**float64{"warn": &d.warn, "fail": &d.fail} {
		n := p.zone(key, m, errs)
		if n == nil {
			continue
		}
		f, ok := n.Percent(errs)
		if !ok {
			continue
		}
		if f <= 0 {
			n.Errorf(errs, yamldoc.CodeValue, "a distance above which drift is reported must be above 0")
		}
		*target = &f
	}
	if d.warn != nil && d.fail != nil && *d.warn > *d.fail {
		errs.Errorf(p.where(), 5, yamldoc.CodeValue, "warn (%g) is looser than fail (%g); swap them", *d.warn, *d.fail)
	}
	d.defaulted = d.warn == nil && d.fail == nil
	return d
}

func (d *driftCheck) needs(string) []Need { return []Need{{Profile: true, Window: d.window}} }

func (d *driftCheck) result(in *Input, col *profile.Column, res Result) Result {
	past := in.Past[d.needs("")[0]]
	switch {
	case past.Err != "":
		return res.errorf("%s", past.Err)
	case col.Count == 0:
		return res.failReason("no value", "column %q has no value to compare", col.Name)
	case past.Profile == nil || past.Profile.Rows() == 0:
		return res.learning("no earlier batch to compare with yet")
	}
	base := past.Profile.Outline(col.Name)
	if base == nil || base.Count == 0 {
		return res.learning("no earlier batch has values of this column yet")
	}
	if err := profile.Comparable(past.Profile, in.Profile, col.Name); err != nil {
		res.Reason = "not comparable"
		return res.errorf("%s; set PROFILER_SENSITIVE_KEY to one value wherever the dataset is profiled", err)
	}
	if base.Kind().Family() != col.Kind().Family() {
		return res.failReason("type changed", "the column is %s, earlier batches have %s", col.Type, base.Type)
	}
	before, now, what := sampleOf(past.Profile, base), sampleOf(in.Profile, col), ""
	method, err := d.resolve(base, col, before)
	if err != "" {
		res.Reason = "not comparable"
		return res.errorf("%s", err)
	}
	if d.method == drift.MethodAuto && drift.NearUnique(before) {
		a, b := past.Profile.Lengths(col.Name), in.Profile.Lengths(col.Name)
		if len(a) > 0 && len(b) > 0 {
			before, now, method, what = drift.Sample{Numbers: a}, drift.Sample{Numbers: b}, drift.MethodKS, "the lengths of "
		}
	}
	out, cerr := drift.Compare(method, before, now)
	if cerr != nil {
		if errors.Is(cerr, drift.ErrNotComparable) {
			res.Reason = "not comparable"
		}
		return res.errorf("%s", cerr)
	}
	for i := range out.Moved {
		if col.Sensitive {
			out.Moved[i].Label = "a masked value"
		}
	}
	if !past.At.IsZero() {
		res.BaselineAt = &past.At
	}
	dd := &driftDecision{out: out, subject: what + col.Name, unit: unitOf(col.List != nil), batches: past.Batches, normal: d.normalLife(in, res.ID, out.Method)}
	loud, quiet := d.decide(res, dd, out.Significant), d.decide(res, dd, false)
	dd.quiet = &quiet
	loud.drift = dd
	return loud
}

// driftDecision is a comparison that is decided once it is known how many there
// are.
type driftDecision struct {
	unit    unit // of the values
	out     drift.Outcome
	subject string
	batches int
	normal  normalLife
	quiet   *Result // if the distance is no discovery
}

// normalLife is how far accepted batches were from their own baselines.
type normalLife struct {
	most float64 // 99 % of them
	n    int     // 0 if they are too few to say, or do not count
}

const (
	normalLast  = 60 // accepted batches, so that a bad one ages out
	normalLeast = 8
)

// wantsPast reports whether earlier distances count: for limits that nobody
// wrote, against a baseline that moves.
func (d *driftCheck) wantsPast() bool { return d.defaulted && d.window.Pinned == "" }

func (d *driftCheck) normalLife(in *Input, id string, m drift.Method) normalLife {
	if !d.wantsPast() {
		return normalLife{}
	}
	past := in.Past[Need{Results: id}]
	var values []float64
	for i, v := range past.Values {
		if i < len(past.Methods) && past.Methods[i] == string(m) && len(values) < normalLast {
			values = append(values, v)
		}
	}
	if len(values) < normalLeast {
		return normalLife{}
	}
	slices.Sort(values)
	at := 0.99 * float64(len(values)-1)
	k := int(at)
	most := values[k]
	if k+1 < len(values) {
		most += (at - float64(k)) * (values[k+1] - values[k])
	}
	return normalLife{most, len(values)}
}

// limitDiscoveries holds the rate of false discoveries among the columns of one
// rule: what is no discovery among all of them passes.
func limitDiscoveries(results []Result) {
	var p []float64
	var at []int
	for i := range results {
		if dd := results[i].drift; dd != nil {
			p, at = append(p, dd.out.P), append(at, i)
		}
	}
	if len(p) < 2 {
		return
	}
	for k, found := range drift.BenjaminiHochberg(p, drift.Alpha) {
		if r := &results[at[k]]; !found && r.drift.out.Significant {
			*r = *r.drift.quiet
		}
	}
}

func (r Result) learning(message string) Result {
	r.Status, r.Message = Learning, message
	return r
}

// resolve chooses the method; dates, timestamps and running ids move by
// nature, so that auto does not judge them.
func (d *driftCheck) resolve(base, now *profile.Column, before drift.Sample) (drift.Method, string) {
	if d.method != drift.MethodAuto {
		return d.method, ""
	}
	kind := base.Kind()
	if kind == batch.Date || kind == batch.Timestamp {
		return "", fmt.Sprintf("%s columns move on by nature; name a method to compare them all the same", kind)
	}
	if kind == batch.Integer && runningID(base, now) {
		return "", "the column is a running id, which moves on by nature; name a method to compare it all the same"
	}
	return drift.Auto(before, !base.Sensitive && (kind.Numeric() || kind == batch.Time || kind == batch.Duration)), ""
}

// runningID reports whether integers that are all different go on where the
// baseline ended.
func runningID(base, now *profile.Column) bool {
	_, hi, ok1 := base.Bounds()
	lo, _, ok2 := now.Bounds()
	return ok1 && ok2 && hi.Type == batch.Integer && lo.Type == batch.Integer && lo.Int > hi.Int &&
		now.DistinctRatio != nil && *now.DistinctRatio > 0.99
}

func sampleOf(p *profile.Profile, col *profile.Column) drift.Sample {
	s := drift.Sample{Rows: uint64(col.Count), Distinct: uint64(col.Distinct.Value)}
	s.Numbers, s.RankError = p.Numbers(col.Name)
	if s.Numbers != nil {
		s.Exact = s.RankError == 0
		return s
	}
	values, missing := p.Values(col.Name, driftValues)
	s.Exact, s.Missing = missing == 0, missing
	for _, v := range values {
		s.Values = append(s.Values, drift.Value{Text: v.Text, Count: v.Count, Error: v.Error})
	}
	return s
}

// decide compares the distance with the limits: it must exceed them, be beyond
// what sampling explains and, where nobody wrote a limit, beyond what accepted
// batches do by themselves.
func (d *driftCheck) decide(res Result, dd *driftDecision, significant bool) Result {
	out := &dd.out
	warn, fail := d.warn, d.fail
	if d.defaulted {
		w, f := out.Method.Defaults()
		warn, fail = &w, &f
	}
	res.Method = string(out.Method)
	res.Value = profile.FloatScalar(out.Distance)
	res.WarnLimit, res.FailLimit = Zone{Upper: warn}, Zone{Upper: fail}
	limit := fail
	if limit == nil {
		limit = warn
	}
	res.Limit = "below " + distance(*limit)
	observed := fmt.Sprintf("%s of %s is %s against %s", strings.ToUpper(string(out.Method)), dd.subject, distance(out.Distance), batchesText(dd.batches))
	over := func(l *float64) bool { return l != nil && out.Distance >= *l }
	switch {
	case !over(fail) && !over(warn):
		res.Message = observed + ", as expected (" + res.Limit + ")"
		return res
	case !significant:
		res.Message = observed + fmt.Sprintf(", but samples of %s and %s differ by that much by chance (p = %.2g)", dd.unit.text(int64(out.BaselineRows)), dd.unit.text(int64(out.BatchRows)), out.P) //nolint:gosec // rows
		if out.Significant {
			res.Message += " in one of so many columns"
		}
		return res
	case dd.normal.n > 0 && out.Distance <= dd.normal.most:
		res.Message = observed + fmt.Sprintf(", but accepted batches do so by themselves (%d of them: up to %s)", dd.normal.n, distance(dd.normal.most))
		return res
	case over(fail):
		res.Status = Fail
		if res.Severity == SeverityWarn {
			res.Status = Warn
		}
	default:
		res.Status, limit = Warn, warn
	}
	res.Limit = "below " + distance(*limit)
	for _, m := range out.Moved {
		res.Moved = append(res.Moved, Moved{m.Label, m.Baseline, m.Batch, m.Part})
	}
	res.Message = observed + ", expected " + res.Limit + movedText(out.Moved) + "; " + chanceText(out.P)
	if dd.normal.n > 0 {
		res.Message += fmt.Sprintf(", accepted batches reach %s", distance(dd.normal.most))
	}
	if e := max(out.RankErrors, out.CountErrors); e > 0 {
		res.Message += fmt.Sprintf(", estimates are off by %s at most", percent(e))
	}
	return res
}

// chanceText writes a p value.
func chanceText(p float64) string {
	if p < 1e-6 {
		return "chance below 1e-06"
	}
	return fmt.Sprintf("chance %.2g", p)
}

func batchesText(n int) string {
	if n == 1 {
		return "the previous batch"
	}
	if n <= 0 {
		return "the baseline"
	}
	return fmt.Sprintf("%d batches", n)
}

func distance(f float64) string {
	if f != 0 && math.Abs(f) < 0.001 {
		return fmt.Sprintf("%.1e", f)
	}
	s := fmt.Sprintf("%.4f", f)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// movedText names the bins or values that moved most.
func movedText(moved []drift.Move) string {
	var parts []string
	for _, m := range slices.Clone(moved) {
		if len(parts) == 3 || m.Part < 0.1 {
			break
		}
		parts = append(parts, fmt.Sprintf("%s went from %s to %s (%s of it)", m.Label, percent(m.Baseline), percent(m.Batch), percent(math.Round(100*m.Part)/100)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, ", ")
}
