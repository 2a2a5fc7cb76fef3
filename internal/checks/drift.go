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
	base := past.Profile.Column(col.Name)
	if base == nil || base.Count == 0 {
		return res.learning("no earlier batch has values of this column yet")
	}
	if base.Kind().Family() != col.Kind().Family() {
		return res.failReason("type changed", "the column is %s, earlier batches have %s", col.Type, base.Type)
	}
	method, err := d.resolve(base, in.Profile, past.Profile)
	if err != "" {
		res.Reason = "not comparable"
		return res.errorf("%s", err)
	}
	out, cerr := drift.Compare(method, sampleOf(past.Profile, base), sampleOf(in.Profile, col))
	if cerr != nil {
		if errors.Is(cerr, drift.ErrNotComparable) {
			res.Reason = "not comparable"
		}
		return res.errorf("%s", cerr)
	}
	if !past.At.IsZero() {
		res.BaselineAt = &past.At
	}
	return d.decide(res, col, out, past.Batches)
}

func (r Result) learning(message string) Result {
	r.Status, r.Message = Learning, message
	return r
}

// resolve chooses the method; dates, timestamps and running ids move by
// nature, so that auto does not judge them.
func (d *driftCheck) resolve(base *profile.Column, batchProfile, pastProfile *profile.Profile) (drift.Method, string) {
	if d.method != drift.MethodAuto {
		return d.method, ""
	}
	kind := base.Kind()
	if kind == batch.Date || kind == batch.Timestamp {
		return "", fmt.Sprintf("%s columns move on by nature; name a method to compare them all the same", kind)
	}
	if now := batchProfile.Column(base.Name); kind == batch.Integer && runningID(base, now) {
		return "", "the column is a running id, which moves on by nature; name a method to compare it all the same"
	}
	return drift.Auto(sampleOf(pastProfile, base), kind.Numeric() || kind == batch.Time || kind == batch.Duration), ""
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

// decide compares the distance with the limits: it must exceed them and be
// beyond what sampling explains.
func (d *driftCheck) decide(res Result, col *profile.Column, out drift.Outcome, batches int) Result {
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
	observed := fmt.Sprintf("%s of %s is %s against %s", strings.ToUpper(string(out.Method)), col.Name, distance(out.Distance), batchesText(batches))
	over := func(l *float64) bool { return l != nil && out.Distance >= *l }
	switch {
	case !over(fail) && !over(warn):
		res.Message = observed + ", as expected (" + res.Limit + ")"
		return res
	case !out.Significant:
		res.Message = observed + fmt.Sprintf(", but samples of %s and %s differ by that much by chance (p = %.2g)", rowsText(int64(out.BaselineRows)), rowsText(int64(out.BatchRows)), out.P)
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
	res.Message = observed + ", expected " + res.Limit + movedText(out.Moved)
	return res
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
		parts = append(parts, fmt.Sprintf("%s went from %s to %s", m.Label, percent(m.Baseline), percent(m.Batch)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, ", ")
}
