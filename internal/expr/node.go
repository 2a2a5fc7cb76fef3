package expr

import (
	"regexp"

	"github.com/profilerhq/profiler/internal/batch"
)

// op is what a node computes.
type op uint8

const (
	opColumn     op = iota // a column by value
	opColumnText           // a column as the text as written
	opColumnLen            // length of a column of texts or lists
	opColumnNull           // is_null of a column
	opConst                // a value
	opConstText            // a text
	opEither               // args[0] by value, args[1] as text if a column is one of texts

	opAdd
	opSub
	opMul
	opDiv
	opMod
	opNeg

	opEq // of values; the six stand in the order of compareOps
	opNe
	opLt
	opLe
	opGt
	opGe
	opTextEq // of texts, likewise
	opTextNe
	opTextLt
	opTextLe
	opTextGt
	opTextGe
	opSameTruth
	opOtherTruth

	opIn
	opTextIn
	opMatches
	opContains
	opStartsWith
	opEndsWith

	opAnd
	opOr
	opNot
	opTruth // a column of booleans as a condition
	opIsNull

	opLen
	opLower
	opUpper
	opTrim

	opAbs
	opRound
	opFloor
	opCeil
	opMin
	opMax

	opYear
	opMonth
	opDay
	opWeekday
	opHour
	opMinute
	opSecond
	opSpan // seconds(x) and its like: a span of time in units of node.unit
)

// class is what is known about the value of a node without types of columns.
type class uint8

const (
	classValue   class = iota // a number, a time or a span: known by its columns
	classNumber               // a number
	classSpan                 // a span of time
	classText                 // a text
	classTruth                // a condition
	classColumn               // a bare column, which its place decides about
	classLiteral              // a bare text literal, likewise
	classList                 // a list of literals
)

var classWords = [...]string{"a value", "a number", "a span of time", "a text", "a condition", "a column", "a text", "a list"}

// node is a part of a compiled expression.
type node struct {
	op     op
	class  class
	args   []*node
	column int         // of opColumn…: index in Program.columns
	value  batch.Value // of opConst
	text   string      // of opConstText, of a literal
	re     *regexp.Regexp
	values map[batch.Identity]bool // of opIn
	texts  map[string]bool         // of opTextIn
	unit   int64                   // of opSpan: nanoseconds; of opRound: digits
	// from and to are the place in the source, in bytes.
	from, to int
	// detail tells nodes of one op with the same args apart: literals, sets,
	// patterns.
	detail string
	// literals of a classList
	literals []*node
}
