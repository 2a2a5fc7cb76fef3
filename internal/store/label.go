package store

import (
	"context"
	"fmt"

	"github.com/profilerhq/profiler/internal/db"
)

// Label is somebody's answer to what was said about a batch.
type Label string

// The answers. The empty one takes an earlier answer back.
const (
	LabelReal      Label = "real"       // a true find: stays out of baselines
	LabelFine      Label = "fine"       // normal: part of the baselines
	LabelFineOnce  Label = "fine-once"  // an exception: stays out of baselines
	LabelNewNormal Label = "new-normal" // the beginning of a new level
)

// labelled is a label with its author and time.
type labelled struct {
	Label string `db:"label"`
	Who   string `db:"who"`
	At    int64  `db:"labelled_us"`
}

// SetLabel stores who gave which answer to a batch that is not superseded, for
// all steps and sides that judged it, and learns the dataset anew. Earlier
// answers stay on record, the last one counts. Without such a batch the error
// matches ErrNotFound, with an unknown label or a name that cannot be stored
// ErrInvalid.
func (s *Store) SetLabel(ctx context.Context, dataset, batch string, l Label, who string) error {
	return s.SetLabels(ctx, dataset, []Labelled{{batch, l, who}})
}

// Labelled is an answer about a batch.
type Labelled struct {
	Batch string
	Label Label
	Who   string
}

// SetLabels is SetLabel for many batches of a dataset, all or none.
func (s *Store) SetLabels(ctx context.Context, dataset string, all []Labelled) error {
	for _, l := range all {
		if err := l.validate(); err != nil {
			return fmt.Errorf("label %s batch %s: %w", dataset, l.Batch, err)
		}
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error { return s.setLabels(ctx, tx, dataset, all) })
	if err != nil {
		return fmt.Errorf("label %s: %w", dataset, err)
	}
	return nil
}

func (s *Store) setLabels(ctx context.Context, tx *db.Tx, dataset string, all []Labelled) error {
	w := s.writer(tx)
	var id int64
	if err := tx.Get(ctx, &id, "UPDATE dataset SET name = name WHERE name = ? RETURNING id", dataset); err != nil {
		return notFound(err, "dataset")
	}
	for _, l := range all {
		if err := w.label(ctx, id, l, micros(s.now())); err != nil {
			return fmt.Errorf("batch %s: %w", l.Batch, err)
		}
	}
	return w.relearn(ctx, id)
}

// LabelUnit gives the batches that a unit of a pipeline left at a step an answer,
// in the caller's transaction. A step that records nothing has none.
func (s *Store) LabelUnit(ctx context.Context, tx *db.Tx, pipeline, step, unit string, l Label, who string) error {
	var found []struct {
		Dataset string `db:"dataset"`
		Batch   string `db:"name"`
	}
	err := tx.Select(ctx, &found, `SELECT d.name AS dataset, b.name AS name FROM batch b JOIN dataset d ON d.id = b.dataset_id
		WHERE b.pipeline = ? AND b.step = ? AND b.unit = ? AND b.side = 'output' AND b.superseded_us IS NULL ORDER BY b.id`, pipeline, step, unit)
	if err != nil {
		return err
	}
	for _, f := range found {
		answer := Labelled{f.Batch, l, who}
		if err := answer.validate(); err != nil {
			return err
		}
		if err := s.setLabels(ctx, tx, f.Dataset, []Labelled{answer}); err != nil {
			return err
		}
	}
	return nil
}

func (l *Labelled) validate() error {
	switch l.Label {
	case "", LabelReal, LabelFine, LabelFineOnce, LabelNewNormal:
	default:
		return fmt.Errorf("%w: the label %q is none of real, fine, fine-once and new-normal", ErrInvalid, l.Label)
	}
	return validText("author of the label", l.Who)
}

func (w *writer) label(ctx context.Context, dataset int64, l Labelled, now int64) error {
	var ids []int64
	err := w.tx.Select(ctx, &ids, "UPDATE batch SET label = ? WHERE name = ? AND superseded_us IS NULL AND dataset_id = ? RETURNING id", string(l.Label), l.Batch, dataset)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return ErrNotFound
	}
	for _, id := range ids {
		if _, err := w.tx.Exec(ctx, "INSERT INTO label (batch_id, label, who, labelled_us) VALUES (?, ?, ?, ?)", id, string(l.Label), l.Who, now); err != nil {
			return err
		}
	}
	return nil
}

// LabelAuthor returns who gave the label that a batch has; empty without one.
func (s *Store) LabelAuthor(ctx context.Context, dataset, batch string) (string, error) {
	var who []string
	err := s.db.Select(ctx, &who, `SELECT l.who FROM label l JOIN batch b ON b.id = l.batch_id JOIN dataset d ON d.id = b.dataset_id
		WHERE d.name = ? AND b.name = ? AND b.superseded_us IS NULL AND b.label <> '' ORDER BY l.id DESC LIMIT 1`, dataset, batch)
	if err != nil {
		return "", fmt.Errorf("read the label of %s batch %s: %w", dataset, batch, err)
	}
	if len(who) == 0 {
		return "", nil
	}
	return who[0], nil
}
