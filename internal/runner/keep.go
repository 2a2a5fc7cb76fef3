package runner

import (
	"context"
	"errors"
	"time"

	"github.com/profilerhq/profiler/internal/queue"
)

const (
	// expireEvery is how often old dead letters are looked for, expireRows how many
	// are taken at once.
	expireEvery = time.Hour
	expireRows  = 500
)

// expire discards the dead letters of the pipeline that are older than dlq.keep,
// units and records, each with an event. What somebody has decided about
// meanwhile is left alone.
func (c *conductor) expire(ctx context.Context) error {
	p, now := c.r.options.Pipeline, c.r.options.Clock.Now()
	if now.Before(c.expired.Add(expireEvery)) {
		return nil
	}
	if err := c.r.define(ctx); err != nil { // it is still served
		return err
	}
	if p.DLQKeep == 0 {
		c.expired = now
		return nil
	}
	q, d := c.r.options.Queue, queue.Decision{Why: "older than dlq.keep"}
	f := queue.Filter{Pipeline: p.Name, States: keptStates, Until: now.Add(-p.DLQKeep), Limit: expireRows, Real: true}
	total := 0
	for {
		rows, err := q.Units(ctx, f)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := q.Discard(ctx, rows[i].Key, d); err != nil && !errors.Is(err, queue.ErrNotFound) {
				return err
			}
		}
		if total += len(rows); len(rows) < expireRows {
			break
		}
	}
	f.States = []queue.State{queue.Dead}
	records := 0
	for {
		all, err := q.Rejects(ctx, f)
		if err == nil && len(all) > 0 {
			err = q.DiscardRejects(ctx, all, d)
		}
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		if records += len(all); len(all) < expireRows || err != nil {
			break
		}
	}
	c.expired = now
	if total+records > 0 {
		c.r.log.Info("old dead letters discarded", "units", total, "records", records, "keep", p.DLQKeep)
	}
	return nil
}
