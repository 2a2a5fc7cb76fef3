package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// table is what a reader gave: rows of "type text" by column, null left out.
type table struct {
	columns []string
	rows    []map[string]string
	err     error
	stats   batch.Stats
}

func read(t testing.TB, r *Reader) (got table) {
	t.Helper()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if err != nil {
			for _, col := range r.Columns() {
				require.Equal(t, batch.Null, col.Declared)
				got.columns = append(got.columns, col.Name)
			}
			if errors.Is(err, io.EOF) {
				require.Zero(t, c.Rows)
			} else {
				got.err = err
			}
			got.stats = r.Stats()
			return got
		}
		require.Equal(t, int64(len(got.rows)+1), c.First)
		require.Len(t, c.Vectors, len(r.Columns()))
		require.NoError(t, c.FillAll())
		rows := make([]map[string]string, c.Rows)
		for i := range rows {
			rows[i] = map[string]string{}
		}
		of := map[string][]int32{} // the rows of the elements, by list
		for j, col := range r.Columns() {
			v := &c.Vectors[j]
			require.Equal(t, col.List != "", v.Rows != nil, col.Name)
			if v.Rows == nil {
				continue
			}
			if other, ok := of[col.List]; ok {
				require.Equal(t, other, v.Rows, col.Name)
			}
			of[col.List] = v.Rows
			require.Len(t, v.Rows, v.Len(), col.Name)
			at, last := 0, int32(-1)
			for i, row := range v.Rows {
				if at++; row != last {
					at, last = 0, row
				}
				if v, i := v.At(i); v.Types[i] != batch.Null {
					rows[row][col.Name] += fmt.Sprintf("%d: %s %s; ", at, v.Types[i], v.Bytes(i))
				}
			}
		}
		for i := range c.Rows {
			row := rows[i]
			for j, col := range r.Columns() {
				v := &c.Vectors[j]
				if v.Rows != nil {
					continue
				}
				require.Equal(t, c.Rows, v.Len())
				require.True(t, v.HasText)
				require.False(t, v.Inferred)
				if v, i := v.At(i); v.Types[i] != batch.Null {
					row[col.Name] = v.Types[i].String() + " " + string(v.Bytes(i))
				}
			}
			got.rows = append(got.rows, row)
		}
	}
}

func readText(t testing.TB, in string, wrap func(io.Reader) io.Reader) table {
	t.Helper()
	r, err := New(wrap(strings.NewReader(in)), Options{Source: "in.jsonl"})
	if err != nil {
		return table{err: err}
	}
	return read(t, r)
}

func whole(r io.Reader) io.Reader { return r }

func TestReader(t *testing.T) {
	t.Parallel()
	type row = map[string]string
	deep := strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64)
	long := strings.Repeat("x", 300<<10)
	for _, tc := range []struct {
		name, in  string
		columns   []string
		rows      []row
		malformed int64
		reason    string
		row       int64
		offset    int64
		blank     int64
		err       string
	}{
		{name: "nothing"},
		{name: "space alone", in: " \n\t\r\n ", blank: 3},
		{name: "lines", in: "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":null}\n", columns: []string{"a", "b"}, rows: []row{{"a": "integer 1", "b": "string x"}, {"a": "integer 2"}}},
		{name: "no newline at the end, crlf", in: "{\"a\":1}\r\n{\"a\":2}\r", columns: []string{"a"}, rows: []row{{"a": "integer 1"}, {"a": "integer 2"}}},
		{name: "blank lines", in: "\n{\"a\":1}\n \n\r\n{\"a\":2}\n\n", columns: []string{"a"}, rows: []row{{"a": "integer 1"}, {"a": "integer 2"}}, blank: 4},
		{name: "types", in: `{"i":-7,"n":1.50,"e":1E3,"t":true,"f":false,"s":"12","d":"2026-01-02","w":"2026-01-02T03:04:05Z","c":"03:04:05","l":[1,"]",{"x":[]}],"o":{},"z":null,"nan":"NaN"}`,
			columns: []string{"i", "n", "e", "t", "f", "s", "d", "w", "c", "l", "l[]", "l[].x", "o", "z", "nan"},
			rows: []row{{"i": "integer -7", "n": "number 1.50", "e": "number 1E3", "t": "boolean true", "f": "boolean false", "s": "string 12", "d": "date 2026-01-02",
				"w": "timestamp 2026-01-02T03:04:05Z", "c": "time 03:04:05", "l": `list [1,"]",{"x":[]}]`, "l[]": "0: integer 1; 1: string ]; ", "l[].x": "2: list []; ", "o": "struct {}", "nan": "string NaN"}}},
		{name: "wide integers", in: `{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808,"d":0,"e":-0}`, columns: []string{"a", "b", "c", "d", "e"},
			rows: []row{{"a": "integer 9223372036854775807", "b": "integer -9223372036854775808", "c": "number 9223372036854775808", "d": "integer 0", "e": "integer -0"}}},
		{name: "escapes", in: `{"s":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\udc00","\u0061b":"\u0061"}`, columns: []string{"s", "ab"},
			rows: []row{{"s": "string a\"\\/\b\f\n\r\té😀\ufffdx\ufffd", "ab": "string a"}}},
		{name: "one key in two spellings", in: "{\"ab\":1}\n{\"\\u0061b\":2}\n{\"ab\":3}", columns: []string{"ab"}, rows: []row{{"ab": "integer 1"}, {"ab": "integer 2"}, {"ab": "integer 3"}}},
		{name: "bytes that are not UTF-8 stay", in: "{\"a\":\"\xff\"}", columns: []string{"a"}, rows: []row{{"a": "string \xff"}}},
		{name: "paths", in: `{"a":{"b":1,"c":{"d":"x"}},"e.f":{"g[0]":2},"q\"":3,"":4}`, columns: []string{"a.b", "a.c.d", `"e.f"."g[0]"`, `"q\""`, `""`},
			rows: []row{{"a.b": "integer 1", "a.c.d": "string x", `"e.f"."g[0]"`: "integer 2", `"q\""`: "integer 3", `""`: "integer 4"}}},
		{name: "columns come later", in: "{\"a\":1}\n{}\n{\"b\":{\"c\":2}}\n{\"b\":3,\"a\":4}\n", columns: []string{"a", "b.c", "b"},
			rows: []row{{"a": "integer 1"}, {}, {"b.c": "integer 2"}, {"a": "integer 4", "b": "integer 3"}}},
		{name: "keys in another order", in: "{\"a\":1,\"b\":2,\"c\":3}\n{\"c\":6,\"a\":4,\"b\":5}\n{\"a\":7,\"c\":8}", columns: []string{"a", "b", "c"},
			rows: []row{{"a": "integer 1", "b": "integer 2", "c": "integer 3"}, {"a": "integer 4", "b": "integer 5", "c": "integer 6"}, {"a": "integer 7", "c": "integer 8"}}},
		{name: "the last of equal keys", in: "{\"a\":1,\"b\":0,\"a\":2}\n{\"a\":{\"x\":1},\"a\":{\"y\":2}}\n{\"a\":{\"z\":1},\"a\":null}\n", columns: []string{"b", "a", "a.y"},
			rows: []row{{"a": "integer 2", "b": "integer 0"}, {"a.y": "integer 2"}, {}}},
		{name: "malformed lines", in: "{\"a\":1}\n {\"a\":}\n{\"a\":3}\n[1]\n\"x\"\n{\"new\":1} x\n", columns: []string{"a"}, rows: []row{{"a": "integer 1"}, {"a": "integer 3"}},
			malformed: 4, reason: "a value is expected (byte 6 of the record)", row: 2, offset: 9},
		{name: "not an object", in: "{}\n12\n", rows: []row{{}}, malformed: 1, reason: "the record is not an object", row: 2, offset: 3},
		{name: "a cut line", in: "{\"a\":1}\n{\"a\":\"x", columns: []string{"a"}, rows: []row{{"a": "integer 1"}}, malformed: 1, reason: "a string is not closed (byte 8 of the record)", row: 2, offset: 8},
		{name: "64 levels", in: deep, columns: []string{strings.Repeat("a.", 63) + "a"}, rows: []row{{strings.Repeat("a.", 63) + "a": "integer 1"}}},
		{name: "65 levels", in: `{"b":1}` + "\n" + `{"a":` + deep + "}", columns: []string{"b"}, rows: []row{{"b": "integer 1"}}, malformed: 1, reason: tooDeep + " (byte 321 of the record)", row: 2, offset: 8},
		{name: "65 levels of arrays", in: `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "}", malformed: 1, reason: tooDeep + " (byte 69 of the record)", row: 1},
		{name: "longer than the buffer", in: "{\"a\":\"" + long + "\",\"b\":[\"" + long + "\"]}\n{\"a\":1}", columns: []string{"a", "b", "b[]"},
			rows: []row{{"a": "string " + long, "b": "list [\"" + long + "\"]", "b[]": "0: string " + long + "; "}, {"a": "integer 1"}}},
		{name: "not JSON", in: "id,name\n1,x\n", err: "in.jsonl: is not JSON lines: it begins with i instead of { or [ (byte 0); give one JSON object a line or an array of objects, or name the right format with --format"},
		{name: "binary", in: "\n\x00PAR1", err: "in.jsonl: is not JSON lines: it begins with the byte 0x00 instead of { or [ (byte 1); give one JSON object a line or an array of objects, or name the right format with --format"},

		{name: "array", in: " [{\"a\":1},{\"a\":\"}],\\\"\"}]\n ", columns: []string{"a"}, rows: []row{{"a": "integer 1"}, {"a": `string }],"`}}},
		{name: "pretty array", in: "[\n  {\n    \"a\": 1,\n    \"b\": {\n      \"c\": [\n        1\n      ]\n    }\n  },\n  {\n    \"a\" : 2\n  }\n]\n", columns: []string{"a", "b.c", "b.c[]"},
			rows: []row{{"a": "integer 1", "b.c": "list [\n        1\n      ]", "b.c[]": "0: integer 1; "}, {"a": "integer 2"}}},
		{name: "empty array", in: "[ ]\n"},
		{name: "items that are no objects", in: "[1, {\"a\":1}, [2], , {\"a\":2} {\"a\":3}, {\"a\":4}}, \"x,y\", {\"a\":5},]", columns: []string{"a"}, rows: []row{{"a": "integer 1"}, {"a": "integer 5"}},
			malformed: 7, reason: "the record is not an object", row: 1, offset: 1},
		{name: "an item of wrong brackets", in: "[{\"a\":[1},{\"a\":2}]", err: "in.jsonl: the array is not closed: the input ends inside it, in or behind the record that begins here (byte 1); get the whole file again; it was probably cut off"},
		{name: "a cut array", in: "[{\"a\":1},\n{\"a\":2}", columns: []string{"a"}, err: "in.jsonl: the array is not closed: the input ends inside it, in or behind the record that begins here (byte 10); get the whole file again; it was probably cut off"},
		{name: "text behind the array", in: "[{\"a\":1}] [", columns: []string{"a"}, rows: []row{{"a": "integer 1"}}, err: "in.jsonl: text follows the closing bracket of the array (byte 10); give one array of objects alone, or one object a line"},
	} {
		for _, how := range []struct {
			name string
			wrap func(io.Reader) io.Reader
		}{{"whole", whole}, {"bytewise", iotest.OneByteReader}} {
			t.Run(tc.name+"/"+how.name, func(t *testing.T) {
				t.Parallel()
				got := readText(t, tc.in, how.wrap)
				if tc.err != "" {
					require.EqualError(t, got.err, tc.err)
					var data *batch.DataError
					require.ErrorAs(t, got.err, &data)
				} else {
					require.NoError(t, got.err)
					require.Equal(t, tc.rows, got.rows)
				}
				require.Equal(t, tc.columns, got.columns)
				require.Equal(t, tc.blank, got.stats.BlankLines)
				require.Equal(t, tc.malformed, got.stats.Malformed)
				if tc.malformed > 0 {
					require.Equal(t, &batch.Place{Source: "in.jsonl", Row: tc.row, Offset: tc.offset, Reason: tc.reason}, got.stats.FirstMalformed)
				}
			})
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	in := `{"i":-123,"w":9223372036854775807,"n":0.1,"big":1e400,"b":true,"l":[1,[2,3],{}],"e":[],"t":"2026-07-01 00:00:00.000001002","z":"2026-07-01T00:00:00+02:00","d":"1969-12-31"}`
	r, err := New(strings.NewReader(in), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	require.NoError(t, r.Next(t.Context(), &c))
	zoned := time.Date(2026, 6, 30, 22, 0, 0, 0, time.UTC).UnixMicro()
	wall := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	want := []batch.Value{
		{Type: batch.Integer, Int: -123}, {Type: batch.Integer, Int: math.MaxInt64}, {Type: batch.Number, Float: 0.1}, {Type: batch.Number, Float: math.Inf(1)},
		{Type: batch.Boolean, Int: 1}, {Type: batch.List, Int: 3}, {Type: batch.List}, {Type: batch.Timestamp, Int: wall + 1, Float: 2}, {Type: batch.Timestamp, Int: zoned},
		{Type: batch.Date, Int: -86_400_000_000},
	}
	require.NoError(t, c.FillAll())
	index := map[string]int{}
	for i, col := range r.Columns() {
		index[col.Name] = i
	}
	for i, name := range []string{"i", "w", "n", "big", "b", "l", "e", "t", "z", "d"} {
		w := want[i]
		v, k := c.Vectors[index[name]].At(0)
		got := v.Value(k)
		got.Zoned = false // of the column
		require.Equal(t, w, got, name)
	}
	require.False(t, c.Vectors[index["t"]].Zoned)
	require.True(t, c.Vectors[index["z"]].Zoned)
}

func TestRepeatedKeysAreNoted(t *testing.T) {
	t.Parallel()
	got := readText(t, "{\"a\":1}\n{\"b\":{\"c\":1,\"c\":2}}\n{\"a\":1,\"a\":2}\n{\"a\":1,\"a\":2,}\n", whole)
	require.NoError(t, got.err)
	require.Equal(t, []string{`2 times a key is repeated in one object and its last value counts; first: "b.c" in row 2`}, got.stats.Notes)
}

// TestKeysThatAreDataStayBounded gives every row keys of its own.
func TestKeysThatAreDataStayBounded(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	const rows = 6000
	for i := range rows {
		fmt.Fprintf(&in, "{\"k%d\":%d,\"x%d\":\"a\"}\n", i, i, i)
	}
	r, err := New(strings.NewReader(in.String()), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	read, folded := 0, map[string]int{}
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.LessOrEqual(t, c.Rows*len(c.Vectors), 600_000, "a chunk stays small")
		require.NoError(t, c.FillAll())
		for i := range c.Rows {
			read++
			values := 0
			for j := range c.Vectors {
				v, k := c.Vectors[j].At(i)
				switch v.Types[k] {
				case batch.Null:
				case batch.Struct:
					require.NoError(t, json.Unmarshal(v.Bytes(k), &map[string]any{}))
					folded[string(v.Bytes(k))]++
					values += 2
				default:
					values++
				}
			}
			require.Equal(t, 2, values, "row %d", read)
		}
	}
	require.Equal(t, rows, read)
	require.Len(t, r.Columns(), MaxColumns+1)
	require.Equal(t, FoldedColumn, r.Columns()[MaxColumns].Name)
	require.Len(t, folded, rows-MaxColumns/2)
	require.Equal(t, 1, folded[`{"k5999":5999,"x5999":"a"}`])
	require.Len(t, r.Stats().Notes, 1)
	require.Contains(t, r.Stats().Notes[0], "more than 10000 columns")
}

func TestKeysOfNoValueAreForgotten(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "{\"a\":{\"x%d\":1},\"a\":2}\n{\"b%d\":{\"c\":1},\n", i, i)
	}
	r, err := New(strings.NewReader(in.String()), Options{})
	require.NoError(t, err)
	got := read(t, r)
	require.Len(t, got.rows, 1000)
	require.Equal(t, []string{"a"}, got.columns)
	require.Len(t, r.parse.root.children, 1)
	require.Empty(t, r.parse.root.children["a"].children)
}

func TestLongRecordCostsOneRecord(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, before, after string }{
		{"lines", "{\"a\":1}\n{\"a\":\"", "\"}\n{\"a\":2}\n"},
		{"array", "[{\"a\":1},{\"a\":\"", "\"},{\"a\":2}]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := io.MultiReader(strings.NewReader(tc.before), bytes.NewReader(bytes.Repeat([]byte("y"), 3*RecordLimit)), strings.NewReader(tc.after))
			r, err := New(in, Options{})
			require.NoError(t, err)
			got := read(t, r)
			require.NoError(t, got.err)
			require.Equal(t, []map[string]string{{"a": "integer 1"}, {"a": "integer 2"}}, got.rows)
			require.Equal(t, int64(1), got.stats.Malformed)
			require.Equal(t, int64(strings.LastIndex(tc.before, "{")), got.stats.FirstMalformed.Offset)
			require.Equal(t, int64(2), got.stats.FirstMalformed.Row)
			require.Equal(t, "the record is longer than 16 MiB", got.stats.FirstMalformed.Reason)
			require.LessOrEqual(t, len(r.in.buf), 4*RecordLimit)
		})
	}
}

func TestReadErrorIsReturned(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	for _, in := range []string{strings.Repeat("{\"a\":1}\n", 50_000), "[" + strings.Repeat("{\"a\":1},", 50_000)} {
		r, err := New(io.MultiReader(strings.NewReader(in), iotest.ErrReader(cause)), Options{})
		require.NoError(t, err)
		var c batch.Chunk
		for err == nil {
			err = r.Next(t.Context(), &c)
		}
		require.ErrorIs(t, err, cause)
	}
}

// TestCutAnywhere cuts files at every byte: rows that were whole come out the
// same, and a loss is never silent.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	lines := "{\"a\":1,\"s\":\"x\\u00e9\"}\n{\"a\":2.5,\"o\":{\"p\":[1,2]}}\n{\"a\":null,\"s\":\"y\"}\n"
	full := readText(t, lines, whole)
	for i := range lines {
		got := readText(t, lines[:i], whole)
		require.NoError(t, got.err)
		require.Equal(t, full.rows[:len(got.rows)], append([]map[string]string{}, got.rows...))
		cut := strings.TrimRight(lines[:i], "\n")
		atEnd := cut == "" || strings.HasPrefix(lines[len(cut):], "\n")
		require.Equal(t, atEnd, got.stats.Malformed == 0, "cut at %d", i)
	}
	array := "[" + strings.ReplaceAll(strings.TrimSpace(lines), "\n", ",\n") + "]"
	for i := 1; i < len(array); i++ {
		got := readText(t, array[:i], whole)
		var data *batch.DataError
		require.ErrorAs(t, got.err, &data, "cut at %d", i)
		require.NotEmpty(t, data.Advice)
		require.GreaterOrEqual(t, data.Offset, int64(0))
	}
}

func flat(rows int) []byte {
	var buf bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&buf, "{\"id\":%d,\"fare\":%d.25,\"when\":\"2026-01-02T03:04:05\",\"zone\":\"zone %d\",\"paid\":true,\"driver\":\"driver %d of the north\",\"note\":null,\"passengers\":%d}\n", i, i%900, i%7, i%5000, i%5)
	}
	return buf.Bytes()
}

func TestNextAllocatesNothingPerRow(t *testing.T) {
	r, err := New(bytes.NewReader(flat(200_000)), Options{})
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
	require.Greater(t, c.Rows, 1000)
}

func BenchmarkReader(b *testing.B) {
	in := flat(50_000)
	array := append(append([]byte{'['}, bytes.ReplaceAll(bytes.TrimSpace(in), []byte("\n"), []byte(",\n"))...), ']')
	for _, bc := range []struct {
		name string
		in   []byte
	}{{"lines", in}, {"array", array}} {
		b.Run(bc.name, func(b *testing.B) {
			b.SetBytes(int64(len(bc.in)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := New(bytes.NewReader(bc.in), Options{})
				require.NoError(b, err)
				var c batch.Chunk
				for err == nil {
					if err = r.Next(b.Context(), &c); err == nil {
						err = c.FillAll()
					}
				}
				require.ErrorIs(b, err, io.EOF)
			}
		})
	}
	b.Run("encoding-json-map", func(b *testing.B) {
		b.SetBytes(int64(len(in)))
		for b.Loop() {
			for line := range bytes.Lines(in) {
				var m map[string]any
				require.NoError(b, json.Unmarshal(line, &m))
			}
		}
	})
}

// TestObjectsOfManyKeys gives objects keys that are data: in a record, where an
// object of an element is, and below it.
func TestObjectsOfManyKeys(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	const rows = MaxChildren + 100
	for i := range rows {
		fmt.Fprintf(&in, "{\"o\":{\"k%d\":{\"x\":%d},\"*\":1},\"l\":[{},{\"e%d\":[%d],\"f%d\":null}]}\n", i, i, i, i, i)
	}
	got := readText(t, in.String(), whole)
	require.NoError(t, got.err)
	require.Len(t, got.rows, rows)
	require.Len(t, got.columns, MaxChildren+1+1+ // the keys of o, "*" among them, o.*, l
		1+MaxChildren+MaxChildren/2+1) // l[], the keys of its objects, lists below half of them, l[].*
	last := got.rows[rows-1]
	require.Equal(t, `struct {"k1099":{"x":1099}}`, last["o.*"])
	require.Equal(t, "integer 1", last[`o."*"`])
	require.Equal(t, `1: struct {"e1099":[1099],"f1099":null}; `, last["l[].*"])
	require.Equal(t, "0: integer 7; ", got.rows[7]["l[].e7[]"])
	require.Equal(t, []string{
		"the objects l[] have more than 1000 keys; the rest is kept together in the column l[].*, from row 501 on",
		"the objects o have more than 1000 keys; the rest is kept together in the column o.*, from row 1000 on",
	}, got.stats.Notes)
}

// TestListsOfTooManyValues is of a record whose elements and their keys multiply.
func TestListsOfTooManyValues(t *testing.T) {
	t.Parallel()
	var wide strings.Builder
	for i := range 900 {
		fmt.Fprintf(&wide, `,{"k%d":%d}`, i, i)
	}
	bomb := "{\"a\":[1" + wide.String() + strings.Repeat(",1", maxCells/901) + "]}"
	for _, in := range []string{
		"{\"b\":1}\n" + bomb + "\r\n{\"b\":2,\"a\":[3]}\n{\"a\":[{\"k1\":4}]}",
		"[{\"b\":1},\n" + bomb + ",{\"b\":2,\"a\":[3]},{\"a\":[{\"k1\":4}]}]",
	} {
		got := readText(t, in, whole)
		require.NoError(t, got.err)
		require.Equal(t, []map[string]string{{"b": "integer 1"}, {"b": "integer 2", "a": "list [3]", "a[]": "0: integer 3; "}, {"a": `list [{"k1":4}]`, "a[].k1": "0: integer 4; "}}, got.rows)
		require.Equal(t, int64(1), got.stats.Malformed)
		require.Equal(t, &batch.Place{Source: "in.jsonl", Row: 2, Offset: int64(strings.Index(in, bomb)), Reason: "its lists have more than 8388608 values, those that elements lack counted"}, got.stats.FirstMalformed)
	}
	// A chunk that begins with such records, and has room for one of them.
	large := "{\"p\":\"" + strings.Repeat("x", chunkText) + "\"," + bomb[1:]
	got := readText(t, large+"\n"+large+"\n{\"a\":[1]}", whole)
	require.NoError(t, got.err)
	require.Equal(t, int64(2), got.stats.Malformed)
	require.Equal(t, []map[string]string{{"a": "list [1]", "a[]": "0: integer 1; "}}, got.rows)
	long := "{\"a\":[1" + strings.Repeat(",1", 1<<20) + "]}"
	r, err := New(strings.NewReader(strings.Repeat(long+"\n", 3)), Options{})
	require.NoError(t, err)
	elements := 0
	for {
		var c batch.Chunk
		if err = r.Next(t.Context(), &c); err != nil {
			break
		}
		v, err := c.Fill(1)
		require.NoError(t, err)
		elements += v.Len()
	}
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 3*(1<<20+1), elements)
	require.Zero(t, r.Stats().Malformed)
}
