package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/profile"
)

// accepted is the condition on batch b under which it may be a baseline.
const accepted = "b.superseded_us IS NULL AND b.verdict <> 'error' AND b.label NOT IN ('real', 'fine-once') AND b.held = 0"

// Batch is what the store knows of a batch beside its profile and results.
type Batch struct {
	Dataset string
	Batch   string
	// Origin is the place in a pipeline; Side is SideInput, SideOutput or "".
	Origin checks.Origin
	Side   string
	// At is the time of the data in UTC, in whole microseconds; RecordedAt is
	// when it was written.
	At, RecordedAt time.Time
	// SupersededAt is when the same batch was recorded again; zero if it was
	// not.
	SupersededAt time.Time
	Rows         int64
	Bytes        int64
	// SchemaHash is equal for batches whose columns have the same names, types
	// and order; empty without a profile.
	SchemaHash       string
	Verdict          checks.Status
	Score            *float64
	Label            Label
	RulesFingerprint string
	// Accepted says that the batch may be part of a baseline: not superseded,
	// not ended in error, not labelled real or fine-once, not held out by the
	// learned decision.
	Accepted bool

	// ID grows with each recorded batch. On Postgres a smaller one may become
	// visible after a greater one.
	ID      int64
	version int
}

// Query chooses batches of one dataset. Without All only accepted ones are
// found (see Batch.Accepted).
type Query struct {
	Dataset string
	// Before finds batches strictly before a time, Since those at or after one;
	// the zero times are no bounds. Both are compared in whole microseconds.
	Before, Since time.Time
	// Batch finds the batch of this name alone; Except passes over one, such as
	// the batch that is about to be recorded again. Empty ones do nothing.
	Batch, Except string
	// Input finds batches that were read as the input of a step instead of all
	// others.
	Input bool
	// Limit bounds the number of batches, the newest first; 0 is all.
	Limit int
	// All finds superseded batches and those that are not accepted, too.
	All bool
}

// where returns the end of a statement over batch b and dataset d.
func (q *Query) where() (string, []any) {
	var b strings.Builder
	b.WriteString(" WHERE d.name = ? AND b.side")
	args := []any{q.Dataset}
	if q.Input {
		b.WriteString(" = 'input'")
	} else {
		b.WriteString(" <> 'input'")
	}
	add := func(condition string, arg any) {
		b.WriteString(" AND " + condition)
		args = append(args, arg)
	}
	if !q.Before.IsZero() {
		add("b.at_us < ?", micros(q.Before))
	}
	if !q.Since.IsZero() {
		add("b.at_us >= ?", micros(q.Since))
	}
	if q.Batch != "" {
		add("b.name = ?", q.Batch)
	}
	if q.Except != "" {
		add("b.name <> ?", q.Except)
	}
	if !q.All {
		b.WriteString(" AND " + accepted)
	}
	b.WriteString(" ORDER BY b.at_us DESC, b.id DESC")
	if q.Limit > 0 {
		b.WriteString(" LIMIT ?")
		args = append(args, q.Limit)
	}
	return b.String(), args
}

// batchRow is a row of the table batch with the name of its dataset.
type batchRow struct {
	ID               int64    `db:"id"`
	Dataset          string   `db:"dataset"`
	Name             string   `db:"name"`
	Pipeline         string   `db:"pipeline"`
	Step             string   `db:"step"`
	Side             string   `db:"side"`
	Run              string   `db:"run"`
	Unit             string   `db:"unit"`
	CorrelationID    string   `db:"correlation_id"`
	At               int64    `db:"at_us"`
	Recorded         int64    `db:"recorded_us"`
	Superseded       *int64   `db:"superseded_us"`
	Rows             int64    `db:"row_count"`
	Bytes            int64    `db:"bytes"`
	SchemaHash       string   `db:"schema_hash"`
	Version          int      `db:"report_version"`
	Verdict          string   `db:"verdict"`
	Score            *float64 `db:"score"`
	Label            string   `db:"label"`
	RulesFingerprint string   `db:"rules_fingerprint"`
	Accepted         bool     `db:"accepted"`
}

const selectBatch = `SELECT b.id, d.name AS dataset, b.name, b.pipeline, b.step, b.side, b.run, b.unit, b.correlation_id, b.at_us, b.recorded_us,
	b.superseded_us, b.row_count, b.bytes, b.schema_hash, b.report_version, b.verdict, b.score, b.label, b.rules_fingerprint,
	(` + accepted + `) AS accepted FROM dataset d JOIN batch b ON b.dataset_id = d.id`

func (r *batchRow) batch() (Batch, error) {
	b := Batch{
		Dataset: r.Dataset, Batch: r.Name, Side: r.Side,
		Origin: checks.Origin{Pipeline: r.Pipeline, Step: r.Step, Run: r.Run, Unit: r.Unit, CorrelationID: r.CorrelationID},
		At:     fromMicros(r.At), RecordedAt: fromMicros(r.Recorded), Rows: r.Rows, Bytes: r.Bytes, SchemaHash: r.SchemaHash,
		Score: r.Score, Label: Label(r.Label), RulesFingerprint: r.RulesFingerprint, Accepted: r.Accepted,
		ID: r.ID, version: r.Version,
	}
	if r.Superseded != nil {
		b.SupersededAt = fromMicros(*r.Superseded)
	}
	if err := b.Verdict.UnmarshalText([]byte(r.Verdict)); err != nil {
		return b, fmt.Errorf("read batch %s of %s: %w", r.Name, r.Dataset, err)
	}
	return b, nil
}

func readBatches(ctx context.Context, q querier, where string, args ...any) ([]Batch, error) {
	var rows []batchRow
	if err := q.Select(ctx, &rows, selectBatch+where, args...); err != nil {
		return nil, err
	}
	batches := make([]Batch, len(rows))
	for i := range rows {
		var err error
		if batches[i], err = rows[i].batch(); err != nil {
			return nil, err
		}
	}
	return batches, nil
}

// Batches returns the batches that a query finds, newest first by the time of
// their data; of batches of one moment the one recorded last comes first. An
// unknown dataset has none.
func (s *Store) Batches(ctx context.Context, q Query) ([]Batch, error) {
	where, args := q.where()
	batches, err := readBatches(ctx, s.db, where, args...)
	if err != nil {
		return nil, fmt.Errorf("read batches of %s: %w", q.Dataset, err)
	}
	return batches, nil
}

// Profiles returns the profiles of the batches that a query finds, newest
// first. Batches without a profile, such as those whose profile was pruned, are
// passed over and count for no Limit. The caller owns the profiles. A damaged
// one is an error that names its batch and matches profile.ErrFormat.
func (s *Store) Profiles(ctx context.Context, q Query) ([]*profile.Profile, error) {
	where, args := q.where()
	var rows []struct {
		Name string `db:"name"`
		Data []byte `db:"data"`
	}
	err := s.db.Select(ctx, &rows, `SELECT b.name, p.data FROM dataset d JOIN batch b ON b.dataset_id = d.id JOIN profile p ON p.batch_id = b.id`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read profiles of %s: %w", q.Dataset, err)
	}
	profiles := make([]*profile.Profile, len(rows))
	for i := range rows {
		if profiles[i], err = profile.Decode(rows[i].Data); err != nil {
			return nil, fmt.Errorf("read profile of %s batch %s: %w", q.Dataset, rows[i].Name, err)
		}
		rows[i].Data = nil
	}
	return profiles, nil
}

// LastID returns the ID of the batch recorded last, 0 if there is none.
func (s *Store) LastID(ctx context.Context) (int64, error) {
	var id int64
	if err := s.db.Get(ctx, &id, "SELECT coalesce(max(id), 0) FROM batch"); err != nil {
		return 0, fmt.Errorf("read history: %w", err)
	}
	return id, nil
}

// Recorded returns up to limit batches whose ID is above after, superseded ones
// too but no inputs of steps, in the order of ID.
func (s *Store) Recorded(ctx context.Context, after int64, limit int) ([]Batch, error) {
	batches, err := readBatches(ctx, s.db, " WHERE b.id > ? AND b.side <> 'input' ORDER BY b.id LIMIT ?", after, limit)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return batches, nil
}

// Newest returns the newest batch of each dataset by the time of its data,
// among those whose ID is at most upTo.
func (s *Store) Newest(ctx context.Context, upTo int64) ([]Batch, error) {
	batches, err := readBatches(ctx, s.db, ` WHERE b.id = (SELECT x.id FROM batch x WHERE x.dataset_id = d.id AND x.superseded_us IS NULL
		AND x.side <> 'input' AND x.id <= ? ORDER BY x.at_us DESC, x.id DESC LIMIT 1)`, upTo)
	if err != nil {
		return nil, fmt.Errorf("read datasets: %w", err)
	}
	return batches, nil
}

// Names returns the datasets that have a batch which is not superseded and no
// step's input, in any order.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	var names []string
	err := s.db.Select(ctx, &names, `SELECT d.name FROM dataset d WHERE EXISTS (SELECT 1 FROM batch b
		WHERE b.dataset_id = d.id AND b.superseded_us IS NULL AND b.side <> 'input')`)
	if err != nil {
		return nil, fmt.Errorf("read datasets: %w", err)
	}
	return names, nil
}

// Load returns the profile and the report of a batch as it was recorded. The
// profile is nil if the batch never had one or if it was pruned.
func (s *Store) Load(ctx context.Context, b Batch) (*profile.Profile, checks.Report, error) {
	var p *profile.Profile
	var report checks.Report
	err := s.db.ReadTx(ctx, func(tx *db.Tx) (err error) {
		p, report, err = load(ctx, tx, &b)
		return err
	})
	if err != nil {
		return nil, checks.Report{}, fmt.Errorf("%s batch %s: %w", b.Dataset, b.Batch, err)
	}
	return p, report, nil
}

func load(ctx context.Context, q querier, b *Batch) (*profile.Profile, checks.Report, error) {
	report, err := readReport(ctx, q, b)
	if err != nil {
		return nil, report, err
	}
	var blob []byte
	err = notFound(q.Get(ctx, &blob, "SELECT data FROM profile WHERE batch_id = ?", b.ID), "profile")
	if errors.Is(err, ErrNotFound) {
		return nil, report, nil
	}
	if err != nil {
		return nil, report, err
	}
	p, err := profile.Decode(blob)
	return p, report, err
}

// Get returns the profile and the report of a batch that is not superseded.
// The profile is nil if the batch never had one or if it was pruned. A batch
// that several steps have judged is that of the output recorded last. Without
// such a batch the error matches ErrNotFound.
func (s *Store) Get(ctx context.Context, dataset, batch string) (*profile.Profile, checks.Report, error) {
	var p *profile.Profile
	var report checks.Report
	err := s.db.ReadTx(ctx, func(tx *db.Tx) error {
		p = nil
		found, err := readBatches(ctx, tx, ` WHERE d.name = ? AND b.name = ? AND b.superseded_us IS NULL
			ORDER BY CASE b.side WHEN 'input' THEN 1 ELSE 0 END, b.recorded_us DESC, b.id DESC LIMIT 1`, dataset, batch)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		p, report, err = load(ctx, tx, &found[0])
		return err
	})
	if err != nil {
		return nil, checks.Report{}, fmt.Errorf("%s batch %s: %w", dataset, batch, err)
	}
	return p, report, nil
}

func readReport(ctx context.Context, q querier, b *Batch) (checks.Report, error) {
	report := checks.Report{
		Version: b.version, Dataset: b.Dataset, Batch: b.Batch, At: b.At, Verdict: b.Verdict, Rows: b.Rows,
		Results: []checks.Result{}, Origin: b.Origin,
	}
	var rows []struct {
		Body      string   `db:"body"`
		WarnLower *float64 `db:"warn_lower"`
		WarnUpper *float64 `db:"warn_upper"`
		FailLower *float64 `db:"fail_lower"`
		FailUpper *float64 `db:"fail_upper"`
	}
	err := q.Select(ctx, &rows, "SELECT body, warn_lower, warn_upper, fail_lower, fail_upper FROM result WHERE batch_id = ? ORDER BY n", b.ID)
	if err != nil {
		return report, err
	}
	for i := range rows {
		r := checks.Result{WarnLimit: checks.Zone{Lower: rows[i].WarnLower, Upper: rows[i].WarnUpper}, FailLimit: checks.Zone{Lower: rows[i].FailLower, Upper: rows[i].FailUpper}}
		if err := json.Unmarshal([]byte(rows[i].Body), &r); err != nil {
			return report, fmt.Errorf("read result: %w", err)
		}
		report.Results = append(report.Results, r)
	}
	return report, nil
}

// Entry is a line of the history, in the form of the contract.
type Entry struct {
	Dataset    string        `json:"dataset"`
	Batch      string        `json:"batch"`
	At         time.Time     `json:"at"`
	Rows       int64         `json:"rows"`
	Verdict    checks.Status `json:"verdict"`
	Score      *float64      `json:"score"`
	Label      *Label        `json:"label"` // null without one
	RecordedAt time.Time     `json:"recorded_at"`
}

// HistoryQuery chooses lines of the history.
type HistoryQuery struct {
	// Dataset is empty for all datasets.
	Dataset string
	// From is the first time, To the first one that is no longer wanted; the
	// zero times are no bounds.
	From, To time.Time
	// All also finds superseded batches and inputs of steps.
	All bool
}

// where returns the condition over batch b and dataset d.
func (q *HistoryQuery) where() (string, []any) {
	where := " WHERE 1 = 1"
	var args []any
	add := func(condition string, arg any) {
		where += " AND " + condition
		args = append(args, arg)
	}
	if q.Dataset != "" {
		add("d.name = ?", q.Dataset)
	}
	if !q.From.IsZero() {
		add("b.at_us >= ?", micros(q.From))
	}
	if !q.To.IsZero() {
		add("b.at_us < ?", micros(q.To))
	}
	if !q.All {
		where += " AND b.superseded_us IS NULL AND b.side <> 'input'"
	}
	return where, args
}

// History returns the history, oldest first by the time of the data.
func (s *Store) History(ctx context.Context, q HistoryQuery) ([]Entry, error) {
	where, args := q.where()
	batches, err := readBatches(ctx, s.db, where+" ORDER BY b.at_us, b.id", args...)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	entries := make([]Entry, len(batches))
	for i := range batches {
		b := &batches[i]
		entries[i] = Entry{Dataset: b.Dataset, Batch: b.Batch, At: b.At, Rows: b.Rows, Verdict: b.Verdict, Score: b.Score, RecordedAt: b.RecordedAt}
		if b.Label != "" {
			entries[i].Label = &b.Label
		}
	}
	return entries, nil
}

// DatasetInfo is a dataset with its newest batch.
type DatasetInfo struct {
	Dataset string
	// Batch, At, Rows and Verdict are those of the newest batch that is not
	// superseded and no step's input; Batch is empty if there is none.
	Batch   string
	At      time.Time
	Rows    int64
	Verdict checks.Status
	// Batches counts the batches that are not superseded.
	Batches int
}

// Datasets returns all datasets, sorted by name.
func (s *Store) Datasets(ctx context.Context) ([]DatasetInfo, error) {
	var rows []struct {
		Dataset string  `db:"dataset"`
		Batch   *string `db:"name"`
		At      *int64  `db:"at_us"`
		Rows    *int64  `db:"row_count"`
		Verdict *string `db:"verdict"`
		Batches int     `db:"batches"`
	}
	err := s.db.Select(ctx, &rows, `SELECT d.name AS dataset, b.name, b.at_us, b.row_count, b.verdict,
		(SELECT count(*) FROM batch y WHERE y.dataset_id = d.id AND y.superseded_us IS NULL AND y.side <> 'input') AS batches
		FROM dataset d LEFT JOIN batch b ON b.id = (SELECT x.id FROM batch x WHERE x.dataset_id = d.id AND x.superseded_us IS NULL
			AND x.side <> 'input' ORDER BY x.at_us DESC, x.id DESC LIMIT 1)`)
	if err != nil {
		return nil, fmt.Errorf("read datasets: %w", err)
	}
	infos := make([]DatasetInfo, len(rows))
	for i, r := range rows {
		infos[i] = DatasetInfo{Dataset: r.Dataset, Batches: r.Batches}
		if r.Batch == nil {
			continue
		}
		infos[i].Batch, infos[i].At, infos[i].Rows = *r.Batch, fromMicros(*r.At), *r.Rows
		if err := infos[i].Verdict.UnmarshalText([]byte(*r.Verdict)); err != nil {
			return nil, fmt.Errorf("read batch %s of %s: %w", *r.Batch, r.Dataset, err)
		}
	}
	// Not by the database, whose order depends on its locale.
	slices.SortFunc(infos, func(a, b DatasetInfo) int { return strings.Compare(a.Dataset, b.Dataset) })
	return infos, nil
}

// ResultValues returns the values of a check on the accepted batches strictly
// before a time, newest first, with the methods of drift checks, "" for others.
// Batches of the given name, and those that it did not judge, are passed over.
func (s *Store) ResultValues(ctx context.Context, dataset, check, except string, before time.Time, limit int) (values []float64, methods []string, err error) {
	var rows []struct {
		Value float64 `db:"value"`
		Body  string  `db:"body"`
	}
	err = s.db.Select(ctx, &rows, `SELECT r.value, r.body FROM dataset d JOIN batch b ON b.dataset_id = d.id JOIN result r ON r.batch_id = b.id
		WHERE d.name = ? AND b.name <> ? AND b.at_us < ? AND b.side <> 'input' AND r.check_id = ? AND r.value IS NOT NULL AND r.status NOT IN ('error', 'learning') AND `+accepted+`
		ORDER BY b.at_us DESC, b.id DESC LIMIT ?`, clean(dataset), except, micros(before), clean(check), limit)
	if err != nil {
		return nil, nil, fmt.Errorf("read results of %s in %s: %w", check, dataset, err)
	}
	for i := range rows {
		var body struct {
			Method string `json:"method"`
		}
		if err := json.Unmarshal([]byte(rows[i].Body), &body); err != nil {
			return nil, nil, fmt.Errorf("read result: %w", err)
		}
		values, methods = append(values, rows[i].Value), append(methods, body.Method)
	}
	return values, methods, nil
}
