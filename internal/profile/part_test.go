package profile

import (
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// A part counts the same rows with less memory; what is beyond exactness stays
// within the bounds that it names.
func TestPartsAreSmall(t *testing.T) {
	t.Parallel()
	whole, part := NewBuilder(), NewPartBuilder()
	columns := []batch.Column{{Name: "v"}}
	var c batch.Chunk
	for chunk := range 20 {
		c.Reset(1, nil)
		c.Filled()
		for i := range 1000 {
			n := int64(chunk*1000 + i)
			c.Vectors[0].Append(batch.Value{Type: batch.Integer, Int: n % 15_000}, []byte(strconv.FormatInt(n%15_000, 10)))
		}
		c.Vectors[0].HasText, c.Rows, c.First = true, 1000, int64(chunk*1000+1)
		require.NoError(t, whole.Add(columns, &c))
		require.NoError(t, part.Add(columns, &c))
		if d := part.p.columns[0].dict; d != nil {
			require.LessOrEqual(t, d.len(), 2048)
			require.Less(t, uintptr(cap(d.entries))*unsafe.Sizeof(entry{}), uintptr(256<<10))
		}
		require.LessOrEqual(t, cap(part.p.dups.hashes), 2*partRows)
	}
	a, b := whole.Finish(columns, Info{}).Summary(), part.Finish(columns, Info{}).Summary()
	require.Equal(t, a.Rows, b.Rows)
	require.Equal(t, a.Columns[0].Mean, b.Columns[0].Mean)
	require.Equal(t, a.Columns[0].Max, b.Columns[0].Max)
	require.Equal(t, int64(15_000), a.Columns[0].Distinct.Value)
	require.InDelta(t, 15_000, b.Columns[0].Distinct.Value, float64(b.Columns[0].Distinct.Error))
	require.False(t, b.Columns[0].Distinct.Exact)
	require.InDelta(t, 5_000, b.Duplicates.Value, float64(b.Duplicates.Error))
}
