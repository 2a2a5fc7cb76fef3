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

const (
	// maxReplay is how many batches a state is rebuilt from at most.
	maxReplay = 1000
	// behindBase is how many batches before the last one the base of a dataset
	// stands when it is made, and farFromBase after how many more it is made anew.
	// What comes out of order mostly comes next to its place: units that are worked
	// on side by side.
	behindBase, farFromBase = 16, 48
)

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
		since, err := firstOf(ctx, tx, id, batch, micros(before))
		if err != nil {
			return err
		}
		b, err := readBase(ctx, tx, id, since)
		if err != nil {
			return err
		}
		r, err := replay(ctx, tx, id, b, micros(before), batch)
		state = r.state
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

// base is a state from which later batches are learned again: that of all batches
// up to a time. The zero value but for the time is that of none.
type base struct {
	At   int64  `db:"base_us"`
	Data []byte `db:"base"`
}

// readBase returns the base of a dataset if nothing changes at or before it, else
// an empty one.
func readBase(ctx context.Context, q querier, dataset, since int64) (base, error) {
	var b []base
	err := q.Select(ctx, &b, "SELECT base_us, base FROM learned WHERE dataset_id = ? AND base_us < ?", dataset, since)
	if err != nil || len(b) == 0 {
		return base{At: math.MinInt64}, err
	}
	return b[0], nil
}

// firstOf returns the time of the first batch of a name that counts, or at if that
// is before.
func firstOf(ctx context.Context, q querier, dataset int64, name string, at int64) (int64, error) {
	var first sql.NullInt64
	err := q.Get(ctx, &first, "SELECT min(at_us) FROM batch WHERE dataset_id = ? AND name = ? AND superseded_us IS NULL", dataset, name)
	if err == nil && first.Valid {
		at = min(at, first.Int64)
	}
	return at, err
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

// replayed is what a replay found.
type replayed struct {
	state *anomaly.State
	batch map[int64]judged // those that were learned again, by their ids
	base  *base            // a later one than it began with; nil if that is near
	known map[string]bool  // the last batches of the base it began with, and whether each was admitted there
}

// replay folds the history of a dataset onto a base and up to before a time, one
// batch left out.
func replay(ctx context.Context, q querier, dataset int64, from base, before int64, except string) (out replayed, err error) {
	state := anomaly.NewState()
	if from.Data != nil {
		switch state, err = anomaly.Decode(from.Data); {
		case errors.Is(err, anomaly.ErrFormat):
			return replay(ctx, q, dataset, base{At: math.MinInt64}, before, except)
		case err != nil:
			return out, err
		}
		out.known = state.Known()
	}
	var rows []lesson
	err = q.Select(ctx, &rows, `SELECT b.id, b.name, b.at_us, b.label, b.score, f.preset, f.ignored, f.data FROM batch b JOIN feature f ON f.batch_id = b.id
		WHERE b.dataset_id = ? AND b.at_us > ? AND b.at_us < ? AND b.superseded_us IS NULL ORDER BY b.at_us DESC, b.id DESC LIMIT ?`, dataset, from.At, before, maxReplay)
	if err != nil {
		return out, err
	}
	slices.Reverse(rows)
	last := map[string]int{} // what several steps judged counts once
	for i := range rows {
		last[rows[i].Name] = i
	}
	all, ids := map[int64]judged{}, map[string]int64{}
	cut := baseAt(rows)
	for i := range rows {
		if i > 0 && i == cut {
			out.base = &base{At: rows[i-1].At}
			if out.base.Data, err = state.Encode(); err != nil {
				return out, err
			}
		}
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
			return out, fmt.Errorf("features of batch %s: %w", r.Name, err)
		}
		d := state.Judge(f, o)
		outcome := state.Add(r.Name, f, o, d, anomaly.Label(r.Label))
		j := judged{held: !outcome.Admitted}
		if d.HasScore && r.Score == nil {
			j.score = &d.Score
		}
		ids[r.Name], all[r.ID] = r.ID, j
		for _, name := range outcome.AdmittedLater {
			if id, ok := ids[name]; ok {
				j := all[id]
				j.held = false
				all[id] = j
			}
		}
	}
	out.state, out.batch = state, all
	return out, nil
}

// baseAt returns the index of the first row behind a new base, 0 if there is to be
// none. The rows before it are older than it.
func baseAt(rows []lesson) int {
	if len(rows) <= farFromBase {
		return 0
	}
	i := len(rows) - behindBase
	for i > 0 && rows[i-1].At == rows[i].At {
		i--
	}
	return i
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
	dirty   bool           // to be learned again
	since   int64          // the time of the first batch that has changed, if it is dirty
	changed bool
	base    *base // to be written; without data it is deleted
}

func (w *writer) pupil(ctx context.Context, dataset int64) (*pupil, error) {
	if p := w.pupils[dataset]; p != nil {
		return p, nil
	}
	row, err := readLearned(ctx, w.tx, dataset)
	if err != nil {
		return nil, err
	}
	p := &pupil{row: row, since: math.MaxInt64}
	w.pupils[dataset] = p
	return p, nil
}

// learn folds a batch that was written into what is known of its dataset. A
// batch that comes out of order, or again after one of the time before, makes all
// behind it be learned again.
func (w *writer) learn(ctx context.Context, dataset, batch int64, p *prepared, before int64, again bool) error {
	l := p.lesson
	if l == nil && !again {
		return nil
	}
	s, err := w.pupil(ctx, dataset)
	if err != nil {
		return err
	}
	s.changed = true
	o := p.o
	at := micros(o.Report.At)
	if s.dirty = s.dirty || l == nil || again || at <= s.row.Last || p.labelled; s.dirty {
		first, err := firstOf(ctx, w.tx, dataset, o.Report.Batch, at)
		if err != nil {
			return err
		}
		if again {
			first = min(first, before)
		}
		s.since = min(s.since, first)
	}
	if l == nil {
		return nil
	}
	if _, err := w.tx.Exec(ctx, "INSERT INTO feature (batch_id, preset, ignored, data) VALUES (?, ?, ?, ?)", batch, o.Learning.Options.Preset.String(), l.ignored, l.features); err != nil {
		return err
	}
	if s.dirty {
		return nil
	}
	s.row.Last = at
	outcome := l.outcome
	if l.after != nil && s.decoded == nil && s.row.Version == o.Learning.Version {
		s.row.Data = l.after
	} else {
		if s.decoded == nil {
			if s.decoded, err = s.row.state(); err != nil {
				s.dirty, s.since = true, math.MinInt64
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
		if s.base == nil {
			continue
		}
		var at *int64
		if s.base.Data != nil {
			at = &s.base.At
		}
		if _, err := w.tx.Exec(ctx, "UPDATE learned SET base_us = ?, base = ? WHERE dataset_id = ?", at, s.base.Data, dataset); err != nil {
			return err
		}
	}
	clear(w.pupils)
	return nil
}

// rebuild learns a dataset anew from the first batch on that has changed, or all,
// and marks those that are held out.
func (w *writer) rebuild(ctx context.Context, dataset int64, s *pupil) error {
	from, err := readBase(ctx, w.tx, dataset, s.since)
	if err != nil {
		return err
	}
	r, err := replay(ctx, w.tx, dataset, from, math.MaxInt64, "")
	if err != nil {
		return err
	}
	s.decoded, s.row.Last = r.state, math.MinInt64
	if last, ok := r.state.LastAt(); ok {
		s.row.Last = last
	}
	switch {
	case r.base != nil:
		s.base = r.base
	case from.Data == nil:
		s.base = &base{}
	}
	if err := w.hold(ctx, dataset, &r); err != nil {
		return err
	}
	for id, j := range r.batch {
		if j.score == nil {
			continue
		}
		if _, err := w.tx.Exec(ctx, "UPDATE batch SET score = ? WHERE id = ?", *j.score, id); err != nil {
			return err
		}
	}
	return nil
}

// hold marks which batches of a replay are held out, and which of those before it
// are no longer, or again.
func (w *writer) hold(ctx context.Context, dataset int64, r *replayed) error {
	now := r.state.Known()
	for name, admitted := range r.known {
		later, ok := now[name]
		if admitted || !ok { // it cannot change any more
			continue
		}
		held := 1
		if later {
			held = 0
		}
		if _, err := w.tx.Exec(ctx, "UPDATE batch SET held = ? WHERE dataset_id = ? AND name = ? AND superseded_us IS NULL", held, dataset, name); err != nil {
			return err
		}
	}
	for _, out := range []bool{false, true} {
		var ids []any
		for id, j := range r.batch {
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
	return nil
}

func (w *writer) relearn(ctx context.Context, dataset int64) error {
	p, err := w.pupil(ctx, dataset)
	if err != nil {
		return err
	}
	p.dirty, p.changed, p.since = true, true, math.MinInt64
	return w.finishLearning(ctx)
}
