package pipeline

import (
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
)

// graph checks the edges and puts the steps in topological order. It reports
// whether there is one.
func (p *parser) graph(names []string) bool {
	byName := map[string]*Step{}
	for i := range p.pipeline.Steps {
		byName[p.pipeline.Steps[i].Name] = &p.pipeline.Steps[i]
	}
	for i := range p.pipeline.Steps {
		s := &p.pipeline.Steps[i]
		variables := map[string]string{}
		for j, need := range s.Needs {
			at := p.needs[s.Name][j]
			if byName[need.Step] == nil {
				d := at.Diagnostic(CodeStep, "step %q needs %q, which is no step of this pipeline", clip(s.Name), clip(need.Step))
				d.Hint = diag.Hint(need.Step, names)
				p.errs.Add(d)
				p.bad = true
				continue
			}
			v := InputVariable(need.Step)
			if other, taken := variables[v]; taken {
				at.Errorf(&p.errs, CodeStep, "the inputs %q and %q would share the variable %s; rename one of the steps", other, need.Step, v)
			}
			variables[v] = need.Step
		}
	}
	ordered, rest := p.order()
	// An edge to a step that does not exist is no part of a cycle.
	for rest = prune(rest); len(rest) > 0; rest = prune(rest) {
		cycle := findCycle(rest)
		first := byName[cycle[0]]
		at := p.needs[first.Name][slices.IndexFunc(first.Needs, func(n Need) bool { return n.Step == cycle[1] })]
		if len(cycle) == 2 {
			at.Errorf(&p.errs, CodeCycle, "step %q needs itself", first.Name)
		} else {
			at.Errorf(&p.errs, CodeCycle, "the steps need each other in a circle: %s", strings.Join(cycle, " needs "))
		}
		// Further cycles are those without the steps of this one.
		rest = slices.DeleteFunc(rest, func(s *Step) bool { return slices.Contains(cycle, s.Name) })
	}
	if p.bad || len(ordered) != len(p.pipeline.Steps) {
		return false // the order is only certain when all edges are known
	}
	p.pipeline.Steps = ordered
	return true
}

// order returns the steps that can be ordered and those on or behind a cycle.
func (p *parser) order() (ordered []Step, rest []*Step) {
	placed := map[string]bool{}
	for i := range p.pipeline.Steps {
		rest = append(rest, &p.pipeline.Steps[i])
	}
	for {
		// The first step of the file that is free goes next, which keeps the
		// order of the file wherever the edges allow it.
		next := slices.IndexFunc(rest, func(s *Step) bool {
			return !slices.ContainsFunc(s.Needs, func(n Need) bool { return !placed[n.Step] })
		})
		if next < 0 {
			return ordered, rest
		}
		placed[rest[next].Name] = true
		ordered = append(ordered, *rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
}

// prune removes the steps that are not on or behind a cycle among themselves.
func prune(steps []*Step) []*Step {
	for {
		left := map[string]bool{}
		for _, s := range steps {
			left[s.Name] = true
		}
		kept := slices.DeleteFunc(slices.Clone(steps), func(s *Step) bool {
			return !slices.ContainsFunc(s.Needs, func(n Need) bool { return left[n.Step] })
		})
		if len(kept) == len(steps) {
			return kept
		}
		steps = kept
	}
}

// findCycle returns the names along a cycle, the first one again at the end.
// Each of the steps must need another of them.
func findCycle(steps []*Step) []string {
	byName := map[string]*Step{}
	for _, s := range steps {
		byName[s.Name] = s
	}
	var path []string
	for name := steps[0].Name; ; {
		if i := slices.Index(path, name); i >= 0 {
			cycle := path[i:]
			// Start at the step that stands first in the file.
			first := slices.IndexFunc(steps, func(s *Step) bool { return slices.Contains(cycle, s.Name) })
			start := slices.Index(cycle, steps[first].Name)
			cycle = slices.Concat(cycle[start:], cycle[:start])
			return append(cycle, cycle[0])
		}
		path = append(path, name)
		needs := byName[name].Needs
		name = needs[slices.IndexFunc(needs, func(n Need) bool { return byName[n.Step] != nil })].Step
	}
}
