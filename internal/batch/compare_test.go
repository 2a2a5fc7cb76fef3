package batch_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

func integer(i int64) batch.Value { return batch.Value{Type: batch.Integer, Int: i} }
func float(f float64) batch.Value { return batch.Value{Type: batch.Number, Float: f} }
func rational(f float64) *big.Rat { return new(big.Rat).SetFloat64(f) }
func whole(i int64) *big.Rat      { return new(big.Rat).SetInt64(i) }
func exactly(v batch.Value) *big.Rat {
	if v.Type == batch.Integer {
		return whole(v.Int)
	}
	return rational(v.Float)
}

// TestCompare has rationals as its oracle.
func TestCompare(t *testing.T) {
	t.Parallel()
	values := []batch.Value{}
	for _, i := range []int64{0, 1, -1, 3, 1 << 53, 1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1} {
		values = append(values, integer(i), float(float64(i)), float(float64(i)+0.5), float(math.Nextafter(float64(i), 0)), float(math.Nextafter(float64(i), math.Inf(1))))
	}
	for _, a := range values {
		for _, b := range values {
			order, ok := batch.Compare(a, b)
			require.True(t, ok)
			require.Equal(t, exactly(a).Cmp(exactly(b)), order, "%v and %v", a, b)
			require.Equal(t, order == 0, batch.IdentityOf(a) == batch.IdentityOf(b), "%v and %v", a, b)
		}
		for sign, infinite := range map[int]batch.Value{-1: float(math.Inf(1)), 1: float(math.Inf(-1))} {
			order, ok := batch.Compare(a, infinite)
			require.True(t, ok)
			require.Equal(t, sign, order)
		}
		_, ok := batch.Compare(a, float(math.NaN()))
		require.False(t, ok)
		_, ok = batch.Compare(a, batch.Value{Type: batch.Timestamp})
		require.False(t, ok)
	}
}
