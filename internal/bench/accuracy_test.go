package bench

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/datagen"
)

func TestRankError(t *testing.T) {
	t.Parallel()
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i)
	}
	ties := append(slices.Repeat([]int64{5}, 80), slices.Repeat([]int64{9}, 20)...)
	for _, c := range []struct {
		name        string
		sorted      []int64
		rank, value float64
		want        float64
	}{
		{"exact", hundred, 0.5, 49.5, 0},
		{"a neighbour", hundred, 0.5, 50, 0},
		{"ten too high", hundred, 0.5, 60.5, 0.10},
		{"ten too low", hundred, 0.5, 38.5, 0.10},
		{"below all", hundred, 0.25, -3, 0.24},
		{"above all", hundred, 0.75, 1000, 0.24},
		{"a tie has all its ranks", ties, 0.5, 5, 0},
		{"a tie's end", ties, 0.95, 5, 0.14},
		{"rounding of texts", hundred, 0.5, 49.0000001, 0},
	} {
		require.InDelta(t, c.want, rankError(c.sorted, c.rank, c.value), 1e-9, c.name)
	}
}

// TestRankErrorCounts compares with counting.
func TestRankErrorCounts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2_000 {
		values := make([]int64, 1+rng.IntN(50))
		for i := range values {
			values[i] = rng.Int64N(20)
		}
		slices.Sort(values)
		rank, value := rng.Float64(), float64(rng.Int64N(44)-2)/2
		n, below, upTo := float64(len(values)), 0.0, 0.0
		for _, v := range values {
			if float64(v) < value {
				below++
			}
			if float64(v) <= value {
				upTo++
			}
		}
		want := max(0, below/n-rank-1/n, rank-upTo/n-1/n)
		require.InDelta(t, want, rankError(values, rank, value), 1e-12, "%v %v of %v", rank, value, values)
	}
}

func TestExactColumnsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	table := datagen.Trips()
	for i, want := range map[int]int64{0: rows, 1: 6, 7: 6, 18: 2} {
		values := exactColumn(table, i, rows)
		require.Len(t, values, rows)
		require.True(t, slices.IsSorted(values))
		require.Equal(t, want, countDistinct(values), table.Columns[i].Name)
	}
	require.InDelta(t, rows/10, len(exactColumn(table, 19, rows)), rows/100, "nulls of notes are left out")
}

func TestClaims(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	table := datagen.Trips()
	own, err := profileClaims(table, write("profile", `{"rows": 9, "columns": [
		{"name": "fare", "distinct": {"value": 8691, "exact": true}, "quantiles": {"exact": true, "error": 0, "p01": 2.62, "p50": 20.93}},
		{"name": "picked_up_at", "distinct": {"value": 7}, "quantiles": {"p50": "1970-01-01T00:01:00.5", "p99": "1970-01-02T00:00:00Z"}},
		{"name": "note", "distinct": {"value": 3}, "quantiles": null}]}`), 9)
	require.NoError(t, err)
	require.Equal(t, claims{8_691, map[float64]float64{0.01: 262, 0.5: 2_093}}, own["fare"])
	require.Equal(t, claims{7, map[float64]float64{0.5: 60.5, 0.99: 86_400}}, own["picked_up_at"])
	require.Equal(t, claims{3, map[float64]float64{}}, own["note"])

	theirs, err := summarizeClaims(table, write("summarize", `[
		{"column_name": "fare", "approx_unique": "6756", "q25": "9.25", "q50": "20.96", "q75": null},
		{"column_name": "vendor", "approx_unique": 6, "q25": "1", "q50": "1", "q75": "2"},
		{"column_name": "picked_up_at", "approx_unique": 5, "q25": "1970-01-01 00:00:59.25", "q50": null, "q75": null}]`))
	require.NoError(t, err)
	require.Equal(t, claims{6_756, map[float64]float64{0.25: 925, 0.5: 2_096}}, theirs["fare"])
	require.Equal(t, claims{6, map[float64]float64{0.25: 1, 0.5: 1, 0.75: 2}}, theirs["vendor"])
	require.Equal(t, claims{5, map[float64]float64{0.25: 59.25}}, theirs["picked_up_at"])

	for _, absent := range []string{filepath.Join(dir, "none"), write("empty", "")} {
		theirs, err = summarizeClaims(table, absent)
		require.NoError(t, err)
		require.Empty(t, theirs)
	}
	for _, bad := range []string{
		`{`, `{"rows": 8}`, `{"rows": 9, "columns": [{"name": "other"}]}`, `{"rows": 9, "columns": [{"name": "fare", "quantiles": {"p50": "x"}}]}`,
		`{"rows": 9, "columns": [{"name": "fare", "quantiles": {"px": 1}}]}`, `{"rows": 9, "columns": [{"name": "picked_up_at", "quantiles": {"p50": 1}}]}`,
	} {
		_, err := profileClaims(table, write("bad", bad), 9)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{`{`, `[{"column_name": "fare", "approx_unique": "many"}]`, `[{"column_name": "fare", "approx_unique": 1, "q25": "x"}]`} {
		_, err := summarizeClaims(table, write("bad", bad))
		require.Error(t, err, bad)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	values := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	a := judge(claims{9, map[float64]float64{0.5: 5.5, 0.9: 5}}, values, 10)
	require.InDelta(t, 0.1, a.DistinctError, 1e-12)
	require.InDelta(t, 0.3, *a.RankError, 1e-12)
	require.Nil(t, judge(claims{10, nil}, values, 10).RankError)
	require.Zero(t, judge(claims{0, nil}, nil, 0).DistinctError)
}
