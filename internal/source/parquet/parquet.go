// Package parquet reads Parquet files: all physical and logical types, with
// the types that the file declares. Groups become path columns a.b. Repeated
// fields, lists and maps are columns of type list whose value is the number of
// items; the items themselves have no columns, as a column has one value in
// each row.
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
	cursors []cursor

	group    int   // number of row groups opened
	left     int64 // rows left in the open row group
	rows     int64
	perRow   int // bytes of text in a row, as last seen
	values   []parquet.Value
	convert  converter
	protocol thrift.CompactProtocol
	unpack   unpacker
	packed   []byte // the page that is read, as it is in the file
	body     []byte // the same unpacked, with a header
	notes    []string
	released bool
}

var _ batch.Reader = (*Reader)(nil)

const (
	blockRows  = 128     // rows that are read of one column before the next column
	blockBytes = 1 << 20 // text that such a block should not exceed
	chunkBytes = 4 << 20 // text after which a chunk ends
	valueLimit = 2 << 30 // text that a chunk can hold in one column
)

// New returns a reader of the file of the given size and reads its footer. It
// fails with a *batch.DataError if that is no Parquet file, is encrypted,
// truncated or contradicts itself, and with the cause if src cannot be read.
// The caller keeps src open until the last call of Next; Close does not close
// it.
func New(src io.ReaderAt, size int64, opts Options) (*Reader, error) {
	r := &Reader{opts: opts, in: &source{r: src, size: size}, values: make([]parquet.Value, 512)}
	footer, err := r.checkFooter()
	if err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		r.meta = new(format.FileMetaData)
		if err := thrift.NewDecoder(r.protocol.NewReaderFromBytes(footer)).Decode(r.meta); err != nil {
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
	r.cursors = make([]cursor, len(r.fields))
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
	for i := range r.cursors {
		r.cursors[i].close()
	}
	r.unpack.close()
	r.packed, r.body = nil, nil
	return nil
}

// Next fills the chunk with the next rows; a chunk is never of two row groups.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Reset(len(r.columns))
	c.First = r.rows + 1
	for i := range c.Vectors {
		v := &c.Vectors[i]
		v.HasText, v.Inferred, v.Declared = false, false, r.columns[i].Declared
	}
	for r.left == 0 {
		if r.released || r.group == len(r.meta.RowGroups) {
			return io.EOF
		}
		if err := r.openGroup(); err != nil {
			return err
		}
	}
	limit := int(min(int64(batch.ChunkRows(len(r.columns))), r.left))
	for size := 0; c.Rows < limit && size < chunkBytes; {
		n := min(limit-c.Rows, r.block())
		before := size
		size = 0
		for i := range r.fields {
			if err := r.fill(i, &c.Vectors[i], n); err != nil {
				return err
			}
			size += c.Vectors[i].Size()
		}
		r.perRow = (size - before) / n
		c.Rows += n
	}
	r.rows += int64(c.Rows)
	if r.left -= int64(c.Rows); r.left == 0 {
		return r.closeGroup()
	}
	return nil
}

// block returns for how many rows the columns are read in turn, so that long
// texts do not pile up before the size of the chunk is known.
func (r *Reader) block() int {
	return max(1, min(blockRows, blockBytes/max(1, r.perRow)))
}

// openGroup opens the pages of the next row group that has rows, after
// comparing their headers with the footer.
func (r *Reader) openGroup() error {
	g := r.group
	r.group++
	r.left = r.meta.RowGroups[g].NumRows
	if r.left == 0 {
		return nil
	}
	for i := range r.fields {
		f := &r.fields[i]
		if f.as == asNull {
			continue
		}
		pages, err := r.scanPages(f, g)
		if err != nil {
			return err
		}
		cur := &r.cursors[i]
		for k := range pages {
			if pages[k].data() {
				cur.offsets = append(cur.offsets, pages[k].offset)
			}
		}
		if cur.pages, cur.source, err = r.openPages(f, g, pages); err != nil {
			return r.damagedColumn(f, g, -1, "the pages cannot be found", err)
		}
	}
	return nil
}

// closeGroup makes sure that the pages of the row group held no more than its
// rows.
func (r *Reader) closeGroup() error {
	for i := range r.fields {
		cur := &r.cursors[i]
		if r.fields[i].as != asNull && (!cur.exhausted() || len(cur.offsets) > 0) {
			return r.damagedColumn(&r.fields[i], r.group-1, cur.offset, "it holds more values than the row group has rows", nil)
		}
		cur.close()
	}
	return nil
}

// cursor stands in the pages of one column of the open row group.
type cursor struct {
	pages   parquet.Pages
	source  *chunk
	offsets []int64 // of the pages that are still to be read
	offset  int64   // of the current page
	page    parquet.Page
	values  parquet.ValueReader
	left    int    // values left in the page
	rep     []byte // repetition and definition levels left in the page of a list
	def     []byte
}

func (c *cursor) exhausted() bool { return c.left == 0 && len(c.def) == 0 }

func (c *cursor) close() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	if c.pages != nil {
		c.pages.Close() // closes no file, it returns buffers
	}
	*c = cursor{}
}

// nextPage reads the next page of the column. The error is io.EOF if there is
// none.
func (c *cursor) nextPage(list bool) error {
	if len(c.offsets) == 0 {
		return io.EOF
	}
	c.offset, c.offsets = c.offsets[0], c.offsets[1:]
	return guard(func() error {
		if c.page != nil {
			parquet.Release(c.page)
			c.page = nil
		}
		page, err := c.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		c.page = page
		if list {
			c.rep, c.def = page.RepetitionLevels(), page.DefinitionLevels()
			if len(c.rep) != len(c.def) {
				return errors.New("levels of different number")
			}
			return nil
		}
		c.values, c.left = page.Values(), int(page.NumValues())
		return nil
	})
}

// fill appends the next n rows of a column to its vector.
func (r *Reader) fill(i int, v *batch.Vector, n int) error {
	f, cur := &r.fields[i], &r.cursors[i]
	switch f.as {
	case asNull:
		v.PadTo(v.Len() + n)
		return nil
	case asList:
		return r.fillList(f, cur, v, n)
	default:
	}
	for n > 0 {
		if cur.left == 0 {
			if err := cur.nextPage(false); err != nil {
				return r.pageError(f, cur, err)
			}
			continue
		}
		got := 0
		buf := r.values[:min(n, cur.left, len(r.values))]
		err := guard(func() (err error) {
			got, err = cur.values.ReadValues(buf)
			return err
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return r.pageError(f, cur, err)
		}
		if got == 0 {
			return r.damagedColumn(f, r.group-1, cur.offset, "a page holds fewer values than it names", err)
		}
		if err := r.convert.values(f, v, buf[:got]); err != nil {
			return r.damagedColumn(f, r.group-1, cur.offset, err.Error(), nil)
		}
		cur.left -= got
		n -= got
	}
	return nil
}

func (r *Reader) pageError(f *field, cur *cursor, err error) error {
	if errors.Is(err, io.EOF) {
		return r.damagedColumn(f, r.group-1, cur.offset, "it holds fewer values than the row group has rows", nil)
	}
	if cause := cur.source.err; cause != nil {
		return r.damagedColumn(f, r.group-1, cur.offset, "a page cannot be decoded: "+cause.Error(), cause)
	}
	return r.damagedColumn(f, r.group-1, cur.offset, "a page cannot be decoded", err)
}

// fillList appends the number of items of the next n rows. A row begins at
// repetition level 0, an item at level 1; the definition level tells a null
// from an empty list.
func (r *Reader) fillList(f *field, cur *cursor, v *batch.Vector, n int) error {
	for range n {
		for len(cur.def) == 0 {
			if err := cur.nextPage(true); err != nil {
				return r.pageError(f, cur, err)
			}
		}
		if cur.rep[0] != 0 {
			return r.damagedColumn(f, r.group-1, cur.offset, "a page begins inside a row", nil)
		}
		def, items := int(cur.def[0]), int64(0)
		if def >= f.itemDef {
			items = 1
		}
		cur.rep, cur.def = cur.rep[1:], cur.def[1:]
		for {
			for len(cur.rep) > 0 && cur.rep[0] > 0 {
				if cur.rep[0] == 1 {
					items++
				}
				cur.rep, cur.def = cur.rep[1:], cur.def[1:]
			}
			if len(cur.rep) > 0 || len(cur.offsets) == 0 {
				break
			}
			if err := cur.nextPage(true); err != nil { // the row may go on there
				return r.pageError(f, cur, err)
			}
		}
		if def < f.listDef {
			v.AppendNull()
		} else {
			v.Append(batch.Value{Type: batch.List, Int: items}, nil)
		}
	}
	return nil
}
