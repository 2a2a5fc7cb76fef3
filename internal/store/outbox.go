package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/db"
)

// OutboxRow is a message that waits to be sent.
type OutboxRow struct {
	Message alert.Message
	// Created is when the message was written.
	Created time.Time
	// Attempts counts the tries that failed; FailedAt and Reason are of the
	// last of them.
	Attempts int
	FailedAt time.Time
	Reason   string
}

// message puts a message into the outbox. One with the key of another is that
// one.
func (w *writer) message(ctx context.Context, m *alert.Message, token string) error {
	for _, err := range []error{
		validName("message", m.Key), validName("channel", m.Channel), validName("event", string(m.Event)), validText("incident", m.Incident.ID),
	} {
		if err != nil {
			return err
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: message %s: %w", ErrInvalid, m.Key, err)
	}
	_, err = w.tx.Exec(ctx, `INSERT INTO outbox (message_key, channel, event, incident_id, token, body, created_us, attempts, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, '') ON CONFLICT (message_key) DO NOTHING`,
		m.Key, m.Channel, string(m.Event), m.Incident.ID, token, string(body), w.now)
	return err
}

// Pending returns the messages that are not sent, in the order in which they
// were written, at most limit (0: all). A message stays pending until Sent, so
// a process that dies in between sends it again: at least once.
func (s *Store) Pending(ctx context.Context, limit int) ([]OutboxRow, error) {
	query := "SELECT body, created_us, attempts, failed_us, reason FROM outbox WHERE sent_us IS NULL ORDER BY id"
	var args []any
	if limit > 0 {
		query += " LIMIT ?"
		args = append(args, limit)
	}
	var rows []struct {
		Body     string `db:"body"`
		Created  int64  `db:"created_us"`
		Attempts int    `db:"attempts"`
		Failed   *int64 `db:"failed_us"`
		Reason   string `db:"reason"`
	}
	if err := s.db.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	out := make([]OutboxRow, len(rows))
	for i := range rows {
		r := &rows[i]
		out[i] = OutboxRow{Created: fromMicros(r.Created), Attempts: r.Attempts, Reason: r.Reason}
		if r.Failed != nil {
			out[i].FailedAt = fromMicros(*r.Failed)
		}
		if err := json.Unmarshal([]byte(r.Body), &out[i].Message); err != nil {
			return nil, fmt.Errorf("read message: %w", err)
		}
	}
	return out, nil
}

// Sent marks a message as sent and, in the same transaction, remembers in its
// incident where it stands in the channel, so that the next one can be edited
// in place. The zero Thread remembers nothing; nor does an incident that was
// pruned. Marking twice is harmless. An unknown key matches ErrNotFound.
func (s *Store) Sent(ctx context.Context, key string, thread alert.Thread, incident, channel string) error {
	now := micros(s.now())
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var id int64
		err := tx.Get(ctx, &id, "UPDATE outbox SET sent_us = COALESCE(sent_us, ?) WHERE message_key = ? RETURNING id", now, key)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil || thread == (alert.Thread{}) {
			return err
		}
		in, err := lockedIncident(ctx, tx, incident)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if in.Threads == nil {
			in.Threads = map[string]alert.Thread{}
		}
		in.Threads[channel] = thread
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE incident SET body = ? WHERE id = ?", string(body), incident)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark message %s as sent: %w", key, err)
	}
	return nil
}

// Failed counts a try that failed and remembers why. The message stays pending.
// An unknown key, or one that was sent, matches ErrNotFound.
func (s *Store) Failed(ctx context.Context, key, reason string) error {
	now := micros(s.now())
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var id int64
		return tx.Get(ctx, &id, `UPDATE outbox SET attempts = attempts + 1, failed_us = ?, reason = ?
			WHERE message_key = ? AND sent_us IS NULL RETURNING id`, now, clean(reason), key)
	})
	if err != nil {
		return notFound(fmt.Errorf("mark message %s as failed: %w", key, err), "mark message %s as failed", key)
	}
	return nil
}
