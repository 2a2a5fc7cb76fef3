package runner

import (
	"os"
	"syscall"
	"time"
)

// changedAt returns when a file, its name or its times were changed last, which
// nobody can set back.
func changedAt(path string) (time.Time, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return time.Time{}, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.ModTime(), nil
	}
	return time.Unix(s.Ctim.Unix()), nil
}
