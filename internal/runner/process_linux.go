package runner

import (
	"os"
	"syscall"
	"unsafe"
)

// groupAttributes puts a command in a process group of its own, and ends it when
// this process dies.
func groupAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the process has ended, and leaves it to be reaped by
// others, see waitid(2).
func awaitExit(pid int) {
	const onePid, exited, noWait = 1, 0x4, 0x01000000
	var info [128]byte // siginfo_t
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, onePid, uintptr(pid), uintptr(unsafe.Pointer(&info)), exited|noWait, 0, 0)
		if e != syscall.EINTR {
			return
		}
	}
}

// peakBytes returns the largest resident size of an ended process.
func peakBytes(s *os.ProcessState) int64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss * 1024
	}
	return 0
}
