package checks

import (
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var multipleOfSpec = Spec{
	Kind: "multiple_of", Level: RowLevel, Column: true,
	Short: &Param{Form: FormNumber, Summary: "The step, above 0."}, Example: "multiple_of: 0.01",
	Summary: "Every number is a whole multiple of a number, exactly, as their decimal texts say.",
	parse:   parseMultipleOf,
}

type multipleOf struct {
	text string
	step step
}

func parseMultipleOf(_ *Check, p params, errs *diag.List) judge {
	if p.node.IsNull() {
		errs.Errorf(p.where(), 11, yamldoc.CodeMissingKey, "check \"multiple_of\" needs a number, as in multiple_of: 0.01")
		return nil
	}
	l, ok := literalOf(p.node, errs)
	if !ok {
		return nil
	}
	text := strings.ReplaceAll(l.text, "_", "")
	if l.value.Type == batch.Integer {
		text = strconv.FormatInt(l.value.Int, 10) // however it is written
	}
	d, ok := parseDecimal([]byte(text))
	switch {
	case !l.value.Type.Numeric() || !ok:
		p.node.Errorf(errs, yamldoc.CodeType, "expected a number without quotes, got %s", p.node.Describe())
		return nil
	case d.isZero() || text[0] == '-':
		p.node.Errorf(errs, yamldoc.CodeValue, "check \"multiple_of\" needs a number above 0")
		return nil
	}
	digits := strings.TrimLeft(string(d.whole)+string(d.fraction), "0")
	if len(digits) > maxStepDigits {
		p.node.Errorf(errs, yamldoc.CodeValue, "the number has %d significant digits; write at most %d", len(digits), maxStepDigits)
		return nil
	}
	n, _ := strconv.ParseUint(digits, 10, 64)
	return &multipleOf{text: text, step: step{digits: n, exp: d.exp}}
}

func (m *multipleOf) phrase() string { return "not a multiple of " + m.text }

func (m *multipleOf) good() string { return "a multiple of " + m.text }

func (m *multipleOf) evaluator(s *sampler) rowEvaluator { return decimalEvaluator(s, m.step.divides) }

// decimalEvaluator judges the decimal texts of numbers; what is no finite
// number fails. A binary float counts as its shortest decimal text.
func decimalEvaluator(s *sampler, good func(decimal) bool) rowEvaluator {
	var buf []byte
	return newValueEvaluator(s, []batch.Type{batch.Number}, func(v *batch.Vector, i int, family batch.Type) verdict {
		v, i = v.At(i)
		if isNull(v, i, family) {
			return skipped
		}
		if !v.Types[i].Numeric() {
			return rejected
		}
		if d, ok := parseDecimal(textOf(v, i, &buf)); ok && good(d) {
			return accepted
		}
		return rejected
	})
}
