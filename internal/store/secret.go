package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/profilerhq/profiler/internal/db"
)

// Secret returns the secret of a name, of which a store has one for good. If
// there is none yet it is the given one from now on; nil makes none and may
// return nil. Processes that ask at once get the same.
func (s *Store) Secret(ctx context.Context, name string, otherwise []byte) ([]byte, error) {
	var found []byte
	read := func(get func(ctx context.Context, dest any, query string, args ...any) error) error {
		err := get(ctx, &found, "SELECT value FROM secret WHERE name = ?", name)
		if errors.Is(err, sql.ErrNoRows) || errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	}
	if err := read(s.db.Get); err != nil || found != nil || otherwise == nil {
		return found, wrapSecret(name, err)
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, otherwise); err != nil {
			return err
		}
		return read(tx.Get)
	})
	return found, wrapSecret(name, err)
}

func wrapSecret(name string, err error) error {
	if err != nil {
		return fmt.Errorf("secret %s: %w", name, err)
	}
	return nil
}
