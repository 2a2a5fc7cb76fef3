// Package disk gives sets their temporary files. A file has no name from its
// creation on where the system allows that, so that nothing stays behind
// however the program ends.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/profilerhq/profiler/internal/exact"
)

// Dir makes temporary files in a folder. It is safe for concurrent use.
type Dir struct{ path string }

// New returns a Dir; an empty path is that of the system for such files
// (TMPDIR).
func New(path string) *Dir { return &Dir{path} }

// Create implements exact.Spill.
func (d *Dir) Create() (exact.File, error) {
	path := d.path
	if path == "" {
		path = os.TempDir()
	}
	f, err := os.CreateTemp(path, "profiler-*.tmp")
	if err != nil {
		return nil, &Error{Dir: path, Err: cause(err)}
	}
	t := &file{File: f, dir: path, free: free}
	t.named = os.Remove(f.Name()) != nil
	return t, nil
}

// Error says why a temporary file cannot be used. Needs and Free are bytes;
// they are 0 where the reason is another one.
type Error struct {
	Dir         string
	Needs, Free int64
	Err         error
}

// Error returns one line with the numbers and what to do.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("a temporary file in %s is needed: %v; set TMPDIR to a folder with space", e.Dir, e.Err)
	}
	return fmt.Sprintf("at least %s in %s are needed, and %s are free; set TMPDIR to a folder with more", exact.Size(e.Needs), e.Dir, exact.Size(e.Free))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e.Err == nil {
		return syscall.ENOSPC
	}
	return e.Err
}

// cause leaves out the path, which the message names already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// The disk is asked for room in steps, a step ahead of what is written.
const (
	firstStep = 1 << 20
	lastStep  = 64 << 20
)

// file is a temporary file.
type file struct {
	*os.File
	dir      string
	named    bool
	reserved int64
	free     func(*os.File) (int64, bool)
}

// Reserve implements exact.File: at every step it asks how much is free.
func (f *file) Reserve(size int64) error {
	if size <= f.reserved {
		return nil
	}
	step := min(max(f.reserved, firstStep), lastStep)
	to := max(size, f.reserved+step)
	if n, ok := f.free(f.File); ok && n < to-f.reserved {
		return &Error{Dir: f.dir, Needs: to, Free: n}
	}
	f.reserved = to
	return nil
}

// WriteAt writes; a full disk is an *Error with the numbers.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(b, at)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, syscall.ENOSPC):
		left, _ := f.free(f.File)
		return n, &Error{Dir: f.dir, Needs: at + int64(len(b)), Free: left}
	}
	return n, &Error{Dir: f.dir, Err: cause(err)}
}

// ReadAt reads; its errors name the folder.
func (f *file) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	if err != nil {
		err = &Error{Dir: f.dir, Err: cause(err)}
	}
	return n, err
}

// Close closes and removes the file.
func (f *file) Close() error {
	err := f.File.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
