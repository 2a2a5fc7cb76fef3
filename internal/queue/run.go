package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// The states of a run.
const (
	RunRunning   = "running"
	RunEnded     = "ended"
	RunCancelled = "cancelled"
)

// Run is one execution of a pipeline. Times are microseconds since 1970.
type Run struct {
	ID        string `db:"id"`
	Pipeline  string `db:"pipeline"`
	State     string `db:"state"`
	StartedUS int64  `db:"started_us"`
	EndedUS   int64  `db:"ended_us"` // 0 while it runs
	Verdict   string `db:"verdict"`
	// FirstBadStep is the first step in which something went wrong, or empty.
	FirstBadStep string `db:"first_bad_step"`
}

const runColumns = "id, pipeline, state, started_us, COALESCE(ended_us, 0) AS ended_us, verdict, first_bad_step"

// Begin writes that a run has started and offers its units, in one transaction:
// whoever looks at its fan-ins in between would find that they join nothing.
// Beginning it again goes on with it.
func (q *Queue) Begin(ctx context.Context, id, pipeline string, units ...Offer) error {
	err := q.change(ctx, func(tx *db.Tx) error {
		_, err := q.exec(ctx, tx, `INSERT INTO run (id, pipeline, state, started_us, verdict, first_bad_step, gathered) VALUES (?, ?, 'running', {now}, '', '', 0)
			ON CONFLICT (id) DO UPDATE SET state = 'running', ended_us = NULL, gathered = 0`, id, pipeline)
		if err != nil {
			return err
		}
		return q.Offer(ctx, tx, units)
	})
	if err != nil {
		return fmt.Errorf("begin run %s: %w", id, err)
	}
	return nil
}

// BeginOnce writes that a run has started and offers its units, in one
// transaction, unless the run is known. It reports whether it did. scheduled is
// the time that it was due, zero if there was none.
func (q *Queue) BeginOnce(ctx context.Context, id, pipeline string, scheduled time.Time, units []Offer) (first bool, err error) {
	var due *int64
	if !scheduled.IsZero() {
		due = new(scheduled.UnixMicro())
	}
	err = q.change(ctx, func(tx *db.Tx) error {
		res, err := q.exec(ctx, tx, `INSERT INTO run (id, pipeline, state, started_us, scheduled_us, verdict, first_bad_step, gathered) VALUES (?, ?, 'running', {now}, ?, '', '', 0)
			ON CONFLICT (id) DO NOTHING`, id, pipeline, due)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if first = n > 0; err != nil || !first {
			return err
		}
		// It takes units over for which a fan-in of an earlier run waits.
		if _, err := tx.Exec(ctx, "UPDATE run SET gathered = 0 WHERE pipeline = ? AND gathered = 2", pipeline); err != nil {
			return err
		}
		return q.Offer(ctx, tx, units)
	})
	if err != nil {
		return false, fmt.Errorf("begin run %s: %w", id, err)
	}
	return first, nil
}

// LastScheduled returns the latest time that a run of a pipeline was begun for,
// zero if there was none.
func (q *Queue) LastScheduled(ctx context.Context, pipeline string) (time.Time, error) {
	var us int64
	err := q.db.Get(ctx, &us, "SELECT COALESCE(max(scheduled_us), 0) FROM run WHERE pipeline = ? AND id NOT LIKE '"+CanaryPrefix+"%'", pipeline)
	if err != nil || us == 0 {
		return time.Time{}, err
	}
	return time.UnixMicro(us), nil
}

// OpenRuns returns the runs of a pipeline that have not ended, oldest first.
func (q *Queue) OpenRuns(ctx context.Context, pipeline string) ([]string, error) {
	var ids []string
	err := q.db.Select(ctx, &ids, "SELECT id FROM run WHERE pipeline = ? AND state = 'running' AND id NOT LIKE '"+CanaryPrefix+"%' ORDER BY started_us, id", pipeline)
	return ids, err
}

// FinishedRuns returns the runs of a pipeline that have not ended and whose units
// are all through, given up, or stand in front of a closed gate. With fanIn also
// the fan-ins have what they join, or wait for somebody's decision.
func (q *Queue) FinishedRuns(ctx context.Context, pipeline string, fanIn bool) ([]string, error) {
	var ids []string
	gathered := ""
	if fanIn {
		gathered = " AND gathered <> 0"
	}
	// The states are named twice so that the index of units that are not done serves.
	err := q.db.Select(ctx, &ids, `SELECT id FROM run r WHERE pipeline = ? AND state = 'running' AND filling = 0 AND id NOT LIKE '`+CanaryPrefix+`%'`+gathered+` AND NOT EXISTS (
		SELECT 1 FROM unit u WHERE u.run = r.id AND u.state IN ('ready', 'running', 'dead', 'quarantined') AND u.state IN ('ready', 'running')
		AND (u.state = 'running' OR NOT EXISTS (SELECT 1 FROM step_state p WHERE p.pipeline = u.pipeline AND p.step = u.step AND p.paused <> '')))
		ORDER BY started_us, id`, pipeline)
	return ids, err
}

// End writes how a run ended.
func (q *Queue) End(ctx context.Context, r Run) error {
	_, err := q.exec(ctx, q.db, "UPDATE run SET state = ?, ended_us = {now}, verdict = ?, first_bad_step = ? WHERE id = ?", r.State, r.Verdict, r.FirstBadStep, r.ID)
	if err != nil {
		return fmt.Errorf("end run %s: %w", r.ID, err)
	}
	return nil
}

// Cancel takes the units of a run that nobody has begun out of the queue.
func (q *Queue) Cancel(ctx context.Context, run string) error {
	return q.change(ctx, func(tx *db.Tx) error {
		_, err := q.exec(ctx, tx, "UPDATE unit SET state = 'cancelled', ended_us = {now} WHERE run = ? AND state IN ('ready', 'waiting')", run)
		return err
	})
}

// Runs returns the newest runs first, without canaries, at most limit of them; 0 is all. pipeline
// picks one pipeline, empty is all.
func (q *Queue) Runs(ctx context.Context, pipeline string, limit int) ([]Run, error) {
	query, args := "SELECT "+runColumns+" FROM run WHERE id NOT LIKE '"+CanaryPrefix+"%'", []any{}
	if pipeline != "" {
		query, args = query+" AND pipeline = ?", append(args, pipeline)
	}
	query += " ORDER BY started_us DESC, id DESC"
	if limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", limit)
	}
	var all []Run
	if err := q.db.Select(ctx, &all, query, args...); err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return all, nil
}

// GetRun returns one run. The error is ErrNotFound if there is none.
func (q *Queue) GetRun(ctx context.Context, id string) (Run, error) {
	var r Run
	err := q.db.Get(ctx, &r, "SELECT "+runColumns+" FROM run WHERE id = ?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	return r, err
}
