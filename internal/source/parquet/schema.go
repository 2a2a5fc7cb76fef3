package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/typed"
)

// form is how the values of a leaf become values of a batch.
type form uint8

const (
	asNull form = iota
	asBoolean
	asInt32
	asInt64
	asUint32
	asUint64
	asFloat16
	asFloat
	asDouble
	asDecimal32
	asDecimal64
	asDecimalBytes
	asText
	asUUID
	asBinary
	asDate
	asTime
	asTimestamp
	asInt96
	asList
)

// declaredTypes are the types of the columns by form.
var declaredTypes = [...]batch.Type{
	asNull: batch.Null, asBoolean: batch.Boolean, asInt32: batch.Integer, asInt64: batch.Integer, asUint32: batch.Integer, asUint64: batch.Null,
	asFloat16: batch.Number, asFloat: batch.Number, asDouble: batch.Number, asDecimal32: batch.Number, asDecimal64: batch.Number, asDecimalBytes: batch.Number,
	asText: batch.String, asUUID: batch.String, asBinary: batch.Binary, asDate: batch.Date, asTime: batch.Time, asTimestamp: batch.Timestamp, asInt96: batch.Timestamp,
	asList: batch.List,
}

// field is a column of the batch and the leaf that it is read from.
type field struct {
	name     string
	leaf     int
	as       form
	scale    int    // decimal digits behind the point
	unit     int64  // nanoseconds of a unit of time
	utc      bool   // timestamps are points in time, not readings of a local clock
	def      byte   // definition level of a value that is not null
	listDef  int    // definition level from which on a list is not null
	itemDef  int    // definition level from which on it, or the innermost one around a leaf, has an element
	depth    int    // lists around it
	list     string // path of the innermost one
	outerDef int    // definition level from which on the one around a list has an element
	clamped  int64  // values that were out of range
	family   int    // of columns that are read together, -1 if it is read alone

	kind           parquet.Kind
	length         int // bytes of a value of fixed length
	maxRep, maxDef int
}

// walker goes over the schema, depth first, as its elements are stored.
type walker struct {
	r        *Reader
	elements []format.SchemaElement
	next     int // element
	leaves   int
	known    []field // by leaf
	bytes    int     // of the names so far
}

// errNames says that the names of columns are too long.
var errNames = &refusal{
	fmt.Sprintf("the name of a column is longer than %d KiB with those of the groups around it, or all of them than %d MiB", nameLimit>>10, pathsLimit>>20), "write the file anew with shorter names",
}

// findColumns lists the columns of the schema.
func (r *Reader) findColumns() error {
	w := &walker{r: r, elements: r.meta.schema, next: 1}
	for _, child := range r.file.Root().Columns() {
		if err := w.visit(child, typed.QuoteName(child.Name()), inside{}); err != nil {
			return err
		}
	}
	var names typed.Names
	for i := range r.fields {
		f := &r.fields[i]
		f.name = names.Unique(f.name)
		if err := r.checkChunks(f); err != nil {
			return err
		}
		r.columns = append(r.columns, batch.Column{Name: f.name, Declared: declaredTypes[f.as], List: f.list})
	}
	return nil
}

// inside is what is around a node of the schema.
type inside struct {
	def     int    // optional and repeated levels
	depth   int    // lists
	list    string // path of the innermost one, "" without
	itemDef int    // definition level from which on that has an element
}

// item returns what is around the elements of a list of the given name.
func (in inside) item(name string) inside {
	return inside{def: in.def + 1, depth: in.depth + 1, list: name + "[]", itemDef: in.def + 1}
}

// visit adds the columns of a node.
func (w *walker) visit(col *parquet.Column, name string, in inside) error {
	e := &w.elements[w.next]
	w.next++
	if w.bytes += len(name); len(name) > nameLimit || w.bytes > pathsLimit {
		return &batch.DataError{Source: w.r.opts.Source, Offset: -1, Reason: errNames.reason, Advice: errNames.advice}
	}
	switch {
	case col.Repeated():
		return w.visitList(name, in, func(item inside) error { return w.content(col, e, name+"[]", item) })
	case col.Optional():
		in.def++
	}
	if isList(e, col) {
		return w.visitList(name, in, func(item inside) error {
			rep := col.Columns()[0]
			inner := &w.elements[w.next]
			w.next++
			if isItem(e, col, rep) {
				return w.content(rep, inner, name+"[]", item)
			}
			return w.visit(rep.Columns()[0], name+"[]", item)
		})
	}
	return w.content(col, e, name, in)
}

// visitList adds the column of a list and those of its elements.
func (w *walker) visitList(name string, in inside, elements func(item inside) error) error {
	at, leaf, item := len(w.r.fields), w.leaves, in.item(name)
	w.r.fields = append(w.r.fields, field{
		name: name, leaf: leaf, as: asList, listDef: in.def, itemDef: item.itemDef, depth: in.depth, list: in.list, outerDef: in.itemDef,
	})
	if err := elements(item); err != nil {
		return err
	}
	if w.leaves == leaf {
		w.r.fields = w.r.fields[:at]
		w.r.notes = append(w.r.notes, fmt.Sprintf("column %s is left out: its elements have no fields", name))
		return nil
	}
	first := &w.known[leaf] // its levels are read
	f := &w.r.fields[at]
	f.kind, f.length, f.maxRep, f.maxDef = first.kind, first.length, first.maxRep, first.maxDef
	return nil
}

// content adds the columns of a node whose repetition has been looked at.
func (w *walker) content(col *parquet.Column, e *format.SchemaElement, name string, in inside) error {
	if !col.Leaf() {
		if len(col.Columns()) == 0 && in.depth == 0 {
			w.r.notes = append(w.r.notes, fmt.Sprintf("column %s is left out: it is a group without fields", name))
		}
		for _, child := range col.Columns() {
			if err := w.visit(child, name+"."+typed.QuoteName(child.Name()), in); err != nil {
				return err
			}
		}
		return nil
	}
	f := field{name: name, leaf: w.leaves, def: byte(in.def), depth: in.depth, list: in.list, itemDef: in.itemDef} //nolint:gosec // levels fit a byte, as the library stores them
	w.leaves++
	if err := w.r.setForm(&f, e, col); err != nil {
		return err
	}
	w.known = append(w.known, f)
	w.known[f.leaf].kind, w.known[f.leaf].length = parquet.Kind(e.Type.V), int(e.TypeLength.V)
	w.known[f.leaf].maxRep, w.known[f.leaf].maxDef = col.MaxRepetitionLevel(), col.MaxDefinitionLevel()
	w.r.fields = append(w.r.fields, f)
	return nil
}

// isItem reports whether the repeated field of a list is itself the element, as
// maps and old writers have it (the rules of LogicalTypes.md of the format).
func isItem(e *format.SchemaElement, col, rep *parquet.Column) bool {
	if _, isMap := e.LogicalType.Value.(*format.MapType); isMap {
		return true
	}
	if c := e.ConvertedType; c.Valid && e.LogicalType.Value == nil && c.V != deprecated.List {
		return true
	}
	return rep.Leaf() || len(rep.Columns()) != 1 || rep.Name() == "array" || rep.Name() == col.Name()+"_tuple"
}

// isList reports whether the group is a list or a map: annotated as such,
// around one repeated field.
func isList(e *format.SchemaElement, col *parquet.Column) bool {
	if len(col.Columns()) != 1 || !col.Columns()[0].Repeated() {
		return false
	}
	switch e.LogicalType.Value.(type) {
	case *format.ListType, *format.MapType:
		return true
	}
	c := e.ConvertedType
	return c.Valid && (c.V == deprecated.List || c.V == deprecated.Map || c.V == deprecated.MapKeyValue)
}

// setForm finds how the values of a leaf are read.
func (r *Reader) setForm(f *field, e *format.SchemaElement, col *parquet.Column) error {
	switch e.LogicalType.Value.(type) {
	case *format.NullType:
		f.as = asNull
		return nil
	case *format.MapType, *format.ListType, *format.VariantType:
		return r.unsupported(f, "is annotated as a group but holds values")
	}
	if c := e.ConvertedType; c.Valid && e.LogicalType.Value == nil && (c.V == deprecated.Map || c.V == deprecated.MapKeyValue || c.V == deprecated.List) {
		return r.unsupported(f, "is annotated as a group but holds values")
	}
	f.maxRep, f.maxDef = col.MaxRepetitionLevel(), col.MaxDefinitionLevel()
	f.kind, f.length = parquet.Kind(e.Type.V), int(e.TypeLength.V)
	typ, physical := col.Type(), f.kind
	if typ.Kind() != physical {
		return r.unsupported(f, fmt.Sprintf("is declared as %s but stored as %s", typ, physical))
	}
	if physical == parquet.FixedLenByteArray && (typ.Length() != int(e.TypeLength.V) || typ.Length() < 0) {
		return r.unsupported(f, fmt.Sprintf("is declared as %s but stored in %d bytes", typ, e.TypeLength.V))
	}
	ok := false
	if _, half := e.LogicalType.Value.(*format.Float16Type); half {
		if physical != parquet.FixedLenByteArray || typ.Length() != 2 {
			return r.unsupported(f, "is declared as FLOAT16 but stored as "+physical.String())
		}
		f.as, ok = asFloat16, true
	} else if l := typ.LogicalType(); l != nil && l.Value != nil {
		ok = f.logical(l, physical)
	}
	if !ok {
		f.physical(physical)
	}
	if c := e.ConvertedType; c.Valid && c.V == deprecated.Interval {
		r.notes = append(r.notes, fmt.Sprintf("column %s is an INTERVAL of months, days and milliseconds; it is read as binary", f.name))
	}
	if f.as == asDecimal32 || f.as == asDecimal64 || f.as == asDecimalBytes {
		if f.scale < 0 || f.scale > typed.MaxScale {
			return r.unsupported(f, fmt.Sprintf("is a decimal of scale %d", f.scale))
		}
	}
	return nil
}

// physical sets the form of a leaf without an annotation.
func (f *field) physical(kind parquet.Kind) {
	switch kind {
	case parquet.Boolean:
		f.as = asBoolean
	case parquet.Int32:
		f.as = asInt32
	case parquet.Int64:
		f.as = asInt64
	case parquet.Int96:
		f.as = asInt96
	case parquet.Float:
		f.as = asFloat
	case parquet.Double:
		f.as = asDouble
	case parquet.ByteArray, parquet.FixedLenByteArray:
		f.as = asBinary
	}
}

// logical sets the form of an annotated leaf; false if the annotation does not
// change how it is read.
func (f *field) logical(l *format.LogicalType, kind parquet.Kind) bool {
	switch t := l.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		f.as = asText
	case *format.UUIDType:
		f.as = asUUID
	case *format.DateType:
		f.as = asDate
	case *format.IntType:
		switch {
		case t.IsSigned:
			return false
		case kind == parquet.Int32:
			f.as = asUint32
		default:
			f.as = asUint64
		}
	case *format.DecimalType:
		f.scale = int(t.Scale)
		switch kind {
		case parquet.Int32:
			f.as = asDecimal32
		case parquet.Int64:
			f.as = asDecimal64
		default:
			f.as = asDecimalBytes
		}
	case *format.TimeType:
		f.as, f.unit = asTime, nanosOf(t.Unit)
	case *format.TimestampType:
		f.as, f.unit, f.utc = asTimestamp, nanosOf(t.Unit), t.IsAdjustedToUTC
	default:
		return false
	}
	return true
}

func nanosOf(u format.TimeUnit) int64 {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return 1_000_000
	case *format.MicroSeconds:
		return 1_000
	}
	return 1
}

// checkChunks makes sure that the column is stored alike in all row groups, in
// this file, and in a way that can be read.
func (r *Reader) checkChunks(f *field) error {
	for g := range r.meta.groups {
		c, first := &r.meta.groups[g].chunks[f.leaf], &r.meta.groups[0].chunks[f.leaf]
		switch {
		case c.encrypted:
			return r.encrypted()
		case c.file != "":
			return r.unsupported(f, "is kept in another file: "+c.file)
		case c.codec != first.codec:
			return r.unsupported(f, fmt.Sprintf("is packed as %s and as %s in one file", first.codec, c.codec))
		case c.typ != first.typ:
			return r.damagedColumn(f, g, -1, "its type differs from the first row group", nil)
		}
		switch c.codec {
		case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd, format.Lz4Raw:
		default:
			return r.unsupported(f, fmt.Sprintf("is packed as %s, which cannot be read", c.codec))
		}
	}
	return nil
}
