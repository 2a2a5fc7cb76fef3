package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var mostCommonParams = []Param{
	{Name: "one_of", Form: FormLimitOrLimits, Summary: "The allowed values."},
	{Name: "equals", Form: FormLimitOrLimits, Summary: "The only allowed value."},
}

var mostCommonSpec = Spec{
	Kind: "most_common", Level: MetricLevel, Column: true, Params: mostCommonParams,
	Short: &Param{Form: FormLimitOrLimits, Summary: "The allowed value or values."}, Example: "most_common: {one_of: [DE, AT]}",
	Summary: "The most frequent value is one of a list; of several that are equally frequent, each.",
	parse:   parseMostCommon,
}

// mostCommon is the list of allowed values.
type mostCommon struct{ allowed []literal }

func parseMostCommon(_ *Check, p params, errs *diag.List) judge {
	if p.zoned("most_common", errs) {
		return nil
	}
	list := p.node
	if p.node.IsNull() || p.node.Kind() == yamldoc.Map {
		m := p.mapping("most_common", mostCommonParams, errs)
		list = m.Get("one_of")
		if n := m.Get("equals"); n != nil {
			if list != nil {
				n.Errorf(errs, yamldoc.CodeValue, "\"equals\" and \"one_of\" both name the value; keep one")
				return nil
			}
			list = n
		}
		if list == nil {
			errs.Errorf(p.where(), 11, yamldoc.CodeMissingKey, "check \"most_common\" needs values, as in most_common: {one_of: [DE, AT]}")
			return nil
		}
	}
	allowed, ok := literalsOf(list, "most_common", errs)
	if !ok {
		return nil
	}
	return &mostCommon{allowed}
}

// zoned reports warn and fail zones of a kind that has none.
func (p params) zoned(kind string, errs *diag.List) bool {
	found := false
	for _, key := range []string{"warn", "fail"} {
		if n := p.item.KeyNode(key); n != nil {
			n.Errorf(errs, yamldoc.CodeUnknownKey, "check %q has no zone %q; for a warning write severity: warn", kind, key)
			found = true
		}
	}
	return found
}

// literalsOf reads a list of values, or a single one.
func literalsOf(n *yamldoc.Node, kind string, errs *diag.List) ([]literal, bool) {
	items := []*yamldoc.Node{n}
	if !n.IsScalar() {
		var ok bool
		if items, ok = n.List(errs); !ok {
			return nil, false
		}
	}
	if len(items) == 0 {
		n.Errorf(errs, yamldoc.CodeValue, "the list of check %q is empty", kind)
		return nil, false
	}
	before := len(*errs)
	out := make([]literal, 0, len(items))
	for _, item := range items {
		if l, ok := literalOf(item, errs); ok {
			out = append(out, l)
		}
	}
	return out, len(*errs) == before
}

// matcher compares values of a finished column, given as text, with literals:
// by their meaning in a column of numbers, times or booleans, else by their
// text.
type matcher struct {
	family batch.Type
	read   batch.Classifier
}

func matcherOf(col *profile.Column) *matcher { return &matcher{family: col.Kind().Family()} }

func (m *matcher) equal(text string, l *literal) bool {
	if text == l.text {
		return true
	}
	if m.family == batch.String || l.value.Type.Family() != m.family {
		return false
	}
	v := m.read.Text([]byte(text))
	if m.family == batch.Boolean {
		return v.Type == batch.Boolean && v.Int == l.value.Int
	}
	order, ok := batch.Compare(v, l.value)
	return ok && order == 0
}

func (m *matcher) find(text string, list []literal) int {
	return slices.IndexFunc(list, func(l literal) bool { return m.equal(text, &l) })
}

func (c *mostCommon) needs(string) []Need { return nil }

func (c *mostCommon) words() string {
	if len(c.allowed) == 1 {
		return c.allowed[0].text
	}
	names := make([]string, len(c.allowed))
	for i, l := range c.allowed {
		names[i] = l.text
	}
	return "one of " + list(names, 6)
}

func (c *mostCommon) result(in *Input, col *profile.Column, res Result) Result {
	if col.Sensitive {
		return res.unknownOfSensitive("the most common value of " + col.Name)
	}
	res.Limit = c.words()
	values, missing := in.Profile.Values(col.Name, maxTied)
	byCount(values)
	subject := "the most common value of " + col.Name
	switch {
	case col.Count == 0:
		return res.failReason("no value", "%s has no value to judge", subject)
	case len(values) == 0 || missing >= values[0].Count && !col.Distinct.Exact:
		return res.errorf("%s is not known: the column has too many distinct values, and none is frequent", subject)
	}
	m := matcherOf(col)
	top := values[0]
	res.Value = profile.TextScalar(top.Text)
	if col.Kind().Numeric() {
		res.Value = scalarOfNumber(top.Text)
	}
	tied := slices.IndexFunc(values, func(v profile.ValueCount) bool { return v.Count+v.Error < top.Count })
	if tied < 0 {
		tied = len(values)
	}
	observed := fmt.Sprintf("%s is %s (%s of %s)", subject, quoted(top.Text), words.Count(int64(min(top.Count, uint64(col.Count)))), unitOf(col.List != nil).text(col.Count)) //nolint:gosec // counts of rows
	if tied > 1 {
		names := make([]string, tied)
		for i := range names {
			names[i] = quoted(values[i].Text)
		}
		observed = fmt.Sprintf("the most common values of %s are %s (%s each)", col.Name, list(names, 6), words.Count(int64(top.Count))) //nolint:gosec // a count of rows
	}
	for _, v := range values[:tied] {
		if m.find(v.Text, c.allowed) < 0 {
			return res.fails(observed + ", expected " + c.words())
		}
	}
	res.Message = observed + ", as expected (" + c.words() + ")"
	return res
}

// maxTied is how many equally frequent values are looked at.
const maxTied = 1000

// fails makes the result a failure, or a warning by its severity.
func (r Result) fails(message string) Result {
	r.Status, r.Message = Fail, message
	if r.Severity == SeverityWarn {
		r.Status = Warn
	}
	return r
}

func scalarOfNumber(text string) profile.Scalar {
	var c batch.Classifier
	switch v := c.Text([]byte(text)); v.Type {
	case batch.Integer:
		return profile.IntScalar(v.Int)
	case batch.Number:
		return profile.FloatScalar(v.Float)
	default:
		return profile.TextScalar(text)
	}
}

// quoted shows a value in a message, cut to a readable length.
func quoted(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}
