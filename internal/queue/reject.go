package queue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// Reject is a record that a step gave up, while its unit went on.
type Reject struct {
	// ID numbers it for ever; 0 before it is written.
	ID int64 `db:"id"`
	Key
	Run         string `db:"run"`
	Correlation string `db:"correlation_id"`
	// N counts the rejects of one attempt from 1. Record is what the command calls
	// the record: its number, its key.
	N      int64  `db:"n"`
	Record string `db:"record"`
	Reason string `db:"reason"`
	// Body is the record as the command gave it, for a replay.
	Body string `db:"body"`
	// State is Dead, Discarded or RejectReplayed.
	State State `db:"state"`
	AtUS  int64 `db:"at_us"`
	// Detail says who decided about it and why, or the unit that it went into.
	Detail string `db:"detail"`
}

// RejectReplayed is the state of a record that went into a new unit.
const RejectReplayed State = "replayed"

const rejectColumns = "id, pipeline, step, unit, run, correlation_id, n, record, reason, body, state, at_us, detail"

// SaveRejects replaces the rejects of the unit of a lease that nobody has decided
// about, in the transaction that ends it.
func (q *Queue) SaveRejects(ctx context.Context, tx *db.Tx, l *Lease, all []Reject) error {
	_, err := tx.Exec(ctx, "DELETE FROM reject WHERE pipeline = ? AND step = ? AND unit = ? AND state = 'dead'", l.Pipeline, l.Step, l.Unit)
	if err != nil {
		return err
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, 'dead', ?, '')"
	now, err := q.clock(ctx, tx)
	if err != nil {
		return err
	}
	for len(all) > 0 {
		part := all[:min(len(all), q.atOnce())]
		all = all[len(part):]
		args := make([]any, 0, 10*len(part))
		for _, r := range part {
			args = append(args, l.Pipeline, l.Step, l.Unit, l.Run, l.Correlation, r.N, r.Record, r.Reason, r.Body, now)
		}
		query := "INSERT INTO reject (pipeline, step, unit, run, correlation_id, n, record, reason, body, state, at_us, detail) VALUES " +
			strings.TrimSuffix(strings.Repeat(row+", ", len(part)), ", ")
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// Rejects returns the records that a filter picks, in the order in which they
// were written. Cause is not looked at; Err is a part of the reason; IDs may be
// the numbers of records too.
func (q *Queue) Rejects(ctx context.Context, f Filter) ([]Reject, error) {
	where, args := f.rejectWhere()
	query := "SELECT " + rejectColumns + " FROM reject" + where + " ORDER BY id"
	if f.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	var all []Reject
	if err := q.db.Select(ctx, &all, query, args...); err != nil {
		return nil, fmt.Errorf("list rejected records: %w", err)
	}
	return all, nil
}

func (f Filter) rejectWhere() (string, []any) {
	f.Cause = ""
	reason, since, until, numbers := f.Err, f.Since, f.Until, f.Numbers
	f.Err, f.Since, f.Until = "", time.Time{}, time.Time{}
	where, args := f.where()
	add := func(part string, values ...any) {
		if where == "" {
			where = " WHERE " + part
		} else {
			where += " AND " + part
		}
		args = append(args, values...)
	}
	if reason != "" {
		add("lower(reason) LIKE ? ESCAPE '\\'", likePart(reason))
	}
	if len(numbers) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(numbers)), ", ")
		values := make([]any, len(numbers))
		for i, n := range numbers {
			values[i] = n
		}
		add("id IN ("+marks+")", values...)
	}
	if !since.IsZero() {
		add("at_us >= ?", since.UnixMicro())
	}
	if !until.IsZero() {
		add("at_us < ?", until.UnixMicro())
	}
	return where, args
}

// ReplayRejects marks records as gone into a new unit and offers it, in one
// transaction. The error is ErrNotFound if one of them is not dead any more.
func (q *Queue) ReplayRejects(ctx context.Context, all []Reject, unit Offer, d Decision) error {
	return q.change(ctx, func(tx *db.Tx) error {
		if err := q.mark(ctx, tx, all, RejectReplayed, strings.TrimSpace("in unit "+unit.Unit+" "+d.detail())); err != nil {
			return err
		}
		if err := q.Offer(ctx, tx, []Offer{unit}); err != nil {
			return err
		}
		if err := q.lookAgain(ctx, tx, unit.Run); err != nil {
			return err
		}
		return q.event(ctx, tx, Event{Key: unit.Key, Run: unit.Run, Correlation: unit.Correlation, Kind: KindReplayed, Detail: d.detail()})
	})
}

// DiscardRejects gives records up for good.
func (q *Queue) DiscardRejects(ctx context.Context, all []Reject, d Decision) error {
	return q.change(ctx, func(tx *db.Tx) error { return q.mark(ctx, tx, all, Discarded, d.detail()) })
}

func (q *Queue) mark(ctx context.Context, tx *db.Tx, all []Reject, state State, detail string) error {
	for _, r := range all {
		res, err := tx.Exec(ctx, "UPDATE reject SET state = ?, detail = ? WHERE id = ? AND state = 'dead'", state, detail, r.ID)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("record %d: %w", r.ID, ErrNotFound)
		}
	}
	return nil
}

// Define keeps what a pipeline looks like, for decisions about its units that are
// made without its file.
func (q *Queue) Define(ctx context.Context, pipeline, body string) error {
	_, err := q.exec(ctx, q.db, `INSERT INTO definition (pipeline, body, seen_us) VALUES (?, ?, {now})
		ON CONFLICT (pipeline) DO UPDATE SET body = excluded.body, seen_us = excluded.seen_us`, pipeline, body)
	if err != nil {
		return fmt.Errorf("keep the steps of pipeline %s: %w", pipeline, err)
	}
	return nil
}

// Definition returns what Define kept, by pipeline.
func (q *Queue) Definition(ctx context.Context) (map[string]string, error) {
	var all []struct {
		Pipeline string `db:"pipeline"`
		Body     string `db:"body"`
	}
	if err := q.db.Select(ctx, &all, "SELECT pipeline, body FROM definition"); err != nil {
		return nil, fmt.Errorf("read the pipelines of the store: %w", err)
	}
	found := map[string]string{}
	for _, d := range all {
		found[d.Pipeline] = d.Body
	}
	return found, nil
}
