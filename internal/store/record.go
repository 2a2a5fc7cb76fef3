package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/profile"
)

// Sides of a step. A batch outside of a pipeline has the side "".
const (
	SideInput  = "input"
	SideOutput = "output"
)

// Observation is one judged batch.
type Observation struct {
	// Profile is nil if the data could not be read; then there is a report
	// alone. Its dataset is that of the report.
	Profile *profile.Profile
	// Report names the dataset, the batch and its time, which must be set; the
	// time is stored in whole microseconds.
	Report checks.Report
	// Side is SideInput, SideOutput or "".
	Side string
	// RulesFingerprint names the rules that judged.
	RulesFingerprint string
	// Score is that of the learned decision; nil if there was none.
	Score *float64
	// Learning is what the batch teaches; nil where nothing is learned.
	Learning *Learning
	// Answer is the label that the batch comes with; nil is none.
	Answer *Labelled
	// Metrics are stored as rows beside the default set, for the series that
	// rules read. A metric without a value in the profile is left out.
	Metrics []Metric
}

// Record writes the batch, profile, metrics and results of one observation in
// one transaction. The same dataset and batch again, of the same step and
// side, supersedes the earlier one: it is kept and marked, and never is a
// baseline again. A label moves on to the new one if both have the same data.
//
// decide is called inside the transaction with the incidents that matter;
// what it returns is written with the batch, or nothing is. It must be free of
// side effects, since the transaction may be run again, and must not use the
// store. nil decides nothing. Recorders of one dataset, and of one pipeline,
// take their turns, so decide always sees what the one before it wrote.
//
// Record returns what the outbox got of it. Errors match ErrInvalid for
// observations and changes that cannot be stored.
func (s *Store) Record(ctx context.Context, o Observation, decide func(IncidentState) IncidentChange) (Changed, error) {
	record, err := s.Recorder(o, decide)
	if err != nil {
		return Changed{}, err
	}
	var done Changed
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		var err error
		done, err = record(ctx, tx)
		return err
	})
	if err != nil {
		return Changed{}, fmt.Errorf("record %s batch %s: %w", o.Report.Dataset, o.Report.Batch, err)
	}
	return done, nil
}

// Recorder is Record for a transaction of the caller's: what it returns writes the
// observation in it. It may be called again in a new transaction if one failed.
// The observation is encoded at once and may be changed afterwards.
func (s *Store) Recorder(o Observation, decide func(IncidentState) IncidentChange) (func(context.Context, *db.Tx) (Changed, error), error) {
	p, err := prepare(&o, nil)
	if err != nil {
		return nil, fmt.Errorf("record %q: %w", o.Report.Dataset, err)
	}
	first := true
	return func(ctx context.Context, tx *db.Tx) (Changed, error) {
		again := !first
		first = false
		return s.record(ctx, tx, p, again, decide)
	}, nil
}

// record is one attempt. again says that an earlier attempt may have been
// committed without our knowledge.
func (s *Store) record(ctx context.Context, tx *db.Tx, p *prepared, again bool, decide func(IncidentState) IncidentChange) (Changed, error) {
	if again {
		if done, err := committed(ctx, tx, p.token); done || err != nil {
			return Changed{}, err
		}
	}
	w := s.writer(tx)
	if decide != nil {
		if err := w.lockPipeline(ctx, &p.o.Report.Origin); err != nil {
			return Changed{}, err
		}
	}
	if err := w.observation(ctx, p); err != nil {
		return Changed{}, err
	}
	if err := w.flushMetrics(ctx); err != nil {
		return Changed{}, err
	}
	if err := w.finishLearning(ctx); err != nil {
		return Changed{}, err
	}
	if decide == nil {
		return Changed{}, nil
	}
	state, err := w.incidentState(ctx, &p.o.Report)
	if err != nil {
		return Changed{}, err
	}
	return w.change(ctx, decide(state))
}

// RecordAll writes many observations in one transaction, all or none, without
// touching incidents: the import of earlier batches. Later elements supersede
// earlier ones of the same batch.
func (s *Store) RecordAll(ctx context.Context, all []Observation) error {
	ps, err := prepareAll(all)
	if err != nil || len(ps) == 0 {
		return err
	}
	first := true
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if !first {
			if done, err := committed(ctx, tx, ps[0].token); done || err != nil {
				return err
			}
		}
		first = false
		w := s.writer(tx)
		if err := w.lockDatasets(ctx, ps); err != nil {
			return err
		}
		for _, p := range ps {
			if err := w.observation(ctx, p); err != nil {
				return fmt.Errorf("%s batch %s: %w", p.o.Report.Dataset, p.o.Report.Batch, err)
			}
		}
		if err := w.flushMetrics(ctx); err != nil {
			return err
		}
		return w.finishLearning(ctx)
	})
	if err != nil {
		return fmt.Errorf("record %d batches: %w", len(all), err)
	}
	s.analyze(ctx, len(all))
	return nil
}

// analyzeFrom is the number of imported batches from which on Postgres is told
// to look at the tables anew. Until it does so by itself, about a minute later,
// it takes them for empty and reads a series 50 times slower.
const analyzeFrom = 100

func (s *Store) analyze(ctx context.Context, imported int) {
	if imported < analyzeFrom || !s.db.Dialect.IsPostgres() {
		return
	}
	if _, err := s.db.Exec(ctx, "ANALYZE dataset, batch, profile, result, series, metric"); err != nil {
		// What was imported is safe.
		s.log.Warn("statistics of the store are out of date", "err", err)
	}
}

// committed reports whether the transaction with this token was committed.
func committed(ctx context.Context, q querier, token string) (bool, error) {
	var n int
	err := q.Get(ctx, &n, "SELECT count(*) FROM batch WHERE token = ?", token)
	return n > 0, err
}

// prepared is an observation with everything that needs no database.
type prepared struct {
	o      *Observation
	token  string // tells our own committed row from that of anybody else
	blob   []byte
	schema string
	bodies []string
	lesson *lessonOf // nil if the batch teaches nothing
	// labelled is set in the transaction if a label moved on to the batch.
	labelled bool
}

// prepareAll prepares on all processors, since encoding a profile takes longer
// than writing it. A profile that comes twice is encoded once: it may not be
// used by two goroutines.
func prepareAll(all []Observation) ([]*prepared, error) {
	ps := make([]*prepared, len(all))
	errs := make([]error, len(all))
	groups := map[*profile.Profile][]int{}
	var order []*profile.Profile
	for i := range all {
		if groups[all[i].Profile] == nil {
			order = append(order, all[i].Profile)
		}
		groups[all[i].Profile] = append(groups[all[i].Profile], i)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(order)) {
		wg.Go(func() {
			for k := next.Add(1) - 1; k < int64(len(order)); k = next.Add(1) - 1 {
				var first *prepared
				for _, i := range groups[order[k]] {
					if ps[i], errs[i] = prepare(&all[i], first); errs[i] != nil {
						errs[i] = fmt.Errorf("record %q: %w", all[i].Report.Dataset, errs[i])
						return
					}
					first = ps[i]
				}
			}
		})
	}
	wg.Wait()
	return ps, errors.Join(errs...)
}

// prepare encodes an observation. twin, if not nil, is one of the same profile.
func prepare(o *Observation, twin *prepared) (*prepared, error) {
	if err := validate(o); err != nil {
		return nil, err
	}
	p := &prepared{o: o, token: rand.Text(), bodies: make([]string, len(o.Report.Results))}
	for i := range o.Report.Results {
		b, err := json.Marshal(o.Report.Results[i])
		if err != nil {
			return nil, fmt.Errorf("%w: result %s: %w", ErrInvalid, o.Report.Results[i].ID, err)
		}
		p.bodies[i] = string(b)
	}
	if o.Profile == nil {
		return p, nil
	}
	var err error
	if p.lesson, err = prepareLesson(o); err != nil {
		return nil, err
	}
	if twin != nil {
		p.schema, p.blob = twin.schema, twin.blob
		return p, nil
	}
	p.schema = schemaHash(o.Profile.Summary())
	p.blob, err = o.Profile.Encode()
	return p, err
}

func validate(o *Observation) error {
	r := &o.Report
	for _, err := range []error{
		validName("dataset", r.Dataset), validName("batch", r.Batch),
		validText("pipeline", r.Origin.Pipeline), validText("step", r.Origin.Step), validText("run", r.Origin.Run),
		validText("unit", r.Origin.Unit), validText("correlation id", r.Origin.CorrelationID),
		validText("rules fingerprint", o.RulesFingerprint),
	} {
		if err != nil {
			return err
		}
	}
	if o.Answer != nil {
		if err := o.Answer.validate(); err != nil {
			return err
		}
	}
	switch {
	case r.At.IsZero():
		return fmt.Errorf("%w: batch %s has no time", ErrInvalid, r.Batch)
	case o.Score != nil && *o.Score-*o.Score != 0:
		return fmt.Errorf("%w: the score of batch %s is not finite", ErrInvalid, r.Batch)
	case o.Side != "" && o.Side != SideInput && o.Side != SideOutput:
		return fmt.Errorf("%w: the side %q is none of input and output", ErrInvalid, o.Side)
	case o.Profile != nil && o.Profile.Dataset != r.Dataset:
		// It could never be merged into a baseline.
		return fmt.Errorf("%w: the profile is of dataset %q and the report of %q", ErrInvalid, o.Profile.Dataset, r.Dataset)
	}
	return nil
}

// schemaHash names the columns and their types in their order.
func schemaHash(s *profile.Summary) string {
	h := sha256.New()
	for i := range s.Columns {
		// Lengths keep names with any byte in them apart.
		fmt.Fprintf(h, "%d:%s%s;", len(s.Columns[i].Name), s.Columns[i].Name, s.Columns[i].Type)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// writer holds what one transaction has looked up.
type writer struct {
	tx       *db.Tx
	s        *Store
	now      int64
	datasets map[string]int64
	series   map[int64]map[Metric]int64
	metrics  []any
	full     map[string]*sqlx.Stmt // statements that insert insertRows rows
	pupils   map[int64]*pupil      // by dataset
}

func (s *Store) writer(tx *db.Tx) *writer {
	return &writer{tx: tx, s: s, now: micros(s.now()), datasets: map[string]int64{}, series: map[int64]map[Metric]int64{}, full: map[string]*sqlx.Stmt{}, pupils: map[int64]*pupil{}}
}

// lockPipeline lets recorders of one pipeline take their turns: what a dataset
// does may fold under what another one did. SQLite's transactions take turns
// anyway.
func (w *writer) lockPipeline(ctx context.Context, o *checks.Origin) error {
	if o.Run == "" || !w.tx.Dialect().IsPostgres() {
		return nil
	}
	_, err := w.tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", "profiler pipeline "+o.Pipeline)
	return err
}

// dataset returns the id of a dataset, which it makes if need be. On Postgres
// the update holds the row until the end of the transaction, so that recorders
// of one dataset take their turns.
func (w *writer) dataset(ctx context.Context, name string) (int64, error) {
	if id, ok := w.datasets[name]; ok {
		return id, nil
	}
	var id int64
	err := w.tx.Get(ctx, &id, "INSERT INTO dataset (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id", name)
	if err != nil {
		return 0, err
	}
	w.datasets[name] = id
	return id, nil
}

// lockDatasets takes the datasets in the order of their names: two imports
// that want each other's would deadlock.
func (w *writer) lockDatasets(ctx context.Context, ps []*prepared) error {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.o.Report.Dataset
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if _, err := w.dataset(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) observation(ctx context.Context, p *prepared) error {
	dataset, err := w.dataset(ctx, p.o.Report.Dataset)
	if err != nil {
		return err
	}
	label, before, again, err := w.supersede(ctx, dataset, p)
	if err != nil {
		return err
	}
	if a := p.o.Answer; a != nil {
		label = labelled{string(a.Label), a.Who, w.now}
	}
	p.labelled = label.Label != ""
	batch, err := w.batch(ctx, dataset, p, label)
	if err != nil {
		return err
	}
	if p.blob != nil {
		if _, err := w.tx.Exec(ctx, "INSERT INTO profile (batch_id, data) VALUES (?, ?)", batch, p.blob); err != nil {
			return err
		}
		if err := w.addMetrics(ctx, dataset, batch, p.o); err != nil {
			return err
		}
	}
	if p.o.Side != SideInput {
		if err := w.learn(ctx, dataset, batch, p, before, again); err != nil {
			return err
		}
	}
	return w.results(ctx, batch, p)
}

// supersede marks the earlier one of the same batch and returns the label that
// moves on, its time, and whether there was one.
func (w *writer) supersede(ctx context.Context, dataset int64, p *prepared) (l labelled, at int64, again bool, err error) {
	r := &p.o.Report
	var old struct {
		ID    int64  `db:"id"`
		Label string `db:"label"`
		At    int64  `db:"at_us"`
	}
	err = w.tx.Get(ctx, &old, `UPDATE batch SET superseded_us = ?
		WHERE dataset_id = ? AND name = ? AND pipeline = ? AND step = ? AND side = ? AND superseded_us IS NULL
		RETURNING id, label, at_us`, w.now, dataset, r.Batch, r.Origin.Pipeline, r.Origin.Step, p.o.Side)
	if errors.Is(err, sql.ErrNoRows) {
		return labelled{}, 0, false, nil
	}
	if err != nil {
		return labelled{}, 0, false, err
	}
	w.tx.OnCommit(func() {
		w.s.log.Info("batch superseded", "dataset", r.Dataset, "batch", r.Batch, "step", r.Origin.Step)
	})
	if old.Label == "" || p.blob == nil {
		return labelled{}, old.At, true, nil
	}
	var blob []byte
	err = w.tx.Get(ctx, &blob, "SELECT data FROM profile WHERE batch_id = ?", old.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return labelled{}, old.At, true, nil
	}
	if err != nil || !sameData(blob, p.blob) {
		return labelled{}, old.At, true, err
	}
	err = w.tx.Get(ctx, &l, "SELECT label, who, labelled_us FROM label WHERE batch_id = ? ORDER BY id DESC LIMIT 1", old.ID)
	return l, old.At, true, err
}

// sameData reports whether two encoded profiles are of the same rows, wherever
// and whenever they were read. A damaged one is like no other.
func sameData(a, b []byte) bool {
	var rest [2][]byte
	for i, blob := range [][]byte{a, b} {
		p, err := profile.Decode(blob)
		if err != nil {
			return false
		}
		p.ProfiledAt, p.Source = time.Time{}, profile.Source{}
		if rest[i], err = p.Encode(); err != nil {
			return false
		}
	}
	return bytes.Equal(rest[0], rest[1])
}

func (w *writer) batch(ctx context.Context, dataset int64, p *prepared, l labelled) (int64, error) {
	r := &p.o.Report
	rows, size := r.Rows, int64(0)
	if p.o.Profile != nil {
		rows, size = p.o.Profile.Read(), p.o.Profile.Stats.Bytes
	}
	var id int64
	err := w.tx.Get(ctx, &id, `INSERT INTO batch (dataset_id, name, pipeline, step, side, run, unit, correlation_id,
		at_us, recorded_us, row_count, bytes, schema_hash, report_version, verdict, score, label, rules_fingerprint, token)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		dataset, r.Batch, r.Origin.Pipeline, r.Origin.Step, p.o.Side, r.Origin.Run, r.Origin.Unit, r.Origin.CorrelationID,
		micros(r.At), w.now, rows, size, p.schema, r.Version, r.Verdict.String(), p.o.Score, l.Label, p.o.RulesFingerprint, p.token)
	if err != nil || l.Label == "" {
		return id, err
	}
	_, err = w.tx.Exec(ctx, "INSERT INTO label (batch_id, label, who, labelled_us) VALUES (?, ?, ?, ?)", id, l.Label, l.Who, l.At)
	return id, err
}

func (w *writer) results(ctx context.Context, batch int64, p *prepared) error {
	args := make([]any, 0, 13*len(p.bodies))
	for i := range p.o.Report.Results {
		r := &p.o.Report.Results[i]
		var value *float64
		if v, ok := r.Value.Float(); ok {
			value = &v
		}
		args = append(args, batch, i, clean(r.ID), clean(r.Kind), clean(r.Column), r.Status.String(), value,
			r.WarnLimit.Lower, r.WarnLimit.Upper, r.FailLimit.Lower, r.FailLimit.Upper, r.Condition, p.bodies[i])
	}
	return w.insert(ctx, "INSERT INTO result (batch_id, n, check_id, kind, column_name, status, value, warn_lower, warn_upper, fail_lower, fail_upper, condition, body) VALUES ", "", 13, args)
}

// insertRows is how many rows one statement inserts. More are not faster.
const insertRows = 100

// insert writes rows of the given width, many with each statement.
func (w *writer) insert(ctx context.Context, into, tail string, width int, args []any) error {
	for len(args) > 0 {
		n := min(insertRows*width, len(args))
		var err error
		if n == insertRows*width {
			err = w.insertFull(ctx, into, tail, width, args[:n])
		} else {
			_, err = w.tx.Exec(ctx, into+values(n/width, width)+tail, args[:n]...)
		}
		if err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

// insertFull spares the database the parsing of a long statement each time.
func (w *writer) insertFull(ctx context.Context, into, tail string, width int, args []any) error {
	stmt := w.full[into]
	if stmt == nil {
		var err error
		if stmt, err = w.tx.Prepare(ctx, into+values(insertRows, width)+tail); err != nil {
			return err
		}
		w.full[into] = stmt
	}
	_, err := stmt.ExecContext(ctx, args...)
	return w.s.db.Explain(err)
}

func values(rows, width int) string {
	row := ", (?" + strings.Repeat(", ?", width-1) + ")"
	return strings.Repeat(row, rows)[2:]
}
