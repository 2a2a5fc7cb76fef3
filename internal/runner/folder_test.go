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

func TestSplitOfFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
  sort: {sh: 'echo "not the output"; while read c n; do echo $n >>{output}/$c; done', split: files}
  one: {needs: sort, sh: 'cat; echo "$PROFILER_UNIT_ID $PROFILER_CORRELATION_ID" >>ids'}
  all: {needs: one, fan_in: all, sh: 'cat {inputs}'}
  whole: {needs: sort, fan_in: all, sh: 'echo {inputs} | wc -w; cat {inputs}'}
`, map[string]string{"a": "de 1\nfr 2\nde 3\n", "b": "de 4\n"})
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s.DeadLetters)
	require.Equal(t, map[string]string{"a#de": "1\n3\n", "a#fr": "2\n", "b#de": "4\n"}, b.outputs("one"))
	require.Equal(t, "1\n3\n2\n4\n", b.output("all"))
	require.Equal(t, "3\n1\n3\n2\n4\n", b.output("whole"), "a fan-in on the step itself joins the files")
	ids := map[string]string{}
	for line := range strings.Lines(b.read("ids")) {
		unit, corr, _ := strings.Cut(strings.TrimSpace(line), " ")
		ids[unit] = corr
	}
	require.Len(t, ids, 3)
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "sort"})
	require.NoError(t, err)
	for unit, corr := range ids {
		require.Contains(t, []string{rows[0].Unit, rows[1].Unit}, corr, unit)
	}
	for _, step := range b.run().Steps {
		require.Zero(t, step.Attempts, step.Name)
	}
	// A file that somebody changed is no output any more.
	old, err := filepath.Glob(filepath.Join(b.dir, ".profiler/runs/p/steps/sort/*/*/fr"))
	require.NoError(t, err)
	require.Len(t, old, 1)
	require.NoError(t, os.WriteFile(old[0], []byte("5\n"), 0o600))
	s = b.run()
	require.Equal(t, 1, s.Steps[0].Attempts)
	require.Zero(t, s.Steps[1].Attempts, "the parts are what they were")
	require.NoFileExists(t, old[0])
}

// The id of a part is that of its name: other files beside it do not make it
// another one, and one that is gone is called off.
func TestFilesOfAnotherOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  sort: {sh: 'for f in $(cat f?les); do echo $f >{output}/$f; done', split: files}\n  one: {needs: sort, run: [cat]}\n  all: {needs: one, fan_in: all, sh: 'cat {inputs}'}\n", map[string]string{"a": ""})
	b.write("files", "b c")
	b.run()
	require.Equal(t, "b\nc\n", b.output("all"))
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "sort"})
	require.NoError(t, err)
	l, err := runner.NewLedger(t.Context(), b.o.Queue)
	require.NoError(t, err)
	again := func(files string) {
		t.Helper()
		b.write("files", files)
		require.NoError(t, l.Replay(t.Context(), rows[0].Key, "", true, queue.Decision{}))
		b.events = nil
		require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
		b.noTemporaries()
	}
	again("a c")
	require.Equal(t, "a\nc\n", b.output("all"))
	require.Equal(t, map[string]string{"a#a": "a\n", "a#c": "c\n"}, b.outputs("one"))
	skipped := 0
	for _, e := range b.events {
		if e.Step == "one" && e.State == runner.Skipped {
			skipped++
		}
	}
	require.Equal(t, 1, skipped, "c is what it was")
	gone, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "one", States: []queue.State{queue.Cancelled}})
	require.NoError(t, err)
	require.Len(t, gone, 1)
	require.Equal(t, "in/a#b", gone[0].Source)
	// No file at all is an output, of no parts.
	again("")
	gone, err = b.o.Queue.Units(t.Context(), queue.Filter{Step: "one", States: []queue.State{queue.Cancelled}})
	require.NoError(t, err)
	require.Len(t, gone, 3)
	done, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "sort", States: []queue.State{queue.Done}})
	require.NoError(t, err)
	require.Len(t, done, 1)
}

func TestNoFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  sort: {run: ['true'], split: files}\n  one: {needs: sort, run: [cat]}\n  all: {needs: one, fan_in: all, run: [cat, '{inputs}']}\n  whole: {needs: sort, fan_in: all, run: [cat, '{inputs}']}\n", map[string]string{"a": "1"})
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s.DeadLetters)
	require.Equal(t, runner.Units{Done: 1}, s.Steps[0].Units)
	require.Equal(t, runner.Units{}, s.Steps[1].Units)
	require.Equal(t, runner.Units{}, s.Steps[2].Units)
	require.Equal(t, runner.Units{Done: 1}, s.Steps[3].Units)
	require.Empty(t, b.output("whole"))
	require.Zero(t, b.run().Steps[0].Attempts)
}

func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  sort: {run: [./make, '{output}'], split: files}\n  one: {needs: sort, sh: 'cat {input}; printf %s \"|{input}\"'}\n", map[string]string{"a": "1"})
	names := []string{"a b", "'q'", `"d"`, "new\nline", "ünï", "-rf", "$(touch pwned)", "`id`", "a:b", "*", `back\slash`, "x..", "day=1/part.csv", "day=1/deep/er", "day=2/part.csv", "#1"}
	script := "#!/bin/sh\ncd \"$1\" && mkdir -p day=1/deep day=2 empty .hidden _temporary\nprintf x >.crc; printf x >_SUCCESS; printf x >.hidden/f; printf x >_temporary/f; printf x >../beside\n"
	for _, name := range names {
		script += fmt.Sprintf("printf %%s '%s' >'%s'\n", strings.ReplaceAll(name, "'", `'\''`), strings.ReplaceAll("./"+name, "'", `'\''`))
	}
	b.write("make", script)
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s.DeadLetters)
	got := b.outputs("one")
	require.Len(t, got, len(names))
	for _, name := range names {
		text, path, _ := strings.Cut(got["a#"+name], "|")
		require.Equal(t, name, text)
		require.True(t, strings.HasSuffix(path, "/"+name), path)
	}
	require.NoFileExists(t, filepath.Join(b.dir, "pwned"))
}

func TestFoldersThatAreNoOutput(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ sh, want string }{
		"a file":           {"rmdir {output}; echo 1 >{output}", "the output is not a folder; with split: files the folder {output} is there, write files into it"},
		"nothing":          {"rmdir {output}", "the output is not a folder"},
		"a link":           {"rmdir {output}; ln -s / {output}", "the output is not a folder"},
		"a link in it":     {"ln -s /etc/passwd {output}/x", `"x" in the output is not a regular file; write files, not links`},
		"a link to inside": {"mkdir {output}/d; ln -s d {output}/e", `"e" in the output is not a regular file`},
		"a pipe":           {"mkdir {output}/d; mkfifo {output}/d/x", `"d/x" in the output is not a regular file`},
		"no UTF-8":         {`echo 1 >{output}/$(printf "a\\377")`, `the name of "a\xff" in the output is not UTF-8; give it another one`},
		"too many":         {"cd {output}; seq 10001 | xargs touch", "the output has more than 10000 files; write fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "  a: {sh: '"+tt.sh+"', split: files, retry: {attempts: 2}}\n  b: {needs: {a: any}, run: [cat]}\n", map[string]string{"x": "1"})
			s := b.run()
			require.Equal(t, runner.Units{Dead: 1}, s.Steps[0].Units)
			require.Equal(t, runner.Units{}, s.Steps[1].Units)
			require.Equal(t, 2, s.Steps[0].Attempts)
			require.Equal(t, runner.CauseAttempts, s.DeadLetters[0].Cause)
			require.Contains(t, s.DeadLetters[0].Error, tt.want)
		})
	}
}

// The gate judges the folder, and what it keeps back has no parts.
func TestFilesAtAGate(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  sort: {sh: 'cp {input} {output}/1; echo good >{output}/2', split: files, on_fail: quarantine}\n  pass: {needs: sort, run: [cat]}\n  any: {needs: {sort: any}, run: [cat]}\n", map[string]string{"a": "bad\n"})
	var seen []string
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		if o.Origin.Step != "sort" {
			return runner.Judgement{}, nil
		}
		names, err := runner.FilesOf(o.Path)
		seen = append(seen, names...)
		return runner.Judgement{Verdict: checks.Fail}, err
	})}
	require.Equal(t, 0, b.run().ExitCode())
	require.Equal(t, []string{"1", "2"}, seen)
	require.Equal(t, map[string]string{"a#1": "bad\n", "a#2": "good\n"}, b.outputs("any"))
	require.Empty(t, b.outputs("pass"))
	l, err := runner.NewLedger(t.Context(), b.o.Queue)
	require.NoError(t, err)
	all, err := l.Letters(t.Context(), queue.Filter{})
	require.NoError(t, err)
	require.NoError(t, l.Release(t.Context(), all[0].Key(), queue.Decision{}, nil))
	b.events = nil
	require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
	require.Equal(t, map[string]string{"a#1": "bad\n", "a#2": "good\n"}, b.outputs("pass"))
}

// Without a step that reads parts the output is a folder all the same, and what a
// command gives as a file is no folder.
func TestAnotherSplit(t *testing.T) {
	t.Parallel()
	const both = "  sort: {sh: 'tee $PROFILER_OUTPUT/1 <{input} 2>/dev/null; true', split: "
	b := newBench(t, both+"files}\n", map[string]string{"a": "n\n1\n"})
	require.Equal(t, 0, b.run().ExitCode())
	b.steps(both+"rows(1)}\n  one: {needs: sort, run: [cat]}\n", true)
	require.Equal(t, 1, b.run().Steps[0].Attempts)
	require.Equal(t, map[string]string{"a#1": "n\n1\n"}, b.outputs("one"))
	// The way back finds the first output again.
	b.steps(both+"files}\n  one: {needs: sort, run: [cat]}\n", true)
	s := b.run()
	require.Equal(t, runner.Units{Skipped: 1}, s.Steps[0].Units)
	require.Equal(t, map[string]string{"a#1": "n\n1\n"}, b.outputs("one"))
}
