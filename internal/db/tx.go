package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Tx is a running transaction. It belongs to the function that DB.Tx called
// and is not safe for concurrent use.
type Tx struct {
	tx       *sqlx.Tx
	db       *DB
	onCommit []func()
}

// Tx runs fn in a transaction and commits when fn returns nil; otherwise it
// rolls back and returns fn's error. When the transaction fails for a reason
// that may pass (see Retryable), fn is called again in a new one, within
// Options.Retry and ctx. So fn must set its results anew in every call and
// must write in a way that is harmless to repeat, by key: when the connection
// breaks during the commit, nobody knows whether the commit happened.
//
// On SQLite the transaction takes the write lock at once, and fn must not use
// other write methods of the DB: there is a single connection for writing.
// Transactions that wait for it share a commit, each behind a savepoint of its
// own; fn may then run on the goroutine of another caller.
func (d *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	if d.readOnly {
		return d.problem(ErrReadOnly, nil, d.readOnlyText())
	}
	if d.Dialect.IsPostgres() || d.foreign {
		return d.inTx(ctx, d.writer, nil, fn)
	}
	return d.txTogether(ctx, fn)
}

// ReadTx runs fn in a transaction that sees one unchanging state of the
// database. Writes in it fail. Like Tx it may call fn several times.
func (d *DB) ReadTx(ctx context.Context, fn func(tx *Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if d.Dialect.IsPostgres() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return d.inTx(ctx, d.reader, opts, fn)
}

func (d *DB) inTx(ctx context.Context, h *sqlx.DB, opts *sql.TxOptions, fn func(tx *Tx) error) error {
	hooks, err := d.retriedTx(ctx, h, opts, fn)
	if err != nil {
		return d.Explain(err)
	}
	for _, f := range hooks {
		f()
	}
	return nil
}

// retriedTx runs a transaction, again and again if need be, and returns what is to
// run after its commit.
func (d *DB) retriedTx(ctx context.Context, h *sqlx.DB, opts *sql.TxOptions, fn func(tx *Tx) error) (hooks []func(), err error) {
	err = d.retry.run(ctx, func() error {
		tx, err := h.BeginTxx(ctx, opts)
		if err != nil {
			return err
		}
		t := &Tx{tx: tx, db: d}
		if err := t.finish(fn); err != nil {
			return err
		}
		hooks = t.onCommit
		return nil
	})
	return hooks, err
}

// finish rolls back also when fn panics, so that SQLite's only connection for
// writing is free again.
func (t *Tx) finish(fn func(tx *Tx) error) error {
	committed := false
	defer func() {
		if !committed {
			// What failed is err; a failing rollback is only its echo.
			_ = t.tx.Rollback()
		}
	}()
	if err := fn(t); err != nil {
		return err
	}
	if err := t.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// OnCommit registers a function that runs once after the commit, in the
// order of registration, when all of them see the committed state. After a
// rollback it does not run.
func (t *Tx) OnCommit(fn func()) { t.onCommit = append(t.onCommit, fn) }

// Dialect returns the dialect of the transaction's database.
func (t *Tx) Dialect() Dialect { return t.db.Dialect }

// Get reads one row into dest, as DB.Get does. It may also run an INSERT or
// UPDATE with RETURNING.
func (t *Tx) Get(ctx context.Context, dest any, query string, args ...any) error {
	return t.db.Explain(t.tx.GetContext(ctx, dest, t.db.Rebind(query), args...))
}

// Select reads all rows into dest, as DB.Select does. It may also run an
// INSERT or UPDATE with RETURNING.
func (t *Tx) Select(ctx context.Context, dest any, query string, args ...any) error {
	clearSlice(dest)
	return t.db.Explain(t.tx.SelectContext(ctx, dest, t.db.Rebind(query), args...))
}

// Query reads rows one by one; the caller closes them before the next
// statement, since a transaction has one connection.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	rows, err := t.tx.QueryxContext(ctx, t.db.Rebind(query), args...)
	return rows, t.db.Explain(err)
}

// Exec runs one statement.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := t.tx.ExecContext(ctx, t.db.Rebind(query), args...)
	return res, t.db.Explain(err)
}

// Prepare returns a statement for many runs. It is closed with the
// transaction, at the latest.
func (t *Tx) Prepare(ctx context.Context, query string) (*sqlx.Stmt, error) {
	stmt, err := t.tx.PreparexContext(ctx, t.db.Rebind(query))
	return stmt, t.db.Explain(err)
}
