package batch

import (
	"context"
	"fmt"
)

// Column names a column of a batch and the type that its format declares for
// it; Declared is Null where values type themselves.
type Column struct {
	Name     string
	Declared Type
	// List is the path of the lists whose elements are the values of the column,
	// as a[] of the columns a[] and a[].b; empty for a column of one value in each
	// row. Columns of one list have a value, which may be null, for each of its
	// elements.
	List string
}

// Chunk is a run of rows of one batch. A reader tells with Next which rows it
// has; its columns are filled one by one, on demand, and different columns may
// be filled by different goroutines.
type Chunk struct {
	// Vectors has one vector for each column of the reader's schema, of length
	// Rows once it is filled, or of one for each element of its lists.
	Vectors []Vector
	// Rows is the number of rows.
	Rows int
	// First is the number in its batch, from 1, of the first row that the reader
	// had for the chunk. RowAt numbers the rows that Keep left.
	First int64
	// Raw is the text of the rows for formats that have one. It belongs to the
	// reader, and goes with the chunk so that several chunks can be at work.
	Raw Raw

	filler Filler
	filled []bool
	from   []int   // where the reader has column i; nil is i, -1 is nowhere
	keep   []int32 // the reader's rows that count; nil is all
}

// Filler fills the columns of its chunks. Calls for one column follow each
// other in the order of the chunks; those for different columns may run side
// by side.
type Filler interface {
	// Fill sets v, which is empty, to the rows of a column. An error ends the
	// batch.
	Fill(c *Chunk, column int, v *Vector) error
}

// RowFiller is a Filler to which rows that are not kept cost nothing.
type RowFiller interface {
	Filler
	// FillRows is Fill for the rows with the given indexes alone, which ascend.
	FillRows(c *Chunk, column int, rows []int32, v *Vector) error
}

// ListFiller is a Filler of chunks with elements of lists.
type ListFiller interface {
	Filler
	// FillNulls sets v, which is empty, to nulls for the elements of the list that
	// a column is of, whether that column is filled as well or not. Calls for one
	// column follow each other as those of Fill do.
	FillNulls(c *Chunk, column int, v *Vector) error
}

// Reset empties the chunk for n columns of a reader that will fill them, and
// keeps its memory.
func (c *Chunk) Reset(n int, f Filler) {
	c.grow(n)
	for i := range c.Vectors {
		c.Vectors[i].Reset()
	}
	c.filled = resize(c.filled, n)
	clear(c.filled)
	c.Rows, c.filler, c.from, c.keep = 0, f, nil, nil
}

func (c *Chunk) grow(n int) {
	if n <= cap(c.Vectors) {
		c.Vectors = c.Vectors[:n]
	} else {
		c.Vectors = append(c.Vectors[:cap(c.Vectors)], make([]Vector, n-cap(c.Vectors))...)
	}
}

// Nowhere is the place of a column that the reader does not have: it is null in
// all rows. NullsOf(k) is that of a column of elements that the reader does not
// have either: it is null for each element of the list of the reader's column k.
// NoElements is that of one of whose list the reader has nothing.
const (
	Nowhere    = -1
	NoElements = -2
)

// NullsOf is described with Nowhere.
func NullsOf(k int) int { return NoElements - 1 - k }

// Arrange makes the columns those of another schema: column i is the reader's
// column from[i], or see Nowhere. It must be called before any column
// is filled; from is kept.
func (c *Chunk) Arrange(from []int) {
	n := len(from)
	c.grow(n)
	for i := range c.Vectors {
		c.Vectors[i].Reset()
	}
	c.filled = resize(c.filled, n)
	clear(c.filled)
	c.from = from
}

// Keep drops all rows but those with the given indexes, which ascend. It must
// be called before any column is filled; rows is kept, and is not nil.
func (c *Chunk) Keep(rows []int32) {
	c.keep, c.Rows = rows, len(rows)
}

// RowAt returns the number of row i in its batch, from 1. Rows that Keep
// dropped count in it.
func (c *Chunk) RowAt(i int) int64 {
	if c.keep != nil {
		i = int(c.keep[i])
	}
	return c.First + int64(i)
}

// Fill makes column i ready for use and returns it. It is safe for concurrent
// use with other columns.
func (c *Chunk) Fill(i int) (*Vector, error) {
	v := &c.Vectors[i]
	if c.filled[i] {
		return v, nil
	}
	c.filled[i] = true
	from := i
	if c.from != nil {
		from = c.from[i]
	}
	switch {
	case from == Nowhere:
		v.SetNull(c.Rows)
		return v, nil
	case from == NoElements:
		v.SetNull(0)
		v.Rows = []int32{}
		return v, nil
	case from < 0:
		if err := c.filler.(ListFiller).FillNulls(c, NoElements-1-from, v); err != nil {
			return v, err
		}
	default:
		if f, ok := c.filler.(RowFiller); ok && c.keep != nil {
			return v, f.FillRows(c, from, c.keep, v)
		}
		if err := c.filler.Fill(c, from, v); err != nil {
			return v, err
		}
	}
	if c.keep != nil {
		v.Select(c.keep)
	}
	v.Truncate(c.Rows)
	return v, nil
}

// FillIn is Fill of a column that is not filled, in the memory m. It is for who
// gives it back with Return before another vector gets it, and is the last to look
// at the column; borrowed false says that there is nothing to give back.
func (c *Chunk) FillIn(i int, m *Memory) (borrowed bool, err error) {
	if c.filled[i] {
		return false, nil
	}
	c.Vectors[i].use(m)
	_, err = c.Fill(i)
	return true, err
}

// FillAll makes all columns ready for use.
func (c *Chunk) FillAll() error {
	for i := range c.Vectors {
		if _, err := c.Fill(i); err != nil {
			return err
		}
	}
	return nil
}

// Filled marks all columns as ready, for chunks that are made by hand.
func (c *Chunk) Filled() {
	c.filled = resize(c.filled, len(c.Vectors))
	for i := range c.filled {
		c.filled[i] = true
	}
}

// InFlight is how many chunks of a reader may be at work together: when Next is
// called for a chunk, the one InFlight before it is no longer filled.
const InFlight = 3

// Reader gives the rows of one batch in chunks. Next is called by one
// goroutine; up to InFlight chunks that it gave may be at work meanwhile.
type Reader interface {
	// Next finds the next rows and sets the chunk to them, reusing its memory;
	// its columns are not filled yet. It returns io.EOF after the last row,
	// with an empty chunk. Any other error ends the batch: data that cannot be
	// read (*DataError), or the context's error.
	Next(ctx context.Context, c *Chunk) error
	// Columns returns the columns found so far. Columns may be added while
	// reading (JSON), never removed or moved; rows before a new column have
	// null in it. The slice is valid until the next call of Next.
	Columns() []Column
	// Stats returns what was met so far besides rows.
	Stats() Stats
	// Close releases what the reader holds. No chunk may be filled any more.
	Close() error
}

// Stats is what a reader met besides well-formed rows.
type Stats struct {
	// Bytes is the size as read, before unpacking.
	Bytes int64
	// BlankLines counts lines without content that were passed over.
	BlankLines int64
	// Malformed counts records that could not be parsed.
	Malformed int64
	// FirstMalformed is the place of the first of them, nil if there is none.
	FirstMalformed *Place
	// Notes are remarks for the user, as renamed columns; a few at most.
	Notes []string
	// Sample is the share of the rows that were taken; 0 if all were.
	Sample float64
	// RowsRead counts the rows that were read, taken or not; 0 if all were
	// taken.
	RowsRead int64
}

// Place says where a record stands and what is wrong with it.
type Place struct {
	Source string `json:"source"`
	// Row is the number of the record in its source, from 1, malformed ones
	// counted and the header not.
	Row int64 `json:"row"`
	// Offset is the byte at which the record begins in the unpacked source.
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

// Add joins the statistics of two sources of one batch, s before o.
func (s Stats) Add(o Stats) Stats {
	s.Bytes += o.Bytes
	s.BlankLines += o.BlankLines
	s.Malformed += o.Malformed
	if s.FirstMalformed == nil {
		s.FirstMalformed = o.FirstMalformed
	}
	s.Notes = append(append([]string(nil), s.Notes...), o.Notes...)
	s.Sample = max(s.Sample, o.Sample)
	s.RowsRead += o.RowsRead
	return s
}

// DataError says that a source cannot be read any further: truncated, corrupt
// or not what it claims to be. Its text names the source, the place and what
// to do.
type DataError struct {
	Source string // path or URL
	Offset int64  // byte in the unpacked source, -1 if unknown
	Row    int64  // row from 1, 0 if unknown
	Reason string // what is wrong
	Advice string // what to do
	Err    error  // the cause, for errors.Is; may be nil
}

// Error returns one line: where, what, and what to do.
func (e *DataError) Error() string {
	s := e.Source + ": " + e.Reason
	switch {
	case e.Row > 0:
		s += fmt.Sprintf(" (row %d)", e.Row)
	case e.Offset >= 0:
		s += fmt.Sprintf(" (byte %d)", e.Offset)
	}
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns the cause.
func (e *DataError) Unwrap() error { return e.Err }

// ChunkRows returns how many rows a chunk of the given number of columns
// should have: enough to spread the fixed costs of a column over its rows, few
// enough to stay in the caches and to bound memory.
func ChunkRows(columns int) int {
	const cells, wide, rows = 48 * 1024, 512 * 1024, 256
	n := max(1, columns)
	return min(8192, max(1, cells/n, min(rows, wide/n)))
}
