package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// StoreID names the database. Copies of it have the same one.
func (q *Queue) StoreID(ctx context.Context) (string, error) {
	secret, err := q.Secret(ctx)
	if err != nil {
		return "", fmt.Errorf("name the store: %w", err)
	}
	sum := sha256.Sum256(append([]byte("store\x00"), secret...))
	return hex.EncodeToString(sum[:8]), nil
}

// EachInput calls a function with what each unit of any pipeline was made of, and
// its run.
func (q *Queue) EachInput(ctx context.Context, f func(unit, run, input string)) error {
	return q.each(ctx, "SELECT unit, run, input FROM unit WHERE input <> ''", nil, f)
}

// EachOpen calls a function with each unit of a pipeline that some step still wants:
// it waits, is worked on, or somebody has to decide about it.
func (q *Queue) EachOpen(ctx context.Context, pipeline string, f func(unit string)) error {
	for _, states := range openStates {
		if err := q.each(ctx, "SELECT unit, '', '' FROM unit WHERE pipeline = ? AND "+states, []any{pipeline}, func(unit, _, _ string) { f(unit) }); err != nil {
			return err
		}
	}
	return nil
}

// EachRejectFile calls a function with the body of each rejected record that is
// in a file.
func (q *Queue) EachRejectFile(ctx context.Context, f func(body string)) error {
	return q.each(ctx, "SELECT '', '', body FROM reject WHERE body LIKE '{\"file\":%'", nil, func(_, _, body string) { f(body) })
}

// EachStored calls a function with what is stored of the units of a step of any
// pipeline: of those of one pipeline with these ids, or with nil of all.
func (q *Queue) EachStored(ctx context.Context, pipeline, step string, units []string, f func(body string)) error {
	for _, table := range []string{"output", "unit"} {
		if units == nil {
			if err := q.each(ctx, "SELECT '', '', body FROM "+table+" WHERE step = ?", []any{step}, func(_, _, body string) { f(body) }); err != nil {
				return err
			}
			continue
		}
		for rest := units; len(rest) > 0; {
			some := rest[:min(len(rest), q.atOnce())]
			rest = rest[len(some):]
			args := []any{pipeline, step}
			for _, u := range some {
				args = append(args, u)
			}
			query := "SELECT '', '', body FROM " + table + " WHERE pipeline = ? AND step = ? AND unit IN (" + marks(len(some)) + ")"
			if err := q.each(ctx, query, args, func(_, _, body string) { f(body) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// each calls a function with the three texts of each row.
func (q *Queue) each(ctx context.Context, query string, args []any, f func(a, b, c string)) error {
	rows, err := q.db.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("look for files: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var a, b, c string
		if err := rows.Scan(&a, &b, &c); err != nil {
			return fmt.Errorf("look for files: %w", err)
		}
		f(a, b, c)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look for files: %w", q.db.Explain(err))
	}
	return nil
}

// Working is an attempt that holds a unit.
type Working struct {
	Key
	Attempt int `db:"attempt"`
}

// Working lists the attempts at units of any pipeline that somebody works on.
func (q *Queue) Working(ctx context.Context) ([]Working, error) {
	var all []Working
	if err := q.db.Select(ctx, &all, "SELECT pipeline, step, unit, attempt FROM unit WHERE state = 'running'"); err != nil {
		return nil, fmt.Errorf("list units that are worked on: %w", err)
	}
	return all, nil
}
