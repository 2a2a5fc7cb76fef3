package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Heartbeats prolongs leases from now on, by one statement, and returns those that
// are over. One whose unit is just being written stays as it is for now: who waited
// for it would let the others run out.
func (q *Queue) Heartbeats(ctx context.Context, leases []*Lease, d time.Duration) (over []*Lease, err error) {
	rows := make([]Working, 0, len(leases))
	for _, l := range leases {
		rows = append(rows, Working{l.Key, l.Attempt})
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("prolong leases: %w", err)
	}
	// The order of the tables is that of the loops.
	mine := ` FROM json_each(?) AS j CROSS JOIN unit u WHERE u.pipeline = j.value ->> 'Pipeline' AND u.step = j.value ->> 'Step' AND u.unit = j.value ->> 'Unit'
		AND u.attempt = j.value ->> 'Attempt' AND u.state = 'running'`
	if q.db.Dialect.IsPostgres() {
		mine = ` FROM json_to_recordset(CAST(? AS json)) AS j("Pipeline" text, "Step" text, "Unit" text, "Attempt" int) CROSS JOIN unit u
			WHERE u.pipeline = j."Pipeline" AND u.step = j."Step" AND u.unit = j."Unit" AND u.attempt = j."Attempt" AND u.state = 'running'`
	}
	res, err := q.exec(ctx, q.db, "UPDATE unit SET lease_us = {now} + ? WHERE id IN (SELECT u.id"+mine+q.db.Dialect.SkipLocked+")", d.Microseconds(), string(text))
	if err != nil {
		return nil, fmt.Errorf("prolong leases: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == int64(len(leases)) {
		return nil, err
	}
	var found []Working
	if err := q.db.Select(ctx, &found, "SELECT u.pipeline, u.step, u.unit, u.attempt"+mine, string(text)); err != nil {
		return nil, fmt.Errorf("look for leases: %w", err)
	}
	kept := map[Working]bool{}
	for _, w := range found {
		kept[w] = true
	}
	for _, l := range leases {
		if !kept[Working{l.Key, l.Attempt}] {
			over = append(over, l)
		}
	}
	return over, nil
}

// holding is the leases that this process prolongs.
type holding struct {
	mu   sync.Mutex
	all  map[*Lease]*hold
	end  context.CancelFunc // of the goroutine that prolongs them
	more chan struct{}      // tells it of a lease
}

type hold struct {
	length time.Duration
	due    time.Time // when it is to be prolonged
	told   func(error)
}

// Hold prolongs a lease of a length by heartbeats until release is called, together
// with the others of the process. told is called from another goroutine with
// ErrFenced when the lease is over, and with another error whenever it could not be
// prolonged.
func (q *Queue) Hold(l *Lease, length time.Duration, told func(error)) (release func()) {
	h := &q.holding
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		ctx, cancel := context.WithCancel(context.Background())
		more := make(chan struct{}, 1)
		h.all, h.end, h.more = map[*Lease]*hold{}, cancel, more
		q.db.Background(func() { q.prolong(ctx, more) })
	}
	h.all[l] = &hold{length: length, due: time.Now().Add(length / 3), told: told}
	select {
	case h.more <- struct{}{}:
	default:
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.all, l)
		if len(h.all) == 0 {
			h.end()
		}
	}
}

// prolong sends heartbeats until ctx ends, which is when nothing is held.
func (q *Queue) prolong(ctx context.Context, more <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(q.holding.next()))
		select {
		case <-ctx.Done():
			return
		case <-more:
			continue
		case <-timer.C:
		}
		leases, length, told := q.holding.due(time.Now())
		if len(leases) == 0 {
			continue
		}
		over, err := q.Heartbeats(ctx, leases, length)
		if err != nil && ctx.Err() == nil {
			for _, tell := range told {
				tell(err)
			}
		}
		for _, l := range over {
			told[l](ErrFenced)
		}
	}
}

// next returns when the first heartbeat is due.
func (h *holding) next() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := time.Now().Add(time.Hour)
	for _, b := range h.all {
		if b.due.Before(first) {
			first = b.due
		}
	}
	return first
}

// due takes the leases whose heartbeat is due, of one length. Those that are due
// soon go along, so that all of a length come to one statement.
func (h *holding) due(now time.Time) (leases []*Lease, length time.Duration, told map[*Lease]func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.all {
		if !b.due.After(now) {
			length = b.length
			break
		}
	}
	told = map[*Lease]func(error){}
	for l, b := range h.all {
		if b.length == length && !b.due.After(now.Add(length/6)) {
			b.due = now.Add(length / 3)
			leases, told[l] = append(leases, l), b.told
		}
	}
	return leases, length, told
}
