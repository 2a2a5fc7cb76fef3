package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that callers tell apart with errors.Is. The text of an error that
// matches one of them says where, what, and what to do.
var (
	// ErrUnavailable means that the database cannot be reached or opened now:
	// a missing folder or file, no server, a refused login, a lock held for
	// too long.
	ErrUnavailable = errors.New("store unavailable")
	// ErrReadOnly means that the database can be read but not written.
	ErrReadOnly = errors.New("store is read-only")
	// ErrFull means that the disk of the database is full. Nothing of the
	// failed transaction was written.
	ErrFull = errors.New("store is full")
	// ErrCorrupt means that the file is damaged or no database.
	ErrCorrupt = errors.New("store is corrupt")
	// ErrSchema means that the tables do not fit this program: a newer program
	// has changed them, or an applied migration is not the one we know.
	ErrSchema = errors.New("store schema does not fit")
)

// placeError is an error that a user can repair: its text is complete.
type placeError struct {
	msg   string
	kind  error
	cause error
}

func (e *placeError) Error() string { return e.msg }

func (e *placeError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

func (d *DB) problem(kind, cause error, msg string) error {
	return &placeError{msg: d.target.place + ": " + msg, kind: kind, cause: cause}
}

// Explain rewords an error of the database driver that a user can repair, and
// returns every other error as it is. The methods of DB and Tx do this
// already; it is for errors that come out of sql.Rows.
func (d *DB) Explain(err error) error {
	var known *placeError
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		return d.explainSQLite(err, se.Code())
	}
	var pe *pq.Error
	if errors.As(err, &pe) {
		return d.explainPostgres(err, pe)
	}
	if d.Dialect.IsPostgres() && (isConnectionError(err) || errors.Is(err, pq.ErrSSLNotSupported)) {
		return d.problem(ErrUnavailable, err, noAnswer(err))
	}
	return err
}

func (d *DB) explainSQLite(err error, code int) error {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return d.problem(ErrFull, err, "the disk is full and the change was not written; free some space and run again")
	case sqlite3.SQLITE_READONLY:
		return d.problem(ErrReadOnly, err, d.readOnlyText())
	case sqlite3.SQLITE_NOTADB:
		return d.problem(ErrCorrupt, err, "this file is not a SQLite database; name another file or move this one away")
	case sqlite3.SQLITE_CORRUPT:
		return d.problem(ErrCorrupt, err, "the database file is damaged; restore it from a copy, or save what is readable with the command .recover of sqlite3")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return d.problem(ErrUnavailable, err, "another process holds the write lock; wait until it has finished, or stop it, and run again")
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return d.explainCantOpen(err)
	case sqlite3.SQLITE_IOERR:
		return d.problem(ErrUnavailable, err, "reading or writing the disk failed ("+sqliteCode(code)+"); look into the system's log and check the disk")
	}
	return err
}

func sqliteCode(code int) string {
	if s, ok := sqlite.ErrorCodeString[code]; ok {
		return strings.Trim(s, "()")
	}
	return sqlite.ErrorCodeString[code&0xff]
}

func (d *DB) readOnlyText() string {
	if d.readOnly {
		return "the store was opened for reading only and cannot be changed"
	}
	if d.Dialect.IsPostgres() {
		return "the server takes no changes; name the primary server and not a standby"
	}
	return "the file or its folder cannot be written; give this user the right to write both, or name another place"
}

func (d *DB) explainPostgres(err error, pe *pq.Error) error {
	code := string(pe.Code)
	switch {
	case code == "53100":
		return d.problem(ErrFull, err, "the server's disk is full and the change was not written; free some space there and run again")
	case code == "25006":
		return d.problem(ErrReadOnly, err, d.readOnlyText())
	case strings.HasPrefix(code, "XX0") && code != "XX000":
		return d.problem(ErrCorrupt, err, "the server found damaged data ("+pe.Message+"); restore it from a backup")
	case strings.HasPrefix(code, "28"):
		return d.problem(ErrUnavailable, err, "the server refused the login ("+pe.Message+"); check user and password in the URL, PGPASSWORD or ~/.pgpass")
	case code == "3D000":
		return d.problem(ErrUnavailable, err, "the server has no such database; create it with createdb, or check the name")
	case code == "53300":
		return d.problem(ErrUnavailable, err, "the server has no free connection; raise max_connections or stop other clients")
	case strings.HasPrefix(code, "08"), code == "57P01", code == "57P02", code == "57P03", code == "25P03":
		return d.problem(ErrUnavailable, err, "the server is stopping, starting or lost ("+pe.Message+"); run again when it is up")
	}
	return err
}

// noAnswer words a failed connection. The driver's texts repeat the address.
func noAnswer(err error) string {
	reason := "the connection broke"
	var dns *net.DNSError
	var ne net.Error
	switch {
	case errors.As(err, &dns):
		reason = "the host name is unknown"
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "connection refused"
	case errors.Is(err, fs.ErrNotExist):
		reason = "there is no such socket"
	case errors.Is(err, pq.ErrSSLNotSupported):
		return "the server speaks no TLS; switch it on there, or add sslmode=disable to the URL if the network is trusted"
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded):
		reason = "no answer in time"
	}
	return "no Postgres server can be reached there (" + reason + "); check host and port, and that the server runs"
}

// Retryable reports whether an error of a statement or transaction may pass
// when the whole transaction is run again: a broken connection, a lost
// serialization or deadlock, a server that restarts or is out of connections
// (SQLSTATE 08xxx, 40001, 40P01, 53300, 57P01 to 57P03), a transaction that stood
// still for too long (25P03), a prepared statement whose table has changed, a locked SQLite file.
// A cancelled context is never retryable.
func Retryable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		c := se.Code() & 0xff
		return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
	}
	var pe *pq.Error
	if errors.As(err, &pe) {
		switch code := string(pe.Code); code {
		case "40001", "40P01", "53300", "57P01", "57P02", "57P03", "25P03":
			return true
		case "0A000", "26000": // a kept statement is out of date, or gone; it is prepared anew
			return code == "26000" || strings.Contains(pe.Message, "cached plan")
		default:
			return strings.HasPrefix(code, "08")
		}
	}
	return isConnectionError(err)
}

// IsUnique reports whether a statement failed because a row with the same
// primary or unique key exists.
func IsUnique(err error) bool {
	var se *sqlite.Error
	if errors.As(err, &se) {
		return se.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || se.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	var pe *pq.Error
	return errors.As(err, &pe) && pe.Code == "23505"
}

func isConnectionError(err error) bool {
	for _, target := range []error{
		driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	var ne net.Error
	return errors.As(err, &ne)
}
