package arrow

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// TestOnlyNeededColumnsAreRead names some of the columns of data whose other
// columns cannot be read.
func TestOnlyNeededColumnsAreRead(t *testing.T) {
	t.Parallel()
	codes, words := array.NewInt32Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	codes.AppendValues([]int32{0, 99, 1}, nil)
	words.AppendValues([]string{"a", "b"}, nil)
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	good, bad := array.NewInt64Builder(memory.DefaultAllocator), array.NewDictionaryArray(typ, codes.NewArray(), words.NewArray())
	good.AppendValues([]int64{7, 8, 9}, nil)
	schema := arrow.NewSchema([]arrow.Field{{Name: "good", Type: arrow.PrimitiveTypes.Int64}, {Name: "bad", Type: typ}}, nil)
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema))
	require.NoError(t, w.Write(array.NewRecordBatch(schema, []arrow.Array{good.NewArray(), bad}, 3)))
	require.NoError(t, w.Close())

	read := func(columns ...string) error {
		r, err := New(bytes.NewReader(buf.Bytes()), Options{Source: "in.arrow", Columns: columns})
		require.NoError(t, err)
		defer r.Close()
		var c batch.Chunk
		if err := r.Next(t.Context(), &c); err != nil {
			return err
		}
		v, err := c.Fill(0)
		require.NoError(t, err)
		require.Equal(t, []int64{7, 8, 9}, v.Ints)
		if err := r.Next(t.Context(), &c); !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
	require.NoError(t, read("good"))
	require.ErrorContains(t, read(), "column bad in record batch 1: row 2 has value 99 of a dictionary of 2")
	require.Error(t, read("bad", "good"))
	require.Error(t, read("good", "elsewhere"), "whose list, if it is of one, is told from another column")
}
