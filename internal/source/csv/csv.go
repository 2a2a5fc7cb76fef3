// Package csv reads delimited text: any delimiter, quoted fields with
// newlines, RFC 4180 with the leniency that real files need. A malformed
// record costs one record: it is counted, its place is kept, reading goes on.
package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
)

// RecordLimit is the longest record in bytes. A longer one is malformed; an
// unclosed quote is found at this distance at the latest.
const RecordLimit = 16 << 20

// sniffBytes is how much of the head the delimiter is guessed from.
const sniffBytes = 64 << 10

// Options say how the text is written. The zero value is comma or whatever the
// head suggests, double quotes, a header.
type Options struct {
	// Source names the input in messages.
	Source string
	// Delimiter separates fields; 0 finds it among comma, semicolon, tab and
	// pipe.
	Delimiter byte
	// Quote encloses fields; 0 is the double quote.
	Quote byte
	// Comment begins a line that is passed over; 0 is none.
	Comment byte
	// NoHeader names columns column_1, column_2 … and takes the first record as
	// a row.
	NoHeader bool
	// Nulls are texts of unquoted fields that mean null beside the empty one.
	Nulls []string
}

// field is one field of the current record: bytes start … end of the buffer,
// without the quotes. escaped fields hold doubled quotes.
type field struct {
	start, end int
	quoted     bool
	escaped    bool
}

// Reader reads delimited text as batches. It implements batch.Reader.
type Reader struct {
	opts     Options
	src      io.Reader
	classify batch.Classifier
	nulls    map[string]bool

	buf    []byte // unread input is buf[pos:end]
	pos    int
	end    int
	offset int64 // of buf[0] in the input
	eof    bool
	crOnly bool // lines end with a lone CR

	columns []batch.Column
	fields  []field
	scratch []byte
	records int64 // records met, malformed ones counted
	rows    int64
	stats   batch.Stats
	noQuote int64 // no quote stands at or behind this offset of the input; -1 is unknown
}

var _ batch.Reader = (*Reader)(nil)

// New returns a reader of src, which must be UTF-8, and reads the header. An
// input of 0 bytes has no columns and no rows. The caller keeps src open until
// the last call of Next; Close does not close it.
func New(src io.Reader, opts Options) (*Reader, error) {
	if opts.Quote == 0 {
		opts.Quote = '"'
	}
	r := &Reader{opts: opts, src: src, buf: make([]byte, 256<<10), noQuote: -1}
	r.nulls = map[string]bool{}
	for _, n := range opts.Nulls {
		if n != "" {
			r.nulls[n] = true
		}
	}
	if err := r.fillTo(sniffBytes); err != nil {
		return nil, err
	}
	head := r.buf[r.pos:r.end]
	r.crOnly = bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0
	if opts.Delimiter == 0 {
		r.opts.Delimiter = Sniff(head, r.opts.Quote)
	}
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	return r, nil
}

// Delimiter returns the delimiter in use.
func (r *Reader) Delimiter() byte { return r.opts.Delimiter }

// Columns returns the columns of the header.
func (r *Reader) Columns() []batch.Column { return r.columns }

// Stats returns what was met so far; Bytes is left to the opener, which knows
// the size before unpacking.
func (r *Reader) Stats() batch.Stats { return r.stats }

// Close releases the buffer.
func (r *Reader) Close() error {
	r.buf = nil
	return nil
}

// Next fills the chunk with the next rows.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Reset(len(r.columns))
	c.First = r.rows + 1
	for i := range c.Vectors {
		c.Vectors[i].HasText, c.Vectors[i].Inferred = true, true
	}
	limit := batch.ChunkRows(len(r.columns))
	size := 0
	for c.Rows < limit && size < 4<<20 {
		n, err := r.record()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n == 0 {
			continue // malformed
		}
		size += n
		r.append(c)
	}
	if c.Rows == 0 {
		return io.EOF
	}
	return nil
}

// append copies the fields of the current record to the chunk.
func (r *Reader) append(c *batch.Chunk) {
	for i := range r.fields {
		f := &r.fields[i]
		text := r.buf[f.start:f.end]
		v := &c.Vectors[i]
		switch {
		case f.quoted:
			if f.escaped {
				text = r.unescape(text)
			}
			if len(text) == 0 {
				v.Append(batch.Value{Type: batch.String}, nil)
				continue
			}
		case len(text) == 0, len(r.nulls) > 0 && r.nulls[string(text)]:
			v.AppendNull()
			continue
		}
		v.Append(r.classify.Text(text), text)
	}
	c.Rows++
	r.rows++
}

func (r *Reader) unescape(text []byte) []byte {
	r.scratch = r.scratch[:0]
	for i := 0; i < len(text); i++ {
		r.scratch = append(r.scratch, text[i])
		if text[i] == r.opts.Quote {
			i++
		}
	}
	return r.scratch
}

// record reads the next record into r.fields. It returns its size in bytes, 0
// if it was malformed and counted, or io.EOF.
func (r *Reader) record() (int, error) {
	for {
		line, size, err := r.line(r.pos)
		if err != nil {
			return 0, err
		}
		if size < 0 { // too long
			return 0, r.skipLong()
		}
		switch {
		case len(line) == 0:
			r.stats.BlankLines++
			r.pos += size
			continue
		case r.opts.Comment != 0 && line[0] == r.opts.Comment:
			r.pos += size
			continue
		}
		if bytes.IndexByte(line, r.opts.Quote) >= 0 {
			return r.slow()
		}
		r.split(line)
		start := r.offset + int64(r.pos)
		r.pos += size
		return r.checked(start, size), nil
	}
}

// checked counts a record of the wrong width as malformed.
func (r *Reader) checked(start int64, size int) int {
	r.records++
	if r.columns != nil && len(r.fields) != len(r.columns) {
		r.malformed(start, fmt.Sprintf("%s instead of %d", plural(len(r.fields), "field"), len(r.columns)))
		return 0
	}
	return size
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func (r *Reader) malformed(offset int64, reason string) {
	r.stats.Malformed++
	if r.stats.FirstMalformed == nil {
		r.stats.FirstMalformed = &batch.Place{Source: r.opts.Source, Row: r.records, Offset: offset, Reason: reason}
	}
}

// split cuts a line without quotes at the delimiters.
func (r *Reader) split(line []byte) {
	r.fields = r.fields[:0]
	at, d := r.pos, r.opts.Delimiter
	for {
		i := bytes.IndexByte(line, d)
		if i < 0 {
			r.fields = append(r.fields, field{start: at, end: at + len(line)})
			return
		}
		r.fields = append(r.fields, field{start: at, end: at + i})
		at += i + 1
		line = line[i+1:]
	}
}

// line returns the line that begins at buffer index from, without its end, and
// its size with it, reading more input as needed. The size is -1 when the line
// is longer than RecordLimit. io.EOF means that there is no line.
func (r *Reader) line(from int) (line []byte, size int, err error) {
	searched := 0
	ending := byte('\n')
	if r.crOnly {
		ending = '\r'
	}
	rel := from - r.pos
	for {
		window := r.buf[r.pos+rel : r.end]
		if i := bytes.IndexByte(window[searched:], ending); i >= 0 {
			n := searched + i
			line = window[:n]
			if !r.crOnly && n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, n + 1, nil
		}
		searched = len(window)
		if r.eof {
			if searched == 0 {
				return nil, 0, io.EOF
			}
			line = window
			if !r.crOnly && line[searched-1] == '\r' {
				line = line[:searched-1]
			}
			return line, searched, nil
		}
		if searched > RecordLimit {
			return nil, -1, nil
		}
		if err := r.fill(); err != nil {
			return nil, 0, err
		}
	}
}

// skipLong passes over a line that is longer than RecordLimit, without holding
// it, and counts it as malformed.
func (r *Reader) skipLong() error {
	start := r.offset + int64(r.pos)
	r.records++
	r.malformed(start, fmt.Sprintf("the record is longer than %d MiB", RecordLimit>>20))
	ending := byte('\n')
	if r.crOnly {
		ending = '\r'
	}
	for {
		if i := bytes.IndexByte(r.buf[r.pos:r.end], ending); i >= 0 {
			r.pos += i + 1
			return nil
		}
		r.pos = r.end
		if r.eof {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// slow parses a record with quotes by the exact state machine.
func (r *Reader) slow() (int, error) {
	start := r.offset + int64(r.pos)
	r.fields = r.fields[:0]
	at := 0 // relative to r.pos, which only moves when the record is done
	for {
		next, reason, err := r.slowField(at)
		if err != nil {
			return 0, err
		}
		if reason != "" {
			r.records++
			r.malformed(start, reason)
			return 0, r.resume(next)
		}
		at = next.at
		if next.done {
			r.pos += at
			return r.checked(start, at), nil
		}
	}
}

// step is where the parser stands after a field: at is relative to r.pos; done
// says that the record ended there.
type step struct {
	at   int
	done bool
}

// resume goes on after a malformed record: at the end of the line on which the
// parser stands, for an unclosed quote the line on which the record began.
func (r *Reader) resume(s step) error {
	_, size, err := r.line(r.pos + s.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.pos += s.at
	if size < 0 {
		return r.skipLong()
	}
	r.pos += size
	return nil
}

// slowField parses the field at r.pos+at. A reason says why the record is
// malformed; the step then tells where reading goes on.
func (r *Reader) slowField(at int) (step, string, error) {
	b, err := r.peek(at)
	if err != nil {
		return step{}, "", err
	}
	if b != r.opts.Quote || r.atEnd(at) {
		return r.bareField(at)
	}
	open := at
	at++
	escaped := false
	for {
		i, err := r.indexQuote(at)
		if err != nil {
			return step{}, "", err
		}
		if i < 0 {
			return step{at: 0}, "a quote is not closed", nil
		}
		at = i + 1
		b, err := r.peek(at)
		if err != nil {
			return step{}, "", err
		}
		if !r.atEnd(at) && b == r.opts.Quote {
			escaped = true
			at++
			continue
		}
		r.fields = append(r.fields, field{start: r.pos + open + 1, end: r.pos + i, quoted: true, escaped: escaped})
		return r.afterField(at)
	}
}

// afterField expects a delimiter or the end of the record.
func (r *Reader) afterField(at int) (step, string, error) {
	b, err := r.peek(at)
	switch {
	case err != nil:
		return step{}, "", err
	case r.atEnd(at):
		return step{at: at, done: true}, "", nil
	case b == r.opts.Delimiter:
		return step{at: at + 1}, "", nil
	case b == '\n', b == '\r' && r.crOnly:
		return step{at: at + 1, done: true}, "", nil
	case b == '\r':
		if n, err := r.peek(at + 1); err != nil {
			return step{}, "", err
		} else if n == '\n' && !r.atEnd(at+1) {
			return step{at: at + 2, done: true}, "", nil
		} else if r.atEnd(at + 1) {
			return step{at: at + 1, done: true}, "", nil
		}
	}
	return step{at: at}, "text after a closing quote", nil
}

// bareField parses a field without quotes; a quote inside is text.
func (r *Reader) bareField(at int) (step, string, error) {
	start := at
	for {
		b, err := r.peek(at)
		if err != nil {
			return step{}, "", err
		}
		if r.atEnd(at) || b == r.opts.Delimiter || b == '\n' || (b == '\r' && r.crOnly) {
			end := at
			if !r.crOnly && end > start && r.buf[r.pos+end-1] == '\r' && (r.atEnd(at) || b == '\n') {
				end--
			}
			r.fields = append(r.fields, field{start: r.pos + start, end: r.pos + end})
			if r.atEnd(at) {
				return step{at: at, done: true}, "", nil
			}
			return step{at: at + 1, done: b != r.opts.Delimiter}, "", nil
		}
		at++
	}
}

// peek returns the byte at r.pos+at, reading more input as needed; 0 at the
// end of the input, which atEnd tells apart.
func (r *Reader) peek(at int) (byte, error) {
	for r.pos+at >= r.end && !r.eof {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	if r.atEnd(at) {
		return 0, nil
	}
	return r.buf[r.pos+at], nil
}

func (r *Reader) atEnd(at int) bool { return r.eof && r.pos+at >= r.end }

// indexQuote returns where the next quote stands at or after r.pos+at,
// relative to r.pos; -1 if the record limit or the end comes first.
func (r *Reader) indexQuote(at int) (int, error) {
	from := at
	place := r.offset + int64(r.pos+at)
	if r.noQuote >= 0 && place >= r.noQuote {
		return -1, nil
	}
	for {
		if r.pos+from < r.end {
			if i := bytes.IndexByte(r.buf[r.pos+from:r.end], r.opts.Quote); i >= 0 {
				if from+i > RecordLimit {
					return -1, nil
				}
				return from + i, nil
			}
		}
		from = max(from, r.end-r.pos)
		if r.eof {
			r.noQuote = place
			return -1, nil
		}
		if from > RecordLimit {
			return -1, nil
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more input behind r.end, moving what is unread to the front of
// the buffer or growing it. Indexes relative to r.pos stay valid, fields of
// the current record are moved along.
func (r *Reader) fill() error {
	if r.pos > 0 {
		copy(r.buf, r.buf[r.pos:r.end])
		for i := range r.fields {
			r.fields[i].start -= r.pos
			r.fields[i].end -= r.pos
		}
		r.offset += int64(r.pos)
		r.end -= r.pos
		r.pos = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if errors.Is(err, io.EOF) {
			r.eof = true
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

// fillTo reads until n bytes are buffered or the input ends.
func (r *Reader) fillTo(n int) error {
	for r.end-r.pos < n && !r.eof {
		if err := r.fill(); err != nil {
			return err
		}
	}
	return nil
}

// readHeader reads the first record as names of columns, or counts its fields.
func (r *Reader) readHeader() error {
	for {
		n, err := r.record()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		names := make([]string, len(r.fields))
		for i, f := range r.fields {
			text := r.buf[f.start:f.end]
			if f.escaped {
				text = r.unescape(text)
			}
			if !r.opts.NoHeader {
				names[i] = strings.TrimSpace(string(text))
			}
		}
		if r.opts.NoHeader { // the record is read again as a row
			r.pos -= n
			r.records--
		} else {
			r.records = 0
		}
		var notes []string
		names, notes = uniqueNames(names, r.opts.NoHeader)
		r.stats.Notes = append(r.stats.Notes, notes...)
		r.columns = make([]batch.Column, len(names))
		for i, name := range names {
			r.columns[i].Name = name
		}
		return nil
	}
}

// uniqueNames gives empty names a number and repeated ones a suffix, and notes
// what it changed.
func uniqueNames(names []string, quiet bool) (unique, notes []string) {
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		seen[n] = true
	}
	used := make(map[string]bool, len(names))
	for i, n := range names {
		name := n
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		for k := 2; used[name] || (name != n && seen[name]); k++ {
			name = fmt.Sprintf("%s_%d", strings.TrimSuffix(n, "_"), k)
			if n == "" {
				name = fmt.Sprintf("column_%d_%d", i+1, k)
			}
		}
		used[name] = true
		if name != n && !quiet && len(notes) < 10 {
			notes = append(notes, fmt.Sprintf("column %d is named %q because its name %q is empty or repeated", i+1, name, n))
		}
		names[i] = name
	}
	return names, notes
}
