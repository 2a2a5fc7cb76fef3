package split

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// File is a file that comes to be whole or not at all: it is written beside its
// place. A name that ends in .gz or .zst packs it.
type File struct {
	path string
	tmp  *os.File // nil for a device or a pipe
	out  io.Writer
	pack io.Closer
	raw  *os.File
}

// Create starts a file.
func Create(path string) (*File, error) {
	f := &File{path: path}
	var err error
	if info, serr := os.Stat(path); serr == nil && !info.Mode().IsRegular() {
		f.raw, err = os.OpenFile(path, os.O_WRONLY, 0)
	} else {
		f.tmp, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
		f.raw = f.tmp
	}
	if err != nil {
		return nil, err
	}
	f.out = f.raw
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		z := gzip.NewWriter(f.raw)
		f.out, f.pack = z, z
	case ".zst", ".zstd":
		z, err := zstd.NewWriter(f.raw)
		if err != nil {
			return nil, err
		}
		f.out, f.pack = z, z
	}
	return f, nil
}

// Write appends to the file.
func (f *File) Write(b []byte) (int, error) { return f.out.Write(b) }

// Commit puts the file in its place.
func (f *File) Commit() error {
	err := f.close()
	if err == nil && f.tmp != nil {
		err = errors.Join(os.Chmod(f.tmp.Name(), 0o644), os.Rename(f.tmp.Name(), f.path))
	}
	if err != nil {
		f.remove()
	}
	return err
}

// Abort drops what was written.
func (f *File) Abort() {
	if f.raw == nil {
		return
	}
	_ = f.close()
	f.remove()
}

func (f *File) remove() {
	if f.tmp != nil {
		_ = os.Remove(f.tmp.Name()) // it may be gone
	}
}

func (f *File) close() error {
	var err error
	if f.raw == nil {
		return nil
	}
	if f.pack != nil {
		err = f.pack.Close()
	}
	err = errors.Join(err, f.raw.Close())
	f.raw = nil
	return err
}
