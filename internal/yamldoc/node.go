package yamldoc

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/diag"
)

// Kind says what a node is, as it is written in the file.
type Kind uint8

const (
	// Null is an empty value, "~" or "null" without quotes.
	Null Kind = iota
	// Bool is true or false without quotes. Words like yes, NO or on are Text.
	Bool
	// Int is a whole number such as 12, -3 or 2_000_000.
	Int
	// Float is a number with a fraction or an exponent.
	Float
	// Date is a date such as 2026-03-01, with or without a time of day.
	Date
	// Text is everything else: quoted values, words, and digits with a leading
	// zero such as 010, which are codes rather than numbers.
	Text
	// List is a sequence of nodes.
	List
	// Map is a mapping from keys to nodes.
	Map
)

// String names the kind for messages: "nothing", "a whole number", "a list".
func (k Kind) String() string {
	switch k {
	case Null:
		return "nothing"
	case Bool:
		return "a boolean"
	case Int:
		return "a whole number"
	case Float:
		return "a number"
	case Date:
		return "a date"
	case Text:
		return "a text"
	case List:
		return "a list"
	case Map:
		return "a mapping"
	}
	return "kind " + strconv.Itoa(int(k))
}

type style uint8

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	literal
	folded
)

// Node is one value of a document with its place in the file. A nil *Node
// stands for a value that is absent: its readers return false and report
// nothing. Nodes belong to their document. They may be read concurrently, with a list
// of diagnostics for each reader, but not while Expand runs.
type Node struct {
	src      *source
	pos      diag.Position
	width    int
	offset   int
	shape    Kind // Text for all scalars, else List or Map
	text     string
	style    style
	alias    bool
	items    []*Node
	entries  []Entry
	size     int // nodes below and including this one, aliases followed
	height   int
	expanded bool
	whole    bool // the whole scalar was one variable
	env      bool
	written  string // text before expansion
	broken   bool   // a mistake in it is reported already
}

// Entry is one key of a mapping and its value. Both are never nil.
type Entry struct {
	// Key is the node of the key, always a scalar.
	Key *Node
	// Value is the value; an empty value is a node of kind Null.
	Value *Node
}

// Pos returns where the node starts: the first character of a plain value, the
// opening quote or bracket, the sign of a block scalar, or the "*" of an alias.
// An empty value is at its key. The position of a nil node is unknown.
func (n *Node) Pos() diag.Position {
	if n == nil {
		return diag.Position{}
	}
	return n.pos
}

// Width returns the number of characters that the node takes on its first
// line, for underlining; at least 1. Lists and mappings have 1.
func (n *Node) Width() int {
	if n == nil {
		return 1
	}
	return max(n.width, 1)
}

// Kind returns what the node is by the way it is written. Quoted values are
// Text whatever they contain. A variable without quotes counts as what it
// stands for. A nil node is Null.
func (n *Node) Kind() Kind {
	switch {
	case n == nil:
		return Null
	case n.shape != Text:
		return n.shape
	case n.style != plain:
		return Text
	}
	return plainKind(n.text)
}

// IsNull reports whether the node is absent or an empty value (`not_null:`).
func (n *Node) IsNull() bool { return n.Kind() == Null }

// IsScalar reports whether the node is neither a list nor a mapping. A nil
// node is no scalar.
func (n *Node) IsScalar() bool { return n != nil && n.shape == Text }

// IsDate reports whether the node is a date or a time without quotes.
func (n *Node) IsDate() bool { return n.Kind() == Date }

// IsNumber reports whether the node is a number without quotes.
func (n *Node) IsNumber() bool { k := n.Kind(); return k == Int || k == Float }

// IsPercent reports whether the node is a scalar that ends in a percent sign
// and is read by Percent.
func (n *Node) IsPercent() bool {
	if !n.IsScalar() {
		return false
	}
	_, isPercent, err := parseRatio(n.text)
	return isPercent && err == nil
}

// Quoted reports whether the scalar is written in quotes or as a block ("|",
// ">"). The quotes around a variable count: they are in the file.
func (n *Node) Quoted() bool { return n.IsScalar() && n.style != plain }

// Raw returns the text of a scalar without quotes and with variables replaced,
// but otherwise as written: 010 stays "010" and 1.10 stays "1.10". Lists,
// mappings and nil give the empty string.
func (n *Node) Raw() string {
	if n == nil {
		return ""
	}
	return n.text
}

// Written returns the text of a scalar as it stands in the file, without quotes
// and before variables were replaced. Use it in output when FromEnv is true.
func (n *Node) Written() string {
	if n == nil {
		return ""
	}
	if n.expanded {
		return n.written
	}
	return n.text
}

// FromEnv reports whether any part of the scalar came from a variable that is
// marked as secret, such as ${env:NAME}. Callers mask such values.
func (n *Node) FromEnv() bool { return n != nil && n.env }

// PosAt returns the position in the file of the byte at an offset of Raw, for
// messages about a part of an expression. Where the text does not stand in the
// file character by character (folded lines, replaced variables, aliases), it
// is the node's own position.
func (n *Node) PosAt(offset int) diag.Position {
	if n == nil || n.expanded || n.alias || !n.IsScalar() {
		return n.Pos()
	}
	for offset > 0 && offset < len(n.text) && !utf8.RuneStart(n.text[offset]) {
		offset--
	}
	if at, ok := n.src.inside(n, offset); ok {
		return n.src.positionFrom(n.pos, n.offset, at)
	}
	return n.pos
}

// Diagnostic returns an error at the node, underlining it. Callers set Hint or
// Severity on the result where needed.
func (n *Node) Diagnostic(code, format string, args ...any) diag.Diagnostic {
	return diag.Diagnostic{Pos: n.Pos(), Width: n.Width(), Code: code, Message: fmt.Sprintf(format, args...)}
}

// Errorf appends an error at the node to the list.
func (n *Node) Errorf(errs *diag.List, code, format string, args ...any) {
	errs.Add(n.Diagnostic(code, format, args...))
}

// Describe names the node for messages: `text "abc"`, `number 12`, `a list`.
// Long texts are cut and secret values are shown as they are written.
func (n *Node) Describe() string {
	kind := n.Kind()
	if n != nil && n.env && n.text == "" {
		return "an empty value of " + strconv.Quote(shorten(n.written))
	}
	if n != nil && n.env {
		return "the value of " + strconv.Quote(shorten(n.written))
	}
	switch kind {
	case Bool:
		return n.text
	case Int, Float:
		return "number " + shorten(n.text)
	case Date:
		return "date " + n.text
	case Text:
		return "text " + strconv.Quote(shorten(n.text))
	default:
		return kind.String()
	}
}

// maxShown is the number of characters of a value that a message repeats.
const maxShown = 40

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	return string([]rune(s)[:maxShown]) + "…"
}

// wrong appends a message about a node of the wrong kind, unless the node is
// known to be wrong already.
func (n *Node) wrong(errs *diag.List, expected, hint string) {
	if n.broken {
		return
	}
	d := n.Diagnostic(CodeType, "expected %s, got %s", expected, n.Describe())
	d.Hint = hint
	if hint == "" && n.IsNull() && n.commented() {
		d.Hint = `text after "#" is a comment, quote it if it is the value`
	}
	errs.Add(d)
}

// commented reports whether an empty value is followed by a comment without
// space after its sign, which is probably a value such as #channel.
func (n *Node) commented() bool {
	line := n.src.line(n.offset)
	for i := 1; i+1 < len(line); i++ {
		if line[i] == '#' && line[i-1] == ' ' && line[i+1] != ' ' && line[i+1] != '#' {
			return true
		}
	}
	return false
}
