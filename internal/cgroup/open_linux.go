package cgroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Open makes the groups of this process. The error says in one line why it must
// not or cannot; nothing has changed then, but that this process may have moved
// to a leaf of its own group. Groups of processes that are gone are removed.
func Open() (*Tree, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	dir, err := locate(own, mounts)
	if err != nil {
		return nil, err
	}
	base, err := baseOf(dir)
	if err != nil {
		return nil, err
	}
	t, err := newTree(base, "memory")
	if err != nil {
		return nil, err
	}
	if err := t.probe(); err != nil {
		return nil, errors.Join(fmt.Errorf("no command can be started in a group: %w", err), t.Close())
	}
	return t, nil
}

// probe starts a command in a group: the kernel, or who filters its calls, may
// refuse it (clone3, since Linux 5.7).
func (t *Tree) probe() error {
	g, err := t.New(Limits{})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", ":")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	return errors.Join(cmd.Run(), g.Close())
}

// locate returns the folder of this process's group, from /proc/self/cgroup and
// /proc/self/mountinfo, see cgroups(7) and proc_pid_mountinfo(5).
func locate(own, mounts []byte) (string, error) {
	path, found := "", false
	for line := range bytes.Lines(own) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "0::"); ok {
			path, found = p, true
		}
	}
	if !found {
		return "", errors.New("this system has no control groups of version 2")
	}
	for line := range bytes.Lines(mounts) {
		before, after, ok := strings.Cut(string(line), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 6 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		rel, err := filepath.Rel(unescape(fields[3]), path)
		if err == nil && (rel == "." || filepath.IsLocal(rel)) {
			return filepath.Join(unescape(fields[4]), rel), nil
		}
	}
	return "", errors.New("control groups of version 2 are not mounted")
}

// unescape reads the octal escapes of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// baseOf returns the group below which those of this process belong: its own, if
// it was left to it, or the one above. A group with others below it must have no
// processes itself, so that this process moves to a leaf if it is alone.
func baseOf(dir string) (string, error) {
	up := filepath.Dir(dir)
	if filepath.Base(dir) == self || delegated(up) {
		return up, nil
	}
	if _, err := os.Stat(filepath.Join(dir, "cgroup.events")); errors.Is(err, fs.ErrNotExist) { // the root has none
		if os.Geteuid() == 0 {
			return dir, nil
		}
		return "", fmt.Errorf("%s is the root group and belongs to root", dir)
	}
	_, err := os.Stat("/run/systemd/system")
	if !delegated(dir) && (err == nil || syscall.Access(dir, 2) != nil) {
		return "", fmt.Errorf("%s is not delegated; start it by systemd with Delegate=yes", dir)
	}
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return "", err
	}
	if pids := strings.Fields(string(procs)); len(pids) != 1 || pids[0] != strconv.Itoa(os.Getpid()) {
		return "", fmt.Errorf("%s holds other processes too; start this one in a group of its own", dir)
	}
	leaf := filepath.Join(dir, self)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, write(filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(os.Getpid()))
}

// delegated reports whether systemd has left a group to what is in it.
func delegated(dir string) bool {
	var value [2]byte
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := syscall.Getxattr(dir, name, value[:]); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}
