package yamldoc

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// inside returns where in the file the byte at an offset of a scalar's text is.
func (s *source) inside(n *Node, offset int) (int, bool) {
	if offset < 0 || offset > len(n.text) {
		return 0, false
	}
	if n.style == literal {
		return s.insideBlock(n, offset)
	}
	at, body := n.offset, s.line(n.offset)
	switch n.style {
	case plain:
		if s.starts(at, n.text) {
			return at + offset, true
		}
	case singleQuoted:
		return s.insideSingle(n, offset)
	case doubleQuoted:
		// An escape in front of the place would need the decoder's table.
		if len(body) > offset && strings.HasPrefix(body[1:], n.text[:offset]) && !strings.Contains(n.text[:offset], `\`) {
			return at + 1 + offset, true
		}
	default:
	}
	return 0, false
}

func (s *source) insideSingle(n *Node, offset int) (int, bool) {
	body, i := s.line(n.offset), 1
	for done := 0; done < offset; done++ {
		if i >= len(body) || body[i] != n.text[done] {
			return 0, false
		}
		if body[i] == '\'' {
			i++
		}
		i++
	}
	return n.offset + i, i < len(body)
}

// insideBlock maps a literal block, whose lines stand below its sign with a
// common indentation.
func (s *source) insideBlock(n *Node, offset int) (int, bool) {
	line := strings.Count(n.text[:offset], "\n")
	start := strings.LastIndexByte(n.text[:offset], '\n') + 1
	want, _, _ := strings.Cut(n.text[start:], "\n")
	at := n.offset
	for range line + 1 {
		next := bytes.IndexByte(s.data[at:], '\n')
		if next < 0 {
			return 0, false
		}
		at += next + 1
	}
	body := s.line(at)
	if !strings.HasSuffix(body, want) || !utf8.ValidString(want) {
		return 0, false
	}
	return at + len(body) - len(want) + offset - start, true
}
