// Package tap copies a stream byte for byte and profiles it on the way. The
// copying comes first: it hands blocks to the profile through a bounded queue
// and never waits for it, unless a gate wants the verdict of all bytes. What
// the profile cannot take is left out, and it goes on at a certain start of a
// record.
package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/profilerhq/profiler/internal/source"
)

// QueueBytes is how much may lie between the copying and the profile.
const QueueBytes = 64 << 20

// Every says how an endless stream is cut into windows. The zero value is one
// window.
type Every struct {
	// Rows is the number of records of a window, malformed ones counted.
	Rows int64
	// Period cuts at the multiples of a time, by the clock.
	Period time.Duration
}

func (e Every) set() bool { return e.Rows > 0 || e.Period > 0 }

// Options configure a Tap.
type Options struct {
	// Source says how the stream is written; Stdin is not used.
	Source source.Options
	Every  Every
	// Wait makes a full queue wait for the profile: for gates.
	Wait bool
	// First makes the profile stand back behind the copying where the system can
	// do that. It is for the whole process and until its end.
	First bool
	// QueueBytes bounds the queue; 0 is QueueBytes.
	QueueBytes int
}

// Tap copies one stream.
type Tap struct {
	opts   Options
	src    io.Reader
	dst    io.Writer
	queue  *queue
	stream *stream
}

// New returns a tap that copies src to dst.
func New(src io.Reader, dst io.Writer, opts Options) *Tap {
	if opts.QueueBytes == 0 {
		opts.QueueBytes = QueueBytes
	}
	q := newQueue(opts.QueueBytes, BlockBytes, opts.Wait, func(head []byte) form {
		f := formOf(head, opts.Source)
		if opts.Wait && !opts.Every.set() {
			f.records = false // nothing is left out, so nothing is held back
		}
		return f
	})
	return &Tap{opts: opts, src: src, dst: dst, queue: q, stream: &stream{q: q, every: opts.Every}}
}

// CopyError says that the stream could not be read or written to its end.
type CopyError struct {
	Write bool // else reading
	Bytes int64
	Err   error
}

// Error returns one line: what, and after how many bytes.
func (e *CopyError) Error() string {
	what := "standard input cannot be read any further"
	if e.Write {
		what = "standard output cannot be written any further"
	}
	return fmt.Sprintf("%s: %v (after %d bytes)", what, e.Err, e.Bytes)
}

// Unwrap returns the cause.
func (e *CopyError) Unwrap() error { return e.Err }

// BrokenPipe reports whether an error says that nobody reads the output any
// more.
func BrokenPipe(err error) bool {
	var c *CopyError
	return errors.As(err, &c) && c.Write && (errors.Is(c.Err, syscall.EPIPE) || errors.Is(c.Err, io.ErrClosedPipe))
}

// Result is what became of a stream that was copied to its end.
type Result struct {
	// Bytes is how many were copied.
	Bytes int64
	// Err is what ended the profile early, or else the last error of the judge.
	Err error
}

// Run copies the stream to its end and calls judge for each window, one after
// the other, beside that. copied is called when the last byte is written, while
// the profile may still be at work; it may be nil.
//
// The error is a *CopyError, or that of the context; then Run returns at once,
// although a read or the judge may still hang: the program is to end. With
// Wait it also returns as soon as the judge has failed. Whatever the judge
// does else, panics counted, the bytes go on, and Result tells.
func (t *Tap) Run(ctx context.Context, judge func(context.Context, *Window) error, copied func() error) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	copying, profiling := make(chan error, 1), make(chan error, 1)
	stop := t.ticks()
	defer stop()
	go func() { copying <- t.copy() }()
	go func() { profiling <- t.profile(ctx, judge) }()
	res := Result{}
	for copying != nil || profiling != nil {
		select {
		case <-ctx.Done():
			t.queue.abort(ctx.Err())
			return res, ctx.Err()
		case err := <-copying:
			copying = nil
			stop()
			if err == nil && copied != nil {
				if cerr := copied(); cerr != nil {
					err = &CopyError{Write: true, Bytes: t.queue.bytes(), Err: cerr}
				}
			}
			if err != nil {
				t.queue.abort(err)
				return res, err
			}
		case res.Err = <-profiling:
			profiling = nil
			if t.opts.Wait && res.Err != nil {
				return res, nil
			}
		}
	}
	res.Bytes = t.queue.bytes()
	return res, nil
}

// copy moves the bytes.
func (t *Tap) copy() error {
	if t.opts.First {
		stepForward()
	}
	var total int64
	for {
		b := t.queue.space()
		n, err := t.src.Read(b)
		if n > 0 {
			w, werr := t.dst.Write(b[:n])
			total += int64(w)
			if werr == nil && w < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return &CopyError{Write: true, Bytes: total, Err: werr}
			}
			t.queue.commit(n)
		}
		if errors.Is(err, io.EOF) {
			t.queue.finish(nil)
			return nil
		}
		if err != nil {
			t.queue.finish(err)
			return &CopyError{Bytes: total, Err: err}
		}
	}
}

// ticks ends windows at the multiples of the period until stop is called.
func (t *Tap) ticks() (stop func()) {
	p := t.opts.Every.Period
	if p <= 0 {
		return func() {}
	}
	now := time.Now()
	t.stream.next = now
	done := make(chan struct{})
	go func() {
		end := now.Truncate(p)
		for {
			now = time.Now()
			if end = end.Add(p); end.Before(now) { // the machine slept
				end = now.Truncate(p).Add(p)
			}
			timer := time.NewTimer(end.Sub(now))
			select {
			case <-done:
				timer.Stop()
				return
			case <-timer.C:
				t.queue.tick(end)
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

// profile calls the judge for each window until the stream ends.
func (t *Tap) profile(ctx context.Context, judge func(context.Context, *Window) error) (last error) {
	defer t.queue.abandon()
	for {
		w, err := t.stream.nextWindow()
		switch {
		case errors.Is(err, io.EOF):
			return last
		case err != nil:
			return err
		}
		if err := judged(ctx, judge, w); err != nil {
			last = err
		}
		if !t.opts.Every.set() {
			return last
		}
	}
}

// judged calls the judge and makes an error of a panic.
func judged(ctx context.Context, judge func(context.Context, *Window) error, w *Window) (err error) {
	defer recovered(&err)
	return judge(ctx, w)
}
