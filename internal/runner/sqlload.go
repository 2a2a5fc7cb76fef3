package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/db"
)

// dataError is bad input of a load, as exit code 65 is of a command.
func dataError(format string, args ...any) error {
	return complete("%w", &classified{errData, fmt.Errorf(format, args...)})
}

// load writes the rows of the input into the table.
func (v *visit) load(ctx context.Context, tx *db.Tx) error {
	l := v.s.SQL.Load
	f, err := os.Open(v.inputPath())
	if err != nil {
		return complete("the input cannot be read: %w", err)
	}
	defer f.Close()
	in, err := newRecords(f, v.s.Format.In, l.Columns, !tx.Dialect().IsPostgres())
	if err != nil {
		return err
	}
	if len(in.columns) == 0 { // no row, and nobody knows the columns
		return nil
	}
	if l.Temporary {
		if err := makeTemporary(ctx, tx, l.Table, in.columns); err != nil {
			return err
		}
	}
	_, err = tx.Load(ctx, l.Table, in.columns, in.next)
	if err == nil || errors.Is(err, errUser) {
		return err
	}
	fault := db.FaultOf(err)
	if fault.Kind == db.Temporary {
		return err
	}
	return complete("%w", &loadError{"load into " + l.Table + ": " + fault.Message, err})
}

// loadError has words of its own and the class of what the database said.
type loadError struct {
	words string
	err   error
}

func (e *loadError) Error() string { return e.words }
func (e *loadError) Unwrap() error { return e.err }

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// makeTemporary makes a table of texts that is gone after the transaction; on
// SQLite one that an earlier transaction of the connection has left goes first.
func makeTemporary(ctx context.Context, tx *db.Tx, table string, columns []string) error {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quoteName(c) + " TEXT"
	}
	end := " (" + strings.Join(quoted, ", ") + ")"
	if tx.Dialect().IsPostgres() {
		_, err := tx.NativeExec(ctx, "CREATE TEMPORARY TABLE "+quoteName(table)+end+" ON COMMIT DROP")
		return err
	}
	if _, err := tx.NativeExec(ctx, "DROP TABLE IF EXISTS temp."+quoteName(table)); err != nil {
		return err
	}
	_, err := tx.NativeExec(ctx, "CREATE TEMPORARY TABLE "+quoteName(table)+end)
	return err
}

// records reads the rows of a file for a table.
type records struct {
	columns []string // of the table, in the order of the values
	typed   bool     // numbers and booleans of JSON are no texts
	values  []any

	csv    *csv.Reader
	fields []int // where in the record the columns are

	lines *bufio.Reader
	line  int64
	first []byte // a line that was read to find the columns
	all   bool   // columns are those of the first line
}

// newRecords looks at the beginning of the input. wanted are the columns that are
// asked for, nil for all. Of an input without a row and a header there are none.
func newRecords(f io.Reader, format string, wanted []string, typed bool) (*records, error) {
	r := &records{columns: wanted, typed: typed, lines: bufio.NewReaderSize(f, 64<<10), all: wanted == nil}
	if bom, _ := r.lines.Peek(3); string(bom) == "\uFEFF" {
		_, _ = r.lines.Discard(3) // it is there
	}
	head, err := r.lines.Peek(1)
	if errors.Is(err, io.EOF) {
		r.columns = nil
		return r, nil
	}
	if err != nil {
		return nil, complete("the input cannot be read: %w", err)
	}
	switch {
	case format == "jsonl", format == "" && (head[0] == '{' || head[0] == '['):
		err = r.beginJSON()
	case format == "" && (head[0] == 'P' || head[0] < ' ' || head[0] >= utf8.RuneSelf) && r.binary():
		err = dataError("the input is neither CSV nor JSON Lines, which a load reads")
	default:
		err = r.beginCSV(format)
	}
	r.values = make([]any, len(r.columns))
	return r, err
}

// binary reports whether the beginning of the input has bytes that no text has.
func (r *records) binary() bool {
	head, _ := r.lines.Peek(512)
	return bytes.IndexByte(head, 0) >= 0 || bytes.HasPrefix(head, []byte("PAR1"))
}

func (r *records) beginCSV(format string) error {
	r.csv = csv.NewReader(r.lines)
	r.csv.ReuseRecord = true
	if format == "tsv" {
		r.csv.Comma = '\t'
	}
	header, err := r.csv.Read()
	if err != nil {
		return r.csvError(err)
	}
	if r.all {
		r.columns = slices.Clone(header)
	}
	for _, c := range r.columns {
		i := slices.Index(header, c)
		switch {
		case c == "":
			return dataError("a column of the header has no name; list the columns to load")
		case i < 0:
			return dataError("the input has no column %q; it has %s", c, strings.Join(header, ", "))
		case slices.Contains(header[i+1:], c):
			return dataError("the input has two columns with the name %q", c)
		}
		r.fields = append(r.fields, i)
	}
	return nil
}

// csvError words what the reader of CSV says.
func (r *records) csvError(err error) error {
	var bad *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return err
	case errors.As(err, &bad):
		return dataError("line %d of the input is malformed: %w", bad.Line, bad.Err)
	}
	return complete("the input cannot be read: %w", err)
}

func (r *records) beginJSON() error {
	line, err := r.readLine()
	if errors.Is(err, io.EOF) {
		r.columns = nil
		return nil
	}
	if err != nil {
		return err
	}
	r.first = bytes.Clone(line)
	if r.all {
		r.columns, err = keysOf(line)
	}
	if err != nil {
		return dataError("line %d of the input is no JSON object", r.line)
	}
	return nil
}

// keysOf returns the keys of an object in their order.
func keysOf(line []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	var keys []string
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string)
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no keys")
	}
	return keys, nil
}

// maxLine is the longest line of JSON that is loaded, in bytes.
const maxLine = 64 << 20

// readLine returns the next line that is not blank.
func (r *records) readLine() ([]byte, error) {
	for {
		var line []byte
		for {
			part, err := r.lines.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > maxLine {
				return nil, dataError("line %d of the input is longer than 64 MiB", r.line+1)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, complete("the input cannot be read: %w", err)
			}
			if err != nil && len(line) == 0 {
				return nil, io.EOF
			}
			break
		}
		r.line++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

// next returns the values of the next row, io.EOF after the last one. The slice is
// overwritten by the call after it.
func (r *records) next() ([]any, error) {
	if r.csv == nil {
		return r.nextJSON()
	}
	record, err := r.csv.Read()
	if err != nil {
		return nil, r.csvError(err)
	}
	for i, at := range r.fields {
		r.values[i] = nil // an empty field is null, as in profiles
		if record[at] != "" {
			r.values[i] = record[at]
		}
	}
	return r.values, nil
}

func (r *records) nextJSON() ([]any, error) {
	line := r.first
	if r.first = nil; line == nil {
		var err error
		if line, err = r.readLine(); err != nil {
			return nil, err
		}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		return nil, dataError("line %d of the input is no JSON object", r.line)
	}
	for i, c := range r.columns {
		r.values[i] = r.value(object[c])
		delete(object, c)
	}
	if r.all {
		for key := range object {
			return nil, dataError("line %d of the input has the key %q, which the first line has not; list the columns to load", r.line, key)
		}
	}
	return r.values, nil
}

// value is a value of JSON for the database: texts as they are meant, objects and
// arrays as they are written.
func (r *records) value(raw json.RawMessage) any {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] == '"' {
		return plain(raw)
	}
	if r.typed {
		switch raw[0] {
		case 't':
			return true
		case 'f':
			return false
		case '{', '[':
			return string(raw)
		}
		var n json.Number
		if json.Unmarshal(raw, &n) == nil {
			if i, err := n.Int64(); err == nil {
				return i
			}
			if x, err := n.Float64(); err == nil {
				return x
			}
		}
	}
	return string(raw)
}
