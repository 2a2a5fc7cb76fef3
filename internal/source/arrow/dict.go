package arrow

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/profilerhq/profiler/internal/batch"
)

// indexes returns how the indexes of a dictionary column are read: checked,
// as a damaged one may be anything.
func indexes(a *array.Dictionary) (func(i int) int, error) {
	n := a.Dictionary().Len()
	at := func(i int, x int64) int {
		if x < 0 || x >= int64(n) {
			panic(&valueError{fmt.Sprintf("row %d has value %d of a dictionary of %d", i+1, x, n)})
		}
		return int(x)
	}
	switch x := a.Indices().(type) {
	case *array.Int8:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil
	case *array.Int16:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil
	case *array.Int32:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil
	case *array.Int64:
		return func(i int) int { return at(i, x.Value(i)) }, nil
	case *array.Uint8:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil
	case *array.Uint16:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil
	case *array.Uint32:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil
	case *array.Uint64:
		return func(i int) int { return at(i, int64(x.Value(i))) }, nil //nolint:gosec // a larger one turns negative
	}
	return nil, &valueError{"its indexes are of no known type"}
}

// bindIndexed reads the values of a dictionary one by one, for dictionaries in
// runs and in other dictionaries.
func (f *field) bindIndexed(a *array.Dictionary) error {
	if err := f.bindPlain(a.Dictionary()); err != nil {
		return err
	}
	index, err := indexes(a)
	if err != nil {
		return err
	}
	f.remap(index)
	if null := f.nullAt; a.NullN() > 0 {
		f.nullAt = func(i int) bool { return a.IsNull(i) || null != nil && null(i) }
	}
	return nil
}

// bindDictionary makes the column one of codes. The entries are made once for
// a dictionary: as long as record batches share it, their chunks share them. A
// dictionary that was extended or replaced gets entries of its own, so that
// what others hold of the old ones never changes.
func (f *field) bindDictionary(a *array.Dictionary) (err error) {
	if err := checkBuffers(a); err != nil {
		return err
	}
	if f.index, err = indexes(a); err != nil {
		return err
	}
	if data := a.Data().Dictionary(); f.dict == nil || data != f.dictionary {
		if err := f.makeDict(a.Dictionary()); err != nil {
			return err
		}
		f.dictionary = data
	}
	f.nullAt = nil
	if a.NullN() > 0 {
		f.nullAt = a.IsNull
	}
	return nil
}

// entry is what makes two values of a dictionary one.
type entry struct {
	typ    batch.Type
	number int64
	float  uint64 // its bits, as NaN does not equal itself and -0 does equal 0
	text   string
}

// makeDict makes the entries of a dictionary: its distinct values and null, as
// the format allows a value to be there twice.
func (f *field) makeDict(values arrow.Array) error {
	if err := f.bindPlain(values); err != nil {
		return err
	}
	defer func() { f.value, f.text = nil, nil }()
	n := values.Len()
	if *f.entries += n - len(f.codes); *f.entries > entryLimit {
		return &valueError{fmt.Sprintf("the dictionaries of all columns have more than %d values", entryLimit)}
	}
	f.dict = &batch.Vector{Declared: f.declared}
	f.codes = make([]uint32, n)
	seen := make(map[entry]uint32, min(n, 1<<12))
	hasNull := false
	for i := range n {
		var val batch.Value
		var text []byte
		switch {
		case f.nullAt != nil && f.nullAt(i):
		case f.value != nil:
			val = f.value(i)
		default:
			val, text = batch.Value{Type: f.declared}, f.text(i)
		}
		e := entry{val.Type, val.Int, math.Float64bits(val.Float), string(text)}
		code, known := seen[e]
		if !known {
			code = uint32(len(seen)) //nolint:gosec // fewer than rows of a batch
			seen[e] = code
			if len(text) > entryBytes-f.dict.Size() {
				return &valueError{fmt.Sprintf("its dictionary has more than %d MiB of text", entryBytes>>20)}
			}
			f.dict.Append(val, text)
		}
		if f.codes[i] = code; val.Type == batch.Null {
			f.null, hasNull = code, true
		}
	}
	if !hasNull {
		f.null = uint32(len(seen)) //nolint:gosec // fewer than rows of a batch
		f.dict.AppendNull()
	}
	return nil
}

// fillCodes appends the codes of rows.
func (f *field) fillCodes(v *batch.Vector, from, to int) error {
	for i := from; i < to; i++ {
		code := f.null
		if !f.isNull(i) {
			code = f.codes[f.index(i)]
		}
		v.Codes = append(v.Codes, code)
		f.texts += len(f.dict.Bytes(int(code)))
		if f.zoned && code != f.null {
			v.Zoned = true
		}
	}
	return nil
}
