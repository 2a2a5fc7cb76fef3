package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// readAll returns all rows as texts; null is "∅".
func readAll(t testing.TB, r *Reader) [][]string {
	t.Helper()
	var rows [][]string
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			return rows
		}
		require.NoError(t, err)
		require.NoError(t, c.FillAll())
		for i := range c.Rows {
			row := make([]string, len(c.Vectors))
			for j := range c.Vectors {
				v, k := c.Vectors[j].At(i)
				if v.Types[k] == batch.Null {
					row[j] = "∅"
					continue
				}
				row[j] = string(v.Bytes(k))
			}
			rows = append(rows, row)
		}
	}
}

func names(r *Reader) (n []string) {
	for _, c := range r.Columns() {
		n = append(n, c.Name)
	}
	return n
}

func TestReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300<<10)
	for _, tc := range []struct {
		name, in  string
		opts      Options
		header    []string
		rows      [][]string
		malformed int64
		reason    string
		row       int64
		offset    int64
	}{
		{name: "plain", in: "a,b\n1,2\n3,4\n", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}, {"3", "4"}}},
		{name: "no newline at the end", in: "a,b\n1,2", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}}},
		{name: "crlf", in: "a,b\r\n1,2\r\n", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}}},
		{name: "cr only", in: "a,b\r1,2\r3,4", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}, {"3", "4"}}},
		{name: "cr only with quotes", in: "a,b\r\"1\",2\r3,\"4\"\r", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}, {"3", "4"}}},
		{name: "nulls and empty strings", in: "a,b\n,\"\"\n ,x\n", header: []string{"a", "b"}, rows: [][]string{{"∅", ""}, {" ", "x"}}},
		{name: "named nulls", in: "a,b\nNA,\"NA\"\n", opts: Options{Nulls: []string{"NA"}}, header: []string{"a", "b"}, rows: [][]string{{"∅", "NA"}}},
		{name: "quotes", in: "a,b\n\"x,\"\"y\"\"\",\"l1\r\nl2\"\n", header: []string{"a", "b"}, rows: [][]string{{`x,"y"`, "l1\r\nl2"}}},
		{name: "bare quote is text", in: "a,b\n5\" pipe,x\n", header: []string{"a", "b"}, rows: [][]string{{`5" pipe`, "x"}}},
		{name: "bare quote with crlf", in: "a,b\r\nx,5\"\r\n", header: []string{"a", "b"}, rows: [][]string{{"x", `5"`}}},
		{name: "blank lines are no rows", in: "a\n\n1\n\r\n2\n\n", header: []string{"a"}, rows: [][]string{{"1"}, {"2"}}},
		{name: "separators only is a row", in: "a,b\n,\n", header: []string{"a", "b"}, rows: [][]string{{"∅", "∅"}}},
		{name: "ragged", in: "a,b\n1\n1,2\n1,2,3\n", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}}, malformed: 2, reason: "1 field instead of 2", row: 1, offset: 4},
		{name: "text after quote", in: "a,b\n1,2\n\"x\"y,2\n3,4\n", header: []string{"a", "b"}, rows: [][]string{{"1", "2"}, {"3", "4"}}, malformed: 1, reason: "text after a closing quote", row: 2, offset: 8},
		{name: "unclosed quote", in: "a,b\n1,\"x\n2,3\n4,5\n", header: []string{"a", "b"}, rows: [][]string{{"2", "3"}, {"4", "5"}}, malformed: 1, reason: "a quote is not closed", row: 1, offset: 4},
		{name: "repeated and empty names", in: "id,,id,column_2\n1,2,3,4\n", header: []string{"id", "column_2_2", "id_2", "column_2"}, rows: [][]string{{"1", "2", "3", "4"}}},
		{name: "no header", in: "\n1,\"2\"\n3,4\n", opts: Options{NoHeader: true}, header: []string{"column_1", "column_2"}, rows: [][]string{{"1", "2"}, {"3", "4"}}},
		{name: "semicolon found", in: "a;b\n1,5;2\n2,5;3\n", header: []string{"a", "b"}, rows: [][]string{{"1,5", "2"}, {"2,5", "3"}}},
		{name: "tab given", in: "a\tb,c\n1\t2\n", opts: Options{Delimiter: '\t'}, header: []string{"a", "b,c"}, rows: [][]string{{"1", "2"}}},
		{name: "comments", in: "# by hand\na,b\n#1,2\n3,4\n", opts: Options{Comment: '#'}, header: []string{"a", "b"}, rows: [][]string{{"3", "4"}}},
		{name: "other quote", in: "a,b\n'x,y',2\n", opts: Options{Quote: '\''}, header: []string{"a", "b"}, rows: [][]string{{"x,y", "2"}}},
		{name: "longer than the buffer", in: "a,b\n\"" + long + "\"," + long + "\n1,2\n", header: []string{"a", "b"}, rows: [][]string{{long, long}, {"1", "2"}}},
		{name: "header only", in: "a,b\n", header: []string{"a", "b"}},
		{name: "nothing", in: ""},
	} {
		for _, how := range []struct {
			name string
			wrap func(io.Reader) io.Reader
		}{{"whole", func(r io.Reader) io.Reader { return r }}, {"bytewise", iotest.OneByteReader}} {
			t.Run(tc.name+"/"+how.name, func(t *testing.T) {
				t.Parallel()
				opts := tc.opts
				opts.Source = "in.csv"
				r, err := New(how.wrap(strings.NewReader(tc.in)), opts)
				require.NoError(t, err)
				require.Equal(t, tc.header, names(r))
				require.Equal(t, tc.rows, readAll(t, r))
				require.Equal(t, tc.malformed, r.Stats().Malformed)
				if tc.malformed > 0 {
					require.Equal(t, &batch.Place{Source: "in.csv", Row: tc.row, Offset: tc.offset, Reason: tc.reason}, r.Stats().FirstMalformed)
				}
			})
		}
	}
}

func TestLongRecordCostsOneRecord(t *testing.T) {
	t.Parallel()
	in := io.MultiReader(strings.NewReader("a,b\n1,2\n"), bytes.NewReader(bytes.Repeat([]byte("y"), 3*RecordLimit)), strings.NewReader("\n3,4\n"))
	r, err := New(in, Options{})
	require.NoError(t, err)
	require.Equal(t, [][]string{{"1", "2"}, {"3", "4"}}, readAll(t, r))
	require.Equal(t, int64(1), r.Stats().Malformed)
	require.Equal(t, "the record is longer than 16 MiB", r.Stats().FirstMalformed.Reason)
	require.LessOrEqual(t, cap(r.tail), 4*RecordLimit)
}

func TestReadErrorIsReturned(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	r, err := New(io.MultiReader(strings.NewReader("a,b\n1,2\n"+strings.Repeat("3,4\n", 50_000)), iotest.ErrReader(cause)), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	for err == nil {
		err = r.Next(t.Context(), &c)
	}
	require.ErrorIs(t, err, cause)
}

// TestAgainstEncodingCSV compares generated files with the reader of the
// standard library.
func TestAgainstEncodingCSV(t *testing.T) {
	t.Parallel()
	pieces := []string{"", "a", "12", "x,y", "q\"q", "line\nbreak", " pad ", "ä", "\"", ";", "\t", "long " + strings.Repeat("z", 500)}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cols := 2 + rng.IntN(5)
		var buf bytes.Buffer
		w := stdcsv.NewWriter(&buf)
		w.UseCRLF = rng.IntN(2) == 0
		want := [][]string{}
		for range 1 + rng.IntN(40) {
			row := make([]string, cols)
			for i := range row {
				row[i] = pieces[rng.IntN(len(pieces))] + pieces[rng.IntN(len(pieces))]
			}
			want = append(want, row)
			require.NoError(t, w.Write(row))
		}
		w.Flush()
		r, err := New(iotest.HalfReader(&buf), Options{NoHeader: true, Delimiter: ','})
		require.NoError(t, err)
		got := readAll(t, r)
		require.Zero(t, r.Stats().Malformed)
		for i := range got {
			for j := range got[i] {
				got[i][j] = strings.ReplaceAll(strings.ReplaceAll(got[i][j], "∅", ""), "\r\n", "\n")
			}
		}
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\n\"x\ny\"\n", "\"a,b\n\"\"", "a;b\r\n1;2", "\r\r\"\"\r", "a,b\n\"x\"y,\"\n\"", "\x00\xff,\n,"} {
		f.Add([]byte(s), byte(0), false)
		f.Add([]byte(s), byte(';'), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, delimiter byte, noHeader bool) {
		if delimiter == '\n' || delimiter == '\r' || delimiter == '"' {
			return
		}
		opts := Options{Delimiter: delimiter, NoHeader: noHeader}
		whole, err := New(bytes.NewReader(in), opts)
		require.NoError(t, err)
		rows := readAll(t, whole)
		opts.Delimiter = whole.Delimiter()
		parts, err := New(iotest.OneByteReader(bytes.NewReader(in)), opts)
		require.NoError(t, err)
		require.Equal(t, rows, readAll(t, parts), "reads of one byte give other rows")
		require.Equal(t, whole.Stats().Malformed, parts.Stats().Malformed)
		// What encoding/csv reads without an error, we read alike.
		std := stdcsv.NewReader(bytes.NewReader(in))
		std.Comma, std.FieldsPerRecord = rune(opts.Delimiter), 0
		want, err := std.ReadAll()
		if err != nil || delimiter >= 0x80 || bytes.ContainsRune(in, '\r') || !noHeader {
			return
		}
		require.Len(t, rows, len(want))
		for i := range rows {
			got := strings.ReplaceAll(strings.Join(rows[i], "\x1f"), "∅", "")
			require.Equal(t, strings.ReplaceAll(strings.Join(want[i], "\x1f"), "∅", ""), got)
		}
	})
}

func TestNextAllocatesNothingPerRow(t *testing.T) {
	var buf bytes.Buffer
	buf.WriteString("id,price,when,zone\n")
	for i := range 400_000 {
		fmt.Fprintf(&buf, "%d,%d.25,2026-01-02 03:04:05,\"zone %d\"\n", i, i, i%7)
	}
	r, err := New(&buf, Options{})
	require.NoError(t, err)
	var c batch.Chunk
	next := func() {
		require.NoError(t, r.Next(t.Context(), &c))
		require.NoError(t, c.FillAll())
	}
	for range 10 { // grows the chunk, gives dictionaries up
		next()
	}
	allocs := testing.AllocsPerRun(10, next)
	require.LessOrEqual(t, allocs, 5.0, "a chunk of %d rows", c.Rows)
}

func BenchmarkReader(b *testing.B) {
	var buf bytes.Buffer
	buf.WriteString("id,fare,when,zone,note\n")
	for i := range 100_000 {
		fmt.Fprintf(&buf, "%d,%d.25,2026-01-02 03:04:05,zone %d,\n", i, i%900, i%7)
	}
	b.SetBytes(int64(buf.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := New(bytes.NewReader(buf.Bytes()), Options{})
		require.NoError(b, err)
		var c batch.Chunk
		for err == nil {
			if err = r.Next(b.Context(), &c); err == nil {
				err = c.FillAll()
			}
		}
	}
}

// Chunks decide the last digits of sums, so they may depend on the input alone:
// not on the pieces in which it comes, nor on the memory that is used again.
func TestChunksAreThoseOfTheInput(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("a,b\n")
	for i := range 150_000 {
		fmt.Fprintf(&text, "%d,%s\n", i, strings.Repeat("x", i%23))
	}
	rows := func(src io.Reader, size func(i int) int) (out []int) {
		r, err := New(src, Options{})
		require.NoError(t, err)
		for i := 0; ; i++ {
			c := &batch.Chunk{}
			c.Raw.Text = make([]byte, 0, size(i))
			if err := r.Next(t.Context(), c); errors.Is(err, io.EOF) {
				return out
			} else {
				require.NoError(t, err)
			}
			out = append(out, c.Rows)
		}
	}
	want := rows(strings.NewReader(text.String()), func(int) int { return 0 })
	require.Greater(t, len(want), 5)
	require.Equal(t, want, rows(strings.NewReader(text.String()), func(i int) int { return i % 3 << 20 }))
	require.Equal(t, want, rows(iotest.HalfReader(strings.NewReader(text.String())), func(i int) int { return i % 2 << 19 }))
}
