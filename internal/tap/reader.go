package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source"
)

// PanicError is a mistake of the program that was met while profiling; the
// bytes went on.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns one line.
func (e *PanicError) Error() string {
	return fmt.Sprintf("a mistake of the program: %v; please report it with the input", e.Value)
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: debug.Stack()}
	}
}

// Reader gives the rows of a window. It implements batch.Reader.
type Reader struct {
	src    *source.Reader
	window *Window
}

var _ batch.Reader = (*Reader)(nil)

// Open finds out what the window holds and opens it, as package source opens
// the standard input. The caller closes the reader.
func (w *Window) Open(ctx context.Context) (r *Reader, err error) {
	defer recovered(&err)
	in, err := source.Expand([]string{source.Stdin}, false)
	if err != nil {
		return nil, err
	}
	o := w.form.options
	o.Stdin = w
	src, err := source.Open(ctx, in[0], o)
	if err != nil {
		return nil, w.explained(err)
	}
	return &Reader{src: src, window: w}, nil
}

// explained replaces the error that comes of a stream that ends short.
func (w *Window) explained(err error) error {
	if w.short == "" {
		return err
	}
	return &batch.DataError{
		Source: "standard input", Offset: w.lost[len(w.lost)-1].From, Reason: "the profile could not keep up, and " + w.short,
		Advice: "profile the stored data instead", Err: err,
	}
}

// Source is the reader behind this one.
func (r *Reader) Source() *source.Reader { return r.src }

// Next fills the chunk with the next rows. Where bytes were left out and no
// record can be found again the rows end.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) (err error) {
	defer recovered(&err)
	err = r.src.Next(ctx, c)
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil && r.window.short != "" {
		c.Reset(len(r.src.Columns()), nil)
		return io.EOF
	}
	return err
}

// Columns returns the columns found so far.
func (r *Reader) Columns() []batch.Column { return r.src.Columns() }

// Stats returns what was met so far besides rows: bytes and places are those
// of the stream.
func (r *Reader) Stats() batch.Stats {
	s := r.src.Stats()
	s.Bytes = r.window.seen
	if first := s.FirstMalformed; first != nil && r.src.Info().Compression == "" {
		at := *first
		at.Offset = r.window.place(at.Offset)
		s.FirstMalformed = &at
	}
	return s
}

// Hash identifies what was read.
func (r *Reader) Hash() string { return r.src.Hash() }

// Partial reports whether bytes of the window were left out.
func (r *Reader) Partial() bool { return r.window.Coverage().Partial() }

// Close closes the reader behind this one.
func (r *Reader) Close() error { return r.src.Close() }
