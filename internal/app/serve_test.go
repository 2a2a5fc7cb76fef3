package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABatchIsShownOnce(t *testing.T) {
	t.Parallel()
	var n newest
	day := time.Date(2026, 3, 2, 0, 0, 0, 1, time.UTC) // the store keeps microseconds
	require.True(t, n.advance("a/b", "x", day))
	require.False(t, n.advance("a/b", "x", day.Truncate(time.Microsecond)), "it is shown")
	require.False(t, n.advance("a/b", "w", day.AddDate(0, 0, -1)), "a newer one is shown")
	require.True(t, n.advance("a/b", "y", day), "another one of the same time")
	require.True(t, n.advance("a/c", "x", day), "another dataset")
}
