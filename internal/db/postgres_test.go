package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
)

// setting reads what holds for the sessions of a database.
func setting(t *testing.T, d *db.DB, name string) (value string) {
	t.Helper()
	require.NoError(t, d.Get(t.Context(), &value, "SELECT current_setting(?)", name))
	return value
}

func TestSessionsAreGivenUp(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	d := open(t, url, db.Options{})
	for name, want := range map[string]string{
		"idle_in_transaction_session_timeout": "20s", "tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2",
	} {
		require.Equal(t, want, setting(t, d, name), name)
	}
	require.Equal(t, "3s", setting(t, open(t, url+"&idle_in_transaction_session_timeout=3s", db.Options{}), "idle_in_transaction_session_timeout"), "the URL has the last word")
	require.Equal(t, "0", setting(t, open(t, url, db.Options{Foreign: true}), "idle_in_transaction_session_timeout"), "a database of the user")
}

// A transaction that stood still for too long has let its locks go, and runs again.
func TestTransactionThatStoodStill(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.Postgres(t), db.Options{Retry: db.RetryPolicy{Backoff: time.Millisecond}})
	mustExec(t, d, "CREATE TABLE t (id INTEGER)")
	mustExec(t, d, "INSERT INTO t (id) VALUES (1)")
	attempts := 0
	require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
		attempts++
		if _, err := tx.Exec(t.Context(), "UPDATE t SET id = id + 1"); err != nil {
			return err
		}
		if attempts == 1 {
			var pid int
			require.NoError(t, tx.Get(t.Context(), &pid, "SELECT pg_backend_pid()"))
			_, err := tx.Exec(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 1")
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				var n int
				require.NoError(t, d.Get(t.Context(), &n, "SELECT count(*) FROM pg_stat_activity WHERE pid = ?", pid))
				return n == 0
			}, time.Minute, time.Millisecond)
			mustExec(t, d, "UPDATE t SET id = id + 10")
		}
		_, err := tx.Exec(t.Context(), "UPDATE t SET id = id + 100")
		return err
	}))
	require.Equal(t, 2, attempts)
	var id int
	require.NoError(t, d.Get(t.Context(), &id, "SELECT id FROM t"))
	require.Equal(t, 112, id)
}
