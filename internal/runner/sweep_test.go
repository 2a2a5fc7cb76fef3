package runner_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// files lists what is below the work directory, without what the sweep itself
// writes.
func (b *bench) files() (all []string) {
	b.t.Helper()
	work := b.runner().Dir()
	require.NoError(b.t, filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		require.NoError(b.t, err)
		rel, err := filepath.Rel(work, path)
		require.NoError(b.t, err)
		if !d.IsDir() && rel != "claimed.json" {
			all = append(all, rel)
		}
		return nil
	}))
	return all
}

// plant writes files below the work directory as a process that was killed leaves
// them.
func (b *bench) plant(names ...string) {
	b.t.Helper()
	for _, name := range names {
		path := filepath.Join(b.runner().Dir(), name)
		require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(b.t, os.WriteFile(path, []byte("left\n"), 0o600))
	}
}

// stepDir is the folder of the outputs of a step, relative to the work directory.
func (b *bench) stepDir(step string) string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.runner().Dir(), "steps", step, "*"))
	require.NoError(b.t, err)
	require.Len(b.t, found, 1)
	rel, err := filepath.Rel(b.runner().Dir(), found[0])
	require.NoError(b.t, err)
	return rel
}

// What a crash between a file and its commit leaves is removed a day later, and
// nothing else.
func TestOrphansAreSwept(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBench(t, "", map[string]string{"1.csv": "n\n1\n2\n3\n", "2.csv": "n\n4\n", "3.csv": "n\nbad\n"})
		b.write("p.yaml", `version: 1
pipeline: p
source: {files: "in/*", unit: rows(2)}
steps:
  a: {sh: 'if grep bad; then echo "{\"body\": \"bad\"}" >&3; else cat; fi', rejects: fd3, split: rows(1), format: {in: csv, out: csv}}
  b: {needs: a, sh: 'grep -q 4 && exit 65; cat'}
  all: {needs: a, fan_in: all, run: [cat, "{inputs}"]}
`)
		b.realStore(url)
		b.run()
		b.ahead.Add(int64(2 * time.Hour)) // a sweep is due again
		live := b.files()
		require.Greater(t, len(live), 12, "inputs in parts, outputs in parts, rejects, the input of a dead unit")
		nobody := runner.UnitID("p", "nobody")
		of := b.stepDir("a")
		b.plant("source/"+nobody, "source/"+nobody+"-abcdefgh.jsonl", "source/rejected-abc", "source/cut/part-1.csv", "replays/"+nobody,
			of+"/"+nobody+".a1", of+"/"+nobody+".a1.rejects", of+"/"+nobody+".a1.parts/1.csv", "steps/gone/0123456789abcdef/"+nobody+".a3",
			"source/.123.tmp", of+"/."+nobody+".a1.tmp", of+"/."+nobody+".a1.inputs.tmp/list.jsonl")
		planted := len(b.files()) - len(live)
		require.Equal(t, 12, planted)
		b.run()
		b.ahead.Store(int64(23 * time.Hour)) // of their age, which is the system's
		b.run()
		left := slices.DeleteFunc(b.files(), func(name string) bool { return slices.Contains(live, name) })
		require.Len(t, left, 9, "temporaries alone are gone: %s", left)
		b.ahead.Store(int64(25 * time.Hour))
		b.run()
		require.ElementsMatch(t, live, b.files())
	})
}

// What rows point to stays: what was sent in and is worked on or dead, the list of
// a body that was cut, records that were replayed, messages that are no records.
func TestSweepKeepsWhatIsWanted(t *testing.T) {
	t.Parallel()
	b, _ := pushBench(t, "/in/x, unit: rows(2), keep: 30d", "  a: {sh: 'grep -q 5 && exit 65; cat'}\n")
	b.o.Clock = future{b}
	b.realStore("sqlite:" + filepath.Join(b.dir, "s.db"))
	send := func(key string) runner.Accepted {
		inbox, err := runner.NewInbox([]*runner.Runner{b.runner()})
		require.NoError(t, err)
		a, err := inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader("1\n2\n3\n4\n5\n"), Key: key})
		require.NoError(t, err)
		return a
	}
	stop := b.serve(1)
	claimed := filepath.Join(b.runner().Dir(), "claimed.json")
	require.Eventually(t, func() bool { _, err := os.Stat(claimed); return err == nil }, time.Minute, 5*time.Millisecond)
	send("k")
	b.runs(1)
	b.plant("source/" + runner.UnitID("p", "http:crashed")) // a body that was kept and never committed
	stop()
	live := b.files()
	require.Len(t, live, 7, "3 parts, their list, 2 outputs, and one more")
	b.ahead.Store(int64(25 * time.Hour))
	stop = b.serve(1)
	require.Eventually(t, func() bool { return len(b.files()) == 6 }, time.Minute, 5*time.Millisecond)
	stop() // by its clock what is being written now is a day old
	require.True(t, send("k").Duplicate, "the list is there to know the body by")
}

// A request that comes again with its key after a crash finds its file, and the
// sweep leaves it alone from then on.
func TestReusedFileIsFresh(t *testing.T) {
	t.Parallel()
	b, _ := pushBench(t, "/in/x", "  a: {run: [cat]}\n")
	b.o.Clock = future{b}
	b.realStore("sqlite:" + filepath.Join(b.dir, "s.db"))
	inbox, err := runner.NewInbox([]*runner.Runner{b.runner()})
	require.NoError(t, err)
	_, err = inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader("1\n"), Key: "k"})
	require.NoError(t, err)
	path := filepath.Join(b.runner().Dir(), "source", runner.UnitID("p", "http:k"))
	before, err := os.Stat(path)
	require.NoError(t, err)
	first, err := runner.ChangedAt(path)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := inbox.Accept(t.Context(), "/in/x", runner.Pushed{Body: strings.NewReader("1\n"), Key: "k"})
		require.NoError(t, err)
		now, err := runner.ChangedAt(path)
		return err == nil && now.After(first)
	}, time.Minute, 5*time.Millisecond)
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, before.ModTime(), after.ModTime(), "the unit knows its input by this")
}

// A folder that several stores use, and what was there before, is nobody's to
// clean.
func TestSweepOfAForeignFolder(t *testing.T) {
	t.Parallel()
	nobody := runner.UnitID("p", "nobody")
	b := newBench(t, "  a: {run: [cat]}\n", map[string]string{"1": "1\n"})
	b.plant("source/" + nobody)
	b.ahead.Store(int64(time.Hour)) // the folder is taken into use later
	b.run()
	b.ahead.Store(int64(26 * time.Hour))
	b.run()
	require.Contains(t, b.files(), "source/"+nobody, "it was there before")

	b = newBench(t, "  a: {run: [cat]}\n", map[string]string{"1": "1\n"})
	b.run()
	live := b.files()
	require.Len(t, live, 1)
	b.store("another.db")
	b.ahead.Store(int64(100 * time.Hour))
	require.NoError(t, os.Remove(filepath.Join(b.dir, "in/1")))
	b.run() // this store knows of no unit
	require.Equal(t, live, b.files())
	b.store("store.db")
	b.ahead.Store(int64(200 * time.Hour))
	b.plant("source/" + nobody)
	b.run()
	require.Contains(t, b.files(), "source/"+nobody, "the other store's, perhaps")
}

// The temporary files of an attempt that is silent for long, and still works, stay
// when another worker starts.
func TestSweepSparesSilentAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'echo up >started; read x <gate; cat'}\n", map[string]string{"1": "1\n"})
	d, err := db.Open(t.Context(), dbtest.Postgres(t), db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	b.o.Queue, err = queue.Open(t.Context(), d, queue.Options{})
	require.NoError(t, err)
	b.o.Progress, b.o.Clock = nil, nil
	for _, name := range []string{"started", "gate"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, name), 0o600))
	}
	ended := make(chan runner.Summary, 1)
	first := b.runner()
	go func() {
		s, err := first.Run(t.Context())
		if err != nil {
			t.Error(err)
		}
		ended <- s
	}()
	require.Equal(t, "up\n", b.read("started"))
	temporaries := func() int {
		n := 0
		for _, name := range b.files() {
			if strings.HasSuffix(name, ".tmp") {
				n++
			}
		}
		return n
	}
	require.Equal(t, 1, temporaries())
	b.plant(b.stepDir("a") + "/." + runner.UnitID("p", "nobody") + ".a1.tmp")
	b.ahead.Store(int64(time.Hour))
	b.o.Clock = future{b}
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- runner.Work(ctx, []*runner.Runner{b.runner()}, false) }()
	require.Eventually(t, func() bool { return temporaries() == 1 }, time.Minute, 5*time.Millisecond, "the other one is swept away")
	b.write("gate", "go\n")
	s := <-ended
	require.Equal(t, runner.Units{Done: 1}, s.Steps[0].Units)
	require.Equal(t, 1, s.Steps[0].Attempts, "in the first attempt")
	cancel()
	<-worked
}

// future is a clock that is ahead and waits in real time.
type future struct{ *bench }

func (f future) Wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	f.o.Queue.Wait(ctx, changed, d)
}
