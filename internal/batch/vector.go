package batch

import "slices"

// Vector holds the values of one column for the rows of one chunk, in one of
// two forms. The plain form has its slices in parallel, one entry a row. The
// dictionary form has one code a row, the place of its value in a plain vector
// of distinct values. At serves both.
//
// The reader that filled it owns the memory and reuses it for the next chunk.
type Vector struct {
	// Types is the type of each value; Null where there is none.
	Types []Type
	// Ints and Floats carry the values as described with the types; an entry
	// without a meaning for its type is 0.
	Ints   []int64
	Floats []float64
	// HasText is set when every value has its source text (CSV, JSON), else
	// only String and Binary values have bytes.
	HasText bool
	// Inferred is set when the types were inferred from bare text (CSV), so
	// that texts of digits may be codes.
	Inferred bool
	// Declared is the type that the format declares for the column, Null where
	// values type themselves.
	Declared Type
	// Dict is set in the dictionary form: row i has the value Codes[i] of Dict,
	// and Types, Ints and Floats are empty. Chunks that follow each other may
	// share a dictionary; it then only grows, and only while the column is
	// filled. No two entries need to differ.
	Dict  *Vector
	Codes []uint32
	// Masked is set for a column whose values must not be shown.
	Masked bool
	// Zoned is set when a value was a timestamp written with an offset.
	Zoned bool
	// Rows is set for a column of elements of lists (Column.List), and is not nil
	// then: the row of each value, as an index in the chunk, ascending. nil is one
	// value in each row. It belongs to whom the values belong to.
	Rows []int32

	data         []byte // arena, or the text of the chunk
	starts, ends []uint32
	borrowed     bool // data belongs to the chunk
}

// Len returns the number of values: that of the rows, or of the elements of the
// lists in them.
func (v *Vector) Len() int {
	if v.Dict != nil {
		return len(v.Codes)
	}
	return len(v.Types)
}

// RowOf returns the row of value i as an index in the chunk.
func (v *Vector) RowOf(i int) int {
	if v.Rows != nil {
		return int(v.Rows[i])
	}
	return i
}

// ElementsOf returns the indexes of the values of some rows, which ascend, in
// the memory of buf. Each row of a column without lists has one.
func (v *Vector) ElementsOf(rows, buf []int32) []int32 {
	if v.Rows == nil {
		return rows
	}
	buf = buf[:0]
	at := 0
	for _, row := range rows {
		n, _ := slices.BinarySearch(v.Rows[at:], row)
		for at += n; at < len(v.Rows) && v.Rows[at] == row; at++ {
			buf = append(buf, int32(at)) //nolint:gosec // an index of a chunk
		}
	}
	return buf
}

// At returns the plain vector and the index in it that hold row i, whatever
// the form of the column.
func (v *Vector) At(i int) (plain *Vector, index int) {
	if v.Dict != nil {
		return v.Dict, int(v.Codes[i])
	}
	return v, i
}

// Bytes returns the text or the bytes of row i of a plain vector: the source
// text if HasText is set, the value of a String or Binary otherwise, nothing
// for other types. The memory is valid until the vector is reset.
func (v *Vector) Bytes(i int) []byte {
	end := v.ends[i]
	return v.data[v.starts[i]:end:end]
}

// Value returns the classified value of row i of a plain vector.
func (v *Vector) Value(i int) Value {
	return Value{Type: v.Types[i], Int: v.Ints[i], Float: v.Floats[i]}
}

// AppendText appends the text of row i of a plain vector as a report shows it:
// the source text, or the canonical text of a typed value.
func (v *Vector) AppendText(b []byte, i int) []byte {
	if v.HasText || v.Types[i] == String || v.Types[i] == Binary {
		return append(b, v.Bytes(i)...)
	}
	return v.Value(i).AppendText(b, v.Zoned)
}

// Reset empties the vector and keeps its memory.
func (v *Vector) Reset() {
	v.Types, v.Ints, v.Floats = v.Types[:0], v.Ints[:0], v.Floats[:0]
	v.starts, v.ends = v.starts[:0], v.ends[:0]
	v.Dict, v.Codes = nil, v.Codes[:0]
	if v.borrowed {
		v.data, v.borrowed = nil, false
	}
	v.data = v.data[:0]
	v.Zoned, v.HasText, v.Inferred, v.Masked, v.Declared, v.Rows = false, false, false, false, Null, nil
}

// Memory is what a vector holds its values in, lent to one vector after the other
// so that it stays in the cache. The zero value is none.
type Memory struct {
	types               []Type
	ints                []int64
	floats              []float64
	starts, ends, codes []uint32
}

// Return takes the memory of a vector back into m. The vector loses its values,
// but keeps the rows of its elements.
func (v *Vector) Return(m *Memory) {
	*m = Memory{v.Types[:0], v.Ints[:0], v.Floats[:0], v.starts[:0], v.ends[:0], v.Codes[:0]}
	v.use(&Memory{})
	v.Dict = nil
}

func (v *Vector) use(m *Memory) {
	v.Types, v.Ints, v.Floats = m.types, m.ints, m.floats
	v.starts, v.ends, v.Codes = m.starts, m.ends, m.codes
}

// Append adds a value with its text to a plain vector; text is copied. Formats
// with declared types pass no text but for strings and bytes.
func (v *Vector) Append(val Value, text []byte) {
	v.starts = append(v.starts, uint32(len(v.data))) //nolint:gosec // a chunk is far below 4 GiB
	v.data = append(v.data, text...)
	v.ends = append(v.ends, uint32(len(v.data))) //nolint:gosec // see above
	v.Types = append(v.Types, val.Type)
	v.Ints = append(v.Ints, val.Int)
	v.Floats = append(v.Floats, val.Float)
	v.Zoned = v.Zoned || val.Zoned
}

// AppendNull adds a place without a value to a plain vector.
func (v *Vector) AppendNull() { v.Append(Value{}, nil) }

// PadTo adds nulls to a plain vector until it has n rows.
func (v *Vector) PadTo(n int) {
	for v.Len() < n {
		v.AppendNull()
	}
}

// Extend adds n rows to a plain vector and returns their slices, all zero and
// without text.
func (v *Vector) Extend(n int) (types []Type, ints []int64, floats []float64) {
	at := len(v.Types)
	v.Types, v.Ints, v.Floats = extend(v.Types, n), extend(v.Ints, n), extend(v.Floats, n)
	v.starts, v.ends = extend(v.starts, n), extend(v.ends, n)
	return v.Types[at:], v.Ints[at:], v.Floats[at:]
}

func extend[T any](s []T, n int) []T {
	at := len(s)
	s = slices.Grow(s, n)[:at+n]
	clear(s[at:])
	return s
}

// nothing is the dictionary of columns without any value.
var nothing = func() *Vector {
	v := &Vector{}
	v.AppendNull()
	return v
}()

// SetNull makes the vector n places without a value.
func (v *Vector) SetNull(n int) {
	v.Reset()
	v.Dict = nothing
	v.Codes = resize(v.Codes, n)
	clear(v.Codes)
}

// From returns the rows of a plain vector from i on. It shares the memory of v,
// which must not be reset meanwhile.
func (v *Vector) From(i int) *Vector {
	w := *v
	w.Types, w.Ints, w.Floats, w.starts, w.ends = v.Types[i:], v.Ints[i:], v.Floats[i:], v.starts[i:], v.ends[i:]
	return &w
}

// Size returns the bytes of text that the vector holds itself.
func (v *Vector) Size() int { return len(v.data) }

// Truncate drops the rows from n on.
func (v *Vector) Truncate(n int) {
	if v.Rows != nil {
		n, _ = slices.BinarySearch(v.Rows, int32(n)) //nolint:gosec // rows of a chunk
		v.Rows = v.Rows[:n:n]
	}
	switch {
	case n >= v.Len():
	case v.Dict != nil:
		v.Codes = v.Codes[:n]
	default:
		v.cut(n)
	}
}

func (v *Vector) cut(n int) {
	v.Types, v.Ints, v.Floats, v.starts, v.ends = v.Types[:n], v.Ints[:n], v.Floats[:n], v.starts[:n], v.ends[:n]
}

// Select keeps the rows with the given indexes, which ascend.
func (v *Vector) Select(rows []int32) {
	if v.Rows != nil {
		v.Rows, rows = v.selectRows(rows)
	}
	if v.Dict != nil {
		for to, from := range rows {
			v.Codes[to] = v.Codes[from]
		}
		v.Codes = v.Codes[:len(rows)]
		return
	}
	for to, from := range rows {
		v.Types[to], v.Ints[to], v.Floats[to] = v.Types[from], v.Ints[from], v.Floats[from]
		v.starts[to], v.ends[to] = v.starts[from], v.ends[from]
	}
	v.cut(len(rows))
}

// resize returns a slice of n elements of any content, reusing the memory of
// s.
func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]T, n, n+n/4)
}

// selectRows returns the rows of the elements of some rows, numbered anew, and
// the indexes of those elements. The memory is new, as others may share v.Rows.
func (v *Vector) selectRows(rows []int32) (of, elements []int32) {
	elements = v.ElementsOf(rows, nil)
	of = make([]int32, len(elements))
	at := 0
	for i, e := range elements {
		for rows[at] != v.Rows[e] {
			at++
		}
		of[i] = int32(at) //nolint:gosec // an index of a chunk
	}
	return of, elements
}

// AppendRows appends some rows of another vector to an empty one.
func (v *Vector) AppendRows(from *Vector, rows []int32) {
	if from.Rows != nil {
		v.Rows, rows = from.selectRows(rows)
	}
	plain := from
	if from.Dict != nil {
		plain = from.Dict
	}
	v.HasText, v.Inferred = from.HasText || plain.HasText, from.Inferred || plain.Inferred
	v.Declared = max(from.Declared, plain.Declared)
	zoned := from.Zoned || plain.Zoned
	for _, i := range rows {
		p, j := from.At(int(i))
		value := p.Value(j)
		value.Zoned = zoned && value.Type == Timestamp
		v.Append(value, p.Bytes(j))
	}
}
