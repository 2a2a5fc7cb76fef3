// Package parquet reads Parquet files: all physical and logical types, with
// the types that the file declares. Groups become path columns a.b. Repeated
// fields, lists and maps are columns of type list whose value is the number of
// elements; the elements are the values of columns like a[] and a[].b, those of
// a map m of m[].key and m[].value.
//
// Everything that a file says about itself is compared with what is found in
// it: a file that is cut, damaged or contradicts itself ends in an error, never
// in fewer rows.
package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"

	"github.com/profilerhq/profiler/internal/batch"
)

// Options say what is read.
type Options struct {
	// Source names the input in messages.
	Source string
	// Columns are the columns that are read; nil is all. If one of them is not
	// there, all are read.
	Columns []string
	// UnpackLimit is how many times the size of the file its content may be,
	// beyond what is always read; 0 is without a limit.
	UnpackLimit int64
}

// Reader reads a Parquet file as batches. It implements batch.Reader.
type Reader struct {
	opts Options
	in   *source
	file *parquet.File
	meta *footer

	columns []batch.Column
	fields  []field

	families []family
	spans    [batch.InFlight + 1]span
	chunks   int

	group    *group // the open row group
	next     int    // index of the row group after it
	left     int64  // rows left in the open row group
	perChunk int    // rows of the open row group that a chunk takes
	rows     int64
	unpacked atomic.Int64 // bytes of the pages that were found
	held     atomic.Int64 // bytes of the pages that are in memory
	freeHeld int64        // of which so many are always allowed
	pagers   pagers
	notes    []string
	released bool
}

var _ batch.Reader = (*Reader)(nil)

const (
	chunkBytes    = 4 << 20   // values that a chunk should hold in all columns
	chunkElements = 1 << 20   // elements of lists that a chunk should hold in all columns
	freeValues    = 1 << 30   // values that a file of any size may claim
	freeBytes     = 1 << 30   // and bytes that it may unpack to
	heldLimit     = 2 << 30   // bytes of pages that are in memory, of all columns
	freeHeld      = 256 << 20 // and of a file of any size
	valueLimit    = 2 << 30   // text that a chunk can hold in one column
)

// New returns a reader of the file of the given size and reads its footer. It
// fails with a *batch.DataError if that is no Parquet file, is encrypted,
// truncated or contradicts itself, and with the cause if src cannot be read.
// The caller keeps src open until the last call of Next; Close does not close
// it.
func New(src io.ReaderAt, size int64, opts Options) (*Reader, error) {
	r := &Reader{opts: opts, in: &source{r: src, size: size}, freeHeld: freeHeld}
	footer, err := r.checkFooter()
	if err != nil {
		return nil, err
	}
	var data *batch.DataError
	var tooMuch *refusal
	if err := guard(func() (err error) {
		r.meta, err = readFooter(footer)
		return err
	}); errors.As(err, &tooMuch) {
		return nil, &batch.DataError{Source: opts.Source, Offset: -1, Reason: tooMuch.reason, Advice: tooMuch.advice}
	} else if err != nil {
		return nil, r.damaged(size-8-int64(len(footer)), "the footer cannot be read", err)
	}
	if r.meta.encrypted {
		return nil, r.encrypted()
	}
	if err := r.checkRows(); err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		r.file, err = r.meta.open()
		return err
	})
	if err != nil {
		return nil, r.damaged(size, "the schema cannot be read", err)
	}
	if err := guard(r.findColumns); errors.As(err, &data) {
		return nil, err
	} else if err != nil {
		return nil, r.damaged(size, "the schema cannot be read", err)
	}
	r.findFamilies()
	if a, b, found := r.meta.overlap(size); found {
		return nil, r.damaged(b.start, fmt.Sprintf("column %d in row group %d lies in column %d in row group %d", b.of+1, b.group+1, a.of+1, a.group+1), nil)
	}
	if n := r.meta.values(); r.beyond(n, freeValues) {
		return nil, &batch.DataError{Source: opts.Source, Offset: -1, Reason: fmt.Sprintf("claims %d values, more than %d times its size", n, opts.UnpackLimit), Advice: adviceLimit}
	}
	return r, nil
}

// beyond reports whether n is more than the file may have by its size.
func (r *Reader) beyond(n, free int64) bool {
	return r.opts.UnpackLimit > 0 && n > free && n/r.opts.UnpackLimit > r.in.size
}

// checkRows compares the rows of the file with those of its row groups.
func (r *Reader) checkRows() error {
	sum := int64(0)
	for i := range r.meta.groups {
		n := r.meta.groups[i].rows
		if n < 0 || sum+n < sum {
			return r.damaged(r.in.size, fmt.Sprintf("row group %d has %d rows by the footer", i+1, n), nil)
		}
		sum += n
	}
	if sum != r.meta.rows {
		return r.damaged(r.in.size, fmt.Sprintf("the footer names %d rows, its row groups have %d", r.meta.rows, sum), nil)
	}
	return nil
}

// Columns returns the columns of the schema with their declared types. Columns
// of unsigned 64 bit integers declare none: their values are integers as far as
// those reach, numbers beyond.
func (r *Reader) Columns() []batch.Column { return r.columns }

// Stats returns what was met so far; Bytes is the size of the file.
func (r *Reader) Stats() batch.Stats {
	notes := slices.Clone(r.notes)
	for i := range r.fields {
		if n := r.fields[i].clamped; n > 0 && len(notes) < 20 {
			notes = append(notes, fmt.Sprintf("column %s: %d values are too far from 1970 and taken as the nearest time that can be told", r.fields[i].name, n))
		}
	}
	return batch.Stats{Bytes: r.in.size, Notes: notes}
}

// Close releases the pages in memory.
func (r *Reader) Close() error {
	r.released = true
	if r.group != nil {
		r.group.close()
	}
	r.pagers.close()
	return nil
}

// Next finds the next rows; a chunk is never of two row groups. Nothing is read
// of a column before it is filled.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Reset(len(r.columns), nil)
	for r.left == 0 {
		if r.released || r.next == len(r.meta.groups) {
			return io.EOF
		}
		r.openGroup()
	}
	n := int(min(int64(r.perChunk), r.left))
	r.left -= int64(n)
	s := &r.spans[r.chunks%len(r.spans)]
	r.chunks++
	s.group, s.rows, s.last, s.nulls = r.group, n, r.left == 0, nil
	s.elements.Store(0)
	if s.relatives == nil {
		s.relatives = make([]relatives, len(r.families))
	}
	for i := range s.relatives {
		s.relatives[i].read, s.relatives[i].err = false, nil
	}
	c.Reset(len(r.columns), s)
	c.Rows, c.First = n, r.rows+1
	r.rows += int64(n)
	return nil
}

// Share returns the share of the rows that were given out, from 0 to 1.
func (r *Reader) Share() float64 {
	if r.meta.rows <= 0 {
		return 1
	}
	return min(1, float64(r.rows)/float64(r.meta.rows))
}

// openGroup goes to the next row group. Its chunks get as many rows as make a
// good chunk by their mean size.
func (r *Reader) openGroup() {
	meta := &r.meta.groups[r.next]
	r.group = &group{r: r, index: r.next, cursors: make([]cursor, len(r.fields))}
	r.next++
	r.left = meta.rows
	size, elements := int64(0), int64(0)
	for i := range meta.chunks {
		size += max(0, min(meta.chunks[i].unpacked, 1<<40))
	}
	for i := range r.fields {
		if f := &r.fields[i]; f.depth > 0 {
			elements += max(0, min(meta.chunks[f.leaf].values, 1<<40))
		}
	}
	r.perChunk = batch.ChunkRows(len(r.columns))
	if perRow := size / max(1, r.left); perRow > 0 {
		r.perChunk = int(max(1, min(int64(r.perChunk), chunkBytes/perRow)))
	}
	if perRow := elements / max(1, r.left); perRow > 0 {
		r.perChunk = int(max(1, min(int64(r.perChunk), chunkElements/perRow)))
	}
}
