package arrow

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// recordWriter is an IPC writer of a file or a stream.
type recordWriter interface {
	Write(arrow.RecordBatch) error
	Close() error
}

// Parts copies the rows of a file or stream, one after the other, to two of the
// same kind and schema. Those of the second get more columns: two of text and
// one of 64-bit integers.
type Parts struct {
	batches recordBatches
	record  arrow.RecordBatch
	at      int64
	good    recordWriter
	bad     recordWriter
	schema  *arrow.Schema // of the second
	keep    []run         // rows of the record batch for the first
	reject  []run
	rules   []string
	reasons []string
	numbers []int64
}

// run are rows from one index to before another.
type run struct{ from, to int64 }

type recordBatches interface {
	next() (arrow.RecordBatch, error)
	schema() *arrow.Schema
}

type streamBatches struct{ *ipc.Reader }

func (s streamBatches) schema() *arrow.Schema { return s.Schema() }

func (s streamBatches) next() (arrow.RecordBatch, error) { return s.Read() }

type fileBatches struct {
	*ipc.FileReader
	at int
}

func (f *fileBatches) schema() *arrow.Schema { return f.Schema() }

func (f *fileBatches) next() (arrow.RecordBatch, error) {
	if f.at == f.NumRecords() {
		return nil, io.EOF
	}
	f.at++
	return f.RecordBatchAt(f.at - 1)
}

// NewParts starts copying a file or stream that was read before; names are
// those of the columns that rejected rows get.
func NewParts(src io.ReadSeeker, good, bad io.Writer, names [3]string) (p *Parts, err error) {
	err = guard(func() error {
		p = &Parts{}
		head := make([]byte, 6)
		if _, err := io.ReadFull(src, head); err != nil {
			return err
		}
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return err
		}
		isFile := string(head) == magic
		if isFile {
			r, err := ipc.NewFileReader(src.(ipc.ReadAtSeeker))
			if err != nil {
				return err
			}
			p.batches = &fileBatches{FileReader: r}
		} else {
			r, err := ipc.NewReader(src)
			if err != nil {
				return err
			}
			p.batches = streamBatches{r}
		}
		schema := p.batches.schema()
		meta := schema.Metadata()
		p.schema = arrow.NewSchema(append(append([]arrow.Field{}, schema.Fields()...),
			arrow.Field{Name: names[0], Type: arrow.BinaryTypes.String}, arrow.Field{Name: names[1], Type: arrow.BinaryTypes.String},
			arrow.Field{Name: names[2], Type: arrow.PrimitiveTypes.Int64}), &meta)
		if p.good, err = newRecordWriter(good, schema, isFile); err != nil {
			return err
		}
		p.bad, err = newRecordWriter(bad, p.schema, isFile)
		return err
	})
	return p, err
}

func newRecordWriter(w io.Writer, schema *arrow.Schema, isFile bool) (recordWriter, error) {
	if isFile {
		return ipc.NewFileWriter(w, ipc.WithSchema(schema))
	}
	return ipc.NewWriter(w, ipc.WithSchema(schema)), nil
}

// advance makes the next row the current one and returns its index.
func (p *Parts) advance() (int64, error) {
	for p.record == nil || p.at == p.record.NumRows() {
		if err := p.flush(); err != nil {
			return 0, err
		}
		rec, err := p.batches.next()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the file has fewer rows than before: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return 0, err
		}
		rec.Retain()
		p.record, p.at = rec, 0
	}
	p.at++
	return p.at - 1, nil
}

func addSpan(s []run, i int64) []run {
	if n := len(s); n > 0 && s[n-1].to == i {
		s[n-1].to++
		return s
	}
	return append(s, run{i, i + 1})
}

// Good copies the next row to the first file.
func (p *Parts) Good() error {
	return guard(func() error {
		i, err := p.advance()
		p.keep = addSpan(p.keep, i)
		return err
	})
}

// Bad copies the next row to the second file with the values of its further
// columns.
func (p *Parts) Bad(rule, reason string, number int64) error {
	return guard(func() error {
		i, err := p.advance()
		p.reject = addSpan(p.reject, i)
		p.rules, p.reasons, p.numbers = append(p.rules, rule), append(p.reasons, reason), append(p.numbers, number)
		return err
	})
}

// flush writes the rows of the record batch at hand.
func (p *Parts) flush() error {
	if p.record == nil {
		return nil
	}
	defer func() {
		p.record.Release()
		p.record = nil
		p.keep, p.reject, p.rules, p.reasons, p.numbers = p.keep[:0], p.reject[:0], p.rules[:0], p.reasons[:0], p.numbers[:0]
	}()
	if len(p.keep) > 0 {
		columns, n, err := p.selected(p.keep)
		if err != nil {
			return err
		}
		if err := p.good.Write(array.NewRecordBatch(p.record.Schema(), columns, n)); err != nil {
			return err
		}
	}
	if len(p.reject) == 0 {
		return nil
	}
	columns, n, err := p.selected(p.reject)
	if err != nil {
		return err
	}
	texts := func(values []string) arrow.Array {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		b.AppendValues(values, nil)
		return b.NewArray()
	}
	numbers := array.NewInt64Builder(memory.DefaultAllocator)
	numbers.AppendValues(p.numbers, nil)
	columns = append(columns, texts(p.rules), texts(p.reasons), numbers.NewArray())
	return p.bad.Write(array.NewRecordBatch(p.schema, columns, n))
}

// selected copies some rows of all columns.
func (p *Parts) selected(spans []run) (columns []arrow.Array, n int64, err error) {
	for _, s := range spans {
		n += s.to - s.from
	}
	for _, column := range p.record.Columns() {
		parts := make([]arrow.Array, len(spans))
		for i, s := range spans {
			parts[i] = array.NewSlice(column, s.from, s.to)
		}
		all := parts[0]
		if len(parts) > 1 {
			if all, err = array.Concatenate(parts, memory.DefaultAllocator); err != nil {
				return nil, 0, err
			}
		}
		columns = append(columns, all)
	}
	return columns, n, nil
}

// Close ends both files; the writers below stay open.
func (p *Parts) Close() error {
	return guard(func() error { return errors.Join(p.flush(), p.good.Close(), p.bad.Close()) })
}
