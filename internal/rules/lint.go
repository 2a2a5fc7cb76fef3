package rules

import (
	"fmt"
	"slices"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
)

// Lint compares the checks of all files with each other: what contradicts, what
// is said twice, and ids that are taken by another file about the same dataset.
func (l *Library) Lint() diag.List {
	var errs diag.List
	done := map[*Set]bool{}
	for _, s := range l.Sets {
		if s.Dataset == "" || checks.IsPattern(s.Dataset) {
			continue
		}
		var all []*checks.Check
		for _, o := range l.For(s.Dataset) {
			all = append(all, o.Checks...)
			done[o] = true
		}
		errs.Add(checks.Contradictions(all)...)
	}
	for i, s := range l.Sets {
		if !done[s] {
			errs.Add(checks.Contradictions(s.Checks)...)
		}
		for _, o := range l.Sets[:i] {
			if s.overlaps(o) {
				s.sharedIDs(o, &errs)
			}
		}
	}
	return errs.Sorted()
}

// overlaps reports whether a dataset may be that of both.
func (s *Set) overlaps(o *Set) bool {
	if s.Dataset == "" || o.Dataset == "" {
		return false
	}
	return s.Dataset == o.Dataset || checks.Match(s.Dataset, o.Dataset) || checks.Match(o.Dataset, s.Dataset)
}

// sharedIDs reports ids that are written in both.
func (s *Set) sharedIDs(o *Set, errs *diag.List) {
	for _, c := range s.Checks {
		at := slices.IndexFunc(o.Checks, func(d *checks.Check) bool { return c.Explicit && d.Explicit && d.ID == c.ID })
		if at < 0 {
			continue
		}
		first := o.Checks[at].Pos
		first.Column = 0
		errs.Errorf(c.Pos, len(c.Kind), "duplicate-id", "the id %q is taken by the check in %s, which is about the same dataset", c.ID, first)
	}
}

// Against reports what does not go with a source: columns that it does not have,
// and conditions and limits whose types are not those of its columns. columns
// are those of the source, results the judgement of it by these sets.
func Against(sets []*Set, columns []string, results []checks.Result) diag.List {
	var errs diag.List
	at := map[diag.Position]*checks.Check{}
	told := map[string]bool{} // by place and column
	missing := func(c *checks.Check, pos diag.Position, width int, name string) {
		if c != nil && c.Column == name && c.ColumnPos.Line > 0 {
			pos, width = c.ColumnPos, len([]rune(name))
		}
		if key := pos.String() + name; !told[key] {
			told[key] = true
			d := lost(pos, name, columns)
			d.Width = width
			errs.Add(d)
		}
	}
	for _, s := range sets {
		for i, name := range s.Key {
			if !slices.Contains(columns, name) {
				errs.Add(lost(s.keyPos[i], name, columns))
			}
		}
		for _, c := range s.Checks {
			at[c.Pos] = c
			for _, name := range c.ColumnNames() {
				if c.Enabled && !slices.Contains(columns, name) {
					missing(c, c.Pos, len(c.Kind), name)
				}
			}
		}
	}
	for i := range results {
		r := &results[i]
		if r.Rule == nil {
			continue
		}
		pos, width := diag.Position{File: r.Rule.File, Line: r.Rule.Line, Column: r.Rule.Column}, len(r.Kind)
		switch {
		case r.Reason == checks.MissingColumn:
			missing(at[pos], pos, width, r.Absent())
		case r.Status == checks.Error:
			errs.Errorf(pos, width, "type", "%s", r.Message)
		}
	}
	return errs.Sorted()
}

// lost is a column that the source does not have.
func lost(pos diag.Position, name string, columns []string) diag.Diagnostic {
	d := diag.Diagnostic{Pos: pos, Width: len([]rune(name)), Code: "missing-column", Message: fmt.Sprintf("the source has no column %q", name)}
	if checks.IsPattern(name) {
		d.Message = fmt.Sprintf("the source has no column that matches %q", name)
	}
	if d.Hint = diag.Hint(name, columns); d.Hint == "" && len(columns) > 0 {
		d.Hint = "there are " + names(columns)
	}
	return d
}

func names(columns []string) string {
	const most = 12
	more := ""
	if len(columns) > most {
		columns, more = columns[:most], fmt.Sprintf(" and %d more", len(columns)-most)
	}
	text := ""
	for i, c := range columns {
		if i > 0 {
			text += ", "
		}
		text += c
	}
	return text + more
}
