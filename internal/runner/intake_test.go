package runner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/natstest"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// streamed is a bench that reads the stream ORDERS of a server.
func streamed(t *testing.T, steps, batch string) (*bench, *natstest.Server) {
	t.Helper()
	srv := natstest.Start(t)
	srv.Stream("ORDERS")
	b := newBench(t, steps, map[string]string{})
	b.source("{nats: {url: '" + srv.URL() + "', stream: ORDERS, batch: {" + batch + "}}}")
	b.o.Clock = nil
	return b, srv
}

// left returns what of the stream nobody has fetched or acknowledged.
func left(t *testing.T, srv *natstest.Server) (all uint64) {
	t.Helper()
	c, err := srv.JetStream().Consumer(t.Context(), "ORDERS", "profiler-p")
	require.NoError(t, err)
	info, err := c.Info(t.Context())
	require.NoError(t, err)
	return info.NumPending + uint64(info.NumAckPending)
}

func orders(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf("{\"n\": %d}", i))
	}
	return all
}

func TestStreamIsDrained(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {run: [cat]}\n  all: {needs: keep, fan_in: all, run: [cat, '{inputs}']}\n", "rows: 10")
	srv.Publish("ORDERS.a", "", orders(1, 25)...)
	s := b.run()
	require.Equal(t, 0, s.ExitCode())
	require.Equal(t, runner.Units{Done: 3}, s.Steps[0].Units)
	require.Equal(t, 25, strings.Count(b.output("all"), "\n"))
	require.Contains(t, b.outputs("keep"), "ORDERS 1-10")
	require.Equal(t, "{\"n\":21}\n{\"n\":22}\n{\"n\":23}\n{\"n\":24}\n{\"n\":25}\n", b.outputs("keep")["ORDERS 21-25"])
	require.Zero(t, left(t, srv), "all is acknowledged")

	s = b.run()
	require.Equal(t, runner.Units{}, s.Steps[0].Units, "it is read once")
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	srv.Publish("ORDERS.b", "00-"+trace+"-00f067aa0ba902b7-01", orders(26, 27)...)
	b.run()
	require.Equal(t, trace, b.events[len(b.events)-1].CorrelationID)
	require.Equal(t, "{\"n\":26}\n{\"n\":27}\n", b.output("all"), "a run joins its own units")
}

// A run that was stopped in the middle leaves its units to the next one, which
// tells of them: what it finishes, and what it leaves again. The first run ends
// with its last unit, and joins its own.
func TestStreamThatWasInterrupted(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {workers: {max: 1}, sh: 'cat; echo x >>log; [ $(wc -l <log) != 2 ] || { echo >started; exec sleep 600; }'}\n"+
		"  next: {needs: keep, sh: 'if grep -q 3; then exit 65; fi; echo ok'}\n  all: {needs: keep, fan_in: all, run: [cat, '{inputs}']}\n", "rows: 1")
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "started"), 0o600))
	srv.Publish("ORDERS.a", "", orders(1, 4)...)
	interrupted := func() runner.Summary {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			_, _ = os.ReadFile(filepath.Join(b.dir, "started"))
			for ctx.Err() == nil { // until all are known and the first one is through
				changed := b.o.Queue.Changed()
				known, _ := b.o.Queue.Units(ctx, queue.Filter{Step: "keep"})
				through, _ := b.o.Queue.Units(ctx, queue.Filter{Step: "next", States: []queue.State{queue.Done}})
				if len(known) == 4 && len(through) == 1 {
					return
				}
				b.o.Queue.Wait(ctx, changed, 10*time.Millisecond)
			}
		}()
		s, err := b.runner().Run(ctx)
		require.NoError(t, err)
		return s
	}
	states := func() (all []string) {
		runs, err := b.o.Queue.Runs(t.Context(), "p", 0)
		require.NoError(t, err)
		for _, r := range runs {
			all = append(all, r.State+" "+r.Verdict)
		}
		return all
	}
	s := interrupted()
	require.Equal(t, 130, s.ExitCode())
	require.Equal(t, runner.Units{Done: 1, Cancelled: 3}, s.Steps[0].Units)
	require.Equal(t, []string{"running "}, states(), "it goes on")

	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "log"), []byte("x\n"), 0o600))
	s = interrupted()
	require.Equal(t, runner.Units{Cancelled: 3}, s.Steps[0].Units, "what the run before has left, and this one again")
	require.Equal(t, 130, s.ExitCode())

	srv.Publish("ORDERS.a", "", orders(5, 5)...)
	s = b.run()
	require.Equal(t, runner.Units{Done: 4}, s.Steps[0].Units, "those of before, and the new one")
	require.Equal(t, 4, s.Steps[0].Attempts)
	require.Equal(t, runner.Units{Done: 3, Dead: 1}, s.Steps[1].Units)
	require.Equal(t, 1, s.ExitCode())
	require.Equal(t, "next", s.FirstBadStep)
	require.Equal(t, "ORDERS 3", s.DeadLetters[0].Source)
	require.Equal(t, runner.Units{Done: 2}, s.Steps[2].Units, "of each run one")
	joined := 0
	for _, e := range b.events {
		if e.Step == "all" && e.Kind == runner.Finished {
			text, err := os.ReadFile(e.Output)
			require.NoError(t, err)
			joined += strings.Count(string(text), "\n")
		}
	}
	require.Equal(t, 5, joined)
	require.Equal(t, []string{"ended pass", "ended pass", "ended fail"}, states())
	require.Equal(t, runner.Units{}, b.run().Steps[0].Units)
}

// Messages of more bytes than a unit may have are several units; one that is
// larger alone is one.
func TestStreamOfBytes(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {run: [cat]}\n", "bytes: 30, rows: 100")
	srv.Publish("ORDERS.a", "", `{"n":1234567}`, `{"n":1234568}`, `{"n":1234569}`, `{"n":"`+strings.Repeat("x", 50)+`"}`, `{"n":1}`)
	require.Equal(t, runner.Units{Done: 4}, b.run().Steps[0].Units)
	require.Len(t, b.outputs("keep"), 4)
	require.Contains(t, b.outputs("keep"), "ORDERS 1-2")
	require.Contains(t, b.outputs("keep"), "ORDERS 4")
}

func TestMessagesThatAreNoRecords(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {run: [cat], rejects: fd3}\n", "rows: 10")
	srv.Publish("ORDERS.a", "", `{"n":1}`, "plain", "\xff\xfe", `{"n":`, "", ` {"n": 2} `, `{"z":"`+strings.Repeat("x", 2<<10)+`"`)
	s := b.run()
	require.Equal(t, 0, s.ExitCode())
	require.Equal(t, "{\"n\":1}\n{\"n\":2}\n", b.output("keep"))
	rejects, err := b.o.Queue.Rejects(t.Context(), queue.Filter{States: []queue.State{queue.Dead}})
	require.NoError(t, err)
	require.Len(t, rejects, 5)
	require.Equal(t, "ORDERS.a 2|it is no JSON object|plain", rejects[0].Record+"|"+rejects[0].Reason+"|"+rejects[0].Body)
	require.Equal(t, `it is not valid UTF-8|{"base64":"//4="}`, rejects[1].Reason+"|"+rejects[1].Body)
	require.Contains(t, rejects[2].Reason, "it is no JSON object: ")
	require.Zero(t, left(t, srv))
	// A mended one goes through the step as a unit of its own.
	l, err := runner.NewLedger(t.Context(), b.o.Queue)
	require.NoError(t, err)
	rejects[0].Body = `{"n":3}`
	_, err = l.ReplayRejects(t.Context(), rejects[:1], "", queue.Decision{})
	require.NoError(t, err)
	b.events = nil
	require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
	require.Equal(t, "{\"n\":3}\n", b.output("keep"))
	// Nothing but such messages is no unit.
	srv.Publish("ORDERS.a", "", "still plain")
	require.Equal(t, runner.Units{}, b.run().Steps[0].Units)
	require.Zero(t, left(t, srv))
}

// What somebody fetched and did not acknowledge comes again, and is waited for.
func TestStreamThatIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {run: [cat]}\n", "rows: 4")
	srv.Publish("ORDERS.a", "", orders(1, 6)...)
	srv.Consumer("ORDERS", "profiler-p", time.Second)
	c, err := srv.JetStream().Consumer(t.Context(), "ORDERS", "profiler-p")
	require.NoError(t, err)
	got, err := c.FetchNoWait(3)
	require.NoError(t, err)
	n := 0
	for range got.Messages() {
		n++
	}
	require.Equal(t, 3, n)
	b.run()
	require.Len(t, b.taken("keep"), 6)
	require.Zero(t, left(t, srv))
}

// The service reads on while the server goes down and comes up, and hands over
// what it has fetched when it is stopped. Each message is in one unit.
func TestStreamIsFollowed(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {run: [cat]}\n", "rows: 3, age: 50ms")
	b.o.Progress, b.o.Look = nil, 5*time.Millisecond
	stop := b.serve(1)
	lines := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(b.taken("keep")) >= n }, time.Minute, 10*time.Millisecond)
	}
	srv.Publish("ORDERS.a", "", orders(1, 4)...)
	lines(4)
	srv.Down()
	srv.Up()
	srv.Publish("ORDERS.a", "", orders(5, 8)...)
	lines(8)
	stop()
	srv.Publish("ORDERS.a", "", orders(9, 9)...)
	b.serve(1)
	lines(9)
	got := b.taken("keep")
	require.Len(t, got, 9)
	for n, times := range got {
		require.Equal(t, 1, times, n)
	}
	runs, err := b.o.Queue.Runs(t.Context(), "p", 0)
	require.NoError(t, err)
	require.LessOrEqual(t, len(runs), 2, "a run takes the units of an hour")
}

// taken counts the numbers in the outputs of a step.
func (b *bench) taken(step string) map[int]int {
	b.t.Helper()
	rows, err := b.o.Queue.Units(b.t.Context(), queue.Filter{Step: step, States: []queue.State{queue.Done}})
	require.NoError(b.t, err)
	all := map[int]int{}
	for _, r := range rows {
		var body struct{ Output string }
		require.NoError(b.t, json.Unmarshal([]byte(r.Body), &body))
		for line := range strings.Lines(b.read(".profiler/runs/p/" + body.Output)) {
			var rec struct{ N int }
			require.NoError(b.t, json.Unmarshal([]byte(line), &rec))
			all[rec.N]++
		}
	}
	return all
}

// While a step has more than it can do the messages stay with the server.
func TestStreamWaitsForTheQueue(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {sh: 'read x <gate; cat', workers: {max: 1, scale_at: 1}}\n", "rows: 1, age: 10ms")
	b.o.Look = 5 * time.Millisecond
	held := make(chan struct{}, 100)
	b.o.Progress = func(e runner.Event) {
		if e.Kind == runner.Held {
			held <- struct{}{}
		}
	}
	b.fifo("gate")
	srv.Publish("ORDERS.a", "", orders(1, 60)...)
	stop := b.serve(1)
	select {
	case <-held:
	case <-time.After(time.Minute):
		t.Fatal("the stream is not held back")
	}
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "keep"})
	require.NoError(t, err)
	require.Less(t, len(rows), 20)
	require.NotZero(t, left(t, srv))
	stop()
}

func TestStreamThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b, srv := streamed(t, "  keep: {run: [cat]}\n", "rows: 1")
	require.NoError(t, srv.JetStream().DeleteStream(context.Background(), "ORDERS"))
	_, err := b.runner().Run(t.Context())
	require.ErrorIs(t, err, runner.ErrSource)
	require.EqualError(t, err, "source of p: "+srv.URL()+`: there is no stream "ORDERS"; check the name, or create it`)
	runs, err := b.o.Queue.Runs(t.Context(), "", 0)
	require.NoError(t, err)
	require.Empty(t, runs)
}

// fifo makes a pipe that commands wait for; nobody writes to it.
func (b *bench) fifo(name string) {
	b.t.Helper()
	require.NoError(b.t, syscall.Mkfifo(filepath.Join(b.dir, name), 0o600))
}
