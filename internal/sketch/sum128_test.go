package sketch

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func requireSum(t *testing.T, want *big.Int, s Sum128) {
	t.Helper()
	require.Equal(t, want.String(), s.String())
	f, _ := new(big.Float).SetInt(want).Float64()
	require.Equal(t, f, s.Float64(), "%s", want)
	v, ok := s.Int64()
	require.Equal(t, want.IsInt64(), ok, "%s", want)
	if ok {
		require.Equal(t, want.Int64(), v)
	}
}

func TestSum128AgainstBigIntegers(t *testing.T) {
	t.Parallel()
	edges := []int64{0, 1, -1, 2, 1 << 53, 1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MinInt64, math.MinInt64 + 1}
	weights := []uint64{0, 1, 2, 3, 1 << 32, 1<<53 + 1, math.MaxUint64}
	for _, v := range edges {
		for _, n := range weights {
			for _, start := range edges {
				var s Sum128
				s.Add(start)
				s.AddWeighted(v, n)
				want := new(big.Int).Mul(big.NewInt(v), new(big.Int).SetUint64(n))
				requireSum(t, want.Add(want, big.NewInt(start)), s)
			}
		}
	}
	r := newRand(1)
	for range 200 {
		var whole, merged Sum128
		want := new(big.Int)
		for range 1 + r.IntN(20) {
			v, n := int64(r.Uint64())>>r.IntN(64), r.Uint64N(1000)
			var part Sum128
			for range n % 3 {
				part.Add(v)
				whole.Add(v)
				want.Add(want, big.NewInt(v))
			}
			part.AddWeighted(v, n)
			whole.AddWeighted(v, n)
			want.Add(want, new(big.Int).Mul(big.NewInt(v), new(big.Int).SetUint64(n)))
			part.Merge(merged)
			merged = part
		}
		requireSum(t, want, whole)
		require.Equal(t, whole, merged, "merge is the whole in any order")
		var back Sum128
		reload(t, whole, &back)
		require.Equal(t, whole, back)
	}
}

func TestSum128RoundsLikeBigFloat(t *testing.T) {
	t.Parallel()
	r := newRand(2)
	for range 2000 {
		// Few set bits make ties and near ties frequent.
		s := Sum128{int64(r.Uint64() & r.Uint64() & r.Uint64() >> r.IntN(64)), r.Uint64() & r.Uint64() & r.Uint64()}
		want := new(big.Int).Lsh(big.NewInt(s.hi), 64)
		requireSum(t, want.Add(want, new(big.Int).SetUint64(s.lo)), s)
		n := s.negate()
		requireSum(t, want.Neg(want), n)
	}
	least := Sum128{math.MinInt64, 0}
	require.Equal(t, -math.Ldexp(1, 127), least.Float64())
}

func TestSum128Encoding(t *testing.T) {
	t.Parallel()
	var s Sum128
	s.AddWeighted(math.MinInt64, 12345)
	refuses(t, encode(t, s), &Sum128{})
	require.Len(t, encode(t, s), 18)
}

func TestSum128AddDoesNotAllocate(t *testing.T) {
	var s Sum128
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Add(-7); s.AddWeighted(9, 1<<40) }))
}

func FuzzSum128Unmarshal(f *testing.F) {
	var s Sum128
	f.Add(encode(f, s))
	s.AddWeighted(-5, math.MaxUint64)
	f.Add(encode(f, s))
	fuzz(f, func() *Sum128 { return &Sum128{} }, func(s *Sum128) {
		_ = s.String()
		_ = s.Float64()
		_, _ = s.Int64()
	})
}
