package batch

import "slices"

// Raw is the text of a run of rows and where its fields stand: what a scanner
// of a text format finds before anything is classified.
type Raw struct {
	// Text holds the fields. Behind its length are at least RawSpare bytes of
	// capacity, of any content, so that fields can be read by words.
	Text []byte
	// Fields are those of column c from c*Stride on, one for each of the Rows
	// rows.
	Fields []Field
	Stride int
	Rows   int
	// Lists are the rows of the elements of lists, by the number of the list from
	// 0. Not nil where the list is there.
	Lists [][]int32
	// Elements are the fields of columns of elements of lists, by column. A column
	// that is not among them is one of the rows.
	Elements []Elements
	// Encoders fill the columns.
	Encoders []*Encoder
}

// Fill sets v to the rows of a column; it makes a Raw the Filler of its chunk.
// The error is always nil.
func (r *Raw) Fill(_ *Chunk, column int, v *Vector) error {
	r.Encoders[column].Fill(r, column, v)
	return nil
}

// FillRows sets v to some rows of a column. The error is always nil.
func (r *Raw) FillRows(_ *Chunk, column int, rows []int32, v *Vector) error {
	r.Encoders[column].fillRows(r, column, rows, v)
	return nil
}

// Elements are the fields of a column of elements of lists.
type Elements struct {
	// List is the number of the list + 1; 0 is a column of the rows.
	List int
	// Fields has one for each element at most; those that are missing have no
	// value.
	Fields []Field
}

// elements returns the fields of a column of elements and the rows of these; ok
// is false for a column of the rows.
func (r *Raw) elements(column int) (fields []Field, rows []int32, ok bool) {
	if column >= len(r.Elements) || r.Elements[column].List == 0 {
		return nil, nil, false
	}
	e := &r.Elements[column]
	rows = r.Lists[e.List-1]
	if at := len(e.Fields); at < len(rows) {
		e.Fields = slices.Grow(e.Fields, len(rows)-at)[:len(rows)]
		clear(e.Fields[at:])
	}
	return e.Fields, rows, true
}

// FillNulls sets v to nulls for the elements of the list that a column is of. The
// error is always nil.
func (r *Raw) FillNulls(_ *Chunk, column int, v *Vector) error {
	rows := r.Lists[r.Elements[column].List-1]
	v.SetNull(len(rows))
	v.Rows = rows
	return nil
}

var (
	_ ListFiller = (*Raw)(nil)
	_ RowFiller  = (*Raw)(nil)
)

// RawSpare is how many readable bytes must follow a Raw's text.
const RawSpare = 32

// Field is where the text of a field stands and how it is written: the start
// in the low 32 bits, then 28 bits of length, then 4 bits of Form. The zero
// value is a field without a value.
type Field uint64

// Form says how a field is written.
type Form uint8

// The forms of fields.
const (
	// FormBare is a text that may be anything; an empty one is null.
	FormBare Form = iota
	// FormQuoted is a text in quotes that may be anything, or the empty string.
	FormQuoted
	// FormString is a text that is no number: a string of JSON.
	FormString
	// FormNumber is a number of JSON.
	FormNumber
	// FormWord is true or false of JSON.
	FormWord
	// FormArray is an array of JSON.
	FormArray
	// FormObject is an object of JSON that was not taken apart.
	FormObject
)

const fieldSizeBits = 28

// MaxField is the longest field in bytes.
const MaxField = 1<<fieldSizeBits - 1

// NewField returns the field of text[start:end] in the given form.
func NewField(start, end int, form Form) Field {
	return Field(uint64(uint32(start)) | uint64(uint32(end-start)|uint32(form)<<fieldSizeBits)<<32) //nolint:gosec // records are limited to 16 MiB
}

// Span returns where the field begins and ends in the text.
func (f Field) Span() (start, end int) {
	start, size, _ := f.parts()
	return start, start + int(size)
}

// Form returns how the field is written.
func (f Field) Form() Form { return Form(f >> (32 + fieldSizeBits)) } //nolint:gosec // 4 bits

func (f Field) parts() (start int, size uint32, form Form) {
	meta := uint32(f >> 32)
	return int(uint32(f)), meta & MaxField, Form(meta >> fieldSizeBits) //nolint:gosec // the low half
}

// Encoder fills a column of a text format from its fields. As long as its
// distinct fields are few it keeps them in a dictionary, so that a field that
// was met before costs one look-up by its bytes: it is neither classified nor
// hashed again. The zero value is not ready; see NewEncoder.
type Encoder struct {
	opts     EncoderOptions
	classify Classifier
	dict     *Vector
	slots    []slot
	metas    []uint32 // lengths and forms of the entries
	shift    uint
	seed     uint64 // of their hashes
	width    width  // of the fields that were met
	rows     int    // fields met with the dictionary
	off      bool
	last     Type    // of the values, once the dictionary is off
	picked   []Field // of the rows that are filled, if those are not all
}

// EncoderOptions say how fields are read.
type EncoderOptions struct {
	// Inferred is set for formats whose bare text may be anything.
	Inferred bool
	// Nulls are bare texts that mean null.
	Nulls map[string]bool
	// Limit is how many distinct fields the dictionary holds; 0 is none.
	Limit int
}

// dictText is how many bytes of text a dictionary holds at most.
const dictText = 4 << 20

// DictLimit returns how many distinct values a column's dictionary should hold
// in a table of the given width.
func DictLimit(columns int) int {
	switch {
	case columns > 500:
		return 1024
	case columns > 64:
		return 4096
	}
	return 16_384
}

// NewEncoder returns an encoder of one column.
func NewEncoder(opts EncoderOptions) *Encoder {
	return &Encoder{opts: opts, off: opts.Limit == 0}
}

// Fill sets v to the rows of a column of raw text. v refers to the text: it is
// valid as long as that.
func (e *Encoder) Fill(raw *Raw, column int, v *Vector) { e.fillRows(raw, column, nil, v) }

// fillRows is Fill for the rows with the given indexes, which ascend; nil is all.
// The fields of the others are not looked at.
func (e *Encoder) fillRows(raw *Raw, column int, rows []int32, v *Vector) {
	fields, of, ok := raw.elements(column)
	if ok {
		v.Rows = of
	} else {
		fields = raw.Fields[column*raw.Stride:][:raw.Rows]
	}
	if rows != nil {
		if ok {
			v.Rows, rows = v.selectRows(rows)
		}
		e.picked = resize(e.picked, len(rows))
		for to, from := range rows {
			e.picked[to] = fields[from]
		}
		fields = e.picked
	}
	if !e.off {
		e.encode(raw.Text, fields, v)
		return
	}
	v.HasText, v.Inferred = true, e.opts.Inferred
	v.data, v.borrowed = raw.Text, true
	e.fill(raw.Text, fields, v)
}

// value classifies a field.
func (e *Encoder) value(text []byte, form Form) Value {
	switch form {
	case FormBare:
		if len(text) == 0 || e.opts.Nulls != nil && e.opts.Nulls[string(text)] {
			return Value{}
		}
		return e.classify.Text(text)
	case FormQuoted:
		return e.classify.Text(text)
	case FormString:
		return e.classify.Quoted(text)
	case FormNumber:
		return e.classify.NumberLiteral(text)
	case FormWord:
		return Value{Type: Boolean, Int: int64(len(text)&1 ^ 1)} // true has four letters, false five
	case FormArray:
		return Value{Type: List, Int: countItems(text)}
	default:
		return Value{Type: Struct}
	}
}

// countItems counts the items of a valid JSON array.
func countItems(b []byte) int64 {
	depth, quoted, n, empty := 0, false, int64(0), true
	for i := 0; i < len(b); i++ {
		ch := b[i]
		switch {
		case quoted:
			switch ch {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		case ch == '"':
			quoted, empty = true, false
		case ch == '[' || ch == '{':
			empty = empty && depth == 0
			depth++
		case ch == ']' || ch == '}':
			depth--
		case ch == ',':
			if depth == 1 {
				n++
			}
		case ch > ' ':
			empty = false
		}
	}
	if empty {
		return 0
	}
	return n + 1
}

// judge gives the dictionary up when it is too large, or when most fields turn
// out to be new, so that it does not pay.
func (e *Encoder) judge(added, rows int) {
	n := len(e.dict.Types)
	if n > e.opts.Limit || len(e.dict.data) > dictText || n > 4096 && 2*added > rows || n > 768 && 8*n > 7*e.rows {
		e.off, e.slots, e.metas, e.dict = true, nil, nil, nil
	}
}
