package signal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// null is the cell of a missing value. No data of the benchmark holds the
// text itself.
const null = "\x00"

// table is a batch on rows, in memory: column by column, each value as its
// text. Columns are never written to once a table was handed out; a change
// makes new ones (see with).
type table struct {
	names []string
	cols  [][]string // parallel to names
}

func (t *table) rows() int {
	if len(t.cols) == 0 {
		return 0
	}
	return len(t.cols[0])
}

// with returns the table with another column i; the other columns are shared.
func (t *table) with(i int, col []string) *table {
	cols := slices.Clone(t.cols)
	cols[i] = col
	return &table{names: t.names, cols: cols}
}

// pick returns the table of the given rows, which may repeat.
func (t *table) pick(rows []int) *table {
	cols := make([][]string, len(t.cols))
	for i, c := range t.cols {
		cols[i] = make([]string, len(rows))
		for j, r := range rows {
			cols[i][j] = c[r]
		}
	}
	return &table{names: t.names, cols: cols}
}

// head returns the table of the first n rows.
func (t *table) head(n int) *table {
	cols := make([][]string, len(t.cols))
	for i, c := range t.cols {
		cols[i] = c[:n]
	}
	return &table{names: t.names, cols: cols}
}

// join returns the rows of both tables, which have the same columns.
func (t *table) join(o *table) *table {
	cols := make([][]string, len(t.cols))
	for i := range t.cols {
		cols[i] = slices.Concat(t.cols[i], o.cols[i])
	}
	return &table{names: t.names, cols: cols}
}

// without drops the named columns.
func (t *table) without(names []string) *table {
	d := &table{}
	for i, n := range t.names {
		if !slices.Contains(names, n) {
			d.names, d.cols = append(d.names, n), append(d.cols, t.cols[i])
		}
	}
	return d
}

func (t *table) equal(o *table) bool {
	if t == o {
		return true
	}
	return slices.Equal(t.names, o.names) && slices.EqualFunc(t.cols, o.cols, sameColumn)
}

func sameColumn(a, b []string) bool {
	if len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) {
		return true
	}
	return slices.Equal(a, b)
}

// csv writes the table as a program would: quotes only where they are needed,
// nothing for a null, "" for an empty text.
func (t *table) csv() []byte {
	var b bytes.Buffer
	for i, n := range t.names {
		writeField(&b, i, n)
	}
	b.WriteByte('\n')
	for r := range t.rows() {
		for i := range t.cols {
			writeField(&b, i, t.cols[i][r])
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func writeField(b *bytes.Buffer, i int, text string) {
	if i > 0 {
		b.WriteByte(',')
	}
	switch {
	case text == null:
	case text == "" || strings.ContainsAny(text, ",\"\r\n") || text[0] == ' ' || text[len(text)-1] == ' ':
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(text, `"`, `""`))
		b.WriteByte('"')
	default:
		b.WriteString(text)
	}
}

// profileText profiles a table in CSV as the program does a file, through the
// reader and the builder.
func profileText(ctx context.Context, dataset string, at time.Time, text []byte) (*profile.Profile, error) {
	r, err := csv.New(bytes.NewReader(text), csv.Options{Source: dataset, Delimiter: ','})
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", dataset, err)
	}
	b := profile.NewBuilder()
	if err := eachChunk(ctx, r, func(c *batch.Chunk) error { return b.Add(r.Columns(), c) }); err != nil {
		return nil, fmt.Errorf("profile %s: %w", dataset, err)
	}
	info := profile.Info{Dataset: dataset, Stats: r.Stats(), ProfiledAt: at, Source: profile.Source{URL: dataset, Format: "csv", Files: 1}}
	info.Stats.Bytes = int64(len(text))
	return b.Finish(r.Columns(), info), nil
}

// readTable reads files through the program's readers, as texts.
func readTable(ctx context.Context, files []string, nulls []string) (*table, error) {
	inputs, err := source.Expand(files, false)
	if err != nil {
		return nil, err
	}
	r, err := source.Open(ctx, inputs[0], source.Options{Nulls: nulls})
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // it was read to its end, or failed before
	t := &table{}
	err = eachChunk(ctx, r, func(c *batch.Chunk) error {
		if err := c.FillAll(); err != nil {
			return err
		}
		t.take(r.Columns(), c)
		return nil
	})
	return t, err
}

// take appends the rows of a chunk.
func (t *table) take(columns []batch.Column, c *batch.Chunk) {
	rows := t.rows()
	for i := len(t.names); i < len(columns); i++ {
		t.names = append(t.names, columns[i].Name)
		t.cols = append(t.cols, slices.Repeat([]string{null}, rows))
	}
	known := map[string]string{} // texts repeat: one copy each
	var buf []byte
	for i := range c.Vectors {
		for row := range c.Rows {
			v, at := c.Vectors[i].At(row)
			if v.Types[at] == batch.Null {
				t.cols[i] = append(t.cols[i], null)
				continue
			}
			buf = v.AppendText(buf[:0], at)
			s, ok := known[string(buf)]
			if !ok {
				s = string(buf)
				known[s] = s
			}
			t.cols[i] = append(t.cols[i], s)
		}
	}
}

func eachChunk(ctx context.Context, r batch.Reader, f func(*batch.Chunk) error) error {
	var c batch.Chunk
	for {
		err := r.Next(ctx, &c)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(&c); err != nil {
			return err
		}
	}
}
