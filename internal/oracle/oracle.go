// Package oracle is a second, naive implementation of the readers and of the
// profile: it reads with the standard library, keeps all rows in memory,
// classifies by regular expressions, strconv and time, and computes every
// statistic of the contract with maps, sorting and math/big. Its tests compare
// the product with it through surfaces that do not change: source.Open, the
// monitor, profile.Merge, Encode and Decode. It shares no code with the product
// on purpose, and imports nothing of it.
package oracle

import (
	"math"
	"strconv"
	"time"
)

// The types of the contract, as words.
const (
	tNull      = "null"
	tBoolean   = "boolean"
	tInteger   = "integer"
	tNumber    = "number"
	tString    = "string"
	tDate      = "date"
	tTime      = "time"
	tTimestamp = "timestamp"
	tBinary    = "binary"
	tList      = "list"
	tStruct    = "struct"
)

// Value is one cell.
type Value struct {
	// Type is the value's own type, "null" for none.
	Type string
	// Text is the source text (CSV, JSON), or the text or the bytes themselves.
	Text string
	// Int is an integer, 0 or 1 of a boolean, the items of a list, or the
	// nanoseconds since midnight of a time.
	Int int64
	// Float is a number.
	Float float64
	// At is a date or a timestamp, in UTC.
	At time.Time
	// Zoned marks a timestamp that names its zone.
	Zoned bool
	// Empty marks a quoted empty field: a text in a column of texts, null in
	// others. Its Type is "string".
	Empty bool
	// Word marks a spelling of NaN or infinity, a number only among numbers.
	Word bool
}

// Table is a batch with everything in memory.
type Table struct {
	Names []string
	Rows  [][]Value
	// Elements are columns with a value for each element of a list.
	Elements []Elements
	// Declared are the types of a format that declares them, else nil.
	Declared []string
	// HasText is set for formats whose values have source texts.
	HasText bool
	// Inferred is set where types come from bare text, so that texts of digits
	// may be codes.
	Inferred bool
	// Malformed and Blank count records and lines that are no rows.
	Malformed, Blank int64
}

// Elements are the values of a column of elements of lists, in their order.
type Elements struct {
	Name, List string
	Declared   string // "null" for none
	Values     []Value
	Rows       []int // of the values, from 0
}

var null = Value{Type: tNull}

// family is the type under which values compare with each other.
func family(typ string) string {
	switch typ {
	case tInteger:
		return tNumber
	case tDate:
		return tTimestamp
	}
	return typ
}

// show returns the canonical text of a value in a column of the given type.
func (v Value) show(column string, zoned bool) string {
	switch {
	case column == tString && v.Text != "", v.Type == tString, v.Type == tBinary:
		return v.Text
	}
	typ := v.Type
	if typ == tDate && column == tTimestamp {
		typ = column
	}
	switch typ {
	case tBoolean:
		return strconv.FormatBool(v.Int != 0)
	case tInteger, tList:
		return strconv.FormatInt(v.Int, 10)
	case tNumber:
		return showFloat(v.Float)
	case tDate:
		return v.At.Format("2006-01-02")
	case tTime:
		return time.Unix(0, v.Int).UTC().Format("15:04:05.999999999")
	case tTimestamp:
		s := v.At.Format("2006-01-02T15:04:05.999999999")
		if zoned {
			s += "Z"
		}
		return s
	}
	return v.Text
}

// showFloat returns the shortest text of a number; plain digits from 1e-6 to
// 1e21. There is one zero.
func showFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	case f == 0:
		return "0"
	}
	if i, ok := integral(f); ok {
		return strconv.FormatInt(i, 10)
	}
	if a := math.Abs(f); a < 1e-6 || a >= 1e21 {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// integral returns the integer that a number is; ok is false for a fraction or
// one beyond 64 bits.
func integral(f float64) (i int64, ok bool) {
	if f != math.Floor(f) || f < -(1<<63) || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// key is the identity of a value under the type of its column: texts for a
// column of texts, meanings for others.
func (v Value) key(column string) string {
	if column == tString || v.Type == tString {
		return "s" + v.show(tString, false)
	}
	switch v.Type {
	case tInteger:
		return "n" + strconv.FormatInt(v.Int, 10)
	case tNumber:
		if i, ok := integral(v.Float); ok {
			return "n" + strconv.FormatInt(i, 10)
		}
		return "n" + strconv.FormatFloat(v.Float, 'g', -1, 64) + "f"
	case tDate, tTimestamp:
		return "t" + v.At.Format(time.RFC3339Nano)
	}
	if v.Type == tBinary {
		return "b" + v.Text
	}
	return v.Type + strconv.FormatInt(v.Int, 10)
}
