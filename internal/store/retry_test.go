package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
)

// When the connection breaks during the commit, nobody knows whether it
// happened. The next attempt must find out and not count the batch twice.
func TestSecondAttemptFindsTheFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s, err := Open(ctx, url, Options{})
		require.NoError(t, err)
		defer s.Close()
		o := Observation{Report: checks.Report{Dataset: "a/b", Batch: "c", At: time.Unix(1, 0), Results: []checks.Result{{ID: "x"}}}}
		p, err := prepare(&o, nil)
		require.NoError(t, err)
		calls := 0
		attempt := func(again bool) (done Changed) {
			require.NoError(t, s.db.Tx(ctx, func(tx *db.Tx) error {
				var err error
				done, err = s.record(ctx, tx, p, again, func(IncidentState) IncidentChange {
					calls++
					return IncidentChange{Notices: []alert.Notice{{Story: "k", Channel: "c", Event: alert.EventOpened}}}
				})
				return err
			}))
			return done
		}
		require.Equal(t, Changed{Stories: []string{"k"}}, attempt(false))
		require.Empty(t, attempt(true), "it was written already")
		require.Equal(t, 1, calls)
		var n int
		require.NoError(t, s.db.Get(ctx, &n, "SELECT count(*) FROM batch"))
		require.Equal(t, 1, n)
	})
}

func TestRecordOutlivesALostConnection(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, dbtest.Postgres(t), Options{Retry: db.RetryPolicy{Backoff: time.Millisecond}})
	require.NoError(t, err)
	defer s.Close()
	calls := 0
	o := Observation{Report: checks.Report{Dataset: "a/b", Batch: "c", At: time.Unix(1, 0)}}
	done, err := s.Record(ctx, o, func(IncidentState) IncidentChange {
		calls++
		if calls == 1 {
			_, err := s.db.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			require.NoError(t, err)
		}
		return IncidentChange{Notices: []alert.Notice{{Story: "k", Channel: "c", Event: alert.EventOpened}}}
	})
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, done.Stories)
	require.Equal(t, 2, calls)
	var n int
	require.NoError(t, s.db.Get(ctx, &n, "SELECT count(*) FROM batch"))
	require.Equal(t, 1, n)
}

func inRun(dataset, run string) Observation {
	return Observation{Report: checks.Report{Dataset: dataset, Batch: run, At: time.Unix(1, 0), Origin: checks.Origin{Pipeline: "p", Run: run}}}
}

// recordBeside starts to record and returns when that waits for a lock or has
// ended.
func recordBeside(t *testing.T, s *Store, o Observation, decide func(IncidentState) IncidentChange) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := s.Record(t.Context(), o, decide)
		done <- err
	}()
	for waiting := 0; waiting == 0 && len(done) == 0; {
		require.NoError(t, s.db.Get(t.Context(), &waiting, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))
	}
	return done
}

// A step of one run folds under the incident of a dataset whose recorder works
// for another run. They meet at the incident and must not wait for each other.
func TestFoldingDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	// With a single attempt a deadlock is an error.
	s, err := Open(ctx, dbtest.Postgres(t), Options{Retry: db.RetryPolicy{Attempts: 1}})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Record(ctx, inRun("s/raw", "r1"), func(IncidentState) IncidentChange {
		return IncidentChange{Incidents: []alert.Incident{{ID: "01", Dataset: "s/raw", Status: alert.Open, LastRun: "r1", Origin: checks.Origin{Pipeline: "p"}}}}
	})
	require.NoError(t, err)
	var other <-chan error
	_, err = s.Record(ctx, inRun("s/clean", "r1"), func(st IncidentState) IncidentChange {
		other = recordBeside(t, s, inRun("s/raw", "r2"), func(st IncidentState) IncidentChange {
			st.Current.Batches++
			return IncidentChange{Incidents: []alert.Incident{*st.Current}}
		})
		st.Pipeline[0].Folded = []string{"s/clean"}
		return IncidentChange{Incidents: st.Pipeline}
	})
	require.NoError(t, err)
	require.NoError(t, <-other)
	incidents, err := s.Incidents(ctx, IncidentQuery{ID: "01"})
	require.NoError(t, err)
	require.Equal(t, []string{"s/clean"}, incidents[0].Folded, "the other recorder saw the fold")
	require.Equal(t, 1, incidents[0].Batches)
}

// The second recorder begins while the first one decides, and must see what
// that will have written.
func TestRecordersTakeTurns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		second Observation
		seen   func(IncidentState) bool
	}{
		{"of one dataset", inRun("s/raw", "r2"), func(st IncidentState) bool { return st.Current != nil }},
		{"of one pipeline", inRun("s/clean", "r3"), func(st IncidentState) bool { return len(st.Pipeline) == 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s, err := Open(ctx, dbtest.Postgres(t), Options{})
			require.NoError(t, err)
			defer s.Close()
			// The datasets are known, so nobody waits for their making.
			for _, dataset := range []string{"s/raw", "s/clean"} {
				_, err = s.Record(ctx, inRun(dataset, "r0"), nil)
				require.NoError(t, err)
			}
			var second <-chan error
			seen := false
			_, err = s.Record(ctx, inRun("s/raw", "r1"), func(IncidentState) IncidentChange {
				second = recordBeside(t, s, tc.second, func(st IncidentState) IncidentChange {
					seen = tc.seen(st)
					return IncidentChange{}
				})
				return IncidentChange{Incidents: []alert.Incident{{ID: "01", Dataset: "s/raw", Status: alert.Open, LastRun: "r1", Origin: checks.Origin{Pipeline: "p"}}}}
			})
			require.NoError(t, err)
			require.NoError(t, <-second)
			require.True(t, seen)
		})
	}
}

func TestOpenTogetherFromEmpty(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				s, err := Open(t.Context(), url, Options{})
				if err == nil {
					err = s.Close()
				}
				errs[i] = err
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
	})
}

func TestCancelledRecordLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s, err := Open(t.Context(), url, Options{})
		require.NoError(t, err)
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		o := Observation{Report: checks.Report{Dataset: "a/b", Batch: "c", At: time.Unix(1, 0)}}
		_, err = s.Record(ctx, o, func(IncidentState) IncidentChange {
			cancel()
			return IncidentChange{Notices: []alert.Notice{{Story: "k", Channel: "c", Event: alert.EventOpened}}}
		})
		require.ErrorIs(t, err, context.Canceled)
		var n int
		require.NoError(t, s.db.Get(t.Context(), &n, "SELECT count(*) FROM batch"))
		require.Zero(t, n)
	})
}
