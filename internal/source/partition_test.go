package source

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPartitionOf(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"in/2026-03-01.csv.gz":        "2026-03-01",
		"orders_20260301.csv":         "2026-03-01",
		"orders-2026-03-01-final.csv": "2026-03-01",
		"dt=2026-03-01.parquet":       "2026-03-01",
		"orders.csv":                  "",
		"2026-13-01.csv":              "",
		"2026-02-30.csv":              "",
		"120260301.csv":               "",
		"-":                           "",
	} {
		p, ok := PartitionOf(Input{Files: []string{file}}, nil)
		require.Equal(t, want, p.Name, file)
		require.Equal(t, want != "", ok)
		if ok {
			require.Equal(t, 24*time.Hour, p.To.Sub(p.From))
		}
	}
	_, ok := PartitionOf(Input{Files: []string{"2026-03-01.csv", "2026-03-02.csv"}}, nil)
	require.False(t, ok)
}
