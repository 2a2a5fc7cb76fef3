package profile

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

func TestSortedIsInOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 64, 65, 1000, 20_000} {
		for _, mask := range []uint64{^uint64(0), 0xff, 3 << 62} {
			d := newDict()
			for range n {
				e := entry{hash: rng.Uint64() & mask, typ: batch.Type(rng.IntN(int(batch.TypeCount)))}
				if mask == ^uint64(0) || d.find(e.hash, e.typ) == nil {
					d.insert(e, nil)
				}
			}
			out := d.sorted()
			require.Len(t, out, d.len())
			require.True(t, slices.IsSortedFunc(out, func(a, b entry) int {
				switch {
				case a.before(&b):
					return -1
				case b.before(&a):
					return 1
				}
				return 0
			}), "%d entries", n)
		}
	}
}
