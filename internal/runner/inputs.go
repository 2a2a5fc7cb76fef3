package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/profilerhq/profiler/internal/checks"
)

// attach finds the inputs, and the records that are in them.
func (v *visit) attach(ctx context.Context) error {
	v.shas = []string{}
	if len(v.s.Needs) == 0 && v.lease.Input == "" {
		return nil // a pipeline without a source
	}
	if v.s.FanIn && v.lease.Input == "" {
		return v.attachSet(ctx)
	}
	if v.lease.Input != "" { // of the source, or records that are replayed
		if err := json.Unmarshal([]byte(v.lease.Input), &v.origin); err != nil {
			return fmt.Errorf("unit %s: what it was made of cannot be read: %w", v.lease.Unit, err)
		}
		v.inputs = []InputFile{{Path: v.origin.Path}}
		if v.origin.Problem != "" {
			v.err, v.cause = errors.New(v.origin.Problem), CauseUnreadable
			return nil
		}
		if err := readable(v.origin.Path, v.lease.Source); err != nil {
			v.err, v.cause = fmt.Errorf("the input cannot be read: %w", err), CauseUnreadable
		}
		return nil
	}
	steps := make([]string, len(v.s.Needs))
	for i, n := range v.s.Needs {
		steps[i] = n.Step
	}
	rows, err := v.r.options.Queue.Bodies(ctx, v.lease.Pipeline, v.lease.Unit, steps)
	if err != nil {
		return err
	}
	sum, known := int64(0), true
	for _, step := range steps {
		row := rows[step]
		o, isPart, err := v.attachPart(ctx, step)
		if err != nil {
			return err
		}
		if !isPart {
			o = decode(row.Body)
		}
		if o == nil || o.Output == "" {
			// The step before was replayed and gave the unit up.
			v.err, v.cause = fmt.Errorf("step %q has no output of the unit any more", step), CauseUnreadable
			return nil
		}
		path := v.r.path(o.Output)
		v.inputs = append(v.inputs, InputFile{Step: step, Path: path, Judgement: v.seen.get(path)})
		v.shas = append(v.shas, o.SHA256)
		if o.Rows == nil {
			known = false
		} else {
			sum += *o.Rows
		}
	}
	if known {
		v.rowsIn = &sum
	}
	return nil
}

// resume uses what an earlier attempt or run left. It reports whether there is
// nothing to do; an output whose judgement is open stays for the attempt.
func (v *visit) resume(ctx context.Context) (bool, error) {
	if v.canary() && v.s.SkipCanary {
		return true, v.passOver()
	}
	body, err := v.earlier(ctx)
	if err != nil {
		return false, err
	}
	rec := decode(body)
	if rec == nil || !slices.Equal(rec.Inputs, v.shas) || !v.r.intact(rec, v.s.Folder()) {
		return false, nil
	}
	v.kept, v.sections = body, rec.Sections
	v.output, v.sha, v.bytes = v.r.path(rec.Output), rec.SHA256, rec.Bytes
	v.verdict, v.inputBad, v.rows, v.rejects = rec.Verdict, rec.InputBad, rec.Rows, rec.Rejects
	if rec.RowsIn != nil {
		v.rowsIn = rec.RowsIn
	}
	if rec.Rejects > 0 {
		v.rejectf = v.output + ".rejects"
	}
	judging := len(v.r.options.Hooks) > 0 && v.s.Profile.Output
	switch {
	case rec.State == Done && (!judging || rec.Rules == v.r.rules[v.step]):
		v.state = Skipped
	case rec.State != Waiting && !judging:
		// Nobody can judge it again, so that the gate stays as it was.
		v.state, v.cause, v.err = rec.State, rec.Cause, errors.New("kept back by an earlier run")
	default:
		return false, nil
	}
	v.attempts = 0
	return true, nil
}

// before shows the inputs to the hooks if the step wants it.
func (v *visit) before(ctx context.Context) (retry, ok bool) {
	if !v.s.Profile.Input || len(v.r.options.Hooks) == 0 || v.canary() {
		return false, true
	}
	if v.layout != nil {
		return v.beforeSet(ctx)
	}
	for i := range v.inputs {
		j, err := v.look(ctx, v.inputs[i].Step, v.inputs[i].Path)
		if err != nil {
			return true, false
		}
		v.inputs[i].Judgement = &j
	}
	return false, true
}

// beforeSet shows what a fan-in joins to the hooks, as one batch per step.
func (v *visit) beforeSet(ctx context.Context) (retry, ok bool) {
	var rows int64
	known := true
	for _, in := range v.layout.inputs {
		if len(in.Files) == 0 {
			continue
		}
		j, err := v.look(ctx, in.Step, in.Path)
		if err != nil {
			return true, false
		}
		if known = known && j.Rows != nil; known {
			rows += *j.Rows
		}
	}
	if known {
		v.rowsIn = &rows
	}
	return false, true
}

// look shows an input to the hooks.
func (v *visit) look(ctx context.Context, step, path string) (Judgement, error) {
	o := v.observed(SideInput)
	o.Path, o.Format, o.Dataset = path, v.s.Format.In, ""
	if from := v.r.options.Pipeline.Step(step); from != nil {
		o.Dataset = from.Dataset
		if o.Format == "" {
			o.Format = from.Format.Out
		}
	}
	j, err := v.r.observe(ctx, o)
	if err != nil {
		v.err, v.cause = fmt.Errorf("judge the input: %w", err), CauseUnjudged
		return j, err
	}
	v.inputBad = v.inputBad || j.Verdict >= checks.Fail
	return j, nil
}
