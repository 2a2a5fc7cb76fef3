//go:build unix && !linux

package runner

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/profilerhq/profiler/internal/cgroup"
)

// groupAttributes puts a command in a process group of its own.
func groupAttributes(*cgroup.Group) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns when no process of the group can get a signal any more,
// which an ended leader without children cannot.
func awaitExit(pid int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(-pid, 0) == nil {
		<-tick.C
	}
}

// peakBytes returns the largest resident size of an ended process where the
// system tells it.
func peakBytes(s *os.ProcessState, _ int64) int64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return int64(u.Maxrss)
	}
	return 0
}

// familyPeak knows nothing of processes that run.
func familyPeak(int) int64 { return 0 }

// startOn starts a command on all processors: this system has no way for less.
func startOn(cmd *exec.Cmd, _ int) error { return cmd.Start() }

// full knows nothing of disks here: a command that cannot write fails.
func full(string) bool { return false }
