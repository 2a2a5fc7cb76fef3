package checks

import (
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
