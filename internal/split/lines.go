package split

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
)

// lines writes rejected rows as lines of JSON. The values of sensitive columns are
// masked in them, and records that are no rows if there are such columns.
type lines struct {
	out     *bufio.Writer
	summary *profile.Summary
	types   []batch.Type // of the columns, by their index
	masked  bool         // there are sensitive columns
	b       []byte
}

func newLines(w io.Writer, s *profile.Summary) *lines {
	return &lines{out: bufio.NewWriterSize(w, 64<<10), summary: s, masked: s.SensitiveKey != ""}
}

func (l *lines) flush() error { return l.out.Flush() }

// row writes row i of the chunk: a record of JSON as it stands in the input,
// unless a part of it is sensitive, else the values of its columns.
func (l *lines) row(w *walk, i int, rule, reason string, row int64) error {
	if w.reader.Info().Format == "jsonl" && !l.masked {
		rec, _ := lineEnd(w.queue.current)
		l.b = appendRejected(l.b[:0], rec, rule, reason, row)
		l.b = append(bytes.ReplaceAll(l.b, []byte("\n"), []byte(" ")), '\n')
		_, err := l.out.Write(l.b)
		return err
	}
	l.b = append(l.b[:0], '{')
	for at, c := range w.reader.Columns() {
		v, err := w.chunk.Fill(at)
		if err != nil {
			return err
		}
		l.b = appendString(l.b, c.Name)
		l.b = append(l.b, ':')
		if v.Rows == nil {
			l.b = append(l.value(l.b, v, i, at, c.Name), ',')
			continue
		}
		l.b = append(l.b, '[')
		for k, e := range v.ElementsOf([]int32{int32(i)}, nil) { //nolint:gosec // a row of a chunk
			if k > 0 {
				l.b = append(l.b, ',')
			}
			l.b = l.value(l.b, v, int(e), at, c.Name)
		}
		l.b = append(l.b, ']', ',')
	}
	return l.end(rule, reason, row)
}

// value appends the value of row i of a column.
func (l *lines) value(b []byte, v *batch.Vector, i, at int, name string) []byte {
	if l.masked {
		plain, k := v.At(i)
		if c := l.summary.Column(name); (c == nil || c.Sensitive) && plain.Types[k] != batch.Null {
			return appendString(b, profile.Masked)
		}
	}
	return appendValue(b, v, i, l.kind(at, name))
}

// kind is the type of a column in the whole batch.
func (l *lines) kind(at int, name string) batch.Type {
	for len(l.types) <= at {
		l.types = append(l.types, batch.Null)
	}
	if l.types[at] == batch.Null {
		if c := l.summary.Column(name); c != nil {
			l.types[at] = c.Kind()
		}
	}
	return l.types[at]
}

// malformed writes a record that is no row.
func (l *lines) malformed(text []byte, reason string) error {
	rec, _ := lineEnd(text)
	l.b = append(l.b[:0], `{"_record":`...)
	if l.masked {
		rec = []byte(profile.Masked)
	}
	l.b = appendString(l.b, string(rec))
	l.b = append(l.b, ',')
	return l.end(parsable, reason, 0)
}

func (l *lines) end(rule, reason string, row int64) error {
	l.b = appendReason(l.b, rule, reason, row)
	l.b = append(l.b, '}', '\n')
	_, err := l.out.Write(l.b)
	return err
}

// appendReason appends the members that rejected rows get.
func appendReason(b []byte, rule, reason string, row int64) []byte {
	b = append(b, `"_rule":`...)
	b = appendString(b, rule)
	b = append(b, `,"_reason":`...)
	b = appendString(b, reason)
	b = append(b, `,"_row":`...)
	if row == 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, row, 10)
}

// appendRejected appends an object with the members of rejected rows.
func appendRejected(b, object []byte, rule, reason string, row int64) []byte {
	object = bytes.TrimRight(object, " \t\r\n")
	inside := bytes.TrimRight(object[:len(object)-1], " \t\r\n")
	b = append(b, inside...)
	if inside[len(inside)-1] != '{' {
		b = append(b, ',')
	}
	return append(appendReason(b, rule, reason, row), '}')
}

// appendString appends a text as JSON has it; bytes that are not valid become
// U+FFFD.
func appendString(b []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always has a form
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}

// appendValue appends the value of row i: numbers and booleans as such unless
// the column is one of texts, all else as text.
func appendValue(b []byte, v *batch.Vector, i int, column batch.Type) []byte {
	v, i = v.At(i)
	typ := v.Types[i]
	asText := column == batch.String && v.HasText
	switch {
	case typ == batch.Null:
		return append(b, "null"...)
	case typ == batch.Integer && !asText:
		return strconv.AppendInt(b, v.Ints[i], 10)
	case typ == batch.Number && !asText && !math.IsNaN(v.Floats[i]) && !math.IsInf(v.Floats[i], 0):
		text := v.AppendText(nil, i)
		if json.Valid(text) {
			return append(b, text...)
		}
		return strconv.AppendFloat(b, v.Floats[i], 'g', -1, 64)
	case typ == batch.Boolean && !asText:
		return strconv.AppendBool(b, v.Ints[i] != 0)
	}
	return appendString(b, string(v.AppendText(nil, i)))
}
