// Package batch holds rows on their way from a source to the profile and the
// checks: columns of typed values for a few thousand rows at a time.
//
// Every value carries its own type. A text format (CSV, JSON) cannot know the
// type of a column before the last row was read, so each value is classified
// by itself and the profile decides for the column when all counts are known.
// Formats with declared types (Parquet) give every value the declared type.
package batch

import "fmt"

// Type is the type of one value or of a whole column.
type Type uint8

// The types of contract.md. Null is the zero value: a place without a value.
const (
	Null      Type = iota
	Boolean        // Ints: 0 or 1
	Integer        // Ints: the value
	Number         // Floats: the value, NaN and infinities included
	String         // text
	Date           // Ints: microseconds since 1970-01-01 of its midnight
	Time           // Ints: nanoseconds since midnight
	Timestamp      // Ints: microseconds since 1970-01-01 UTC, Floats: nanoseconds beyond them (0 to 999)
	Duration       // Ints: nanoseconds
	Binary         // bytes
	List           // Ints: number of items
	Struct         // an object that was not taken apart
	TypeCount      // number of types, for arrays indexed by Type
)

var typeNames = [TypeCount]string{
	"null", "boolean", "integer", "number", "string", "date", "time",
	"timestamp", "duration", "binary", "list", "struct",
}

// String returns the name of the type as rules and reports write it.
func (t Type) String() string {
	if t < TypeCount {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// ParseType returns the type with the given name. ok is false for a name that
// is none.
func ParseType(name string) (t Type, ok bool) {
	for i, n := range typeNames {
		if n == name {
			return Type(i), true
		}
	}
	return Null, false
}

// TypeNames returns the names of all types in their order; the caller owns the
// slice.
func TypeNames() []string { return append([]string(nil), typeNames[:]...) }

// Numeric reports whether values of the type are numbers.
func (t Type) Numeric() bool { return t == Integer || t == Number }

// Temporal reports whether values of the type are points or spans in time.
func (t Type) Temporal() bool {
	return t == Date || t == Time || t == Timestamp || t == Duration
}

// Family returns the type under which values compare with each other: integers
// are numbers and dates are timestamps; every other type stands for itself.
func (t Type) Family() Type {
	switch t {
	case Integer:
		return Number
	case Date:
		return Timestamp
	default:
		return t
	}
}
