package cli

import (
	"context"
	"io"
)

// stdin reads the standard input until the context ends. A read of a pipe
// that nobody writes to cannot be stopped, so it runs beside; the program ends
// while it still waits.
type stdin struct {
	ctx     context.Context //nolint:containedctx // io.Reader takes none
	src     io.Reader
	buf     []byte
	rest    []byte
	err     error
	reading bool
	done    chan received
}

type received struct {
	n   int
	err error
}

func newStdin(ctx context.Context, src io.Reader) *stdin {
	return &stdin{ctx: ctx, src: src, buf: make([]byte, 256<<10), done: make(chan received, 1)}
}

// Read returns what has come. When the context ends its error is returned.
func (s *stdin) Read(b []byte) (int, error) {
	if len(s.rest) == 0 && s.err == nil {
		if !s.reading {
			s.reading = true
			go func() {
				n, err := s.src.Read(s.buf)
				s.done <- received{n, err}
			}()
		}
		select {
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		case r := <-s.done:
			s.reading, s.rest, s.err = false, s.buf[:r.n], r.err
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	if len(s.rest) == 0 {
		return n, s.err
	}
	return n, nil
}
