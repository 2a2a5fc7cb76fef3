package arrow

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/endian"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// writeStream writes record batches by the library.
func writeStream(t testing.TB, schema *arrow.Schema, recs ...arrow.RecordBatch) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema), ipc.WithDictionaryDeltas(true))
	for _, r := range recs {
		require.NoError(t, w.Write(r))
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func record(t testing.TB, names []string, columns ...arrow.Array) (*arrow.Schema, arrow.RecordBatch) {
	t.Helper()
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: names[i], Type: c.DataType(), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	return schema, array.NewRecordBatch(schema, columns, int64(columns[0].Len()))
}

func build[B array.Builder](b array.Builder, f func(B)) arrow.Array {
	f(b.(B))
	return b.NewArray()
}

var pool = memory.DefaultAllocator

func TestTimesOutOfRange(t *testing.T) {
	t.Parallel()
	schema, rec := record(t, []string{"ts", "day", "dur", "time"},
		build(array.NewBuilder(pool, &arrow.TimestampType{Unit: arrow.Second}), func(b *array.TimestampBuilder) {
			b.AppendValues([]arrow.Timestamp{math.MaxInt64, math.MinInt64, 0}, nil)
		}),
		build(array.NewBuilder(pool, arrow.FixedWidthTypes.Date64), func(b *array.Date64Builder) { b.AppendValues([]arrow.Date64{-1, 86_400_000, 86_399_999}, nil) }),
		build(array.NewBuilder(pool, &arrow.DurationType{Unit: arrow.Second}), func(b *array.DurationBuilder) { b.AppendValues([]arrow.Duration{math.MaxInt64, 1, 2}, nil) }),
		build(array.NewBuilder(pool, &arrow.Time64Type{Unit: arrow.Microsecond}), func(b *array.Time64Builder) { b.AppendValues([]arrow.Time64{math.MaxInt64, 1, 2}, nil) }),
	)
	got, err := readBytes(t, writeStream(t, schema, rec))
	require.NoError(t, err)
	require.Equal(t, []string{"date 1969-12-31", "date 1970-01-02", "date 1970-01-01"}, []string{got.rows[0][1], got.rows[1][1], got.rows[2][1]})
	require.Equal(t, []string{
		"column ts: 2 values are too far from 1970 and taken as the nearest time that can be told",
		"column day: 2 dates have a time of day, which is left out",
		"column dur: 1 values are too far from 1970 and taken as the nearest time that can be told",
		"column time: 1 values are too far from 1970 and taken as the nearest time that can be told",
	}, got.notes)
}

// TestRunsAndDictionaries compares each packed form of a column with its plain
// one, over record batches longer than a chunk.
func TestRunsAndDictionaries(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	stamp := &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: stamp}
	runs := arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, stamp)
	schema := arrow.NewSchema([]arrow.Field{{Name: "plain", Type: stamp, Nullable: true}, {Name: "dict", Type: dict, Nullable: true}, {Name: "runs", Type: runs, Nullable: true}}, nil)
	var recs []arrow.RecordBatch
	total := 0
	db := array.NewDictionaryBuilder(pool, dict).(*array.TimestampDictionaryBuilder)
	for n := range 4 {
		pb := array.NewTimestampBuilder(pool, stamp)
		rb := array.NewRunEndEncodedBuilder(pool, arrow.PrimitiveTypes.Int32, stamp)
		for range 2_500 {
			x, length := arrow.Timestamp(rnd.IntN(50*(n+1))), 1+rnd.IntN(4)
			for range length {
				if x%7 == 0 {
					pb.AppendNull()
					db.AppendNull()
					continue
				}
				pb.Append(x)
				require.NoError(t, db.Append(x))
			}
			rb.Append(uint64(length))
			if x%7 == 0 {
				rb.ValueBuilder().AppendNull()
			} else {
				rb.ValueBuilder().(*array.TimestampBuilder).Append(x)
			}
		}
		plain := pb.NewArray()
		total += plain.Len()
		recs = append(recs, array.NewRecordBatch(schema, []arrow.Array{plain, db.NewArray(), rb.NewArray()}, int64(plain.Len())))
	}
	got, err := readBytes(t, writeStream(t, schema, recs...))
	require.NoError(t, err)
	require.Equal(t, []string{"plain timestamp", "dict timestamp", "runs timestamp"}, got.columns)
	require.Len(t, got.rows, total)
	require.Equal(t, got.zoned[0], got.zoned[1])
	require.Equal(t, got.zoned[0], got.zoned[2])
	for i, row := range got.rows {
		require.Equal(t, row[0], row[1], "row %d", i+1)
		require.Equal(t, row[0], row[2], "row %d", i+1)
	}
}

func TestLongTextsEndAChunk(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256<<10)
	sb := array.NewStringBuilder(pool)
	db := array.NewDictionaryBuilder(pool, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint8, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	for range 300 {
		sb.Append(long[:len(long)/4])
		require.NoError(t, db.AppendString(long))
	}
	schema, rec := record(t, []string{"s", "d"}, sb.NewArray(), db.NewArray())
	r, err := New(bytes.NewReader(writeStream(t, schema, rec)), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	rows, chunks := 0, 0
	for err = r.Next(t.Context(), &c); err == nil; err = r.Next(t.Context(), &c) {
		rows += c.Rows
		if chunks++; chunks > 1 { // before the size of a row is known
			require.LessOrEqual(t, c.Rows*len(long), 2*chunkBytes)
		}
	}
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 300, rows)
	require.Greater(t, chunks, 10)
}

func TestNextAllocatesNothingPerRow(t *testing.T) { //nolint:paralleltest // counts allocations
	const n = 300_000
	ib, sb, fb := array.NewInt64Builder(pool), array.NewStringBuilder(pool), array.NewDecimal128Builder(pool, &arrow.Decimal128Type{Precision: 20, Scale: 2})
	db := array.NewDictionaryBuilder(pool, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint8, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
	lb := array.NewListBuilder(pool, arrow.PrimitiveTypes.Int8)
	for i := range n {
		ib.Append(int64(i))
		sb.Append("text")
		require.NoError(t, db.AppendString([]string{"a", "b", "c"}[i%3]))
		lb.Append(true)
		lb.ValueBuilder().(*array.Int8Builder).Append(1)
		require.NoError(t, fb.AppendValueFromString("123456789012345678.25"))
	}
	schema, rec := record(t, []string{"i", "s", "f", "d", "l"}, ib.NewArray(), sb.NewArray(), fb.NewArray(), db.NewArray(), lb.NewArray())
	r, err := New(bytes.NewReader(writeStream(t, schema, rec)), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	next := func() {
		require.NoError(t, r.Next(t.Context(), &c))
		require.NoError(t, c.FillAll())
	}
	for range 12 {
		next()
	}
	allocs := testing.AllocsPerRun(10, next)
	require.LessOrEqual(t, allocs, 8.0, "a chunk of %d rows and %d columns", c.Rows, len(c.Vectors))
	require.Equal(t, 8192, c.Rows)
}

// TestBigEndian reads what a machine of the other byte order wrote.
func TestBigEndian(t *testing.T) {
	t.Parallel()
	col := build(array.NewBuilder(pool, arrow.PrimitiveTypes.Int32), func(b *array.Int32Builder) { b.AppendValues([]int32{0x01000000, 0x02000000}, nil) })
	schema, _ := record(t, []string{"a"}, col)
	schema = schema.WithEndianness(endian.BigEndian)
	got, err := readBytes(t, writeStream(t, schema, array.NewRecordBatch(schema, []arrow.Array{col}, 2)))
	require.NoError(t, err)
	require.Equal(t, []string{"a integer: integer 1 | integer 2"}, got.byColumn())
}

func TestNamesAndScales(t *testing.T) {
	t.Parallel()
	one := func(typ arrow.DataType) arrow.Array { return array.MakeArrayOfNull(pool, typ, 1) }
	schema, rec := record(t, []string{"a", "a", "a.b", "", "s"}, one(arrow.PrimitiveTypes.Int8), one(arrow.PrimitiveTypes.Int8), one(arrow.PrimitiveTypes.Int8), one(arrow.PrimitiveTypes.Int8),
		one(arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int8, Nullable: true}, arrow.Field{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true})))
	got, err := readBytes(t, writeStream(t, schema, rec))
	require.NoError(t, err)
	require.Equal(t, []string{"a integer: null", "a_2 integer: null", `"a.b" integer: null`, `"" integer: null`, "s.x integer: null", "s.x_2 string: null"}, got.byColumn())
	schema, rec = record(t, []string{"d"}, one(&arrow.Decimal128Type{Precision: 38, Scale: 4000}))
	_, err = readBytes(t, writeStream(t, schema, rec))
	require.ErrorContains(t, err, "column d is a decimal of scale 4000")
}

func TestNextStopsWithItsContext(t *testing.T) {
	t.Parallel()
	r, err := New(bytes.NewReader(load(t, "types")), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Next(ctx, new(batch.Chunk)), context.Canceled)
	require.NoError(t, r.Close())
	require.ErrorIs(t, r.Next(t.Context(), new(batch.Chunk)), io.EOF)
}

func BenchmarkReader(b *testing.B) {
	const n = 100_000
	ib, fb, sb := array.NewInt64Builder(pool), array.NewFloat64Builder(pool), array.NewStringBuilder(pool)
	for i := range n {
		ib.Append(int64(i))
		fb.Append(float64(i) / 4)
		sb.Append(fmt.Sprintf("name %d", i%5000))
	}
	schema, rec := record(b, []string{"i", "f", "s"}, ib.NewArray(), fb.NewArray(), sb.NewArray())
	file := writeStream(b, schema, rec)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		require.ErrorIs(b, drain(b, file, 1<<30), io.EOF)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*3), "ns/cell")
}
