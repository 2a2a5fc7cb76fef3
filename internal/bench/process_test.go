//go:build unix

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/datagen"
)

func TestMeasureCountsAProcess(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	r, err := measure(t.Context(), command{args: []string{"sh", "-c", `i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo "$WORD"; pwd`}, env: []string{"WORD=done"}, out: out, dir: "/"})
	require.NoError(t, err)
	require.Positive(t, r.CPU)
	require.GreaterOrEqual(t, r.Wall*4, r.CPU/4)
	require.Greater(t, r.RSS, 100e3)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "done\n/\n", string(text))
}

func TestMeasureReportsTheLastWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ script, want string }{
		{"echo first >&2; echo 'no memory' >&2; exit 3", "sh: no memory"},
		{"exit 3", "sh: exit status 3"},
	} {
		_, err := measure(t.Context(), command{args: []string{"sh", "-c", c.script}})
		require.EqualError(t, err, c.want)
	}
	_, err := measure(t.Context(), command{args: []string{"/no/such/program"}})
	require.ErrorContains(t, err, "no such file")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = measure(stopped, command{args: []string{"sh", "-c", "exit 3"}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestMeasureSendsAFileThroughAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	text := strings.Repeat("some words\n", 100_000)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	r, err := measure(t.Context(), command{args: []string{"sed", "s/some/more/"}, pipe: file, out: out})
	require.NoError(t, err)
	require.Positive(t, r.Wall)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(text, "some", "more"), string(got))
	_, err = measure(t.Context(), command{args: []string{"sh", "-c", "cat >/dev/null; echo broken >&2; exit 1"}, pipe: file})
	require.EqualError(t, err, "sh: broken")
	_, err = measure(t.Context(), command{args: []string{"/no/such/program"}, pipe: file})
	require.Error(t, err)
}

func TestSettingsOfTheProgramStayAway(t *testing.T) {
	t.Setenv("PROFILER_STORE", "sqlite:x.db")
	t.Setenv("OTHER_STORE", "kept")
	env := strings.Join(environment(), "\n")
	require.NotContains(t, env, "PROFILER_STORE")
	require.Contains(t, env, "OTHER_STORE=kept")
}

func TestProcFields(t *testing.T) {
	t.Parallel()
	text := "processor\t: 0\nmodel name\t: A CPU @ 2 GHz: fast\nflags\t\t: fpu avx2\n"
	require.Equal(t, "A CPU @ 2 GHz: fast", procField(text, "model name"))
	require.Empty(t, procField(text, "model"))
	require.Positive(t, thisMachine().Cores)
}

// program makes a script that stands for a program and returns its path.
func program(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return path
}

func TestQueriesNameTheFileAndTheColumns(t *testing.T) {
	t.Parallel()
	in := input{table: datagen.Wide(3), path: "/data/it's.csv", format: datagen.CSV}
	require.Equal(t, "SUMMARIZE FROM read_csv('/data/it''s.csv')", summarizeQuery(in))
	in.path, in.format = "/d.parquet", datagen.Parquet
	require.Equal(t, `SELECT count(*) AS "rows", `+
		`count("count_1") AS "count_1 count", approx_count_distinct("count_1") AS "count_1 approx_count_distinct", min("count_1") AS "count_1 min", max("count_1") AS "count_1 max", avg("count_1") AS "count_1 avg", stddev("count_1") AS "count_1 stddev", `+
		`count("amount_2") AS "amount_2 count", approx_count_distinct("amount_2") AS "amount_2 approx_count_distinct", min("amount_2") AS "amount_2 min", max("amount_2") AS "amount_2 max", avg("amount_2") AS "amount_2 avg", stddev("amount_2") AS "amount_2 stddev", `+
		`count("category_3") AS "category_3 count", approx_count_distinct("category_3") AS "category_3 approx_count_distinct", min("category_3") AS "category_3 min", max("category_3") AS "category_3 max"`+
		` FROM read_parquet('/d.parquet')`, plainQuery(in))
	require.Empty(t, plainQuery(input{table: datagen.Nested(), format: datagen.JSONL}))
}

func TestPeersAreFoundOrMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, c := range findPeers(t.Context(), Peers(), 2) {
		require.Contains(t, c.about.Missing, "not found", c.name)
		require.NotEmpty(t, c.about.Computes)
		require.Nil(t, c.work)
	}
	program(t, dir, "qsv", "echo qsv 9.9\necho more")
	program(t, dir, "node", "echo v1.5\n")
	program(t, dir, "wc", "exit 1\n")
	found := map[string]contender{}
	for _, c := range findPeers(t.Context(), []string{"qsv", "duckdb", "wc"}, 3) {
		found[c.name] = c
	}
	require.Len(t, found, 4)
	require.Equal(t, "qsv 9.9", found[qsv].about.Version)
	require.Equal(t, "v1.5 (Node.js)", found[duckdbPlain].about.Version)
	require.Equal(t, "of the system", found[wcLines].about.Version)
	csv := input{table: datagen.Trips(), path: "/t.csv", format: datagen.CSV, compression: datagen.None}
	require.Equal(t, []string{"qsv", "stats", "--everything", "--infer-dates", "--jobs", "3", "/t.csv"}, found[qsv].work(csv).args)
	require.Equal(t, []string{"wc", "-l", "/t.csv"}, found[wcLines].work(csv).args)
	require.Equal(t, []string{"node", "-e", duckdbNode, "3", "SUMMARIZE FROM read_csv('/t.csv')"}, found[duckdbSummarize].work(csv).args)
	csv.compression = datagen.Gzip
	require.Nil(t, found[qsv].work(csv))
	require.Nil(t, found[wcLines].work(csv))
}

func TestWhatATapSawIsInItsReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "tap.json")
	require.NoError(t, os.WriteFile(in, []byte("a\n1\n"), 0o600))
	for _, c := range []struct {
		report, want string
		seen         float64
	}{
		{`{"rows": 1, "stream": {"bytes": 400, "seen": 100}}`, "", 0.25},
		{`{"rows": 1}`, "does not say how much it saw", 0},
		{`no`, "read the report of tap", 0},
	} {
		script := "cat; echo '" + c.report + "' > " + out
		r, err := measure(t.Context(), command{args: []string{"sh", "-c", script}, pipe: in, tap: out})
		if c.want != "" {
			require.ErrorContains(t, err, c.want)
			continue
		}
		require.NoError(t, err)
		require.InDelta(t, c.seen, r.Seen, 1e-12)
	}
	r, err := measure(t.Context(), command{args: []string{"cat"}, pipe: in})
	require.NoError(t, err)
	require.InDelta(t, 1, r.Seen, 0)
}

// fake stands for our program: it makes data, and its other commands are the
// rest of the script.
const fake = `
if [ "$1" = bench ]; then for last; do :; done; echo data > "$last"; exit 0; fi
`

func TestOurFailureIsAnErrorAPeersIsNot(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	program(t, dir, "qsv", `if [ "$1" = stats ]; then echo "bad field" >&2; exit 1; fi; echo qsv 1`)
	var said []string
	o := Options{
		Program: program(t, dir, "good", fake), Version: "1", Peers: []string{"qsv"}, Tasks: []string{"parquet", "quotes", "tap"}, Runs: 2, Rows: 70, Threads: 1, Data: filepath.Join(dir, "data"),
		Say: func(format string, _ ...any) { said = append(said, format) },
	}
	r, err := Speed(t.Context(), o)
	require.NoError(t, err)
	require.Nil(t, r.task("parquet").result(qsv), "it reads no Parquet")
	require.Equal(t, "failed: qsv: bad field", r.task("quotes").result(qsv).Failure)
	require.Len(t, r.task("quotes").result(ours).Runs, 2)
	require.Equal(t, "missing: this version has no command tap", r.task("tap").result(oursTap).Failure)
	require.Len(t, r.task("tap").result(catFile).Runs, 2)
	require.Empty(t, r.Accuracy)
	require.FileExists(t, filepath.Join(dir, "data", "quotes-5.csv"))
	made := strings.Count(strings.Join(said, "\n"), "make ")
	require.Equal(t, 3, made, "of two tables as three files")

	said = nil
	o.Program = program(t, dir, "bad", fake+`if [ "$1" = profile ]; then echo "profiler: it is broken" >&2; exit 3; fi`)
	_, err = Speed(t.Context(), o)
	require.ErrorContains(t, err, "profiler profile: ")
	require.ErrorContains(t, err, "it is broken")
	require.Zero(t, strings.Count(strings.Join(said, "\n"), "make "), "the data is there")
}

// TestWhatAPeerSaysDoesNotCostTheReport has a DuckDB that prints no JSON.
func TestWhatAPeerSaysDoesNotCostTheReport(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	program(t, dir, "python3", `case "$2" in *__version__*) echo 2.0;; *) echo 50 %;; esac`)
	var columns []string
	for _, c := range datagen.Trips().Columns {
		columns = append(columns, `{"name": "`+c.Name+`", "distinct": {"value": 70}}`)
	}
	profile := `{"rows": 70, "columns": [` + strings.Join(columns, ",") + `]}`
	var said strings.Builder
	r, err := Speed(t.Context(), Options{
		Program: program(t, dir, "good", fake+"echo '"+profile+"'"), Peers: []string{"duckdb"}, Tasks: []string{"csv"}, Runs: 1, Rows: 70, Threads: 1,
		Say: func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) },
	})
	require.NoError(t, err)
	require.Contains(t, said.String(), "read what SUMMARIZE says")
	require.Len(t, r.task("csv").result(duckdbSummarize).Runs, 1)
	require.Len(t, r.Accuracy, 20)
	require.Nil(t, r.Accuracy[0].Peer)
	require.EqualValues(t, 70, r.Accuracy[0].Ours.Distinct)
	require.Zero(t, r.Accuracy[0].Ours.DistinctError, "hashes are unique")
}
