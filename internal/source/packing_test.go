package source

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// packers write the packings that Go can write; xz and bz2 come from files.
var packers = map[string]func(w io.Writer) io.WriteCloser{
	"gzip":   func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"snappy": func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) },
	"lz4":    func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err)
		}
		return z
	},
}

// packed are "a,b\n1,x\n2,y\n" and "3,z\n", by Python 3.11 (lzma, bz2).
var packed = map[string][2]string{
	"xz":  {"/Td6WFoAAATm1rRGAgAhARAAAACocI6GAQALYSxiCjEseAoyLHkKAEzgt25dEyFzAAEkDKYY2NgftvN9AQAAAAAEWVo=", "/Td6WFoAAATm1rRGAgAhARAAAACocI6GAQADMyx6CgBKkBeFjwGg8wABHARvLJzBH7bzfQEAAAAABFla"},
	"bz2": {"QlpoOTFBWSZTWbzHKEUAAARZgAAQAAQwADAAAGAgADEMCCNBmo4EIheLuSKcKEheY5QigA==", "QlpoOTFBWSZTWQNHd44AAAFYgAAQAAQIAAAQIAAhmmgzTRc8XckU4UJADR3eOA=="},
}

func pack(t testing.TB, name string, data []byte) []byte {
	t.Helper()
	if texts, ok := packed[name]; ok {
		text := texts[0]
		if string(data) == "3,z\n" {
			text = texts[1]
		}
		b, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		return b
	}
	var b bytes.Buffer
	w := packers[name](&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

var packingNames = []string{"gzip", "zstd", "bz2", "snappy", "xz", "lz4"}

// TestPackingIsFoundByContent reads each packing, several in a row, and each
// one cut off at every byte: an error with its place, never fewer rows.
func TestPackingIsFoundByContent(t *testing.T) {
	t.Parallel()
	csv := []byte("a,b\n1,x\n2,y\n")
	want := []string{"a=1 b=x", "a=2 b=y"}
	for _, name := range packingNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := pack(t, name, csv)
			rows, r, err := one(t, write(t, t.TempDir(), "x.csv", whole), Options{})
			require.NoError(t, err)
			require.Equal(t, want, rows)
			require.Equal(t, Info{Format: "csv", Compression: name, Delimiter: ','}, r.Info())
			require.Equal(t, int64(len(whole)), r.Stats().Bytes)
			rows, _, err = one(t, write(t, t.TempDir(), "x.csv", append(bytes.Clone(whole), pack(t, name, []byte("3,z\n"))...)), Options{})
			require.NoError(t, err)
			require.Equal(t, append(want, "a=3 b=z"), rows)

			// B and BZ are texts, as is the first byte of zstd. The stream of
			// snappy has no end: up to its first block it is an empty one.
			first := map[string]int{"bz2": 3, "zstd": 2, "snappy": 11}[name]
			for i := max(1, first); i < len(whole); i++ {
				_, _, err := one(t, write(t, t.TempDir(), "x.csv", whole[:i]), Options{})
				var data *batch.DataError
				require.ErrorAs(t, err, &data, "cut at %d of %d", i, len(whole))
				if i > 1 {
					require.Contains(t, err.Error(), name+" data is", "cut at %d", i)
					require.GreaterOrEqual(t, data.Offset, int64(0))
				}
			}
			// A second stream that is cut off is one too.
			second := pack(t, name, []byte("3,z\n"))
			for i := 11; i < len(second); i++ {
				_, _, err := one(t, write(t, t.TempDir(), "x.csv", append(bytes.Clone(whole), second[:i]...)), Options{})
				require.ErrorContains(t, err, name+" data is", "the second cut at %d", i)
			}
		})
	}
}

// TestPackingsAreDamaged changes each byte: all packings but snappy's frames
// without them have checksums of their content.
func TestPackingsAreDamaged(t *testing.T) {
	t.Parallel()
	csv := []byte("a,b\n1,x\n2,y\n")
	for _, name := range packingNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := pack(t, name, csv)
			for i := range whole {
				for _, mask := range []byte{0x01, 0x80, 0xff} {
					b := bytes.Clone(whole)
					b[i] ^= mask
					rows, _, err := one(t, write(t, t.TempDir(), "x.csv", b), Options{})
					var data *batch.DataError
					if errors.As(err, &data) {
						require.NotContains(t, err.Error(), "panic")
						continue
					}
					require.NoError(t, err)
					if i > 10 { // else it is a text of other bytes, a field of the header or a block of snappy to skip
						require.Equal(t, []string{"a=1 b=x", "a=2 b=y"}, rows, "byte %d ^ %02x", i, mask)
					}
				}
			}
		})
	}
}

// TestPackingsOfFiles unpacks what the programs of the packings wrote.
func TestPackingsOfFiles(t *testing.T) {
	t.Parallel()
	want, _, err := one(t, "../../test/data/trips.csv", Options{})
	require.NoError(t, err)
	files, err := filepath.Glob("../../test/interop/trips.csv.*")
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, f := range files {
		rows, r, err := one(t, f, Options{})
		require.NoError(t, err, f)
		require.Equal(t, want, rows, f)
		require.NotEmpty(t, r.Info().Compression)
	}
}

// zeros are n bytes of rows that are all alike.
func zeros(n int) io.Reader {
	line := "0,0,0,0,0,0,0\n"
	return io.LimitReader(io.MultiReader(strings.NewReader("a,b,c,d,e,f,g\n"), &repeating{line: line}), int64(n))
}

type repeating struct {
	line string
	at   int
}

func (r *repeating) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = r.line[r.at]
		r.at = (r.at + 1) % len(r.line)
	}
	return len(b), nil
}

func TestUnpackLimit(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	const free, size = 8 << 20, 12 << 20
	_, err = io.Copy(z, zeros(size))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	read := func(limit int64) (int64, error) {
		p := packingOf(b.Bytes())
		whole := &reporter{src: bytes.NewReader(b.Bytes()), name: "x"}
		u, closer, err := p.open(whole)
		require.NoError(t, err)
		defer closer()
		return io.Copy(io.Discard, &reporter{src: u, name: "x.zst", packing: p.name, packed: whole, limit: Options{UnpackLimit: limit}.unpackLimit(), free: free})
	}
	ratio := int64(free) / int64(b.Len())
	require.Greater(t, ratio, int64(DefaultUnpackLimit), "the test needs a bomb")
	n, err := read(0)
	var data *batch.DataError
	require.ErrorAs(t, err, &data)
	require.EqualError(t, err, fmt.Sprintf("x.zst: the zstd data unpacks to more than 2000 times its size (byte %d); if that is meant, raise --unpack-limit (0: no limit)", data.Offset))
	require.Less(t, n, int64(free+1<<20), "refused soon after the free part")
	for _, limit := range []int64{-1, 3 * ratio} {
		n, err := read(limit)
		require.NoError(t, err)
		require.Equal(t, int64(size), n)
	}
}

func TestWindowsAreLimited(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		// A frame with a window of 1 TiB; a stream with a dictionary of 4 GiB.
		"zstd": "\x28\xb5\x2f\xfd\x00\xf0\x01\x00\x00",
		"xz":   "\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x28\x00\x00\x00\xe6\xa0\x11\xb3\x01\x00\x0b\x61\x2c\x62\x0a\x31\x2c\x78\x0a\x32\x2c\x79\x0a\x00\x4c\xe0\xb7\x6e\x5d\x13\x21\x73\x00\x01\x24\x0c\xa6\x18\xd8\xd8\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a",
	} {
		_, _, err := one(t, write(t, t.TempDir(), "x.csv", []byte(head)), Options{})
		require.ErrorContains(t, err, "the "+name+" data needs more than 128 MiB of memory to unpack", name)
	}
}

// FuzzOpen opens anything: packed, binary or text.
func FuzzOpen(f *testing.F) {
	for _, name := range packingNames {
		f.Add(pack(f, name, []byte("a,b\n1,x\n2,y\n")))
	}
	names, err := filepath.Glob("../../test/interop/*.arrow")
	require.NoError(f, err)
	for _, name := range append(names, "../../test/interop/pyarrow_types.parquet", "../../test/data/orders.csv") {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		if len(b) < 16<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Open(t.Context(), Input{URL: "-", Files: []string{Stdin}, Size: -1}, Options{Stdin: bytes.NewReader(in), Rows: 1 << 14})
		var c batch.Chunk
		for err == nil {
			if err = r.Next(t.Context(), &c); err == nil {
				if err = c.FillAll(); err != nil {
					break
				}
				for i := range c.Vectors {
					if v := &c.Vectors[i]; v.Rows == nil {
						require.Equal(t, c.Rows, v.Len())
					} else {
						require.Len(t, v.Rows, v.Len())
					}
				}
			}
		}
		if r != nil {
			require.NoError(t, r.Close())
		}
		var data *batch.DataError
		if errors.As(err, &data) {
			require.NotEmpty(t, data.Reason)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.ErrorIs(t, err, io.EOF)
	})
}
