package split

import (
	"errors"
	"fmt"
	"os"

	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/source/arrow"
	"github.com/profilerhq/profiler/internal/source/parquet"
)

// parts are the rows of a binary format.
type parts interface {
	Good() error
	Bad(rule, reason string, row int64) error
	Close() error
}

// binarySides part the rows of a file in a binary format.
type binarySides struct {
	file *os.File
	parts
	name string
}

// openBinary starts parting a Parquet or an Arrow file.
func (w *walk) openBinary(info source.Info) (sides, error) {
	in := w.job.Input
	switch {
	case len(in.Files) > 1:
		return nil, &UsageError{fmt.Sprintf("%s: %d files of %s cannot be parted together; part them one by one", in.URL, len(in.Files), info.Format)}
	case info.Compression != "":
		return nil, &UsageError{fmt.Sprintf("%s: a packed file of %s cannot be parted; unpack it first", in.URL, info.Format)}
	}
	file, closing, err := w.disk()
	if err != nil {
		return nil, err
	}
	names := [3]string{RuleColumn, ReasonColumn, RowColumn}
	s := &binarySides{file: closing, name: in.URL}
	switch info.Format {
	case "parquet":
		size, err := file.Stat()
		if err != nil {
			return nil, err
		}
		s.parts, err = parquet.NewParts(file, size.Size(), w.job.Good, w.job.Bad, names)
		return s, s.named(err)
	case "arrow":
		s.parts, err = arrow.NewParts(file, w.job.Good, w.job.Bad, names)
		return s, s.named(err)
	}
	return nil, &UsageError{fmt.Sprintf("%s: rows of the format %s cannot be parted; write CSV, JSON lines, Parquet or Arrow", in.URL, info.Format)}
}

// disk opens the input a second time. What is to be closed is nil for a file
// that is not ours.
func (w *walk) disk() (file, closing *os.File, err error) {
	path := w.job.Input.Files[0]
	if path == source.Stdin {
		f, ok := w.job.Options.Stdin.(*os.File)
		if !ok {
			return nil, nil, errors.New("BUG: the standard input is not kept")
		}
		path = f.Name()
	}
	file, err = os.Open(path)
	return file, file, err
}

func (s *binarySides) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: part the rows: %w", s.name, err)
}

func (s *binarySides) good() error { return s.named(s.Good()) }

func (s *binarySides) bad(rule, reason string, row int64) error {
	return s.named(s.Bad(rule, reason, row))
}

func (s *binarySides) close() error {
	err := s.named(s.Close())
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	return err
}
