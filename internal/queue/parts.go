package queue

import (
	"context"
	"strings"

	"github.com/profilerhq/profiler/internal/db"
)

// Kept is what is stored of a part of a unit.
type Kept struct{ Unit, Body string }

// SaveParts stores the parts that the unit of a lease was cut into, as outputs of
// its step under a fingerprint, in the transaction that ends the unit. Units that
// are no parts of it any more are called off in all steps, and taken from whoever
// works on them.
func (q *Queue) SaveParts(ctx context.Context, tx *db.Tx, l *Lease, fingerprint string, parts []Kept, gone []string) error {
	now, err := q.clock(ctx, tx)
	if err != nil {
		return err
	}
	for len(parts) > 0 {
		some := parts[:min(len(parts), q.atOnce())]
		parts = parts[len(some):]
		args := make([]any, 0, 6*len(some))
		for _, k := range some {
			args = append(args, l.Pipeline, l.Step, k.Unit, fingerprint, now, k.Body)
		}
		_, err := tx.Exec(ctx, `INSERT INTO output (pipeline, step, unit, fingerprint, written_us, body) VALUES `+
			strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?), ", len(some)), ", ")+
			` ON CONFLICT (pipeline, step, unit, fingerprint) DO UPDATE SET written_us = excluded.written_us, body = excluded.body`, args...)
		if err != nil {
			return err
		}
	}
	left := map[[2]string]int{} // steps in which one of them had died
	for len(gone) > 0 {
		some := gone[:min(len(gone), q.atOnce())]
		gone = gone[len(some):]
		args := []any{l.Pipeline}
		for _, u := range some {
			args = append(args, u)
		}
		var died []string
		if err := tx.Select(ctx, &died, "SELECT DISTINCT step FROM unit WHERE pipeline = ? AND unit IN ("+marks(len(some))+") AND died = 1", args...); err != nil {
			return err
		}
		for _, step := range died {
			left[[2]string{l.Pipeline, step}] = 0
		}
		_, err := q.exec(ctx, tx, `UPDATE unit SET state = 'cancelled', died = 0, blocking = 0, lease_us = 0, worker = '', error = 'it is no part of the output any more', ended_us = {now}
			WHERE pipeline = ? AND unit IN (`+marks(len(some))+`) AND state <> 'discarded'`, args...)
		if err != nil {
			return err
		}
	}
	return q.lettersOf(ctx, tx, left)
}
