package translate

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// words of expressions that are no columns there.
var words = map[string]bool{
	"and": true, "or": true, "not": true, "in": true, "matches": true, "contains": true, "startsWith": true, "endsWith": true, "true": true, "false": true, "nil": true, "let": true, "if": true, "else": true,
}

// Name returns a column as an expression names it.
func Name(column string) string {
	if identifier.MatchString(column) && !words[column] {
		return column
	}
	return "col(" + strconv.Quote(column) + ")"
}

// sqlToken is a token of a condition: a word, a number, a text, or a sign.
var sqlToken = regexp.MustCompile(`^(?:\s+|('(?:[^']|'')*')|("(?:[^"]|"")*"|` + "`[^`]*`" + `)|([0-9]+(?:\.[0-9]+)?)|([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)|(<>|!=|<=|>=|==|[=<>+\-*/%(),]))`)

// Condition translates a condition of SQL into an expression: comparisons, AND,
// OR, NOT, IS NULL, IN, BETWEEN, arithmetic and a few functions. Everything else
// is an error in words.
func Condition(sql string) (string, error) {
	p := &conditionParser{}
	for rest := sql; rest != ""; {
		m := sqlToken.FindStringSubmatch(rest)
		if m == nil {
			return "", fmt.Errorf("the condition has %q, which has no counterpart in expressions", firstRune(rest))
		}
		rest = rest[len(m[0]):]
		switch {
		case m[1] != "":
			p.tokens = append(p.tokens, token{text: strings.ReplaceAll(m[1][1:len(m[1])-1], "''", "'"), kind: sqlText})
		case m[2] != "":
			p.tokens = append(p.tokens, token{text: m[2][1 : len(m[2])-1], kind: sqlName})
		case m[3] != "":
			p.tokens = append(p.tokens, token{text: m[3], kind: sqlNumber})
		case m[4] != "":
			p.tokens = append(p.tokens, token{text: m[4], kind: sqlWord})
		case m[5] != "":
			p.tokens = append(p.tokens, token{text: m[5], kind: sqlSign})
		}
	}
	out, err := p.or()
	if err == nil && p.at < len(p.tokens) {
		err = p.unexpected()
	}
	return out, err
}

func firstRune(s string) string { return string([]rune(s)[0]) }

type tokenKind uint8

const (
	sqlText tokenKind = iota
	sqlName
	sqlNumber
	sqlWord
	sqlSign
)

type token struct {
	text string
	kind tokenKind
}

// conditionParser descends by the precedence of SQL.
type conditionParser struct {
	tokens []token
	at     int
	depth  int
}

func (p *conditionParser) unexpected() error {
	if p.at >= len(p.tokens) {
		return errors.New("the condition ends too early")
	}
	return fmt.Errorf("the condition has %q, which has no counterpart in expressions", p.tokens[p.at].text)
}

// word takes a keyword.
func (p *conditionParser) word(w string) bool {
	if p.at < len(p.tokens) && p.tokens[p.at].kind == sqlWord && strings.EqualFold(p.tokens[p.at].text, w) {
		p.at++
		return true
	}
	return false
}

// sign takes one of some signs.
func (p *conditionParser) sign(signs ...string) string {
	if p.at < len(p.tokens) && p.tokens[p.at].kind == sqlSign {
		for _, s := range signs {
			if p.tokens[p.at].text == s {
				p.at++
				return s
			}
		}
	}
	return ""
}

func (p *conditionParser) or() (string, error)  { return p.joined("or", " || ", p.and) }
func (p *conditionParser) and() (string, error) { return p.joined("and", " && ", p.not) }

func (p *conditionParser) joined(word, sign string, part func() (string, error)) (string, error) {
	first, err := part()
	parts := []string{first}
	for err == nil && p.word(word) {
		var next string
		next, err = part()
		parts = append(parts, next)
	}
	return strings.Join(parts, sign), err
}

// deepest is how deep a condition may nest.
const deepest = 50

func (p *conditionParser) not() (string, error) {
	if p.word("not") {
		inner, err := p.not()
		return "!(" + inner + ")", err
	}
	if p.depth++; p.depth > deepest {
		return "", errors.New("the condition nests too deep")
	}
	defer func() { p.depth-- }()
	if p.at < len(p.tokens) && p.tokens[p.at].text == "(" && p.tokens[p.at].kind == sqlSign {
		back := p.at
		p.at++
		if inner, err := p.or(); err == nil && p.sign(")") != "" {
			if p.at >= len(p.tokens) || p.tokens[p.at].text == ")" || p.tokens[p.at].kind == sqlWord && (strings.EqualFold(p.tokens[p.at].text, "and") || strings.EqualFold(p.tokens[p.at].text, "or")) {
				return "(" + inner + ")", nil
			}
		}
		p.at = back // the bracket is around a number
	}
	return p.comparison()
}

func (p *conditionParser) comparison() (string, error) {
	left, err := p.sum()
	if err != nil {
		return "", err
	}
	if p.word("is") {
		negated := p.word("not")
		if !p.word("null") {
			return "", p.unexpected()
		}
		if negated {
			return "!is_null(" + left + ")", nil
		}
		return "is_null(" + left + ")", nil
	}
	negated := p.word("not")
	switch {
	case p.word("in"):
		return p.list(left, negated)
	case p.word("between"):
		lo, err := p.sum()
		if err != nil {
			return "", err
		}
		if !p.word("and") {
			return "", p.unexpected()
		}
		hi, err := p.sum()
		text := "(" + left + " >= " + lo + " && " + left + " <= " + hi + ")"
		if negated {
			text = "!" + text
		}
		return text, err
	case negated:
		return "", p.unexpected()
	}
	op := p.sign("<>", "!=", "<=", ">=", "==", "=", "<", ">")
	if op == "" {
		return left, nil // a column of booleans
	}
	right, err := p.sum()
	return left + " " + map[string]string{"<>": "!=", "=": "=="}[op] + map[bool]string{true: op}[op != "<>" && op != "="] + " " + right, err
}

func (p *conditionParser) list(left string, negated bool) (string, error) {
	if p.sign("(") == "" {
		return "", p.unexpected()
	}
	var items []string
	for {
		item, err := p.operand()
		if err != nil {
			return "", err
		}
		items = append(items, item)
		if p.sign(",") == "" {
			break
		}
	}
	if p.sign(")") == "" {
		return "", p.unexpected()
	}
	word := " in "
	if negated {
		word = " not in "
	}
	return left + word + "[" + strings.Join(items, ", ") + "]", nil
}

func (p *conditionParser) sum() (string, error) {
	text, err := p.operand()
	for err == nil {
		op := p.sign("+", "-", "*", "/", "%")
		if op == "" {
			break
		}
		var next string
		next, err = p.operand()
		text += " " + op + " " + next
	}
	return text, err
}

// functions are those that have the same meaning.
var functions = map[string]string{"lower": "lower", "upper": "upper", "trim": "trim", "abs": "abs", "round": "round", "floor": "floor", "ceil": "ceil", "ceiling": "ceil", "length": "len", "len": "len", "char_length": "len"}

func (p *conditionParser) operand() (string, error) {
	if p.at >= len(p.tokens) {
		return "", p.unexpected()
	}
	t := p.tokens[p.at]
	p.at++
	switch {
	case t.kind == sqlText:
		return strconv.Quote(t.text), nil
	case t.kind == sqlName:
		return Name(t.text), nil
	case t.kind == sqlNumber:
		return t.text, nil
	case t.kind == sqlSign && t.text == "-":
		inner, err := p.operand()
		return "-" + inner, err
	case t.kind == sqlSign && t.text == "(":
		if p.depth++; p.depth > deepest {
			return "", errors.New("the condition nests too deep")
		}
		defer func() { p.depth-- }()
		inner, err := p.sum()
		if err == nil && p.sign(")") == "" {
			err = p.unexpected()
		}
		return "(" + inner + ")", err
	case t.kind == sqlWord:
		return p.named(t)
	}
	p.at--
	return "", p.unexpected()
}

// named reads what begins with a word: true, false, a function or a column.
func (p *conditionParser) named(t token) (string, error) {
	lower := strings.ToLower(t.text)
	if lower == "true" || lower == "false" {
		return lower, nil
	}
	if p.sign("(") == "" {
		for _, w := range []string{"and", "or", "not", "is", "in", "between", "like", "case", "when", "null", "exists", "select", "interval", "date", "timestamp"} {
			if lower == w {
				p.at--
				return "", p.unexpected()
			}
		}
		return Name(t.text), nil
	}
	f, ok := functions[lower]
	if !ok {
		return "", fmt.Errorf("the function %s has no counterpart in expressions", t.text)
	}
	inner, err := p.sum()
	if err == nil && p.sign(")") == "" {
		err = p.unexpected()
	}
	return f + "(" + inner + ")", err
}
