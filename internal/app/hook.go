package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/source"
)

// Hook profiles and judges the files around the steps of a pipeline: the
// adapter between the runner, which does not know what profiling is, and the
// monitor, which does not know what a step is.
type Hook struct {
	app      *App
	pipeline *pipeline.Pipeline
	// sets are the rules of each step by name; those of the library apply to
	// steps that name none.
	sets     map[string][]*rules.Set
	library  *rules.Library
	observed func(*monitor.Outcome) // for reports; may be nil
	trails   trails
}

var _ runner.Hook = (*Hook)(nil)

// NewHook reads the rules of a pipeline's steps. library holds the rules of
// the configuration; observed is called with every outcome and may be nil. The
// error is a diag.List of all mistakes in rule files, or of reading them.
func (a *App) NewHook(p *pipeline.Pipeline, library *rules.Library, env func(string) (string, bool), observed func(*monitor.Outcome)) (*Hook, error) {
	h := &Hook{app: a, pipeline: p, sets: map[string][]*rules.Set{}, library: library, observed: observed}
	for i := range p.Steps {
		s := &p.Steps[i]
		var paths []string
		for _, r := range s.Rules {
			paths = append(paths, nearest(p.Path(r)))
		}
		if len(paths) == 0 {
			continue
		}
		lib, diags, err := rules.Load(paths, env)
		if err != nil {
			return nil, fmt.Errorf("step %q: %w", s.Name, err)
		}
		if diags.HasErrors() {
			return nil, diags.Err()
		}
		h.sets[s.Name] = lib.Sets
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if comparesInput(h.rulesOf(s.Name, s.Dataset)) {
			s.Profile.Input = true
		}
	}
	return h, nil
}

// comparesInput reports whether a rule compares a batch with the step's input.
func comparesInput(sets []*rules.Set) bool {
	for _, s := range sets {
		for _, c := range s.Checks {
			for _, n := range c.Needs() {
				if n.Window.Input {
					return true
				}
			}
		}
	}
	return false
}

// nearest returns a path as somebody in the working directory would write it:
// relative if it lies below, for messages about rules.
func nearest(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return rel
}

// rulesOf returns the rules for a dataset at a step.
func (h *Hook) rulesOf(step, dataset string) []*rules.Set {
	if sets, ok := h.sets[step]; ok {
		return sets
	}
	if h.library == nil {
		return nil
	}
	return h.library.For(dataset)
}

// Fingerprint identifies the rules of a step, so that stored outputs are
// judged again when they change.
func (h *Hook) Fingerprint(s *pipeline.Step) (string, error) {
	return rules.Fingerprint(h.rulesOf(s.Name, s.Dataset)), nil
}

// owner says whose the output of a step is: the first owner that its rules name,
// with all of their tags.
func (h *Hook) owner(s *pipeline.Step) (owner string, tags []string) {
	for _, set := range h.rulesOf(s.Name, s.Dataset) {
		owner = cmp.Or(owner, set.Owner)
		tags = append(tags, set.Tags...)
	}
	slices.Sort(tags)
	return owner, slices.Compact(tags)
}

// Observe profiles and judges one file.
func (h *Hook) Observe(ctx context.Context, o runner.Output) (runner.Judgement, error) {
	if m := h.app.opts.Metrics; m != nil {
		defer func(begun time.Time) { m.Hook(o.Origin.Pipeline, o.Origin.Step, time.Since(begun)) }(time.Now())
	}
	dataset := o.Dataset
	if dataset == "" {
		dataset = o.Origin.Pipeline + "/source"
	}
	r, err := openOutput(ctx, o.Path, source.Options{Format: o.Format, Sample: o.Sample})
	if err != nil {
		h.app.ProfileFailed(ctx, dataset, o.Origin.Step)
		return runner.Judgement{}, err
	}
	defer r.Close() //nolint:errcheck // only read
	s := Subject(dataset, r, nil)
	s.Origin, s.Side, s.Modified = o.Origin, string(o.Side), time.Time{}
	s.Source.URL, s.Sampled = o.Path, true
	s.Sensitive = h.sensitive(dataset)
	h.name(&s, o)
	if o.Side == runner.SideOutput {
		s.Rules, s.Rejects = h.rulesOf(o.Origin.Step, dataset), o.RejectCount
		s.Ancestors, s.Descendants = h.ancestors(o.Origin.Step), h.descendants(o.Origin.Step)
		if comparesInput(s.Rules) {
			if s.Input, err = h.inputProfile(ctx, o.Inputs, o.Sample); err != nil {
				return runner.Judgement{}, err
			}
		}
	}
	return h.judge(ctx, r, s, pipeline.OnFail(o.OnFail))
}

// judge sends a file through the monitor. What it finds of an output is recorded
// with the unit's end in the step; what a step reads has no such end and is
// recorded at once.
func (h *Hook) judge(ctx context.Context, r *source.Reader, s monitor.Subject, onFail pipeline.OnFail) (runner.Judgement, error) {
	observe := h.app.Judge
	if s.Side == string(runner.SideInput) {
		observe = h.app.Observe
	}
	out, err := observe(ctx, r, s)
	if err != nil {
		return runner.Judgement{}, err
	}
	if s.Side == string(runner.SideOutput) {
		h.began(out)
	}
	if h.observed != nil {
		h.observed(out)
	}
	rows := out.Profile.Read()
	j := runner.Judgement{
		Verdict: out.Report.Verdict, OnFail: pipeline.OnFail(out.Gate(string(onFail))), Rows: &rows, Detail: out.Profile,
	}
	if worst := out.Report.Worst(); worst != nil {
		j.Why = worst.ID + ": " + worst.Message
	}
	if s.Side == string(runner.SideInput) {
		return j, nil
	}
	return j, h.app.hand(ctx, out, &j)
}

// hand lets a judgement carry an outcome to the sinks.
func (a *App) hand(ctx context.Context, out *monitor.Outcome, j *runner.Judgement) error {
	var rec *recording
	if a.Store != nil && !a.opts.NoRecord {
		var err error
		if rec, err = a.recording(ctx, out); err != nil {
			return &StoreError{err}
		}
		j.Record = rec.write
	}
	j.Recorded = func(ctx context.Context) {
		if rec != nil {
			rec.written(ctx)
		} else if a.opts.Alert {
			_ = (&alertSink{a}).Accept(ctx, out) // what cannot be sent is logged
		}
		if a.opts.Metrics != nil {
			_ = (&metricsSink{a}).Accept(ctx, out) // has no way to fail
		}
	}
	return nil
}

// sensitive names the columns that any rule of the pipeline calls sensitive: what
// a step reads has them before its rules have seen it.
func (h *Hook) sensitive(dataset string) checks.Sensitive {
	var out checks.Sensitive
	if h.library != nil {
		out = append(out, rules.SensitiveOf(h.library.For(dataset))...)
	}
	for i := range h.pipeline.Steps {
		s := &h.pipeline.Steps[i]
		out = append(out, rules.SensitiveOf(h.rulesOf(s.Name, s.Dataset))...)
	}
	return out
}

// name gives the batch the day of its source file, or the unit's id.
func (h *Hook) name(s *monitor.Subject, o runner.Output) {
	s.Batch = o.Origin.Unit
	if o.Source == "" {
		return
	}
	s.Batch = strings.TrimSuffix(o.Source, "/")
	if o.Part {
		return // several of a day have names of their own
	}
	if p, ok := source.PartitionOf(source.Input{Files: []string{o.Source}}, nil); ok {
		s.Batch, s.At, s.AsOf = p.Name, p.From, p.To
	}
}

// inputProfile merges the profiles of a step's inputs, of a share of their rows.
// Those of an earlier run are no longer in memory, and the step that wrote a file
// may have profiled another share; such files are profiled again.
func (h *Hook) inputProfile(ctx context.Context, inputs []runner.InputFile, share float64) (*profile.Profile, error) {
	var parts []*profile.Profile
	for _, in := range inputs {
		var p *profile.Profile
		if in.Judgement != nil {
			p, _ = in.Judgement.Detail.(*profile.Profile)
		}
		if p == nil || p.Stats.Sample != share && (share < 1 || p.Stats.Sample > 0) {
			var err error
			if p, err = profileFile(ctx, in.Path, source.Options{Sample: share}); err != nil {
				return nil, err
			}
		}
		parts = append(parts, p)
	}
	switch len(parts) {
	case 0:
		return nil, nil
	case 1:
		return parts[0], nil
	}
	merged, err := profile.Merged(parts...)
	if errors.Is(err, profile.ErrMismatch) || errors.Is(err, profile.ErrSamples) {
		return nil, nil // inputs of several datasets, or samples of several shares, have no common profile
	}
	return merged, err
}

// openOutput opens a file, or the files of a folder as one batch. A folder without
// files is a batch without rows.
func openOutput(ctx context.Context, path string, o source.Options) (*source.Reader, error) {
	in, err := source.Expand([]string{path}, false)
	if info, statErr := os.Stat(path); errors.Is(err, fs.ErrNotExist) && statErr == nil && info.IsDir() {
		in, err = source.Expand([]string{os.DevNull}, false)
	}
	if err != nil {
		return nil, err
	}
	return source.Open(ctx, in[0], o)
}

// profileFile profiles a file without telling anybody.
func profileFile(ctx context.Context, path string, o source.Options) (*profile.Profile, error) {
	r, err := openOutput(ctx, path, o)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	out, err := monitor.New(monitor.Options{}).Observe(ctx, r, monitor.Subject{})
	if err != nil {
		return nil, err
	}
	return out.Profile, nil
}

// ancestors returns the steps before one.
func (h *Hook) ancestors(name string) (names []string) {
	s := h.pipeline.Step(name)
	if s == nil {
		return nil
	}
	for _, n := range s.Needs {
		names = append(append(names, n.Step), h.ancestors(n.Step)...)
	}
	return names
}

// descendants returns the steps after one.
func (h *Hook) descendants(name string) (names []string) {
	for i := range h.pipeline.Steps {
		s := &h.pipeline.Steps[i]
		for _, n := range s.Needs {
			if n.Step == name {
				names = append(append(names, s.Name), h.descendants(s.Name)...)
			}
		}
	}
	return names
}
