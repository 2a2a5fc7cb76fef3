package runner_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// output returns the one output of a step in the last run.
func (b *bench) output(step string) string {
	all := b.outputs(step)
	require.Len(b.t, all, 1)
	for _, text := range all {
		return text
	}
	return ""
}

func TestFanIn(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
  count: {sh: 'wc -l'}
  upper: {sh: 'tr a-z A-Z'}
  args: {needs: [count, upper], fan_in: all, run: [cat, "{inputs}"]}
  folder: {needs: [upper], fan_in: all, sh: 'cat {input}/*'}
  folders: {needs: [upper, count], fan_in: all, sh: 'ls {input} | wc -l; echo "$PROFILER_INPUT" | tr -cd : | wc -c; ls "$PROFILER_INPUT_COUNT" {input:count} | sort -u | grep -c ^0'}
  shell: {needs: [count], fan_in: all, sh: 'cat {inputs}'}
  list: {needs: [upper], fan_in: all, sh: 'f=$(mktemp); cat >$f; cmp $f "$PROFILER_INPUTS" && cat $f; rm $f; echo $PROFILER_UNIT_ID $PROFILER_CORRELATION_ID'}
  after: {needs: [list], sh: 'wc -l'}
`, map[string]string{"a": "x\n", "b b": "y\nz\n", "'c'": ""})
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s)
	require.Equal(t, "0\n1\n2\nX\nY\nZ\n", b.output("args"))
	require.Equal(t, "X\nY\nZ\n", b.output("folder"))
	require.Equal(t, "0\n1\n2\n", b.output("shell"))
	require.Equal(t, []string{"9", "1", "3"}, strings.Fields(b.output("folders")))
	lines := strings.Split(strings.TrimSpace(b.output("list")), "\n")
	require.Len(t, lines, 4)
	require.Contains(t, lines[2], `"source":"in/b b","correlation_id":"`)
	require.Contains(t, lines[0], `"step":"upper","unit":"`)
	id := strings.Fields(lines[3])
	require.Len(t, id[0], 26)
	require.Equal(t, id[0], id[1], "several correlations: the list has them")
	require.Equal(t, "4", strings.TrimSpace(b.output("after")))
	first := s.Run

	// The next run joins the same and has nothing to do; a new file changes that.
	s = b.run()
	require.NotEqual(t, first, s.Run)
	for _, step := range s.Steps {
		require.Zero(t, step.Attempts, step.Name)
	}
	require.Equal(t, 1, s.Steps[7].Units.Skipped+s.Steps[7].Units.Done)
	b.write("in/d", "w\n")
	s = b.run()
	require.Equal(t, 0, s.ExitCode())
	require.Equal(t, "X\nY\nZ\nW\n", sorted(b.output("folder"), "X\nY\nZ\nW\n"))
}

// sorted returns want if both have the same lines.
func sorted(got, want string) string {
	a, b := strings.Fields(got), strings.Fields(want)
	if len(a) != len(b) {
		return got
	}
	for _, x := range b {
		if !strings.Contains(got, x) {
			return got
		}
	}
	return want
}

func TestFanInWaitsForDeadUnits(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
  parse: {sh: 'if grep -q faulty {input} && [ ! -e fixed ]; then exit 65; fi; cat {input}'}
  check: {needs: [parse], sh: cat, on_fail: quarantine}
  loose: {needs: {check: any}, fan_in: all, run: [cat, "{inputs}"]}
  report: {needs: [check], fan_in: all, run: [cat, "{inputs}"]}
`, map[string]string{"1": "fine\n", "2": "faulty\n", "3": "bad\n"})
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		j, err := lines(o)
		if o.Origin.Step != "check" || o.Origin.Unit == "" {
			j.Verdict = checks.Pass
		}
		return j, err
	})}
	s := b.run()
	require.Equal(t, 1, s.ExitCode())
	require.Equal(t, runner.Units{Waiting: 1}, s.Steps[2].Units)
	require.Equal(t, runner.Units{Waiting: 1}, s.Steps[3].Units)
	require.Equal(t, []runner.Wait{
		{Step: "loose", Why: "it joins all units of the run and waits for 1 dead at parse; replay, release or discard them"},
		{Step: "report", Why: "it joins all units of the run and waits for 1 dead at parse, 1 quarantined at check; replay, release or discard them"},
	}, s.Waits)

	b.write("fixed", "")
	ctx := t.Context()
	work := func() {
		b.events = nil
		require.NoError(t, runner.Work(ctx, []*runner.Runner{b.runner()}, true))
		b.noTemporaries()
	}
	l, err := runner.NewLedger(ctx, b.o.Queue)
	require.NoError(t, err)
	letter := func(step string) queue.Key {
		all, err := l.Letters(ctx, queue.Filter{Step: step})
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0].Key()
	}
	b.o.RunID = ""
	require.NoError(t, l.Replay(ctx, letter("parse"), "", false, queue.Decision{}))
	work()
	require.Equal(t, "fine\nfaulty\nbad\n", b.output("loose"))
	require.Empty(t, b.outputs("report"))
	require.NoError(t, l.Release(ctx, letter("check"), queue.Decision{}, nil))
	work()
	require.Equal(t, "fine\nfaulty\nbad\n", b.output("report"))

	// A member that is replayed with another result: the fan-in is done again, as a
	// replay of the same unit.
	rows, err := b.o.Queue.Units(ctx, queue.Filter{Step: "check"})
	require.NoError(t, err)
	fine := rows[slices.IndexFunc(rows, func(r queue.Row) bool { return r.Source == "in/1" })]
	b.steps(strings.Replace(b.read("p.yaml")[strings.Index(b.read("p.yaml"), "steps:\n")+7:], "sh: cat, on_fail", "sh: 'sed s/fine/finer/', on_fail", 1), true)
	require.NoError(t, l.Replay(ctx, fine.Key, "", false, queue.Decision{}))
	work()
	require.Equal(t, "finer\nfaulty\nbad\n", b.output("report"))
	ways, err := l.Ways(ctx, fine.Unit, "")
	require.NoError(t, err)
	require.Len(t, ways, 3, "the unit and what joins it")
	require.Equal(t, 1, ways[2].Steps[3].Replays)
	require.Len(t, ways[2].Joins, 3)
	require.Equal(t, "in/1", ways[2].Joins[0].Source)
}

// A fan-in that is done anew in spite of an equal set of an earlier run, and one
// whose kept output is let go on in the next run too.
func TestFanInOfTheSameSet(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: cat}\n  all: {needs: a, fan_in: all, on_fail: quarantine, sh: 'echo x >>ran; cat {inputs}'}\n", map[string]string{"1": "bad\n"})
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		if o.Origin.Step == "a" {
			return runner.Judgement{}, nil
		}
		return lines(o)
	})}
	ctx := t.Context()
	require.Equal(t, runner.Units{Quarantined: 1}, b.run().Steps[1].Units)
	l, err := runner.NewLedger(ctx, b.o.Queue)
	require.NoError(t, err)
	all, err := l.Letters(ctx, queue.Filter{})
	require.NoError(t, err)
	require.NoError(t, l.Release(ctx, all[0].Key(), queue.Decision{}, nil))
	require.Equal(t, runner.Units{Skipped: 1}, b.run().Steps[1].Units)
	require.Equal(t, "x\n", b.read("ran"))
	rows, err := b.o.Queue.Units(ctx, queue.Filter{Step: "all"})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.NoError(t, l.Replay(ctx, rows[1].Key, "", true, queue.Decision{}))
	require.NoError(t, runner.Work(ctx, []*runner.Runner{b.runner()}, true))
	require.Equal(t, "x\nx\n", b.read("ran"))
}

func TestFanInWhoseInputIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'cat; echo out >>$PROFILER_OUTPUT'}\n  all: {needs: a, fan_in: all, retry: {attempts: 1}, sh: 'rm -rf \"$KEPT\"; cat {inputs}'}\n", map[string]string{"1": "1\n", "2": "2\n"})
	b.o.Env = append(b.o.Env, "KEPT="+filepath.Join(b.dir, ".profiler/runs/p/steps/a"))
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), "links keep what another process removes: %v", s.DeadLetters)
}

func TestFanInOfAPipelineWithoutSource(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'echo 1'}\n  all: {needs: a, fan_in: all, sh: 'cat {inputs}'}\n", nil)
	require.Equal(t, 0, b.run().ExitCode())
	require.Equal(t, "1\n", b.output("all"))
}

// A function gets what is joined one after the other, with one header in the
// output.
func TestFanInOfAFunction(t *testing.T) {
	t.Parallel()
	url, seen, bodies := function(t, func(_ int, w http.ResponseWriter, body string) { fmt.Fprint(w, strings.ToUpper(body)) })
	b := newBench(t, "  a: {run: [cat]}\n  all: {needs: a, fan_in: all, http: {url: '"+url+"', batch: 2}}\n",
		map[string]string{"1": "x,y\n1,a\n2,b\n3,c\n", "2": "x,y\n4,d\n"})
	require.Equal(t, 0, b.run().ExitCode())
	require.Equal(t, []string{"x,y\n1,a\n2,b\n", "x,y\n3,c\n", "x,y\n4,d\n"}, *bodies)
	require.Equal(t, "X,Y\n1,A\n2,B\n3,C\n4,D\n", b.output("all"))
	require.Regexp(t, `^all\.[A-Z2-7]{26}\.[0-9a-f]{32}\.2$`, (*seen)[2].Header.Get("Idempotency-Key"))
}

// A worker of the lease API gets all of them in the message, or named.
func TestFanInOfAnOutsideWorker(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 700<<10) + "\n"
	b := newBench(t, "  first: {run: [cat]}\n  a: {worker: true, needs: first, fan_in: all}\n  last: {needs: a, run: [cat]}\n", map[string]string{"1": big, "2": "two\n", "3": big})
	b.write("p.yaml", strings.Replace(b.read("p.yaml"), "files:", "watch:", 1))
	b.o.Progress, b.o.Clock, b.o.Look = nil, nil, 5*time.Millisecond // a lease of a clock that jumps would end
	b.realStore(dbtest.SQLite(t))
	k, err := runner.NewBroker(t.Context(), []*runner.Runner{b.runner()})
	require.NoError(t, err)
	b.serve(1)
	got, err := k.Lease(t.Context(), "p", "a", "w", 5, 30*time.Second)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Len(t, got[0].Members, 3)
	require.Equal(t, "two\n", string(got[0].Members[1].Input.Inline))
	require.Equal(t, "in/2", got[0].Members[1].Source)
	require.Len(t, got[0].Members[0].Input.Inline, len(big))
	require.FileExists(t, got[0].Members[2].Input.Ref, "there is no room for it in the message")
	runs, err := b.o.Queue.Runs(t.Context(), "p", 0)
	require.NoError(t, err)
	require.Equal(t, queue.RunRunning, runs[0].State, "the run is open until the fan-in is through")
	s, err := k.Complete(t.Context(), got[0].Lease, runner.Content{Inline: []byte("out\n")}, nil)
	require.NoError(t, err)
	require.Equal(t, runner.Done, s.State)
	b.runs(1)
	last, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "last", States: []queue.State{queue.Done}})
	require.NoError(t, err)
	require.Len(t, last, 1)
}

// Rules of a fan-in may compare with all that it joins, and the hooks see that as
// one batch per step.
func TestFanInShowsItsInput(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [cat]}\n  all: {needs: a, fan_in: all, run: [cat, '{inputs}'], profile: {input: true}}\n", map[string]string{"1": "1\n", "2": "2\n3\n"})
	var seen []string
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		if o.Side != runner.SideInput {
			return lines(o)
		}
		entries, err := os.ReadDir(o.Path)
		seen = append(seen, fmt.Sprint(o.Dataset, " ", len(entries), " ", len(o.Inputs)))
		return runner.Judgement{Rows: new(int64(3))}, err
	})}
	s := b.run()
	require.Equal(t, []string{"p/a 2 2"}, seen)
	require.Equal(t, int64(3), *s.Steps[1].RowsIn)
	require.Equal(t, int64(3), *s.Steps[1].RowsOut)
}
