//go:build unix

package runner

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/profilerhq/profiler/internal/cgroup"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
)

const (
	// tailSize is how much of stderr is kept, in bytes.
	tailSize = 4 << 10
	// drainTime is how long stderr is read on after the command has ended, if a
	// process that left the command's group still holds it open.
	drainTime = time.Second
	// lookTime is how often the memory of a command is looked at.
	lookTime = 50 * time.Millisecond
	// maxRejectLine is the longest line of rejects in bytes.
	maxRejectLine = 1 << 20
)

// process is one execution of a command.
type process struct {
	argv   []string
	dir    string
	env    []string
	stdin  *os.File  // nil is empty
	stdout *os.File  // nil goes to the tail of stderr
	fd3    *os.File  // nil is closed
	lines  io.Writer // gets the lines of stderr that are JSON objects; nil for none
	limits pipeline.Resources
	group  *cgroup.Group // holds further limits; nil is none
	grace  time.Duration
}

// ending is how a process ended.
type ending struct {
	err  error // *exec.ExitError, or why it did not start; nil is exit 0
	tail string
	cpu  time.Duration
	peak int64 // bytes
	// overMemory says that processes were killed because of the limit of memory.
	overMemory bool
	// linesErr says that rejects could not be written.
	linesErr error
}

// run executes the process in a group of its own. When ctx ends, the group gets
// SIGTERM and, after the grace period, SIGKILL. Nothing of the group is alive
// when run returns.
func (p process) run(ctx context.Context) ending {
	r, w, err := os.Pipe()
	if err != nil {
		return ending{err: err}
	}
	defer r.Close()
	argv, err := limited(p.argv, p.limits)
	if err != nil {
		w.Close()
		return ending{err: err}
	}
	// The context is watched below, because the whole group has to be stopped.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = p.dir, p.env, groupAttributes(p.group)
	cmd.Stderr, cmd.Stdout = w, w
	if p.stdin != nil {
		cmd.Stdin = p.stdin
	}
	if p.stdout != nil {
		cmd.Stdout = p.stdout
	}
	if p.fd3 != nil {
		cmd.ExtraFiles = []*os.File{p.fd3}
	}
	err = startOn(cmd, p.limits.CPU)
	failpoint.Hit("during_command")
	w.Close()
	if err != nil {
		return ending{err: err}
	}
	tail := &tailWriter{lines: p.lines}
	var reader sync.WaitGroup
	reader.Go(func() {
		_, _ = io.Copy(tail, r) // ends by the last writer or by the deadline
		tail.flush()
	})
	seen := p.wait(ctx, cmd.Process.Pid)
	err = cmd.Wait()
	_ = r.SetReadDeadline(time.Now().Add(drainTime))
	reader.Wait()
	e := ending{err: err, tail: tail.String(), linesErr: tail.err}
	if s := cmd.ProcessState; s != nil {
		e.cpu = s.UserTime() + s.SystemTime()
		e.peak = peakBytes(s, seen)
	}
	if p.group != nil {
		if u, err := p.group.Usage(); err == nil {
			e.cpu, e.overMemory = u.CPU, u.Killed
			if u.Peak > 0 {
				e.peak = u.Peak
			}
		}
	}
	return e
}

// limited wraps a command so that the shell limits it before it starts: the
// limits of a process can be set from outside only once it runs.
func limited(argv []string, r pipeline.Resources) ([]string, error) {
	if r.Memory == 0 && r.Nice == 0 {
		return argv, nil
	}
	if !strings.Contains(argv[0], "/") { // or the shell would report what is missing
		path, err := exec.LookPath(argv[0])
		if err != nil {
			return nil, err
		}
		argv = append([]string{path}, argv[1:]...)
	}
	script := "exec"
	if r.Nice > 0 {
		script += " nice -n " + strconv.Itoa(r.Nice)
	}
	script += ` "$@"`
	if r.Memory > 0 {
		script = "ulimit -v " + strconv.FormatInt(r.Memory/1024, 10) + " && " + script
	}
	return append([]string{"/bin/sh", "-c", script, "sh"}, argv...), nil
}

// wait returns when the leader of the group has ended and the rest was killed.
// The leader is not reaped before, so that its number still means this group. It
// returns the largest resident size that it has seen of the leader and of what that
// has started, of one process, in bytes.
func (p process) wait(ctx context.Context, pid int) (peak int64) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		awaitExit(pid)
	}()
	stopped, grace := ctx.Done(), (<-chan time.Time)(nil)
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		peak = max(peak, familyPeak(pid))
		select {
		case <-done:
			p.kill(pid)
			return peak
		case <-tick.C:
		case <-stopped:
			stopped = nil
			_ = syscall.Kill(-pid, syscall.SIGTERM)
			timer := time.NewTimer(p.grace)
			defer timer.Stop()
			grace = timer.C
		case <-grace:
			p.kill(pid)
		}
	}
}

// kill ends the group of processes, and with a control group also those that have
// left it.
func (p process) kill(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	if p.group != nil {
		_ = p.group.Kill()
	}
}

// permanent reports whether a program cannot be started at all, so that another
// attempt would fail in the same way.
func permanent(err error) bool {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return false
	}
	for _, e := range []syscall.Errno{syscall.ENOENT, syscall.EACCES, syscall.ENOEXEC, syscall.E2BIG, syscall.ENOTDIR, syscall.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, exec.ErrDot)
}

// tailWriter keeps the end of what is written, and passes lines that are JSON
// objects on.
type tailWriter struct {
	kept  []byte
	lines io.Writer
	line  []byte
	long  bool // the current line is too long to be a reject
	err   error
}

func (t *tailWriter) Write(b []byte) (int, error) {
	if t.lines == nil {
		t.keep(b)
		return len(b), nil
	}
	for rest := b; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, part...)
		if t.long = t.long || len(t.line) > maxRejectLine; t.long {
			t.keep(t.line)
			t.line = t.line[:0]
		}
		if ended {
			t.endLine()
		}
		rest = after
	}
	return len(b), nil
}

func (t *tailWriter) endLine() {
	if !t.long && isObject(t.line) {
		if _, err := t.lines.Write(append(t.line, '\n')); err != nil && t.err == nil {
			t.err = err
		}
	} else {
		t.keep(append(t.line, '\n'))
	}
	t.line, t.long = t.line[:0], false
}

func (t *tailWriter) flush() {
	if len(t.line) > 0 {
		t.endLine()
	}
}

func (t *tailWriter) keep(b []byte) {
	b = b[max(0, len(b)-tailSize):]
	t.kept = append(t.kept, b...)
	if len(t.kept) > 2*tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
}

// String returns the last 4 KiB as valid UTF-8.
func (t *tailWriter) String() string {
	return string(bytes.ToValidUTF8(t.kept[max(0, len(t.kept)-tailSize):], []byte("\uFFFD")))
}
