package jsonl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// reference reads one record with the standard library: its values as "kind
// text" by path, false if it is not a valid object of at most 64 levels.
func reference(record []byte) (map[string]string, bool) {
	if !json.Valid(record) || depth(record) > MaxDepth {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	out := map[string]string{}
	flatten(out, "", object)
	return out, true
}

func flatten(out map[string]string, prefix string, object map[string]any) {
	for k, v := range object {
		path := prefix + quoteKey(k)
		if text := referenceText(v); text != "" {
			out[path] = text
		}
		switch v := v.(type) {
		case []any:
			flattenList(out, path+"[]", v)
		case map[string]any:
			flatten(out, path+".", v)
		}
	}
}

// referenceText is "kind text" of a value, empty for null and for an object with
// members.
func referenceText(v any) string {
	switch v := v.(type) {
	case string:
		return "text " + v
	case json.Number:
		return "number " + v.String()
	case bool:
		return fmt.Sprintf("boolean %t", v)
	case []any:
		return fmt.Sprintf("list %d", len(v))
	case map[string]any:
		if len(v) == 0 {
			return "struct {}"
		}
	}
	return ""
}

// flattenList adds the elements of the lists of one path in their order: "place:
// kind text; " for each one that has a value.
func flattenList(out map[string]string, path string, lists ...[]any) {
	at := 0
	inner := [][]any{}
	members, order := map[string][]member{}, []string{}
	for _, list := range lists {
		for _, v := range list {
			if text := referenceText(v); text != "" {
				out[path] += fmt.Sprintf("%d: %s; ", at, text)
			}
			switch v := v.(type) {
			case []any:
				inner = append(inner, v)
			case map[string]any:
				flattenMembers(members, &order, path+".", at, v)
			}
			at++
		}
	}
	flattenList1(out, path, inner)
	for _, p := range order {
		lists := [][]any{}
		for _, m := range members[p] {
			if text := referenceText(m.value); text != "" {
				out[p] += fmt.Sprintf("%d: %s; ", m.at, text)
			}
			if l, ok := m.value.([]any); ok {
				lists = append(lists, l)
			}
		}
		flattenList1(out, p, lists)
	}
}

func flattenList1(out map[string]string, path string, lists [][]any) {
	if len(lists) > 0 {
		flattenList(out, path+"[]", lists...)
	}
}

// member is a value below the element at of a list.
type member struct {
	at    int
	value any
}

// flattenMembers collects the members of an element by their paths.
func flattenMembers(members map[string][]member, order *[]string, prefix string, at int, object map[string]any) {
	for k, v := range object {
		path := prefix + quoteKey(k)
		if _, known := members[path]; !known {
			*order = append(*order, path)
		}
		members[path] = append(members[path], member{at, v})
		if o, ok := v.(map[string]any); ok {
			flattenMembers(members, order, path+".", at, o)
		}
	}
}

// depth counts the levels of a valid text.
func depth(record []byte) (deepest int) {
	d := json.NewDecoder(bytes.NewReader(record))
	level := 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		if delim, ok := token.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				level++
			} else {
				level--
			}
			deepest = max(deepest, level)
		}
	}
}

// view gives a row of the reader the form of the reference.
func view(t testing.TB, row map[string]string) map[string]string {
	out := map[string]string{}
	for path, v := range row {
		if v[0] > '9' { // not the place of an element
			out[path] = viewValue(t, v)
			continue
		}
		for v = range strings.SplitSeq(v, "; ") {
			if at, v, ok := strings.Cut(v, ": "); ok {
				out[path] += at + ": " + viewValue(t, v) + "; "
			}
		}
	}
	return out
}

func viewValue(t testing.TB, v string) string {
	kind, text, _ := strings.Cut(v, " ")
	switch kind {
	case "integer", "number":
		kind = "number"
	case "boolean", "struct":
	case "list":
		var items []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(text), &items))
		text = strconv.Itoa(len(items))
	default:
		kind = "text"
	}
	return kind + " " + text
}

// checkRecord compares a record with the reference, alone and read bytewise,
// as a line and in an array.
func checkRecord(t *testing.T, record string) {
	t.Helper()
	want, valid := reference([]byte(record))
	for _, in := range []string{"{}\n" + record, "[{}," + record + "]"} {
		got := readText(t, in, whole)
		parts := readText(t, in, iotest.OneByteReader)
		require.Equal(t, got.rows, parts.rows)
		require.Equal(t, got.stats, parts.stats)
		require.Equal(t, got.err == nil, parts.err == nil)
		if in[0] == '[' && !valid {
			continue // the record may reach over commas and brackets
		}
		require.NoError(t, got.err)
		if !valid {
			require.Len(t, got.rows, 1, "%q is not valid", record)
			require.Equal(t, int64(1), got.stats.Malformed)
			continue
		}
		require.Zero(t, got.stats.Malformed, "%q is valid: %+v", record, got.stats.FirstMalformed)
		require.Len(t, got.rows, 2)
		if utf8.ValidString(record) {
			require.Equal(t, want, view(t, got.rows[1]), "%q", record)
		}
	}
}

// TestAgainstEncodingJSON compares generated records, whole and with one byte
// changed, with the standard library.
func TestAgainstEncodingJSON(t *testing.T) {
	t.Parallel()
	valid := 0
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var b strings.Builder
		writeObject(&b, rng, 0)
		record := b.String()
		require.True(t, json.Valid([]byte(record)), record)
		checkRecord(t, record)
		broken := []byte(record)
		i := rng.IntN(len(broken))
		const bytesOfJSON = "{}[]\",:\\u0e+-.truefalsn \x00\x1fx9"
		switch rng.IntN(3) {
		case 0:
			broken[i] = bytesOfJSON[rng.IntN(len(bytesOfJSON))]
		case 1:
			broken = append(broken[:i], broken[i+1:]...)
		default:
			broken = append(broken[:i], append([]byte{bytesOfJSON[rng.IntN(len(bytesOfJSON))]}, broken[i:]...)...)
		}
		if len(bytes.TrimSpace(broken)) > 0 && bytes.IndexByte(broken, '\n') < 0 {
			checkRecord(t, string(broken))
			if json.Valid(broken) {
				valid++
			}
		}
	}
	require.Greater(t, valid, 200, "changed records that are still valid")
	require.Less(t, valid, 1100, "changed records that are still valid")
}

func writeObject(b *strings.Builder, rng *rand.Rand, level int) {
	keys := []string{`"a"`, `"b"`, `"\u0061"`, `"x.y"`, `"k[0]"`, `""`, `"ключ"`, `"q\"\\"`, `"a long key of many bytes"`}
	b.WriteByte('{')
	for i := range rng.IntN(6) {
		if i > 0 {
			b.WriteByte(',')
		}
		space(b, rng)
		b.WriteString(keys[rng.IntN(len(keys))])
		space(b, rng)
		b.WriteByte(':')
		space(b, rng)
		writeValue(b, rng, level)
		space(b, rng)
	}
	b.WriteByte('}')
}

func writeValue(b *strings.Builder, rng *rand.Rand, level int) {
	values := []string{`0`, `-0`, `12`, `-3.25`, `1e5`, `1.5E-7`, `123456789012345678901234567890`, `true`, `false`, `null`, `""`, `"x"`, `"2026-01-02"`,
		`"\u00e9\ud83d\ude00\ud83d \udc00\uD83D\u0041"`, `"\"\\\/\b\f\n\r\t"`, `"a text longer than eight bytes, with ümlauts and \\ in it"`, `{}`, `[]`}
	switch {
	case level < 4 && rng.IntN(5) == 0:
		writeObject(b, rng, level+1)
	case level < 4 && rng.IntN(6) == 0:
		b.WriteByte('[')
		for i := range rng.IntN(4) {
			if i > 0 {
				b.WriteByte(',')
			}
			space(b, rng)
			writeValue(b, rng, level+1)
		}
		b.WriteByte(']')
	default:
		b.WriteString(values[rng.IntN(len(values))])
	}
}

func space(b *strings.Builder, rng *rand.Rand) {
	if rng.IntN(4) == 0 {
		b.WriteString([]string{" ", "\t", "  ", "\r"}[rng.IntN(4)])
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":{"b":[1,2,{"c":"\u00e9"}]},"a":"x"}`, `{"a":-0.5e+7,"b":true}`, `{"a":01}`, `{"\ud83d":"\ude00"}`, `{"a":"` + "\x00" + `"}`, `[1]`, `{"a":[}`, `{,}`, `{"a":1,}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, record string) {
		if strings.Contains(record, "\n") || strings.TrimLeft(record, " \t\r\n") == "" {
			return
		}
		checkRecord(t, record)
	})
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"a\":2}\n", "[{\"a\":1},{\"b\":[2]}]", "[\n{},,]", "[{\"a\":\"]\"}", " \n\n[] x", "{\"a\":{\"b\":1},\"a\":2}\n{\"b\":1,\"a\":{}}\n{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := readText(t, string(in), whole)
		parts := readText(t, string(in), iotest.OneByteReader)
		require.Equal(t, got, parts)
		if got.err != nil || !bytes.HasPrefix(bytes.TrimLeft(in, " \t\r\n"), []byte("{")) {
			return
		}
		// Each line is a row if the standard library takes it.
		rows := 0
		for line := range bytes.Lines(in) {
			if _, ok := reference(line); ok {
				rows++
			}
		}
		require.Len(t, got.rows, rows)
	})
}
