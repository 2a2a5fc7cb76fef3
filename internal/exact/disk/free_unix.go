//go:build linux || darwin || freebsd

package disk

import (
	"os"
	"syscall"
)

// free returns how many bytes may be written to the file system of a file; ok
// is false where that is not known.
func free(f *os.File) (n int64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
