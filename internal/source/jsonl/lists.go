package jsonl

import (
	"fmt"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// lists takes the arrays of the records of a chunk apart. What it walks over is
// valid: the parser has passed over it.
type lists struct {
	r       *Reader
	raw     *batch.Raw
	columns [][]int // of the lists, by their number
	serial  int64   // of the object, marks keys that were met
	careful bool    // a key is repeated in one of the objects
	unnamed int64   // values for which there was no column left
	first   string  // the path of the first one
	cells   int     // fields of the chunk: elements times columns
	before  int     // those of the rows before the last one
	over    bool    // the last row has too many, or a key of too long a path
	reason  string  // of that
}

const (
	// maxCells is how many fields the lists of one record may have: as many as a
	// record has room for elements of one column.
	maxCells = RecordLimit / 2
	// chunkCells is how many fields end a chunk.
	chunkCells = 1 << 20
)

var tooMany = fmt.Sprintf("its lists have more than %d values, those that elements lack counted", maxCells)

// start prepares for the lists of the next row.
func (l *lists) start() { l.before, l.over = l.cells, false }

// take takes the array at i of the text of the chunk apart, the value of node n
// in the last row. It returns false if there are too many values.
func (l *lists) take(raw *batch.Raw, n *node, i int) bool {
	l.raw, l.careful = raw, false
	had := len(l.r.columns)
	if l.array(n, i) < 0 && !l.over {
		l.drop(n.item)
		l.dropColumns(n.item, had)
		l.r.dropColumns(had)
		l.careful = true
		l.array(n, i)
	}
	return !l.over
}

// count adds fields; false says that the row has too many.
func (l *lists) count(n int) bool {
	l.cells += n
	if l.cells-l.before > maxCells && !l.over {
		l.over, l.reason = true, tooMany
	}
	return !l.over
}

// element returns the node of the elements of the arrays that n has.
func (l *lists) element(n *node) *node {
	if n.item == nil {
		l.columns = append(l.columns, nil)
		n.item = &node{parent: n, isItem: true, col: -1, list: len(l.columns), size: n.size + 2}
	}
	for len(l.raw.Lists) < n.item.list {
		l.raw.Lists = append(l.raw.Lists, []int32{})
	}
	return n.item
}

// array takes the array at i apart and returns the index behind it, -1 if it has
// an object with a repeated key and this was not expected.
func (l *lists) array(n *node, i int) int {
	e := l.element(n)
	if i = skipSpace(l.raw.Text, i+1); l.raw.Text[i] == ']' {
		return i + 1
	}
	for {
		rows := &l.raw.Lists[e.list-1]
		*rows = append(*rows, int32(l.raw.Rows)) //nolint:gosec // rows of a chunk
		if !l.count(max(1, len(l.columns[e.list-1]))) {
			return -1
		}
		if i = l.value(e, len(*rows)-1, i); i < 0 || l.over {
			return -1
		}
		if i = skipSpace(l.raw.Text, i); l.raw.Text[i] == ']' {
			return i + 1
		}
		i = skipSpace(l.raw.Text, i+1)
	}
}

// value takes the value at i, of node n and element at, and returns the index
// behind it, or -1 as array does.
func (l *lists) value(n *node, at, i int) int {
	b := l.raw.Text
	switch ch := b[i]; {
	case ch == '"':
		end, escaped, _ := scanString(b, i+1)
		start, to := i+1, end
		if escaped {
			start = len(b)
			l.raw.Text = append(l.raw.Text, b[i+1:end]...)
			to = start + len(unescape(l.raw.Text[start:start], l.raw.Text[start:]))
			l.raw.Text = l.raw.Text[:to]
		}
		l.set(n, at, batch.NewField(start, to, batch.FormString))
		return end + 1
	case ch == '{':
		return l.object(n, at, i)
	case ch == '[':
		l.ensure(n)
		next := l.array(n, i)
		if next > 0 {
			l.set(n, at, batch.NewField(i, next, batch.FormArray))
		}
		return next
	case ch == '-' || ch-'0' <= 9:
		end, _ := scanNumber(b, i)
		l.set(n, at, batch.NewField(i, end, batch.FormNumber))
		return end
	}
	kind, end := word(b, i)
	if kind == kindNull {
		l.set(n, at, 0)
	} else {
		l.set(n, at, batch.NewField(i, end, batch.FormWord))
	}
	return end
}

// object takes the object at i apart, of node n and element at.
func (l *lists) object(n *node, at, i int) int {
	if i = skipSpace(l.raw.Text, i+1); l.raw.Text[i] == '}' {
		l.setObject(n, at, []byte("{}"))
		return i + 1
	}
	last := map[string]int(nil)
	if l.careful {
		last = l.lastOfKeys(i)
	}
	l.serial++
	serial := l.serial
	var folded []byte // members for whose keys there is no room, as the start of an object
	for k := 0; ; k++ {
		start := i
		child, key, next := l.key(n, i, k)
		i = skipSpace(l.raw.Text, skipSpace(l.raw.Text, next)+1)
		switch {
		case last != nil && last[string(key)] != start:
			i = l.skip(i)
		case child == nil && n.full():
			end := l.skip(i)
			folded = appendMember(folded, l.raw.Text[start:next], l.raw.Text[i:end])
			i = end
		case child == nil:
			l.leftOut(n.path() + "." + quoteKey(string(key)))
			i = l.skip(i)
		case child.seen == serial:
			return -1
		default:
			child.seen = serial
			i = l.value(child, at, i)
		}
		if i < 0 || l.over {
			return -1
		}
		if i = skipSpace(l.raw.Text, i); l.raw.Text[i] == '}' {
			break
		}
		i = skipSpace(l.raw.Text, i+1)
	}
	if folded != nil {
		l.setObject(n.foldOf(), at, append(folded, '}'))
	}
	return i + 1
}

// skip returns the index behind the value at i.
func (l *lists) skip(i int) int {
	l.r.parse.rec = l.raw.Text
	return l.r.parse.skip(i, 0)
}

// lastOfKeys returns where the last member of each key of an object begins, from
// behind its brace, and counts those before.
func (l *lists) lastOfKeys(i int) map[string]int {
	last := map[string]int{}
	p := &l.r.parse
	for {
		end, _, _ := scanString(l.raw.Text, i+1)
		key := string(unescape(nil, l.raw.Text[i+1:end]))
		if _, twice := last[key]; twice {
			if p.repeated++; p.repeated == 1 {
				p.repeatedKey, p.repeatedRow = key, p.row
			}
		}
		last[key] = i
		i = l.skip(skipSpace(l.raw.Text, skipSpace(l.raw.Text, end+1)+1))
		if i = skipSpace(l.raw.Text, i); l.raw.Text[i] == '}' {
			return last
		}
		i = skipSpace(l.raw.Text, i+1)
	}
}

// key returns the node of the key at i, the k-th of its object, nil if there is
// none for it, and the index behind it. The key is valid until the next call; it
// is there where the node is nil or keys are repeated.
func (l *lists) key(n *node, i, k int) (child *node, key []byte, next int) {
	b := l.raw.Text
	if k < len(n.order) && !l.careful {
		if c := n.order[k]; len(b)-i >= len(c.token) && string(b[i:i+len(c.token)]) == c.token {
			return c, nil, i + len(c.token)
		}
	}
	end, escaped, _ := scanString(b, i+1)
	key = b[i+1 : end]
	p := &l.r.parse
	if escaped {
		p.scratch = unescape(p.scratch[:0], key)
		key = p.scratch
	}
	if child = n.child(key); child == nil {
		if n.size+len(key) >= MaxPath {
			l.over, l.reason = true, longPath
			return nil, key, end + 1
		}
		if n.full() || p.columns >= p.limit {
			return nil, key, end + 1
		}
		child = n.add(key, b[i:end+1])
		child.list = n.list
	}
	if k < len(n.order) {
		n.order[k] = child
	} else if k == len(n.order) {
		n.order = append(n.order, child)
	}
	return child, key, end + 1
}

// ensure gives a node a column; false says that none is left.
func (l *lists) ensure(n *node) bool {
	if n.col < 0 {
		if l.r.parse.columns >= l.r.parse.limit {
			return false
		}
		n.col = l.r.addColumn(n.path(), n.listPath())
		l.columns[n.list-1] = append(l.columns[n.list-1], n.col)
		if n.isFold {
			l.r.noteFold(n, l.raw)
		}
		if len(l.columns[n.list-1]) > 1 {
			l.count(len(l.raw.Lists[n.list-1]))
		}
	}
	return true
}

// set sets the field of an element.
func (l *lists) set(n *node, at int, f batch.Field) {
	if !l.ensure(n) {
		l.leftOut(n.path())
		return
	}
	if l.over {
		return
	}
	l.fit()
	e := &l.raw.Elements[n.col]
	e.List = n.list
	for len(e.Fields) <= at {
		e.Fields = append(e.Fields, 0)
	}
	e.Fields[at] = f
}

// setObject sets the field of an element to an object.
func (l *lists) setObject(n *node, at int, text []byte) {
	start := len(l.raw.Text)
	l.raw.Text = append(l.raw.Text, text...)
	l.set(n, at, batch.NewField(start, len(l.raw.Text), batch.FormObject))
}

func (l *lists) leftOut(path string) {
	if l.unnamed++; l.unnamed == 1 {
		l.first = path
	}
}

// fit gives the chunk a place for the fields of all columns.
func (l *lists) fit() {
	raw := l.raw
	for len(raw.Elements) < len(l.r.columns) {
		raw.Elements = append(raw.Elements, batch.Elements{})
	}
}

// drop forgets what the last row gave to a list and to those below.
func (l *lists) drop(n *node) {
	if n == nil {
		return
	}
	if n.isItem && n.list <= len(l.raw.Lists) {
		rows := l.raw.Lists[n.list-1]
		for len(rows) > 0 && int(rows[len(rows)-1]) == l.raw.Rows {
			rows = rows[:len(rows)-1]
			l.cells -= max(1, len(l.columns[n.list-1]))
		}
		l.raw.Lists[n.list-1] = rows
		for _, c := range l.columns[n.list-1] {
			if c < len(l.raw.Elements) {
				e := &l.raw.Elements[c]
				e.Fields = e.Fields[:min(len(e.Fields), len(rows))]
			}
		}
	}
	l.drop(n.item)
	for _, c := range n.children {
		l.drop(c)
	}
}

// dropColumns takes the columns from the given one on away from a list and from
// what is below it: they came up with the last row, which is taken apart anew.
func (l *lists) dropColumns(n *node, from int) {
	if n == nil {
		return
	}
	if n.col >= from {
		if n.col < len(l.raw.Elements) {
			e := &l.raw.Elements[n.col]
			e.List, e.Fields = 0, e.Fields[:0]
		}
		of := &l.columns[n.list-1]
		*of = slices.DeleteFunc(*of, func(c int) bool { return c == n.col })
		n.col = -1
	}
	l.dropColumns(n.item, from)
	l.dropColumns(n.fold, from)
	for _, c := range n.children {
		l.dropColumns(c, from)
	}
}

// begin prepares a chunk for the elements of its rows.
func (l *lists) begin(raw *batch.Raw) {
	l.raw, l.cells = raw, 0
	for i := range raw.Lists {
		raw.Lists[i] = raw.Lists[i][:0]
	}
	for len(raw.Lists) < len(l.columns) {
		raw.Lists = append(raw.Lists, []int32{})
	}
	for i := range raw.Elements { // which may be those of another file
		raw.Elements[i].List, raw.Elements[i].Fields = 0, raw.Elements[i].Fields[:0]
	}
	l.end()
}

// end names the list of every column of the chunk.
func (l *lists) end() {
	l.fit()
	for len(l.raw.Lists) < len(l.columns) {
		l.raw.Lists = append(l.raw.Lists, []int32{})
	}
	for list, columns := range l.columns {
		for _, c := range columns {
			l.raw.Elements[c].List = list + 1
		}
	}
}

// note says what was left out; empty if nothing was.
func (l *lists) note() string {
	if l.unnamed == 0 {
		return ""
	}
	return fmt.Sprintf("%d values of elements of lists have no column, as there are more than %d columns; they are in the text of their lists; first: %s", l.unnamed, l.r.parse.limit, l.first)
}

// appendMember appends a member of an object that is kept as text; token is the
// key with its quotes.
func appendMember(to, token, value []byte) []byte {
	if len(to) == 0 {
		to = append(to, '{')
	} else {
		to = append(to, ',')
	}
	return append(append(append(to, token...), ':'), value...)
}
