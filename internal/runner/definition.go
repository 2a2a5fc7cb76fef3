package runner

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// definition is what the store keeps of a pipeline, so that units can be listed,
// released and replayed where its file is not.
type definition struct {
	File  string           `json:"file"`
	Work  string           `json:"work_dir"`
	Steps []definitionStep `json:"steps"`
}

type definitionStep struct {
	Name  string           `json:"name"`
	Needs []definitionNeed `json:"needs"`
	// Dataset is what the step writes, Owner and Tags are those of its rules.
	Dataset string   `json:"dataset,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	FanIn   bool     `json:"fan_in,omitempty"`
	Split   bool     `json:"split,omitempty"`
}

type definitionNeed struct {
	Step    string `json:"step"`
	Quality string `json:"quality"`
}

// define writes the pipeline into the store.
func (r *Runner) define(ctx context.Context) error {
	p := r.options.Pipeline
	d := definition{File: p.File, Work: r.work}
	for i := range p.Steps {
		s := definitionStep{Name: p.Steps[i].Name, Dataset: p.Steps[i].Dataset, Needs: []definitionNeed{}, FanIn: p.Steps[i].FanIn, Split: p.Steps[i].Split != nil}
		if r.options.Owner != nil {
			s.Owner, s.Tags = r.options.Owner(&p.Steps[i])
		}
		for _, n := range p.Steps[i].Needs {
			s.Needs = append(s.Needs, definitionNeed{n.Step, n.Quality.String()})
		}
		d.Steps = append(d.Steps, s)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("BUG: %w", err)
	}
	return r.options.Queue.Define(ctx, p.Name, string(body))
}

// DescribedStep reads of what a queue keeps of a pipeline, which may be nothing,
// what a step writes, and whose it is by its rules.
func DescribedStep(body, pipeline, step string) (dataset, owner string, tags []string) {
	var d definition
	if json.Unmarshal([]byte(body), &d) == nil {
		for _, s := range d.Steps {
			if s.Name == step && s.Dataset != "" {
				return s.Dataset, s.Owner, s.Tags
			}
		}
	}
	return pipeline + "/" + step, "", nil
}

// Ledger reads and decides about the units of all pipelines of a store.
type Ledger struct {
	q    *queue.Queue
	defs map[string]*definition
}

// NewLedger reads what the store knows of its pipelines.
func NewLedger(ctx context.Context, q *queue.Queue) (*Ledger, error) {
	bodies, err := q.Definition(ctx)
	if err != nil {
		return nil, err
	}
	l := &Ledger{q: q, defs: map[string]*definition{}}
	for name, body := range bodies {
		d := &definition{}
		if err := json.Unmarshal([]byte(body), d); err != nil {
			return nil, fmt.Errorf("pipeline %s in the store is damaged: %w; run it once to write it anew", name, err)
		}
		l.defs[name] = d
	}
	return l, nil
}

// Pipelines returns the names of the pipelines that were ever run.
func (l *Ledger) Pipelines() []string {
	names := make([]string, 0, len(l.defs))
	for name := range l.defs {
		names = append(names, name)
	}
	return names
}

// Steps returns the names of the steps of a pipeline in their order, nil if it is
// not known.
func (l *Ledger) Steps(pipeline string) []string {
	d := l.defs[pipeline]
	if d == nil {
		return nil
	}
	names := make([]string, len(d.Steps))
	for i, s := range d.Steps {
		names[i] = s.Name
	}
	return names
}

// runner returns what path and letter need of a Runner.
func (l *Ledger) runner(pipeline string) *Runner {
	if d := l.defs[pipeline]; d != nil {
		return &Runner{work: d.Work}
	}
	return &Runner{}
}

// graph returns the edges of a pipeline in the form that offers takes.
func (d *definition) graph() *pipeline.Pipeline {
	p := &pipeline.Pipeline{}
	for _, s := range d.Steps {
		step := pipeline.Step{Name: s.Name, FanIn: s.FanIn}
		if s.Split {
			step.Split = &pipeline.Split{}
		}
		for _, n := range s.Needs {
			q := pipeline.Pass
			if n.Quality == pipeline.Any.String() {
				q = pipeline.Any
			}
			step.Needs = append(step.Needs, pipeline.Need{Step: n.Step, Quality: q})
		}
		p.Steps = append(p.Steps, step)
	}
	return p
}
