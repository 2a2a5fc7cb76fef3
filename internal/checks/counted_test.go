package checks_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/exact/disk"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	csvsource "github.com/profilerhq/profiler/internal/source/csv"
)

// large makes a table whose column is beyond what a profile counts exactly.
func large(kind string, rows, values int) string {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(values)))
	var b strings.Builder
	b.WriteString("v,w\n")
	for range rows {
		b.WriteString(field(rng, kind, values, 0.01) + ",1\n")
	}
	return b.String()
}

// countValues counts the values of a column with a map.
func countValues(p *profile.Profile, data, column string) (count, distinct, once int64) {
	seen := map[string]int{}
	isText := p.Column(column).Kind() == batch.String
	for line := range strings.Lines(strings.TrimSuffix(data[strings.IndexByte(data, '\n')+1:], "\n")) {
		f := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), ",1")
		if id, ok := meaning(strings.Trim(f, `"`), f == `""`, isText); ok {
			seen[id]++
			count++
		}
	}
	for _, n := range seen {
		distinct++
		if n == 1 {
			once++
		}
	}
	return count, distinct, once
}

// Where a limit is near the estimate, and where there is none, the number is
// exact, at every limit of memory.
func TestCountedMetricsAgainstMaps(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind   string
		values int
	}{{"integer", 60_000}, {"integer", 1 << 40}, {"number", 40_000}, {"code", 30_000}, {"text", 100_000}, {"mixed", 40_000}} {
		t.Run(fmt.Sprint(tc.kind, tc.values), func(t *testing.T) {
			t.Parallel()
			data := large(tc.kind, 70_000, tc.values)
			p := profileOf(t, data)
			require.False(t, p.Column("v").Distinct.Exact)
			count, distinct, once := countValues(p, data, "v")
			require.Equal(t, count, p.Column("v").Count)
			rule := fmt.Sprintf("columns: {v: [{distinct: {max: %d}}, {distinct: {max: %d}, id: less}, {distinct_rate: {min: %v}}, {unique_rate: {min: 0.001}}]}",
				distinct, distinct-1, float64(distinct)/float64(count))
			for _, memory := range []int64{1 << 30, 100 << 10} {
				space := exact.NewSpace(memory, disk.New(t.TempDir()))
				_, res := judgeIn(t, space, 3, rule, data)
				require.Equal(t, []checks.Status{checks.Pass, checks.Pass, checks.Fail, checks.Pass}, statuses(res)[:4], res[1].Message)
				require.Equal(t, fmt.Sprint(distinct), res[1].Value.String())
				require.NotContains(t, res[1].Message, "estimated")
				require.Equal(t, float64(distinct)/float64(count), number(t, res[3]))
				require.Equal(t, float64(once)/float64(count), number(t, res[4]))
				require.Zero(t, space.Used())
			}
		})
	}
}

func number(t testing.TB, r checks.Result) float64 {
	t.Helper()
	f, ok := r.Value.Float()
	require.True(t, ok, r.Message)
	return f
}

// Far from the limits the estimate is judged, and says so.
func TestCountedMetricsFarFromTheirLimits(t *testing.T) {
	t.Parallel()
	data := large("text", 70_000, 100_000)
	_, res := judgeIn(t, exact.NewSpace(1<<20, nil), 3, "columns: {v: [{distinct: {min: 100}}, {distinct_rate: {min: 10%}}]}", data)
	require.Equal(t, []checks.Status{checks.Pass, checks.Pass, checks.Pass}, statuses(res))
	require.Regexp(t, `^distinct of v is [0-9,]+ ± [0-9,]+ \(estimated\), as expected \(at least 100\)$`, res[1].Message)
	require.Contains(t, res[2].Message, "(estimated)")
}

// What has to be exact and cannot be counted is an error.
func TestCountedMetricsWithoutRoom(t *testing.T) {
	t.Parallel()
	data := large("text", 70_000, 100_000)
	_, distinct, _ := countValues(profileOf(t, data), data, "v")
	rule := fmt.Sprintf("checks: [{duplicate_rows: 0}]\ncolumns: {v: [{distinct: %d}, {unique_rate: {min: 1%%}}]}", distinct)
	_, res := judgeIn(t, exact.NewSpace(1<<20, nil), 3, rule, data)
	require.Regexp(t, `^distinct of v is [0-9,]+ ± [0-9,]+, too near to the limit, and the keys cannot be counted: they need more than 1 MiB of memory, and no disk is there to be used$`, res[2].Message)
	require.Equal(t, checks.Error, res[2].Status)
	require.Equal(t, "unique_rate of v is not known: the keys cannot be counted: they need more than 1 MiB of memory, and no disk is there to be used", res[3].Message)
	require.Equal(t, checks.Error, res[3].Status)
	_, res = judgeIn(t, exact.NewSpace(1<<20, disk.New(t.TempDir())), 3, rule, data)
	require.Equal(t, checks.Pass, res[2].Status, res[2].Message)
}

// Repeated rows are counted exactly where the estimate cannot tell them from
// none.
func TestDuplicateRowsOfALargeTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a,b\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "%d,x%d\n", i, i%7)
	}
	_, res := judgeIn(t, nil, 3, "checks: [{duplicate_rows: 0}]", b.String())
	require.Equal(t, checks.Pass, res[1].Status, res[1].Message)
	require.Equal(t, "duplicate_rows is 0, as expected (0)", res[1].Message)
	b.WriteString("5,x5\n5,x5\n6,x5\n5,\n,x5\n5,\n")
	for _, memory := range []int64{1 << 30, 10 << 10} {
		_, res = judgeIn(t, exact.NewSpace(memory, disk.New(t.TempDir())), 3, "checks: [{duplicate_rows: 0}, {duplicate_rows: {min: 3, max: 3}}]", b.String())
		require.Equal(t, "duplicate_rows is 3, expected 0", res[1].Message)
		require.Equal(t, checks.Pass, res[2].Status)
	}
	half := strings.Repeat(b.String()[4:], 2)
	_, res = judgeIn(t, exact.NewSpace(0, nil), 3, "checks: [{duplicate_rows: 0}]", "a,b\n"+half)
	require.Equal(t, checks.Fail, res[1].Status, "an estimate is enough for that")
	require.Contains(t, res[1].Message, "(estimated), expected 0")
}

// A small limit of distinct is clear as soon as there are more values: from then
// on nothing is counted.
func TestDistinctStopsCounting(t *testing.T) {
	t.Parallel()
	space := exact.NewSpace(1<<30, nil)
	sets, diags := rules.Parse("r.yaml", []byte("columns: {v: [{distinct: {min: 100, max: 1000}}]}"), nil)
	require.NoError(t, diags.Err())
	plan := rules.Plan(sets, 3)
	plan.Space = space
	r, err := csvsource.New(strings.NewReader(large("text", 70_000, 100_000)), csvsource.Options{})
	require.NoError(t, err)
	ev, b := checks.New(plan), profile.NewBuilder()
	defer ev.Close()
	var c batch.Chunk
	for n := 0; r.Next(t.Context(), &c) == nil; n++ {
		b.Add(r.Columns(), &c)
		ev.Observe(r.Columns(), &c)
		require.Equal(t, n == 0 && space.Used() > 0, space.Used() > 0)
	}
	res := ev.Results(checks.Input{Profile: b.Finish(r.Columns(), profile.Info{})})
	require.Equal(t, checks.Fail, res[1].Status)
}
