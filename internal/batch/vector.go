package batch

// Vector holds the values of one column for the rows of one chunk. Its slices
// run in parallel, one entry a row. The reader that filled it owns the memory
// and reuses it for the next chunk.
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
	// Dict and Codes are the second form of a column: row i has the value
	// Codes[i] of Dict, which is a plain vector of distinct values. Types, Ints
	// and Floats are empty then. Dict is nil in the plain form. At serves both.
	Dict  *Vector
	Codes []uint32
	// Zoned counts the timestamps that were written with an offset.
	Zoned int

	data []byte
	ends []uint32
}

// Len returns the number of rows.
func (v *Vector) Len() int {
	if v.Dict != nil {
		return len(v.Codes)
	}
	return len(v.Types)
}

// At returns the plain vector and the index in it that hold row i, whatever
// the form of the column.
func (v *Vector) At(i int) (plain *Vector, index int) {
	if v.Dict != nil {
		return v.Dict, int(v.Codes[i])
	}
	return v, i
}

// Bytes returns the text or the bytes of row i: the source text if HasText is
// set, the value of a String or Binary otherwise, nothing for other types. The
// memory is valid until the vector is reset.
func (v *Vector) Bytes(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = v.ends[i-1]
	}
	return v.data[start:v.ends[i]:v.ends[i]]
}

// Value returns the classified value of row i.
func (v *Vector) Value(i int) Value {
	return Value{Type: v.Types[i], Int: v.Ints[i], Float: v.Floats[i]}
}

// AppendText appends the text of row i as a report shows it: the source text,
// or the canonical text of a typed value.
func (v *Vector) AppendText(b []byte, i int) []byte {
	if v.HasText || v.Types[i] == String || v.Types[i] == Binary {
		return append(b, v.Bytes(i)...)
	}
	return v.Value(i).AppendText(b, v.Zoned > 0)
}

// Reset empties the vector and keeps its memory.
func (v *Vector) Reset() {
	v.Types, v.Ints, v.Floats = v.Types[:0], v.Ints[:0], v.Floats[:0]
	v.data, v.ends = v.data[:0], v.ends[:0]
	v.Zoned = 0
	v.HasText, v.Inferred, v.Declared = false, false, Null
}

// Append adds a value with its text; text is copied. Formats with declared
// types pass no text but for strings and bytes.
func (v *Vector) Append(val Value, text []byte) {
	v.Types = append(v.Types, val.Type)
	v.Ints = append(v.Ints, val.Int)
	v.Floats = append(v.Floats, val.Float)
	v.data = append(v.data, text...)
	v.ends = append(v.ends, uint32(len(v.data))) //nolint:gosec // a chunk is far below 4 GiB
	if val.Zoned {
		v.Zoned++
	}
}

// AppendNull adds a place without a value.
func (v *Vector) AppendNull() { v.Append(Value{}, nil) }

// PadTo adds nulls until the vector has n rows.
func (v *Vector) PadTo(n int) {
	for v.Len() < n {
		v.AppendNull()
	}
}

// Size returns the bytes of text that the vector holds.
func (v *Vector) Size() int { return len(v.data) }

// Truncate drops the rows from n on.
func (v *Vector) Truncate(n int) {
	if n >= v.Len() {
		return
	}
	v.Types, v.Ints, v.Floats, v.ends = v.Types[:n], v.Ints[:n], v.Floats[:n], v.ends[:n]
}
