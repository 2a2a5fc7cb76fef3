package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/queue"
)

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
		v.seen.put(v.output, &Judgement{Rows: v.judged.Rows, Detail: v.judged.Detail}) // what writes it holds much more
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
		// What the hooks could say of it is recorded, and told by that.
		res.Letter = v.cause == CauseUnjudged && (v.judged == nil || v.judged.Record == nil)
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
