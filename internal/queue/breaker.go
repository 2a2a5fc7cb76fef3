package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// The circuit breaker of a step (Nygard, "Release It!", 2007): when more than half
// of its last attempts failed, claims are paused. After a while one unit is given
// out, the probe. If its attempt works the claims go on, else they are paused for
// twice as long. It is the state of the step in the store, so that all workers on
// all machines keep to it. Claims that are not Guarded neither keep to it nor
// change it.
const (
	// breakerWindow is how many of the last attempts of a step are looked at.
	breakerWindow = 20
	// breakerPause is the first pause; each further one is twice as long, up to
	// breakerLongest.
	breakerPause   = 10 * time.Second
	breakerLongest = 5 * time.Minute
)

// Outcome says whether a step worked in an attempt. Data that are bad are no
// fault of the step.
type Outcome int

// The outcomes of attempts.
const (
	// NoOutcome is the end of a unit without an attempt.
	NoOutcome Outcome = iota
	// Worked is an attempt in which the step did its work.
	Worked
	// Faulty is one in which it failed, took too long, or lost its worker.
	Faulty
)

// Breaker says that claims of a step are paused because attempts failed.
type Breaker struct {
	Pipeline string `db:"pipeline"`
	Step     string `db:"step"`
	// UntilUS is when one unit is tried, in microseconds since 1970; while it is,
	// when another one may be at the latest.
	UntilUS int64 `db:"open_until_us"`
	// Times counts the pauses in a row.
	Times int `db:"opened"`
	// Probing is set while one unit is tried.
	Probing bool `db:"probing"`
}

// Until returns when one unit is tried.
func (o *Breaker) Until() time.Time { return time.UnixMicro(o.UntilUS).UTC() }

const openColumns = "pipeline, step, open_until_us, opened, probing = 1 AS probing"

// Opened lists the steps whose claims are paused because attempts failed.
func (q *Queue) Opened(ctx context.Context) ([]Breaker, error) {
	var all []Breaker
	if err := q.db.Select(ctx, &all, "SELECT "+openColumns+" FROM step_state WHERE opened > 0 ORDER BY pipeline, step"); err != nil {
		return nil, fmt.Errorf("list paused steps: %w", err)
	}
	return all, nil
}

// Gate is a step that a unit keeps closed.
type Gate struct {
	Pipeline string `db:"pipeline"`
	Step     string `db:"step"`
	Why      string `db:"paused"`
}

// Gates lists the steps that are closed until somebody decides about a unit.
func (q *Queue) Gates(ctx context.Context) ([]Gate, error) {
	var all []Gate
	if err := q.db.Select(ctx, &all, "SELECT pipeline, step, paused FROM step_state WHERE paused <> '' ORDER BY pipeline, step"); err != nil {
		return nil, fmt.Errorf("list closed gates: %w", err)
	}
	return all, nil
}

// probe takes the right to try one unit of a step whose pause is over.
func (q *Queue) probe(ctx context.Context, tx *db.Tx, c *ClaimRequest) (bool, error) {
	res, err := q.exec(ctx, tx, `UPDATE step_state SET probing = 1, open_until_us = {now} + ? WHERE pipeline = ? AND step = ? AND opened > 0 AND paused = ''
		AND open_until_us <= {now} AND NOT EXISTS (SELECT 1 FROM unit WHERE pipeline = ? AND step = ? AND state = 'running')`,
		c.Lease.Microseconds(), c.Pipeline, c.Step, c.Pipeline, c.Step)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// endProbe gives the right back without a finding.
func (q *Queue) endProbe(ctx context.Context, tx *db.Tx, pipeline, step string) error {
	_, err := q.exec(ctx, tx, "UPDATE step_state SET probing = 0, open_until_us = {now} WHERE pipeline = ? AND step = ? AND probing = 1", pipeline, step)
	return err
}

// judge lets the outcome of an attempt open or close its step.
func (q *Queue) judge(ctx context.Context, tx *db.Tx, l *Lease, o Outcome) error {
	switch {
	case !l.guarded:
		return nil
	case l.Probe && o == Worked:
		_, err := tx.Exec(ctx, `UPDATE step_state SET opened = 0, open_until_us = 0, probing = 0, count_from = (SELECT COALESCE(max(id), 0) FROM unit_event)
			WHERE pipeline = ? AND step = ?`, l.Pipeline, l.Step)
		if err != nil {
			return err
		}
		l.Closed = true
		q.announce(tx)
		return q.goOn(ctx, tx, l.Pipeline)
	case l.Probe && o == NoOutcome:
		return q.endProbe(ctx, tx, l.Pipeline, l.Step)
	case o == Faulty:
		until, err := q.fault(ctx, tx, l.Pipeline, l.Step, l.Probe)
		l.PausedUntil = until
		return err
	}
	return nil
}

// lost counts an attempt whose worker vanished against its step.
func (q *Queue) lost(ctx context.Context, tx *db.Tx, k Key) error {
	var probes int
	err := tx.Get(ctx, &probes, "SELECT count(*) FROM step_state WHERE pipeline = ? AND step = ? AND opened > 0 AND probing = 1", k.Pipeline, k.Step)
	if err == nil {
		_, err = q.fault(ctx, tx, k.Pipeline, k.Step, probes > 0)
	}
	return err
}

// fault pauses the claims of a step after a failed attempt if they are to be, and
// returns until when; zero if it did not pause them.
func (q *Queue) fault(ctx context.Context, tx *db.Tx, pipeline, step string, probe bool) (time.Time, error) {
	var s struct {
		Breaker
		From int64 `db:"count_from"`
	}
	err := tx.Get(ctx, &s, "SELECT "+openColumns+", count_from FROM step_state WHERE pipeline = ? AND step = ?", pipeline, step)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, err
	}
	if s.Times > 0 && !probe {
		return time.Time{}, nil // it began before the pause
	}
	if s.Times == 0 {
		var faults int
		err := tx.Get(ctx, &faults, `SELECT count(*) FROM (SELECT outcome FROM unit_event WHERE pipeline = ? AND step = ? AND outcome > 0 AND id > ?
			ORDER BY id DESC LIMIT ?) AS last WHERE outcome = ?`, pipeline, step, s.From, breakerWindow, Faulty)
		if err != nil || faults <= breakerWindow/2 {
			return time.Time{}, err
		}
	}
	now, err := q.clock(ctx, tx)
	if err != nil {
		return time.Time{}, err
	}
	pause := breakerLongest
	if s.Times < 10 {
		pause = min(breakerLongest, breakerPause<<s.Times)
	}
	until := now + pause.Microseconds()
	_, err = tx.Exec(ctx, `INSERT INTO step_state (pipeline, step, paused, paused_us, opened, open_until_us) VALUES (?, ?, '', 0, ?, ?)
		ON CONFLICT (pipeline, step) DO UPDATE SET opened = excluded.opened, open_until_us = excluded.open_until_us, probing = 0`, pipeline, step, s.Times+1, until)
	if err == nil {
		err = q.stop(ctx, tx, pipeline, step)
	}
	return time.UnixMicro(until).UTC(), err
}
