package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/db"
)

// Delivery is an entry of the outbox.
type Delivery struct {
	ID int64
	alert.Notice
	// Created is when the entry was written.
	Created time.Time
	// Attempts counts the tries that failed; FailedAt and Reason are of the
	// last of them.
	Attempts int
	FailedAt time.Time
	Reason   string
	// Repeat says that somebody claimed it before and did not say what became of
	// it: it may have been sent.
	Repeat bool
}

// Key returns the key of the message that the entry becomes.
func (d *Delivery) Key() string { return alert.Key(d.Story, d.Revision, d.Event, d.Channel) }

// deliveryRow is a row of outbox.
type deliveryRow struct {
	ID       int64  `db:"id"`
	Channel  string `db:"channel"`
	Story    string `db:"story"`
	Dataset  string `db:"dataset"`
	Event    string `db:"event"`
	Revision int    `db:"revision"`
	Body     string `db:"body"`
	Created  int64  `db:"created_us"`
	Due      int64  `db:"due_us"`
	Claimed  *int64 `db:"claimed_us"`
	Attempts int    `db:"attempts"`
	Failed   *int64 `db:"failed_us"`
	Reason   string `db:"reason"`
}

const deliveryColumns = "id, channel, story, dataset, event, revision, body, created_us, due_us, claimed_us, attempts, failed_us, reason"

func (r *deliveryRow) delivery() Delivery {
	d := Delivery{
		ID: r.ID, Created: fromMicros(r.Created), Attempts: r.Attempts, Reason: r.Reason, Repeat: r.Claimed != nil,
		Notice: alert.Notice{Channel: r.Channel, Story: r.Story, Dataset: r.Dataset, Event: alert.Event(r.Event), Revision: r.Revision, Due: fromMicros(r.Due), Body: r.Body},
	}
	if r.Failed != nil {
		d.FailedAt = fromMicros(*r.Failed)
	}
	return d
}

// notice puts an entry into the outbox, or into the one that waits already for
// the same story and channel. It returns why nothing is added, as metrics name
// it, "" for a new entry. The incident, if it is about one, is locked.
func (w *writer) notice(ctx context.Context, n *alert.Notice) (merged string, err error) {
	for _, err := range []error{
		validName("message", n.Story), validName("channel", n.Channel), validName("event", string(n.Event)), validText("dataset of the message", n.Dataset),
	} {
		if err != nil {
			return "", err
		}
	}
	var old deliveryRow
	err = w.tx.Get(ctx, &old, "SELECT "+deliveryColumns+" FROM outbox WHERE channel = ? AND story = ? AND sent_us IS NULL"+lockRows(w.tx), n.Channel, n.Story)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = w.tx.Exec(ctx, `INSERT INTO outbox (channel, story, dataset, event, revision, body, created_us, due_us, attempts, reason, given_up)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, '', FALSE) ON CONFLICT DO NOTHING`,
			n.Channel, n.Story, n.Dataset, string(n.Event), n.Revision, n.Body, w.now, micros(n.Due))
		return "", err
	}
	if err != nil {
		return "", err
	}
	waiting := alert.Event(old.Event)
	event, due := alert.Merge(waiting, n.Event), min(old.Due, micros(n.Due))
	switch {
	case old.Claimed != nil: // it may be on its way, and tells no more than it did
		event = n.Event
	case waiting == alert.EventOpened:
		due = old.Due
	}
	merged = "rate_limited"
	if waiting == alert.EventOpened || waiting == alert.EventDigest {
		merged = "grouped"
	}
	_, err = w.tx.Exec(ctx, "UPDATE outbox SET event = ?, revision = ?, body = ?, due_us = ? WHERE id = ?", string(event), n.Revision, n.Body, due, old.ID)
	return merged, err
}

// lockRows ends a SELECT of rows that will be written back.
func lockRows(tx *db.Tx) string {
	if tx.Dialect().IsPostgres() {
		return " FOR UPDATE"
	}
	return ""
}

// AddNotice puts an entry that is about no incident into the outbox, unless its
// story was told or waits already. It reports whether it did.
func (s *Store) AddNotice(ctx context.Context, n alert.Notice) (added bool, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		added = false
		var known int
		if err := tx.Get(ctx, &known, "SELECT count(*) FROM outbox WHERE channel = ? AND story = ?", n.Channel, n.Story); err != nil || known > 0 {
			return err
		}
		added = true
		_, err := s.writer(tx).notice(ctx, &n)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("add message %s: %w", n.Story, err)
	}
	return added, nil
}

// Pending returns the entries that are not sent, in the order in which they
// were written, at most limit (0: all).
func (s *Store) Pending(ctx context.Context, limit int) ([]Delivery, error) {
	query := "SELECT " + deliveryColumns + " FROM outbox WHERE sent_us IS NULL ORDER BY id"
	var args []any
	if limit > 0 {
		query += " LIMIT ?"
		args = append(args, limit)
	}
	var rows []deliveryRow
	if err := s.db.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return deliveries(rows), nil
}

func deliveries(rows []deliveryRow) []Delivery {
	out := make([]Delivery, len(rows))
	for i := range rows {
		out[i] = rows[i].delivery()
	}
	return out
}

// Waiting counts the entries that are not sent by channel.
func (s *Store) Waiting(ctx context.Context) (map[string]int, error) {
	var rows []struct {
		Channel string `db:"channel"`
		N       int    `db:"n"`
	}
	if err := s.db.Select(ctx, &rows, "SELECT channel, count(*) AS n FROM outbox WHERE sent_us IS NULL GROUP BY channel"); err != nil {
		return nil, fmt.Errorf("count outbox: %w", err)
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.Channel] = r.N
	}
	return out, nil
}

// Lease is how long an entry is kept from others by Claim. A process that dies
// in between leaves it to them after that: at least once.
const Lease = 2 * time.Minute

// ClaimQuery chooses entries of the outbox.
type ClaimQuery struct {
	Channel string
	// Stories takes the entries of these stories alone, due or not; nil takes
	// all that are due.
	Stories []string
	Limit   int // at least 1
}

// Claim takes entries to be sent now, in the order in which they were written.
// Until they are settled by Sent, Failed, GiveUp or Release, or the Lease is
// over, nobody else gets them, nor later ones of the same dataset and channel.
func (s *Store) Claim(ctx context.Context, q ClaimQuery) ([]Delivery, error) {
	now := micros(s.now())
	free := "(claimed_us IS NULL OR claimed_us <= ?)"
	where := "channel = ? AND sent_us IS NULL AND " + free
	stale := now - Lease.Microseconds()
	args := []any{q.Channel, stale}
	if q.Stories == nil {
		where += " AND due_us <= ?"
		args = append(args, now)
	} else {
		where += " AND story IN (" + strings.Repeat(", ?", len(q.Stories))[min(2, 3*len(q.Stories)):] + ")"
		for _, id := range q.Stories {
			args = append(args, id)
		}
	}
	var rows []deliveryRow
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		skip := ""
		if tx.Dialect().IsPostgres() {
			skip = " FOR UPDATE SKIP LOCKED"
		}
		rows = rows[:0]
		err := tx.Select(ctx, &rows, "SELECT "+deliveryColumns+" FROM outbox WHERE "+where+` AND NOT EXISTS (SELECT 1 FROM outbox e
			WHERE e.channel = outbox.channel AND e.dataset = outbox.dataset AND e.dataset <> '' AND e.sent_us IS NULL AND e.id < outbox.id)
			ORDER BY id LIMIT ?`+skip, append(args, q.Limit)...)
		if err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]any, 0, len(rows)+1)
		ids = append(ids, now)
		for i := range rows {
			ids = append(ids, rows[i].ID)
		}
		_, err = tx.Exec(ctx, "UPDATE outbox SET claimed_us = ? WHERE id IN ("+strings.Repeat(", ?", len(rows))[2:]+")", ids...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim messages of channel %s: %w", q.Channel, err)
	}
	return deliveries(rows), nil
}

// Sent settles an entry that was sent. In the same transaction its incident
// remembers what the channel shows, and where, so that the next message can be
// edited in place. The zero Thread leaves the place as it was; an incident that
// was pruned remembers nothing. What was added to the entry in the meantime
// stays to be sent. Settling twice is harmless.
func (s *Store) Sent(ctx context.Context, d Delivery, thread alert.Thread) error {
	return s.settle(ctx, &d, "mark message %s as sent", func(tx *db.Tx) error {
		if err := told(ctx, tx, &d, thread); err != nil {
			return err
		}
		return s.close(ctx, tx, &d, false, "")
	})
}

// GiveUp settles an entry that can never be sent. A thread that came with the
// failure is remembered.
func (s *Store) GiveUp(ctx context.Context, d Delivery, thread alert.Thread, reason string) error {
	return s.settle(ctx, &d, "give up message %s", func(tx *db.Tx) error {
		if thread != (alert.Thread{}) {
			if err := told(ctx, tx, &d, thread); err != nil {
				return err
			}
		}
		return s.close(ctx, tx, &d, true, reason)
	})
}

// Failed counts a try that failed, remembers why, and puts the entry off until
// a time. A thread that came with the failure is remembered.
func (s *Store) Failed(ctx context.Context, d Delivery, thread alert.Thread, reason string, again time.Time) error {
	return s.settle(ctx, &d, "mark message %s as failed", func(tx *db.Tx) error {
		if thread != (alert.Thread{}) {
			if err := told(ctx, tx, &d, thread); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "UPDATE outbox SET attempts = attempts + 1, failed_us = ?, reason = ?, due_us = ?, claimed_us = NULL WHERE id = ? AND sent_us IS NULL",
			micros(s.now()), clean(reason), micros(again), d.ID)
		return err
	})
}

// Release gives entries back that were not tried.
func (s *Store) Release(ctx context.Context, all ...Delivery) error {
	for i := range all {
		if _, err := s.db.Exec(ctx, "UPDATE outbox SET claimed_us = NULL WHERE id = ? AND sent_us IS NULL", all[i].ID); err != nil {
			return fmt.Errorf("give message %s back: %w", all[i].Key(), err)
		}
	}
	return nil
}

func (s *Store) settle(ctx context.Context, d *Delivery, what string, change func(*db.Tx) error) error {
	if err := s.db.Tx(ctx, change); err != nil {
		return fmt.Errorf(what+": %w", d.Key(), err)
	}
	return nil
}

// close ends an entry, unless something was added to it.
func (s *Store) close(ctx context.Context, tx *db.Tx, d *Delivery, givenUp bool, reason string) error {
	done, err := tx.Exec(ctx, "UPDATE outbox SET sent_us = ?, given_up = ?, reason = ?, event = ?, claimed_us = NULL WHERE id = ? AND revision = ? AND sent_us IS NULL",
		micros(s.now()), givenUp, clean(reason), string(d.Event), d.ID, d.Revision)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); n > 0 || err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE outbox SET claimed_us = NULL WHERE id = ? AND sent_us IS NULL", d.ID)
	return err
}

// told remembers in an incident what a channel shows.
func told(ctx context.Context, tx *db.Tx, d *Delivery, thread alert.Thread) error {
	if d.Dataset == "" {
		return nil // it is about no incident
	}
	in, err := lockedIncident(ctx, tx, d.Story)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if in.Told == nil {
		in.Told = map[string]int{}
	}
	in.Told[d.Channel] = max(in.Told[d.Channel], d.Revision)
	if thread != (alert.Thread{}) {
		if in.Threads == nil {
			in.Threads = map[string]alert.Thread{}
		}
		in.Threads[d.Channel] = thread
	}
	return writeBody(ctx, tx, &in)
}

func writeBody(ctx context.Context, tx *db.Tx, in *alert.Incident) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE incident SET body = ? WHERE id = ?", string(body), in.ID)
	return err
}
