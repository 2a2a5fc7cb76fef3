package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// table is what a reader gave: the columns as "name type" and rows as
// "type text" by column.
type table struct {
	columns []string
	rows    [][]string
	zoned   []bool
	notes   []string
}

// byColumn returns the columns as "name type: value | value".
func (t table) byColumn() []string {
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

func readAll(t testing.TB, r *Reader) (got table, err error) {
	t.Helper()
	for _, c := range r.Columns() {
		got.columns = append(got.columns, c.Name+" "+c.Declared.String())
	}
	got.zoned = make([]bool, len(got.columns))
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
		if err := c.FillAll(); err != nil {
			return got, err
		}
		for i := range c.Rows {
			row := make([]string, len(c.Vectors))
			for j := range c.Vectors {
				v := &c.Vectors[j]
				require.False(t, v.HasText)
				require.Equal(t, r.Columns()[j].Declared, v.Declared)
				require.Equal(t, r.Columns()[j].List != "", v.Rows != nil)
				if v.Rows == nil {
					require.Equal(t, c.Rows, v.Len())
					row[j] = shown(v, i)
					continue
				}
				require.Len(t, v.Rows, v.Len())
				elements := []string{}
				for _, e := range v.ElementsOf([]int32{int32(i)}, nil) {
					elements = append(elements, shown(v, int(e)))
				}
				row[j] = "[" + strings.Join(elements, "; ") + "]"
			}
			got.rows = append(got.rows, row)
		}
		for j := range c.Vectors {
			got.zoned[j] = got.zoned[j] || c.Vectors[j].Zoned
		}
	}
}

// shown is the type and the text of a value.
func shown(v *batch.Vector, i int) string {
	v, k := v.At(i)
	if v.Types[k] == batch.Null {
		return "null"
	}
	return v.Types[k].String() + " " + string(v.AppendText(nil, k))
}

func readBytes(t testing.TB, b []byte) (table, error) {
	t.Helper()
	r, err := New(bytes.NewReader(b), int64(len(b)), Options{Source: "in.parquet"})
	if err != nil {
		return table{}, err
	}
	defer r.Close()
	return readAll(t, r)
}

const interop = "../../../test/interop/"

func readInterop(t *testing.T, name string) table {
	t.Helper()
	b, err := os.ReadFile(interop + "pyarrow_" + name + ".parquet")
	require.NoError(t, err)
	got, err := readBytes(t, b)
	require.NoError(t, err)
	return got
}

func TestInteropTypes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		want []string
	}{
		{"int96", []string{"t timestamp: timestamp 2026-01-02T03:04:05.678901 | null | timestamp 1899-12-31T23:59:59.999999"}},
		{"decimals", []string{
			"d9 number: number 6.94 | number -0.01 | null",
			"d18 number: number 1234567890123.4568 | number -0.0001 | null",
			"d38 number: number 1.2345678901234567e+31 | number -1.000001 | null",
			"d76 number: number 1e+60 | number -5 | null",
		}},
		{"decimals_bytes", []string{"d9 number: number 6.94 | number -0.01 | null", "d18 number: number 1234567890123.4568 | number -0.0001 | null"}},
		{"lists", []string{
			"l list: list 3 | list 0 | null | list 1",
			"l[] integer: [integer 1; integer 2; integer 3] | [] | [] | [null]",
			"ll list: list 2 | list 1 | null | list 0",
			"ll[] list: [list 1; list 2] | [list 0] | [] | []",
			"ll[][] string: [string a; string b; string c] | [] | [] | []",
			"m list: list 2 | list 0 | null | list 1",
			"m[].key string: [string x; string y] | [] | [] | [string z]",
			"m[].value integer: [integer 1; integer 2] | [] | [] | [null]",
			"s.a integer: integer 1 | null | null | integer 4",
			`s."b.c".d string: string x | null | null | null`,
			"s.l list: list 1 | null | null | list 0",
			"s.l[] integer: [integer 1] | [] | [] | []",
			"ls list: list 2 | null | list 0 | list 1",
			"ls[].p integer: [integer 1; integer 2] | [] | [] | [null]",
			"ls[].q string: [string x; null] | [] | [] | [null]",
		}},
		{"types", []string{
			"bool boolean: boolean true | boolean false | null",
			"i8 integer: integer -128 | integer 127 | null",
			"u8 integer: integer 0 | integer 255 | null",
			"u32 integer: integer 0 | integer 4294967295 | null",
			"i64 integer: integer -9223372036854775808 | integer 9223372036854775807 | null",
			"u64 null: integer 9223372036854775807 | number 18446744073709552000 | null",
			"f16 number: number 1.5 | number -65504 | null",
			"f32 number: number 0.10000000149011612 | number Inf | null",
			"f64 number: number 0.1 | number NaN | null",
			"text string: string  | string grün | null",
			"big string: string x | string y | null",
			"bytes binary: binary \x00\xff | binary  | null",
			"fixed binary: binary abc | binary \x00\x01\x02 | null",
			"date date: date 1969-12-31 | date 2026-01-02 | null",
			"t_ms time: time 03:04:05.678 | time 00:00:00 | null",
			"t_us time: time 03:04:05.678901 | time 00:00:00 | null",
			"t_ns time: time 03:04:05.678901002 | time 00:00:00 | null",
			"ts_ms timestamp: timestamp 1969-12-31T23:59:59.999 | timestamp 2026-01-02T03:04:05.678 | null",
			"ts_us timestamp: timestamp 2026-01-02T03:04:05.678901Z | timestamp 2026-01-02T03:04:05.678901Z | null",
			"ts_ns timestamp: timestamp 1969-12-31T23:59:59.999999999Z | timestamp 2026-01-02T03:04:05.678901002Z | null",
			"null null: null | null | null",
			"uuid string: string 00010203-0405-0607-0809-0a0b0c0d0e0f | string ffffffff-ffff-ffff-ffff-ffffffffffff | null",
		}},
		{"empty", []string{"a integer:", "b string:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := readInterop(t, tc.name)
			require.Equal(t, tc.want, got.byColumn())
			require.Empty(t, got.notes)
		})
	}
}

// TestInteropEncodings reads files of more than one page, row group or
// encoding and computes what they must hold.
func TestInteropEncodings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		columns []string
		rows    int
		row     func(i int) []string
	}{
		{"dictionary", []string{"w string", "n integer"}, 500, func(i int) []string {
			w := "string " + []string{"red", "green", "blue"}[i%3]
			if i%7 == 0 {
				w = "null"
			}
			return []string{w, fmt.Sprintf("integer %d", i%5)}
		}},
		{"delta", []string{"n integer", "s string", "f number"}, 300, func(i int) []string {
			return []string{fmt.Sprintf("integer %d", i*i-1000), fmt.Sprintf("string name %04d", i), fmt.Sprintf("number %v", float64(i)/4)}
		}},
		{"checksums", []string{"a integer", "b string"}, 100, func(i int) []string {
			return []string{fmt.Sprintf("integer %d", i), fmt.Sprintf("string x%d", i%9)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := readInterop(t, tc.name)
			require.Equal(t, tc.columns, got.columns)
			require.Len(t, got.rows, tc.rows)
			for i := range got.rows {
				require.Equal(t, tc.row(i), got.rows[i], "row %d", i+1)
			}
		})
	}
}

func TestInteropEncrypted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"encrypted", "encrypted_plain_footer"} {
		b, err := os.ReadFile(interop + "pyarrow_" + name + ".parquet")
		require.NoError(t, err)
		_, err = readBytes(t, b)
		require.EqualError(t, err, "in.parquet: the Parquet file is encrypted; decrypt it with its key first, and give the file without encryption")
	}
}
