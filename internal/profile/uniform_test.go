package profile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// plainVector classifies fields as a column of CSV without a dictionary does,
// or one of strings of JSON. An empty field is null, `""` a quoted empty one.
func plainVector(fields []string, json bool) (*batch.Vector, *batch.Chunk) {
	raw := &batch.Raw{Rows: len(fields), Stride: len(fields)}
	for _, f := range fields {
		form := batch.FormBare
		if f == `""` {
			f, form = "", batch.FormQuoted
		}
		if json && (f != "" || form == batch.FormQuoted) {
			form = batch.FormString
		}
		at := len(raw.Text)
		raw.Text = append(raw.Text, f...)
		raw.Fields = append(raw.Fields, batch.NewField(at, len(raw.Text), form))
		raw.Text = append(raw.Text, ',')
	}
	raw.Text = append(raw.Text, make([]byte, batch.RawSpare)...)[:len(raw.Text)]
	v := &batch.Vector{}
	batch.NewEncoder(batch.EncoderOptions{Inferred: !json}).Fill(raw, 0, v)
	return v, &batch.Chunk{Rows: len(fields), First: 1}
}

// sketchedColumn returns a column that is not counted any more.
func sketchedColumn(inferred bool) *column {
	c := newColumn("c")
	c.hasText, c.inferred = true, inferred
	c.flush()
	return c
}

func encoded(t *testing.T, c *column, rows uint64) string {
	t.Helper()
	c.rows = rows
	p := empty()
	p.rows, p.columns = rows, []*column{c}
	b, err := p.Encode()
	require.NoError(t, err)
	return string(b)
}

// form is how the values of a column come.
type form int

const (
	csvText form = iota
	jsonText
	typedValues // as of Parquet: texts of strings alone
	entriesOf   // the same by codes of a dictionary
	formCount
)

// inForm gives the values of a vector of JSON another form.
func inForm(v *batch.Vector, f form) *batch.Vector {
	if f < typedValues {
		return v
	}
	out, dict := &batch.Vector{}, &batch.Vector{}
	seen := map[string]uint32{}
	for i := range v.Len() {
		var text []byte
		if v.Types[i] == batch.String {
			text = v.Bytes(i)
		}
		out.Append(v.Value(i), text)
		key := fmt.Sprint(v.Value(i), string(text))
		if _, ok := seen[key]; !ok {
			seen[key] = uint32(dict.Len())
			dict.Append(v.Value(i), text)
		}
		if f == entriesOf {
			out.Codes = append(out.Codes, seen[key])
		}
	}
	if f == entriesOf {
		out.Dict = dict
	}
	return out
}

// TestUniformIsMixed feeds columns of one type both ways.
func TestUniformIsMixed(t *testing.T) {
	t.Parallel()
	stamp := func(r *rand.Rand) string {
		return fmt.Sprintf("20%02d-%02d-%02d %02d:%02d:%02d", r.IntN(100), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	letters := func(r *rand.Rand, n int, from string) string {
		var b strings.Builder
		runes := []rune(from)
		for range n {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		return b.String()
	}
	kinds := map[string]func(r *rand.Rand) string{
		"hash":     func(r *rand.Rand) string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) },
		"lengths":  func(r *rand.Rand) string { return letters(r, 1+r.IntN(300), "abcdefgh ") },
		"short":    func(r *rand.Rand) string { return letters(r, 1+r.IntN(9), "ab\t ") },
		"accents":  func(r *rand.Rand) string { return letters(r, 1+r.IntN(20), "aé日\u00a0") },
		"broken":   func(r *rand.Rand) string { return "x" + string([]byte{byte(r.Uint32()), byte(r.Uint32())}) },
		"digits":   func(r *rand.Rand) string { return letters(r, 65+r.IntN(300), "0123456789") },
		"integers": func(r *rand.Rand) string { return fmt.Sprint(r.Int64() >> r.IntN(64)) },
		"signs":    func(r *rand.Rand) string { return fmt.Sprintf("%+d ", r.Int64()>>r.IntN(64)) },
		"codes":    func(r *rand.Rand) string { return letters(r, 1+r.IntN(12), "0123456789") },
		"epochs":   func(r *rand.Rand) string { return fmt.Sprint(700_000_000_000 + r.IntN(3_000_000_000_000)) },
		"numbers":  func(r *rand.Rand) string { return fmt.Sprintf("%.*f", 1+r.IntN(3), r.NormFloat64()*1e5) },
		"longs":    func(r *rand.Rand) string { return letters(r, 20+r.IntN(45), "0123456789") },
		"words": func(r *rand.Rand) string {
			return [...]string{"NaN", "inf", "-Infinity", "1e999", "2.5"}[min(4, r.IntN(2000))]
		},
		"dates":  func(r *rand.Rand) string { return stamp(r)[:10] },
		"clocks": func(r *rand.Rand) string { return stamp(r)[11:] },
		"stamps": stamp,
		"nanos":  func(r *rand.Rand) string { return stamp(r) + fmt.Sprintf(".%09d", r.IntN(1e9)) },
		"mixed": func(r *rand.Rand) string {
			if r.IntN(200) == 0 {
				return "x"
			}
			return stamp(r)
		},
		"nothing": func(*rand.Rand) string { return "" },
	}
	names := slices.Sorted(maps.Keys(kinds))
	for test := range int(formCount) * len(names) {
		name, as := names[test/int(formCount)], form(test%int(formCount))
		kind := kinds[name]
		t.Run(fmt.Sprintf("%s form=%d", name, as), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			a, b := sketchedColumn(as == csvText), sketchedColumn(as == csvText)
			a.hasText, b.hasText = as < typedValues, as < typedValues
			var hashesA, hashesB [700]uint64
			uniform, rows := 0, uint64(0)
			for round := range 300 {
				fields := make([]string, r.IntN(len(hashesA)))
				for i := range fields {
					if fields[i] = kind(r); round%3 == 0 && r.IntN(5) == 0 {
						fields[i] = [...]string{"", `""`}[r.IntN(2)]
					}
				}
				v, at := plainVector(fields, as == jsonText)
				v = inForm(v, as)
				if _, ok := newStream().uniform(v); ok {
					uniform++
				}
				a.addSketched(v, at, hashesA[:])
				b.addMixed(newStream().of(&b.sk.samplers), v, at, hashesB[:])
				rows += uint64(len(fields))
			}
			require.Equal(t, hashesB, hashesA, "hashes of rows")
			require.Equal(t, encoded(t, b, rows), encoded(t, a, rows), "other bytes")
			switch name {
			case "nothing":
			case "mixed":
				require.Greater(t, uniform, 3)
			case "codes", "broken", "lengths", "words":
				require.Positive(t, uniform)
			default:
				require.Greater(t, uniform, 150)
			}
		})
	}
}
