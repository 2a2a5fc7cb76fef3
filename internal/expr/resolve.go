package expr

import (
	"fmt"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// resolver checks a program against the types of its columns. The first
// problem stays.
type resolver struct {
	p       *Program
	types   []ColumnType
	problem string
}

func (r *resolver) fail(format string, args ...any) batch.Type {
	if r.problem == "" {
		r.problem = fmt.Sprintf(format, args...)
	}
	return batch.Null
}

// subject says what a node is: "amount is a column of type string", "5 is a
// number".
func (r *resolver) subject(n *node, t batch.Type) string {
	text := r.p.text[n.from:n.to]
	switch {
	case n.op == opColumn || n.op == opColumnText || n.op == opColumnLen:
		return fmt.Sprintf("%s is a column of type %s", n.text, r.types[n.column].Type)
	case t.Numeric():
		return text + " is a number"
	}
	return text + " is a " + t.String()
}

// kind returns the type of a node, Null if it is not known.
func (r *resolver) kind(n *node) batch.Type {
	switch n.op {
	case opColumn:
		return r.types[n.column].Type
	case opConst:
		return n.value.Type
	case opColumnNull, opConstText:
		return batch.Null
	case opColumnText:
		r.textual(n, "a text")
		return batch.String
	case opColumnLen:
		if r.types[n.column].Type != batch.List {
			r.textual(n, "a text or a list")
		}
		return batch.Integer
	case opEither:
		return r.either(n)
	case opTextEq, opTextNe, opTextLt, opTextLe, opTextGt, opTextGe:
		r.texts(n)
		return batch.Boolean
	case opTruth:
		return r.want(n.args[0], "a condition", func(t batch.Type) bool { return t == batch.Boolean })
	default:
	}
	if n.op <= opNeg || n.op >= opAbs {
		return r.computed(n)
	}
	if n.op >= opEq && n.op <= opGe {
		return r.compared(n, r.kind(n.args[0]), r.kind(n.args[1]), n.args[1])
	}
	if n.op == opIn {
		return r.compared(n, r.kind(n.args[0]), n.value.Type, nil)
	}
	for _, a := range n.args {
		r.kind(a)
	}
	switch n.op {
	case opLen:
		return batch.Integer
	case opLower, opUpper, opTrim:
		return batch.String
	default:
	}
	return batch.Boolean
}

// want demands a type of a node and returns it.
func (r *resolver) want(n *node, what string, suits func(batch.Type) bool) batch.Type {
	t := r.kind(n)
	if t != batch.Null && !suits(t) {
		return r.fail("%s, which cannot be read as %s", r.subject(n, t), what)
	}
	return t
}

// computed returns the type of arithmetic and of functions of values.
func (r *resolver) computed(n *node) batch.Type {
	numeric := batch.Type.Numeric
	switch n.op {
	case opSub:
		a, b := r.want(n.args[0], "a number or a time", ordered), r.want(n.args[1], "a number or a time", ordered)
		switch {
		case a == batch.Null && b == batch.Null:
			return batch.Null
		case a == batch.Null:
			a = b
		case b != batch.Null && a.Family() != b.Family():
			return r.fail("%s and %s, there is no difference of these", r.subject(n.args[0], a), r.subject(n.args[1], b))
		}
		if a.Temporal() {
			return batch.Duration
		}
		return batch.Number
	case opNeg, opAbs:
		return r.want(n.args[0], "a number or a span of time", func(t batch.Type) bool { return t.Numeric() || t == batch.Duration })
	case opMin, opMax:
		a, b := r.want(n.args[0], "a number or a time", ordered), r.want(n.args[1], "a number or a time", ordered)
		if a != batch.Null && b != batch.Null && a.Family() != b.Family() {
			return r.fail("%s and %s, they do not compare", r.subject(n.args[0], a), r.subject(n.args[1], b))
		}
		return max(a, b)
	case opYear, opMonth, opDay, opWeekday:
		r.want(n.args[0], "a date or timestamp", func(t batch.Type) bool { return t.Family() == batch.Timestamp })
	case opHour, opMinute, opSecond:
		r.want(n.args[0], "a timestamp or a time", func(t batch.Type) bool { return t.Family() == batch.Timestamp || t == batch.Time })
	case opSpan:
		r.want(n.args[0], "a span of time", func(t batch.Type) bool { return t == batch.Duration })
	default:
		for _, a := range n.args {
			r.want(a, "a number", numeric)
		}
	}
	return batch.Number
}

// compared checks that the types of two values compare; right is nil for a
// list of values.
func (r *resolver) compared(n *node, a, b batch.Type, right *node) batch.Type {
	if a == batch.Null || b == batch.Null {
		return batch.Boolean
	}
	other := "the list holds " + b.String() + "s"
	if right != nil {
		other = r.subject(right, b)
	}
	switch {
	case a.Family() != b.Family(), a == batch.List, a == batch.Struct:
		hint := ""
		if left := n.args[0]; left.op == opColumn && a == batch.String && b.Numeric() && right != nil && right.op == opConst {
			hint = fmt.Sprintf("; compare with a text: %s == %q", left.text, r.p.text[right.from:right.to])
		}
		return r.fail("%s and %s, they do not compare%s", r.subject(n.args[0], a), other, hint)
	case a == batch.Boolean && n.op != opIn && isOrder(n.op):
		return r.fail("%s, and booleans have no order", r.subject(n.args[0], a))
	}
	return batch.Boolean
}

// either checks the alternative that the types of its columns choose.
func (r *resolver) either(n *node) batch.Type {
	if slices.ContainsFunc(n.args[0].args, func(a *node) bool { return a.op == opColumn && r.types[a.column].isText() }) {
		return r.kind(n.args[1])
	}
	return r.kind(n.args[0])
}

// textual demands that a column has texts: it is one of texts, or its format
// gives every value the text that was written.
func (r *resolver) textual(n *node, what string) {
	t := r.types[n.column]
	if t.Type == batch.Null || t.isText() || t.Inferred || t.HasText && t.Type.Temporal() {
		return
	}
	r.fail("%s, which cannot be read as %s", r.subject(n, t.Type), what)
}

// texts checks a comparison of texts. Texts as written have no order that is
// that of numbers or times.
func (r *resolver) texts(n *node) {
	for i, a := range n.args {
		r.kind(a)
		if a.op != opColumnText || !isOrder(n.op-opTextEq+opEq) {
			continue
		}
		if t := r.types[a.column]; t.Type != batch.Null && !t.isText() {
			other := n.args[1-i]
			hint := ""
			if other.op == opConstText && t.Type.Numeric() && numberText(other.text) != "" {
				hint = "; write the number without quotes"
			}
			r.fail("%s and %s, which have no common order%s", r.subject(a, t.Type), r.subject(other, batch.String), hint)
		}
	}
}
