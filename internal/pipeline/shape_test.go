package pipeline_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/pipeline"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	p, err := pipeline.Parse("p.yaml", []byte(`
version: 1
pipeline: p
source: {files: x, unit: "time(created at, 1d)"}
steps:
  a: {run: [cat], split: row_groups}
  b: {needs: a, run: [cat], split: rows(7)}
  c: {needs: {b: any}, run: [cat]}
  all: {needs: [a, c], fan_in: all, run: [cat]}
  mail: {needs: all, run: [cat]}
`), nil)
	require.NoError(t, err)
	require.Equal(t, &pipeline.Cut{Kind: "time", Column: "created at", Span: 24 * time.Hour}, p.Source.Cut())
	require.Equal(t, "row_groups", p.Step("a").Split.String())
	require.Equal(t, &pipeline.Split{Kind: "rows", Rows: 7}, p.Step("b").Split)
	var parts, joined []string
	for i := range p.Steps {
		if p.Steps[i].Parts {
			parts = append(parts, p.Steps[i].Name)
		}
		if p.Steps[i].Joined {
			joined = append(joined, p.Steps[i].Name)
		}
	}
	require.Equal(t, []string{"a", "b", "c"}, parts)
	require.Equal(t, []string{"all", "mail"}, joined)
	require.Equal(t, []string{"a", "b", "c"}, p.Before(p.Step("all")))
}

func TestShapesThatDoNotFit(t *testing.T) {
	t.Parallel()
	const steps = "steps:\n  a: {run: [cat], split: rows(2)}\n  b: {run: [cat]}\n"
	for text, want := range map[string]string{
		"  c: {needs: [b, a], run: [cat]}\n":                                                                        "p.yaml:7:18: step \"c\" would wait for ever: b gives the units of the source and a gives parts of its outputs",
		"  c: {needs: a, run: [cat]}\n  d: {needs: [c, b], run: [cat]}\n":                                           "c gives the parts that a is split into and b gives the units of the source",
		"  c: {needs: b, fan_in: all, run: [cat]}\n  d: {needs: [c, a], run: [cat]}\n":                              "c joins all units of a run to one and a gives parts of its outputs",
		"  c: {needs: b, fan_in: all, run: [cat]}\n  d: {needs: c, run: [cat]}\n  e: {needs: [d, b], run: [cat]}\n": "d gives the one that c joins and b gives the units of the source",
		"  c: {needs: b, fan_in: all, sql: {dsn: 'sqlite:x', load: t}}\n":                                           "which sql cannot load",
		"  c: {run: [cat], split: key_ranges(4)}\n":                                                                 `step "c" is no step in SQL, whose rows have ranges of keys; write rows(50000)`,
		"  c: {sql: {dsn: 'sqlite:x', query: SELECT 1}, split: ctid_ranges(4)}\n":                                   "7:55: ctid_ranges divides a table; write table: NAME instead of the query, or key_ranges(column, 4)",
		"  c: {sql: {dsn: 'sqlite:x', query: SELECT 1}, split: key_ranges(4)}\n":                                    "key_ranges(4) divides the primary key of a table; write table: NAME instead of the query, or name a column: key_ranges(id, 4)",
		"  c: {sql: {dsn: 'sqlite:x', table: t}, split: 'ctid_ranges(id, 4)'}\n":                                    "ctid_ranges divides the pages of a table, not a column; write ctid_ranges(4), or key_ranges(id, 4)",
		"  c: {sql: {dsn: 'sqlite:x', table: t}, split: 'key_ranges(id, 0)'}\n":                                     "the number of ranges is from 1 to 10000",
		"  c: {sql: {dsn: 'sqlite:x', table: t}, split: 'key_ranges(id)'}\n":                                        `"key_ranges(id)" is no split; write key_ranges(id, 16) or ctid_ranges(16)`,
		"  c: {sql: {dsn: 'sqlite:x', table: t, statement: DELETE FROM t}, split: ctid_ranges(4)}\n":                `step "c" changes something, and ranges of keys are for a step that only reads`,
		"  c: {sql: {dsn: 'sqlite:x', table: t, query: SELECT 1}}\n":                                                "table and query both say which rows are read; keep one",
		"  c: {sql: {dsn: 'sqlite:x', table: 't; x'}}\n":                                                            `"t; x" is no table; write its name, or schema.name`,
		"  c: {run: [cat], split: files(2)}\n":                                                                      `"files(2)" is no split`,
		"  c: {http: {url: 'http://x'}, split: files}\n":                                                            `step "c" gives one output, and split: files is for a command (run or sh)`,
		"  c: {sql: {dsn: 'sqlite:x', query: SELECT 1}, split: files}\n":                                            `step "c" gives one output`,
		"  c: {worker: true, split: files}\n":                                                                       `step "c" gives one output`,
		"  c: {run: [cat], split: rows(0)}\n":                                                                       "rows has the number of rows of a part",
		"  c: {run: [cat], split: row_groups(2)}\n":                                                                 `"row_groups(2)" is no split`,
	} {
		_, err := pipeline.Parse("p.yaml", []byte(head+steps+text), nil)
		require.ErrorContains(t, err, want, text)
	}
}

func TestStreamSource(t *testing.T) {
	t.Parallel()
	parse := func(fields string) (*pipeline.Pipeline, error) {
		return pipeline.Parse("p.yaml", []byte("version: 1\npipeline: a.b\nsource: {nats: {"+fields+"}}\nsteps: {a: {run: [cat]}}\n"), nil)
	}
	p, err := parse("url: 'nats://a:4222, tls://b', stream: S")
	require.NoError(t, err)
	require.Equal(t, &pipeline.NATS{URL: "nats://a:4222, tls://b", Stream: "S", Consumer: "profiler-a_b", Rows: 1000, Bytes: 8 << 20, Age: 5 * time.Second}, p.Source.NATS)
	require.True(t, p.Source.Streams())
	p, err = parse("url: 'nats://a', stream: S, subject: 's.>', consumer: c, credentials: f, batch: {rows: 1, bytes: 1MiB, age: 1m}")
	require.NoError(t, err)
	require.Equal(t, &pipeline.NATS{URL: "nats://a", Stream: "S", Subject: "s.>", Consumer: "c", Credentials: "f", Rows: 1, Bytes: 1 << 20, Age: time.Minute}, p.Source.NATS)
	for fields, want := range map[string]string{
		"stream: S": "url", "url: 'nats://a'": "stream", "url: a, stream: S": "the url is like", "url: 'nats://a,b', stream: S": "the url is like",
		"url: 'nats://a', stream: S, subject: 'a..b'":        "the subject is like",
		"url: 'nats://a', stream: S, consumer: 'a b'":        "cannot be the name of a consumer",
		"url: 'nats://a', stream: S, batch: {bytes: 0B}":     "bytes is above 0",
		"url: 'nats://a', stream: S, batch: {rows: 1000000}": "from 1 to 100000",
		"url: 'nats://a', stream: S, batch: {age: 0s}":       "age is above 0",
		"url: 'nats://a', stream: S, bath: {}":               `did you mean "batch"`,
	} {
		_, err := parse(fields)
		require.ErrorContains(t, err, want, fields)
	}
}
