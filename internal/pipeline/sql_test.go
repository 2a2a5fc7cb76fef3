package pipeline_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/pipeline"
)

func TestSQLStep(t *testing.T) {
	t.Parallel()
	env := func(string) (string, bool) { return "postgres://u:s3cret@dw:5432/d?sslmode=disable", true }
	p, err := pipeline.Parse("dir/p.yaml", []byte(head+`steps:
  a: {sql: {dsn: "${env:DW}", load: {table: s.t, columns: [a, b], temporary: false}, statement: "DELETE FROM x; SELECT :unit_id", query: SELECT 1, idempotency: key}, format: {in: csv, out: csv}}
  b: {needs: a, sql: {dsn: "sqlite:w.db", load: t, file: x.sql}}
`), env)
	require.NoError(t, err)
	a, b := p.Step("a").SQL, p.Step("b").SQL
	require.Equal(t, &pipeline.TableLoad{Table: "s.t", Columns: []string{"a", "b"}}, a.Load)
	require.Equal(t, pipeline.OncePerKey, a.Idempotency)
	require.Equal(t, pipeline.OncePerUnit, b.Idempotency)
	require.Equal(t, "postgres://u:s3cret@dw:5432/d?sslmode=disable", a.Database.URL(p))
	require.Equal(t, "sqlite:"+filepath.Join("dir", "w.db"), b.Database.URL(p))
	require.True(t, a.Database.IsPostgres())
	require.False(t, b.Database.IsPostgres())
	does, err := a.Does(p)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v %+v", p, does), "s3cret")
	require.Contains(t, fmt.Sprintf("%+v", does), "postgres://dw:5432/d")
	require.ErrorContains(t, p.Check(), `dir/p.yaml:6:58: the file "x.sql" cannot be read: no such file or directory`)
}

func TestSQLMistakes(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"{}":                       `5:12: missing key "dsn" in sql of step "a"`,
		"{dsn: 'mysql://u:pw@h'}":  "5:18: the dsn is like postgres://user@host:5432/database or sqlite:PATH",
		"{dsn: 'sqlite::memory:'}": "5:18: sqlite: is followed by the path of a file",
		"{dsn: 'sqlite:x'}":        "5:12: sql of step \"a\" does nothing; give it a query",
		"{dsn: 'sqlite:x', query: SELECT 1; SELECT 2}":               "5:47: a query is one statement, this is another one",
		"{dsn: 'sqlite:x', query: ' -- x'}":                          "5:38: there is no statement in it",
		"{dsn: 'sqlite:x', statement: 'DELETE FROM t; commit'}":      "5:57: COMMIT would end the transaction",
		"{dsn: 'sqlite:x', statement: SELECT :unit}":                 "5:48: unknown parameter :unit;",
		"{dsn: 'sqlite:x', statement: SELECT 'x}":                    "5:48: the text in ' is never closed",
		"{dsn: 'sqlite:x', statement: SELECT 1, file: x}":            "5:51: statement and file both hold the SQL; keep one",
		"{dsn: 'sqlite:x', file: ''}":                                "is no file name",
		"{dsn: 'sqlite:x', load: a b}":                               `5:36: "a b" is no table`,
		"{dsn: 'sqlite:x', load: {table: a.b, temporary: true}}":     "5:44: a temporary table has no schema",
		"{dsn: 'sqlite:x', load: {table: a, columns: all}}":          "5:56: columns is a list of names, or auto",
		"{dsn: 'sqlite:x', load: {table: a, columns: [x, x]}}":       `5:60: the column "x" is there twice`,
		"{dsn: 'sqlite:x', load: {table: a, from: b}}":               `5:53: step "a" does not need "b"`,
		"{dsn: 'sqlite:x', load: {tabel: a}}":                        `did you mean "table"`,
		"{dsn: 'sqlite:x', load: t, idempotency: unit}":              `did you mean "unit_id"`,
		"{dsn: 'sqlite:x', load: t}, run: [cat]":                     "has sql and run; a step has exactly one command",
		"{dsn: 'sqlite:x', load: t}, rejects: fd3":                   "has no rejects here",
		"{dsn: 'sqlite:x', load: t}, resources: {cpu: 1}":            "has no resources here",
		"{dsn: 'sqlite:x', load: t}, format: {in: parquet}":          "5:53: load reads csv, tsv and jsonl, not parquet",
		"{dsn: 'sqlite:x', query: SELECT 1}, format: {out: parquet}": "5:62: the rows of a query are written as csv, tsv or jsonl, not as parquet",
	} {
		_, err := pipeline.Parse("p.yaml", []byte(head+"steps:\n  a: {sql: "+fields+"}\n"), nil)
		require.ErrorContains(t, err, want, fields)
		require.NotContains(t, err.Error(), "u:pw", fields)
	}
	for steps, want := range map[string]string{
		"version: 1\npipeline: p\nsteps:\n  a: {sql: {dsn: 'sqlite:x', load: t}}\n":                                                         `4:30: step "a" has no input to load`,
		head + "steps:\n  a: {run: [cat]}\n  b: {run: [cat]}\n  c: {needs: [a, b], sql: {dsn: 'sqlite:x', load: t}}\n":                      `7:45: step "c" needs 2 steps; say which output is loaded by from: a`,
		head + "steps:\n  a: {run: [cat]}\n  b: {run: [cat]}\n  c: {needs: [a, b], sql: {dsn: 'sqlite:x', statement: SELECT 1}}\n":          "7:22: step \"c\" needs 2 steps and has no query that says what its output is",
		head + "steps:\n  aa: {run: [cat]}\n  b: {run: [cat]}\n  c: {needs: [aa, b], sql: {dsn: 'sqlite:x', load: {table: t, from: ab}}}\n": `did you mean "aa"`,
		head + "steps:\n  a: {run: [cat]}\n  b: {needs: a, fan_in: all, sql: {dsn: 'sqlite:x', load: t}}\n":                                 `6:30: step "b" joins the units of a run, which sql cannot load`,
	} {
		_, err := pipeline.Parse("p.yaml", []byte(steps), nil)
		require.ErrorContains(t, err, want, steps)
	}
}

func TestSourcesOfRowsAndBodies(t *testing.T) {
	t.Parallel()
	source := func(text string) (*pipeline.Pipeline, error) {
		return pipeline.Parse("p.yaml", []byte("version: 1\npipeline: p\nsource: {"+text+"}\nsteps: {a: {run: [cat]}}\n"), nil)
	}
	p, err := source("sql: {dsn: 'sqlite:x.db', query: SELECT 1, format: csv}, unit: 'key_range(id, 16)', key: '{part}', keep: 2h")
	require.NoError(t, err)
	require.Equal(t, pipeline.Portion{Kind: pipeline.WidthRanges, Column: "id", Parts: 16, Pos: diag.Position{File: "p.yaml", Line: 3, Column: 73}}, p.Source.Portion)
	require.Equal(t, "key_range(id, 16) of sqlite:x.db", p.Source.String())
	require.Equal(t, []any{"csv", "{part}", "2h0m0s"}, []any{p.Source.SQL.Format, p.Source.Key, p.Source.Keep.String()})
	p, err = source("http: /in/a/b.c, unit: 'rows(1_000)'")
	require.NoError(t, err)
	require.Equal(t, &pipeline.HTTPSource{Path: "/in/a/b.c", MaxBytes: 64 << 20}, p.Source.HTTP)
	require.Equal(t, pipeline.Portion{Rows: 1000}, p.Source.Portion)
	require.Equal(t, "POST /in/a/b.c", p.Source.String())
	p, err = source("sql: {dsn: 'sqlite:x.db', file: none.sql}")
	require.NoError(t, err)
	require.ErrorContains(t, p.Check(), `p.yaml:3:42: the file "none.sql" cannot be read`)
	for text, want := range map[string]string{
		"sql: {}":                "missing key \"dsn\"",
		"sql: {dsn: 'sqlite:x'}": "3:15: sql of the source has no query",
		"sql: {dsn: 'sqlite:x', query: 'SELECT :unit_id'}":                  "unknown parameter :unit_id",
		"sql: {dsn: 'sqlite:x', query: SELECT 1}, files: x":                 "3:51: the source has sql and files; keep one",
		"sql: {dsn: 'sqlite:x', query: SELECT 1}, unit: file":               `"file" is no unit here; write query, rows(50000), key_range(id, 16), key_ranges(id, 16) or ctid_ranges(16)`,
		"sql: {dsn: 'sqlite:x', query: SELECT 1}, unit: rows(0)":            `"rows(0)" is no unit here`,
		"sql: {dsn: 'sqlite:x', query: SELECT 1}, unit: 'key_range(id, 0)'": "the number of ranges is from 1 to 10000",
		"sql: {dsn: 'sqlite:x', query: SELECT 1}, key: '{path}'":            "unknown placeholder {path} in key; there are {part} and {sha256}",
		"sql: {dsn: 'sqlite:x', query: SELECT 1}, keep: 1s":                 "keep is at least 1h",
		"files: x, keep: 1d":                     "keep is for inputs that the source stores",
		"http: /orders":                          `3:16: "/orders" is no path; it is like /in/orders`,
		"http: /in/../x":                         "is no path",
		"http: {path: /in/x, max_bytes: 0}":      "max_bytes is from 1 to 1TiB",
		"http: {path: /in/x, max: 1}":            "unknown key",
		"http: {}":                               "missing key \"path\"",
		"http: /in/x, key: '{sha256}'":           "leave key out",
		"http: /in/x, unit: 'key_range(id, 16)'": "write body or rows(1000)",
	} {
		_, err := source(text)
		require.ErrorContains(t, err, want, text)
	}
}
