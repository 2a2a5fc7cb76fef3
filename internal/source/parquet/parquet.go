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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/profilerhq/profiler/internal/batch"
)

// Options say what is read.
type Options struct {
	// Source names the input in messages.
	Source string
}

// Reader reads a Parquet file as batches. It implements batch.Reader.
type Reader struct {
	opts Options
	in   *source
	file *parquet.File
	meta *format.FileMetaData

	columns []batch.Column
	fields  []field

	group    *group // the open row group
	next     int    // index of the row group after it
	left     int64  // rows left in the open row group
	perChunk int    // rows of the open row group that a chunk takes
	rows     int64
	pagers   pagers
	notes    []string
	released bool
}

var _ batch.Reader = (*Reader)(nil)

const (
	chunkBytes = 4 << 20 // values that a chunk should hold in all columns
	valueLimit = 2 << 30 // text that a chunk can hold in one column
)

// New returns a reader of the file of the given size and reads its footer. It
// fails with a *batch.DataError if that is no Parquet file, is encrypted,
// truncated or contradicts itself, and with the cause if src cannot be read.
// The caller keeps src open until the last call of Next; Close does not close
// it.
func New(src io.ReaderAt, size int64, opts Options) (*Reader, error) {
	r := &Reader{opts: opts, in: &source{r: src, size: size}}
	footer, err := r.checkFooter()
	if err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		r.meta = new(format.FileMetaData)
		var protocol thrift.CompactProtocol
		if err := thrift.NewDecoder(protocol.NewReaderFromBytes(footer)).Decode(r.meta); err != nil {
			return err
		}
		file, err := image(footer)
		if err != nil {
			return err
		}
		r.file, err = parquet.OpenFile(bytes.NewReader(file), int64(len(file)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(4<<10))
		return err
	})
	if err != nil {
		return nil, r.damaged(size, "the footer cannot be read", err)
	}
	if err := r.checkRows(); err != nil {
		return nil, err
	}
	var data *batch.DataError
	if err := guard(r.findColumns); errors.As(err, &data) {
		return nil, err
	} else if err != nil {
		return nil, r.damaged(size, "the schema cannot be read", err)
	}
	return r, nil
}

// checkRows compares the rows of the file with those of its row groups.
func (r *Reader) checkRows() error {
	sum := int64(0)
	for i := range r.meta.RowGroups {
		n := r.meta.RowGroups[i].NumRows
		if n < 0 || sum+n < sum {
			return r.damaged(r.in.size, fmt.Sprintf("row group %d has %d rows by the footer", i+1, n), nil)
		}
		sum += n
	}
	if sum != r.meta.NumRows {
		return r.damaged(r.in.size, fmt.Sprintf("the footer names %d rows, its row groups have %d", r.meta.NumRows, sum), nil)
	}
	if r.meta.EncryptionAlgorithm.Value != nil {
		return r.encrypted()
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
		if r.released || r.next == len(r.meta.RowGroups) {
			return io.EOF
		}
		r.openGroup()
	}
	n := int(min(int64(r.perChunk), r.left))
	r.left -= int64(n)
	c.Reset(len(r.columns), &span{group: r.group, rows: n, last: r.left == 0})
	c.Rows, c.First = n, r.rows+1
	r.rows += int64(n)
	return nil
}

// Share returns the share of the rows that were given out, from 0 to 1.
func (r *Reader) Share() float64 {
	if r.meta.NumRows <= 0 {
		return 1
	}
	return min(1, float64(r.rows)/float64(r.meta.NumRows))
}

// openGroup goes to the next row group. Its chunks get as many rows as make a
// good chunk by their mean size.
func (r *Reader) openGroup() {
	meta := &r.meta.RowGroups[r.next]
	r.group = &group{r: r, index: r.next, cursors: make([]cursor, len(r.fields))}
	r.next++
	r.left = meta.NumRows
	size := int64(0)
	for i := range meta.Columns {
		size += max(0, min(meta.Columns[i].MetaData.TotalUncompressedSize, 1<<40))
	}
	r.perChunk = batch.ChunkRows(len(r.columns))
	if perRow := size / max(1, r.left); perRow > 0 {
		r.perChunk = int(max(1, min(int64(r.perChunk), chunkBytes/perRow)))
	}
}
