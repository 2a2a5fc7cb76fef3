package checks

import (
	"regexp"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var matchesSpec = Spec{
	Kind: "matches", Level: RowLevel, Column: true,
	Short: &Param{Form: FormPattern, Summary: "The regular expression (RE2)."}, Example: `matches: "^A[0-9]+$"`,
	Summary: "Every text has a match of a regular expression (RE2); anchor it with ^ and $ for the whole text.",
	parse:   func(_ *Check, p params, errs *diag.List) judge { return parsePattern(p, "matches", accepted, errs) },
}

var notMatchesSpec = Spec{
	Kind: "not_matches", Level: RowLevel, Column: true,
	Short: &Param{Form: FormPattern, Summary: "The regular expression (RE2)."}, Example: `not_matches: "^TEST"`,
	Summary: "No text has a match of a regular expression (RE2).",
	parse:   func(_ *Check, p params, errs *diag.List) judge { return parsePattern(p, "not_matches", rejected, errs) },
}

type pattern struct {
	re    *regexp.Regexp
	shape *shape // says the same faster; nil where the expression has none
	found verdict
}

func parsePattern(p params, kind string, found verdict, errs *diag.List) judge {
	if p.node == nil {
		errs.Errorf(p.where(), 1, yamldoc.CodeMissingKey, "check %q needs a regular expression", kind)
		return nil
	}
	text, ok := p.node.String(errs)
	if !ok {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		p.node.Errorf(errs, yamldoc.CodeValue, "not a regular expression (RE2): %s", regexpReason(err))
		return nil
	}
	return &pattern{re: re, shape: shapeOf(text), found: found}
}

func regexpReason(err error) string {
	const prefix = "error parsing regexp: "
	if s := err.Error(); len(s) > len(prefix) {
		return s[len(prefix):]
	}
	return err.Error()
}

func (p *pattern) phrase() string { return p.words(p.found == rejected) }

func (p *pattern) good() string { return p.words(p.found == accepted) }

func (p *pattern) words(match bool) string {
	if match {
		return "a match of " + p.re.String()
	}
	return "no match of " + p.re.String()
}

func (p *pattern) evaluator(s *sampler) rowEvaluator {
	missing := rejected
	if p.found == rejected {
		missing = accepted
	}
	var buf []byte
	e := newValueEvaluator(s, []batch.Type{batch.String, batch.Null}, func(v *batch.Vector, i int, family batch.Type) verdict {
		if isNull(v, i, family) {
			return skipped
		}
		if p.matches(textOf(v, i, &buf)) {
			return p.found
		}
		return missing
	})
	want := p.found == accepted
	e.sure = func(v *batch.Vector, i int) int {
		for ; i < len(v.Types) && hasValue(v, i); i++ {
			if p.matches(textOf(v, i, &buf)) != want {
				break
			}
		}
		return i
	}
	return e
}

func (p *pattern) matches(text []byte) bool {
	if p.shape != nil {
		return p.shape.match(text)
	}
	return p.re.Match(text)
}
