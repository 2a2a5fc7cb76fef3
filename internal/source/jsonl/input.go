package jsonl

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/profilerhq/profiler/internal/batch"
)

// input is a window over the source: what is unread is buf[pos:end]. At least
// spare bytes follow, of which the first is zero.
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

// spared is the window with its spare bytes.
func (in *input) spared() []byte { return in.buf[in.pos : in.end+spare] }

// fill reads more input behind end, moving what is unread to the front of the
// buffer or growing it.
func (in *input) fill() error {
	if in.pos > 0 {
		copy(in.buf, in.buf[in.pos:in.end])
		in.offset += int64(in.pos)
		in.end -= in.pos
		in.pos = 0
	}
	if in.end == len(in.buf)-spare {
		in.buf = append(in.buf, make([]byte, len(in.buf))...)
	}
	for range 100 {
		n, err := in.src.Read(in.buf[in.end : len(in.buf)-spare])
		in.end += n
		in.buf[in.end] = 0
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

// record returns the next record after parsing it, nil if it was malformed and
// counted, or io.EOF.
func (r *Reader) record() ([]byte, error) {
	if r.array {
		if err := r.enter(); err != nil {
			return nil, err
		}
	}
	r.parse.row = r.records + 1
	if rec := r.known(); rec != nil {
		r.records++
		return rec, nil
	}
	next := r.line
	if r.array {
		next = r.cut
	}
	rec, size, reason, err := next()
	if err != nil {
		return nil, err
	}
	r.records++
	start := r.in.place()
	if reason == "" {
		if r.parse.record(rec) {
			r.in.pos += size
			return rec, nil
		}
		reason = r.parse.why()
		start += int64(skipSpace(rec, 0))
	}
	if size > 0 {
		r.tellMalformed(r.in.window()[:size], reason, false)
	}
	r.in.pos += size
	r.stats.Malformed++
	if r.stats.FirstMalformed == nil {
		r.stats.FirstMalformed = &batch.Place{Source: r.opts.Source, Row: r.records, Offset: start, Reason: reason}
	}
	return nil, nil
}

// known returns the record at the window after parsing it if its end need not
// be found first: it has the form of the template, or is a valid item of the
// array. It must be whole in the window.
func (r *Reader) known() []byte {
	in := &r.in
	b := in.spared()
	end := -1
	if n := r.parse.predicted(b); n >= 0 {
		end = r.behind(b, n)
	}
	if end < 0 && r.array {
		end = r.parse.item(b[:min(len(b)-spare, RecordLimit+1)])
	}
	if end < 0 || end > RecordLimit {
		return nil
	}
	in.pos += end + 1
	r.closed = r.array && b[end] == ']'
	return b[:end]
}

// behind returns the index of the newline, comma or bracket that follows the
// object before b[i], -1 if there is none.
func (r *Reader) behind(b []byte, i int) int {
	if !r.array {
		if b[i] == '\r' {
			i++
		}
		if b[i] == '\n' {
			return i
		}
		return -1
	}
	if i = skipSpace(b, i); b[i] == ',' || b[i] == ']' {
		return i
	}
	return -1
}

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
		if r.opts.Records != nil {
			r.opts.Records(batch.Record{Kind: batch.OtherRecord, Text: in.window()[:size]})
		}
		in.pos += size
		searched = 0
	}
}

// tellMalformed hands a malformed record out, if that is wanted, or a part of
// one. Of an item of an array the separator behind it is left out.
func (r *Reader) tellMalformed(text []byte, reason string, more bool) {
	if r.opts.Records == nil {
		return
	}
	if r.array && !more {
		text = text[:max(0, len(text)-1)]
	}
	r.opts.Records(batch.Record{Kind: batch.MalformedRecord, Text: text, Reason: reason, More: more})
}

var tooLong = fmt.Sprintf("the record is longer than %d MiB", RecordLimit>>20)

// skipLine counts a line that is longer than RecordLimit as malformed, without
// holding it. It leaves the window at the end of the line.
func (r *Reader) skipLine() (rec []byte, size int, reason string, err error) {
	in := &r.in
	start := in.place()
	for {
		if i := bytes.IndexByte(in.window(), '\n'); i >= 0 {
			r.tellMalformed(in.window()[:i+1], tooLong, false)
			in.pos += i + 1
			break
		}
		r.tellMalformed(in.window(), tooLong, !in.eof)
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

// enter goes to the next item of the array; io.EOF says that there is none.
func (r *Reader) enter() error {
	if r.closed {
		return r.afterArray()
	}
	first := !r.begun
	if first {
		r.begun = true
		r.in.pos++ // the bracket that New saw
	}
	b, err := r.peek()
	if err == nil && first && b == ']' {
		r.in.pos++
		r.closed = true
		return r.afterArray()
	}
	return err
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
				r.tellMalformed(window[:n+1], tooLong, false)
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
			r.tellMalformed(window, tooLong, true)
			in.pos, searched = in.end, 0
		}
		if err := in.fill(); err != nil {
			return nil, 0, "", err
		}
	}
}
