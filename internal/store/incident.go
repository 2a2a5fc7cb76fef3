package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
)

// IncidentState is what a decision about a batch looks at. It belongs to the
// function that gets it.
type IncidentState struct {
	// Current is the newest incident of the dataset, resolved or not; nil if
	// there never was one.
	Current *alert.Incident
	// Pipeline are the live incidents of other datasets of the same pipeline,
	// oldest first; none outside of pipelines.
	Pipeline []alert.Incident
}

// IncidentChange is what a decision changes: incidents to write, new ones or
// those of the state, ids of incidents to delete, and entries of the outbox. The
// zero value changes nothing.
type IncidentChange struct {
	Incidents []alert.Incident
	Forget    []string
	Notices   []alert.Notice
}

// Changed says what a change did to the outbox.
type Changed struct {
	// Stories are those that have something to tell.
	Stories []string
	// Merged are the reasons for which entries were joined with waiting ones, as
	// metrics name them.
	Merged []string
}

// IncidentQuery chooses incidents.
type IncidentQuery struct {
	// ID and Dataset are empty for all.
	ID, Dataset string
	// Open leaves out the resolved ones, Pending takes in those that wait to be
	// confirmed.
	Open, Pending bool
	// Since leaves out those that were opened before.
	Since time.Time
	// Limit bounds the number, the newest first; 0 is all.
	Limit int
}

// Incidents returns incidents, newest first by the time of opening. Of an
// unknown dataset there are none.
func (s *Store) Incidents(ctx context.Context, q IncidentQuery) ([]alert.Incident, error) {
	where := " WHERE 1 = 1"
	var args []any
	add := func(condition string, arg any) {
		where += " AND " + condition
		args = append(args, arg)
	}
	if q.ID != "" {
		add("i.id = ?", q.ID)
	}
	if q.Dataset != "" {
		add("d.name = ?", q.Dataset)
	}
	if q.Open {
		add("i.status <> ?", string(alert.Resolved))
	}
	if !q.Pending {
		add("i.status <> ?", string(alert.Pending))
	}
	if !q.Since.IsZero() {
		add("i.opened_us >= ?", micros(q.Since))
	}
	where += " ORDER BY i.opened_us DESC, i.id DESC"
	if q.Limit > 0 {
		where += " LIMIT ?"
		args = append(args, q.Limit)
	}
	incidents, err := readIncidents(ctx, s.db, where, args...)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	return incidents, nil
}

func readIncidents(ctx context.Context, q querier, where string, args ...any) ([]alert.Incident, error) {
	var bodies []string
	if err := q.Select(ctx, &bodies, "SELECT i.body FROM incident i JOIN dataset d ON d.id = i.dataset_id"+where, args...); err != nil {
		return nil, err
	}
	incidents := make([]alert.Incident, len(bodies))
	for i, b := range bodies {
		if err := json.Unmarshal([]byte(b), &incidents[i]); err != nil {
			return nil, fmt.Errorf("read incident: %w", err)
		}
	}
	return incidents, nil
}

// forUpdate ends a SELECT of incidents that will be written back. SQLite's
// transactions exclude each other anyway.
func forUpdate(tx *db.Tx) string {
	if tx.Dialect().IsPostgres() {
		return " FOR UPDATE OF i"
	}
	return ""
}

// incidentState reads and locks the incidents of a decision. A later step of
// the same run may be writing to one of them, which the lock of the dataset
// alone would not keep out.
func (w *writer) incidentState(ctx context.Context, r *checks.Report) (IncidentState, error) {
	var state IncidentState
	newest, err := readIncidents(ctx, w.tx, " WHERE i.dataset_id = ? AND i.dead_step = '' ORDER BY i.opened_us DESC, i.id DESC LIMIT 1"+forUpdate(w.tx), w.datasets[r.Dataset])
	if err != nil {
		return state, err
	}
	if len(newest) > 0 {
		state.Current = &newest[0]
	}
	if r.Origin.Run == "" {
		return state, nil
	}
	state.Pipeline, err = readIncidents(ctx, w.tx, ` WHERE i.pipeline = ? AND i.dataset_id <> ? AND i.dead_step = '' AND i.status NOT IN ('resolved', 'pending')
		ORDER BY i.opened_us, i.id`+forUpdate(w.tx), r.Origin.Pipeline, w.datasets[r.Dataset])
	return state, err
}

// change writes what was decided.
func (w *writer) change(ctx context.Context, c IncidentChange) (Changed, error) {
	var done Changed
	for i := range c.Incidents {
		if err := w.incident(ctx, &c.Incidents[i]); err != nil {
			return done, err
		}
	}
	for _, id := range c.Forget {
		if _, err := w.tx.Exec(ctx, "DELETE FROM incident WHERE id = ?", id); err != nil {
			return done, err
		}
	}
	for i := range c.Notices {
		merged, err := w.notice(ctx, &c.Notices[i])
		if err != nil {
			return done, err
		}
		if merged != "" {
			done.Merged = append(done.Merged, merged)
		}
		if !slices.Contains(done.Stories, c.Notices[i].Story) {
			done.Stories = append(done.Stories, c.Notices[i].Story)
		}
	}
	return done, nil
}

func (w *writer) incident(ctx context.Context, in *alert.Incident) error {
	for _, err := range []error{
		validName("incident", in.ID), validName("dataset of the incident", in.Dataset),
		validText("pipeline", in.Origin.Pipeline), validText("run", in.LastRun), validText("step", in.DeadStep()),
	} {
		if err != nil {
			return err
		}
	}
	switch in.Status {
	case alert.Pending, alert.Open, alert.Acknowledged, alert.Snoozed, alert.Resolved:
	default:
		return fmt.Errorf("%w: incident %s has the status %q", ErrInvalid, in.ID, in.Status)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%w: incident %s: %w", ErrInvalid, in.ID, err)
	}
	var resolved *int64
	if in.Status == alert.Resolved {
		us := micros(in.ResolvedAt)
		resolved = &us
	}
	// An incident that exists is locked by us, and its dataset must not be: its
	// recorder takes the two in the other order.
	known, err := w.tx.Exec(ctx, `UPDATE incident SET status = ?, severity = ?, updated_us = ?, resolved_us = ?, pipeline = ?, last_run = ?, body = ? WHERE id = ?`,
		string(in.Status), string(in.Severity), micros(in.UpdatedAt), resolved, in.Origin.Pipeline, in.LastRun, string(body), in.ID)
	if err != nil {
		return openTwice(in, err)
	}
	if n, err := known.RowsAffected(); n > 0 || err != nil {
		return err
	}
	dataset, err := w.dataset(ctx, in.Dataset)
	if err != nil {
		return err
	}
	_, err = w.tx.Exec(ctx, `INSERT INTO incident (id, dataset_id, status, severity, opened_us, updated_us, resolved_us, pipeline, last_run, dead_step, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		in.ID, dataset, string(in.Status), string(in.Severity), micros(in.OpenedAt), micros(in.UpdatedAt), resolved, in.Origin.Pipeline, in.LastRun, in.DeadStep(), string(body))
	return openTwice(in, err)
}

// openTwice explains the error of a second open incident.
func openTwice(in *alert.Incident, err error) error {
	if db.IsUnique(err) {
		what := "dataset " + in.Dataset
		if step := in.DeadStep(); step != "" {
			what = "step " + step + " of pipeline " + in.Origin.Pipeline
		}
		return fmt.Errorf("%w: %s has an open incident already, so %s cannot be open too: %w", ErrInvalid, what, in.ID, err)
	}
	return err
}

// ChangeIncident gives one incident to a function and writes what it returns,
// in one transaction: acknowledging, snoozing, reminding. change has the duties
// of Record's decide, and its error ends the transaction. Without such an
// incident the error matches ErrNotFound.
func (s *Store) ChangeIncident(ctx context.Context, id string, change func(alert.Incident) (IncidentChange, error)) (Changed, error) {
	var done Changed
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		in, err := lockedIncident(ctx, tx, id)
		if err != nil {
			return err
		}
		c, err := change(in)
		if err != nil {
			return err
		}
		done, err = s.writer(tx).change(ctx, c)
		return err
	})
	if err != nil {
		return Changed{}, fmt.Errorf("change incident %s: %w", id, err)
	}
	return done, nil
}

// ChangeDeadLetters gives the newest incident about dead units of a step, nil if
// there never was one, to a function and writes what it returns, in the caller's
// transaction. Those who change them take their turns, by the queue of the units.
func (s *Store) ChangeDeadLetters(ctx context.Context, tx *db.Tx, pipeline, step string, change func(*alert.Incident) IncidentChange) (Changed, error) {
	found, err := readIncidents(ctx, tx, " WHERE i.pipeline = ? AND i.dead_step = ? AND i.dead_step <> '' ORDER BY i.opened_us DESC, i.id DESC LIMIT 1"+forUpdate(tx), pipeline, step)
	if err != nil {
		return Changed{}, err
	}
	var newest *alert.Incident
	if len(found) > 0 {
		newest = &found[0]
	}
	return s.writer(tx).change(ctx, change(newest))
}

func lockedIncident(ctx context.Context, tx *db.Tx, id string) (alert.Incident, error) {
	found, err := readIncidents(ctx, tx, " WHERE i.id = ?"+forUpdate(tx), id)
	if err != nil {
		return alert.Incident{}, err
	}
	if len(found) == 0 {
		return alert.Incident{}, ErrNotFound
	}
	return found[0], nil
}
