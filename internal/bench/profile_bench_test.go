package bench_test

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/datagen"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/source"
)

// makeFile writes a table to a temporary file.
func makeFile(tb testing.TB, table *datagen.Table, name string, o datagen.WriteOptions) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	f, err := os.Create(path)
	require.NoError(tb, err)
	w := bufio.NewWriter(f)
	o.Seed = 1
	require.NoError(tb, table.Write(w, o))
	require.NoError(tb, w.Flush())
	require.NoError(tb, f.Close())
	return path
}

// observe profiles a file as the command does.
func observe(tb testing.TB, path string) *monitor.Outcome {
	tb.Helper()
	inputs, err := source.Expand([]string{path}, false)
	require.NoError(tb, err)
	r, err := source.Open(tb.Context(), inputs[0], source.Options{})
	require.NoError(tb, err)
	o, err := monitor.New(monitor.Options{}).Observe(tb.Context(), r, monitor.Subject{Dataset: "bench/trips"})
	require.NoError(tb, err)
	require.NoError(tb, r.Close())
	return o
}

// BenchmarkProfile profiles files from the first byte to the finished profile.
func BenchmarkProfile(b *testing.B) {
	const rows = 100_000
	for _, c := range []struct {
		name  string
		file  string
		table *datagen.Table
		o     datagen.WriteOptions
	}{
		{"trips/csv", "trips.csv", datagen.Trips(), datagen.WriteOptions{Rows: rows, Format: datagen.CSV}},
		{"trips/csv.gz", "trips.csv.gz", datagen.Trips(), datagen.WriteOptions{Rows: rows, Format: datagen.CSV, Compression: datagen.Gzip}},
		{"trips/csv.zst", "trips.csv.zst", datagen.Trips(), datagen.WriteOptions{Rows: rows, Format: datagen.CSV, Compression: datagen.Zstd}},
		{"trips/jsonl", "trips.jsonl", datagen.Trips(), datagen.WriteOptions{Rows: rows, Format: datagen.JSONL}},
		{"trips/parquet", "trips.parquet", datagen.Trips(), datagen.WriteOptions{Rows: rows, Format: datagen.Parquet}},
		{"trips/parquet.zstd", "trips.parquet", datagen.Trips(), datagen.WriteOptions{Rows: rows, Format: datagen.Parquet, Compression: datagen.Zstd}},
		{"quotes/csv", "quotes.csv", datagen.Quotes(), datagen.WriteOptions{Rows: rows, Format: datagen.CSV}},
		{"unique/csv", "unique.csv", datagen.Unique(), datagen.WriteOptions{Rows: rows, Format: datagen.CSV}},
		{"nested/jsonl", "nested.jsonl", datagen.Nested(), datagen.WriteOptions{Rows: rows, Format: datagen.JSONL}},
		{"wide5/csv", "wide.csv", datagen.Wide(5), datagen.WriteOptions{Rows: 200_000, Format: datagen.CSV}},
		{"wide100/csv", "wide.csv", datagen.Wide(100), datagen.WriteOptions{Rows: 10_000, Format: datagen.CSV}},
		{"wide1000/csv", "wide.csv", datagen.Wide(1000), datagen.WriteOptions{Rows: 1_000, Format: datagen.CSV}},
	} {
		b.Run(c.name, func(b *testing.B) {
			path := makeFile(b, c.table, c.file, c.o)
			info, err := os.Stat(path)
			require.NoError(b, err)
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				require.Equal(b, c.o.Rows, observe(b, path).Profile.Rows())
			}
			if !c.table.Nested() {
				values := float64(c.o.Rows) * float64(len(c.table.Columns))
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/values, "ns/value")
			}
		})
	}
}
