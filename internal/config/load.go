package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Load reads a configuration file and returns what is in force. env names the
// overlay to lay over the file, "" for none; lookup reads the environment for
// ${env:NAME}. Overrides win over the file, later ones over earlier ones; what
// they replace is not evaluated, so that the variables in it need not exist.
//
// The list holds every problem of the file, with its place; warnings are among
// them. The error says that the file cannot be read, that an override is wrong,
// or is the list's. With an error there is no configuration.
func Load(path, env string, lookup func(string) (string, bool), overrides ...Setting) (*Config, diag.List, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(path, data, env, lookup, overrides)
}

func parse(path string, data []byte, env string, lookup func(string) (string, bool), overrides []Setting) (*Config, diag.List, error) {
	docs, errs := yamldoc.Parse(path, data)
	errs = slices.DeleteFunc(errs, func(d diag.Diagnostic) bool { return d.Code == yamldoc.CodeEmpty }) // all is optional
	if len(docs) > 1 {
		docs[1].Root().Errorf(&errs, yamldoc.CodeValue, "a second document: a configuration has one")
	}
	var root *yamldoc.Node
	if len(docs) > 0 {
		root = docs[0].Root()
	}
	c := Default()
	d := &decoder{config: &c, errs: &errs, path: path, dir: filepath.Dir(path), lookup: lookup, skip: map[string]bool{}}
	for _, o := range overrides {
		d.skip[o.Key] = true
	}
	overlay := d.overlay(root, env)
	merged := merge(value{node: root}, overlay)
	d.file(merged)
	d.crossCheck(merged)
	errs = errs.Sorted()
	if err := errs.Err(); err != nil {
		return nil, errs, err
	}
	for _, o := range overrides {
		if err := c.Override(o.Key, o.Value, o.Origin); err != nil {
			return nil, errs, err
		}
	}
	return &c, errs, nil
}

// value is a node of the file with what an overlay puts over it.
type value struct {
	node    *yamldoc.Node
	entries []entry // of a mapping
	overlay string  // the name of the overlay that the node is from
}

type entry struct {
	key   *yamldoc.Node
	value value
}

// merge lays one tree over another: mappings are merged key by key, everything
// else is replaced.
func merge(base, over value) value {
	base.entries = entriesOf(base)
	if over.node == nil {
		return base
	}
	over.entries = entriesOf(over)
	if base.node == nil || base.node.Kind() != yamldoc.Map || over.node.Kind() != yamldoc.Map {
		return over
	}
	for _, o := range over.entries {
		i := slices.IndexFunc(base.entries, func(e entry) bool { return e.key.Raw() == o.key.Raw() })
		if i < 0 {
			base.entries = append(base.entries, o)
			continue
		}
		base.entries[i] = entry{o.key, merge(base.entries[i].value, o.value)}
	}
	return base
}

func entriesOf(v value) []entry {
	if v.node.Kind() != yamldoc.Map {
		return nil
	}
	var out []entry
	for _, e := range v.node.Mapping(nil).Entries() {
		out = append(out, entry{e.Key, merge(value{node: e.Value, overlay: v.overlay}, value{})})
	}
	return out
}

func (v value) get(key string) value {
	for _, e := range v.entries {
		if e.key.Raw() == key {
			return e.value
		}
	}
	return value{}
}

// decoder reads the file into a configuration.
type decoder struct {
	config *Config
	errs   *diag.List
	path   string
	dir    string // of the file
	lookup func(string) (string, bool)
	skip   map[string]bool // settings that are overridden
	// draft is set while a part of the file is looked at that need not be in
	// force: values with variables are passed over.
	draft bool
}

// overlay looks at all overlays, so that a mistake in one is not found on the
// day it is needed, and at the base under them, and returns the chosen one.
func (d *decoder) overlay(root *yamldoc.Node, env string) value {
	scratch := Default()
	draft := &decoder{config: &scratch, errs: d.errs, dir: d.dir, draft: true}
	draft.file(merge(value{node: root}, value{}))
	if root.Kind() != yamldoc.Map {
		if env != "" {
			d.errs.Add(diag.Diagnostic{Pos: diag.Position{File: d.path}, Code: yamldoc.CodeMissingKey, Message: fmt.Sprintf("there is no overlay %q", env)})
		}
		return value{}
	}
	n := root.Mapping(d.errs).Get("overlays")
	var chosen value
	var names []string
	found := false
	if n != nil {
		for _, e := range n.Mapping(d.errs).Entries() {
			name := e.Key.Raw()
			names = append(names, name)
			if e.Value.IsNull() {
				found = found || name == env
				continue
			}
			m := e.Value.Mapping(d.errs)
			if nested := m.KeyNode("overlays"); nested != nil {
				nested.Errorf(d.errs, yamldoc.CodeValue, "an overlay cannot have overlays")
			}
			v := value{node: e.Value, overlay: name}
			draft.file(merge(v, value{}))
			if name == env && env != "" {
				found, chosen = true, v
			}
		}
	}
	if env != "" && !found {
		at := root
		if n != nil {
			at = n
		}
		x := at.Diagnostic(yamldoc.CodeMissingKey, "there is no overlay %q", env)
		if x.Hint = diag.Hint(env, names); x.Hint == "" && len(names) > 0 {
			x.Hint = "there are " + strings.Join(names, ", ")
		}
		d.errs.Add(x)
	}
	return chosen
}

// later are keys of the format that this version does not have.
var (
	laterTop = []string{"tokens"}
)

const notYet = "is not supported by this version yet"

// file reads the whole file.
func (d *decoder) file(root value) {
	if root.node.IsNull() {
		return
	}
	sections := map[string]func(value){"overlays": func(value) {}}
	for _, name := range []string{"metrics", "retention"} {
		sections[name] = func(v value) { d.section(v, name+".", strconv.Quote(name), nil, nil) }
	}
	sections["alerts"] = func(v value) {
		d.section(v, "alerts.", `"alerts"`, map[string]func(value){
			"channels": d.channels, "routes": d.routes, "silences": d.silences, "maintenance": d.maintenance, "confirm": d.confirm, "weekly": d.weekly,
		}, nil)
	}
	d.section(root, "", "the configuration", sections, laterTop)
}

// section reads a mapping whose settings have a common prefix, and the given
// keys by functions.
func (d *decoder) section(v value, prefix, where string, more map[string]func(value), later []string) {
	if v.node.Kind() != yamldoc.Map {
		v.node.Mapping(d.errs)
		return
	}
	known := slices.Sorted(maps.Keys(more))
	for _, f := range fields {
		if key, ok := strings.CutPrefix(f.key, prefix); ok && !strings.Contains(key, ".") {
			known = append(known, key)
		}
	}
	for _, e := range v.entries {
		key := e.key.Raw()
		switch f := fieldOf(prefix + key); {
		case f != nil:
			d.field(f, e.value)
		case more[key] != nil:
			more[key](e.value)
		case slices.Contains(later, key):
			x := e.key.Diagnostic(yamldoc.CodeUnknownKey, "%q %s", key, notYet)
			x.Hint = "remove it"
			d.errs.Add(x)
		default:
			x := e.key.Diagnostic(yamldoc.CodeUnknownKey, "unknown key %q in %s", key, where)
			x.Hint = diag.Hint(key, known)
			if kindOf(key) != nil {
				x.Hint = "channels have names: alerts: {channels: {NAME: {" + key + ": …}}}"
			}
			d.errs.Add(x)
		}
	}
}

func (d *decoder) field(f *field, v value) {
	if d.skip[f.key] || !d.expand(v.node) {
		return
	}
	if f.fromNode(d.config, v.node, d.dir, d.errs) {
		shown := show(f.target(d.config))
		if f.key != "store" { // which is masked already
			shown = written(v.node, shown)
		}
		d.config.note(f.key, shown, origin(v))
	}
}

// expand replaces the variables in a value. In a draft it only reports whether
// the value can be read without.
func (d *decoder) expand(n *yamldoc.Node) bool {
	if d.draft {
		return !slices.ContainsFunc(n.Items(), d.later)
	}
	errs := yamldoc.Expand(yamldoc.Variables{Env: d.lookup}, n)
	d.errs.Add(errs...)
	return len(errs) == 0
}

// written replaces what came from the environment by the text of the file.
func written(n *yamldoc.Node, shown string) string {
	items := n.Items()
	if !slices.ContainsFunc(items, (*yamldoc.Node).FromEnv) {
		return shown
	}
	var texts []string
	for _, i := range items {
		texts = append(texts, i.Written())
	}
	return strings.Join(texts, ", ")
}

var envName = regexp.MustCompile(`\$\{env:[A-Za-z_][A-Za-z0-9_.-]*\}`)

// origin says where a value stands.
func origin(v value) string {
	p := v.node.Pos()
	text := fmt.Sprintf("%s:%d", p.File, p.Line)
	if v.overlay != "" {
		text += " (overlay " + v.overlay + ")"
	}
	var names []string
	for _, i := range v.node.Items() {
		if i.FromEnv() {
			names = append(names, envName.FindAllString(i.Written(), -1)...)
		}
	}
	if len(names) > 0 {
		text += " from " + strings.Join(names, ", ")
	}
	return text
}

// in makes a path of the file relative to its folder.
func in(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// storeIn makes the path of an SQLite store relative to the file's folder.
func storeIn(dir, address string) string {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok || path == ":memory:" || strings.HasPrefix(path, "/") {
		return address
	}
	return "sqlite:" + filepath.Join(dir, path)
}
