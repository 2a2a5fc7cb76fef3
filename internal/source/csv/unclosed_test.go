package csv

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// opened is a text of n bytes of which nearly every line is in the quotes of the
// line before, and begins a record itself that nothing closes.
func opened(n int, with string) []byte {
	line := "a\",\"x\n" + with
	return append([]byte("a,b\n"), bytes.Repeat([]byte(line), n/len(line))...)
}

// read returns the rows of a text and what was met besides.
func read(t testing.TB, src io.Reader) (rows []string, stats batch.Stats) {
	t.Helper()
	r, err := New(src, Options{})
	require.NoError(t, err)
	var c batch.Chunk
	for err = r.Next(t.Context(), &c); err == nil; err = r.Next(t.Context(), &c) {
		require.NoError(t, c.FillAll())
		for i := range c.Rows {
			var row []string
			for k := range c.Vectors {
				v, at := c.Vectors[k].At(i)
				row = append(row, string(v.AppendText(nil, at)))
			}
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	require.ErrorIs(t, err, io.EOF)
	return rows, r.Stats()
}

// TestQuotesThatNothingCloses would take hours if each line that may begin a
// record were followed to the end of the quotes.
func TestQuotesThatNothingCloses(t *testing.T) {
	t.Parallel()
	text := opened(RecordLimit+2<<20, "")
	rows, stats := read(t, bytes.NewReader(text))
	require.Empty(t, rows)
	require.Equal(t, int64(len(text)/6), stats.Malformed)
	require.Equal(t, &batch.Place{Row: 1, Offset: 4, Reason: "a quote is not closed"}, stats.FirstMalformed)

	// Rows between them are found.
	text = opened(RecordLimit+2<<20, "1,2\n")
	rows, stats = read(t, bytes.NewReader(text))
	require.Len(t, rows, len(text)/10)
	require.Equal(t, "1|2", rows[len(rows)-1])
	require.Equal(t, int64(len(text)/10), stats.Malformed)
}

// TestUnclosedQuotesAreReadAlike compares with a reader that knows nothing of
// the records before: texts of a few lines, repeated beyond the limit, which end
// in various ways.
func TestUnclosedQuotesAreReadAlike(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	lines := []string{"a\",\"x\n", "1,2\n", "a\",b,\"\"\"x\n", "\"\n", "\"\",\"\"\"\"x\n", "a\",\"x\",\"\"\n", "x\"\"\",y\n", "a\",b,\"x\r\n", "b,\"c\"\"\n"}
	found := 0
	for k := range 60 {
		var part strings.Builder
		for range 1 + rnd.IntN(6) {
			part.WriteString(lines[rnd.IntN([]int{2, 3, len(lines)}[k%3])])
		}
		text := "a,b\n" + strings.Repeat(part.String(), 1+6000/part.Len())
		for range 4 {
			text += lines[rnd.IntN(len(lines))]
		}
		text = strings.Repeat(text, 3)[:len(text)*3-rnd.IntN(9)]
		var want, got []string
		var wantStats, gotStats batch.Stats
		for _, forget := range []bool{true, false} {
			out, stats := &got, &gotStats
			if forget {
				out, stats = &want, &wantStats
			}
			var r *Reader
			var err error
			r, err = New(strings.NewReader(text), Options{Records: func(rec batch.Record) {
				*out = append(*out, fmt.Sprintf("%d %d %q %s", rec.Row, rec.Kind, rec.Text, rec.Reason))
				if r != nil && forget {
					r.inQuote = unclosed{}
				}
			}})
			require.NoError(t, err)
			r.limit = 10_000
			var c batch.Chunk
			for err == nil {
				err = r.Next(t.Context(), &c)
			}
			require.ErrorIs(t, err, io.EOF)
			*stats = r.Stats()
		}
		require.Equal(t, want, got, "%q", part.String())
		for _, rec := range got {
			if strings.HasSuffix(rec, "a quote is not closed") {
				found++
			}
		}
		require.Equal(t, wantStats, gotStats)
	}
	require.Greater(t, found, 1000)
}

func TestHeaderOfTooManyFields(t *testing.T) {
	t.Parallel()
	_, err := New(strings.NewReader(strings.Repeat(",", MaxColumns)+"\n1\n"), Options{Source: "in.csv"})
	require.EqualError(t, err, "in.csv: the first record has 250001 fields, and 250000 can be told apart (byte 0); write it with fewer columns, or name its separator with --delimiter")
	r, err := New(strings.NewReader(strings.Repeat(",", MaxColumns-1)+"\n"), Options{})
	require.NoError(t, err)
	require.Len(t, r.Columns(), MaxColumns)
}

// TestEqualNamesOfManyColumns would take minutes if each one tried all suffixes.
func TestEqualNamesOfManyColumns(t *testing.T) {
	t.Parallel()
	names, _ := uniqueNames(append(strings.Split(strings.Repeat("a,", 100_000), ",")[:100_000], "a_3", "", "a_"), true)
	require.Equal(t, []string{"a", "a_2", "a_4", "a_5"}, names[:4])
	require.Equal(t, []string{"a_100001", "a_3", "column_100002", "a_"}, names[99_999:])
}

// TestRecordsOfManyFieldsAreLimited has a record that is whole in the window but
// too long.
func TestRecordsOfManyFieldsAreLimited(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", RecordLimit)
	for _, record := range []string{"1," + long, long + ",1", "\"" + long + "\",1"} {
		rows, stats := read(t, strings.NewReader("a,b\n1,2\n"+record+"\n3,4\n"))
		require.Equal(t, []string{"1|2", "3|4"}, rows)
		require.Equal(t, int64(1), stats.Malformed)
	}
	rows, _ := read(t, strings.NewReader("a,b\n"+long[:RecordLimit-3]+",1\n"))
	require.Len(t, rows, 1)
}
