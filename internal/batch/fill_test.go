package batch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fieldOf returns a random field of one of the kinds that columns without a
// dictionary are made of, or that break their runs.
func fieldOf(rng *rand.Rand, kind int) string {
	switch kind {
	case 0:
		return fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())
	case 1:
		return fmt.Sprintf("2024-%02d-%02d %02d:%02d:%02d", 1+rng.IntN(13), 1+rng.IntN(2)*rng.IntN(31), rng.IntN(25), rng.IntN(61), rng.IntN(61))
	case 2:
		return fmt.Sprintf("D%06d", rng.IntN(1e6))
	case 3:
		return fmt.Sprintf("%d", rng.Uint64()>>rng.IntN(64))
	case 4:
		return fmt.Sprintf("%.*f", rng.IntN(4), rng.Float64()*1e5)
	case 5:
		return strings.Repeat(" ", rng.IntN(3)) + []string{"true", "False", "nan", "inf", "Infinity", "-Infinity", "feature", "none"}[rng.IntN(8)] + strings.Repeat(" ", rng.IntN(12))
	case 6:
		return []string{"", " ", "é", "été 2024", "x", "n/a", "1e5", "12:30:00", "2024-02-29", "2024-02-29T10:00:00Z"}[rng.IntN(10)]
	}
	b := make([]byte, rng.IntN(24))
	for i := range b {
		b[i] = "0123456789abcdefgFnNiItT .-+:/\x00\xc3\xa9"[rng.IntN(32)]
	}
	return string(b)
}

// A column without a dictionary has the values that its fields have one by one,
// whatever stands before them.
func TestFillIsTheClassifier(t *testing.T) {
	t.Parallel()
	older := slices.Repeat([]int64{7}, 300) // what an older chunk left
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		e := NewEncoder(EncoderOptions{Inferred: true, Nulls: [2]map[string]bool{nil, {"none": true}}[rng.IntN(2)]})
		kind, form := rng.IntN(8), FormBare
		for range 3 { // vectors
			raw := &Raw{Rows: 1 + rng.IntN(300)}
			raw.Stride = raw.Rows
			for range raw.Rows {
				if rng.IntN(12) == 0 {
					kind, form = rng.IntN(8), Form(rng.IntN(3))
				}
				at := len(raw.Text)
				raw.Text = append(raw.Text, fieldOf(rng, kind)...)
				raw.Fields = append(raw.Fields, NewField(at, len(raw.Text), form))
				raw.Text = append(raw.Text, ","[:rng.IntN(2)]...)
			}
			raw.Text = append(raw.Text, strings.Repeat("7", RawSpare)...)[:len(raw.Text)]
			v := &Vector{}
			v.Ints, v.Floats = append(v.Ints, older...), make([]float64, 0, len(older))
			for _, x := range older {
				v.Floats = append(v.Floats, float64(x))
			}
			e.Fill(raw, 0, v)
			require.Equal(t, raw.Rows, v.Len())
			for i, f := range raw.Fields {
				start, end := f.Span()
				ref := &Encoder{opts: e.opts}
				want := ref.value(raw.Text[start:end], f.Form())
				want.Zoned = false
				// NaN equals nothing.
				require.Equal(t, fmt.Sprint(want), fmt.Sprint(v.Value(i)), "seed %d, row %d, %q", seed, i, raw.Text[start:end])
				require.Equal(t, string(raw.Text[start:end]), string(v.Bytes(i)))
			}
		}
	}
}
