// Package queue keeps the units of pipelines in the database that holds the
// history: which unit stands in front of which step, who works on it, and what
// became of it. A unit's new state, the units behind it and whatever the caller
// writes beside them commit in one transaction.
//
// A unit enters a step by Offer and leaves it by Complete. Between them a worker
// holds a Lease: Claim gives it, Hold prolongs it, Fail and GiveBack give it
// back. The attempt number of the lease is its fencing token (Kleppmann, "How to
// do distributed locking", 2016): a worker whose lease has passed to another one
// gets ErrFenced and writes nothing. So a step's work may happen more than once,
// and its result is committed exactly once.
//
// Lease times come from one clock: that of the database on Postgres, that of the
// only process that works on an SQLite file.
package queue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

//go:embed sql/queue/*.sql
var migrations embed.FS

// Errors that callers tell apart with errors.Is.
var (
	// ErrFenced means that the lease is no longer held: it ran out and another
	// attempt has begun, or the unit was taken away. Nothing was written.
	ErrFenced = errors.New("the lease is over, another attempt has the unit")
	// ErrNotFound means that there is no such unit.
	ErrNotFound = errors.New("no such unit")
)

// MaxLosses is how often a worker may vanish while it holds a unit. Then the
// unit is dead with CauseCrash: it probably kills its workers.
const MaxLosses = 3

// State is where a unit stands in a step.
type State string

// The states of a unit in a step.
const (
	// Waiting has not all the parents that it needs.
	Waiting State = "waiting"
	// Ready can be claimed from its time on.
	Ready State = "ready"
	// Running is held by a worker.
	Running State = "running"
	// Done has a result that went on.
	Done State = "done"
	// Quarantined has a result that is kept back.
	Quarantined State = "quarantined"
	// Dead has no result and was given up.
	Dead State = "dead"
	// Discarded was dead or quarantined and is not wanted any more.
	Discarded State = "discarded"
	// Cancelled was ready or waiting when its run was called off.
	Cancelled State = "cancelled"
)

// CauseCrash is the cause of a unit that is dead because of MaxLosses, CauseLost
// that of an attempt whose lease ran out.
const (
	CauseCrash = "crash"
	CauseLost  = "lease"
)

// Key names a unit in a step.
type Key struct {
	Pipeline string `db:"pipeline"`
	Step     string `db:"step"`
	Unit     string `db:"unit"`
}

// String returns pipeline/step/unit.
func (k Key) String() string { return k.Pipeline + "/" + k.Step + "/" + k.Unit }

// Options of a queue. The zero value is right outside of tests.
type Options struct {
	// Now replaces the clock, on Postgres too. Nil is time.Now on SQLite and the
	// server's clock on Postgres.
	Now func() time.Time
	// Poll is how often waiting workers look by themselves; 0 is DefaultPoll.
	Poll time.Duration
	// Letters is told in the same transaction when units of a step die, and when
	// one of those is sent through it again, goes through or is discarded. Its error
	// ends the transaction, which may be run again. Nil is nobody.
	Letters func(context.Context, *db.Tx, Letters) error
}

// DefaultPoll is how often a worker looks for units that nobody told it about.
const DefaultPoll = time.Second

// Queue is the units of all pipelines of one database. It is safe for concurrent
// use, on Postgres by any number of processes.
type Queue struct {
	db   *db.DB
	opts Options
	// begun is when the queue was opened, and ahead how far its clock is before the
	// system's.
	begun time.Time
	ahead time.Duration

	mu      sync.Mutex
	changed chan struct{} // closed when something became ready
	telling bool          // a signal to other processes is on its way
	untold  bool          // something became ready since it was sent
	rescued int64         // when vanished workers were last looked for, by this process's clock

	holding holding
}

// Open brings the tables of the queue up to date. The database stays the
// caller's.
func Open(ctx context.Context, d *db.DB, o Options) (*Queue, error) {
	if o.Poll <= 0 {
		o.Poll = DefaultPoll
	}
	if err := d.Migrate(ctx, migrations, "sql/queue"); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	q := &Queue{db: d, opts: o, changed: make(chan struct{}), begun: time.Now()}
	if err := q.follow(ctx); err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	return q, nil
}

// follow sets the clock of an SQLite file behind what was last written there: if
// the system's clock was set back since, units that were ready would not be due,
// and leases of processes that are gone would not end.
func (q *Queue) follow(ctx context.Context) error {
	if q.db.Dialect.IsPostgres() {
		return nil
	}
	var last int64
	err := q.db.Get(ctx, &last, `SELECT max(COALESCE((SELECT at_us FROM unit_event ORDER BY id DESC LIMIT 1), 0), COALESCE((SELECT max(started_us) FROM run), 0))`)
	q.ahead = max(0, time.UnixMicro(last).Sub(q.begun))
	return err
}

// local is the time of this process. It runs evenly whatever happens to the
// system's clock meanwhile.
func (q *Queue) local() int64 { return q.begun.Add(time.Since(q.begun) + q.ahead).UnixMicro() }

// here is the time of this process, or that of Options.
func (q *Queue) here() int64 {
	if q.opts.Now != nil {
		return q.opts.Now().UnixMicro()
	}
	return q.local()
}

// DB returns the database, for the transactions that Complete takes part in.
func (q *Queue) DB() *db.DB { return q.db }

// clock reads the time of leases.
func (q *Queue) clock(ctx context.Context, tx *db.Tx) (int64, error) {
	if q.opts.Now != nil || !q.db.Dialect.IsPostgres() {
		return q.here(), nil
	}
	var us int64
	err := tx.Get(ctx, &us, "SELECT "+serverTime)
	return us, err
}

// Changed returns a channel that is closed when this process makes a unit ready,
// or hears that another one did. Take it before claiming, so that nothing falls
// between.
func (q *Queue) Changed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed
}

// wake tells this process's workers.
func (q *Queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.changed)
	q.changed = make(chan struct{})
}

// announce tells all workers once the transaction has committed.
func (q *Queue) announce(tx *db.Tx) {
	tx.OnCommit(q.wake)
	if tx.Dialect().IsPostgres() {
		tx.OnCommit(q.tell)
	}
}
