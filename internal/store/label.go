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
// all steps and sides that judged it, and learns the dataset anew. Earlier answers stay on record, the last
// one counts. Without such a batch the error matches ErrNotFound, with an
// unknown label or a name that cannot be stored ErrInvalid.
func (s *Store) SetLabel(ctx context.Context, dataset, batch string, l Label, who string) error {
	switch l {
	case "", LabelReal, LabelFine, LabelFineOnce, LabelNewNormal:
	default:
		return fmt.Errorf("label %s batch %s: %w: the label %q is none of real, fine, fine-once and new-normal", dataset, batch, ErrInvalid, l)
	}
	if err := validText("author of the label", who); err != nil {
		return fmt.Errorf("label %s batch %s: %w", dataset, batch, err)
	}
	now := micros(s.now())
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		w := s.writer(tx)
		var id int64
		if err := tx.Get(ctx, &id, "UPDATE dataset SET name = name WHERE name = ? RETURNING id", dataset); err != nil {
			return notFound(err, "dataset")
		}
		var ids []int64
		err := tx.Select(ctx, &ids, `UPDATE batch SET label = ? WHERE name = ? AND superseded_us IS NULL
			AND dataset_id = (SELECT id FROM dataset WHERE name = ?) RETURNING id`, string(l), batch, dataset)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return ErrNotFound
		}
		for _, id := range ids {
			if _, err := tx.Exec(ctx, "INSERT INTO label (batch_id, label, who, labelled_us) VALUES (?, ?, ?, ?)", id, string(l), who, now); err != nil {
				return err
			}
		}
		return w.relearn(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("label %s batch %s: %w", dataset, batch, err)
	}
	return nil
}
