package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/golden"
	"github.com/profilerhq/profiler/internal/words"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{4, 1}, Spread{2.5, 1, 4}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{9, 1, 2, 4}, Spread{3, 1, 9}},
	} {
		require.Equal(t, c.want, spread(c.values), "%v", c.values)
	}
}

func resultOf(name string, cpu ...float64) Result {
	r := Result{Name: name}
	for _, c := range cpu {
		r.Runs = append(r.Runs, Run{CPU: c, Wall: c / 2, RSS: c * 10e6, Seen: 1})
	}
	r.summarize()
	return r
}

func TestRatioIsOfMediansWithTheRangeOfRounds(t *testing.T) {
	t.Parallel()
	peer, own := resultOf("peer", 20, 30, 28), resultOf(ours, 2, 4, 2.5)
	s, ok := ratio(&peer, &own, cpuOf)
	require.True(t, ok)
	require.InDelta(t, 28/2.5, s.Median, 1e-12)
	require.InDelta(t, 7.5, s.Min, 1e-12)
	require.InDelta(t, 11.2, s.Max, 1e-12)
	for name, pair := range map[string][2]*Result{
		"missing":     {nil, &own},
		"no runs":     {{}, &own},
		"failed":      {{Failure: "failed: no memory", Runs: peer.Runs}, &own},
		"a zero time": {&peer, {Runs: []Run{{}}}},
	} {
		_, ok := ratio(pair[0], pair[1], cpuOf)
		require.False(t, ok, name)
	}
}

// fixed is a report of full size with everything that can happen.
func fixed() *Report {
	start := resultOf(duckdbSummarize, 0.25)
	own := resultOf(ours, 0.01)
	rank := func(f float64) *float64 { return &f }
	r := &Report{
		Version: 1, Date: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), Threads: 2, Runs: 3, Rows: FullRows,
		Machine: Machine{CPU: "A processor (avx2)", Cores: 2, Memory: 24e9, System: "linux/amd64 6.1"},
		Programs: []Program{
			{Name: ours, Version: "1.2.3", Computes: "profile", Start: &own},
			{Name: duckdbSummarize, Version: "2.0.0 (Python)", Computes: "SUMMARIZE", Start: &start},
			{Name: qsv, Computes: "stats", Missing: "not found; install it | somehow"},
			{Name: wcLines, Version: "wc 9.1", Computes: "counts line ends"},
		},
	}
	add := func(name, title string, rows int64, columns int, bytes int64, results ...Result) {
		r.Tasks = append(r.Tasks, Task{Name: name, Title: title, Rows: rows, Columns: columns, Bytes: bytes, Results: results})
	}
	failed := Result{Name: polars, Failure: "failed: python3: out of memory"}
	add("csv", "CSV", FullRows, 20, 1_198_087_383, resultOf(ours, 2.5, 2.6, 3.1), resultOf(duckdbSummarize, 28, 27, 30), failed, resultOf(wcLines, 0.19, 0.2, 0.18))
	add("parquet", "Parquet, snappy", FullRows, 20, 429_565_134, resultOf(ours, 2, 2, 2), resultOf(duckdbSummarize, 23, 25, 22))
	add("jsonl", "JSON lines", 2_000_000, 20, 797_689_676, resultOf(ours, 4, 4, 4), resultOf(duckdbSummarize, 9, 9, 9))
	add("columns", "5 columns", 4_000_000, 5, 212_295_694, resultOf(ours, 0.6), resultOf(duckdbSummarize, 4))
	add("columns", "1000 columns", 20_000, 1_000, 212_301_598, resultOf(ours, 2.4), resultOf(duckdbSummarize, 10.5))
	add("tap", "through a pipe", FullRows, 20, 1_198_087_383, resultOf(oursTap, 6, 6.1, 7), resultOf(catFile, 0.4, 0.5, 0.3))
	add("checks", "with row checks", FullRows, 20, 1_198_087_383, resultOf(ours, 2.5, 2.5, 2.5), resultOf(oursChecks, 2.8, 2.9, 2.75))
	add("growth", "CSV", 1_000_000, 20, 171_148_428, resultOf(ours, 0.4, 0.5, 0.4))
	add("growth", "CSV", 16_000_000, 20, 2_738_000_000, resultOf(ours, 6.4, 6.3, 6.5))
	r.Accuracy = []Accuracy{
		{Column: "fare", Distinct: 8_691, Ours: Answer{8_691, 0, rank(0.0021)}, Peer: &Answer{7_228, 0.16834, rank(0.004)}},
		{Column: "driver", Distinct: 194_419, Ours: Answer{194_711, 0.0015, nil}},
	}
	return r
}

// TestAnUnseenStreamIsNotThroughput holds that a tap which lets nearly all pass
// unseen is not fast.
func TestAnUnseenStreamIsNotThroughput(t *testing.T) {
	t.Parallel()
	r := fixed()
	res := r.task("tap").result(oursTap)
	for i := range res.Runs {
		res.Runs[i] = Run{CPU: 1, Wall: 2, RSS: 50e6, Seen: 0.0625}
	}
	res.summarize()
	s, ok := throughput("tap", oursTap)(r)
	require.True(t, ok)
	require.InDelta(t, 1_198.087383/2*0.0625, s.Median, 1e-9)
	var b bytes.Buffer
	require.NoError(t, r.Markdown(&b))
	require.Contains(t, b.String(), "| tap on a pipe, what it profiles | 37.4 MB/s | ≥ 250 MB/s | ≥ 450 MB/s | missed |")
	require.Contains(t, b.String(), "| profiler tap | 1.00 | 2.00 | 599 | 6.25 % | 37.4 | 50 |")
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, fixed().Markdown(&b))
	golden.Equal(t, b.Bytes(), "testdata/report.md")
}

// TestTablesAreWhole counts the cells of every table's rows.
func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, fixed().Markdown(&b))
	cells := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		n := strings.Count(line, "|") - strings.Count(line, `\|`)
		if cells == 0 {
			cells = n
		}
		require.Equal(t, cells, n, line)
	}
}

func TestFewRowsAreNotJudged(t *testing.T) {
	t.Parallel()
	r := fixed()
	r.Rows = 20_000
	var b bytes.Buffer
	require.NoError(t, r.Markdown(&b))
	_, section, _ := strings.Cut(b.String(), "## Goals")
	section, _, _ = strings.Cut(section, "## Programs")
	require.Contains(t, section, "20,000 are too few to judge by")
	require.NotRegexp(t, `\| (aim|goal|missed) \|\n`, strings.SplitN(section, "| --- |", 2)[1])
	r.Tasks, r.Accuracy = nil, nil
	b.Reset()
	require.NoError(t, r.Markdown(&b))
	require.Equal(t, len(goals()), strings.Count(b.String(), "not measured"))
}

func TestStatesOfGoals(t *testing.T) {
	t.Parallel()
	more, less := goal{least: 6, aim: 10}, goal{least: 12, aim: 6, less: true}
	for _, c := range []struct {
		g    goal
		f    float64
		want string
	}{
		{more, 5.9, "missed"}, {more, 6, "goal"}, {more, 9.99, "goal"}, {more, 10, "aim"},
		{less, 12.1, "missed"}, {less, 12, "goal"}, {less, 6.1, "goal"}, {less, 6, "aim"}, {less, 0, "aim"},
	} {
		require.Equal(t, c.want, c.g.state(c.f), "%v", c.f)
	}
	for _, g := range goals() {
		require.NotEqual(t, g.aim, g.least, g.work)
		require.Equal(t, g.less, g.aim < g.least, g.work)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0.00", 0.004: "0.00", 1.005: "1.00", 9.996: "10.00", 12.34: "12.3", 99.96: "100.0", 100: "100", 1234.5: "1,235", 12_345_678: "12,345,678"} {
		require.Equal(t, want, number(f))
	}
	require.Equal(t, "1 row", words.Things(1, "row"))
	require.Equal(t, "0 rows", words.Things(0, "row"))
	require.Equal(t, "-1,234", words.Count(-1_234))
}
