package arrow

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/typed"
)

// binding reads the values of one column in one record batch. Exactly one of
// value and text is set, unless the column is of nulls.
type binding struct {
	// parents are the structs around the column; a value in a null struct is
	// null.
	parents []arrow.Array
	// levels are the lists around the column, the outermost first; parents are
	// the structs between the innermost one and the column.
	levels []level
	leaf   arrow.Array
	nullAt func(i int) bool // of the leaf; nil if no value is null
	value  func(i int) batch.Value
	text   func(i int) []byte

	dictionary arrow.ArrayData // that dict was made of
	dict       *batch.Vector
	codes      []uint32 // of the values of the dictionary in dict
	null       uint32   // the code of null
	index      func(i int) int
	texts      int // bytes that the codes of the chunk stand for

	room     int  // bytes of text that the chunk may still take
	elements *int // of lists in the chunk, of all columns
	entries  *int // of dictionaries, of all columns

	decimals typed.Decimals
	buffer   []byte
	clamped  int64 // values that were out of range
	inDay    int64 // dates with a time of day
}

// level is a list around a column.
type level struct {
	parents []arrow.Array // structs between the list before and this one
	list    array.ListLike
	values  int64 // how many there are
}

// bind finds the values of a column in a record batch.
func (f *field) bind(rec arrow.RecordBatch) error {
	f.parents, f.levels = f.parents[:0], f.levels[:0]
	arr := storage(rec.Column(f.path[0]))
	for _, i := range f.path[1:] {
		if err := checkBuffers(arr); err != nil {
			return err
		}
		if len(f.levels) == 0 && int64(arr.Len()) < rec.NumRows() {
			return &valueError{"it has fewer values than there are rows"}
		}
		if i == element {
			l, ok := arr.(array.ListLike)
			if !ok {
				return &valueError{"it is no list"}
			}
			arr = storage(l.ListValues())
			f.levels = append(f.levels, level{slices.Clone(f.parents), l, int64(arr.Len())})
			f.parents = f.parents[:0]
			continue
		}
		if arr.NullN() > 0 {
			f.parents = append(f.parents, arr)
		}
		s, ok := arr.(*array.Struct)
		if !ok {
			return &valueError{"it is no struct"}
		}
		arr = storage(s.Field(i))
	}
	if len(f.levels) == 0 && int64(arr.Len()) < rec.NumRows() {
		return &valueError{"it has fewer values than there are rows"}
	}
	f.leaf, f.nullAt, f.value, f.text, f.index = arr, nil, nil, nil, nil
	if d, ok := arr.(*array.Dictionary); ok {
		return f.bindDictionary(d)
	}
	f.dictionary, f.dict = nil, nil
	return f.bindPlain(arr)
}

// storage returns the values behind an extension type.
func storage(arr arrow.Array) arrow.Array {
	if e, ok := arr.(array.ExtensionArray); ok {
		return e.Storage()
	}
	return arr
}

// checkBuffers makes sure that the nulls and the values of fixed width of an
// array are all there. What is of variable length is checked as it is read.
func checkBuffers(arr arrow.Array) error {
	data := arr.Data()
	end := int64(data.Offset()) + int64(data.Len())
	bits := func(n int) int64 {
		if b := data.Buffers()[n]; b != nil {
			return 8 * int64(b.Len())
		}
		return 0
	}
	typ := data.DataType()
	if data.Len() == 0 || typ.ID() == arrow.NULL {
		return nil
	}
	if data.NullN() > 0 && bits(0) < end {
		return &valueError{"its nulls are not there"}
	}
	width := int64(0)
	switch t := typ.(type) {
	case *arrow.DictionaryType:
		width = int64(t.IndexType.(arrow.FixedWidthDataType).BitWidth())
	case *arrow.StringViewType, *arrow.BinaryViewType:
		width = 128
	case *arrow.FixedSizeListType:
	case arrow.FixedWidthDataType:
		width = int64(t.BitWidth())
	}
	if width < 0 || width > 0 && bits(1)/width < end {
		return &valueError{fmt.Sprintf("it has fewer than %d values", end)}
	}
	return nil
}

// bindPlain sets how single values of an array are read.
func (f *field) bindPlain(arr arrow.Array) error {
	arr = storage(arr)
	if err := checkBuffers(arr); err != nil {
		return err
	}
	if arr.NullN() > 0 {
		f.nullAt = arr.IsNull
	}
	switch a := arr.(type) {
	case *array.Null:
		f.nullAt = func(int) bool { return true }
	case *array.Boolean:
		f.value = func(i int) batch.Value { return boolean(a.Value(i)) }
	case *array.FixedSizeBinary:
		f.text = a.Value
		if f.as == asUUID {
			f.text = func(i int) []byte { f.buffer = typed.AppendUUID(f.buffer[:0], a.Value(i)); return f.buffer }
		}
	case *array.Dictionary:
		return f.bindIndexed(a)
	case *array.RunEndEncoded:
		return f.bindRuns(a)
	case array.Union:
		return f.bindUnion(a)
	case *array.Struct, *array.MonthInterval, *array.DayTimeInterval, *array.MonthDayNanoInterval:
		f.value = func(int) batch.Value { return batch.Value{Type: batch.Struct} }
	case array.ListLike:
		f.value = func(i int) batch.Value {
			from, to := a.ValueOffsets(i)
			if from < 0 || to < from {
				panic(&valueError{"the length of a list is negative"})
			}
			return batch.Value{Type: batch.List, Int: to - from}
		}
	default:
		if f.bindText(arr) || f.bindNumber(arr) || f.bindTime(arr) {
			return nil
		}
		return &valueError{fmt.Sprintf("its type %s cannot be read", arr.DataType())}
	}
	return nil
}

func boolean(b bool) batch.Value {
	if b {
		return batch.Value{Type: batch.Boolean, Int: 1}
	}
	return batch.Value{Type: batch.Boolean}
}

// bindText sets how texts and bytes are read. They are slices of the memory of
// the record batch.
func (f *field) bindText(arr arrow.Array) bool {
	switch a := arr.(type) {
	case *array.String:
		f.text = func(i int) []byte { f.buffer = append(f.buffer[:0], a.Value(i)...); return f.buffer }
	case *array.LargeString:
		f.text = func(i int) []byte { f.buffer = append(f.buffer[:0], a.Value(i)...); return f.buffer }
	case *array.StringView:
		f.text = func(i int) []byte { f.buffer = append(f.buffer[:0], a.Value(i)...); return f.buffer }
	case *array.Binary:
		f.text = a.Value
	case *array.LargeBinary:
		f.text = a.Value
	case *array.BinaryView:
		f.text = a.Value
	default:
		return false
	}
	return true
}

// integers returns how integers are read.
func integers[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](values []T) func(int) batch.Value {
	return func(i int) batch.Value { return batch.Value{Type: batch.Integer, Int: int64(values[i])} }
}

func number(x float64) batch.Value { return batch.Value{Type: batch.Number, Float: x} }

func (f *field) bindNumber(arr arrow.Array) bool {
	switch a := arr.(type) {
	case *array.Int8:
		f.value = integers(a.Int8Values())
		if f.as == asBool8 {
			f.value = func(i int) batch.Value { return boolean(a.Value(i) != 0) }
		}
	case *array.Int16:
		f.value = integers(a.Int16Values())
	case *array.Int32:
		f.value = integers(a.Int32Values())
	case *array.Int64:
		f.value = integers(a.Int64Values())
	case *array.Uint8:
		f.value = integers(a.Uint8Values())
	case *array.Uint16:
		f.value = integers(a.Uint16Values())
	case *array.Uint32:
		f.value = integers(a.Uint32Values())
	case *array.Uint64:
		f.value = func(i int) batch.Value {
			if u := a.Value(i); u > math.MaxInt64 {
				return number(float64(u))
			}
			return batch.Value{Type: batch.Integer, Int: int64(a.Value(i))} //nolint:gosec // it fits
		}
	case *array.Float16:
		f.value = func(i int) batch.Value { return number(typed.Half(a.Value(i).Uint16())) }
	case *array.Float32:
		f.value = func(i int) batch.Value { return number(float64(a.Value(i))) }
	case *array.Float64:
		f.value = func(i int) batch.Value { return number(a.Value(i)) }
	default:
		return f.bindDecimal(arr)
	}
	return true
}

func (f *field) bindDecimal(arr arrow.Array) bool {
	t, ok := arr.DataType().(arrow.DecimalType)
	if !ok {
		return false
	}
	scale := int(t.GetScale())
	switch a := arr.(type) {
	case *array.Decimal32:
		f.value = func(i int) batch.Value { return number(f.decimals.Int(int64(a.Value(i)), scale)) }
	case *array.Decimal64:
		f.value = func(i int) batch.Value { return number(f.decimals.Int(int64(a.Value(i)), scale)) }
	case *array.Decimal128:
		f.value = func(i int) batch.Value {
			n := a.Value(i)
			return f.wide(scale, uint64(n.HighBits()), n.LowBits()) //nolint:gosec // two's complement
		}
	case *array.Decimal256:
		f.value = func(i int) batch.Value {
			n := a.Value(i).Array()
			return f.wide(scale, n[3], n[2], n[1], n[0])
		}
	default:
		return false
	}
	return true
}

// wide converts a decimal of several words in two's complement, highest first.
func (f *field) wide(scale int, words ...uint64) batch.Value {
	f.buffer = f.buffer[:0]
	for _, w := range words {
		f.buffer = binary.BigEndian.AppendUint64(f.buffer, w)
	}
	return number(f.decimals.Bytes(f.buffer, scale))
}

const (
	microsPerDay = 86_400_000_000
	millisPerDay = 86_400_000
)

// times is typed.Times, and counts what is out of range.
func (f *field) times(n, unit int64) int64 {
	t, exact := typed.Times(n, unit)
	if !exact {
		f.clamped++
	}
	return t
}

func (f *field) bindTime(arr arrow.Array) bool {
	switch a := arr.(type) {
	case *array.Date32:
		f.value = func(i int) batch.Value {
			return batch.Value{Type: batch.Date, Int: f.times(int64(a.Value(i)), microsPerDay)}
		}
	case *array.Date64:
		f.value = func(i int) batch.Value {
			day, rest := int64(a.Value(i))/millisPerDay, int64(a.Value(i))%millisPerDay
			if rest < 0 {
				day--
			}
			if rest != 0 {
				f.inDay++
			}
			return batch.Value{Type: batch.Date, Int: f.times(day, microsPerDay)}
		}
	case *array.Time32:
		unit := nanosOf(a.DataType().(*arrow.Time32Type).Unit)
		f.value = func(i int) batch.Value { return batch.Value{Type: batch.Time, Int: int64(a.Value(i)) * unit} }
	case *array.Time64:
		unit := nanosOf(a.DataType().(*arrow.Time64Type).Unit)
		f.value = func(i int) batch.Value {
			return batch.Value{Type: batch.Time, Int: f.times(int64(a.Value(i)), unit)}
		}
	case *array.Duration:
		unit := nanosOf(a.DataType().(*arrow.DurationType).Unit)
		f.value = func(i int) batch.Value {
			return batch.Value{Type: batch.Duration, Int: f.times(int64(a.Value(i)), unit)}
		}
	case *array.Timestamp:
		unit := nanosOf(a.DataType().(*arrow.TimestampType).Unit)
		f.value = func(i int) batch.Value {
			us, ns, exact := typed.Timestamp(int64(a.Value(i)), unit)
			if !exact {
				f.clamped++
			}
			return batch.Value{Type: batch.Timestamp, Int: us, Float: float64(ns), Zoned: f.zoned}
		}
	default:
		return false
	}
	return true
}

// bindUnion reads the values of a union as structs; one is null if the member
// that it is of is.
func (f *field) bindUnion(a array.Union) error {
	if v, ok := a.(interface{ ValidateFull() error }); ok {
		if err := v.ValidateFull(); err != nil {
			return err
		}
	}
	dense, _ := a.(*array.DenseUnion)
	f.nullAt = func(i int) bool {
		member := a.Field(a.ChildID(i))
		if dense != nil {
			i = int(dense.ValueOffset(i))
		}
		return member.IsNull(i)
	}
	f.value = func(int) batch.Value { return batch.Value{Type: batch.Struct} }
	return nil
}

// bindRuns reads the values of runs. Rows are asked for in their order mostly,
// so the run of the last one is kept.
func (f *field) bindRuns(a *array.RunEndEncoded) error {
	if err := a.ValidateFull(); err != nil {
		return err
	}
	if err := f.bindPlain(a.Values()); err != nil {
		return err
	}
	ends := runEnds(a.RunEndsArr())
	run, offset := 0, a.Offset()
	f.remap(func(i int) int {
		i += offset
		for run > 0 && i < ends(run-1) {
			run--
		}
		for i >= ends(run) {
			run++
		}
		return run
	})
	return nil
}

func runEnds(arr arrow.Array) func(int) int {
	switch a := arr.(type) {
	case *array.Int16:
		return func(i int) int { return int(a.Value(i)) }
	case *array.Int32:
		return func(i int) int { return int(a.Value(i)) }
	case *array.Int64:
		return func(i int) int { return int(a.Value(i)) }
	}
	panic(&valueError{"its runs cannot be read"})
}

// remap makes the binding read value at(i) for row i.
func (f *field) remap(at func(int) int) {
	if null := f.nullAt; null != nil {
		f.nullAt = func(i int) bool { return null(at(i)) }
	}
	if value := f.value; value != nil {
		f.value = func(i int) batch.Value { return value(at(i)) }
	}
	if text := f.text; text != nil {
		f.text = func(i int) []byte { return text(at(i)) }
	}
}

// isNull reports whether row i is null, by itself or in a null struct.
func (f *field) isNull(i int) bool {
	for _, p := range f.parents {
		if p.IsNull(i) {
			return true
		}
	}
	return f.nullAt != nil && f.nullAt(i)
}

// fill appends rows to the vector of the column; at is the first one's index in
// the chunk.
func (f *field) fill(v *batch.Vector, from, to, at int) error {
	if len(f.levels) > 0 {
		for i := from; i < to; i++ {
			if err := f.fillElements(v, 0, i, int32(at+i-from)); err != nil { //nolint:gosec // rows of a chunk
				return err
			}
		}
		return nil
	}
	if f.dict != nil {
		return f.fillCodes(v, from, to)
	}
	return f.fillValues(v, from, to)
}

func (f *field) fillValues(v *batch.Vector, from, to int) error {
	typ := f.declared
	for i := from; i < to; i++ {
		switch {
		case f.isNull(i):
			v.AppendNull()
		case f.value != nil:
			v.Append(f.value(i), nil)
		default:
			b := f.text(i)
			if f.room -= len(b); f.room < 0 {
				return &valueError{"a few rows have more than 1 GiB of text"}
			}
			v.Append(batch.Value{Type: typ}, b)
		}
	}
	return nil
}

// elementLimit is how many elements the lists of a chunk may have, times the
// columns that they have. A chunk has few rows where lists are long.
const elementLimit = 1 << 23

// fillElements appends what value i of a list around the column has.
func (f *field) fillElements(v *batch.Vector, depth, i int, row int32) error {
	l := &f.levels[depth]
	for _, p := range l.parents {
		if p.IsNull(i) {
			return nil
		}
	}
	if l.list.IsNull(i) {
		return nil
	}
	from, to := l.list.ValueOffsets(i)
	switch {
	case from < 0 || to < from:
		return &valueError{"the length of a list is negative"}
	case to > l.values:
		return &valueError{fmt.Sprintf("a list ends at %d of %d elements", to, l.values)}
	case to-from > int64(elementLimit-*f.elements):
		return &valueError{fmt.Sprintf("its lists have more than %d elements in a few rows, times their columns", elementLimit)}
	}
	if depth+1 < len(f.levels) {
		for k := from; k < to; k++ {
			if err := f.fillElements(v, depth+1, int(k), row); err != nil {
				return err
			}
		}
		return nil
	}
	*f.elements += int(to - from)
	for range to - from {
		v.Rows = append(v.Rows, row)
	}
	if f.dict != nil {
		return f.fillCodes(v, int(from), int(to))
	}
	return f.fillValues(v, int(from), int(to))
}
