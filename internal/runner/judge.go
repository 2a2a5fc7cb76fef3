package runner

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/pipeline"
)

func (v *visit) observed(side Side) Output {
	o := Output{
		Origin: checks.Origin{
			Pipeline: v.r.options.Pipeline.Name, Step: v.s.Name, Run: v.lease.Run, Unit: v.lease.Unit, CorrelationID: v.lease.Correlation,
		},
		Dataset: v.s.Dataset, Source: v.lease.Source, Path: v.output, Format: v.s.Format.Out, OnFail: v.s.OnFail,
		Sample: v.s.Profile.Sample, Side: side, Part: v.s.Parts, Attempt: v.attempts, Inputs: slices.Clone(v.inputs),
	}
	for _, rule := range v.s.Rules {
		o.Rules = append(o.Rules, filepath.Join(v.r.dir, rule))
		if filepath.IsAbs(rule) {
			o.Rules[len(o.Rules)-1] = rule
		}
	}
	if side == SideOutput && v.rejectf != "" {
		o.Rejects, o.RejectCount = v.rejectf, v.rejects
	}
	return o
}

// judge asks the hooks about the output and acts as the gate.
func (v *visit) judge(ctx context.Context) (retry bool) {
	v.verdict = nil
	if len(v.r.options.Hooks) == 0 || !v.s.Profile.Output || v.canary() {
		v.end(Done)
		return false
	}
	j, err := v.r.observe(ctx, v.observed(SideOutput))
	if ctx.Err() != nil {
		return false
	}
	action := j.OnFail
	if action == "" {
		action = v.s.OnFail
	}
	if err != nil {
		j, action = Judgement{Verdict: checks.Error}, v.s.OnFail
	}
	v.verdict, v.judged, v.rows = &j.Verdict, &j, j.Rows
	if j.RowsIn != nil {
		v.rowsIn = j.RowsIn
	}
	switch {
	case j.Verdict < checks.Fail, action == pipeline.Warn:
		v.err = err
		v.end(Done)
	case j.Verdict == checks.Error:
		v.cause, v.err = CauseUnjudged, err
		if err == nil {
			v.err = because("the output could not be judged", j.Why)
		}
		return true
	case action == pipeline.Quarantine:
		v.err = because("the output failed its checks", j.Why)
		v.cause = CauseGate
		v.end(Quarantined)
	default:
		v.err = because("the output failed its checks and blocks the step", j.Why)
		v.cause = CauseGate
		v.end(Blocked)
	}
	return false
}

func because(what, why string) error {
	if why != "" {
		what += ": " + why
	}
	return errors.New(what)
}

// giveUp ends a unit whose attempts are used up or not worth repeating.
func (v *visit) giveUp() {
	if v.cause == CauseUnjudged {
		v.end(Quarantined)
		return
	}
	v.end(Dead)
}

func (v *visit) end(state State) { v.state = state }
