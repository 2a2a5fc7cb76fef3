package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	postgresConns    = 16
	postgresIdleTime = 5 * time.Minute
)

// openPostgres opens the pool and pings once. It does not retry: whoever
// starts the program sees at once that the server is not there.
func (d *DB) openPostgres(ctx context.Context) error {
	c, err := pq.NewConnectorConfig(d.target.pg)
	if err != nil {
		return err
	}
	c.Dialer(Dialer{})
	h := sqlx.NewDb(sql.OpenDB(d.keep(c)), "postgres")
	h.SetMaxOpenConns(postgresConns)
	h.SetMaxIdleConns(postgresConns)
	h.SetConnMaxIdleTime(postgresIdleTime)
	if err := d.ping(ctx, h); err != nil {
		return errors.Join(err, h.Close())
	}
	d.reader, d.writer = h, h
	return nil
}

func (d *DB) ping(ctx context.Context, h *sqlx.DB) error {
	bounded := ctx
	if limit := d.target.pg.ConnectTimeout; limit > 0 {
		// The driver's own limit is for each address of a host.
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, limit+time.Second)
		defer cancel()
	}
	err := h.PingContext(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return d.problem(ErrUnavailable, err, noAnswer(err))
	}
	return d.Explain(err)
}
