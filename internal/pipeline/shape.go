package pipeline

import (
	"slices"

	"github.com/profilerhq/profiler/internal/yamldoc"
)

// VariableInputs is the environment variable with the path of the list of what a
// fan-in joins.
const VariableInputs = "PROFILER_INPUTS"

// shape reads how a step changes the number of units: fan_in joins all units of a
// run to one.
func (p *parser) shape(s *Step, m *yamldoc.Mapping, where string) {
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

// units checks that the needs of each step give the same units. Steps are in
// topological order.
func (p *parser) units() {
	of := map[string]string{} // the fan-in that made a step's units, empty for the source
	for i := range p.pipeline.Steps {
		s := &p.pipeline.Steps[i]
		if s.FanIn {
			of[s.Name], s.Joined = s.Name, true
			continue
		}
		for j, n := range s.Needs {
			if j == 0 {
				of[s.Name] = of[n.Step]
				s.Joined = of[s.Name] != ""
				continue
			}
			if of[n.Step] != of[s.Name] {
				p.needs[s.Name][j].Errorf(&p.errs, CodeStep, "step %q would wait for ever: %s and %s; add fan_in: all to it, which joins both, or leave one of them out",
					s.Name, describeUnits(s.Needs[0].Step, of[s.Name]), describeUnits(n.Step, of[n.Step]))
			}
		}
	}
}

func describeUnits(step, from string) string {
	switch from {
	case "":
		return step + " gives the units of the source"
	case step:
		return step + " joins all units of a run to one"
	}
	return step + " gives the one that " + from + " joins"
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
