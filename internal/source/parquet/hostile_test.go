package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// ending is a file that is all footer.
func ending(footer []byte) []byte {
	b := append([]byte("PAR1"), footer...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(footer))), "PAR1"...)
}

// thriftList is the head of a list of structs in a field.
func thriftList(id byte, n int) []byte {
	return binary.AppendUvarint([]byte{tList, 2 * id, 0xf0 | tStruct}, uint64(n))
}

// element is a part of a schema: of a group, or a column of integers.
func element(name string, children int) []byte {
	b := []byte{}
	if children == 0 {
		b = append(b, tByte+2, 2*1, 2) // type: INT32
	}
	b = append(b, tByte+2, 2*3, 0, tBinary, 2*4) // repetition: required
	b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
	if children > 0 {
		b = binary.AppendVarint(append(b, tByte+2, 2*5), int64(children))
	}
	return append(b, 0)
}

// schemaOf is a file without rows that has the schema.
func schemaOf(parts ...[]byte) []byte {
	footer := []byte{tByte + 2, 2 * 1, 2} // version 1
	footer = append(footer, thriftList(2, len(parts))...)
	footer = append(footer, bytes.Join(parts, nil)...)
	return ending(append(footer, tI64, 2*3, 0, tList, 2*4, tStruct, 0))
}

// TestHugeFooters has footers of a few bytes a part that would take gigabytes,
// or the whole stack, if they were read as they are.
func TestHugeFooters(t *testing.T) { //nolint:paralleltest // counts memory
	flat := [][]byte{element("root", 3)}
	for i := range 3 {
		flat = append(flat, element(fmt.Sprint("c", i), 0))
	}
	r, err := New(bytes.NewReader(schemaOf(flat...)), int64(len(schemaOf(flat...))), Options{})
	require.NoError(t, err)
	require.Len(t, r.Columns(), 3)

	deep := make([][]byte, 0, 200_000)
	for range cap(deep) - 1 {
		deep = append(deep, element("g", 1))
	}
	deep = append(deep, element("c", 0))
	wide := [][]byte{element("root", 100_000)}
	for range 100_000 {
		wide = append(wide, element("c", 0))
	}
	names := [][]byte{element("root", 1), element(strings.Repeat("x", 1<<20), 20_000)}
	longer := [][]byte{element("root", 1), element(strings.Repeat("x", nameLimit-10), 60_000)}
	for range 60_000 {
		names, longer = append(names, element("c", 0)), append(longer, element("c", 0))
	}
	groups := append([]byte{tByte + 2, 2, 2}, thriftList(2, 1)...)
	groups = append(append(groups, element("root", 0)[3:]...), tI64, 2*3, 0)
	groups = append(append(groups, thriftList(4, 5<<20)...), make([]byte, 5<<20)...)
	columns := append([]byte{tByte + 2, 2, 2}, thriftList(2, 2)...)
	columns = append(append(append(columns, element("root", 1)...), element("c", 0)...), tI64, 2*3, 0)
	columns = append(append(append(columns, thriftList(4, 1)...), thriftList(1, 5<<20)...), make([]byte, 5<<20)...)
	columns = append(columns, 0, 0)
	for name, tc := range map[string]struct {
		file []byte
		want string
	}{
		"deep":       {schemaOf(deep...), "in.parquet: its columns are nested deeper than 255 levels, or too many of them are nested; write the file anew with fewer columns"},
		"wide":       {schemaOf(wide...), "in.parquet: has 100000 columns, and 65535 can be told apart; write the file anew with fewer columns"},
		"parts":      {ending(append(append([]byte{tByte + 2, 2, 2}, thriftList(2, 1<<20)...), make([]byte, 2<<20)...)), "in.parquet: its schema has more than 250000 parts; write the file anew with fewer columns"},
		"a name":     {schemaOf(names[:20_002]...), "in.parquet: the name of a column is longer than 4 KiB with those of the groups around it, or all of them than 32 MiB; write the file anew with shorter names"},
		"names":      {schemaOf(longer...), "in.parquet: the name of a column is longer than 4 KiB with those of the groups around it, or all of them than 32 MiB; write the file anew with shorter names"},
		"row groups": {ending(append(groups, 0)), "in.parquet: has 5242880 row groups of 0 columns, and 4194304 in all can be read; write the file anew with larger row groups"},
		"chunks":     {ending(columns), fmt.Sprintf("in.parquet: the footer cannot be read (byte 4); %s", adviceAgain)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := New(bytes.NewReader(tc.file), int64(len(tc.file)), Options{Source: "in.parquet"})
		runtime.ReadMemStats(&after)
		require.EqualError(t, err, tc.want, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20), name)
	}
}

// TestClaimedRows has few bytes that claim rows without end.
func TestClaimedRows(t *testing.T) {
	t.Parallel()
	file := small(t)
	claim := func(change func(*format.FileMetaData)) []byte {
		return withFooter(t, file, func(m *format.FileMetaData) {
			m.NumRows += 1<<62 - m.RowGroups[0].NumRows
			m.RowGroups[0].NumRows = 1 << 62
			change(m)
		})
	}
	file = claim(func(*format.FileMetaData) {})
	_, err := New(bytes.NewReader(file), int64(len(file)), Options{Source: "in.parquet", UnpackLimit: 2000})
	require.EqualError(t, err, "in.parquet: claims 4611686018427387932 values, more than 2000 times its size; if that is meant, raise --unpack-limit (0: no limit)")
	_, err = readBytes(t, file)
	require.ErrorContains(t, err, "column a in row group 1: it has 52 values for 4611686018427387904 rows")

	// Nulls have no values that could be missed.
	file = claim(func(m *format.FileMetaData) { m.Schema[1].LogicalType.Value = new(format.NullType) })
	_, err = readBytes(t, file)
	require.ErrorContains(t, err, "column a in row group 1: it has 52 values for 4611686018427387904 rows")
	whole, err := readBytes(t, withFooter(t, small(t), func(m *format.FileMetaData) { m.Schema[1].LogicalType.Value = new(format.NullType) }))
	require.NoError(t, err)
	require.Len(t, whole.rows, 80)
}

// TestPagesHeld counts the pages of all columns that are in memory.
func TestPagesHeld(t *testing.T) {
	t.Parallel()
	type rec struct {
		A string `parquet:"a"`
		B string `parquet:"b,dict"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, parquet.Compression(&parquet.Zstd), parquet.PageBufferSize(4<<20))
	text := strings.Repeat("x", 100)
	for range 20_000 {
		_, err := w.Write([]rec{{text, text}})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	read := func(limit, free int64) (*Reader, error) {
		r, err := New(bytes.NewReader(buf.Bytes()), int64(buf.Len()), Options{Source: "in.parquet", UnpackLimit: limit})
		require.NoError(t, err)
		r.freeHeld = free
		_, err = readAll(t, r)
		return r, err
	}
	_, err := read(100, 1<<20)
	require.ErrorContains(t, err, "in.parquet: column a in row group 1: its pages take more than 256 MiB of memory with those of the other columns, and many times the size of the file")
	require.ErrorContains(t, err, "; name fewer columns with --columns, or write the file anew with smaller pages")
	for _, limit := range []int64{0, 1 << 40} {
		r, err := read(limit, 1<<20)
		require.NoError(t, err)
		require.Zero(t, r.held.Load(), "all is let go")
	}
	r := &Reader{in: &source{size: math.MaxInt64}}
	require.NoError(t, r.hold(heldLimit))
	require.ErrorIs(t, r.hold(1), errHeld)
	require.NoError(t, r.hold(-2))
	require.NoError(t, r.hold(1))
	require.False(t, (&Reader{in: &source{size: 1000}, opts: Options{UnpackLimit: 2000}}).beyond(freeBytes, freeBytes))
	require.True(t, (&Reader{in: &source{size: 1000}, opts: Options{UnpackLimit: 2000}}).beyond(freeBytes+1, freeBytes))
}

func TestPackedManyTimes(t *testing.T) {
	t.Parallel()
	file := small(t)
	r, err := New(bytes.NewReader(file), int64(len(file)), Options{Source: "in.parquet", UnpackLimit: 2000})
	require.NoError(t, err)
	r.unpacked.Store(freeBytes)
	_, err = readAll(t, r)
	require.ErrorContains(t, err, "the file unpacks to more than 2000 times its size")
}

// TestListsOfManyColumns has a row whose lists are together too long.
func TestListsOfManyColumns(t *testing.T) {
	t.Parallel()
	type rec struct {
		L []struct{ A, B, C, D, E, F, G, H, I int32 } `parquet:"l,list"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, parquet.Compression(&parquet.Zstd))
	row := rec{make([]struct{ A, B, C, D, E, F, G, H, I int32 }, 1<<20)}
	_, err := w.Write([]rec{row})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = readBytes(t, buf.Bytes())
	require.ErrorContains(t, err, "its lists have more than 8388608 elements in a few rows, times their columns")
}

// TestDictionaryThatGrows is for pages of which some have a dictionary.
func TestDictionaryThatGrows(t *testing.T) {
	t.Parallel()
	typ := parquet.Int32Type
	dict := typ.NewDictionary(0, 2, typ.NewValues(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 7), 8), nil))
	f := &field{as: asInt32}
	var c cursor
	require.NoError(t, c.beginCodes(f, dict, []int32{0, 1}))
	first := c.dict
	for range 1<<16 + 1 {
		c.dict.Append(batch.Value{Type: batch.Integer}, nil)
	}
	require.NoError(t, c.beginCodes(f, dict, []int32{0, 1}))
	require.NotSame(t, first, c.dict)
	require.Equal(t, 3, c.dict.Len())
	require.Equal(t, batch.Value{Type: batch.Integer, Int: 8}, c.dict.Value(1))
	require.Equal(t, batch.Null, c.dict.Types[2])
	require.Equal(t, 1<<16+4, first.Len(), "chunks may have it")
}

// counting counts the bytes that are read.
type counting struct {
	*bytes.Reader
	n atomic.Int64
}

func (c *counting) ReadAt(b []byte, off int64) (int, error) {
	c.n.Add(int64(len(b)))
	return c.Reader.ReadAt(b, off)
}

// TestListsAreReadOnce reads the lists and their elements side by side, each
// chunk in their order, as those do who profile them.
func TestListsAreReadOnce(t *testing.T) {
	t.Parallel()
	type rec struct {
		L [][]int64 `parquet:"l,list"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf)
	elements := 0
	for i := range 40_000 {
		var r rec
		for k := range i % 4 {
			r.L = append(r.L, []int64{int64(i), int64(k), int64(i * k)}[:i*k%4])
			elements += i * k % 4
		}
		_, err := w.Write([]rec{r})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	in := &counting{Reader: bytes.NewReader(buf.Bytes())}
	r, err := New(in, int64(buf.Len()), Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"l", "l[]", "l[][]"}, []string{r.columns[0].Name, r.columns[1].Name, r.columns[2].Name})
	rows, values := 0, [3]int{}
	var c batch.Chunk
	for err = r.Next(t.Context(), &c); err == nil; err = r.Next(t.Context(), &c) {
		var wg sync.WaitGroup
		var errs [3]error
		for i := range 3 {
			wg.Go(func() {
				var v *batch.Vector
				v, errs[i] = c.Fill(i)
				values[i] += v.Len()
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs[:]...))
		require.Len(t, c.Vectors[2].Rows, c.Vectors[2].Len())
		rows += c.Rows
	}
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 40_000, rows)
	require.Equal(t, [3]int{40_000, 60_000, elements}, values)
	require.Less(t, in.n.Load(), int64(buf.Len())*5/4)

	// One alone is read as such.
	for _, name := range []string{"l", "l[][]"} {
		r, err := New(bytes.NewReader(buf.Bytes()), int64(buf.Len()), Options{Columns: []string{name}})
		require.NoError(t, err)
		require.Empty(t, r.families)
		require.NoError(t, r.Next(t.Context(), &c))
		require.NoError(t, c.FillAll())
	}
}
