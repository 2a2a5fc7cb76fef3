package queue

import (
	"context"
	"time"

	"github.com/profilerhq/profiler/internal/db"
)

// Kind says what happened to a unit.
type Kind string

// The kinds of events beside the states that end a unit in a step (done,
// quarantined, dead, discarded).
const (
	// KindSkipped is a unit whose stored result was still good.
	KindSkipped Kind = "skipped"
	// KindRetry is an attempt that failed and will be repeated.
	KindRetry Kind = "retry"
	// KindLost is an attempt whose worker vanished.
	KindLost Kind = "lost"
	// KindReleased is an attempt that the worker gave back, or a kept result that
	// somebody let go on.
	KindReleased Kind = "released"
	// KindReplayed is a unit that somebody sent through the step again.
	KindReplayed Kind = "replayed"
)

// Event is something that happened to a unit, kept for ever until it is pruned.
// Times are microseconds, since 1970 or as a span.
type Event struct {
	// ID grows with each event; 0 where nobody asked for it.
	ID int64 `db:"id"`
	Key
	Run         string `db:"run"`
	Correlation string `db:"correlation_id"`
	Kind        Kind   `db:"kind"`
	AtUS        int64  `db:"at_us"`
	Attempt     int    `db:"attempt"`
	Replay      int    `db:"replay"`
	// WaitUS is how long the unit stood ready before the attempt, BusyUS how long
	// the attempt took.
	WaitUS    int64  `db:"wait_us"`
	BusyUS    int64  `db:"busy_us"`
	CPUUS     int64  `db:"cpu_us"`
	PeakBytes int64  `db:"peak_bytes"`
	Worker    string `db:"worker"`
	Cause     string `db:"cause"`
	// Detail is the error, or who did it and why.
	Detail string `db:"detail"`
	// Outcome says whether the step worked; it is written and not read back.
	Outcome Outcome `db:"-"`
}

const eventColumns = "pipeline, step, unit, run, correlation_id, kind, at_us, attempt, replay, wait_us, busy_us, cpu_us, peak_bytes, worker, cause, detail"

// At returns the time of the event.
func (e *Event) At() time.Time { return time.UnixMicro(e.AtUS).UTC() }

func (l *Lease) event(kind Kind) Event {
	return Event{
		Key: l.Key, Run: l.Run, Correlation: l.Correlation, Kind: kind, Attempt: l.Attempt, Replay: l.Replay,
		WaitUS: max(0, l.StartedUS-l.ReadyUS), BusyUS: -l.StartedUS, Worker: l.worker,
	}
}

// event writes an event at the present time. A negative BusyUS is the start of
// an attempt that ends now.
func (q *Queue) event(ctx context.Context, tx *db.Tx, e Event) error {
	busy := "?"
	if e.BusyUS < 0 {
		busy = "{now} + ?"
	}
	_, err := q.exec(ctx, tx, `INSERT INTO unit_event (pipeline, step, unit, run, correlation_id, kind, at_us, attempt, replay, wait_us, busy_us, cpu_us, peak_bytes, worker, cause, detail, outcome)
		VALUES (?, ?, ?, ?, ?, ?, {now}, ?, ?, ?, `+busy+`, ?, ?, ?, ?, ?, ?)`,
		e.Pipeline, e.Step, e.Unit, e.Run, e.Correlation, e.Kind, e.Attempt, e.Replay, e.WaitUS, e.BusyUS, e.CPUUS, e.PeakBytes, e.Worker, e.Cause, e.Detail, e.Outcome)
	return err
}
