package oracle

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/source"
)

// dataFolder holds real data sets, outside of the repository.
const dataFolder = "../../../shared/data"

// interopFolder holds Parquet files of other tools.
const interopFolder = "../../test/interop"

// realFiles returns the text files among the real data: of each folder the
// first and the largest, in the long form all.
func realFiles(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat(dataFolder); err != nil {
		t.Skip("the real data sets are not here: " + dataFolder)
	}
	byFolder := map[string][]string{}
	err := filepath.WalkDir(dataFolder, func(path string, d os.DirEntry, err error) error {
		name := strings.TrimSuffix(path, ".gz")
		if err == nil && !d.IsDir() && (strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".json")) {
			byFolder[filepath.Dir(path)] = append(byFolder[filepath.Dir(path)], path)
		}
		return err
	})
	require.NoError(t, err)
	var files []string
	for _, in := range byFolder {
		if long {
			files = append(files, in...)
			continue
		}
		files = append(files, in[0])
		if last := in[len(in)-1]; last != in[0] {
			files = append(files, last)
		}
	}
	require.Greater(t, len(files), 10)
	return files
}

func unpacked(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		r, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}

// TestRealFiles profiles real files with nothing said about them, and compares
// with the standard library's readers and the naive statistics.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	for _, path := range realFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			text := unpacked(t, path)
			var want *Table
			var err error
			if !strings.Contains(filepath.Base(path), ".json") {
				want = readRealCSV(t, text)
			} else if want, err = ReadJSONArray(text); err != nil {
				_, err := observe(t.Context(), strings.NewReader(text), source.Options{Format: "json"})
				if err == nil {
					p, _ := observe(t.Context(), strings.NewReader(text), source.Options{Format: "json"})
					require.Positive(t, p.Summary().Malformed.Count, "it is no array of objects, and nobody says so")
				}
				return
			}
			inputs, err := source.Expand([]string{path}, false)
			require.NoError(t, err)
			p, err := observeInput(t.Context(), inputs[0], source.Options{})
			require.NoError(t, err)
			if p.Summary().Malformed.Count == 0 {
				want.Blank = p.Summary().Source.BlankLines // encoding/csv does not tell them
			}
			agree(t, want, p, path)
		})
	}
}

// readRealCSV reads by encoding/csv, or by the rules of the contract where
// encoding/csv finds a record that it cannot read.
func readRealCSV(t testing.TB, text string) *Table {
	t.Helper()
	o := CSV{Delimiter: ','}
	if crOnly(text) {
		return o.Read(text) // encoding/csv knows no lone CR
	}
	want, err := o.Standard(text, Strict)
	if err == nil && !strings.Contains(text, "\r\n") {
		return want
	}
	ours := o.Read(text)
	if err == nil {
		sameTable(t, asLF(ours), want, "the naive reader and encoding/csv")
	}
	return ours
}

// asLF returns the table with the line ends inside of fields as encoding/csv
// gives them.
func asLF(t *Table) *Table {
	out := *t
	out.Rows = nil
	for _, row := range t.Rows {
		values := make([]Value, len(row))
		for j, v := range row {
			values[j] = v
			if strings.Contains(v.Text, "\r\n") {
				values[j] = FromText(strings.ReplaceAll(v.Text, "\r\n", "\n"))
			}
		}
		out.Rows = append(out.Rows, values)
	}
	return &out
}

// TestParquetOfOtherTools compares flat files that other tools wrote.
func TestParquetOfOtherTools(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(interopFolder, "*.parquet"))
	require.NoError(t, err)
	read := 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		want, err := ReadParquet(data)
		if err != nil {
			t.Logf("%s: %v", filepath.Base(path), err)
			continue
		}
		read++
		p, err := observe(t.Context(), strings.NewReader(string(data)), source.Options{})
		require.NoError(t, err, path)
		agree(t, want, p, path)
	}
	require.Positive(t, read, "none of %d files could be compared", len(files))
}
