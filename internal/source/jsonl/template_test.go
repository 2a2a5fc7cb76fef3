package jsonl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// checkAfter compares records that follow others, so that templates are at
// work, with the standard library and with reading bytewise, where no record is
// whole when the template is tried.
func checkAfter(t *testing.T, records ...string) {
	t.Helper()
	var want []map[string]string
	exact := true
	for _, record := range records {
		if row, ok := reference([]byte(record)); ok {
			want = append(want, row)
		}
		exact = exact && utf8.ValidString(record)
	}
	for _, in := range []string{
		strings.Join(records, "\n") + "\n", strings.Join(records, "\r\n"),
		"[" + strings.Join(records, ",") + "]", "[" + strings.Join(records, " ,\n") + "\n]",
	} {
		got, parts := readText(t, in, whole), readText(t, in, iotest.OneByteReader)
		require.Equal(t, parts, got, "%q", in)
		if in[0] == '[' && len(want) < len(records) {
			continue // a malformed record may reach over commas and brackets
		}
		require.NoError(t, got.err)
		require.Equal(t, int64(len(records)-len(want)), got.stats.Malformed)
		require.Len(t, got.rows, len(want), "%q", in)
		for i := range want {
			if exact {
				require.Equal(t, want[i], view(t, got.rows[i]), "row %d of %q", i, in)
			}
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	const members = `{"id":1,"a long key of many bytes":"x","o":{"p":1,"q":{"r":2}},"l":[1],"s":{},"t":true,"z":null}`
	for _, tc := range []struct {
		name, first, second string
		fits                bool
	}{
		{"same", members, members, true},
		{"other values", members, `{"id":-1.5e3,"a long key of many bytes":"","o":{"p":null,"q":{"r":"\u00e9"}},"l":[],"s":false,"t":[{"a":[]}],"z":{}}`, true},
		{"spaces", `{"a": 1, "b": {"c": 2}}`, `{"a": 12, "b": {"c": "3"}}`, true},
		{"space before", `  {"a":1 , "b":2 }`, `  {"a":3 , "b":4 }`, true},
		{"other spaces", `{"a": 1}`, `{"a":1}`, false},
		{"members are missing", members, `{"id":2,"o":{"p":3,"q":{"r":4}},"l":[],"t":5}`, true},
		{"the last members are missing", members, `{"id":2,"a long key of many bytes":3,"o":{"p":3,"q":{"r":4}},"l":[2],"s":5}`, true},
		{"members behind an object are missing", members, `{"id":2,"a long key of many bytes":3,"o":{"p":3,"q":{"r":4}}}`, false},
		{"all but the first are missing", `{"a":1,"b":2,"c":3}`, `{"a":4}`, true},
		{"the first is missing", `{"a":1,"b":2,"c":3}`, `{"b":4}`, false},
		{"a brace too few", `{"a":{"b":1}}`, `{"a":{"b":1}`, false},
		{"a brace too many", `{"a":{"b":1}}`, `{"a":{"b":1}}}`, false},
		{"a member of another object", `{"a":{"b":1,"c":2},"c":3}`, `{"a":{"b":1},"c":3}`, true},
		{"an object is missing", `{"a":1,"o":{"b":1},"c":3}`, `{"a":1,"c":3}`, false},
		{"an inner end is missing", `{"o":{"a":1,"b":1},"c":3,"d":4}`, `{"o":{"a":1},"d":4}`, false},
		{"a value becomes an object", `{"a":1,"b":2}`, `{"a":{"x":1},"b":2}`, false},
		{"an object becomes a value", `{"a":{"x":1},"b":2}`, `{"a":1,"b":2}`, false},
		{"another order", `{"a":1,"b":2}`, `{"b":1,"a":2}`, false},
		{"a repeated key", `{"a":1,"b":2}`, `{"a":1,"a":2,"b":3}`, false},
		{"nothing", `{"a":1}`, `{}`, false},
		{"an open string", `{"a":"x","b":2}`, `{"a":"x,"b":2}`, false},
		{"a control character", `{"a":"x"}`, "{\"a\":\"x\x01\"}", false},
		{"a malformed escape", `{"a":"x"}`, `{"a":"\x"}`, false},
		{"a long string with escapes", `{"a":"x"}`, `{"a":"0123456789\"abcdefghijk\\"}`, true},
		{"half a word", `{"a":true}`, `{"a":tru}`, false},
		{"a word and more", `{"a":true}`, `{"a":truee}`, false},
		{"a malformed list", `{"a":[1]}`, `{"a":[1,]}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var p parser
			p.limit = MaxColumns
			require.True(t, p.record([]byte(tc.first)))
			n := p.predicted(append([]byte(tc.second), make([]byte, spare)...))
			require.Equal(t, tc.fits, n == len(tc.second))
			checkAfter(t, tc.first, tc.second, tc.first)
		})
	}
}

// TestTemplateOfArrayIsAsDeep nests the array of the second record to 64 levels
// and to 65.
func TestTemplateOfArrayIsAsDeep(t *testing.T) {
	t.Parallel()
	for levels := 60; levels < 64; levels++ {
		array := strings.Repeat("[", levels) + strings.Repeat("]", levels)
		got := readText(t, "{\"o\":{\"a\":1}}\n{\"o\":{\"a\":"+array+"}}\n", whole)
		require.Equal(t, levels > MaxDepth-2, got.stats.Malformed == 1, "%d levels", levels)
	}
}

// TestTemplateKeepsOutFoldedMembers gives records of one form whose last key
// has no column.
func TestTemplateKeepsOutFoldedMembers(t *testing.T) {
	t.Parallel()
	r, err := New(strings.NewReader(strings.Repeat("{\"a\":1,\"b\":2,\"c\":3}\n", 5)), Options{})
	require.NoError(t, err)
	r.parse.limit = 2
	got := read(t, r)
	require.Len(t, got.rows, 5)
	for _, row := range got.rows {
		require.Equal(t, map[string]string{"a": "integer 1", "b": "integer 2", FoldedColumn: `struct {"c":3}`}, row)
	}
}

// TestTemplateRests gives records of which none has the form of the one before:
// the template is not tried and not learnt for most of them.
func TestTemplateRests(t *testing.T) {
	t.Parallel()
	var p parser
	p.limit = MaxColumns
	tried := 0
	const records = 10_000
	for i := range records {
		record := fmt.Appendf(nil, `{"k%d":1}`, i%3)
		if p.template.rest == 0 {
			tried++
		}
		require.Negative(t, p.predicted(append(bytes.Clone(record), make([]byte, spare)...)))
		require.True(t, p.record(record))
	}
	require.Less(t, tried, records/20)
	fits := 0
	for range 2 * doubtRest {
		record := []byte(`{"k0":1}`)
		if p.predicted(append(bytes.Clone(record), make([]byte, spare)...)) == len(record) {
			fits++
			continue
		}
		require.True(t, p.record(record))
	}
	require.GreaterOrEqual(t, fits, doubtRest-1, "it is tried again")
}

// TestNumberEnd compares texts of the bytes of numbers with the standard
// library.
func TestNumberEnd(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 100_000 {
		text := make([]byte, 1+rng.IntN(18))
		for i := range text {
			text[i] = "0123456789012345678900..-+eE"[rng.IntN(28)]
			if rng.IntN(4) > 0 {
				text[i] = '0' + byte(rng.IntN(10)) //nolint:gosec // a digit
			}
		}
		if text[0] == '+' || text[0]|0x20 == 'e' || text[0] == '.' {
			continue
		}
		want := json.Valid(text)
		if want {
			valid++
		}
		for _, behind := range []string{",", "}", " ", "\xff", "\x00"} {
			b := append(append(bytes.Clone(text), behind...), make([]byte, spare)...)
			if want != (numberEnd(b, 0) == len(text)) {
				require.Failf(t, "number", "%q is valid: %t", b[:len(text)+1], want)
			}
		}
	}
	require.Greater(t, valid, 10_000)
}

func TestRecordsAfterOthersAgainstEncodingJSON(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 11))
		var b strings.Builder
		writeObject(&b, rng, 0)
		first := b.String()
		second := []byte(first)
		for range 1 + rng.IntN(3) {
			const bytesOfJSON = "{}[]\",:\\u0e+-.truefalsn \x00\x1fx9"
			i := rng.IntN(len(second))
			switch rng.IntN(4) {
			case 0:
				second[i] = bytesOfJSON[rng.IntN(len(bytesOfJSON))]
			case 1:
				second = append(second[:i], second[i+1:]...)
			case 2:
				second = append(second[:i], append([]byte{bytesOfJSON[rng.IntN(len(bytesOfJSON))]}, second[i:]...)...)
			default: // a member or value goes
				if j := bytes.IndexAny(second[i:], ",}"); j >= 0 {
					second = append(second[:i], second[i+j:]...)
				}
			}
			if len(second) == 0 {
				break
			}
		}
		if len(bytes.TrimSpace(second)) > 0 && bytes.IndexByte(second, '\n') < 0 {
			checkAfter(t, first, string(second), first, first)
		}
	}
}

func FuzzRecordAfter(f *testing.F) {
	for _, s := range [][2]string{
		{`{"a":1,"b":{"c":"x"}}`, `{"a":-1.5,"b":{"c":"\u00e9"}}`}, {`{"a":1,"b":2,"c":3}`, `{"a":1,"c":3}`}, {`{"a": 1, "b": [1]}`, `{"a": true, "b": []}`},
		{`{"a":{},"b":null}`, `{"a":{"b":1},"b":null}`}, {`{"a":{"b":1,"c":2},"c":3}`, `{"a":{"b":1},"c":3}`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, s := range []string{first, second} {
			if strings.Contains(s, "\n") || strings.Trim(s, " \t\r") == "" || strings.HasSuffix(s, "\r") {
				return
			}
		}
		if _, ok := reference([]byte(first)); !ok {
			return
		}
		checkAfter(t, first, second, first)
	})
}
