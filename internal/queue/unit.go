package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// Row is a unit in a step as it stands. Times are microseconds since 1970, 0 if
// there is none.
type Row struct {
	Key
	Run         string `db:"run"`
	Correlation string `db:"correlation_id"`
	Source      string `db:"source"`
	Input       string `db:"input"`
	Priority    int    `db:"priority"`
	State       State  `db:"state"`
	Skipped     bool   `db:"skipped"`
	// Blocking is set while the unit keeps its step closed.
	Blocking bool `db:"blocking"`
	// Died is set from its death until it has gone through the step or was
	// discarded.
	Died      bool   `db:"died"`
	Needs     int    `db:"needs"`
	Attempt   int    `db:"attempt"`
	Tries     int    `db:"tries"`
	Losses    int    `db:"losses"`
	Replay    int    `db:"replay"`
	ReadyUS   int64  `db:"ready_us"`
	RunAtUS   int64  `db:"run_at_us"`
	StartedUS int64  `db:"started_us"`
	EndedUS   int64  `db:"ended_us"`
	Worker    string `db:"worker"`
	Cause     string `db:"cause"`
	Err       string `db:"error"`
	Body      string `db:"body"`
}

// Ended returns when the unit left the step, zero if it never did.
func (r *Row) Ended() time.Time {
	if r.EndedUS == 0 {
		return time.Time{}
	}
	return time.UnixMicro(r.EndedUS).UTC()
}

const rowColumns = `pipeline, step, unit, run, correlation_id, source, input, priority, state, skipped = 1 AS skipped, blocking = 1 AS blocking, died = 1 AS died,
	needs, attempt, tries, losses, replay, ready_us, run_at_us, started_us, ended_us, worker, cause, error, body`

// Filter picks units. Empty fields pick all.
type Filter struct {
	Pipeline, Step, Unit, Run, Correlation string
	// IDs are unit ids or correlation ids, whole or their beginning.
	IDs []string
	// Numbers are those of rejected records; of units they pick none out.
	Numbers []int64
	States  []State
	// Cause is the exact cause, Err a part of the error or of the cause, in any
	// case of letters, in which * stands for anything.
	Cause, Err string
	// Since and Until bound the time at which the unit left the step.
	Since, Until time.Time
	// Limit is the number of units at most; 0 is no limit.
	Limit int
	// Real leaves canaries out.
	Real bool
}

func (f *Filter) where() (string, []any) {
	var parts []string
	var args []any
	add := func(part string, values ...any) {
		parts, args = append(parts, part), append(args, values...)
	}
	for _, c := range [][2]string{{"pipeline", f.Pipeline}, {"step", f.Step}, {"unit", f.Unit}, {"run", f.Run}, {"correlation_id", f.Correlation}, {"cause", f.Cause}} {
		if c[1] != "" {
			add(c[0]+" = ?", c[1])
		}
	}
	if f.Real {
		add(noCanary)
	}
	if len(f.IDs) > 0 {
		var either []string
		for _, id := range f.IDs {
			either = append(either, "unit LIKE ? ESCAPE '\\' OR correlation_id LIKE ? ESCAPE '\\'")
			args = append(args, likePrefix(id), likePrefix(id))
		}
		parts = append(parts, "("+strings.Join(either, " OR ")+")")
	}
	if len(f.States) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(f.States)), ", ")
		parts = append(parts, "state IN ("+marks+")")
		for _, s := range f.States {
			args = append(args, string(s))
		}
	}
	if f.Err != "" {
		add("(lower(error) LIKE ? ESCAPE '\\' OR lower(cause) LIKE ? ESCAPE '\\')", likePart(f.Err), likePart(f.Err))
	}
	if !f.Since.IsZero() {
		add("ended_us >= ?", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		add("ended_us < ?", f.Until.UnixMicro())
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

// likePrefix returns the pattern of texts that begin with s.
func likePrefix(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}

// likePart is the pattern of a text that contains another one, in which * stands for
// anything.
func likePart(s string) string {
	return "%" + strings.ReplaceAll(likePrefix(strings.ToLower(s)), "*", "%")
}

// Units returns what a filter picks, in the order in which the units became
// known.
func (q *Queue) Units(ctx context.Context, f Filter) ([]Row, error) {
	where, args := f.where()
	query := "SELECT " + rowColumns + " FROM unit" + where + " ORDER BY id"
	if f.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	var rows []Row
	if err := q.db.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	return rows, nil
}

// Bodies returns what is stored of one unit in several steps, by step. Steps
// that it has not entered are not there.
func (q *Queue) Bodies(ctx context.Context, pipeline, unit string, steps []string) (map[string]Row, error) {
	rows, err := q.Units(ctx, Filter{Pipeline: pipeline, Unit: unit})
	if err != nil {
		return nil, err
	}
	found := map[string]Row{}
	for _, r := range rows {
		if slices.Contains(steps, r.Step) {
			found[r.Step] = r
		}
	}
	return found, nil
}

// Get returns one unit in a step. The error is ErrNotFound if there is none.
func (q *Queue) Get(ctx context.Context, k Key) (Row, error) {
	var r Row
	err := q.db.Get(ctx, &r, "SELECT "+rowColumns+" FROM unit WHERE pipeline = ? AND step = ? AND unit = ?", k.Pipeline, k.Step, k.Unit)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	return r, err
}

// openStates are the conditions of the indexes that finished units are not in.
var openStates = []string{"state = 'ready'", "state = 'running'", "state IN ('dead', 'quarantined')", "state = 'waiting'"}

// Depth is the units of one step in one state.
type Depth struct {
	Pipeline string `db:"pipeline"`
	Step     string `db:"step"`
	State    State  `db:"state"`
	Units    int64  `db:"units"`
	// OldestUS is when the longest waiting of them became ready, in microseconds
	// since 1970.
	OldestUS int64 `db:"oldest_us"`
}

// Depths counts the units that are not finished, and the dead letters, without
// canaries.
func (q *Queue) Depths(ctx context.Context) ([]Depth, error) {
	var all []Depth
	var parts []string
	for _, where := range openStates {
		parts = append(parts, "SELECT pipeline, step, state, count(*) AS units, min(ready_us) AS oldest_us FROM unit WHERE "+where+" AND "+noCanary+" GROUP BY pipeline, step, state")
	}
	if err := q.db.Select(ctx, &all, strings.Join(parts, " UNION ALL ")+" ORDER BY pipeline, step, state"); err != nil {
		return nil, fmt.Errorf("count units: %w", err)
	}
	return all, nil
}

// Due says what is left to do for a pipeline.
type Due struct {
	// Open counts the units that are ready or running in steps that are not
	// paused.
	Open int64 `db:"units"`
	// NextUS is when the earliest of the ready ones is due, in microseconds since
	// 1970; 0 if there is none.
	NextUS int64 `db:"next_us"`
}

// Due looks for work of a pipeline. For guarded claims the units of a step whose
// attempts fail are due when its pause is over.
func (q *Queue) Due(ctx context.Context, pipeline string, guarded bool) (Due, error) {
	var d Due
	// Each state has an index of its own, so that finished units cost nothing.
	err := q.db.Get(ctx, &d, `SELECT CAST(sum(units) AS BIGINT) AS units, COALESCE(min(next_us), 0) AS next_us FROM (
		SELECT count(*) AS units, CAST(NULL AS BIGINT) AS next_us FROM unit WHERE pipeline = ? AND state = 'running'
		UNION ALL SELECT count(*), min(CASE WHEN p.open_until_us > u.run_at_us THEN p.open_until_us ELSE u.run_at_us END)
		FROM unit u LEFT JOIN step_state p ON p.pipeline = u.pipeline AND p.step = u.step AND p.opened > 0 AND 1 = ?
		WHERE u.pipeline = ? AND u.state = 'ready' AND NOT EXISTS (SELECT 1 FROM step_state s WHERE s.pipeline = u.pipeline AND s.step = u.step AND s.paused <> '')) AS due`,
		pipeline, bit(guarded), pipeline)
	if err != nil {
		return d, fmt.Errorf("look for work of %s: %w", pipeline, err)
	}
	return d, nil
}

// Events returns what happened to the units that a filter picks by pipeline,
// step, unit, run and correlation id, oldest first.
func (q *Queue) Events(ctx context.Context, f Filter) ([]Event, error) {
	f.States, f.Cause, f.Err, f.Since, f.Until = nil, "", "", time.Time{}, time.Time{}
	where, args := f.where()
	var all []Event
	err := q.db.Select(ctx, &all, "SELECT "+eventColumns+" FROM unit_event"+where+" ORDER BY id", args...)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return all, nil
}

// Decision is what somebody does about dead letters.
type Decision struct {
	// Who and Why are kept with the event.
	Who, Why string
}

func (d Decision) detail() string {
	switch {
	case d.Who == "":
		return d.Why
	case d.Why == "":
		return "by " + d.Who
	}
	return "by " + d.Who + ": " + d.Why
}

// Replay makes a unit ready again, whatever became of it. force drops the outputs
// that are stored of it, so that the work is done again even if nothing has changed. The
// error is ErrNotFound if the unit is not there or not finished.
func (q *Queue) Replay(ctx context.Context, k Key, force bool, d Decision) error {
	return q.decide(ctx, k, d, KindReplayed, []State{Done, Quarantined, Dead, Discarded, Cancelled}, func(tx *db.Tx, _ *Row) error {
		if force {
			if _, err := tx.Exec(ctx, "DELETE FROM output WHERE pipeline = ? AND step = ? AND unit = ?", k.Pipeline, k.Step, k.Unit); err != nil {
				return err
			}
		}
		_, err := q.exec(ctx, tx, `UPDATE unit SET state = 'ready', replay = replay + 1, tries = 0, losses = 0, skipped = 0, blocking = 0, cause = '', error = '',
			ready_us = {now}, run_at_us = {now} WHERE pipeline = ? AND step = ? AND unit = ?`, k.Pipeline, k.Step, k.Unit)
		return err
	})
}

// Release lets the kept result of a quarantined unit go on. next gives what is
// stored of the unit from now on, in the place of its body and of the outputs that
// have the same body under its id and the one of also, and the units behind it. record, if not nil, writes what
// belongs to the decision in the same transaction.
func (q *Queue) Release(ctx context.Context, k Key, d Decision, next func(*Row) (body, also string, units []Offer), record func(*db.Tx) error) error {
	return q.decide(ctx, k, d, KindReleased, []State{Quarantined}, func(tx *db.Tx, r *Row) error {
		body, also, units := next(r)
		_, err := tx.Exec(ctx, "UPDATE unit SET state = 'done', blocking = 0, died = 0, cause = '', error = '', body = ? WHERE pipeline = ? AND step = ? AND unit = ?", body, k.Pipeline, k.Step, k.Unit)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE output SET body = ? WHERE pipeline = ? AND step = ? AND unit IN (?, ?) AND body = ?", body, k.Pipeline, k.Step, k.Unit, also, r.Body)
		if err == nil && record != nil {
			err = record(tx)
		}
		if err != nil {
			return err
		}
		return q.Offer(ctx, tx, units)
	})
}

// Discard gives a dead or quarantined unit up for good.
func (q *Queue) Discard(ctx context.Context, k Key, d Decision) error {
	return q.decide(ctx, k, d, Kind(Discarded), []State{Quarantined, Dead}, func(tx *db.Tx, _ *Row) error {
		_, err := tx.Exec(ctx, "UPDATE unit SET state = 'discarded', blocking = 0, died = 0 WHERE pipeline = ? AND step = ? AND unit = ?", k.Pipeline, k.Step, k.Unit)
		return err
	})
}

// decide changes one unit that is in one of the states, opens its step if it was
// what kept it closed, and writes the event.
func (q *Queue) decide(ctx context.Context, k Key, d Decision, kind Kind, from []State, fn func(*db.Tx, *Row) error) error {
	err := q.change(ctx, func(tx *db.Tx) error {
		f := Filter{Pipeline: k.Pipeline, Step: k.Step, Unit: k.Unit, States: from}
		where, args := f.where()
		var r Row
		query := "SELECT " + rowColumns + " FROM unit" + where
		if tx.Dialect().IsPostgres() {
			query += " FOR UPDATE"
		}
		err := tx.Get(ctx, &r, query, args...)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := fn(tx, &r); err != nil {
			return err
		}
		if r.Died {
			if err := q.letters(ctx, tx, k.Pipeline, k.Step, 0); err != nil {
				return err
			}
		}
		if err := q.resumeUnblocked(ctx, tx, k.Pipeline, k.Step); err != nil {
			return err
		}
		if err := q.lookAgain(ctx, tx, r.Run); err != nil {
			return err
		}
		return q.event(ctx, tx, Event{Key: k, Run: r.Run, Correlation: r.Correlation, Kind: kind, Attempt: r.Attempt, Replay: r.Replay, Detail: d.detail()})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", k, err)
	}
	return nil
}
