package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

type inner struct {
	X int32   `parquet:"x"`
	Y *string `parquet:"y,optional"`
}

// everything has each type that the writer of the tests can write.
type everything struct {
	B    bool              `parquet:"b"`
	I32  int32             `parquet:"i32"`
	I64  int64             `parquet:"i64,delta"`
	U64  uint64            `parquet:"u64"`
	F32  float32           `parquet:"f32"`
	F64  float64           `parquet:"f64"`
	S    string            `parquet:"s,dict"`
	E    string            `parquet:"e,enum"`
	J    string            `parquet:"j,json"`
	Raw  []byte            `parquet:"raw"`
	Fix  [3]byte           `parquet:"fix"`
	ID   [16]byte          `parquet:"id,uuid"`
	D32  int32             `parquet:"d32,decimal(2:9)"`
	D64  int64             `parquet:"d64,decimal(3:18)"`
	Day  int32             `parquet:"day,date"`
	TMs  int32             `parquet:"tms,time(millisecond)"`
	TNs  int64             `parquet:"tns,time(nanosecond)"`
	AtMs int64             `parquet:"atms,timestamp(millisecond)"`
	AtNs int64             `parquet:"atns,timestamp(nanosecond:local)"`
	Old  deprecated.Int96  `parquet:"old"`
	Opt  *int64            `parquet:"opt,optional"`
	OptS *string           `parquet:"opts,optional,dict"`
	In   inner             `parquet:"in"`
	OpIn *inner            `parquet:"opin,optional"`
	Rep  []int64           `parquet:"rep"`
	List []string          `parquet:"list,list"`
	Reps []inner           `parquet:"reps"`
	Map  map[string]string `parquet:"map"`
}

func row(i int) everything {
	e := everything{
		B: i%2 == 0, I32: int32(-i), I64: math.MaxInt64 - int64(i), U64: math.MaxUint64 - uint64(i%2)<<63, F32: float32(i) / 4, F64: float64(i) / 8,
		S: fmt.Sprintf("s%d", i%5), E: "RED", J: "{}", Raw: []byte{byte(i), 0xff}, Fix: [3]byte{'a', 'b', byte('a' + i%26)}, ID: [16]byte{15: byte(i)},
		D32: int32(694 + i), D64: int64(-1 - i), Day: int32(i - 1), TMs: int32(i), TNs: int64(i), AtMs: int64(i - 1), AtNs: int64(i - 1),
		Old: deprecated.Int96{uint32(i), 0, julianEpoch}, In: inner{X: int32(i)},
	}
	if i%3 > 0 {
		n, s := int64(i), fmt.Sprintf("o%d", i%3)
		e.Opt, e.OptS, e.In.Y, e.OpIn = &n, &s, &s, &inner{X: 7}
	}
	for k := range i % 4 {
		e.Rep = append(e.Rep, int64(k))
		e.List = append(e.List, "item")
		e.Reps = append(e.Reps, inner{X: int32(k)})
	}
	if i%5 > 0 {
		e.Map = map[string]string{"k": "v"}
	}
	return e
}

func texts(i int) []string {
	fixed := []string{
		fmt.Sprintf("boolean %t", i%2 == 0), fmt.Sprintf("integer %d", -i), fmt.Sprintf("integer %d", math.MaxInt64-int64(i)),
		[]string{"number 18446744073709552000", "integer 9223372036854775807"}[i%2],
		fmt.Sprintf("number %v", float64(i)/4), fmt.Sprintf("number %v", float64(i)/8), fmt.Sprintf("string s%d", i%5), "string RED", "string {}",
		"binary " + string([]byte{byte(i), 0xff}), "binary ab" + string(rune('a'+i%26)), fmt.Sprintf("string 00000000-0000-0000-0000-0000000000%02x", byte(i)),
		fmt.Sprintf("number %v", float64(694+i)/100), fmt.Sprintf("number %v", float64(-1-i)/1000),
		batch.Value{Type: batch.Date, Int: int64(i-1) * microsPerDay}.Type.String() + " " + text(batch.Value{Type: batch.Date, Int: int64(i-1) * microsPerDay}, false),
		"time " + text(batch.Value{Type: batch.Time, Int: int64(i) * 1_000_000}, false), "time " + text(batch.Value{Type: batch.Time, Int: int64(i)}, false),
		"timestamp " + text(batch.Value{Type: batch.Timestamp, Int: int64(i-1) * 1000}, true),
	}
	ns := i - 1
	at := batch.Value{Type: batch.Timestamp, Int: int64(ns / 1000), Float: float64(ns % 1000)}
	if ns < 0 {
		at = batch.Value{Type: batch.Timestamp, Int: -1, Float: 999}
	}
	fixed = append(fixed, "timestamp "+text(at, false), "timestamp "+text(batch.Value{Type: batch.Timestamp, Int: int64(i / 1000), Float: float64(i % 1000)}, false))
	opt, opts, iny, opx, opy := "null", "null", "null", "null", "null"
	if i%3 > 0 {
		opt, opts, opx = fmt.Sprintf("integer %d", i), fmt.Sprintf("string o%d", i%3), "integer 7"
		iny = opts
	}
	items := fmt.Sprintf("list %d", i%4)
	entries := map[bool]string{true: "list 1", false: "list 0"}[i%5 > 0]
	elements := func(text string) string {
		all := []string{}
		for k := range i % 4 {
			all = append(all, strings.ReplaceAll(text, "#", strconv.Itoa(k)))
		}
		return "[" + strings.Join(all, "; ") + "]"
	}
	keys, values := "[]", "[]"
	if i%5 > 0 {
		keys, values = "[string k]", "[string v]"
	}
	return append(fixed, opt, opts, fmt.Sprintf("integer %d", i), iny, opx, opy, items, elements("integer #"), items, elements("string item"),
		items, elements("integer #"), elements("null"), entries, keys, values)
}

func text(v batch.Value, zoned bool) string { return string(v.AppendText(nil, zoned)) }

// write writes n rows in row groups of the given size.
func write(t testing.TB, n, group int, options ...parquet.WriterOption) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[everything](&buf, options...)
	for i := range n {
		_, err := w.Write([]everything{row(i)})
		require.NoError(t, err)
		if (i+1)%group == 0 {
			require.NoError(t, w.Flush())
		}
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

var columnsOfEverything = []string{
	"b boolean", "i32 integer", "i64 integer", "u64 null", "f32 number", "f64 number", "s string", "e string", "j string", "raw binary", "fix binary", "id string",
	"d32 number", "d64 number", "day date", "tms time", "tns time", "atms timestamp", "atns timestamp", "old timestamp", "opt integer", "opts string",
	"in.x integer", "in.y string", "opin.x integer", "opin.y string", "rep list", "rep[] integer", "list list", "list[] string", "reps list", "reps[].x integer", "reps[].y string",
	"map list", "map[].key string", "map[].value string",
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		n, group int
		options  []parquet.WriterOption
	}{
		{"plain", 300, 1000, []parquet.WriterOption{parquet.Compression(&parquet.Uncompressed)}},
		{"snappy, row groups", 1000, 150, []parquet.WriterOption{parquet.Compression(&parquet.Snappy)}},
		{"zstd, small pages", 5000, 4000, []parquet.WriterOption{parquet.Compression(&parquet.Zstd), parquet.PageBufferSize(512)}},
		{"gzip, first version of pages", 1000, 600, []parquet.WriterOption{parquet.Compression(&parquet.Gzip), parquet.DataPageVersion(1), parquet.PageBufferSize(300)}},
		{"one row", 1, 1, nil},
		{"no rows", 0, 1, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			file := write(t, tc.n, tc.group, tc.options...)
			got, err := readBytes(t, file)
			require.NoError(t, err)
			require.Equal(t, columnsOfEverything, got.columns)
			require.Len(t, got.rows, tc.n)
			for i := range got.rows {
				require.Equal(t, texts(i), got.rows[i], "row %d", i)
			}
			for i, c := range got.columns {
				require.Equal(t, c == "atms timestamp" && tc.n > 0, got.zoned[i], c)
			}
		})
	}
}

func TestOutOfRange(t *testing.T) {
	t.Parallel()
	type times struct {
		Day int32            `parquet:"day,date"`
		At  int64            `parquet:"at,timestamp(millisecond)"`
		Old deprecated.Int96 `parquet:"old"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[times](&buf)
	_, err := w.Write([]times{{math.MaxInt32, math.MaxInt64, deprecated.Int96{0, 0, math.MaxInt32}}, {math.MinInt32, math.MinInt64, deprecated.Int96{0, 0, math.MaxInt32 + 1}}, {1, 1, deprecated.Int96{math.MaxUint32, math.MaxUint32, julianEpoch}}})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	r, err := New(bytes.NewReader(buf.Bytes()), int64(buf.Len()), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	require.NoError(t, r.Next(t.Context(), &c))
	require.NoError(t, c.FillAll())
	const lastDay = math.MaxInt64 / microsPerDay * microsPerDay
	require.Equal(t, []int64{lastDay, -lastDay, microsPerDay}, c.Vectors[0].Ints)
	require.Equal(t, []int64{math.MaxInt64 / 1000 * 1000, -(math.MaxInt64 / 1000 * 1000), 1000}, c.Vectors[1].Ints)
	require.Equal(t, []int64{lastDay, -lastDay, -1}, c.Vectors[2].Ints)
	require.Equal(t, 999.0, c.Vectors[2].Floats[2])
	require.Equal(t, []string{
		"column day: 2 values are too far from 1970 and taken as the nearest time that can be told",
		"column at: 2 values are too far from 1970 and taken as the nearest time that can be told",
		"column old: 2 values are too far from 1970 and taken as the nearest time that can be told",
	}, r.Stats().Notes)
	require.Equal(t, int64(buf.Len()), r.Stats().Bytes)
}

func TestHalfIsLowestByteFirst(t *testing.T) {
	t.Parallel()
	require.Equal(t, -2.0, half([]byte{0x00, 0xc0}))
	require.True(t, math.IsNaN(half([]byte{0x01, 0x7c})))
	require.True(t, math.IsNaN(half(nil)))
}

func TestRefused(t *testing.T) {
	t.Parallel()
	good := write(t, 3, 10)
	lying := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	for _, tc := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "in.parquet: the file is empty, which no Parquet file is (byte 0); " + adviceAgain},
		{"one byte", []byte("P"), "in.parquet: is not a Parquet file: it does not begin with PAR1 (byte 0); " + adviceFormat},
		{"CSV", []byte("id,name\n1,x\n"), "in.parquet: is not a Parquet file: it does not begin with PAR1 (byte 0); " + adviceFormat},
		{"magic alone", []byte("PAR1"), "in.parquet: the file ends before its footer (byte 4); " + adviceAgain},
		{"half", good[:len(good)/2], fmt.Sprintf("in.parquet: the file does not end with its footer (byte %d); %s", len(good)/2, adviceAgain)},
		{"huge footer", lying(func(b []byte) { copy(b[len(b)-8:], "\xff\xff\xff\xff") }), fmt.Sprintf("in.parquet: the footer should have 4294967295 bytes, more than the file (byte %d); %s", len(good)-8, adviceAgain)},
		{"a list longer than the footer", []byte("PAR1\x29\xfc\xff\xff\xff\xff\x0f\x00\x08\x00\x00\x00PAR1"), "in.parquet: the footer cannot be read (byte 4); " + adviceAgain},
		{"no pages", append(append([]byte("PAR1"), make([]byte, len(good)-4-footerLength(good)-8)...), good[len(good)-footerLength(good)-8:]...),
			"in.parquet: column b in row group 1: the header of a page cannot be read (byte 4); " + adviceAgain},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := readBytes(t, tc.in)
			require.EqualError(t, err, tc.want)
			var data *batch.DataError
			require.ErrorAs(t, err, &data)
		})
	}
}

func footerLength(file []byte) int {
	b := file[len(file)-8:]
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16
}

func TestReadErrorIsReturned(t *testing.T) {
	t.Parallel()
	file := write(t, 2000, 10_000)
	cause := errors.New("disk on fire")
	for limit := range int64(5) {
		in := &failing{r: bytes.NewReader(file), reads: limit * 7, err: cause}
		r, err := New(in, int64(len(file)), Options{Source: "in.parquet"})
		var c batch.Chunk
		for err == nil {
			if err = r.Next(t.Context(), &c); err == nil {
				err = c.FillAll()
			}
		}
		require.ErrorIs(t, err, cause)
		require.True(t, strings.HasPrefix(err.Error(), "read in.parquet: "), err)
	}
}

// failing fails after a number of reads.
type failing struct {
	r     io.ReaderAt
	reads int64
	err   error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.reads--; f.reads < 0 {
		return 0, f.err
	}
	return f.r.ReadAt(p, off)
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	file := write(t, 3, 10)
	r, err := New(bytes.NewReader(file), int64(len(file)), Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Next(ctx, &batch.Chunk{}), context.Canceled)
}

// small is a file for tests that damage each of its bytes.
func small(t testing.TB, options ...parquet.WriterOption) []byte {
	t.Helper()
	type rec struct {
		A int64    `parquet:"a"`
		S *string  `parquet:"s,optional,dict"`
		L []string `parquet:"l,list"`
		D int32    `parquet:"d,decimal(2:9)"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, options...)
	for i := range 40 {
		s := fmt.Sprint("text ", i%3)
		_, err := w.Write([]rec{{int64(i), &s, []string{"x", "y"}[:i%3], int32(i)}, {A: -1}})
		require.NoError(t, err)
		if i == 25 {
			require.NoError(t, w.Flush())
		}
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]byte{"plain": small(t), "zstd": small(t, parquet.Compression(&parquet.Zstd), parquet.DataPageVersion(1))} {
		for i := range file {
			_, err := readBytes(t, file[:i])
			var data *batch.DataError
			require.ErrorAs(t, err, &data, "%s cut at %d", name, i)
			require.NotEmpty(t, data.Advice)
		}
		// A cut inside, with the footer still in its place at the end.
		// What is read in its place is the next byte, so a few of these change
		// nothing; nor does the index between the pages and the footer.
		want, err := readBytes(t, file)
		require.NoError(t, err)
		refused := 0
		for i := 4; i < len(file)-footerLength(file)-8; i++ {
			got, err := readBytes(t, append(bytes.Clone(file[:i]), file[i+1:]...))
			if err == nil {
				require.Equal(t, want, got, "%s without byte %d", name, i)
				continue
			}
			var data *batch.DataError
			require.ErrorAs(t, err, &data, "%s without byte %d", name, i)
			refused++
		}
		require.Greater(t, refused, endOfPages(t, file)*9/10)
	}
}

func endOfPages(t *testing.T, file []byte) (end int) {
	r, err := New(bytes.NewReader(file), int64(len(file)), Options{})
	require.NoError(t, err)
	for _, g := range r.meta.groups {
		for _, c := range g.chunks {
			end = max(end, int(c.start+c.packed))
		}
	}
	return end
}

// TestDamageAnywhere changes each byte. Checksums find changes of pages; what
// a change of the footer leaves readable has all rows.
func TestDamageAnywhere(t *testing.T) {
	t.Parallel()
	file := small(t)
	want, err := readBytes(t, file)
	require.NoError(t, err)
	refused := 0
	for i := range file {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			b := bytes.Clone(file)
			b[i] ^= mask
			got, err := readBytes(t, b)
			if err != nil {
				var data *batch.DataError
				require.ErrorAs(t, err, &data, "byte %d", i)
				require.NotContains(t, err.Error(), "panic")
				refused++
				continue
			}
			require.Len(t, got.rows, len(want.rows), "byte %d ^ %02x", i, mask)
		}
	}
	require.Greater(t, refused, len(file), "a third of all changes at least")
}

func FuzzReader(f *testing.F) {
	f.Add(small(f))
	f.Add(small(f, parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(1)))
	f.Add(write(f, 2, 1))
	for _, codec := range []parquet.WriterOption{
		parquet.Compression(&parquet.Gzip), parquet.Compression(&parquet.Brotli), parquet.Compression(&parquet.Zstd), parquet.Compression(&parquet.Lz4Raw), parquet.Compression(&parquet.Uncompressed),
	} {
		f.Add(deltas(f, codec, parquet.DataPageVersion(1)))
		f.Add(withoutChecksums(f, deltas(f, codec, parquet.DataPageVersion(2))))
	}
	for _, name := range []string{"int96", "decimals_bytes", "lists", "delta", "encrypted_plain_footer"} {
		b, err := os.ReadFile(interop + "pyarrow_" + name + ".parquet")
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := New(bytes.NewReader(in), int64(len(in)), Options{Source: "in.parquet", UnpackLimit: 2000})
		rows, cells := int64(0), int64(0)
		var c batch.Chunk
		for err == nil && cells < 1<<20 { // a few bytes may claim billions of nulls
			if err = r.Next(t.Context(), &c); err == nil {
				err = c.FillAll()
				rows += int64(c.Rows)
				cells += int64(c.Rows) * int64(1+len(c.Vectors))
			}
		}
		var data *batch.DataError
		switch {
		case errors.As(err, &data):
			require.NotEmpty(t, data.Advice)
			require.NotEmpty(t, data.Reason)
		case err != nil:
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, r.meta.rows, rows)
		}
	})
}

func TestLongTextsEndAChunk(t *testing.T) {
	t.Parallel()
	type rec struct {
		A int64  `parquet:"a"`
		S string `parquet:"s,dict"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, parquet.Compression(&parquet.Snappy))
	long := strings.Repeat("x", 256<<10) // once in the dictionary, 300 times in the rows
	for i := range 300 {
		_, err := w.Write([]rec{{int64(i), long}})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	r, err := New(bytes.NewReader(buf.Bytes()), int64(buf.Len()), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	rows, sizes := 0, []int{}
	for err = r.Next(t.Context(), &c); err == nil; err = r.Next(t.Context(), &c) {
		require.NoError(t, c.FillAll())
		rows += c.Rows
		sizes = append(sizes, c.Vectors[1].Size())
		require.LessOrEqual(t, c.Vectors[1].Dict.Size(), len(long))
	}
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 300, rows)
	for _, s := range sizes {
		require.Zero(t, s)
	}
}

func TestNextAllocatesNothingPerRow(t *testing.T) {
	type rec struct { // but for INT96, for which the decoder allocates a value
		A int64    `parquet:"a"`
		S *string  `parquet:"s,optional,dict"`
		P string   `parquet:"p"`
		D int64    `parquet:"d,decimal(2:18)"`
		T int64    `parquet:"t,timestamp(nanosecond)"`
		F float64  `parquet:"f"`
		U [16]byte `parquet:"u,uuid"`
		L []int32  `parquet:"l,list"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, parquet.Compression(&parquet.Snappy))
	s := "text"
	for i := range 90_000 {
		_, err := w.Write([]rec{{int64(i), &s, "plain", int64(i), int64(i), 0.5, [16]byte{1}, []int32{1, 2, 3}[:i%4]}})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	r, err := New(bytes.NewReader(buf.Bytes()), int64(buf.Len()), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	next := func() {
		require.NoError(t, r.Next(t.Context(), &c))
		require.NoError(t, c.FillAll())
	}
	for range batch.InFlight + 2 { // each has memory of its own
		next()
	}
	allocs := testing.AllocsPerRun(6, next)
	require.LessOrEqual(t, allocs, 40.0, "a chunk of %d rows and %d columns: only pages have some", c.Rows, len(c.Vectors))
	require.Equal(t, 5461, c.Rows)
}

func BenchmarkReader(b *testing.B) {
	file := write(b, 50_000, 1_000_000, parquet.Compression(&parquet.Snappy))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	cells := 0
	for b.Loop() {
		r, err := New(bytes.NewReader(file), int64(len(file)), Options{})
		require.NoError(b, err)
		var c batch.Chunk
		for err == nil {
			if err = r.Next(b.Context(), &c); err == nil {
				err = c.FillAll()
			}
			cells += c.Rows * len(c.Vectors)
		}
		require.ErrorIs(b, err, io.EOF)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(cells), "ns/cell")
}

// BenchmarkLists reads lists of numbers and texts, the columns of the lists and
// those of their elements.
func BenchmarkLists(b *testing.B) {
	type rec struct {
		A []int64  `parquet:"a,list"`
		B []string `parquet:"b,list"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, parquet.Compression(&parquet.Zstd))
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 500_000 {
		var r rec
		for range rnd.IntN(6) {
			r.A, r.B = append(r.A, rnd.Int64()), append(r.B, strconv.Itoa(rnd.IntN(1<<30)))
		}
		_, err := w.Write([]rec{r})
		require.NoError(b, err)
	}
	require.NoError(b, w.Close())
	b.SetBytes(int64(buf.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := New(bytes.NewReader(buf.Bytes()), int64(buf.Len()), Options{})
		require.NoError(b, err)
		var c batch.Chunk
		for err == nil {
			if err = r.Next(b.Context(), &c); err == nil {
				err = c.FillAll()
			}
		}
		require.ErrorIs(b, err, io.EOF)
		require.NoError(b, r.Close())
	}
}
