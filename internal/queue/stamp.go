package queue

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
)

// now stands for the time of leases in a statement.
const now = "{now}"

// serverTime is Postgres's clock, in microseconds since 1970.
const serverTime = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"

// statements is where a statement runs: a database or a transaction.
type statements interface {
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	Get(ctx context.Context, dest any, query string, args ...any) error
	Select(ctx context.Context, dest any, query string, args ...any) error
}

var _, _ statements = (*db.DB)(nil), (*db.Tx)(nil)

// exec runs a statement in which {now} stands for the time of leases.
func (q *Queue) exec(ctx context.Context, on statements, query string, args ...any) (sql.Result, error) {
	query, args = q.stamp(query, args)
	return on.Exec(ctx, query, args...)
}

// get reads a row by a statement as exec takes it.
func (q *Queue) get(ctx context.Context, on statements, dest any, query string, args ...any) error {
	query, args = q.stamp(query, args)
	return on.Get(ctx, dest, query, args...)
}

// rows reads rows by a statement as exec takes it.
func (q *Queue) rows(ctx context.Context, on statements, dest any, query string, args ...any) error {
	query, args = q.stamp(query, args)
	return on.Select(ctx, dest, query, args...)
}

// stamp puts the time into a statement: that of the server on Postgres, that of
// this process as an argument on SQLite, so that the text stays the same and need
// not be compiled again.
func (q *Queue) stamp(query string, args []any) (string, []any) {
	n := strings.Count(query, now)
	switch {
	case n == 0:
		return query, args
	case q.db.Dialect.IsPostgres() && q.opts.Now == nil:
		return strings.ReplaceAll(query, now, serverTime), args
	case q.db.Dialect.IsPostgres(): // which does not know the type of an argument
		return strings.ReplaceAll(query, now, strconv.FormatInt(q.opts.Now().UnixMicro(), 10)), args
	}
	at := q.here()
	var text strings.Builder
	text.Grow(len(query))
	all := make([]any, 0, len(args)+n)
	for {
		before, after, found := strings.Cut(query, now)
		text.WriteString(before)
		m := strings.Count(before, "?")
		all, args = append(all, args[:m]...), args[m:]
		if !found {
			return text.String(), all
		}
		text.WriteByte('?')
		all, query = append(all, at), after
	}
}
