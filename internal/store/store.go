// Package store keeps the history: profiles, metrics, results and incidents of
// every recorded batch, and the messages that wait to be sent. It runs on
// SQLite and Postgres with the same statements. It judges nothing: what a
// report does to an incident is decided by a function that the caller gives.
//
// docs/format/store.md describes the tables.
package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/db"
)

//go:embed sql/history/*.sql
var migrations embed.FS

// Errors that callers tell apart with errors.Is, beside those of package db.
var (
	// ErrNotFound means that there is no such dataset, batch, incident or
	// message.
	ErrNotFound = errors.New("not found")
	// ErrInvalid means that something cannot be stored as it is: a name with a
	// NUL in it, a batch without a time. Nothing was written.
	ErrInvalid = errors.New("cannot be stored")
)

// Options says how Open opens a store. The zero value opens it for reading and
// writing, creates a missing SQLite file, and logs nothing.
type Options struct {
	// Logger gets a line for every superseded batch and every pruning.
	Logger *slog.Logger
	// Now is the clock for times of recording; nil is time.Now.
	Now func() time.Time
	// MustExist refuses to create a missing SQLite file.
	MustExist bool
	// ReadOnly opens for reading: every write fails with db.ErrReadOnly. The
	// tables must be up to date.
	ReadOnly bool
	// Retry bounds the attempts of transactions; the zero value is
	// db.DefaultRetry.
	Retry db.RetryPolicy
}

// Store is an open history. It is safe for concurrent use, by any number of
// processes too. Close it when it is no longer needed.
type Store struct {
	db  *db.DB
	log *slog.Logger
	now func() time.Time
}

// Open opens the history at a URL, sqlite:PATH or postgres://…, and brings its
// tables up to date. Its errors are those of db.Open and db.Migrate.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	d, err := db.Open(ctx, url, db.Options{ReadOnly: o.ReadOnly, MustExist: o.MustExist, Retry: o.Retry})
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, migrations, "sql/history"); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	s := &Store{db: d, log: o.Logger, now: o.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Close closes the store and waits for running statements. Calling it again is
// harmless.
func (s *Store) Close() error { return s.db.Close() }

// String returns the place of the store without user and password.
func (s *Store) String() string { return s.db.String() }

// DB returns the database of the store, for packages that keep their tables
// beside it. It belongs to the store.
func (s *Store) DB() *db.DB { return s.db }

// querier is a DB or a Tx.
type querier interface {
	Get(ctx context.Context, dest any, query string, args ...any) error
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// micros is the unit of all stored times. Milliseconds would make batches of
// one moment out of micro-batches that follow each other quickly, and only
// batches strictly before another are its baseline.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// maxName is the longest name in bytes. Several of them must fit into an entry
// of an index of Postgres, which has 2,704 bytes.
const maxName = 512

// validName refuses what Postgres cannot hold and what no user could type.
func validName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: the %s has no name", ErrInvalid, what)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("%w: the %s %q contains a NUL; name it without", ErrInvalid, what, name)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: the %s %q is not valid UTF-8; name it in UTF-8", ErrInvalid, what, name)
	case len(name) > maxName:
		return fmt.Errorf("%w: the name of the %s has %d bytes; use at most %d", ErrInvalid, what, len(name), maxName)
	}
	return nil
}

// validText is validName for texts that may be empty.
func validText(what, text string) error {
	if text == "" {
		return nil
	}
	return validName(what, text)
}

// clean makes a text from the data, such as a column's name, one that both
// databases can hold. The profile keeps the name as it is.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\u2400")
}

// columnName is clean for names that stand in an index. The end of a long one
// is replaced by its hash, so that names which begin alike stay apart.
func columnName(s string) string {
	c := clean(s)
	if len(c) <= maxName {
		return c
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(c[:maxName-40], "") + "\u2026" + hex.EncodeToString(sum[:16])
}

// notFound turns the absence of a row into ErrNotFound with a text.
func notFound(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrNotFound)
	}
	return err
}
