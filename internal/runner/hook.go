package runner

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// Hook is called around a step. Observe is called concurrently for different
// units. It must not change the file and not keep it open after it returns.
//
// An error means that the data could not be judged, and so does the verdict
// checks.Error: the hooks are called again, without the command, until the
// attempts of the step are used up. A panic is such an error.
type Hook interface {
	Observe(ctx context.Context, o Output) (Judgement, error)
}

// Side says which file of a step is observed.
type Side string

// The sides of a step. The input is only observed when the step asks for it,
// before its command; the output after the command and before it is accepted.
const (
	SideInput  Side = "input"
	SideOutput Side = "output"
)

// Output is a file that a hook observes, and where it comes from.
type Output struct {
	// Origin names pipeline, step, run, unit and correlation id.
	Origin checks.Origin
	// Dataset is "namespace/name" of the step's output. For an input it is the
	// dataset of the step that wrote it, or empty for a file of the source.
	Dataset string
	// Source is the path of the unit's file in the source, relative to the
	// pipeline file; empty without a source.
	Source string
	// Part says that the unit is a part of that file, which Source then names too.
	Part bool
	// Path is the file, absolute. It may be empty of data. The input of a fan-in is
	// the folder of what it joins.
	Path string
	// Format is the declared format, or empty.
	Format string
	// Rules are absolute paths of the step's rule files.
	Rules []string
	// OnFail is the step's own action, or empty.
	OnFail pipeline.OnFail
	// Sample is the share of rows to profile, above 0 and at most 1.
	Sample float64
	// Side says whether Path is an input or the output.
	Side Side
	// Attempt counts from 1, the executions of the command included.
	Attempt int
	// Inputs are the step's inputs in the order of needs, with what is known of
	// them.
	Inputs []InputFile
	// Rejects is the path of the bad records that the command reported as JSON
	// lines, or empty; RejectCount is their number.
	Rejects     string
	RejectCount int64
}

// InputFile is an input of a step.
type InputFile struct {
	// Step is the step that wrote it, empty for a file of the source.
	Step string
	Path string
	// Judgement is what a hook said about this file: when the step observes its
	// input, or else when the file was written in this run. Nil if it is unknown.
	Judgement *Judgement
}

// Judgement is what a hook says about a file. The zero value passes.
type Judgement struct {
	// Verdict is the worst result.
	Verdict checks.Status
	// OnFail is the strictest action of the checks that failed, with the step's
	// and the rule file's already considered. If it is empty, the step's action
	// counts, and without one the gate blocks.
	OnFail pipeline.OnFail
	// Why says in one line what is wrong, for people; it may be empty.
	Why string
	// Rows is the number of records of the file, nil if it is not known.
	Rows *int64
	// RowsIn is the number of records of all inputs, nil to let the runner add up
	// what it knows of them.
	RowsIn *int64
	// Detail belongs to the hook. The runner keeps it in memory for a while and
	// hands it back with Output.Inputs.
	Detail any
	// Record, if not nil, writes what the hook found out in the transaction that
	// ends the unit in the step, so that both are there or none. It may be called
	// again after a transaction that failed, and not at all if the lease was lost.
	Record func(context.Context, *db.Tx) error
	// Recorded, if not nil, is called once after that transaction.
	Recorded func(context.Context)
}

// observe asks all hooks and merges what they say: the worst verdict, the
// strictest action, the first known of the others.
func (r *Runner) observe(ctx context.Context, o Output) (j Judgement, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("hook panicked", "step", o.Origin.Step, "unit", o.Origin.Unit, "correlation_id", o.Origin.CorrelationID, "err", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("hook panicked: %v", p)
		}
	}()
	for _, h := range r.options.Hooks {
		one, err := h.Observe(ctx, o)
		if err != nil {
			return j, err
		}
		j.Verdict = max(j.Verdict, one.Verdict)
		if one.OnFail.Rank() > j.OnFail.Rank() {
			j.OnFail = one.OnFail
		}
		if j.Why == "" {
			j.Why = one.Why
		}
		if j.Rows == nil {
			j.Rows = one.Rows
		}
		if j.RowsIn == nil {
			j.RowsIn = one.RowsIn
		}
		if j.Detail == nil {
			j.Detail = one.Detail
		}
		j.Record, j.Recorded = both(j.Record, one.Record), after(j.Recorded, one.Recorded)
	}
	return j, nil
}

func both(a, b func(context.Context, *db.Tx) error) func(context.Context, *db.Tx) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, tx *db.Tx) error {
		if err := a(ctx, tx); err != nil {
			return err
		}
		return b(ctx, tx)
	}
}

func after(a, b func(context.Context)) func(context.Context) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context) {
		a(ctx)
		b(ctx)
	}
}
