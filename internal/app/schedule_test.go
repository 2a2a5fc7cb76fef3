package app_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/store"
)

// scheduled runs a service on rule files in a bubble whose clock starts at
// 2000-01-01 00:00 UTC and passes by itself.
type scheduled struct {
	t   *testing.T
	dir string
	app *app.App
}

// inBubble calls f with a running service.
func inBubble(t *testing.T, ruleText string, f func(s *scheduled)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &scheduled{t: t, dir: dir}
		a, err := app.New(t.Context(), app.Options{Store: "sqlite:" + filepath.Join(dir, "h.db")})
		require.NoError(t, err)
		s.app = a
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		s.rules(ruleText)
		go func() {
			defer close(done)
			a.RunSchedules(ctx)
		}()
		defer func() {
			stop()
			<-done
			require.NoError(t, a.Close())
		}()
		synctest.Wait()
		f(s)
	})
}

// rules puts rules in force.
func (s *scheduled) rules(text string) {
	sets, diags := rules.Parse(filepath.Join(s.dir, "r.yaml"), []byte(text), nil)
	require.NoError(s.t, diags.Err())
	s.app.UseRules(&rules.Library{Sets: sets})
}

func (s *scheduled) file(name, text string) {
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(s.t, os.Chtimes(path, time.Time{}, time.Now()))
}

// pass lets time pass.
func (s *scheduled) pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // of the bubble of synctest: it takes no time
	synctest.Wait()
}

// batches lists what was recorded, oldest first: name and verdict.
func (s *scheduled) batches(dataset string) (out []string) {
	all, err := s.app.Store.Batches(s.t.Context(), store.Query{Dataset: dataset, All: true})
	require.NoError(s.t, err)
	for _, b := range all {
		out = append([]string{b.Batch + " " + b.Verdict.String()}, out...)
	}
	return out
}

// incidents lists the checks of the open incidents.
func (s *scheduled) incidents() (out []string) {
	open, err := s.app.Store.Incidents(s.t.Context(), store.IncidentQuery{Open: true})
	require.NoError(s.t, err)
	for _, i := range open {
		for _, f := range i.Findings {
			out = append(out, f.ID)
		}
	}
	return out
}

func TestSourcesAreScannedAtTheirTimes(t *testing.T) {
	t.Parallel()
	inBubble(t, `
dataset: shop/orders
schedule: "*/15 * * * *"
source: orders.csv
columns: {amount: [{range: {min: 0}}]}
`, func(s *scheduled) {
		s.file("orders.csv", "amount\n1\n2\n")
		s.pass(16 * time.Minute)
		require.Equal(s.t, []string{"2000-01-01T00:15:00Z pass"}, s.batches("shop/orders"))
		s.file("orders.csv", "amount\n1\n-2\n")
		s.pass(15 * time.Minute)
		require.Equal(s.t, []string{"2000-01-01T00:15:00Z pass", "2000-01-01T00:30:00Z fail"}, s.batches("shop/orders"))
		require.Equal(s.t, []string{"amount.range"}, s.incidents())
		require.NoError(s.t, os.Remove(filepath.Join(s.dir, "orders.csv")))
		s.pass(15 * time.Minute)
		require.Equal(s.t, "2000-01-01T00:45:00Z error", s.batches("shop/orders")[2])
		_, rep, err := s.app.Store.Get(s.t.Context(), "shop/orders", "2000-01-01T00:45:00Z")
		require.NoError(s.t, err)
		require.Contains(s.t, rep.Results[0].Message, "no such file")
		// Rules that are loaded again count from then on.
		s.file("orders.csv", "amount\n5\n")
		s.rules("dataset: shop/orders\nevery: 1h\nsource: {url: orders.csv, format: csv}\nchecks: [{row_count: 2}]\n")
		s.pass(time.Hour)
		require.Equal(s.t, []string{"2000-01-01T01:00:00Z fail"}, s.batches("shop/orders")[3:])
	})
}

func TestEachFileOfAFolderIsScannedOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, "dataset: shop/orders\nevery: 10m\nsource: {url: 'in/*.csv', each: true}\nchecks: [{row_count: {min: 1}}]\n", func(s *scheduled) {
		s.pass(11 * time.Minute) // nothing is there yet, which is no error
		require.Empty(s.t, s.batches("shop/orders"))
		s.file("in/orders_2000-01-01.csv", "a\n1\n")
		s.file("in/other.csv", "a\n1\n")
		s.pass(30 * time.Minute)
		require.Equal(s.t, []string{"2000-01-01 pass", "other.csv pass"}, s.batches("shop/orders"))
		s.file("in/other.csv", "a\n") // written again
		s.pass(30 * time.Minute)
		require.Equal(s.t, []string{"2000-01-01 pass", "other.csv pass", "other.csv fail"}, s.batches("shop/orders"))
	})
}

func TestABatchThatNeverCameIsTold(t *testing.T) {
	t.Parallel()
	const ruleText = `
dataset: shop/orders
timezone: Europe/Berlin
owner: orders-team
checks:
  - arrival: {expect: "0 6 * * *", grace: 1h}
`
	inBubble(t, ruleText, func(s *scheduled) {
		s.pass(5*time.Hour + 59*time.Minute) // the deadline is 06:00 UTC
		require.Empty(s.t, s.batches("shop/orders"))
		s.pass(2 * time.Minute)
		require.Equal(s.t, []string{"missing-2000-01-01T05:00:00Z fail"}, s.batches("shop/orders"))
		require.Equal(s.t, []string{"arrival"}, s.incidents())

		// A day with a batch in time, one with a batch too late, and one without.
		batchOf(s.t, s.app, 2, 100, good)
		s.pass(24 * time.Hour)
		require.Len(s.t, s.batches("shop/orders"), 2)
		s.pass(24 * time.Hour) // the third of January
		require.Contains(s.t, s.batches("shop/orders"), "missing-2000-01-03T05:00:00Z fail")
		_, rep, err := s.app.Store.Get(s.t.Context(), "shop/orders", "missing-2000-01-03T05:00:00Z")
		require.NoError(s.t, err)
		require.Equal(s.t, checks.Fail, rep.Verdict)
		require.Equal(s.t, "missing batch", rep.Results[0].Reason)
		require.Contains(s.t, rep.Results[0].Message, "the last one came 2000-01-01T06:01:00Z")
		require.Equal(s.t, "orders-team", rep.Results[0].Owner)

		// Rules that are loaded again tell nothing twice.
		n := len(s.batches("shop/orders"))
		s.rules(ruleText)
		s.pass(time.Minute)
		require.Len(s.t, s.batches("shop/orders"), n)

		// What was missing is no baseline.
		accepted, err := s.app.Store.Profiles(s.t.Context(), store.Query{Dataset: "shop/orders"})
		require.NoError(s.t, err)
		require.Len(s.t, accepted, 1)
	})
}

// comes records a batch of the day.
func (s *scheduled) comes(dataset string, sets []*rules.Set) {
	s.file("day.csv", "amount\n1\n2\n")
	in, err := source.Expand([]string{filepath.Join(s.dir, "day.csv")}, false)
	require.NoError(s.t, err)
	r, err := source.Open(s.t.Context(), in[0], source.Options{})
	require.NoError(s.t, err)
	defer r.Close()
	day := time.Now().UTC().Truncate(24 * time.Hour)
	subject := app.Subject(dataset, r, sets)
	subject.Batch, subject.At = day.Format(time.DateOnly), day
	_, err = s.app.Monitor.Observe(s.t.Context(), r, subject)
	require.NoError(s.t, err)
}

// What came every morning and does not come is told, once a day, by nothing but
// the history; rules that say when batches come, or that learn nothing, have the
// last word.
func TestALearnedArrivalThatIsLate(t *testing.T) {
	t.Parallel()
	const ruleText = `
dataset: shop/orders
owner: orders-team
checks:
  - row_count: {min: 1}
---
dataset: shop/quiet
auto: off
checks:
  - row_count: {min: 1}
---
dataset: shop/planned
checks:
  - arrival: {expect: "0 0 1 1 *"}
`
	inBubble(t, ruleText, func(s *scheduled) {
		s.pass(6 * time.Hour)
		for day := range 20 {
			s.pass(time.Duration(day%3) * 5 * time.Minute) // 06:00 to 06:10
			for _, dataset := range []string{"shop/orders", "shop/quiet", "shop/planned"} {
				sets, diags := rules.Parse("r.yaml", []byte("dataset: "+dataset+"\nchecks: [{row_count: {min: 1}}]\n"), nil)
				require.NoError(s.t, diags.Err())
				s.comes(dataset, sets)
			}
			s.pass(24*time.Hour - time.Duration(day%3)*5*time.Minute)
		}
		s.pass(65 * time.Minute) // 07:05 of the 21st
		require.Empty(s.t, s.incidents())
		s.pass(10 * time.Minute)
		require.Equal(s.t, []string{"auto"}, s.incidents())
		require.Equal(s.t, "missing-2000-01-21T07:10:00Z warn", s.batches("shop/orders")[20])
		_, rep, err := s.app.Store.Get(s.t.Context(), "shop/orders", "missing-2000-01-21T07:10:00Z")
		require.NoError(s.t, err)
		res := rep.Results[0]
		require.Equal(s.t, "no batch came; by the 20 batches before one was expected 2000-01-21T06:10:00Z at the latest, the last one came 2000-01-20T06:05:00Z", res.Message)
		require.Equal(s.t, "missing batch", res.Reason)
		require.Equal(s.t, "orders-team", res.Owner)
		require.Equal(s.t, 0, *res.Lane)
		require.Equal(s.t, "arrival", res.Evidence[0].Metric)

		s.rules(ruleText) // tells nothing twice
		s.pass(20 * time.Hour)
		require.Len(s.t, s.batches("shop/orders"), 21)
		for _, dataset := range []string{"shop/quiet", "shop/planned"} {
			require.Len(s.t, s.batches(dataset), 20)
		}
		s.pass(20 * 24 * time.Hour) // given up after a week
		require.Len(s.t, s.batches("shop/orders"), 27)
	})
}
