package anomaly

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
)

// schema are the columns of an accepted batch in their order.
type schema []field

type field struct {
	name     string
	kind     batch.Type
	count    int64
	declared bool
	mixed    bool // values of several families, so that an inferred type may flip
}

// leastValues is how many values of either side an inferred type needs.
const leastValues = 20

// highUnparsable is the share of unparsable values that is a change of type.
const highUnparsable = 0.5

// contract is lane 0: what must never change, without statistics.
func (s *State) contract(f *Features, o Options) []Evidence {
	if s.accepted == 0 {
		return nil
	}
	last := s.schemas[len(s.schemas)-1]
	var out []Evidence
	if f.rows == 0 && s.hadRows && !s.hadNone {
		out = append(out, Evidence{Metric: "row_count", Text: "0", Was: "never empty", Z: mostZ, Shape: "volume", status: Fail})
	}
	if f.rows == 0 && len(f.columns) == 0 {
		return out // an empty file has no columns to compare
	}
	out = append(out, s.changedColumns(f, o, last)...)
	out = append(out, s.unparsable(f, o)...)
	if copied := s.copied(f); copied {
		out = append(out, Evidence{Metric: "fingerprint", Text: "identical to an earlier batch", Was: "new data", Z: mostZ, Shape: "copy", status: Fail})
	}
	return out
}

// schemaOf returns the columns of a batch.
func schemaOf(f *Features) schema {
	var out schema
	for i := range f.columns {
		if c := &f.columns[i]; !c.offset {
			out = append(out, field{c.name, c.kind, c.count, c.declared, c.mixed})
		}
	}
	return out
}

func (sc schema) find(name string) *field {
	for i := range sc {
		if sc[i].name == name {
			return &sc[i]
		}
	}
	return nil
}

func (s *State) changedColumns(f *Features, o Options, last schema) []Evidence {
	now := schemaOf(f)
	is, was := indexOf(now), indexOf(last)
	var out, gone, added []Evidence
	for i := range now {
		c := &now[i]
		if ignored(o.Ignore, c.name) {
			continue
		}
		j, there := was[c.name]
		if !there {
			if s.presence(c.name, f.format) == 0 {
				added = append(added, Evidence{Column: c.name, Metric: "column", Text: "added, " + c.kind.String(), Was: "no such column", Z: mostZ, Shape: "schema", status: Fail})
			}
			continue
		}
		if e, ok := typeChange(&last[j], c); ok && (c.declared || s.hasOneType(&last[j])) {
			out = append(out, e)
		}
	}
	for i := range last {
		c := &last[i]
		if _, there := is[c.name]; !there && !ignored(o.Ignore, c.name) && s.presence(c.name, f.format) == 1 {
			gone = append(gone, Evidence{Column: c.name, Metric: "column", Text: "missing", Was: c.kind.String(), Z: mostZ, Shape: "schema", status: Fail})
		}
	}
	if len(gone) == 1 && len(added) == 1 && last.find(gone[0].Column).kind == now.find(added[0].Column).kind {
		gone[0].Text = fmt.Sprintf("renamed to %q", added[0].Column)
		added = nil
	}
	out = append(append(out, gone...), added...)
	if len(out) == 0 && (f.format == "csv" || f.format == "tsv") && reordered(now, last) {
		out = append(out, Evidence{Metric: "column_order", Text: "changed", Was: "the order of the batches before", Z: 0, Shape: "schema", status: Warn})
	}
	return out
}

func indexOf(sc schema) map[string]int {
	out := make(map[string]int, len(sc))
	for i := range sc {
		out[sc[i].name] = i
	}
	return out
}

// presence is the share of the last batches that had a column, for formats in
// which keys may be absent; for others the last batch decides.
func (s *State) presence(name, format string) float64 {
	known := s.schemas
	if format != "json" && format != "jsonl" {
		known = known[len(known)-1:]
	}
	n := 0
	for _, sc := range known {
		if sc.find(name) != nil {
			n++
		}
	}
	return float64(n) / float64(len(known))
}

// family joins the types that change into each other by nature.
func family(t batch.Type) batch.Type { return t.Family() }

func typeChange(was, is *field) (Evidence, bool) {
	a, b := family(was.kind), family(is.kind)
	if a == b || a == batch.Null || b == batch.Null {
		declared := was.declared && is.declared && was.kind != is.kind && a == b && a != batch.Number && a != batch.Null && b != batch.Null
		if !declared {
			return Evidence{}, false
		}
	}
	if !(was.declared && is.declared) && (was.count < leastValues || is.count < leastValues || was.mixed || is.mixed) {
		return Evidence{}, false
	}
	return Evidence{Column: is.name, Metric: "type", Text: is.kind.String(), Was: was.kind.String(), Z: mostZ, Shape: "type", status: Fail}, true
}

// hasOneType reports whether all of the last batches inferred one family of
// types for a column, and no batch more than one among its values.
func (s *State) hasOneType(was *field) bool {
	for _, sc := range s.schemas {
		if f := sc.find(was.name); f != nil && f.kind != batch.Null && (f.mixed || family(f.kind) != family(was.kind)) {
			return false
		}
	}
	return true
}

// reordered reports whether the columns that both have stand in another order.
func reordered(now, last schema) bool {
	at := -1
	where := indexOf(last)
	for i := range now {
		j, ok := where[now[i].name]
		if !ok {
			continue
		}
		if j < at {
			return true
		}
		at = j
	}
	return false
}

// unparsable finds columns of which more than half cannot be parsed any more.
func (s *State) unparsable(f *Features, o Options) []Evidence {
	var out []Evidence
	for i := range f.columns {
		c := &f.columns[i]
		known := s.index[columnKey{c.name, false}]
		if c.offset || known == nil || ignored(o.Ignore, c.name) {
			continue
		}
		x := known.series[KindUnparsable]
		for _, m := range c.measures {
			if m.kind == KindUnparsable && m.value > highUnparsable && x != nil && x.zero && x.accepted > 0 {
				out = append(out, Evidence{Column: c.name, Metric: m.kind.String(), Value: m.value, Expected: 0, N: int64(m.n), Z: mostZ, Shape: "type", numeric: true, status: Fail})
			}
		}
	}
	return out
}

// copied reports whether the batch repeats an accepted one bit by bit, which is
// news only where batches never did.
func (s *State) copied(f *Features) bool {
	return f.copyable && s.accepted >= leastHistory && !s.repeats && slices.Contains(s.prints, f.fingerprint)
}

// ignored reports whether a column is left out.
func ignored(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}

// match reports whether a name matches a pattern in which * stands for any text.
func match(pattern, name string) bool {
	first, rest, ok := strings.Cut(pattern, "*")
	if !ok {
		return pattern == name
	}
	name, ok = strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for i := 0; i <= len(name); i++ {
		if match(rest, name[i:]) {
			return true
		}
	}
	return false
}

// direction says how a page deviated: the strongest metrics with their signs,
// and the structural difference.
type direction struct {
	top      []heading
	contract string
}

type heading struct {
	column columnKey
	kind   Kind
	sign   int8
}

func headingOf(contract []Evidence, found []finding) direction {
	var d direction
	var parts []string
	for i := range contract {
		if e := &contract[i]; e.status == Fail {
			parts = append(parts, e.Column+"\x1f"+e.Metric+"\x1f"+e.Text)
		}
	}
	slices.Sort(parts)
	d.contract = strings.Join(parts, "\x1e")
	top := make([]*finding, 0, 3)
	for i := range found {
		f := &found[i]
		if f.z < again && f.z1 < again {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, f, func(a, b *finding) int { return cmp.Compare(b.z, a.z) })
		if at < 3 {
			top = slices.Insert(top, at, f)
			top = top[:min(3, len(top))]
		}
	}
	for _, f := range top {
		d.top = append(d.top, heading{f.column, f.kind, f.sign})
	}
	return d
}

// agrees reports whether a later page deviates like the first: at least 2 of its
// 3 metrics, or the same difference of structure.
func (d direction) agrees(later direction, found []finding) bool {
	if d.contract != "" || later.contract != "" {
		return d.contract == later.contract
	}
	n := 0
	for _, h := range d.top {
		for i := range found {
			f := &found[i]
			if f.column == h.column && f.kind == h.kind && f.sign == h.sign && max(f.z, f.z1) >= again {
				n++
			}
		}
	}
	return n > 0 && n >= min(2, len(d.top))
}
