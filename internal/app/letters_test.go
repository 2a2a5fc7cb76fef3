package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/store"
)

// lettersOf are the parts of a process for tests of dead units.
type lettersOf struct {
	t       *testing.T
	app     *app.App
	q       *queue.Queue
	m       *metrics.Metrics
	printed *bytes.Buffer
}

func newLetters(t *testing.T, url string) *lettersOf {
	t.Helper()
	l := &lettersOf{t: t, printed: &bytes.Buffer{}}
	var err error
	l.m, err = metrics.New(metrics.Options{})
	require.NoError(t, err)
	l.app, err = app.New(t.Context(), app.Options{Store: url, Metrics: l.m, Messages: l.printed})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.app.Close()) })
	l.q, err = l.app.Units(t.Context())
	require.NoError(t, err)
	return l
}

func (l *lettersOf) offer(pipeline, step string, n int) {
	l.t.Helper()
	var all []queue.Offer
	for i := range n {
		all = append(all, queue.Offer{Key: queue.Key{Pipeline: pipeline, Step: step, Unit: fmt.Sprintf("u%03d", i)}, Run: "r1"})
	}
	require.NoError(l.t, l.q.DB().Tx(l.t.Context(), func(tx *db.Tx) error { return l.q.Offer(l.t.Context(), tx, all) }))
}

// end ends a unit of a step, if there is one.
func (l *lettersOf) end(pipeline, step string, r queue.Result) (found bool, err error) {
	ctx := l.t.Context()
	leases, err := l.q.Claim(ctx, queue.ClaimRequest{Pipeline: pipeline, Step: step, Worker: "w", Max: 1, Lease: time.Minute})
	if err != nil || len(leases) == 0 {
		return false, err
	}
	return true, l.q.DB().Tx(ctx, func(tx *db.Tx) error {
		_, err := l.q.Complete(ctx, tx, &leases[0], r)
		return err
	})
}

func (l *lettersOf) incidents(open bool) []alert.Incident {
	l.t.Helper()
	all, err := l.app.Store.Incidents(l.t.Context(), store.IncidentQuery{Open: open})
	require.NoError(l.t, err)
	return all
}

var givenUp = queue.Result{State: queue.Dead, Cause: "data", Err: "connect to postgres://ann:hunter2@db/dw: \x1b[31mline 2\nis broken"}

// Units of one step that die in several processes at once are one incident, and it
// ends once, when the last of them has gone through.
func TestDeadUnitsOfSeveralProcessesAreOneIncident(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		const units = 24
		all := []*lettersOf{newLetters(t, url), newLetters(t, url), newLetters(t, url)}
		atOnce := func(do func(*lettersOf) (bool, error)) {
			t.Helper()
			errs := make([]error, len(all))
			var wg sync.WaitGroup
			for i, l := range all {
				wg.Go(func() {
					for more := true; more; {
						var err error
						more, err = do(l)
						errs[i] = errors.Join(errs[i], err)
						more = more && err == nil
					}
				})
			}
			wg.Wait()
			require.NoError(t, errors.Join(errs...))
		}
		first := all[0]
		first.offer("p", "a", units)
		atOnce(func(l *lettersOf) (bool, error) { return l.end("p", "a", givenUp) })
		open := first.incidents(true)
		require.Len(t, open, 1)
		require.Equal(t, fmt.Sprint("p/a ", units, " ", units, " ", units), fmt.Sprint(open[0].Dataset, " ", open[0].Batches, " ", open[0].DeadLetters.Dead, " ", open[0].Revision))
		pending, err := first.app.Store.Pending(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, pending, 1, "one message tells all of it")
		require.Equal(t, alert.EventOpened, pending[0].Event)

		for i := range units {
			require.NoError(t, first.q.Replay(t.Context(), queue.Key{Pipeline: "p", Step: "a", Unit: fmt.Sprintf("u%03d", i)}, false, queue.Decision{}))
		}
		require.Len(t, first.incidents(true), 1, "nothing has gone through yet")
		atOnce(func(l *lettersOf) (bool, error) { return l.end("p", "a", queue.Result{State: queue.Done}) })
		require.Empty(t, first.incidents(true))
		ended := first.incidents(false)
		require.Len(t, ended, 1)
		require.Equal(t, alert.Resolved, ended[0].Status)
		require.Zero(t, ended[0].Flaps)
	})
}

// lazy shows a value as it is when it is shown.
type lazy struct{ v *[]string }

func (l lazy) String() string { return fmt.Sprint(*l.v) }

// Whatever makes a unit dead, its step has an incident that says so.
func TestEveryWayToBeDeadIsTold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		const ways = `version: 1
pipeline: ways
source: {watch: "in/*.csv"}
steps:
  data:     {sh: "cat >/dev/null; exit 65"}
  attempts: {sh: "cat >/dev/null; exit 3", retry: {attempts: 2, backoff: 1ms}}
  timeout:  {sh: "sleep 60", timeout: {run: 50ms}, retry: {attempts: 1}}
  queue:    {sh: "sleep 1.2; cat", timeout: {queue: 1s}, workers: {min: 1, max: 1, scale_at: 1}}
  outside:  {worker: true}
  unjudged: {sh: "cat", format: {out: parquet}, retry: {attempts: 2, backoff: 1ms}}
  kept:     {sh: "cat", rules: r.yaml, on_fail: quarantine}
  fine:     {sh: "cat"}
`
		for name, text := range map[string]string{"in/1.csv": "n\n1\n", "in/2.csv": "n\n2\n", "in/3.csv": "n\n3\n", "p.yaml": ways, "r.yaml": "version: 1\nchecks: [{row_count: {min: 9}}]\n"} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "in"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		l := newLetters(t, url)
		p, err := pipeline.Load(filepath.Join(dir, "p.yaml"))
		require.NoError(t, err)
		served, err := l.app.Pipelines(t.Context(), []*pipeline.Pipeline{p}, app.RunOptions{Workers: 8, Look: 5 * time.Millisecond})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		var working sync.WaitGroup
		defer working.Wait()
		defer stop()
		working.Go(func() {
			if err := served.Serve(ctx); err != nil {
				t.Error(err)
			}
		})
		working.Go(func() { // a worker that speaks HTTP
			for n := 0; n < 3; {
				work, err := served.Broker.Lease(t.Context(), "ways", "outside", "w", 1, time.Minute)
				if err != nil || len(work) == 0 {
					t.Error("no work", err)
					return
				}
				_, err = served.Broker.Fail(t.Context(), work[0].Lease, runner.ClassData, "not a number", 0)
				if err != nil {
					t.Error(err)
				}
				n++
			}
		})
		l.offer("other", "crash", 1)
		var told []string
		want := []string{"other/crash 1 crash", "ways/attempts 3 attempts", "ways/data 3 data", "ways/kept data", "ways/outside 3 data", "ways/queue 2 timeout", "ways/timeout 3 timeout", "ways/unjudged 3 unjudged"}
		require.Eventually(t, func() bool {
			// Each claim takes back what the one before has lost, unless the service has.
			_, err := l.q.Claim(t.Context(), queue.ClaimRequest{Pipeline: "other", Step: "crash", Worker: "w", Max: 1, Lease: -time.Second})
			if err != nil {
				t.Error(err)
			}
			told = nil
			for _, i := range l.incidents(true) {
				if i.DeadLetters == nil { // what a gate keeps back is told by its data
					told = append(told, i.Dataset+" data")
					continue
				}
				n := i.DeadLetters.Dead
				if i.DeadStep() == "queue" {
					n = min(n, 2) // on a busy machine the first one waits too long as well
				}
				told = append(told, fmt.Sprint(i.Dataset, " ", n, " ", i.DeadLetters.First.Cause))
			}
			slices.Sort(told)
			return slices.Equal(want, told)
		}, time.Minute, 20*time.Millisecond, "%s", lazy{&told})
	})
}

// What people are told of an error has no secrets and stays in its line.
func TestDeadUnitsTellNoSecrets(t *testing.T) {
	t.Parallel()
	l := newLetters(t, dbtest.SQLite(t))
	l.offer("p", "a", 2)
	for range 2 {
		found, err := l.end("p", "a", givenUp)
		require.True(t, found)
		require.NoError(t, err)
	}
	shows(t, l.m, `profiler_incidents_active{severity="fail",status="open"} 1`)
	l.app.Tell(t.Context())
	text := l.printed.String()
	require.Contains(t, text, "u000 (data, 1 attempt): connect to postgres://ann:<secret>@db/dw: \uFFFD[31mline 2 is broken; last u001")
	require.NotContains(t, text, "hunter2")
	require.NotContains(t, text, "\x1b")
	in := l.incidents(true)[0]
	require.NotContains(t, in.DeadLetters.First.Error, "hunter2")
	require.Equal(t, "r1", in.Origin.Run)
	require.NoError(t, l.q.Discard(t.Context(), queue.Key{Pipeline: "p", Step: "a", Unit: "u000"}, queue.Decision{}))
	require.NoError(t, l.q.Discard(t.Context(), queue.Key{Pipeline: "p", Step: "a", Unit: "u001"}, queue.Decision{}))
	shows(t, l.m, `profiler_incidents_active{severity="fail",status="open"} 0`)
	l.app.Tell(t.Context())
	require.Contains(t, strings.TrimPrefix(l.printed.String(), text), "p/a: resolved\nResolved after less than a minute: no dead letter is left; 2 units were given up")
}

// A unit is dead together with its incident and its message, or not at all.
func TestDeadUnitAndIncidentAreOneTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := newLetters(t, url)
		l.offer("p", "a", 1)
		ctx := t.Context()
		leases, err := l.q.Claim(ctx, queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "w", Max: 1, Lease: time.Minute})
		require.NoError(t, err)
		crash := errors.New("crash")
		end := func(err error) error {
			return l.q.DB().Tx(ctx, func(tx *db.Tx) error {
				_, done := l.q.Complete(context.WithoutCancel(ctx), tx, &leases[0], givenUp)
				return errors.Join(done, err)
			})
		}
		require.ErrorIs(t, end(crash), crash)
		require.Empty(t, l.incidents(true))
		require.NoError(t, end(nil))
		require.NoError(t, end(nil), "the answer of the commit was lost")
		open := l.incidents(true)
		require.Len(t, open, 1)
		require.Equal(t, 1, open[0].Batches)
		pending, err := l.app.Store.Pending(ctx, 0)
		require.NoError(t, err)
		require.Len(t, pending, 1)
	})
}
