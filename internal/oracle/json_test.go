package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/source"
)

// randomValue writes a JSON value.
func randomValue(b *strings.Builder, rng *rand.Rand, level int) {
	scalars := []string{
		`0`, `-0`, `12`, `-3.25`, `1e5`, `1.5E-7`, `9007199254740993`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775809`, `1e400`,
		`true`, `false`, `null`, `""`, `"x"`, `"12"`, `"true"`, `"NaN"`, `"2026-01-02"`, `"2026-01-02T10:00:00Z"`, `"2026-01-02 10:00"`, `"10:00:00"`, `" 2026-01-02"`,
		`"\u00e9\ud83d\ude00"`, `"\"\\\/\b\f\n\r\t"`, `"ümlaut"`, `" "`, `{}`, `[]`, `{ }`, `[ ]`,
	}
	switch {
	case level < 3 && rng.IntN(6) == 0:
		randomObject(b, rng, level+1)
	case level < 3 && rng.IntN(8) == 0:
		b.WriteByte('[')
		for i := range rng.IntN(4) {
			if i > 0 {
				b.WriteString(", ")
			}
			randomValue(b, rng, level+1)
		}
		b.WriteByte(']')
	default:
		b.WriteString(scalars[rng.IntN(len(scalars))])
	}
}

func randomObject(b *strings.Builder, rng *rand.Rand, level int) {
	keys := []string{`"a"`, `"b"`, `"\u0061"`, `"x.y"`, `"k[0]"`, `""`, `"ключ"`, `"n"`}
	b.WriteByte('{')
	for i := range rng.IntN(6) {
		if i > 0 {
			b.WriteString([]string{",", " , "}[rng.IntN(2)])
		}
		b.WriteString(keys[rng.IntN(len(keys))] + []string{":", " : "}[rng.IntN(2)])
		randomValue(b, rng, level)
	}
	b.WriteByte('}')
}

// randomLines writes rows of JSON whose columns hold values of any type, with
// damaged and empty lines between them.
func randomLines(rng *rand.Rand, n int) string {
	bad := []string{`{"a":`, `{"a":01}`, `[1]`, `1`, `{"a":1}}`, `{"a":1,}`, `{a:1}`, `{"a":"` + "\x01" + `"}`, `nothing`, `{"a":1} {"a":2}`}
	var b strings.Builder
	b.WriteString("{}\n")
	for range n {
		switch rng.IntN(30) {
		case 0:
			b.WriteString(bad[rng.IntN(len(bad))])
		case 1:
			b.WriteString([]string{"", " ", "\t", "\r"}[rng.IntN(4)])
		default:
			randomObject(&b, rng, 0)
		}
		b.WriteString([]string{"\n", "\r\n", " \n"}[rng.IntN(3)])
	}
	return b.String()
}

func TestRandomJSON(t *testing.T) {
	t.Parallel()
	seeds := 60
	if long {
		seeds = 1000
	}
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 12))
		text := randomLines(rng, rng.IntN(120))
		agree(t, ReadJSONL(text), profileJSON(t, text), fmt.Sprintf("seed %d", seed))
	}
}

// TestSortsOfColumnsInJSON gives the sorts of columns of CSV as JSON strings,
// numbers and booleans: a string of digits is a text there.
func TestSortsOfColumnsInJSON(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 7, 2049} {
				g := generate(uint64(n), n, k)
				var b strings.Builder
				for _, row := range g.cells {
					value := jsonOf(row[1], len(b.String())%3 == 0)
					fmt.Fprintf(&b, "{\"row\":%s,%q:%s}\n", row[0].text, k.name, value)
				}
				text := strings.ToValidUTF8(b.String(), "\uFFFD")
				agree(t, ReadJSONL(text), profileJSON(t, text), fmt.Sprintf("%d rows", n))
			}
		})
	}
}

// jsonOf writes a cell as the JSON value that it looks like.
func jsonOf(c cell, asText bool) string {
	if c.null {
		return "null"
	}
	if bare := strings.TrimSpace(c.text); !asText && json.Valid([]byte(bare)) && bare != "null" {
		if _, err := strconv.ParseFloat(bare, 64); err == nil || bare == "true" || bare == "false" {
			return bare
		}
	}
	b, _ := json.Marshal(c.text)
	return string(b)
}

// TestArrayIsLines gives the same records as lines and as the items of an array.
func TestArrayIsLines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var lines []string
		for range 1 + rng.IntN(60) {
			var b strings.Builder
			randomObject(&b, rng, 0)
			lines = append(lines, b.String())
		}
		want := profileJSON(t, strings.Join(lines, "\n"))
		array := "[\n" + strings.Join(lines, " ,\n") + "\n]\n"
		got, err := observe(t.Context(), strings.NewReader(array), source.Options{Format: "json"})
		require.NoError(t, err)
		require.Equal(t, columnsJSON(t, want), columnsJSON(t, got))
		table, err := ReadJSONArray(array)
		require.NoError(t, err)
		agree(t, table, got, fmt.Sprintf("seed %d", seed))
	}
}
