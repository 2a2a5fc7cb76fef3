package jsonl

import (
	"encoding/binary"
	"math/bits"
)

// template is the form of a record: the text around its values. Records of one
// source mostly differ in their values alone, so one that has the text of the
// template around valid values is valid, and its values belong to the paths of
// the template: nothing else of it needs to be looked at. Members that are
// missing are passed over.
type template struct {
	gaps []gap
	// doubt rises with records that do not fit and falls with those that do.
	// At doubtLimit the template is left alone for the next rest records.
	doubt, rest int
}

const (
	doubtLimit = 32
	doubtRest  = 256
)

// gap is the text from one value to the next one, as in `,"key":`, from the
// start of the record to the first one, or from the last one to the end. Its
// first 16 bytes are compared as two words, of which the masks say how much
// counts.
type gap struct {
	lo, hi         uint64
	loMask, hiMask uint64
	size           int
	node           *node  // of the value behind, nil at the end
	rest           string // what follows the first 16 bytes
	depth          int    // of the object that the value is in
	sibling        bool   // the values before and behind are members of one object
}

func (g *gap) set(text []byte) {
	var words, mask [16]byte
	for i := range copy(words[:], text) {
		mask[i] = 0xff
	}
	g.lo, g.hi = binary.LittleEndian.Uint64(words[:]), binary.LittleEndian.Uint64(words[8:])
	g.loMask, g.hiMask = binary.LittleEndian.Uint64(mask[:]), binary.LittleEndian.Uint64(mask[8:])
	g.size, g.rest = len(text), ""
	if len(text) > len(words) {
		g.rest = string(text[len(words):])
	}
}

// at reports whether the gap's text is at b[i:]. At least 16 bytes must follow
// there.
func (g *gap) at(b []byte, i int) bool {
	w := b[i : i+16 : i+16]
	if (binary.LittleEndian.Uint64(w)^g.lo)&g.loMask|(binary.LittleEndian.Uint64(w[8:])^g.hi)&g.hiMask != 0 {
		return false
	}
	return g.size <= 16 || g.long(b, i)
}

func (g *gap) long(b []byte, i int) bool {
	return len(b)-i >= g.size && string(b[i+16:i+g.size]) == g.rest
}

// learn takes over the form of the record p.rec[:end] that was just parsed. It
// must be one without repeated members; one with folded members is passed over.
func (t *template) learn(p *parser, end int) {
	if len(p.folds) > 0 || len(p.cells) == 0 {
		return
	}
	n := len(p.cells) + 1
	if cap(t.gaps) < n {
		t.gaps = make([]gap, n)
	}
	t.gaps = t.gaps[:n]
	at := 0
	var parent *node
	for k := range p.cells {
		c, g := &p.cells[k], &t.gaps[k]
		start, next := c.start, c.end
		if c.kind == kindString {
			start, next = start-1, next+1
		}
		g.set(p.rec[at:start])
		g.node, g.sibling, g.depth = c.node, c.node.parent == parent, c.node.depth()
		parent, at = c.node.parent, next
	}
	last := &t.gaps[n-1]
	last.set(p.rec[at:end])
	last.node, last.sibling = nil, false
}

// later returns the first gap behind k that is at b[i:] and can follow the
// value before gap k, -1 if there is none: members may be missing from the
// object that this value is in.
func (t *template) later(b []byte, i, k int) int {
	for k < len(t.gaps) && t.gaps[k].sibling {
		if k++; t.gaps[k].at(b, i) {
			return k
		}
	}
	return -1
}

// spare is how many bytes must follow the text that a template is compared
// with, the first of them zero.
const spare = 32

// match parses the record that b begins with into p.cells. It returns the index
// behind its last brace, or -1 if the record does not have the form of the
// template, is malformed or does not end in b. The last spare bytes of b do not
// belong to the text; the zero that they begin with ends all that is not closed.
func (t *template) match(p *parser, b []byte) int {
	if cap(p.cells) < len(t.gaps) {
		p.cells = make([]cell, len(t.gaps))
	}
	gaps, cells := t.gaps, p.cells[:len(t.gaps)]
	n, i := 0, 0
	for k := 0; k < len(gaps); k++ {
		g := &gaps[k]
		if !g.at(b, i) {
			if k = t.later(b, i, k); k < 0 {
				return -1
			}
			g = &gaps[k]
		}
		i += g.size
		if g.node == nil {
			p.cells = cells[:n]
			return i
		}
		c := &cells[n]
		n++
		c.node, c.start = g.node, i
		switch ch := b[i]; {
		case ch == '"':
			c.kind, c.escaped, c.start = kindString, false, i+1
			if i = stringEnd(b, i+1); b[i] != '"' {
				if i, c.escaped = otherString(b, i); i < 0 {
					return -1
				}
			}
			c.end = i
			i++
		case ch == '-' || ch-'0' <= 9:
			if i = numberEnd(b, i); i < 0 {
				return -1
			}
			c.kind, c.escaped, c.end = kindNumber, false, i
		default:
			if i = other(p, c, b, g.depth); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// other parses a value that is neither a string nor a number into c and returns
// the index behind it, -1 if there is none.
func other(p *parser, c *cell, b []byte, depth int) int {
	i := c.start
	c.escaped = false
	switch w := binary.LittleEndian.Uint32(b[i : i+4 : i+4]); {
	case w == 'n'|'u'<<8|'l'<<16|'l'<<24:
		c.kind, c.end = kindNull, i+4
	case w == 't'|'r'<<8|'u'<<16|'e'<<24:
		c.kind, c.end = kindBoolean, i+4
	case w == 'f'|'a'<<8|'l'<<16|'s'<<24 && b[i+4] == 'e':
		c.kind, c.end = kindBoolean, i+5
	case b[i] == '{' && b[i+1] == '}':
		c.kind, c.end = kindStruct, i+2
	case b[i] == '[':
		p.rec = b[:len(b)-spare]
		c.kind = kindList
		c.end = p.skipArray(i+1, depth+1)
	default:
		return -1
	}
	return c.end
}

// stringEnd returns the index of the first byte from i on that ends a string or
// needs a closer look: a quote, a backslash or a control character. There must
// be one at least 16 bytes before the end of b. Of 16 bytes the first marked one
// is chosen without a branch, which could not be predicted.
func stringEnd(b []byte, i int) int {
	for {
		w := b[i : i+16 : i+16]
		lo, hi := ending(binary.LittleEndian.Uint64(w)), ending(binary.LittleEndian.Uint64(w[8:]))
		if lo|hi != 0 {
			m, at := hi, i+8
			if lo != 0 {
				m = lo
			}
			if lo != 0 {
				at = i
			}
			return at + bits.TrailingZeros64(m)>>3
		}
		i += 16
	}
}

// ending marks the bytes of w that end a string or need a closer look. The
// lowest mark is exact, as a borrow only spoils those above it.
func ending(w uint64) uint64 {
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
}

// otherString finds the end of a string from its first backslash on, -1 if it
// is malformed.
func otherString(b []byte, i int) (end int, escaped bool) {
	end, escaped, reason := scanString(b, i)
	if reason != "" {
		return -1, false
	}
	return end, escaped
}

// numberEnd returns the index behind the number at i, -1 if it is malformed.
// Numbers of up to seven characters without an exponent take one look. At least
// 16 bytes must follow.
//
// The end is the lowest byte that is neither a digit nor a point. Below it a
// carry or borrow can only mark too much, a slash behind a point; such a text is
// looked at again, as is one of several points.
func numberEnd(b []byte, i int) int {
	at := i
	if b[i] == '-' {
		i++
	}
	w := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
	digit, point := w^ones*'0', w^ones*'.'
	other := (digit + ones*(0x80-10) | digit) & highs // no digits
	ends := other &^ ((point - ones) &^ point)
	if ends == 0 || other&0x80 != 0 || digit&0xff|other&0x8000 == 0 { // no digit first, or a zero before another
		return otherNumber(b, at)
	}
	end := i + bits.TrailingZeros64(ends)>>3
	points := other & (ends - 1) &^ ends
	if points&(points-1) != 0 || points<<8&ends&-ends != 0 || b[end]|0x20 == 'e' { // several, or nothing behind one
		return otherNumber(b, at)
	}
	return end
}

func otherNumber(b []byte, i int) int {
	end, ok := scanNumber(b, i)
	if !ok {
		return -1
	}
	return end
}
