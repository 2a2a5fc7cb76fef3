package runner_test

import (
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

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// told collects events of several goroutines.
type told struct {
	mu  sync.Mutex
	all []runner.Event
}

func (o *told) event(e runner.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, e)
}

func (o *told) of(kind runner.EventKind) []runner.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.all), func(e runner.Event) bool { return e.Kind != kind })
}

func files(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("%03d.csv", i)] = "n\n1\n"
	}
	return all
}

// Each command of the step ends only when four of them are there at once, which
// two workers of the process never have.
const four = "'mkdir at.$PROFILER_UNIT_ID; until [ $(ls -d at.* | wc -l) -ge 4 ]; do sleep 0.01; done; cat'"

func TestWorkersGrowWithTheQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: "+four+", timeout: {run: 60s}, retry: {attempts: 1}, workers: {min: 1, max: 6, scale_at: 3}}\n  b: {needs: a, run: [cat]}\n", files(12))
	var events told
	b.o.Progress, b.o.Workers = events.event, 0
	s, err := b.runner().Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, runner.Units{Done: 12}, s.Steps[0].Units)
	require.Equal(t, runner.Units{Done: 12}, s.Steps[1].Units)
	scaled := events.of(runner.Scaled)
	require.NotEmpty(t, scaled)
	require.Equal(t, []any{"a", 4}, []any{scaled[0].Step, scaled[0].Workers}, "12 units, one worker for 3 of them")
}

// A number of workers that was asked for is the bound of all steps.
func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'mkdir at.$PROFILER_UNIT_ID; ls -d at.* | wc -l >>log; cat; rmdir at.$PROFILER_UNIT_ID', workers: {max: 6, scale_at: 1}}\n", files(6))
	b.o.Workers = 1
	require.Equal(t, runner.Units{Done: 6}, b.run().Steps[0].Units)
	require.Equal(t, strings.Repeat("1\n", 6), b.read("log"))
}

// A watched source stops when too many units stand before any step, and goes on
// when they are gone.
func TestSourceIsHeldBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", files(30))
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {watch: 'in/*'}\nsteps:\n  a: {run: [cat], workers: {max: 4, scale_at: 4}}\n"+
		"  b: {needs: a, sh: 'until [ -e go ]; do sleep 0.01; done; cat', workers: {max: 1, scale_at: 1}}\n")
	var events told
	b.o.Progress, b.o.Look, b.o.Workers = events.event, 5*time.Millisecond, 0
	stop := b.serve(1)
	// Until b has more than 10 × 1 × 1 units before it, a takes all there are.
	require.Eventually(t, func() bool { return len(events.of(runner.Held)) > 0 }, 30*time.Second, 5*time.Millisecond)
	require.Equal(t, "b", events.of(runner.Held)[0].Step)
	for i := range 20 {
		b.write(fmt.Sprintf("in/later%02d.csv", i), "n\n3\n")
	}
	known := func(step string, states ...queue.State) int {
		rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: step, States: states})
		require.NoError(t, err)
		return len(rows)
	}
	require.Equal(t, 30, known("a"), "what came later stays in the folder")
	require.Empty(t, events.of(runner.Resumed))
	b.write("go", "")
	require.Eventually(t, func() bool { return known("b", queue.Done) == 50 }, 60*time.Second, 10*time.Millisecond)
	require.NotEmpty(t, events.of(runner.Resumed))
	stop()
}

// While a step fails, workers that stay try one unit at a time, after pauses; what
// works again gets all.
func TestBreaker(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", files(30))
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {watch: 'in/*'}\nsteps:\n"+
		"  a: {sh: 'echo x >>tries; [ -e ok ] && cat', retry: {attempts: 1000, backoff: 1ms, max_backoff: 1ms, jitter: 0}}\n  b: {needs: a, run: [cat]}\n")
	b.o.Progress, b.o.Look = nil, 5*time.Millisecond
	d, err := db.Open(t.Context(), "sqlite:"+filepath.Join(b.dir, "other.db"), db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	b.o.Queue, err = queue.Open(t.Context(), d, queue.Options{Now: b.Now})
	require.NoError(t, err)
	var pauses pauseClock
	pauses.bench = b
	b.o.Clock = &pauses
	stop := b.serve(1)
	opened := func() []queue.Breaker {
		all, err := b.o.Queue.Opened(t.Context())
		require.NoError(t, err)
		return all
	}
	require.Eventually(t, func() bool { all := opened(); return len(all) == 1 && all[0].Times >= 4 }, 30*time.Second, 5*time.Millisecond)
	n := len(strings.Fields(b.read("tries")))
	require.LessOrEqual(t, n, 11+2+opened()[0].Times, "11 that opened it, those that were under way, and one for each pause")
	ledger, err := runner.NewLedger(t.Context(), b.o.Queue)
	require.NoError(t, err)
	text, err := ledger.Paused(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, text, 1)
	require.Regexp(t, `^p/a open(, one unit is tried now| until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d): more than half of its last attempts failed$`, text[0])
	b.write("ok", "")
	require.Len(t, b.runs(1), 1)
	require.Empty(t, opened())
	stop()
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "b", States: []queue.State{queue.Done}})
	require.NoError(t, err)
	require.Len(t, rows, 30)
}

// pauseClock moves the bench's clock instead of waiting, and lets others work
// meanwhile.
type pauseClock struct{ *bench }

func (c *pauseClock) Wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	c.ahead.Add(int64(d))
	c.o.Queue.Wait(ctx, changed, time.Millisecond)
}

// A run comes to its end however much fails.
func TestRunKnowsNoBreaker(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'exit 1', retry: {attempts: 1}}\n", files(40))
	require.Equal(t, runner.Units{Dead: 40}, b.run().Steps[0].Units)
	require.Empty(t, b.waits)
	all, err := b.o.Queue.Opened(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
}

// The service discards dead letters that are older than dlq.keep, units and
// records, with an event; younger ones stay.
func TestOldDeadLettersAreDiscarded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", map[string]string{"1.csv": "n\n1\n"})
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {watch: 'in/*'}\ndlq: {keep: 30d}\nsteps:\n"+
		"  a: {sh: 'echo >&3 \"{\\\"record\\\": 1}\"; cat', rejects: fd3}\n  b: {needs: a, sh: 'exit 65'}\n")
	b.o.Progress, b.o.Look = nil, 5*time.Millisecond
	b.serve(1)
	b.runs(1)
	dead := func() (units, records int) {
		rows, err := b.o.Queue.Units(t.Context(), queue.Filter{States: []queue.State{queue.Dead}})
		require.NoError(t, err)
		all, err := b.o.Queue.Rejects(t.Context(), queue.Filter{States: []queue.State{queue.Dead}})
		require.NoError(t, err)
		return len(rows), len(all)
	}
	units, records := dead()
	require.Equal(t, []int{1, 1}, []int{units, records})
	b.ahead.Add(int64(20 * 24 * time.Hour))
	b.write("in/2.csv", "n\n2\n")
	b.runs(2)
	units, records = dead()
	require.Equal(t, []int{2, 2}, []int{units, records}, "20 days are not 30")
	b.ahead.Add(int64(11 * 24 * time.Hour))
	require.Eventually(t, func() bool { u, r := dead(); return u == 1 && r == 1 }, 30*time.Second, 5*time.Millisecond)
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{States: []queue.State{queue.Discarded}})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	events, err := b.o.Queue.Events(t.Context(), queue.Filter{Unit: rows[0].Unit, Step: "b"})
	require.NoError(t, err)
	last := events[len(events)-1]
	require.Equal(t, []string{"discarded", "older than dlq.keep"}, []string{string(last.Kind), last.Detail})
}

// A canary goes through the steps as a unit that belongs to nothing real: marked,
// unjudged, past the steps that say so, and out of runs, queues and dead letters.
func TestCanary(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", map[string]string{"1.csv": "n\n1\n"})
	b.write("c.csv", "n\n7\n")
	b.write("c.profile", "")
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {watch: 'in/*'}\ncanary: {every: 10m, input: c.csv, expect: c.profile}\nsteps:\n"+
		"  a: {sh: 'echo $PROFILER_CANARY:$(cat {input} | tail -1) >>log; while [ -e stop ]; do sleep 0.01; done; if [ -e bad -a -n \"$PROFILER_CANARY\" ]; then exit 65; fi; cat {input}'}\n"+
		"  load: {needs: a, sh: 'cat; tail -1 {input} >>loaded', canary: skip}\n  b: {needs: load, run: [cat]}\n")
	var mu sync.Mutex
	var ends []runner.CanaryEnd
	b.o.Canary = func(_ context.Context, e runner.CanaryEnd) error {
		mu.Lock()
		defer mu.Unlock()
		ends = append(ends, e)
		return nil
	}
	judged := 0
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		mu.Lock()
		defer mu.Unlock()
		judged++
		return runner.Judgement{}, nil
	})}
	b.o.Progress, b.o.Look = nil, 5*time.Millisecond
	var pauses stillClock
	pauses.bench = b
	b.o.Clock = &pauses
	b.serve(1)
	b.runs(1)
	mu.Lock()
	before := judged
	mu.Unlock()
	q := b.o.Queue
	told := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ends)
	}
	// One jump makes one canary due: the service has looked before the run above.
	next := func(held bool) runner.CanaryEnd {
		t.Helper()
		n := told() + 1
		b.ahead.Add(int64(10 * time.Minute))
		if held {
			require.Eventually(t, func() bool {
				running, err := q.Units(t.Context(), queue.Filter{Step: "a", States: []queue.State{queue.Running}})
				require.NoError(t, err)
				return len(running) > 0
			}, time.Minute, 5*time.Millisecond)
			b.ahead.Add(int64(11 * time.Minute))
		}
		require.Eventually(t, func() bool { return told() >= n }, time.Minute, 5*time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		return ends[n-1]
	}
	good := next(false)
	require.Empty(t, good.Problem)
	require.Len(t, good.Outputs["b"], 1)
	data, err := os.ReadFile(good.Outputs["b"][0])
	require.NoError(t, err)
	require.Equal(t, "n\n7\n", string(data))
	require.Contains(t, b.read("log"), "1:7\n")
	require.Contains(t, b.read("log"), ":1\n")
	require.NotContains(t, b.read("loaded"), "7", "passed over")
	mu.Lock()
	require.Equal(t, before, judged, "not by the rules")
	mu.Unlock()

	b.write("bad", "")
	require.Regexp(t, "^it is dead at step a: the command ended with exit status 65", next(false).Problem)
	ledger, err := runner.NewLedger(t.Context(), q)
	require.NoError(t, err)
	letters, err := ledger.Letters(t.Context(), queue.Filter{})
	require.NoError(t, err)
	require.Empty(t, letters)
	runs, err := q.Runs(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	depths, err := q.Depths(t.Context())
	require.NoError(t, err)
	require.Empty(t, depths)
	require.NoError(t, os.Remove(filepath.Join(b.dir, "bad")))

	b.write("stop", "")
	late := next(true)
	require.Contains(t, late.Problem, "it has not come through within 10m0s: step b has no output of it, it is ")
	require.Contains(t, late.Problem, " at step a")
	require.NoError(t, os.Remove(filepath.Join(b.dir, "stop")))

	// What is left of canaries goes after a day.
	old := good.Outputs["b"][0]
	require.FileExists(t, old)
	b.ahead.Add(int64(25 * time.Hour))
	require.Eventually(t, func() bool {
		_, err := os.Stat(old)
		return errors.Is(err, os.ErrNotExist)
	}, time.Minute, 5*time.Millisecond)
	rows, err := q.Units(t.Context(), queue.Filter{Run: good.Run})
	require.NoError(t, err)
	require.Empty(t, rows)
}

// stillClock moves by the test alone.
type stillClock struct{ *bench }

func (c *stillClock) Wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	c.o.Queue.Wait(ctx, changed, min(d, 10*time.Millisecond))
}
