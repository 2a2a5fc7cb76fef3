package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
	"github.com/profilerhq/profiler/internal/runner"
)

// bench is a pipeline in a folder of its own.
type bench struct {
	t   *testing.T
	dir string
	o   runner.Options
	// ahead is how far the bench's clock is before the system's: waiting for a
	// backoff moves it.
	ahead atomic.Int64
	// waits are the backoffs that were asked for.
	waits  []time.Duration
	events []runner.Event
}

func (b *bench) Now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func (b *bench) Wait(_ context.Context, _ <-chan struct{}, d time.Duration) { b.ahead.Add(int64(d)) }

// newBench writes the pipeline's steps and the files of its source; without
// files the pipeline has no source.
func newBench(t *testing.T, steps string, files map[string]string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	for name, text := range files {
		b.write("in/"+name, text)
	}
	b.steps(steps, files != nil)
	b.o.Clock, b.o.Env, b.o.Workers = b, append(os.Environ(), "TRACEPARENT=", "PROFILER_CANARY=1"), 2
	b.o.Grace = 50 * time.Millisecond
	b.o.Progress = func(e runner.Event) {
		b.events = append(b.events, e)
		if e.Kind == runner.Retrying {
			b.waits = append(b.waits, e.Wait)
		}
	}
	b.store("store.db")
	return b
}

// store takes another store, in a file.
func (b *bench) store(name string) {
	b.t.Helper()
	d, err := db.Open(b.t.Context(), "sqlite:"+filepath.Join(b.dir, name), db.Options{})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, d.Close()) })
	b.o.Queue, err = queue.Open(b.t.Context(), d, queue.Options{Now: b.Now})
	require.NoError(b.t, err)
}

func (b *bench) steps(steps string, source bool) {
	text := "version: 1\npipeline: p\n"
	if source {
		text += "source: {files: 'in/*'}\n"
	}
	b.write("p.yaml", text+"steps:\n"+steps)
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o755))
}

func (b *bench) read(name string) string {
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(b.t, err)
	return string(data)
}

func (b *bench) runner() *runner.Runner {
	b.t.Helper()
	p, err := pipeline.Load(filepath.Join(b.dir, "p.yaml"))
	require.NoError(b.t, err)
	o := b.o
	o.Pipeline = p
	r, err := runner.New(o)
	require.NoError(b.t, err)
	return r
}

func (b *bench) run() runner.Summary {
	b.t.Helper()
	b.waits, b.events = nil, nil
	s, err := b.runner().Run(b.t.Context())
	require.NoError(b.t, err)
	b.noTemporaries()
	return s
}

func (b *bench) noTemporaries() {
	b.t.Helper()
	require.NoError(b.t, filepath.WalkDir(b.dir, func(path string, _ fs.DirEntry, err error) error {
		require.NotContains(b.t, path, ".tmp")
		return err
	}))
}

// outputs returns the texts of the outputs of a step by the unit's file.
func (b *bench) outputs(step string) map[string]string {
	all := map[string]string{}
	for _, e := range b.events {
		if e.Kind == runner.Finished && e.Step == step && e.Output != "" {
			data, err := os.ReadFile(e.Output)
			require.NoError(b.t, err)
			all[strings.TrimPrefix(e.Source, "in/")] = string(data)
		}
	}
	return all
}

// hook judges by a function.
type hook func(runner.Output) (runner.Judgement, error)

func (h hook) Observe(_ context.Context, o runner.Output) (runner.Judgement, error) { return h(o) }

// lines counts the lines of a file and gives the verdict that its text names.
func lines(o runner.Output) (runner.Judgement, error) {
	data, err := os.ReadFile(o.Path)
	j := runner.Judgement{Rows: new(int64(strings.Count(string(data), "\n")))}
	for verdict, word := range map[checks.Status]string{checks.Warn: "odd", checks.Fail: "bad", checks.Error: "broken"} {
		if strings.Contains(string(data), word) {
			j.Verdict = verdict
		}
	}
	return j, err
}

func TestChain(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
  upper: {run: [tr, a-z, A-Z]}
  number: {needs: upper, sh: "awk '{print NR, $0}' {input} >{output}"}
  count: {needs: upper, run: [sh, -c, 'wc -l <"$1" >"$2"', x, "{input}", "{output}"]}
  join: {needs: [number, count], run: [cat, "{input:count}", "{input}"]}
`, map[string]string{"a.csv": "x\ny\n", "b.csv": ""})
	b.o.Hooks = []runner.Hook{hook(lines)}
	s := b.run()
	require.Equal(t, map[string]string{"a.csv": "2\n1 X\n2 Y\n2\n", "b.csv": "0\n0\n"}, b.outputs("join"))
	require.Equal(t, 0, s.ExitCode())
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got, 6)
	require.Equal(t, "pass", got["verdict"])
	require.Contains(t, string(text), `{"version":1,"run":"`+s.Run+`","pipeline":"p","verdict":"pass","steps":[{"name":"upper","units":{"done":2,"dead":0,"quarantined":0},"attempts":2,"rows_in":null,"rows_out":2,"verdict":"pass","duration_seconds":`)
	require.Contains(t, string(text), `"attempts":2,"rows_in":4,"rows_out":6,"verdict":"pass"`)
	require.Contains(t, string(text), `"first_bad_step":null}`)
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, name := range []string{"a b", "'q'", `"d"`, "new\nline", "ünï", "-rf", "$(touch pwned)", "`id`", "a:b", "*", `back\slash`, "%s{input}"} {
		files[name] = "text of " + name
	}
	b := newBench(t, `
  shell: {sh: 'cat {input}; printf "%s" "|{input}"'}
  argv: {needs: shell, run: [cat, --, "{input}"]}
  stdin: {run: [cat]}
`, files)
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s)
	require.Equal(t, files, b.outputs("stdin"))
	for name, text := range b.outputs("argv") {
		require.Equal(t, files[name]+"|"+filepath.Join(b.dir, "in", name), text)
	}
	require.NoFileExists(t, filepath.Join(b.dir, "pwned"))
}

func TestIdentityAndEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t, `  a: {run: [sh, -c, 'test $PROFILER_ATTEMPT = 2 || exit 75; env']}`+"\n"+
		`  b: {needs: a, run: [sh, -c, 'env; echo IN=$PROFILER_INPUT_A']}`, map[string]string{"a": "x"})
	key := "in/a#2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // sha256 of "x"
	id := runner.UnitID("p", key)
	require.Len(t, id, 26)
	require.Regexp(t, `^[A-Z2-7]{26}$`, id)
	b.run()
	env := func(step, name string) string {
		for line := range strings.Lines(b.outputs(step)["a"]) {
			if v, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+"="); ok {
				return v
			}
		}
		return ""
	}
	require.Equal(t, id, env("a", "PROFILER_UNIT_ID"))
	require.Equal(t, id, env("b", "PROFILER_UNIT_ID"))
	require.Equal(t, id, env("b", "PROFILER_CORRELATION_ID"))
	require.Equal(t, "2", env("a", "PROFILER_ATTEMPT"))
	require.Equal(t, "p", env("a", "PROFILER_PIPELINE"))
	require.Equal(t, "a", env("a", "PROFILER_STEP"))
	require.Regexp(t, `^[0-9A-Z]{26}$`, env("a", "PROFILER_RUN_ID"))
	require.Regexp(t, `^a\.`+id+`\.[0-9a-f]{32}$`, env("a", "PROFILER_IDEMPOTENCY_KEY"))
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, env("a", "TRACEPARENT"))
	require.Equal(t, env("a", "TRACEPARENT")[:35], env("b", "TRACEPARENT")[:35])
	require.NotEqual(t, env("a", "TRACEPARENT"), env("b", "TRACEPARENT"))
	require.Equal(t, filepath.Join(b.dir, "in/a"), env("a", "PROFILER_INPUT"))
	require.Equal(t, env("b", "IN"), env("b", "PROFILER_INPUT"))
	require.Contains(t, env("b", "PROFILER_OUTPUT"), "."+id+".a1.tmp")
	require.Empty(t, env("a", "PROFILER_CANARY"))
	require.Len(t, b.waits, 1)
	require.InDelta(t, 2*time.Second, b.waits[0], float64(400*time.Millisecond))

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	b.o.Dir = t.TempDir()
	b.store("other.db")
	b.o.Env = append(b.o.Env, "TRACEPARENT=00-"+trace+"-00f067aa0ba902b7-01")
	b.run()
	require.Equal(t, trace, env("b", "PROFILER_CORRELATION_ID"))
	require.Equal(t, id, env("b", "PROFILER_UNIT_ID"))
	require.Equal(t, "00-"+trace+"-", env("b", "TRACEPARENT")[:36])
	for _, e := range b.events {
		require.Equal(t, trace, e.CorrelationID)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, step string
		attempts   int
		cause      runner.Cause
		err        string
	}{
		{"bad data", "sh: 'echo first >&2; echo second >&2; exit 65'", 1, runner.CauseData, "the command ended with exit status 65: second"},
		{"try again", "sh: 'exit 75', retry: {attempts: 3, on: []}", 3, runner.CauseAttempts, "exit status 75"},
		{"other", "sh: 'echo part; exit 3', retry: {attempts: 4, jitter: 0}", 4, runner.CauseAttempts, "exit status 3"},
		{"other, not repeated", "run: ['false'], retry: {on: [timeout]}", 1, runner.CauseAttempts, "exit status 1"},
		{"signal", "sh: 'kill -9 $$', retry: {attempts: 2}", 2, runner.CauseAttempts, "signal: killed"},
		{"no output", "sh: ': {output}', retry: {attempts: 2}", 2, runner.CauseAttempts, "wrote no output"},
		{"folder", "sh: 'mkdir {output}', retry: {attempts: 2}", 2, runner.CauseAttempts, "not a regular file"},
		{"link", "sh: 'ln -s /etc/passwd {output}', retry: {attempts: 1}", 1, runner.CauseAttempts, "not a regular file"},
		{"bad rejects", "sh: 'echo 5 >&3', rejects: fd3, retry: {attempts: 2}", 2, runner.CauseAttempts, "line 1 of the rejects is not a JSON object"},
		{"not a program", "run: [./nonsense]", 1, runner.CauseAttempts, "start the command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "  a: {"+tt.step+"}\n  b: {needs: {a: any}, run: [cat]}\n", map[string]string{"x": "1"})
			b.write("nonsense", "\x7fELFnot")
			s := b.run()
			require.Equal(t, runner.Units{Dead: 1}, s.Steps[0].Units)
			require.Equal(t, runner.Units{}, s.Steps[1].Units)
			require.Equal(t, tt.attempts, s.Steps[0].Attempts)
			require.Len(t, b.waits, tt.attempts-1)
			require.Equal(t, 1, s.ExitCode())
			require.Equal(t, "a", s.FirstBadStep)
			require.Len(t, s.DeadLetters, 1)
			l := s.DeadLetters[0]
			require.Equal(t, tt.cause, l.Cause)
			require.Contains(t, l.Error, tt.err)
			require.Equal(t, []string{filepath.Join(b.dir, "in/x")}, l.Inputs)
			require.Equal(t, "in/x", l.Source)
			require.Equal(t, tt.attempts, l.Attempts)
			kept, err := b.o.Queue.Units(t.Context(), queue.Filter{States: []queue.State{queue.Dead}})
			require.NoError(t, err)
			require.Len(t, kept, 1)
		})
	}
}

func TestBackoffGrows(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'exit 1', retry: {attempts: 5, jitter: 0, max_backoff: 10s}}\n", nil)
	b.run()
	require.Equal(t, []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second}, b.waits)
}

func TestSystemClock(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'exit 1', retry: {attempts: 3, backoff: 1ms, jitter: 0}}\n", nil)
	b.o.Clock = nil
	s, err := b.runner().Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, s.ExitCode())
	require.Equal(t, 3, s.Steps[0].Attempts)
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	t.Parallel()
	// The shell and its child ignore SIGTERM, say who they are, and block on a
	// pipe that nobody writes.
	b := newBench(t, "  a: {timeout: {run: 300ms}, retry: {attempts: 2}, run: [sh, stubborn.sh]}\n", map[string]string{"x": ""})
	b.write("stubborn.sh", "trap '' TERM\n(trap '' TERM; read x <fifo) &\necho $! >>pids\necho $$ >>pids\necho part\nread x <fifo\n")
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "fifo"), 0o600))
	s := b.run()
	require.Equal(t, runner.Units{Dead: 1}, s.Steps[0].Units)
	require.Equal(t, runner.CauseTimeout, s.DeadLetters[0].Cause)
	require.Equal(t, 2, s.DeadLetters[0].Attempts)
	require.Equal(t, "the command did not end within 300ms", s.DeadLetters[0].Error)
	b.gone(4)
}

// gone checks that the processes named in the file pids have ended.
func (b *bench) gone(n int) {
	b.t.Helper()
	pids := strings.Fields(b.read("pids"))
	require.Len(b.t, pids, n)
	for _, pid := range pids {
		number, err := strconv.Atoi(pid)
		require.NoError(b.t, err)
		// A killed orphan may wait for its new parent to reap it.
		require.Eventually(b.t, func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return syscall.Kill(number, 0) == syscall.ESRCH || err != nil || strings.Contains(string(stat), ") Z ")
		}, 5*time.Second, time.Millisecond, pid)
	}
}

func TestLeftoversAreKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [sh, behind.sh]}\n", map[string]string{"x": ""})
	b.write("behind.sh", "(read x <fifo; echo late) &\necho $! >>pids\necho done\n")
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "fifo"), 0o600))
	s := b.run()
	require.Equal(t, 0, s.ExitCode())
	require.Equal(t, "done\n", b.outputs("a")["x"])
	b.gone(1)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [sh, -c, 'trap \"echo term >>log; exit 0\" TERM; echo $$ >>pids; echo up >started; sleep 600 & wait']}\n  b: {needs: a, run: [cat]}\n",
		map[string]string{"1": "1", "2": "2", "3": "3"})
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "started"), 0o600))
	b.o.Workers, b.o.Grace = 1, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(filepath.Join(b.dir, "started")) // returns when the command has opened and closed it
		cancel()
	}()
	s, err := b.runner().Run(ctx)
	require.NoError(t, err)
	require.True(t, s.Cancelled)
	require.Equal(t, 130, s.ExitCode())
	require.Equal(t, runner.Units{Cancelled: 3}, s.Steps[0].Units)
	require.Equal(t, "term\n", b.read("log"))
	require.Empty(t, s.DeadLetters)
	b.gone(1)
	b.noTemporaries()
}

func TestStderr(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'head -c 67108864 /dev/zero | tr \"\\0\" x >&2; echo; echo the end >&2; exit 65'}\n", nil)
	s := b.run()
	l := s.DeadLetters[0]
	require.Len(t, l.Stderr, 4096)
	require.True(t, strings.HasSuffix(l.Stderr, "xxthe end\n"))
}

func TestRejects(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"fd3", "stderr_jsonl"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			fd := map[string]string{"fd3": "3", "stderr_jsonl": "2"}[way]
			b := newBench(t, "  a: {rejects: "+way+", sh: 'cat; echo \"{\\\"r\\\":1}\" >&"+fd+"; echo note >&2; echo \"{\\\"r\\\":2}\" >&"+fd+"'}\n", map[string]string{"x": "y"})
			var seen runner.Output
			var text string
			b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
				data, err := os.ReadFile(o.Rejects)
				seen, text = o, string(data)
				return runner.Judgement{}, err
			})}
			require.Equal(t, 0, b.run().ExitCode())
			require.Equal(t, int64(2), seen.RejectCount)
			require.Equal(t, "{\"r\":1}\n{\"r\":2}\n", text)
			require.Equal(t, runner.Units{Skipped: 1}, b.run().Steps[0].Units)
		})
	}
}

func TestSecondRun(t *testing.T) {
	t.Parallel()
	steps := "  a: {sh: 'echo a >>log; cat; echo 1'}\n  b: {needs: a, sh: 'echo b >>log; cat'}\n"
	b := newBench(t, steps, map[string]string{"x": "x", "y": "y"})
	b.o.Hooks, b.o.Workers = []runner.Hook{hook(lines)}, 1
	rules := "1"
	b.o.RulesFingerprint = func(*pipeline.Step) (string, error) { return rules, nil }
	check := func(why, log string, units ...runner.Units) {
		t.Helper()
		require.NoError(t, os.RemoveAll(filepath.Join(b.dir, "log")))
		s := b.run()
		got := []runner.Units{s.Steps[0].Units, s.Steps[1].Units}
		require.Equal(t, units, got, why)
		require.Equal(t, log, strings.ReplaceAll(b.read("log"), "\n", ""), why)
		require.Equal(t, int64(2), *s.Steps[1].RowsOut, why)
		require.Equal(t, 0, s.ExitCode(), why)
	}
	skipped, done := runner.Units{Skipped: 2}, runner.Units{Done: 2}
	both := runner.Units{Done: 1, Skipped: 1}
	check("first", "abab", done, done)
	check("unchanged", "", skipped, skipped)
	for _, e := range b.events {
		if e.Step == "b" && e.Source == "in/x" {
			require.NoError(t, os.Truncate(e.Output, 0))
		}
	}
	check("truncated output", "b", skipped, both)
	for _, e := range b.events {
		if e.Step == "a" && e.Source == "in/y" {
			require.NoError(t, os.WriteFile(e.Output, []byte("Y1\n"), 0o600))
		}
	}
	check("changed output, written again as it was", "a", both, skipped)
	b.write("in/x", "X")
	check("changed input", "ab", both, both)
	rules = "2"
	check("changed rules judge without running", "", done, done)
	check("judged by them", "", skipped, skipped)
	b.steps("  a: {sh: 'echo a >>log; cat; echo 2'}\n  b: {needs: a, sh: 'echo b >>log; cat'}\n", true)
	check("changed command", "abab", done, done)
	b.steps(steps, true)
	check("the former command", "bb", skipped, done)
}

func TestRunOfNoSource(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'echo x >>log; cat'}\n", nil)
	require.Equal(t, runner.Units{Done: 1}, b.run().Steps[0].Units)
	require.Equal(t, runner.Units{Done: 1}, b.run().Steps[0].Units)
	b.o.RunID = "given"
	require.Equal(t, runner.Units{Done: 1}, b.run().Steps[0].Units)
	require.Equal(t, runner.Units{Skipped: 1}, b.run().Steps[0].Units)
	require.Equal(t, "x\nx\nx\n", b.read("log"))
}

func TestGate(t *testing.T) {
	t.Parallel()
	all := map[string]string{"1": "good\n", "2": "bad\n", "3": "odd\n", "4": "good\n"}
	steps := "  a: {run: [cat]%s}\n  b: {needs: a, run: [cat]}\n  c: {needs: {a: any}, run: [cat], profile: {output: false}}\n"
	tests := []struct {
		name, onFail string
		said         pipeline.OnFail
		a, b, c      runner.Units
		exit         int
		first        string
	}{
		{"default", "", "", runner.Units{Done: 1, Blocked: 1, Waiting: 2}, runner.Units{Done: 1}, runner.Units{Done: 2}, 1, "a"},
		{"block", ", on_fail: block", "", runner.Units{Done: 1, Blocked: 1, Waiting: 2}, runner.Units{Done: 1}, runner.Units{Done: 2}, 1, "a"},
		{"quarantine", ", on_fail: quarantine", "", runner.Units{Done: 3, Quarantined: 1}, runner.Units{Done: 3}, runner.Units{Done: 4}, 0, "a"},
		{"the hook knows better", ", on_fail: quarantine", pipeline.Block, runner.Units{Done: 1, Blocked: 1, Waiting: 2}, runner.Units{Done: 1}, runner.Units{Done: 2}, 1, "a"},
		{"warn", "", pipeline.Warn, runner.Units{Done: 4}, runner.Units{Done: 4}, runner.Units{Done: 4}, 0, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, fmt.Sprintf(steps, tt.onFail), all)
			b.o.Workers = 1
			b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
				j, err := lines(o)
				j.OnFail = tt.said
				return j, err
			})}
			for range 2 { // a second run has the same end
				s := b.run()
				if s.Steps[0].Units.Skipped == 0 {
					require.Equal(t, []runner.Units{tt.a, tt.b, tt.c}, []runner.Units{s.Steps[0].Units, s.Steps[1].Units, s.Steps[2].Units})
				}
				require.Equal(t, tt.exit, s.ExitCode())
				require.Equal(t, tt.first, s.FirstBadStep)
				require.Equal(t, checks.Fail, s.Verdict)
				for _, l := range s.DeadLetters {
					require.Equal(t, runner.CauseGate, l.Cause)
					require.Equal(t, "in/2", l.Source)
					data, err := os.ReadFile(l.Output)
					require.NoError(t, err)
					require.Equal(t, "bad\n", string(data))
				}
			}
		})
	}
}

func TestRepairedRulesReleaseTheUnit(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'echo x >>log; cat'}\n  b: {needs: a, run: [cat]}\n", map[string]string{"1": "bad\n"})
	b.o.Hooks = []runner.Hook{hook(lines)}
	s := b.run()
	require.Len(t, s.DeadLetters, 1)
	b.o.Hooks = []runner.Hook{hook(func(runner.Output) (runner.Judgement, error) { return runner.Judgement{}, nil })}
	s = b.run()
	require.Equal(t, 0, s.ExitCode())
	require.Equal(t, runner.Units{Done: 1}, s.Steps[1].Units)
	require.Equal(t, "x\n", b.read("log"))
	require.Empty(t, s.DeadLetters)
}

func TestUnjudged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, step string
		hook       hook
		units      runner.Units
		calls      int
		exit       int
	}{
		{"error", "", func(runner.Output) (runner.Judgement, error) { return runner.Judgement{}, errors.New("no store") }, runner.Units{Quarantined: 1}, 3, 3},
		{"verdict error", "", func(runner.Output) (runner.Judgement, error) { return runner.Judgement{Verdict: checks.Error}, nil }, runner.Units{Quarantined: 1}, 3, 3},
		{"panic", "", func(runner.Output) (runner.Judgement, error) { panic("no") }, runner.Units{Quarantined: 1}, 3, 3},
		{"warn lets it through", ", on_fail: warn", func(runner.Output) (runner.Judgement, error) { return runner.Judgement{}, errors.New("no store") }, runner.Units{Done: 1}, 1, 3},
		{"judged at last", "", func(o runner.Output) (runner.Judgement, error) {
			if o.Attempt < 3 {
				return runner.Judgement{}, errors.New("no store")
			}
			return runner.Judgement{}, nil
		}, runner.Units{Done: 1}, 3, 0},
		{"input", ", profile: {input: true}", func(o runner.Output) (runner.Judgement, error) {
			if o.Side == runner.SideInput {
				return runner.Judgement{}, errors.New("no store")
			}
			return runner.Judgement{}, nil
		}, runner.Units{Quarantined: 1}, 3, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "  a: {retry: {attempts: 3}, sh: 'echo x >>log; cat; echo part'"+tt.step+"}\n  b: {needs: a, run: [cat], profile: {output: false}}\n", map[string]string{"1": "1"})
			calls := 0
			b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) { calls++; return tt.hook(o) })}
			s := b.run()
			require.Equal(t, tt.units, s.Steps[0].Units)
			require.Equal(t, tt.calls, calls)
			require.Equal(t, tt.exit, s.ExitCode())
			require.Equal(t, tt.units.Done, s.Steps[1].Units.Done)
			if tt.name != "input" {
				require.Equal(t, "x\n", b.read("log"), "the command runs once")
			}
			if tt.units.Quarantined > 0 {
				require.Equal(t, runner.CauseUnjudged, s.DeadLetters[0].Cause)
				require.Equal(t, checks.Error, s.Verdict)
			}
		})
	}
}

func TestFirstBadStep(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [cat], profile: {input: true}, on_fail: warn}\n  b: {needs: a, run: [sed, s/fine/bad/], on_fail: warn}\n  c: {needs: b, run: [cat], on_fail: warn}\n", map[string]string{"1": "fine\n"})
	var sides []string
	b.o.Hooks = []runner.Hook{hook(func(o runner.Output) (runner.Judgement, error) {
		judged := o.Inputs[0].Judgement != nil
		sides = append(sides, fmt.Sprintf("%s %s %s %t", o.Origin.Step, o.Side, o.Dataset, judged))
		return lines(o)
	})}
	b.o.Workers = 1
	s := b.run()
	require.Equal(t, "b", s.FirstBadStep)
	require.Equal(t, []string{"a input  false", "a output p/a true", "b output p/b true", "c output p/c true"}, sides)
	require.Equal(t, int64(1), *s.Steps[0].RowsIn)
	b.write("in/1", "bad\n")
	require.Empty(t, b.run().FirstBadStep, "the data came in bad")
}

func TestUnreadableInputs(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [cat]}\n", map[string]string{"ok": "1"})
	require.NoError(t, os.Symlink("nowhere", filepath.Join(b.dir, "in/broken")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "in/fifo"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(b.dir, "in/folder"), 0o755))
	b.write("in/.hidden", "")
	s := b.run()
	require.Equal(t, runner.Units{Done: 1, Dead: 2}, s.Steps[0].Units)
	require.Equal(t, 3, s.ExitCode())
	require.Contains(t, s.DeadLetters[0].Error, "the input cannot be read")
	require.Contains(t, s.DeadLetters[1].Error, "in/fifo is not a regular file")
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {files: in/none.csv}\nsteps: {a: {run: [cat]}}\n")
	_, err := b.runner().Run(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {files: in/*.none}\nsteps: {a: {run: [cat]}}\n")
	require.Equal(t, runner.Units{}, b.run().Steps[0].Units)
}

func TestInputThatChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'cat; echo more >>in/x'}\n", map[string]string{"x": "1"})
	s := b.run()
	require.Equal(t, runner.CauseData, s.DeadLetters[0].Cause)
	require.Contains(t, s.DeadLetters[0].Error, "changed while it was read")
}

func TestOneRunPerDirectory(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [cat]}\n", nil)
	b.o.Hooks = []runner.Hook{hook(func(runner.Output) (runner.Judgement, error) {
		_, err := b.runner().Run(t.Context())
		require.ErrorIs(t, err, runner.ErrBusy)
		return runner.Judgement{}, nil
	})}
	require.Equal(t, 0, b.run().ExitCode())
}

func TestChangedProgramIsNoticed(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	b := newBench(t, "  a: {run: [sh, a.sh, in/x]}\n  b: {run: [cat]}\n", map[string]string{"x": "1"})
	b.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b.write("a.sh", "echo '# new' >>a.sh")
	require.Equal(t, runner.Units{Done: 1}, b.run().Steps[0].Units)
	require.Contains(t, log.String(), "changed during the run")
	require.Regexp(t, `step=a unit=[A-Z2-7]{26} correlation_id=[A-Z2-7]{26}`, log.String())
	s := b.run()
	require.Equal(t, runner.Units{Done: 1}, s.Steps[0].Units)
	require.Equal(t, runner.Units{Skipped: 1}, s.Steps[1].Units)
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	p, err := pipeline.Parse(filepath.Join(t.TempDir(), "p.yaml"), []byte("version: 1\npipeline: p\nsteps: {a: {run: [no-such-program]}}\n"), nil)
	require.NoError(t, err)
	_, err = runner.New(runner.Options{Pipeline: p})
	require.ErrorContains(t, err, `p.yaml:3:18: step "a": the program "no-such-program" is not in the PATH`)
}

func TestResources(t *testing.T) {
	t.Parallel()
	b := newBench(t, `
  low: {resources: {nice: 7, cpu: 1}, sh: 'cut -d" " -f19 /proc/self/stat; grep Cpus_allowed_list /proc/self/status'}
  hog: {resources: {memory: 64MiB}, retry: {attempts: 1}, sh: 'head -c 256m /dev/zero | tail -c 200m >{output}'}
`, nil)
	s := b.run()
	out := ""
	for _, e := range b.events {
		if e.Step == "low" && e.Output != "" {
			out = b.read(strings.TrimPrefix(e.Output, b.dir))
		}
	}
	require.Regexp(t, "^(7|1[0-9])\nCpus_allowed_list:\t[0-9]+\n$", out)
	require.Equal(t, runner.Units{Done: 1}, s.Steps[0].Units)
	require.Equal(t, runner.Units{Dead: 1}, s.Steps[1].Units, "exceeding the memory fails that attempt alone")
}

// The memory of a command is its own, not that of this process, which is larger.
func TestPeakOfMemory(t *testing.T) {
	t.Parallel()
	own := bytes.Repeat([]byte("x"), 100<<20)
	b := newBench(t, `
  small: {sh: 'sleep 0.2; echo x'}
  large: {sh: 'head -c 200m /dev/zero | tail -c 150m | (sleep 0.5; wc -c)'}
`, nil)
	b.run()
	peaks := map[string]int64{}
	for _, e := range b.events {
		if e.Kind == runner.Finished {
			peaks[e.Step] = e.PeakBytes
		}
	}
	require.Less(t, peaks["small"], int64(30<<20))
	require.Positive(t, peaks["small"])
	require.Greater(t, peaks["large"], int64(150<<20), "the largest of its processes counts")
	runtime.KeepAlive(own)
}

// A worker that vanished is noticed by the next one.
func TestVanishedWorker(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step  string
		units runner.Units
		cause runner.Cause
	}{
		"again":          {"run: [cat]", runner.Units{Done: 1}, ""},
		"not tried":      {"run: [cat], retry: {on: [exit]}", runner.Units{Dead: 1}, runner.CauseLease},
		"stood too long": {"run: [cat], timeout: {queue: 1ms}", runner.Units{Dead: 1}, runner.CauseTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "  a: {"+tt.step+"}\n", map[string]string{"x": "1"})
			b.o.RunID = "r"
			unit := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: "U"}, Run: "r", Correlation: "c"}
			ctx, q := t.Context(), b.o.Queue
			require.NoError(t, q.DB().Tx(ctx, func(tx *db.Tx) error { return q.Offer(ctx, tx, []queue.Offer{unit}) }))
			got, err := q.Claim(ctx, queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "gone", Max: 1, Lease: time.Second})
			require.NoError(t, err)
			require.Len(t, got, 1)
			b.ahead.Add(int64(2 * time.Second))
			if name == "stood too long" {
				require.NoError(t, q.GiveBack(ctx, &got[0]))
				b.ahead.Add(int64(time.Second))
			}
			require.NoError(t, runner.Work(ctx, []*runner.Runner{b.runner()}, true))
			row, err := q.Get(ctx, unit.Key)
			require.NoError(t, err)
			require.Equal(t, string(tt.cause), row.Cause)
			require.Equal(t, tt.units.Dead == 1, row.State == queue.Dead)
			require.Equal(t, tt.units.Done == 1, row.State == queue.Done)
		})
	}
}

// timeout.queue is about the time in which a unit could have been taken.
func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stop func(*bench, *queue.Lease) // the step, by a unit
		dead bool
	}{
		"open": {func(b *bench, l *queue.Lease) {
			require.NoError(b.t, b.o.Queue.GiveBack(b.t.Context(), l))
		}, true},
		"gate": {func(b *bench, l *queue.Lease) {
			q, ctx := b.o.Queue, b.t.Context()
			require.NoError(b.t, q.DB().Tx(ctx, func(tx *db.Tx) error {
				_, err := q.Complete(ctx, tx, l, queue.Result{State: queue.Quarantined, Pause: true})
				return err
			}))
		}, false},
		"breaker": {func(b *bench, l *queue.Lease) {
			for range 11 {
				require.NoError(b.t, b.o.Queue.Fail(b.t.Context(), l, queue.Failure{Outcome: queue.Faulty}))
				again, err := b.o.Queue.Claim(b.t.Context(), queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "w", Max: 1, Lease: time.Minute, Guarded: true})
				require.NoError(b.t, err)
				if len(again) > 0 {
					l = &again[0]
				}
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "  a: {run: [cat], timeout: {queue: 10m}}\n", map[string]string{"x": "1"})
			b.o.RunID = "r"
			ctx, q := t.Context(), b.o.Queue
			put := func(unit string, priority int) {
				o := queue.Offer{Key: queue.Key{Pipeline: "p", Step: "a", Unit: unit}, Run: "r", Correlation: "c", Priority: priority}
				require.NoError(t, q.DB().Tx(ctx, func(tx *db.Tx) error { return q.Offer(ctx, tx, []queue.Offer{o}) }))
			}
			put("first", 1)
			put("waits", 0)
			got, err := q.Claim(ctx, queue.ClaimRequest{Pipeline: "p", Step: "a", Worker: "w", Max: 1, Lease: time.Minute, Guarded: true})
			require.NoError(t, err)
			require.Equal(t, "first", got[0].Unit)
			tt.stop(b, &got[0])
			b.ahead.Add(int64(time.Hour))
			require.NoError(t, q.Resume(ctx, "p"))
			b.ahead.Add(int64(9 * time.Minute))
			require.NoError(t, runner.Work(ctx, []*runner.Runner{b.runner()}, true))
			row, err := q.Get(ctx, queue.Key{Pipeline: "p", Step: "a", Unit: "waits"})
			require.NoError(t, err)
			if !tt.dead {
				require.Equal(t, queue.Done, row.State, row.Err)
				return
			}
			require.Equal(t, "dead timeout", string(row.State)+" "+row.Cause)
			require.Regexp(t, `^it stood ready for 1h9m0\..*s, longer than 10m0s$`, row.Err)
		})
	}
}

func TestSharedCapacity(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 12 {
		files[fmt.Sprint(i)] = "x"
	}
	b := newBench(t, "", files)
	b.write("p.yaml", "version: 1\npipeline: p\nsource: {files: 'in/*'}\ngroups: {one: {max: 1}}\nsteps:\n"+
		"  a: {group: one, sh: 'mkdir busy || exit 65; cat; rmdir busy'}\n  b: {group: one, sh: 'mkdir busy || exit 65; cat; rmdir busy'}\n")
	b.o.Workers = 6
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s.DeadLetters)
	require.Equal(t, runner.Units{Done: 12}, s.Steps[1].Units)
}

// A step before was replayed and gave the unit up: that unit alone is dead here.
func TestParentWithoutOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {sh: 'test ! -e broken || exit 65; cat'}\n  b: {needs: a, run: [cat]}\n", map[string]string{"x": "1", "y": "2"})
	b.run()
	rows, err := b.o.Queue.Units(t.Context(), queue.Filter{Step: "b"})
	require.NoError(t, err)
	b.write("broken", "")
	for _, step := range []string{"b", "a"} {
		k := rows[0].Key
		k.Step = step
		require.NoError(t, b.o.Queue.Replay(t.Context(), k, true, queue.Decision{}))
	}
	b.o.Workers = 1
	// b is claimed first, from what a had left; then a dies, and b again.
	require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
	require.NoError(t, b.o.Queue.Replay(t.Context(), rows[0].Key, true, queue.Decision{}))
	require.NoError(t, runner.Work(t.Context(), []*runner.Runner{b.runner()}, true))
	row, err := b.o.Queue.Get(t.Context(), rows[0].Key)
	require.NoError(t, err)
	require.Equal(t, "dead unreadable step \"a\" has no output of the unit any more", fmt.Sprint(row.State, " ", row.Cause, " ", row.Err))
}

func TestUnwritableDirectory(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [cat]}\n", map[string]string{"1": "", "2": "", "3": ""})
	b.o.Dir = filepath.Join(b.dir, "work")
	b.write("work/steps", "a file where a folder should be")
	s, err := b.runner().Run(t.Context())
	require.ErrorContains(t, err, "work directory: ")
	require.Equal(t, 3, s.Steps[0].Units.Cancelled)
}

func TestStaleTemporariesAreRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t, "  a: {run: [cat]}\n", nil)
	b.write(".profiler/runs/p/steps/a/0123/.UNIT.a1.tmp", "torn")
	require.Equal(t, 0, b.run().ExitCode()) // run looks for temporaries
}

// It is not parallel, so that no other test runs meanwhile.
func TestLeavesNothingBehind(t *testing.T) {
	b := newBench(t, "  a: {sh: 'cat; test $PROFILER_ATTEMPT = 2'}\n  b: {needs: a, timeout: {run: 50ms}, retry: {attempts: 2}, run: [cat, fifo]}\n", map[string]string{"1": "", "2": "", "3": ""})
	require.NoError(t, syscall.Mkfifo(filepath.Join(b.dir, "fifo"), 0o600))
	open := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, e := range entries {
			// The store's pool of connections grows as it likes.
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(to, "store.db") {
				n++
			}
		}
		return n
	}
	b.run()
	before := open()
	b.run()
	require.Equal(t, before, open())
	own := regexp.MustCompile(`internal/runner\.(\(\*|process)`)
	stacks, running := make([]byte, 1<<20), true
	for end := time.Now().Add(5 * time.Second); running && time.Now().Before(end); runtime.Gosched() {
		running = own.Match(stacks[:runtime.Stack(stacks, true)]) // a goroutine may be about to return
	}
	require.False(t, running)
	children, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	for _, c := range children {
		data, err := os.ReadFile(c)
		if err == nil {
			require.Empty(t, string(data))
		}
	}
}

func TestManyUnits(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("%03d", i)] = strings.Repeat("r\n", i)
	}
	b := newBench(t, "  a: {run: [cat]}\n  one: {needs: a, workers: {max: 1}, sh: 'mkdir busy || exit 65; cat; rmdir busy'}\n  c: {needs: [a, one], run: [cat, '{input}']}\n", files)
	b.o.Workers = 8
	b.o.Hooks = []runner.Hook{hook(lines)}
	s := b.run()
	require.Equal(t, 0, s.ExitCode(), s.DeadLetters)
	require.Equal(t, runner.Units{Done: 60}, s.Steps[2].Units)
	require.Equal(t, int64(2*59*60/2), *s.Steps[2].RowsOut)
	require.Equal(t, int64(2*59*60/2), *s.Steps[2].RowsIn)
}
