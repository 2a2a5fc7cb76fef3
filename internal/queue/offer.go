package queue

import (
	"context"
	"strings"

	"github.com/lib/pq"

	"github.com/profilerhq/profiler/internal/db"
)

// Offer is a unit that may enter a step.
type Offer struct {
	Key
	// Run is the run that it belongs to, Correlation its id through all steps.
	Run, Correlation string
	// Source is the name of what the unit was made of, for people.
	Source string
	// Input says what the unit was made of, for the step that reads the source; it
	// is handed out with the lease. Steps behind it have their parents' bodies.
	Input string
	// Priority puts greater ones first.
	Priority int
	// Parent is the step that offers it, empty for the source. Needs is how many
	// different parents must offer it in the same run before it is ready; 0 is 1.
	Parent string
	Needs  int
}

// Offer makes units known to their steps, in the caller's transaction. A new
// one, and one that was finished before, becomes ready as soon as all its
// parents of this run have offered it; what was stored of it stays, for the
// worker to see whether there is anything to do. A discarded one stays so. A unit that is just being
// worked on is taken from its worker, since what it reads has changed. Offering
// a ready unit again changes its run alone.
func (q *Queue) Offer(ctx context.Context, tx *db.Tx, units []Offer) error {
	if len(units) == 0 {
		return nil
	}
	for len(units) > 0 {
		n := min(len(units), q.atOnce())
		if err := q.offer(ctx, tx, units[:n]); err != nil {
			return err
		}
		units = units[n:]
	}
	q.announce(tx)
	return nil
}

// atOnce is how many rows one statement takes. Postgres has 65,535 placeholders in
// one, of which rows take 12 at most. The driver of SQLite looks for each among all of them, and keeps what it
// compiled of a short text.
func (q *Queue) atOnce() int {
	if q.db.Dialect.IsPostgres() {
		return 5000
	}
	return 32
}

func (q *Queue) offer(ctx context.Context, tx *db.Tx, units []Offer) error {
	var single, joint []Offer
	for _, u := range units {
		if u.Needs > 1 {
			joint = append(joint, u)
		} else {
			single = append(single, u)
		}
	}
	if err := q.upsert(ctx, tx, single, Ready); err != nil {
		return err
	}
	for _, u := range joint {
		if err := q.join(ctx, tx, u); err != nil {
			return err
		}
	}
	return nil
}

// join offers a unit that waits for several parents. The row is written first, so
// that of two parents which end at the same time the second one waits for the
// first one's transaction and counts its edge.
func (q *Queue) join(ctx context.Context, tx *db.Tx, u Offer) error {
	if err := q.insert(ctx, tx, []Offer{u}, Waiting, " ON CONFLICT (pipeline, step, unit) DO UPDATE SET needs = excluded.needs"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO edge (pipeline, step, unit, parent, run) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (pipeline, step, unit, parent) DO UPDATE SET run = excluded.run`, u.Pipeline, u.Step, u.Unit, u.Parent, u.Run)
	if err != nil {
		return err
	}
	var met int
	err = tx.Get(ctx, &met, "SELECT count(*) FROM edge WHERE pipeline = ? AND step = ? AND unit = ? AND run = ?", u.Pipeline, u.Step, u.Unit, u.Run)
	if err != nil {
		return err
	}
	state := Waiting
	if met >= u.Needs {
		state = Ready
	}
	return q.upsert(ctx, tx, []Offer{u}, state)
}

// upsert writes units with a state. The attempt is raised where a worker holds
// the unit, which fences it.
func (q *Queue) upsert(ctx context.Context, tx *db.Tx, units []Offer, state State) error {
	return q.insert(ctx, tx, units, state, ` ON CONFLICT (pipeline, step, unit) DO UPDATE SET
		run = excluded.run, correlation_id = excluded.correlation_id, source = excluded.source, input = excluded.input, priority = excluded.priority,
		needs = excluded.needs, skipped = 0, blocking = 0,
		attempt = CASE WHEN unit.state = 'running' THEN unit.attempt + 1 ELSE unit.attempt END,
		tries = 0, losses = 0, ready_us = excluded.ready_us, run_at_us = excluded.run_at_us, lease_us = 0, worker = '',
		cause = '', error = '', state = CASE WHEN unit.state = 'discarded' THEN 'discarded' ELSE excluded.state END`)
}

// insert writes new units; conflict is what happens to those that are known.
func (q *Queue) insert(ctx context.Context, tx *db.Tx, units []Offer, state State, conflict string) error {
	if len(units) == 0 {
		return nil
	}
	const (
		into = `INSERT INTO unit (pipeline, step, unit, run, correlation_id, source, input, priority, needs, state, skipped, blocking, attempt, tries,
		losses, replay, ready_us, run_at_us, started_us, lease_us, ended_us, worker, cause, error, body) `
		fresh = ", 0, 0, 0, 0, 0, 0, {now}, {now}, 0, 0, 0, '', '', '', ''"
		row   = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?" + fresh + ")"
	)
	if len(units) > 1 && q.db.Dialect.IsPostgres() { // it reads few long arguments faster than many short ones
		_, err := q.exec(ctx, tx, into+`SELECT u.*, ?`+fresh+` FROM unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[]) AS u`+conflict,
			append([]any{state}, columns(units)...)...)
		return err
	}
	args := make([]any, 0, 10*len(units))
	for _, u := range units {
		args = append(args, u.Pipeline, u.Step, u.Unit, u.Run, u.Correlation, u.Source, u.Input, u.Priority, max(1, u.Needs), state)
	}
	_, err := q.exec(ctx, tx, into+"VALUES "+strings.TrimSuffix(strings.Repeat(row+", ", len(units)), ", ")+conflict, args...)
	return err
}

// columns turns units into the arrays of their fields.
func columns(units []Offer) []any {
	texts := make([]pq.StringArray, 7)
	numbers := make([]pq.Int64Array, 2)
	for _, u := range units {
		for i, text := range []string{u.Pipeline, u.Step, u.Unit, u.Run, u.Correlation, u.Source, u.Input} {
			texts[i] = append(texts[i], text)
		}
		numbers[0], numbers[1] = append(numbers[0], int64(u.Priority)), append(numbers[1], int64(max(1, u.Needs)))
	}
	all := make([]any, 0, len(texts)+len(numbers))
	for _, t := range texts {
		all = append(all, t)
	}
	return append(all, numbers[0], numbers[1])
}
