package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
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
	cpu      time.Duration
	peak     int64
	fatal    error // the store or the work directory cannot be written
}

// visit is one attempt at one unit in one step, under a lease.
type visit struct {
	*outcome
	r       *Runner
	lease   *queue.Lease
	step    int
	s       *pipeline.Step
	origin  sourceFile // what the unit was made of, for a step that reads the source
	inputs  []InputFile
	shas    []string
	rejectf string // absolute path of the rejects, or empty
	seen    *judgements
	tell    func(Event)
	joined  []joined // what a fan-in joins
	layout  *layout  // where it finds that
	kept    string   // what was stored of the output that is used again
	parts   []part   // what the output is cut into
	files   []file   // what an output that is a folder holds
	// sections are the ranges that an output was written by.
	sections []section
	// retryAfter is what an HTTP function asked for.
	retryAfter time.Duration
	took       time.Duration // by run
	began      bool          // the step itself was at work
}

// run carries the unit to its next state and commits it. The state stays empty
// if another attempt will follow.
func (v *visit) run(ctx context.Context) {
	failpoint.Hit("after_claim")
	if err := v.attach(ctx); err != nil {
		v.giveBack(ctx, err)
		return
	}
	over, err := v.tooLong(ctx)
	if err != nil {
		v.giveBack(ctx, err)
		return
	}
	if over || v.cause == CauseUnreadable {
		v.end(Dead)
		v.commit(ctx)
		return
	}
	resumed, err := v.resume(ctx)
	if err != nil {
		v.giveBack(ctx, err)
		return
	}
	if !resumed {
		v.tell(v.event(Started))
		retry := v.attempt(ctx)
		if v.state == "" && (ctx.Err() != nil || v.fatal != nil) {
			v.giveBack(ctx, v.fatal)
			return
		}
		if v.state == "" && retry && v.attempts < v.s.Retry.Attempts {
			v.again(ctx)
			return
		}
		if v.state == "" {
			v.giveUp()
		}
	}
	v.commit(ctx)
}

// tooLong reports that the unit stood ready for too long, or was lost too often.
// While its step took no units it does not count.
func (v *visit) tooLong(ctx context.Context) (bool, error) {
	waited := v.lease.Waited()
	if limit := v.s.QueueTimeout; limit > 0 && waited > limit {
		stopped, err := v.r.options.Queue.Stopped(ctx, v.lease)
		if err != nil {
			return false, err
		}
		if waited -= stopped; waited > limit {
			v.err, v.cause = fmt.Errorf("it stood ready for %s, longer than %s", waited.Round(time.Millisecond), limit), CauseTimeout
			return true, nil
		}
	}
	switch {
	case v.attempts > v.s.Retry.Attempts, v.attempts > 1 && v.lease.Lost && !slices.Contains(v.s.Retry.On, pipeline.OnLease):
		v.err, v.cause = errors.New("its worker vanished while working on it"), CauseLease
		return true, nil
	}
	return false, nil
}

// giveBack returns the unit untouched, because the run was stopped, the lease
// was lost, or something is wrong with the store or the work directory.
func (v *visit) giveBack(ctx context.Context, err error) {
	if v.output != "" && v.judged == nil {
		v.keep(ctx)
	}
	back := v.r.options.Queue.GiveBack(context.WithoutCancel(ctx), v.lease)
	if errors.Is(back, queue.ErrFenced) {
		back = nil
	}
	if ctx.Err() == nil {
		v.fatal = errors.Join(err, back)
	}
	v.state = ""
}

// keep stores an output that is not judged yet, so that the command need not run
// again.
func (v *visit) keep(ctx context.Context) {
	body, err := encode(v.stored(Waiting))
	if err != nil {
		return
	}
	if err := v.r.options.Queue.Keep(context.WithoutCancel(ctx), v.lease, v.r.prints[v.step], body); err != nil && !errors.Is(err, queue.ErrFenced) {
		v.r.log.Warn("the output of a stopped attempt is not kept", "step", v.s.Name, "unit", v.lease.Unit, "err", err)
	}
}

func (v *visit) unrecorded(err error) error {
	return &classified{ErrStore, fmt.Errorf("record unit %s of step %q: %w", v.lease.Unit, v.s.Name, err)}
}

// again gives the unit back for another attempt after the backoff.
func (v *visit) again(ctx context.Context) {
	wait := max(v.s.Retry.Wait(v.attempts, v.r.fraction()), v.retryAfter)
	f := queue.Failure{Cause: string(v.cause), Err: textOf(v.err), Wait: wait, Usage: v.usage(), Fingerprint: v.r.prints[v.step], Outcome: v.worked()}
	var err error
	if f.Body, err = encode(v.stored(Waiting)); err == nil {
		if v.output != "" {
			f.Output = f.Body
		}
		err = v.r.options.Queue.Fail(ctx, v.lease, f)
	}
	switch {
	case errors.Is(err, queue.ErrFenced):
		v.discardOutput()
	case err != nil && ctx.Err() == nil:
		v.fatal = v.unrecorded(err)
	case err == nil:
		e := v.event(Retrying)
		e.Wait = wait
		v.tell(e)
		v.tellBreaker()
	}
}

func (v *visit) usage() queue.Usage { return queue.Usage{CPU: v.cpu, PeakBytes: v.peak} }

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

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

// attempt does what is left of the step: its command if there is no output yet,
// then the gate. It sets the state, or reports whether another attempt may help.
func (v *visit) attempt(ctx context.Context) (retry bool) {
	if v.output == "" {
		if v.joined != nil {
			defer func() { v.layout.remove() }()
			if err := v.lay(); err != nil {
				v.fatal = fmt.Errorf("work directory: %w", err)
				return false
			}
		}
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

// commit writes the end of the visit: the unit's state, the units behind it, what
// the hooks record, all in one transaction.
func (v *visit) commit(ctx context.Context) {
	if err := v.split(ctx); err != nil {
		v.giveBack(ctx, err)
		return
	}
	res, err := v.result()
	if err != nil {
		v.fatal = err
		return
	}
	rejected, err := v.rejected()
	if err != nil {
		v.giveBack(ctx, fmt.Errorf("read the rejects of step %q: %w", v.s.Name, err))
		return
	}
	failpoint.Hit("before_commit")
	already := false
	// A stop of the run does not lose work that is done.
	err = v.r.options.Queue.DB().Tx(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		var err error
		if already, err = v.r.options.Queue.Complete(ctx, tx, v.lease, res); err != nil || already {
			return err
		}
		if v.state != Skipped && v.output != "" {
			if err := v.r.options.Queue.SaveRejects(ctx, tx, v.lease, rejected); err != nil {
				return err
			}
		}
		if err := v.saveParts(ctx, tx); err != nil {
			return err
		}
		failpoint.Hit("in_commit")
		if v.judged != nil && v.judged.Record != nil {
			return v.judged.Record(ctx, tx)
		}
		return nil
	})
	failpoint.Hit("after_commit")
	switch {
	case errors.Is(err, queue.ErrFenced):
		v.r.log.Warn("attempt came too late, another one has the unit", "step", v.s.Name, "unit", v.lease.Unit, "attempt", v.lease.Attempt)
		v.discardOutput()
		v.state = ""
		return
	case err != nil:
		v.state = ""
		if v.began && v.output != "" {
			v.keep(ctx) // the step has not failed
		}
		v.giveBack(ctx, v.unrecorded(err))
		return
	}
	v.tellBreaker()
	if v.judged != nil {
		v.seen.put(v.output, v.judged)
		if v.judged.Recorded != nil {
			v.judged.Recorded(ctx)
		}
	}
	if v.output != "" {
		v.r.removeOlder(v.step, v.lease.Unit, filepath.Base(v.output))
	}
}

// rejected reads the bad records that the command reported.
func (v *visit) rejected() ([]queue.Reject, error) {
	if v.rejectf == "" || v.state == Skipped || v.canary() {
		return nil, nil
	}
	return readRejects(v.rejectf)
}

// discardOutput removes what this attempt has written and nobody will refer to.
func (v *visit) discardOutput() {
	if v.output == "" || filepath.Base(v.output) != v.r.outputName(v.lease) {
		return // it is an earlier attempt's
	}
	os.RemoveAll(v.output)            //nolint:errcheck // it is in nobody's way
	os.Remove(v.output + ".rejects")  //nolint:errcheck // there may be none
	os.RemoveAll(v.output + ".parts") //nolint:errcheck // there may be none
}

func (v *visit) result() (queue.Result, error) {
	res := queue.Result{
		Cause: string(v.cause), Err: textOf(v.err), Skipped: v.state == Skipped, Pause: v.state == Blocked, Usage: v.usage(),
		Fingerprint: v.r.prints[v.step], Also: v.setUnit(), Outcome: v.worked(),
	}
	switch v.state {
	case Done, Skipped:
		res.State = queue.Done
	case Quarantined, Blocked:
		res.State = queue.Quarantined
	default:
		res.State = queue.Dead
	}
	// Rows of the input that the step itself looked at are the best known ones.
	if v.s.Profile.Input && v.rowsIn == nil && len(v.inputs) == 1 && v.inputs[0].Judgement != nil {
		v.rowsIn = v.inputs[0].Judgement.Rows
	}
	state := v.state
	if state == Skipped {
		state = Done
	}
	var err error
	if res.Body, err = encode(v.stored(state)); err != nil {
		return res, err
	}
	if v.output != "" {
		res.Output = res.Body
		res.Next = offers(v.r.options.Pipeline, v.s.Name, v.state, queue.Offer{
			Key: v.lease.Key, Run: v.lease.Run, Correlation: v.lease.Correlation, Source: v.lease.Source,
		}, v.parts)
	}
	return res, nil
}

// maxInputFiles is how many names of inputs are kept of a fan-in.
const maxInputFiles = 100

// stored is what is kept of the visit.
func (v *visit) stored(state State) *stored {
	inputs := []string{}
	for _, in := range v.inputs[:min(len(v.inputs), maxInputFiles)] {
		inputs = append(inputs, v.r.relative(in.Path))
	}
	parts, split := v.parts, v.s.Split.String()
	if v.output == "" || state == Waiting { // those of the output before stay until there is another one
		if before := decode(v.lease.Body); before != nil {
			parts, split = before.Parts, before.Split
		}
	}
	return &stored{
		Version: storedVersion, Parts: parts, Split: split, Sections: v.sections, Run: v.lease.Run, Fingerprint: v.r.prints[v.step], Rules: v.r.rules[v.step], Inputs: v.shas, InputFiles: inputs, Set: v.setUnit(),
		State: state, Cause: v.cause, Error: textOf(v.err), Stderr: v.stderr, Output: v.r.relative(v.output), SHA256: v.sha, Bytes: v.bytes,
		Verdict: v.verdict, InputBad: v.inputBad, Rows: v.rows, RowsIn: v.rowsIn, Rejects: v.rejects, Attempts: v.attempts,
		CPUSeconds: v.cpu.Seconds(), PeakBytes: v.peak, At: v.r.options.Clock.Now().UTC(),
	}
}

func (v *visit) event(kind EventKind) Event {
	return Event{
		Kind: kind, Run: v.lease.Run, Step: v.s.Name, Unit: v.lease.Unit, Source: v.lease.Source, CorrelationID: v.lease.Correlation, Attempt: v.attempts,
		State: v.state, Cause: v.cause, Verdict: v.verdict, Rows: v.rows, Err: v.err, Output: v.output, CPU: v.cpu, PeakBytes: v.peak,
		Waited: v.lease.Waited(),
	}
}

// execute runs the command once and publishes its output.
func (v *visit) execute(ctx context.Context) (retry, ok bool) {
	v.began = true
	dir := v.r.stepDir(v.step)
	name := v.r.outputName(v.lease)
	temporary, final := filepath.Join(dir, "."+name+".tmp"), filepath.Join(dir, name)
	rejects := filepath.Join(dir, "."+name+".rejects.tmp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		v.fatal = fmt.Errorf("work directory: %w", err)
		return false, false
	}
	defer os.RemoveAll(temporary) //nolint:errcheck // it may be gone
	defer os.Remove(rejects)      //nolint:errcheck // it may be gone
	switch {
	case v.s.HTTP != nil:
		retry, ok = v.post(ctx, temporary)
	case v.s.SQL != nil:
		retry, ok = v.sql(ctx, temporary)
	default:
		retry, ok = v.command(ctx, temporary, rejects)
	}
	if !ok {
		return retry, false
	}
	switch v.written(temporary); {
	case v.fatal != nil:
		return false, false
	case v.err != nil:
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
	failpoint.Hit("before_rename")
	var err error
	v.rejectf = ""
	if v.rejects > 0 {
		v.rejectf = final + ".rejects"
		err = publish(rejects, v.rejectf)
	}
	if err == nil {
		err = publish(temporary, final)
	}
	if err == nil && !v.s.Folder() { // of a folder they are known
		v.sha, v.bytes, err = hashFile(final)
	}
	if err != nil {
		v.fatal = fmt.Errorf("store the output of step %q: %w", v.s.Name, err)
		return false, false
	}
	failpoint.Hit("after_rename")
	v.output = final
	return false, true
}

// written looks at what the command left as its output. It sets err if that is no
// output, fatal if the system is in trouble.
func (v *visit) written(temporary string) {
	info, err := os.Lstat(temporary)
	switch {
	case v.s.Folder() && err == nil && info.IsDir():
		v.readFolder(temporary)
	case v.s.Folder():
		v.err = errors.New("the output is not a folder; with split: files the folder {output} is there, write files into it")
	case err != nil:
		v.err = errors.New("the command ended with exit code 0 but wrote no output; it has to write the file {output}")
	case !info.Mode().IsRegular():
		v.err = errors.New("the output is not a regular file; write one file, not a folder or a link, or several with split: files")
	}
}

// changed reports whether a file of the source is another one than at the start.
func (v *visit) changed() bool {
	if v.origin.Path == "" {
		return false
	}
	info, err := os.Stat(v.origin.Path)
	return err != nil || info.Size() != v.origin.Bytes || info.ModTime().UnixNano() != v.origin.ModifiedNS
}

// command executes the command and classifies how it ended.
func (v *visit) command(ctx context.Context, temporary, rejects string) (retry, ok bool) {
	p := process{dir: v.r.dir, grace: v.r.options.Grace}
	if v.s.Folder() {
		if err := errors.Join(os.RemoveAll(temporary), os.Mkdir(temporary, 0o755)); err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
	} else if !v.s.NamesOutput() {
		f, err := create(temporary)
		if err != nil {
			v.fatal = fmt.Errorf("work directory: %w", err)
			return false, false
		}
		defer f.Close()
		p.stdout = f
	}
	stdin := ""
	switch {
	case v.s.NamesInput():
	case v.layout != nil:
		stdin = v.layout.list
	case len(v.inputs) == 1:
		stdin = v.inputs[0].Path
	}
	if stdin != "" {
		f, err := os.Open(stdin)
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
	if v.layout != nil {
		inputs = v.layout.inputs
	}
	p.argv, p.env = v.s.Command(inputs, temporary), v.environment(temporary)
	if p.group, p.limits = v.r.group(v.s); p.group != nil {
		defer func() {
			if err := p.group.Close(); err != nil {
				v.r.log.Warn("control group not removed", "step", v.s.Name, "unit", v.lease.Unit, "err", err)
			}
		}()
	}
	limited, cancel := context.WithTimeoutCause(ctx, v.s.Timeout, errTimeout)
	defer cancel()
	e := p.run(limited)
	v.cpu, v.peak, v.stderr = v.cpu+e.cpu, max(v.peak, e.peak), e.tail
	if e.linesErr != nil {
		v.fatal = fmt.Errorf("store the rejects of step %q: %w", v.s.Name, e.linesErr)
		return false, false
	}
	if e.err != nil && ctx.Err() == nil && full(filepath.Dir(temporary)) {
		// No fault of the command, and each next one would fail too.
		v.fatal = fmt.Errorf("work directory: %s: %w; free some space and run again", filepath.Dir(temporary), syscall.ENOSPC)
		return false, false
	}
	if e.overMemory && ctx.Err() == nil {
		v.err, v.cause = fmt.Errorf("the command went beyond its memory limit of %s and was killed; raise memory in resources of step %q, or let it work on smaller units", sizeText(v.s.Resources.Memory), v.s.Name), CauseMemory
		return slices.Contains(v.s.Retry.On, pipeline.OnExit), false
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

// identified is one name and value that a step is told, as a variable of the
// environment and as an HTTP header. One of the names may be empty.
type identified struct{ variable, header, value string }

func (v *visit) idempotencyKey() string {
	return v.s.Name + "." + v.lease.Unit + "." + v.r.prints[v.step][:32]
}

// identity says what is worked on and where.
func (v *visit) identity() []identified {
	ids := []identified{
		{"PROFILER_UNIT_ID", "Profiler-Unit-Id", v.lease.Unit},
		{"PROFILER_ATTEMPT", "Profiler-Attempt", strconv.Itoa(v.attempts)},
		{"PROFILER_CORRELATION_ID", "Profiler-Correlation-Id", v.lease.Correlation},
		{"PROFILER_IDEMPOTENCY_KEY", "Idempotency-Key", v.idempotencyKey()},
		{"TRACEPARENT", "Traceparent", traceparent(v.lease.Correlation, v.lease.Run, v.s.Name, v.lease.Unit, v.attempts)},
		{"PROFILER_RUN_ID", "", v.lease.Run},
		{"PROFILER_PIPELINE", "", v.r.options.Pipeline.Name},
		{"PROFILER_STEP", "", v.s.Name},
	}
	if v.canary() {
		ids = append(ids, identified{"PROFILER_CANARY", "Profiler-Canary", "1"})
	}
	return ids
}

// environment returns the variables of one attempt.
func (v *visit) environment(output string) []string {
	env := slices.Clone(v.r.env)
	set := func(name, value string) { env = append(env, name+"="+value) }
	for _, kv := range v.identity() {
		set(kv.variable, kv.value)
	}
	set(pipeline.VariableOutput, output)
	if v.layout != nil {
		v.layout.setEnvironment(set)
		return env
	}
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
