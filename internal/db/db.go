// Package db opens the SQLite file or the Postgres database that holds the
// store. It knows both dialects, runs migrations and retries transactions
// that failed for a passing reason. It knows no table of the product.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/jmoiron/sqlx"
)

// Options says how Open opens a database. The zero value opens it for reading
// and writing and creates a missing SQLite file.
type Options struct {
	// ReadOnly opens for reading: every write fails with ErrReadOnly, and a
	// SQLite file must exist.
	ReadOnly bool
	// MustExist refuses to create a missing SQLite file. A Postgres database is
	// never created, so it must exist in any case.
	MustExist bool
	// Foreign opens a database that is not the store: the journal of an SQLite file
	// stays as it is.
	Foreign bool
	// Retry bounds the attempts of Tx and of single statements. The zero value
	// is DefaultRetry.
	Retry RetryPolicy
}

// DB is an open database. SQLite has one handle with a single connection for
// writing and one with four connections for reading; Postgres has one pool for
// both. DB is safe for concurrent use. Close it when it is no longer needed.
type DB struct {
	// Dialect holds what differs between SQLite and Postgres in SQL text.
	Dialect Dialect

	reader, writer *sqlx.DB
	target         *target
	readOnly       bool
	foreign        bool
	retry          RetryPolicy
	group          together

	mu         sync.Mutex
	closed     bool
	background sync.WaitGroup
}

// Open opens the database at the URL, which is sqlite:PATH (relative or
// absolute), sqlite::memory: (gone after Close) or postgres://…; see URL for
// what is added to it. It reaches for the file or server at once, so that a
// missing folder, a wrong password or an absent server is an error here and
// not at the first query. Errors are of one line, name the place without a
// password, and match ErrUnavailable, ErrReadOnly, ErrFull or ErrCorrupt where
// one of them applies.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	t, err := parseURL(url, o.ReadOnly)
	if err != nil {
		return nil, err
	}
	d := &DB{Dialect: t.dialect, target: t, readOnly: o.ReadOnly, foreign: o.Foreign, retry: o.Retry.withDefaults(), group: together{lead: make(chan struct{}, 1)}}
	if t.dialect.IsPostgres() {
		err = d.openPostgres(ctx)
	} else {
		err = d.openSQLite(ctx, o)
	}
	if err != nil && o.Foreign {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return d, nil
}

// Background runs fn beside the caller. Close waits for it; afterwards nothing
// runs any more.
func (d *DB) Background(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.background.Go(fn)
	}
}

// Close closes all connections. It waits for running statements and for what runs
// in the background. Calling it again is harmless.
func (d *DB) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.background.Wait()
	err := d.reader.Close()
	if d.writer != d.reader {
		err = errors.Join(err, d.writer.Close())
	}
	return err
}

// String returns the place of the database without user and password, for
// messages and logs: sqlite:profiler.db or postgres://host:5432/database.
func (d *DB) String() string { return d.target.place }

// URL returns the full URL in force, with the parameters that Open added. It
// contains the password, so it is for opening further connections (a
// listener) and never for output.
func (d *DB) URL() string { return d.target.url }

// Path returns the file of an SQLite database, empty for one in memory and for
// Postgres.
func (d *DB) Path() string {
	if d.Dialect.IsPostgres() || d.target.memory {
		return ""
	}
	return d.target.path
}

// ReadOnly reports whether the database was opened for reading only.
func (d *DB) ReadOnly() bool { return d.readOnly }

// Reader returns the handle for reading. On SQLite a write through it fails.
// The handle belongs to the DB.
func (d *DB) Reader() *sqlx.DB { return d.reader }

// Writer returns the handle for writing. On SQLite it has a single connection,
// so rows that stay open block every other write. The handle belongs to the
// DB.
func (d *DB) Writer() *sqlx.DB { return d.writer }

// Get reads one row into dest, which is a pointer to a struct or a scalar. It
// fails with sql.ErrNoRows when there is none. Placeholders are ? in both
// dialects.
func (d *DB) Get(ctx context.Context, dest any, query string, args ...any) error {
	query = d.Rebind(query)
	return d.retrying(ctx, func() error {
		return d.reader.GetContext(ctx, dest, query, args...)
	})
}

// Select reads all rows into dest, which is a pointer to a slice. What the
// slice held before is dropped; no row leaves it empty. Placeholders are ? in
// both dialects.
func (d *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	query = d.Rebind(query)
	return d.retrying(ctx, func() error {
		clearSlice(dest)
		return d.reader.SelectContext(ctx, dest, query, args...)
	})
}

// Query reads rows one by one; the caller closes them. Only opening is
// retried: errors in the middle come from rows.Err, and Explain rewords them.
// Placeholders are ? in both dialects.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	query = d.Rebind(query)
	var rows *sqlx.Rows
	err := d.retrying(ctx, func() error {
		var err error
		rows, err = d.reader.QueryxContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes them
		return err
	})
	return rows, err
}

// Exec runs one statement in a transaction of its own. It is retried when the
// connection breaks, and then its first run may have happened, so the
// statement must be harmless to repeat. Placeholders are ? in both dialects.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	query = d.Rebind(query)
	var res sql.Result
	err := d.retrying(ctx, func() error {
		var err error
		res, err = d.writer.ExecContext(ctx, query, args...)
		return err
	})
	return res, err
}

func (d *DB) retrying(ctx context.Context, fn func() error) error {
	return d.Explain(d.retry.run(ctx, fn))
}

func clearSlice(dest any) {
	v := reflect.ValueOf(dest)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Slice {
		v.Elem().SetLen(0)
	}
}
