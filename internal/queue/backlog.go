package queue

import (
	"context"
	"fmt"
	"time"
)

// Backlog is what stands in front of a step and is due.
type Backlog struct {
	// Units is counted up to the limit that was asked for.
	Units int
	// Oldest is how long the oldest of the counted units has been ready.
	Oldest time.Duration
}

// Backlog counts the units that a worker of a step could take now, up to a limit,
// so that a long queue costs no more than a short one.
func (q *Queue) Backlog(ctx context.Context, pipeline, step string, limit int) (Backlog, error) {
	var b struct {
		Units    int   `db:"units"`
		OldestUS int64 `db:"oldest_us"`
	}
	err := q.get(ctx, q.db, &b, `SELECT count(*) AS units, CASE WHEN count(*) = 0 THEN 0 ELSE {now} - min(ready_us) END AS oldest_us
		FROM (SELECT ready_us FROM unit WHERE pipeline = ? AND step = ? AND state = 'ready' AND run_at_us <= {now}
			ORDER BY priority DESC, run_at_us, id LIMIT ?) AS due`, pipeline, step, limit)
	if err != nil {
		return Backlog{}, fmt.Errorf("count units of %s/%s: %w", pipeline, step, err)
	}
	return Backlog{b.Units, time.Duration(max(0, b.OldestUS)) * time.Microsecond}, nil
}

// Ready counts the units that stand ready in front of a step, due or not, up to a
// limit.
func (q *Queue) Ready(ctx context.Context, pipeline, step string, limit int) (n int, err error) {
	err = q.db.Get(ctx, &n, "SELECT count(*) FROM (SELECT 1 FROM unit WHERE pipeline = ? AND step = ? AND state = 'ready' LIMIT ?) AS ready", pipeline, step, limit)
	if err != nil {
		return 0, fmt.Errorf("count units of %s/%s: %w", pipeline, step, err)
	}
	return n, nil
}
