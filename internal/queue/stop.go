package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// stop notes that a step takes no units from now on, if it did until now.
func (q *Queue) stop(ctx context.Context, tx *db.Tx, pipeline, step string) error {
	var open int
	err := tx.Get(ctx, &open, "SELECT count(*) FROM step_stop WHERE pipeline = ? AND step = ? AND until_us = 0", pipeline, step)
	if err == nil && open == 0 {
		_, err = q.exec(ctx, tx, `INSERT INTO step_stop (pipeline, step, from_us, until_us) VALUES (?, ?, {now}, 0)
			ON CONFLICT (pipeline, step, from_us) DO UPDATE SET until_us = 0`, pipeline, step)
	}
	return err
}

// goOn notes that the steps of a pipeline take units from now on, those that do.
func (q *Queue) goOn(ctx context.Context, tx *db.Tx, pipeline string) error {
	_, err := q.exec(ctx, tx, `UPDATE step_stop SET until_us = {now} WHERE pipeline = ? AND until_us = 0 AND NOT EXISTS (
		SELECT 1 FROM step_state s WHERE s.pipeline = step_stop.pipeline AND s.step = step_stop.step AND (s.paused <> '' OR s.opened > 0))`, pipeline)
	return err
}

// Stopped returns for how long a step took no units while one stood ready for it,
// until it was claimed by the lease: its gate was closed, or its attempts failed.
func (q *Queue) Stopped(ctx context.Context, l *Lease) (time.Duration, error) {
	var stops []struct {
		From  int64 `db:"from_us"`
		Until int64 `db:"until_us"`
	}
	err := q.db.Select(ctx, &stops, "SELECT from_us, until_us FROM step_stop WHERE pipeline = ? AND step = ? AND from_us < ? AND (until_us = 0 OR until_us > ?) ORDER BY from_us",
		l.Pipeline, l.Step, l.StartedUS, l.ReadyUS)
	if err != nil {
		return 0, fmt.Errorf("read when %s/%s was paused: %w", l.Pipeline, l.Step, err)
	}
	var sum int64
	at := l.ReadyUS // up to here the stops are counted
	for _, s := range stops {
		from, until := max(at, s.From), min(l.StartedUS, s.Until)
		if s.Until == 0 {
			until = l.StartedUS
		}
		sum, at = sum+max(0, until-from), max(at, until)
	}
	return time.Duration(sum) * time.Microsecond, nil
}
