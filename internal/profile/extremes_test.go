package profile

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExtremesAgainstStrings compares texts that share long beginnings, of all
// lengths around the words that are read, zeros among their bytes.
func TestExtremesAgainstStrings(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3_000 {
		var e extremes
		low, high := "", ""
		for i := range 1 + rng.IntN(6) {
			text := make([]byte, rng.IntN(20))
			for k := range text {
				text[k] = "\x00\x00\x00ab\xff"[rng.IntN(6)]
			}
			if s := string(text); i == 0 {
				low, high = s, s
			} else {
				low, high = min(low, s), max(high, s)
			}
			e.offer(text)
		}
		require.Equal(t, low, string(e.low.text))
		require.Equal(t, high, string(e.high.text))
		var s textStats
		e.settle(&s)
		require.Equal(t, []string{low, high}, []string{s.first, s.last})
		require.False(t, e.some)
	}
}
