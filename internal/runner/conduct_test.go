package runner_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// serve serves the bench's pipeline until the test ends or stop is called.
func (b *bench) serve(n int) (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	for range n {
		r := b.runner()
		wg.Go(func() {
			err := runner.Serve(ctx, []*runner.Runner{r})
			if err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)) { // it may be told to end before it began
				b.t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	b.t.Cleanup(stop)
	return stop
}

// runs waits until so many runs have ended, and returns all.
func (b *bench) runs(n int) []queue.Run {
	b.t.Helper()
	var all []queue.Run
	require.Eventually(b.t, func() bool {
		var err error
		all, err = b.o.Queue.Runs(b.t.Context(), "p", 0)
		require.NoError(b.t, err)
		ended := 0
		for _, r := range all {
			if r.State == queue.RunEnded {
				ended++
			}
		}
		return ended >= n
	}, 30*time.Second, 10*time.Millisecond)
	return all
}

func TestWatchedFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", map[string]string{"1.csv": "one\n"})
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {watch: 'in/*.csv'}\nsteps:\n  a: {sh: 'cat; echo x >>log'}\n  b: {needs: a, run: [cat]}\n")
	b.o.Progress, b.o.Look = nil, 5*time.Millisecond
	var log bytes.Buffer
	b.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	stop := b.serve(1)
	require.Len(t, b.runs(1), 1)
	b.write("2.csv", "two\n") // a file that is not whole yet would be a unit, too
	require.NoError(t, os.Rename(filepath.Join(b.dir, "2.csv"), filepath.Join(b.dir, "in/2.csv")))
	require.Len(t, b.runs(2), 2)
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "b", States: []queue.State{queue.Done}})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "x\nx\n", b.read("log"), "each file is worked on once")
	require.NoError(t, os.Rename(filepath.Join(b.dir, "in/1.csv"), filepath.Join(b.dir, "in/3.csv")))
	all := b.runs(3)
	require.Len(t, all, 3, "another name is another unit")
	stop()
	for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		require.LessOrEqual(t, strings.Count(line, " run="), 1, line)
		require.NotContains(t, line, "due=", "nothing was due")
		if strings.Contains(line, "step finished") {
			require.Contains(t, log.String(), "run="+all[0].ID, "a unit's own run")
		}
	}
}

// Of two services on one database each time's run is begun once, and no run is
// begun while the one before works.
func TestSchedule(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", nil)
	d, err := db.Open(t.Context(), dbtest.Postgres(t), db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	b.o.Queue, err = queue.Open(t.Context(), d, queue.Options{Now: b.Now})
	require.NoError(t, err)
	b.write("p.yaml", "version: 1\npipeline: p\nevery: 1h\nsteps: {a: {timeout: {heartbeat: 2h}, sh: 'echo $PROFILER_RUN_ID >>log'}}\n")
	b.o.Progress, b.o.Look = nil, 5*time.Millisecond
	b.serve(2)
	for n := 1; n <= 3; n++ {
		// A service sees the time pass only after it has looked at it once.
		require.Eventually(t, func() bool {
			all, err := b.o.Queue.Runs(t.Context(), "p", 0)
			require.NoError(t, err)
			working, err := b.o.Queue.Units(t.Context(), queue.Filter{States: []queue.State{queue.Running}})
			require.NoError(t, err)
			if len(all) < n && len(working) == 0 { // a claim may still come between: one jump is no lease
				b.ahead.Add(int64(10 * time.Minute))
			}
			return len(all) >= n
		}, 30*time.Second, 50*time.Millisecond)
		b.runs(n)
	}
	all := b.runs(3)
	seen := map[string]int{}
	for _, r := range all {
		seen[r.ID]++
	}
	ran := map[string]int{}
	for _, line := range strings.Fields(b.read("log")) {
		ran[line]++
	}
	require.Len(t, ran, len(seen))
	for id, n := range ran {
		require.Equal(t, 1, n, id)
		require.Equal(t, 1, seen[id])
	}
}

// heard is a log that tells when a text comes.
type heard struct {
	text string
	once sync.Once
	came chan struct{}
}

func hear(text string) *heard { return &heard{text: text, came: make(chan struct{})} }

func (h *heard) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(h.text)) {
		h.once.Do(func() { close(h.came) })
	}
	return len(b), nil
}

// What stops the work of a service does so as long as it lasts, and stops no other
// pipeline.
func TestServiceGoesOnAfterTrouble(t *testing.T) {
	t.Parallel()
	log := hear("pipeline not worked on, trying again")
	b := newBench(t, "", map[string]string{"1": "one\n"})
	b.o.Clock, b.o.Look = nil, 5*time.Millisecond
	b.o.Logger = slog.New(slog.NewTextHandler(log, nil))
	b.realStore("sqlite:" + filepath.Join(b.dir, "s.db"))
	b.write("p.yaml", "version: 1\npipeline: q\nsource: {watch: 'in/*'}\nsteps: {a: {run: [cat]}}\n")
	other := b.runner()
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {watch: 'in/*'}\nsteps: {a: {run: [cat]}}\n")
	steps := filepath.Join(b.runner().Dir(), "steps")
	require.NoError(t, os.MkdirAll(filepath.Dir(steps), 0o755))
	require.NoError(t, os.WriteFile(steps, nil, 0o600)) // no output can be stored
	unlock, err := b.o.Queue.Lock()                     // and somebody else is at work
	require.NoError(t, err)
	busy := hear("units not worked on, trying again")
	first := b.runner()
	b.o.Logger = slog.New(slog.NewTextHandler(busy, nil))
	waiting := b.runner()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := runner.Serve(ctx, []*runner.Runner{waiting}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-busy.came
	cancel()
	wg.Wait()
	unlock()

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	wg.Go(func() {
		if err := runner.Serve(ctx, []*runner.Runner{first, other}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-log.came
	done := func(pipeline string) func() bool {
		return func() bool {
			rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Pipeline: pipeline, States: []queue.State{queue.Done}})
			require.NoError(t, err)
			return len(rows) == 1
		}
	}
	require.Eventually(t, done("q"), time.Minute, 10*time.Millisecond, "the other pipeline")
	require.NoError(t, os.Remove(steps))
	require.Eventually(t, done("p"), time.Minute, 10*time.Millisecond)
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Pipeline: "p"})
	require.NoError(t, err)
	require.Equal(t, 1, rows[0].Tries, "what was given back does not count as an attempt")
	cancel()
	wg.Wait()
}

// A worker that is to stay does so too.
func TestWorkerGoesOnAfterTrouble(t *testing.T) {
	t.Parallel()
	log := hear("pipeline not worked on, trying again")
	b := newBench(t, "  a: {run: [cat]}\n", map[string]string{"1": "one\n"})
	b.o.Clock, b.o.Progress = nil, nil
	b.realStore("sqlite:" + filepath.Join(b.dir, "s.db"))
	b.run()
	b.o.Logger = slog.New(slog.NewTextHandler(log, nil))
	r := b.runner()
	steps := filepath.Join(r.Dir(), "steps")
	require.NoError(t, os.RemoveAll(steps))
	require.NoError(t, os.WriteFile(steps, nil, 0o600)) // no output can be stored
	units := func(s queue.State) []queue.Row {
		rows, err := b.o.Queue.Units(t.Context(), queue.Filter{States: []queue.State{s}})
		require.NoError(t, err)
		return rows
	}
	require.NoError(t, b.o.Queue.Replay(t.Context(), units(queue.Done)[0].Key, true, queue.Decision{}))
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- runner.Work(ctx, []*runner.Runner{r}, false) }()
	select {
	case <-log.came:
	case err := <-worked:
		require.FailNow(t, "the worker ended", err)
	}
	require.NoError(t, os.Remove(steps))
	require.Eventually(t, func() bool { return len(units(queue.Done)) == 1 }, time.Minute, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-worked)
}
