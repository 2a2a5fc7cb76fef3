package checks

import (
	"cmp"
	"math"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// literal is a value that a rule compares with: its source text, and what the
// text reads as. Quoted ones are cast to the type of the column.
type literal struct {
	text   string
	quoted bool
	value  batch.Value
}

// literalOf reads a scalar of a rule.
func literalOf(n *yamldoc.Node, errs *diag.List) (literal, bool) {
	if n.IsNull() || !n.IsScalar() {
		n.Errorf(errs, yamldoc.CodeType, "expected a value, got %s", n.Describe())
		return literal{}, false
	}
	if _, ok := n.String(errs); !ok { // reported already
		return literal{}, false
	}
	l := literal{text: n.Raw(), quoted: n.Quoted() && !isVariable(n.Written())}
	var c batch.Classifier
	var none diag.List
	kind := n.Kind()
	if n.Quoted() && !l.quoted { // "${limit}" is read as if the value had been written there
		if _, ok := n.Float(&none); ok {
			kind = yamldoc.Float
		}
	}
	switch kind {
	case yamldoc.Int, yamldoc.Float:
		f, ok := n.Float(errs)
		if !ok {
			return l, false
		}
		l.value = batch.Value{Type: batch.Number, Float: f}
		if i, ok := n.Int(&none); ok {
			l.value = batch.Value{Type: batch.Integer, Int: i}
		}
	case yamldoc.Bool:
		l.value = batch.Value{Type: batch.Boolean, Int: int64(len("false")-len(n.Raw())) & 1}
	default:
		l.value = c.Text([]byte(l.text))
	}
	return l, true
}

// isVariable reports whether a text is a variable and nothing else.
func isVariable(text string) bool {
	return strings.HasPrefix(text, "${") && strings.IndexByte(text, '}') == len(text)-1
}

// compareValues orders two values of one family, exactly over integers and
// floats. ok is false for NaN and for values of different families.
func compareValues(a, b batch.Value) (order int, ok bool) {
	if a.Type.Family() != b.Type.Family() {
		return 0, false
	}
	switch {
	case !a.Type.Numeric():
		return cmp.Or(cmp.Compare(a.Int, b.Int), cmp.Compare(a.Float, b.Float)), true
	case a.Type == batch.Integer && b.Type == batch.Integer:
		return cmp.Compare(a.Int, b.Int), true
	case a.Type == batch.Number && b.Type == batch.Number:
		return cmp.Compare(a.Float, b.Float), a.Float == a.Float && b.Float == b.Float
	case a.Type == batch.Integer:
		return compareIntFloat(a.Int, b.Float), b.Float == b.Float
	}
	return -compareIntFloat(b.Int, a.Float), a.Float == a.Float
}

// compareIntFloat compares without rounding the integer.
func compareIntFloat(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	t := math.Trunc(f)
	if c := cmp.Compare(i, int64(t)); c != 0 {
		return c
	}
	return cmp.Compare(0, f-t)
}
