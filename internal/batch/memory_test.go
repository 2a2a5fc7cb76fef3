package batch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// numbersOf fills column i with the numbers from i on.
type numbersOf struct{}

func (numbersOf) Fill(c *batch.Chunk, column int, v *batch.Vector) error {
	for row := range c.Rows {
		v.Append(batch.Value{Type: batch.Integer, Int: int64(column + row)}, nil)
	}
	return nil
}

func TestColumnsFillTheSameMemoryInTurn(t *testing.T) {
	t.Parallel()
	var m batch.Memory
	var c batch.Chunk
	var first *int64
	for range 2 {
		c.Reset(3, numbersOf{})
		c.Rows = 100
		for i := range 2 {
			borrowed, err := c.FillIn(i, &m)
			require.NoError(t, err)
			require.True(t, borrowed)
			v := &c.Vectors[i]
			require.Len(t, v.Ints, 100)
			require.Equal(t, int64(i+99), v.Ints[99])
			if first == nil {
				first = &v.Ints[0]
			}
			require.Same(t, first, &v.Ints[0], "no other memory")
			v.Return(&m)
			require.Zero(t, v.Len())
		}
		_, err := c.Fill(2)
		require.NoError(t, err)
		borrowed, err := c.FillIn(2, &m)
		require.NoError(t, err)
		require.False(t, borrowed, "it is filled")
		require.Equal(t, int64(101), c.Vectors[2].Ints[99])
		require.NotSame(t, first, &c.Vectors[2].Ints[0])
	}
}
