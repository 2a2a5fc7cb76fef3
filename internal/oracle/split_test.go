package oracle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/split"
)

// ruleText has checks that need one row, the rows before, all rows, several
// columns, some of the rows.
const ruleText = `
columns:
  id: [not_null, unique]
  amount: [{range: {min: 0, max: 100}, where: status != "open"}, {decimals: {max: 2}, severity: warn}]
  status: [{in: [paid, open], by: country}]
  country: [{length: {min: 2}, warn: 50%}]
checks:
  - row: amount < 90 or is_null(status)
  - unique: [status, amount]
    fail: 30%
`

// row is a row of the input as text; empty is null.
type row struct{ id, amount, status, country string }

func randomRows(seed uint64, n int) []row {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{
			strconv.Itoa(rng.IntN(3 * n)), fmt.Sprintf("%.3f", rng.Float64()*120-10),
			pick("paid", "paid", "paid", "open", "odd, \"x\"\nline", ""), pick("DE", "NL", "B", ""),
		}
		if i > 1 && rng.IntN(20) == 0 {
			rows[i].id = ""
		}
	}
	return rows
}

func quoted(s string) string {
	if strings.ContainsAny(s, "\",\n;") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

func asCSV(rows []row, delimiter, end string) []byte {
	var b bytes.Buffer
	b.WriteString(strings.Join([]string{"id", "amount", "status", "country"}, delimiter) + end)
	for _, r := range rows {
		b.WriteString(strings.Join([]string{r.id, r.amount, quoted(r.status), r.country}, delimiter) + end)
	}
	return b.Bytes()
}

func member(name, value string, text bool) string {
	if value == "" {
		value = "null"
	} else if text {
		value = strconv.Quote(value)
	}
	return fmt.Sprintf("%q: %s", name, value)
}

func asJSON(rows []row, open, between, end string) []byte {
	items := make([]string, len(rows))
	for i, r := range rows {
		items[i] = "{" + strings.Join([]string{member("id", r.id, false), member("amount", r.amount, false), member("status", r.status, true), member("country", r.country, true)}, ",") + "}"
	}
	return []byte(open + strings.Join(items, between) + end)
}

type typedRow struct {
	ID      *int64   `parquet:"id,optional"`
	Amount  *float64 `parquet:"amount,optional,zstd"`
	Status  *string  `parquet:"status,optional,dict"`
	Country *string  `parquet:"country,optional"`
}

func (r row) typed() (t typedRow) {
	if n, err := strconv.ParseInt(r.id, 10, 64); err == nil {
		t.ID = &n
	}
	if f, err := strconv.ParseFloat(r.amount, 64); err == nil {
		t.Amount = &f
	}
	if r.status != "" {
		t.Status = &r.status
	}
	if r.country != "" {
		t.Country = &r.country
	}
	return t
}

func asParquet(t *testing.T, rows []row) []byte {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[typedRow](&b, parquet.MaxRowsPerRowGroup(300))
	for _, r := range rows {
		_, err := w.Write([]typedRow{r.typed()})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func asArrow(t *testing.T, rows []row, stream bool) []byte {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "amount", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "status", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "country", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	var b bytes.Buffer
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	} = ipc.NewWriter(&b, ipc.WithSchema(schema))
	if !stream {
		var err error
		w, err = ipc.NewFileWriter(&b, ipc.WithSchema(schema))
		require.NoError(t, err)
	}
	for part := range slices.Chunk(rows, 200) {
		rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for _, r := range part {
			v := r.typed()
			rb.Field(0).(*array.Int64Builder).AppendValues([]int64{value(v.ID)}, []bool{v.ID != nil})
			rb.Field(1).(*array.Float64Builder).AppendValues([]float64{value(v.Amount)}, []bool{v.Amount != nil})
			rb.Field(2).(*array.StringBuilder).AppendValues([]string{value(v.Status)}, []bool{v.Status != nil})
			rb.Field(3).(*array.StringBuilder).AppendValues([]string{value(v.Country)}, []bool{v.Country != nil})
		}
		require.NoError(t, w.Write(rb.NewRecordBatch()))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// read returns the rows of a file as texts of their columns.
func read(t *testing.T, path string) (columns []string, rows [][]string) {
	t.Helper()
	in, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	r, err := source.Open(context.Background(), in[0], source.Options{})
	require.NoError(t, err)
	defer r.Close()
	var c batch.Chunk
	for {
		err := r.Next(context.Background(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, c.FillAll())
		for i := range c.Rows {
			texts := make([]string, len(c.Vectors))
			for k := range c.Vectors {
				if c.Vectors[k].Rows != nil {
					continue // the text of the list has them
				}
				v, j := c.Vectors[k].At(i)
				texts[k] = v.Types[j].String() + " " + string(v.AppendText(nil, j))
			}
			rows = append(rows, texts)
		}
	}
	require.Zero(t, r.Stats().Malformed)
	for _, c := range r.Columns() {
		columns = append(columns, c.Name)
	}
	return columns, rows
}

// judge checks a file.
func judge(t *testing.T, path string) *monitor.Outcome {
	t.Helper()
	sets, diags := rules.Parse("r.yaml", []byte(ruleText), nil)
	require.NoError(t, diags.Err())
	in, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	r, err := source.Open(context.Background(), in[0], source.Options{})
	require.NoError(t, err)
	defer r.Close()
	o, err := monitor.New(monitor.Options{FailingRows: 5, MarkRows: true}).Observe(context.Background(), r, monitor.Subject{Dataset: "d", Rules: sets})
	require.NoError(t, err)
	return o
}

func parted(t *testing.T, path string, o *monitor.Outcome) (good, bad, failing string, counts split.Counts) {
	t.Helper()
	in, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	var g, b, f bytes.Buffer
	counts, err = split.Run(context.Background(), split.Job{
		Input: in[0], Summary: o.Profile.Summary(), Rejected: o.Rejected, Good: &g, Bad: &b, Failing: &f,
	})
	require.NoError(t, err)
	return g.String(), b.String(), f.String(), counts
}

// TestGoodAndBadAreTheInput splits a table in all formats: the sides together
// are its rows, the good ones break no rule, the bad ones are those that the
// checks counted.
func TestGoodAndBadAreTheInput(t *testing.T) {
	t.Parallel()
	rows := randomRows(7, 1500)
	for name, content := range map[string][]byte{
		"a.csv": asCSV(rows, ",", "\n"), "crlf.csv": asCSV(rows, ";", "\r\n"), "a.jsonl": asJSON(rows, "", "\n", "\n"),
		"a.json": asJSON(rows, "[", " ,\n", "]"), "a.parquet": asParquet(t, rows), "a.arrow": asArrow(t, rows, false), "s.arrow": asArrow(t, rows, true),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, content, 0o600))
			o := judge(t, path)
			good, bad, failing, counts := parted(t, path, o)
			goodPath, badPath := filepath.Join(dir, "good-"+name), filepath.Join(dir, "bad-"+name)
			require.NoError(t, os.WriteFile(goodPath, []byte(good), 0o600))
			require.NoError(t, os.WriteFile(badPath, []byte(bad), 0o600))

			columns, all := read(t, path)
			goodColumns, goodRows := read(t, goodPath)
			badColumns, badRows := read(t, badPath)
			require.Equal(t, columns, goodColumns)
			require.Equal(t, append(columns, "_rule", "_reason", "_row"), badColumns)
			require.EqualValues(t, len(goodRows), counts.Good)
			require.EqualValues(t, len(badRows), counts.Bad)
			require.NotEmpty(t, goodRows)
			n := len(columns)
			for _, b := range badRows {
				at, err := strconv.Atoi(strings.TrimPrefix(b[n+2], "integer "))
				require.NoError(t, err)
				goodRows = slices.Insert(goodRows, at-1, b[:n])
			}
			require.Equal(t, all, goodRows)

			var failed int64
			for i := range o.Report.Results {
				if f := o.Report.Results[i].Failed; f != nil {
					failed += *f
				}
			}
			require.Equal(t, failed, int64(counts.Failing))
			require.EqualValues(t, failed, strings.Count(failing, "\n"))
			for _, r := range judge(t, goodPath).Report.Results {
				if r.ID != "amount.decimals" && r.ID != "country.length" { // they only warn
					require.Zero(t, *r.Failed, r.ID)
				}
			}
		})
	}
}

// TestTextIsKeptByteForByte splits texts with all that is odd in them.
func TestTextIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, good, bad, failing string }{
		{
			"a.csv", "\ufeffid,amount,status,country\r\n1 , 5,paid,\"DE\"\r\n\r\n2,-1,paid,DE\r\nx\r\n3,6,\"pa\"\"id\",DE",
			"\ufeffid,amount,status,country\r\n1 , 5,paid,\"DE\"\r\n\r\n",
			"\ufeffid,amount,status,country,_rule,_reason,_row\r\n2,-1,paid,DE,amount.range,\"amount is -1, outside 0 … 100\",2\r\n" +
				"x,,,,parsable,1 field instead of 4,\r\n3,6,\"pa\"\"id\",DE,status.in,\"status is \"\"pa\\\"\"id\"\", none of paid, open\",3\n",
			"{\"id\":2,\"amount\":-1,\"status\":\"paid\",\"country\":\"DE\",\"_rule\":\"amount.range\",\"_reason\":\"amount is -1, outside 0 … 100\",\"_row\":2}\n" +
				"{\"_record\":\"x\",\"_rule\":\"parsable\",\"_reason\":\"1 field instead of 4\",\"_row\":null}\n" +
				"{\"id\":3,\"amount\":6,\"status\":\"pa\\\"id\",\"country\":\"DE\",\"_rule\":\"status.in\",\"_reason\":\"status is \\\"pa\\\\\\\"id\\\", none of paid, open\",\"_row\":3}\n",
		},
		{
			"a.jsonl", "{\"id\": 1, \"amount\":5, \"n\": {\"x\": [1,2]}}\n\n{ }\n{\"id\":1",
			"{\"id\": 1, \"amount\":5, \"n\": {\"x\": [1,2]}}\n\n",
			"{\"_rule\":\"id.not_null\",\"_reason\":\"id is null\",\"_row\":2}\n{\"_record\":\"{\\\"id\\\":1\",\"_rule\":\"parsable\",\"_reason\":\"~\",\"_row\":null}\n", "",
		},
		{"a.json", "[{\"id\":1, \"amount\": 1},{\"amount\":2 }, 3]", "[\n{\"id\":1, \"amount\": 1}\n]\n", "[\n{\"amount\":2,\"_rule\":\"id.not_null\",\"_reason\":\"id is null\",\"_row\":2},\n{\"_record\":\"3\",\"_rule\":\"parsable\",\"_reason\":\"~\",\"_row\":null}\n]\n", ""},
		{"none.json", "[]", "[]\n", "[]\n", ""},
		{"empty.csv", "", "", "", ""},
		{"head.csv", "id,amount", "id,amount", "id,amount,_rule,_reason,_row\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), tc.name)
			require.NoError(t, os.WriteFile(path, []byte(tc.text), 0o600))
			good, bad, failing, _ := parted(t, path, judge(t, path))
			require.Equal(t, tc.good, good)
			if before, after, ok := strings.Cut(tc.bad, "~"); ok {
				require.True(t, strings.HasPrefix(bad, before) && strings.HasSuffix(bad, after), bad)
			} else {
				require.Equal(t, tc.bad, bad)
			}
			if tc.failing != "" {
				require.Equal(t, tc.failing, failing)
			}
		})
	}
}

func TestFilesOfOneHeaderAreOneInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "1.csv"), []byte("id,amount\n1,5\n,5"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "2.csv"), []byte("id,amount\n3,6\n,7\n"), 0o600))
	good, bad, _, _ := parted(t, dir, judge(t, dir))
	require.Equal(t, "id,amount\n1,5\n3,6\n", good)
	require.Contains(t, bad, "\n,7,id.not_null,id is null,4\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "3.csv"), []byte("amount,id\n3,6\n"), 0o600))
	o := judge(t, dir)
	in, err := source.Expand([]string{dir}, false)
	require.NoError(t, err)
	_, err = split.Run(context.Background(), split.Job{Input: in[0], Summary: o.Profile.Summary(), Good: io.Discard, Bad: io.Discard})
	require.ErrorContains(t, err, "different headers")
}
