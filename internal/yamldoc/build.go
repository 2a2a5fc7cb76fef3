package yamldoc

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/profilerhq/profiler/internal/diag"
)

// builder turns the decoder's tree into nodes, resolves aliases and merges, and
// checks what holds for every format.
type builder struct {
	src  *source
	errs *diag.List
	// done has the anchored nodes; nil while the node is being built.
	done    map[*yaml.Node]*Node
	aliased int
	stopped bool
}

// document returns nil if the tree is too large or too deep to be walked.
func (b *builder) document(tree *yaml.Node) *Node {
	if len(tree.Content) == 0 {
		return nil
	}
	root := b.node(tree.Content[0], 1, nil)
	if b.stopped {
		return nil
	}
	return root
}

// stop gives the document up after a problem that makes walking it dangerous.
func (b *builder) stop(at *Node, code, message, hint string) {
	if b.stopped {
		return
	}
	b.stopped = true
	d := at.Diagnostic(code, "%s", message)
	d.Hint = hint
	b.errs.Add(d)
}

// node builds one value. key is the node of its key, if it has one.
func (b *builder) node(y *yaml.Node, depth int, key *Node) *Node {
	n := &Node{src: b.src, shape: Text, size: 1, height: 1}
	b.place(n, y, key)
	if depth > MaxDepth {
		b.stop(n, CodeLimit, fmt.Sprintf("lists and mappings are nested deeper than %d levels", MaxDepth), "")
	}
	if b.stopped {
		return n
	}
	if y.Kind == yaml.AliasNode {
		return b.resolve(n, y, depth)
	}
	if y.Anchor != "" {
		b.done[y] = nil
	}
	b.checkTag(n, y)
	switch y.Kind {
	case yaml.SequenceNode:
		n.shape = List
		for _, item := range y.Content {
			n.items = append(n.items, b.node(item, depth+1, nil))
			if b.stopped {
				return n
			}
		}
		for _, item := range n.items {
			n.grow(item)
		}
	case yaml.MappingNode:
		n.shape = Map
		b.mapping(n, y, depth)
	default:
		n.text = y.Value
		n.style = styleOf(y.Style)
		n.width = utf8.RuneCountInString(b.src.token(n.offset, n.style, n.text))
		if key != nil && n.text == "" && n.style == plain {
			n.pos, n.width, n.offset = key.pos, key.width, key.offset
		}
	}
	if y.Anchor != "" {
		b.done[y] = n
	}
	return n
}

func (n *Node) grow(child *Node) {
	n.size += child.size
	n.height = max(n.height, child.height+1)
}

// place sets the position of a node. The decoder puts an empty value behind its
// key, often on the next line.
func (b *builder) place(n *Node, y *yaml.Node, key *Node) {
	if key != nil && y.Kind == yaml.ScalarNode && y.Value == "" && y.Style&^yaml.TaggedStyle == 0 && y.Style == 0 {
		n.offset, n.pos = key.offset, key.pos
		return
	}
	n.offset = b.src.offset(y.Line, y.Column)
	n.pos = b.src.position(n.offset)
}

func styleOf(s yaml.Style) style {
	switch {
	case s&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted
	case s&yaml.SingleQuotedStyle != 0:
		return singleQuoted
	case s&yaml.LiteralStyle != 0:
		return literal
	case s&yaml.FoldedStyle != 0:
		return folded
	}
	return plain
}

// checkTag reports tags. The source is looked at because the decoder forgets
// the tag "!", which turns `! is_null(x)` into `is_null(x)`. An anchor may stand
// before the tag.
func (b *builder) checkTag(n *Node, y *yaml.Node) {
	at := n.offset
	if !b.src.starts(at, "!") && !b.src.starts(at, "&") {
		return
	}
	rest := b.src.line(at)
	if y.Anchor != "" && strings.HasPrefix(rest, "&") {
		trimmed := strings.TrimLeft(strings.TrimPrefix(rest, "&"+y.Anchor), " \t")
		at += len(rest) - len(trimmed)
		rest = trimmed
	}
	if !strings.HasPrefix(rest, "!") {
		// The value itself begins behind the anchor.
		if rest != "" && y.Anchor != "" {
			n.offset, n.pos = at, b.src.position(at)
		}
		return
	}
	end := strings.IndexAny(rest, " \t,")
	if end < 0 {
		end = len(rest)
	}
	n.broken = true
	b.errs.Add(tagDiagnostic(b.src.position(at), utf8.RuneCountInString(rest[:end])))
}

func tagDiagnostic(pos diag.Position, width int) diag.Diagnostic {
	return diag.Diagnostic{Pos: pos, Width: width, Code: CodeTag,
		Message: `a value that starts with "!" is a YAML tag, which is not supported`,
		Hint:    `quote the value, as in '!is_null(x)'`}
}

// resolve makes an alias a copy of what it stands for. The copy is at the place
// of the alias; what is inside it stays where it was written.
func (b *builder) resolve(n *Node, y *yaml.Node, depth int) *Node {
	n.width = 1 + utf8.RuneCountInString(y.Value)
	target, known := b.done[y.Alias]
	if !known || target == nil {
		b.stop(n, CodeAlias, fmt.Sprintf("alias %q refers to the value that contains it", "*"+y.Value), "")
		return n
	}
	b.aliased += target.size
	if b.aliased > MaxAliased {
		b.stop(n, CodeLimit, fmt.Sprintf("aliases add more than %d values to the file", MaxAliased), "write the values out, or use fewer aliases")
		return n
	}
	if depth+target.height-1 > MaxDepth {
		b.stop(n, CodeLimit, fmt.Sprintf("lists and mappings are nested deeper than %d levels", MaxDepth), "")
		return n
	}
	c := *target
	c.pos, c.width, c.offset, c.alias = n.pos, n.width, n.offset, true
	return &c
}

// mapping reads keys and values, then the merges, whose keys give way to those
// that are written out.
func (b *builder) mapping(n *Node, y *yaml.Node, depth int) {
	seen := make(map[string]*Node, len(y.Content)/2)
	var merges []*Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, ok := b.key(y.Content[i], depth+1)
		if b.stopped {
			return
		}
		value := b.node(y.Content[i+1], depth+1, key)
		if b.stopped {
			return
		}
		n.grow(value)
		switch first := seen[key.text]; {
		case !ok:
		case key.text == "<<" && key.style == plain:
			merges = append(merges, value)
		case first != nil:
			key.Errorf(b.errs, CodeDuplicateKey, "duplicate key %q, first used on line %d, column %d",
				shorten(key.text), first.pos.Line, first.pos.Column)
		default:
			seen[key.text] = key
			n.entries = append(n.entries, Entry{key, value})
		}
	}
	for _, m := range merges {
		b.merge(n, m, seen)
	}
}

// key builds a key and reports keys that are no text.
func (b *builder) key(y *yaml.Node, depth int) (*Node, bool) {
	key := b.node(y, depth, nil)
	switch {
	case y.Kind == yaml.AliasNode:
		d := key.Diagnostic(CodeKey, "an alias cannot be a key")
		d.Hint = fmt.Sprintf("quote the key if it is a pattern: %q", "*"+y.Value)
		b.errs.Add(d)
		return key, false
	case key.shape != Text:
		d := key.Diagnostic(CodeKey, "a key must be a text, got %s", key.shape)
		if key.shape == Map && bytes.HasPrefix(b.src.data[key.offset:], []byte("{")) {
			d.Hint = "quote a variable in braces: \"${name}\""
		}
		b.errs.Add(d)
		return key, false
	case key.text == "" && key.style == plain:
		key.Errorf(b.errs, CodeKey, "a key is missing")
		return key, false
	}
	return key, true
}

// merge adds the keys of "<<": one mapping or a list of them, the first wins.
func (b *builder) merge(n, from *Node, seen map[string]*Node) {
	sources := []*Node{from}
	if from.shape == List {
		sources = from.items
	}
	for _, s := range sources {
		if s.shape != Map {
			s.Errorf(b.errs, CodeAlias, `the key "<<" merges mappings, got %s`, s.Describe())
			continue
		}
		for _, e := range s.entries {
			if seen[e.Key.text] == nil {
				seen[e.Key.text] = e.Key
				n.entries = append(n.entries, e)
			}
		}
	}
}
