package expr

import (
	"math"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/profilerhq/profiler/internal/batch"
)

var (
	arithmeticOps = map[string]op{"+": opAdd, "-": opSub, "*": opMul, "/": opDiv, "%": opMod}
	compareOps    = map[string]op{"==": opEq, "!=": opNe, "<": opLt, "<=": opLe, ">": opGt, ">=": opGe}
	logicOps      = map[string]op{"&&": opAnd, "and": opAnd, "||": opOr, "or": opOr}
	textOps       = map[string]op{"matches": opMatches, "contains": opContains, "startsWith": opStartsWith, "endsWith": opEndsWith}
)

// negation is what to do where not binds closer than meant.
const negation = "put parentheses around what is negated: not (a == b)"

// compareText are the names of the comparisons from opEq on.
var compareText = [...]string{"==", "!=", "<", "<=", ">", ">="}

// isOrder reports whether an operator of compareOps asks for an order.
func isOrder(o op) bool { return o != opEq && o != opNe }

func (c *compiler) unary(n *ast.UnaryNode) *node {
	x := c.node(n.Node)
	if x == nil {
		return nil
	}
	switch n.Operator {
	case "!", "not":
		if x.class == classColumn || x.class == classTruth {
			x = c.truth(x)
			return &node{op: opNot, class: classTruth, args: []*node{x}}
		}
		c.add(x.from, x.to, CodeType, negation, "%q needs a condition, %s is %s", n.Operator, c.source(x), classWords[x.class])
		return nil
	case "-", "+":
		if x = c.value(x, n.Operator); x == nil {
			return nil
		}
		switch {
		case n.Operator == "-" && x.class == classColumn:
			return &node{op: opNeg, class: classValue, args: []*node{x}}
		case n.Operator == "-":
			return &node{op: opNeg, class: x.class, args: []*node{x}}
		case x.class == classNumber:
			return x
		}
		return c.refuse(n, "leave it out", "a plus sign before a name is")
	}
	return c.refuse(n, "", "the operator "+n.Operator+" is")
}

func (c *compiler) binary(n *ast.BinaryNode) *node {
	arith, isArith := arithmeticOps[n.Operator]
	comp, isComp := compareOps[n.Operator]
	logic, isLogic := logicOps[n.Operator]
	text, isText := textOps[n.Operator]
	if !isArith && !isComp && !isLogic && !isText && n.Operator != "in" {
		hint := map[string]string{
			"..": "write x >= 1 and x <= 9", "??": "write is_null(x)", "**": "write x * x", "^": "write x * x",
		}[n.Operator]
		return c.refuse(n, hint, "the operator "+n.Operator+" is")
	}
	a, b := c.node(n.Left), c.node(n.Right)
	if a == nil || b == nil {
		return nil
	}
	switch {
	case isArith:
		return c.arithmetic(arith, n.Operator, a, b)
	case isComp:
		return c.compare(comp, a, b)
	case isLogic:
		if a, b = c.truth(a), c.truth(b); a == nil || b == nil {
			return nil
		}
		return &node{op: logic, class: classTruth, args: []*node{a, b}}
	case isText:
		return c.textOp(text, n.Operator, a, b)
	}
	return c.in(a, b)
}

func (c *compiler) arithmetic(o op, name string, a, b *node) *node {
	if a, b = c.value(a, name), c.value(b, name); a == nil || b == nil {
		return nil
	}
	out := &node{op: o, class: classNumber, args: []*node{a, b}}
	if o == opSub {
		out.class = classValue // of two times it is a span
		if a.class == classNumber || b.class == classNumber {
			out.class = classNumber
		}
		return out
	}
	for _, x := range out.args {
		if x.class == classSpan || x.op == opConst && !x.value.Type.Numeric() {
			c.errorf(x.from, x.to, CodeType, "%q needs numbers, %s is %s", name, c.source(x), x.words())
			return nil
		}
	}
	return out
}

// words names what a node is in a message.
func (n *node) words() string {
	if n.op == opConst && n.value.Type.Temporal() {
		return "a " + n.value.Type.String()
	}
	return classWords[n.class]
}

// truth takes a node as a condition.
func (c *compiler) truth(n *node) *node {
	switch {
	case n == nil:
		return nil
	case n.class == classTruth:
		return n
	case n.class == classColumn:
		return &node{op: opTruth, class: classTruth, args: []*node{n}, from: n.from, to: n.to}
	}
	c.errorf(n.from, n.to, CodeType, "expected a condition, %s is %s", c.source(n), classWords[n.class])
	return nil
}

// value takes a node as a number, a time or a span. what asks for it.
func (c *compiler) value(n *node, what string) *node {
	switch n.class {
	case classNumber, classSpan, classValue, classColumn:
		return n
	case classLiteral:
		if v, ok := moment(n.text); ok {
			m := constant(v, classValue)
			m.from, m.to = n.from, n.to
			return m
		}
	default:
	}
	c.errorf(n.from, n.to, CodeType, "%q needs numbers or times, %s is %s", what, c.source(n), classWords[n.class])
	return nil
}

// asText takes a node as a text. what asks for it.
func (c *compiler) asText(n *node, what string) *node {
	switch n.class {
	case classText, classLiteral:
		return n
	case classColumn:
		return &node{op: opColumnText, class: classText, column: n.column, text: n.text, from: n.from, to: n.to}
	default:
	}
	c.errorf(n.from, n.to, CodeType, "%q needs texts, %s is %s", what, c.source(n), classWords[n.class])
	return nil
}

// maxDays is how many days a span of time holds: 292 years.
const maxDays = math.MaxInt64 / int64(24*time.Hour)

// moment reads a literal as a date, a time, a timestamp or a span of time.
func moment(text string) (batch.Value, bool) {
	var cl batch.Classifier
	if v := cl.Text([]byte(text)); v.Type.Temporal() {
		v.Zoned = false
		return v, true
	}
	if len(text) == len("13:45") && text[2] == ':' {
		if v := cl.Text([]byte(text + ":00")); v.Type == batch.Time {
			return v, true
		}
	}
	days := strings.TrimSuffix(text, "d")
	if n, err := strconv.ParseInt(days, 10, 64); err == nil && days != text && n >= 0 && n <= maxDays {
		return span(n * int64(24*time.Hour)), true
	}
	if d, err := time.ParseDuration(text); err == nil && text != "0" {
		return span(int64(d)), true
	}
	return none, false
}

func (c *compiler) compare(o op, a, b *node) *node {
	for _, x := range []*node{a, b} {
		if x.class == classList {
			c.add(x.from, x.to, CodeType, "write in for membership", "a list cannot be compared")
			return nil
		}
	}
	switch {
	case a.class == classTruth || b.class == classTruth:
		return c.compareTruths(o, a, b)
	case a.class == classText || b.class == classText:
		return c.compareTexts(o, a, b)
	case a.class == classColumn && b.class == classColumn:
		return c.either(o, a, b, a, b)
	case a.class == classLiteral && b.class == classLiteral:
		return c.compareTexts(o, a, b)
	case a.class == classLiteral && b.class == classColumn:
		return c.compareLiteral(o, b, a, a, b)
	case b.class == classLiteral && a.class == classColumn:
		return c.compareLiteral(o, a, b, a, b)
	}
	name := compareText[o-opEq]
	if a, b = c.value(a, name), c.value(b, name); a == nil || b == nil {
		return nil
	}
	if a.class == classNumber && b.notNumber() || b.class == classNumber && a.notNumber() {
		c.errorf(a.from, b.to, CodeType, "%s is %s and %s is %s, they do not compare", c.source(a), a.words(), c.source(b), b.words())
		return nil
	}
	return &node{op: o, class: classTruth, args: []*node{a, b}}
}

// notNumber reports whether a value is known not to be a number.
func (n *node) notNumber() bool {
	return n.class == classSpan || n.op == opConst && !n.value.Type.Numeric()
}

// compareLiteral compares a column with a text literal: by value if the
// literal reads as a time and the column is one of times, else as text.
func (c *compiler) compareLiteral(o op, column, literal, a, b *node) *node {
	v, ok := moment(literal.text)
	if !ok {
		return c.compareTexts(o, a, b)
	}
	m := constant(v, classValue)
	m.from, m.to = literal.from, literal.to
	if a == literal {
		return c.either(o, m, column, a, b)
	}
	return c.either(o, column, m, a, b)
}

// either compares by value or as texts, as the types of the columns turn out.
func (c *compiler) either(o op, a, b, textA, textB *node) *node {
	byValue := &node{op: o, class: classTruth, args: []*node{a, b}, from: a.from, to: b.to}
	asText := c.compareTexts(o, textA, textB)
	if asText == nil {
		return nil
	}
	asText.from, asText.to = a.from, b.to
	return &node{op: opEither, class: classTruth, args: []*node{byValue, asText}}
}

func (c *compiler) compareTexts(o op, a, b *node) *node {
	name := compareText[o-opEq]
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		x, other := pair[0], pair[1]
		if x.class == classText || x.class == classLiteral || x.class == classColumn {
			continue
		}
		hint := ""
		if other.class == classLiteral {
			hint = "write the number without quotes"
			if _, ok := moment(other.text); ok || numberText(other.text) == "" {
				hint = ""
			}
		}
		c.add(a.from, b.to, CodeType, hint, "%s is %s and %s is %s, they do not compare", c.source(a), a.words(), c.source(b), b.words())
		return nil
	}
	if a, b = c.asText(a, name), c.asText(b, name); a == nil || b == nil {
		return nil
	}
	return &node{op: o - opEq + opTextEq, class: classTruth, args: []*node{a, b}}
}

// numberText returns the text if it reads as a number.
func numberText(text string) string {
	var cl batch.Classifier
	if cl.Text([]byte(text)).Type.Numeric() {
		return text
	}
	return ""
}

func (c *compiler) compareTruths(o op, a, b *node) *node {
	if a.op == opNot && b.class != classTruth && b.class != classColumn {
		c.add(a.from, b.to, CodeType, negation, "%s is negated before it is compared with %s", c.source(a.args[0]), c.source(b))
		return nil
	}
	if a, b = c.truth(a), c.truth(b); a == nil || b == nil {
		return nil
	}
	switch o {
	case opEq:
		return &node{op: opSameTruth, class: classTruth, args: []*node{a, b}}
	case opNe:
		return &node{op: opOtherTruth, class: classTruth, args: []*node{a, b}}
	default:
	}
	c.errorf(a.from, b.to, CodeType, "conditions have no order; %q needs numbers, times or texts", compareText[o-opEq])
	return nil
}

func (c *compiler) in(a, b *node) *node {
	if b.class != classList {
		c.add(b.from, b.to, CodeType, `write x in ["a", "b"], or contains for a part of a text`, "\"in\" needs a list of values, %s is %s", c.source(b), classWords[b.class])
		return nil
	}
	if b.literals[0].op == opConst {
		if a = c.value(a, "in"); a == nil {
			return nil
		}
		if a.notNumber() {
			c.errorf(a.from, b.to, CodeType, "%s is %s and the list holds numbers, they do not compare", c.source(a), a.words())
			return nil
		}
		return inValues(a, b.literals)
	}
	times := make([]*node, 0, len(b.literals))
	for _, l := range b.literals {
		if v, ok := moment(l.text); ok {
			times = append(times, constant(v, classValue))
		}
	}
	if a.class == classValue || a.class == classSpan {
		if len(times) < len(b.literals) {
			c.errorf(a.from, b.to, CodeType, "%s is %s and the list holds texts, they do not compare", c.source(a), a.words())
			return nil
		}
		return inValues(a, times)
	}
	text := c.asText(a, "in")
	if text == nil {
		return nil
	}
	byText := &node{op: opTextIn, class: classTruth, args: []*node{text}, texts: map[string]bool{}, from: a.from, to: b.to}
	var detail strings.Builder
	for _, l := range b.literals {
		byText.texts[l.text] = true
		detail.WriteString(l.text + "\x00")
	}
	byText.detail = detail.String()
	if a.class != classColumn || len(times) < len(b.literals) {
		return byText
	}
	byValue := inValues(a, times)
	byValue.from, byValue.to = a.from, b.to
	return &node{op: opEither, class: classTruth, args: []*node{byValue, byText}}
}

func inValues(a *node, literals []*node) *node {
	n := &node{op: opIn, class: classTruth, args: []*node{a}, values: map[batch.Identity]bool{}}
	for _, l := range literals {
		n.values[batch.IdentityOf(l.value)] = true
		n.detail += l.detail + " "
	}
	n.value = literals[0].value // stands for the type of all
	return n
}

func (c *compiler) textOp(o op, name string, a, b *node) *node {
	if a, b = c.asText(a, name), c.asText(b, name); a == nil || b == nil {
		return nil
	}
	out := &node{op: o, class: classTruth, args: []*node{a, b}}
	if o != opMatches {
		return out
	}
	if b.op != opConstText {
		c.errorf(b.from, b.to, CodeType, "\"matches\" needs a regular expression in quotes, not %s", c.source(b))
		return nil
	}
	re, err := regexp.Compile(b.text)
	if err != nil {
		reason := err.Error()
		if e, ok := err.(*syntax.Error); ok { //nolint:errorlint // Compile returns it unwrapped
			reason = e.Code.String() + ": " + e.Expr
		}
		c.errorf(b.from, b.to, CodeSyntax, "not a regular expression (RE2): %s", reason)
		return nil
	}
	out.re, out.detail, out.args = re, b.text, out.args[:1]
	return out
}
