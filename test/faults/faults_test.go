// Package faults kills, stops and starves the real program in the middle of its
// work and checks that nothing is lost and nothing is done twice. The short form
// runs with the other tests; PROFILER_FAULTS=long (make test-faults) is the long
// one.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/queue"
)

// program is the path of the built program.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "profiler-faults")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "profiler")
		build := exec.Command("go", "build", "-o", program, "../../cmd/profiler")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
			return 1
		}
		return m.Run()
	}())
}

// long reports whether the long form runs.
func long() bool { return os.Getenv("PROFILER_FAULTS") == "long" }

func either[T any](short, longer T) T {
	if long() {
		return longer
	}
	return short
}

// steps have a fan-out and a fan-in. Each command writes down that it ran.
const steps = `version: 1
pipeline: p
source: {files: "in/*.csv"}
steps:
  parse: {sh: 'echo "parse $PROFILER_UNIT_ID" >>ran; cat', timeout: {heartbeat: 2s}, retry: {attempts: 1000}}
  left:  {needs: parse, sh: 'echo "left $PROFILER_UNIT_ID" >>ran; sed s/^/l/', timeout: {heartbeat: 2s}, retry: {attempts: 1000}}
  right: {needs: parse, sh: 'echo "right $PROFILER_UNIT_ID" >>ran; sed s/^/r/', timeout: {heartbeat: 2s}, retry: {attempts: 1000}}
  join:  {needs: [left, right], sh: 'echo "join $PROFILER_UNIT_ID" >>ran; cat {input}', timeout: {heartbeat: 2s}, retry: {attempts: 1000}}
`

// plant is a pipeline in a folder with a store.
type plant struct {
	t     *testing.T
	dir   string
	store string
	units int
	space string // the network namespace of what is started; empty is this one
}

func newPlant(t *testing.T, store string, units int) *plant {
	t.Helper()
	p := &plant{t: t, dir: t.TempDir(), store: store, units: units}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "p.yaml"), []byte(steps), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(p.dir, "in"), 0o755))
	for i := range units {
		text := fmt.Sprintf("n\n%d\n", i)
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "in", fmt.Sprintf("%04d.csv", i)), []byte(text), 0o600))
	}
	return p
}

// command starts nothing yet. The program is a group of its own, as its steps
// are.
func (p *plant) command(env string, args ...string) *exec.Cmd {
	args = append(args, "--store", p.store)
	cmd := exec.Command(program, args...)
	if p.space != "" {
		cmd = exec.Command("ip", append([]string{"netns", "exec", p.space, program}, args...)...)
	}
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// finish runs the pipeline to its end.
func (p *plant) finish() {
	p.t.Helper()
	cmd := p.command("A=b", "run", "p.yaml", "-o", "json", "-q")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(p.t, err, errs.String())
	var sum struct {
		Steps []struct {
			Units struct{ Done, Skipped, Dead int }
		}
	}
	require.NoError(p.t, json.Unmarshal(out, &sum))
	for _, s := range sum.Steps {
		require.Equal(p.t, p.units, s.Units.Done+s.Units.Skipped)
		require.Zero(p.t, s.Units.Dead)
	}
}

func (p *plant) queue() (*queue.Queue, *db.DB) {
	p.t.Helper()
	url := p.store
	if rest, ok := strings.CutPrefix(url, "sqlite:"); ok && !filepath.IsAbs(rest) {
		url = "sqlite:" + filepath.Join(p.dir, rest)
	}
	d, err := db.Open(p.t.Context(), url, db.Options{})
	require.NoError(p.t, err)
	p.t.Cleanup(func() { d.Close() })
	q, err := queue.Open(p.t.Context(), d, queue.Options{})
	require.NoError(p.t, err)
	return q, d
}

// check looks for what must never be: lost units, results committed twice, torn
// outputs, batches recorded twice. It returns executions and commits.
func (p *plant) check() (executions, commits int) {
	p.t.Helper()
	q, d := p.queue()
	rows, err := q.Units(p.t.Context(), queue.Filter{})
	require.NoError(p.t, err)
	require.Len(p.t, rows, 4*p.units, "units lost or made up")
	for i := range rows {
		require.Equal(p.t, queue.Done, rows[i].State, rows[i].Key)
		p.output(&rows[i])
	}
	events, err := q.Events(p.t.Context(), queue.Filter{})
	require.NoError(p.t, err)
	done := map[queue.Key]int{}
	for _, e := range events {
		if e.Kind == queue.Kind(queue.Done) {
			done[e.Key]++
		}
	}
	require.Len(p.t, done, 4*p.units)
	for k, n := range done {
		require.Equal(p.t, 1, n, "%s was committed %d times", k, n)
	}
	var live, profiles int
	require.NoError(p.t, d.Get(p.t.Context(), &live, "SELECT count(*) FROM batch WHERE superseded_us IS NULL"))
	require.NoError(p.t, d.Get(p.t.Context(), &profiles, "SELECT count(*) FROM batch"))
	require.Equal(p.t, 4*p.units, live)
	require.Equal(p.t, 4*p.units, profiles, "a batch was recorded twice")
	ran, err := os.ReadFile(filepath.Join(p.dir, "ran"))
	require.NoError(p.t, err)
	return bytes.Count(ran, []byte("\n")), len(done)
}

// output checks the file that the store names.
func (p *plant) output(r *queue.Row) {
	p.t.Helper()
	in, err := os.ReadFile(filepath.Join(p.dir, r.Source))
	require.NoError(p.t, err)
	prefixed := func(c string) string {
		return c + strings.ReplaceAll(strings.TrimSuffix(string(in), "\n"), "\n", "\n"+c) + "\n"
	}
	want := map[string]string{"parse": string(in), "left": prefixed("l"), "right": prefixed("r"), "join": prefixed("l") + prefixed("r")}
	require.Equal(p.t, want[r.Step], p.result(r), r.Key)
}

// kill ends a program and all its steps without a chance to clean up.
func kill(cmd *exec.Cmd) {
	_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL) // its steps die with it
	_ = cmd.Wait()
}

// A run that is killed again and again at random moments goes on where it was.
func TestKilledRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	p := newPlant(t, "sqlite:s.db", either(40, 500))
	rng := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for range either(8, 200) {
		cmd := p.command("A=b", "run", "p.yaml", "-q")
		require.NoError(t, cmd.Start())
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(time.Duration(30+rng.IntN(400)) * time.Millisecond):
			_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
			<-ended
			kills++
		}
	}
	p.finish()
	executions, commits := p.check()
	t.Logf("%d kills: %d executions for %d commits", kills, executions, commits)
}

// Each place at which a crash could leave something half done.
func TestFailpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	for _, place := range []string{"after_source", "after_claim", "during_command", "before_rename", "after_rename", "before_commit", "in_commit", "after_commit", "before_run_end"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, "sqlite:s.db", 5)
			for nth := range either(2, 12) {
				cmd := p.command(fmt.Sprintf("%s=%s:kill:%d", failpoint.Env, place, 1+3*nth), "run", "p.yaml", "-q")
				err := cmd.Run()
				if nth == 0 {
					require.ErrorContains(t, err, "killed", "the failpoint %s was not met", place)
				}
			}
			p.finish()
			p.check()
		})
	}
}

// Workers of one Postgres are killed while others go on.
func TestKilledWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	p := newPlant(t, dbtest.Postgres(t), either(40, 500))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	rng := rand.New(rand.NewPCG(3, 4))
	pauses := make([][]time.Duration, 2)
	for w := range pauses {
		for range either(3, 100) {
			pauses[w] = append(pauses[w], time.Duration(100+rng.IntN(700))*time.Millisecond)
		}
	}
	first := p.command("A=b", "run", "p.yaml", "-q") // offers the units and works too
	require.NoError(t, first.Start())
	for w := range pauses {
		wg.Go(func() {
			for _, pause := range pauses[w] {
				cmd := p.command("A=b", "worker", "p.yaml", "-q")
				if cmd.Start() != nil {
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
				kill(cmd)
			}
		})
	}
	require.NoError(t, first.Wait(), "the run ends when all units are done, whoever did them")
	stop()
	wg.Wait()
	p.finish()
	executions, commits := p.check()
	t.Logf("%d executions for %d commits", executions, commits)
}

// A worker that was asleep for longer than its lease comes back and commits
// nothing.
func TestStalledWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease")
	}
	t.Parallel()
	p := newPlant(t, dbtest.Postgres(t), 4)
	slow := strings.ReplaceAll(steps, "; cat'", "; read x <gate; cat'")
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "p.yaml"), []byte(slow), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(p.dir, "gate"), 0o600))
	stalled := p.command("A=b", "run", "p.yaml", "-q", "--workers", "1")
	require.NoError(t, stalled.Start())
	q, _ := p.queue()
	held := func() bool {
		rows, err := q.Units(t.Context(), queue.Filter{States: []queue.State{queue.Running}})
		require.NoError(t, err)
		return len(rows) > 0
	}
	require.Eventually(t, held, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, syscall.Kill(stalled.Process.Pid, syscall.SIGSTOP))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "p.yaml"), []byte(steps), 0o600))
	other := p.command("A=b", "worker", "p.yaml", "-q", "--drain")
	require.NoError(t, other.Run())
	require.NoError(t, syscall.Kill(stalled.Process.Pid, syscall.SIGCONT))
	gate, err := os.OpenFile(filepath.Join(p.dir, "gate"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer gate.Close()
	for range 8 { // whatever the woken worker still waits for
		_, err = gate.WriteString("go\n")
		require.NoError(t, err)
	}
	require.NoError(t, stalled.Wait())
	p.finish()
	_, _ = p.check()
}

// A worker that is stopped in the middle of a commit holds the lock of its unit. The
// server ends its transaction, so that another worker has the unit; when it comes
// back it commits nothing.
func TestStoppedInACommit(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease")
	}
	t.Parallel()
	url := dbtest.Postgres(t) + "&idle_in_transaction_session_timeout=" + either("3s", "20s")
	p := newPlant(t, url, 3)
	stopped := p.command(failpoint.Env+"=in_commit:stop", "run", "p.yaml", "-q", "--workers", "1")
	require.NoError(t, stopped.Start())
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", stopped.Process.Pid))
		return err == nil && strings.Contains(string(text), ") T ")
	}, time.Minute, 10*time.Millisecond)
	begun := time.Now()
	other := p.command("A=b", "worker", "p.yaml", "-q", "--drain")
	require.NoError(t, other.Run())
	took := time.Since(begun)
	require.NoError(t, syscall.Kill(stopped.Process.Pid, syscall.SIGCONT))
	require.NoError(t, stopped.Wait())
	p.finish()
	executions, commits := p.check()
	require.Equal(t, commits+1, executions, "the unit that was in the commit")
	t.Logf("another worker was through after %s", took.Round(time.Millisecond))
}

// Two executors on one SQLite file: the second one says so and ends.
func TestTwoRunners(t *testing.T) {
	t.Parallel()
	p := newPlant(t, "sqlite:s.db", 1)
	slow := strings.Replace(steps, "; cat'", "; echo up >started; read x <gate; cat'", 1)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "p.yaml"), []byte(slow), 0o600))
	for _, fifo := range []string{"gate", "started"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(p.dir, fifo), 0o600))
	}
	first := p.command("A=b", "run", "p.yaml", "-q")
	require.NoError(t, first.Start())
	_, err := os.ReadFile(filepath.Join(p.dir, "started")) // the step has begun
	require.NoError(t, err)
	for _, args := range [][]string{{"run", "p.yaml"}, {"worker", "p.yaml", "--drain"}} {
		out, err := p.command("A=b", args...).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 3, exit.ExitCode())
		require.Contains(t, string(out), "another process is working on the units of this store")
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "gate"), []byte("go\n"), 0o600))
	require.NoError(t, first.Wait())
	require.True(t, slices.Contains([]int{0}, first.ProcessState.ExitCode()))
}
