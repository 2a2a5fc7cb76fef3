package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Cutter copies the rows of a file, one after the other, to files of the same
// schema and compression.
type Cutter struct {
	file    *parquet.File
	group   int
	rows    parquet.Rows
	buffer  []parquet.Row
	at, n   int
	options []parquet.WriterOption
}

// Target is a file that rows are copied to.
type Target struct{ w *parquet.GenericWriter[any] }

// NewCutter starts copying a file of the given size that was read before.
func NewCutter(src io.ReaderAt, size int64) (c *Cutter, err error) {
	err = guard(func() error {
		file, err := parquet.OpenFile(src, size)
		if err != nil {
			return err
		}
		c = &Cutter{file: file, buffer: make([]parquet.Row, 128)}
		c.options = []parquet.WriterOption{parquet.CreatedBy("profiler", "", ""), file.Schema()}
		if groups := file.Metadata().RowGroups; len(groups) > 0 && len(groups[0].Columns) > 0 {
			c.options = append(c.options, parquet.Compression(parquet.LookupCompressionCodec(groups[0].Columns[0].MetaData.Codec)))
		}
		return nil
	})
	return c, err
}

// Groups returns the number of rows of each row group.
func (c *Cutter) Groups() []int64 {
	var all []int64
	for _, g := range c.file.RowGroups() {
		all = append(all, g.NumRows())
	}
	return all
}

// Target starts a file. The writer stays the caller's.
func (c *Cutter) Target(w io.Writer) (t *Target, err error) {
	err = guard(func() error {
		t = &Target{parquet.NewGenericWriter[any](w, c.options...)}
		return nil
	})
	return t, err
}

// Move copies the next row.
func (c *Cutter) Move(t *Target) error {
	return guard(func() error {
		row, err := c.next()
		if err != nil {
			return err
		}
		_, err = t.w.WriteRows([]parquet.Row{row})
		return err
	})
}

func (c *Cutter) next() (parquet.Row, error) {
	for c.at == c.n {
		if c.rows == nil {
			groups := c.file.RowGroups()
			if c.group == len(groups) {
				return nil, fmt.Errorf("the file has fewer rows than before: %w", io.ErrUnexpectedEOF)
			}
			c.rows = groups[c.group].Rows()
			c.group++
		}
		n, err := c.rows.ReadRows(c.buffer)
		c.at, c.n = 0, n
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err != nil && n == 0 {
			err := c.rows.Close()
			c.rows = nil
			if err != nil {
				return nil, err
			}
		}
	}
	c.at++
	return c.buffer[c.at-1], nil
}

// Close ends the reading.
func (c *Cutter) Close() error {
	if c.rows == nil {
		return nil
	}
	return guard(c.rows.Close)
}

// Close ends the file.
func (t *Target) Close() error { return guard(t.w.Close) }
