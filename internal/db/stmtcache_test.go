package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
)

func kept(t *testing.T, tx *db.Tx) (n int) {
	t.Helper()
	require.NoError(t, tx.Get(t.Context(), &n, "SELECT count(*) FROM pg_prepared_statements"))
	return n
}

func TestStatementsStayPrepared(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.Postgres(t), db.Options{})
	require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
		before := kept(t, tx)
		for i := range 3 {
			var n int
			require.NoError(t, tx.Get(t.Context(), &n, "SELECT CAST(? AS int) + 1", i))
			require.Equal(t, i+1, n)
			_, err := tx.Exec(t.Context(), "SELECT CAST(? AS int) + 2", i)
			require.NoError(t, err)
		}
		require.Equal(t, before+2, kept(t, tx))
		for i := range 300 {
			var n int
			require.NoError(t, tx.Get(t.Context(), &n, fmt.Sprintf("SELECT CAST(? AS int) + %d", i), 1))
			require.Equal(t, i+1, n)
		}
		require.Equal(t, 128, kept(t, tx))
		return nil
	}))
}

func TestKeptStatementOfAChangedTable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{Retry: db.RetryPolicy{Backoff: time.Millisecond}})
		mustExec(t, d, "CREATE TABLE t (id INTEGER)")
		mustExec(t, d, "INSERT INTO t (id) VALUES (?)", 7)
		read := func() (columns int) {
			require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
				rows, err := tx.Query(t.Context(), "SELECT * FROM t WHERE id = ?", 7)
				if err != nil {
					return err
				}
				defer rows.Close()
				require.True(t, rows.Next())
				values, err := rows.SliceScan()
				columns = len(values)
				return err
			}))
			return columns
		}
		for range 2 {
			require.Equal(t, 1, read())
		}
		mustExec(t, open(t, url, db.Options{}), "ALTER TABLE t ADD COLUMN more TEXT")
		require.Equal(t, 2, read())
	})
}

func TestOneTextWhileItsRowsAreOpen(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.SQLite(t), db.Options{})
	mustExec(t, d, "CREATE TABLE t (id INTEGER)")
	mustExec(t, d, "INSERT INTO t (id) VALUES (1), (2), (3)")
	require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
		const query = "SELECT id FROM t WHERE id >= ? ORDER BY id"
		rows, err := tx.Query(t.Context(), query, 1)
		require.NoError(t, err)
		defer rows.Close()
		var outer []int
		for rows.Next() {
			var id int
			require.NoError(t, rows.Scan(&id))
			outer = append(outer, id)
			var inner []int
			require.NoError(t, tx.Select(t.Context(), &inner, query, 2))
			require.Equal(t, []int{2, 3}, inner)
		}
		require.Equal(t, []int{1, 2, 3}, outer)
		return rows.Err()
	}))
}

func TestFailedStatementWorksAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		mustExec(t, d, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		for range 3 {
			_, err := d.Exec(t.Context(), "INSERT INTO t (id) VALUES (?)", 1)
			if err != nil {
				require.True(t, db.IsUnique(err), "%v", err)
			}
		}
		mustExec(t, d, "INSERT INTO t (id) VALUES (?)", 2)
		require.Equal(t, 2, count(t, d, "t"))
	})
}

func TestCloseEndsTheJournal(t *testing.T) {
	t.Parallel()
	d, err := db.Open(t.Context(), dbtest.SQLite(t), db.Options{})
	require.NoError(t, err)
	mustExec(t, d, "CREATE TABLE t (id INTEGER)")
	mustExec(t, d, "INSERT INTO t (id) VALUES (?)", 1)
	var n int
	require.NoError(t, d.Get(t.Context(), &n, "SELECT count(*) FROM t WHERE id = ?", 1))
	require.FileExists(t, d.Path()+"-wal")
	require.NoError(t, d.Close())
	require.NoFileExists(t, d.Path()+"-wal")
}

func TestCloseWaitsForTheBackground(t *testing.T) {
	t.Parallel()
	d, err := db.Open(t.Context(), dbtest.SQLite(t), db.Options{})
	require.NoError(t, err)
	begun, leave, done := make(chan struct{}), make(chan struct{}), false
	d.Background(func() {
		close(begun)
		<-leave
		done = true
	})
	<-begun
	close(leave)
	require.NoError(t, d.Close())
	require.True(t, done)
	d.Background(func() { t.Error("it is closed") })
}
