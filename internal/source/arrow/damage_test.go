package arrow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

func interopFiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(interop + "*.arrow")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	files := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		files[filepath.Base(name)] = b
	}
	return files
}

// TestCutAnywhere cuts each file and stream at every byte: never fewer rows.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	files := interopFiles(t)
	delete(files, "pyarrow_types_v4.arrow") // laid out as types
	for name, b := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step := 1
			if name == "pyarrow_types_zstd.arrow" { // a decoder of it takes time to begin
				step = 37
			}
			for i := 0; i < len(b); i += step {
				err := drain(t, b[:i], 1<<20)
				var data *batch.DataError
				require.ErrorAs(t, err, &data, "cut at %d", i)
				require.NotEmpty(t, data.Advice)
				require.LessOrEqual(t, data.Offset, int64(i))
			}
			_, err := readBytes(t, append(bytes.Clone(b), 0))
			require.Error(t, err, "a byte too many")
		})
	}
}

// TestByteMissing takes out one byte: what can still be read has all rows.
func TestByteMissing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"types_stream", "nested"} {
		b := load(t, name)
		want, err := readBytes(t, b)
		require.NoError(t, err)
		for i := 0; i < len(b); i += 2 {
			got, err := readBytes(t, append(bytes.Clone(b[:i]), b[i+1:]...))
			if err != nil {
				var data *batch.DataError
				require.ErrorAs(t, err, &data, "%s without byte %d", name, i)
				continue
			}
			require.Len(t, got.rows, len(want.rows), "%s without byte %d", name, i)
		}
	}
}

// allocated returns the bytes that f allocates. Tests that run beside it count
// too, so it is for tests that are alone.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestDamageAnywhere changes each byte. Arrow has no checksums, so a change of
// a value is not found; what is read stays of bounded size.
func TestDamageAnywhere(t *testing.T) { //nolint:paralleltest // counts memory
	for _, name := range []string{"pyarrow_types_stream", "pyarrow_types_lz4", "pyarrow_nested", "pyarrow_dictionary", "pyarrow_deltas", "polars_file"} {
		b := interopFiles(t)[name+".arrow"]
		refused := 0
		for i := range b {
			for _, mask := range [][]byte{{0x01}, {0x80}, {0xff}}[i%3] {
				in := bytes.Clone(b)
				in[i] ^= mask
				var err error
				taken := allocated(func() { err = drain(t, in, 1<<16) })
				require.Less(t, taken, uint64(48<<20), "%s: byte %d ^ %02x", name, i, mask)
				var data *batch.DataError
				if errors.As(err, &data) {
					require.NotContains(t, err.Error(), "panic", "%s: byte %d ^ %02x", name, i, mask)
					require.NotContains(t, err.Error(), "runtime", "%s: byte %d ^ %02x", name, i, mask)
					require.NotContains(t, err.Error(), "\n")
					refused++
				} else {
					require.ErrorIs(t, err, io.EOF)
				}
			}
		}
		require.Greater(t, refused, len(b)/8, name)
	}
}

// drain reads all rows, or so many: a few bytes may claim billions of nulls.
func drain(t testing.TB, in []byte, rows int) error {
	t.Helper()
	r, err := openBytes(in)
	if err != nil {
		return err
	}
	defer r.Close()
	var c batch.Chunk
	for n := 0; n < rows; n += c.Rows {
		if err := r.Next(t.Context(), &c); err != nil {
			return err
		}
		require.NoError(t, c.FillAll())
		for j := range c.Vectors {
			v := &c.Vectors[j]
			if v.Rows == nil {
				require.Equal(t, c.Rows, v.Len())
			}
			for i := range v.Len() {
				plain, k := v.At(i)
				plain.Bytes(k)
			}
		}
	}
	return io.EOF
}

// TestLyingSizes changes sizes to values that would take memory if believed.
func TestLyingSizes(t *testing.T) { //nolint:paralleltest // counts memory
	sizes := []uint64{1 << 26, 1 << 33, math.MaxInt64, math.MaxUint32, 1<<31 - 1}
	for _, name := range []string{"pyarrow_types_stream", "pyarrow_types_lz4", "pyarrow_nested", "pyarrow_dictionary", "polars_file"} {
		b := interopFiles(t)[name+".arrow"]
		for i := 0; i+8 <= len(b); i += 4 {
			for _, size := range sizes[i/4%5 : i/4%5+1] {
				in := bytes.Clone(b)
				binary.LittleEndian.PutUint64(in[i:], size)
				var err error
				taken := allocated(func() { err = drain(t, in, 1<<12) })
				require.Less(t, taken, uint64(48<<20), "%s: %d at byte %d: %v", name, size, i, err)
				require.Error(t, err)
			}
		}
	}
	b := load(t, "types_zstd") // few, as a decoder of it takes time to begin
	for i := 0; i+8 <= len(b); i += 64 {
		in := bytes.Clone(b)
		binary.LittleEndian.PutUint64(in[i:], 1<<26)
		require.Less(t, allocated(func() { require.Error(t, drain(t, in, 1<<12)) }), uint64(128<<20), "byte %d", i)
	}
}

func TestFooterThatLies(t *testing.T) {
	t.Parallel()
	b := load(t, "dictionary")
	length := int(binary.LittleEndian.Uint32(b[len(b)-10:]))
	footer := b[len(b)-10-length:]
	dictionaries, batches, err := footerBlocks(footer[:length])
	require.NoError(t, err)
	require.Len(t, batches, 4)
	require.Len(t, dictionaries, 3)
	// The offset of the last record batch is found by its value.
	at := bytes.Index(footer, binary.LittleEndian.AppendUint64(nil, uint64(batches[3].offset)))
	require.Positive(t, at)
	in := bytes.Clone(b)
	in[len(b)-10-length+at]++
	_, err = readBytes(t, in)
	require.ErrorContains(t, err, "the footer lists 4 record batches and 3 dictionaries at other places than the 4 and 3 that the file has")
	in = bytes.Clone(b)
	binary.LittleEndian.PutUint32(in[len(b)-10:], uint32(len(b)))
	_, err = readBytes(t, in)
	require.ErrorContains(t, err, "the footer should have")
}

func TestSecondStream(t *testing.T) {
	t.Parallel()
	b := load(t, "types_stream")
	_, err := readBytes(t, append(bytes.Clone(b), b...))
	require.ErrorContains(t, err, "in.arrow: there are bytes behind the end of the Arrow stream")
}

// failing is a source that ends in an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestErrorsOfTheSourceAreHandedOn(t *testing.T) {
	t.Parallel()
	b := load(t, "types_stream")
	broken := errors.New("the disk is broken")
	for _, cut := range []int{0, 3, 6, 100, len(b) - 600, len(b) - 8, len(b)} {
		r, err := New(io.MultiReader(bytes.NewReader(b[:cut]), failing{broken}), Options{})
		for err == nil {
			err = r.Next(t.Context(), new(batch.Chunk))
		}
		require.ErrorIs(t, err, broken, "cut at %d", cut)
		var data *batch.DataError
		require.NotErrorAs(t, err, &data)
	}
}

func TestSchemaThatUnfolds(t *testing.T) {
	t.Parallel()
	// A schema whose fields share one long name claims more than it holds.
	meta := sharing(1 << 12)
	_, err := check(meta)
	require.ErrorIs(t, err, errMetadata)
	_, err = check(sharing(8))
	require.NoError(t, err)
}

// sharing is the metadata of a schema of n fields, which are one and the same
// table with a name of n bytes.
func sharing(n int) []byte {
	le := binary.LittleEndian
	var b []byte
	u16 := func(x ...int) {
		for _, v := range x {
			b = le.AppendUint16(b, uint16(v))
		}
	}
	u32 := func(x ...int) {
		for _, v := range x {
			b = le.AppendUint32(b, uint32(v))
		}
	}
	u32(16) // the root is at 16
	// The vtable of the message at 4: five slots would be 14 bytes; three do.
	u16(10, 12, 0, 4, 8, 0)
	u32(12)   // 16: the message, its vtable is 12 bytes before
	u32(1)    // 20: of kind schema
	u32(12)   // 24: the header is at 36
	u16(8, 8) // 28: the vtable of the schema
	u16(0, 4) //     its fields
	u32(8)    // 36: the schema
	u32(12)   // 40: the fields are at 52
	u16(6, 8) // 44: the vtable of the field
	u16(4, 0)
	u32(n) // 52: fields
	field := 56 + 4*n
	for i := range n {
		u32(field - (56 + 4*i))
	}
	u32(field - 44) // the field, its vtable is at 44
	u32(4)          // its name follows
	u32(n)
	return append(b, strings.Repeat("x", n+8)...)
}

func FuzzReader(f *testing.F) {
	for _, b := range interopFiles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		err := drain(t, in, 1<<14)
		var data *batch.DataError
		if errors.As(err, &data) {
			require.NotEmpty(t, data.Advice)
			require.NotEmpty(t, data.Reason)
			return
		}
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestBatchFitsTheSchema(t *testing.T) {
	t.Parallel()
	s := &schema{layout{nodes: 3, views: 1}, map[int64]layout{7: {nodes: 2}}}
	require.NoError(t, s.fits(&header{kind: kindBatch, layout: layout{3, 1}}))
	require.NoError(t, s.fits(&header{kind: kindDictionary, id: 7, layout: layout{nodes: 2}}))
	for _, h := range []header{
		{kind: kindBatch, layout: layout{2, 1}}, {kind: kindBatch, layout: layout{3, 0}},
		{kind: kindDictionary, id: 7, layout: layout{nodes: 1}}, {kind: kindDictionary, id: 8, layout: layout{3, 1}},
	} {
		require.Error(t, s.fits(&h), "%+v", h)
	}
	require.Error(t, (*schema)(nil).fits(&header{kind: kindBatch}))
}

func TestBuffersThatAreTooShort(t *testing.T) {
	t.Parallel()
	buffer := func(n int) *memory.Buffer { return memory.NewBufferBytes(make([]byte, n, 64)) }
	int64s := func(nulls int, buffers ...*memory.Buffer) arrow.Array {
		return array.MakeFromData(array.NewData(arrow.PrimitiveTypes.Int64, 3, buffers, nil, nulls, 0))
	}
	require.NoError(t, checkBuffers(int64s(1, buffer(1), buffer(24))))
	require.NoError(t, checkBuffers(int64s(0, nil, buffer(24))))
	require.EqualError(t, checkBuffers(int64s(1, nil, buffer(24))), "its nulls are not there")
	require.EqualError(t, checkBuffers(int64s(0, nil, buffer(23))), "it has fewer than 3 values")
}
