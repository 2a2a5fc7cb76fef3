package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// Retention says how long what is kept. A zero duration keeps for ever.
type Retention struct {
	// Profiles, Metrics and Results are counted from the time of a batch's
	// data. Results also stand for resolved incidents, from their end, and for
	// sent messages, from their sending.
	Profiles, Metrics, Results time.Duration
}

// Pruned counts the rows that Prune deleted.
type Pruned struct {
	Profiles, Metrics, Results, Batches, Incidents, Messages int64
}

const (
	// pruneRows is how many rows one transaction deletes, so that recorders
	// wait for milliseconds and not for minutes.
	pruneRows = 500
	// pooled is the number of accepted batches that make the default baseline.
	// Their profiles and metrics outlive any retention: a dataset that comes
	// once a month would have no baseline otherwise.
	pooled = 28
)

// Prune deletes what is older than the retention says, seen from now or from
// the newest batch of its dataset, whichever is earlier, in short transactions. The profiles and metrics of the last 28 accepted batches of
// every dataset stay. A batch whose profile, metrics and results are all past
// their time goes too. When Prune is interrupted, the next one goes on. It
// returns what was deleted, also with an error.
func (s *Store) Prune(ctx context.Context, now time.Time, r Retention) (Pruned, error) {
	var n Pruned
	err := s.prune(ctx, now, r, &n)
	if err == nil {
		err = s.giveBack(ctx)
	}
	s.log.Info("history pruned", "profiles", n.Profiles, "metrics", n.Metrics, "results", n.Results,
		"batches", n.Batches, "incidents", n.Incidents, "messages", n.Messages)
	if err != nil {
		return n, fmt.Errorf("prune history: %w", err)
	}
	return n, nil
}

func (s *Store) prune(ctx context.Context, now time.Time, r Retention, n *Pruned) error {
	var datasets []int64
	if err := s.db.Select(ctx, &datasets, "SELECT id FROM dataset ORDER BY id"); err != nil {
		return err
	}
	for _, id := range datasets {
		if err := s.pruneDataset(ctx, id, now, r, n); err != nil {
			return err
		}
	}
	if r.Results <= 0 {
		return nil
	}
	cut := micros(now.Add(-r.Results))
	if err := s.deleteRows(ctx, &n.Incidents, `DELETE FROM incident WHERE id IN
		(SELECT id FROM incident WHERE resolved_us < ? LIMIT ?)`, cut); err != nil {
		return err
	}
	if err := s.deleteRows(ctx, &n.Messages, "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_us < ? LIMIT ?)", cut); err != nil {
		return err
	}
	var digests int64
	return s.deleteRows(ctx, &digests, "DELETE FROM digest WHERE id IN (SELECT id FROM digest WHERE opened_us < ? LIMIT ?)", cut)
}

func (s *Store) pruneDataset(ctx context.Context, dataset int64, now time.Time, r Retention, n *Pruned) error {
	var oldest []int64
	err := s.db.Select(ctx, &oldest, "SELECT b.at_us FROM batch b WHERE b.dataset_id = ? AND b.side <> 'input' AND "+accepted+
		" ORDER BY b.at_us DESC LIMIT ?", dataset, pooled)
	if err != nil {
		return err
	}
	pool := micros(now)
	if len(oldest) > 0 {
		pool = oldest[len(oldest)-1]
		// The age of a batch counts from the newest one: a history of years ago
		// that was recorded today is as young as the dataset is.
		now = time.UnixMicro(min(micros(now), oldest[0]))
	}
	cut := func(d time.Duration) int64 { return min(pool, micros(now.Add(-d))) }
	if r.Profiles > 0 {
		if err := s.deleteRows(ctx, &n.Profiles, `DELETE FROM profile WHERE batch_id IN (SELECT p.batch_id FROM batch b JOIN profile p ON p.batch_id = b.id
			WHERE b.dataset_id = ? AND b.at_us < ? LIMIT ?)`, dataset, cut(r.Profiles)); err != nil {
			return err
		}
	}
	if r.Results > 0 {
		if err := s.deleteRows(ctx, &n.Results, `DELETE FROM result WHERE (batch_id, n) IN (SELECT r.batch_id, r.n FROM batch b JOIN result r ON r.batch_id = b.id
			WHERE b.dataset_id = ? AND b.at_us < ? LIMIT ?)`, dataset, micros(now.Add(-r.Results))); err != nil {
			return err
		}
	}
	if r.Metrics > 0 {
		if err := s.deleteRows(ctx, &n.Metrics, `DELETE FROM metric WHERE (series_id, at_us, batch_id) IN (SELECT m.series_id, m.at_us, m.batch_id
			FROM series s JOIN metric m ON m.series_id = s.id WHERE s.dataset_id = ? AND m.at_us < ? LIMIT ?)`, dataset, cut(r.Metrics)); err != nil {
			return err
		}
	}
	if r.Metrics > 0 {
		var features int64
		if err := s.deleteRows(ctx, &features, `DELETE FROM feature WHERE batch_id IN (SELECT f.batch_id FROM batch b JOIN feature f ON f.batch_id = b.id
			WHERE b.dataset_id = ? AND b.at_us < ? LIMIT ?)`, dataset, cut(r.Metrics)); err != nil {
			return err
		}
	}
	if min(r.Profiles, r.Metrics, r.Results) <= 0 {
		return nil
	}
	return s.pruneBatches(ctx, dataset, cut(max(r.Profiles, r.Metrics, r.Results)), n)
}

// pruneBatches deletes batches with their labels. Rows of a batch that was
// recorded with an old time in the meantime make it stay until the next time.
func (s *Store) pruneBatches(ctx context.Context, dataset, cut int64, n *Pruned) error {
	var ids []int64
	err := s.db.Select(ctx, &ids, `SELECT b.id FROM batch b WHERE b.dataset_id = ? AND b.at_us < ?
		AND NOT EXISTS (SELECT 1 FROM profile p WHERE p.batch_id = b.id)
		AND NOT EXISTS (SELECT 1 FROM result r WHERE r.batch_id = b.id)
		AND NOT EXISTS (SELECT 1 FROM series s JOIN metric m ON m.series_id = s.id AND m.at_us = b.at_us AND m.batch_id = b.id WHERE s.dataset_id = b.dataset_id)
		ORDER BY b.at_us`, dataset, cut)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, pruneRows) {
		if err := s.deleteBatches(ctx, part, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) deleteBatches(ctx context.Context, ids []int64, n *Pruned) error {
	marks := strings.Repeat(", ?", len(ids))[2:]
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	var deleted int64
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM feature WHERE batch_id IN ("+marks+")", args...); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM label WHERE batch_id IN ("+marks+")", args...); err != nil {
			return err
		}
		res, err := tx.Exec(ctx, "DELETE FROM batch WHERE id IN ("+marks+")", args...)
		if err != nil {
			return err
		}
		deleted, err = res.RowsAffected()
		return err
	})
	if err == nil {
		n.Batches += deleted
	}
	return err
}

// deleteRows repeats a DELETE, whose last placeholder is the number of rows,
// until it finds no more.
func (s *Store) deleteRows(ctx context.Context, n *int64, query string, args ...any) error {
	for {
		res, err := s.db.Exec(ctx, query, append(slices.Clone(args), pruneRows)...)
		if err != nil {
			return err
		}
		deleted, err := res.RowsAffected()
		if err != nil {
			return err
		}
		*n += deleted
		if deleted < pruneRows {
			return nil
		}
	}
}

// vacuumPages is how many free pages of an SQLite file one statement gives
// back to the disk.
const vacuumPages = 1000

// giveBack returns the free pages of an SQLite file to the disk. Postgres does
// this by itself.
func (s *Store) giveBack(ctx context.Context) error {
	if s.db.Dialect.IsPostgres() {
		return nil
	}
	for {
		var before, after int64
		if err := s.db.Get(ctx, &before, "PRAGMA freelist_count"); err != nil || before == 0 {
			return err
		}
		if _, err := s.db.Exec(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages)); err != nil {
			return err
		}
		if err := s.db.Get(ctx, &after, "PRAGMA freelist_count"); err != nil || after >= before {
			return err
		}
	}
}
