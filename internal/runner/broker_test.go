package runner_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// brokered is a bench whose step a is for outside workers, with one unit in it.
func brokered(t *testing.T, fields string) (*bench, *runner.Broker) {
	t.Helper()
	b := newBench(t, "  a: {worker: true"+fields+"}\n  b: {needs: a, run: [cat]}\n", map[string]string{"x.csv": "n\n1\n"})
	b.o.Hooks = []runner.Hook{hook(lines)}
	ctx := t.Context()
	r := b.runner()
	broker, err := runner.NewBroker(ctx, []*runner.Runner{r})
	require.NoError(t, err)
	path := filepath.Join(b.dir, "in/x.csv")
	info, err := os.Stat(path)
	require.NoError(t, err)
	input := `{"path":"` + path + `","bytes":` + strconv.FormatInt(info.Size(), 10) + `,"modified_ns":` + strconv.FormatInt(info.ModTime().UnixNano(), 10) + `}`
	unit := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: "U"}, Run: "r", Correlation: "c", Source: "in/x.csv", Input: input}
	require.NoError(t, b.o.Queue.DB().Tx(ctx, func(tx *db.Tx) error { return b.o.Queue.Offer(ctx, tx, []queue.Offer{unit}) }))
	return b, broker
}

func lease(t *testing.T, k *runner.Broker) runner.Assignment {
	t.Helper()
	got, err := k.Lease(t.Context(), "p", "a", "w", 5, 0)
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

func TestOutsideWorker(t *testing.T) {
	t.Parallel()
	b, k := brokered(t, "")
	ctx := t.Context()
	w := lease(t, k)
	require.Equal(t, "n\n1\n", string(w.Input.Inline))
	require.Equal(t, []any{"U", 1, "c", 60.0}, []any{w.UnitID, w.Attempt, w.CorrelationID, w.LeaseSeconds})
	none, err := k.Lease(ctx, "p", "a", "w", 5, time.Millisecond)
	require.NoError(t, err)
	require.Empty(t, none)
	d, err := k.Heartbeat(ctx, w.Lease)
	require.NoError(t, err)
	require.Equal(t, time.Minute, d)
	s, err := k.Complete(ctx, w.Lease, runner.Content{Inline: []byte("n\n2\n")}, []runner.Rejected{{Record: "7", Reason: "no"}})
	require.NoError(t, err)
	require.Equal(t, runner.WorkState{State: runner.Done, Verdict: new(checks.Pass)}, s)
	again, err := k.Complete(ctx, w.Lease, runner.Content{Inline: []byte("other")}, nil)
	require.NoError(t, err)
	require.Equal(t, s, again, "a repeat gets the same answer")
	_, err = k.Heartbeat(ctx, w.Lease)
	require.ErrorIs(t, err, queue.ErrFenced)
	rejects, err := b.o.Queue.Rejects(ctx, queue.Filter{})
	require.NoError(t, err)
	require.Equal(t, "7 no", rejects[0].Record+" "+rejects[0].Reason)
	require.NoError(t, runner.Work(ctx, []*runner.Runner{b.runner()}, true))
	require.Equal(t, "n\n2\n", b.outputs("b")["x.csv"], "the step behind reads it")
}

func TestOutsideWorkerFails(t *testing.T) {
	t.Parallel()
	b, k := brokered(t, ", retry: {attempts: 2, jitter: 0}")
	ctx := t.Context()
	w := lease(t, k)
	_, err := k.Fail(ctx, w.Lease, "oops", "", 0)
	require.ErrorIs(t, err, runner.ErrWork)
	s, err := k.Fail(ctx, w.Lease, runner.ClassTemporary, "busy", 30*time.Second)
	require.NoError(t, err)
	require.Equal(t, runner.State(queue.Ready), s.State)
	require.InDelta(t, 30, s.RunAt.Sub(b.Now()).Seconds(), 5)
	b.ahead.Add(int64(time.Minute))
	second := lease(t, k)
	require.Equal(t, 2, second.Attempt)
	_, err = k.Complete(ctx, w.Lease, runner.Content{}, nil)
	require.ErrorIs(t, err, queue.ErrFenced)
	s, err = k.Fail(ctx, second.Lease, runner.ClassError, "broken", 0)
	require.NoError(t, err)
	require.Equal(t, runner.Dead, s.State)
	rows, err := b.o.Queue.Units(ctx, queue.Filter{States: []queue.State{queue.Dead}})
	require.NoError(t, err)
	require.Equal(t, "attempts broken", rows[0].Cause+" "+rows[0].Err)
}

func TestOutsideWorkerAndTheGate(t *testing.T) {
	t.Parallel()
	b, k := brokered(t, ", on_fail: quarantine, retry: {attempts: 2, jitter: 0}")
	ctx := t.Context()
	w := lease(t, k)
	s, err := k.Complete(ctx, w.Lease, runner.Content{Inline: []byte("broken\n")}, nil) // an output without a verdict
	require.NoError(t, err)
	require.Equal(t, runner.State(queue.Ready), s.State)
	b.ahead.Add(int64(time.Minute))
	none, err := k.Lease(ctx, "p", "a", "w", 5, 0)
	require.NoError(t, err)
	require.Empty(t, none, "the hook alone is called again")
	row, err := b.o.Queue.Get(ctx, queue.Key{Pipeline: "p", Step: "a", Unit: "U"})
	require.NoError(t, err)
	require.Equal(t, queue.Quarantined, row.State)
	require.Equal(t, string(runner.CauseUnjudged), row.Cause)
}

// workers.max bounds what all workers outside hold together, whoever they ask.
func TestOutsideWorkersAreBounded(t *testing.T) {
	t.Parallel()
	b, k := brokered(t, ", workers: {max: 2}")
	other, err := runner.NewBroker(t.Context(), []*runner.Runner{b.runner()})
	require.NoError(t, err)
	row, err := b.o.Queue.Get(t.Context(), queue.Key{Pipeline: "p", Step: "a", Unit: "U"})
	require.NoError(t, err)
	var units []queue.Offer
	for i := range 4 {
		units = append(units, queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: strconv.Itoa(i)}, Run: "r", Correlation: "c", Input: row.Input})
	}
	require.NoError(t, b.o.Queue.DB().Tx(t.Context(), func(tx *db.Tx) error { return b.o.Queue.Offer(t.Context(), tx, units) }))
	count := func(k *runner.Broker) []runner.Assignment {
		got, err := k.Lease(t.Context(), "p", "a", "w", 5, 0)
		require.NoError(t, err)
		return got
	}
	got := count(k)
	require.Len(t, got, 2)
	require.Empty(t, count(k))
	require.Empty(t, count(other))
	_, err = k.Fail(t.Context(), got[0].Lease, runner.ClassData, "no", 0)
	require.NoError(t, err)
	require.Len(t, count(other), 1)
	require.Empty(t, count(k))
	b.ahead.Add(int64(2 * time.Minute)) // those that hold them are gone
	require.Len(t, count(k), 2)
}

func TestWhatABrokerRefuses(t *testing.T) {
	t.Parallel()
	b, k := brokered(t, "")
	ctx := t.Context()
	for _, step := range []string{"b", "none"} {
		_, err := k.Lease(ctx, "p", step, "w", 1, 0)
		require.ErrorIs(t, err, runner.ErrUnknownStep)
	}
	w := lease(t, k)
	for _, text := range []string{"", "x", w.Lease + "x", "x" + w.Lease, strings.Replace(w.Lease, ".", "", 1)} {
		_, err := k.Heartbeat(ctx, text)
		require.ErrorIs(t, err, runner.ErrLease)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("s"), 0o600))
	link := filepath.Join(b.dir, ".profiler/runs/p/link")
	require.NoError(t, os.MkdirAll(filepath.Dir(link), 0o755))
	require.NoError(t, os.Symlink(secret, link))
	for _, ref := range []string{secret, "../../../p.yaml", "link", "none", "."} {
		_, err := k.Complete(ctx, w.Lease, runner.Content{Ref: ref}, nil)
		require.ErrorIs(t, err, runner.ErrWork, ref)
	}
	_, err := k.Complete(ctx, w.Lease, runner.Content{Inline: make([]byte, 1<<20+1)}, nil)
	require.ErrorIs(t, err, runner.ErrWork)
	_, err = b.runner().Run(ctx)
	require.ErrorContains(t, err, "waits for workers of the lease API")
}
