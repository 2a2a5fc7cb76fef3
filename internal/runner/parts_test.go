package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// numbers returns a CSV file of so many rows.
func numbers(n int) string {
	var b strings.Builder
	b.WriteString("n\n")
	for i := range n {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

func TestSplit(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
  parse: {run: [cat], split: rows(3)}
  double: {needs: parse, sh: 'sed "s/[0-9]$/&0/"; echo "$PROFILER_CORRELATION_ID" >>correlations'}
  beside: {needs: parse, sh: 'cat >&2; echo "$PROFILER_UNIT_ID"'}
  both: {needs: [double, parse, beside], run: [cat, "{input:parse}", "{input:double}"]}
  all: {needs: both, fan_in: all, sh: 'cat {inputs} | grep -v n'}
  whole: {needs: parse, fan_in: all, run: [cat, "{inputs}"]}
`, map[string]string{"a.csv": numbers(7), "b.csv": numbers(1)})
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s)
	require.Equal(t, runner.Units{Done: 4}, s.Steps[1].Units)
	require.Equal(t, map[string]string{
		"a.csv#1": "n\n0\n1\n2\nn\n00\n10\n20\n", "a.csv#2": "n\n3\n4\n5\nn\n30\n40\n50\n", "a.csv#3": "n\n6\nn\n60\n", "b.csv#1": "n\n0\nn\n00\n",
	}, b.outputs("both"))
	require.Equal(t, numbers(7)+numbers(1), b.output("whole"), "a fan-in on a split step has the whole outputs")
	require.Len(t, strings.Fields(b.output("all")), 16)
	seen := map[string]bool{}
	for _, id := range strings.Fields(b.read("correlations")) {
		seen[id] = true
	}
	require.Len(t, seen, 2, "parts have the correlation of the whole")
	units := map[string]bool{}
	for _, text := range b.outputs("beside") {
		units[strings.TrimSpace(text)] = true
	}
	require.Len(t, units, 4)

	s = b.run()
	for _, step := range s.Steps {
		require.Zero(t, step.Attempts, step.Name)
	}
	// Parts that somebody removed are cut again, and nothing else is done.
	old, err := filepath.Glob(filepath.Join(b.dir, ".profiler/runs/p/steps/parse/*/*.parts"))
	require.NoError(t, err)
	require.Len(t, old, 2)
	require.NoError(t, os.RemoveAll(old[0]))
	s = b.run()
	require.Equal(t, 0, s.ExitCode())
	require.Zero(t, s.Steps[1].Attempts)
	require.DirExists(t, old[0])
}

// When the output has other parts than before, those that are none any more are
// called off, and the fan-in joins those that there are.
func TestSplitOfAnotherOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  parse: {sh: 'head -n $(cat r?ws)', split: rows(1)}\n  one: {needs: parse, run: [cat]}\n  all: {needs: one, fan_in: all, sh: 'cat {inputs} | grep -v n'}\n", map[string]string{"a.csv": numbers(5)})
	b.write("rows", "5")
	require.Equal(t, 0, b.run().ExitCode())
	require.Equal(t, "0\n1\n2\n3\n", b.output("all"))
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "parse"})
	require.NoError(t, err)
	l, err := runner.NewLedger(t.Context(), b.o.Queue)
	require.NoError(t, err)
	b.write("rows", "3")
	require.NoError(t, l.Replay(t.Context(), rows[0].Key, "", true, queue.Decision{}))
	b.events = nil
	require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
	require.Equal(t, "0\n1\n", b.output("all"))
	require.Equal(t, map[string]string{"a.csv#1": "n\n0\n", "a.csv#2": "n\n1\n"}, b.outputs("one"), "equal parts are not worked on again")
	gone, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "one", States: []queue.State{queue.Cancelled}})
	require.NoError(t, err)
	require.Len(t, gone, 2)
	parts, err := filepath.Glob(filepath.Join(b.dir, ".profiler/runs/p/steps/parse/*/*.parts"))
	require.NoError(t, err)
	require.Len(t, parts, 1, "those of the earlier attempt are gone")

	// Another split of the same output cuts it anew without the command.
	b.write("p.yaml", strings.Replace(b.read("p.yaml"), "rows(1)", "rows(2)", 1))
	s := b.run()
	require.Zero(t, s.Steps[0].Attempts)
	require.Equal(t, map[string]string{"a.csv#1": "n\n0\n1\n"}, b.outputs("one"))
	require.Equal(t, "0\n1\n", b.output("all"))
}

func TestSplitAtAGate(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  parse: {run: [cat], split: rows(1), on_fail: quarantine}\n  pass: {needs: parse, run: [cat]}\n  any: {needs: {parse: any}, run: [cat]}\n", map[string]string{"a.csv": "x\nbad\n"})
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		if o.Origin.Step == "parse" {
			return lines(o)
		}
		return runner.Judgement{Verdict: checks.Pass}, nil
	})}
	require.Equal(t, 0, b.run().ExitCode())
	require.Equal(t, map[string]string{"a.csv#1": "x\nbad\n"}, b.outputs("any"))
	require.Empty(t, b.outputs("pass"))
	l, err := runner.NewLedger(t.Context(), b.o.Queue)
	require.NoError(t, err)
	all, err := l.Letters(t.Context(), queue.Filter{})
	require.NoError(t, err)
	require.NoError(t, l.Release(t.Context(), all[0].Key(), queue.Decision{}, nil))
	b.events = nil
	require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
	require.Equal(t, map[string]string{"a.csv#1": "x\nbad\n"}, b.outputs("pass"))
}

func TestSplitOfWhatCannotBeSplit(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  parse: {run: [cat], split: row_groups}\n  next: {needs: parse, run: [cat]}\n", map[string]string{"a.csv": numbers(2)})
	s := b.run()
	require.Equal(t, runner.Units{Dead: 1}, s.Steps[0].Units)
	require.Equal(t, runner.CauseData, s.DeadLetters[0].Cause)
	require.Equal(t, "the output cannot be split by row_groups: row_groups is for Parquet, and this is csv; use rows(50000)", s.DeadLetters[0].Error)
}

// source gives the bench another source.
func (b *bench) source(text string) {
	_, steps, _ := strings.Cut(b.read("p.yaml"), "steps:")
	b.write("p.yaml", "version: 1\npipeline: p\nsource: "+text+"\nsteps:"+steps)
}

func TestUnitsOfRows(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  parse: {run: [cat, '{input}']}\n  all: {needs: parse, fan_in: all, sh: 'cat {inputs} | grep -v n'}\n", map[string]string{"a.csv": numbers(5), "b.csv": numbers(1), "c.csv": "\x00\x00broken", "d.csv": "n\n"})
	b.source("{files: 'in/*', unit: rows(2)}")
	s := b.run()
	require.Equal(t, runner.Units{Done: 5, Dead: 1}, s.Steps[0].Units, s.DeadLetters)
	require.Equal(t, map[string]string{"a.csv#1": "n\n0\n1\n", "a.csv#2": "n\n2\n3\n", "a.csv#3": "n\n4\n", "b.csv#1": "n\n0\n", "d.csv#1": "n\n"}, b.outputs("parse"))
	require.Equal(t, runner.CauseUnreadable, s.DeadLetters[0].Cause)
	require.Contains(t, s.DeadLetters[0].Error, "it cannot be cut by rows(2): ")
	require.Equal(t, "in/c.csv", s.DeadLetters[0].Source)
	require.NoError(t, os.Remove(filepath.Join(b.dir, "in/c.csv")))
	s = b.run()
	require.Equal(t, runner.Units{Skipped: 5}, s.Steps[0].Units)
	require.Equal(t, runner.Units{Done: 1}, s.Steps[1].Units)
	// What was cut is used again, and cut again if it is gone.
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, ".profiler/runs/p/source")))
	s = b.run()
	require.Equal(t, runner.Units{Skipped: 5}, s.Steps[0].Units)
	require.Equal(t, runner.Units{Skipped: 1}, s.Steps[1].Units)
}

func TestUnitsOfTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  parse: {run: [cat]}\n", map[string]string{"a.csv": "at\n2026-03-01T10:00:00Z\n2026-03-01T11:30:00Z\n2026-03-01T10:59:00Z\n?\n", "b.csv": "n\n1\n"})
	b.source("{files: 'in/*', unit: 'time(at, 1h)'}")
	s := b.run()
	require.Equal(t, map[string]string{
		"a.csv#2026-03-01T10:00:00Z": "at\n2026-03-01T10:00:00Z\n2026-03-01T10:59:00Z\n", "a.csv#2026-03-01T11:00:00Z": "at\n2026-03-01T11:30:00Z\n", "a.csv#none": "at\n?\n",
	}, b.outputs("parse"))
	require.Equal(t, `it cannot be cut by time(at, 1h): there is no column "at" for the time; there are n`, s.DeadLetters[0].Error)
}
