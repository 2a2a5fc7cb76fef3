package jsonl

import "strings"

// node is a path of keys. Its column, if it has one, holds the values that are
// no objects.
type node struct {
	parent   *node
	key      string // without escapes
	token    string // the key as it is written, with its quotes
	col      int    // -1 if there is none
	seen     int64  // the record in which the key was last met
	size     int    // bytes of the path, but for quotes
	cells    span   // of the last member of the key
	children map[string]*node
	order    []*node // keys of the last object in their order: a guess for the next one

	isFold bool
	isItem bool  // the elements of the arrays that parent has
	item   *node // those of its own arrays; nil without any so far
	list   int   // number from 1 of the list that it is of or below; 0 is the rows
	fold   *node // of the members for which an object has no room
}

// MaxPath is how long the path of a key may be in bytes; a record with a longer
// one is malformed. Thousands of columns may have the key of one object in their
// names.
const MaxPath = 4 << 10

// MaxChildren is how many keys the objects of one path may have; those of a
// record itself may have more. The members of later keys, which are probably
// data, are kept together in the column a.* of an object a.
const MaxChildren = 1000

// full reports whether the objects of the path have no room for another key.
func (n *node) full() bool {
	return (n.parent != nil) && len(n.children) >= MaxChildren
}

// foldOf returns the node of the members for which there is no room.
func (n *node) foldOf() *node {
	if n.fold == nil {
		n.fold = &node{parent: n, isFold: true, col: -1, list: n.list, size: n.size}
	}
	return n.fold
}

func (n *node) child(key []byte) *node { return n.children[string(key)] }

func (n *node) add(key []byte, token []byte) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	c := &node{parent: n, key: string(key), token: string(token), col: -1, list: n.list, size: n.size + 1 + len(key)}
	n.children[c.key] = c
	return c
}

// remove forgets a child, and the guesses, which may name it.
func (n *node) remove(c *node) {
	delete(n.children, c.key)
	n.order = n.order[:0]
}

// depth returns how deep the object that n is a member of is nested; that of a
// record is 1.
func (n *node) depth() (d int) {
	for ; n.parent != nil; n = n.parent {
		d++
	}
	return d
}

// path returns the name of the column of n.
func (n *node) path() string {
	if n.parent == nil {
		return ""
	}
	if n.isItem {
		return n.parent.path() + "[]"
	}
	name := quoteKey(n.key)
	if n.isFold {
		name = "*"
	}
	if n.parent.parent == nil {
		return name
	}
	return n.parent.path() + "." + name
}

// listPath returns the path of the list that n is of or below.
func (n *node) listPath() string {
	for ; n != nil; n = n.parent {
		if n.isItem {
			return n.path()
		}
	}
	return ""
}

// quoteKey puts quotes around a key that would read as a path.
func quoteKey(key string) string {
	if key != "" && key != "*" && !strings.ContainsAny(key, `.["`) {
		return key
	}
	return `"` + strings.ReplaceAll(key, `"`, `\"`) + `"`
}
