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
}

// Chunk is a run of rows of one batch.
type Chunk struct {
	// Vectors has one vector for each column of the reader's schema, all of
	// length Rows.
	Vectors []Vector
	// Rows is the number of rows.
	Rows int
	// First is the number of the first row in its batch, from 1.
	First int64
}

// Reset empties the chunk for n columns and keeps its memory.
func (c *Chunk) Reset(n int) {
	if n <= cap(c.Vectors) {
		c.Vectors = c.Vectors[:n]
	} else {
		c.Vectors = append(c.Vectors[:cap(c.Vectors)], make([]Vector, n-cap(c.Vectors))...)
	}
	for i := range c.Vectors {
		c.Vectors[i].Reset()
	}
	c.Rows = 0
}

// Reader gives the rows of one batch in chunks. It is used by one goroutine.
type Reader interface {
	// Next fills the chunk with the next rows, reusing its memory. It returns
	// io.EOF after the last row, with an empty chunk. Any other error ends the
	// batch: data that cannot be read (*DataError), or the context's error.
	Next(ctx context.Context, c *Chunk) error
	// Columns returns the columns found so far. Columns may be added while
	// reading (JSON), never removed or moved; rows before a new column have
	// null in it. The slice is valid until the next call of Next.
	Columns() []Column
	// Stats returns what was met so far besides rows.
	Stats() Stats
	// Close releases what the reader holds.
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
// should have, so that memory per chunk stays bounded.
func ChunkRows(columns int) int {
	const cells = 48 * 1024
	return min(2048, max(16, cells/max(1, columns)))
}
