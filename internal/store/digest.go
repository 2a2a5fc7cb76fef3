package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/db"
)

// Digest returns a digest by its id, or the newest open one of a channel if the
// id is empty; nil if there is none.
func (s *Store) Digest(ctx context.Context, id, channel string) (*alert.Digest, error) {
	d, err := readDigest(ctx, s.db, id, channel)
	if err != nil {
		return nil, fmt.Errorf("read digest: %w", err)
	}
	return d, nil
}

func readDigest(ctx context.Context, q querier, id, channel string) (*alert.Digest, error) {
	query, arg := "SELECT body FROM digest WHERE id = ?", id
	if id == "" {
		query, arg = "SELECT body FROM digest WHERE channel = ? AND closed_us IS NULL ORDER BY opened_us DESC, id DESC LIMIT 1", channel
	}
	var body string
	err := q.Get(ctx, &body, query, arg)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	var d alert.Digest
	return &d, json.Unmarshal([]byte(body), &d)
}

func writeDigest(ctx context.Context, tx *db.Tx, d *alert.Digest, now int64) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var closed *int64
	if d.Closed {
		closed = &now
	}
	_, err = tx.Exec(ctx, `INSERT INTO digest (id, channel, opened_us, closed_us, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET closed_us = excluded.closed_us, body = excluded.body`, d.ID, d.Channel, micros(d.OpenedAt), closed, string(body))
	return err
}

// IntoDigest settles entries of incidents by telling them in a digest of their
// channel, whose own entry is due now. A digest without a revision is new.
func (s *Store) IntoDigest(ctx context.Context, d alert.Digest, all []Delivery) error {
	now := s.now()
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		// Incidents are locked before digests everywhere.
		for i := range all {
			if err := told(ctx, tx, &all[i], alert.Thread{Digest: d.ID}); err != nil {
				return err
			}
		}
		current, err := readDigest(ctx, tx, d.ID, "")
		if err != nil {
			return err
		}
		if current == nil {
			current = &d
		}
		for i := range all {
			if !slices.Contains(current.Incidents, all[i].Story) {
				current.Incidents = append(current.Incidents, all[i].Story)
			}
			settled := all[i]
			settled.Event = alert.EventDigest
			if err := s.close(ctx, tx, &settled, false, ""); err != nil {
				return err
			}
		}
		current.Revision++
		current.Closed = false
		if err := writeDigest(ctx, tx, current, micros(now)); err != nil {
			return err
		}
		_, err = s.writer(tx).notice(ctx, &alert.Notice{Channel: d.Channel, Story: d.ID, Event: alert.EventDigest, Revision: current.Revision, Due: now})
		return err
	})
	if err != nil {
		return fmt.Errorf("tell %d incidents in digest %s: %w", len(all), d.ID, err)
	}
	return nil
}

// DigestSent settles the entry of a digest. over closes it; the zero thread
// leaves the place as it was.
func (s *Store) DigestSent(ctx context.Context, e Delivery, thread alert.Thread, over bool) error {
	return s.settle(ctx, &e, "mark message %s as sent", func(tx *db.Tx) error {
		d, err := readDigest(ctx, tx, e.Story, "")
		if err != nil {
			return err
		}
		if d != nil {
			if thread != (alert.Thread{}) {
				d.Thread = thread
			}
			d.Closed = over && d.Revision == e.Revision
			if err := writeDigest(ctx, tx, d, micros(s.now())); err != nil {
				return err
			}
		}
		return s.close(ctx, tx, &e, false, "")
	})
}

// ToldSince counts the incidents that a channel was told of one by one since a
// time.
func (s *Store) ToldSince(ctx context.Context, channel string, since time.Time) (n int, err error) {
	err = s.db.Get(ctx, &n, "SELECT count(*) FROM outbox WHERE channel = ? AND event = ? AND sent_us >= ?", channel, string(alert.EventOpened), micros(since))
	if err != nil {
		return 0, fmt.Errorf("count messages of channel %s: %w", channel, err)
	}
	return n, nil
}
