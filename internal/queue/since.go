package queue

import (
	"context"
	"fmt"
	"time"
)

// LastEvent returns the ID of the newest event, 0 if there is none.
func (q *Queue) LastEvent(ctx context.Context) (int64, error) {
	var id int64
	if err := q.db.Get(ctx, &id, "SELECT coalesce(max(id), 0) FROM unit_event"); err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	return id, nil
}

// EventsAfter returns up to limit events whose ID is above after, in the order
// of ID. On Postgres an event may become visible after one with a greater ID.
func (q *Queue) EventsAfter(ctx context.Context, after int64, limit int) ([]Event, error) {
	var all []Event
	err := q.db.Select(ctx, &all, "SELECT id, "+eventColumns+" FROM unit_event WHERE id > ? ORDER BY id LIMIT ?", after, limit)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return all, nil
}

// Attached is how many workers are seen at a step.
type Attached struct {
	Pipeline string `db:"pipeline"`
	Step     string `db:"step"`
	Workers  int    `db:"workers"`
}

// Attached counts the workers that hold a unit now or have ended one within a
// time.
func (q *Queue) Attached(ctx context.Context, within time.Duration) ([]Attached, error) {
	var all []Attached
	err := q.rows(ctx, q.db, &all, `SELECT pipeline, step, count(DISTINCT worker) AS workers FROM (
		SELECT pipeline, step, worker FROM unit WHERE state = 'running'
		UNION ALL SELECT pipeline, step, worker FROM unit_event WHERE at_us > {now} - ? AND kind <> 'lost'
		) AS seen WHERE worker <> '' GROUP BY pipeline, step`, within.Microseconds())
	if err != nil {
		return nil, fmt.Errorf("count workers: %w", err)
	}
	return all, nil
}

// Unfinished counts the units of a run that did not get through: those that
// died in it, those that closed a gate, and those that still stand before a step.
// A later run takes units over; of an earlier one only the dead are known then.
func (q *Queue) Unfinished(ctx context.Context, run string) (int, error) {
	var n int
	err := q.db.Get(ctx, &n, `SELECT (SELECT count(*) FROM unit WHERE run = ? AND (state IN ('waiting', 'ready', 'running', 'cancelled') OR blocking <> 0))
		+ (SELECT count(*) FROM unit_event WHERE run = ? AND kind = 'dead')`, run, run)
	if err != nil {
		return 0, fmt.Errorf("count units of run %s: %w", run, err)
	}
	return n, nil
}
