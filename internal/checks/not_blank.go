package checks

import (
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
)

var notBlankSpec = Spec{
	Kind: "not_blank", Level: RowLevel, Column: true,
	Bare: true, Example: "not_blank",
	Summary: "Every row has a value that is more than white space.",
	parse: func(_ *Check, p params, errs *diag.List) judge {
		if !p.none(errs) {
			return nil
		}
		return notBlank{}
	},
}

type notBlank struct{}

func (notBlank) phrase() string { return "null or blank" }

func (notBlank) good() string { return "not blank" }

func (notBlank) evaluator(s *sampler) rowEvaluator {
	return &notNullEvaluator{valueEvaluator: newValueEvaluator(s, []batch.Type{batch.String, batch.Null},
		func(v *batch.Vector, i int, family batch.Type) verdict {
			v, i = v.At(i)
			if isNull(v, i, family) || v.Types[i] == batch.String && isBlank(v.Bytes(i)) {
				return rejected
			}
			return accepted
		})}
}
