package rowset

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSetIsASet compares with a map: rows in any order, sparse and dense.
func TestSetIsASet(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for _, span := range []int64{10, 70_000, 1 << 40} {
		var s, o Set
		want := map[int64]bool{}
		for range 30_000 {
			row := rng.Int64N(span)
			if rng.IntN(2) == 0 {
				s.Add(row)
			} else {
				o.Add(row)
			}
			want[row] = true
		}
		before := s.Clone()
		s.Union(&o)
		s.Union(nil)
		require.EqualValues(t, len(want), s.Len())
		require.Less(t, before.Len(), s.Len()+1)
		rows := []int64{}
		s.All(func(row int64) bool { rows = append(rows, row); return true })
		require.Equal(t, slices.Sorted(maps.Keys(want)), rows)
		for range 1000 {
			row := rng.Int64N(span)
			require.Equal(t, want[row], s.Has(row))
		}
	}
}

func TestRangesAreDense(t *testing.T) {
	t.Parallel()
	var s Set
	s.AddRange(65_000, 1_000_000)
	require.EqualValues(t, 1_000_000, s.Len())
	require.True(t, s.Has(65_000))
	require.True(t, s.Has(1_064_999))
	require.False(t, s.Has(64_999))
	require.False(t, s.Has(1_065_000))
	c := s.Clone()
	c.Add(1)
	require.False(t, s.Has(1))
	n := 0
	s.All(func(int64) bool { n++; return n < 3 })
	require.Equal(t, 3, n)
}
