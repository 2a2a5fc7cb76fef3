package checks

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var changeParams = []Param{
	{Name: "of", Form: FormText, Required: true, Summary: "The number: a metric; below checks: also column.metric."},
	{Name: "against", Form: FormEarlier, Summary: "What it is compared with: previous, a number of batches, a span like 7d, same_weekday, input, or pinned:FILE.", Default: "previous"},
	{Name: "max", Form: FormShare, Summary: "The largest change, as a percentage or a number; alone it bounds the size of the change."},
	{Name: "min", Form: FormShare, Summary: "The smallest signed change: -20% is a loss of a fifth."},
	{Name: "warn", Form: FormChangeZone, Summary: "The zone outside of which it is a warning."},
	{Name: "fail", Form: FormChangeZone, Summary: "The zone outside of which it is a failure."},
}

var changeSpec = Spec{
	Kind: "change", Level: BatchLevel, Column: true, Dataset: true, Params: changeParams,
	Example: "change: {of: row_count, against: previous, max: 50%}",
	Summary: "A number of the batch has not changed too much against earlier batches.",
	parse:   parseChange,
}

type change struct {
	column, metric string
	share          bool // the metric is a share
	window         Window
	against        string
	warn, fail     *changeLimit
}

// changeLimit bounds a change: with only max its size, with min the signed
// change. Shares are relative to the reference, else the difference counts.
type changeLimit struct {
	min, max *float64
	relative bool
}

// around reports whether the limit allows all that another one does.
func (l *changeLimit) around(o *changeLimit) bool {
	if (l.min == nil) != (o.min == nil) { // a size and signed limits
		return false
	}
	return (l.min == nil || *l.min <= *o.min) && (l.max == nil || o.max != nil && *l.max >= *o.max)
}

func parseChange(c *Check, p params, errs *diag.List) judge {
	m := p.mapping("change", changeParams, errs)
	if m == nil {
		if p.node.IsNull() {
			errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"change\" needs of, against and max")
		}
		return nil
	}
	before := len(*errs)
	ch := &change{column: c.Column, against: "previous", window: Window{Batches: 1}}
	ch.parseOf(m, errs)
	if n := m.Get("against"); n != nil {
		ch.against = n.Raw()
		w, ok := ParseWindow(n, errs)
		if !ok {
			return nil
		}
		ch.window = w
	}
	ch.fail = parseChangeLimit(m, errs)
	for key, target := range map[string]**changeLimit{"warn": &ch.warn, "fail": &ch.fail} {
		n := p.zone(key, m, errs)
		if n == nil {
			continue
		}
		if *target != nil {
			n.Errorf(errs, yamldoc.CodeValue, "the limits are written twice, plain and as %s; keep one", key)
		}
		zone := n.Mapping(errs)
		zone.Unknown([]string{"min", "max"}, "a zone of check \"change\"", errs)
		*target = parseChangeLimit(zone, errs)
	}
	if w, f := ch.warn, ch.fail; w != nil && f != nil && w.relative == f.relative && w.around(f) {
		p.zone("warn", m, errs).Errorf(errs, yamldoc.CodeValue, "warn (%s) allows all that fail (%s) allows, so it never warns; swap them", w.words(), f.words())
	}
	if ch.warn == nil && ch.fail == nil && len(*errs) == before {
		errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"change\" needs max or min, as 50%% or as a number")
	}
	return ch
}

// parseOf reads which number is compared: a metric, at the top level also
// column.metric.
func (ch *change) parseOf(m *yamldoc.Mapping, errs *diag.List) {
	n := m.Required("of", `check "change"`, errs)
	name, ok := n.String(errs)
	if !ok {
		return
	}
	if ch.column == "" {
		if i := strings.LastIndexByte(name, '.'); i > 0 {
			ch.column, name = name[:i], name[i+1:]
		}
	}
	known := ColumnMetrics()
	if ch.column == "" {
		known = DatasetMetrics()
	}
	k, found := findMetric(name)
	if !found || !slices.Contains(known, name) {
		d := n.Diagnostic(yamldoc.CodeValue, "unknown metric %q", name)
		d.Hint = diag.Hint(name, known)
		if found && ch.column == "" {
			d.Hint = "name its column, as in amount." + name
		} else if found {
			d.Hint = "it is a number of the dataset; write the check below checks:"
		}
		errs.Add(d)
		return
	}
	ch.metric, ch.share = name, k.share
}

// ParseWindow reads a part of the past: previous, N batches, a number, a span
// like 7d, same_weekday, input, or pinned:FILE.
func ParseWindow(n *yamldoc.Node, errs *diag.List) (Window, bool) {
	text := n.Raw()
	words := strings.Fields(text)
	switch {
	case text == "previous":
		return Window{Batches: 1}, true
	case text == "same_weekday":
		return Window{SameWeekday: true}, true
	case text == "input":
		return Window{Input: true}, true
	case strings.HasPrefix(text, "pinned:"):
		return Window{Pinned: strings.TrimPrefix(text, "pinned:")}, true
	case len(words) == 1 || len(words) == 2 && (words[1] == "batches" || words[1] == "batch"):
		if k, err := strconv.Atoi(words[0]); err == nil && k > 0 && k <= 10_000 {
			return Window{Batches: k}, true
		}
		if d, err := yamldoc.ParseDuration(text); err == nil && d > 0 {
			return Window{Span: d}, true
		}
	}
	n.Errorf(errs, yamldoc.CodeValue, "expected previous, a number of batches, a span like 7d, same_weekday or input, got %s", n.Describe())
	return Window{}, false
}

func parseChangeLimit(m *yamldoc.Mapping, errs *diag.List) *changeLimit {
	l := &changeLimit{}
	lo, hi := m.Get("min"), m.Get("max")
	if lo == nil && hi == nil {
		return nil
	}
	if lo != nil && hi != nil && lo.IsPercent() != hi.IsPercent() {
		hi.Errorf(errs, yamldoc.CodeValue, "min and max must both be percentages or both be numbers")
		return nil
	}
	end := func(n *yamldoc.Node) *float64 {
		if n == nil {
			return nil
		}
		l.relative = n.IsPercent()
		f, ok := n.Percent(errs)
		if !ok {
			return nil
		}
		return &f
	}
	l.min, l.max = end(lo), end(hi)
	if l.min != nil && l.max != nil && *l.min > *l.max || l.min == nil && l.max != nil && *l.max < 0 {
		m.Node().Errorf(errs, yamldoc.CodeValue, "no change can be inside these limits")
	}
	return l
}

func (ch *change) needs(string) []Need {
	return []Need{{Column: ch.column, Metric: ch.metric, Window: ch.window}}
}

func (l *changeLimit) words() string {
	show := func(f float64) string {
		if l.relative {
			return percent(f)
		}
		return number(f)
	}
	switch {
	case l.min == nil:
		return "a change of at most " + show(*l.max)
	case l.max == nil:
		return "a change of at least " + show(*l.min)
	}
	return "a change of " + show(*l.min) + " … " + show(*l.max)
}

// inside judges the value against the reference; a relative change from 0 is
// inside only if nothing changed.
func (l *changeLimit) inside(value, reference float64) bool {
	d := value - reference
	if l.relative {
		if reference == 0 {
			return value == 0
		}
		d /= math.Abs(reference)
	}
	if l.min == nil {
		return math.Abs(d) <= *l.max
	}
	return d >= *l.min && (l.max == nil || d <= *l.max)
}

func (ch *change) result(in *Input, _ *profile.Column, res Result) Result {
	s := in.Profile.Summary()
	res.Limit = (cmpOr(ch.fail, ch.warn)).words()
	res.Column = ch.column
	value, ok := 0.0, false
	if ch.column == "" {
		value, ok = s.Metric(ch.metric)
	} else if col := s.Column(ch.column); col == nil {
		return res.lacks(ch.column, "there is no column %q", ch.column)
	} else if col.Sensitive && telling[ch.metric] {
		return res.unknownOfSensitive(ch.subject())
	} else {
		value, ok = col.Metric(ch.metric)
	}
	if !ok {
		return res.failReason("no value", "%s has no value to judge", ch.subject())
	}
	past := in.Past[ch.needs("")[0]]
	switch {
	case past.Err != "":
		return res.errorf("%s", past.Err)
	case len(past.Values) == 0:
		res.Status = Learning
		res.Message = fmt.Sprintf("%s is %s; no earlier batch to compare with yet", ch.subject(), metricText(value, ch.share))
		return res
	}
	reference := median(past.Values)
	words := fmt.Sprintf("%s is %s, %s", ch.subject(), metricText(value, ch.share), ch.reference(reference, &past))
	switch {
	case reference != 0:
		fraction := (value - reference) / math.Abs(reference)
		res.Value = profile.FloatScalar(fraction)
		words += ": " + signedPercent(fraction)
	case value == 0:
		res.Value = profile.FloatScalar(0)
	default:
		res.Reason = "reference is 0"
	}
	switch {
	case ch.fail != nil && !ch.fail.inside(value, reference):
		res.Status = Fail
		if res.Severity == SeverityWarn {
			res.Status = Warn
		}
		res.Limit = ch.fail.words()
	case ch.warn != nil && !ch.warn.inside(value, reference):
		res.Status, res.Limit = Warn, ch.warn.words()
	default:
		res.Reason = ""
		res.Message = words + ", as expected (" + res.Limit + ")"
		return res
	}
	if res.Reason != "" {
		words += " (" + res.Reason + ")"
	}
	res.Message = words + ", expected " + res.Limit
	return res
}

func cmpOr(a, b *changeLimit) *changeLimit {
	if a != nil {
		return a
	}
	return b
}

func (ch *change) subject() string {
	if ch.column == "" {
		return ch.metric
	}
	return ch.metric + " of " + ch.column
}

func (ch *change) reference(r float64, past *Past) string {
	text := metricText(r, ch.share)
	n := len(past.Values)
	switch {
	case ch.window.Input:
		return "the step's input has " + text
	case past.Baseline:
		return "the baseline has " + text
	case n == 1 && ch.window.Batches != 1:
		return "the only earlier batch had " + text
	case ch.window.Batches == 1 && ch.window.Span == 0:
		return "the previous batch had " + text
	}
	return fmt.Sprintf("the median of %d earlier batches is %s", n, text)
}

func signedPercent(f float64) string {
	if f > 0 {
		return "+" + percent(f)
	}
	return percent(f)
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return v[n/2-1]/2 + v[n/2]/2
}
