package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// readerConns is the number of connections of SQLite's reading handle.
	readerConns = 4
	// busyTimeout is how long SQLite waits for another process's lock, in ms.
	busyTimeout = 5000
)

func (d *DB) openSQLite(ctx context.Context, o Options) error {
	if err := d.checkPlace(o); err != nil {
		return err
	}
	if o.ReadOnly && !d.target.memory {
		return d.openSQLiteReadOnly(ctx)
	}
	write, read := d.sqliteDSNs()
	w, err := d.openHandle(write, 1)
	if err != nil {
		return d.Explain(err)
	}
	// Two processes that switch a new file to WAL at the same time can meet a
	// lock that busy_timeout does not wait for.
	if err := d.retrying(ctx, func() error { return probeWritable(ctx, w) }); err != nil {
		return errors.Join(err, w.Close())
	}
	r, err := d.openHandle(read, readerConns)
	if err != nil {
		return errors.Join(d.Explain(err), w.Close())
	}
	d.reader, d.writer = r, w
	return nil
}

// openSQLiteReadOnly opens the file without any right to change it. A file in
// WAL mode needs its -shm file even then, which cannot be made in a read-only
// folder; without a -wal file the database is complete by itself and is read
// as one that does not change.
func (d *DB) openSQLiteReadOnly(ctx context.Context) error {
	params := url.Values{"mode": {"ro"}, "_busy_timeout": {strconv.Itoa(busyTimeout)}}
	h, err := d.openProbed(ctx, fileURI(d.target.path, params))
	if err != nil && !errors.Is(err, ErrCorrupt) && noWAL(d.target.path) {
		params.Set("immutable", "1")
		if h2, err2 := d.openProbed(ctx, fileURI(d.target.path, params)); err2 == nil {
			h, err = h2, nil
		}
	}
	if err != nil {
		return err
	}
	d.reader, d.writer = h, h
	return nil
}

func (d *DB) openProbed(ctx context.Context, dsn string) (*sqlx.DB, error) {
	h, err := d.openHandle(dsn, readerConns)
	if err != nil {
		return nil, d.Explain(err)
	}
	if err := d.retrying(ctx, func() error { return probeReadable(ctx, h) }); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// sqliteDSNs returns what the driver opens for writing and for reading.
func (d *DB) sqliteDSNs() (write, read string) {
	timeout := strconv.Itoa(busyTimeout)
	w := url.Values{
		"_busy_timeout": {timeout},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
		"_txlock":       {"immediate"},
	}
	r := url.Values{"_busy_timeout": {timeout}, "_query_only": {"on"}}
	if d.target.memory {
		// A name of its own in the memory file system, so that all connections
		// of this DB and no others share it.
		name := fmt.Sprintf("/profiler-%016x", rand.Uint64())
		w.Set("vfs", "memdb")
		r.Set("vfs", "memdb")
		return fileURI(name, w), fileURI(name, r)
	}
	r.Set("mode", "rw")
	if d.foreign {
		return fileURI(d.target.path, w), fileURI(d.target.path, r)
	}
	w.Set("_journal_mode", "WAL")
	// It can be chosen for a new file alone, and the statement waits for the
	// write lock of an old one.
	if info, err := os.Stat(d.target.path); err != nil || info.Size() == 0 {
		w.Set("_auto_vacuum", "INCREMENTAL")
	}
	return fileURI(d.target.path, w), fileURI(d.target.path, r)
}

// fileURI keeps characters such as % and # of a path from being read as URI
// syntax.
func fileURI(path string, params url.Values) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath() + "?" + params.Encode()
}

func (d *DB) openHandle(dsn string, conns int) (*sqlx.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	h := sqlx.NewDb(sql.OpenDB(d.keep(c)), "sqlite")
	h.SetMaxOpenConns(conns)
	h.SetMaxIdleConns(conns)
	return h, nil
}

func probeReadable(ctx context.Context, h *sqlx.DB) error {
	var n int
	return h.GetContext(ctx, &n, "SELECT count(*) FROM sqlite_master")
}

// probeWritable fails when the file cannot be written. SQLite opens a file
// without the right to write silently for reading, and says so only at the
// first write. A lock of another process means that writing is possible.
func probeWritable(ctx context.Context, h *sqlx.DB) error {
	if err := probeReadable(ctx, h); err != nil {
		return err
	}
	conn, err := h.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		_, err = conn.ExecContext(ctx, "ROLLBACK")
	}
	var se *sqlite.Error
	if errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_BUSY {
		err = nil
	}
	_, terr := conn.ExecContext(ctx, "PRAGMA busy_timeout = "+strconv.Itoa(busyTimeout))
	return errors.Join(err, terr)
}

// checkPlace finds what is wrong with the path in words that SQLite has not:
// it answers "unable to open database file" to all of this.
func (d *DB) checkPlace(o Options) error {
	if d.target.memory {
		return nil
	}
	path := d.target.path
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return d.problem(ErrUnavailable, nil, "this is a folder; name a file in it")
	case err == nil && !info.Mode().IsRegular():
		return d.problem(ErrUnavailable, nil, "this is not a regular file; name another one")
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		if _, derr := os.Stat(dir); errors.Is(derr, fs.ErrNotExist) {
			return d.problem(ErrUnavailable, err, "the folder "+dir+" does not exist; create it, or name another place")
		}
		if o.MustExist || o.ReadOnly {
			return d.problem(ErrUnavailable, err, "there is no such file; check the path, or create the store by a command that writes to it")
		}
	case err != nil:
		return d.problem(ErrUnavailable, err, "the path cannot be used ("+errnoText(err)+"); check it and the rights of its folders")
	}
	if !o.ReadOnly && onNetworkFS(filepath.Dir(path)) {
		return d.problem(ErrUnavailable, nil, "the folder is on a network file system, where SQLite's locks do not hold; use a local disk, or Postgres")
	}
	return nil
}

// explainCantOpen words the error with which SQLite could not open or make a
// file.
func (d *DB) explainCantOpen(err error) error {
	if place := d.checkPlace(Options{ReadOnly: d.readOnly}); place != nil {
		return place
	}
	if f, ferr := os.Open(d.target.path); ferr == nil {
		if ferr = f.Close(); ferr != nil {
			return ferr
		}
	} else if errors.Is(ferr, fs.ErrPermission) {
		return d.problem(ErrUnavailable, err, "this user may not read the file; give it the right to read and write, or name another place")
	}
	if d.readOnly {
		return d.problem(ErrUnavailable, err, "the file cannot be opened for reading: a -wal file beside it needs a folder that can be written; copy the store elsewhere, or give the right to write")
	}
	return d.problem(ErrReadOnly, err, d.readOnlyText())
}

func errnoText(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func noWAL(path string) bool {
	info, err := os.Stat(path + "-wal")
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}
