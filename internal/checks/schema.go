package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var schemaParams = []Param{
	{Name: "columns", Form: FormColumns, Summary: "The columns, as a list of names or as a mapping of names to types."},
	{Name: "types", Form: FormTypes, Summary: "The types of columns; they are among the columns then."},
	{Name: "required", Form: FormTexts, Summary: "The columns that have to be there.", Default: "all that are listed"},
	{Name: "closed", Form: FormFlag, Summary: "There may be no other columns.", Default: "false"},
	{Name: "ordered", Form: FormFlag, Summary: "The columns stand in this order, others between them.", Default: "false"},
}

var schemaSpec = Spec{
	Kind: "schema", Level: BatchLevel, Dataset: true, Params: schemaParams, Example: "schema: {columns: [id, amount], closed: true}",
	Summary: "The columns are those listed: they exist, have their types, and with closed there are no others.",
	parse:   parseSchema,
}

type schema struct {
	columns, required []string
	types             map[string]batch.Type
	closed, ordered   bool
}

func parseSchema(_ *Check, p params, errs *diag.List) judge {
	m := p.mapping("schema", append(slices.Clone(schemaParams), Param{Name: "warn"}, Param{Name: "fail"}), errs)
	if m.Len() == 0 {
		errs.Errorf(p.where(), 6, yamldoc.CodeMissingKey, "check \"schema\" needs columns or types")
		return nil
	}
	s := &schema{types: map[string]batch.Type{}}
	for _, key := range []string{"warn", "fail"} {
		if n := p.zone(key, m, errs); n != nil {
			n.Errorf(errs, yamldoc.CodeUnknownKey, "check \"schema\" has no limits; write severity: warn to make it a warning")
		}
	}
	if n := m.Get("columns"); n != nil {
		s.parseColumns(n, errs)
	}
	if n := m.Get("types"); n != nil {
		s.parseTypes(n, errs)
	}
	yamldoc.Set(&s.closed, m.Get("closed"), (*yamldoc.Node).Bool, errs)
	yamldoc.Set(&s.ordered, m.Get("ordered"), (*yamldoc.Node).Bool, errs)
	s.required = s.columns
	if n := m.Get("required"); n != nil {
		s.required, _ = n.StringList(errs)
		items, _ := n.List(errs)
		for i, name := range s.required {
			if !slices.Contains(s.columns, name) && i < len(items) {
				d := items[i].Diagnostic(yamldoc.CodeValue, "the required column %q is not among the columns", name)
				d.Hint = diag.Hint(name, s.columns)
				errs.Add(d)
			}
		}
	}
	return s
}

// parseColumns reads a list of names, or a mapping of names to types.
func (s *schema) parseColumns(n *yamldoc.Node, errs *diag.List) {
	if n.Kind() == yamldoc.Map {
		s.parseTypes(n, errs)
		return
	}
	s.columns, _ = n.StringList(errs)
	for i, name := range s.columns {
		if slices.Index(s.columns, name) < i {
			n.Errorf(errs, yamldoc.CodeValue, "the column %q is listed twice", name)
		}
	}
}

func (s *schema) parseTypes(n *yamldoc.Node, errs *diag.List) {
	for _, e := range n.Mapping(errs).Entries() {
		name := e.Key.Raw()
		if t, ok := e.Value.OneOf(errs, batch.TypeNames()...); ok {
			s.types[name], _ = batch.ParseType(t)
		}
		if !slices.Contains(s.columns, name) {
			s.columns = append(s.columns, name)
		}
	}
}

func (s *schema) needs(string) []Need { return nil }

func (s *schema) result(in *Input, _ *profile.Column, res Result) Result {
	diffs := s.differences(in.Profile.Summary())
	res.Value = profile.IntScalar(int64(len(diffs)))
	res.Limit = "no differences"
	if len(diffs) == 0 {
		res.Message = fmt.Sprintf("the %d columns are as expected", len(s.columns))
		return res
	}
	res.Status = Fail
	if res.Severity == SeverityWarn {
		res.Status = Warn
	}
	res.Message = list(diffs, 6)
	return res
}

func (s *schema) differences(p *profile.Summary) (diffs []string) {
	for _, name := range s.required {
		if p.Column(name) == nil {
			diffs = append(diffs, fmt.Sprintf("column %q is missing", name))
		}
	}
	for i := range p.Columns {
		c := &p.Columns[i]
		if s.closed && !slices.Contains(s.columns, c.Name) && !s.hasList(c.List) {
			diffs = append(diffs, fmt.Sprintf("column %q is not expected", c.Name))
		}
		want, ok := s.types[c.Name]
		if ok && c.Kind() != batch.Null && !typeOf(want).accepts(c.Kind()) {
			diffs = append(diffs, fmt.Sprintf("column %q is %s instead of %s", c.Name, c.Type, want))
		}
	}
	if s.ordered {
		if moved := s.moved(p); len(moved) > 0 {
			diffs = append(diffs, "the order is "+strings.Join(moved, ", "))
		}
	}
	return diffs
}

// hasList reports whether a list is listed, so that its elements are expected
// too: that of a[].b[] is a.
func (s *schema) hasList(path *string) bool {
	return path != nil && slices.ContainsFunc(s.columns, func(name string) bool { return strings.HasPrefix(*path, name+"[]") })
}

// moved returns the listed columns in the order of the batch if that is not
// the listed one.
func (s *schema) moved(p *profile.Summary) []string {
	var have, want []string
	for i := range p.Columns {
		if slices.Contains(s.columns, p.Columns[i].Name) {
			have = append(have, p.Columns[i].Name)
		}
	}
	for _, name := range s.columns {
		if slices.Contains(have, name) {
			want = append(want, name)
		}
	}
	if slices.Equal(have, want) {
		return nil
	}
	return have
}
