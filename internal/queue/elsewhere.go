package queue

import (
	"context"
	"fmt"
)

// Elsewhere returns what a worker has done since an event for units of other runs
// of a pipeline than one, oldest first, and which units of those stand ready or
// are worked on. Canaries are left out.
func (q *Queue) Elsewhere(ctx context.Context, pipeline, run, worker string, since int64) (done []Event, open []Row, err error) {
	err = q.db.Select(ctx, &done, "SELECT "+eventColumns+" FROM unit_event WHERE id > ? AND pipeline = ? AND run <> ? AND worker = ? AND "+noCanary+" ORDER BY id",
		since, pipeline, run, worker)
	if err == nil {
		err = q.db.Select(ctx, &open, "SELECT "+rowColumns+" FROM unit WHERE pipeline = ? AND state IN ('ready', 'running') AND run <> ? AND "+noCanary+" ORDER BY id", pipeline, run)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list units of other runs of %s: %w", pipeline, err)
	}
	return done, open, nil
}
