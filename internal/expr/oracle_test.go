package expr_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/expr"
)

// The oracle evaluates the tree of the parser row by row, with the final types
// of the columns known from the start, exact numbers from math/big and times
// from package time.

// oval is a value of the oracle.
type oval struct {
	kind string // null, wrong, truth, int, float, text, time, clock, span
	b    bool
	i    *big.Int // int; nanoseconds of time, clock and span
	f    float64
	s    string
}

var (
	onull  = oval{kind: "null"}
	owrong = oval{kind: "wrong"}
)

func otruth(b bool) oval { return oval{kind: "truth", b: b} }
func oint(i *big.Int) oval {
	if i.IsInt64() {
		return oval{kind: "int", i: i}
	}
	f, _ := new(big.Float).SetInt(i).Float64()
	return oval{kind: "float", f: f}
}
func ofloat(f float64) oval { return oval{kind: "float", f: f} }

func (v oval) number() bool { return v.kind == "int" || v.kind == "float" }
func (v oval) float() float64 {
	if v.kind == "int" {
		f, _ := new(big.Float).SetInt(v.i).Float64()
		return f
	}
	return v.f
}

// oracle is one row.
type oracle struct {
	cells map[string]string
	types map[string]batch.Type
}

func (o *oracle) isText(name string) bool { return o.types[name] == batch.String }

// text reads a column as written.
func (o *oracle) text(name string) oval {
	switch cell := o.cells[name]; {
	case cell == "", cell == empty && !o.isText(name):
		return onull
	case cell == empty:
		return oval{kind: "text"}
	default:
		return oval{kind: "text", s: cell}
	}
}

func nanos(t time.Time) *big.Int {
	n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
	return n.Add(n, big.NewInt(int64(t.Nanosecond())))
}

// read finds the meaning of a text.
func read(s string) oval {
	if i, ok := new(big.Int).SetString(s, 10); ok && i.IsInt64() {
		return oval{kind: "int", i: i}
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return oval{kind: "time", i: nanos(t)}
		}
	}
	if t, err := time.Parse("15:04:05", s); err == nil {
		return oval{kind: "clock", i: big.NewInt(int64(t.Hour()*3600+t.Minute()*60+t.Second()) * 1e9)}
	}
	if s == "true" || s == "false" {
		return otruth(s == "true")
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return ofloat(f)
	}
	return oval{kind: "text", s: s}
}

// value reads a column by the meaning of its value.
func (o *oracle) value(name string) oval {
	cell := o.cells[name]
	if cell == "" || cell == empty {
		return onull
	}
	return read(cell)
}

func literal(s string) (oval, bool) {
	v := read(s)
	switch v.kind {
	case "time", "clock":
		return v, true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return oval{kind: "span", i: big.NewInt(int64(d))}, true
	}
	return oval{}, false
}

// shape says what a part is without looking at values.
func shape(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return "column"
	case *ast.StringNode:
		return "literal"
	case *ast.BoolNode:
		return "truth"
	case *ast.BuiltinNode:
		return shapeOf(n.Name)
	case *ast.CallNode:
		return shapeOf(n.Callee.(*ast.IdentifierNode).Value)
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return "truth"
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "-", "*", "/", "%":
			return "value"
		}
		return "truth"
	}
	return "value"
}

func shapeOf(function string) string {
	switch function {
	case "lower", "upper", "trim":
		return "text"
	case "is_null":
		return "truth"
	}
	return "value"
}

func (o *oracle) asValue(n ast.Node) oval {
	if s, ok := n.(*ast.StringNode); ok {
		v, _ := literal(s.Value)
		return v
	}
	return o.eval(n)
}

func (o *oracle) asText(n ast.Node) oval {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return o.text(n.Value)
	case *ast.StringNode:
		return oval{kind: "text", s: n.Value}
	}
	return o.eval(n)
}

func (o *oracle) asTruth(n ast.Node) oval {
	v := o.eval(n)
	if v.kind != "truth" && v.kind != "null" {
		return owrong
	}
	return v
}

func (o *oracle) eval(n ast.Node) oval {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return o.value(n.Value)
	case *ast.IntegerNode:
		return oint(big.NewInt(int64(n.Value)))
	case *ast.FloatNode:
		return ofloat(n.Value)
	case *ast.BoolNode:
		return otruth(n.Value)
	case *ast.UnaryNode:
		return o.unary(n)
	case *ast.BinaryNode:
		return o.binary(n)
	case *ast.BuiltinNode:
		return o.call(n.Name, n.Arguments)
	case *ast.CallNode:
		return o.call(n.Callee.(*ast.IdentifierNode).Value, n.Arguments)
	}
	panic(fmt.Sprintf("%T", n))
}

func (o *oracle) unary(n *ast.UnaryNode) oval {
	if n.Operator == "-" {
		v := o.asValue(n.Node)
		switch v.kind {
		case "null":
			return onull
		case "int":
			return oint(new(big.Int).Neg(v.i))
		case "float":
			return ofloat(-v.f)
		case "span":
			return clamp(new(big.Int).Neg(v.i))
		}
		return owrong
	}
	v := o.asTruth(n.Node)
	if v.kind == "truth" {
		return otruth(!v.b)
	}
	return v
}

func clamp(i *big.Int) oval {
	switch {
	case i.IsInt64():
	case i.Sign() > 0:
		i = big.NewInt(math.MaxInt64)
	default:
		i = big.NewInt(math.MinInt64)
	}
	return oval{kind: "span", i: i}
}

// worst is null if any is, else wrong if any is, else "".
func worst(vs ...oval) string {
	out := ""
	for _, v := range vs {
		if v.kind == "null" {
			return "null"
		}
		if v.kind == "wrong" {
			out = "wrong"
		}
	}
	return out
}

func (o *oracle) binary(n *ast.BinaryNode) oval {
	switch op := n.Operator; op {
	case "+", "-", "*", "/", "%":
		return oarithmetic(op, o.asValue(n.Left), o.asValue(n.Right))
	case "and", "or", "&&", "||":
		a, b := o.asTruth(n.Left), o.asTruth(n.Right)
		decides := op == "or" || op == "||"
		for _, v := range []oval{a, b} {
			if v.kind == "truth" && v.b == decides {
				return v
			}
		}
		if w := worst(a, b); w != "" {
			return oval{kind: w}
		}
		return otruth(!decides)
	case "in":
		return o.in(n)
	case "matches", "contains", "startsWith", "endsWith":
		a, b := o.asText(n.Left), o.asText(n.Right)
		if w := worst(a, b); w != "" {
			return oval{kind: w}
		}
		return otruth(map[string]func() bool{
			"matches":    func() bool { return regexp.MustCompile(b.s).MatchString(a.s) },
			"contains":   func() bool { return strings.Contains(a.s, b.s) },
			"startsWith": func() bool { return strings.HasPrefix(a.s, b.s) },
			"endsWith":   func() bool { return strings.HasSuffix(a.s, b.s) },
		}[op]())
	default:
		return o.compare(op, n.Left, n.Right)
	}
}

func oarithmetic(op string, a, b oval) oval {
	if a.kind == "null" || b.kind == "null" {
		return onull
	}
	if !a.number() || !b.number() {
		if op == "-" && a.kind == b.kind && (a.kind == "time" || a.kind == "clock" || a.kind == "span") {
			return clamp(new(big.Int).Sub(a.i, b.i))
		}
		return owrong
	}
	zero := b.float() == 0
	if (op == "/" || op == "%") && zero {
		return onull
	}
	if a.kind == "int" && b.kind == "int" {
		z := new(big.Int)
		var exact bool
		switch op {
		case "+":
			z.Add(a.i, b.i)
			exact = true
		case "-":
			z.Sub(a.i, b.i)
			exact = true
		case "*":
			z.Mul(a.i, b.i)
			exact = true
		case "%":
			z.Rem(a.i, b.i)
			exact = true
		case "/":
			var rest big.Int
			z.QuoRem(a.i, b.i, &rest)
			exact = rest.Sign() == 0
		}
		if exact && z.IsInt64() {
			return oint(z)
		}
	}
	x, y := a.float(), b.float()
	switch op {
	case "+":
		return ofloat(x + y)
	case "-":
		return ofloat(x - y)
	case "*":
		return ofloat(x * y)
	case "/":
		return ofloat(x / y)
	}
	return ofloat(math.Mod(x, y))
}

func (o *oracle) textual(l, r ast.Node) bool {
	ls, rs := shape(l), shape(r)
	switch {
	case ls == "text" || rs == "text", ls == "literal" && rs == "literal":
		return true
	case ls == "column" && rs == "column":
		return o.isText(l.(*ast.IdentifierNode).Value) || o.isText(r.(*ast.IdentifierNode).Value)
	case ls == "literal" && rs == "column":
		l, r = r, l
	case ls != "column" || rs != "literal":
		return false
	}
	_, moment := literal(r.(*ast.StringNode).Value)
	return !moment || o.isText(l.(*ast.IdentifierNode).Value)
}

func (o *oracle) compare(op string, l, r ast.Node) oval {
	if shape(l) == "truth" || shape(r) == "truth" {
		a, b := o.asTruth(l), o.asTruth(r)
		if w := worst(a, b); w != "" {
			return oval{kind: w}
		}
		return otruth((a.b == b.b) == (op == "=="))
	}
	if o.textual(l, r) {
		a, b := o.asText(l), o.asText(r)
		if w := worst(a, b); w != "" {
			return oval{kind: w}
		}
		return otruth(holds(op, strings.Compare(a.s, b.s)))
	}
	a, b := o.asValue(l), o.asValue(r)
	if w := worst(a, b); w != "" {
		return oval{kind: w}
	}
	order, ordered, ok := ocompare(a, b)
	if !ok {
		return owrong
	}
	if !ordered {
		return otruth(op == "!=")
	}
	return otruth(holds(op, order))
}

func holds(op string, order int) bool {
	return map[string]bool{"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op]
}

// ocompare orders two values; ok is false if they do not compare.
func ocompare(a, b oval) (order int, ordered, ok bool) {
	switch {
	case a.number() && b.number():
		if math.IsNaN(a.f) && a.kind == "float" || math.IsNaN(b.f) && b.kind == "float" {
			return 0, false, true
		}
		return exact(a).Cmp(exact(b)), true, true
	case a.kind != b.kind || a.kind == "text":
		return 0, false, false
	case a.kind == "truth":
		return map[bool]int{true: 1}[a.b] - map[bool]int{true: 1}[b.b], true, true
	}
	return a.i.Cmp(b.i), true, true
}

func exact(v oval) *big.Float {
	f := new(big.Float).SetPrec(2000)
	if v.kind == "int" {
		return f.SetInt(v.i)
	}
	return f.SetFloat64(v.f)
}

func (o *oracle) in(n *ast.BinaryNode) oval {
	items := n.Right.(*ast.ArrayNode).Nodes
	if _, isText := items[0].(*ast.StringNode); isText {
		moments := true
		for _, item := range items {
			_, ok := literal(item.(*ast.StringNode).Value)
			moments = moments && ok
		}
		if col, ok := n.Left.(*ast.IdentifierNode); shape(n.Left) == "text" || ok && (!moments || o.isText(col.Value)) {
			v := o.asText(n.Left)
			if w := worst(v); w != "" {
				return oval{kind: w}
			}
			for _, item := range items {
				if item.(*ast.StringNode).Value == v.s {
					return otruth(true)
				}
			}
			return otruth(false)
		}
	}
	v := o.asValue(n.Left)
	if w := worst(v); w != "" {
		return oval{kind: w}
	}
	for _, item := range items {
		order, ordered, ok := ocompare(v, o.asValue(item))
		if !ok {
			return owrong
		}
		if ordered && order == 0 {
			return otruth(true)
		}
	}
	return otruth(false)
}

func (o *oracle) call(name string, args []ast.Node) oval {
	switch name {
	case "is_null":
		if col, ok := args[0].(*ast.IdentifierNode); ok {
			return otruth(o.text(col.Value).kind == "null")
		}
		v := o.eval(args[0])
		if v.kind == "wrong" {
			return v
		}
		return otruth(v.kind == "null")
	case "lower", "upper", "trim", "len":
		v := o.asText(args[0])
		if w := worst(v); w != "" {
			return oval{kind: w}
		}
		switch name {
		case "lower":
			v.s = strings.ToLower(v.s)
		case "upper":
			v.s = strings.ToUpper(v.s)
		case "trim":
			v.s = strings.TrimSpace(v.s)
		default:
			return oint(big.NewInt(int64(utf8.RuneCountInString(v.s))))
		}
		return v
	case "min", "max":
		v := o.asValue(args[0])
		for _, arg := range args[1:] {
			w := o.asValue(arg)
			if v.kind == "null" || w.kind == "null" {
				v = onull
				continue
			}
			if v.kind == "truth" || w.kind == "truth" {
				v = owrong
				continue
			}
			order, ordered, ok := ocompare(v, w)
			switch {
			case !ok:
				v = owrong
			case !ordered && v.kind == "float" && math.IsNaN(v.f):
			case !ordered, order > 0 == (name == "min"):
				v = w
			}
		}
		return v
	}
	return ofunction(name, o.asValue(args[0]))
}

func ofunction(name string, v oval) oval {
	if v.kind == "null" {
		return v
	}
	switch name {
	case "abs":
		switch v.kind {
		case "int":
			return oint(new(big.Int).Abs(v.i))
		case "float":
			return ofloat(math.Abs(v.f))
		case "span":
			return clamp(new(big.Int).Abs(v.i))
		}
		return owrong
	case "round", "floor", "ceil":
		if v.kind == "float" {
			f := map[string]func(float64) float64{"round": math.Round, "floor": math.Floor, "ceil": math.Ceil}[name](v.f)
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return ofloat(f)
			}
			i, _ := new(big.Float).SetFloat64(f).Int(nil)
			return oint(i)
		}
		if v.kind == "int" {
			return v
		}
		return owrong
	case "days", "hours":
		if v.kind != "span" {
			return owrong
		}
		f, _ := new(big.Float).SetInt(v.i).Float64()
		return ofloat(f / map[string]float64{"days": 86400e9, "hours": 3600e9}[name])
	}
	var t time.Time
	switch {
	case v.kind == "time":
		sec, ns := new(big.Int).DivMod(v.i, big.NewInt(1e9), new(big.Int))
		t = time.Unix(sec.Int64(), ns.Int64()).UTC()
	case v.kind == "clock" && (name == "hour" || name == "minute"):
		t = time.Unix(0, v.i.Int64()).UTC()
	default:
		return owrong
	}
	n := map[string]int{"year": t.Year(), "month": int(t.Month()), "day": t.Day(), "weekday": (int(t.Weekday())+6)%7 + 1, "hour": t.Hour(), "minute": t.Minute()}[name]
	return oint(big.NewInt(int64(n)))
}

// TestOracle compares the evaluator with a naive one that knows the types.
func TestOracle(t *testing.T) {
	t.Parallel()
	trials := 1_500
	if testing.Short() {
		trials = 300
	}
	g := &generator{rand.New(rand.NewPCG(1, 2))}
	compared, ill := 0, 0
	for range trials {
		types := map[string]batch.Type{}
		for name, typ := range columnTypes {
			if g.r.IntN(20) == 0 {
				typ = batch.String
			}
			types[name] = typ
		}
		texts := []string{g.truth(3), g.truth(3), g.truth(2)}
		programs := []*expr.Program{compile1(texts[0]), compile1(texts[1]), compile1(texts[2])}
		for _, p := range programs {
			if p == nil { // compares constants, or too many columns
				programs = nil
				break
			}
		}
		if programs == nil {
			continue
		}
		e := expr.NewEvaluator(programs...)
		for range 2 { // the second chunk reuses memory
			rows := 1 + g.r.IntN(40)
			cells, columns := map[string][]string{}, map[string]*batch.Vector{}
			for name := range columnTypes {
				for range rows {
					cells[name] = append(cells[name], g.cell(types[name]))
				}
				if columns[name] = csvColumn(cells[name]...); g.r.IntN(3) == 0 {
					columns[name] = dictionary(cells[name])
				}
			}
			e.Load(rows, func(name string) *batch.Vector { return columns[name] })
			for k, text := range texts {
				r, problem := e.Resolve(k, func(name string) (batch.Type, bool) { typ, ok := types[name]; return typ, ok })
				if problem != "" {
					ill++
					continue
				}
				tree, err := parser.Parse(text)
				require.NoError(t, err)
				got := e.Truth(k, r)
				require.Len(t, got, rows)
				for i := range rows {
					row := map[string]string{}
					for name := range cells {
						row[name] = cells[name][i]
					}
					want := (&oracle{row, types}).asTruth(tree.Node)
					if got[i] != truthOf(want) {
						require.Equal(t, truthOf(want).String(), got[i].String(), "%s\nover %v\nof %v", text, row, types)
					}
					compared++
				}
				for _, selecting := range []bool{true, false} { // the reduced readings select the same rows
					reduced := programs[k].Readings(selecting)[programs[k].Index(r, selecting)]
					for i, truth := range e.Truth(k, reduced) {
						require.Equal(t, truthOf((&oracle{rowOf(cells, i), types}).asTruth(tree.Node)) == expr.True, truth == expr.True, text)
					}
				}
			}
		}
	}
	require.Greater(t, compared, 20*trials, "rows were compared")
	require.Greater(t, ill, trials/100, "some are ill-typed")
}

func rowOf(cells map[string][]string, i int) map[string]string {
	row := map[string]string{}
	for name := range cells {
		row[name] = cells[name][i]
	}
	return row
}

// compile1 compiles a text that may have mistakes.
func compile1(text string) *expr.Program {
	var errs diag.List
	return expr.Compile(text, at, &errs)
}

func truthOf(v oval) expr.Truth {
	switch {
	case v.kind == "null":
		return expr.Null
	case v.kind == "wrong":
		return expr.Wrong
	case v.b:
		return expr.True
	}
	return expr.False
}
