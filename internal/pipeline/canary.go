package pipeline

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/cron"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Canary is a known input that the service sends through the steps at times, to
// see that they still make of it what they should.
type Canary struct {
	Every time.Duration
	// Input is the file, relative to the pipeline file.
	Input string
	// Expect are the files with the expected profiles by the step whose output they
	// are of.
	Expect map[string]string
	// Ends are the steps in which the canary ends, in the order of the file, when
	// there are several and the file names one expected profile: it is of the output
	// of the first step of Expect.
	Ends []string
	// Within is how long the way through the steps may take.
	Within time.Duration
	// Pos is the place of the canary in the file.
	Pos diag.Position

	files []namedFile
}

type namedFile struct {
	name string
	pos  diag.Position
}

// CanaryDataset is the dataset under which the canaries of a pipeline are
// recorded.
func (p *Pipeline) CanaryDataset() string { return p.Name + "/canary" }

// canary reads the canary, once the steps are known.
func (p *parser) canary(top *yamldoc.Mapping) {
	n := top.Get("canary")
	if n == nil {
		for _, name := range p.passed.names {
			p.passed.nodes[name].Errorf(&p.errs, yamldoc.CodeValue, "step %q says something about a canary, and there is none; add canary: to the pipeline", clip(name))
		}
		return
	}
	m := n.Mapping(&p.errs)
	if m == nil {
		return
	}
	c := &Canary{Pos: top.KeyNode("canary").Pos(), Expect: map[string]string{}}
	p.pipeline.Canary = c
	p.keys(m, "canary", []string{"every", "input", "expect", "within"}, nil)
	every := m.Required("every", "canary", &p.errs)
	yamldoc.Set(&c.Every, every, (*yamldoc.Node).Duration, &p.errs)
	if every != nil && c.Every < time.Second {
		every.Errorf(&p.errs, yamldoc.CodeValue, "every is at least 1s, such as 10m")
	}
	c.Within = c.Every
	if w := m.Get("within"); w != nil {
		yamldoc.Set(&c.Within, w, (*yamldoc.Node).Duration, &p.errs)
		if c.Within <= 0 || c.Within > c.Every {
			w.Errorf(&p.errs, yamldoc.CodeValue, "within is above 0 and at most every (%s)", c.Every)
		}
	}
	c.Input = p.canaryFile(c, m.Required("input", "canary", &p.errs))
	if p.pipeline.Source == nil {
		top.KeyNode("canary").Errorf(&p.errs, yamldoc.CodeValue, "a canary takes the place of a file of the source, and the pipeline has no source")
	}
	for i := range p.pipeline.Steps {
		if s := &p.pipeline.Steps[i]; s.Dataset == p.pipeline.CanaryDataset() {
			p.errs.Errorf(s.Pos, len([]rune(s.Name)), CodeStep, "step %q has the dataset %s, under which canaries are recorded; give it another dataset", clip(s.Name), s.Dataset)
		}
	}
	last := p.passOver()
	expect := m.Required("expect", "canary", &p.errs)
	switch {
	case expect == nil || p.bad:
	case expect.Kind() == yamldoc.Map:
		for _, e := range expect.Mapping(&p.errs).Entries() {
			name := e.Key.Raw()
			s := p.pipeline.Step(name)
			if s == nil || s.SkipCanary {
				e.Key.Errorf(&p.errs, CodeStep, "%q is no step that a canary comes to; there are %s", clip(name), strings.Join(p.reached(), ", "))
				continue
			}
			c.Expect[name] = p.canaryFile(c, e.Value)
		}
	case len(last) == 0:
		expect.Errorf(&p.errs, CodeStep, "all steps are passed over in a canary")
	default:
		c.Expect[p.farthest(last)] = p.canaryFile(c, expect)
		if len(last) > 1 {
			c.Ends = last
		}
	}
}

func (p *parser) canaryFile(c *Canary, n *yamldoc.Node) string {
	if n == nil {
		return ""
	}
	text, ok := n.String(&p.errs)
	if ok && text == "" {
		n.Errorf(&p.errs, yamldoc.CodeValue, "this names no file")
	}
	c.files = append(c.files, namedFile{text, n.Pos()})
	return text
}

// passOver checks the steps that a canary passes over, and returns those in which
// it ends.
func (p *parser) passOver() (last []string) {
	steps := p.pipeline.Steps
	behind := func(name string) (all []string) {
		for i := range steps {
			if slices.ContainsFunc(steps[i].Needs, func(n Need) bool { return n.Step == name }) {
				all = append(all, steps[i].Name)
			}
		}
		return all
	}
	goesOn := map[string]bool{} // a step behind it takes part
	for i := len(steps) - 1; i >= 0; i-- {
		s := &steps[i]
		next := behind(s.Name)
		if s.SkipCanary && len(next) > 0 && (len(s.Needs) > 1 || s.FanIn || s.Split != nil) {
			p.passed.nodes[s.Name].Errorf(&p.errs, CodeStep, "step %q joins or cuts what %s needs, a canary cannot pass it over", clip(s.Name), clip(next[0]))
		}
		for _, name := range next {
			goesOn[s.Name] = goesOn[s.Name] || goesOn[name] || !p.pipeline.Step(name).SkipCanary
		}
		if !s.SkipCanary && !goesOn[s.Name] {
			last = append([]string{s.Name}, last...)
		}
	}
	return last
}

// farthest returns the step of ends to which the longest chain of steps leads that
// a canary goes through, of equal ones the first in the file. It sorts ends by
// their place in the file.
func (p *parser) farthest(ends []string) string {
	slices.SortFunc(ends, func(a, b string) int {
		x, y := p.pipeline.Step(a).Pos, p.pipeline.Step(b).Pos
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	chain := map[string]int{} // the steps of the longest one, up to a step
	for i := range p.pipeline.Steps {
		s := &p.pipeline.Steps[i]
		for _, n := range s.Needs {
			chain[s.Name] = max(chain[s.Name], chain[n.Step])
		}
		if !s.SkipCanary {
			chain[s.Name]++
		}
	}
	first := ends[0]
	for _, name := range ends {
		if chain[name] > chain[first] {
			first = name
		}
	}
	return first
}

// Compared says in words which output is compared, if that is not plain; else it
// is empty.
func (c *Canary) Compared() string {
	if c == nil || len(c.Ends) == 0 {
		return ""
	}
	for step, file := range c.Expect {
		return fmt.Sprintf("the canary ends in %s; %s is compared with the output of %s", strings.Join(c.Ends, " and "), file, step)
	}
	return ""
}

// reached lists the steps that take part in a canary.
func (p *parser) reached() (all []string) {
	for i := range p.pipeline.Steps {
		if s := &p.pipeline.Steps[i]; !s.SkipCanary {
			all = append(all, s.Name)
		}
	}
	return all
}

// check reports files that cannot be read.
func (c *Canary) check(p *Pipeline, errs *diag.List) {
	if c == nil {
		return
	}
	for _, f := range c.files {
		r, err := os.Open(p.Path(f.name))
		if err != nil {
			errs.Errorf(f.pos, len([]rune(f.name)), CodeFile, "canary: %q cannot be read: %s", clip(f.name), reason(err))
			continue
		}
		r.Close()
	}
}

// skipped are the steps that say that a canary passes them over.
type skipped struct {
	names []string
	nodes map[string]*yamldoc.Node
}

// skipCanary reads that a canary passes a step over.
func (p *parser) skipCanary(s *Step, n *yamldoc.Node) {
	if _, ok := n.OneOf(&p.errs, "skip"); !ok {
		return
	}
	s.SkipCanary = true
	if p.passed.nodes == nil {
		p.passed.nodes = map[string]*yamldoc.Node{}
	}
	p.passed.names = append(p.passed.names, s.Name)
	p.passed.nodes[s.Name] = n
}

// Next returns the first time after one at which a canary is due.
func (c *Canary) Next(after time.Time) time.Time { return cron.Every(c.Every).Next(after) }
