package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
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
	h := sqlx.NewDb(sql.OpenDB(d.keep(d.bound(c))), "postgres")
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

// bounded makes connections whose sessions the server gives up when this process is
// gone without a word: a transaction that says nothing ends and lets its locks go,
// and silent connections are probed. The server's own probes begin after two hours,
// and until then nobody could have the units of a worker whose network was cut in
// the middle of a commit.
type bounded struct {
	driver.Connector
	set string
}

// bound keeps to what the URL says. The sessions of a database of a user are left
// alone.
func (d *DB) bound(c driver.Connector) driver.Connector {
	b := bounded{Connector: c}
	for _, p := range []struct {
		name  string
		value time.Duration
		unit  time.Duration
	}{
		{"idle_in_transaction_session_timeout", deadAfter, time.Millisecond},
		{"tcp_keepalives_idle", deadAfter / 2, time.Second}, {"tcp_keepalives_interval", deadAfter / 4, time.Second}, {"tcp_keepalives_count", 2, 1},
	} {
		if _, ok := d.target.pg.Runtime[p.name]; !ok {
			b.set += fmt.Sprintf("SET %s = %d; ", p.name, p.value/p.unit)
		}
	}
	if d.foreign || b.set == "" {
		return c
	}
	return b
}

// Connect opens a connection. What it sets holds until it is closed.
func (b bounded) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := b.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.(driver.ExecerContext).ExecContext(ctx, b.set, nil); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
