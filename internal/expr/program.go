package expr

import (
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
)

// Bounds of an expression, so that no text can make it slow or deep.
const (
	maxText  = 16 << 10 // bytes
	maxNodes = 2_000
	// maxVariable is how many columns of an expression may have more than one
	// plausible reading: each doubles the number of readings.
	maxVariable = 10
)

// Codes of diagnostics, stable words that are not printed.
const (
	CodeSyntax   = "expression-syntax"
	CodeType     = "expression-type"
	CodeFunction = "expression-function"
)

// Truth is the value of a condition in one row.
type Truth uint8

// The values of a condition. Null is unknown: an operand is null. Wrong is the
// value of a condition over a value that is not of the type that it needs; it
// counts as false, also below a negation.
const (
	False Truth = iota
	True
	Null
	Wrong
)

// String returns the name of the value.
func (t Truth) String() string { return [...]string{"false", "true", "null", "wrong"}[t&3] }

// Reading says how the columns of a program whose type is not known yet are
// read: bit i is set if the i-th of them is a column of texts.
type Reading uint16

// Program is a compiled condition. It is immutable and may be used by several
// goroutines at once.
type Program struct {
	text    string
	root    *node
	columns []string
	// variable are the columns, as indexes, that have two plausible readings.
	variable []int
	// selecting are the indexes in variable of those whose reading matters
	// where only the rows count in which the condition is true.
	selecting Reading
}

// Compile reads a condition. at returns the place in the file of the byte at
// an offset of text. After a mistake, which is reported, it returns nil.
func Compile(text string, at func(offset int) diag.Position, errs *diag.List) *Program {
	c := &compiler{text: text, at: at}
	p := c.program()
	errs.Add(c.errs.Sorted()...)
	return p
}

// Text returns the source of the program.
func (p *Program) Text() string { return p.text }

// Columns returns the names of the columns that the program reads, in the
// order in which they first occur; the caller must not change it.
func (p *Program) Columns() []string { return p.columns }

// Readings returns the plausible readings. With selecting those are left out
// that select the same rows as another one: the rows in which the condition is
// true.
func (p *Program) Readings(selecting bool) []Reading {
	mask := Reading(1)<<len(p.variable) - 1
	if selecting {
		mask = p.selecting
	}
	var out []Reading
	for r := Reading(0); ; r = (r - mask) & mask { // all subsets of mask, ascending
		out = append(out, r)
		if r == mask {
			return out
		}
	}
}

// Index returns the place of a reading among Readings(selecting).
func (p *Program) Index(r Reading, selecting bool) int {
	if selecting {
		r &= p.selecting
	}
	return slices.Index(p.Readings(selecting), r)
}

// ColumnType is what is known about a column at its end.
type ColumnType struct {
	Type batch.Type
	// Inferred is set if the types of its values were inferred from bare text,
	// as in CSV, and HasText if its values have source texts.
	Inferred, HasText bool
}

// Resolve returns the reading of the program for columns of the given types.
// problem says why the expression is ill-typed for them, in words, and is ""
// otherwise. A column that types does not know, and one of type Null, suits
// every place.
func (p *Program) Resolve(types func(column string) (ColumnType, bool)) (r Reading, problem string) {
	known := make([]ColumnType, len(p.columns))
	for i, name := range p.columns {
		if t, ok := types(name); ok {
			known[i] = t
		}
	}
	for i, c := range p.variable {
		if known[c].isText() {
			r |= 1 << i
		}
	}
	res := &resolver{p: p, types: known}
	res.kind(p.root)
	return r, res.problem
}

func (t ColumnType) isText() bool { return t.Type == batch.String || t.Type == batch.Binary }
