package checks

import (
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rowset"
)

var notNullSpec = Spec{
	Kind: "not_null", Level: RowLevel, Column: true,
	Bare: true, Example: "not_null",
	Summary: "Every row has a value.",
	parse: func(_ *Check, p params, errs *diag.List) judge {
		if !p.none(errs) {
			return nil
		}
		return notNull{}
	},
}

type notNull struct{}

func (notNull) phrase() string { return "null" }

func (notNull) good() string { return "not null" }

func (notNull) evaluator(s *sampler) rowEvaluator {
	e := newValueEvaluator(s, []batch.Type{batch.String, batch.Null}, func(v *batch.Vector, i int, family batch.Type) verdict {
		if isNull(v, i, family) {
			return rejected
		}
		return accepted
	})
	e.sure = func(v *batch.Vector, i int) int {
		for i < len(v.Types) && hasValue(v, i) {
			i++
		}
		return i
	}
	return &notNullEvaluator{valueEvaluator: e}
}

// notNullEvaluator judges all rows, those before the column came up included.
type notNullEvaluator struct {
	*valueEvaluator
	before earlier
}

func (e *notNullEvaluator) absent(b earlier) { e.before = b }

func (e *notNullEvaluator) outcome(col *profile.Column) outcome {
	o := e.valueEvaluator.outcome(col)
	if e.before.n == 0 {
		return o
	}
	o.evaluated += e.before.n
	o.failed += e.before.n
	o.failing = append([]FailingRow{{Row: e.before.first}}, o.failing...)
	o.failing = o.failing[:min(len(o.failing), max(0, e.s.max))]
	if e.s.mark {
		all := &rowset.Set{}
		if e.before.rows != nil {
			all.Union(e.before.rows)
		} else {
			all.AddRange(e.before.first, e.before.n)
		}
		all.Union(o.rejected)
		o.rejected = all
	}
	return o
}
