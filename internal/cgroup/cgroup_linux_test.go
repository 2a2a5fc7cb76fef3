package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// helper names what this program does instead of its tests, in a group that a test
// has made.
const helper = "CGROUP_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helper) {
	case "":
		os.Exit(m.Run())
	case "open":
		t, err := Open()
		own, _ := os.ReadFile("/proc/self/cgroup")
		fmt.Fprintf(os.Stdout, "%s\n%v\n", own[strings.LastIndex(string(own[:len(own)-1]), "\n")+1:len(own)-1], err)
		if err == nil {
			fmt.Fprintln(os.Stdout, t.Dir())
			err = t.Close()
		}
		if err != nil {
			os.Exit(1)
		}
	case "vanish": // with a command that has left its process group
		t, err := newTree(os.Getenv("CGROUP_TEST_BASE"))
		fatal(err)
		g, err := t.New(Limits{})
		fatal(err)
		cmd := exec.Command("setsid", "sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
		fatal(cmd.Start())
		fmt.Fprintf(os.Stdout, "%s\n%d\n", t.Dir(), cmd.Process.Pid)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writable returns the folder of this process's group, if it may make others
// there, without limits perhaps.
func writable(t *testing.T) string {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	dir, err := locate(own, mounts)
	if err == nil {
		dir, err = os.MkdirTemp(dir, "test-") //nolint:usetesting // in the file system of groups
	}
	if err != nil {
		t.Skip("no control groups here: ", err)
	}
	t.Cleanup(func() { require.NoError(t, remove(dir)) })
	return dir
}

// start runs a program in a group and returns its end.
func start(t *testing.T, g *Group, argv ...string) func() error {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	require.NoError(t, cmd.Start())
	return cmd.Wait
}

func pids(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	require.NoError(t, err)
	return strings.Fields(string(text))
}

func TestGroupEndsWhatHasLeftTheProcessGroup(t *testing.T) {
	t.Parallel()
	tree, err := newTree(writable(t))
	require.NoError(t, err)
	g, err := tree.New(Limits{})
	require.NoError(t, err)
	require.NoError(t, start(t, g, "sh", "-c", "setsid sleep 600 & setsid sh -c 'setsid sleep 600 & wait' &")())
	require.NotEmpty(t, pids(t, g.dir))
	other, err := tree.New(Limits{})
	require.NoError(t, err)
	wait := start(t, other, "sleep", "600")
	require.NoError(t, g.Kill())
	require.NoError(t, g.Close())
	require.NoDirExists(t, g.dir)
	require.Len(t, pids(t, other.dir), 1)
	require.NoError(t, tree.Close(), "with what still runs")
	require.ErrorContains(t, wait(), "killed")
	require.NoError(t, other.Close(), "it is gone already")
	require.NoDirExists(t, tree.Dir())
}

func TestSweepOfAProcessThatIsGone(t *testing.T) {
	t.Parallel()
	base := writable(t)
	alive, err := newTree(base)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"=vanish", "CGROUP_TEST_BASE="+base)
	cmd.Stderr = os.Stderr
	_, err = cmd.StdinPipe() // it ends when this one does
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	dir := lines.Text()
	require.True(t, lines.Scan())
	pid, err := strconv.Atoi(lines.Text())
	require.NoError(t, err)
	again, err := newTree(base)
	require.NoError(t, err)
	require.DirExists(t, dir, "it lives")
	require.NoError(t, again.Close())
	require.NoError(t, cmd.Process.Kill())
	require.ErrorContains(t, cmd.Wait(), "killed")
	require.NoError(t, syscall.Kill(pid, 0), "its command does not end by itself")
	again, err = newTree(base)
	require.NoError(t, err)
	require.NoDirExists(t, dir)
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.True(t, err != nil || strings.Contains(string(state), ") Z "), "its command was ended")
	require.DirExists(t, alive.Dir())
	require.NoError(t, again.Close())
	require.NoError(t, alive.Close())
}

// limiting returns groups with limits, or skips the test.
func limiting(t *testing.T) *Tree {
	t.Helper()
	tree, err := Open()
	if err != nil {
		t.Skip("no control groups with limits here: ", err)
	}
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	return tree
}

func TestMemory(t *testing.T) {
	tree := limiting(t)
	g, err := tree.New(Limits{Memory: 32 << 20})
	require.NoError(t, err)
	// Two processes that together have too much, the greater one a grandchild.
	err = start(t, g, "sh", "-c", "(head -c 10m /dev/zero | tail -c 10m | sleep 600) & (head -c 40m /dev/zero | tail -c 40m) | cat >/dev/null; exit 0")()
	require.ErrorContains(t, err, "killed", "all of it, not the one that asked last")
	u, err := g.Usage()
	require.NoError(t, err)
	require.True(t, u.Killed)
	require.LessOrEqual(t, u.Peak, int64(32<<20))
	require.Positive(t, u.CPU)
	require.NoError(t, g.Close())

	g, err = tree.New(Limits{Memory: 64 << 20})
	require.NoError(t, err)
	require.NoError(t, start(t, g, "sh", "-c", "(head -c 20m /dev/zero | tail -c 20m) | cat >/dev/null")())
	u, err = g.Usage()
	require.NoError(t, err)
	require.False(t, u.Killed)
	if u.Peak > 0 { // else an old kernel
		require.GreaterOrEqual(t, u.Peak, int64(20<<20), "grandchildren count")
	}
	require.NoError(t, g.Close())
}

func TestProcessors(t *testing.T) {
	tree := limiting(t)
	if !tree.LimitsCPU() {
		t.Skip("processors cannot be limited here")
	}
	g, err := tree.New(Limits{CPU: 2})
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(g.dir, "cpu.max"))
	require.NoError(t, err)
	require.Equal(t, "200000 100000\n", string(text))
	require.NoError(t, g.Close())
}

// A process that is alone in a group moves to a leaf; one with others does not.
func TestOpenInAGroup(t *testing.T) {
	tree := limiting(t)
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("groups are those of systemd here")
	}
	open := func(g *Group) (string, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helper+"=open")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
		out, err := cmd.Output()
		return string(out), err
	}
	g, err := tree.New(Limits{Memory: 256 << 20})
	require.NoError(t, err)
	for range 2 {
		out, err := open(g)
		require.NoError(t, err, out)
		require.Regexp(t, `^0::.*/profiler\.self\n<nil>\n`+g.dir+`/profiler-[0-9]+-[0-9]+\n$`, out)
		require.Empty(t, pids(t, g.dir))
		require.NoError(t, os.Remove(filepath.Join(g.dir, self)))
		for _, name := range []string{"memory", "cpu"} { // or nothing may enter it
			_ = write(filepath.Join(g.dir, "cgroup.subtree_control"), "-"+name)
		}
	}
	wait := start(t, g, "sleep", "600")
	out, err := open(g)
	require.Error(t, err)
	require.Contains(t, out, g.dir+" holds other processes too")
	require.NoError(t, g.Close())
	require.Error(t, wait())
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const v2, v1 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	for _, tt := range []struct{ name, own, mounts, dir, err string }{
		{"root", "0::/\n", v1 + v2, "/sys/fs/cgroup", ""},
		{"service", "0::/system.slice/profiler.service\n", v2, "/sys/fs/cgroup/system.slice/profiler.service", ""},
		{"both versions", "4:memory:/x\n1:name=systemd:/y\n0::/a b\n", v1 + strings.Replace(v2, "cgroup rw", `cgroup/unified\040x rw`, 1), "/sys/fs/cgroup/unified x/a b", ""},
		{"part of it", "0::/pod/c1\n", strings.Replace(v2, " / ", " /pod ", 1), "/sys/fs/cgroup/c1", ""},
		{"another part", "0::/pod/c1\n", strings.Replace(v2, " / ", " /else ", 1), "", "not mounted"},
		{"a name that begins alike", "0::/podium\n", strings.Replace(v2, " / ", " /pod ", 1), "", "not mounted"},
		{"outside of the namespace", "0::/../other\n", strings.Replace(v2, " / ", " /.. ", 1), "/sys/fs/cgroup/other", ""},
		{"version 1 alone", "4:memory:/x\n", v1, "", "no control groups of version 2"},
		{"not mounted", "0::/\n", v1, "", "not mounted"},
		{"nothing", "", "", "", "no control groups of version 2"},
		{"damaged", "0::/\n", "30 23 / - cgroup2\n\n - \n", "", "not mounted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, err := locate([]byte(tt.own), []byte(tt.mounts))
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.dir, dir)
		})
	}
}

func FuzzLocate(f *testing.F) {
	f.Add("0::/a\n", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	f.Add("0::/../..\n", "30 23 0:26 /.. /sys\\040x rw - cgroup2 cgroup2 rw\n")
	f.Fuzz(func(t *testing.T, own, mounts string) {
		dir, err := locate([]byte(own), []byte(mounts))
		require.Equal(t, err != nil, dir == "")
	})
}

func TestField(t *testing.T) {
	t.Parallel()
	text := []byte("usage_usec 1500\nnr 7\noom_kill 0\noom 12x\n\nlast 3")
	for name, want := range map[string]int64{"usage_usec": 1500, "nr": 7, "oom_kill": 0, "oom": 0, "last": 3, "none": 0, "usage": 0} {
		require.Equal(t, want, field(text, name), name)
	}
}
