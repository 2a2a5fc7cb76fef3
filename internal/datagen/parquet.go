package datagen

import (
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// rowGroup is the number of rows of a row group, as DuckDB writes them.
const rowGroup = 122_880

// ordered is a group of columns in their own order; parquet.Group sorts them
// by name.
type ordered struct {
	parquet.Group

	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

// schema returns the columns as DuckDB writes them: 64-bit integers, doubles
// or decimals, times without a zone in microseconds.
func (t *Table) schema() *parquet.Schema {
	group := parquet.Group{}
	place := map[string]int{}
	for i, c := range t.Columns {
		var node parquet.Node
		switch c.Kind {
		case Integer:
			node = parquet.Int(64)
		case Cents:
			node = parquet.Leaf(parquet.DoubleType)
			if c.Decimal {
				node = parquet.Decimal(2, 9, parquet.Int32Type)
			}
		case Timestamp:
			node = parquet.TimestampAdjusted(parquet.Microsecond, false)
		case Boolean:
			node = parquet.Leaf(parquet.BooleanType)
		case Text:
			node = parquet.String()
		}
		if c.Repeats && c.Kind != Boolean {
			node = parquet.Encoded(node, &parquet.RLEDictionary)
		} else {
			node = parquet.Encoded(node, &parquet.Plain)
		}
		if c.Nullable {
			node = parquet.Optional(node)
		}
		group[c.Name], place[c.Name] = node, i
	}
	fields := group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return place[a.Name()] - place[b.Name()] })
	return parquet.NewSchema(t.Name, ordered{group, fields})
}

// writeParquet writes row groups of 122,880 rows, columns of few values with
// dictionaries.
func (t *Table) writeParquet(w io.Writer, o WriteOptions) error {
	var codec compress.Codec = &parquet.Snappy
	switch o.Compression {
	case Zstd:
		codec = &parquet.Zstd
	case None:
		codec = &parquet.Uncompressed
	case Snappy, Gzip:
	}
	file := parquet.NewGenericWriter[any](w, t.schema(), parquet.Compression(codec), parquet.PageBufferSize(1<<20),
		parquet.CreatedBy("profiler datagen", "1", "0"))
	perGroup := rowGroup / int64(t.BlockRows)
	type part struct {
		block  Block
		values []parquet.Value
		group  *parquet.ConcurrentRowGroupWriter
	}
	fill := func(p *part, n int64) error {
		if p.group == nil {
			p.group = file.BeginRowGroup()
		}
		for i := n * perGroup; i < min((n+1)*perGroup, t.Blocks(o.Rows)); i++ {
			t.Fill(&p.block, o.Seed, i, o.Rows)
			for c, column := range p.group.ColumnWriters() {
				p.values = t.appendParquet(p.values[:0], &p.block, c)
				if _, err := column.WriteRowValues(p.values); err != nil {
					return fmt.Errorf("write column %s: %w", t.Columns[c].Name, err)
				}
			}
		}
		return p.group.Flush()
	}
	err := inOrder((o.Rows+rowGroup-1)/rowGroup, fill, func(p *part) error {
		_, err := p.group.Commit()
		p.group = nil
		return err
	})
	if err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return file.Close()
}

// appendParquet appends the values of a column of a block. Texts are those of
// the block.
func (t *Table) appendParquet(values []parquet.Value, b *Block, column int) []parquet.Value {
	c, v := &t.Columns[column], &b.Values[column]
	level := int(boolean(c.Nullable))
	for i := range b.Rows {
		if v.IsNull(i) {
			values = append(values, parquet.Value{}.Level(0, 0, column))
			continue
		}
		var value parquet.Value
		switch c.Kind {
		case Integer:
			value = parquet.Int64Value(v.Ints[i])
		case Cents:
			if c.Decimal {
				value = parquet.Int32Value(int32(v.Ints[i])) //nolint:gosec // DECIMAL(9,2)
			} else {
				value = parquet.DoubleValue(float64(v.Ints[i]) / 100)
			}
		case Timestamp:
			value = parquet.Int64Value(v.Ints[i] * 1_000_000)
		case Boolean:
			value = parquet.BooleanValue(v.Ints[i] != 0)
		case Text:
			value = parquet.ByteArrayValue(v.Text(i))
		}
		values = append(values, value.Level(0, level, column))
	}
	return values
}
