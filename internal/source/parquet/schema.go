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
	name    string
	leaf    int
	as      form
	scale   int   // decimal digits behind the point
	unit    int64 // nanoseconds of a unit of time
	utc     bool  // timestamps are points in time, not readings of a local clock
	def     byte  // definition level of a value that is not null
	listDef int   // definition level from which on a list is not null
	itemDef int   // definition level from which on it has an item
	clamped int64 // values that were out of range

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
}

// findColumns lists the columns of the schema.
func (r *Reader) findColumns() error {
	w := &walker{r: r, elements: r.meta.Schema, next: 1}
	for _, child := range r.file.Root().Columns() {
		if err := w.visit(child, "", 0); err != nil {
			return err
		}
	}
	used := make(map[string]bool, len(r.fields))
	for i := range r.fields {
		f := &r.fields[i]
		for name, k := f.name, 2; used[f.name]; k++ {
			f.name = fmt.Sprintf("%s_%d", name, k)
		}
		used[f.name] = true
		if err := r.checkChunks(f); err != nil {
			return err
		}
		r.columns = append(r.columns, batch.Column{Name: f.name, Declared: declaredTypes[f.as]})
	}
	return nil
}

// visit adds the columns of a node, which is def optional levels deep.
func (w *walker) visit(col *parquet.Column, prefix string, def int) error {
	e := &w.elements[w.next]
	w.next++
	name := prefix + typed.QuoteName(col.Name())
	if col.Optional() {
		def++
	}
	if col.Repeated() || isList(e, col) {
		f := field{name: name, leaf: w.leaves, as: asList, listDef: def, itemDef: def + 1}
		if !w.skip(col, &f) {
			w.r.notes = append(w.r.notes, fmt.Sprintf("column %s is left out: its items have no fields", name))
			return nil
		}
		w.r.fields = append(w.r.fields, f)
		return nil
	}
	if !col.Leaf() {
		if len(col.Columns()) == 0 {
			w.r.notes = append(w.r.notes, fmt.Sprintf("column %s is left out: it is a group without fields", name))
		}
		for _, child := range col.Columns() {
			if err := w.visit(child, name+".", def); err != nil {
				return err
			}
		}
		return nil
	}
	f := field{name: name, leaf: w.leaves, def: byte(def)} //nolint:gosec // levels fit a byte, as the library stores them
	w.leaves++
	if err := w.r.setForm(&f, e, col); err != nil {
		return err
	}
	w.r.fields = append(w.r.fields, f)
	return nil
}

// skip passes over what is below a node, the element of which is the last one,
// and reports whether there is a leaf. The field is of the first one.
func (w *walker) skip(col *parquet.Column, f *field) bool {
	if col.Leaf() {
		if e := &w.elements[w.next-1]; w.leaves == f.leaf {
			f.kind, f.length = parquet.Kind(e.Type.V), int(e.TypeLength.V)
			f.maxRep, f.maxDef = col.MaxRepetitionLevel(), col.MaxDefinitionLevel()
		}
		w.leaves++
		return true
	}
	found := false
	for _, child := range col.Columns() {
		w.next++
		found = w.skip(child, f) || found
	}
	return found
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
	for g := range r.meta.RowGroups {
		chunks := r.meta.RowGroups[g].Columns
		c, first := &chunks[f.leaf], &r.meta.RowGroups[0].Columns[f.leaf]
		switch {
		case c.CryptoMetadata.Value != nil || len(c.EncryptedColumnMetadata) > 0:
			return r.encrypted()
		case c.FilePath != "":
			return r.unsupported(f, "is kept in another file: "+c.FilePath)
		case c.MetaData.Codec != first.MetaData.Codec:
			return r.unsupported(f, fmt.Sprintf("is packed as %s and as %s in one file", first.MetaData.Codec, c.MetaData.Codec))
		case c.MetaData.Type != first.MetaData.Type:
			return r.damagedColumn(f, g, -1, "its type differs from the first row group", nil)
		}
		switch c.MetaData.Codec {
		case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd, format.Lz4Raw:
		default:
			return r.unsupported(f, fmt.Sprintf("is packed as %s, which cannot be read", c.MetaData.Codec))
		}
	}
	return nil
}
