package runner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// keyed is a table with rows that were deleted, negative keys, keys that are
// missing, and one key that half of the rows have.
var keyed = []string{
	"CREATE TABLE keyed (id INTEGER PRIMARY KEY, k BIGINT, t TEXT)",
	"INSERT INTO keyed WITH RECURSIVE n(i) AS (SELECT -200 UNION ALL SELECT i + 1 FROM n WHERE i < 199) " +
		"SELECT i, CASE WHEN i % 10 = 0 THEN NULL WHEN i % 2 = 0 THEN 7 ELSE i * 3 END, 'it''s ' || i FROM n",
	"DELETE FROM keyed WHERE id BETWEEN -100 AND -50 OR id % 7 = 0",
}

// allRows reads a table as the outputs have it.
func (w *warehouse) allRows(table string) []string {
	w.t.Helper()
	all := w.texts("SELECT CAST(id AS TEXT) || ',' || COALESCE(CAST(k AS TEXT), '') FROM " + table)
	slices.Sort(all)
	return all
}

// rowsOf returns the first two fields of the rows of CSV outputs, and of which
// output each key is.
func rowsOf(t *testing.T, outputs map[string]string) (all []string, parts map[string]map[string]bool) {
	t.Helper()
	parts = map[string]map[string]bool{}
	for name, text := range outputs {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		require.True(t, strings.HasPrefix(lines[0], "id,k"), lines[0])
		for _, line := range lines[1:] {
			fields := strings.SplitN(line, ",", 3)
			all = append(all, fields[0]+","+fields[1])
			if parts[fields[1]] == nil {
				parts[fields[1]] = map[string]bool{}
			}
			parts[fields[1]][name] = true
		}
	}
	slices.Sort(all)
	return all, parts
}

// The parts of a table are the table, no row twice, for units of a source and for
// parts of a step.
func TestRangesAreTheTable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, keyed...)
		whole := w.allRows("keyed")
		require.Greater(t, len(whole), 200)
		for _, tt := range []struct {
			unit  string
			parts int // at most
			least int
		}{
			{"ctid_ranges(1)", 1, 1}, {"ctid_ranges(5)", 5, 1}, {"ctid_ranges(40)", 40, 1}, {"key_ranges(4)", 4, 4},
			{"key_ranges(id, 7)", 7, 7}, {"key_ranges(k, 8)", 9, 5}, {"key_ranges(t, 3)", 3, 3}, {"key_range(k, 4)", 5, 5}, {"key_ranges(id, 1)", 1, 1},
		} {
			b := newBench(t, "", nil)
			b.write("p.yaml", "version: 1\npipeline: p\nsource: {sql: {dsn: '"+url+"', table: keyed, format: csv}, unit: '"+tt.unit+"'}\nsteps:\n  a: {run: [cat]}\n")
			require.Equal(t, 0, b.run().ExitCode(), tt.unit)
			got, parts := rowsOf(t, b.outputs("a"))
			require.Equal(t, whole, got, tt.unit)
			require.LessOrEqual(t, len(b.outputs("a")), tt.parts, tt.unit)
			require.GreaterOrEqual(t, len(b.outputs("a")), tt.least, tt.unit)
			if strings.Contains(tt.unit, "(k") {
				require.Len(t, parts["7"], 1, "equal keys are in one part")
				require.Len(t, parts[""], 1)
			}
			require.Equal(t, len(b.outputs("a")), b.run().Steps[0].Units.Skipped, tt.unit)
			if strings.HasPrefix(tt.unit, "key_range(") {
				continue
			}
			s := newBench(t, "", nil)
			s.write("p.yaml", "version: 1\npipeline: p\nsteps:\n  rows: {sql: {dsn: '"+url+"', table: keyed}, format: {out: csv}, split: '"+tt.unit+"'}\n  a: {needs: rows, run: [cat]}\n")
			sum := s.run()
			require.Equal(t, 0, sum.ExitCode(), sum.DeadLetters)
			got, _ = rowsOf(t, s.outputs("a"))
			require.Equal(t, whole, got, tt.unit)
			require.Len(t, s.outputs("a"), len(b.outputs("a")), tt.unit)
			got, _ = rowsOf(t, s.outputs("rows"))
			require.Equal(t, whole, got, "the output as a whole")
		}
	})
}

// Keys of all types are divided where they have an order.
func TestRangesOfKeysOfAnyType(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	w := newWarehouse(t, url)
	for name, key := range map[string]string{
		"uuid": "md5(i::text)::uuid", "timestamptz": "'2026-03-29 00:00Z'::timestamptz + i * interval '13 minutes 0.000001 seconds'", "timestamp": "'2026-01-01'::timestamp - i * interval '1 day'",
		"numeric": "i * 1.000000000000000000001 - 50", "float8": "CASE i % 20 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE (i / 3.0)::text END::float8", "bytea": "decode(md5(i::text), 'hex')",
		"text": "CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN repeat('long', 30) || i % 9 WHEN 2 THEN E'a\\'\"\\n;' || i ELSE 'ünï' || i END", "date": "'0044-03-15 BC'::date + i * 10000", "interval": "i * interval '1 month'",
		"boolean": "i % 3 = 0", "int[]": "ARRAY[i % 5, i]",
	} {
		table := "of_" + strings.Trim(name, "[]")
		w.exec(fmt.Sprintf("CREATE TABLE %s AS SELECT i AS id, CASE WHEN i %% 25 > 0 THEN %s END::%s AS k FROM generate_series(1, 200) AS i", table, key, name))
		b := newBench(t, "", nil)
		b.write("p.yaml", "version: 1\npipeline: p\nsource: {sql: {dsn: '"+url+"', query: 'SELECT id, md5(k::text) AS k, k AS key FROM "+table+"', format: csv}, unit: 'key_ranges(key, 4)'}\nsteps:\n  a: {run: [cat]}\n")
		require.Equal(t, 0, b.run().ExitCode(), name)
		ids := map[string]int{}
		for _, text := range b.outputs("a") {
			for line := range strings.Lines(text) {
				id, _, _ := strings.Cut(line, ",")
				ids[id]++
			}
		}
		want := map[string]int{"boolean": 3}[name]
		if want == 0 {
			want = 5
		}
		require.Len(t, b.outputs("a"), want, name)
		for i := range 200 {
			require.Equal(t, 1, ids[fmt.Sprint(i+1)], "%s: row %d", name, i+1)
		}
	}
	// A partitioned table has pages in each of its partitions.
	w.exec("CREATE TABLE parted (id INTEGER, k INTEGER, t TEXT) PARTITION BY RANGE (id)")
	w.exec("CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000)")
	w.exec("CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (9000)")
	w.exec("INSERT INTO parted SELECT i, i % 7, repeat('x', 100) FROM generate_series(1, 3000) AS i")
	b := newBench(t, "", nil)
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {sql: {dsn: '"+url+"', table: public.parted, format: csv}, unit: 'ctid_ranges(6)'}\nsteps:\n  a: {run: [cat]}\n")
	require.Equal(t, 6, b.run().Steps[0].Units.Done)
	got, _ := rowsOf(t, b.outputs("a"))
	require.Equal(t, w.allRows("parted"), got)
}

// A column of SQLite holds values of all types, texts with NUL among them.
func TestRangesOfMixedKeys(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	w := newWarehouse(t, url, "CREATE TABLE mixed (id INTEGER PRIMARY KEY, k)")
	keys := []string{"1", "2.5", "-3", "1e300", "9e999", "'a'", "'a' || char(0) || 'b'", "'a' || char(0) || 'c'", "''", "'q''q'", "x'00ff'", "x'0100'", "NULL", "0.1", "'10'", "9223372036854775807"}
	for i, key := range keys {
		for j := range 5 {
			w.exec(fmt.Sprintf("INSERT INTO mixed VALUES (%d, %s)", i*5+j, key))
		}
	}
	for _, n := range []int{1, 3, 10, 100} {
		b := newBench(t, "", nil)
		b.write("p.yaml", fmt.Sprintf("version: 1\npipeline: p\nsource: {sql: {dsn: '%s', query: 'SELECT id, k AS key FROM mixed'}, unit: 'key_ranges(key, %d)'}\nsteps:\n  a: {run: [cat]}\n", url, n))
		require.Equal(t, 0, b.run().ExitCode())
		ids := map[int]int{}
		for _, text := range b.outputs("a") {
			for line := range strings.Lines(text) {
				var row struct{ ID int }
				require.NoError(t, json.Unmarshal([]byte(line), &row))
				ids[row.ID]++
			}
		}
		require.Len(t, ids, 5*len(keys))
		for id, times := range ids {
			require.Equal(t, 1, times, "%d ranges: row %d, %s", n, id, keys[id/5])
		}
		require.LessOrEqual(t, len(b.outputs("a")), n+1)
		if n == 100 {
			require.Len(t, b.outputs("a"), len(keys), "each key has a part of its own")
		}
	}
}

// A replay of the step reads the table as it is then, one of a part the rows that it
// had.
func TestRangesOfATableThatChanges(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, "CREATE TABLE rows (id INTEGER PRIMARY KEY, k TEXT)", "INSERT INTO rows VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")
		b := newBench(t, "", nil)
		b.write("p.yaml", "version: 1\npipeline: p\nsource: {files: 'in/*'}\nsteps:\n  rows: {sql: {dsn: '"+url+"', table: rows}, format: {out: csv}, split: key_ranges(2)}\n"+
			"  part: {needs: rows, sh: 'test -e mended || exit 65; cat'}\n  all: {needs: part, fan_in: all, sh: 'cat {inputs}'}\n")
		b.write("in/x", "1")
		require.Equal(t, 1, b.run().ExitCode())
		b.write("mended", "")
		w.exec("DELETE FROM rows WHERE id = 2")
		w.exec("INSERT INTO rows VALUES (5, 'e')")
		l, err := runner.NewLedger(t.Context(), b.o.Queue)
		require.NoError(t, err)
		replay := func(step string) {
			t.Helper()
			rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: step})
			require.NoError(t, err)
			for i := range rows {
				require.NoError(t, l.Replay(t.Context(), rows[i].Key, "", true, queue.Decision{}))
			}
			b.events = nil
			require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
		}
		replay("part")
		require.Equal(t, map[string]string{"x#id 1 to 2": "id,k\n1,a\n2,b\n", "x#id 3 to 4": "id,k\n3,c\n4,d\n"}, b.outputs("part"))
		require.Equal(t, "id,k\n1,a\n2,b\nid,k\n3,c\n4,d\n", b.output("all"))
		replay("rows")
		require.Equal(t, map[string]string{"x#id 1 to 3": "id,k\n1,a\n3,c\n", "x#id 4 to 5": "id,k\n4,d\n5,e\n"}, b.outputs("part"))
		require.Equal(t, "id,k\n1,a\n3,c\nid,k\n4,d\n5,e\n", b.output("all"))
		// Parts that somebody removed are cut again, at the same rows.
		cut, err := filepath.Glob(filepath.Join(b.dir, ".profiler/runs/p/steps/rows/*/*.parts"))
		require.NoError(t, err)
		require.Len(t, cut, 1)
		require.NoError(t, os.RemoveAll(cut[0]))
		s := b.run()
		require.Equal(t, []int{0, 0}, []int{s.Steps[0].Attempts, s.Steps[1].Attempts})
		require.FileExists(t, filepath.Join(cut[0], "000002.csv"))
		require.Equal(t, map[string]string{"x#id 1 to 3": "id,k\n1,a\n3,c\n", "x#id 4 to 5": "id,k\n4,d\n5,e\n"}, b.outputs("part"))
		w.exec("DELETE FROM rows")
		replay("rows")
		require.Equal(t, map[string]string{"x#none": "id,k\n"}, b.outputs("part"), "a table without rows is one part")
	})
}

func TestRangesThatCannotBe(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, "CREATE TABLE plain (id INTEGER, k TEXT)", "INSERT INTO plain VALUES (1, 'a')", "CREATE TABLE two (a INTEGER, b INTEGER, PRIMARY KEY (a, b))")
		wants := map[string]string{
			"table: plain}, unit: 'key_ranges(3)'":    "the table plain has no primary key; name a column: key_ranges(column, n)",
			"table: two}, unit: 'key_ranges(3)'":      "the primary key of the table two has 2 columns; name one: key_ranges(a, n)",
			"table: none}, unit: 'ctid_ranges(3)'":    "source of p: p.yaml:3:",
			"table: plain}, unit: 'key_ranges(x, 3)'": `: key_ranges(x, 3): the table plain has no column "x"; it has id, k`,
			"table: plain}, unit: 'key_range(k, 3)'":  "key_range needs a column of whole numbers, and k is none; use key_ranges(k, 3), which takes any",
		}
		if strings.HasPrefix(url, "sqlite") {
			w.exec("CREATE TABLE bare (id INTEGER PRIMARY KEY) WITHOUT ROWID")
			wants["table: bare}, unit: 'ctid_ranges(3)'"] = "ctid_ranges reads a table of SQLite by its rowid, and bare has none; use key_ranges(column, 3)"
		} else {
			w.exec("CREATE VIEW seen AS SELECT * FROM plain")
			wants["table: public.seen}, unit: 'ctid_ranges(3)'"] = "ctid_ranges reads a table by its pages, and public.seen is none; use key_ranges(column, 3)"
		}
		for source, want := range wants {
			b := newBench(t, "", nil)
			b.write("p.yaml", "version: 1\npipeline: p\nsource: {sql: {dsn: '"+url+"', "+source+"}\nsteps:\n  a: {run: [cat]}\n")
			_, err := b.runner().Run(t.Context())
			require.ErrorContains(t, err, want, source)
			require.NotContains(t, err.Error(), "\n")
		}
	})
}

// What is wrong in a query has its place, also when it is read in ranges.
func TestPlacesInQueriesOfRanges(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		newWarehouse(t, url, "CREATE TABLE rows (id INTEGER PRIMARY KEY, k TEXT)")
		said := func(column, split string) string {
			b := newBench(t, "", nil)
			b.write("p.yaml", "version: 1\npipeline: p\nsteps:\n  rows:\n    retry: {attempts: 1}\n    sql:\n      dsn: '"+url+"'\n      query: |\n        SELECT id, 'ü' AS u,\n          "+column+"\n        FROM rows WHERE k <> :unit_id\n"+split)
			s := b.run()
			require.Len(t, s.DeadLetters, 1)
			return s.DeadLetters[0].Error
		}
		const split = "    split: key_ranges(id, 3)\n"
		plain := said("  nope", "")
		require.Contains(t, plain, "nope")
		require.Equal(t, plain, said("  nope", split))
		require.Regexp(t, `^p\.yaml:\d+:\d+: .*"?idd"?`, said("k", strings.Replace(split, "id", "idd", 1)), "a mistake in split")
		if !strings.HasPrefix(url, "sqlite") {
			require.Contains(t, plain, "p.yaml:10:13: ")
		}
	})
}
