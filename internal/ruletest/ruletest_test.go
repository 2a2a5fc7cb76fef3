package ruletest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/golden"
)

// TestExamplesOfTheRepository runs the tests of the rules that users copy.
func TestExamplesOfTheRepository(t *testing.T) {
	t.Parallel()
	paths, err := Find([]string{"../../rules"})
	require.NoError(t, err)
	rules, err := filepath.Glob("../../rules/*.yaml")
	require.NoError(t, err)
	require.Len(t, paths, len(rules)/2, "every example has a test")
	for _, path := range paths {
		f, err := Read(path, nil)
		require.NoError(t, err)
		require.NoError(t, f.Problems.Err())
		for _, test := range f.Tests {
			o := Run(context.Background(), f, test)
			var b bytes.Buffer
			Table(&b, []*Outcome{o}, false)
			require.True(t, o.Passed(), b.String())
		}
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

const orders = `
dataset: shop/orders
key: [id]
checks:
  - row_count: {min: 1}
  - change: {of: row_count, against: previous, max: 50%}
  - freshness: {column: at, max_age: 1h}
columns:
  amount:
    - range: {min: 0, max: "${env:MAX}"}
      by: country
    - mean: {max: 100}
`

// runAll runs a file of tests and returns its table.
func runAll(t *testing.T, files map[string]string) (string, []*Outcome) {
	t.Helper()
	dir := write(t, files)
	f, err := Read(filepath.Join(dir, "a_test.yaml"), nil)
	require.NoError(t, err)
	require.NoError(t, f.Problems.Err())
	var outcomes []*Outcome
	for _, test := range f.Tests {
		outcomes = append(outcomes, Run(context.Background(), f, test))
	}
	var b bytes.Buffer
	Table(&b, outcomes, false)
	return strings.ReplaceAll(b.String(), dir+"/", ""), outcomes
}

// TestWhatHoldsIsOK has one test for each way to say what is expected.
func TestWhatHoldsIsOK(t *testing.T) {
	t.Parallel()
	text, _ := runAll(t, map[string]string{"orders.yaml": orders, "day.csv": "id,amount,country\n1,5,DE\n2,6,NL\n", "a_test.yaml": `
tests:
  - name: rows
    rules: orders.yaml
    env: {MAX: "10"}
    at: 2026-03-01T10:30:00Z
    rows: [{id: 1, amount: 1.5, country: DE, at: 2026-03-01T10:00:00Z}, {id: 2, amount: 1_0.5, country: ~, at: 2026-03-01T10:15:00Z}]
    expect:
      verdict: fail
      rows: 2
      dataset: shop/orders
      results:
        - {id: amount.range, status: fail, evaluated: 2, failed: 1, value: 50%, reason: "", failing_rows: [{row: 2, key: {id: "2"}, value: 10.50}],
           segments: [{value: DE, failed: 0}, {value: null, failed: 1, observed: 1}]}
        - {id: amount.mean, value: 6.0, status: pass, column: amount, severity: fail, failed: null, segments: null}
        - {id: freshness, status: pass, value: 900}
        - {id: change, status: learning}
  - name: zone
    rules: orders.yaml
    env: {MAX: "10"}
    timezone: Europe/Berlin
    at: 2026-03-01 11:30
    csv: "at\n2026-03-01 11:00:00\n"
    expect: {results: [{id: freshness, value: 1800}]}
  - name: series
    rules: orders.yaml
    env: {MAX: "10"}
    batches:
      - {at: 2026-03-01, repeat: 3, every: 1d, file: day.csv, expect: {rows: 2}}
      - {at: 2026-03-04, rows: [], expect: {results: [{id: change, status: fail, value: -1}]}}
`})
	require.Equal(t, "a_test.yaml\n  ok    rows\n  ok    zone\n  ok    series\n\n3 tests passed\n", text)
}

// TestDifferences compares the diff with a golden text: every kind of
// difference, and that each is found.
func TestDifferences(t *testing.T) {
	t.Parallel()
	text, outcomes := runAll(t, map[string]string{"orders.yaml": orders, "a_test.yaml": `
tests:
  - name: all wrong
    rules: orders.yaml
    env: {MAX: "10"}
    at: 2026-03-01T10:30:00Z
    rows: [{id: 1, amount: 1.5, country: DE, at: 2026-03-01T10:00:00Z}, {id: 2, amount: 12, country: NL, at: 2026-03-01T10:15:00Z}]
    expect:
      verdict: pass
      rows: 3
      results:
        - {id: amount.range, status: pass, failed: 0, value: 0.49, failing_rows: [{row: 1}, {row: 2, value: 13}], segments: [{value: DE, failed: 1}, {value: US}]}
        - {id: amount.mean, value: 6.7, message: nonsense, segments: [], limit: at most 100}
        - {id: amount.meen}
  - name: series
    rules: orders.yaml
    env: {MAX: "10"}
    batches:
      - {at: 2026-03-01, repeat: 2, every: 1d, csv: "amount\n1\n", expect: {results: [{id: change, status: learning}]}}
  - name: no time
    rules: orders.yaml
    env: {MAX: "10"}
    batches: [{file: orders.yaml, expect: {rows: 1}}]
`})
	require.False(t, outcomes[0].Passed())
	golden.Equal(t, []byte(text), "testdata/differences.golden")
	var b bytes.Buffer
	require.NoError(t, JUnit(&b, outcomes))
	require.Contains(t, b.String(), `<testsuites tests="3" failures="2" errors="1">`)
	b.Reset()
	require.NoError(t, JSON(&b, outcomes))
	require.Contains(t, b.String(), `"failed": 3`)
	b.Reset()
	GitHub(&b, outcomes)
	require.Contains(t, b.String(), "line=9,col=16::all wrong: verdict: expected pass, found fail")
}

// TestMistakes finds all mistakes of a file of tests, with their places.
func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"orders.yaml": orders, "two.yaml": "dataset: a\nchecks: [{row_count: 1}]\n---\ndataset: b\nchecks: [{row_count: 1}]\n", "broken.yaml": "chekcs: []\n",
		"a_test.yaml": `
tests:
  - {name: a, rules: ordres.yaml, rows: [], expect: {verdict: good}}
  - {name: a, rules: two.yaml, rows: [], expect: {results: [{id: x, statsu: pass, check: rnage, segments: [{vlaue: 1}]}]}}
  - {name: b, rules: two.yaml, dataset: default/c, rows: [1], csv: "", expect: {}}
  - {name: c, rules: broken.yaml, file: gone.csv}
  - {name: d, rules: orders.yaml, env: {MAX: "1"}, at: soon, rows: [{a: 1}]}
  - {name: e, rules: orders.yaml, env: {MAX: "1"}, batches: [{at: 2026-03-01, repeat: 0, every: 0s, rows: [], batch: x}, {rows: []}], expect: {rows: 1}, tmezone: UTC}
  - {name: f, rules: orders.yaml, env: {MAX: "1"}, timezone: Mars/Base, batches: [], expect: {rows: 1}}
  - {name: g, rules: orders.yaml, rows: []}
tset: 1
`,
	})
	f, err := Read(filepath.Join(dir, "a_test.yaml"), nil)
	require.NoError(t, err)
	require.Empty(t, f.Tests)
	golden.Equal(t, []byte(strings.ReplaceAll(f.Problems.Error(), dir+"/", "")+"\n"), "testdata/mistakes.golden")
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("tests:\n  - {name: a, rules: a_test.yaml, rows: [{a: 1}], expect: {results: [{id: a}]}}\n"))
	f.Add([]byte("tests: [{batches: [{at: 2026-01-01, repeat: 2, every: 1d, csv: x}]}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a_test.yaml")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		_, err := Read(path, nil)
		require.NoError(t, err)
	})
}
