// Package dbtest gives tests databases of their own: an SQLite file in the
// test's folder, or a new database on the Postgres server that the environment
// variable PROFILER_TEST_POSTGRES names (scripts/with-postgres.sh starts one).
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lib/pq"
)

const (
	serverVariable  = "PROFILER_TEST_POSTGRES"
	requireVariable = "PROFILER_TEST_REQUIRE"
	// dropTimeout bounds the removal of a database at the end of a test.
	dropTimeout = 30 * time.Second
)

// SQLite returns the URL of an SQLite file that does not exist yet, in a
// folder that is removed with the test.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "store.db")
}

// Postgres returns the URL of a new and empty Postgres database, which is
// dropped when the test ends, open connections included. Without a server the
// test is skipped; under CI=true or PROFILER_TEST_REQUIRE=1 it fails.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv(serverVariable)
	if server == "" {
		if os.Getenv("CI") == "true" || os.Getenv(requireVariable) == "1" {
			t.Fatal("no Postgres for this test: set " + serverVariable + " or run it by scripts/with-postgres.sh")
		}
		t.Skip("no Postgres for this test: set " + serverVariable + " or run it by scripts/with-postgres.sh")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(serverVariable + " is not a URL")
	}
	name := fmt.Sprintf("profiler_test_%016x", rand.Uint64())
	// Not template1: it cannot be copied while anybody is connected to it.
	run(t, server, "CREATE DATABASE "+pq.QuoteIdentifier(name)+" TEMPLATE template0")
	t.Cleanup(func() {
		run(t, server, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name)+" WITH (FORCE)")
	})
	u.Path = "/" + name
	return u.String()
}

// Each runs a test on SQLite and on Postgres, as the subtests sqlite and
// postgres, each with the URL of an empty database of its own. The subtests
// are parallel to each other. Without a Postgres server its subtest is skipped
// or fails as Postgres says.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// run executes one statement on the server. The test's own context is over
// when its cleanup runs.
func run(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), dropTimeout)
	defer cancel()
	h, err := sql.Open("postgres", server)
	if err == nil {
		_, err = h.ExecContext(ctx, statement)
		_ = h.Close()
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
