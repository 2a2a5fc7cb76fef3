package metrics

import (
	"slices"

	"github.com/profilerhq/profiler/internal/profile"
)

// changeKinds are the values of the label change.
var changeKinds = []string{"added", "removed", "type", "nullable", "order"}

// typeNull is the type of a column without any value.
const typeNull = "null"

// column is what a schema says of a column.
type column struct {
	name, kind string
	// nulls tells whether it has nulls; it means nothing until seen.
	nulls, seen bool
}

func schemaOf(s *profile.Summary) []column {
	out := make([]column, len(s.Columns))
	for i := range s.Columns {
		c := &s.Columns[i]
		out[i] = column{c.Name, c.Type, c.Nulls > 0, c.Count+c.Nulls > 0}
	}
	return out
}

// compare counts the differences of the summary's schema to the one before and
// remembers it. A column without values has no type to compare, and one
// without rows says nothing about nulls: both keep what was known.
func (p *part) compare(previous, s *profile.Summary) {
	now, before := schemaOf(s), p.schema
	if before == nil && previous != nil {
		before = schemaOf(previous)
	}
	p.schema = now
	if before == nil {
		return
	}
	changed := false
	count := func(kind string) {
		p.changes[kind]++
		changed = true
	}
	old := make(map[string]column, len(before))
	for _, c := range before {
		old[c.name] = c
	}
	present := make(map[string]bool, len(now))
	var common []string
	for i := range now {
		c := &now[i]
		present[c.name] = true
		o, ok := old[c.name]
		if !ok {
			count("added")
			continue
		}
		common = append(common, c.name)
		if c.kind == typeNull {
			c.kind = o.kind
		}
		if o.kind != typeNull && o.kind != c.kind {
			count("type")
		}
		if !c.seen {
			c.nulls, c.seen = o.nulls, o.seen
		}
		if o.seen && o.nulls != c.nulls {
			count("nullable")
		}
	}
	var commonBefore []string
	for _, c := range before {
		if present[c.name] {
			commonBefore = append(commonBefore, c.name)
		} else {
			count("removed")
		}
	}
	if !slices.Equal(common, commonBefore) {
		count("order")
	}
	if changed {
		p.changedAt = p.at
	}
}
