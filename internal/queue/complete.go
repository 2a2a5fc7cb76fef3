package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// Usage is what an attempt used.
type Usage struct {
	CPU time.Duration
	// PeakBytes is the largest resident memory of the command.
	PeakBytes int64
}

// Result ends a unit in a step.
type Result struct {
	// State is Done, Quarantined or Dead.
	State State
	// Skipped says that nothing had to be done: the stored result is unchanged.
	Skipped bool
	// Letter counts a Quarantined unit with the dead ones, since nothing else tells
	// that it is kept back.
	Letter bool
	// Pause stops the claims of the step until somebody decides about the unit.
	Pause bool
	// Cause and Err say why the unit is not done.
	Cause, Err string
	// Body is stored with the unit; empty leaves what is there.
	Body string
	// Output is stored under Fingerprint, beside those of other fingerprints;
	// empty stores none.
	Fingerprint, Output string
	// Also is another unit under whose id the output is stored too; empty is none.
	Also string
	// Outcome says whether the step worked.
	Outcome Outcome
	// Next are the units behind this one that become ready, or wait for others.
	Next []Offer
	Usage
}

// Complete ends the unit of a lease, in the caller's transaction: the state, the
// units behind it, and one event. The error is ErrFenced if the lease is over;
// the transaction must then be rolled back. already reports that this very
// attempt has ended like that before: the transaction is run again because
// nobody knew whether it had committed, and it had, so that nothing is left to
// write.
func (q *Queue) Complete(ctx context.Context, tx *db.Tx, l *Lease, r Result) (already bool, err error) {
	died := (r.State == Dead || r.State == Quarantined && r.Letter) && !IsCanary(l.Run)
	res, err := q.exec(ctx, tx, `UPDATE unit SET state = ?, skipped = ?, blocking = ?, died = ?, cause = ?, error = ?,
		body = CASE WHEN ? = '' THEN body ELSE ? END, lease_us = 0, worker = '', ended_us = {now}`+held,
		l.args(r.State, bit(r.Skipped), bit(r.Pause), bit(died), r.Cause, r.Err, r.Body, r.Body)...)
	if err != nil {
		return false, err
	}
	if err := fenced(res); err != nil {
		var n int
		same := "SELECT count(*) FROM unit WHERE pipeline = ? AND step = ? AND unit = ? AND attempt = ? AND state = ? AND body = ?"
		if e := tx.Get(ctx, &n, same, append(l.args(), r.State, r.Body)...); e != nil || n == 0 {
			return false, errors.Join(err, e)
		}
		return true, nil
	}
	if r.Pause {
		if err := q.pause(ctx, tx, l.Pipeline, l.Step, "the gate is closed by unit "+l.Unit); err != nil {
			return false, err
		}
	}
	if r.Output != "" {
		if err := q.saveOutput(ctx, tx, l.Key, r.Fingerprint, r.Output); err != nil {
			return false, err
		}
	}
	if r.Output != "" && r.Also != "" {
		if err := q.saveOutput(ctx, tx, Key{l.Pipeline, l.Step, r.Also}, r.Fingerprint, r.Output); err != nil {
			return false, err
		}
	}
	e := l.event(Kind(r.State))
	if r.Skipped {
		e.Kind = KindSkipped
	}
	e.Cause, e.Detail, e.CPUUS, e.PeakBytes, e.Outcome = r.Cause, r.Err, r.CPU.Microseconds(), r.PeakBytes, r.Outcome
	if err := q.event(ctx, tx, e); err != nil {
		return false, err
	}
	if err := q.judge(ctx, tx, l, r.Outcome); err != nil {
		return false, err
	}
	if died || l.Died {
		if err := q.letters(ctx, tx, l.Pipeline, l.Step, bit(died)); err != nil {
			return false, err
		}
	}
	return false, q.Offer(ctx, tx, r.Next)
}

func (q *Queue) saveOutput(ctx context.Context, tx *db.Tx, k Key, fingerprint, body string) error {
	_, err := q.exec(ctx, tx, `INSERT INTO output (pipeline, step, unit, fingerprint, written_us, body) VALUES (?, ?, ?, ?, {now}, ?)
		ON CONFLICT (pipeline, step, unit, fingerprint) DO UPDATE SET written_us = excluded.written_us, body = excluded.body`,
		k.Pipeline, k.Step, k.Unit, fingerprint, body)
	return err
}

// Keep stores an output of a unit that is still worked on. The error is ErrFenced
// if the lease is over.
func (q *Queue) Keep(ctx context.Context, l *Lease, fingerprint, body string) error {
	return q.db.Tx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.Get(ctx, &n, "SELECT count(*) FROM unit"+held, l.args()...); err != nil {
			return err
		}
		if n == 0 {
			return ErrFenced
		}
		return q.saveOutput(ctx, tx, l.Key, fingerprint, body)
	})
}

// Output returns what was stored of a unit under a fingerprint, empty if nothing
// was.
func (q *Queue) Output(ctx context.Context, k Key, fingerprint string) (string, error) {
	var body []string
	err := q.db.Select(ctx, &body, "SELECT body FROM output WHERE pipeline = ? AND step = ? AND unit = ? AND fingerprint = ?", k.Pipeline, k.Step, k.Unit, fingerprint)
	if err != nil {
		return "", fmt.Errorf("read the output of %s: %w", k, err)
	}
	if len(body) == 0 {
		return "", nil
	}
	return body[0], nil
}

// Failure is an attempt that will be repeated.
type Failure struct {
	Cause, Err string
	// Wait is the time until the next attempt.
	Wait time.Duration
	// Body, Fingerprint, Output and Outcome are as in Result.
	Body, Fingerprint, Output string
	Outcome                   Outcome
	Usage
}

// Fail gives a unit back for another attempt after some time.
func (q *Queue) Fail(ctx context.Context, l *Lease, f Failure) error {
	return q.change(ctx, func(tx *db.Tx) error {
		res, err := q.exec(ctx, tx, `UPDATE unit SET state = 'ready', cause = ?, error = ?, body = CASE WHEN ? = '' THEN body ELSE ? END,
			lease_us = 0, worker = '', ready_us = {now} + ?, run_at_us = {now} + ?`+held,
			l.args(f.Cause, f.Err, f.Body, f.Body, f.Wait.Microseconds(), f.Wait.Microseconds())...)
		if err != nil {
			return fmt.Errorf("give %s back: %w", l.Key, err)
		}
		if err := fenced(res); err != nil {
			return err
		}
		if f.Output != "" {
			if err := q.saveOutput(ctx, tx, l.Key, f.Fingerprint, f.Output); err != nil {
				return err
			}
		}
		e := l.event(KindRetry)
		e.Cause, e.Detail, e.CPUUS, e.PeakBytes, e.Outcome = f.Cause, f.Err, f.CPU.Microseconds(), f.PeakBytes, f.Outcome
		if err := q.event(ctx, tx, e); err != nil {
			return err
		}
		return q.judge(ctx, tx, l, f.Outcome)
	})
}

func (q *Queue) pause(ctx context.Context, tx *db.Tx, pipeline, step, why string) error {
	_, err := q.exec(ctx, tx, `INSERT INTO step_state (pipeline, step, paused, paused_us) VALUES (?, ?, ?, {now})
		ON CONFLICT (pipeline, step) DO UPDATE SET paused = excluded.paused, paused_us = excluded.paused_us`, pipeline, step, why)
	if err != nil {
		return err
	}
	return q.stop(ctx, tx, pipeline, step)
}

// Resume opens all steps of a pipeline again.
func (q *Queue) Resume(ctx context.Context, pipeline string) error {
	return q.change(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE step_state SET paused = '' WHERE pipeline = ?", pipeline)
		if err == nil {
			err = q.goOn(ctx, tx, pipeline)
		}
		if err == nil {
			_, err = tx.Exec(ctx, "UPDATE run SET gathered = 0 WHERE pipeline = ? AND gathered = 2", pipeline)
		}
		return err
	})
}

// resumeUnblocked opens a step in which no blocking unit is left.
func (q *Queue) resumeUnblocked(ctx context.Context, tx *db.Tx, pipeline, step string) error {
	_, err := tx.Exec(ctx, `UPDATE step_state SET paused = '' WHERE pipeline = ? AND step = ?
		AND NOT EXISTS (SELECT 1 FROM unit WHERE pipeline = ? AND step = ? AND blocking = 1 AND state = 'quarantined')`, pipeline, step, pipeline, step)
	if err != nil {
		return err
	}
	return q.goOn(ctx, tx, pipeline)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
