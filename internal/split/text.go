package split

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/profilerhq/profiler/internal/source"
)

// open starts the sides for a format.
func (w *walk) open(info source.Info) (sides, error) {
	j := &w.job
	switch info.Format {
	case "csv":
		quote := j.Options.Quote
		if quote == 0 {
			quote = '"'
		}
		t := &textSides{queue: &w.queue, format: delimited{info.Delimiter, quote}, width: len(w.job.Summary.Columns)}
		t.begin(j.Good, j.Bad, info.BOM)
		return t, nil
	case "jsonl":
		t := &textSides{queue: &w.queue, format: jsonLines{}}
		if info.Array {
			t.format = jsonArray{}
		}
		t.begin(j.Good, j.Bad, info.BOM)
		return t, nil
	}
	return w.openBinary(info)
}

// textFormat writes records of a text format.
type textFormat interface {
	// opening and closing stand around all records.
	opening() string
	closing(records int64) string
	// separate returns what stands between two records, of which the first ends
	// without or with a line end.
	separate(ended bool) string
	// keep returns a record as it is written to the good side.
	keep(text []byte) []byte
	// reject appends a rejected record; width is how many columns there are.
	reject(b, text []byte, rule, reason string, row int64) []byte
	malformed(b, text []byte, reason string, width int) []byte
	header(b, text []byte) []byte
}

// textSides part the records of a text.
type textSides struct {
	queue  *queue
	format textFormat
	width  int
	first  []byte // header
	sides  [2]textSide
	b      []byte
}

// textSide is one of the files.
type textSide struct {
	out     *bufio.Writer
	records int64
	ended   bool // with a line end, or nothing is written
	err     error
}

const (
	goodSide = 0
	badSide  = 1
)

func (t *textSides) begin(good, bad io.Writer, bom bool) {
	for i, w := range []io.Writer{good, bad} {
		s := &t.sides[i]
		s.out, s.ended = bufio.NewWriterSize(w, 256<<10), true
		if bom {
			s.put([]byte("\xef\xbb\xbf"))
		}
		s.put([]byte(t.format.opening()))
	}
}

func (s *textSide) put(b []byte) {
	if s.err == nil {
		_, s.err = s.out.Write(b)
	}
}

// record writes a record to a side.
func (t *textSides) record(side int, text []byte) error {
	s := &t.sides[side]
	if s.records > 0 {
		s.put([]byte(t.format.separate(s.ended)))
	}
	s.records++
	s.put(text)
	_, end := lineEnd(text)
	s.ended = len(end) > 0
	return s.err
}

func (t *textSides) good() error { return t.record(goodSide, t.format.keep(t.queue.current)) }

func (t *textSides) bad(rule, reason string, row int64) error {
	t.b = t.format.reject(t.b[:0], t.queue.current, rule, reason, row)
	return t.record(badSide, t.b)
}

// header takes the names of the columns, which are the same in all files.
func (t *textSides) header(text []byte) error {
	names, _ := lineEnd(text)
	if t.first != nil {
		if !bytes.Equal(names, t.first) {
			return &UsageError{fmt.Sprintf("the files have different headers, %q and %q; part them one by one", t.first, names)}
		}
		return nil
	}
	t.first = bytes.Clone(names)
	t.b = t.format.header(t.b[:0], text)
	return errors.Join(t.record(goodSide, text), t.record(badSide, t.b))
}

func (t *textSides) malformed(text []byte, reason string) error {
	t.b = t.format.malformed(t.b[:0], text, reason, t.width)
	return t.record(badSide, t.b)
}

// other keeps blank lines and comments.
func (t *textSides) other(text []byte) error { return t.record(goodSide, text) }

func (t *textSides) close() error {
	var errs []error
	for i := range t.sides {
		s := &t.sides[i]
		s.put([]byte(t.format.closing(s.records)))
		errs = append(errs, s.err, s.out.Flush())
	}
	return errors.Join(errs...)
}

// delimited is text with a delimiter.
type delimited struct{ delimiter, quote byte }

func (delimited) opening() string { return "" }

func (delimited) closing(int64) string { return "" }

func (delimited) separate(ended bool) string { return newlineUnless(ended) }

func newlineUnless(ended bool) string {
	if ended {
		return ""
	}
	return "\n"
}

func (delimited) keep(text []byte) []byte { return text }

func (d delimited) header(b, text []byte) []byte {
	return d.extend(b, text, RuleColumn, ReasonColumn, RowColumn)
}

func (d delimited) reject(b, text []byte, rule, reason string, row int64) []byte {
	return d.extend(b, text, rule, reason, rowText(row))
}

// extend appends a record with more fields before its line end.
func (d delimited) extend(b, text []byte, fields ...string) []byte {
	rec, end := lineEnd(text)
	b = append(b, rec...)
	for _, f := range fields {
		b = d.field(append(b, d.delimiter), f)
	}
	if len(end) == 0 {
		return append(b, '\n')
	}
	return append(b, end...)
}

// malformed writes a record whose fields are not those of the columns as one
// field, quoted, in the first column.
func (d delimited) malformed(b, text []byte, reason string, width int) []byte {
	rec, end := lineEnd(text)
	b = d.field(b, string(rec))
	for range width - 1 {
		b = append(b, d.delimiter)
	}
	return d.reject(b, end, parsable, reason, 0)
}

// field appends a field, in quotes if it needs them.
func (d delimited) field(b []byte, text string) []byte {
	needs := false
	for i := range len(text) {
		ch := text[i]
		needs = needs || ch == d.delimiter || ch == d.quote || ch == '\n' || ch == '\r'
	}
	if !needs {
		return append(b, text...)
	}
	b = append(b, d.quote)
	for i := range len(text) {
		if text[i] == d.quote {
			b = append(b, d.quote)
		}
		b = append(b, text[i])
	}
	return append(b, d.quote)
}

// jsonLines are objects, one a line.
type jsonLines struct{}

func (jsonLines) opening() string { return "" }

func (jsonLines) closing(int64) string { return "" }

func (jsonLines) separate(ended bool) string { return newlineUnless(ended) }

func (jsonLines) keep(text []byte) []byte { return text }

func (jsonLines) header(b, _ []byte) []byte { return b }

func (jsonLines) reject(b, text []byte, rule, reason string, row int64) []byte {
	rec, end := lineEnd(text)
	b = appendRejected(b, rec, rule, reason, row)
	if len(end) == 0 {
		return append(b, '\n')
	}
	return append(b, end...)
}

func (jsonLines) malformed(b, text []byte, reason string, _ int) []byte {
	rec, _ := lineEnd(text)
	b = append(b, `{"_record":`...)
	b = append(appendString(b, string(rec)), ',')
	return append(appendReason(b, parsable, reason, 0), '}', '\n')
}

// jsonArray are the objects of one array.
type jsonArray struct{ jsonLines }

func (jsonArray) opening() string { return "[" }

func (jsonArray) closing(records int64) string {
	if records > 0 {
		return "\n]\n"
	}
	return "]\n"
}

func (jsonArray) separate(bool) string { return "," }

func (jsonArray) keep(text []byte) []byte {
	return append([]byte{'\n'}, bytes.TrimSpace(text)...)
}

func (a jsonArray) reject(b, text []byte, rule, reason string, row int64) []byte {
	return appendRejected(append(b, '\n'), bytes.TrimSpace(text), rule, reason, row)
}

func (a jsonArray) malformed(b, text []byte, reason string, _ int) []byte {
	return bytes.TrimRight(jsonLines{}.malformed(append(b, '\n'), bytes.TrimSpace(text), reason, 0), "\n")
}
