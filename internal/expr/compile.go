package expr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
)

// compiler turns the tree of the parser into nodes and reports what is not
// part of the language.
type compiler struct {
	text    string
	at      func(offset int) diag.Position
	errs    diag.List
	offsets []int // of the characters, in bytes
	columns []string
	nodes   int
	places  map[ast.Node]file.Location
}

func (c *compiler) program() *Program {
	switch {
	case len(c.text) > maxText:
		c.errorf(0, 1, CodeSyntax, "the expression is longer than %d bytes; split it into several checks", maxText)
		return nil
	case strings.TrimSpace(c.text) == "":
		c.errorf(0, 1, CodeSyntax, "the expression is empty; write a condition like amount > 0")
		return nil
	}
	for i := range c.text {
		c.offsets = append(c.offsets, i)
	}
	c.offsets = append(c.offsets, len(c.text))
	tree, err := parser.Parse(c.text)
	if err != nil {
		c.syntax(err)
		return nil
	}
	root := c.truth(c.node(tree.Node))
	if root == nil || len(c.errs) > 0 {
		return nil
	}
	if len(c.columns) == 0 {
		c.errorf(0, utf8.RuneCountInString(c.text), CodeType, "the condition names no column, so it is the same for all rows")
		return nil
	}
	p := &Program{text: c.text, root: root, columns: c.columns}
	if !p.analyse() {
		c.errorf(0, utf8.RuneCountInString(c.text), CodeType, "the expression compares more than %d columns whose type it does not say; split it into several checks", maxVariable)
		return nil
	}
	return p
}

// errorf reports a mistake at the bytes from … to of the text.
func (c *compiler) errorf(from, to int, code, format string, args ...any) {
	c.add(from, to, code, "", format, args...)
}

func (c *compiler) add(from, to int, code, hint, format string, args ...any) {
	to = min(max(from, to), len(c.text))
	d := diag.Diagnostic{Pos: c.at(from), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
	d.Width = max(1, utf8.RuneCountInString(c.text[from:to]))
	c.errs.Add(d)
}

// bytes turns a place in characters into one in bytes.
func (c *compiler) bytes(l file.Location) (from, to int) {
	last := len(c.offsets) - 1
	from, to = c.offsets[min(max(l.From, 0), last)], c.offsets[min(max(l.To, 0), last)]
	return from, max(from, to)
}

var (
	tokenMessage = regexp.MustCompile(`^unexpected token (\w+)(?:\((.*)\))?$`)
	// mistakes are habits of other languages, with what to write instead.
	mistakes = map[string]string{
		"=": "write == to compare", ">": "write != for not equal", "is": "write is_null(x) or not is_null(x)", "null": "write is_null(x)",
		"and": "write and", "or": "write or", "not": "write not", "in": "write in", "like": "write matches, contains, startsWith or endsWith",
		"between": "write x >= 1 and x <= 9", "&": "write &&", "|": "write ||",
	}
)

// syntax reports what the parser could not read.
func (c *compiler) syntax(err error) {
	var e *file.Error
	if !errors.As(err, &e) {
		c.errorf(0, len(c.text), CodeSyntax, "%s", err)
		return
	}
	from, to := c.bytes(e.Location)
	m := tokenMessage.FindStringSubmatch(e.Message)
	switch {
	case m == nil:
		c.errorf(from, to, CodeSyntax, "%s", lowerFirst(e.Message))
	case m[1] == "EOF":
		c.errorf(from, to, CodeSyntax, "the expression ends too early")
	default:
		word := strings.Trim(m[2], `"`)
		c.add(from, to, CodeSyntax, mistakes[strings.ToLower(word)], "unexpected %q", word)
	}
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// refuse reports a construct that is not part of the language.
func (c *compiler) refuse(n ast.Node, hint, what string) *node {
	from, to := c.spanOf(n)
	c.add(from, to, CodeSyntax, hint, "%s not part of expressions", what)
	return nil
}

// spanOf returns the place of a tree in the source, in bytes. Each node is
// looked at once: a chain as a < b < c has its middle in two places of the
// tree, nested chains in very many.
func (c *compiler) spanOf(n ast.Node) (from, to int) {
	l := c.placeOf(n)
	return c.balanced(c.bytes(l))
}

func (c *compiler) placeOf(n ast.Node) file.Location {
	if l, ok := c.places[n]; ok {
		return l
	}
	l := n.Location()
	if l.To <= l.From {
		l = file.Location{From: -1} // made by the parser, stands nowhere
	}
	for _, child := range children(n) {
		if child == nil {
			continue
		}
		p := c.placeOf(child)
		if p.From >= 0 && (l.From < 0 || p.From < l.From) {
			l.From = p.From
		}
		l.To = max(l.To, p.To)
	}
	if c.places == nil {
		c.places = map[ast.Node]file.Location{}
	}
	c.places[n] = l
	return l
}

// children returns the parts of a node of the parser.
func children(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		return []ast.Node{n.Node, n.From, n.To}
	case *ast.CallNode:
		return append([]ast.Node{n.Callee}, n.Arguments...)
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		return n.Nodes
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.MapNode:
		return n.Pairs
	case *ast.PairNode:
		return []ast.Node{n.Key, n.Value}
	}
	return nil
}

// balanced widens a place, so that its brackets are closed: the parser keeps
// no place of them.
func (c *compiler) balanced(from, to int) (int, int) {
	depth, least, quote := 0, 0, byte(0)
	for i := from; i < to; i++ {
		switch ch := c.text[i]; {
		case quote != 0 && ch == '\\' && quote != '`':
			i++
		case quote != 0 && ch == quote:
			quote = 0
		case quote != 0:
		case ch == '"' || ch == '\'' || ch == '`':
			quote = ch
		case ch == '(' || ch == '[' || ch == '{':
			depth++
		case ch == ')' || ch == ']' || ch == '}':
			depth--
			least = min(least, depth)
		}
	}
	for depth -= least; depth > 0 && to < len(c.text); to++ {
		if strings.IndexByte(")]}", c.text[to]) >= 0 {
			depth--
		}
	}
	for ; least < 0 && from > 0; from-- {
		if strings.IndexByte("([{", c.text[from-1]) >= 0 {
			least++
		}
	}
	return from, to
}

// node compiles a tree; after a mistake, which is reported, it returns nil.
func (c *compiler) node(n ast.Node) *node {
	if c.nodes++; c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			c.errorf(0, 1, CodeSyntax, "the expression has more than %d parts; split it into several checks", maxNodes)
		}
		return nil
	}
	from, to := c.spanOf(n)
	made := c.make(n)
	if made != nil {
		made.from, made.to = from, to
	}
	return made
}

func (c *compiler) make(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if strings.HasPrefix(n.Value, "$") {
			return c.refuse(n, `write col("`+n.Value+`") for a column of that name`, "names that begin with $ are")
		}
		return c.column(n.Value)
	case *ast.IntegerNode:
		return constant(batch.Value{Type: batch.Integer, Int: int64(n.Value)}, classNumber)
	case *ast.FloatNode:
		return constant(batch.Value{Type: batch.Number, Float: n.Value}, classNumber)
	case *ast.BoolNode:
		v := batch.Value{Type: batch.Boolean}
		if n.Value {
			v.Int = 1
		}
		return &node{op: opTruth, class: classTruth, args: []*node{constant(v, classValue)}}
	case *ast.StringNode:
		return &node{op: opConstText, class: classLiteral, text: n.Value, detail: n.Value}
	case *ast.ArrayNode:
		return c.list(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.BuiltinNode:
		return c.call(n, n.Name, n.Arguments)
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.call(n, callee.Value, n.Arguments)
		}
		return c.refuse(n, "", "methods are")
	}
	return c.other(n)
}

// other refuses what the parser knows and the language does not.
func (c *compiler) other(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.NilNode:
		return c.refuse(n, "write is_null(x)", "nil is")
	case *ast.MemberNode, *ast.ChainNode:
		hint := ""
		from, to := c.spanOf(n)
		if path := c.text[from:to]; !strings.ContainsAny(path, `"'[]()? `) {
			hint = `write col("` + path + `")`
		}
		return c.refuse(n, hint, "members are")
	case *ast.ConditionalNode:
		return c.refuse(n, "write (a and b) or (not a and c)", "a choice of two values is")
	case *ast.PredicateNode, *ast.PointerNode:
		return c.refuse(n, "", "closures are")
	case *ast.SequenceNode, *ast.VariableDeclaratorNode:
		return c.refuse(n, "", "variables and several expressions are")
	case *ast.SliceNode:
		return c.refuse(n, "", "slices are")
	case *ast.MapNode, *ast.PairNode:
		return c.refuse(n, "", "maps are")
	case *ast.BytesNode:
		return c.refuse(n, "", "bytes are")
	}
	return c.refuse(n, "", "this is")
}

func constant(v batch.Value, cl class) *node {
	return &node{op: opConst, class: cl, value: v, detail: fmt.Sprintf("%d %d %x", v.Type, v.Int, v.Float)}
}

// column returns a bare column; its place decides how it is read.
func (c *compiler) column(name string) *node {
	i := slices.Index(c.columns, name)
	if i < 0 {
		i = len(c.columns)
		c.columns = append(c.columns, name)
	}
	return &node{op: opColumn, class: classColumn, column: i, text: name}
}

func (c *compiler) list(n *ast.ArrayNode) *node {
	l := &node{class: classList}
	for _, item := range n.Nodes {
		v := c.node(item)
		if v == nil {
			return nil
		}
		if v.op == opNeg && v.args[0].op == opConst {
			from, to := v.from, v.to
			v = constant(negative(v.args[0].value), classNumber)
			v.from, v.to = from, to
		}
		if v.op != opConst && v.op != opConstText {
			c.errorf(v.from, v.to, CodeType, "a list holds texts or numbers, not %s", classWords[v.class])
			return nil
		}
		l.literals = append(l.literals, v)
	}
	if len(l.literals) == 0 {
		from, to := c.spanOf(n)
		c.errorf(from, to, CodeType, "the list is empty, nothing is in it")
		return nil
	}
	for _, v := range l.literals[1:] {
		if v.op != l.literals[0].op {
			c.errorf(v.from, v.to, CodeType, "a list holds values of one kind; this is %s beside %s", classWords[v.class], classWords[l.literals[0].class])
			return nil
		}
	}
	return l
}

// source is the text of a node as written.
func (c *compiler) source(n *node) string { return c.text[n.from:n.to] }
