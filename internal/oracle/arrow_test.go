package oracle

import (
	"bytes"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/stretchr/testify/require"
)

// arrowForm is how Arrow data is laid out.
type arrowForm struct {
	stream     bool // else a file
	dictionary bool // of texts
	batch      int  // rows of a record batch
	options    []ipc.Option
}

func (f arrowForm) typeOf(name, typ string) arrow.DataType {
	switch typ {
	case tInteger:
		return arrow.PrimitiveTypes.Int64
	case tNumber:
		return arrow.PrimitiveTypes.Float64
	case tBoolean:
		return arrow.FixedWidthTypes.Boolean
	case tDate:
		return arrow.FixedWidthTypes.Date32
	case tTime:
		return arrow.FixedWidthTypes.Time64us
	case tTimestamp:
		if name == "local" {
			return &arrow.TimestampType{Unit: arrow.Millisecond}
		}
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	}
	if f.dictionary {
		return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	}
	return arrow.BinaryTypes.String
}

// appendTo appends a value to the builder of its column.
func (v Value) appendTo(t testing.TB, name string, b array.Builder) {
	t.Helper()
	if v.Type == tNull {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v.Int)
	case *array.Float64Builder:
		b.Append(v.Float)
	case *array.BooleanBuilder:
		b.Append(v.Int != 0)
	case *array.Date32Builder:
		b.Append(arrow.Date32(v.At.Unix() / 86_400))
	case *array.Time64Builder:
		b.Append(arrow.Time64(v.Int / 1000))
	case *array.TimestampBuilder:
		if name == "local" {
			b.Append(arrow.Timestamp(v.At.UnixMilli()))
		} else {
			b.Append(arrow.Timestamp(v.At.UnixMicro()))
		}
	case *array.StringBuilder:
		b.Append(v.Text)
	case *array.BinaryDictionaryBuilder:
		require.NoError(t, b.AppendString(v.Text))
	default:
		require.Failf(t, "unknown builder", "%T of %s", b, name)
	}
}

// writeArrow returns the table as an Arrow file or stream.
func writeArrow(t testing.TB, table *typed, f arrowForm) string {
	t.Helper()
	fields := make([]arrow.Field, len(table.names))
	for j, name := range table.names {
		fields[j] = arrow.Field{Name: name, Type: f.typeOf(name, table.types[j]), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	var buf bytes.Buffer
	var w interface {
		Write(batch arrow.RecordBatch) error
		io.Closer
	}
	opts := append([]ipc.Option{ipc.WithSchema(schema)}, f.options...)
	if f.stream {
		w = ipc.NewWriter(&buf, append(opts, ipc.WithDictionaryDeltas(true))...)
	} else {
		file, err := ipc.NewFileWriter(&buf, opts...)
		require.NoError(t, err)
		w = file
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i, row := range table.rows {
		for j, v := range row {
			v.appendTo(t, table.names[j], b.Field(j))
		}
		if (i+1)%f.batch == 0 || i == len(table.rows)-1 {
			require.NoError(t, w.Write(b.NewRecordBatch()))
		}
	}
	require.NoError(t, w.Close())
	return buf.String()
}

// table returns the rows as a format with these declared types should give
// them.
func (t *typed) table() *Table { return &Table{Names: t.names, Declared: t.types, Rows: t.rows} }
