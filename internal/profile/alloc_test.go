//go:build !race

// The race detector makes a sync.Pool drop what it was given at random, so these
// tests run without it.

package profile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/csv"
)

func TestAddAllocatesNothingPerRow(t *testing.T) { //nolint:paralleltest // it counts allocations
	for name, b := range map[string]*Builder{"plain": NewBuilder(), "sensitive": NewBuilder()} {
		if name == "sensitive" {
			b.Protect(keyOf(t, "k"), func(string) bool { return true })
		}
		r, err := csv.New(strings.NewReader(table(5, 400_000)), csv.Options{})
		require.NoError(t, err)
		var c batch.Chunk
		for range 40 {
			require.NoError(t, r.Next(t.Context(), &c))
			require.NoError(t, b.Add(r.Columns(), &c))
		}
		allocs := testing.AllocsPerRun(20, func() { require.NoError(t, b.Add(r.Columns(), &c)) })
		require.Less(t, allocs, float64(c.Rows)/100, "%s: a chunk of %d rows", name, c.Rows)
	}
}
