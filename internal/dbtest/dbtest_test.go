package dbtest_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
)

func TestEachGivesEmptyDatabases(t *testing.T) {
	t.Parallel()
	for range 2 {
		dbtest.Each(t, func(t *testing.T, url string) {
			d, err := db.Open(t.Context(), url, db.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { d.Close() })
			_, err = d.Exec(t.Context(), "CREATE TABLE t (id INTEGER)")
			require.NoError(t, err)
		})
	}
}

func TestPostgresDropsItsDatabase(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("use", func(t *testing.T) {
		url = dbtest.Postgres(t)
		d, err := db.Open(t.Context(), url, db.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = d.Close() })
	})
	if url == "" {
		t.Skip("no Postgres for this test")
	}
	_, err := db.Open(t.Context(), url, db.Options{})
	require.ErrorIs(t, err, db.ErrUnavailable)
	require.ErrorContains(t, err, "no such database")
}

// outcome records how a test ended.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (o *outcome) Helper()                  {}
func (o *outcome) Context() context.Context { return context.Background() }
func (o *outcome) Skip(args ...any)         { o.skipped = args[0].(string); runtime.Goexit() }
func (o *outcome) Fatal(args ...any)        { o.failed = args[0].(string); runtime.Goexit() }

func TestWithoutAServer(t *testing.T) {
	for _, tc := range []struct {
		name, ci, require string
		fails             bool
	}{
		{"a developer's machine skips", "", "", false},
		{"CI fails", "true", "", true},
		{"a demand fails", "", "1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("PROFILER_TEST_POSTGRES", "")
			t.Setenv("CI", tc.ci)
			t.Setenv("PROFILER_TEST_REQUIRE", tc.require)
			o := &outcome{}
			done := make(chan struct{})
			go func() {
				defer close(done)
				dbtest.Postgres(o)
			}()
			<-done
			require.Equal(t, tc.fails, o.failed != "")
			require.Equal(t, !tc.fails, o.skipped != "")
			require.Contains(t, o.failed+o.skipped, "scripts/with-postgres.sh")
		})
	}
}
