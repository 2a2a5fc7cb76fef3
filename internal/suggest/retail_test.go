package suggest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/suggest"
)

// retail is a folder of 305 days of an online shop. It is no part of the
// repository.
func retail(t *testing.T) []source.Input {
	t.Helper()
	dir := os.Getenv("PROFILER_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir = filepath.Join(dir, "retail")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the days of the shop are not here; name the folder that has retail/ in PROFILER_TEST_DATA")
	}
	in, err := source.Expand([]string{dir}, true)
	require.NoError(t, err)
	require.Len(t, in, 305)
	return in
}

func observeDay(t *testing.T, in source.Input, sets []*rules.Set) *monitor.Outcome {
	t.Helper()
	r, err := source.Open(t.Context(), in, source.Options{})
	require.NoError(t, err)
	defer r.Close()
	p, ok := source.PartitionOf(in, nil)
	require.True(t, ok)
	o, err := monitor.New(monitor.Options{}).Observe(t.Context(), r, monitor.Subject{Dataset: "retail/sales", Batch: p.Name, At: p.From, AsOf: p.To, Rules: sets})
	require.NoError(t, err)
	return o
}

// The rules of the first 60 days fail on fewer than 3 % of the 245 days that
// follow, though these go on to Christmas with a multiple of the rows. A day on
// which the shop wrote off bad debt as sales with negative prices is counted,
// though it is a real change.
func TestFewFalseRulesOnTheDaysOfAShop(t *testing.T) {
	t.Parallel()
	days := retail(t)
	if testing.Short() {
		t.Skip("305 files")
	}
	var batches []suggest.Batch
	for _, in := range days[:60] {
		o := observeDay(t, in, nil)
		batches = append(batches, suggest.Batch{Profile: o.Profile, AsOf: o.AsOf})
	}
	file := suggest.Rules(batches, suggest.Options{Dataset: "retail/sales"})
	require.GreaterOrEqual(t, file.Len(), 15)
	sets, diags := rules.Parse("r.yaml", file.YAML(), nil)
	require.NoError(t, diags.Err())
	for _, in := range days[:60] {
		require.Equal(t, checks.Pass, observeDay(t, in, sets).Report.Verdict, in.URL)
	}
	var failing []string
	for _, in := range days[60:] {
		o := observeDay(t, in, sets)
		if o.Report.Verdict > checks.Warn {
			failing = append(failing, o.Batch)
		}
	}
	t.Logf("%d rules fail on %d of %d later days: %v", file.Len(), len(failing), len(days)-60, failing)
	require.Less(t, len(failing)*100, 3*(len(days)-60), failing)
	require.Contains(t, failing, "2011-08-12", "the bad debt is not found any more")
}
