package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/runner"
)

// warehouse is a database that steps work in.
type warehouse struct {
	*db.DB
	t   *testing.T
	url string
}

func newWarehouse(t *testing.T, url string, statements ...string) *warehouse {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	w := &warehouse{d, t, url}
	for _, s := range statements {
		w.exec(s)
	}
	return w
}

func (w *warehouse) exec(statement string) {
	w.t.Helper()
	_, err := w.DB.Exec(w.t.Context(), statement)
	require.NoError(w.t, err)
}

// texts reads the rows of one column.
func (w *warehouse) texts(query string) []string {
	w.t.Helper()
	var all []string
	require.NoError(w.t, w.Select(w.t.Context(), &all, query))
	return all
}

// sqlBench has a pipeline in which DSN stands for the address of the warehouse.
func sqlBench(t *testing.T, w *warehouse, steps string, files map[string]string) *bench {
	t.Helper()
	return newBench(t, strings.ReplaceAll(steps, "DSN", "'"+w.url+"'"), files)
}

const people = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, unit TEXT)"

func TestSQLLoadsAndAnswers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, people)
		b := sqlBench(t, w, `
  load:
    sql:
      dsn: DSN
      load: {table: fresh, temporary: true}
      statement: |
        -- ids are texts in the temporary table; this: is no parameter
        INSERT INTO people SELECT CAST(id AS INTEGER), name || ';:x', :unit_id FROM fresh;
        UPDATE people SET name = name || :step || :attempt WHERE unit = :unit_id;
      query: SELECT id, name, CAST(NULL AS TEXT) AS none, 1.5 AS x, :idempotency_key AS k FROM people WHERE unit = :unit_id ORDER BY id
  flat: {needs: load, format: {out: csv}, sql: {dsn: DSN, query: "SELECT id, name, NULL AS none FROM people ORDER BY id"}}
`, map[string]string{"a": "id,name\n2,\"b\n,\"\"\"\n1,a\n"})
		s := b.run()
		require.Equal(t, 0, s.ExitCode(), s.DeadLetters)
		unit := b.events[0].Unit
		require.Regexp(t, `^\{"id":1,"name":"a;:xload1","none":null,"x":1\.5,"k":"load\.`+unit+`\.[0-9a-f]{32}"\}\n\{"id":2,"name":"b\\n,\\";:xload1",.*\}\n$`, b.outputs("load")["a"])
		require.Equal(t, "id,name,none\n1,a;:xload1,\n2,\"b\n,\"\";:xload1\",\n", b.outputs("flat")["a"])
		require.Len(t, w.texts("SELECT idempotency_key FROM profiler_effect"), 1)
		require.Equal(t, 2, b.run().Steps[0].Units.Skipped+b.run().Steps[1].Units.Skipped)
	})
}

func TestSQLPassesTheInputOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, people)
		text := `{"id": 1, "name": "ü", "more": [1, {"a": 2}]}` + "\n\n" + `{"name": "b", "id": 2}` + "\n"
		b := sqlBench(t, w, "  load: {sql: {dsn: DSN, load: {table: people, columns: [id, name, unit]}}}\n", map[string]string{"a": text})
		require.Equal(t, 0, b.run().ExitCode())
		require.Equal(t, text, b.outputs("load")["a"])
		require.Equal(t, []string{"ü", "b"}, w.texts("SELECT name FROM people ORDER BY id"))
		require.Equal(t, []string{"0"}, w.texts("SELECT CAST(count(unit) AS TEXT) FROM people"))
	})
}

// What is in the database before the answer of its commit was lost is not done
// again.
func TestSQLTakesEffectOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWarehouse(t, url, "CREATE TABLE seen (unit TEXT, word TEXT)")
		steps := func(word, more string) string {
			return "  count: {sql: {dsn: DSN, statement: \"INSERT INTO seen VALUES (:unit_id, '" + word + "')\", query: SELECT count(*) AS n FROM seen" + more + "}}\n"
		}
		b := sqlBench(t, w, steps("a", ""), map[string]string{"x": "1"})
		again := func(word, more string) string {
			b.store("fresh.db") // nobody knows that the step was done
			require.NoError(t, os.Remove(filepath.Join(b.dir, "fresh.db")))
			b.store("fresh.db")
			b.steps(strings.ReplaceAll(steps(word, more), "DSN", "'"+w.url+"'"), true)
			require.Equal(t, 0, b.run().ExitCode())
			return b.outputs("count")["x"]
		}
		require.Equal(t, 0, b.run().ExitCode())
		require.Equal(t, "{\"n\":1}\n", b.outputs("count")["x"])
		require.Equal(t, "{\"n\":1}\n", again("a", ""))
		require.Equal(t, "{\"n\":1}\n", again("b", ""), "once per unit, whatever the step does")
		require.Equal(t, "{\"n\":2}\n", again("b", ", idempotency: key"))
		require.Equal(t, "{\"n\":2}\n", again("b", ", idempotency: key"))
		require.Equal(t, "{\"n\":3}\n", again("c", ", idempotency: key"), "another key: the step does something else")
		require.Equal(t, "{\"n\":4}\n", again("c", ", idempotency: none"))
		require.Equal(t, "{\"n\":5}\n", again("c", ", idempotency: none"))
	})
}

func TestSQLThatFails(t *testing.T) {
	t.Parallel()
	type failure struct {
		name, sql, input string
		attempts         int
		cause            runner.Cause
		want             []string // one of them, for the two dialects
	}
	for _, tt := range []failure{
		{"duplicate", "load: people", "id,name\n1,a\n1,b\n", 1, runner.CauseData, []string{"load into people: UNIQUE constraint failed: people.id", `load into people: duplicate key value violates unique constraint "people_pkey" (COPY people, line 2)`}},
		{"null", "load: people", "id,name\n1,\n", 1, runner.CauseData, []string{"NOT NULL constraint failed", "violates not-null constraint"}},
		{"no number", "statement: INSERT INTO people VALUES ('x', 'a', 'b')", "", 1, runner.CauseData, []string{"p.yaml:5:47: datatype mismatch", "p.yaml:5:74: invalid input syntax for type integer"}},
		{"malformed", "load: people", "id,name\n1,\"a\n", 1, runner.CauseData, []string{"line 2 of the input is malformed"}},
		{"no object", "load: people", "{\"id\":1,\"name\":\"a\"}\n[]\n", 1, runner.CauseData, []string{"line 2 of the input is no JSON object"}},
		{"another key", "load: people", "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"nam\":\"b\"}\n", 1, runner.CauseData, []string{`line 2 of the input has the key "nam"`}},
		{"binary", "load: people", "PAR1\x00\x00", 1, runner.CauseData, []string{"neither CSV nor JSON Lines"}},
		{"no column", "load: {table: people, columns: [id, nam]}", "id,name\n1,a\n", 1, runner.CauseData, []string{`the input has no column "nam"; it has id, name`}},
		{"two columns", "load: people", "id,id\n1,2\n", 1, runner.CauseData, []string{`two columns with the name "id"`}},
		{"no such table", "load: poeple", "id,name\n1,a\n", 2, runner.CauseAttempts, []string{"load into poeple: no such table: poeple", `relation "poeple" does not exist`}},
		{"mistake", "query: SELECT 1 + nam FROM people", "", 2, runner.CauseAttempts, []string{"p.yaml:5:43: no such column: nam", `p.yaml:5:54: column "nam" does not exist`}},
		{"same names", "query: SELECT 1 AS a, 2 AS a", "", 2, runner.CauseAttempts, []string{`two columns with the name "a"`}},
		{"query that writes", "query: DELETE FROM people", "", 2, runner.CauseAttempts, []string{"the query changes data, which only a statement may"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, url string) {
				w := newWarehouse(t, url, people, "INSERT INTO people VALUES (7, 'seven', NULL)")
				text := tt.sql
				if key, value, ok := strings.Cut(text, ": "); ok && !strings.HasPrefix(value, "{") {
					text = key + `: "` + strings.ReplaceAll(value, `"`, `\"`) + `"`
				}
				// The address stands behind, so that the columns of messages are the same everywhere.
				b := sqlBench(t, w, "  a: {retry: {attempts: 2}, sql: {"+text+", dsn: DSN}}\n", map[string]string{"x": tt.input})
				s := b.run()
				require.Len(t, s.DeadLetters, 1)
				d := s.DeadLetters[0]
				require.Equal(t, tt.cause, d.Cause, d.Error)
				require.Equal(t, tt.attempts, s.Steps[0].Attempts)
				found := false
				for _, want := range tt.want {
					found = found || strings.Contains(d.Error, want)
				}
				require.True(t, found, d.Error)
				require.NotRegexp(t, `pq:|sql:|complete|SQL logic|\(\d+\)$|%!`, d.Error)
				require.NotContains(t, d.Error, "\n")
				require.Equal(t, []string{"seven"}, w.texts("SELECT name FROM people"), "nothing of a failed step stays")
			})
		})
	}
}

func TestSQLWithoutAServer(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {retry: {attempts: 2, on: []}, sql: {dsn: 'postgres://u:s3cret@127.0.0.1:1/d', query: SELECT 1}}\n", map[string]string{"x": ""})
	s := b.run()
	require.Equal(t, 2, s.Steps[0].Attempts, "no connection may pass")
	require.Contains(t, s.DeadLetters[0].Error, "postgres://127.0.0.1:1/d: no Postgres server can be reached there (connection refused)")
	require.NotContains(t, fmt.Sprintf("%+v %#v", s, b.runner()), "s3cret")
}

// A row that another transaction holds: the deadlock that the server finds is a
// passing trouble.
func TestSQLSerialization(t *testing.T) {
	t.Parallel()
	w := newWarehouse(t, dbtest.Postgres(t), "CREATE FUNCTION lose() RETURNS INT AS $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$ LANGUAGE plpgsql",
		"CREATE FUNCTION refuse() RETURNS INT AS $$ BEGIN RAISE EXCEPTION 'the order % is strange', 7; END $$ LANGUAGE plpgsql")
	// One step each: the clock of the bench jumps while a unit waits for its next
	// attempt, and with it the lease of another would end.
	again := sqlBench(t, w, "  a: {retry: {attempts: 3, on: []}, sql: {dsn: DSN, statement: SELECT lose()}}\n", map[string]string{"x": ""})
	require.Equal(t, 3, again.run().Steps[0].Attempts)
	never := sqlBench(t, w, "  a: {sql: {dsn: DSN, statement: SELECT refuse()}}\n", map[string]string{"x": ""})
	s := never.run()
	require.Equal(t, 1, s.Steps[0].Attempts)
	require.Equal(t, runner.CauseData, s.DeadLetters[0].Cause)
	require.Contains(t, s.DeadLetters[0].Error, "the order 7 is strange")
}

func TestSQLTimeout(t *testing.T) {
	t.Parallel()
	w := newWarehouse(t, dbtest.Postgres(t))
	b := sqlBench(t, w, "  a: {timeout: {run: 50ms}, retry: {attempts: 1}, sql: {dsn: DSN, query: SELECT pg_sleep(600)}}\n", map[string]string{"x": ""})
	d := b.run().DeadLetters[0]
	require.Equal(t, runner.CauseTimeout, d.Cause)
	require.Equal(t, "the database did not finish within 50ms", d.Error)
}

func TestSQLTypes(t *testing.T) {
	t.Parallel()
	pg := `SELECT DATE '2026-03-01' AS d, TIMESTAMP '2026-03-01 10:00:00.5' AS t, TIMESTAMPTZ '2026-03-01 10:00:00+00' AS z, true AS b, 1.50::numeric AS n,
		'NaN'::float8 AS nan, '\x00ff'::bytea AS raw, '{"a": [1]}'::jsonb AS j, ARRAY[1,2] AS l, 9223372036854775807 AS big`
	w := newWarehouse(t, dbtest.Postgres(t))
	b := sqlBench(t, w, "  a: {sql: {dsn: DSN, query: \""+strings.NewReplacer("\n", " ", "\t", " ", `\`, `\\`, `"`, `\"`).Replace(pg)+"\"}}\n", map[string]string{"x": ""})
	s := b.run()
	require.Empty(t, s.DeadLetters)
	require.Equal(t, `{"d":"2026-03-01","t":"2026-03-01T10:00:00.5","z":"2026-03-01T10:00:00Z","b":true,"n":1.50,"nan":"NaN","raw":"AP8=","j":{"a": [1]},"l":"{1,2}","big":9223372036854775807}`+"\n", b.outputs("a")["x"]) //nolint:testifylint // byte for byte
}

func TestSQLChangesTheFingerprint(t *testing.T) {
	t.Parallel()
	w := newWarehouse(t, dbtest.SQLite(t), "CREATE TABLE t (a INTEGER)")
	b := sqlBench(t, w, "  a: {sql: {dsn: DSN, file: s.sql, idempotency: none}}\n", map[string]string{"x": ""})
	b.write("s.sql", "INSERT INTO t VALUES (1);\n-- end")
	require.Equal(t, 1, b.run().Steps[0].Units.Done)
	require.Equal(t, 1, b.run().Steps[0].Units.Skipped)
	b.write("s.sql", "\n INSERT INTO t\n VALUES (2, 3)")
	s := b.run()
	require.Contains(t, s.DeadLetters[0].Error, "s.sql:2:2: table t has 1 columns but 2 values were supplied")
	p, err := pipeline.Load(filepath.Join(b.dir, "p.yaml"))
	require.NoError(t, err)
	b.write("s.sql", "INSERT INTO t VALUES (:uni_id)")
	require.EqualError(t, p.Check(), filepath.Join(b.dir, "s.sql")+`:1:23: unknown parameter :uni_id; there are :unit_id, :run_id, :correlation_id, :idempotency_key, :input, :pipeline, :step, :attempt; did you mean "unit_id"?`)
}
