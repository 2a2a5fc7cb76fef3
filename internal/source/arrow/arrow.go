// Package arrow reads Arrow IPC files and streams: all types, with the types
// that the schema declares. Structs become path columns a.b. Lists and maps are
// columns of type list whose value is the number of elements; the elements are
// the values of columns like a[] and a[].b, those of a map m of m[].key and
// m[].value. Dictionary columns
// are handed on as such. Unions and intervals are kept as struct: counted, not
// taken apart.
//
// A file is read from its beginning, as a stream, and its footer is compared
// with what was read. So a file needs no seeking, and one that is cut, damaged
// or contradicts itself ends in an error, never in fewer rows.
package arrow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/profilerhq/profiler/internal/batch"
)

// Options say what is read.
type Options struct {
	// Source names the input in messages.
	Source string
	// Columns are the columns that are read; nil is all. If one of them is not
	// there, all are read.
	Columns []string
	// UnpackLimit is how many times the bytes that were read their content may
	// be, beyond what is always read; 0 is without a limit.
	UnpackLimit int64
}

// Reader reads an Arrow file or stream as batches. It implements batch.Reader.
type Reader struct {
	opts   Options
	frames *frames
	memory limited
	ipc    *ipc.Reader

	columns  []batch.Column
	fields   []field
	record   arrow.RecordBatch
	batches  int
	at, end  int // rows of the record batch that were read, and all
	rows     int64
	perRow   int   // bytes of text in a row, as last seen
	mean     int   // bytes of a row of the record batch
	claimed  int64 // values of the record batches so far
	entries  int   // of dictionaries that are in memory
	names    int   // bytes of the names of columns
	spans    [batch.InFlight + 1]span
	chunks   int
	elements int // of lists in the chunk, of all columns
	notes    []string
	done     bool
}

var _ batch.Reader = (*Reader)(nil)

const (
	blockRows    = 128       // rows that are read of one column before the next column
	blockBytes   = 1 << 20   // text that such a block should not exceed
	chunkBytes   = 4 << 20   // text after which a chunk ends
	elementBytes = 8         // that an element counts besides its text
	valueLimit   = 1 << 30   // text that a chunk can hold in all columns
	freeValues   = 1 << 30   // values that data of any size may claim
	freeBytes    = 256 << 20 // bytes that a record batch of any size may unpack to
	entryLimit   = 1 << 26   // values of all dictionaries
	entryBytes   = 512 << 20 // of text in them
)

// Is reports whether data beginning with head is an Arrow file, or an Arrow
// stream as written since version 0.15.
func Is(head []byte) bool {
	if len(head) >= 8 && string(head[:6]) == magic && head[6] == 0 && head[7] == 0 {
		return true
	}
	if len(head) < 16 || string(head[:4]) != "\xff\xff\xff\xff" {
		return false
	}
	length := int(head[4]) | int(head[5])<<8 | int(head[6])<<16 | int(head[7])<<24
	if length < 8 || length > metaLimit {
		return false
	}
	if len(head)-8 < length { // a long schema: judge by its first table
		return guard(func() error {
			if root(head[8:]).byteAt(messageKind) != kindSchema {
				return errMetadata
			}
			return nil
		}) == nil
	}
	h, err := check(head[8 : 8+length])
	return err == nil && h.kind == kindSchema
}

// New returns a reader of src and reads the schema. It fails with a
// *batch.DataError if that is no Arrow data, cut off or damaged, and with the
// cause if src cannot be read. The caller keeps src open until the last call
// of Next; Close does not close it.
func New(src io.Reader, opts Options) (*Reader, error) {
	f := &frames{source: opts.Source, unpackLimit: opts.UnpackLimit}
	var head [6]byte
	n, err := io.ReadFull(src, head[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return nil, f.fail(0, "is empty; an Arrow file or stream has at least a schema", adviceAgain, nil)
	}
	f.src = io.MultiReader(&prefix{head[:n]}, src)
	if err := f.begin(head[:n]); err != nil {
		return nil, err
	}
	return open(f, opts)
}

// open returns a reader of the messages and reads the schema.
func open(f *frames, opts Options) (*Reader, error) {
	r := &Reader{opts: opts, frames: f}
	r.memory.left = batchLimit
	err := guard(func() (err error) {
		r.ipc, err = ipc.NewReaderFromMessageReader(r.frames, ipc.WithAllocator(&r.memory))
		return err
	})
	if err != nil {
		return nil, r.damaged("the schema cannot be read: "+reasonOf(err), err)
	}
	if err := r.findColumns(r.ipc.Schema()); err != nil {
		return nil, err
	}
	r.choose()
	return r, nil
}

// choose marks the columns that are read.
func (r *Reader) choose() {
	for _, name := range r.opts.Columns {
		if !slices.ContainsFunc(r.columns, func(c batch.Column) bool { return c.Name == name }) {
			return // its lists may have to be told from another column
		}
	}
	for i := range r.fields {
		r.fields[i].wanted = r.opts.Columns == nil || slices.Contains(r.opts.Columns, r.fields[i].name)
	}
}

// prefix is the data that was read ahead.
type prefix struct{ b []byte }

// Read reads what is left of the data.
func (p *prefix) Read(b []byte) (int, error) {
	n := copy(b, p.b)
	if p.b = p.b[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// damaged returns the first error of the data, or one for an error of the
// decoder at the last message.
func (r *Reader) damaged(reason string, cause error) error {
	if r.frames.err != nil {
		return r.frames.err
	}
	if errors.Is(cause, errLimit) {
		return r.frames.fail(r.frames.start, reason+": "+errLimit.Error(), adviceSmall, cause)
	}
	return r.frames.fail(r.frames.start, reason, adviceAgain, cause)
}

// Columns returns the columns of the schema with their declared types. Columns
// of unsigned 64 bit integers declare none: their values are integers as far as
// those reach, numbers beyond.
func (r *Reader) Columns() []batch.Column { return r.columns }

// Stats returns what was met so far; Bytes is what was read.
func (r *Reader) Stats() batch.Stats {
	notes := slices.Clone(r.notes)
	for i := range r.fields {
		f := &r.fields[i]
		if f.clamped > 0 && len(notes) < 20 {
			notes = append(notes, fmt.Sprintf("column %s: %d values are too far from 1970 and taken as the nearest time that can be told", f.name, f.clamped))
		}
		if f.inDay > 0 && len(notes) < 20 {
			notes = append(notes, fmt.Sprintf("column %s: %d dates have a time of day, which is left out", f.name, f.inDay))
		}
	}
	return batch.Stats{Bytes: r.frames.at, Notes: notes}
}

// Close gives the record batch back.
func (r *Reader) Close() error {
	r.done = true
	r.release()
	r.frames.body = nil
	return nil
}

func (r *Reader) release() {
	if r.record != nil {
		r.record.Release()
		r.record = nil
	}
	r.at, r.end = 0, 0
}

// Next fills the chunk with the next rows; a chunk is never of two record
// batches.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Reset(len(r.columns), nil)
	for r.at == r.end {
		if r.done {
			return io.EOF
		}
		if err := r.openBatch(); err != nil {
			return err
		}
	}
	s := &r.spans[r.chunks%len(r.spans)]
	r.chunks++
	rows, err := r.take(s)
	if err != nil {
		return err
	}
	c.Reset(len(r.columns), s)
	c.First, c.Rows = r.rows+1, rows
	r.rows += int64(rows)
	return nil
}

// span holds the columns of a chunk. They are read with the rows, since a
// record batch gives its memory back as a whole.
type span struct {
	vectors []batch.Vector
	rows    [][]int32 // by column, of elements of lists
}

// FillNulls sets a column to nulls for the elements that another one has.
func (s *span) FillNulls(_ *batch.Chunk, i int, v *batch.Vector) error {
	v.SetNull(len(s.rows[i]))
	v.Rows = s.rows[i]
	return nil
}

// Fill hands a column over.
func (s *span) Fill(_ *batch.Chunk, i int, v *batch.Vector) error {
	*v, s.vectors[i] = s.vectors[i], *v
	return nil
}

// take reads the next rows of the record batch and returns their number.
func (r *Reader) take(s *span) (rows int, err error) {
	if s.vectors == nil {
		s.vectors, s.rows = make([]batch.Vector, len(r.columns)), make([][]int32, len(r.columns))
	}
	for i := range s.vectors {
		v := &s.vectors[i]
		v.Reset()
		v.HasText, v.Inferred, v.Declared = false, false, r.columns[i].Declared
		v.Dict, v.Codes = r.fields[i].dict, v.Codes[:0]
		r.fields[i].texts = 0
		if r.fields[i].list != "" {
			if v.Rows = s.rows[i][:0]; v.Rows == nil {
				v.Rows = []int32{}
			}
		}
	}
	limit := min(batch.ChunkRows(len(r.columns)), r.end-r.at)
	taken := 0 // bytes of text
	r.elements = 0
	for size := 0; rows < limit && size < chunkBytes; {
		n := min(limit-rows, r.block())
		before := size
		size = 0
		for i := range r.fields {
			f := &r.fields[i]
			if !f.wanted {
				continue
			}
			have := s.vectors[i].Size()
			f.room = valueLimit - taken
			if err := guard(func() error { return f.fill(&s.vectors[i], r.at, r.at+n, rows) }); err != nil {
				return 0, r.damaged(fmt.Sprintf("column %s in record batch %d: %s", f.name, r.batches, wording(err)), err)
			}
			taken += s.vectors[i].Size() - have
			size += s.vectors[i].Size() + f.texts + elementBytes*len(s.vectors[i].Rows)
		}
		r.perRow = (size - before) / n
		rows += n
		r.at += n
	}
	for i := range s.vectors {
		s.rows[i] = s.vectors[i].Rows
	}
	return rows, nil
}

// block returns for how many rows the columns are read in turn, so that long
// texts do not pile up before the size of the chunk is known.
func (r *Reader) block() int {
	return max(1, min(blockRows, blockBytes/max(1, r.perRow, r.mean)))
}

// openBatch reads the next record batch that is there. The error is io.EOF
// after the last one.
func (r *Reader) openBatch() error {
	r.release()
	r.memory.left = batchLimit
	err := guard(func() error {
		if r.ipc.Next() {
			return nil
		}
		if err := r.ipc.Err(); err != nil {
			return err
		}
		return io.EOF
	})
	switch {
	case r.frames.err != nil:
		return r.frames.err
	case errors.Is(err, io.EOF):
		r.done = true
		return io.EOF
	case err != nil:
		return r.damaged(fmt.Sprintf("record batch %d cannot be read", r.batches+1), err)
	}
	r.batches++
	r.record = r.ipc.RecordBatch()
	r.record.Retain()
	r.claimed += r.record.NumRows() * int64(max(1, len(r.fields)))
	if limit := r.opts.UnpackLimit; limit > 0 && r.claimed > freeValues && r.claimed/limit > r.frames.at {
		return r.frames.fail(r.frames.start, fmt.Sprintf("claims %d values so far, more than %d times what was read", r.claimed, limit), adviceLimit, nil)
	}
	for i := range r.fields {
		f := &r.fields[i]
		if !f.wanted {
			continue
		}
		if err := guard(func() error { return f.bind(r.record) }); err != nil {
			return r.damaged(fmt.Sprintf("column %s in record batch %d: %s", f.name, r.batches, wording(err)), err)
		}
	}
	r.end = int(r.record.NumRows())
	r.mean = int(r.frames.last.size / max(1, int64(r.end)))
	return nil
}

// wording returns the reason of a value that cannot be read: not the text of a
// panic, nor of the decoder.
func wording(err error) string {
	var v *valueError
	if errors.As(err, &v) {
		return v.reason
	}
	return "its values cannot be read"
}

// valueError is an error of values that is worded for users.
type valueError struct{ reason string }

// Error returns the reason.
func (e *valueError) Error() string { return e.reason }
