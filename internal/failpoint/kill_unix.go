//go:build unix

package failpoint

import (
	"os"
	"syscall"
)

// kill is kill -9 of ourselves: no deferred function runs, no buffer is
// written.
func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal comes
}

// stop is kill -STOP of ourselves.
func stop() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
