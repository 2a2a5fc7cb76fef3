package batch

// RecordKind says what a piece of a text input is.
type RecordKind uint8

// The kinds of records.
const (
	// RowRecord is a row.
	RowRecord RecordKind = iota
	// HeaderRecord names the columns.
	HeaderRecord
	// MalformedRecord could not be parsed, and is no row.
	MalformedRecord
	// OtherRecord is a blank line or a comment.
	OtherRecord
)

// Record is a piece of a text input as it is written, its line end included.
// All records of an input of delimited text or of JSON lines, one after the
// other, are that input. Those of a JSON array are its items alone.
type Record struct {
	Kind RecordKind
	// Row is the number of a row in its file, from 1.
	Row int64
	// Text is valid until the function that got it returns.
	Text []byte
	// Reason says what is wrong with a malformed record.
	Reason string
	// More is set for a part of a malformed record whose rest follows.
	More bool
}
