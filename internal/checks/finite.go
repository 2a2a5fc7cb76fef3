package checks

import (
	"math"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
)

var finiteSpec = Spec{
	Kind: "finite", Level: RowLevel, Column: true,
	Bare: true, Example: "finite",
	Summary: "Every value is a number other than NaN and infinity.",
	parse: func(_ *Check, p params, errs *diag.List) judge {
		if !p.none(errs) {
			return nil
		}
		return finite{}
	},
}

type finite struct{}

func (finite) phrase() string { return "not finite" }

func (finite) good() string { return "finite" }

func (finite) evaluator(s *sampler) rowEvaluator {
	return newValueEvaluator(s, []batch.Type{batch.Number}, func(v *batch.Vector, i int, family batch.Type) verdict {
		v, i = v.At(i)
		switch {
		case isNull(v, i, family):
			return skipped
		case v.Types[i] == batch.Integer, v.Types[i] == batch.Number && !math.IsNaN(v.Floats[i]) && !math.IsInf(v.Floats[i], 0):
			return accepted
		}
		return rejected
	})
}
