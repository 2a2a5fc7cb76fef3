package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// TestRunsCount compares the walk over runs with the values that were encoded
// by the library.
func TestRunsCount(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 2_000 {
		width := 1 + rnd.IntN(20)
		n := 1 + rnd.IntN(300)
		values := make([]int32, n)
		want, equal := rnd.Uint32N(1<<width), 0
		for i := range values {
			values[i] = rnd.Int32N(1 << width)
			if rnd.IntN(3) > 0 {
				values[i] = int32(want)
			}
			if i > 0 && rnd.IntN(2) > 0 {
				values[i] = values[i-1]
			}
			if uint32(values[i]) == want {
				equal++
			}
		}
		b, err := (&rle.Encoding{BitWidth: width}).EncodeInt32(nil, values)
		require.NoError(t, err)
		got, err := runs(b, width, n, want)
		require.NoError(t, err)
		require.Equal(t, equal, got, "width %d of %v", width, values)
		_, err = runs(b, width, n+8, want)
		require.ErrorIs(t, err, errShort)
		if n > 2*slack {
			_, err = runs(b, width, 1, want)
			require.ErrorIs(t, err, errRuns)
		}
	}
	for _, lying := range [][]byte{
		{0xfe, 0xff, 0xff, 0xff, 0x0f, 1},                         // a run of 2^31 values
		{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 4},                // as many groups
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, // more than can be counted
		{0x80},       // no end
		{0x04},       // no value
		{0x03, 0xff}, // half a group of width 16
	} {
		_, err := runs(lying, 16, 10, 0)
		require.ErrorIs(t, err, errRuns, "%x", lying)
	}
	_, err := runs([]byte{0xff, 0xff, 0xff, 0x0f}, 0, 10, 0)
	require.ErrorIs(t, err, errRuns, "groups of no width")
}

// TestPrefixesAreDecoded compares the lengths of texts in differences with the
// texts.
func TestPrefixesAreDecoded(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		n := rnd.IntN(300)
		lengths := make([]int32, n)
		for i := range lengths {
			lengths[i] = rnd.Int32N(1<<rnd.IntN(30) + 1)
		}
		b, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, lengths)
		require.NoError(t, err)
		d, err := deltaHeader(append(b, "rest"...), n)
		require.NoError(t, err)
		var got []int32
		rest, err := d.each(func(x int32) error { got = append(got, x); return nil })
		require.NoError(t, err)
		require.Equal(t, "rest", string(rest))
		require.Len(t, got, n)
		for i := range got {
			require.Equal(t, lengths[i], got[i])
		}
		if n > 1 {
			_, err = deltaHeader(b, n-1)
			require.ErrorIs(t, err, errDelta, "more values than the page names")
			_, err = deltaHeader(b, n+1)
			require.ErrorIs(t, err, errDelta, "fewer")
		}
	}
	var texts []byte
	offsets := []uint32{0}
	for i := range 300 {
		texts = append(texts, strings.Repeat("x", i)...)
		offsets = append(offsets, uint32(len(texts)))
	}
	b, err := new(delta.ByteArrayEncoding).EncodeByteArray(nil, texts, offsets)
	require.NoError(t, err)
	require.NoError(t, checkPrefixes(b, 300))
	require.ErrorIs(t, checkPrefixes(b, 299), errDelta)
	require.Error(t, checkPrefixes(b[:40], 300))
}

// TestTextsThatUnfold has texts of 1 MiB that share all with the one before.
func TestTextsThatUnfold(t *testing.T) {
	t.Parallel()
	prefixes, suffixes := make([]int32, 1000), make([]int32, 1000)
	suffixes[0] = 1 << 20
	for i := 1; i < len(prefixes); i++ {
		prefixes[i] = 1 << 20
	}
	b, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, prefixes)
	require.NoError(t, err)
	s, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, suffixes)
	require.NoError(t, err)
	b = append(append(b, s...), make([]byte, 1<<20)...)
	require.EqualError(t, checkPrefixes(b, 1000), "its texts have a negative length, or more than 256 MiB")
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("some text, ", 1000))
	codecs := []interface {
		Encode(dst, src []byte) ([]byte, error)
		CompressionCodec() format.CompressionCodec
	}{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Zstd, &parquet.Brotli, &parquet.Lz4Raw}
	for _, codec := range codecs {
		var u unpacker
		src, err := codec.Encode(nil, text)
		require.NoError(t, err)
		c := codec.CompressionCodec()
		for range 2 { // with decoders that were used
			got, err := u.append([]byte("before "), src, len(text), c)
			require.NoError(t, err, c)
			require.Equal(t, "before "+string(text), string(got))
			for _, n := range []int{1, len(text) - 1, len(text) + 1, 2 * len(text), pageLimit} {
				_, err = u.append(nil, src, n, c)
				require.Error(t, err, "%s claims %d", c, n)
				require.NotContains(t, err.Error(), "\n")
			}
			for cut := range 20 {
				_, err = u.append(nil, src[:len(src)*cut/20], len(text), c)
				require.Error(t, err, "%s cut", c)
			}
		}
		u.close()
	}
}

// deltas is a small file with columns in differences, of all packings.
func deltas(t testing.TB, options ...parquet.WriterOption) []byte {
	t.Helper()
	type rec struct {
		I int64    `parquet:"i,delta"`
		J int32    `parquet:"j,delta"`
		S string   `parquet:"s,delta"`
		O *string  `parquet:"o,optional,dict"`
		B bool     `parquet:"b"`
		F float64  `parquet:"f,split"`
		L []string `parquet:"l,list"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[rec](&buf, options...)
	text := "text"
	for i := range 60 {
		r := rec{I: int64(i * i), J: int32(-i), S: strings.Repeat("ab", i%5), B: i%3 == 0, F: float64(i), L: []string{"x", "y"}[:i%3]}
		if i%4 > 0 {
			r.O = &text
		}
		_, err := w.Write([]rec{r})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// withoutChecksums clears the checksums, so that damage reaches the decoders.
func withoutChecksums(t testing.TB, file []byte) []byte {
	t.Helper()
	r, err := New(bytes.NewReader(file), int64(len(file)), Options{})
	require.NoError(t, err)
	for g := range r.meta.groups {
		for i := range r.fields {
			if slices.ContainsFunc(r.fields[:i], func(f field) bool { return f.leaf == r.fields[i].leaf }) {
				continue // a list and its elements
			}
			pages, err := r.scanPages(&r.fields[i], g)
			require.NoError(t, err)
			for _, p := range pages {
				require.NotZero(t, p.crc)
				field := binary.AppendVarint([]byte{0x15}, int64(p.crc)) // field 4 of the header, an i32
				at := bytes.Index(file[p.offset:p.offset+int64(p.header)], field)
				require.Positive(t, at)
				at += int(p.offset)
				for k := at + 1; k < at+len(field)-1; k++ {
					file[k] = 0x80
				}
				file[at+len(field)-1] = 0
			}
		}
	}
	return file
}

// TestLyingPages changes bytes of pages that have no checksums to what would
// take memory if it were believed.
func TestLyingPages(t *testing.T) { //nolint:paralleltest // counts memory
	files := map[string][]byte{
		"v1": withoutChecksums(t, deltas(t, parquet.DataPageVersion(1))), "v2": withoutChecksums(t, deltas(t, parquet.DataPageVersion(2))),
		"snappy": withoutChecksums(t, deltas(t, parquet.Compression(&parquet.Snappy))),
	}
	for _, name := range []string{"delta", "dictionary", "lists"} {
		b, err := os.ReadFile(interop + "pyarrow_" + name + ".parquet")
		require.NoError(t, err)
		files[name] = b
	}
	for name, file := range files {
		whole, err := readBytes(t, file)
		require.NoError(t, err, name)
		refused := 0
		for i := 4; i < len(file)-8; i++ {
			for k, with := range [][]byte{{0xff, 0xff, 0xff, 0xff, 0x07}, {0xfe, 0xff, 0xff, 0xff, 0x0f}, {0x80}, {0xff}} {
				if k != i%4 {
					continue
				}
				b := bytes.Clone(file)
				copy(b[i:len(b)-8], with)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got, err := readBytes(t, b)
				runtime.ReadMemStats(&after)
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(128<<20), "%s: %x at byte %d: %v", name, with, i, err)
				var data *batch.DataError
				if errors.As(err, &data) {
					require.NotContains(t, err.Error(), "\n")
					refused++
					continue
				}
				require.NoError(t, err)
				require.Len(t, got.rows, len(whole.rows), "%s: %x at byte %d", name, with, i)
			}
		}
		require.Greater(t, refused, len(file)/10, name)
	}
}

func TestPagesOfManyValues(t *testing.T) {
	t.Parallel()
	c := chunk{f: &field{kind: parquet.Int32}}
	require.ErrorContains(t, c.check(&page{kind: format.DataPage, values: valueCount + 1}, nil), "it names 67108865 values")
	require.ErrorIs(t, c.check(&page{kind: format.DataPage, values: 3}, make([]byte, 11)), errShort)
	require.NoError(t, c.check(&page{kind: format.DataPage, values: 3}, make([]byte, 12)))
	require.ErrorContains(t, c.check(&page{kind: format.DataPageV2, values: 3, nulls: 1}, make([]byte, 12)), "it names 1 nulls and has 0")
	c.dict = -1
	require.ErrorContains(t, c.checkValues(format.RLEDictionary, 3, []byte{1}), "there is no dictionary before it")
}

// TestLZ4OfWhatDoesNotShrink has pages that LZ4 does not make a third of.
func TestLZ4OfWhatDoesNotShrink(t *testing.T) {
	t.Parallel()
	type rec struct {
		A int64  `parquet:"a"`
		B *int64 `parquet:"b,optional"`
	}
	rnd := rand.New(rand.NewPCG(9, 10))
	for _, version := range []int{1, 2} {
		var buf bytes.Buffer
		w := parquet.NewGenericWriter[rec](&buf, parquet.Compression(&parquet.Lz4Raw), parquet.DataPageVersion(version))
		var want [][]string
		for range 500 {
			x := rnd.Int64()
			_, err := w.Write([]rec{{x, &x}})
			require.NoError(t, err)
			cell := fmt.Sprintf("integer %d", x)
			want = append(want, []string{cell, cell})
		}
		require.NoError(t, w.Close())
		got, err := readBytes(t, buf.Bytes())
		require.NoError(t, err)
		require.Equal(t, want, got.rows, "version %d", version)
	}
}
