package jsonl

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// TestManyRepeatedKeys has a record that would take minutes if each repeated key
// looked at all values before it.
func TestManyRepeatedKeys(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"o":{"x":0}`)
	for i := range 5000 {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	for i := range 300_000 {
		fmt.Fprintf(&b, `,"a":%d,"o":{"x":%d,"x":1}`, i, i)
	}
	b.WriteString("}\n")
	require.Less(t, b.Len(), RecordLimit)
	r, err := New(strings.NewReader(b.String()), Options{})
	require.NoError(t, err)
	var c batch.Chunk
	require.NoError(t, r.Next(t.Context(), &c))
	require.NoError(t, c.FillAll())
	require.Len(t, r.Columns(), 5002)
	require.Equal(t, "k0", r.Columns()[0].Name)
	require.Equal(t, "a", r.Columns()[5000].Name)
	plain, at := c.Vectors[5000].At(0)
	require.Equal(t, "299999", string(plain.AppendText(nil, at)))
	require.Contains(t, r.Stats().Notes[0], `first: "o" in row 1`)
}

// TestRepeatedKeysAgainstEncodingJSON writes objects in objects whose keys are
// repeated at all depths.
func TestRepeatedKeysAgainstEncodingJSON(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	var object func(depth int) string
	object = func(depth int) string {
		var parts []string
		for range rnd.IntN(7) {
			value := fmt.Sprint(rnd.IntN(100))
			if depth < 4 && rnd.IntN(2) == 0 {
				value = object(depth + 1)
			}
			parts = append(parts, fmt.Sprintf("%q:%s", string(rune('a'+rnd.IntN(4))), value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	for k := range 1000 {
		// Repeated at the top, more than are kept before they are taken out.
		text := `{"z":1,"y":` + object(1)
		for range rnd.IntN(3) * rnd.IntN(1500) {
			text += `,"z":2,"y":` + object(3)
			if k > 8 {
				break
			}
		}
		text += `,"y":` + object(0) + "}"
		r, err := New(strings.NewReader(text), Options{})
		require.NoError(t, err)
		var c batch.Chunk
		require.NoError(t, r.Next(t.Context(), &c))
		require.NoError(t, c.FillAll())
		got := map[string]string{}
		for i, col := range r.Columns() {
			if v, at := c.Vectors[i].At(0); v.Types[at] != batch.Null {
				got[col.Name] = string(v.AppendText(nil, at))
			}
		}
		require.Equal(t, lastOnes(t, text), got, text)
	}
}

// lastOnes returns the values of the paths of an object, of repeated keys the
// last one.
func lastOnes(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	d := json.NewDecoder(strings.NewReader(text))
	var object func(path string)
	object = func(path string) {
		_, err := d.Token()
		require.NoError(t, err)
		empty := true
		for d.More() {
			empty = false
			key, err := d.Token()
			require.NoError(t, err)
			name := strings.TrimPrefix(path+"."+key.(string), ".")
			for old := range out {
				if old == name || strings.HasPrefix(old, name+".") {
					delete(out, old)
				}
			}
			var raw json.RawMessage
			require.NoError(t, d.Decode(&raw))
			if raw[0] != '{' {
				out[name] = string(raw)
				continue
			}
			outer := d
			d = json.NewDecoder(strings.NewReader(string(raw)))
			object(name)
			d = outer
		}
		if empty {
			out[path] = "{}"
		}
		_, err = d.Token()
		require.NoError(t, err)
	}
	object("")
	return out
}

// TestLongPaths has keys that would be in the names of many columns.
func TestLongPaths(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", MaxPath-10)
	for _, in := range []string{`{"` + long + `":{"aaaaaaaaaaaaaaaaaaaa":1}}`, `{"a":{"` + strings.Repeat("k", 8<<20) + `":1}}`, `{"` + long + `":[{"aaaaaaaaaaaaaaaaaaaa":1}]}`} {
		for _, text := range []string{"{\"a\":1}\n" + in + "\n{\"a\":2}\n", "[{\"a\":1}," + in + ",{\"a\":2}]"} {
			r, err := New(strings.NewReader(text), Options{})
			require.NoError(t, err)
			var c batch.Chunk
			require.NoError(t, r.Next(t.Context(), &c))
			require.Equal(t, 2, c.Rows)
			require.ErrorIs(t, r.Next(t.Context(), &c), io.EOF)
			require.Equal(t, int64(1), r.Stats().Malformed)
			require.Contains(t, r.Stats().FirstMalformed.Reason, "the path of a key is longer than 4 KiB")
		}
	}
	r, err := New(strings.NewReader(`{"`+long+`":{"a":1}}`), Options{})
	require.NoError(t, err)
	require.NoError(t, r.Next(t.Context(), new(batch.Chunk)))
	require.Equal(t, long+".a", r.Columns()[0].Name)
}
