package app_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/store"
)

// canaryClock moves by the test alone.
type canaryClock struct{ ahead atomic.Int64 }

func (c *canaryClock) Now() time.Time {
	return time.Date(2026, 3, 1, 10, 1, 0, 0, time.UTC).Add(time.Duration(c.ahead.Load()))
}

func (c *canaryClock) Wait(ctx context.Context, changed <-chan struct{}, _ time.Duration) {
	timer := time.NewTimer(10 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
}

// A canary that comes out otherwise than expected opens an incident of its own
// dataset, and those that come through end it. Nothing else knows of it.
func TestCanaryOpensAnIncident(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"c.csv": "id,v\n1,5\n2,6\n", "in/1.csv": "id,v\n7,7\n", "p.yaml": `version: 1
pipeline: orders
source: {watch: "in/*.csv"}
canary: {every: 10m, input: c.csv, expect: c.profile}
steps:
  clean: {sh: "if [ -e bad ]; then sed 's/6/9/; $p'; else cat; fi"}
  load: {needs: clean, sh: "cat {input} >>loaded; cat {input}", canary: skip}
`} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "in"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	save(t, filepath.Join(dir, "c.csv"), filepath.Join(dir, "c.profile"))
	clock := &canaryClock{}
	m, err := metrics.New(metrics.Options{Process: true})
	require.NoError(t, err)
	a, err := app.New(t.Context(), app.Options{Store: "sqlite:" + filepath.Join(dir, "s.db"), Metrics: m, Now: clock.Now})
	require.NoError(t, err)
	p, err := pipeline.Load(filepath.Join(dir, "p.yaml"))
	require.NoError(t, err)
	served, err := a.Pipelines(t.Context(), []*pipeline.Pipeline{p}, app.RunOptions{Clock: clock, Look: 5 * time.Millisecond, Unmetered: true})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := served.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		require.NoError(t, a.Close())
	})
	batches := func() []store.Batch {
		all, err := a.Store.Batches(t.Context(), store.Query{Dataset: "orders/canary", All: true})
		require.NoError(t, err)
		return all
	}
	// until makes one canary due, which the service sees once it has begun the run of
	// its source, and waits for its batch and for the incidents that are open then.
	require.Eventually(t, func() bool {
		var ended int
		require.NoError(t, a.Store.DB().Get(t.Context(), &ended, "SELECT count(*) FROM run WHERE state = 'ended'"))
		return ended == 1
	}, time.Minute, 5*time.Millisecond)
	until := func(open int) {
		t.Helper()
		n := len(batches()) + 1
		clock.ahead.Add(int64(10 * time.Minute))
		require.Eventually(t, func() bool {
			incidents, err := a.Store.Incidents(t.Context(), store.IncidentQuery{Open: true})
			require.NoError(t, err)
			return len(batches()) >= n && len(incidents) == open
		}, time.Minute, 5*time.Millisecond)
	}
	until(0)
	shows(t, m, `profiler_runner_canary_success{pipeline="orders"} 1`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad"), nil, 0o600))
	until(1)
	shows(t, m, `profiler_runner_canary_success{pipeline="orders"} 0`)
	incidents, err := a.Store.Incidents(t.Context(), store.IncidentQuery{Open: true})
	require.NoError(t, err)
	require.Equal(t, "orders/canary", incidents[0].Dataset)
	all := batches()
	_, rep, err := a.Store.Load(t.Context(), all[0])
	require.NoError(t, err)
	require.Len(t, rep.Results, 1)
	require.Contains(t, rep.Results[0].Message, `the canary failed: the output of step clean is not as in c.profile: 3 rows instead of 2; `)
	require.NoError(t, os.Remove(filepath.Join(dir, "bad")))
	until(1)
	until(0) // as for other batches, two good ones in a row end it

	names, err := a.Store.Names(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"orders/canary", "orders/clean", "orders/load"}, names)
	for _, name := range []string{"orders/clean", "orders/load"} {
		batches, err := a.Store.Batches(t.Context(), store.Query{Dataset: name, All: true})
		require.NoError(t, err)
		require.Len(t, batches, 1, "the file of the source alone")
	}
	loaded, err := os.ReadFile(filepath.Join(dir, "loaded"))
	require.NoError(t, err)
	require.Equal(t, "id,v\n7,7\n", string(loaded))
}

// save writes the profile of a file, as profiler profile --save does.
func save(t *testing.T, path, to string) {
	t.Helper()
	in, err := source.Expand([]string{path}, false)
	require.NoError(t, err)
	r, err := source.Open(t.Context(), in[0], source.Options{})
	require.NoError(t, err)
	defer r.Close()
	var reader batch.Reader = r
	o, err := monitor.New(monitor.Options{}).Observe(t.Context(), reader, monitor.Subject{})
	require.NoError(t, err)
	data, err := o.Profile.Encode()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
}
