package oracle

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
)

// CSV says how a text is delimited.
type CSV struct {
	Delimiter byte
	NoHeader  bool
	Nulls     []string
}

const bom = "\xef\xbb\xbf"

// Strictness of Standard: whether a quote inside a field is text.
const (
	Strict = false
	Lazy   = true
)

// Standard reads with encoding/csv. Its error is that of the first record that
// encoding/csv cannot read; records of the wrong width are malformed. A line end
// inside quotes becomes \n.
func (o CSV) Standard(text string, lazy bool) (*Table, error) {
	text = strings.TrimPrefix(text, bom)
	lines := strings.SplitAfter(text, "\n")
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = rune(o.Delimiter), lazy, -1
	t := newCSVTable()
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return t, err
		}
		quoted := make([]bool, len(fields))
		for i := range fields {
			line, col := r.FieldPos(i)
			at := lines[line-1][col-1:]
			quoted[i] = strings.HasPrefix(at, `"`)
		}
		o.take(t, fields, quoted)
	}
}

func newCSVTable() *Table { return &Table{HasText: true, Inferred: true} }

// take adds a record to the table: the first one names the columns.
func (o CSV) take(t *Table, fields []string, quoted []bool) {
	if t.Names == nil {
		t.Names = make([]string, len(fields))
		if !o.NoHeader {
			for i, f := range fields {
				t.Names[i] = strings.TrimSpace(f)
			}
			return
		}
	}
	if len(fields) != len(t.Names) {
		t.Malformed++
		return
	}
	row := make([]Value, len(fields))
	for i, f := range fields {
		row[i] = o.cell(f, quoted[i])
	}
	t.Rows = append(t.Rows, row)
}

// cell gives a field its meaning: an empty unquoted one is null.
func (o CSV) cell(text string, quoted bool) Value {
	switch {
	case text == "" && quoted:
		return Value{Type: tString, Empty: true}
	case text == "", !quoted && slices.Contains(o.Nulls, text):
		return null
	}
	return FromText(text)
}

// Read reads by the rules of the contract, one byte after the other:
// a bare quote inside an unquoted field is text; text after a closing quote
// makes the record malformed, and reading goes on with the next line; a quote
// that is never closed makes the record that opened it malformed, and reading
// goes on with the line after the one on which that record began. Line ends
// inside quotes are kept.
func (o CSV) Read(text string) *Table {
	s := &csvState{text: strings.TrimPrefix(text, bom), delimiter: o.Delimiter, end: '\n'}
	if crOnly(s.text) {
		s.end = '\r'
	}
	t := newCSVTable()
	for s.at < len(s.text) {
		line, next := s.line(s.at)
		if line == "" {
			t.Blank++
			s.at = next
			continue
		}
		if fields, quoted, ok := s.record(); ok {
			o.take(t, fields, quoted)
		} else {
			t.Malformed++
		}
	}
	return t
}

// crOnly reports whether lines end with a lone CR: the head has no LF.
func crOnly(text string) bool {
	head := text[:min(len(text), 64<<10)]
	return !strings.Contains(head, "\n") && strings.Contains(head, "\r")
}

type csvState struct {
	text      string
	at        int
	delimiter byte
	end       byte // of a line
}

// line returns the line at i without its end, and where the next one begins.
func (s *csvState) line(i int) (line string, next int) {
	line, _, found := strings.Cut(s.text[i:], string(s.end))
	next = i + len(line)
	if found {
		next++
	}
	if s.end == '\n' {
		line = strings.TrimSuffix(line, "\r")
	}
	return line, next
}

// record reads the record at s.at and moves behind it. ok is false if it is
// malformed.
func (s *csvState) record() (fields []string, quoted []bool, ok bool) {
	start := s.at
	for {
		if s.at < len(s.text) && s.text[s.at] == '"' {
			field, closed := s.quoted()
			if !closed {
				_, s.at = s.line(start)
				return nil, nil, false
			}
			fields, quoted = append(fields, field), append(quoted, true)
			if !s.atFieldEnd() {
				_, s.at = s.line(s.at)
				return nil, nil, false
			}
		} else {
			rest, _ := s.line(s.at)
			field, _, _ := strings.Cut(rest, string(s.delimiter))
			s.at += len(field)
			fields, quoted = append(fields, field), append(quoted, false)
		}
		if s.at < len(s.text) && s.text[s.at] == s.delimiter {
			s.at++
			continue
		}
		_, s.at = s.line(s.at)
		return fields, quoted, true
	}
}

// quoted reads the quoted field at s.at and moves behind its closing quote.
func (s *csvState) quoted() (field string, closed bool) {
	var b strings.Builder
	for i := s.at + 1; i < len(s.text); i++ {
		if s.text[i] != '"' {
			b.WriteByte(s.text[i])
			continue
		}
		if i+1 < len(s.text) && s.text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		s.at = i + 1
		return b.String(), true
	}
	return "", false
}

// atFieldEnd reports whether a field may end at s.at.
func (s *csvState) atFieldEnd() bool {
	rest := s.text[s.at:]
	return rest == "" || rest[0] == s.delimiter || rest[0] == s.end ||
		s.end == '\n' && (rest == "\r" || strings.HasPrefix(rest, "\r\n"))
}
