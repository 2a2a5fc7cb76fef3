package queue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// CanaryPrefix begins the ids of runs whose units are canaries: known inputs that
// are sent through the steps and belong to no total.
const CanaryPrefix = "canary-"

// noCanary is the condition that a row belongs to no canary.
const noCanary = "run NOT LIKE '" + CanaryPrefix + "%'"

// IsCanary reports whether a run is that of a canary.
func IsCanary(run string) bool { return strings.HasPrefix(run, CanaryPrefix) }

// OpenCanaries returns the canaries of a pipeline that have not ended, oldest
// first.
func (q *Queue) OpenCanaries(ctx context.Context, pipeline string) ([]Run, error) {
	var all []Run
	err := q.db.Select(ctx, &all, "SELECT "+runColumns+" FROM run WHERE pipeline = ? AND state = 'running' AND id LIKE '"+CanaryPrefix+"%' ORDER BY started_us, id", pipeline)
	if err != nil {
		return nil, fmt.Errorf("list canaries: %w", err)
	}
	return all, nil
}

// ForgetCanaries deletes what is stored of the canaries of a pipeline that ended
// before a time, but what happened to them. It returns what was stored of their
// outputs.
func (q *Queue) ForgetCanaries(ctx context.Context, pipeline string, before time.Time) (outputs []string, err error) {
	err = q.db.Tx(ctx, func(tx *db.Tx) error {
		outputs = nil
		of := "SELECT id FROM run WHERE pipeline = ? AND state <> 'running' AND ended_us < ? AND id LIKE '" + CanaryPrefix + "%'"
		units := "SELECT unit FROM unit WHERE pipeline = ? AND run IN (" + of + ")"
		us := before.UnixMicro()
		if err := tx.Select(ctx, &outputs, "SELECT body FROM output WHERE pipeline = ? AND unit IN ("+units+")", pipeline, pipeline, pipeline, us); err != nil {
			return err
		}
		for _, table := range []string{"output", "edge", "member", "unit"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE pipeline = ? AND unit IN ("+units+")", pipeline, pipeline, pipeline, us); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("forget canaries: %w", err)
	}
	return outputs, nil
}
