package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// Exit codes of commands with a meaning, from sysexits.h.
const (
	exitData      = 65
	exitTemporary = 75
)

// errTimeout is the cause of a context that ended by the step's timeout.
var errTimeout = errors.New("timeout")

// outcome is what became of a unit in a step.
type outcome struct {
	state    State
	cause    Cause
	err      error
	stderr   string
	verdict  *checks.Status
	inputBad bool // the step's own look at its input failed
	judged   *Judgement
	rows     *int64
	rowsIn   *int64
	rejects  int64
	output   string // absolute; empty if there is none
	sha      string
	bytes    int64
	attempts int
	busy     time.Duration
	cpu      time.Duration
	peak     int64
	fatal    error // the work directory cannot be written
}

// visit is one unit in one step, from its first attempt to its outcome.
type visit struct {
	*outcome
	r       *Runner
	unit    *unit
	step    int
	s       *pipeline.Step
	inputs  []InputFile
	shas    []string
	rejectf string // absolute path of the rejects, or empty
	// pause gives the worker back, waits, and takes one again.
	pause func(context.Context, time.Duration) error
	tell  func(Event)
}

// run returns when the unit has an outcome in the step.
func (v *visit) run(ctx context.Context) *outcome {
	if v.unit.err != nil {
		v.outcome.err = fmt.Errorf("the input cannot be read: %w", v.unit.err)
		v.end(Dead, CauseUnreadable)
		return v.outcome
	}
	if v.resume() {
		return v.outcome
	}
	for {
		if ctx.Err() != nil {
			v.state = Cancelled
			return v.outcome
		}
		v.attempts++
		v.tell(v.event(Started))
		began := v.r.options.Clock.Now()
		retry := v.attempt(ctx)
		v.busy += v.r.options.Clock.Now().Sub(began)
		if ctx.Err() != nil && v.state == "" {
			v.state = Cancelled
		}
		if v.state != "" || v.fatal != nil {
			return v.outcome
		}
		if !retry || v.attempts >= v.s.Retry.Attempts {
			v.giveUp()
			return v.outcome
		}
		wait := v.s.Retry.Wait(v.attempts, v.r.fraction())
		e := v.event(Retrying)
		e.Wait = wait
		v.tell(e)
		if v.pause(ctx, wait) != nil {
			v.state = Cancelled
			return v.outcome
		}
	}
}

// resume uses what an earlier run left. It reports whether there is nothing to
// do; an output whose judgement is open stays for the next attempt.
func (v *visit) resume() bool {
	rec := v.r.load(v.step, v.unit)
	if rec == nil || !slices.Equal(rec.Inputs, v.shas) || !v.r.intact(v.step, rec) {
		return false
	}
	v.output, v.sha, v.bytes = filepath.Join(v.r.stepDir(v.step), rec.Output), rec.SHA256, rec.Bytes
	v.verdict, v.inputBad, v.rows, v.rowsIn, v.rejects = rec.Verdict, rec.InputBad, rec.Rows, rec.RowsIn, rec.Rejects
	if rec.Rejects > 0 {
		v.rejectf = v.output + ".rejects"
	}
	judging := len(v.r.options.Hooks) > 0 && v.s.Profile.Output
	switch {
	case rec.State == Done && (!judging || rec.Rules == v.r.rules[v.step]):
		v.state = Skipped
		return true
	case rec.State == Done && rec.Verdict == nil && !judging:
		v.state = Skipped
		return true
	case !judging:
		// Nobody can judge it again, so that the gate stays as it was.
		v.state, v.cause, v.err = rec.State, rec.Cause, errors.New("kept back by an earlier run")
		return true
	}
	return false
}

// attempt does what is left of the step: its command if there is no output yet,
// then the gate. It sets the state, or reports whether another attempt may help.
func (v *visit) attempt(ctx context.Context) (retry bool) {
	v.err, v.cause, v.stderr = nil, "", ""
	if v.output == "" {
		if retry, ok := v.before(ctx); !ok {
			return retry
		}
		if retry, ok := v.execute(ctx); !ok {
			return retry
		}
	}
	return v.judge(ctx)
}

// before shows the inputs to the hooks if the step wants it.
func (v *visit) before(ctx context.Context) (retry, ok bool) {
	if !v.s.Profile.Input || len(v.r.options.Hooks) == 0 {
		return false, true
	}
	for i := range v.inputs {
		o := v.observed(SideInput)
		o.Path, o.Format, o.Dataset = v.inputs[i].Path, v.s.Format.In, ""
		if from := v.r.options.Pipeline.Step(v.inputs[i].Step); from != nil {
			o.Dataset = from.Dataset
			if o.Format == "" {
				o.Format = from.Format.Out
			}
		}
		j, err := v.r.observe(ctx, o)
		if err != nil {
			v.err, v.cause = fmt.Errorf("judge the input: %w", err), CauseUnjudged
			return true, false
		}
		v.inputs[i].Judgement = &j
		v.inputBad = v.inputBad || j.Verdict >= checks.Fail
	}
	return false, true
}

func (v *visit) observed(side Side) Output {
	o := Output{
		Origin: checks.Origin{
			Pipeline: v.r.options.Pipeline.Name, Step: v.s.Name, Run: v.r.options.RunID, Unit: v.unit.id, CorrelationID: v.unit.correlation,
		},
		Dataset: v.s.Dataset, Source: v.unit.name, Path: v.output, Format: v.s.Format.Out, OnFail: v.s.OnFail,
		Sample: v.s.Profile.Sample, Side: side, Attempt: v.attempts, Inputs: slices.Clone(v.inputs),
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
	if len(v.r.options.Hooks) == 0 || !v.s.Profile.Output {
		v.accept(Done, "")
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
		v.accept(Done, "")
	case j.Verdict == checks.Error:
		v.cause, v.err = CauseUnjudged, err
		if err == nil {
			v.err = errors.New("the output could not be judged")
		}
		return true
	case action == pipeline.Quarantine:
		v.err = errors.New("the output failed its checks")
		v.accept(Quarantined, CauseGate)
	default:
		v.err = errors.New("the output failed its checks and blocks the step")
		v.accept(Blocked, CauseGate)
	}
	return false
}

// giveUp ends a unit whose attempts are used up or not worth repeating.
func (v *visit) giveUp() {
	if v.cause == CauseUnjudged {
		v.accept(Quarantined, CauseUnjudged)
		return
	}
	v.end(Dead, v.cause)
}

// accept records the output under a state.
func (v *visit) accept(state State, cause Cause) {
	if v.output != "" {
		rec := &record{
			Version: 1, Pipeline: v.r.options.Pipeline.Name, Step: v.s.Name, Unit: v.unit.id, Source: v.unit.name,
			CorrelationID: v.unit.correlation, Run: v.r.options.RunID, Fingerprint: v.r.prints[v.step], Rules: v.r.rules[v.step],
			Inputs: v.shas, State: state, Cause: cause, Output: filepath.Base(v.output), SHA256: v.sha, Bytes: v.bytes,
			Verdict: v.verdict, InputBad: v.inputBad, Rows: v.rows, RowsIn: v.rowsIn, Rejects: v.rejects, Attempts: v.attempts,
			CPUSeconds: v.cpu.Seconds(), PeakBytes: v.peak, At: v.r.options.Clock.Now().UTC(),
		}
		if err := v.r.commit(v.step, v.unit, rec); err != nil {
			v.fatal = fmt.Errorf("record unit %s of step %q: %w", v.unit.id, v.s.Name, err)
			return
		}
	}
	v.end(state, cause)
}

// end sets the state and writes a dead letter for every state but done.
func (v *visit) end(state State, cause Cause) {
	if state != Done {
		if err := writeJSON(v.r.letterPath(v.step, v.unit), v.letter(state, cause)); err != nil {
			v.fatal = fmt.Errorf("write the dead letter of unit %s in step %q: %w", v.unit.id, v.s.Name, err)
			return
		}
	}
	v.state, v.cause = state, cause
}

func (v *visit) letter(state State, cause Cause) DeadLetter {
	inputs := []string{}
	for _, in := range v.inputs {
		inputs = append(inputs, in.Path)
	}
	l := DeadLetter{
		Version: 1, Pipeline: v.r.options.Pipeline.Name, Step: v.s.Name, Unit: v.unit.id, CorrelationID: v.unit.correlation,
		Run: v.r.options.RunID, Source: v.unit.name, Inputs: inputs, State: state, Cause: cause, Stderr: v.stderr,
		Attempts: v.attempts, Verdict: v.verdict, Output: v.output, At: v.r.options.Clock.Now().UTC(),
	}
	if v.err != nil {
		l.Error = v.err.Error()
	}
	return l
}

func (v *visit) event(kind EventKind) Event {
	return Event{
		Kind: kind, Step: v.s.Name, Unit: v.unit.id, Source: v.unit.name, CorrelationID: v.unit.correlation, Attempt: v.attempts,
		State: v.state, Cause: v.cause, Verdict: v.verdict, Rows: v.rows, Err: v.err, Output: v.output, CPU: v.cpu, PeakBytes: v.peak,
	}
}

// execute runs the command once and publishes its output.
func (v *visit) execute(ctx context.Context) (retry, ok bool) {
	dir := v.r.stepDir(v.step)
	name := v.unit.id + ".a" + strconv.Itoa(v.attempts)
	temporary, final := filepath.Join(dir, "."+name+".tmp"), filepath.Join(dir, name)
	rejects := filepath.Join(dir, "."+name+".rejects.tmp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		v.fatal = fmt.Errorf("work directory: %w", err)
		return false, false
	}
	defer os.RemoveAll(temporary) //nolint:errcheck // it may be gone
	defer os.Remove(rejects)      //nolint:errcheck // it may be gone
	retry, ok = v.command(ctx, temporary, rejects)
	if !ok {
		return retry, false
	}
	info, err := os.Lstat(temporary)
	switch {
	case err != nil:
		v.err = errors.New("the command ended with exit code 0 but wrote no output; it has to write the file {output}")
	case !info.Mode().IsRegular():
		v.err = errors.New("the output is not a regular file; write one file, not a folder or a link")
	case v.changed():
		v.err, v.cause = errors.New("the input changed while it was read; run again when it is complete"), CauseData
		return false, false
	}
	if v.s.Rejects != pipeline.NoRejects && v.err == nil {
		v.rejects, v.err = countRejects(rejects)
	}
	if v.err != nil {
		v.cause = CauseAttempts
		return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
	}
	v.rejectf = ""
	if v.rejects > 0 {
		v.rejectf = final + ".rejects"
		err = publish(rejects, v.rejectf)
	}
	if err == nil {
		err = publish(temporary, final)
	}
	if err == nil {
		v.sha, v.bytes, err = hashFile(final)
	}
	if err != nil {
		v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
		return false, false
	}
	v.output = final
	return false, true
}

// changed reports whether a file of the source is another one than at the start.
func (v *visit) changed() bool {
	if len(v.s.Needs) > 0 || v.unit.path == "" {
		return false
	}
	info, err := os.Stat(v.unit.path)
	return err != nil || info.Size() != v.unit.size || !info.ModTime().Equal(v.unit.modified)
}

// command executes the command and classifies how it ended.
func (v *visit) command(ctx context.Context, temporary, rejects string) (retry, ok bool) {
	p := process{dir: v.r.dir, grace: v.r.options.Grace}
	if !v.s.NamesOutput() {
		f, err := create(temporary)
		if err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
		defer f.Close()
		p.stdout = f
	}
	if len(v.inputs) == 1 && !v.s.NamesInput() {
		f, err := os.Open(v.inputs[0].Path)
		if err != nil {
			v.err, v.cause = fmt.Errorf("the input cannot be read: %w", err), CauseUnreadable
			return false, false
		}
		defer f.Close()
		p.stdin = f
	}
	if v.s.Rejects != pipeline.NoRejects {
		f, err := create(rejects)
		if err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
		defer f.Close()
		if v.s.Rejects == pipeline.RejectsFD3 {
			p.fd3 = f
		} else {
			p.lines = f
		}
	}
	var inputs []pipeline.Input
	for _, in := range v.inputs {
		inputs = append(inputs, pipeline.Input{Step: in.Step, Path: in.Path})
	}
	p.argv, p.env = v.s.Command(inputs, temporary), v.environment(temporary)
	limited, cancel := context.WithTimeoutCause(ctx, v.s.Timeout, errTimeout)
	defer cancel()
	e := p.run(limited)
	v.cpu, v.peak, v.stderr = v.cpu+e.cpu, max(v.peak, e.peak), e.tail
	if e.linesErr != nil {
		v.fatal = fmt.Errorf("store the rejects of step %q: %w", v.s.Name, e.linesErr)
		return false, false
	}
	return v.classify(ctx, limited, e.err)
}

// classify turns the end of a command into a cause.
func (v *visit) classify(ctx, limited context.Context, err error) (retry, ok bool) {
	if ctx.Err() != nil {
		return false, false
	}
	if context.Cause(limited) == errTimeout { //nolint:errorlint // the very value
		v.err, v.cause = fmt.Errorf("the command did not end within %s", v.s.Timeout), CauseTimeout
		return slices.Contains(v.s.Retry.On, pipeline.OnTimeout), false
	}
	if err == nil {
		return false, true
	}
	v.cause = CauseAttempts
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		v.err = fmt.Errorf("start the command: %w", err)
		return !permanent(err), false
	}
	v.err = fmt.Errorf("the command ended with %s", exit.Error())
	if line := lastLine(v.stderr); line != "" {
		v.err = fmt.Errorf("%w: %s", v.err, line)
	}
	switch exit.ExitCode() {
	case exitData:
		v.cause = CauseData
		return false, false
	case exitTemporary:
		return true, false
	}
	return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// create opens a new file that is written at its end only, so that a command may
// write it by its name too.
func create(path string) (*os.File, error) {
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o644)
}

// environment returns the variables of one attempt.
func (v *visit) environment(output string) []string {
	o := v.r.options
	env := slices.Clone(v.r.env)
	set := func(name, value string) { env = append(env, name+"="+value) }
	set("PROFILER_UNIT_ID", v.unit.id)
	set("PROFILER_ATTEMPT", strconv.Itoa(v.attempts))
	set("PROFILER_CORRELATION_ID", v.unit.correlation)
	set("PROFILER_IDEMPOTENCY_KEY", v.s.Name+"."+v.unit.id+"."+v.r.prints[v.step][:32])
	set("TRACEPARENT", traceparent(v.unit.correlation, o.RunID, v.s.Name, v.unit.id, v.attempts))
	set("PROFILER_RUN_ID", o.RunID)
	set("PROFILER_PIPELINE", o.Pipeline.Name)
	set("PROFILER_STEP", v.s.Name)
	set(pipeline.VariableOutput, output)
	var paths []string
	for _, in := range v.inputs {
		paths = append(paths, in.Path)
		if in.Step != "" {
			set(pipeline.InputVariable(in.Step), in.Path)
		}
	}
	if len(paths) > 0 {
		set(pipeline.VariableInput, strings.Join(paths, string(os.PathListSeparator)))
	}
	return env
}
