// Package soda translates checks of SodaCL into rule files.
package soda

import (
	"regexp"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// quiet are keys about the tool rather than about the data.
var quiet = []string{"attributes", "identity", "samples limit", "samples columns", "title", "collect failed rows", "datasource"}

var section = regexp.MustCompile(`^checks for ([^\[]+?)(?:\s*\[(.+)\])?$`)

var filterFor = regexp.MustCompile(`^filter ([^\[]+?)\s*\[(.+)\]$`)

// Sniff reports whether a document holds checks.
func Sniff(root *yamldoc.Node) bool {
	var none diag.List
	if root.Kind() != yamldoc.Map {
		return false
	}
	for _, k := range root.Mapping(&none).Keys() {
		if strings.HasPrefix(k, "checks for ") || strings.HasPrefix(k, "for each dataset") || k == "checks" && root.Mapping(&none).Has("discover datasets") {
			return true
		}
	}
	return false
}

// Translate translates files of checks.
func Translate(docs []*yamldoc.Document) *translate.Result {
	im := translate.New(quiet...)
	var roots []*yamldoc.Node
	var none diag.List
	for _, d := range docs {
		roots = append(roots, d.Root())
		m := d.Root().Mapping(&none)
		filters := filtersOf(im, m)
		for _, e := range m.Entries() {
			s := section.FindStringSubmatch(e.Key.Raw())
			if s == nil {
				other(im, e)
				continue
			}
			t := &table{im: im, doc: im.Doc(rules.DatasetName(strings.TrimSpace(s[1])))}
			if s[2] != "" {
				t.partition(filters, strings.TrimSpace(s[1]), s[2])
			}
			for _, item := range e.Value.Items() {
				t.check(item)
			}
		}
	}
	return im.Finish(roots...)
}

// other lists what is no section of checks.
func other(im *translate.Import, e yamldoc.Entry) {
	key := e.Key.Raw()
	switch {
	case filterFor.MatchString(key):
	case strings.HasPrefix(key, "for each"):
		im.Skip(e.Value, key, "it holds for several datasets; write dataset: with a pattern such as shop/*")
	case strings.HasPrefix(key, "discover datasets"), strings.HasPrefix(key, "profile columns"), strings.HasPrefix(key, "sample datasets"), strings.HasPrefix(key, "automated monitoring"):
		im.Skip(e.Value, key, "profiles and learned checks need no rule: every batch that is recorded has them")
	}
}

// filtersOf reads the partitions that sections refer to.
func filtersOf(im *translate.Import, m *yamldoc.Mapping) map[string]*yamldoc.Node {
	var none diag.List
	out := map[string]*yamldoc.Node{}
	for _, e := range m.Entries() {
		if s := filterFor.FindStringSubmatch(e.Key.Raw()); s != nil {
			out[strings.TrimSpace(s[1])+"["+s[2]+"]"] = e.Value.Mapping(&none).Get("where")
		}
	}
	return out
}

// table translates the checks of one dataset.
type table struct {
	im    *translate.Import
	doc   *draft.File
	where string // of the partition, as YAML
	bad   string // why it is not translated
}

// partition translates the filter of a section.
func (t *table) partition(filters map[string]*yamldoc.Node, name, partition string) {
	n := filters[name+"["+partition+"]"]
	t.im.Take(n)
	if n == nil {
		t.bad = "its partition [" + partition + "] is not defined here"
		return
	}
	expr, err := translate.Condition(n.Raw())
	if err != nil {
		t.bad = "its partition [" + partition + "]: " + err.Error() + "; a batch is one partition already, so the checks may hold without it"
		return
	}
	t.where = draft.Text(expr)
}

// item is one check with what stands below it.
type item struct {
	*table
	node    *yamldoc.Node
	text    string // of the check
	m       *yamldoc.Mapping
	name    string
	filter  string
	warn    *translate.Bounds // allowed zones of alert levels
	fail    *translate.Bounds
	percent bool
}

// check translates one check.
func (t *table) check(n *yamldoc.Node) {
	var none diag.List
	c := &item{table: t, node: n, filter: t.where}
	if n.IsScalar() {
		t.im.Take(n)
		c.text = n.Raw()
	} else {
		entries := n.Mapping(&none).Entries()
		if len(entries) == 0 {
			return
		}
		c.text = entries[0].Key.Raw()
		c.m = entries[0].Value.Mapping(&none)
		if entries[0].Value.IsScalar() {
			t.im.Take(entries[0].Value)
		}
	}
	c.text = strings.Join(strings.Fields(c.text), " ")
	if t.bad != "" {
		c.skip("%s", t.bad)
		return
	}
	c.name = t.im.Text(c.m, "name")
	if f := t.im.Text(c.m, "filter"); f != "" {
		expr, err := translate.Condition(f)
		if err != nil {
			c.skip("filter: %s", err)
			return
		}
		if c.filter != "" {
			c.skip("it has a filter inside of a partition")
			return
		}
		c.filter = draft.Text(expr)
	}
	c.translate()
}

func (c *item) skip(reason string, args ...any) { c.im.Skip(c.node, c.text, reason, args...) }

// add adds an item with what stands beside the check.
func (c *item) add(column string, i draft.Item) bool {
	if c.name != "" {
		i = i.With("name", draft.Text(c.name))
	}
	if i.Kind != "schema" && i.Kind != "freshness" && i.Kind != "change" {
		i = i.With("where", c.filter)
	}
	return c.im.Add(c.doc, column, i, c.node, c.text)
}
