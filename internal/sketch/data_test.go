package sketch

import (
	"encoding"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// mix is the finalizer of splitmix64: a bijection, so distinct inputs have
// distinct hashes.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x5eed)) }

// generators are the shapes of data over which bounds are proven.
var generators = []struct {
	name string
	make func(r *rand.Rand, n int) []float64
}{
	{"log-normal", func(r *rand.Rand, n int) []float64 {
		return fill(n, func(int) float64 { return math.Exp(1.5 * r.NormFloat64()) })
	}},
	{"uniform", func(r *rand.Rand, n int) []float64 {
		return fill(n, func(int) float64 { return r.Float64() })
	}},
	{"sorted", func(_ *rand.Rand, n int) []float64 {
		return fill(n, func(i int) float64 { return float64(i) })
	}},
	{"reversed", func(_ *rand.Rand, n int) []float64 {
		return fill(n, func(i int) float64 { return float64(n - i) })
	}},
	{"constant", func(_ *rand.Rand, n int) []float64 {
		return fill(n, func(int) float64 { return 0.1 })
	}},
	{"two-valued", func(r *rand.Rand, n int) []float64 {
		return fill(n, func(int) float64 { return float64(r.IntN(10) / 7) })
	}},
	{"heavy ties", func(r *rand.Rand, n int) []float64 {
		return fill(n, func(int) float64 { return math.Floor(math.Exp(2 * r.NormFloat64())) })
	}},
}

func fill(n int, f func(i int) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = f(i)
	}
	return v
}

// parts cuts v at random places into k pieces, some of which may be empty, and
// shuffles the pieces.
func parts(r *rand.Rand, v []float64, k int) [][]float64 {
	cuts := []int{0, len(v)}
	for range k - 1 {
		cuts = append(cuts, r.IntN(len(v)+1))
	}
	slices.Sort(cuts)
	out := make([][]float64, 0, k)
	for i := range k {
		out = append(out, v[cuts[i]:cuts[i+1]])
	}
	r.Shuffle(k, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// mergeTree merges neighbours until one is left, or all into the first.
func mergeTree[T any](r *rand.Rand, s []T, merge func(a, b T) T) T {
	for len(s) > 1 {
		i := r.IntN(len(s) - 1)
		s[i] = merge(s[i], s[i+1])
		s = slices.Delete(s, i+1, i+2)
	}
	return s[0]
}

func encode(t testing.TB, s encoding.BinaryAppender) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// reload decodes what from encodes to, and proves that nothing was lost.
func reload(t testing.TB, from encoding.BinaryAppender, to interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}) {
	t.Helper()
	b := encode(t, from)
	want := slices.Clone(b)
	require.NoError(t, to.UnmarshalBinary(b))
	clear(b) // a decoder that keeps a part of its input shows here
	require.Equal(t, want, encode(t, to))
}

// refuses proves that every truncation, every added byte and a foreign header
// is an error which leaves the summary unchanged.
func refuses(t *testing.T, good []byte, to interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}) {
	t.Helper()
	require.NoError(t, to.UnmarshalBinary(good))
	step := max(1, len(good)/200)
	for n := 0; n < len(good); n += step {
		require.Error(t, to.UnmarshalBinary(good[:n]), "cut at %d", n)
	}
	require.Error(t, to.UnmarshalBinary(good[:len(good)-1]))
	require.ErrorContains(t, to.UnmarshalBinary(append(slices.Clone(good), 0)), "follow its end")
	foreign := slices.Clone(good)
	foreign[0] = '?'
	require.ErrorContains(t, to.UnmarshalBinary(foreign), "kind")
	newer := slices.Clone(good)
	newer[1] = 99
	require.ErrorContains(t, to.UnmarshalBinary(newer), "version 99")
	require.Equal(t, good, encode(t, to), "an error must leave the summary as it was")
}

// fuzz proves that decoding never panics and that accepted bytes are the one
// spelling of what they decode to.
func fuzz[S interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}](f *testing.F, fresh func() S, use func(S)) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s := fresh()
		if s.UnmarshalBinary(b) != nil {
			return
		}
		require.Equal(t, b, encode(t, s))
		use(s)
	})
}
