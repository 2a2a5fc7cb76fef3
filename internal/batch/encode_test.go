package batch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rawOf makes a column of fields.
func rawOf(fields []string, forms []Form) *Raw {
	r := &Raw{Rows: len(fields), Stride: len(fields)}
	for i, f := range fields {
		at := len(r.Text)
		r.Text = append(r.Text, f...)
		r.Fields = append(r.Fields, NewField(at, len(r.Text), forms[i]))
		r.Text = append(r.Text, "0123456789,"[i%11])
	}
	r.Text = append(r.Text, strings.Repeat("7", RawSpare)...)[:len(r.Text)]
	return r
}

// TestEncoderTellsFieldsApart looks up fields that become longer and longer, so
// that the table changes its way of hashing, and are prefixes of each other.
func TestEncoderTellsFieldsApart(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		e := NewEncoder(EncoderOptions{Inferred: true, Limit: 16_384})
		type key struct {
			text string
			form Form
		}
		codes := map[key]uint32{}
		for _, longest := range []int{1, 3, 7, 6, 8, 16, 10, 17, 32, 33, 100} {
			fields, forms := make([]string, 1000), make([]Form, 1000)
			for i := range fields {
				fields[i] = strings.Repeat("1", rng.IntN(longest+1))
				if rng.IntN(2) == 0 {
					b := []byte(fields[i] + fmt.Sprint(rng.IntN(50)))
					fields[i] = string(b[:min(longest, len(b))])
				}
				if rng.IntN(4) == 0 {
					forms[i] = FormQuoted
				}
			}
			var v Vector
			e.Fill(rawOf(fields, forms), 0, &v)
			require.NotNil(t, v.Dict, "the dictionary was given up")
			for i, f := range fields {
				code := v.Codes[i]
				require.Equal(t, f, string(v.Dict.Bytes(int(code))))
				k := key{f, forms[i]}
				if met, ok := codes[k]; ok {
					require.Equal(t, met, code, "%q has two codes", f)
				}
				codes[k] = code
			}
		}
		require.Equal(t, len(codes), e.dict.Len(), "two fields share a code")
	}
}

// TestEncoderSeparatesAFew has fields of which two would be at one slot.
func TestEncoderSeparatesAFew(t *testing.T) {
	t.Parallel()
	fields := []string{"standard", "airport", "negotiated", "group", "night", "fixed", ""}
	e := NewEncoder(EncoderOptions{Inferred: true, Limit: 16_384})
	var v Vector
	e.Fill(rawOf(fields, make([]Form, len(fields))), 0, &v)
	require.NotEqual(t, uint64(golden), e.seed, "nothing to separate")
	homes := map[uint64]bool{}
	for i, meta := range e.metas {
		text := append([]byte(nil), e.dict.Bytes(i)...)
		hash, _ := e.hash(append(text, make([]byte, RawSpare)...), meta)
		homes[hash>>e.shift] = true
	}
	require.Len(t, homes, len(fields))
}

func BenchmarkEncoder(b *testing.B) {
	for _, c := range []struct {
		name   string
		values int
		format string
	}{
		{"6", 6, "%d"}, {"263", 263, "%d"}, {"3000 decimals", 3000, "%d.25"}, {"8000 decimals", 8000, "%d.5"},
		{"6 words", 6, "category %d"}, {"263 names", 263, "a district of number %d"},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			fields := make([]string, 100_000)
			for i := range fields {
				fields[i] = fmt.Sprintf(c.format, int(float64(c.values)*rng.Float64()*rng.Float64()))
			}
			raw := rawOf(fields, make([]Form, len(fields)))
			e := NewEncoder(EncoderOptions{Inferred: true, Limit: 16_384})
			var v Vector
			b.ReportAllocs()
			for b.Loop() {
				e.Fill(raw, 0, &v)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(fields)), "ns/field")
		})
	}
}

// TestRowsThatAreNotKeptAreNotDecoded fills some rows of a column, of rows and of
// elements of lists: the fields of the others do not reach its dictionary.
func TestRowsThatAreNotKeptAreNotDecoded(t *testing.T) {
	t.Parallel()
	texts := []string{"a", "b", "c", "b", "d", "e"}
	raw := rawOf(texts, make([]Form, len(texts)))
	raw.Encoders = []*Encoder{NewEncoder(EncoderOptions{Limit: 100})}
	var c Chunk
	c.Reset(1, raw)
	c.Rows, c.First = 6, 11
	c.Keep([]int32{1, 3, 4})
	v, err := c.Fill(0)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "b", "d"}, textsOf(v))
	require.Equal(t, 2, v.Dict.Len())

	raw = rawOf(texts, make([]Form, len(texts)))
	raw.Lists, raw.Elements = [][]int32{{0, 0, 2, 3, 3, 4}}, []Elements{{List: 1, Fields: raw.Fields}}
	raw.Encoders = []*Encoder{NewEncoder(EncoderOptions{Limit: 100})}
	c.Reset(1, raw)
	c.Rows, c.First = 5, 11
	c.Keep([]int32{1, 3, 4})
	v, err = c.Fill(0)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "d", "e"}, textsOf(v))
	require.Equal(t, []int32{1, 1, 2}, v.Rows)
	require.Equal(t, 3, v.Dict.Len())
	require.Equal(t, []int32{0, 0, 2, 3, 3, 4}, raw.Lists[0], "what columns share stays")
}

func textsOf(v *Vector) (out []string) {
	for i := range v.Len() {
		p, j := v.At(i)
		out = append(out, string(p.Bytes(j)))
	}
	return out
}
