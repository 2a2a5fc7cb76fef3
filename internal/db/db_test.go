package db_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
)

func open(t testing.TB, url string, o db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), url, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func mustExec(t testing.TB, d *db.DB, query string, args ...any) {
	t.Helper()
	_, err := d.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

func count(t testing.TB, d *db.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, d.Get(t.Context(), &n, "SELECT count(*) FROM "+table))
	return n
}

// each runs a test on SQLite in a file and in memory, and on Postgres.
func each(t *testing.T, test func(t *testing.T, url string)) {
	dbtest.Each(t, test)
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite::memory:")
	})
}

func TestReadAndWrite(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		mustExec(t, d, "CREATE TABLE t (id "+d.Dialect.ID+", name TEXT UNIQUE, body "+d.Dialect.Blob+")")
		mustExec(t, d, "INSERT INTO t (name, body) VALUES (?, ?)", "what?", []byte{0, 1, 255})
		mustExec(t, d, "INSERT INTO t (name, body) VALUES (?, ?)", "b", []byte{2})
		type row struct {
			ID   int64  `db:"id"`
			Name string `db:"name"`
			Body []byte `db:"body"`
		}
		rows := []row{{Name: "dropped"}}
		require.NoError(t, d.Select(t.Context(), &rows, "SELECT * FROM t WHERE name <> '?' AND id >= ? ORDER BY id", 0))
		require.Equal(t, []row{{1, "what?", []byte{0, 1, 255}}, {2, "b", []byte{2}}}, rows)

		_, err := d.Exec(t.Context(), "INSERT INTO t (name) VALUES (?)", "b")
		require.True(t, db.IsUnique(err), "%v", err)
		var one row
		require.ErrorIs(t, d.Get(t.Context(), &one, "SELECT * FROM t WHERE id = ?", 99), sql.ErrNoRows)

		var now int64
		before := time.Now().UnixMilli()
		require.NoError(t, d.Get(t.Context(), &now, "SELECT "+d.Dialect.Now))
		require.InDelta(t, before, now, 2000)
	})
}

func TestTxCommitsRollsBackAndRunsHooks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		mustExec(t, d, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		hook := 0
		require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.OnCommit(func() { hook = count(t, d, "t") })
			var id int
			require.NoError(t, tx.Get(t.Context(), &id, "INSERT INTO t (id) VALUES (?) RETURNING id", 7))
			require.Equal(t, 7, id)
			return nil
		}))
		require.Equal(t, 1, hook)

		boom := errors.New("boom")
		require.ErrorIs(t, d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.OnCommit(func() { t.Error("a hook ran after a rollback") })
			_, err := tx.Exec(t.Context(), "INSERT INTO t (id) VALUES (?)", 8)
			require.NoError(t, err)
			return boom
		}), boom)
		require.Panics(t, func() {
			_ = d.Tx(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO t (id) VALUES (?)", 9)
				require.NoError(t, err)
				panic("mine")
			})
		})
		require.Equal(t, 1, count(t, d, "t"))
		// The only connection for writing is free again.
		mustExec(t, d, "INSERT INTO t (id) VALUES (10)")
	})
}

func TestTxRunsAgainAfterAPassingError(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{Retry: db.RetryPolicy{Backoff: time.Millisecond}})
		mustExec(t, d, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		calls := 0
		require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
			calls++
			_, err := tx.Exec(t.Context(), "INSERT INTO t (id) VALUES (?)", calls)
			require.NoError(t, err)
			if calls < 3 {
				return &pq.Error{Code: "40001"}
			}
			return nil
		}))
		var ids []int
		require.NoError(t, d.Select(t.Context(), &ids, "SELECT id FROM t"))
		require.Equal(t, []int{3}, ids)
	})
}

func TestReadTxSeesOneState(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		mustExec(t, d, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		require.NoError(t, d.ReadTx(t.Context(), func(tx *db.Tx) error {
			var before, after int
			require.NoError(t, tx.Get(t.Context(), &before, "SELECT count(*) FROM t"))
			mustExec(t, d, "INSERT INTO t (id) VALUES (1)")
			require.NoError(t, tx.Get(t.Context(), &after, "SELECT count(*) FROM t"))
			require.Equal(t, before, after)
			return nil
		}))
		err := d.ReadTx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO t (id) VALUES (2)")
			return err
		})
		require.ErrorIs(t, err, db.ErrReadOnly)
		require.Equal(t, 1, count(t, d, "t"))
	})
}

func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		mustExec(t, d, "CREATE TABLE t (n INTEGER)")
		mustExec(t, d, "INSERT INTO t (n) VALUES (0)")
		var wg sync.WaitGroup
		var failed atomic.Value
		for range 8 {
			wg.Go(func() {
				for range 10 {
					err := d.Tx(t.Context(), func(tx *db.Tx) error {
						_, err := tx.Exec(t.Context(), "UPDATE t SET n = n + 1")
						return err
					})
					var n int
					err = errors.Join(err, d.Get(t.Context(), &n, "SELECT n FROM t"))
					if err != nil {
						failed.Store(err)
					}
				}
			})
		}
		wg.Wait()
		require.Nil(t, failed.Load())
		var n int
		require.NoError(t, d.Get(t.Context(), &n, "SELECT n FROM t"))
		require.Equal(t, 80, n)
	})
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		mustExec(t, open(t, url, db.Options{}), "CREATE TABLE t (id INTEGER)")
		d := open(t, url, db.Options{ReadOnly: true})
		require.Zero(t, count(t, d, "t"))
		_, err := d.Exec(t.Context(), "INSERT INTO t (id) VALUES (1)")
		require.ErrorIs(t, err, db.ErrReadOnly)
		require.ErrorContains(t, err, "opened for reading only")
		require.ErrorIs(t, d.Tx(t.Context(), func(*db.Tx) error { return nil }), db.ErrReadOnly)
	})
}

func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.SQLite(t), db.Options{})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1", "auto_vacuum": "2",
	} {
		var got string
		require.NoError(t, d.Writer().GetContext(t.Context(), &got, "PRAGMA "+pragma))
		require.Equal(t, want, got, pragma)
	}
	require.Equal(t, 1, d.Writer().Stats().MaxOpenConnections)
	require.Equal(t, 4, d.Reader().Stats().MaxOpenConnections)
}

func TestSQLitePlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("no database at all\n", 100)), 0o600))
	for _, tc := range []struct {
		name, path string
		o          db.Options
		is         []error
		want       string
	}{
		{"a missing folder", filepath.Join(dir, "none", "a.db"), db.Options{}, []error{db.ErrUnavailable, fs.ErrNotExist}, "does not exist; create it"},
		{"a missing file that must exist", filepath.Join(dir, "a.db"), db.Options{MustExist: true}, []error{db.ErrUnavailable, fs.ErrNotExist}, "no such file"},
		{"a missing file to read", filepath.Join(dir, "a.db"), db.Options{ReadOnly: true}, []error{db.ErrUnavailable, fs.ErrNotExist}, "no such file"},
		{"a folder", dir, db.Options{}, []error{db.ErrUnavailable}, "this is a folder"},
		{"another kind of file", text, db.Options{}, []error{db.ErrCorrupt}, "not a SQLite database"},
		{"another kind of file to read", text, db.Options{ReadOnly: true}, []error{db.ErrCorrupt}, "not a SQLite database"},
		{"a file used as a folder", filepath.Join(text, "a.db"), db.Options{}, []error{db.ErrUnavailable}, "not a directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := db.Open(t.Context(), "sqlite:"+tc.path, tc.o)
			for _, is := range tc.is {
				require.ErrorIs(t, err, is)
			}
			require.ErrorContains(t, err, "sqlite:"+tc.path+": ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	odd := filepath.Join(dir, "100% a#b&c.db")
	mustExec(t, open(t, "sqlite:"+odd, db.Options{}), "CREATE TABLE t (id INTEGER)")
	require.FileExists(t, odd)
}

func TestSQLiteFullDisk(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.SQLite(t), db.Options{})
	mustExec(t, d, "CREATE TABLE t (b BLOB)")
	mustExec(t, d, "PRAGMA max_page_count = 20")
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO t (b) VALUES (?)", make([]byte, 1<<20))
		return err
	})
	require.ErrorIs(t, err, db.ErrFull)
	require.ErrorContains(t, err, "free some space")
	require.Zero(t, count(t, d, "t"))
}

func TestSQLiteLockedByAnother(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	holder := open(t, url, db.Options{})
	mustExec(t, holder, "CREATE TABLE t (id INTEGER)")
	other := open(t, url, db.Options{Retry: db.RetryPolicy{Attempts: 1}})
	_, err := other.Writer().ExecContext(t.Context(), "PRAGMA busy_timeout = 1")
	require.NoError(t, err)
	require.NoError(t, holder.Tx(t.Context(), func(*db.Tx) error {
		// Opening does not wait for the lock.
		open(t, url, db.Options{})
		_, err := other.Exec(t.Context(), "INSERT INTO t (id) VALUES (1)")
		require.ErrorIs(t, err, db.ErrUnavailable)
		require.ErrorContains(t, err, "another process holds the write lock")
		require.True(t, db.Retryable(err))
		return nil
	}))
	mustExec(t, other, "INSERT INTO t (id) VALUES (1)")
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		err := d.Tx(ctx, func(tx *db.Tx) error {
			cancel()
			_, err := tx.Exec(ctx, "CREATE TABLE t (id INTEGER)")
			return err
		})
		require.ErrorIs(t, err, context.Canceled)
		mustExec(t, d, "CREATE TABLE t (id INTEGER)")
	})
}

func TestPostgresUnreachable(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := free.Addr().String()
	require.NoError(t, free.Close())
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { silent.Close() })
	for _, tc := range []struct{ name, host, want string }{
		{"nobody listens", closed, "connection refused"},
		{"a listener that never answers", silent.Addr().String(), "no answer in time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := db.Open(t.Context(), "postgres://u:geheim@"+tc.host+"/shop?connect_timeout=1", db.Options{})
			require.ErrorIs(t, err, db.ErrUnavailable)
			require.ErrorContains(t, err, "postgres://"+tc.host+"/shop: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "geheim")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestPostgresRefusals(t *testing.T) {
	t.Parallel()
	good, err := url.Parse(dbtest.Postgres(t))
	require.NoError(t, err)
	password, none, tls := *good, *good, *good
	password.User = url.UserPassword(good.User.Username(), "geheim")
	none.Path = "/no_such_database"
	tls.RawQuery = "sslmode=require"
	for name, tc := range map[string]struct {
		url  url.URL
		want string
	}{
		"a wrong password":   {password, "refused the login"},
		"a missing database": {none, "no such database"},
		"no TLS":             {tls, "sslmode=disable"},
	} {
		_, err := db.Open(t.Context(), tc.url.String(), db.Options{})
		require.ErrorIs(t, err, db.ErrUnavailable, name)
		require.ErrorContains(t, err, tc.want, name)
		require.NotContains(t, err.Error(), "geheim", name)
	}
}

func TestPostgresBrokenConnectionIsRetried(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.Postgres(t), db.Options{Retry: db.RetryPolicy{Backoff: time.Millisecond}})
	mustExec(t, d, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	killer := open(t, d.URL(), db.Options{})
	calls := 0
	require.NoError(t, d.Tx(t.Context(), func(tx *db.Tx) error {
		calls++
		var pid int
		require.NoError(t, tx.Get(t.Context(), &pid, "SELECT pg_backend_pid()"))
		if calls == 1 {
			mustExec(t, killer, "SELECT pg_terminate_backend(?, 5000)", pid)
		}
		_, err := tx.Exec(t.Context(), "INSERT INTO t (id) VALUES (1)")
		return err
	}))
	require.Equal(t, 2, calls)
	require.Equal(t, 1, count(t, d, "t"))
}

func files(m map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, body := range m {
		fsys["sql/area/"+name] = &fstest.MapFile{Data: []byte(body)}
	}
	return fsys
}

var twoSteps = map[string]string{
	"0001_first.sql":           "CREATE TABLE a (id INTEGER, note TEXT DEFAULT 'why?'); CREATE INDEX a_id ON a (id);",
	"0002_second.sqlite.sql":   "CREATE TABLE b (who TEXT); INSERT INTO b VALUES ('sqlite');",
	"0002_second.postgres.sql": "CREATE TABLE b (who TEXT); INSERT INTO b VALUES ('postgres');",
	"0003_third.postgres.sql":  "ALTER TABLE b ADD COLUMN only_postgres INTEGER;",
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		ctx := t.Context()
		require.NoError(t, d.Migrate(ctx, files(map[string]string{"0001_first.sql": twoSteps["0001_first.sql"]}), "sql/area"))
		require.NoError(t, d.Migrate(ctx, files(twoSteps), "sql/area"))
		require.NoError(t, d.Migrate(ctx, files(twoSteps), "sql/area"))
		var who []string
		require.NoError(t, d.Select(ctx, &who, "SELECT who FROM b"))
		require.Equal(t, []string{d.Dialect.Name}, who)
		require.Equal(t, 3, count(t, d, "schema_migration"))

		newer := files(map[string]string{"0001_first.sql": twoSteps["0001_first.sql"]})
		err := d.Migrate(ctx, newer, "sql/area")
		require.ErrorIs(t, err, db.ErrSchema)
		require.ErrorContains(t, err, "of version 3 and this program knows up to 1; use a newer profiler")

		changed := files(twoSteps)
		changed["sql/area/0001_first.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE a (id BIGINT)")}
		err = d.Migrate(ctx, changed, "sql/area")
		require.ErrorIs(t, err, db.ErrSchema)
		require.ErrorContains(t, err, "another area 0001_first")
	})
}

func TestMigrateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		d := open(t, url, db.Options{})
		err := d.Migrate(t.Context(), files(map[string]string{
			"0001_good.sql": "CREATE TABLE a (id INTEGER)", "0002_bad.sql": "CREATE TABEL b (id INTEGER)",
		}), "sql/area")
		require.ErrorContains(t, err, "area 0002_bad")
		require.NoError(t, d.Migrate(t.Context(), files(map[string]string{"0001_good.sql": "CREATE TABLE a (id INTEGER)"}), "sql/area"))
		require.Equal(t, 1, count(t, d, "schema_migration"))
	})
}

func TestMigrateReadOnlyOnlyChecks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := open(t, url, db.Options{})
		mustExec(t, w, "CREATE TABLE other (id INTEGER)")
		r := open(t, url, db.Options{ReadOnly: true})
		require.ErrorIs(t, r.Migrate(t.Context(), files(twoSteps), "sql/area"), db.ErrReadOnly)
		require.NoError(t, w.Migrate(t.Context(), files(twoSteps), "sql/area"))
		require.NoError(t, r.Migrate(t.Context(), files(twoSteps), "sql/area"))
	})
}

func TestConcurrentMigrators(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				d, err := db.Open(t.Context(), url, db.Options{})
				if err == nil {
					err = errors.Join(d.Migrate(t.Context(), files(twoSteps), "sql/area"), d.Close())
				}
				errs[i] = err
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		d := open(t, url, db.Options{})
		require.Equal(t, 3, count(t, d, "schema_migration"))
		require.Equal(t, 1, count(t, d, "b"))
	})
}

func TestMigrationFilesAreChecked(t *testing.T) {
	t.Parallel()
	d := open(t, "sqlite::memory:", db.Options{})
	for want, m := range map[string]map[string]string{
		"there is no migration 0002": {"0001_a.sql": "", "0003_c.sql": ""},
		"numbers begin at 0001":      {"0000_a.sql": ""},
		"is not of the form":         {"1_a.sql": ""},
		"is taken by":                {"0001_a.sql": "", "0001_b.sql": ""},
	} {
		require.ErrorContains(t, d.Migrate(t.Context(), files(m), "sql/area"), want)
	}
	require.ErrorIs(t, d.Migrate(t.Context(), files(nil), "sql/none"), fs.ErrNotExist)
}
