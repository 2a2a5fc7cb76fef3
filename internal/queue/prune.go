package queue

import (
	"context"
	"fmt"
	"time"
)

// pruneRows is how many rows one statement deletes, so that others do not wait
// for long.
const pruneRows = 500

// Prune deletes what happened before a time: events, runs that have ended, and
// records that somebody has decided about. Units stay: whether something was done
// follows from them. It returns how many rows went.
func (q *Queue) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	us := before.UnixMicro()
	for _, from := range []string{
		"unit_event WHERE id IN (SELECT id FROM unit_event WHERE at_us < ? LIMIT ?)",
		"reject WHERE id IN (SELECT id FROM reject WHERE state <> 'dead' AND at_us < ? LIMIT ?)",
		"run WHERE id IN (SELECT id FROM run WHERE state <> 'running' AND ended_us < ? LIMIT ?)",
	} {
		for {
			res, err := q.db.Exec(ctx, "DELETE FROM "+from, us, pruneRows)
			if err != nil {
				return deleted, fmt.Errorf("delete what happened long ago: %w", err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return deleted, err
			}
			if deleted += n; n < pruneRows {
				break
			}
		}
	}
	return deleted, nil
}
