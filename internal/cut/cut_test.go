package cut_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/cut"
)

// parts cuts a text and returns the texts of the parts by name, in order.
func parts(t testing.TB, text, format string, by cut.By) (names, texts []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	all, err := cut.File(t.Context(), path, format, by, t.TempDir())
	for _, p := range all {
		data, err := os.ReadFile(p.Path)
		require.NoError(t, err)
		require.Len(t, data, int(p.Bytes))
		names, texts = append(names, p.Name), append(texts, string(data))
	}
	return names, texts, err
}

func TestRows(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("a\n1\n2\n3\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, tt := range map[string]struct {
		text, format string
		want         []string
	}{
		"csv":                {"a,b\n1,x\n2,y\n3,z\n", "", []string{"a,b\n1,x\n2,y\n", "a,b\n3,z\n"}},
		"records of lines":   {"a,b\n1,\"x\ny\"\n2,y\n3,\"z\"\n4,u", "csv", []string{"a,b\n1,\"x\ny\"\n2,y\n", "a,b\n3,\"z\"\n4,u"}},
		"tabs":               {"a\tb\r\n1\tx\r\n2\ty\r\n3\tz\r\n", "tsv", []string{"a\tb\r\n1\tx\r\n2\ty\r\n", "a\tb\r\n3\tz\r\n"}},
		"full":               {"a\n1\n2\n", "csv", []string{"a\n1\n2\n"}},
		"header alone":       {"a,b\n", "csv", []string{"a,b\n"}},
		"lines":              {"{\"a\":1}\n{\"a\":2}\n\n{\"a\":3}", "", []string{"{\"a\":1}\n{\"a\":2}\n\n", "{\"a\":3}"}},
		"array":              {`[{"a":1}, {"a":2},{"a":3}]`, "", []string{"{\"a\":1}\n{\"a\":2}", "{\"a\":3}"}},
		"what is no row":     {"{\"a\":1}\nbroken\n{\"a\":2}\nworse\n{\"a\":3}\n", "jsonl", []string{"{\"a\":1}\nbroken\n{\"a\":2}\nworse\n", "{\"a\":3}\n"}},
		"broken at the head": {"{broken\n{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", "jsonl", []string{"{broken\n{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n"}},
		"packed":             {packed.String(), "", []string{"a\n1\n2\n", "a\n3\n"}},
		"utf-16":             {"\xff\xfea\x00\n\x00\xe4\x00\n\x00", "csv", []string{"a\nä\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, texts, err := parts(t, tt.text, tt.format, cut.By{Kind: cut.Rows, Rows: 2})
			require.NoError(t, err)
			require.Equal(t, tt.want, texts)
			require.Equal(t, []string{"1", "2"}[:len(names)], names)
		})
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	by := cut.By{Kind: cut.Spans, Column: "at", Span: time.Hour}
	text := "at,n\n2026-03-01T10:59:59Z,1\n2026-03-01T09:00:00Z,2\n,3\n2026-03-01T10:00:00Z,4\nsoon,5\n1969-12-31T23:59:59Z,6\n"
	names, texts, err := parts(t, text, "csv", by)
	require.NoError(t, err)
	require.Equal(t, []string{"1969-12-31T23:00:00Z", "2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z", "none"}, names)
	require.Equal(t, []string{
		"at,n\n1969-12-31T23:59:59Z,6\n", "at,n\n2026-03-01T09:00:00Z,2\n",
		"at,n\n2026-03-01T10:59:59Z,1\n2026-03-01T10:00:00Z,4\n", "at,n\n,3\nsoon,5\n",
	}, texts)
	_, _, err = parts(t, "n\n1\n", "csv", by)
	require.EqualError(t, err, `there is no column "at" for the time; there are n`)
	_, _, err = parts(t, "", "csv", by)
	require.EqualError(t, err, `there is no column "at" for the time; there are none`)
	_, _, err = parts(t, strings.Repeat("n,", 30)+"n\n", "csv", by)
	require.ErrorContains(t, err, ", n_20, …")
	var long strings.Builder
	long.WriteString("at\n")
	for i := range 501 {
		long.WriteString(time.Unix(int64(i)*3600, 0).UTC().Format(time.RFC3339) + "\n")
	}
	_, _, err = parts(t, long.String(), "csv", by)
	require.EqualError(t, err, `the column "at" has more than 500 spans of 1h0m0s; choose a longer one`)
}

type row struct {
	N  int64     `parquet:"n"`
	S  *string   `parquet:"s,optional"`
	At time.Time `parquet:"at,timestamp(millisecond)"`
}

// table writes a Parquet file with row groups of the given sizes.
func table(t *testing.T, groups ...int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.parquet")
	f, err := os.Create(path)
	require.NoError(t, err)
	w := parquet.NewGenericWriter[row](f, parquet.Compression(&parquet.Zstd))
	n := int64(0)
	for _, size := range groups {
		for range size {
			r := row{N: n, At: time.UnixMilli(n * 1000 * 60).UTC()}
			if n%3 == 0 {
				text := fmt.Sprint("row ", n)
				r.S = &text
			}
			_, err := w.Write([]row{r})
			require.NoError(t, err)
			n++
		}
		require.NoError(t, w.Flush())
	}
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return path
}

func TestParquet(t *testing.T) {
	t.Parallel()
	path := table(t, 100, 250, 7)
	whole, err := parquet.ReadFile[row](path)
	require.NoError(t, err)
	for _, tt := range []struct {
		by   cut.By
		want []int64
	}{
		{cut.By{Kind: cut.RowGroups}, []int64{100, 250, 7}},
		{cut.By{Kind: cut.Rows, Rows: 150}, []int64{150, 150, 57}},
		{cut.By{Kind: cut.Spans, Column: "at", Span: 2 * time.Hour}, []int64{120, 120, 117}},
	} {
		all, err := cut.File(t.Context(), path, "", tt.by, t.TempDir())
		require.NoError(t, err)
		var rows []row
		var sizes []int64
		for _, p := range all {
			part, err := parquet.ReadFile[row](p.Path)
			require.NoError(t, err)
			require.Len(t, part, int(p.Rows))
			rows, sizes = append(rows, part...), append(sizes, p.Rows)
			f, err := os.Open(p.Path)
			require.NoError(t, err)
			file, err := parquet.OpenFile(f, p.Bytes)
			require.NoError(t, err)
			require.Equal(t, parquet.Zstd.CompressionCodec(), file.Metadata().RowGroups[0].Columns[0].MetaData.Codec)
			require.NoError(t, f.Close())
		}
		require.Equal(t, tt.want, sizes, tt.by.Kind)
		require.Equal(t, whole, rows)
	}
	all, err := cut.File(t.Context(), table(t), "", cut.By{Kind: cut.RowGroups}, t.TempDir())
	require.NoError(t, err)
	require.Len(t, all, 1, "a file without rows is one part")
	none, err := parquet.ReadFile[row](all[0].Path)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestWhatCannotBeCut(t *testing.T) {
	t.Parallel()
	_, _, err := parts(t, "a\n1\n", "csv", cut.By{Kind: cut.RowGroups})
	require.EqualError(t, err, "row_groups is for Parquet, and this is csv; use rows(50000)")
	require.ErrorAs(t, err, new(*cut.DataError))
	damaged := filepath.Join(t.TempDir(), "x.parquet")
	require.NoError(t, os.WriteFile(damaged, []byte("PAR1 nothing PAR1"), 0o600))
	_, err = cut.File(t.Context(), damaged, "", cut.By{Kind: cut.Rows, Rows: 1}, t.TempDir())
	require.Error(t, err)
}

// The parts of any text have all of its records.
func FuzzRows(f *testing.F) {
	f.Add([]byte("a,b\n1,2\n\"x\ny\",3\n4\n"), "csv")
	f.Add([]byte("{\"a\":1}\n{\"a\":[}\n\n{}"), "jsonl")
	f.Add([]byte("a\r1\r2\r"), "csv")
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		if format != "csv" && format != "jsonl" || bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
			return
		}
		_, whole, err := parts(t, string(data), format, cut.By{Kind: cut.Rows, Rows: 1 << 40})
		if err != nil {
			return
		}
		require.Len(t, whole, 1)
		_, texts, err := parts(t, string(data), format, cut.By{Kind: cut.Rows, Rows: 2})
		require.NoError(t, err)
		if len(texts) == 1 {
			require.Equal(t, whole, texts)
			return
		}
		// What all parts begin with is the header.
		head := ""
		for i := range min(len(texts[0]), len(texts[1])) {
			if texts[0][i] != texts[1][i] {
				break
			}
			head = texts[0][:i+1]
		}
		total := 0
		for _, text := range texts {
			total += len(text)
		}
		require.LessOrEqual(t, total-(len(texts)-1)*len(head), len(whole[0])+len(texts))
		require.GreaterOrEqual(t, total, len(whole[0]))
	})
}
