package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/store"
)

const days = 24 * time.Hour

func countRows(t testing.TB, s *store.Store, table string) (n int) {
	t.Helper()
	require.NoError(t, s.DB().Get(t.Context(), &n, "SELECT count(*) FROM "+table))
	return n
}

func TestPrune(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		ctx := t.Context()
		// One batch a day, of which day 40 to 59 are accepted no more, so that
		// the pool reaches back to day 52 - 20.
		const n = 80
		all := make([]store.Observation, 0, n)
		for i := range n {
			v := checks.Pass
			if i >= 40 && i < 60 {
				v = checks.Error
			}
			all = append(all, judged(seen(t, fmt.Sprintf("d%02d", i), day(i), i), v))
		}
		require.NoError(t, s.RecordAll(ctx, all))
		require.NoError(t, s.SetLabel(ctx, dataset, "d00", store.LabelFine, "ann"))
		now := day(n)
		perBatch := countRows(t, s, "metric") / n

		got, err := s.Prune(ctx, now, store.Retention{})
		require.NoError(t, err)
		require.Zero(t, got)
		require.Equal(t, n, countRows(t, s, "profile"))

		got, err = s.Prune(ctx, now, store.Retention{Profiles: 10 * days, Results: 29 * days})
		require.NoError(t, err)
		// Ages count from the newest batch, day 79. 20 accepted ones of day 60 on and 8 before day 40.
		require.Equal(t, store.Pruned{Profiles: 32, Results: 50}, got)
		left, err := s.Profiles(ctx, store.Query{Dataset: dataset, Before: now})
		require.NoError(t, err)
		require.Len(t, left, 28)
		p, report, err := s.Get(ctx, dataset, "d31")
		require.NoError(t, err)
		require.Nil(t, p)
		require.Empty(t, report.Results)
		p, _, err = s.Get(ctx, dataset, "d32")
		require.NoError(t, err)
		require.NotNil(t, p)

		got, err = s.Prune(ctx, now, store.Retention{Profiles: 10 * days, Results: 59 * days, Metrics: 49 * days})
		require.NoError(t, err)
		require.Equal(t, store.Pruned{Metrics: int64(30 * perBatch), Batches: 20}, got)
		require.Equal(t, n-20, countRows(t, s, "batch"))
		require.Zero(t, countRows(t, s, "label"))
		points, err := s.Series(ctx, dataset, "amount", "mean", time.Time{}, 0)
		require.NoError(t, err)
		require.Len(t, points, 30)
		require.Equal(t, "d30", points[29].Batch)

		if !s.DB().Dialect.IsPostgres() {
			var free int
			require.NoError(t, s.DB().Get(ctx, &free, "PRAGMA freelist_count"))
			require.Zero(t, free)
		}
	})
}

// TestPruneLeavesABackfillAlone keeps a history of years ago that was recorded
// just now: its batches are as young as the dataset is.
func TestPruneLeavesABackfillAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		var all []store.Observation
		for i := range 60 {
			all = append(all, judged(seen(t, fmt.Sprintf("d%02d", i), day(i), i), checks.Pass))
		}
		require.NoError(t, s.RecordAll(t.Context(), all))
		got, err := s.Prune(t.Context(), day(5_000), store.Retention{Profiles: 90 * days, Metrics: 400 * days, Results: 400 * days})
		require.NoError(t, err)
		require.Zero(t, got)
	})
}

func TestPruneDeletesThousandsInParts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		all := make([]store.Observation, 0, 1300)
		one := judged(seen(t, "", day(0), 1, 2), checks.Fail)
		for i := range cap(all) {
			o := one
			o.Report.Batch, o.Report.At = fmt.Sprint(i), start.Add(time.Duration(i)*time.Hour)
			all = append(all, o)
		}
		require.NoError(t, s.RecordAll(t.Context(), all))
		metrics := countRows(t, s, "metric")
		if s.DB().Dialect.IsPostgres() {
			var known int
			require.NoError(t, s.DB().Get(t.Context(), &known, "SELECT reltuples::int FROM pg_class WHERE relname = 'metric'"))
			require.Equal(t, metrics, known, "the planner knows what was imported")
		}
		r := store.Retention{Profiles: days, Metrics: days, Results: days}
		got, err := s.Prune(t.Context(), day(100), r)
		require.NoError(t, err)
		require.Equal(t, store.Pruned{Profiles: 1272, Metrics: int64(metrics / 1300 * 1272), Results: 1275, Batches: 1272}, got)
		got, err = s.Prune(t.Context(), day(100), r)
		require.NoError(t, err)
		require.Zero(t, got)
	})
}

func TestPruneKeepsWhatIsOpen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		now := start
		s := open(t, url, store.Options{Now: func() time.Time { return now }})
		ctx := t.Context()
		_, err := s.Record(ctx, seen(t, "a", day(0), 1), opened("01A", dataset))
		require.NoError(t, err)
		_, err = s.Record(ctx, seen(t, "a", day(0), 1), func(store.IncidentState) store.IncidentChange {
			in := alert.Incident{ID: "02", Dataset: "shop/other", Status: alert.Resolved, OpenedAt: day(0), ResolvedAt: day(5)}
			return store.IncidentChange{Incidents: []alert.Incident{in}, Notices: []alert.Notice{{Story: "02", Dataset: "shop/other", Channel: "c", Event: alert.EventResolved, Due: day(0)}}}
		})
		require.NoError(t, err)
		now = day(7)
		claimed, err := s.Claim(ctx, store.ClaimQuery{Channel: "c", Limit: 9})
		require.NoError(t, err)
		require.Len(t, claimed, 1)
		require.NoError(t, s.Sent(ctx, claimed[0], alert.Thread{}))
		r := store.Retention{Results: 10 * days}
		for _, tc := range []struct {
			at   int
			want store.Pruned
		}{{15, store.Pruned{}}, {16, store.Pruned{Incidents: 1}}, {17, store.Pruned{}}, {18, store.Pruned{Messages: 1}}, {900, store.Pruned{}}} {
			got, err := s.Prune(ctx, day(tc.at), r)
			require.NoError(t, err)
			require.Equal(t, tc.want, got, tc.at)
		}
		// A late receipt of a message whose incident is gone.
		require.Equal(t, 1, countRows(t, s, "outbox"))
		_, err = s.DB().Exec(ctx, "DELETE FROM incident")
		require.NoError(t, err)
		claimed, err = s.Claim(ctx, store.ClaimQuery{Channel: "data", Limit: 9})
		require.NoError(t, err)
		require.NoError(t, s.Sent(ctx, claimed[0], alert.Thread{Channel: "c", Message: "m"}))
	})
}
