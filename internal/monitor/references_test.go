package monitor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
)

// refer judges orders by one rule about column v, against a source beside the
// rule file.
func refer(t *testing.T, files map[string]string, rule string) checks.Result {
	t.Helper()
	dir := t.TempDir()
	files["rules/r.yaml"] = "columns:\n  v:\n    - " + rule + "\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	lib, diags, err := rules.Load([]string{filepath.Join(dir, "rules")}, nil)
	require.NoError(t, err)
	require.NoError(t, diags.Err())
	orders := filepath.Join(dir, "orders.csv")
	if _, err := os.Stat(orders); err != nil {
		orders = filepath.Join(dir, "orders.jsonl")
	}
	in, err := source.Expand([]string{orders}, false)
	require.NoError(t, err)
	r, err := source.Open(t.Context(), in[0], source.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	o, err := monitor.New(monitor.Options{FailingRows: 20}).Observe(t.Context(), r, monitor.Subject{Dataset: "default/orders", Rules: lib.Sets})
	require.NoError(t, err)
	require.Len(t, o.Report.Results, 2)
	return o.Report.Results[1]
}

func TestReferences(t *testing.T) {
	t.Parallel()
	const rule = "references: {source: ../known.csv, column: id}"
	for _, tc := range []struct {
		name, known, orders string
		evaluated, failed   int64
	}{
		{"numbers by value", "id\n1\n2\n7\n", "v\n1\n7.0\n3\n", 3, 1},
		{"referenced numbers by value", "id\n1.0\n+2\n7\n", "v\n1\n2\n7\n", 3, 0},
		{"nulls are passed over", "id,n\n1,a\n,b\n", "v,w\n1,a\n,b\n", 1, 0},
		{"codes as they are written", "id\n007\n010\n", "v\n007\n10\n010\n", 3, 1},
		{"numbers against texts, as they are written", "id\n1\n2\nx\n", "v\n1\n2.0\n", 2, 1},
		{"texts against numbers, as they are written", "id\n1\n2\n3\n", "v\n1\nx\n3.0\n", 3, 2},
		{"a date and its midnight", "id\n2026-03-01\n2026-03-02\n", "v\n2026-03-01T00:00:00\n2026-03-01T01:00:00\n", 2, 1},
		{"a text in a number column", "id\n1\n2\n", "v\n1\n2\n1\n2\n1\n2\n1\n2\n1\n2\n1\nn/a\n", 12, 1},
		{"an empty set", "id\n", "v\n1\n2\n", 2, 2},
		{"no rows", "id\n1\n", "v\n", 0, 0},
		{"all null", "id\n1\n", "v,w\n,1\n", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := refer(t, map[string]string{"known.csv": tc.known, "orders.csv": tc.orders}, rule)
			require.NotNil(t, res.Evaluated, res.Message)
			require.Equal(t, tc.evaluated, *res.Evaluated, res.Message)
			require.Equal(t, tc.failed, *res.Failed, res.Message)
		})
	}
}

// The columns of a JSON file come up late, and a source has many chunks.
func TestReferencesOfOtherFormats(t *testing.T) {
	t.Parallel()
	res := refer(t, map[string]string{
		"known.jsonl": `{"x":1}` + "\n" + `{"id":"a"}` + "\n" + `{"id":"b","x":2}` + "\n", "orders.jsonl": `{"v":"a"}` + "\n" + `{"v":"c"}` + "\n",
	}, "references: {source: ../known.jsonl, column: id}")
	require.Equal(t, int64(1), *res.Failed)
	require.Equal(t, `1 of 2 rows (50 %) is not in id of ../known.jsonl; first: row 2 is "c"`, res.Message)

	var known, orders strings.Builder
	known.WriteString("id,other\n")
	orders.WriteString("v\n")
	for i := range 30_000 {
		fmt.Fprintf(&known, "k%d,x\n", i)
		fmt.Fprintf(&orders, "k%d\n", 2*i)
	}
	res = refer(t, map[string]string{"known.csv": known.String(), "orders.csv": orders.String()}, "references: {source: ../known.csv, column: id}")
	require.Equal(t, int64(30_000), *res.Evaluated)
	require.Equal(t, int64(15_000), *res.Failed)
}

// A reference that cannot be read is an error, never a pass.
func TestReferencesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"references: {source: ../gone.csv, column: id}":    "gone.csv",
		"references: {source: ../known.csv, column: nope}": `has no column "nope"`,
		"references: {source: ../bad.parquet, column: id}": "bad.parquet",
	} {
		res := refer(t, map[string]string{"known.csv": "id\n1\n", "bad.parquet": "id\n1\n", "orders.csv": "v\n1\n"}, rule)
		require.Equal(t, checks.Error, res.Status, res.Message)
		require.Contains(t, res.Message, want)
	}
}

func TestEqualReferencesAreReadOnce(t *testing.T) {
	t.Parallel()
	sets, diags := rules.Parse("rules/r.yaml", []byte("columns:\n  a: [{references: {source: x.csv, column: id}}]\n  b: [{references: {source: ./x.csv, column: id}}]\n"+
		"  c: [{references: {source: x.csv, column: id}, enabled: false}, {references: {source: s3://b/x.csv, column: id}}]\n"), nil)
	require.NoError(t, diags.Err())
	plan := rules.Plan(sets, 0)
	require.Equal(t, []checks.Reference{{Source: "rules/x.csv", Column: "id"}, {Source: "s3://b/x.csv", Column: "id"}}, plan.References())
}
