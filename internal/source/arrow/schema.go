package arrow

import (
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/typed"
)

// form is how the values of a column are read, beyond what their Arrow type
// says.
type form uint8

const (
	asDeclared form = iota
	asUUID
	asBool8
)

// field is a column of the batch and the place that it is read from.
type field struct {
	name     string
	path     []int  // index in the schema, then in each struct, or element
	list     string // path of the lists whose elements it is; "" for rows
	wanted   bool
	typ      arrow.DataType
	declared batch.Type
	as       form
	zoned    bool // timestamps are points in time, not readings of a local clock
	binding
}

// findColumns lists the columns of the schema.
func (r *Reader) findColumns(s *arrow.Schema) error {
	for i, f := range s.Fields() {
		if err := r.visit(f, typed.QuoteName(f.Name), "", []int{i}); err != nil {
			return err
		}
	}
	var names typed.Names
	for i := range r.fields {
		f := &r.fields[i]
		f.name = names.Unique(f.name)
		r.columns = append(r.columns, batch.Column{Name: f.name, Declared: f.declared, List: f.list})
	}
	return nil
}

const (
	nameLimit  = 4 << 10  // bytes of the name of a column
	namesLimit = 64 << 20 // of all names
)

// element stands in a path for the elements of a list.
const element = -1

// visit adds the columns of a field.
func (r *Reader) visit(f arrow.Field, name, list string, path []int) error {
	if r.names += len(name); len(name) > nameLimit || r.names > namesLimit {
		return r.frames.fail(r.frames.start, fmt.Sprintf("the name of a column is longer than %d KiB with those of the structs around it, or all of them than %d MiB", nameLimit>>10, namesLimit>>20), "write it anew with shorter names", nil)
	}
	typ := f.Type
	if ext, ok := typ.(arrow.ExtensionType); ok {
		typ = ext.StorageType()
	}
	if s, ok := typ.(*arrow.StructType); ok {
		if s.NumFields() == 0 {
			r.notes = append(r.notes, fmt.Sprintf("column %s is left out: it is a struct without fields", name))
		}
		for i, c := range s.Fields() {
			if err := r.visit(c, name+"."+typed.QuoteName(c.Name), list, append(path[:len(path):len(path)], i)); err != nil {
				return err
			}
		}
		return nil
	}
	col := field{name: name, path: path, list: list, typ: typ, wanted: true, binding: binding{elements: &r.elements, entries: &r.entries}}
	values := valuesOf(typ)
	col.declared = declaredType(values)
	if t, ok := values.(*arrow.TimestampType); ok {
		col.zoned = t.TimeZone != ""
	}
	if t, ok := values.(arrow.DecimalType); ok && (t.GetScale() > typed.MaxScale || t.GetScale() < -typed.MaxScale) {
		return r.frames.fail(r.frames.start, fmt.Sprintf("column %s is a decimal of scale %d", name, t.GetScale()), "write it anew with another type of this column", nil)
	}
	switch ext, _ := f.Metadata.GetValue("ARROW:extension:name"); ext {
	case "arrow.uuid":
		if t, ok := values.(*arrow.FixedSizeBinaryType); ok && t.ByteWidth == 16 {
			col.as, col.declared = asUUID, batch.String
		}
	case "arrow.bool8":
		if values.ID() == arrow.INT8 {
			col.as, col.declared = asBool8, batch.Boolean
		}
	}
	if what := keptWhole(values); what != "" {
		r.notes = append(r.notes, fmt.Sprintf("column %s is %s; its values are counted as struct", name, what))
	}
	r.fields = append(r.fields, col)
	if l, ok := typ.(arrow.ListLikeType); ok {
		return r.visit(l.ElemField(), name+"[]", name+"[]", append(path[:len(path):len(path)], element))
	}
	return nil
}

// valuesOf returns the type of the values behind dictionaries and runs.
func valuesOf(typ arrow.DataType) arrow.DataType {
	for range depthLimit {
		switch t := typ.(type) {
		case *arrow.DictionaryType:
			typ = t.ValueType
		case *arrow.RunEndEncodedType:
			typ = t.Encoded()
		case arrow.ExtensionType:
			typ = t.StorageType()
		default:
			return typ
		}
	}
	return typ
}

// keptWhole says what a type is that the batch has no type for, empty for
// others.
func keptWhole(typ arrow.DataType) string {
	switch typ.ID() {
	case arrow.SPARSE_UNION, arrow.DENSE_UNION:
		return "a union"
	case arrow.INTERVAL_MONTHS, arrow.INTERVAL_DAY_TIME, arrow.INTERVAL_MONTH_DAY_NANO:
		return "an interval of calendar months or days"
	case arrow.STRUCT:
		return "a dictionary or a run of structs"
	default:
		return ""
	}
}

// declaredType returns the type of a column by that of its values; Null for
// values that type themselves.
func declaredType(typ arrow.DataType) batch.Type {
	switch typ.ID() {
	case arrow.BOOL:
		return batch.Boolean
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32:
		return batch.Integer
	case arrow.FLOAT16, arrow.FLOAT32, arrow.FLOAT64, arrow.DECIMAL32, arrow.DECIMAL64, arrow.DECIMAL128, arrow.DECIMAL256:
		return batch.Number
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW:
		return batch.String
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.BINARY_VIEW, arrow.FIXED_SIZE_BINARY:
		return batch.Binary
	case arrow.DATE32, arrow.DATE64:
		return batch.Date
	case arrow.TIME32, arrow.TIME64:
		return batch.Time
	case arrow.TIMESTAMP:
		return batch.Timestamp
	case arrow.DURATION:
		return batch.Duration
	case arrow.LIST, arrow.LARGE_LIST, arrow.FIXED_SIZE_LIST, arrow.LIST_VIEW, arrow.LARGE_LIST_VIEW, arrow.MAP:
		return batch.List
	case arrow.UINT64, arrow.NULL:
		return batch.Null
	default:
		return batch.Struct
	}
}

// nanosOf returns the nanoseconds of a unit of time.
func nanosOf(u arrow.TimeUnit) int64 {
	return int64(math.Pow10(9-3*int(u))) * int64(time.Nanosecond)
}
