package sketch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func hllOf(from, to uint64) *HLL {
	h := NewHLL()
	for i := from; i < to; i++ {
		h.Add(mix(i))
	}
	return h
}

func TestHLLStaysInsideItsBound(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 10, 100, 700, 800, 1000, 5000, 20_000, 40_000, 80_000} {
		const seeds = 120
		outside, sum := 0, 0.0
		for seed := range uint64(seeds) {
			h := NewHLL()
			for i := range uint64(n) {
				h.Add(mix(seed<<40 | i))
			}
			e := h.Estimate()
			sum += e
			if math.Abs(e-float64(n)) > h.Error() {
				outside++
			}
		}
		require.LessOrEqual(t, outside, seeds/100, "n = %d", n)
		// The mean of all runs has a standard error of 0.81 % / √120 = 0.074 %.
		require.InDelta(t, n, sum/seeds, 0.003*float64(n), "bias at n = %d", n)
	}
}

func TestHLLOfLargeCounts(t *testing.T) {
	t.Parallel()
	h := hllOf(0, 3_000_000)
	require.InDelta(t, 3_000_000, h.Estimate(), h.Error())
	require.InDelta(t, 3*0.0081*h.Estimate(), h.Error(), 1)
}

func TestHLLSaturated(t *testing.T) {
	t.Parallel()
	h := NewHLL()
	for i := range uint64(hllRegisters) {
		h.Add(i << hllTail) // the longest run of zeros in each register
	}
	require.Greater(t, h.Estimate(), 1e18)
	var back HLL
	reload(t, h, &back)
	require.Equal(t, h.Estimate(), back.Estimate())
}

func TestHLLIgnoresRepetition(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{5, 500, 50_000} {
		once, often := hllOf(0, n), hllOf(0, n)
		for i := n; i > 0; i-- {
			often.Add(mix(i - 1))
		}
		require.Equal(t, encode(t, once), encode(t, often))
	}
}

func TestHLLMergeIsTheWholeForAnySplit(t *testing.T) {
	t.Parallel()
	r := newRand(1)
	for _, n := range []int{0, 1, 50, 600, 900, 3000, 6000, 30_000} {
		whole := encode(t, hllOf(0, uint64(n)))
		for range 5 {
			index := fill(n, func(i int) float64 { return float64(i) })
			var sketches []*HLL
			for _, part := range parts(r, index, 6) {
				h := NewHLL()
				for _, v := range part {
					h.Add(mix(uint64(v)))
				}
				sketches = append(sketches, h)
			}
			got := mergeTree(r, sketches, func(a, b *HLL) *HLL {
				before := encode(t, b)
				a.Merge(b)
				require.Equal(t, before, encode(t, b), "the other side must stay unchanged")
				return a
			})
			require.Equal(t, whole, encode(t, got), "n = %d", n)
		}
	}
}

func TestHLLMergeCommutesAcrossForms(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][2]uint64{{0, 100}, {100, 100}, {100, 50_000}, {50_000, 50_000}, {0, 50_000}} {
		a, b := hllOf(0, sizes[0]), hllOf(70_000, 70_000+sizes[1])
		ab, ba := hllOf(0, sizes[0]), hllOf(70_000, 70_000+sizes[1])
		ab.Merge(b)
		ba.Merge(a)
		require.Equal(t, encode(t, ab), encode(t, ba))
		self := encode(t, ab)
		ab.Merge(ab)
		require.Equal(t, self, encode(t, ab), "merging with itself changes nothing")
	}
}

func TestHLLEncoding(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{0, 1, 767, 768, 769, 4096, 4700, 4800, 100_000} {
		h := hllOf(0, n)
		var back HLL
		reload(t, h, &back)
		require.Equal(t, h.Estimate(), back.Estimate())
		b := encode(t, h)
		require.LessOrEqual(t, len(b), hllPackedSize+4)
		if n > 0 {
			refuses(t, b, &back)
		}
		back.Merge(hllOf(n, 2*n))
		require.Equal(t, encode(t, hllOf(0, 2*n)), encode(t, &back), "a decoded summary goes on")
	}
	require.Equal(t, []byte{'D', 1, 14, 0, 0}, encode(t, NewHLL()))
}

func TestHLLRefusesBadRegisters(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"precision":         {'D', 1, 12, 0, 0},
		"form":              {'D', 1, 14, 7, 0},
		"register too high": {'D', 1, 14, 0, 1, 0x80, 0x80, 1, 3},
		"value 0":           {'D', 1, 14, 0, 1, 5, 0},
		"value 52":          {'D', 1, 14, 0, 1, 5, 52},
		"long varint":       {'D', 1, 14, 0, 1, 0x85, 0, 5},
		"forged count":      {'D', 1, 14, 0, 0xff, 0x1f, 5, 5},
		"dense but empty":   append([]byte{'D', 1, 14, 1}, make([]byte, hllPackedSize)...),
	} {
		require.ErrorContains(t, NewHLL().UnmarshalBinary(b), "decode distinct summary: ", name)
	}
}

func TestHLLAddDoesNotAllocate(t *testing.T) {
	h := hllOf(0, 10_000)
	i := uint64(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() { h.Add(mix(i)); i += 3 }))
	require.NotNil(t, h.dense)
}

func FuzzHLLUnmarshal(f *testing.F) {
	for _, n := range []uint64{0, 1, 300, 100_000} {
		f.Add(encode(f, hllOf(0, n)))
	}
	other := hllOf(0, 2000)
	fuzz(f, NewHLL, func(h *HLL) {
		h.Merge(other)
		h.Estimate()
	})
}

func TestHLLAddHashesIsAddInALoop(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 700, 770, 2000, 50_000} {
		for _, slice := range []int{1, 100, 60_000} {
			bulk, single := NewHLL(), NewHLL()
			hashes := make([]uint64, n)
			for i := range hashes {
				hashes[i] = mix(uint64(i))
				single.Add(hashes[i])
			}
			for from := 0; from < n; from += slice {
				bulk.AddHashes(hashes[from:min(from+slice, n)])
			}
			require.Equal(t, encode(t, single), encode(t, bulk))
		}
	}
}

// A thousand columns with few values must stay small: 16 KiB each would not.
func TestHLLIsSmallWhileFewValuesAreIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ values, bytes int }{{0, 0}, {10, 64}, {40, 256}, {180, 1024}, {700, 4096}, {5000, 16384}} {
		h := NewHLL()
		for i := range c.values {
			h.Add(mix(uint64(i)))
		}
		held := 4 * cap(h.slots)
		if h.dense != nil {
			held += hllRegisters
		}
		require.LessOrEqual(t, held, c.bytes, "%d values", c.values)
	}
}

func TestHLLAddHashesDoesNotAllocate(t *testing.T) {
	h := NewHLL()
	hashes := make([]uint64, 2000)
	for i := range hashes {
		hashes[i] = mix(uint64(i))
	}
	h.AddHashes(hashes)
	require.Zero(t, testing.AllocsPerRun(1000, func() { h.AddHashes(hashes) }))
}
