// Package jsonl reads JSON objects as rows: one object a line (JSON lines,
// NDJSON), or the items of one JSON array. A malformed record costs one record:
// it is counted, its place is kept, reading goes on.
//
// Objects become path columns: {"a":{"b":1}} has the column a.b. An array is a
// list whose value is its number of elements and whose text is its JSON. The
// elements are the values of the column a[], the members of those that are
// objects of columns like a[].b, and the elements of those that are arrays of
// a[][]: such a column has a value for each element, not for each row. An empty
// array adds none, nor does one that is null or missing. A key with a dot, a
// bracket or a quote is quoted in a path, as in a."b.c".
package jsonl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// RecordLimit is the longest record in bytes. A longer one is malformed.
const RecordLimit = 16 << 20

// MaxDepth is how deep objects and arrays may be nested; a deeper record is
// malformed.
const MaxDepth = 64

// MaxColumns is how many columns are told apart. The members of later keys are
// kept together in the column FoldedColumn.
const MaxColumns = 10_000

// FoldedColumn is the name of the column that holds, as a struct, the members
// for which there was no column left.
const FoldedColumn = "…/folded"

// Options say how the text is read. The zero value reads times without a zone
// as UTC.
type Options struct {
	// Source names the input in messages.
	Source string
	// Records is called for each record as it is met, in their order; nil is
	// off.
	Records func(batch.Record)
}

// Reader reads JSON objects as batches. It implements batch.Reader.
type Reader struct {
	opts   Options
	in     input
	array  bool // the input is one array, not lines
	begun  bool // the opening bracket was read
	closed bool // the closing bracket was read
	parse  parser
	lists  lists

	columns   []batch.Column
	encoders  []*batch.Encoder
	foldNotes int   // notes of objects with too many keys
	folded    int   // index of FoldedColumn, -1 until it is needed
	records   int64 // records met, malformed ones counted
	rows      int64
	stats     batch.Stats
}

var _ batch.Reader = (*Reader)(nil)

// New returns a reader of src, which must be UTF-8 without a byte order mark,
// and looks at its first byte that is no white space. It fails with a
// *batch.DataError if that begins neither an object nor an array. An input
// without content has no columns and no rows. The caller keeps src open until
// the last call of Next; Close does not close it.
func New(src io.Reader, opts Options) (*Reader, error) {
	r := &Reader{opts: opts, in: input{src: src, buf: make([]byte, 256<<10)}, folded: -1}
	r.parse.limit = MaxColumns
	r.lists.r = r
	blank, err := r.in.skipSpace()
	if errors.Is(err, io.EOF) {
		r.stats.BlankLines = blank
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	switch b := r.in.buf[r.in.pos]; b {
	case '{':
		r.stats.BlankLines = blank
	case '[':
		r.array = true
	default:
		return nil, &batch.DataError{
			Source: opts.Source, Offset: r.in.place(),
			Reason: "is not JSON lines: it begins with " + shown(b) + " instead of { or [",
			Advice: "give one JSON object a line or an array of objects, or name the right format with --format",
		}
	}
	return r, nil
}

func shown(b byte) string {
	if b > ' ' && b < 0x7f {
		return string(rune(b))
	}
	return fmt.Sprintf("the byte 0x%02x", b)
}

// Columns returns the columns found so far, in the order of their first
// appearance.
func (r *Reader) Columns() []batch.Column { return r.columns }

// Stats returns what was met so far; Bytes is left to the opener, which knows
// the size before unpacking.
func (r *Reader) Stats() batch.Stats {
	s := r.stats
	s.Notes = slices.Clone(s.Notes)
	if p := &r.parse; p.repeated > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d times a key is repeated in one object and its last value counts; first: %q in row %d", p.repeated, p.repeatedKey, p.repeatedRow))
	}
	if note := r.lists.note(); note != "" {
		s.Notes = append(s.Notes, note)
	}
	return s
}

// Array reports whether the input is one array instead of lines.
func (r *Reader) Array() bool { return r.array }

// Close releases the buffer.
func (r *Reader) Close() error {
	r.in.buf = nil
	return nil
}

// Next finds the next rows. The chunk gets a copy of their text and the places
// of the values in it.
func (r *Reader) Next(ctx context.Context, c *batch.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	raw := &c.Raw
	raw.Text, raw.Fields, raw.Rows, raw.Stride = raw.Text[:0], raw.Fields[:0], 0, batch.ChunkRows(len(r.columns))
	r.widen(raw)
	r.lists.begin(raw)
	for len(raw.Text) < chunkText && r.lists.cells < chunkCells && raw.Rows < batch.ChunkRows(len(r.columns)) {
		record, err := r.record()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if record == nil {
			continue
		}
		r.lists.start()
		if !r.append(raw, record) {
			r.refuse(record)
			continue
		}
		if r.opts.Records != nil {
			r.opts.Records(batch.Record{Row: r.rows + int64(raw.Rows) + 1, Text: r.whole(record)})
		}
		raw.Rows++
	}
	raw.Text = slices.Grow(raw.Text, batch.RawSpare)
	r.widen(raw)
	r.lists.end()
	raw.Encoders = r.encoders
	c.Reset(len(r.columns), raw)
	c.First, c.Rows = r.rows+1, raw.Rows
	r.rows += int64(raw.Rows)
	if raw.Rows == 0 {
		return io.EOF
	}
	return nil
}

// refuse counts a record, which was read just now, as malformed for its lists.
func (r *Reader) refuse(record []byte) {
	reason := r.lists.reason
	whole := r.whole(record)
	if r.opts.Records != nil {
		r.opts.Records(batch.Record{Kind: batch.MalformedRecord, Text: whole, Reason: reason})
	}
	r.stats.Malformed++
	if r.stats.FirstMalformed == nil {
		at := r.in.place() - int64(len(whole))
		if r.array {
			at = r.in.place() - int64(len(record)) - 1 // a comma or bracket is behind it
		}
		at += int64(skipSpace(record, 0))
		r.stats.FirstMalformed = &batch.Place{Source: r.opts.Source, Row: r.records, Offset: at, Reason: reason}
	}
}

// whole returns a record, which was read from the input just now, with its line
// end; an item of an array without the space around it.
func (r *Reader) whole(record []byte) []byte {
	if r.array {
		return bytes.Trim(record, " \t\r\n")
	}
	end := len(record)
	if end < cap(record) && record[:end+1][end] == '\n' { // both stand in the window
		end++
	}
	return record[:end]
}

// chunkText is how many bytes of text a chunk should have.
const chunkText = 1 << 20

// forms are how values are written, by kind.
var forms = [...]batch.Form{
	kindString: batch.FormString, kindNumber: batch.FormNumber, kindBoolean: batch.FormWord,
	kindList: batch.FormArray, kindStruct: batch.FormObject,
}

// append copies a parsed record to the text of the chunk and adds its cells as
// a row, with columns for paths that have none. It returns false, and adds none,
// if its lists have too many values.
func (r *Reader) append(raw *batch.Raw, record []byte) bool {
	base := len(raw.Text)
	raw.Text = append(raw.Text, record...)
	for i := range r.parse.cells {
		cell := &r.parse.cells[i]
		if cell.node.col < 0 {
			cell.node.col = r.addColumn(cell.node.path(), "")
		}
		start, end := base+cell.start, base+cell.end
		switch cell.kind {
		case kindNull:
			continue
		case kindString:
			if cell.escaped {
				end = start + len(unescape(raw.Text[start:start], raw.Text[start:end]))
			}
		case kindStruct:
			start = len(raw.Text)
			raw.Text = append(raw.Text, "{}"...)
			end = len(raw.Text)
		default:
		}
		r.set(raw, cell.node.col, batch.NewField(start, end, forms[cell.kind]))
		if cell.kind == kindList && !r.lists.take(raw, cell.node, start) {
			r.withdraw(raw)
			raw.Text = raw.Text[:base]
			return false
		}
	}
	for i := range r.parse.folds {
		r.appendFolded(raw, &r.parse.folds[i])
	}
	if len(r.parse.fresh) > 0 {
		r.parse.settle()
	}
	return true
}

// withdraw takes the last row back, of which some of the cells are there.
func (r *Reader) withdraw(raw *batch.Raw) {
	for i := range r.parse.cells {
		n := r.parse.cells[i].node
		if n.col >= 0 {
			r.set(raw, n.col, 0)
		}
		r.lists.drop(n.item)
	}
	r.lists.cells = r.lists.before
	if len(r.parse.fresh) > 0 {
		r.parse.settle()
	}
}

// set sets a field of the last row.
func (r *Reader) set(raw *batch.Raw, col int, f batch.Field) {
	if col*raw.Stride >= len(raw.Fields) {
		r.widen(raw)
	}
	raw.Fields[col*raw.Stride+raw.Rows] = f
}

// widen gives all columns room for their fields, none of which has a value. Rows
// are given up for columns where both would take too much memory.
func (r *Reader) widen(raw *batch.Raw) {
	n := len(r.columns)
	if rows := max(raw.Rows+1, batch.ChunkRows(n)); n*raw.Stride > manyFields && rows < raw.Stride {
		held := len(raw.Fields) / raw.Stride
		for c := range held {
			copy(raw.Fields[c*rows:][:raw.Rows+1], raw.Fields[c*raw.Stride:])
		}
		for c := range held {
			clear(raw.Fields[c*rows+raw.Rows+1 : (c+1)*rows])
		}
		raw.Fields, raw.Stride = raw.Fields[:held*rows], rows
	}
	from, to := len(raw.Fields), n*raw.Stride
	if from < to {
		raw.Fields = slices.Grow(raw.Fields, to-from)[:to]
		clear(raw.Fields[from:])
	}
}

// manyFields is how many fields a chunk has room for before rows are given up.
const manyFields = 1 << 20

func (r *Reader) addColumn(name, list string) int {
	r.columns = append(r.columns, batch.Column{Name: name, List: list})
	r.encoders = append(r.encoders, batch.NewEncoder(batch.EncoderOptions{Limit: batch.DictLimit(len(r.columns))}))
	r.parse.columns = len(r.columns)
	return len(r.columns) - 1
}

// dropColumns forgets the columns from the given one on.
func (r *Reader) dropColumns(from int) {
	r.columns, r.encoders = r.columns[:from], r.encoders[:from]
	r.parse.columns = from
}

// appendFolded writes members without a column of their own as one struct.
func (r *Reader) appendFolded(raw *batch.Raw, f *folding) {
	at := &r.folded
	if f.node != nil {
		at = &f.node.col
	}
	switch {
	case *at >= 0:
	case f.node != nil:
		*at = r.addColumn(f.node.path(), "")
		r.noteFold(f.node, raw)
	default:
		*at = r.addColumn(FoldedColumn, "")
		r.stats.Notes = append(r.stats.Notes, fmt.Sprintf(
			"there are more than %d columns; the rest is kept together in the column %s, from row %d on; first: %s",
			r.parse.limit, FoldedColumn, r.rows+int64(raw.Rows)+1, r.parse.firstFolded))
	}
	start := len(raw.Text)
	raw.Text = append(append(raw.Text, f.text...), '}')
	r.set(raw, *at, batch.NewField(start, len(raw.Text), batch.FormObject))
}

// noteFold tells that the objects of a path have too many keys.
func (r *Reader) noteFold(n *node, raw *batch.Raw) {
	if r.foldNotes++; r.foldNotes > 10 {
		return
	}
	r.stats.Notes = append(r.stats.Notes, fmt.Sprintf("the objects %s have more than %d keys; the rest is kept together in the column %s, from row %d on",
		n.parent.path(), MaxChildren, n.path(), r.rows+int64(raw.Rows)+1))
}
