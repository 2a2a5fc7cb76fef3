package checks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var zoneKeys = []string{"min", "max", "above", "below", "equals", "one_of"}

// zoneParams are the keys of the allowed zone of a number that is written in
// a form.
func zoneParams(form Form) []Param {
	list := map[Form]Form{FormNumber: FormNumbers, FormShare: FormNumbers, FormLimit: FormLimits}[form]
	return []Param{
		{Name: "min", Form: form, Summary: "The smallest allowed value."},
		{Name: "max", Form: form, Summary: "The largest allowed value."},
		{Name: "above", Form: form, Summary: "It is larger than this value."},
		{Name: "below", Form: form, Summary: "It is smaller than this value."},
		{Name: "equals", Form: form, Summary: "It is exactly this value; stands alone."},
		{Name: "one_of", Form: list, Summary: "It is one of a list."},
	}
}

// metricParams are the keys of a metric check.
func metricParams(form Form) []Param {
	return append(zoneParams(form),
		Param{Name: "warn", Form: FormZones, Of: form, Summary: "The zone outside of which it is a warning."},
		Param{Name: "fail", Form: FormZones, Of: form, Summary: "The zone outside of which it is a failure."})
}

// metricKind is one number of a batch that a rule may judge.
type metricKind struct {
	name, summary string
	dataset       bool // a number of the dataset, else of a column
	share         bool // a fraction, shown as a percentage
}

var metricKinds = []metricKind{
	{"row_count", "Number of rows.", true, false},
	{"column_count", "Number of columns.", true, false},
	{"bytes", "Size as read, before unpacking.", true, false},
	{"duplicate_rows", "Rows that repeat an earlier row.", true, false},
	{"null_count", "Rows without a value.", false, false},
	{"null_rate", "Share of all rows without a value.", false, true},
	{"distinct", "Number of distinct values.", false, false},
	{"distinct_rate", "Distinct values divided by values.", false, true},
	{"unique_rate", "Values that occur once, divided by values.", false, true},
	{"min", "Smallest value.", false, false},
	{"max", "Largest value.", false, false},
	{"mean", "Mean of the values; of booleans the true rate.", false, false},
	{"median", "Middle of the values.", false, false},
	{"stddev", "Sample standard deviation (n-1).", false, false},
	{"variance", "Sample variance (n-1).", false, false},
	{"sum", "Sum of the values.", false, false},
	{"skewness", "Skewness g1 of the sample.", false, false},
	{"kurtosis", "Excess kurtosis g2 of the sample.", false, false},
	{"zero_rate", "Share of values that are 0.", false, true},
	{"negative_rate", "Share of values below 0.", false, true},
	{"true_rate", "Share of values that are true.", false, true},
	{"blank_rate", "Share of texts that are empty or white space.", false, true},
	{"min_length", "Length of the shortest text in characters.", false, false},
	{"max_length", "Length of the longest text in characters.", false, false},
	{"mean_length", "Mean length of the texts in characters.", false, false},
	{"top_share", "Share of the most frequent value.", false, true},
}

func metricSpecs() []*Spec {
	out := make([]*Spec, len(metricKinds))
	for i, k := range metricKinds {
		out[i] = &Spec{
			Kind: k.name, Level: MetricLevel, Column: !k.dataset, Dataset: k.dataset, Summary: k.summary,
			Params: metricParams(k.form()), Short: &Param{Form: k.form(), Summary: "Exactly this value."}, Example: k.name + ": " + k.example(),
			parse: func(_ *Check, p params, errs *diag.List) judge {
				warn, fail, ok := parseZones(k.name, p, nil, errs)
				switch {
				case !ok,
					!k.ordered() && !onlyNumbers(k.name, p, errs, warn, fail),
					k.share && !areShares(p, errs, warn, fail):
					return nil
				}
				return &metric{kind: k, warn: warn, fail: fail}
			},
		}
	}
	return out
}

// areShares reports limits of a share that no share can reach.
func areShares(p params, errs *diag.List, zones ...*zone) bool {
	for _, z := range zones {
		for _, l := range z.literals() {
			if f := asFloat(l.value); f < 0 || f > 1 {
				hint := ""
				if !strings.HasSuffix(l.text, "%") && f > 1 && f <= 100 {
					hint = "; did you mean " + l.text + "%?"
				}
				errs.Errorf(p.where(), 1, yamldoc.CodeValue, "%s is no share: shares lie between 0 and 1, or 0%% and 100%%%s", l.text, hint)
				return false
			}
		}
	}
	return true
}

// DatasetMetrics returns the names of the numbers that a batch has.
func DatasetMetrics() []string { return metricNames(true) }

// ColumnMetrics returns the names of the numbers that a column has.
func ColumnMetrics() []string { return metricNames(false) }

func metricNames(dataset bool) (names []string) {
	for _, k := range metricKinds {
		if k.dataset == dataset {
			names = append(names, k.name)
		}
	}
	return names
}

func findMetric(name string) (metricKind, bool) {
	i := slices.IndexFunc(metricKinds, func(k metricKind) bool { return k.name == name })
	if i < 0 {
		return metricKind{}, false
	}
	return metricKinds[i], true
}

// ordered reports whether the metric is a value of the column, which may be a
// time or a text, rather than a number about the column.
func (k metricKind) ordered() bool {
	return slices.Contains([]string{"min", "max", "mean", "median"}, k.name)
}

// form is how limits of the metric are written.
func (k metricKind) form() Form {
	switch {
	case k.ordered():
		return FormLimit
	case k.share:
		return FormShare
	}
	return FormNumber
}

// example is a zone that suits the metric.
func (k metricKind) example() string {
	switch {
	case k.share:
		return "{max: 5%}"
	case k.dataset:
		return "{min: 1}"
	}
	return "{min: 0, max: 100}"
}

// onlyNumbers reports limits that are no numbers.
func onlyNumbers(kind string, p params, errs *diag.List, zones ...*zone) bool {
	for _, z := range zones {
		for _, l := range z.literals() {
			if !l.value.Type.Numeric() {
				errs.Errorf(p.where(), len(kind), yamldoc.CodeType, "check %q needs numbers or percentages without quotes, got %q", kind, l.text)
				return false
			}
		}
	}
	return true
}

// zone is the allowed set of a metric.
type zone struct {
	lo, hi         *literal
	loOpen, hiOpen bool
	oneOf          []literal
}

// literals returns all limits of a zone; nil has none.
func (z *zone) literals() []literal {
	if z == nil {
		return nil
	}
	all := slices.Clone(z.oneOf)
	for _, l := range []*literal{z.lo, z.hi} {
		if l != nil {
			all = append(all, *l)
		}
	}
	return all
}

// parseZones reads the limits of a metric: the parameters are the allowed zone
// of fail, or warn and fail give both. more are further keys of the kind.
func parseZones(kind string, p params, more []Param, errs *diag.List) (warn, fail *zone, ok bool) {
	before := len(*errs)
	if p.node != nil && p.node.IsScalar() && !p.node.IsNull() { // a bare number is equals
		for _, key := range []string{"warn", "fail"} {
			if n := p.item.KeyNode(key); n != nil {
				n.Errorf(errs, yamldoc.CodeValue, "check %q has the limit %s already; write that into a zone: warn: {…}, fail: {…}", kind, p.node.Raw())
				return nil, nil, false
			}
		}
		l, good := limitOf(p.node, errs)
		return nil, &zone{lo: &l, hi: &l}, good
	}
	m := p.mapping(kind, append(metricParams(FormLimit), more...), errs)
	warnNode, failNode := p.zone("warn", m, errs), p.zone("fail", m, errs)
	plain := slices.ContainsFunc(zoneKeys, func(k string) bool { return m.Has(k) })
	if plain && failNode != nil {
		failNode.Errorf(errs, yamldoc.CodeValue, "the limits of check %q are written twice, plain and as fail; keep one", kind)
		return nil, nil, false
	}
	switch {
	case plain:
		fail = parseZone(m, errs)
	case failNode != nil:
		fail = parseZoneNode(failNode, kind, errs)
	}
	if warnNode != nil {
		warn = parseZoneNode(warnNode, kind, errs)
	}
	looser(warn, fail, warnNode, errs)
	if warn == nil && fail == nil && len(*errs) == before {
		errs.Errorf(p.where(), max(1, len(kind)), yamldoc.CodeMissingKey, "check %q needs a limit: min, max, above, below, equals or one_of", kind)
	}
	return warn, fail, len(*errs) == before
}

// parseZoneNode reads the zone of warn or of fail.
func parseZoneNode(n *yamldoc.Node, kind string, errs *diag.List) *zone {
	m := n.Mapping(errs)
	m.Unknown(zoneKeys, "a zone of check \""+kind+"\"", errs)
	if m != nil && m.Len() == 0 {
		n.Errorf(errs, yamldoc.CodeMissingKey, "the zone has no limit: write min, max, above, below, equals or one_of")
	}
	return parseZone(m, errs)
}

func parseZone(m *yamldoc.Mapping, errs *diag.List) *zone {
	if m == nil {
		return nil
	}
	z := &zone{}
	z.lo, z.loOpen = parseLimit(m, "min", "above", errs)
	z.hi, z.hiOpen = parseLimit(m, "max", "below", errs)
	if n := m.Get("equals"); n != nil {
		if z.lo != nil || z.hi != nil {
			n.Errorf(errs, yamldoc.CodeValue, "\"equals\" stands alone; leave out the other limits")
		}
		if l, ok := limitOf(n, errs); ok {
			z.lo, z.hi = &l, &l
		}
	}
	if n := m.Get("one_of"); n != nil {
		items, _ := n.List(errs)
		for _, item := range items {
			if l, ok := limitOf(item, errs); ok {
				z.oneOf = append(z.oneOf, l)
			}
		}
		if len(items) == 0 {
			n.Errorf(errs, yamldoc.CodeValue, "the list of \"one_of\" is empty")
		}
	}
	if z.lo != nil && z.hi != nil {
		if order, ok := batch.Compare(z.lo.value, z.hi.value); ok && (order > 0 || order == 0 && (z.loOpen || z.hiOpen)) {
			m.Node().Errorf(errs, yamldoc.CodeValue, "no number can be %s", z.words(false))
		}
	}
	if z.lo == nil && z.hi == nil && z.oneOf == nil {
		return nil
	}
	return z
}

func parseLimit(m *yamldoc.Mapping, closed, open string, errs *diag.List) (*literal, bool) {
	key := closed
	if m.Has(open) {
		if m.Has(closed) {
			m.KeyNode(open).Errorf(errs, yamldoc.CodeValue, "%q and %q both limit the same side; keep one", closed, open)
		}
		key = open
	}
	if n := m.Get(key); n != nil {
		if l, ok := limitOf(n, errs); ok {
			return &l, key == open
		}
	}
	return nil, false
}

// limitOf reads a limit of a metric: a number, a percentage, a date or time.
func limitOf(n *yamldoc.Node, errs *diag.List) (literal, bool) {
	if n.IsPercent() {
		f, ok := n.Percent(errs)
		return literal{text: n.Raw(), value: batch.Value{Type: batch.Number, Float: f}}, ok
	}
	l, ok := literalOf(n, errs)
	if ok && l.value.Type == batch.Boolean {
		n.Errorf(errs, yamldoc.CodeType, "expected a number, got %s", n.Describe())
		return l, false
	}
	if ok && l.value.Type == batch.String && !l.quoted {
		n.Errorf(errs, yamldoc.CodeType, "expected a number, a percentage or a date, got %s", n.Describe())
		return l, false
	}
	return l, ok
}

// allows reports whether a value lies in the zone. text is the value of a
// metric that is no number: the smallest or largest text.
func (z *zone) allows(v batch.Value, text string) bool {
	compare := func(l *literal) (int, bool) {
		if v.Type == batch.String {
			return strings.Compare(text, l.text), true
		}
		return batch.Compare(v, l.value)
	}
	if z.lo != nil {
		if order, ok := compare(z.lo); !ok || order < 0 || order == 0 && z.loOpen {
			return false
		}
	}
	if z.hi != nil {
		if order, ok := compare(z.hi); !ok || order > 0 || order == 0 && z.hiOpen {
			return false
		}
	}
	if z.oneOf == nil {
		return true
	}
	return slices.ContainsFunc(z.oneOf, func(l literal) bool { order, ok := compare(&l); return ok && order == 0 })
}

// words describes the zone.
func (z *zone) words(share bool) string {
	show := func(l *literal) string {
		if l.value.Type.Numeric() && !l.quoted {
			return metricText(asFloat(l.value), share)
		}
		return l.text
	}
	if z.oneOf != nil {
		names := make([]string, len(z.oneOf))
		for i := range z.oneOf {
			names[i] = show(&z.oneOf[i])
		}
		return "one of " + strings.Join(names, ", ")
	}
	side := func(l *literal, open bool, openWord, word string) string {
		if open {
			word = openWord
		}
		return word + " " + show(l)
	}
	switch {
	case z.lo != nil && z.hi == z.lo:
		return show(z.lo)
	case z.lo != nil && z.hi != nil && !z.loOpen && !z.hiOpen:
		return show(z.lo) + " … " + show(z.hi)
	case z.lo != nil && z.hi != nil:
		return side(z.lo, z.loOpen, "above", "at least") + " and " + side(z.hi, z.hiOpen, "below", "at most")
	case z.lo != nil:
		return side(z.lo, z.loOpen, "above", "at least")
	}
	return side(z.hi, z.hiOpen, "below", "at most")
}

func asFloat(v batch.Value) float64 {
	if v.Type == batch.Number {
		return v.Float
	}
	return float64(v.Int)
}

func metricText(f float64, share bool) string {
	if share {
		return percent(f)
	}
	return number(f)
}

// limits returns the ends of the zone as numbers, for metrics and charts.
func (z *zone) limits() Zone {
	if z == nil {
		return Zone{}
	}
	end := func(l *literal) *float64 {
		if l == nil || !l.value.Type.Numeric() {
			return nil
		}
		f := asFloat(l.value)
		return &f
	}
	return Zone{Lower: end(z.lo), Upper: end(z.hi)}
}

// metric judges one number of the batch.
type metric struct {
	kind       metricKind
	warn, fail *zone
}

func (m *metric) needs(string) []Need { return nil }

func (m *metric) result(in *Input, col *profile.Column, res Result) Result {
	if col != nil && col.Sensitive && telling[m.kind.name] {
		return res.unknownOfSensitive(m.subject(col))
	}
	v := m.measure(in.Profile.Summary(), col)
	if !v.ok && col != nil && col.Count > 0 && !col.Distinct.Exact && (m.kind.name == "unique_rate" || m.kind.name == "top_share") {
		res.Limit = zoneLimit(m.warn, m.fail, m.kind.share)
		return res.errorf("%s is not known: the column has too many distinct values to be counted", m.subject(col))
	}
	return res.judgeNumber(m.subject(col), v, limits{m.warn, m.fail, m.kind.share})
}

// measure returns the number as the profile has it.
func (m *metric) measure(s *profile.Summary, col *profile.Column) measurement {
	v, text, bound, ok := measure(s, col, m.kind)
	return measurement{v, text, bound, ok}
}

// measurement is a number of the batch, or a time or text, as a value and as
// text, with its bound if it is an estimate. ok is false if there is none.
type measurement struct {
	value batch.Value
	text  string
	bound float64
	ok    bool
}

// limits are the zones of a number; share says that it is a fraction.
type limits struct {
	warn, fail *zone
	share      bool
}

// judgeNumber judges a number of the batch, named by subject.
func (r Result) judgeNumber(subject string, m measurement, l limits) Result {
	r.FailLimit, r.WarnLimit = l.fail.limits(), l.warn.limits()
	r.Limit = zoneLimit(l.warn, l.fail, l.share)
	if !m.ok {
		return r.failReason("no value", "%s has no value to judge", subject)
	}
	r.Value = profile.TextScalar(m.text)
	switch m.value.Type {
	case batch.Integer:
		r.Value = profile.IntScalar(m.value.Int)
	case batch.Number:
		r.Value = profile.FloatScalar(m.value.Float)
	default:
	}
	shown := m.text
	if m.value.Type.Numeric() {
		shown = metricText(asFloat(m.value), l.share)
	}
	if m.bound > 0 {
		shown += " ± " + metricText(m.bound, l.share) + " (estimated)"
	}
	r.judge(l.warn, l.fail, func(z *zone) bool { return z.allows(m.value, m.text) }, func(z *zone) string { return z.words(l.share) },
		fmt.Sprintf("%s is %s", subject, shown))
	return r
}

func (m *metric) subject(col *profile.Column) string {
	if col == nil {
		return m.kind.name
	}
	return m.kind.name + " of " + col.Name
}

// judge sets the status by the zones, and the message.
func (r *Result) judge(warn, fail *zone, inside func(*zone) bool, words func(*zone) string, observed string) {
	switch {
	case fail != nil && !inside(fail):
		r.Status = Fail
		if r.Severity == SeverityWarn {
			r.Status = Warn
		}
		r.Limit = words(fail)
		r.Message = observed + ", expected " + words(fail)
	case warn != nil && !inside(warn):
		r.Status, r.Limit = Warn, words(warn)
		r.Message = observed + ", expected " + words(warn)
	default:
		r.Message = observed + ", as expected (" + r.Limit + ")"
	}
}

func zoneLimit(warn, fail *zone, share bool) string {
	if fail != nil {
		return fail.words(share)
	}
	return warn.words(share)
}

// measure returns a metric of the batch or of a column, as a value, its text,
// and its bound if it is an estimate. ok is false if it has no value.
func measure(s *profile.Summary, col *profile.Column, k metricKind) (v batch.Value, text string, bound float64, ok bool) {
	if k.dataset {
		f, ok := s.Metric(k.name)
		if k.name == "duplicate_rows" {
			bound = float64(s.Duplicates.Error)
		}
		return batch.Value{Type: batch.Integer, Int: int64(f)}, number(f), bound, ok
	}
	switch k.name {
	case "min", "max":
		s := col.Min
		lo, hi, isOrdered := col.Bounds()
		v := lo
		if k.name == "max" {
			s, v = col.Max, hi
		}
		if !isOrdered {
			v = batch.Value{Type: batch.String}
		}
		return v, s.String(), 0, !s.IsNull()
	case "distinct", "null_count":
		f, _ := col.Metric(k.name)
		if k.name == "distinct" {
			bound = float64(col.Distinct.Error)
		}
		return batch.Value{Type: batch.Integer, Int: int64(f)}, number(f), bound, true
	case "distinct_rate":
		if col.Count > 0 {
			bound = float64(col.Distinct.Error) / float64(col.Count)
		}
	}
	f, ok := col.Metric(k.name)
	if math.IsNaN(f) {
		ok = false
	}
	return batch.Value{Type: batch.Number, Float: f}, metricText(f, k.share), bound, ok
}
