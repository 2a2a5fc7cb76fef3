package runner

import (
	"bufio"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// storeError is a failure to write the output, as opposed to one of the database.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }

// rowWriter writes the rows of a query as CSV, TSV or JSON Lines.
type rowWriter struct {
	out     *bufio.Writer
	csv     *csv.Writer // nil for JSON Lines
	names   [][]byte    // as JSON, with the colon
	kinds   []rowKind
	values  []any
	pointer []any
	line    []byte
	record  []string
	n       int64
}

// rowKind says what is special about the values of a column.
type rowKind int

const (
	plainKind  rowKind = iota
	numberKind         // a text that is a number
	jsonKind           // a text that is JSON
	dateKind
	clockKind // a time without a zone
	bytesKind
)

// kindOf sorts the type of a column by its name in the database.
func kindOf(t *sql.ColumnType) rowKind {
	name, _, _ := strings.Cut(strings.ToUpper(t.DatabaseTypeName()), "(")
	switch strings.TrimSpace(name) {
	case "NUMERIC", "DECIMAL":
		return numberKind
	case "JSON", "JSONB":
		return jsonKind
	case "DATE":
		return dateKind
	case "TIMESTAMP":
		return clockKind
	case "BYTEA":
		return bytesKind
	}
	return plainKind
}

// newRowWriter begins the output; of CSV it writes the header. The format is csv,
// tsv or, by default, jsonl.
func newRowWriter(out io.Writer, types []*sql.ColumnType, format string) (*rowWriter, error) {
	w := &rowWriter{out: bufio.NewWriterSize(out, 64<<10), values: make([]any, len(types)), pointer: make([]any, len(types)), record: make([]string, len(types))}
	seen := map[string]bool{}
	for i, t := range types {
		if seen[t.Name()] {
			return nil, complete("the query gives two columns with the name %q; name one of them by AS", t.Name())
		}
		seen[t.Name()] = true
		name, err := json.Marshal(t.Name())
		if err != nil {
			return nil, err
		}
		w.names = append(w.names, append(name, ':'))
		w.kinds = append(w.kinds, kindOf(t))
		w.pointer[i], w.record[i] = &w.values[i], t.Name()
	}
	if format == "csv" || format == "tsv" {
		w.csv = csv.NewWriter(w.out)
		if format == "tsv" {
			w.csv.Comma = '\t'
		}
		if err := w.csv.Write(w.record); err != nil {
			return nil, &storeError{err}
		}
	}
	return w, nil
}

// write writes the row that rows stands at.
func (w *rowWriter) write(rows *sql.Rows) error {
	if err := rows.Scan(w.pointer...); err != nil {
		return err
	}
	w.n++
	if w.csv != nil {
		for i := range w.values {
			text, _ := w.text(i)
			w.record[i] = text
		}
		if err := w.csv.Write(w.record); err != nil {
			return &storeError{err}
		}
		return nil
	}
	w.line = append(w.line[:0], '{')
	for i := range w.values {
		if i > 0 {
			w.line = append(w.line, ',')
		}
		w.line = append(w.line, w.names[i]...)
		text, literal := w.text(i)
		switch {
		case w.values[i] == nil:
			w.line = append(w.line, "null"...)
		case literal:
			w.line = append(w.line, text...)
		default:
			quoted, err := json.Marshal(text)
			if err != nil {
				return err
			}
			w.line = append(w.line, quoted...)
		}
	}
	if _, err := w.out.Write(append(w.line, '}', '\n')); err != nil {
		return &storeError{err}
	}
	return nil
}

func (w *rowWriter) flush() error {
	if w.csv != nil {
		w.csv.Flush()
		if err := w.csv.Error(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// text returns a value as text, empty for null. literal says that it is a value
// in JSON as it stands.
func (w *rowWriter) text(i int) (text string, literal bool) {
	switch x := w.values[i].(type) {
	case nil:
		return "", true
	case int64:
		return strconv.FormatInt(x, 10), true
	case bool:
		return strconv.FormatBool(x), true
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64), !math.IsNaN(x) && !math.IsInf(x, 0)
	case time.Time:
		switch w.kinds[i] {
		case dateKind:
			return x.Format(time.DateOnly), false
		case clockKind:
			return x.Format("2006-01-02T15:04:05.999999999"), false
		default:
			return x.Format(time.RFC3339Nano), false
		}
	case []byte:
		return w.bytes(i, x)
	case string:
		return w.bytes(i, []byte(x))
	}
	return fmt.Sprint(w.values[i]), false
}

func (w *rowWriter) bytes(i int, b []byte) (text string, literal bool) {
	switch {
	case w.kinds[i] == bytesKind || !utf8.Valid(b):
		return base64.StdEncoding.EncodeToString(b), false
	case w.kinds[i] == numberKind || w.kinds[i] == jsonKind:
		return string(b), json.Valid(b) && !strings.Contains(string(b), "\n")
	}
	return string(b), false
}
