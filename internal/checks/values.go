package checks

import (
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var valuesParams = []Param{
	{Name: "equals", Form: FormLimits, Summary: "The set is exactly this list."},
	{Name: "subset_of", Form: FormLimits, Summary: "No value is outside of this list."},
	{Name: "superset_of", Form: FormLimits, Summary: "Each value of this list occurs."},
}

var valuesSpec = Spec{
	Kind: "values", Level: MetricLevel, Column: true, Params: valuesParams, Example: "values: {superset_of: [DE, AT]}",
	Summary: "The set of distinct values equals a list, lies within it or holds it.",
	parse:   parseValues,
}

// valueSet compares the distinct values of a column with a list.
type valueSet struct {
	relation string // one of valuesParams
	literals []literal
}

func parseValues(_ *Check, p params, errs *diag.List) judge {
	if p.zoned("values", errs) {
		return nil
	}
	m := p.mapping("values", valuesParams, errs)
	if m.Len() != 1 {
		errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"values\" needs one list: equals, subset_of or superset_of, as in values: {equals: [A, B]}")
		return nil
	}
	e := m.Entries()[0]
	if e.Value.IsScalar() {
		e.Value.Errorf(errs, yamldoc.CodeType, "expected a list of values, got %s", e.Value.Describe())
		return nil
	}
	literals, ok := literalsOf(e.Value, "values", errs)
	if !ok {
		return nil
	}
	return &valueSet{relation: e.Key.Raw(), literals: literals}
}

func (s *valueSet) needs(string) []Need { return nil }

func (s *valueSet) words() string {
	names := make([]string, len(s.literals))
	for i, l := range s.literals {
		names[i] = l.text
	}
	word := map[string]string{"equals": "exactly ", "subset_of": "none but ", "superset_of": "at least "}[s.relation]
	return word + list(names, 6)
}

// result counts the differences: values that are not listed, and listed ones
// that do not occur. A column without values has the empty set.
func (s *valueSet) result(in *Input, col *profile.Column, res Result) Result {
	if col.Sensitive {
		return res.unknownOfSensitive("the set of values of " + col.Name)
	}
	res.Limit = s.words()
	counts, exact := countsOf(in.Profile, col)
	m, seen := matcherOf(col), make([]bool, len(s.literals))
	var extra, absent []string
	for _, c := range counts {
		if i := m.find(c.Text, s.literals); i >= 0 {
			seen[i] = true
			for j := i + 1; j < len(s.literals); j++ { // the list may name a value twice
				seen[j] = seen[j] || m.equal(c.Text, &s.literals[j])
			}
		} else if s.relation != "superset_of" {
			extra = append(extra, quoted(c.Text))
		}
	}
	for i, l := range s.literals {
		if !seen[i] && s.relation != "subset_of" {
			absent = append(absent, quoted(l.text))
		}
	}
	if !exact {
		// Values that are not frequent are unknown: more distinct ones than the
		// list has are too many, and listed ones that were seen are there.
		tooMany := col.Distinct.Value-col.Distinct.Error > int64(len(s.literals))
		if s.relation == "superset_of" && len(absent) > 0 || s.relation != "superset_of" && !tooMany {
			return res.errorf("values of %s are not known: the column has too many distinct values to be counted", col.Name)
		}
		if s.relation != "superset_of" {
			res.Value = profile.IntScalar(col.Distinct.Value - int64(len(s.literals)))
			return res.fails("values of " + col.Name + ": about " + words.Count(col.Distinct.Value) + " distinct values, expected " + s.words() + s.examples(extra))
		}
	}
	res.Value = profile.IntScalar(int64(len(extra) + len(absent)))
	if len(extra)+len(absent) == 0 {
		res.Message = "values of " + col.Name + " are as expected (" + s.words() + ")"
		return res
	}
	var parts []string
	if len(extra) > 0 {
		parts = append(parts, list(extra, 5)+are(len(extra))+"not expected")
	}
	if len(absent) > 0 {
		parts = append(parts, list(absent, 5)+are(len(absent))+"missing")
	}
	return res.fails("values of " + col.Name + ": " + strings.Join(parts, "; ") + ", expected " + s.words())
}

func (s *valueSet) examples(extra []string) string {
	if len(extra) == 0 {
		return ""
	}
	return "; others are " + list(extra, 5)
}

func are(n int) string {
	if n == 1 {
		return " is "
	}
	return " are "
}
