package tap

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"
)

// Of fcntl.h, which package syscall does not have.
const (
	oTmpfile        = 0x400000 | syscall.O_DIRECTORY
	atFdcwd         = -100
	atSymlinkFollow = 0x400
)

// openNameless opens a new file of a folder that has no name; not every file
// system can do that.
func openNameless(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|oTmpfile, 0o600)
}

// linkNameless gives a file without a name a path, in place of the file that
// may stand there.
func linkNameless(f *os.File, path string) error {
	side := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	from, err := syscall.BytePtrFromString("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return err
	}
	to, err := syscall.BytePtrFromString(side)
	if err != nil {
		return err
	}
	at := atFdcwd
	_, _, errno := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(at), uintptr(unsafe.Pointer(from)), uintptr(at), uintptr(unsafe.Pointer(to)), atSymlinkFollow, 0)
	if errno != 0 {
		return fmt.Errorf("link %s: %w", side, errno)
	}
	return os.Rename(side, path)
}
