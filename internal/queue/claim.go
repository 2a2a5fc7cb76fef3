package queue

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// ClaimRequest asks for units of one step.
type ClaimRequest struct {
	Pipeline, Step string
	// Worker names who asks.
	Worker string
	// Max is how many units are taken at most.
	Max int
	// Lease is how long they are held without a heartbeat.
	Lease time.Duration
	// Group are the steps that share a capacity with this one, itself included, and
	// GroupMax is how many of their units are held at once, by all workers. 0 is
	// no limit.
	Group    []string
	GroupMax int
	// StepMax is how many units of the step are held at once, by all workers. 0 is no
	// limit.
	StepMax int
	// Guarded keeps to the pause of a step whose attempts fail, and lets the
	// outcome of the units decide about it.
	Guarded bool
}

// Lease is the right to work on a unit until it runs out.
type Lease struct {
	Key
	Run         string `db:"run"`
	Correlation string `db:"correlation_id"`
	Source      string `db:"source"`
	Input       string `db:"input"`
	// Attempt is the fencing token. It grows with each claim, for ever.
	Attempt int `db:"attempt"`
	// Tries counts the claims since the unit was offered or replayed, this one
	// included, without those that were released.
	Tries int `db:"tries"`
	// Replay counts the replays.
	Replay int `db:"replay"`
	// Lost says that the attempt before this one ended with its worker.
	Lost bool `db:"lost"`
	// Died says that the unit has died in the step before and was sent through it
	// again.
	Died bool `db:"died"`
	// Body is what the last attempt stored of the unit.
	Body string `db:"body"`
	// ReadyUS and StartedUS are when it became ready and when it was claimed, in
	// microseconds since 1970.
	ReadyUS   int64 `db:"ready_us"`
	StartedUS int64 `db:"started_us"`
	// Probe says that this unit is tried to see whether its step works again.
	Probe bool
	// PausedUntil is set by the end of an attempt that paused the claims of the
	// step, Closed by one that ended the pause.
	PausedUntil time.Time
	Closed      bool

	worker  string
	guarded bool
}

// Waited returns how long the unit stood ready.
func (l *Lease) Waited() time.Duration {
	return time.Duration(max(0, l.StartedUS-l.ReadyUS)) * time.Microsecond
}

// Claim takes units that are due, the greatest priority and then the longest due
// first, and none of a paused step. It returns none if there are none. Units whose
// worker has vanished are taken back first; they count as tried.
func (q *Queue) Claim(ctx context.Context, c ClaimRequest) ([]Lease, error) {
	var leases []Lease
	err := q.db.Tx(ctx, func(tx *db.Tx) error {
		due := q.rescueDue()
		if due {
			if _, err := q.rescue(ctx, tx, c.Guarded); err != nil {
				return err
			}
		}
		free, err := q.takeFree(ctx, tx, &c, &leases)
		if err != nil || len(leases) > 0 {
			return err
		}
		if !due { // a unit may stand behind one whose worker has vanished
			lost, err := q.rescue(ctx, tx, c.Guarded)
			if err != nil {
				return err
			}
			if lost > 0 {
				if free, err = q.takeFree(ctx, tx, &c, &leases); err != nil || len(leases) > 0 {
					return err
				}
			}
		}
		if free <= 0 || !c.Guarded {
			return nil
		}
		probe, err := q.probe(ctx, tx, &c)
		if err != nil || !probe {
			return err
		}
		if leases, err = q.take(ctx, tx, &c, 1, false); err != nil {
			return err
		}
		if len(leases) == 0 {
			return q.endProbe(ctx, tx, c.Pipeline, c.Step)
		}
		leases[0].Probe = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim units of %s/%s: %w", c.Pipeline, c.Step, err)
	}
	for i := range leases {
		leases[i].worker, leases[i].guarded = c.Worker, c.Guarded
	}
	return leases, nil
}

// takeFree claims as many units as there is room for, and returns for how many
// there is.
func (q *Queue) takeFree(ctx context.Context, tx *db.Tx, c *ClaimRequest, leases *[]Lease) (free int, err error) {
	*leases = nil
	free, err = q.capacity(ctx, tx, c)
	if err == nil && free > 0 {
		*leases, err = q.take(ctx, tx, c, free, c.Guarded)
	}
	return free, err
}

// rescueDue says, once a polling interval, that vanished workers are to be looked
// for before anything is claimed. Claims that find nothing look in any case.
func (q *Queue) rescueDue() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.here()
	due := at-q.rescued >= q.opts.Poll.Microseconds()
	if due {
		q.rescued = at
	}
	return due
}

// take claims up to n units. With closed it takes none of a step whose attempts
// fail.
func (q *Queue) take(ctx context.Context, tx *db.Tx, c *ClaimRequest, n int, closed bool) (leases []Lease, err error) {
	stopped := "p.paused <> ''"
	if closed {
		stopped = "(p.paused <> '' OR p.opened > 0)"
	}
	// SQLite compiles a statement again for each value of a LIMIT that is an argument.
	query := `UPDATE unit SET state = 'running', attempt = attempt + 1, tries = tries + 1, worker = ?, started_us = {now}, lease_us = {now} + ?
		WHERE id IN (SELECT id FROM unit WHERE pipeline = ? AND step = ? AND state = 'ready' AND run_at_us <= {now}
			AND NOT EXISTS (SELECT 1 FROM step_state p WHERE p.pipeline = ? AND p.step = ? AND ` + stopped + `)
			ORDER BY priority DESC, run_at_us, id LIMIT ` + strconv.Itoa(n) + q.db.Dialect.SkipLocked + `)
		RETURNING pipeline, step, unit, run, correlation_id, source, input, attempt, tries, replay, cause = '` + CauseLost + `' AS lost, died = 1 AS died, body, ready_us, started_us`
	err = q.rows(ctx, tx, &leases, query, c.Worker, c.Lease.Microseconds(), c.Pipeline, c.Step, c.Pipeline, c.Step)
	return leases, err
}

// capacity returns how many units the request may take. Claims that share a
// capacity take their turns, so that together they do not take too many.
func (q *Queue) capacity(ctx context.Context, tx *db.Tx, c *ClaimRequest) (int, error) {
	free := c.Max
	for _, of := range []struct { // the step first: all take their turns in this order
		name  string
		steps []string
		max   int
	}{{"step", []string{c.Step}, c.StepMax}, {"group", c.Group, c.GroupMax}} {
		if of.max <= 0 {
			continue
		}
		if tx.Dialect().IsPostgres() {
			_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", "profiler "+of.name+" "+c.Pipeline+"\x1f"+strings.Join(of.steps, "\x1f"))
			if err != nil {
				return 0, err
			}
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(of.steps)), ", ")
		args := []any{c.Pipeline}
		for _, s := range of.steps {
			args = append(args, s)
		}
		var running int
		err := tx.Get(ctx, &running, "SELECT count(*) FROM unit WHERE pipeline = ? AND step IN ("+marks+") AND state = 'running'", args...)
		if err != nil {
			return 0, err
		}
		free = min(free, of.max-running)
	}
	return free, nil
}

// rescue takes units back whose lease has run out and returns how many. guarded
// lets their loss count against their steps.
func (q *Queue) rescue(ctx context.Context, tx *db.Tx, guarded bool) (int, error) {
	var lost []struct {
		Row
		Old int64 `db:"old_lease"`
	}
	find := "SELECT " + rowColumns + ", lease_us AS old_lease FROM unit WHERE state = 'running' AND lease_us < {now} ORDER BY lease_us LIMIT 100" + q.db.Dialect.SkipLocked
	if err := q.rows(ctx, tx, &lost, find); err != nil {
		return 0, err
	}
	died := map[[2]string]int{}
	for i := range lost {
		u := &lost[i].Row
		state, cause, message := Ready, CauseLost, "its worker vanished while working on it"
		if u.Losses+1 >= MaxLosses {
			state, cause = Dead, CauseCrash
			message = fmt.Sprintf("its worker vanished %d times while working on it", MaxLosses)
		}
		if state == Dead && !IsCanary(u.Run) {
			died[[2]string{u.Pipeline, u.Step}]++
			u.Died = true
		}
		_, err := q.exec(ctx, tx, `UPDATE unit SET state = ?, died = ?, losses = losses + 1, cause = ?, error = ?, lease_us = 0, worker = '', ended_us = {now},
			ready_us = {now}, run_at_us = {now} WHERE pipeline = ? AND step = ? AND unit = ?`, state, bit(u.Died), cause, message, u.Pipeline, u.Step, u.Unit)
		if err != nil {
			return 0, err
		}
		e := Event{Key: u.Key, Run: u.Run, Correlation: u.Correlation, Kind: KindLost, Attempt: u.Attempt, Replay: u.Replay, Worker: u.Worker, Cause: CauseLost, Outcome: Faulty}
		e.BusyUS = max(0, lost[i].Old-u.StartedUS)
		if err := q.event(ctx, tx, e); err != nil {
			return 0, err
		}
		if state == Dead {
			e.Kind, e.Cause, e.Detail, e.Outcome, e.BusyUS = Kind(Dead), CauseCrash, message, NoOutcome, 0
			if err := q.event(ctx, tx, e); err != nil {
				return 0, err
			}
		}
		if guarded {
			if err := q.lost(ctx, tx, u.Key); err != nil {
				return 0, err
			}
		}
	}
	return len(lost), q.lettersOf(ctx, tx, died)
}

// held is the condition that a lease is still the caller's.
const held = " WHERE pipeline = ? AND step = ? AND unit = ? AND attempt = ? AND state = 'running'"

func (l *Lease) args(before ...any) []any {
	return append(before, l.Pipeline, l.Step, l.Unit, l.Attempt)
}

// Heartbeat prolongs a lease from now on. The error is ErrFenced if it is over.
func (q *Queue) Heartbeat(ctx context.Context, l *Lease, d time.Duration) error {
	res, err := q.exec(ctx, q.db, "UPDATE unit SET lease_us = {now} + ?"+held, l.args(d.Microseconds())...)
	if err != nil {
		return fmt.Errorf("prolong the lease of %s: %w", l.Key, err)
	}
	return fenced(res)
}

// GiveBack gives a unit back untouched: the claim does not count as a try.
func (q *Queue) GiveBack(ctx context.Context, l *Lease) error {
	return q.change(ctx, func(tx *db.Tx) error {
		res, err := q.exec(ctx, tx, "UPDATE unit SET state = 'ready', tries = tries - 1, lease_us = 0, worker = '', ready_us = {now}, run_at_us = {now}"+held, l.args()...)
		if err != nil {
			return err
		}
		if err := fenced(res); err != nil {
			return err
		}
		if l.Probe {
			if err := q.endProbe(ctx, tx, l.Pipeline, l.Step); err != nil {
				return err
			}
		}
		return q.event(ctx, tx, l.event(KindReleased))
	})
}

// change runs a transaction that may make units ready.
func (q *Queue) change(ctx context.Context, fn func(tx *db.Tx) error) error {
	return q.db.Tx(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		q.announce(tx)
		return nil
	})
}

// affected is the result of a statement.
type affected interface{ RowsAffected() (int64, error) }

func fenced(res affected) error {
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrFenced
	}
	return err
}

// Held returns the lease of an attempt that is running, of a claim that was
// guarded. The error is ErrFenced if
// it is not, with the unit as it is, and ErrNotFound if there is no such unit.
func (q *Queue) Held(ctx context.Context, k Key, attempt int) (Lease, Row, error) {
	r, err := q.Get(ctx, k)
	if err != nil {
		return Lease{}, r, err
	}
	if r.Attempt != attempt || r.State != Running {
		return Lease{}, r, ErrFenced
	}
	var probes int
	err = q.db.Get(ctx, &probes, "SELECT count(*) FROM step_state WHERE pipeline = ? AND step = ? AND opened > 0 AND probing = 1", k.Pipeline, k.Step)
	return Lease{
		Key: r.Key, Run: r.Run, Correlation: r.Correlation, Source: r.Source, Input: r.Input, Attempt: r.Attempt, Tries: r.Tries,
		Replay: r.Replay, Died: r.Died, Body: r.Body, ReadyUS: r.ReadyUS, StartedUS: r.StartedUS, Probe: probes > 0, worker: r.Worker, guarded: true,
	}, r, err
}

// Secret returns the key that signs leases for workers outside. All processes of
// a database have the same one.
func (q *Queue) Secret(ctx context.Context) ([]byte, error) {
	_, err := q.db.Exec(ctx, "INSERT INTO queue_secret (id, secret) VALUES (1, ?) ON CONFLICT (id) DO NOTHING", rand.Text())
	if err != nil {
		return nil, err
	}
	var text string
	if err := q.db.Get(ctx, &text, "SELECT secret FROM queue_secret WHERE id = 1"); err != nil {
		return nil, err
	}
	return []byte(text), nil
}
