package arrow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// result is what a reader gave: the columns as "name type" and rows as
// "type text" by column.
type result struct {
	columns []string
	rows    [][]string
	zoned   []bool
	dicts   []int // chunks in which a column had codes
	notes   []string
}

// byColumn returns the columns as "name type: value | value".
func (t result) byColumn() []string {
	out := make([]string, len(t.columns))
	for i, c := range t.columns {
		out[i] = c + ":"
		for j, row := range t.rows {
			if j > 0 {
				out[i] += " |"
			}
			out[i] += " " + row[i]
		}
	}
	return out
}

// cell returns the value of a row as "type text".
func cell(v *batch.Vector, i int) string {
	plain, j := v.At(i)
	if plain.Types[j] == batch.Null {
		return "null"
	}
	if t := plain.Types[j]; t == batch.String || t == batch.Binary {
		return t.String() + " " + string(plain.Bytes(j))
	}
	return plain.Types[j].String() + " " + string(plain.Value(j).AppendText(nil, v.Zoned))
}

// rowCell is the cell of a row, or those of the elements that it has.
func rowCell(v *batch.Vector, row int) string {
	if v.Rows == nil {
		return cell(v, row)
	}
	cells := []string{}
	for _, e := range v.ElementsOf([]int32{int32(row)}, nil) {
		cells = append(cells, cell(v, int(e)))
	}
	return "[" + strings.Join(cells, "; ") + "]"
}

func readAll(t testing.TB, r *Reader) (got result, err error) {
	t.Helper()
	for _, c := range r.Columns() {
		got.columns = append(got.columns, c.Name+" "+c.Declared.String())
	}
	got.zoned, got.dicts = make([]bool, len(got.columns)), make([]int, len(got.columns))
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			require.Zero(t, c.Rows)
			got.notes = r.Stats().Notes
			return got, nil
		}
		if err != nil {
			return got, err
		}
		require.NotZero(t, c.Rows)
		require.Equal(t, int64(len(got.rows)+1), c.First)
		require.NoError(t, c.FillAll())
		for j := range c.Vectors {
			v := &c.Vectors[j]
			if v.Rows == nil {
				require.Equal(t, c.Rows, v.Len())
			} else {
				require.Len(t, v.Rows, v.Len())
			}
			require.Equal(t, r.Columns()[j].List != "", v.Rows != nil)
			require.False(t, v.HasText)
			require.Equal(t, r.Columns()[j].Declared, v.Declared)
			got.zoned[j] = got.zoned[j] || v.Zoned
			if v.Dict != nil {
				require.Nil(t, v.Dict.Dict, "a dictionary is plain")
				got.dicts[j]++
			}
		}
		for i := range c.Rows {
			row := make([]string, len(c.Vectors))
			for j := range c.Vectors {
				row[j] = rowCell(&c.Vectors[j], i)
			}
			got.rows = append(got.rows, row)
		}
	}
}

// openBytes opens data as source does.
func openBytes(b []byte) (*Reader, error) {
	if NeedsFooter(b) {
		return NewFile(bytes.NewReader(b), int64(len(b)), Options{Source: "in.arrow"})
	}
	return New(bytes.NewReader(b), Options{Source: "in.arrow"})
}

func readBytes(t testing.TB, b []byte) (result, error) {
	t.Helper()
	r, err := openBytes(b)
	if err != nil {
		return result{}, err
	}
	defer r.Close()
	got, err := readAll(t, r)
	if err == nil {
		require.Equal(t, int64(len(b)), r.Stats().Bytes)
	}
	return got, err
}

const interop = "../../../test/interop/"

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(interop + "pyarrow_" + name + ".arrow")
	require.NoError(t, err)
	return b
}

func readInterop(t *testing.T, name string) result {
	t.Helper()
	got, err := readBytes(t, load(t, name))
	require.NoError(t, err)
	return got
}

var typesWant = []string{
	"null null: null | null | null",
	"bool boolean: boolean true | boolean false | null",
	"i8 integer: integer -128 | integer 127 | null",
	"i16 integer: integer -32768 | integer 32767 | null",
	"i32 integer: integer -2147483648 | integer 2147483647 | null",
	"i64 integer: integer -9223372036854775808 | integer 9223372036854775807 | null",
	"u8 integer: integer 0 | integer 255 | null",
	"u16 integer: integer 0 | integer 65535 | null",
	"u32 integer: integer 0 | integer 4294967295 | null",
	"u64 null: integer 9223372036854775807 | number 18446744073709552000 | null",
	"f16 number: number 1.5 | number -65504 | null",
	"f32 number: number 0.10000000149011612 | number Inf | null",
	"f64 number: number 0.1 | number NaN | null",
	"d32 number: number 6.94 | number -0.01 | null",
	"d64 number: number 1234567890123.4568 | number -0.0001 | null",
	"d128 number: number 1.2345678901234567e+31 | number -1.000001 | null",
	"d256 number: number 1e+60 | number -5 | null",
	"dneg number: number 12300 | number -100 | null",
	"text string: string  | string grün | null",
	"big string: string x | string y | null",
	"view string: string short | string longer than twelve bytes | null",
	"bytes binary: binary \x00\xff | binary  | null",
	"bigbytes binary: binary a | binary  | null",
	"byteview binary: binary a | binary longer than twelve bytes | null",
	"fixed binary: binary abc | binary \x00\x01\x02 | null",
	"date32 date: date 1969-12-31 | date 2026-01-02 | null",
	"date64 date: date 1969-12-31 | date 2026-01-02 | null",
	"t_s time: time 03:04:05 | time 00:00:00 | null",
	"t_ms time: time 03:04:05.678 | time 00:00:00 | null",
	"t_us time: time 03:04:05.678901 | time 00:00:00 | null",
	"t_ns time: time 03:04:05.678901002 | time 00:00:00 | null",
	"ts_s timestamp: timestamp 1969-12-31T23:59:59 | timestamp 2026-01-02T03:04:05 | null",
	"ts_ms timestamp: timestamp 1969-12-31T23:59:59.999 | timestamp 2026-01-02T03:04:05.678 | null",
	"ts_us timestamp: timestamp 2026-01-02T03:04:05.678901Z | timestamp 2026-01-02T03:04:05.678901Z | null",
	"ts_ns timestamp: timestamp 1969-12-31T23:59:59.999999999Z | timestamp 2026-01-02T03:04:05.678901002Z | null",
	"dur_s duration: duration -1s | duration 1m30s | null",
	"dur_ms duration: duration -1ms | duration 90ms | null",
	"dur_us duration: duration -1µs | duration 90µs | null",
	"dur_ns duration: duration -1ns | duration 90ns | null",
	"interval struct: struct  | struct  | null",
	"uuid string: string 00010203-0405-0607-0809-0a0b0c0d0e0f | string ffffffff-ffff-ffff-ffff-ffffffffffff | null",
	"bool8 boolean: boolean true | boolean false | null",
}

func TestInteropTypes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"types", "types_stream", "types_zstd", "types_lz4", "types_v4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readInterop(t, name)
			require.Equal(t, typesWant, got.byColumn())
			require.Equal(t, []string{"column interval is an interval of calendar months or days; its values are counted as struct"}, got.notes)
		})
	}
	got := readInterop(t, "types_legacy")
	require.Equal(t, []string{typesWant[4], typesWant[18]}, got.byColumn())
}

func TestInteropNested(t *testing.T) {
	t.Parallel()
	got := readInterop(t, "nested")
	lists := ": list 3 | list 0 | null | list 1"
	elements := " integer: [integer 1; integer 2; integer 3] | [] | [] | [null]"
	require.Equal(t, []string{
		"l list" + lists, "l[]" + elements, "big list" + lists, "big[]" + elements, "fixed list: list 2 | list 2 | null | list 2",
		"fixed[] integer: [integer 1; integer 2] | [integer 3; integer 4] | [] | [integer 5; null]", "view list" + lists, "view[]" + elements, "bigview list" + lists, "bigview[]" + elements,
		"ll list: list 2 | list 1 | null | list 0",
		"ll[] list: [list 1; list 2] | [list 0] | [] | []", "ll[][] string: [string a; string b; string c] | [] | [] | []",
		"m list: list 2 | list 0 | null | list 1",
		"m[].key string: [string x; string y] | [] | [] | [string z]", "m[].value integer: [integer 1; integer 2] | [] | [] | [null]",
		"s.a integer: integer 1 | null | null | integer 4",
		`s."b.c".d string: string x | null | null | null`,
		"s.l list: list 1 | null | null | list 0",
		"s.l[] integer: [integer 1] | [] | [] | []",
		"dense struct: struct  | struct  | null | struct ",
		"sparse struct: struct  | null | null | struct ",
		"runs string: string a | string a | null | string b",
	}, got.byColumn())
	require.Equal(t, []string{
		"column dense is a union; its values are counted as struct", "column sparse is a union; its values are counted as struct",
		"column none is left out: it is a struct without fields",
	}, got.notes)
}

func TestInteropDictionaries(t *testing.T) {
	t.Parallel()
	got := readInterop(t, "dictionary")
	require.Equal(t, []string{"w string", "n integer", "s.w string"}, got.columns)
	require.Len(t, got.rows, 500)
	require.Equal(t, []int{4, 4, 4}, got.dicts)
	for i, row := range got.rows {
		w := "string " + []string{"red", "green", "blue"}[i%3]
		if i%7 == 0 {
			w = "null"
		}
		sw := w
		if i%11 == 0 {
			sw = "null"
		}
		require.Equal(t, []string{w, []string{"integer 10", "integer 20", "integer 10", "null", "integer 30"}[i%5], sw}, row, "row %d", i+1)
	}
	for _, name := range []string{"deltas", "replaced"} {
		got := readInterop(t, name)
		require.Equal(t, []string{"w string: string b | string a | null | string c | string a | null | string c | string a | null"}, got.byColumn(), name)
	}
	require.Equal(t, []string{"a integer:", "b string:"}, readInterop(t, "empty").byColumn())
}

// TestInteropPolars reads files of Polars, which have no length before their
// first message and are read by their footer.
func TestInteropPolars(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"file", "stream"} {
		b, err := os.ReadFile(interop + "polars_" + name + ".arrow")
		require.NoError(t, err)
		require.Equal(t, name == "file", NeedsFooter(b))
		got, err := readBytes(t, b)
		require.NoError(t, err, name)
		require.Equal(t, []string{
			"i integer: integer 1 | integer 2 | null | integer 4",
			"s string: string a | string long text that is more than twelve | string c | null",
			"c string: string x | string y | string x | null",
			"l list: list 1 | list 0 | null | list 3",
			"l[] integer: [integer 1] | [] | [] | [integer 1; integer 2; integer 3]",
			"st.a integer: integer 1 | integer 2 | null | integer 4",
			"st.b string: string x | null | string z | string w",
			"d number: number 1.5 | null | number 2.5 | number 3",
			"t timestamp: timestamp 2026-01-02T03:04:05 | timestamp 2026-01-02T03:04:05 | timestamp 2026-01-02T03:04:05 | timestamp 2026-01-02T03:04:05",
			"dur duration: duration 1m30s | duration 1m30s | duration 1m30s | duration 1m30s",
		}, got.byColumn(), name)
	}
}

// TestFilesByTheirFooter reads by the footer what is else read as a stream.
func TestFilesByTheirFooter(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"types", "nested", "dictionary", "empty"} {
		b := load(t, name)
		r, err := NewFile(bytes.NewReader(b), int64(len(b)), Options{})
		require.NoError(t, err)
		got, err := readAll(t, r)
		require.NoError(t, err)
		require.Equal(t, readInterop(t, name), got)
	}
}

// TestDictionariesNeverChange holds on to the dictionaries of all chunks.
func TestDictionariesNeverChange(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dictionary", "deltas", "replaced"} {
		r, err := New(bytes.NewReader(load(t, name)), Options{})
		require.NoError(t, err)
		type held struct {
			dict *batch.Vector
			text string
		}
		var all []held
		text := func(d *batch.Vector) (s string) {
			seen := map[string]bool{}
			for i := range d.Len() {
				require.False(t, seen[cell(d, i)], "entries are distinct")
				seen[cell(d, i)] = true
				s += cell(d, i) + ";"
			}
			return s
		}
		for {
			var c batch.Chunk
			if err = r.Next(t.Context(), &c); err != nil {
				break
			}
			require.NoError(t, c.FillAll())
			all = append(all, held{c.Vectors[0].Dict, text(c.Vectors[0].Dict)})
		}
		require.ErrorIs(t, err, io.EOF)
		for _, h := range all {
			require.Equal(t, h.text, text(h.dict))
		}
		switch name {
		case "dictionary":
			require.Same(t, all[0].dict, all[3].dict, "shared by record batches")
		default:
			require.NotSame(t, all[0].dict, all[1].dict)
			require.Same(t, all[1].dict, all[2].dict)
		}
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(interop + "*.arrow")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		legacy := filepath.Base(name) == "pyarrow_types_legacy.arrow"
		require.Equal(t, !legacy, Is(b), name)
		require.Equal(t, !legacy, Is(b[:min(len(b), 64)]), "%s: the first bytes", name)
	}
	for _, head := range []string{"", "ARROW1", "ARROW1,b\n1,2\n", "\xff\xff\xff\xff", "\xff\xff\xff\xff\x00\x00\x00\x00", fmt.Sprintf("\xff\xff\xff\xff\x40\x00\x00\x00%072d", 0), "\xff\xff\xff\xff\xff\xff\xff\xff........"} {
		require.False(t, Is([]byte(head)), "%q", head)
	}
}
