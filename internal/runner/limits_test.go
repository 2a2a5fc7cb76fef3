package runner_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/cgroup"
	"github.com/profilerhq/profiler/internal/runner"
)

// groups returns control groups, or skips the test where there are none: see
// scripts/with-cgroups.sh.
func groups(t *testing.T) *cgroup.Tree {
	t.Helper()
	tree, err := cgroup.Open()
	if err != nil {
		t.Skip("no control groups with limits here: ", err)
	}
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	return tree
}

// Tests of groups do not run beside each other: the groups of all are removed at
// the end of each.
func TestMemoryOfAGroup(t *testing.T) {
	tree := groups(t)
	b := newBench(t, `
  hog: {resources: {memory: 32MiB, nice: 3}, retry: {attempts: 2}, sh: 'echo x >>log; (head -c 60m /dev/zero | tail -c 60m) | wc -c'}
  hidden: {resources: {memory: 32MiB}, retry: {on: []}, sh: '(head -c 60m /dev/zero | tail -c 60m | wc -c) & wait; echo done; exit 0'}
  fits: {resources: {memory: 64MiB}, sh: '(head -c 20m /dev/zero | tail -c 20m) | wc -c'}
  maps: {resources: {memory: 64MiB}, run: [sh, -c, 'ulimit -v']}
`, nil)
	b.o.Groups = tree
	s := b.run()
	require.Equal(t, runner.Units{Dead: 1}, s.Steps[0].Units)
	require.Equal(t, "x\nx\n", b.read("log"))
	require.Equal(t, runner.Units{Dead: 1}, s.Steps[1].Units, "a part that was killed spoils the whole, whatever its exit code")
	require.Equal(t, runner.Units{Done: 1}, s.Steps[2].Units)
	for _, l := range s.DeadLetters {
		require.Equal(t, runner.CauseMemory, l.Cause)
		require.Equal(t, "the command went beyond its memory limit of 32MiB and was killed; raise memory in resources of step \""+l.Step+"\", or let it work on smaller units", l.Error)
	}
	for _, e := range b.events {
		if e.Kind != runner.Finished {
			continue
		}
		switch e.Step {
		case "fits":
			require.GreaterOrEqual(t, e.PeakBytes, int64(20<<20), "of all processes together")
			require.LessOrEqual(t, e.PeakBytes, int64(64<<20))
			require.Positive(t, e.CPU)
		case "maps":
			text, err := os.ReadFile(e.Output)
			require.NoError(t, err)
			require.Equal(t, "unlimited\n", string(text), "addresses are no memory")
		}
	}
	require.Empty(t, below(t, tree), "no group is left")
}

func TestProcessorsOfAGroup(t *testing.T) {
	tree := groups(t)
	if !tree.LimitsCPU() {
		t.Skip("processors cannot be limited here")
	}
	b := newBench(t, "  a: {resources: {cpu: 1}, sh: 'cat "+tree.Dir()+"/*/cpu.max; cat /proc/self/cgroup'}\n", nil)
	b.o.Groups = tree
	b.run()
	for _, e := range b.events {
		if e.Output != "" {
			text, err := os.ReadFile(e.Output)
			require.NoError(t, err)
			require.Regexp(t, `^100000 100000\n(.*\n)*0::.*/`+filepath.Base(tree.Dir())+`/[0-9]+\n$`, string(text))
		}
	}
}

// What a command leaves running is ended with its group, also what has left the
// process group.
func TestLeftoversOfAGroup(t *testing.T) {
	tree := groups(t)
	b := newBench(t, `
  leaves: {resources: {memory: 64MiB}, sh: 'setsid sleep 600 & echo done'}
  slow: {resources: {memory: 64MiB}, timeout: {run: 200ms}, retry: {attempts: 1}, sh: 'trap "" TERM; setsid sleep 600 & sleep 600'}
`, nil)
	b.o.Groups = tree
	s := b.run()
	require.Equal(t, runner.Units{Done: 1}, s.Steps[0].Units)
	require.Equal(t, runner.CauseTimeout, s.DeadLetters[0].Cause)
	require.Empty(t, below(t, tree))
}

// below lists the groups in the tree.
func below(t *testing.T, tree *cgroup.Tree) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(tree.Dir())
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// Where groups cannot be made any more, the system's other ways are left.
func TestGroupsThatAreGone(t *testing.T) {
	tree := groups(t)
	require.NoError(t, os.Remove(tree.Dir()))
	var log strings.Builder
	b := newBench(t, "  hog: {resources: {memory: 64MiB}, retry: {attempts: 1}, sh: 'head -c 256m /dev/zero | tail -c 200m'}\n  fine: {resources: {memory: 64MiB}, run: [echo, x]}\n", nil)
	b.o.Groups, b.o.Logger = tree, slog.New(slog.NewTextHandler(&log, nil))
	s := b.run()
	require.Equal(t, runner.Units{Dead: 1}, s.Steps[0].Units)
	require.Equal(t, runner.CauseAttempts, s.DeadLetters[0].Cause)
	require.Equal(t, runner.Units{Done: 1}, s.Steps[1].Units)
	require.Contains(t, log.String(), "no control group for a command")
}
