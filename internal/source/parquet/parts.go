package parquet

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// Parts copies the rows of a file, one after the other, to two files of the same
// schema and compression. Those of the second get more columns: two of text and
// one of 64-bit integers.
type Parts struct {
	file   *parquet.File
	group  int
	rows   parquet.Rows
	buffer []parquet.Row
	at, n  int
	good   *parquet.GenericWriter[any]
	bad    *parquet.GenericWriter[any]
	leaves int
	row    parquet.Row
}

// NewParts starts copying a file of the given size that was read before; names
// are those of the columns that rejected rows get.
func NewParts(src io.ReaderAt, size int64, good, bad io.Writer, names [3]string) (p *Parts, err error) {
	err = guard(func() error {
		file, err := parquet.OpenFile(src, size)
		if err != nil {
			return err
		}
		schema := file.Schema()
		p = &Parts{file: file, buffer: make([]parquet.Row, 128), leaves: len(schema.Columns())}
		options := []parquet.WriterOption{parquet.CreatedBy("profiler", "", "")}
		if groups := file.Metadata().RowGroups; len(groups) > 0 && len(groups[0].Columns) > 0 {
			options = append(options, parquet.Compression(parquet.LookupCompressionCodec(groups[0].Columns[0].MetaData.Codec)))
		}
		p.good = parquet.NewGenericWriter[any](good, append(options, schema)...)
		p.bad = parquet.NewGenericWriter[any](bad, append(options, parquet.NewSchema(schema.Name(), extend(schema, names)))...)
		return nil
	})
	return p, err
}

// extended is a schema with more columns behind its own.
type extended struct {
	parquet.Node
	fields []parquet.Field
}

func (e *extended) Fields() []parquet.Field { return e.fields }

// extra is a column that is added.
type extra struct {
	parquet.Node
	name string
}

func (e *extra) Name() string { return e.name }

func (e *extra) Value(reflect.Value) reflect.Value { return reflect.Value{} } // rows are written as such

func extend(schema *parquet.Schema, names [3]string) parquet.Node {
	text, whole := parquet.String(), parquet.Int(64)
	return &extended{schema, append(append([]parquet.Field{}, schema.Fields()...),
		&extra{text, names[0]}, &extra{text, names[1]}, &extra{whole, names[2]})}
}

// next reads the next row.
func (p *Parts) next() (parquet.Row, error) {
	for p.at == p.n {
		if p.rows == nil {
			groups := p.file.RowGroups()
			if p.group == len(groups) {
				return nil, fmt.Errorf("the file has fewer rows than before: %w", io.ErrUnexpectedEOF)
			}
			p.rows = groups[p.group].Rows()
			p.group++
		}
		n, err := p.rows.ReadRows(p.buffer)
		p.at, p.n = 0, n
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err != nil {
			if n == 0 {
				err := p.rows.Close()
				p.rows = nil
				if err != nil {
					return nil, err
				}
			}
		}
	}
	p.at++
	return p.buffer[p.at-1], nil
}

// Good copies the next row to the first file.
func (p *Parts) Good() error {
	return guard(func() error {
		row, err := p.next()
		if err != nil {
			return err
		}
		_, err = p.good.WriteRows([]parquet.Row{row})
		return err
	})
}

// Bad copies the next row to the second file with the values of its further
// columns.
func (p *Parts) Bad(rule, reason string, number int64) error {
	return guard(func() error {
		row, err := p.next()
		if err != nil {
			return err
		}
		p.row = append(p.row[:0], row...)
		for i, v := range []parquet.Value{parquet.ByteArrayValue([]byte(rule)), parquet.ByteArrayValue([]byte(reason)), parquet.Int64Value(number)} {
			p.row = append(p.row, v.Level(0, 0, p.leaves+i))
		}
		_, err = p.bad.WriteRows([]parquet.Row{p.row})
		return err
	})
}

// Close ends both files; the writers below stay open.
func (p *Parts) Close() error {
	return guard(func() error {
		var err error
		if p.rows != nil {
			err = p.rows.Close()
		}
		return errors.Join(err, p.good.Close(), p.bad.Close())
	})
}
