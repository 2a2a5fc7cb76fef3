package checks

import (
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/textformat"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var formatSpec = Spec{
	Kind: "format", Level: RowLevel, Column: true,
	Short: &Param{Form: FormChoice, OneOf: textformat.Names(), Summary: "The name of the format."}, Example: "format: email",
	Summary: "Every text is written in a well-known format: " + strings.Join(textformat.Names(), ", ") + ".",
	parse:   parseFormat,
}

// format is a named format of texts.
type format struct {
	name  string
	valid textformat.Validator
}

func parseFormat(_ *Check, p params, errs *diag.List) judge {
	if p.node.IsNull() {
		errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"format\" needs the name of a format, as in format: email; there are %s", strings.Join(textformat.Names(), ", "))
		return nil
	}
	name, ok := p.node.OneOf(errs, textformat.Names()...)
	if !ok {
		return nil
	}
	valid, _ := textformat.Lookup(name)
	return &format{name: name, valid: valid}
}

func (f *format) phrase() string { return "not in the format " + f.name }

func (f *format) good() string { return "in the format " + f.name }

// evaluator judges the text of each value; that of a number is what stands in
// the source.
func (f *format) evaluator(s *sampler) rowEvaluator {
	var buf []byte
	return newValueEvaluator(s, []batch.Type{batch.String, batch.Null}, func(v *batch.Vector, i int, family batch.Type) verdict {
		v, i = v.At(i)
		if isNull(v, i, family) {
			return skipped
		}
		if f.valid(textOf(v, i, &buf)) {
			return accepted
		}
		return rejected
	})
}
