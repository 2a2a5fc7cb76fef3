package checks

import (
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var typeSpec = Spec{
	Kind: "type", Level: RowLevel, Column: true,
	Short: &Param{Form: FormChoice, OneOf: batch.TypeNames(), Summary: "The name of the type."}, Example: "type: integer",
	Summary: "Every value has a type; number takes integers, timestamp takes dates.",
	parse: func(_ *Check, p params, errs *diag.List) judge {
		if p.node == nil {
			errs.Errorf(p.where(), 4, yamldoc.CodeMissingKey, "check \"type\" needs the name of a type")
			return nil
		}
		name, ok := p.node.OneOf(errs, batch.TypeNames()...)
		if !ok {
			return nil
		}
		t, _ := batch.ParseType(name)
		return typeOf(t)
	},
}

type typeOf batch.Type

func (t typeOf) phrase() string { return "not " + t.good() }

func (t typeOf) good() string { return "of type " + batch.Type(t).String() }

// accepts reports whether a value of a type satisfies the wanted one.
func (t typeOf) accepts(typ batch.Type) bool {
	want := batch.Type(t)
	return typ == want || want == batch.Number && typ == batch.Integer || want == batch.Timestamp && typ == batch.Date
}

// evaluator tallies three readings: texts of a CSV column that turned out to
// be text are all strings; codes of digits are strings too, not integers;
// everywhere else each value has its own type.
func (t typeOf) evaluator(s *sampler) rowEvaluator {
	return &typeEvaluator{t: t, valueEvaluator: newValueEvaluator(s, []batch.Type{batch.String, batch.Binary, batch.Null},
		func(v *batch.Vector, i int, family batch.Type) verdict {
			if isNull(v, i, family) {
				return skipped
			}
			typ := v.Types[i]
			switch {
			case v.HasText && family == batch.String && batch.Type(t) == batch.String && (v.Inferred || typ.Temporal()):
				return accepted // a text, whatever it looks like
			case family == batch.Binary: // stands for a column of codes
				typ = batch.String
			}
			if t.accepts(typ) {
				return accepted
			}
			return rejected
		})}
}

type typeEvaluator struct {
	*valueEvaluator
	t typeOf
}

func (e *typeEvaluator) outcome(col *profile.Column) outcome {
	if isCode(col) {
		return e.tallies[1].outcome()
	}
	if col.Kind() == batch.String {
		return e.tallies[0].outcome()
	}
	return e.tallies[2].outcome()
}

// isCode reports whether the column holds codes: texts of digits that were not
// taken for numbers.
func isCode(col *profile.Column) bool {
	return col.Kind() == batch.String && col.Mixed == nil && col.Codes()
}
