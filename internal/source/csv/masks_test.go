package csv

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveMasks is masks byte by byte.
func naiveMasks(dst []uint64, src []byte, a, b byte) {
	for k := range dst {
		dst[k] = 0
		for i := range 64 {
			if c := src[64*k+i]; c == a || c == b {
				dst[k] |= 1 << i
			}
		}
	}
}

func TestMasksAgainstNaive(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, blocks := range []int{0, 1, 2, 7, 8, 9, 63, 64, 65} {
		for range 50 {
			src := make([]byte, 64*blocks)
			a, b := byte(rng.Uint32()), byte(rng.Uint32())
			for i := range src {
				switch rng.IntN(4) {
				case 0:
					src[i] = a ^ byte(rng.IntN(2)) // near misses as well
				case 1:
					src[i] = b ^ 0x80*byte(rng.IntN(2))
				default:
					src[i] = byte(rng.Uint32())
				}
			}
			want, got, words := make([]uint64, blocks), make([]uint64, blocks), make([]uint64, blocks)
			naiveMasks(want, src, a, b)
			masks(got, src, a, b)
			masksSWAR(words, src, a, b)
			require.Equal(t, want, got)
			require.Equal(t, want, words)
		}
	}
}

func BenchmarkMasks(b *testing.B) {
	src := make([]byte, 256<<10)
	dst := make([]uint64, len(src)/64)
	for name, f := range map[string]func([]uint64, []byte, byte, byte){"masks": masks, "words": masksSWAR} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				f(dst, src, ',', '\n')
			}
		})
	}
}
