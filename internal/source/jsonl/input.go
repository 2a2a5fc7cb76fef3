package jsonl

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/profilerhq/profiler/internal/batch"
)

// input is a window over the source: what is unread is buf[pos:end].
type input struct {
	src    io.Reader
	buf    []byte
	pos    int
	end    int
	offset int64 // of buf[0] in the source
	eof    bool
}

// place is the offset of the first unread byte.
func (in *input) place() int64 { return in.offset + int64(in.pos) }

func (in *input) window() []byte { return in.buf[in.pos:in.end] }

// fill reads more input behind end, moving what is unread to the front of the
// buffer or growing it.
func (in *input) fill() error {
	if in.pos > 0 {
		copy(in.buf, in.buf[in.pos:in.end])
		in.offset += int64(in.pos)
		in.end -= in.pos
		in.pos = 0
	}
	if in.end == len(in.buf) {
		in.buf = append(in.buf, make([]byte, len(in.buf))...)
	}
	for range 100 {
		n, err := in.src.Read(in.buf[in.end:])
		in.end += n
		if errors.Is(err, io.EOF) {
			in.eof = true
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// skipSpace passes over white space and returns the number of lines that held
// nothing else, io.EOF if nothing else follows.
func (in *input) skipSpace() (blank int64, err error) {
	rest := false // the line passed over so far is not empty
	for {
		for in.pos < in.end {
			b := in.buf[in.pos]
			if !isSpace(b) {
				return blank, nil
			}
			in.pos++
			rest = b != '\n'
			if b == '\n' {
				blank++
			}
		}
		if in.eof {
			if rest {
				blank++
			}
			return blank, io.EOF
		}
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

// line returns the next line that is not blank, and its size with its end. A
// reason says that it is malformed and was passed over.
func (r *Reader) line() (rec []byte, size int, reason string, err error) {
	in := &r.in
	searched := 0
	for {
		window := in.window()
		i := bytes.IndexByte(window[searched:], '\n')
		switch {
		case i >= 0:
			rec, size = window[:searched+i], searched+i+1
		case in.eof && len(window) == 0:
			return nil, 0, "", io.EOF
		case in.eof:
			rec, size = window, len(window)
		case len(window) > RecordLimit:
			return r.skipLine()
		default:
			searched = len(window)
			if err := in.fill(); err != nil {
				return nil, 0, "", err
			}
			continue
		}
		if skipSpace(rec, 0) < len(rec) {
			if len(rec) > RecordLimit {
				return nil, size, tooLong, nil
			}
			return rec, size, "", nil
		}
		r.stats.BlankLines++
		in.pos += size
		searched = 0
	}
}

var tooLong = fmt.Sprintf("the record is longer than %d MiB", RecordLimit>>20)

// skipLine counts a line that is longer than RecordLimit as malformed, without
// holding it. It leaves the window at the end of the line.
func (r *Reader) skipLine() (rec []byte, size int, reason string, err error) {
	in := &r.in
	start := in.place()
	for {
		if i := bytes.IndexByte(in.window(), '\n'); i >= 0 {
			in.pos += i + 1
			break
		}
		in.pos = in.end
		if in.eof {
			break
		}
		if err := in.fill(); err != nil {
			return nil, 0, "", err
		}
	}
	r.placeLong(start)
	return nil, 0, tooLong, nil
}

// placeLong keeps the place of a malformed record that is no longer in the
// window.
func (r *Reader) placeLong(start int64) {
	if r.stats.FirstMalformed == nil {
		r.stats.FirstMalformed = &batch.Place{Source: r.opts.Source, Row: r.records + 1, Offset: start, Reason: tooLong}
	}
}

// element returns the next item of the array and its size with the comma
// behind it. A reason says that it is malformed.
func (r *Reader) element() (rec []byte, size int, reason string, err error) {
	in := &r.in
	if r.closed {
		return nil, 0, "", r.afterArray()
	}
	if !r.begun {
		r.begun = true
		in.pos++ // the bracket that New saw
		b, err := r.peek()
		if err != nil {
			return nil, 0, "", err
		}
		if b == ']' {
			in.pos++
			r.closed = true
			return nil, 0, "", r.afterArray()
		}
	}
	if _, err := r.peek(); err != nil {
		return nil, 0, "", err
	}
	return r.cut()
}

// peek passes over white space and returns the byte behind it.
func (r *Reader) peek() (byte, error) {
	start := r.in.place()
	if _, err := r.in.skipSpace(); err != nil {
		if errors.Is(err, io.EOF) {
			return 0, r.truncated(start)
		}
		return 0, err
	}
	return r.in.buf[r.in.pos], nil
}

func (r *Reader) truncated(start int64) error {
	return &batch.DataError{
		Source: r.opts.Source, Offset: start,
		Reason: "the array is not closed: the input ends inside it, in or behind the record that begins here",
		Advice: "get the whole file again; it was probably cut off",
		Err:    io.ErrUnexpectedEOF,
	}
}

// afterArray returns io.EOF if nothing follows the array.
func (r *Reader) afterArray() error {
	if _, err := r.in.skipSpace(); err != nil {
		return err
	}
	return &batch.DataError{
		Source: r.opts.Source, Offset: r.in.place(), Reason: "text follows the closing bracket of the array",
		Advice: "give one array of objects alone, or one object a line",
	}
}

// cutter finds the end of an item by its brackets and quotes.
type cutter struct {
	depth  int
	quoted bool
	escape bool
}

// find returns the index of the comma or bracket behind the item, -1 if it is
// not in b. It may be called again with what follows b.
func (s *cutter) find(b []byte) int {
	for i := 0; i < len(b); i++ {
		ch := b[i]
		if s.quoted {
			switch {
			case s.escape:
				s.escape = false
			case ch == '\\':
				s.escape = true
			case ch == '"':
				s.quoted = false
			}
			continue
		}
		switch ch {
		case '"':
			s.quoted = true
		case '{', '[':
			s.depth++
		case '}', ']':
			if s.depth == 0 {
				if ch == ']' {
					return i
				}
				continue // a stray brace; the parser will say so
			}
			s.depth--
		case ',':
			if s.depth == 0 {
				return i
			}
		}
	}
	return -1
}

// cut returns the item at the window. The text up to the next comma or the end
// of the array belongs to it, so that garbage costs one record.
func (r *Reader) cut() (rec []byte, size int, reason string, err error) {
	in := &r.in
	var s cutter
	start, searched, long := in.place(), 0, false
	for {
		window := in.window()
		if i := s.find(window[searched:]); i >= 0 {
			n := searched + i
			r.closed = window[n] == ']'
			switch {
			case long:
				in.pos += n + 1
				r.placeLong(start)
				return nil, 0, tooLong, nil
			case n > RecordLimit:
				return nil, n + 1, tooLong, nil
			}
			return window[:n], n + 1, "", nil
		}
		searched = len(window)
		if in.eof {
			return nil, 0, "", r.truncated(start)
		}
		if long = long || searched > RecordLimit; long {
			in.pos, searched = in.end, 0
		}
		if err := in.fill(); err != nil {
			return nil, 0, "", err
		}
	}
}
