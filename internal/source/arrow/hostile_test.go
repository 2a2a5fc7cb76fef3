package arrow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// readLimited reads a stream with an unpack limit.
func readLimited(t testing.TB, b []byte, limit int64) error {
	t.Helper()
	r, err := New(bytes.NewReader(b), Options{Source: "in.arrow", UnpackLimit: limit})
	var c batch.Chunk
	for n := 0; err == nil && n < 1<<16; n += c.Rows {
		if err = r.Next(t.Context(), &c); err == nil {
			err = c.FillAll()
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// TestClaimedRows has a stream of a few hundred bytes with two billion nulls.
func TestClaimedRows(t *testing.T) {
	t.Parallel()
	schema, rec := record(t, []string{"n"}, array.NewNull(1<<31-1))
	b := writeStream(t, schema, rec)
	require.Less(t, len(b), 1000)
	require.ErrorContains(t, readLimited(t, b, 2000), "in.arrow: claims 2147483647 values so far, more than 2000 times what was read")
	require.NoError(t, readLimited(t, b, 0))
}

// TestHugeDictionaries has dictionaries that would take gigabytes of memory.
func TestHugeDictionaries(t *testing.T) { //nolint:paralleltest // counts memory
	dictionary := func(columns int, values arrow.Array) []byte {
		typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: values.DataType()}
		var names []string
		var all []arrow.Array
		for i := range columns {
			indices := build(array.NewInt32Builder(memory.DefaultAllocator), func(b *array.Int32Builder) { b.Append(0) })
			names, all = append(names, fmt.Sprint("d", i)), append(all, array.NewDictionaryArray(typ, indices, values))
		}
		schema, rec := record(t, names, all...)
		return writeStream(t, schema, rec)
	}
	nulls := dictionary(1, array.NewNull(1<<31-1))
	taken := allocated(func() {
		require.ErrorContains(t, readLimited(t, nulls, 0), "column d0 in record batch 1: the dictionaries of all columns have more than 67108864 values")
	})
	require.Less(t, taken, uint64(32<<20))
	r, err := New(bytes.NewReader(dictionary(3, array.NewNull(1<<10))), Options{})
	require.NoError(t, err)
	r.entries = entryLimit - 2<<10
	require.ErrorContains(t, r.Next(t.Context(), new(batch.Chunk)), "column d2 in record batch 1: the dictionaries of all columns have more than 67108864 values")
	require.NoError(t, readLimited(t, dictionary(3, array.NewNull(1<<10)), 0))

	f := &frames{}
	require.NoError(t, f.hold(&header{id: 1, size: entryBytes - 1}))
	require.NoError(t, f.hold(&header{id: 1, size: entryBytes - 2})) // in its place
	require.NoError(t, f.hold(&header{id: 2, size: 2}))
	require.ErrorContains(t, f.hold(&header{id: 2, size: 1, delta: true}), "its dictionaries have more than 512 MiB")
}

// TestPackedManyTimes has a record batch that unpacks to far more than it is.
func TestPackedManyTimes(t *testing.T) {
	t.Parallel()
	schema, rec := record(t, []string{"n"}, array.NewInt64Data(array.NewData(arrow.PrimitiveTypes.Int64, 33<<20, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, 33<<23))}, nil, 0, 0)))
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema), ipc.WithZstd())
	require.NoError(t, w.Write(rec))
	require.NoError(t, w.Close())
	require.ErrorContains(t, readLimited(t, b.Bytes(), 2000), "in.arrow: a message unpacks to more than 2000 times what was read")
}

func TestSchemasThatAreTooLarge(t *testing.T) {
	t.Parallel()
	fields := func(n int, name string) []arrow.Field {
		list := make([]arrow.Field, n)
		for i := range list {
			list[i] = arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int64}
		}
		return list
	}
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(arrow.NewSchema([]arrow.Field{{Name: strings.Repeat("x", 1<<20), Type: arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64})}}, nil)))
	require.NoError(t, w.Close())
	require.ErrorContains(t, readLimited(t, b.Bytes(), 0), "the name of a column is longer than 4 KiB with those of the structs around it")
	b.Reset()
	w = ipc.NewWriter(&b, ipc.WithSchema(arrow.NewSchema(fields(fieldLimit+1, "a"), nil)))
	require.NoError(t, w.Close())
	require.ErrorContains(t, readLimited(t, b.Bytes(), 0), "in.arrow: has more than 250000 columns, those in columns counted (byte 0); write it anew with fewer columns")
}

// TestLongTextsAreReadOneByOne has rows of which a few would fill the memory.
func TestLongTextsAreReadOneByOne(t *testing.T) { //nolint:paralleltest // counts memory
	text := strings.Repeat("x", 4<<20)
	schema, rec := record(t, []string{"s"}, build(array.NewStringBuilder(memory.DefaultAllocator), func(b *array.StringBuilder) {
		for range 40 {
			b.Append(text)
		}
	}))
	stream := writeStream(t, schema, rec)
	r, err := New(bytes.NewReader(stream), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	require.NoError(t, r.Next(t.Context(), &c))
	require.Equal(t, 1, c.Rows)
}
