package yamldoc

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/diag"
)

// source is the text of one file and the way from offsets to positions.
type source struct {
	file string
	data []byte
	// yamlLines holds the offset of each line by YAML's rules, where a carriage
	// return and some Unicode separators end a line too. The positions that
	// users see follow the rule of editors: a line ends with \n.
	yamlLines []int
	offsets   cursor
	positions cursor
}

// cursor remembers the last conversion, so that walking along one very long
// line stays linear.
type cursor struct{ line, column, offset int }

func newSource(file string, data []byte) *source {
	s := &source{file: file, data: data, yamlLines: []int{0}}
	for i := 0; i < len(data); {
		size := breakSize(data[i:])
		if size > 0 {
			s.yamlLines = append(s.yamlLines, i+size)
		}
		i += max(size, 1)
	}
	return s
}

// breakSize returns the length in bytes of the YAML line break at the start of b.
func breakSize(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2
	case b[0] == '\n', b[0] == '\r':
		return 1
	case bytes.HasPrefix(b, []byte("\u0085")):
		return 2
	case bytes.HasPrefix(b, []byte("\u2028")), bytes.HasPrefix(b, []byte("\u2029")):
		return 3
	}
	return 0
}

// offset converts a line and a column in characters, both from 1 and by YAML's
// rules, to an offset in bytes. Places outside the text are moved into it.
func (s *source) offset(line, column int) int {
	line = min(max(line, 1), len(s.yamlLines))
	at := cursor{line: line, column: 1, offset: s.yamlLines[line-1]}
	if c := s.offsets; c.line == line && c.column <= column {
		at = c
	}
	for at.column < column && at.offset < len(s.data) {
		_, size := utf8.DecodeRune(s.data[at.offset:])
		at.offset += size
		at.column++
	}
	s.offsets = at
	return at.offset
}

// position converts an offset to the position that users see.
func (s *source) position(offset int) diag.Position {
	offset = min(max(offset, 0), len(s.data))
	at := cursor{line: 1, column: 1}
	if s.positions.offset <= offset && s.positions.line > 0 {
		at = s.positions
	}
	if n := bytes.Count(s.data[at.offset:offset], []byte("\n")); n > 0 {
		at.line += n
		at.offset += bytes.LastIndexByte(s.data[at.offset:offset], '\n') + 1
		at.column = 1
	}
	at.column += utf8.RuneCount(s.data[at.offset:offset])
	at.offset = offset
	s.positions = at
	return diag.Position{File: s.file, Line: at.line, Column: at.column}
}

// maxLine is the number of bytes of a line that messages look at. It keeps the
// work per value constant in a file that is one long line.
const maxLine = 4096

// line returns the rest of the line from an offset on, without its break.
func (s *source) line(offset int) string {
	rest := s.data[min(offset, len(s.data)):]
	rest = rest[:min(len(rest), maxLine)]
	if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
		rest = rest[:i]
	}
	return string(rest)
}

// starts reports whether the text at an offset starts with a prefix.
func (s *source) starts(offset int, prefix string) bool {
	rest := s.data[min(offset, len(s.data)):]
	return len(rest) >= len(prefix) && string(rest[:len(prefix)]) == prefix
}

// token returns the source text of the scalar at an offset, as far as it stands
// on one line.
func (s *source) token(offset int, style style, text string) string {
	switch {
	case style == plain && s.starts(offset, text):
		return text
	case style == literal || style == folded:
		return "|"
	}
	rest := s.data[min(offset, len(s.data)):]
	rest = rest[:min(len(rest), maxLine)]
	end := len(rest)
scan:
	for i := range rest {
		switch c := rest[i]; {
		case c == '\n' || c == '\r':
			end = i
			break scan
		case i > 0 && c == rest[0] && style != plain && s.closes(rest, i, style):
			return string(rest[:i+1])
		}
	}
	return strings.TrimRight(string(rest[:end]), " \t")
}

// closes reports whether the quote at i ends the quoted text that starts rest.
func (s *source) closes(rest []byte, i int, style style) bool {
	before := 0
	if style == doubleQuoted {
		for ; rest[i-1-before] == '\\'; before++ {
		}
		return before%2 == 0
	}
	for ; i-1-before > 0 && rest[i-1-before] == '\''; before++ {
	}
	return before%2 == 0 && (i+1 == len(rest) || rest[i+1] != '\'')
}

// positionFrom converts an offset at or after a known one. Unlike position it
// changes nothing, so that finished documents can be read concurrently.
func (s *source) positionFrom(pos diag.Position, from, offset int) diag.Position {
	part := s.data[from:max(from, min(offset, len(s.data)))]
	if n := bytes.Count(part, []byte("\n")); n > 0 {
		pos.Line += n
		pos.Column = 1
		part = part[bytes.LastIndexByte(part, '\n')+1:]
	}
	pos.Column += utf8.RuneCount(part)
	return pos
}
