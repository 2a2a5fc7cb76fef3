// Package translate is what importers of other tools' rules share: every value
// of the input is either translated or listed with the reason why it is not,
// and every rule that comes out is one that rules lint takes.
package translate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Note is something that was not translated.
type Note struct {
	Pos diag.Position
	// Item is what it is in words of the input, Reason why it was left out.
	Item, Reason string
}

// Import is a translation at work.
type Import struct {
	docs  []*draft.File
	notes []Note
	// accounted are nodes that were translated or listed, with all below them.
	accounted map[*yamldoc.Node]bool
	// quiet are keys that say nothing about the data, by how often they came.
	quiet map[string]int
	// Remarks stand at the top of the file.
	Remarks []string
}

// New returns an empty translation. quiet are the keys of the format that
// people read and no rule could come of; they are counted instead of listed.
func New(quiet ...string) *Import {
	im := &Import{accounted: map[*yamldoc.Node]bool{}, quiet: map[string]int{}}
	for _, k := range quiet {
		im.quiet[k] = 0
	}
	return im
}

// Parse reads YAML or JSON. JSON that YAML would take amiss is written anew, so
// that its positions are those of the indented form.
func Parse(file string, data []byte) ([]*yamldoc.Document, diag.List) {
	docs, diags := yamldoc.Parse(file, data)
	if diags.HasErrors() && json.Valid(data) {
		var b bytes.Buffer
		var v any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if dec.Decode(&v) == nil {
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if enc.Encode(v) == nil {
				return yamldoc.Parse(file, b.Bytes())
			}
		}
	}
	return docs, diags
}

// Doc returns the rule file of a dataset, which is begun if it is new.
func (im *Import) Doc(dataset string) *draft.File {
	for _, d := range im.docs {
		if d.Dataset == dataset {
			return d
		}
	}
	d := &draft.File{Dataset: dataset}
	im.docs = append(im.docs, d)
	return d
}

// Take accounts for nodes with all below them.
func (im *Import) Take(nodes ...*yamldoc.Node) {
	for _, n := range nodes {
		if n != nil {
			im.accounted[n] = true
		}
	}
}

// Get returns the value of a key; a scalar is accounted for.
func (im *Import) Get(m *yamldoc.Mapping, key string) *yamldoc.Node {
	n := m.Get(key)
	if n.IsScalar() {
		im.Take(n)
	}
	return n
}

// Text returns the text of a key, "" if there is none.
func (im *Import) Text(m *yamldoc.Mapping, key string) string { return im.Get(m, key).Raw() }

// Texts returns a list of texts, or a single one, and accounts for it.
func (im *Import) Texts(n *yamldoc.Node) (out []string) {
	im.Take(n)
	for _, item := range n.Items() {
		if item.IsScalar() {
			out = append(out, item.Raw())
		}
	}
	return out
}

// Skip lists something that is not translated, with all below it.
func (im *Import) Skip(n *yamldoc.Node, item, reason string, args ...any) {
	im.Take(n)
	im.notes = append(im.notes, Note{n.Pos(), item, fmt.Sprintf(reason, args...)})
}

// Add puts an item into a rule file if rules lint takes it, else lists what it
// came from.
func (im *Import) Add(doc *draft.File, column string, item draft.Item, from *yamldoc.Node, label string) bool {
	if msg := mistake(column, item); msg != "" {
		im.Skip(from, label, "%s", msg)
		return false
	}
	if !repeats(doc, column, item) {
		doc.Add(column, item)
	}
	return true
}

// repeats reports whether a file has the item already; one that is the same but
// for what stands beside it takes the place of a plain one.
func repeats(doc *draft.File, column string, item draft.Item) bool {
	items := doc.Checks
	if column != "" {
		items = doc.Column(column).Items
	}
	for i, have := range items {
		if have.Kind != item.Kind || have.Value != item.Value || !slices.Equal(have.Lines, item.Lines) {
			continue
		}
		if len(have.Also) == 0 && len(item.Also) > 0 && !tolerates(item) {
			items[i] = item
			return true
		}
		if slices.Equal(have.Also, item.Also) || len(item.Also) == 0 && !tolerates(have) {
			return true
		}
	}
	return false
}

// tolerates reports whether an item is looser than its plain form.
func tolerates(item draft.Item) bool {
	return slices.ContainsFunc(item.Also, func(p draft.Pair) bool {
		return p.Key != "name" && p.Key != "note" && p.Key != "owner" && p.Key != "tags"
	})
}

// Quiet accounts for a node that people read and no rule could come of.
func (im *Import) Quiet(n *yamldoc.Node, key string) {
	if n != nil && !im.accounted[n] {
		im.Take(n)
		im.quiet[key]++
	}
}

// mistake returns what rules lint says of an item.
func mistake(column string, item draft.Item) string {
	var f draft.File
	f.Add(column, item)
	_, diags := rules.Parse("x.yaml", f.YAML(), nil)
	for _, d := range diags {
		if d.Severity == diag.Error {
			if d.Hint != "" {
				return d.Message + "; " + d.Hint
			}
			return d.Message
		}
	}
	return ""
}

// Result is a finished translation.
type Result struct {
	Docs  []*draft.File
	Notes []Note
	// Left counts keys that people read and no rule could come of.
	Left map[string]int
	// Rules is the number of items.
	Rules   int
	remarks []string
}

// Finish lists what nobody accounted for.
func (im *Import) Finish(roots ...*yamldoc.Node) *Result {
	for _, n := range roots {
		if !im.walk(n, "") && n != nil {
			im.note(n, "the document")
		}
	}
	r := &Result{Notes: im.notes, Left: map[string]int{}, remarks: im.Remarks}
	for _, d := range im.docs {
		if d.Len() > 0 {
			r.Docs, r.Rules = append(r.Docs, d), r.Rules+d.Len()
		} else {
			r.remarks = append(r.remarks, "It has no rules of "+d.Dataset+".")
		}
	}
	for k, n := range im.quiet {
		if n > 0 {
			r.Left[k] = n
		}
	}
	slices.SortStableFunc(r.Notes, func(a, b Note) int { return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(a.Item, b.Item)) })
	return r
}

func (im *Import) note(n *yamldoc.Node, path string) {
	im.notes = append(im.notes, Note{n.Pos(), path, "nothing of profiler corresponds to it, or this importer does not know it"})
}

// walk lists what is not accounted for below a node. It returns false if
// nothing below it was, so that the node itself can be listed in one line.
func (im *Import) walk(n *yamldoc.Node, path string) bool {
	if n == nil || im.accounted[n] {
		return true
	}
	var none diag.List
	switch n.Kind() {
	case yamldoc.Map:
		if n.Mapping(&none).Len() == 0 {
			return true // says nothing
		}
		return im.walkAll(path, func(yield func(name string, key, value *yamldoc.Node)) {
			for _, e := range n.Mapping(&none).Entries() {
				if _, isQuiet := im.quiet[e.Key.Raw()]; isQuiet && !im.accounted[e.Value] {
					im.quiet[e.Key.Raw()]++
					continue
				}
				yield(join(path, e.Key.Raw()), e.Key, e.Value)
			}
		})
	case yamldoc.List:
		if len(n.Items()) == 0 {
			return true
		}
		return im.walkAll(path, func(yield func(name string, key, value *yamldoc.Node)) {
			for i, item := range n.Items() {
				yield(fmt.Sprintf("%s[%d]", path, i), item, item)
			}
		})
	case yamldoc.Null:
		return true
	default:
	}
	return false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// walkAll walks the parts of a node; those of which nothing is accounted for
// are listed if another part is.
func (im *Import) walkAll(_ string, parts func(func(name string, key, value *yamldoc.Node))) bool {
	type part struct {
		name string
		key  *yamldoc.Node
	}
	var left []part
	some, found := false, false
	parts(func(name string, key, value *yamldoc.Node) {
		found = true
		if im.walk(value, name) {
			some = true
		} else {
			left = append(left, part{name, key})
		}
	})
	if !some && found {
		return false
	}
	for _, p := range left {
		im.note(p.key, p.name)
	}
	return true
}

// YAML returns the rule files as the documents of one file, with what was left
// out as comments. source names what they were translated from.
func (r *Result) YAML(source string) []byte {
	var b bytes.Buffer
	head := []string{"yaml-language-server: $schema=./profiler.schema.json", "", "Translated by profiler from " + source + "."}
	head = append(head, r.remarks...)
	tail := r.tail()
	docs := r.Docs
	if len(docs) == 0 {
		docs = []*draft.File{{}}
	}
	for i, d := range docs {
		if i > 0 {
			b.WriteString("---\n")
		}
		d.Head, d.Tail = nil, nil
		if i == 0 {
			d.Head = head
		}
		if i == len(docs)-1 {
			d.Tail = tail
		}
		b.Write(d.YAML())
	}
	return b.Bytes()
}

func (r *Result) tail() []string {
	var lines []string
	if len(r.Notes) > 0 {
		lines = append(lines, "", "Not translated:")
		for _, n := range r.Notes {
			lines = append(lines, fmt.Sprintf("  line %d: %s: %s", n.Pos.Line, n.Item, n.Reason))
		}
	}
	if left := r.LeftText(); left != "" {
		lines = append(lines, "", "Left out, since no rule could come of it: "+left+".")
	}
	return lines
}

// LeftText lists the keys that were left out, with how often they came; "" if
// there is none.
func (r *Result) LeftText() string {
	names := make([]string, 0, len(r.Left))
	for k := range r.Left {
		names = append(names, k)
	}
	sort.Strings(names)
	for i, k := range names {
		if r.Left[k] > 1 {
			names[i] = fmt.Sprintf("%s (%d times)", k, r.Left[k])
		}
	}
	return strings.Join(names, ", ")
}

// Literal returns a scalar of the input as YAML that keeps its kind: a number
// stays a number, a quoted one a text. It is "" for what is no value.
func Literal(n *yamldoc.Node) string {
	switch {
	case n.IsNull() || !n.IsScalar():
		return ""
	case n.Quoted() || n.Kind() == yamldoc.Text:
		return draft.Text(n.Raw())
	}
	return n.Raw()
}

// Literals returns a list of them; ok is false if one is no value.
func (im *Import) Literals(n *yamldoc.Node) (list string, ok bool) {
	im.Take(n)
	items := n.Items()
	out := make([]string, 0, len(items))
	for _, item := range items {
		l := Literal(item)
		if l == "" {
			return "", false
		}
		out = append(out, l)
	}
	return draft.List(out), len(out) > 0
}
