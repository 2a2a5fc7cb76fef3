package db

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// Bounds of the statements that one connection keeps prepared. Longer texts are
// inserts of many rows, whose parsing is a small part of their work.
const (
	keptStatements = 128
	keptText       = 4 << 10
)

// keeping makes connections that keep their statements prepared: Postgres parses
// and plans each text once and answers in one round trip instead of two, SQLite
// compiles it once.
type keeping struct{ driver.Connector }

// keep returns a connector whose connections keep their statements. Those of a
// database of a user do not: other tools may stand between, and texts come once.
func (d *DB) keep(c driver.Connector) driver.Connector {
	if d.foreign {
		return c
	}
	return keeping{c}
}

// Connect opens a connection with no statements yet.
func (k keeping) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keepingConn{Conn: c, known: map[string]*keptStmt{}}, nil
}

// keepingConn is a connection of a driver with the statements that ran on it, the
// latest first. database/sql uses a connection from one goroutine at a time.
type keepingConn struct {
	driver.Conn
	known  map[string]*keptStmt
	latest list.List
}

// keptStmt is a prepared statement. It is busy while rows of it are open, and
// then the same text runs beside it.
type keptStmt struct {
	driver.Stmt
	text string
	at   *list.Element
	busy bool
}

// prepared returns the statement of a text that has arguments, nil if it is not
// worth keeping or if rows of it are open.
func (c *keepingConn) prepared(ctx context.Context, text string, args []driver.NamedValue) (*keptStmt, error) {
	if len(args) == 0 || len(text) > keptText {
		return nil, nil
	}
	if s := c.known[text]; s != nil {
		if s.busy {
			return nil, nil
		}
		c.latest.MoveToFront(s.at)
		return s, nil
	}
	p, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s := &keptStmt{Stmt: p, text: text}
	s.at = c.latest.PushFront(s)
	c.known[text] = s
	for e := c.latest.Back(); c.latest.Len() > keptStatements && e != nil; {
		old, before := e.Value.(*keptStmt), e.Prev()
		if !old.busy {
			c.drop(old)
		}
		e = before
	}
	return s, nil
}

// drop forgets a statement. That it cannot be closed is told by what uses the
// connection next.
func (c *keepingConn) drop(s *keptStmt) {
	if c.known[s.text] == s {
		delete(c.known, s.text)
		c.latest.Remove(s.at)
	}
	_ = s.Close()
}

// Close closes the statements and then the connection, which SQLite would keep
// open otherwise.
func (c *keepingConn) Close() error {
	for _, s := range c.known {
		c.drop(s)
	}
	return c.Conn.Close()
}

// ExecContext runs a statement.
func (c *keepingConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepared(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
	}
	res, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		c.drop(s) // its plan may be out of date
	}
	return res, err
}

// QueryContext runs a query.
func (c *keepingConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepared(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		c.drop(s)
		return nil, err
	}
	s.busy = true
	return &keptRows{Rows: rows, conn: c, stmt: s}, nil
}

// PrepareContext prepares a statement that the caller owns.
func (c *keepingConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
}

// BeginTx begins a transaction.
func (c *keepingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

// Ping asks whether the other side is there.
func (c *keepingConn) Ping(ctx context.Context) error { return c.Conn.(driver.Pinger).Ping(ctx) }

// ResetSession is called before the connection is used again.
func (c *keepingConn) ResetSession(ctx context.Context) error {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

// IsValid says whether the connection can be used again.
func (c *keepingConn) IsValid() bool { return c.Conn.(driver.Validator).IsValid() }

// CheckNamedValue converts an argument as the driver does.
func (c *keepingConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// keptRows are the rows of a kept statement, which is free again once they are
// closed.
type keptRows struct {
	driver.Rows
	conn *keepingConn
	stmt *keptStmt
	err  error
}

// Next reads a row.
func (r *keptRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return err
}

// Close ends the query.
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	if r.stmt.busy {
		r.stmt.busy = false
		if errors.Join(err, r.err) != nil {
			r.conn.drop(r.stmt)
		}
	}
	return err
}

// ColumnTypeDatabaseTypeName names the type of a column.
func (r *keptRows) ColumnTypeDatabaseTypeName(i int) string {
	return r.Rows.(driver.RowsColumnTypeDatabaseTypeName).ColumnTypeDatabaseTypeName(i)
}

// ColumnTypeScanType is the Go type of a column.
func (r *keptRows) ColumnTypeScanType(i int) reflect.Type {
	return r.Rows.(driver.RowsColumnTypeScanType).ColumnTypeScanType(i)
}
