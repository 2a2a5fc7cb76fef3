package app_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// exposition returns the lines of the metrics.
func exposition(t *testing.T, m *metrics.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	return strings.Split(w.Body.String(), "\n")
}

// shows wants lines that begin like this.
func shows(t *testing.T, m *metrics.Metrics, want ...string) {
	t.Helper()
	lines := exposition(t, m)
	for _, w := range want {
		name, _, _ := strings.Cut(w, "{")
		var near []string
		found := slices.ContainsFunc(lines, func(l string) bool {
			if strings.HasPrefix(l, name) {
				near = append(near, l)
			}
			return strings.HasPrefix(l, w)
		})
		require.True(t, found, "no %s but %q", w, near)
	}
}

// TestServiceCountsEveryBatchOnce records batches in the process of the service
// and in another one, in and out of order.
func TestServiceCountsEveryBatchOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		start := func(o app.Options) (*app.App, *metrics.Metrics) {
			m, err := metrics.New(metrics.Options{Process: true})
			require.NoError(t, err)
			o.Store, o.Metrics = url, m
			a, err := app.New(t.Context(), o)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, a.Close()) })
			return a, m
		}
		other, _ := start(app.Options{})
		batchOf(t, other, 1, 100, good)
		batchOf(t, other, 2, 120, good)

		service, m := start(app.Options{})
		look := service.Looker()
		batchOf(t, service, 3, 130, good)
		batchOf(t, other, 4, 140, good)
		look(t.Context())
		shows(t, m,
			`profiler_dataset_rows{dataset="shop/orders"} 140`,
			`profiler_profiles_total{dataset="shop/orders"} 2`,                              // since the start
			`profiler_profile_duration_seconds_count 1`,                                     // only what this process did has a duration
			`profiler_drift_baseline_timestamp_seconds{dataset="shop/orders"} 1.772496e+09`, // day 3
			`go_sql_max_open_connections{db_name="store"} `,
		)

		batchOf(t, other, 5, 10, good) // half the rows are missing: change fails
		batchOf(t, other, 1, 90, good) // of long ago
		batchOf(t, service, 6, 150, good)
		look(t.Context())
		look(t.Context())
		shows(t, m,
			`profiler_dataset_rows{dataset="shop/orders"} 150`,
			`profiler_profiles_total{dataset="shop/orders"} 5`,
			`profiler_check_failures_total{check="change",dataset="shop/orders"} 2`, // days 5 and 6: none is lost between two looks
		)

		service.Declare(t.Context(), []metrics.Known{{Dataset: "shop/orders"}, {Dataset: "shop/gone"}}, []string{"data"})
		shows(t, m, `profiler_profiles_total{dataset="shop/gone"} 0`)
		service.Declare(t.Context(), nil, nil)
		for _, line := range exposition(t, m) {
			require.NotContains(t, line, "shop/gone", "what is configured no more has no series")
			require.NotContains(t, line, `channel="data"`)
		}
		shows(t, m, `profiler_dataset_rows{dataset="shop/orders"} 150`) // the store knows it
		for _, table := range []string{"result", "profile", "metric", "series", "label", "feature", "batch"} {
			_, err := service.Store.DB().Exec(t.Context(), "DELETE FROM "+table)
			require.NoError(t, err)
		}
		look(t.Context())
		for _, line := range exposition(t, m) {
			require.NotContains(t, line, "shop/orders", "what is gone from the store has no series")
		}
	})
}

// TestServiceShowsRunsOfOtherProcesses runs a pipeline elsewhere: the service is
// the one place that Prometheus reads.
func TestServiceShowsRunsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"in/a.csv": "n\n1\n", "in/b.csv": "n\n2\n", "p.yaml": `version: 1
pipeline: nightly
source: {files: "in/*.csv"}
steps:
  copy: {sh: cat, profile: {output: false}}
  break: {needs: [copy], sh: "if grep 2; then exit 65; fi; echo n", profile: {output: false}}
`} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "in"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		run := func(a *app.App) {
			p, err := pipeline.Load(filepath.Join(dir, "p.yaml"))
			require.NoError(t, err)
			_, err = a.RunPipeline(t.Context(), p, app.RunOptions{Env: os.LookupEnv})
			require.NoError(t, err)
		}
		start := func(o metrics.Options) (*app.App, *metrics.Metrics) {
			m, err := metrics.New(o)
			require.NoError(t, err)
			a, err := app.New(t.Context(), app.Options{Store: url, Metrics: m})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, a.Close()) })
			return a, m
		}
		other, one := start(metrics.Options{})
		run(other)
		shows(t, one, // a command shows its own run
			`profiler_runner_runs_total{pipeline="nightly"} 1`, `profiler_runner_run_failures_total{pipeline="nightly"} 1`,
			`profiler_runner_units_total{pipeline="nightly",step="copy"} 2`, `profiler_runner_queue_wait_seconds_count{pipeline="nightly",step="copy"} 2`)
		service, m := start(metrics.Options{Process: true})
		look := service.Looker()
		look(t.Context())
		shows(t, m, `profiler_runner_runs_total{pipeline="nightly"} 0`, `profiler_runner_units_total{pipeline="nightly",step="copy"} 0`,
			`profiler_runner_dead_letter_units{pipeline="nightly",step="break"} 1`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "in", "c.csv"), []byte("n\n3\n"), 0o600))
		run(other)   // the dead unit again, and a new one
		run(service) // in the process of the service it is counted by the same way, once
		look(t.Context())
		look(t.Context())
		shows(t, m,
			`profiler_runner_runs_total{pipeline="nightly"} 2`, `profiler_runner_run_failures_total{pipeline="nightly"} 2`,
			`profiler_runner_units_total{pipeline="nightly",step="copy"} 1`, `profiler_runner_dead_letter_units{pipeline="nightly",step="break"} 1`,
			`profiler_runner_queue_units{pipeline="nightly",step="break"} 0`, `profiler_runner_units_in_flight{pipeline="nightly",step="copy"} 0`,
			`profiler_runner_workers{pipeline="nightly",step="copy"} `, `profiler_runner_queue_wait_seconds_count{pipeline="nightly",step="copy"} 1`)
		ledger, err := service.Ledger(t.Context())
		require.NoError(t, err)
		letters, err := ledger.Letters(t.Context(), queue.Filter{})
		require.NoError(t, err)
		require.Len(t, letters, 1)
		require.NoError(t, ledger.Replay(t.Context(), letters[0].Key(), "", false, queue.Decision{}))
		look(t.Context())
		shows(t, m, `profiler_runner_replayed_units_total{pipeline="nightly",step="break"} 1`,
			`profiler_runner_dead_letter_units{pipeline="nightly",step="break"} 0`, `profiler_runner_queue_units{pipeline="nightly",step="break"} 1`,
			`profiler_runner_queue_oldest_unit_timestamp_seconds{pipeline="nightly",step="break"} 1`, `profiler_runner_circuit_open{pipeline="nightly",step="break"} 0`)
		q, err := queue.Open(t.Context(), service.Store.DB(), queue.Options{})
		require.NoError(t, err)
		for range 11 {
			l, err := q.Claim(t.Context(), queue.ClaimRequest{Pipeline: "nightly", Step: "break", Worker: "w", Max: 1, Lease: time.Minute, Guarded: true})
			require.NoError(t, err)
			require.Len(t, l, 1)
			require.NoError(t, q.Fail(t.Context(), &l[0], queue.Failure{Cause: "attempts", Outcome: queue.Faulty}))
		}
		look(t.Context())
		shows(t, m, `profiler_runner_circuit_open{pipeline="nightly",step="break"} 1`, `profiler_runner_circuit_open{pipeline="nightly",step="copy"} 0`)
		runs, err := q.Runs(t.Context(), "", 0)
		require.NoError(t, err)
		for _, r := range runs {
			require.NoError(t, q.Cancel(t.Context(), r.ID))
		}
		later := time.Now().Add(time.Hour)
		_, err = q.Prune(t.Context(), later)
		require.NoError(t, err)
		look(t.Context())
		for _, line := range exposition(t, m) {
			require.NotContains(t, line, `"nightly"`, "what the store does not know any more has no series")
		}
		require.NoError(t, os.Remove(filepath.Join(dir, "in", "b.csv")))
	})
}

var errBroken = errors.New("broken")

type brokenReader struct{ batch.Reader }

func (brokenReader) Next(context.Context, *batch.Chunk) error { return errBroken }
func (brokenReader) Columns() []batch.Column                  { return nil }

// TestAScrapeNeedsNoStore scrapes after the store has gone.
func TestAScrapeNeedsNoStore(t *testing.T) {
	t.Parallel()
	m, err := metrics.New(metrics.Options{Process: true})
	require.NoError(t, err)
	a, err := app.New(t.Context(), app.Options{Store: "sqlite:" + filepath.Join(t.TempDir(), "h.db"), Metrics: m})
	require.NoError(t, err)
	batchOf(t, a, 1, 100, good)
	require.NoError(t, a.Close())
	shows(t, m, `profiler_dataset_rows{dataset="shop/orders"} 100`, `go_sql_open_connections{db_name="store"} 0`)
}

func TestFailedProfilesAreCounted(t *testing.T) {
	t.Parallel()
	m, err := metrics.New(metrics.Options{})
	require.NoError(t, err)
	a, err := app.New(t.Context(), app.Options{Metrics: m})
	require.NoError(t, err)
	_, err = a.Observe(t.Context(), brokenReader{}, monitor.Subject{Dataset: "shop/orders"})
	require.ErrorIs(t, err, errBroken)
	shows(t, m, `profiler_profile_failures_total{dataset="shop/orders"} 1`)
}
