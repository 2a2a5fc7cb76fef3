package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Tables lists the tables of the database but those of its own housekeeping,
// sorted.
func (d *DB) Tables(ctx context.Context) ([]string, error) {
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migration'"
	if d.Dialect.IsPostgres() {
		query = "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'schema_migration'"
	}
	var names []string
	if err := d.Select(ctx, &names, query); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// copyArgs bounds the placeholders of one statement; SQLite has 32,766.
const copyArgs = 30_000

// Copy copies all rows of the tables, in this order, into the same tables of
// another database, in one transaction there and from one unchanging state here.
// What it wrote is counted again before it commits. done is told of every table.
// The tables must exist and be empty; the error says which one is not.
func (d *DB) Copy(ctx context.Context, to *DB, tables []string, done func(table string, rows int64)) error {
	return d.ReadTx(ctx, func(from *Tx) error {
		return to.Tx(ctx, func(into *Tx) error {
			for _, t := range tables {
				n, err := copyTable(ctx, from, into, t)
				if err != nil {
					return fmt.Errorf("copy %s: %w", t, err)
				}
				done(t, n)
			}
			return nil
		})
	})
}

func copyTable(ctx context.Context, from, into *Tx, table string) (n int64, err error) {
	var before, after int64
	if err := into.Get(ctx, &before, "SELECT count(*) FROM "+table); err != nil {
		return 0, err
	}
	if before > 0 {
		return 0, fmt.Errorf("the table is not empty (rows: %d); copy into an empty store", before)
	}
	rows, err := from.Query(ctx, "SELECT * FROM "+table)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	w := tableWriter{tx: into, table: table, columns: columns}
	for rows.Next() {
		values, err := rows.SliceScan()
		if err != nil {
			return 0, err
		}
		n++
		if err := w.add(ctx, values); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if err := w.flush(ctx); err != nil {
		return 0, err
	}
	if err := into.Get(ctx, &after, "SELECT count(*) FROM "+table); err != nil {
		return 0, err
	}
	if after != n {
		return 0, fmt.Errorf("%d of %d rows arrived", after, n)
	}
	return n, w.restart(ctx)
}

// tableWriter inserts rows many at a time.
type tableWriter struct {
	tx      *Tx
	table   string
	columns []string
	args    []any
	rows    int
}

func (w *tableWriter) add(ctx context.Context, values []any) error {
	w.args = append(w.args, values...)
	w.rows++
	if len(w.args)+len(w.columns) > copyArgs || w.rows >= 500 {
		return w.flush(ctx)
	}
	return nil
}

func (w *tableWriter) flush(ctx context.Context) error {
	if w.rows == 0 {
		return nil
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(w.columns)), ", ") + ")"
	query := "INSERT INTO " + w.table + " (" + strings.Join(w.columns, ", ") + ") VALUES " + strings.TrimSuffix(strings.Repeat(row+", ", w.rows), ", ")
	_, err := w.tx.Exec(ctx, query, w.args...)
	w.args, w.rows = w.args[:0], 0
	return err
}

// restart lets Postgres number new rows behind those that were copied; SQLite
// does so by itself.
func (w *tableWriter) restart(ctx context.Context) error {
	if !w.tx.Dialect().IsPostgres() || !slices.Contains(w.columns, "id") {
		return nil
	}
	var sequence *string
	if err := w.tx.Get(ctx, &sequence, "SELECT pg_get_serial_sequence(?, 'id')", w.table); err != nil || sequence == nil {
		return err
	}
	_, err := w.tx.Exec(ctx, "SELECT setval(?, (SELECT COALESCE(max(id), 0) + 1 FROM "+w.table+"), false)", *sequence)
	return err
}
