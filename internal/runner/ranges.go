package runner

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// rowPart is a piece of what a query gives.
type rowPart struct {
	name  string // for people and for the key
	query string
	args  []any
}

// relation is what is divided to ranges of rows.
type relation struct {
	query string
	args  []any
	table string // what query reads, if it is a whole table
}

// from is the relation in a query, under the name profiler_source.
func (r relation) from() string { return " FROM (" + r.query + "\n) AS profiler_source" }

// where is the part of the rows for which a condition holds. @1 and @2 stand for
// its own arguments.
func (r relation) where(name, condition string, args ...any) rowPart {
	for i := range args {
		condition = strings.ReplaceAll(condition, "@"+strconv.Itoa(i+1), "$"+strconv.Itoa(len(r.args)+i+1))
	}
	return rowPart{name, "SELECT *" + r.from() + " WHERE " + condition, append(slices.Clone(r.args), args...)}
}

// rangesOf divides a relation. Each row is in one part: all are of one state of the
// database, in a transaction that sees it. An error that is about the ranges
// begins with their place in the file of the pipeline.
func rangesOf(ctx context.Context, tx *db.Tx, p *pipeline.Pipeline, r relation, c pipeline.Portion) ([]rowPart, error) {
	parts, err := divide(ctx, tx, r, c)
	if errors.Is(err, errUser) {
		return nil, complete("%s: %w", placeIn(p, c.Pos), err)
	}
	return parts, err
}

func divide(ctx context.Context, tx *db.Tx, r relation, c pipeline.Portion) ([]rowPart, error) {
	if c.Column != "" {
		if err := hasColumn(ctx, tx, r, c); err != nil {
			return nil, err
		}
	}
	switch c.Kind {
	case pipeline.WidthRanges:
		return widthRanges(ctx, tx, r, c)
	case pipeline.KeyRanges:
		return keyRanges(ctx, tx, r, c)
	case pipeline.CtidRanges:
		if tx.Dialect().IsPostgres() {
			return pageRanges(ctx, tx, r, c.Parts)
		}
		return rowidRanges(ctx, tx, r, c.Parts)
	}
	return []rowPart{{"query", r.query, r.args}}, nil
}

// rangeError is the failure of a query around another one.
type rangeError struct {
	err   error
	query string
}

func (e *rangeError) Error() string { return e.err.Error() }
func (e *rangeError) Unwrap() error { return e.err }

// within returns the character of the inner query that a character of the whole is,
// 0 if it is outside; both count from 1.
func (e *rangeError) within(char int, inner string) int {
	before, _, ok := strings.Cut(e.query, inner)
	if char -= utf8.RuneCountInString(before); !ok || char > utf8.RuneCountInString(inner) {
		return 0
	}
	return max(char, 0)
}

// ask reads the rows of a query about a relation.
func ask(ctx context.Context, tx *db.Tx, query string, args []any, each func(scan func(...any) error) error) error {
	rows, err := tx.NativeQuery(ctx, query, args...)
	if err != nil {
		return &rangeError{err, query}
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// hasColumn checks that the relation has the column that it is divided by.
func hasColumn(ctx context.Context, tx *db.Tx, r relation, c pipeline.Portion) error {
	query := "SELECT *" + r.from() + " LIMIT 0"
	rows, err := tx.NativeQuery(ctx, query, r.args...)
	if err != nil {
		return &rangeError{err, query}
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	same := func(name string) bool {
		return name == c.Column || !tx.Dialect().IsPostgres() && strings.EqualFold(name, c.Column)
	}
	if slices.ContainsFunc(names, same) {
		return rows.Close()
	}
	of := "the query"
	if r.table != "" {
		of = "the table " + plainTable(r.table)
	}
	return complete("%s: %s has no column %q; it has %s", c, of, c.Column, shortList(names))
}

// shortList names the first columns of many.
func shortList(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// widthRanges divides by the values of a column of whole numbers: between its
// smallest and its greatest one to ranges of the same width, and a part for those
// without a value.
func widthRanges(ctx context.Context, tx *db.Tx, r relation, c pipeline.Portion) (parts []rowPart, err error) {
	column := "profiler_source." + quoteName(c.Column)
	var low, high any
	var nulls int64
	err = ask(ctx, tx, "SELECT min("+column+"), max("+column+"), count(*) - count("+column+")"+r.from(), r.args, func(scan func(...any) error) error {
		return scan(&low, &high, &nulls)
	})
	if err != nil {
		return nil, err
	}
	first, ok1 := wholeNumber(low)
	last, ok2 := wholeNumber(high)
	if !ok1 || !ok2 {
		return nil, complete("key_range needs a column of whole numbers, and %s is none; use key_ranges(%s, %d), which takes any", c.Column, c.Column, c.Parts)
	}
	if low != nil {
		eachWidth(first, last, c.Parts, func(at, end int64) {
			part := r.where(fmt.Sprintf("%s %d to %d", c.Column, at, end), column+" >= @1 AND "+column+" <= @2", at, end)
			part.query += " ORDER BY " + column
			parts = append(parts, part)
		})
	}
	if nulls > 0 {
		parts = append(parts, r.where(c.Column+" null", column+" IS NULL"))
	}
	return parts, nil
}

// eachWidth divides the numbers from first to last to at most n ranges of the same
// width.
func eachWidth(first, last int64, n int, each func(at, end int64)) {
	width := uint64(last-first)/uint64(n) + 1 //nolint:gosec // last is not below first
	if width == 0 {                           // one range of all numbers
		width = math.MaxUint64
	}
	for at := first; ; {
		end := last
		if width <= uint64(last-at) { //nolint:gosec // last is not below at
			end = at + int64(width) - 1 //nolint:gosec // it is at most last
		}
		each(at, end)
		if end == last {
			return
		}
		at = end + 1
	}
}

// wholeNumber reads a number as a driver gives it; null is 0.
func wholeNumber(v any) (int64, bool) {
	switch x := v.(type) {
	case nil:
		return 0, true
	case int64:
		return x, true
	case []byte: // a numeric without decimals
		n, err := strconv.ParseInt(string(x), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// keyRanges divides by the order of a column of any type to ranges of about as many
// rows. Rows with equal values are in one part, those without a value too. The
// bounds are the first and the last value of a part, in the database's own text.
func keyRanges(ctx context.Context, tx *db.Tx, r relation, c pipeline.Portion) (parts []rowPart, err error) {
	if c.Column == "" {
		if c.Column, err = primaryKey(ctx, tx, r.table); err != nil {
			return nil, err
		}
	}
	column := "profiler_source." + quoteName(c.Column)
	// A bound goes back as a literal, which the database reads as the column's type.
	text, literal := "CAST(k AS TEXT)", "quote_literal(CAST(k AS TEXT))"
	if !tx.Dialect().IsPostgres() { // each value has a type of its own, and quote ends a text at a NUL
		text, literal = "quote(k)", "CASE WHEN typeof(k) = 'text' AND instr(k, char(0)) > 0 THEN 'CAST(x''' || hex(k) || ''' AS TEXT)' ELSE quote(k) END"
	}
	// The window functions order as the comparisons do.
	query := `SELECT part, ` + text + ` AS bound, ` + literal + ` AS literal FROM (
		SELECT part, k, row_number() OVER (PARTITION BY part ORDER BY k) AS lo, row_number() OVER (PARTITION BY part ORDER BY k DESC) AS hi FROM (
			SELECT k, (rank() OVER (ORDER BY k) - 1) * ` + strconv.Itoa(c.Parts) + ` / count(*) OVER () AS part FROM (
				SELECT ` + column + ` AS k` + r.from() + ` WHERE ` + column + ` IS NOT NULL) AS keys) AS ranked) AS numbered
		WHERE lo = 1 OR hi = 1 ORDER BY part, lo`
	type bound struct{ text, literal string }
	type bounds struct {
		part      int64
		low, high bound
	}
	var all []bounds
	err = ask(ctx, tx, query, r.args, func(scan func(...any) error) error {
		var b bounds
		if err := scan(&b.part, &b.low.text, &b.low.literal); err != nil {
			return err
		}
		if n := len(all); n == 0 || all[n-1].part != b.part {
			all = append(all, b)
		}
		all[len(all)-1].high = b.low
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		name := fmt.Sprintf("%s %s to %s", c.Column, shortKey(b.low.text), shortKey(b.high.text))
		parts = append(parts, r.where(name, column+" >= "+b.low.literal+" AND "+column+" <= "+b.high.literal))
	}
	nulls := r.where(c.Column+" null", column+" IS NULL")
	return append(parts, nulls), nil
}

// shortKey shows a key in the name of a part; no two keys are shown alike.
func shortKey(key string) string {
	if utf8.RuneCountInString(key) <= 40 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%s… #%x", string([]rune(key)[:20]), sum[:4])
}

// primaryKey returns the column that is the primary key of a table.
func primaryKey(ctx context.Context, tx *db.Tx, table string) (string, error) {
	query, args := `SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indrelid = $1::regclass AND i.indisprimary`, []any{table}
	if !tx.Dialect().IsPostgres() {
		schema, name, ok := strings.Cut(table, ".")
		if !ok {
			schema, name = "main", table
		}
		query, args = "SELECT name FROM pragma_table_info($1, $2) WHERE pk > 0", []any{plainTable(name), plainTable(schema)}
	}
	var columns []string
	err := ask(ctx, tx, query, args, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		columns = append(columns, name)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case len(columns) == 0:
		return "", complete("the table %s has no primary key; name a column: key_ranges(column, n)", plainTable(table))
	case len(columns) > 1:
		return "", complete("the primary key of the table %s has %d columns; name one: key_ranges(%s, n)", plainTable(table), len(columns), columns[0])
	}
	return columns[0], nil
}

// plainTable is the name of a table, which has no quotes in it, without quotes.
func plainTable(name string) string { return strings.ReplaceAll(name, `"`, "") }

// pageRanges divides a table by the pages that its rows lie in. A partitioned table
// is divided in each of its partitions alike.
func pageRanges(ctx context.Context, tx *db.Tx, r relation, n int) (parts []rowPart, err error) {
	var kind string
	var pages int64
	// Of a table that is not partitioned the tree is empty.
	query := `SELECT c.relkind, GREATEST(pg_relation_size(c.oid), (SELECT max(pg_relation_size(t.relid)) FROM pg_partition_tree(c.oid) AS t)) / current_setting('block_size')::bigint
		FROM pg_class AS c WHERE c.oid = $1::regclass`
	err = ask(ctx, tx, query, []any{r.table}, func(scan func(...any) error) error { return scan(&kind, &pages) })
	if err != nil {
		return nil, err
	}
	if kind != "r" && kind != "p" && kind != "m" {
		return nil, complete("ctid_ranges reads a table by its pages, and %s is none; use key_ranges(column, %d)", plainTable(r.table), n)
	}
	tid := func(page int64) string { return fmt.Sprintf("'(%d,0)'::tid", page) }
	eachWidth(0, max(pages, 1)-1, n, func(at, end int64) {
		p := rowPart{fmt.Sprintf("ctid %d to %d", at, end), r.query + " WHERE ctid >= " + tid(at), nil}
		if end < pages-1 {
			p.query += " AND ctid < " + tid(end+1)
		}
		parts = append(parts, p)
	})
	return parts, nil
}

// rowidRanges divides a table of SQLite by its rowid.
func rowidRanges(ctx context.Context, tx *db.Tx, r relation, n int) (parts []rowPart, err error) {
	var low, high *int64
	var nulls int64
	err = ask(ctx, tx, "SELECT min(rowid), max(rowid), count(*) - count(rowid) FROM "+r.table, nil, func(scan func(...any) error) error { return scan(&low, &high, &nulls) })
	if err != nil || nulls > 0 {
		return nil, complete("ctid_ranges reads a table of SQLite by its rowid, and %s has none; use key_ranges(column, %d)", plainTable(r.table), n)
	}
	if low == nil {
		return nil, nil
	}
	eachWidth(*low, *high, n, func(at, end int64) {
		parts = append(parts, rowPart{fmt.Sprintf("rowid %d to %d", at, end), r.query + " WHERE rowid >= $1 AND rowid <= $2 ORDER BY rowid", []any{at, end}})
	})
	return parts, nil
}
