//go:build !linux

package runner

import (
	"os"
	"time"
)

// changedAt returns when a file was written last.
func changedAt(path string) (time.Time, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}
