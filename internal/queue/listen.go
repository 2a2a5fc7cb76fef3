package queue

import (
	"context"
	"time"

	"github.com/lib/pq"

	"github.com/profilerhq/profiler/internal/db"
)

// channel is the name that Postgres uses for the signal.
const channel = "profiler_queue"

// Bounds of the pause between two tries to reach a server that went away.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 10 * time.Second
	longestTell   = 2 * time.Second
)

// Listen passes what other processes announce on to Changed until ctx ends. On
// SQLite, where one process works, there is nothing to hear. While the server
// cannot be reached, polling finds what was missed.
func (q *Queue) Listen(ctx context.Context) error {
	if !q.db.Dialect.IsPostgres() {
		<-ctx.Done()
		return nil
	}
	l := pq.NewDialListener(db.Dialer{}, q.db.URL(), shortestPause, longestPause, nil)
	defer l.Close() //nolint:errcheck // nothing is written
	if err := l.Listen(channel); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.Notify: // nil after a new connection: something may have been missed
			q.wake()
		}
	}
}

// tell signals other processes, beside whatever the caller does next. One signal
// is on its way at a time and stands for all that became ready before it was
// sent. It has a transaction of its own, since one that notifies holds a lock of
// the whole server while it commits, so that commits would go one by one; and it
// need not be durable. Should it be lost, polling finds what is ready. Closing the
// database waits for it.
func (q *Queue) tell() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.untold = true
	if q.telling {
		return
	}
	q.telling = true
	q.db.Background(func() {
		for q.pending() {
			ctx, cancel := context.WithTimeout(context.Background(), longestTell)
			_, _ = q.db.Writer().ExecContext(ctx, "SET LOCAL synchronous_commit = off; SELECT pg_notify('"+channel+"', '')")
			cancel()
		}
	})
}

// pending takes what there is to tell.
func (q *Queue) pending() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.telling = q.untold
	q.untold = false
	return q.telling
}

// Wait returns when something may have become ready: after a signal, after d or
// the polling interval, whichever is shorter, or when ctx ends. changed is what
// Changed returned before the last claim.
func (q *Queue) Wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(min(d, q.opts.Poll))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
}
