//go:build unix

// Package cgroup limits commands by control groups of version 2 (Linux,
// Documentation/admin-guide/cgroup-v2.rst): what a command and all that it starts
// use together is counted, limited, and ended.
//
// A process may make groups where its part of the hierarchy was left to it: in a
// unit of systemd with Delegate=yes, in a container whose hierarchy is writable,
// or as root in the root group. Open finds out, and says why not.
//
//	BASE                    delegated; the processes that were in it are in a leaf
//	BASE/profiler-PID-TEXT  of one process, which locks it while it lives
//	BASE/profiler-…/N       of one command
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// prefix begins the names of the groups of processes, self is the leaf into which
// a process moves so that its group may have others below it.
const (
	prefix = "profiler-"
	self   = "profiler.self"
)

// cpuPeriod is the period of cpu.max in microseconds, the kernel's default.
const cpuPeriod = 100_000

// removeTime bounds the wait for the end of killed processes.
const removeTime = 10 * time.Second

// Limits of the processes of a group together. What is 0 is not limited.
type Limits struct {
	// Memory in bytes, what is cached of files included; there is no swap beside it.
	Memory int64
	// CPU is how many processors they may keep busy.
	CPU int
}

// Usage is what the processes of a group have used together.
type Usage struct {
	CPU time.Duration
	// Peak is the largest memory in bytes, what was cached of files included; 0 where the
	// kernel does not tell (before 5.19).
	Peak int64
	// Killed says that processes were killed because of Limits.Memory.
	Killed bool
}

// Tree is the groups of this process. It is safe for concurrent use.
type Tree struct {
	dir  string
	lock *os.File
	cpu  bool
	next atomic.Int64
}

// Dir returns the folder of the groups.
func (t *Tree) Dir() string { return t.dir }

// LimitsCPU reports whether Limits.CPU has an effect; memory always has.
func (t *Tree) LimitsCPU() bool { return t.cpu }

// newTree makes the groups of this process below a folder, and removes those of
// processes that are gone, with what is left of their commands. It fails without
// the needed controllers.
func newTree(base string, needed ...string) (*Tree, error) {
	if err := enable(base, needed); err != nil {
		return nil, err
	}
	sweep(base)
	t := &Tree{}
	for t.lock == nil {
		t.dir = filepath.Join(base, fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), time.Now().UnixNano()))
		if err := os.Mkdir(t.dir, 0o755); err != nil {
			return nil, err
		}
		f, err := lockDir(t.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, os.Remove(t.dir))
		}
		t.lock = f // nil: another process saw it before the lock and removed it
	}
	if err := enable(t.dir, needed); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.cpu = has(filepath.Join(t.dir, "cgroup.subtree_control"), "cpu")
	return t, nil
}

// enable lets the groups below a folder have limits, by the needed controllers and
// by the others where that is possible.
func enable(dir string, needed []string) error {
	control := filepath.Join(dir, "cgroup.subtree_control")
	for _, name := range []string{"memory", "cpu"} {
		if has(control, name) {
			continue
		}
		err := write(control, "+"+name)
		if err == nil || !slices.Contains(needed, name) {
			continue
		}
		if !has(filepath.Join(dir, "cgroup.controllers"), name) {
			return fmt.Errorf("%s has no controller for %s", dir, name)
		}
		return err
	}
	return nil
}

// has reports whether a file names a word.
func has(path, word string) bool {
	text, err := os.ReadFile(path)
	return err == nil && bytes.Contains([]byte(" "+strings.TrimSpace(string(text))+" "), []byte(" "+word+" "))
}

func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // such a file is never made
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// lockDir locks a folder until the file is closed, or its process ends. The error
// matches syscall.EWOULDBLOCK if another one has it, and fs.ErrNotExist if the
// folder was removed meanwhile.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil { //nolint:gosec // a descriptor
		var mine, there os.FileInfo
		if mine, err = f.Stat(); err == nil {
			there, err = os.Stat(dir)
		}
		if err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		err = errors.Join(err, fs.ErrNotExist)
	}
	return nil, errors.Join(err, f.Close())
}

// sweep removes the groups of processes that are gone. What cannot be removed is
// left to the next one.
func sweep(base string) {
	dirs, err := filepath.Glob(filepath.Join(base, prefix+"*"))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, dir := range dirs {
		if f, err := lockDir(dir); err == nil {
			_ = remove(dir)
			_ = f.Close()
		}
	}
}

// New makes the group of a command.
func (t *Tree) New(l Limits) (*Group, error) {
	dir := filepath.Join(t.dir, strconv.FormatInt(t.next.Add(1), 10))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	err := limit(dir, l)
	var f *os.File
	if err == nil {
		f, err = os.Open(dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &Group{dir, f}, nil
}

func limit(dir string, l Limits) error {
	if l.Memory > 0 {
		if err := write(filepath.Join(dir, "memory.max"), strconv.FormatInt(l.Memory, 10)); err != nil {
			return err
		}
		// Without swap there is no such file; before Linux 4.19 no common end.
		for name, value := range map[string]string{"memory.swap.max": "0", "memory.oom.group": "1"} {
			if err := write(filepath.Join(dir, name), value); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if l.CPU > 0 {
		err := write(filepath.Join(dir, "cpu.max"), fmt.Sprintf("%d %d", l.CPU*cpuPeriod, cpuPeriod))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close removes the groups, with all processes that are left in them.
func (t *Tree) Close() error { return errors.Join(remove(t.dir), t.lock.Close()) }

// Group is that of one command.
type Group struct {
	dir string
	f   *os.File
}

// FD returns the descriptor of the group's folder, for
// syscall.SysProcAttr.CgroupFD. It is valid until Close.
func (g *Group) FD() int { return int(g.f.Fd()) } //nolint:gosec // a descriptor

// Usage returns what the processes have used until now.
func (g *Group) Usage() (Usage, error) {
	var u Usage
	stat, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
	if err != nil {
		return u, err
	}
	u.CPU = time.Duration(field(stat, "usage_usec")) * time.Microsecond
	events, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return u, err
	}
	u.Killed = field(events, "oom_kill") > 0
	peak, err := os.ReadFile(filepath.Join(g.dir, "memory.peak"))
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	u.Peak, _ = strconv.ParseInt(strings.TrimSpace(string(peak)), 10, 64)
	return u, err
}

// field reads a number of a file with a name and a number in each line; 0 if it is
// not there.
func field(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if key, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" ")); ok && string(key) == name {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

// Kill ends all processes of the group.
func (g *Group) Kill() error { return kill(g.dir) }

// Close removes the group, with all processes that are left in it.
func (g *Group) Close() error { return errors.Join(remove(g.dir), g.f.Close()) }

// kill sends SIGKILL to all processes of a group and of those below it.
func kill(dir string) error {
	err := write(filepath.Join(dir, "cgroup.kill"), "1")
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	// Before Linux 5.14: one by one. Who forks meanwhile is met by the next call.
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		text, err := os.ReadFile(path)
		for id := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(id); err == nil && pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return err
	})
}

// remove ends what is in a group and removes it. What is gone is removed.
func remove(dir string) error {
	end := time.Now().Add(removeTime)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := rmdirs(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(end) {
			return err
		}
		if err := kill(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
			return err
		}
		<-tick.C
	}
}

// rmdirs removes a group and those below it; the files in them go by themselves.
func rmdirs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := rmdirs(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return syscall.Rmdir(dir)
}
