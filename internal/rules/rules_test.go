package rules

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/golden"
)

func env(name string) (string, bool) {
	v, ok := map[string]string{"MAX": "10"}[name]
	return v, ok
}

// TestMistakes compares the messages about broken rule files, one file a kind
// of mistake, with the golden text beside it.
func TestMistakes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.bad.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			_, diags := Parse(filepath.Base(file), data, env)
			require.True(t, diags.HasErrors(), "the file is good")
			var out bytes.Buffer
			for _, d := range diags {
				require.Positive(t, d.Pos.Line, d.Message)
				diag.Excerpt(&out, d, data)
			}
			golden.Equal(t, out.Bytes(), strings.TrimSuffix(file, ".yaml")+".golden")
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	sets, diags := Parse("r.yaml", []byte(`
version: 1
dataset: orders
owner: orders-team
tags: [gold]
key: order_id
vars: {max_amount: 10_000}
on_fail: warn
checks:
  - row_count: {min: 1, max: 2_000_000}
  - row_count: {max: "${env:MAX}"}
    owner: somebody
    tags: [volume]
    on_fail: block
columns:
  amount:
    - range: {min: 0, max: "${max_amount}"}
    - {range: {max: 5}, id: small, enabled: false}
  "meta.*": [{null_rate: {max: 5%}}]
---
dataset: shop/*
columns: {a: not_null}
`), env)
	require.NoError(t, diags.Err())
	require.Len(t, sets, 2)
	require.Equal(t, "default/orders", sets[0].Dataset)
	require.Equal(t, []string{"order_id"}, sets[0].Key)
	ids := []string{}
	for _, c := range sets[0].Checks {
		ids = append(ids, c.ID)
	}
	require.Equal(t, []string{"row_count", "row_count-2", "amount.range", "small", "meta.*.null_rate"}, ids)
	first, second := sets[0].Checks[0], sets[0].Checks[1]
	require.Equal(t, []string{"orders-team", "somebody"}, []string{first.Owner, second.Owner})
	require.Equal(t, []string{"gold", "volume"}, second.Tags)
	require.Equal(t, []string{"warn", "block"}, []string{first.OnFail, second.OnFail})
	require.False(t, sets[0].Checks[3].Enabled)
	require.Equal(t, diag.Position{File: "r.yaml", Line: 11, Column: 5}, second.Pos)
	l := &Library{Sets: sets}
	require.Len(t, l.For("shop/orders"), 1)
	require.Len(t, l.For("default/orders"), 1)
	require.Empty(t, l.For("other/orders"))
	require.NotEqual(t, Fingerprint(sets), Fingerprint(sets[:1]))
	plan := Plan(sets, 3)
	require.Len(t, plan.Checks, 6)
	require.Equal(t, []string{"order_id"}, plan.Key)
}

func TestLoadPassesOverTests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "dataset: a\nchecks: [{row_count: 1}]", "sub/b.yml": "dataset: b\nchecks: [{row_count: 1}]",
		"a_test.yaml": "tests: []", "notes.txt": "x",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	l, diags, err := Load([]string{dir}, env)
	require.NoError(t, err)
	require.NoError(t, diags.Err())
	require.Equal(t, []string{"default/a", "default/b"}, l.Datasets())
	_, _, err = Load([]string{filepath.Join(dir, "nope")}, env)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestEveryKindParsesItsExample keeps the catalogue and the parser together.
func TestEveryKindParsesItsExample(t *testing.T) {
	t.Parallel()
	params := map[string]string{
		"in": "[a]", "not_in": "[a]", "length": "{max: 3}", "matches": "a", "not_matches": "a", "range": "{min: 1}", "type": "string",
		"change": "{of: %s, max: 5%%}", "freshness": "{column: at, max_age: 1h}", "schema": "{columns: [a]}",
		"format": "email", "multiple_of": "0.1", "decimals": "{max: 2}", "arrival": "{expect: 0 6 * * *}", "balance": "{with: a}", "row": "a > 1", "references": "{source: a.csv, column: id}", "json_schema": "testdata/order.schema.json",
		"quantile": "{q: 0.5, max: 1}", "correlation": "{with: b, min: 0}", "most_common": "{one_of: [a]}", "values": "{equals: [a]}",
	}
	for _, s := range checks.Catalog() {
		require.NotEmpty(t, s.Summary, s.Kind)
		p, ok := params[s.Kind]
		if !ok && s.Level == checks.MetricLevel {
			p = "{min: 1}"
		}
		for _, column := range []bool{true, false} {
			if column && !s.Column || !column && !s.Dataset {
				continue
			}
			arg := p
			if s.Kind == "change" {
				arg = strings.ReplaceAll(strings.ReplaceAll(p, "%s", map[bool]string{true: "mean", false: "row_count"}[column]), "%%", "%")
			}
			if s.Kind == "unique" && !column {
				arg = "[a, b]"
			}
			if s.Kind == "freshness" && column {
				arg = "{max_age: 1h}"
			}
			text := "checks:\n  - {" + s.Kind + ": " + arg + "}\n"
			if column {
				text = "columns:\n  c:\n    - {" + s.Kind + ": " + arg + "}\n"
			}
			sets, diags := Parse("r.yaml", []byte(text), env)
			require.NoError(t, diags.Err(), text)
			require.Len(t, sets[0].Checks, 1)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"checks: [{row_count: 1}]", "columns: {a: [not_null, {in: [1]}]}", "dataset: [", "columns: {a: {b: c}}", "checks: [{change: {of: a.mean, max: 5%}}]"} {
		f.Add([]byte(s))
	}
	files, err := filepath.Glob("testdata/*.bad.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sets, diags := Parse("f.yaml", data, env)
		if !diags.HasErrors() {
			Plan(sets, 20)
		}
	})
}
