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
	children map[string]*node
	order    []*node // keys of the last object in their order: a guess for the next one
}

func (n *node) child(key []byte) *node { return n.children[string(key)] }

func (n *node) add(key []byte, token []byte) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	c := &node{parent: n, key: string(key), token: string(token), col: -1}
	n.children[c.key] = c
	return c
}

// remove forgets a child, and the guesses, which may name it.
func (n *node) remove(c *node) {
	delete(n.children, c.key)
	n.order = n.order[:0]
}

// below reports whether n is top or below it.
func (n *node) below(top *node) bool {
	for ; n != nil; n = n.parent {
		if n == top {
			return true
		}
	}
	return false
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
	name := quoteKey(n.key)
	if n.parent.parent == nil {
		return name
	}
	return n.parent.path() + "." + name
}

// quoteKey puts quotes around a key that would read as a path.
func quoteKey(key string) string {
	if key != "" && !strings.ContainsAny(key, `.["`) {
		return key
	}
	return `"` + strings.ReplaceAll(key, `"`, `\"`) + `"`
}
