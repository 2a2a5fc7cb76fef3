package oracle

import (
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source"
)

// TestProgressOfFilesThatAreReadInPieces reads Parquet files, whose bytes are
// hashed before the first row is there: what counts is the rows.
func TestProgressOfFilesThatAreReadInPieces(t *testing.T) {
	t.Parallel()
	one := writeFile(t, "a.parquet", writeParquet(t, typedTable(1, 20_000), parquetForm{rowGroup: 5000, page: 1 << 16}))
	two := writeFile(t, "b.parquet", writeParquet(t, typedTable(2, 20_000), parquetForm{rowGroup: 5000, page: 1 << 16}))
	in, err := source.Expand([]string{one, two}, false)
	require.NoError(t, err)
	total := int64(0)
	for _, path := range []string{one, two} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		total += info.Size()
	}
	var told []int64
	r, err := source.Open(t.Context(), in[0], source.Options{Progress: func(n int64) { told = append(told, n) }})
	require.NoError(t, err)
	defer r.Close()
	var c batch.Chunk
	for {
		if err := r.Next(t.Context(), &c); errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.Greater(t, len(told), 8)
	require.True(t, slices.IsSorted(told), "%v", told)
	require.Less(t, told[0], total/4)
	require.InDelta(t, total/2, told[len(told)/2-1], float64(total)/8, "%v of %d", told, total)
	require.Equal(t, total, told[len(told)-1])
}
