package jsonl

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// kind is what a cell holds.
type kind uint8

const (
	kindNull kind = iota
	kindString
	kindNumber
	kindBoolean
	kindList
	kindStruct // an empty object
)

// cell is one value of a record: the bytes start to end of it, without quotes.
type cell struct {
	node       *node
	start, end int
	kind       kind
	escaped    bool
}

// parser takes records apart and validates them (RFC 8259, but for the rule
// that text is valid UTF-8, which is left to the profile). Records of the form
// of the one before take a short way, see template; in others keys are guessed
// from their order, so that most cost one comparison.
type parser struct {
	root    node
	rec     []byte
	cells   []cell
	scratch []byte

	template template

	limit   int // of columns
	columns int // that exist
	pending int // cells of this record whose column does not exist yet
	fresh   []*node

	folds       []folding // members of the record for which there is no column
	firstFolded string

	dead   int   // cells of the record that a repeated key has left without a node
	packs  int64 // how often dead cells were taken out
	packed int   // cells that were left the last time

	serial      int64 // of the record, marks keys that were met
	row         int64 // of the record, for messages
	repeated    int64
	repeatedKey string
	repeatedRow int64

	reason string
	at     int
}

// predicted parses the record that b begins with into p.cells if it has the form
// of the template. It returns the index behind the record, -1 if it is to be
// parsed in the other way. The last spare bytes of b do not belong to the text;
// the first of them is zero.
func (p *parser) predicted(b []byte) int {
	t := &p.template
	if len(t.gaps) == 0 {
		return -1
	}
	if t.rest > 0 {
		t.rest--
		return -1
	}
	end := t.match(p, b)
	if end >= 0 {
		p.fresh, p.folds = p.fresh[:0], p.folds[:0]
		t.doubt = max(0, t.doubt-1)
	} else if t.doubt++; t.doubt == doubtLimit {
		t.doubt, t.rest = doubtLimit-4, doubtRest
	}
	return end
}

// record parses one record into p.cells. It returns false if it is malformed;
// why then says what is wrong and nothing of the record is kept.
func (p *parser) record(rec []byte) bool {
	return p.attempt(rec, func(i int) int {
		if i < len(rec) {
			return p.fail(i, "text follows the object")
		}
		return i
	}) >= 0
}

// item parses the record that b begins with into p.cells. It returns the index
// of the comma or bracket behind it, -1 if it is malformed or ends elsewhere;
// nothing of it is kept then.
func (p *parser) item(b []byte) int {
	return p.attempt(b, func(i int) int {
		if i < len(b) && (b[i] == ',' || b[i] == ']') {
			return i
		}
		return -1
	})
}

// attempt parses the object at the start of b. The function gets the index of
// what follows and returns it, or -1 to refuse the object.
func (p *parser) attempt(b []byte, follows func(i int) int) int {
	p.rec, p.cells, p.fresh, p.folds, p.pending = b, p.cells[:0], p.fresh[:0], p.folds[:0], 0
	p.serial++
	p.dead = 0
	repeated, key, row, first := p.repeated, p.repeatedKey, p.repeatedRow, p.firstFolded
	if i := p.top(); i >= 0 {
		if end := follows(skipSpace(b, i)); end >= 0 {
			if p.dead > 0 {
				p.pack()
			}
			if p.template.rest == 0 && p.repeated == repeated {
				p.template.learn(p, i)
			}
			return end
		}
	}
	for _, n := range p.fresh {
		n.parent.remove(n)
	}
	p.repeated, p.repeatedKey, p.repeatedRow, p.firstFolded = repeated, key, row, first
	return -1
}

// top parses the object at the start of p.rec and returns the index behind it,
// -1 if there is none.
func (p *parser) top() int {
	i := skipSpace(p.rec, 0)
	if i == len(p.rec) {
		return p.fail(i, "an item is missing")
	}
	if p.rec[i] != '{' {
		if p.skip(i, 1) >= 0 {
			p.fail(-1, "the record is not an object")
		}
		return -1
	}
	i, _ = p.object(&p.root, i+1, 1)
	return i
}

// why returns what is wrong with the record and where in it.
func (p *parser) why() string {
	if p.at < 0 {
		return p.reason
	}
	return fmt.Sprintf("%s (byte %d of the record)", p.reason, p.at+1)
}

func (p *parser) fail(at int, reason string) int {
	p.reason, p.at = reason, at
	if at >= 0 {
		p.at = at - skipSpace(p.rec, 0)
	}
	return -1
}

const tooDeep = "objects and arrays are nested deeper than 64 levels"

// settle forgets the new keys of the record that were left without a value by
// a repeated key, so that they cannot pile up.
func (p *parser) settle() {
	for i := len(p.fresh) - 1; i >= 0; i-- {
		if n := p.fresh[i]; n.col < 0 && len(n.children) == 0 {
			n.parent.remove(n)
		}
	}
}

// object parses the members of an object from behind its brace. It returns the
// index behind the object, -1 if it is malformed, and the number of members.
func (p *parser) object(n *node, i, depth int) (next, members int) {
	if depth > MaxDepth {
		return p.fail(i-1, tooDeep), 0
	}
	b := p.rec
	if i = skipSpace(b, i); i < len(b) && b[i] == '}' {
		return i + 1, 0
	}
	for {
		start := i
		var child *node
		if child, i = p.key(n, i, members); i < 0 {
			return -1, 0
		}
		if i >= len(b) || b[i] != ':' {
			if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
				return p.fail(i, "a colon is expected"), 0
			}
		}
		i = skipSpace(b, i+1)
		if child == nil {
			i = p.fold(n, start, i, depth)
		} else {
			child.cells = span{len(p.cells), 0, p.packs}
			i = p.value(child, start, i, depth)
			if child.cells.packs != p.packs { // and had no cell then
				child.cells = span{p.packed, 0, p.packs}
			}
			child.cells.to = len(p.cells)
		}
		if i < 0 {
			return -1, 0
		}
		members++
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			return i + 1, members
		default:
			return p.fail(i, "a comma or a closing brace is expected"), 0
		}
	}
}

// key parses the key at i, the k-th of its object. It returns its node, nil if
// there is no column left for it, and the index behind it, -1 if malformed.
func (p *parser) key(n *node, i, k int) (child *node, next int) {
	b := p.rec
	if k < len(n.order) {
		if c := n.order[k]; len(b)-i >= len(c.token) && string(b[i:i+len(c.token)]) == c.token {
			if c.seen == p.serial {
				p.again(c)
			}
			c.seen = p.serial
			return c, i + len(c.token)
		}
	}
	if i >= len(b) || b[i] != '"' {
		return nil, p.fail(i, "a key in double quotes is expected")
	}
	end, escaped, reason := scanString(b, i+1)
	if reason != "" {
		return nil, p.fail(end, reason)
	}
	key := b[i+1 : end]
	if escaped {
		p.scratch = unescape(p.scratch[:0], key)
		key = p.scratch
	}
	child = n.child(key)
	switch {
	case child == nil && (p.columns+p.pending >= p.limit || n.full()):
		return nil, end + 1
	case child == nil && n.size+len(key) >= MaxPath:
		return nil, p.fail(i, longPath)
	case child == nil:
		child = n.add(key, b[i:end+1])
		p.fresh = append(p.fresh, child)
	case child.seen == p.serial:
		p.again(child)
	}
	child.seen = p.serial
	if k < len(n.order) {
		n.order[k] = child
	} else if k == len(n.order) && k < MaxColumns {
		n.order = append(n.order, child)
	}
	return child, end + 1
}

// again drops what an earlier member of the same key gave: the last one wins.
func (p *parser) again(n *node) {
	p.repeated++
	if p.repeated == 1 {
		p.repeatedKey, p.repeatedRow = n.path(), p.row
	}
	if n.cells.packs != p.packs {
		return // what it gave is gone
	}
	for i := n.cells.from; i < n.cells.to; i++ {
		c := &p.cells[i]
		if c.node == nil {
			continue
		}
		if c.node.col < 0 {
			p.pending--
		}
		c.node = nil
		p.dead++
	}
	if p.dead > packAt && p.dead > len(p.cells)/2 {
		p.pack()
	}
}

// span is which cells of a record a member gave, as they are numbered after so
// many packs.
type span struct {
	from, to int
	packs    int64
}

// packAt is how many dead cells a record may have.
const packAt = 1 << 12

// pack takes the dead cells out. It numbers anew what the others belong to: all
// members that have cells.
func (p *parser) pack() {
	p.packs++
	kept := p.cells[:0]
	for _, c := range p.cells {
		if c.node == nil {
			continue
		}
		at := len(kept)
		kept = append(kept, c)
		for n := c.node; n != nil; n = n.parent {
			if n.cells.packs != p.packs {
				n.cells = span{at, at, p.packs}
			}
			n.cells.to = at + 1
		}
	}
	p.cells, p.dead, p.packed = kept, 0, len(kept)
}

// value parses the value at i of the member that starts at start.
func (p *parser) value(n *node, start, i, depth int) int {
	b := p.rec
	if i >= len(b) {
		return p.fail(i, noValue)
	}
	at := i
	c := cell{node: n, start: i}
	switch ch := b[i]; {
	case ch == '"':
		end, escaped, reason := scanString(b, i+1)
		if reason != "" {
			return p.fail(end, reason)
		}
		c.kind, c.start, c.end, c.escaped = kindString, i+1, end, escaped
		i = end + 1
	case ch == '-' || ch-'0' <= 9:
		var ok bool
		if c.end, ok = scanNumber(b, i); !ok {
			return p.fail(c.end, badNumber)
		}
		c.kind = kindNumber
		i = c.end
	case ch == '{':
		next, members := p.object(n, i+1, depth+1)
		if next < 0 || members > 0 {
			return next
		}
		c.kind, c.end = kindStruct, next
		i = next
	case ch == '[':
		next := p.skipArray(i+1, depth+1)
		if next < 0 {
			return next
		}
		c.kind, c.end = kindList, next
		i = next
	default:
		if c.kind, c.end = word(b, i); c.end < 0 {
			return p.fail(i, noValue)
		}
		i = c.end
	}
	if n.col < 0 {
		if p.columns+p.pending >= p.limit { // an object so far, for which no column is left
			return p.fold(n.parent, start, at, depth)
		}
		p.pending++
	}
	p.cells = append(p.cells, c)
	return i
}

// longPath is the reason of a key whose path is longer than MaxPath.
var longPath = fmt.Sprintf("the path of a key is longer than %d KiB", MaxPath>>10)

const (
	noValue   = "a value is expected"
	badNumber = "a number is malformed"
)

// word parses true, false and null; the end is -1 if there is none of them.
func word(b []byte, i int) (k kind, end int) {
	switch rest := b[i:]; {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		return kindBoolean, i + 4
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return kindBoolean, i + 5
	case len(rest) >= 4 && string(rest[:4]) == "null":
		return kindNull, i + 4
	}
	return kindNull, -1
}

// fold keeps the member of n whose key starts at start and whose value is at i
// as text.
func (p *parser) fold(n *node, start, i, depth int) int {
	next := p.skip(i, depth+1)
	if next < 0 {
		return -1
	}
	end, _, _ := scanString(p.rec, start+1)
	token := p.rec[start : end+1]
	if n.full() && (n.foldOf().col >= 0 || p.columns+p.pending < p.limit) {
		f := p.folding(n.foldOf())
		f.text = appendMember(f.text, token, p.rec[i:next])
		return next
	}
	if p.firstFolded == "" {
		p.firstFolded = string(token)
	}
	f := p.folding(nil)
	if n.parent != nil {
		p.scratch = append(appendEscaped(append(p.scratch[:0], '"'), n.path()+"."), token[1:]...)
		token = p.scratch
	}
	f.text = appendMember(f.text, token, p.rec[i:next])
	return next
}

// folding are the members of a record that are kept together as the start of an
// object: of one object whose path has too many keys, or, without a node, of all
// for which there is no column left.
type folding struct {
	node *node
	text []byte
}

// folding returns that of a node, which counts as a column of the record from
// the first member on.
func (p *parser) folding(n *node) *folding {
	for i := range p.folds {
		if p.folds[i].node == n {
			return &p.folds[i]
		}
	}
	if n != nil && n.col < 0 {
		p.pending++
	}
	at := len(p.folds)
	if at < cap(p.folds) {
		p.folds = p.folds[:at+1]
	} else {
		p.folds = append(p.folds, folding{})
	}
	p.folds[at].node, p.folds[at].text = n, p.folds[at].text[:0]
	return &p.folds[at]
}

// skip validates the value at i and returns the index behind it, -1 if it is
// malformed. depth is that of the value if it is an object or array.
func (p *parser) skip(i, depth int) int {
	b := p.rec
	if i >= len(b) {
		return p.fail(i, noValue)
	}
	switch ch := b[i]; {
	case ch == '"':
		end, _, reason := scanString(b, i+1)
		if reason != "" {
			return p.fail(end, reason)
		}
		return end + 1
	case ch == '-' || ch-'0' <= 9:
		end, ok := scanNumber(b, i)
		if !ok {
			return p.fail(end, badNumber)
		}
		return end
	case ch == '{':
		return p.skipObject(i+1, depth)
	case ch == '[':
		return p.skipArray(i+1, depth)
	}
	if _, end := word(b, i); end >= 0 {
		return end
	}
	return p.fail(i, noValue)
}

func (p *parser) skipObject(i, depth int) int {
	b := p.rec
	if depth > MaxDepth {
		return p.fail(i-1, tooDeep)
	}
	if i = skipSpace(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return p.fail(i, "a key in double quotes is expected")
		}
		end, _, reason := scanString(b, i+1)
		if reason != "" {
			return p.fail(end, reason)
		}
		if i = skipSpace(b, end+1); i >= len(b) || b[i] != ':' {
			return p.fail(i, "a colon is expected")
		}
		if i = p.skip(skipSpace(b, i+1), depth+1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			return i + 1
		default:
			return p.fail(i, "a comma or a closing brace is expected")
		}
	}
}

// skipArray validates an array from behind its bracket and returns the index
// behind it, -1 if it is malformed.
func (p *parser) skipArray(i, depth int) int {
	b := p.rec
	if depth > MaxDepth {
		return p.fail(i-1, tooDeep)
	}
	if i = skipSpace(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = p.skip(i, depth+1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == ']':
			return i + 1
		default:
			return p.fail(i, "a comma or a closing bracket is expected")
		}
	}
}

// skipSpace returns the index of the first byte from i on that is no white
// space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanString finds the quote that closes the string whose text begins at i. A
// reason says why there is none; end is then where the trouble is. Eight bytes
// are looked at together: the lowest marked byte is exact, as a borrow only
// spoils the marks above it.
func scanString(b []byte, i int) (end int, escaped bool, reason string) {
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			m := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
			i++
		}
		switch {
		case i >= len(b):
			return len(b), escaped, "a string is not closed"
		case b[i] == '"':
			return i, escaped, ""
		case b[i] < 0x20:
			return i, escaped, "a control character stands in a string"
		}
		n := escapeLength(b[i:])
		if n == 0 {
			return i, escaped, "an escape in a string is malformed"
		}
		escaped = true
		i += n
	}
}

// escapeLength returns the length of the escape that b begins with, 0 if it is
// none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// scanNumber returns the index behind the number at i. If it is malformed, end
// is where.
func scanNumber(b []byte, i int) (end int, ok bool) {
	if b[i] == '-' {
		i++
	}
	first := i
	if i = skipDigits(b, i); i == first || (b[first] == '0' && i > first+1) {
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		frac := i + 1
		if i = skipDigits(b, frac); i == frac {
			return i, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exp := i
		if i = skipDigits(b, exp); i == exp {
			return i, false
		}
	}
	return i, true
}

// skipDigits returns the index of the first byte from i on that is no digit.
// Eight bytes are looked at together: the lowest marked byte is exact, as a
// carry only spoils the marks above it.
func skipDigits(b []byte, i int) int {
	for i+8 <= len(b) {
		t := binary.LittleEndian.Uint64(b[i:]) ^ ones*'0'
		if m := (t + ones*(0x80-10) | t) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
