// Package dbt translates the tests of dbt's schema files, those of dbt_utils
// and dbt_expectations among them, into rule files.
package dbt

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/translate"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// quiet are keys about the project rather than about the data.
var quiet = []string{
	"version", "description", "docs", "meta", "latest_version", "access", "group", "identifier", "database", "schema", "loader", "overrides", "quoting", "quote",
	"exposures", "macros", "groups", "semantic_models", "metrics", "saved_queries", "time_spine", "deprecation_date", "policy_tags", "external",
	"store_failures", "store_failures_as", "limit", "alias", "materialized", "package_name", "dimension", "entity", "granularity",
}

// resources are the lists of a schema file that hold tables.
var resources = []string{"models", "seeds", "snapshots"}

// Sniff reports whether a document is a schema file of dbt.
func Sniff(root *yamldoc.Node) bool {
	var none diag.List
	if root.Kind() != yamldoc.Map {
		return false
	}
	m := root.Mapping(&none)
	for _, k := range append([]string{"sources", "unit_tests"}, resources...) {
		if m.Get(k).Kind() == yamldoc.List {
			return true
		}
	}
	return false
}

// Translate translates schema files.
func Translate(docs []*yamldoc.Document) *translate.Result {
	im := translate.New(quiet...)
	var roots []*yamldoc.Node
	var none diag.List
	for _, d := range docs {
		roots = append(roots, d.Root())
		m := d.Root().Mapping(&none)
		for _, key := range resources {
			for _, n := range m.Get(key).Items() {
				table(im, n, "")
			}
		}
		for _, n := range m.Get("sources").Items() {
			source(im, n)
		}
		if n := m.Get("unit_tests"); n != nil {
			im.Skip(n, "unit_tests", "they test transformations with rows of their own; rules test does so for rules")
		}
	}
	return im.Finish(roots...)
}

// source is a list of tables under one name.
func source(im *translate.Import, n *yamldoc.Node) {
	var none diag.List
	m := n.Mapping(&none)
	name := im.Text(m, "name")
	for _, t := range m.Get("tables").Items() {
		table(im, t, name)
		fresh(im, im.Doc(dataset(name, im.Text(t.Mapping(&none), "name"))), m, t.Mapping(&none))
	}
}

func dataset(source, name string) string {
	if source == "" {
		return rules.DatasetName(name)
	}
	return source + "/" + name
}

// fresh translates the freshness of a source or of one of its tables.
func fresh(im *translate.Import, doc *draft.File, source, table *yamldoc.Mapping) {
	var none diag.List
	pick := func(key string) *yamldoc.Node {
		for _, m := range []*yamldoc.Mapping{table, table.Get("config").Mapping(&none), source, source.Get("config").Mapping(&none)} {
			if n := m.Get(key); n != nil {
				return n
			}
		}
		return nil
	}
	f, field := pick("freshness"), pick("loaded_at_field")
	if f.Kind() != yamldoc.Map {
		im.Take(f, field)
		return
	}
	im.Take(field)
	m := f.Mapping(&none)
	item := draft.Item{Kind: "freshness"}
	var pairs []draft.Pair
	if field != nil {
		pairs = append(pairs, draft.Pair{Key: "column", Value: draft.Text(field.Raw())})
	}
	for _, level := range [][2]string{{"warn_after", "warn"}, {"error_after", "fail"}} {
		if span, ok := spanOf(im, m.Get(level[0]).Mapping(&none)); ok {
			pairs = append(pairs, draft.Pair{Key: level[1], Value: span})
		}
	}
	if m.Has("filter") {
		im.Skip(m.KeyNode("filter"), "freshness.filter", "freshness has no condition")
	}
	if len(pairs) == 0 || len(pairs) == 1 && field != nil {
		im.Skip(f, "freshness", "it has no limit")
		return
	}
	item.Value = draft.Map(pairs...)
	im.Add(doc, "", item, f, "freshness")
}

// spanOf reads {count: 12, period: hour}.
func spanOf(im *translate.Import, m *yamldoc.Mapping) (string, bool) {
	if m == nil {
		return "", false
	}
	n, err := strconv.Atoi(im.Text(m, "count"))
	unit, ok := map[string]string{"minute": "m", "hour": "h", "day": "d", "week": "w"}[strings.TrimSuffix(im.Text(m, "period"), "s")]
	return strconv.Itoa(n) + unit, ok && err == nil && n > 0
}

func table(im *translate.Import, n *yamldoc.Node, source string) {
	var none diag.List
	m := n.Mapping(&none)
	name := im.Text(m, "name")
	if name == "" {
		im.Skip(n, "a table", "it has no name")
		return
	}
	doc := im.Doc(dataset(source, name))
	if owner := m.Get("meta").Mapping(&none).Get("owner"); owner.IsScalar() {
		doc.Owner = owner.Raw()
	}
	im.Quiet(m.Get("config"), "config")
	doc.Tags = append(doc.Tags, im.Texts(m.Get("tags"))...)
	t := &tests{im, doc, source}
	t.all(m, "")
	t.constraints(m.Get("constraints"), "")
	var types, names []string
	for _, c := range m.Get("columns").Items() {
		cm := c.Mapping(&none)
		column := im.Text(cm, "name")
		if column == "" {
			im.Skip(c, "a column", "it has no name")
			continue
		}
		names = append(names, draft.Text(column))
		if dt := im.Get(cm, "data_type"); dt != nil {
			if typ, ok := translate.Type(dt.Raw()); ok {
				types = append(types, "  "+draft.Text(column)+": "+typ)
			} else {
				im.Skip(dt, column+".data_type", "the type %s has no counterpart", dt.Raw())
			}
		}
		im.Quiet(cm.Get("config"), "config")
		im.Quiet(cm.Get("tags"), "tags")
		t.all(cm, column)
		t.constraints(cm.Get("constraints"), column)
	}
	t.contract(m, names, types)
}

// contract makes a schema of the columns: an enforced contract allows no other.
func (t *tests) contract(m *yamldoc.Mapping, names, types []string) {
	var none diag.List
	n := m.Get("config").Mapping(&none).Get("contract")
	if n == nil {
		n = m.Get("contract")
	}
	enforced := n.Mapping(&none).Get("enforced").Raw() == "true"
	t.im.Take(n)
	if len(types) == 0 && !enforced {
		return
	}
	item := draft.Item{Kind: "schema"}
	if enforced && len(names) > 0 {
		item.Lines = append(item.Lines, "columns: "+draft.List(names), "closed: true")
	}
	if len(types) > 0 {
		item.Lines = append(append(item.Lines, "types:"), types...)
	}
	if len(item.Lines) > 0 {
		t.im.Add(t.doc, "", item, n, "contract")
	}
}

// tests translates the tests of one table.
type tests struct {
	im     *translate.Import
	doc    *draft.File
	source string
}

func (t *tests) all(m *yamldoc.Mapping, column string) {
	for _, key := range []string{"tests", "data_tests"} {
		for _, n := range m.Get(key).Items() {
			t.test(n, column)
		}
	}
}

// constraints of a contract are those of the database.
func (t *tests) constraints(n *yamldoc.Node, column string) {
	var none diag.List
	for _, c := range n.Items() {
		m := c.Mapping(&none)
		kind := t.im.Text(m, "type")
		names := t.im.Texts(m.Get("columns"))
		label := "constraint " + kind
		switch {
		case kind == "not_null" && column != "":
			t.im.Add(t.doc, column, draft.Item{Kind: "not_null"}, c, label)
		case (kind == "unique" || kind == "primary_key") && column != "":
			t.im.Add(t.doc, column, draft.Item{Kind: "unique"}, c, label)
			if kind == "primary_key" {
				t.im.Add(t.doc, column, draft.Item{Kind: "not_null"}, c, label)
			}
		case (kind == "unique" || kind == "primary_key") && len(names) > 0:
			t.im.Add(t.doc, "", draft.Item{Kind: "unique", Value: draft.Texts(names)}, c, label)
		case kind == "check":
			t.condition(c, label, t.im.Text(m, "expression"), "", common{})
		default:
			t.im.Skip(c, label, "there is no check for it")
		}
	}
}

// common are the settings beside a test.
type common struct{ severity, warn, fail, where, note, enabled string }

func (c common) on(i draft.Item) draft.Item {
	return i.With("warn", c.warn).With("fail", c.fail).With("where", c.where).With("severity", c.severity).With("name", c.note).With("enabled", c.enabled)
}

// test translates one item of a list of tests: a name, or a name with
// arguments.
func (t *tests) test(n *yamldoc.Node, column string) {
	var none diag.List
	if n.IsScalar() {
		t.im.Take(n)
		t.named(n, n.Raw(), column, nil, common{})
		return
	}
	m := n.Mapping(&none)
	kind, body := "", (*yamldoc.Mapping)(nil)
	if m.Has("test_name") {
		kind, body = t.im.Text(m, "test_name"), m
	} else {
		for _, e := range m.Entries() {
			switch e.Key.Raw() {
			case "name", "description", "config", "arguments":
			default:
				if kind == "" {
					kind, body = e.Key.Raw(), e.Value.Mapping(&none)
					t.im.Take(nullOf(e.Value))
				}
			}
		}
	}
	if kind == "" {
		t.im.Skip(n, "a test", "it has no name")
		return
	}
	c, reason := t.common(m, body)
	if reason != "" {
		t.im.Skip(n, kind, "%s", reason)
		return
	}
	args := body
	if a := body.Get("arguments"); a != nil {
		args = a.Mapping(&none)
	} else if a := m.Get("arguments"); a != nil {
		args = a.Mapping(&none)
	}
	t.named(n, kind, column, args, c)
}

func nullOf(n *yamldoc.Node) *yamldoc.Node {
	if n.IsScalar() {
		return n
	}
	return nil
}

// common reads severity, warn_if, error_if, where and name, which stand beside
// the arguments or below config.
func (t *tests) common(item, body *yamldoc.Mapping) (c common, reason string) {
	var none diag.List
	get := func(key string) string {
		for _, m := range []*yamldoc.Mapping{body, body.Get("config").Mapping(&none), item.Get("config").Mapping(&none)} {
			if s := t.im.Text(m, key); s != "" {
				return s
			}
		}
		return ""
	}
	c.note = nameOf(get("name"))
	if c.note == "" {
		c.note = nameOf(t.im.Text(item, "name"))
	}
	if get("enabled") == "false" {
		c.enabled = "false"
	}
	if strings.EqualFold(get("severity"), "warn") {
		c.severity = "warn"
	}
	for _, level := range []struct {
		key string
		to  *string
	}{{"warn_if", &c.warn}, {"error_if", &c.fail}} {
		text := get(level.key)
		if text == "" || text == "!=0" || text == "!= 0" {
			continue
		}
		limit, ok := atMost(text)
		if !ok {
			return c, level.key + " " + strconv.Quote(text) + " is no upper limit of the failing rows"
		}
		*level.to = limit
	}
	if w := get("where"); w != "" {
		expr, err := translate.Condition(w)
		if err != nil {
			return c, "where: " + err.Error()
		}
		c.where = draft.Text(expr)
	}
	return c, ""
}

func nameOf(s string) string {
	if s == "" {
		return ""
	}
	return draft.Text(s)
}

var limitText = regexp.MustCompile(`^(>=?)\s*([0-9]+)$`)

// atMost turns "fails if > 10" into the number that is tolerated.
func atMost(text string) (string, bool) {
	m := limitText.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", false
	}
	n, err := strconv.Atoi(m[2])
	if m[1] == ">=" {
		n--
	}
	return strconv.Itoa(n), err == nil && n >= 0
}
