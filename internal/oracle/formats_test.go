package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
)

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// typed is a table whose values have the same meaning in all formats: each of
// its columns is one that CSV infers as Parquet declares it.
type typed struct {
	names []string
	types []string
	rows  [][]Value
}

// typedTable makes such a table. Each column has values that settle its type in
// the first two rows.
func typedTable(seed uint64, n int) *typed {
	rng := rand.New(rand.NewPCG(seed, 77))
	t := &typed{
		names: []string{"id", "price", "name", "flag", "day", "at", "local", "clock", "big", "code", "sparse", "share"},
		types: []string{tInteger, tNumber, tString, tBoolean, tDate, tTimestamp, tTimestamp, tTime, tInteger, tString, tInteger, tNumber},
	}
	words := []string{"", "Ann", "Ολγα", "two\nlines", `say "hi"`, "a,b", " pad ", "\u00e9", "e\u0301", "-", "NULL"}
	for i := range n {
		at := time.UnixMicro(rng.Int64N(4e15) - 1e15).UTC()
		row := []Value{
			{Type: tInteger, Int: int64(i)},
			{Type: tNumber, Float: math.Round(rng.ExpFloat64()*1e4)/100 + 0.001},
			{Type: tString, Text: words[rng.IntN(len(words))] + strings.Repeat("x", rng.IntN(3))},
			{Type: tBoolean, Int: int64(rng.IntN(2))},
			{Type: tDate, At: at.Truncate(24 * time.Hour)},
			{Type: tTimestamp, At: at, Zoned: true},
			{Type: tTimestamp, At: at.Truncate(time.Millisecond)},
			{Type: tTime, Int: rng.Int64N(86_400_000_000) * 1000},
			{Type: tInteger, Int: int64(rng.Uint64())},
			{Type: tString, Text: fmt.Sprintf("%05d", rng.IntN(3000))},
			{Type: tInteger, Int: int64(rng.IntN(4))},
			{Type: tNumber, Float: rng.NormFloat64() * math.Pow(10, float64(rng.IntN(20)-10))},
		}
		if i == 0 {
			row[8].Int = 7 // digits of one width would be codes in CSV
		}
		for j := 1; j < len(row) && i > 1; j++ {
			share := 0.05
			if t.names[j] == "sparse" {
				share = 0.9
			}
			if rng.Float64() < share {
				row[j] = null
			}
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (t *typed) column(name string) int { return slices.Index(t.names, name) }

// text writes a value as CSV and, in quotes where it has to, as JSON.
func (v Value) text() string {
	switch v.Type {
	case tNumber:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case tTimestamp, tDate, tTime:
		return v.show(v.Type, v.Zoned)
	}
	return v.show(v.Type, false)
}

func writeCSV(t *typed) string {
	g := &grid{names: t.names}
	for _, row := range t.rows {
		cells := make([]cell, len(row))
		for j, v := range row {
			cells[j] = cell{text: v.text(), null: v.Type == tNull}
		}
		g.cells = append(g.cells, cells)
	}
	text, _ := g.write(style{delimiter: ','})
	return text
}

func writeJSON(t *typed) string {
	var b strings.Builder
	for i, row := range t.rows {
		b.WriteByte('{')
		first := true
		for j, v := range row {
			if v.Type == tNull && i > 1 && (i+j)%2 == 0 {
				continue // missing is null
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			value := v.text()
			switch v.Type {
			case tNull:
				value = "null"
			case tInteger, tNumber, tBoolean:
			default:
				q, _ := json.Marshal(value)
				value = string(q)
			}
			fmt.Fprintf(&b, "%q:%s", t.names[j], value)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// parquetForm is how a Parquet file is laid out.
type parquetForm struct {
	codec      compress.Codec
	dictionary bool
	rowGroup   int64
	page       int
}

func (f parquetForm) node(name, typ string) parquet.Node {
	var n parquet.Node
	switch typ {
	case tInteger:
		n = parquet.Int(64)
	case tNumber:
		n = parquet.Leaf(parquet.DoubleType)
	case tBoolean:
		return parquet.Optional(parquet.Leaf(parquet.BooleanType))
	case tDate:
		n = parquet.Date()
	case tTime:
		n = parquet.Time(parquet.Microsecond)
	case tTimestamp:
		n = parquet.Timestamp(parquet.Microsecond)
		if name == "local" {
			n = parquet.TimestampAdjusted(parquet.Millisecond, false)
		}
	default:
		n = parquet.String()
	}
	if f.dictionary {
		n = parquet.Encoded(n, &parquet.RLEDictionary)
	}
	return parquet.Optional(n)
}

func (v Value) parquet(name string) parquet.Value {
	switch v.Type {
	case tInteger:
		return parquet.Int64Value(v.Int)
	case tNumber:
		return parquet.DoubleValue(v.Float)
	case tBoolean:
		return parquet.BooleanValue(v.Int != 0)
	case tDate:
		return parquet.Int32Value(int32(v.At.Unix() / 86_400))
	case tTime:
		return parquet.Int64Value(v.Int / 1000)
	case tTimestamp:
		if name == "local" {
			return parquet.Int64Value(v.At.UnixMilli())
		}
		return parquet.Int64Value(v.At.UnixMicro())
	case tString:
		return parquet.ByteArrayValue([]byte(v.Text))
	}
	return parquet.NullValue()
}

func writeParquet(tb testing.TB, t *typed, f parquetForm) string {
	tb.Helper()
	group := parquet.Group{}
	for j, name := range t.names {
		group[name] = f.node(name, t.types[j])
	}
	schema := parquet.NewSchema("table", group)
	var buf bytes.Buffer
	opts := []parquet.WriterOption{schema, parquet.MaxRowsPerRowGroup(f.rowGroup), parquet.PageBufferSize(f.page)}
	if f.codec != nil {
		opts = append(opts, parquet.Compression(f.codec))
	}
	w := parquet.NewWriter(&buf, opts...)
	fields := schema.Fields() // in their order in the file
	for _, row := range t.rows {
		out := make(parquet.Row, len(fields))
		for j, field := range fields {
			v := row[t.column(field.Name())]
			level := 1
			if v.Type == tNull {
				level = 0
			}
			out[j] = v.parquet(field.Name()).Level(0, level, j)
		}
		_, err := w.WriteRows([]parquet.Row{out})
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return buf.String()
}

// TestFormatsAgree gives one table as CSV, JSON lines, a JSON array, Parquet and
// Arrow in several forms: each agrees with the naive profile of what was written, and
// all with each other.
func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	sizes := []int{2, 40, 3000}
	if long {
		sizes = append(sizes, 20_000, 65_537, 120_000)
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			table := typedTable(uint64(n), n)
			jsonText := writeJSON(table)
			inputs := map[string]string{
				"csv": writeCSV(table), "jsonl": jsonText,
				"array":   "[" + strings.Join(strings.Split(strings.TrimSpace(jsonText), "\n"), ",") + "]",
				"parquet": writeParquet(t, table, parquetForm{rowGroup: 1 << 30, page: 1 << 20}),
				"snappy":  writeParquet(t, table, parquetForm{&parquet.Snappy, true, 1000, 4096}),
				"zstd":    writeParquet(t, table, parquetForm{&parquet.Zstd, false, 700, 1 << 16}),

				"arrow file":   writeArrow(t, table, arrowForm{batch: 1 << 30, dictionary: true}),
				"arrow lz4":    writeArrow(t, table, arrowForm{batch: 700, options: []ipc.Option{ipc.WithLZ4()}}),
				"arrow stream": writeArrow(t, table, arrowForm{batch: 999, stream: true, dictionary: true, options: []ipc.Option{ipc.WithZstd()}}),
			}
			profiles := map[string]*profile.Profile{}
			for name, text := range inputs {
				p, err := observe(t.Context(), strings.NewReader(text), source.Options{})
				require.NoError(t, err, name)
				profiles[name] = p
				want := table.table()
				if !strings.HasPrefix(name, "arrow") {
					want = naiveOf(t, name, text)
				}
				agree(t, want, p, name)
			}
			for name, p := range profiles {
				if found := unlike(profiles["csv"], p, 1e-12); len(found) > 0 {
					t.Errorf("csv and %s differ:\n  %s", name, strings.Join(found, "\n  "))
				}
			}
		})
	}
}

func naiveOf(t *testing.T, format, text string) *Table {
	t.Helper()
	var table *Table
	var err error
	switch format {
	case "csv":
		table, err = CSV{Delimiter: ','}.Standard(text, Lazy)
	case "jsonl":
		table = ReadJSONL(text)
	case "array":
		table, err = ReadJSONArray(text)
	default:
		table, err = ReadParquet([]byte(text))
	}
	require.NoError(t, err, format)
	return table
}

// unlike compares two profiles of the same rows: what is exact must be equal,
// floating numbers within a relative tolerance.
func unlike(a, b *profile.Profile, tolerance float64) []string {
	d := &comparison{where: "batch"}
	x, y := a.Summary(), b.Summary()
	equal(d, "rows", x.Rows, y.Rows)
	equal(d, "exactness of duplicates", x.Duplicates.Exact, y.Duplicates.Exact)
	if m, n := x.Duplicates, y.Duplicates; abs(m.Value-n.Value) > m.Error+n.Error {
		d.addf("duplicates are %+v and %+v", m, n)
	}
	equal(d, "malformed", x.Malformed.Count, y.Malformed.Count)
	equal(d, "columns", len(x.Columns), len(y.Columns))
	for i := range x.Columns {
		d.where = "column " + x.Columns[i].Name
		if other := y.Column(x.Columns[i].Name); other != nil {
			d.alike(&x.Columns[i], other, tolerance)
		} else {
			d.addf("missing")
		}
	}
	return d.found
}

func (d *comparison) alike(a, b *profile.Column, tolerance float64) {
	exact := func(c *profile.Column) string {
		e := profile.Column{
			List: c.List, Type: c.Type, Types: c.Types, Count: c.Count, Nulls: c.Nulls, Distinct: c.Distinct, DistinctRatio: c.DistinctRatio,
			Min: c.Min, Max: c.Max, Zeros: c.Zeros, Negatives: c.Negatives, Infinite: c.Infinite, NaN: c.NaN,
			Length: c.Length, Blank: c.Blank, NonASCII: c.NonASCII, InvalidUTF8: c.InvalidUTF8,
		}
		if c.Type == tInteger {
			e.Sum = c.Sum
		}
		if c.Distinct.Exact {
			e.Top, e.Histogram = c.Top, c.Histogram
			if c.Quantiles != nil {
				e.Quantiles = &profile.Quantiles{Exact: c.Quantiles.Exact, P50: c.Quantiles.P50}
			}
		}
		b, _ := json.MarshalIndent(e, "", " ")
		return string(b)
	}
	if x, y := exact(a), exact(b); x != y {
		d.addf("%s", firstLine(x, y))
	}
	for _, s := range []struct {
		what  string
		a, b  profile.Scalar
		least float64 // the tolerance is relative to no less
	}{{"sum", a.Sum, b.Sum, 1e-3}, {"mean", a.Mean, b.Mean, 1e-3}, {"stddev", a.StdDev, b.StdDev, 1e-3}, {"skewness", a.Skewness, b.Skewness, 1}, {"kurtosis", a.Kurtosis, b.Kurtosis, 1}} {
		x, ok := s.a.Float()
		y, ok2 := s.b.Float()
		if ok != ok2 || math.Abs(x-y) > tolerance*max(math.Abs(x), s.least) || !ok && s.a.String() != s.b.String() {
			d.addf("%s is %v and %v", s.what, s.a, s.b)
		}
	}
}

// firstLine returns the first lines that differ.
func firstLine(x, y string) string {
	a, b := strings.Split(x, "\n"), strings.Split(y, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("%s <> %s (line %d)", strings.TrimSpace(a[i]), strings.TrimSpace(b[i]), i+1)
		}
	}
	return "one has more lines"
}
