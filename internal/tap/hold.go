package tap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// HoldMemory is how much a hold keeps in memory by default.
const HoldMemory = 64 << 20

// errClosed is what writing to a hold that is closed gives.
var errClosed = errors.New("the hold is closed")

// HoldError says that bytes could not be held.
type HoldError struct {
	Dir   string
	Bytes int64 // held before
	Err   error
}

// Error returns one line: where, what, and what to do.
func (e *HoldError) Error() string {
	cause := e.Err
	var pe *os.PathError
	if errors.As(e.Err, &pe) {
		cause = pe.Err
	}
	return fmt.Sprintf("%s: cannot hold more than %d bytes: %v; name a folder with more space with --hold", e.Dir, e.Bytes, cause)
}

// Unwrap returns the cause.
func (e *HoldError) Unwrap() error { return e.Err }

// Hold keeps bytes until a verdict: in memory, and beyond its limit in a spool
// file. It is an io.Writer. Close forgets everything, whoever still writes.
type Hold struct {
	dir    string
	memory int64

	mu     sync.Mutex
	blocks [][]byte
	size   int64
	spool  *spool // nil while all is in memory
	closed bool
}

// NewHold returns an empty hold of at most memory bytes before it opens a spool
// file in the folder dir; an empty dir is the one for temporary files.
func NewHold(dir string, memory int64) *Hold {
	if dir == "" {
		dir = os.TempDir()
	}
	return &Hold{dir: dir, memory: memory}
}

// Write appends a copy of the bytes. Its error is a *HoldError.
func (h *Hold) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return 0, errClosed
	case h.spool == nil && h.size+int64(len(b)) <= h.memory:
		h.keep(b)
		return len(b), nil
	}
	if err := h.toDisk(); err != nil {
		return 0, err
	}
	if _, err := h.spool.Write(b); err != nil {
		return 0, &HoldError{h.dir, h.size, err}
	}
	h.size += int64(len(b))
	return len(b), nil
}

func (h *Hold) keep(b []byte) {
	h.size += int64(len(b))
	for len(b) > 0 {
		if k := len(h.blocks); k == 0 || len(h.blocks[k-1]) == cap(h.blocks[k-1]) {
			h.blocks = append(h.blocks, make([]byte, 0, BlockBytes))
		}
		last := &h.blocks[len(h.blocks)-1]
		n := min(len(b), cap(*last)-len(*last))
		*last = append(*last, b[:n]...)
		b = b[n:]
	}
}

// toDisk moves what is in memory to a spool file.
func (h *Hold) toDisk() error {
	if h.spool != nil {
		return nil
	}
	s, err := newSpool(h.dir)
	if err != nil {
		return &HoldError{h.dir, h.size, err}
	}
	h.spool = s
	for _, b := range h.blocks {
		if _, err := s.Write(b); err != nil {
			return &HoldError{h.dir, h.size, err}
		}
	}
	h.blocks = nil
	return nil
}

// Size returns how many bytes are held.
func (h *Hold) Size() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size
}

// Release writes everything to w, in the order in which it came; nothing may be
// written to the hold any more. An error of w is a *CopyError. Close may be
// called meanwhile and ends it.
func (h *Hold) Release(w io.Writer) error {
	h.mu.Lock()
	blocks, file, size := h.blocks, h.spool, h.size
	h.mu.Unlock()
	var done int64
	for _, b := range blocks {
		n, err := w.Write(b)
		done += int64(n)
		if err != nil {
			return &CopyError{Write: true, Bytes: done, Err: err}
		}
	}
	if file == nil {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return &HoldError{h.dir, size, err}
	}
	n, err := io.Copy(w, file.File)
	switch {
	case err != nil:
		return &CopyError{Write: true, Bytes: n, Err: err}
	case n != size:
		return &HoldError{h.dir, size, fmt.Errorf("the spool file holds %d bytes", n)}
	}
	return nil
}

// Keep leaves everything in a file of the hold's folder and returns its path.
// The name of the file begins with the given one.
func (h *Hold) Keep(name string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.toDisk(); err != nil {
		return "", err
	}
	path, err := h.spool.keep(h.dir, name)
	if err != nil {
		return "", &HoldError{h.dir, h.size, err}
	}
	h.closed, h.spool = true, nil
	return path, nil
}

// Close removes what is held.
func (h *Hold) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed, h.blocks = true, nil
	if h.spool == nil {
		return nil
	}
	err := h.spool.remove()
	h.spool = nil
	return err
}

// spool is a file that nobody else can see where the system knows such files,
// so that it is gone with the process however that ends; elsewhere it has a
// name until it is removed.
type spool struct {
	*os.File
	nameless bool
}

func newSpool(dir string) (*spool, error) {
	if f, err := openNameless(dir); err == nil {
		return &spool{f, true}, nil
	}
	f, err := os.CreateTemp(dir, ".profiler-hold-*")
	if err != nil {
		return nil, err
	}
	return &spool{f, false}, nil
}

// remove closes the file and takes its name away if it has one.
func (s *spool) remove() error {
	err := s.Close()
	if s.nameless {
		return err
	}
	return errors.Join(err, os.Remove(s.Name()))
}

// keep gives the file a name that is free, and closes it.
func (s *spool) keep(dir, name string) (string, error) {
	if err := s.Sync(); err != nil {
		return "", err
	}
	place, err := os.CreateTemp(dir, name+"-*.held") // only its name is wanted
	if err != nil {
		return "", err
	}
	path := place.Name()
	if s.nameless {
		if err = linkNameless(s.File, path); err != nil { // no /proc
			err = s.copyTo(place)
		}
	} else {
		err = os.Rename(s.Name(), path)
	}
	err = errors.Join(err, place.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, s.Close()
}

// copyTo writes the whole file to another.
func (s *spool) copyTo(place *os.File) error {
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(place, s.File); err != nil {
		return err
	}
	return place.Sync()
}

// FileName makes a text usable as a part of a file's name.
func FileName(text string) string {
	return string(bytes.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, []byte(text)))
}
