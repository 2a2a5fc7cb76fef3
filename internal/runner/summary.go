package runner

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// State is what became of a unit in a step.
type State string

// The states of a unit in a step.
const (
	// Done has an output that went through the gate in this run.
	Done State = "done"
	// Skipped was done by an earlier run and is unchanged.
	Skipped State = "skipped"
	// Dead has no output: the command failed and was given up.
	Dead State = "dead"
	// Quarantined has an output that the gate keeps back, this unit alone.
	Quarantined State = "quarantined"
	// Blocked has an output that the gate keeps back, and closed the step.
	Blocked State = "blocked"
	// Waiting stands in front of a step that is closed.
	Waiting State = "waiting"
	// Cancelled was not finished when the run was stopped.
	Cancelled State = "cancelled"
)

// Cause says why a unit is dead or kept back.
type Cause string

// The causes of dead letters.
const (
	// CauseData is exit code 65, or an input that changed while it was read.
	CauseData Cause = "data"
	// CauseAttempts is a command whose attempts are used up or not repeated.
	CauseAttempts Cause = "attempts"
	// CauseTimeout is a command whose last attempt took too long.
	CauseTimeout Cause = "timeout"
	// CauseMemory is a command that went beyond its limit of memory.
	CauseMemory Cause = "memory"
	// CauseLease is a unit whose worker vanished in its last attempt.
	CauseLease Cause = "lease"
	// CauseCrash is a unit whose workers vanished again and again.
	CauseCrash Cause = queue.CauseCrash
	// CauseGate is an output that failed its checks.
	CauseGate Cause = "gate"
	// CauseUnjudged is an output (or an input that the step wants judged) about
	// which no verdict could be had.
	CauseUnjudged Cause = "unjudged"
	// CauseUnreadable is an input that cannot be read.
	CauseUnreadable Cause = "unreadable"
)

// Causes lists the causes of dead letters.
func Causes() []string {
	var all []string
	for _, c := range []Cause{CauseData, CauseAttempts, CauseTimeout, CauseMemory, CauseLease, CauseCrash, CauseGate, CauseUnjudged, CauseUnreadable} {
		all = append(all, string(c))
	}
	return all
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	// Started is the start of an attempt.
	Started EventKind = "started"
	// Retrying is a failed attempt that will be repeated after Event.Wait.
	Retrying EventKind = "retrying"
	// Finished is a unit that has its state in the step.
	Finished EventKind = "finished"
	// Paused is a step whose gate has closed.
	Paused EventKind = "paused"
	// Scaled is a step with scale_at whose number of workers was decided.
	Scaled EventKind = "scaled"
	// Held is a source that emits nothing because too many units stand before a
	// step, Resumed one that goes on.
	Held    EventKind = "held"
	Resumed EventKind = "resumed"
)

// Event is something that happened to a unit in a step. What is unknown is zero.
type Event struct {
	Kind EventKind
	// Run is the run that the unit belongs to.
	Run           string
	Step          string
	Unit          string
	Source        string
	CorrelationID string
	// Attempt counts from 1; 0 if nothing was executed.
	Attempt int
	// State and Cause are set when the unit has finished.
	State   State
	Cause   Cause
	Verdict *checks.Status
	Rows    *int64
	Err     error
	// Wait is the time until the next attempt.
	Wait time.Duration
	// Output is the path of the output, absolute.
	Output string
	// CPU and PeakBytes are what the attempts so far used: the sum, and the
	// largest resident size of the command's own process.
	CPU       time.Duration
	PeakBytes int64
	// Waited is how long the unit stood ready before this attempt.
	Waited time.Duration
	// Workers is how many units may be in the step at once, of Scaled.
	Workers int
}

// Units counts units by their state in a step. Units that never reached the step
// are not counted.
type Units struct {
	Done        int `json:"done"`
	Dead        int `json:"dead"`
	Quarantined int `json:"quarantined"`
	Skipped     int `json:"skipped,omitempty"`
	Blocked     int `json:"blocked,omitempty"`
	Waiting     int `json:"waiting,omitempty"`
	Cancelled   int `json:"cancelled,omitempty"`
}

// StepSummary is what happened in a step.
type StepSummary struct {
	Name  string
	Units Units
	// Attempts counts executions of the command or of the hooks alone in this run.
	Attempts int
	// RowsIn and RowsOut add up the units that have an output, those of earlier
	// runs included. They are nil if no hook told the number of any unit.
	RowsIn, RowsOut *int64
	// Verdict is the worst of the units; a dead unit counts as fail, one without
	// a readable input as error. It is nil if nothing was judged and nothing died.
	Verdict *checks.Status
	// Duration is the time spent in attempts, added up.
	Duration time.Duration
}

// Summary is the result of a run. Its JSON is that of `profiler run -o json`.
type Summary struct {
	Run      string
	Pipeline string
	// Verdict is the worst of the steps, Pass if nothing was judged.
	Verdict checks.Status
	// Steps are in the order of the pipeline.
	Steps []StepSummary
	// FirstBadStep is the first step in which a unit died, or got a verdict of fail
	// or error, although its input was fine; empty if there is none.
	FirstBadStep string
	// DeadLetters are the units that are dead or kept back, by step and source.
	DeadLetters []DeadLetter
	// Waits are the fan-ins that wait for a decision about units that they join.
	Waits []Wait
	// Cancelled says that the run was stopped before its end.
	Cancelled bool

	unjudged bool
}

// Wait is a step that waits, and why.
type Wait struct{ Step, Why string }

// MarshalJSON writes the object of the contract.
func (s Summary) MarshalJSON() ([]byte, error) {
	var first *string
	if s.FirstBadStep != "" {
		first = &s.FirstBadStep
	}
	steps := s.Steps
	if steps == nil {
		steps = []StepSummary{}
	}
	return json.Marshal(struct {
		Version      int           `json:"version"`
		Run          string        `json:"run"`
		Pipeline     string        `json:"pipeline"`
		Verdict      checks.Status `json:"verdict"`
		Steps        []StepSummary `json:"steps"`
		FirstBadStep *string       `json:"first_bad_step"`
	}{1, s.Run, s.Pipeline, s.Verdict, steps, first})
}

// MarshalJSON writes the object of the contract; what is unknown is null.
func (s StepSummary) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name            string         `json:"name"`
		Units           Units          `json:"units"`
		Attempts        int            `json:"attempts"`
		RowsIn          *int64         `json:"rows_in"`
		RowsOut         *int64         `json:"rows_out"`
		Verdict         *checks.Status `json:"verdict"`
		DurationSeconds float64        `json:"duration_seconds"`
	}{s.Name, s.Units, s.Attempts, s.RowsIn, s.RowsOut, s.Verdict, s.Duration.Seconds()})
}

// ExitCode returns 130 if the run was stopped, else 3 if something stayed
// unjudged or an input could not be read, else 1 if a gate blocked or a unit is
// dead, else 0. An output with the verdict error counts as unjudged even if
// on_fail: warn let it through.
func (s Summary) ExitCode() int {
	bad := false
	for _, step := range s.Steps {
		bad = bad || step.Units.Dead+step.Units.Blocked+step.Units.Waiting > 0
	}
	switch {
	case s.Cancelled:
		return 130
	case s.unjudged:
		return 3
	case bad:
		return 1
	default:
		return 0
	}
}

func newSummary(p *pipeline.Pipeline, run string) Summary {
	s := Summary{Run: run, Pipeline: p.Name, Steps: make([]StepSummary, len(p.Steps))}
	for i := range p.Steps {
		s.Steps[i].Name = p.Steps[i].Name
	}
	return s
}

// summarize reads what became of the units of a run.
func (r *Runner) summarize(ctx context.Context, run string, cancelled bool) (Summary, error) {
	p, q := r.options.Pipeline, r.options.Queue
	sum := newSummary(p, run)
	sum.Cancelled = cancelled
	rows, err := q.Units(ctx, queue.Filter{Run: run, Pipeline: p.Name})
	if err != nil {
		return sum, err
	}
	events, err := q.Events(ctx, queue.Filter{Run: run, Pipeline: p.Name})
	if err != nil {
		return sum, err
	}
	steps := map[string]*StepSummary{}
	for i := range sum.Steps {
		steps[sum.Steps[i].Name] = &sum.Steps[i]
	}
	for i := range events {
		if s := steps[events[i].Step]; s != nil {
			s.count(&events[i])
		}
	}
	sum.add(r, rows, func(*queue.Row) bool { return true })
	return sum, nil
}

// addEarlier adds the units of earlier runs that this one has worked on since an
// event, or has left: those that were interrupted, or replayed since.
func (r *Runner) addEarlier(ctx context.Context, sum *Summary, since int64) error {
	q := r.options.Queue
	done, open, err := q.Elsewhere(ctx, sum.Pipeline, sum.Run, r.options.Worker, since)
	if err != nil {
		return err
	}
	met, runs := map[queue.Key]bool{}, map[string]bool{}
	for i := range done {
		met[done[i].Key], runs[done[i].Run] = true, true
		for s := range sum.Steps {
			if sum.Steps[s].Name == done[i].Step {
				sum.Steps[s].count(&done[i])
			}
		}
	}
	for i := range open {
		met[open[i].Key], runs[open[i].Run] = true, true
	}
	for _, run := range slices.Sorted(maps.Keys(runs)) {
		rows, err := q.Units(ctx, queue.Filter{Run: run, Pipeline: sum.Pipeline})
		if err != nil {
			return err
		}
		sum.add(r, rows, func(row *queue.Row) bool { return met[row.Key] })
	}
	return nil
}

// count adds an attempt.
func (s *StepSummary) count(e *queue.Event) {
	switch e.Kind {
	case queue.Kind(queue.Done), queue.Kind(queue.Quarantined), queue.Kind(queue.Dead), queue.KindRetry, queue.KindLost:
	default:
		return
	}
	if e.Cause == queue.CauseCrash {
		return // its last attempt is the lost one
	}
	if e.Cause != string(CauseUnreadable) {
		s.Attempts++
	}
	s.Duration += time.Duration(e.BusyUS) * time.Microsecond
}

// add adds units by what became of them; those that do not count tell about the
// others where bad data came in.
func (s *Summary) add(r *Runner, rows []queue.Row, counts func(*queue.Row) bool) {
	p := r.options.Pipeline
	units := map[string][]*outcome{} // by unit, one for each step
	slot := func(unit string) []*outcome {
		if units[unit] == nil {
			units[unit] = make([]*outcome, len(p.Steps))
		}
		return units[unit]
	}
	index := map[string]int{}
	for i := range p.Steps {
		index[p.Steps[i].Name] = i
	}
	for i := range rows {
		if step, ok := index[rows[i].Step]; ok {
			slot(rows[i].Unit)[step] = r.outcomeOf(&rows[i], s.Cancelled)
		}
	}
	// Rows of a step come in the order in which the units became known.
	for i := range p.Steps {
		for k := range rows {
			o := units[rows[k].Unit][i]
			if rows[k].Step != p.Steps[i].Name || o == nil || !counts(&rows[k]) {
				continue
			}
			s.Steps[i].add(o)
			if v := o.worst(); v != nil && *v >= checks.Fail {
				s.unjudged = s.unjudged || *v == checks.Error || o.cause == CauseUnjudged
				if s.FirstBadStep == "" && inputFine(p, units[rows[k].Unit], i) {
					s.FirstBadStep = p.Steps[i].Name
				}
			}
			if rows[k].State == queue.Waiting && o.state == Waiting {
				s.Waits = append(s.Waits, Wait{p.Steps[i].Name, rows[k].Err})
			}
			if o.state == Dead || o.state == Quarantined || o.state == Blocked {
				s.DeadLetters = append(s.DeadLetters, r.letter(&rows[k]))
			}
			s.unjudged = s.unjudged || o.cause == CauseUnjudged
		}
		if v := s.Steps[i].Verdict; v != nil {
			s.Verdict = max(s.Verdict, *v)
		}
	}
	if s.Verdict == checks.Learning {
		s.Verdict = checks.Pass
	}
}

// outcomeOf reads what became of a unit in a step, nil if it has not reached it.
func (r *Runner) outcomeOf(row *queue.Row, cancelled bool) *outcome {
	o := &outcome{cause: Cause(row.Cause)}
	switch row.State {
	case queue.Waiting:
		if row.Err == "" {
			return nil
		}
		o.state = Waiting // a fan-in, for a decision about units that it joins
		if cancelled {
			o.state = Cancelled
		}
		return o
	case queue.Discarded:
		return nil
	case queue.Ready, queue.Running:
		if o.state = Waiting; cancelled {
			o.state = Cancelled
		}
		return o
	case queue.Cancelled:
		o.state = Cancelled
		return o
	case queue.Done:
		if o.state = Done; row.Skipped {
			o.state = Skipped
		}
	case queue.Quarantined:
		if o.state = Quarantined; row.Blocking {
			o.state = Blocked
		}
	default:
		o.state = Dead
	}
	if s := decode(row.Body); s != nil {
		o.verdict, o.inputBad, o.rows, o.rowsIn = s.Verdict, s.InputBad, s.Rows, s.RowsIn
		o.output, o.attempts = r.path(s.Output), s.Attempts
	}
	return o
}

// letter describes a unit that was given up or kept back.
func (r *Runner) letter(row *queue.Row) DeadLetter {
	l := DeadLetter{
		Version: 1, Pipeline: row.Pipeline, Step: row.Step, Unit: row.Unit, CorrelationID: row.Correlation, Run: row.Run, Source: row.Source,
		Inputs: []string{}, State: State(row.State), Cause: Cause(row.Cause), Error: row.Err, Attempts: row.Tries, At: row.Ended(),
	}
	if row.Blocking {
		l.State = Blocked
	}
	if s := decode(row.Body); s != nil {
		for _, in := range s.InputFiles {
			l.Inputs = append(l.Inputs, r.path(in))
		}
		l.Stderr, l.Verdict, l.Output = s.Stderr, s.Verdict, r.path(s.Output)
	}
	return l
}

// worst returns the verdict on what the step made of the unit, nil if unknown.
func (o *outcome) worst() *checks.Status {
	switch {
	case o.state == Dead && o.cause == CauseUnreadable, o.cause == CauseUnjudged:
		return new(checks.Error)
	case o.state == Dead:
		return new(checks.Fail)
	case o.state == Cancelled:
		return nil
	case o.verdict != nil && *o.verdict == checks.Learning:
		return new(checks.Pass)
	default:
		return o.verdict
	}
}

// inputFine reports whether nothing bad was known of what a step read.
func inputFine(p *pipeline.Pipeline, outcomes []*outcome, step int) bool {
	if outcomes[step].inputBad {
		return false
	}
	for _, need := range p.Steps[step].Needs {
		for i := range p.Steps {
			if p.Steps[i].Name != need.Step {
				continue
			}
			if o := outcomes[i]; o != nil && o.worst() != nil && *o.worst() >= checks.Fail {
				return false
			}
		}
	}
	return true
}

func (s *StepSummary) add(o *outcome) {
	switch o.state {
	case Done:
		s.Units.Done++
	case Skipped:
		s.Units.Skipped++
	case Dead:
		s.Units.Dead++
	case Quarantined:
		s.Units.Quarantined++
	case Blocked:
		s.Units.Blocked++
	case Waiting:
		s.Units.Waiting++
	case Cancelled:
		s.Units.Cancelled++
	}
	if v := o.worst(); v != nil && (s.Verdict == nil || *v > *s.Verdict) {
		s.Verdict = v
	}
	if o.output == "" || o.state == Cancelled {
		return
	}
	for _, c := range []struct {
		total **int64
		rows  *int64
	}{{&s.RowsIn, o.rowsIn}, {&s.RowsOut, o.rows}} {
		if c.rows == nil {
			continue
		}
		if *c.total == nil {
			*c.total = new(int64)
		}
		**c.total += *c.rows
	}
}
