package queue

import (
	"context"
	"fmt"
	"time"
)

// pruneRows is how many rows one statement deletes, so that others do not wait
// for long.
const pruneRows = 500

// Prune deletes what happened before a time: events, runs that have ended,
// records that somebody has decided about, and what is known of pipelines that
// nobody has served since, of which no run is left and no unit stands anywhere.
// Units stay: whether something was done follows from them. It returns how many
// rows went.
func (q *Queue) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	us := before.UnixMicro()
	for _, from := range []string{
		"unit_event WHERE id IN (SELECT id FROM unit_event WHERE at_us < ? LIMIT ?)",
		"reject WHERE id IN (SELECT id FROM reject WHERE state <> 'dead' AND at_us < ? LIMIT ?)",
		"step_stop WHERE (pipeline, step, from_us) IN (SELECT pipeline, step, from_us FROM step_stop WHERE until_us > 0 AND until_us < ? LIMIT ?)",
		"run WHERE id IN (SELECT id FROM run WHERE state <> 'running' AND ended_us < ? LIMIT ?)",
		`definition WHERE pipeline IN (SELECT pipeline FROM definition d WHERE seen_us < ? AND NOT EXISTS (SELECT 1 FROM run r WHERE r.pipeline = d.pipeline)
			AND NOT EXISTS (SELECT 1 FROM unit u WHERE u.pipeline = d.pipeline AND u.state IN ('ready', 'running', 'waiting', 'dead', 'quarantined')) LIMIT ?)`,
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
