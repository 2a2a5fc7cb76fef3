package runner

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/profilerhq/profiler/internal/cgroup"
)

// groupAttributes puts a command in a process group of its own and in a control
// group, if it is not nil, and ends it when this process dies.
func groupAttributes(g *cgroup.Group) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if g != nil {
		a.UseCgroupFD, a.CgroupFD = true, g.FD()
	}
	return a
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

// lateBytes is how far two readings of the same memory may differ: the kernel
// counts pages for each processor and adds them up now and then.
const lateBytes = 16 << 20

// peakBytes returns the largest resident size of an ended process and of those
// that it has waited for. The kernel counts the time between fork and exec too, in
// which the process had the memory of this one: what is not clearly above that says
// nothing, and what was seen of the process counts.
func peakBytes(s *os.ProcessState, seen int64) int64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok && u.Maxrss*1024 > highWater(os.Getpid())+lateBytes {
		return u.Maxrss * 1024
	}
	return seen
}

// familyPeak returns the largest highWater of a process and of its descendants.
func familyPeak(pid int) int64 {
	peak := highWater(pid)
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children") // the pattern is right
	for _, list := range lists {
		text, _ := os.ReadFile(list) // one that has ended has none
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				peak = max(peak, familyPeak(n))
			}
		}
	}
	return peak
}

// highWater returns the largest resident size of a process so far, in bytes, see
// proc_pid_status(5); 0 if it has ended.
func highWater(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(text, []byte("\nVmHWM:"))
	line, _, _ := bytes.Cut(after, []byte(" kB\n"))
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	return n * 1024
}

var bound atomic.Uint32 // commands started on a part of the processors

// startOn starts a command on n of the processors that this process may use, or
// on all where n is 0. A command inherits the processors of the thread that
// forks it, so that it never runs on others, not even for a moment.
func startOn(cmd *exec.Cmd, n int) error {
	var own [16]uint64 // cpu_set_t of 1,024 processors
	if n <= 0 || affinity(syscall.SYS_SCHED_GETAFFINITY, &own) != 0 {
		return cmd.Start()
	}
	var at []int
	for i := range 64 * len(own) {
		if own[i/64]&(1<<(i%64)) != 0 {
			at = append(at, i)
		}
	}
	if n >= len(at) {
		return cmd.Start()
	}
	var chosen [16]uint64
	first := int(bound.Add(1)) % len(at) // so that commands side by side do not share one
	for i := range n {
		p := at[(first+i)%len(at)]
		chosen[p/64] |= 1 << (p % 64)
	}
	runtime.LockOSThread() // a locked thread is no model for new ones
	defer runtime.UnlockOSThread()
	_ = affinity(syscall.SYS_SCHED_SETAFFINITY, &chosen) // else it runs on all
	defer func() { _ = affinity(syscall.SYS_SCHED_SETAFFINITY, &own) }()
	return cmd.Start()
}

// affinity reads or sets the processors of this thread, see sched_setaffinity(2).
func affinity(call uintptr, mask *[16]uint64) syscall.Errno {
	_, _, e := syscall.RawSyscall(call, 0, unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
	return e
}

// full reports whether the disk of a folder has no room left.
func full(dir string) bool {
	const room = 16 << 10
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return false
	}
	free := s.Bavail
	if os.Geteuid() == 0 { // what is reserved is for root
		free = s.Bfree
	}
	return free*uint64(s.Bsize) < room //nolint:gosec // the size of a block
}
