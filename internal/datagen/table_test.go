package datagen

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	stdcsv "encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
)

func written(t *testing.T, table *Table, o WriteOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, table.Write(&b, o))
	return b.Bytes()
}

// TestTablesArePinned holds the bytes of tables: published numbers are of them.
func TestTablesArePinned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		table  *Table
		format Format
		sum    string
	}{
		{Trips(), CSV, "a2320ba23d3100ee"},
		{Trips(), JSONL, "278d38cd1eaef902"},
		{Wide(5), CSV, "f31284837ea1cbfb"},
		{Wide(100), CSV, "b3783e1482eec5c3"},
		{Quotes(), CSV, "725e513799f041a5"},
		{Quotes(), JSONL, "d42a58400627eb15"},
		{Unique(), CSV, "d390e664d0e90d0a"},
		{Nested(), JSONL, "067964cf275c54cc"},
	} {
		t.Run(fmt.Sprintf("%s%d.%s", c.table.Name, len(c.table.Columns), c.format), func(t *testing.T) {
			t.Parallel()
			sum := sha256.Sum256(written(t, c.table, WriteOptions{Seed: 1, Rows: 10_000, Format: c.format}))
			require.Equal(t, c.sum, hex.EncodeToString(sum[:8]))
		})
	}
}

func TestSeedsDiffer(t *testing.T) {
	t.Parallel()
	one := written(t, Trips(), WriteOptions{Seed: 1, Rows: 100, Format: CSV})
	require.NotEqual(t, one, written(t, Trips(), WriteOptions{Seed: 2, Rows: 100, Format: CSV}))
}

func TestAShorterTableIsTheHeadOfALongerOne(t *testing.T) {
	t.Parallel()
	for _, table := range []*Table{Trips(), Wide(7), Quotes(), Unique(), Nested()} {
		long := written(t, table, WriteOptions{Seed: 3, Rows: 20_000, Format: JSONL})
		for _, rows := range []int64{1, 8_191, 8_192, 8_193} {
			short := written(t, table, WriteOptions{Seed: 3, Rows: rows, Format: JSONL})
			require.EqualValues(t, rows, bytes.Count(short, []byte("\n")), table.Name)
			require.True(t, bytes.HasPrefix(long, short), "%s with %d rows", table.Name, rows)
		}
	}
}

// plainRows returns the values of a table as texts, nulls as "NULL", through
// the form's own oracle.
func plainRows(t *testing.T, table *Table, o WriteOptions) [][]string {
	t.Helper()
	data := written(t, table, o)
	switch o.Format {
	case CSV:
		return csvRows(t, table, data)
	case JSONL:
		return jsonRows(t, table, data)
	default:
		return parquetRows(t, table, data)
	}
}

func csvRows(t *testing.T, table *Table, data []byte) [][]string {
	t.Helper()
	// encoding/csv reads \r\n inside quotes as \n, and does not tell "" from
	// nothing: both are marked before.
	text := strings.ReplaceAll(string(data), "\r\n", "⏎")
	rows, err := stdcsv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	for i, c := range table.Columns {
		require.Equal(t, c.Name, rows[0][i])
	}
	for _, row := range rows[1:] {
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "⏎", "\r\n")
			if row[i] == "" {
				row[i] = "NULL"
			}
		}
	}
	return rows[1:]
}

func jsonRows(t *testing.T, table *Table, data []byte) [][]string {
	t.Helper()
	var rows [][]string
	for line := range bytes.Lines(data) {
		var object map[string]any
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		require.NoError(t, d.Decode(&object))
		require.Len(t, object, len(table.Columns))
		row := make([]string, len(table.Columns))
		for i, c := range table.Columns {
			value, ok := object[c.Name]
			require.True(t, ok, c.Name)
			row[i] = fmt.Sprint(value)
			if value == nil {
				row[i] = "NULL"
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func parquetRows(t *testing.T, table *Table, data []byte) [][]string {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	var all [][]string
	for _, group := range f.RowGroups() {
		require.LessOrEqual(t, group.NumRows(), int64(rowGroup))
		rows := group.Rows()
		for buf := make([]parquet.Row, 100); ; {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				texts := make([]string, len(row))
				for i, v := range row {
					texts[i] = parquetText(table.Columns[i], v)
				}
				all = append(all, texts)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.NoError(t, rows.Close())
	}
	return all
}

func parquetText(c Column, v parquet.Value) string {
	switch {
	case v.IsNull():
		return "NULL"
	case c.Kind == Integer:
		return strconv.FormatInt(v.Int64(), 10)
	case c.Kind == Cents && c.Decimal:
		return strconv.FormatFloat(float64(v.Int32())/100, 'f', 2, 64)
	case c.Kind == Cents:
		return strconv.FormatFloat(v.Double(), 'f', 2, 64)
	case c.Kind == Timestamp:
		return time.UnixMicro(v.Int64()).UTC().Format(time.DateTime)
	case c.Kind == Boolean:
		return strconv.FormatBool(v.Boolean())
	}
	return string(v.ByteArray())
}

func TestFormsHoldTheSameRows(t *testing.T) {
	t.Parallel()
	for _, table := range []*Table{Trips(), Wide(13), Quotes(), Unique()} {
		t.Run(table.Name, func(t *testing.T) {
			t.Parallel()
			const rows = 9_000
			want := plainRows(t, table, WriteOptions{Seed: 5, Rows: rows, Format: CSV})
			require.Len(t, want, rows)
			for _, o := range []WriteOptions{{Format: JSONL}, {Format: Parquet}, {Format: Parquet, Compression: Zstd}, {Format: Parquet, Compression: None}} {
				o.Seed, o.Rows = 5, rows
				require.Equal(t, want, plainRows(t, table, o), "%s %s", o.Format, o.Compression)
			}
		})
	}
}

func TestPackedTextIsTheSameText(t *testing.T) {
	t.Parallel()
	want := written(t, Quotes(), WriteOptions{Seed: 1, Rows: 2_000, Format: CSV})
	packed := written(t, Quotes(), WriteOptions{Seed: 1, Rows: 2_000, Format: CSV, Compression: Gzip})
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	got, err := io.ReadAll(gz)
	require.NoError(t, err)
	require.Equal(t, want, got)
	packed = written(t, Quotes(), WriteOptions{Seed: 1, Rows: 2_000, Format: CSV, Compression: Zstd})
	z, err := zstd.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	defer z.Close()
	got, err = io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestParquetHasFullRowGroupsWithDictionaries(t *testing.T) {
	t.Parallel()
	const rows = 2*rowGroup + 10
	o := WriteOptions{Seed: 1, Rows: rows, Format: Parquet}
	data := written(t, Wide(5), o)
	require.Equal(t, data, written(t, Wide(5), o), "whichever row group was ready first")
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	require.EqualValues(t, rows, f.NumRows())
	require.Len(t, f.RowGroups(), 3)
	require.EqualValues(t, rowGroup, f.RowGroups()[1].NumRows())
	for i, c := range f.Metadata().RowGroups[1].Columns {
		require.Equal(t, Wide(5).Columns[i].Name, c.MetaData.PathInSchema[0])
		require.Equal(t, Wide(5).Columns[i].Repeats, c.MetaData.DictionaryPageOffset > 0, c.MetaData.PathInSchema)
	}
}

func TestTripsHaveTheirShape(t *testing.T) {
	t.Parallel()
	table := Trips()
	const rows = 200_000
	var b Block
	seen := make([]map[string]int, len(table.Columns))
	nulls := make([]int, len(table.Columns))
	for i := range seen {
		seen[i] = map[string]int{}
	}
	for n := range table.Blocks(rows) {
		table.Fill(&b, 1, n, rows)
		for c := range table.Columns {
			for i := range b.Rows {
				if b.Values[c].IsNull(i) {
					nulls[c]++
					continue
				}
				seen[c][string(appendValue(nil, &table.Columns[c], &b.Values[c], i, func(_, text []byte) []byte { return text }))]++
			}
		}
	}
	require.Len(t, seen[tripHash], rows)
	require.Len(t, seen[tripDistance], distances)
	require.Len(t, seen[tripPickupZone], zones)
	require.Len(t, seen[tripDistrict], zones)
	require.Len(t, seen[tripShared], 2)
	require.InDelta(t, fares, len(seen[tripFare]), fares*0.06)
	require.InDelta(t, totals, len(seen[tripTotal]), totals*0.12)
	require.InDelta(t, 122_000, len(seen[tripDriver]), 6_000, "of 194,419")
	require.InDelta(t, 0.85*rows, len(seen[tripPickedUp]), 0.03*rows)
	require.InDelta(t, 0.90*rows, nulls[tripNote], 0.005*rows)
	require.NotZero(t, nulls[tripPassengers])
}

func TestUniqueHasEveryValueOnce(t *testing.T) {
	t.Parallel()
	const rows = 60_000
	all := plainRows(t, Unique(), WriteOptions{Seed: 9, Rows: rows, Format: CSV})
	for c, column := range Unique().Columns {
		seen := map[string]bool{}
		for _, row := range all {
			seen[row[c]] = true
		}
		require.Len(t, seen, rows, column.Name)
	}
}

func TestNestedRowsAreObjectsThreeLevelsDeep(t *testing.T) {
	t.Parallel()
	type order struct {
		ID       int64
		At       string
		Customer struct {
			ID      int64
			Level   string
			Address struct {
				City *string
				Zip  string
			}
		}
		Tags  []string
		Items []struct {
			SKU      string
			Quantity int
			Price    float64
		}
	}
	items, tags, nulls := 0, 0, 0
	for line := range bytes.Lines(written(t, Nested(), WriteOptions{Seed: 1, Rows: 3_000, Format: JSONL})) {
		var o order
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&o))
		_, err := time.Parse(time.DateTime, o.At)
		require.NoError(t, err)
		require.Len(t, o.Customer.Address.Zip, 5)
		items, tags = items+len(o.Items), tags+len(o.Tags)
		if o.Customer.Address.City == nil {
			nulls++
		}
	}
	require.Greater(t, items, 1_000)
	require.Greater(t, tags, 1_000)
	require.Greater(t, nulls, 30)
}

func TestTimesAreThoseOfTheCalendar(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		at := rng.Int64N(253_402_300_800) // until the year 10000
		require.Equal(t, time.Unix(at, 0).UTC().Format(time.DateTime), string(appendTime(nil, at)))
	}
}

func TestCentsAreDecimals(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0.00", 5: "0.05", 1_234: "12.34", -7: "-0.07", -100: "-1.00"} {
		require.Equal(t, want, string(appendCents(nil, n)))
	}
}

func TestFindRefusesWhatItCannotMake(t *testing.T) {
	t.Parallel()
	for _, name := range Tables() {
		table, err := Find(name[0], 3)
		require.NoError(t, err)
		require.Equal(t, name[0], table.Name)
		require.Zero(t, rowGroup%table.BlockRows, "blocks fit row groups")
	}
	_, err := Find("trip", 3)
	require.EqualError(t, err, `there is no table "trip"`)
	_, err = Find("wide", 0)
	require.ErrorContains(t, err, "0 columns cannot be made")
}

func TestFormsThatDoNotExist(t *testing.T) {
	t.Parallel()
	for _, o := range []WriteOptions{{Format: "xml"}, {Format: CSV, Compression: Snappy}, {Format: Parquet, Compression: Gzip}} {
		o.Rows = 10
		require.ErrorContains(t, Trips().Write(io.Discard, o), "write ", "%v", o)
	}
	require.EqualError(t, Nested().Write(io.Discard, WriteOptions{Rows: 10, Format: CSV}), "the table nested has the form jsonl alone")
	require.Error(t, Nested().Write(io.Discard, WriteOptions{Rows: 10, Format: Parquet}))
}

// full is a disk that is full after some writes.
type full struct{ left int }

var errFull = errors.New("no space")

func (f *full) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAFullDiskEndsWriting(t *testing.T) {
	t.Parallel()
	for _, o := range []WriteOptions{{Format: CSV}, {Format: CSV, Compression: Gzip}, {Format: JSONL}, {Format: Parquet}} {
		o.Rows = 300_000
		require.ErrorIs(t, Wide(2).Write(&full{left: 3}, o), errFull, "%v", o)
	}
}

func BenchmarkTrips(b *testing.B) {
	for _, o := range []WriteOptions{{Format: CSV}, {Format: JSONL}, {Format: Parquet}} {
		b.Run(string(o.Format), func(b *testing.B) {
			o.Seed, o.Rows = 1, 100_000
			var size counter
			b.ReportAllocs()
			for b.Loop() {
				size = 0
				require.NoError(b, Trips().Write(&size, o))
			}
			b.SetBytes(int64(size))
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
