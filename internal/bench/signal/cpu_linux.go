package signal

import (
	"syscall"
	"time"
)

// threadTime is the processor's time of the calling thread: others on the
// machine do not count. The caller keeps to its thread.
func threadTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		return time.Duration(0)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
