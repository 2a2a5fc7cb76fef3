package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/yamldoc"
)

// VariableInputs is the environment variable with the path of the list of what a
// fan-in joins.
const VariableInputs = "PROFILER_INPUTS"

// Split says how the output of a step is cut into parts, each a unit of its own
// for the steps behind.
type Split struct {
	// Kind is "rows", "row_groups" or "files"; Rows is the number of rows of a part.
	// With "files" the output is a folder, and each file in it is a part.
	Kind string
	Rows int64
	// Portion are the ranges of rows that a step in SQL reads, if they are the parts.
	Portion Portion
}

// String returns the split as it stands in a pipeline file.
func (s *Split) String() string {
	switch {
	case s == nil:
		return ""
	case s.Kind == "rows":
		return fmt.Sprintf("rows(%d)", s.Rows)
	case s.Portion.Kind != "":
		return s.Portion.String()
	}
	return s.Kind
}

// Folder reports whether the output of the step is a folder of files, each of
// them a part.
func (s *Step) Folder() bool { return s.Split != nil && s.Split.Kind == "files" }

var callForm = regexp.MustCompile(`^([a-z_]+)(?:\((.*)\))?$`)

// call reads a text like name or name(argument, argument).
func call(text string) (name string, args []string) {
	m := callForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", nil
	}
	if strings.Contains(text, "(") {
		for arg := range strings.SplitSeq(m[2], ",") {
			args = append(args, strings.TrimSpace(arg))
		}
	}
	return m[1], args
}

// rows reads the argument of rows(50000).
func (p *parser) rowsOf(n *yamldoc.Node, args []string) (int64, bool) {
	if len(args) == 1 {
		if v, err := strconv.ParseInt(args[0], 10, 64); err == nil && v > 0 {
			return v, true
		}
	}
	n.Errorf(&p.errs, yamldoc.CodeValue, "rows has the number of rows of a part, such as rows(50000)")
	return 0, false
}

// shape reads how a step changes the number of units: fan_in joins all units of a
// run to one, split makes several of one.
func (p *parser) shape(s *Step, m *yamldoc.Mapping, where string) {
	if n := m.Get("split"); n != nil {
		p.split(s, n, where)
	}
	n := m.Get("fan_in")
	if n == nil {
		return
	}
	if _, ok := n.OneOf(&p.errs, "all"); !ok {
		return
	}
	s.FanIn = true
	if !m.Has("needs") {
		m.KeyNode("fan_in").Errorf(&p.errs, CodeStep, "%s joins the units of the steps that it needs, and it needs none; add needs: [STEP]", where)
	}
}

func (p *parser) split(s *Step, n *yamldoc.Node, where string) {
	text, ok := n.String(&p.errs)
	if !ok {
		return
	}
	switch name, args := call(text); {
	case name == "rows":
		if rows, ok := p.rowsOf(n, args); ok {
			s.Split = &Split{Kind: name, Rows: rows}
		}
	case name == "row_groups" && args == nil:
		s.Split = &Split{Kind: name}
	case name == "files" && args == nil:
		s.Split = &Split{Kind: name}
		if s.SQL != nil || s.HTTP != nil || s.Worker {
			n.Errorf(&p.errs, CodeCommand, "%s gives one output, and split: files is for a command (run or sh) that writes several into the folder {output}; write rows(50000)", where)
		}
	case name == "key_ranges", name == "ctid_ranges":
		p.splitRanges(s, n, text, where)
	default:
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no split; write rows(50000), row_groups for Parquet, files for a command that writes several, or key_ranges(id, 16) or ctid_ranges(16) for a step in SQL", clip(text))
	}
}

// splitRanges reads that a step in SQL gives its rows range by range.
func (p *parser) splitRanges(s *Step, n *yamldoc.Node, text, where string) {
	switch {
	case s.SQL == nil:
		n.Errorf(&p.errs, CodeCommand, "%s is no step in SQL, whose rows have ranges of keys; write rows(50000)", where)
		return
	case s.SQL.Load != nil || s.SQL.Statement != nil:
		n.Errorf(&p.errs, CodeCommand, "%s changes something, and ranges of keys are for a step that only reads (query or table); let a step before it do the rest", where)
		return
	}
	split := &Split{}
	if !p.ranges(&split.Portion, n, strings.TrimSpace(text), s.SQL.Table) {
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no split; write key_ranges(id, 16) or ctid_ranges(16)", clip(text))
		return
	}
	split.Kind, s.Split = string(split.Portion.Kind), split
}

// origin is where the units of a step come from.
type origin struct {
	fan   string // the fan-in that made them, empty for the source
	split string // the last step that was split since
}

func (o origin) describe(step string) string {
	switch {
	case o.split == step:
		return step + " gives parts of its outputs"
	case o.split != "":
		return step + " gives the parts that " + o.split + " is split into"
	case o.fan == step:
		return step + " joins all units of a run to one"
	case o.fan != "":
		return step + " gives the one that " + o.fan + " joins"
	}
	return step + " gives the units of the source"
}

// units checks that the needs of each step give the same units. Steps are in
// topological order.
func (p *parser) units() {
	gives := map[string]origin{} // what the steps behind one get
	for i := range p.pipeline.Steps {
		s := &p.pipeline.Steps[i]
		own := origin{}
		for j, n := range s.Needs {
			switch {
			case s.FanIn:
			case j == 0:
				own = gives[n.Step]
			case gives[n.Step] != own:
				p.needs[s.Name][j].Errorf(&p.errs, CodeStep, "step %q would wait for ever: %s and %s; add fan_in: all to it, which joins both, or leave one of them out",
					s.Name, own.describe(s.Needs[0].Step), gives[n.Step].describe(n.Step))
			}
		}
		if s.FanIn {
			own = origin{fan: s.Name}
		}
		s.Joined = own.fan != ""
		s.Parts = own.split != "" || own == origin{} && p.pipeline.Source.Cut() != nil
		gives[s.Name] = own
		if s.Split != nil {
			gives[s.Name] = origin{own.fan, s.Name}
		}
	}
}

// Cut says how the files of a source are cut into units.
type Cut struct {
	// Kind is "rows" or "time".
	Kind string
	// Rows is the number of rows of a unit of "rows".
	Rows int64
	// Column has the times, and Span is the length of a unit of "time".
	Column string
	Span   time.Duration
}

// Cut returns how the files are cut, nil if each is one unit.
func (s *Source) Cut() *Cut {
	if s == nil {
		return nil
	}
	return s.cut
}

// minSpan is the shortest span of a unit.
const minSpan = time.Second

// unit reads what of the source is one unit.
func (p *parser) unit(s *Source, n *yamldoc.Node) {
	text, ok := n.String(&p.errs)
	if !ok {
		return
	}
	switch name, args := call(text); {
	case name == "file" && args == nil:
	case name == "rows":
		if rows, ok := p.rowsOf(n, args); ok {
			s.Unit, s.cut = text, &Cut{Kind: name, Rows: rows}
		}
	case name == "time":
		if len(args) != 2 || args[0] == "" {
			n.Errorf(&p.errs, yamldoc.CodeValue, "time has the column that holds the time of a row and the length of a unit, such as time(created_at, 1h)")
			return
		}
		span, err := yamldoc.ParseDuration(args[1])
		if err != nil || span < minSpan {
			n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no length of a unit; write one of at least %s, such as time(%s, 1h)", clip(args[1]), minSpan, clip(args[0]))
			return
		}
		s.Unit, s.cut = text, &Cut{Kind: name, Column: args[0], Span: span}
	case name == "key_range", name == "key_ranges", name == "ctid_ranges":
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q is for rows of a database (source: {sql: …}); write file, rows(50000) or time(created_at, 1h)", clip(text))
	default:
		n.Errorf(&p.errs, yamldoc.CodeValue, "%q is no unit; write file, rows(50000) or time(created_at, 1h)", clip(text))
	}
}

// FanIns returns the steps that join all units of a run.
func (p *Pipeline) FanIns() []*Step {
	var all []*Step
	for i := range p.Steps {
		if p.Steps[i].FanIn {
			all = append(all, &p.Steps[i])
		}
	}
	return all
}

// Before returns the names of all steps that a unit may go through before a step,
// in the order of the pipeline.
func (p *Pipeline) Before(s *Step) []string {
	var found []string
	wanted := map[string]bool{}
	for _, n := range s.Needs {
		wanted[n.Step] = true
	}
	for i := len(p.Steps) - 1; i >= 0; i-- {
		if !wanted[p.Steps[i].Name] {
			continue
		}
		found = append(found, p.Steps[i].Name)
		for _, n := range p.Steps[i].Needs {
			wanted[n.Step] = true
		}
	}
	slices.Reverse(found)
	return found
}
