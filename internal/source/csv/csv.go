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
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
)

// RecordLimit is the longest record in bytes. A longer one is malformed; an
// unclosed quote is found at this distance at the latest.
const RecordLimit = 16 << 20

const (
	sniffBytes = 64 << 10  // how much of the head the delimiter is guessed from
	minBlock   = 256 << 10 // bytes of text of a chunk: it should fit the cache
	maxBlock   = 4 << 20   // for tables whose rows are long
)

// MaxColumns is how many fields a header may have.
const MaxColumns = 250_000

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
	// Records is called for each record as it is met, in their order; nil is
	// off.
	Records func(batch.Record)
}

// Reader reads delimited text as batches. It implements batch.Reader.
type Reader struct {
	opts   Options
	src    io.Reader
	nulls  map[string]bool
	crOnly bool // lines end with a lone CR

	tail   []byte // input that was read and not given out yet
	offset int64  // of the tail in the input
	eof    bool
	block  int // bytes that a chunk should have
	limit  int // RecordLimit; tests have a smaller one
	marks  []uint64

	inQuote  unclosed // what is known of the last record that was not closed
	columns  []batch.Column
	encoders []*batch.Encoder
	records  int64 // records met, malformed ones counted
	rows     int64
	stats    batch.Stats
}

var _ batch.Reader = (*Reader)(nil)

// New returns a reader of src, which must be UTF-8, and reads the header. An
// input of 0 bytes has no columns and no rows. The caller keeps src open until
// the last call of Next; Close does not close it.
func New(src io.Reader, opts Options) (*Reader, error) {
	if opts.Quote == 0 {
		opts.Quote = '"'
	}
	r := &Reader{opts: opts, src: src, block: minBlock, limit: RecordLimit}
	for _, n := range opts.Nulls {
		if n != "" {
			if r.nulls == nil {
				r.nulls = map[string]bool{}
			}
			r.nulls[n] = true
		}
	}
	var err error
	if r.tail, err = r.read(nil, sniffBytes); err != nil {
		return nil, err
	}
	r.crOnly = bytes.IndexByte(r.tail, '\n') < 0 && bytes.IndexByte(r.tail, '\r') >= 0
	if opts.Delimiter == 0 {
		r.opts.Delimiter = Sniff(r.tail, r.opts.Quote)
	}
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	for range r.columns {
		r.encoders = append(r.encoders, batch.NewEncoder(batch.EncoderOptions{Inferred: true, Nulls: r.nulls, Limit: batch.DictLimit(len(r.columns))}))
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
	r.tail = nil
	return nil
}

// Next finds the next rows. The chunk gets a block of text of its own and the
// places of the fields in it.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	raw := &c.Raw
	raw.Elements = raw.Elements[:0] // of the chunk of another file
	c.Reset(len(r.columns), raw)
	c.First = r.rows + 1
	raw.Encoders = r.encoders
	raw.Text = append(raw.Text[:0], r.tail...)
	want := max(r.block, len(raw.Text))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if raw.Text, err = r.read(raw.Text, want); err != nil {
			return err
		}
		s := r.scan(raw)
		rest := s.rows(0)
		if s.count > 0 || rest == len(raw.Text) && r.eof {
			c.Rows = s.count
			r.take(raw.Text, rest)
			break
		}
		raw.Text = r.keep(raw.Text, rest)
		switch {
		case len(raw.Text) <= r.limit:
			want = max(r.block, 2*len(raw.Text))
		case s.open:
			if raw.Text, err = r.unclosed(raw.Text); err != nil {
				return err
			}
		default:
			if raw.Text, err = r.skipLong(raw.Text); err != nil {
				return err
			}
		}
	}
	raw.Rows = c.Rows
	r.rows += int64(c.Rows)
	if c.Rows == 0 {
		return io.EOF
	}
	r.adapt(len(raw.Text), c.Rows)
	return nil
}

// adapt makes blocks long enough for some hundred rows.
func (r *Reader) adapt(size, rows int) {
	r.block = min(maxBlock, max(minBlock, size/rows*batch.ChunkRows(1000)))
}

// take keeps what follows the chunk for the next one.
func (r *Reader) take(text []byte, rest int) {
	r.offset += int64(rest)
	r.tail = append(r.tail[:0], text[rest:]...)
}

// keep drops the text before rest.
func (r *Reader) keep(text []byte, rest int) []byte {
	r.offset += int64(rest)
	return text[:copy(text, text[rest:])]
}

// unclosed counts the record at the start of text, which is in a quote that is
// not closed, and drops its first line.
func (r *Reader) unclosed(text []byte) ([]byte, error) {
	i := bytes.IndexByte(text, r.lineEnd())
	if i < 0 {
		return r.skipLong(text)
	}
	r.records++
	r.malformed(text[:i+1], 0, "a quote is not closed")
	return r.keep(text, i+1), nil
}

// skipLong passes over a line that is longer than RecordLimit, without holding
// it, and counts it as malformed.
func (r *Reader) skipLong(text []byte) ([]byte, error) {
	r.records++
	r.malformed(nil, 0, tooLong)
	for {
		if i := bytes.IndexByte(text, r.lineEnd()); i >= 0 {
			r.tell(batch.Record{Kind: batch.MalformedRecord, Text: text[:i+1], Reason: tooLong})
			return r.keep(text, i+1), nil
		}
		r.tell(batch.Record{Kind: batch.MalformedRecord, Text: text, Reason: tooLong, More: !r.eof})
		text = r.keep(text, len(text))
		if r.eof {
			return text, nil
		}
		var err error
		if text, err = r.read(text, minBlock); err != nil {
			return nil, err
		}
	}
}

var tooLong = fmt.Sprintf("the record is longer than %d MiB", RecordLimit>>20)

func (r *Reader) lineEnd() byte {
	if r.crOnly {
		return '\r'
	}
	return '\n'
}

// tell hands a record out, if that is wanted.
func (r *Reader) tell(rec batch.Record) {
	if r.opts.Records != nil {
		r.opts.Records(rec)
	}
}

// malformed counts the record that was met last; at is where it begins behind
// r.offset. A record without text is told by the caller.
func (r *Reader) malformed(text []byte, at int, reason string) {
	r.stats.Malformed++
	if text != nil {
		r.tell(batch.Record{Kind: batch.MalformedRecord, Text: text, Reason: reason})
	}
	if r.stats.FirstMalformed == nil {
		r.stats.FirstMalformed = &batch.Place{Source: r.opts.Source, Row: r.records, Offset: r.offset + int64(at), Reason: reason}
	}
}

// read appends input to text until it has n bytes or the input ends, and keeps
// room for reading fields by words.
func (r *Reader) read(text []byte, n int) ([]byte, error) {
	if len(text) >= n && cap(text)-len(text) >= batch.RawSpare {
		return text, nil
	}
	text = slices.Grow(text, max(n-len(text), 0)+batch.RawSpare)
	for idle := 0; len(text) < n && !r.eof; idle++ {
		got, err := r.src.Read(text[len(text):n]) // no more than that: blocks do not depend on memory or on what a pipe gives
		text = text[:len(text)+got]
		switch {
		case errors.Is(err, io.EOF):
			r.eof = true
		case err != nil:
			return text, err
		case got > 0:
			idle = 0
		case idle == 100:
			return text, io.ErrNoProgress
		}
	}
	return text, nil
}

// readHeader reads the first record as names of columns, or counts its fields.
func (r *Reader) readHeader() error {
	for {
		s := scanner{r: r, raw: &batch.Raw{Text: r.tail, Stride: 1}, header: true, columns: min(len(r.tail)+1, MaxColumns)}
		s.raw.Fields = make([]batch.Field, s.columns)
		rest := s.rows(0)
		if s.found > MaxColumns {
			return &batch.DataError{
				Source: r.opts.Source, Offset: r.offset + int64(s.last), Reason: fmt.Sprintf("the first record has %d fields, and %d can be told apart", s.found, MaxColumns),
				Advice: "write it with fewer columns, or name its separator with --delimiter",
			}
		}
		if s.count > 0 {
			r.nameColumns(&s)
			if r.opts.NoHeader { // the record is read again as a row
				rest = s.last
			} else {
				r.tell(batch.Record{Kind: batch.HeaderRecord, Text: r.tail[s.last:rest]})
			}
			r.tail = r.keep(r.tail, rest)
			r.records = 0
			return nil
		}
		r.tail = r.keep(r.tail, rest)
		if r.eof {
			return nil
		}
		var err error
		switch {
		case len(r.tail) <= r.limit:
			r.tail, err = r.read(r.tail, max(sniffBytes, 2*len(r.tail)))
		case s.open:
			r.tail, err = r.unclosed(r.tail)
		default:
			r.tail, err = r.skipLong(r.tail)
		}
		if err != nil {
			return err
		}
	}
}

func (r *Reader) nameColumns(s *scanner) {
	names := make([]string, len(s.raw.Fields))
	for i, f := range s.raw.Fields {
		if !r.opts.NoHeader {
			names[i] = strings.TrimSpace(string(s.text(f)))
		}
	}
	names, r.stats.Notes = uniqueNames(names, r.opts.NoHeader)
	r.columns = make([]batch.Column, len(names))
	for i, name := range names {
		r.columns[i].Name = name
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
	next := map[string]int{} // by name, the first suffix to try
	for i, n := range names {
		name := n
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		k := max(2, next[n])
		for ; used[name] || (name != n && seen[name]); k++ {
			name = fmt.Sprintf("%s_%d", strings.TrimSuffix(n, "_"), k)
			if n == "" {
				name = fmt.Sprintf("column_%d_%d", i+1, k)
			}
		}
		if n != "" && name != n {
			next[n] = k
		}
		used[name] = true
		if name != n && !quiet && len(notes) < 10 {
			notes = append(notes, fmt.Sprintf("column %d is named %q because its name %q is empty or repeated", i+1, name, n))
		}
		names[i] = name
	}
	return names, notes
}
