package yamldoc

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
)

// Mapping is a node that is known to be a mapping. A nil *Mapping is empty and
// reports nothing, so that reading goes on after a value of the wrong kind.
type Mapping struct{ node *Node }

// Mapping returns the node as a mapping. If it is something else, that is
// reported and the result is nil; a nil node gives nil without a report.
func (n *Node) Mapping(errs *diag.List) *Mapping {
	if n == nil {
		return nil
	}
	if n.shape != Map {
		n.wrong(errs, "a mapping", "")
		return nil
	}
	return &Mapping{n}
}

// Node returns the mapping's own node, nil for a nil mapping.
func (m *Mapping) Node() *Node {
	if m == nil {
		return nil
	}
	return m.node
}

// Entries returns the keys and values in the order of the file; keys that come
// from a merge ("<<") are last. The slice belongs to the document.
func (m *Mapping) Entries() []Entry {
	if m == nil {
		return nil
	}
	return m.node.entries
}

// Len returns the number of keys.
func (m *Mapping) Len() int { return len(m.Entries()) }

// Keys returns the text of the keys in the order of Entries.
func (m *Mapping) Keys() []string {
	keys := make([]string, 0, m.Len())
	for _, e := range m.Entries() {
		keys = append(keys, e.Key.text)
	}
	return keys
}

// Get returns the value of a key, or nil if the key is absent. A key without a
// value (`not_null:`) gives a node of kind Null.
func (m *Mapping) Get(key string) *Node { return m.entry(key).Value }

// KeyNode returns the node of a key itself, or nil if the key is absent.
func (m *Mapping) KeyNode(key string) *Node { return m.entry(key).Key }

// Has reports whether the key is present, with or without a value.
func (m *Mapping) Has(key string) bool { return m.entry(key).Key != nil }

func (m *Mapping) entry(key string) Entry {
	for _, e := range m.Entries() {
		if e.Key.text == key {
			return e
		}
	}
	return Entry{}
}

// Required returns the value of a key. If the key is absent, that is reported
// at the start of the mapping. where completes the sentence, such as
// `check "range"`; it may be empty.
func (m *Mapping) Required(key, where string, errs *diag.List) *Node {
	e := m.entry(key)
	if e.Key == nil && m != nil {
		d := m.node.Diagnostic(CodeMissingKey, "missing key %q%s", key, in(where))
		d.Hint = m.misspelled(key)
		errs.Add(d)
	}
	return e.Value
}

// misspelled finds a present key that is probably the missing one.
func (m *Mapping) misspelled(key string) string {
	if near, ok := diag.Nearest(key, m.Keys()); ok && strings.EqualFold(near, key) {
		return fmt.Sprintf("%q is written %q here", key, near)
	}
	return ""
}

// Unknown reports every key that is not in known, with the nearest known key.
// where completes the sentence, such as `check "range"`; it may be empty.
func (m *Mapping) Unknown(known []string, where string, errs *diag.List) {
	for _, e := range m.Entries() {
		if slices.Contains(known, e.Key.text) {
			continue
		}
		d := e.Key.Diagnostic(CodeUnknownKey, "unknown key %q%s", shorten(e.Key.text), in(where))
		d.Hint = diag.Hint(e.Key.text, known)
		errs.Add(d)
	}
}

func in(where string) string {
	if where == "" {
		return ""
	}
	return " in " + where
}

// Fields names the keys of a mapping that has a fixed form, and where their
// values go: a pointer to string, bool, int, int64, float64, time.Duration,
// time.Time, []string or *Node, or a func(*Node) that is called with the value.
type Fields map[string]any

// Fill reads the present keys into their targets, in the order of the file, and
// reports values of the wrong kind and unknown keys. The target of an absent or
// wrong value keeps what it had, so that defaults are set before. where is as
// in Unknown. A target of another type is a mistake of the program and panics.
func (m *Mapping) Fill(where string, fields Fields, errs *diag.List) {
	known := make([]string, 0, len(fields))
	for key := range fields {
		known = append(known, key)
	}
	slices.Sort(known)
	m.Unknown(known, where, errs)
	for _, e := range m.Entries() {
		if target, ok := fields[e.Key.text]; ok {
			e.Value.fill(target, errs)
		}
	}
}

func (n *Node) fill(target any, errs *diag.List) {
	switch t := target.(type) {
	case *string:
		Set(t, n, (*Node).String, errs)
	case *bool:
		Set(t, n, (*Node).Bool, errs)
	case *int:
		v := int64(*t)
		Set(&v, n, (*Node).Int, errs)
		*t = int(v)
	case *int64:
		Set(t, n, (*Node).Int, errs)
	case *float64:
		Set(t, n, (*Node).Float, errs)
	case *time.Duration:
		Set(t, n, (*Node).Duration, errs)
	case *time.Time:
		Set(t, n, (*Node).Time, errs)
	case *[]string:
		Set(t, n, (*Node).StringList, errs)
	case **Node:
		*t = n
	case func(*Node):
		t(n)
	default:
		panic(fmt.Sprintf("BUG: yamldoc: no way to fill %T", target))
	}
}

// Set stores what read makes of the node in the target. If the node is absent
// or of the wrong kind, the target keeps its value:
//
//	yamldoc.Set(&o.MaxAge, m.Get("max_age"), (*yamldoc.Node).Duration, &errs)
func Set[T any](target *T, n *Node, read func(*Node, *diag.List) (T, bool), errs *diag.List) {
	if v, ok := read(n, errs); ok {
		*target = v
	}
}
