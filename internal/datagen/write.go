package datagen

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Format is a form of a table.
type Format string

// The forms of tables.
const (
	CSV     Format = "csv"
	JSONL   Format = "jsonl"
	Parquet Format = "parquet"
)

// Compression is how a form is packed.
type Compression string

// The compressions: gzip and zstd of CSV and JSONL, snappy and zstd inside
// Parquet.
const (
	None   Compression = "none"
	Gzip   Compression = "gzip"
	Zstd   Compression = "zstd"
	Snappy Compression = "snappy"
)

// WriteOptions say what Write writes.
type WriteOptions struct {
	Seed        uint64
	Rows        int64 // 0: the table's default
	Format      Format
	Compression Compression // "": none, or snappy inside Parquet
}

// Supports says why a table does not have a form, or nil.
func (t *Table) Supports(o WriteOptions) error {
	packings := []Compression{None, Gzip, Zstd}
	switch o.Format {
	case Parquet:
		packings = []Compression{Snappy, Zstd, None}
	case CSV, JSONL:
	default:
		return fmt.Errorf("there is no form %q; write csv, jsonl or parquet", o.Format)
	}
	if t.Nested() && o.Format != JSONL {
		return fmt.Errorf("the table %s has the form jsonl alone", t.Name)
	}
	if o.Compression != "" && !slices.Contains(packings, o.Compression) {
		return fmt.Errorf("%s is not packed as %q; write %s, %s or %s", o.Format, o.Compression, packings[0], packings[1], packings[2])
	}
	return nil
}

// Write writes a table. The same table, seed, rows and form give the same
// bytes on every machine. It uses all processors and holds some blocks of
// rows, or row groups of Parquet, in memory.
func (t *Table) Write(w io.Writer, o WriteOptions) error {
	if err := t.Supports(o); err != nil {
		return err
	}
	if o.Rows == 0 {
		o.Rows = t.DefaultRows
	}
	switch {
	case o.Format == Parquet:
		return t.writeParquet(w, o)
	case o.Compression == Gzip:
		z := gzip.NewWriter(w)
		return errors.Join(t.writeText(z, o), z.Close())
	case o.Compression == Zstd:
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		return errors.Join(t.writeText(z, o), z.Close())
	}
	return t.writeText(w, o)
}

// writeText writes CSV or JSONL.
func (t *Table) writeText(w io.Writer, o WriteOptions) error {
	appendBlock := t.AppendJSONL
	if o.Format == CSV {
		appendBlock = t.AppendCSV
		if _, err := w.Write(t.appendHeader(nil)); err != nil {
			return err
		}
	}
	type part struct {
		block Block
		text  []byte
	}
	fill := func(p *part, n int64) error {
		t.Fill(&p.block, o.Seed, n, o.Rows)
		p.text = appendBlock(p.text[:0], &p.block)
		return nil
	}
	return inOrder(t.Blocks(o.Rows), fill, func(p *part) error {
		_, err := w.Write(p.text)
		return err
	})
}

// inOrder makes n parts on all processors and consumes them one by one in
// order. Parts are made again of consumed ones. It returns the first error, of
// a part in order or of its consumption.
func inOrder[T any](n int64, produce func(p *T, i int64) error, consume func(p *T) error) error {
	type made struct {
		part *T
		err  error
	}
	workers := runtime.GOMAXPROCS(0)
	free := make(chan *T, 2*workers)
	for range cap(free) {
		free <- new(T)
	}
	slots := make(chan chan made, cap(free)) // the parts under way, in order
	stop := make(chan struct{})
	go func() {
		defer close(slots)
		running := make(chan struct{}, workers)
		for i := range n {
			var p *T
			select {
			case p = <-free:
			case <-stop:
				return
			}
			slot := make(chan made, 1)
			slots <- slot // there are as many places as parts
			running <- struct{}{}
			go func() {
				slot <- made{p, produce(p, i)}
				<-running
			}()
		}
	}()
	var failed error
	for slot := range slots {
		m := <-slot
		if failed != nil {
			continue
		}
		if failed = m.err; failed == nil {
			failed = consume(m.part)
		}
		if failed != nil {
			close(stop)
			continue
		}
		free <- m.part
	}
	return failed
}
