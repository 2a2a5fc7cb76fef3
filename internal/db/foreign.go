package db

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// NativeExec runs one statement of a user as it is: its placeholders are $1, $2 …
// in both dialects, and a ? is none.
func (t *Tx) NativeExec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := t.tx.ExecContext(ctx, query, args...)
	return res, t.db.Explain(err)
}

// NativeQuery reads rows by a query of a user, whose placeholders are as those of
// NativeExec. The caller closes them before the next statement.
func (t *Tx) NativeQuery(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	rows, err := t.tx.QueryxContext(ctx, query, args...)
	return rows, t.db.Explain(err)
}

// WithoutWrites runs fn while the transaction refuses to change anything. On
// Postgres it does so from then on to its end.
func (t *Tx) WithoutWrites(ctx context.Context, fn func() error) error {
	if t.Dialect().IsPostgres() {
		if _, err := t.NativeExec(ctx, "SET TRANSACTION READ ONLY"); err != nil {
			return err
		}
		return fn()
	}
	if _, err := t.NativeExec(ctx, "PRAGMA query_only = on"); err != nil {
		return err
	}
	err := fn()
	// The setting is the connection's, which others will use.
	_, off := t.NativeExec(context.WithoutCancel(ctx), "PRAGMA query_only = off")
	return errors.Join(err, off)
}

func quotedName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Load writes rows into a table of a user: by COPY on Postgres, by one prepared
// statement on SQLite. table may have a schema before a dot. next gives the values
// of the columns of one row after the other, and io.EOF after the last one; it
// keeps the slice. The values are texts, nil, and on SQLite whatever else it takes.
// Load returns the number of rows.
func (t *Tx) Load(ctx context.Context, table string, columns []string, next func() ([]any, error)) (int64, error) {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quotedName(c)
	}
	target := quotedName(table)
	if schema, name, ok := strings.Cut(table, "."); ok {
		target = quotedName(schema) + "." + quotedName(name)
	}
	target += " (" + strings.Join(quoted, ", ") + ")"
	query := "INSERT INTO " + target + " VALUES (" + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
	if t.Dialect().IsPostgres() {
		query = "COPY " + target + " FROM STDIN"
	}
	stmt, err := t.tx.PreparexContext(ctx, query)
	if err != nil {
		return 0, t.db.Explain(err)
	}
	defer stmt.Close() //nolint:errcheck // nothing is written by it
	n := int64(0)
	for ; ; n++ {
		values, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
		if _, err := stmt.ExecContext(ctx, values...); err != nil {
			return n, t.db.Explain(err)
		}
	}
	if t.Dialect().IsPostgres() {
		if _, err := stmt.ExecContext(ctx); err != nil { // what was sent is checked now
			return n, t.db.Explain(err)
		}
	}
	return n, nil
}

// FaultKind says what can be done about a failed statement of a user.
type FaultKind int

// The kinds of faults.
const (
	// Other is a mistake in the statement, a missing right, and the like.
	Other FaultKind = iota
	// Temporary may pass: no connection, a deadlock, a full disk.
	Temporary
	// Data means that the values do not fit: a constraint, a type, an exception
	// that the user's own code raises.
	Data
)

// Fault is what a database says about a failed statement.
type Fault struct {
	Kind FaultKind
	// Message has no word of the driver.
	Message string
	// Char is the character of the statement that it is about, from 1; 0 is
	// unknown.
	Char int
}

// FaultOf looks into the error of a statement.
func FaultOf(err error) Fault {
	var pe *pq.Error
	var se *sqlite.Error
	f := Fault{Message: err.Error()}
	known := errors.As(err, new(*placeError))
	switch {
	case errors.As(err, &pe):
		f.Kind = postgresKind(string(pe.Code))
		f.Char, _ = strconv.Atoi(pe.Position)
		if !known {
			f.Message = pe.Message
			if pe.Code != "P0001" && strings.HasPrefix(pe.Where, "COPY ") {
				f.Message += " (" + pe.Where + ")"
			}
		}
	case errors.As(err, &se):
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
			f.Kind = Data
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM:
			f.Kind = Temporary
		}
		if !known {
			f.Message = plainSQLite(f.Message)
		}
	case errors.Is(err, ErrUnavailable), isConnectionError(err):
		f.Kind = Temporary
	}
	return f
}

// postgresKind sorts an SQLSTATE by its class (PostgreSQL manual, appendix A).
func postgresKind(code string) FaultKind {
	switch code {
	case "55P03", "57014", "57P01", "57P02", "57P03", "25006":
		return Temporary
	case "P0001", "P0004": // RAISE and ASSERT in the user's code
		return Data
	}
	if len(code) < 2 {
		return Other
	}
	switch code[:2] {
	case "08", "40", "53", "58":
		return Temporary
	case "22", "23", "44":
		return Data
	}
	return Other
}

// plainSQLite takes the name of the class and the number of the code out of a
// message such as "constraint failed: UNIQUE constraint failed: t.a (2067)".
func plainSQLite(msg string) string {
	if i := strings.LastIndex(msg, " ("); i > 0 && strings.HasSuffix(msg, ")") {
		if _, err := strconv.Atoi(msg[i+2 : len(msg)-1]); err == nil {
			msg = msg[:i]
		}
	}
	for _, class := range []string{"SQL logic error: ", "constraint failed: "} {
		msg = strings.TrimPrefix(msg, class)
	}
	return msg
}
