package faults

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// lease is the heartbeat of the steps of the plan.
const lease = 2 * time.Second

// fanned is the plan: a fan-out of four and one unit that joins all of them.
func fanned() string {
	var b strings.Builder
	b.WriteString("version: 1\npipeline: p\nsource: {files: \"in/*.csv\"}\nsteps:\n")
	step := func(name, needs, sh string) {
		fmt.Fprintf(&b, "  %s: {%ssh: 'echo \"%s $PROFILER_UNIT_ID\" >>ran; %s', timeout: {heartbeat: %s}, retry: {attempts: 1000, backoff: 10ms, max_backoff: 50ms}}\n",
			name, needs, name, sh, lease)
	}
	step("parse", "", "cat")
	for _, name := range branches {
		step(name, "needs: parse, ", "sed s/^/"+name+"/")
	}
	step("join", "needs: [a, b, c, d], fan_in: all, ", "cat {inputs}")
	return b.String()
}

var branches = []string{"a", "b", "c", "d"}

func newFanned(t *testing.T, store string, units int) *plant {
	t.Helper()
	p := newPlant(t, store, units)
	p.write(fanned())
	return p
}

func (p *plant) write(text string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "p.yaml"), []byte(text), 0o600))
}

// drain works until nothing is left.
func (p *plant) drain(args ...string) {
	p.t.Helper()
	var errs bytes.Buffer
	cmd := p.command("A=b", append([]string{"worker", "p.yaml", "--drain", "-q"}, args...)...)
	cmd.Stderr = &errs
	require.NoError(p.t, cmd.Run(), errs.String())
}

// A worker is killed while it holds a unit: another one has it within two leases
// and 5 s.
func TestRecovery(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease")
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := newFanned(t, url, 1)
		p.write(strings.Replace(fanned(), "; cat'", "; test -e go || sleep 600; cat'", 1))
		cmd := p.command("A=b", "run", "p.yaml", "-q")
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return child(cmd.Process.Pid) != 0 }, time.Minute, 5*time.Millisecond)
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o600))
		kill(cmd)
		begun := time.Now()
		p.drain()
		q, _ := p.queue()
		rows, err := q.Units(t.Context(), queue.Filter{Step: "parse"})
		require.NoError(t, err)
		require.Equal(t, 2, rows[0].Attempt)
		took := time.UnixMicro(rows[0].StartedUS).Sub(begun)
		t.Logf("claimed again after %s, leases are %s", took.Round(time.Millisecond), lease)
		if long() { // a machine that does nothing else
			require.Less(t, took, 2*lease+5*time.Second)
		}
		p.checkFanned()
	})
}

// The server restarts at once, and sessions are ended by an administrator, while
// workers are at work.
func TestPostgresFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	t.Parallel()
	s := newServer(t, "127.0.0.1")
	p := newFanned(t, s.url(), either(10, 200))
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	first := p.command("A=b", "run", "p.yaml", "-q")
	var errs bytes.Buffer
	first.Stderr = &errs
	require.NoError(t, first.Start())
	q, _ := p.queue()
	require.Eventually(t, func() bool {
		rows, err := q.Units(t.Context(), queue.Filter{States: []queue.State{queue.Done}, Limit: 1})
		return err == nil && len(rows) > 0
	}, time.Minute, 20*time.Millisecond)
	for range either(1, 5) {
		s.kill()
		s.start()
		wg.Go(func() {
			d, err := db.Open(ctx, s.url(), db.Options{})
			if err != nil {
				return
			}
			defer d.Close()
			for range 5 {
				_, _ = d.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
		wg.Wait()
	}
	err := first.Wait()
	t.Logf("the run ended with %v: %s", err, errs.String())
	p.finishFanned()
	executions, commits := p.checkFanned()
	t.Logf("%d executions for %d commits", executions, commits)
}

// finishFanned runs the pipeline to its end.
func (p *plant) finishFanned() {
	p.t.Helper()
	out, err := p.command("A=b", "run", "p.yaml", "-q").CombinedOutput()
	require.NoError(p.t, err, string(out))
}

// mount gives a small file system until the test ends.
func mount(t *testing.T, dir, size string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("file systems can be mounted by root alone")
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skip("no file system can be mounted: " + string(out))
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
}

// The disk of the store, and that of the outputs, is full; then there is space
// again.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts file systems")
	}
	t.Parallel()
	for _, tt := range []struct{ name, dir, size, store string }{
		{"store", "db", "1m", "sqlite:db/s.db"},
		{"outputs", ".profiler", "64k", "sqlite:s.db"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newFanned(t, tt.store, either(60, 400))
			for i := range p.units { // outputs that fill a disk
				text := fmt.Sprintf("n\n%0900d\n", i)
				require.NoError(t, os.WriteFile(filepath.Join(p.dir, "in", fmt.Sprintf("%04d.csv", i)), []byte(text), 0o600))
			}
			mount(t, filepath.Join(p.dir, tt.dir), tt.size)
			out, err := p.command("A=b", "run", "p.yaml", "-q").CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the disk was to be full")
			require.Equal(t, 3, exit.ExitCode(), string(out))
			require.Regexp(t, `the disk is full|no space left on device`, string(out))
			require.NotContains(t, string(out), "panic")
			require.NoError(t, exec.Command("mount", "-o", "remount,size=256m", filepath.Join(p.dir, tt.dir)).Run())
			p.finishFanned()
			p.checkFanned()
		})
	}
}

// The power goes: what was told to be done before is done, with its output.
func TestPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts file systems")
	}
	if os.Getuid() != 0 {
		t.Skip("file systems can be mounted by root alone")
	}
	t.Parallel()
	p := newFanned(t, "sqlite:disk/s.db", either(20, 300))
	image, copied, disk := filepath.Join(p.dir, "image"), filepath.Join(p.dir, "copied"), filepath.Join(p.dir, "disk")
	require.NoError(t, os.Mkdir(disk, 0o755))
	for _, args := range [][]string{{"truncate", "-s", "64M", image}, {"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, disk}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("no image can be mounted: %s: %s", args[0], out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
	require.NoError(t, os.Mkdir(filepath.Join(disk, "runs"), 0o755))
	require.NoError(t, os.Symlink("disk/runs", filepath.Join(p.dir, ".profiler")))
	cmd := p.command("A=b", "run", "p.yaml")
	told, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done := map[string]bool{}
	lines := bufio.NewScanner(told)
	for len(done) < either(30, 600) && lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 3 && f[3] == "done" {
			done[f[1]+" "+f[2]] = true
		}
	}
	require.NoError(t, syscall.Kill(cmd.Process.Pid, syscall.SIGSTOP))
	require.NoError(t, exec.Command("cp", image, copied).Run()) // what the disk has at this moment
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	require.NoError(t, exec.Command("umount", "-l", disk).Run())
	out, err := exec.Command("mount", "-o", "loop", copied, disk).CombinedOutput()
	require.NoError(t, err, string(out))
	q, _ := p.queue()
	rows, err := q.Units(t.Context(), queue.Filter{States: []queue.State{queue.Done}})
	require.NoError(t, err)
	kept := map[string]bool{}
	for i := range rows {
		kept[rows[i].Step+" "+rows[i].Source] = true
		p.fannedOutput(&rows[i])
	}
	for unit := range done {
		require.True(t, kept[unit], "%s was acknowledged and is lost", unit)
	}
	t.Logf("%d units acknowledged before the power went, %d on the disk, all of them whole", len(done), len(kept))
	p.drain()
	p.finishFanned()
	p.checkFanned()
}

// One unit kills its workers, another one eats memory: both are dead, the others
// are done.
func TestPoisonAndHog(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for leases")
	}
	t.Parallel()
	p := newPlant(t, "sqlite:s.db", either(8, 200))
	p.write(`version: 1
pipeline: p
source: {files: "in/*.csv"}
steps:
  a:
    sh: 'case $(tail -n 1) in 3) kill -9 $PPID; sleep 600;; 5) exec awk "BEGIN{x=\"xxxxxxxx\"; while(1) x=x x}";; esac; echo fine'
    resources: {memory: 128MiB}
    timeout: {heartbeat: 1s, run: 60s}
    retry: {attempts: 5, backoff: 10ms}
`)
	_ = p.command("A=b", "run", "p.yaml", "-q", "--workers", "1").Run() // it is killed by the unit
	for range 10 {
		if p.command("A=b", "worker", "p.yaml", "--drain", "-q", "--workers", "1").Run() == nil {
			break
		}
	}
	q, _ := p.queue()
	rows, err := q.Units(t.Context(), queue.Filter{})
	require.NoError(t, err)
	require.Len(t, rows, p.units)
	for _, r := range rows {
		switch filepath.Base(r.Source) {
		case "0003.csv":
			require.Equal(t, []any{queue.Dead, queue.CauseCrash, queue.MaxLosses}, []any{r.State, r.Cause, r.Losses})
		case "0005.csv":
			require.Equal(t, []any{queue.Dead, "attempts"}, []any{r.State, r.Cause}, r.Err)
		default:
			require.Equal(t, queue.Done, r.State, r.Key)
		}
	}
}

// One record of a hundred is bad: each is in the dead letters once, however often
// its unit was tried.
func TestBadRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := newPlant(t, url, either(5, 100))
		for i := range p.units {
			var b strings.Builder
			for n := range 100 {
				fmt.Fprintf(&b, "%d\n", 100*i+n)
			}
			require.NoError(t, os.WriteFile(filepath.Join(p.dir, "in", fmt.Sprintf("%04d.csv", i)), []byte(b.String()), 0o600))
		}
		p.write(`version: 1
pipeline: p
source: {files: "in/*.csv"}
steps:
  a:
    sh: 'while read n; do case $n in *42) echo "{\"record\": $n, \"body\": \"$n\"}" >&3;; *) echo $n;; esac; done'
    rejects: fd3
    format: {in: csv, out: csv}
    timeout: {heartbeat: 1s}
    retry: {attempts: 1000}
`)
		_ = p.command(failpoint.Env+"=in_commit:kill:2", "run", "p.yaml", "-q").Run()
		for _, place := range []string{"after_rename", "in_commit", "after_commit"} {
			_ = p.command(failpoint.Env+"="+place+":kill:2", "worker", "p.yaml", "--drain", "-q").Run()
		}
		p.drain()
		q, _ := p.queue()
		all, err := q.Rejects(t.Context(), queue.Filter{})
		require.NoError(t, err)
		require.Len(t, all, p.units, "1 % of the records")
		seen := map[string]bool{}
		for _, r := range all {
			seen[r.Record] = true
		}
		require.Len(t, seen, p.units)
	})
}

// The process is killed around the commit of an effect in another database.
func TestEffectsTakePlaceOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d, err := db.Open(t.Context(), url, db.Options{})
		require.NoError(t, err)
		defer d.Close()
		_, err = d.Exec(t.Context(), "CREATE TABLE effects (unit TEXT)")
		require.NoError(t, err)
		p := newPlant(t, "sqlite:s.db", either(6, 200))
		p.write("version: 1\npipeline: p\nsource: {files: \"in/*.csv\"}\nsteps:\n  a: {timeout: {heartbeat: 1s}, retry: {attempts: 1000}, sql: {dsn: '" + url + "', statement: 'INSERT INTO effects VALUES (:unit_id)', query: SELECT count(*) AS n FROM effects WHERE unit = :unit_id}}\n")
		for i, place := range []string{"before_effect", "after_effect", "after_rename", "before_commit", "after_commit"} {
			args := []string{"worker", "p.yaml", "--drain", "-q"}
			if i == 0 {
				args = []string{"run", "p.yaml", "-q"}
			}
			err := p.command(failpoint.Env+"="+place+":kill", args...).Run()
			require.ErrorContains(t, err, "killed", "the failpoint %s was not met", place)
		}
		p.drain()
		var n, different int
		require.NoError(t, d.Get(t.Context(), &n, "SELECT count(*) FROM effects"))
		require.NoError(t, d.Get(t.Context(), &different, "SELECT count(DISTINCT unit) FROM effects"))
		require.Equal(t, []int{p.units, p.units}, []int{n, different})
	})
}

// The network between a worker and the store is cut for longer than a lease.
func TestNetworkCut(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a network")
	}
	if os.Getuid() != 0 {
		t.Skip("networks can be made by root alone")
	}
	t.Parallel()
	id := strconv.Itoa(os.Getpid() % 10000)
	space, here, there := "pf"+id, "pfh"+id, "pft"+id
	ip := func(args ...string) error { return exec.Command("ip", args...).Run() }
	if ip("netns", "add", space) != nil {
		t.Skip("no network namespace can be made")
	}
	t.Cleanup(func() { _ = ip("netns", "del", space); _ = ip("link", "del", here) })
	third := os.Getpid() % 250
	host, guest := fmt.Sprintf("10.213.%d.1", third), fmt.Sprintf("10.213.%d.2", third)
	for _, args := range [][]string{
		{"link", "add", here, "type", "veth", "peer", "name", there}, {"link", "set", there, "netns", space},
		{"addr", "add", host + "/30", "dev", here}, {"link", "set", here, "up"},
		{"-n", space, "addr", "add", guest + "/30", "dev", there}, {"-n", space, "link", "set", there, "up"}, {"-n", space, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			t.Skipf("no pair of network interfaces can be made: ip %v: %v", args, err)
		}
	}
	s := newServer(t, host)
	p := newFanned(t, s.url(), either(6, 100))
	slow := strings.Replace(fanned(), "; cat'", "; read x <gate; cat'", 1)
	p.write(slow)
	require.NoError(t, syscall.Mkfifo(filepath.Join(p.dir, "gate"), 0o600))
	p.space = space
	inside := p.command("A=b", "run", "p.yaml", "-q", "--workers", "1")
	p.space = ""
	var errs bytes.Buffer
	inside.Stderr = &errs
	require.NoError(t, inside.Start())
	q, _ := p.queue()
	require.Eventually(t, func() bool {
		rows, err := q.Units(t.Context(), queue.Filter{States: []queue.State{queue.Running}})
		return err == nil && len(rows) > 0
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, ip("link", "set", here, "down"))
	// The address of the server is gone with the interface; it comes back on lo.
	require.NoError(t, ip("addr", "del", host+"/30", "dev", here))
	require.NoError(t, ip("addr", "add", host+"/32", "dev", "lo"))
	t.Cleanup(func() { _ = ip("addr", "del", host+"/32", "dev", "lo") })
	p.write(fanned())
	p.drain() // another worker has all of it, the unit of the one that is cut off too
	require.NoError(t, ip("addr", "del", host+"/32", "dev", "lo"))
	require.NoError(t, ip("addr", "add", host+"/30", "dev", here))
	require.NoError(t, ip("link", "set", here, "up"))
	gate, err := os.OpenFile(filepath.Join(p.dir, "gate"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer gate.Close()
	for range 4 {
		_, err = gate.WriteString("go\n")
		require.NoError(t, err)
	}
	err = inside.Wait()
	t.Logf("the worker that was cut off ended with %v: %s", err, errs.String())
	p.finishFanned()
	p.checkFanned()
}
