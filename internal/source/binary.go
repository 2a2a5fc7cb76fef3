package source

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/arrow"
	"github.com/profilerhq/profiler/internal/source/parquet"
)

// binaryFormat is a format that is no text, and its extensions.
type binaryFormat struct {
	name, title string // as --format has it and as a message does
	extensions  []string
	is          func(head []byte) bool
	open        func(f *file, src *bufio.Reader, disk *os.File, name string) error
}

var binaryFormats = []binaryFormat{
	{"parquet", "a Parquet file", []string{".parquet"}, func(head []byte) bool { return len(head) >= 4 && string(head[:4]) == "PAR1" && !startsText(head) }, (*file).openParquet},
	{"arrow", "an Arrow file", []string{".arrow", ".arrows", ".feather", ".ipc"}, arrow.Is, (*file).openArrow},
}

// openBinary opens a binary format; ok is false if the content is none. The
// format is that of the content, and that of --format or of the name has to be
// the same.
func (f *file) openBinary(src *bufio.Reader, disk *os.File, name string, opts Options) (ok bool, err error) {
	f.wanted, f.unpackLimit = opts.Columns, opts.unpackLimit()
	head, err := src.Peek(4096) // a schema may be long
	if err != nil && len(head) == 0 && err != io.EOF {
		return false, err
	}
	for _, b := range binaryFormats {
		is := b.is(head)
		if is && opts.Format != "" && opts.Format != b.name {
			return true, &batch.DataError{Source: name, Offset: -1, Reason: fmt.Sprintf("is %s, not %s", b.title, opts.Format), Advice: "leave out --format, or write --format " + b.name}
		}
		if is {
			return true, b.open(f, src, disk, name)
		}
	}
	for _, b := range binaryFormats {
		if opts.Format == b.name || opts.Format == "" && f.hasExt(name, b.extensions...) {
			return true, b.open(f, src, disk, name)
		}
	}
	return false, nil
}

// openParquet reads from the file itself, or from a temporary copy of what
// comes in a stream or packed.
func (f *file) openParquet(src *bufio.Reader, disk *os.File, name string) error {
	if head, _ := src.Peek(4); string(head) != "PAR1" {
		reason := "is not a Parquet file"
		if len(head) == 0 {
			reason = "is empty; a Parquet file has at least a footer"
		}
		return &batch.DataError{Source: name, Offset: 0, Reason: reason, Advice: "write it again, or name the right format with --format"}
	}
	disk, size, err := f.seekable(src, disk, name)
	if err != nil {
		return err
	}
	r, err := parquet.New(disk, size, parquet.Options{Source: name, Columns: f.wanted, UnpackLimit: f.unpackLimit})
	if err != nil {
		return err
	}
	f.Reader, f.info.Format = r, "parquet"
	return nil
}

// seekable returns the file itself, or a temporary copy of what comes in a
// stream or packed, with its size. All of src is read.
func (f *file) seekable(src *bufio.Reader, disk *os.File, name string) (*os.File, int64, error) {
	if disk == nil || f.info.Compression != "" {
		spool, err := os.CreateTemp("", "profiler-*")
		if err != nil {
			return nil, 0, fmt.Errorf("%s: keep a copy for reading: %w", name, err)
		}
		f.closers = append(f.closers, func() error { spool.Close(); return os.Remove(spool.Name()) })
		if _, err := io.Copy(spool, src); err != nil {
			return nil, 0, fmt.Errorf("%s: keep a copy for reading: %w", name, err)
		}
		disk = spool
	} else if _, err := io.Copy(io.Discard, src); err != nil { // the content's hash and size
		return nil, 0, err
	}
	info, err := disk.Stat()
	if err != nil {
		return nil, 0, unreadable(name, err)
	}
	return disk, info.Size(), nil
}

// openArrow reads a file or a stream from its beginning, or by the footer if
// the file needs that.
func (f *file) openArrow(src *bufio.Reader, disk *os.File, name string) error {
	opts := arrow.Options{Source: name, Columns: f.wanted, UnpackLimit: f.unpackLimit}
	if head, _ := src.Peek(12); arrow.NeedsFooter(head) {
		disk, size, err := f.seekable(src, disk, name)
		if err != nil {
			return err
		}
		r, err := arrow.NewFile(disk, size, opts)
		if err != nil {
			return err
		}
		f.Reader, f.info.Format = r, "arrow"
		return nil
	}
	r, err := arrow.New(src, opts)
	if err != nil {
		return err
	}
	f.Reader, f.info.Format = r, "arrow"
	return nil
}
