package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/profilerhq/profiler/internal/profile"
)

// tables lists all tables of the database, those that others refer to first.
func (s *Store) tables(ctx context.Context) ([]string, error) {
	all, err := s.db.Tables(ctx)
	if err != nil {
		return nil, err
	}
	rank := func(name string) int { return slices.Index([]string{"batch", "dataset"}, name) }
	slices.SortStableFunc(all, func(a, b string) int { return rank(b) - rank(a) })
	return all, nil
}

// CopyTo copies everything of the store, the units of pipelines included, into an
// empty one, and tells of every table. Both must have been opened by this
// version. Nothing is written if a part fails.
func (s *Store) CopyTo(ctx context.Context, to *Store, done func(table string, rows int64)) error {
	names, err := s.tables(ctx)
	if err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	if err := s.db.Copy(ctx, to.db, names, done); err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	to.analyze(ctx, analyzeFrom)
	return nil
}

// Check looks for damage: what the database itself finds, profiles that cannot be
// read, results and incidents that are no JSON. It returns a line for each, and
// what it has looked at.
func (s *Store) Check(ctx context.Context) (problems []string, looked int, err error) {
	if !s.db.Dialect.IsPostgres() {
		for _, pragma := range []string{"PRAGMA integrity_check", "PRAGMA foreign_key_check"} {
			found, err := s.pragma(ctx, pragma)
			if err != nil {
				return nil, 0, err
			}
			problems = append(problems, found...)
		}
	}
	rows, err := s.db.Query(ctx, `SELECT d.name, b.name, p.data FROM profile p JOIN batch b ON b.id = p.batch_id JOIN dataset d ON d.id = b.dataset_id ORDER BY p.batch_id`)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var dataset, batch string
		var data []byte
		if err := rows.Scan(&dataset, &batch, &data); err != nil {
			return nil, 0, err
		}
		looked++
		if _, err := profile.Decode(data); err != nil {
			problems = append(problems, fmt.Sprintf("profile of %s batch %s: %v", dataset, batch, err))
		}
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	more, n, err := s.checkBodies(ctx)
	return append(problems, more...), looked + n, err
}

// pragma returns what a check of SQLite finds; "ok" is nothing.
func (s *Store) pragma(ctx context.Context, statement string) (found []string, err error) {
	rows, err := s.db.Query(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.SliceScan()
		if err != nil {
			return nil, err
		}
		if text := fmt.Sprint(values...); text != "ok" {
			found = append(found, "database: "+text)
		}
	}
	return found, rows.Err()
}

// checkBodies reads what is stored as JSON.
func (s *Store) checkBodies(ctx context.Context) (problems []string, looked int, err error) {
	for _, table := range []string{"result", "incident"} {
		bad, n, err := s.badBodies(ctx, table)
		if err != nil {
			return nil, 0, err
		}
		looked += n
		if bad > 0 {
			problems = append(problems, fmt.Sprintf("table %s: %d rows are no JSON", table, bad))
		}
	}
	return problems, looked, nil
}

func (s *Store) badBodies(ctx context.Context, table string) (bad, looked int, err error) {
	rows, err := s.db.Query(ctx, "SELECT body FROM "+table)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return 0, 0, err
		}
		looked++
		if !json.Valid([]byte(body)) {
			bad++
		}
	}
	return bad, looked, rows.Err()
}

// Vacuum gives free space back to the system and brings the statistics up to
// date. It needs about the size of the store on the disk meanwhile. It returns
// the size before and after, in bytes.
func (s *Store) Vacuum(ctx context.Context) (before, after int64, err error) {
	if before, err = s.Size(ctx); err != nil {
		return 0, 0, err
	}
	statements := []string{"VACUUM", "ANALYZE"}
	if s.db.Dialect.IsPostgres() {
		names, err := s.tables(ctx)
		if err != nil {
			return 0, 0, err
		}
		statements = nil
		for _, t := range names {
			statements = append(statements, "VACUUM (FULL, ANALYZE) "+t)
		}
	}
	for _, statement := range statements {
		if _, err := s.db.Exec(ctx, statement); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", statement, err)
		}
	}
	after, err = s.Size(ctx)
	return before, after, err
}

// Size returns how many bytes the tables of the store take.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	query := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.db.Dialect.IsPostgres() {
		query = `SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0)::BIGINT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relkind = 'r'`
	}
	err = s.db.Get(ctx, &bytes, query)
	return bytes, err
}
