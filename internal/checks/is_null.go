package checks

import (
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
)

var isNullSpec = Spec{
	Kind: "is_null", Level: RowLevel, Column: true,
	Bare: true, Example: "is_null",
	Summary: "No row has a value.",
	parse: func(_ *Check, p params, errs *diag.List) judge {
		if !p.none(errs) {
			return nil
		}
		return onlyNull{}
	},
}

type onlyNull struct{}

func (onlyNull) phrase() string { return "not null" }

func (onlyNull) good() string { return "null" }

func (onlyNull) evaluator(s *sampler) rowEvaluator {
	return &onlyNullEvaluator{valueEvaluator: newValueEvaluator(s, []batch.Type{batch.String, batch.Null},
		func(v *batch.Vector, i int, family batch.Type) verdict {
			v, i = v.At(i)
			if isNull(v, i, family) {
				return accepted
			}
			return rejected
		})}
}

// onlyNullEvaluator judges all rows, those before the column came up included.
type onlyNullEvaluator struct {
	*valueEvaluator
	before int64
}

func (e *onlyNullEvaluator) absent(b earlier) { e.before = b.n }

func (e *onlyNullEvaluator) outcome(col *profile.Column) outcome {
	o := e.valueEvaluator.outcome(col)
	o.evaluated += e.before
	return o
}
