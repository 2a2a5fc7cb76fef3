package checks

import (
	"bytes"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var orderParams = []Param{
	{Name: "strictly", Form: FormFlag, Summary: "Equal neighbours fail too.", Default: "false"},
}

var increasingSpec = Spec{
	Kind: "increasing", Level: RowLevel, Column: true, Params: orderParams, Bare: true, Example: "increasing: {strictly: true}",
	Summary: "No value is smaller than the one before it; strictly: nor equal to it.",
	parse:   func(_ *Check, p params, errs *diag.List) judge { return parseOrder(p, "increasing", 1, errs) },
}

var decreasingSpec = Spec{
	Kind: "decreasing", Level: RowLevel, Column: true, Params: orderParams, Bare: true, Example: "decreasing: {strictly: true}",
	Summary: "No value is larger than the one before it; strictly: nor equal to it.",
	parse:   func(_ *Check, p params, errs *diag.List) judge { return parseOrder(p, "decreasing", -1, errs) },
}

// order is the direction in which the values of a column run.
type order struct {
	kind     string
	sign     int // 1 is increasing
	strictly bool
}

func parseOrder(p params, kind string, sign int, errs *diag.List) judge {
	o, before := &order{kind: kind, sign: sign}, len(*errs)
	yamldoc.Set(&o.strictly, p.mapping(kind, orderParams, errs).Get("strictly"), (*yamldoc.Node).Bool, errs)
	if len(*errs) > before {
		return nil
	}
	return o
}

func (o *order) phrase() string {
	word := "smaller"
	if o.sign < 0 {
		word = "larger"
	}
	if o.strictly {
		word += " than the value before, or equal to it"
		return word
	}
	return word + " than the value before"
}

func (o *order) good() string {
	if o.strictly {
		return "in strictly " + o.kind + " order"
	}
	return "in " + o.kind + " order"
}

// orderFamilies are the readings of a column that order its values: text comes
// last and stands for all other types.
var orderFamilies = []batch.Type{batch.Number, batch.Timestamp, batch.Time, batch.Duration, batch.String}

// previous is the value before, for one reading.
type previous struct {
	seen  bool
	value batch.Value
	text  []byte
}

// evaluator compares each value with the one before, row by row. A value that
// is not of the column's type, and NaN, cannot be compared: they fail, and the
// next value is compared with the one before them.
func (o *order) evaluator(s *sampler) rowEvaluator {
	var last [batch.TypeCount]previous
	var buf []byte
	e := newValueEvaluator(s, orderFamilies, func(v *batch.Vector, i int, family batch.Type) verdict {
		if isNull(v, i, family) {
			return skipped
		}
		p := &last[family]
		if family == batch.String {
			text := textOf(v, i, &buf)
			c := bytes.Compare(text, p.text)
			p.text = append(p.text[:0], text...)
			return o.judge(p, c)
		}
		value := v.Value(i)
		if value.Type.Family() != family || value.Float != value.Float {
			return rejected
		}
		c, _ := batch.Compare(value, p.value)
		p.value = value
		return o.judge(p, c)
	})
	e.inOrder = true
	return e
}

func (o *order) judge(p *previous, c int) verdict {
	first := !p.seen
	p.seen = true
	if first || c*o.sign > 0 || c == 0 && !o.strictly {
		return accepted
	}
	return rejected
}
