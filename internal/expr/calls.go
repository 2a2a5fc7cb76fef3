package expr

import (
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
)

// call compiles a call of a function.
func (c *compiler) call(n ast.Node, name string, args []ast.Node) *node {
	if name == "col" {
		return c.col(n, args)
	}
	f := findFunction(name)
	if f == nil {
		l := n.Location()
		from, to := c.bytes(l)
		hint := diag.Hint(name, functionNames())
		if hint == "" {
			hint = "there are " + strings.Join(functionNames(), ", ")
		}
		if name == "now" || name == "date" || name == "today" {
			hint = "there is no clock; compare with a literal or use the check freshness"
		}
		c.add(from, to, CodeFunction, hint, "unknown function %q", name)
		return nil
	}
	if len(args) < f.min || len(args) > f.max {
		from, to := c.spanOf(n)
		c.errorf(from, to, CodeFunction, "%s is called as %s", name, f.Usage)
		return nil
	}
	var nodes []*node
	for _, arg := range args {
		a := c.node(arg)
		if a == nil {
			return nil
		}
		nodes = append(nodes, a)
	}
	return c.apply(f, nodes)
}

// col names a column that is no identifier.
func (c *compiler) col(n ast.Node, args []ast.Node) *node {
	if len(args) == 1 {
		if s, ok := args[0].(*ast.StringNode); ok {
			return c.column(s.Value)
		}
	}
	from, to := c.spanOf(n)
	c.errorf(from, to, CodeFunction, `col is called with the name of a column in quotes: col("a.b")`)
	return nil
}

// apply calls a function.
func (c *compiler) apply(f *Function, args []*node) *node {
	if f.op == opRound && len(args) == 2 {
		return c.round(args)
	}
	for i, a := range args {
		switch f.takes {
		case takesNumber, takesValue:
			a = c.value(a, f.Name)
			if a != nil && f.takes == takesNumber && a.notNumber() {
				c.errorf(a.from, a.to, CodeType, "%q needs a number, %s is %s", f.Name, c.source(a), a.words())
				a = nil
			}
		case takesText:
			a = c.asText(a, f.Name)
		case takesTextOrList:
			if a.class == classColumn {
				return &node{op: opColumnLen, class: classNumber, column: a.column, text: a.text}
			}
			a = c.asText(a, f.Name)
		case takesAny:
			return c.isNull(a)
		}
		if a == nil {
			return nil
		}
		args[i] = a
	}
	out := &node{op: f.op, class: f.gives, args: args[:1], unit: f.unit}
	if out.class == classValue && args[0].class == classNumber {
		out.class = classNumber
	}
	if f.unit != 0 {
		out.detail = f.Name
	}
	if len(args) > 1 {
		out = args[0]
	}
	for _, a := range args[1:] { // of several, from left to right
		out = &node{op: f.op, class: extremeClass(out, a), args: []*node{out, a}, from: args[0].from, to: a.to}
	}
	return out
}

// extremeClass is the class of the smaller or larger of two values.
func extremeClass(a, b *node) class {
	if a.class == classNumber || b.class == classNumber {
		return classNumber
	}
	return classValue
}

func (c *compiler) isNull(a *node) *node {
	switch a.class {
	case classColumn:
		return &node{op: opColumnNull, class: classTruth, column: a.column, text: a.text}
	case classLiteral, classList:
		c.errorf(a.from, a.to, CodeType, "%s is never null; name a column", c.source(a))
		return nil
	default:
	}
	return &node{op: opIsNull, class: classTruth, args: []*node{a}}
}

func (c *compiler) round(args []*node) *node {
	x := c.value(args[0], "round")
	if x == nil {
		return nil
	}
	d := args[1]
	if d.op != opConst || d.value.Type != batch.Integer || d.value.Int < 0 || d.value.Int > 15 {
		c.errorf(d.from, d.to, CodeType, "the digits of round are a whole number from 0 to 15, not %s", c.source(d))
		return nil
	}
	return &node{op: opRound, class: classNumber, args: []*node{x}, unit: d.value.Int, detail: d.detail}
}
