package tap

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// profileNice is how much the threads of the profile stand back behind that of
// the copying, and behind the programs at both ends of the pipe.
const profileNice = 5

// stepForward gives the calling goroutine a thread of its own and makes all
// other threads of the process, and those that they start, stand back. Linux
// has a niceness for each thread. What the system does not allow is left.
func stepForward() {
	runtime.LockOSThread()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	own := syscall.Gettid()
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil && id != own {
			syscall.Setpriority(syscall.PRIO_PROCESS, id, profileNice) //nolint:errcheck // it may have ended
		}
	}
}
