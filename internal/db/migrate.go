package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// migration is one numbered change of the tables, in one dialect.
type migration struct {
	version  int
	name     string
	body     string
	checksum string
	specific bool // from a file of this dialect alone
}

var migrationFile = regexp.MustCompile(`^([0-9]{4})_([a-z0-9_]+?)(\.sqlite|\.postgres)?\.sql$`)

// Migrate brings the tables up to date with the numbered files of a folder:
// 0001_name.sql for both dialects, 0001_name.sqlite.sql or
// 0001_name.postgres.sql for one, which goes before the common file. The
// numbers run from 0001 without a gap; a number that has a file of the other
// dialect alone changes nothing here.
//
// The last element of dir names the set of migrations, so packages that share
// a database use folders of different names. All pending files run in one
// transaction: all or none. Any number of processes may call Migrate at the
// same time. A database that a newer program has changed, or whose applied
// files differ from ours, is an error that matches ErrSchema. In a database
// opened for reading only Migrate checks, and pending files are an error that
// matches ErrReadOnly.
func (d *DB) Migrate(ctx context.Context, fsys fs.FS, dir string) error {
	known, err := readMigrations(fsys, dir, d.Dialect)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	set := path.Base(dir)
	// Without a look first, every command would wait for the write lock.
	pending, err := d.pending(ctx, d, set, known)
	if err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	if len(pending) == 0 {
		return nil
	}
	if d.readOnly {
		return d.problem(ErrReadOnly, nil, fmt.Sprintf("the tables of %s are older than this program and the store was opened for reading only; run a command that writes to it once", set))
	}
	if err := d.Tx(ctx, func(tx *Tx) error { return d.apply(ctx, tx, set, known) }); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	return nil
}

func (d *DB) apply(ctx context.Context, tx *Tx, set string, known []migration) error {
	if d.Dialect.IsPostgres() {
		// SQLite's transaction holds the write lock already.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('profiler migrations ' || current_schema(), 0))"); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migration (
		area TEXT NOT NULL,
		version INTEGER NOT NULL,
		name TEXT NOT NULL,
		checksum TEXT NOT NULL,
		applied_at BIGINT NOT NULL,
		PRIMARY KEY (area, version))`)
	if err != nil {
		return err
	}
	pending, err := d.pending(ctx, tx, set, known)
	if err != nil {
		return err
	}
	for _, m := range pending {
		if strings.TrimSpace(m.body) != "" {
			// Not by tx.Exec: a ? in a migration is no placeholder.
			if _, err := tx.tx.ExecContext(ctx, m.body); err != nil {
				return fmt.Errorf("%s %04d_%s: %w", set, m.version, m.name, d.Explain(err))
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO schema_migration (area, version, name, checksum, applied_at) VALUES (?, ?, ?, ?, "+d.Dialect.Now+")",
			set, m.version, m.name, m.checksum)
		if err != nil {
			return err
		}
	}
	return nil
}

// selecter is DB or Tx.
type selecter interface {
	Get(ctx context.Context, dest any, query string, args ...any) error
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// pending returns the migrations that are not applied. It fails when what is
// applied does not fit what we know.
func (d *DB) pending(ctx context.Context, q selecter, set string, known []migration) ([]migration, error) {
	exists := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migration'"
	if d.Dialect.IsPostgres() {
		exists = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migration'"
	}
	var n int
	if err := q.Get(ctx, &n, exists); err != nil {
		return nil, err
	}
	if n == 0 {
		return known, nil
	}
	var applied []struct {
		Version  int    `db:"version"`
		Name     string `db:"name"`
		Checksum string `db:"checksum"`
	}
	err := q.Select(ctx, &applied, "SELECT version, name, checksum FROM schema_migration WHERE area = ? ORDER BY version", set)
	if err != nil {
		return nil, err
	}
	for i, a := range applied {
		if i >= len(known) {
			last := applied[len(applied)-1].Version
			return nil, d.problem(ErrSchema, nil, fmt.Sprintf("the tables of %s are of version %d and this program knows up to %d; use a newer profiler", set, last, len(known)))
		}
		if k := known[i]; a.Version != k.version || a.Name != k.name || a.Checksum != k.checksum {
			return nil, d.problem(ErrSchema, nil, fmt.Sprintf("the store was made with another %s %04d_%s than this program has; use the profiler that made it, or another store", set, a.Version, a.Name))
		}
	}
	return known[len(applied):], nil
}

func readMigrations(fsys fs.FS, dir string, dialect Dialect) ([]migration, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	found := map[int]migration{}
	last := 0
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".sql" {
			continue
		}
		m, only, err := readMigration(fsys, dir, e.Name())
		if err != nil {
			return nil, err
		}
		last = max(last, m.version)
		old, seen := found[m.version]
		switch {
		case seen && old.name != m.name:
			return nil, fmt.Errorf("%s: the number %04d is taken by %s", e.Name(), m.version, old.name)
		case only != "" && only != dialect.Name:
			if !seen {
				found[m.version] = migration{version: m.version, name: m.name}
			}
		case m.specific, !seen, !old.specific:
			found[m.version] = m
		}
	}
	all := make([]migration, 0, last)
	for v := 1; v <= last; v++ {
		m, ok := found[v]
		if !ok {
			return nil, fmt.Errorf("%s: there is no migration %04d", dir, v)
		}
		sum := sha256.Sum256([]byte(strings.ReplaceAll(m.body, "\r\n", "\n")))
		m.checksum = hex.EncodeToString(sum[:])
		all = append(all, m)
	}
	return all, nil
}

// readMigration returns the migration of one file and the dialect that the
// file is for, empty for both.
func readMigration(fsys fs.FS, dir, file string) (m migration, only string, err error) {
	parts := migrationFile.FindStringSubmatch(file)
	if parts == nil {
		return m, "", fmt.Errorf("%s: the name is not of the form 0001_name.sql, 0001_name.sqlite.sql or 0001_name.postgres.sql", file)
	}
	body, err := fs.ReadFile(fsys, path.Join(dir, file))
	if err != nil {
		return m, "", err
	}
	m.version, err = strconv.Atoi(parts[1])
	if err != nil || m.version == 0 {
		return m, "", fmt.Errorf("%s: numbers begin at 0001", file)
	}
	m.name, m.body = parts[2], string(body)
	only = strings.TrimPrefix(parts[3], ".")
	m.specific = only != ""
	return m, only, nil
}
