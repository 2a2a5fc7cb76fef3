package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/profile"
)

// Learning is what a batch teaches. The store folds it into the state of the
// dataset in the transaction that records the batch.
type Learning struct {
	Features *anomaly.Features
	Options  anomaly.Options
	// Before is the state that judged the batch, of Version, and Decision what it
	// said. Without it, and where the history went on in between, the batch is
	// judged again. Record changes the state.
	Before   *anomaly.State
	Version  int64
	Decision anomaly.Decision
}

// maxReplay is how many batches a state is rebuilt from at most.
const maxReplay = 1000

// Learned returns what was learned of a dataset from batches strictly before a
// time, the named one left out, and the version of the history. The caller owns
// the state. An unknown dataset has an empty one.
func (s *Store) Learned(ctx context.Context, dataset, batch string, before time.Time) (*anomaly.State, int64, error) {
	var state *anomaly.State
	var version int64
	err := s.db.ReadTx(ctx, func(tx *db.Tx) error {
		var id int64
		err := tx.Get(ctx, &id, "SELECT id FROM dataset WHERE name = ?", dataset)
		if errors.Is(err, sql.ErrNoRows) {
			state = anomaly.NewState()
			return nil
		}
		if err != nil {
			return err
		}
		kept, err := readLearned(ctx, tx, id)
		if err != nil {
			return err
		}
		version = kept.Version
		var again int
		if err := tx.Get(ctx, &again, "SELECT count(*) FROM batch b JOIN feature f ON f.batch_id = b.id WHERE b.dataset_id = ? AND b.name = ? AND b.superseded_us IS NULL", id, batch); err != nil {
			return err
		}
		if again == 0 && kept.Last < micros(before) {
			if state, err = kept.state(); err == nil {
				return nil
			}
		}
		state, _, err = replay(ctx, tx, id, micros(before), batch)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read what was learned of %s: %w", dataset, err)
	}
	return state, version, nil
}

// learnedRow is the cached state of a dataset.
type learnedRow struct {
	Version int64  `db:"version"`
	Last    int64  `db:"last_us"`
	Data    []byte `db:"data"`
}

func readLearned(ctx context.Context, q querier, dataset int64) (learnedRow, error) {
	row := learnedRow{Last: math.MinInt64}
	err := q.Get(ctx, &row, "SELECT version, last_us, data FROM learned WHERE dataset_id = ?", dataset)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return row, err
}

// state decodes the cached state; one of another version is an error that
// matches anomaly.ErrFormat.
func (r *learnedRow) state() (*anomaly.State, error) {
	if r.Version == 0 {
		return anomaly.NewState(), nil
	}
	return anomaly.Decode(r.Data)
}

// lesson is a recorded batch with features.
type lesson struct {
	ID      int64    `db:"id"`
	Name    string   `db:"name"`
	At      int64    `db:"at_us"`
	Label   string   `db:"label"`
	Score   *float64 `db:"score"`
	Preset  string   `db:"preset"`
	Ignored string   `db:"ignored"`
	Data    []byte   `db:"data"`
}

// judged is what a replay says of a batch.
type judged struct {
	held  bool
	score *float64 // nil if there is none, or one is stored already
}

// replay folds the history of a dataset before a time, one batch left out. It
// returns what it says of each batch by its id.
func replay(ctx context.Context, q querier, dataset, before int64, except string) (*anomaly.State, map[int64]judged, error) {
	var rows []lesson
	err := q.Select(ctx, &rows, `SELECT b.id, b.name, b.at_us, b.label, b.score, f.preset, f.ignored, f.data FROM batch b JOIN feature f ON f.batch_id = b.id
		WHERE b.dataset_id = ? AND b.at_us < ? AND b.superseded_us IS NULL ORDER BY b.at_us DESC, b.id DESC LIMIT ?`, dataset, before, maxReplay)
	if err != nil {
		return nil, nil, err
	}
	slices.Reverse(rows)
	last := map[string]int{} // what several steps judged counts once
	for i := range rows {
		last[rows[i].Name] = i
	}
	state, all, ids := anomaly.NewState(), map[int64]judged{}, map[string]int64{}
	for i := range rows {
		r := &rows[i]
		if r.Name == except || last[r.Name] != i {
			continue
		}
		f, o, err := r.read()
		if errors.Is(err, anomaly.ErrFormat) {
			if f, err = extractAgain(ctx, q, r); f == nil && err == nil {
				continue // neither features of this version nor a profile are kept
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("features of batch %s: %w", r.Name, err)
		}
		d := state.Judge(f, o)
		out := state.Add(r.Name, f, o, d, anomaly.Label(r.Label))
		j := judged{held: !out.Admitted}
		if d.HasScore && r.Score == nil {
			j.score = &d.Score
		}
		ids[r.Name], all[r.ID] = r.ID, j
		for _, name := range out.AdmittedLater {
			j := all[ids[name]]
			j.held = false
			all[ids[name]] = j
		}
	}
	return state, all, nil
}

// extractAgain takes the features of a batch from its stored profile; nil if that
// is no longer kept.
func extractAgain(ctx context.Context, q querier, r *lesson) (*anomaly.Features, error) {
	var data []byte
	err := q.Get(ctx, &data, "SELECT data FROM profile WHERE batch_id = ?", r.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := profile.Decode(data)
	if err != nil {
		return nil, err
	}
	return anomaly.Extract(p, fromMicros(r.At)), nil
}

func (r *lesson) read() (*anomaly.Features, anomaly.Options, error) {
	var o anomaly.Options
	o.Preset, _ = anomaly.ParsePreset(r.Preset)
	if err := json.Unmarshal([]byte(r.Ignored), &o.Ignore); err != nil {
		return nil, o, err
	}
	f, err := anomaly.DecodeFeatures(r.Data)
	return f, o, err
}

// lessonOf encodes what a batch teaches, and what the state is afterwards if the
// history did not go on in between.
type lessonOf struct {
	features []byte
	ignored  string
	after    []byte // nil if the state before is not known
	outcome  anomaly.Outcome
}

func prepareLesson(o *Observation) (*lessonOf, error) {
	l := o.Learning
	if l == nil || l.Features == nil {
		return nil, nil
	}
	features, err := l.Features.Encode()
	if err != nil {
		return nil, err
	}
	ignored, err := json.Marshal(append([]string{}, l.Options.Ignore...))
	if err != nil {
		return nil, err
	}
	out := &lessonOf{features: features, ignored: string(ignored)}
	if l.Before != nil {
		out.outcome = l.Before.Add(o.Report.Batch, l.Features, l.Options, l.Decision, anomaly.NoLabel)
		if out.after, err = l.Before.Encode(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pupil is what a transaction knows of the learned state of a dataset.
type pupil struct {
	row     learnedRow
	decoded *anomaly.State // nil until somebody needs it
	dirty   bool           // to be rebuilt from all batches
	changed bool
}

func (w *writer) pupil(ctx context.Context, dataset int64) (*pupil, error) {
	if p := w.pupils[dataset]; p != nil {
		return p, nil
	}
	row, err := readLearned(ctx, w.tx, dataset)
	if err != nil {
		return nil, err
	}
	p := &pupil{row: row}
	w.pupils[dataset] = p
	return p, nil
}

// learn folds a batch that was written into what is known of its dataset. A
// batch that comes out of order, or again, makes the whole be rebuilt.
func (w *writer) learn(ctx context.Context, dataset, batch int64, p *prepared, again bool) error {
	l := p.lesson
	if l == nil && !again {
		return nil
	}
	s, err := w.pupil(ctx, dataset)
	if err != nil {
		return err
	}
	s.changed = true
	if l == nil {
		s.dirty = true
		return nil
	}
	o := p.o
	if _, err := w.tx.Exec(ctx, "INSERT INTO feature (batch_id, preset, ignored, data) VALUES (?, ?, ?, ?)", batch, o.Learning.Options.Preset.String(), l.ignored, l.features); err != nil {
		return err
	}
	at := micros(o.Report.At)
	if s.dirty = s.dirty || again || at <= s.row.Last || p.labelled; s.dirty {
		return nil
	}
	s.row.Last = at
	outcome := l.outcome
	if l.after != nil && s.decoded == nil && s.row.Version == o.Learning.Version {
		s.row.Data = l.after
	} else {
		if s.decoded == nil {
			if s.decoded, err = s.row.state(); err != nil {
				s.dirty = true
				return nil
			}
		}
		d := s.decoded.Judge(o.Learning.Features, o.Learning.Options)
		outcome = s.decoded.Add(o.Report.Batch, o.Learning.Features, o.Learning.Options, d, anomaly.NoLabel)
		if o.Score == nil && d.HasScore {
			if _, err := w.tx.Exec(ctx, "UPDATE batch SET score = ? WHERE id = ?", d.Score, batch); err != nil {
				return err
			}
		}
	}
	if !outcome.Admitted {
		if _, err := w.tx.Exec(ctx, "UPDATE batch SET held = 1 WHERE id = ?", batch); err != nil {
			return err
		}
	}
	for _, name := range outcome.AdmittedLater {
		if _, err := w.tx.Exec(ctx, "UPDATE batch SET held = 0 WHERE dataset_id = ? AND name = ?", dataset, name); err != nil {
			return err
		}
	}
	return nil
}

// finishLearning writes the states that changed.
func (w *writer) finishLearning(ctx context.Context) error {
	for dataset, s := range w.pupils {
		if !s.changed {
			continue
		}
		if s.dirty {
			if err := w.rebuild(ctx, dataset, s); err != nil {
				return err
			}
		}
		if s.decoded != nil {
			var err error
			if s.row.Data, err = s.decoded.Encode(); err != nil {
				return err
			}
		}
		if _, err := w.tx.Exec(ctx, `INSERT INTO learned (dataset_id, version, last_us, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (dataset_id) DO UPDATE SET version = excluded.version, last_us = excluded.last_us, data = excluded.data`,
			dataset, s.row.Version+1, s.row.Last, s.row.Data); err != nil {
			return err
		}
	}
	clear(w.pupils)
	return nil
}

// rebuild learns a dataset anew from all its batches and marks those that are
// held out.
func (w *writer) rebuild(ctx context.Context, dataset int64, s *pupil) error {
	state, all, err := replay(ctx, w.tx, dataset, math.MaxInt64, "")
	if err != nil {
		return err
	}
	s.decoded, s.row.Last = state, math.MinInt64
	if last, ok := state.LastAt(); ok {
		s.row.Last = last
	}
	for _, out := range []bool{false, true} {
		var ids []any
		for id, j := range all {
			if j.held == out {
				ids = append(ids, id)
			}
		}
		value := 0
		if out {
			value = 1
		}
		for part := range slices.Chunk(ids, pruneRows) {
			marks := strings.Repeat(", ?", len(part))[2:]
			if _, err := w.tx.Exec(ctx, "UPDATE batch SET held = ? WHERE id IN ("+marks+")", append([]any{value}, part...)...); err != nil {
				return err
			}
		}
	}
	for id, j := range all {
		if j.score == nil {
			continue
		}
		if _, err := w.tx.Exec(ctx, "UPDATE batch SET score = ? WHERE id = ?", *j.score, id); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) relearn(ctx context.Context, dataset int64) error {
	p, err := w.pupil(ctx, dataset)
	if err != nil {
		return err
	}
	p.dirty, p.changed = true, true
	return w.finishLearning(ctx)
}
