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

// bindToProcessors lets a process, and what it starts from now on, run on n of
// the processors that this process may use. Where that fails it uses all.
func bindToProcessors(pid, n int) {
	var mask [16]uint64 // cpu_set_t of 1,024 processors
	size := unsafe.Sizeof(mask)
	if _, _, e := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, size, uintptr(unsafe.Pointer(&mask))); e != 0 {
		return
	}
	start := pid % 64 // so that commands side by side do not share one
	var own []int
	for i := range 64 * len(mask) {
		if mask[i/64]&(1<<(i%64)) != 0 {
			own = append(own, i)
		}
	}
	if n >= len(own) {
		return
	}
	var chosen [16]uint64
	for i := range n {
		at := own[(start+i)%len(own)]
		chosen[at/64] |= 1 << (at % 64)
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(pid), size, uintptr(unsafe.Pointer(&chosen)))
}
