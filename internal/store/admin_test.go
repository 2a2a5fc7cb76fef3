package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/store"
)

// A store is the same after it was copied there and back, goes on numbering, and
// an occupied one is refused.
func TestCopy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	newStore := func(url string) *store.Store {
		s, err := store.Open(ctx, url, store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	a, b, c := newStore(dbtest.SQLite(t)), newStore(dbtest.Postgres(t)), newStore(dbtest.SQLite(t))
	record := func(s *store.Store, day int) {
		_, err := s.Record(ctx, store.Observation{Profile: ofCSV(t, dataset, "n,s\n1,x\n2,\"ü\"\n"), Report: checks.Report{
			Version: 1, Dataset: dataset, Batch: start.AddDate(0, 0, day).Format(time.DateOnly), At: start.AddDate(0, 0, day),
			Results: []checks.Result{{ID: "a", Status: checks.Pass}},
		}}, nil)
		require.NoError(t, err)
	}
	for day := range 5 {
		record(a, day)
	}
	require.NoError(t, a.SetLabel(ctx, dataset, start.Format(time.DateOnly), store.LabelFine, "ann"))
	counts := map[string]int64{}
	require.NoError(t, a.CopyTo(ctx, b, func(table string, n int64) { counts[table] = n }))
	require.Equal(t, []int64{1, 5, 5, 1}, []int64{counts["dataset"], counts["batch"], counts["profile"], counts["label"]})
	require.NoError(t, b.CopyTo(ctx, c, func(table string, n int64) { require.Equal(t, counts[table], n, table) }))
	for _, s := range []*store.Store{b, c} {
		want, err := a.History(ctx, store.HistoryQuery{})
		require.NoError(t, err)
		got, err := s.History(ctx, store.HistoryQuery{})
		require.NoError(t, err)
		require.Equal(t, want, got)
		p, _, err := s.Get(ctx, dataset, start.Format(time.DateOnly))
		require.NoError(t, err)
		q, _, err := a.Get(ctx, dataset, start.Format(time.DateOnly))
		require.NoError(t, err)
		require.Equal(t, q.Summary(), p.Summary())
		record(s, 9) // new rows do not meet the numbers of the old ones
		problems, looked, err := s.Check(ctx)
		require.NoError(t, err)
		require.Empty(t, problems)
		require.Equal(t, 12, looked)
		before, after, err := s.Vacuum(ctx)
		require.NoError(t, err)
		require.Positive(t, before)
		require.Positive(t, after)
	}
	require.ErrorContains(t, a.CopyTo(ctx, b, func(string, int64) {}), "the table is not empty (rows: 1); copy into an empty store")

	_, err := c.DB().Exec(ctx, "UPDATE profile SET data = substr(data, 1, 40)")
	require.NoError(t, err)
	problems, _, err := c.Check(ctx)
	require.NoError(t, err)
	require.Len(t, problems, 6)
	require.Contains(t, problems[0], "profile of "+dataset+" batch ")
}
