package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/profilerhq/profiler/internal/batch"
)

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, data, 0o600))
	return p
}

// rowsOf reads an input and returns its rows as texts.
func rowsOf(t testing.TB, in Input, opts Options) (rows []string, r *Reader, err error) {
	t.Helper()
	r, err = Open(t.Context(), in, opts)
	if err != nil {
		return nil, nil, err
	}
	defer func() { require.NoError(t, r.Close()) }()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			return rows, r, nil
		}
		if err != nil {
			return rows, r, err
		}
		require.Equal(t, int64(len(rows)+1), c.First)
		require.NoError(t, c.FillAll())
		for i := range c.Rows {
			var cells []string
			for j := range c.Vectors {
				cell := "∅"
				if v, k := c.Vectors[j].At(i); v.Types[k] != batch.Null {
					cell = string(v.AppendText(nil, k))
				}
				cells = append(cells, r.Columns()[j].Name+"="+cell)
			}
			rows = append(rows, strings.Join(cells, " "))
		}
	}
}

func one(t testing.TB, path string, opts Options) ([]string, *Reader, error) {
	t.Helper()
	in, err := Expand([]string{path}, false)
	require.NoError(t, err)
	return rowsOf(t, in[0], opts)
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	text := "name\nMünchen\n"
	latin, err := charmap.ISO8859_1.NewEncoder().String(text)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		data     string
		encoding string
	}{
		"utf-8":          {text, ""},
		"utf-8 with bom": {"\xef\xbb\xbf" + text, ""},
		"latin1":         {latin, "latin1"},
		"utf-16le":       {utf16(t, unicode.LittleEndian, text), ""},
		"utf-16be":       {utf16(t, unicode.BigEndian, text), ""},
	} {
		rows, _, err := one(t, write(t, t.TempDir(), "x.csv", []byte(tc.data)), Options{Encoding: tc.encoding})
		require.NoError(t, err, name)
		require.Equal(t, []string{"name=München"}, rows, name)
	}
	_, _, err = one(t, write(t, t.TempDir(), "x.csv", []byte(text)), Options{Encoding: "nope"})
	require.ErrorContains(t, err, `unknown encoding "nope"`)
}

func utf16(t testing.TB, order unicode.Endianness, s string) string {
	t.Helper()
	out, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(s)
	require.NoError(t, err)
	return out
}

func TestFormatsAreFoundByContent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, data, format string }{
		{"x.txt", "a\tb\n1\t2\n", "csv"},
		{"x", `{"a": 1}` + "\n", "jsonl"},
		{"x", " [\n {\"a\": 1}]", "jsonl"},
		{"x.csv", "{a},b\n1,2\n", "csv"},
		{"x", "[a],b\n1,2\n", "csv"},
	} {
		_, r, err := one(t, write(t, t.TempDir(), tc.name, []byte(tc.data)), Options{})
		require.NoError(t, err, tc.data)
		require.Equal(t, tc.format, r.Info().Format, tc.data)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, data, want string }{
		{"x.parquet", "a,b\n1,2\n", "is not a Parquet file (byte 0); write it again"},
		{"x.parquet", "", "is empty; a Parquet file has at least a footer"},
		{"x", "PK\x03\x04....", "it is a zip archive; unpack it first"},
		{"x", "\xfd7zXZ\x00...", "the xz data is truncated"},
		{"x", "FEA1\x00\x00", "Feather version 1 is not supported"},
		{"x", "ARROW1\x00\x00", "the Arrow data is cut off (byte 8)"},
		{"x.arrow", "", "is empty; an Arrow file or stream has at least a schema"},
		{"x.arrow.gz", "", "is empty; an Arrow file or stream has at least a schema"},
		{"x.arrow", "a,b\n1,2\n3,4\n", "is not an Arrow file or stream (byte 0); give an Arrow file or stream"},
		{"x.feather", "ARROW", "is not an Arrow file or stream"},
		{"x.csv", "\x00\x01\x02\x03\x04\x05\x06\x07binary", "is not text"},
		{"x.jsonl", "a,b\n", "JSON"},
	} {
		path := write(t, t.TempDir(), tc.name, []byte(tc.data))
		_, _, err := one(t, path, Options{})
		var data *batch.DataError
		require.ErrorAs(t, err, &data, tc.data)
		require.ErrorContains(t, err, tc.want)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "in/b.csv", []byte("a\n1\n"))
	write(t, dir, "in/a.csv.gz", pack(t, "gzip", []byte("a\n1\n")))
	write(t, dir, "in/_SUCCESS", nil)
	write(t, dir, "in/.hidden", nil)
	write(t, dir, "in/sub/c.csv", []byte("a\n1\n"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	in, err := Expand([]string{filepath.Join(dir, "in")}, false)
	require.NoError(t, err)
	require.Equal(t, "in", in[0].Name)
	require.Len(t, in[0].Files, 3)
	in, err = Expand([]string{filepath.Join(dir, "in", "*.csv*")}, true)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, []string{in[0].Name, in[1].Name})
	in, err = Expand([]string{"-"}, false)
	require.NoError(t, err)
	require.Equal(t, Input{URL: "-", Name: "stdin", Files: []string{"-"}, Size: -1}, in[0])
	for arg, want := range map[string]string{
		filepath.Join(dir, "nope.csv"): "no such file or folder",
		filepath.Join(dir, "*.nope"):   "no file matches the pattern",
		filepath.Join(dir, "empty"):    "the folder has no files",
		"postgres://h/db#t":            "not supported by this version yet",
	} {
		_, err := Expand([]string{arg}, false)
		require.ErrorContains(t, err, want)
	}
}

func TestFilesAreOneBatchWithTheUnionOfTheirColumns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "1.csv", []byte("a,b\n1,x\n"))
	write(t, dir, "2.csv", []byte("b,c\ny,2\nbad\n"))
	write(t, dir, "3.jsonl", []byte(`{"c": 3, "a": 9, "d": true}`+"\n"))
	in, err := Expand([]string{dir}, false)
	require.NoError(t, err)
	rows, r, err := rowsOf(t, in[0], Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"a=1 b=x", "a=∅ b=y c=2", "a=9 b=∅ c=3 d=true"}, rows)
	require.Equal(t, int64(1), r.Stats().Malformed)
	require.Equal(t, filepath.Join(dir, "2.csv"), r.Stats().FirstMalformed.Source)
	hash := r.Hash()
	_, r, err = rowsOf(t, in[0], Options{})
	require.NoError(t, err)
	require.Equal(t, hash, r.Hash())
	rows, _, err = rowsOf(t, in[0], Options{Columns: []string{"c", "a"}, Rows: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"c=∅ a=1", "c=2 a=∅"}, rows)
}

func TestUnknownColumnIsNamed(t *testing.T) {
	t.Parallel()
	_, _, err := one(t, write(t, t.TempDir(), "x.csv", []byte("a,b\n1,2\n")), Options{Columns: []string{"c"}})
	require.ErrorContains(t, err, `there is no column "c"; there are a, b`)
}

// TestStdinOfEveryFormat reads from a stream what is else read from a file.
func TestStdinOfEveryFormat(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"a,b\n1,x\n", `{"a":1,"b":"x"}`} {
		for _, p := range []string{"", "gzip", "zstd"} {
			b := []byte(data)
			if p != "" {
				b = pack(t, p, b)
			}
			in, err := Expand([]string{"-"}, false)
			require.NoError(t, err)
			rows, _, err := rowsOf(t, in[0], Options{Stdin: bytes.NewReader(b)})
			require.NoError(t, err)
			require.Equal(t, []string{"a=1 b=x"}, rows)
		}
	}
}

func TestLargeFilesAcrossChunks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for f := range 3 {
		var b bytes.Buffer
		for i := range 5_000 {
			line, err := json.Marshal(map[string]any{"f": f, "i": i})
			require.NoError(t, err)
			fmt.Fprintf(&b, "%s\n", line)
		}
		write(t, dir, fmt.Sprintf("%d.jsonl", f), b.Bytes())
	}
	in, err := Expand([]string{dir}, false)
	require.NoError(t, err)
	rows, _, err := rowsOf(t, in[0], Options{})
	require.NoError(t, err)
	require.Len(t, rows, 15_000)
	require.Equal(t, "f=2 i=4999", rows[14_999])
}
