package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// Recorded is a batch with all that was kept of it.
type Recorded struct {
	Batch
	// Profile is nil if it was never kept, or pruned.
	Profile *profile.Profile
	// Results are those of the day, in the order of the rules.
	Results []checks.Result
}

// Replay returns the batches that a query finds with their profiles and, if
// results is set, what was said about them. They are oldest first. The caller
// owns the profiles. A damaged one is an error that names its batch and matches
// profile.ErrFormat.
func (s *Store) Replay(ctx context.Context, q Query, results bool) ([]Recorded, error) {
	batches, err := s.Batches(ctx, q)
	if err != nil {
		return nil, err
	}
	out, index := make([]Recorded, len(batches)), make(map[int64]*Recorded, len(batches))
	for i, b := range batches {
		r := &out[len(out)-1-i] // oldest first
		r.Batch, index[b.ID] = b, r
	}
	if err := s.replayProfiles(ctx, q, index); err != nil {
		return nil, err
	}
	if results {
		err = s.replayResults(ctx, q, index)
	}
	return out, err
}

func (s *Store) replayProfiles(ctx context.Context, q Query, index map[int64]*Recorded) error {
	where, args := q.where()
	var rows []struct {
		ID   int64  `db:"id"`
		Data []byte `db:"data"`
	}
	err := s.db.Select(ctx, &rows, `SELECT b.id, p.data FROM dataset d JOIN batch b ON b.dataset_id = d.id JOIN profile p ON p.batch_id = b.id`+where, args...)
	if err != nil {
		return fmt.Errorf("read profiles of %s: %w", q.Dataset, err)
	}
	data := make([][]byte, len(rows))
	for i := range rows {
		if index[rows[i].ID] != nil { // else recorded since
			data[i] = rows[i].Data
		}
	}
	profiles, at, err := profile.DecodeAll(data)
	if err != nil {
		return fmt.Errorf("read profile of %s batch %s: %w", q.Dataset, index[rows[at].ID].Batch.Batch, err)
	}
	for i, p := range profiles {
		if p != nil {
			index[rows[i].ID].Profile = p
		}
	}
	return nil
}

func (s *Store) replayResults(ctx context.Context, q Query, index map[int64]*Recorded) error {
	where, args := q.where()
	var rows []struct {
		ID        int64  `db:"id"`
		Condition string `db:"condition"`
		Body      string `db:"body"`
	}
	err := s.db.Select(ctx, &rows, `SELECT b.id, r.condition, r.body FROM dataset d JOIN batch b ON b.dataset_id = d.id JOIN result r ON r.batch_id = b.id`+where+`, r.n`, args...)
	if err != nil {
		return fmt.Errorf("read results of %s: %w", q.Dataset, err)
	}
	for i := range rows {
		r := index[rows[i].ID]
		if r == nil {
			continue
		}
		res := checks.Result{Condition: rows[i].Condition}
		if err := json.Unmarshal([]byte(rows[i].Body), &res); err != nil {
			return fmt.Errorf("read results of %s batch %s: %w", q.Dataset, r.Batch.Batch, err)
		}
		r.Results = append(r.Results, res)
	}
	return nil
}
