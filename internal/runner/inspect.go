package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/queue"
)

// UnitWay is a unit on its way through the steps of its pipeline.
type UnitWay struct {
	Version       int     `json:"version"`
	Pipeline      string  `json:"pipeline"`
	Unit          string  `json:"unit"`
	CorrelationID string  `json:"correlation_id"`
	Source        string  `json:"source"`
	Run           string  `json:"run"`
	FirstBadStep  *string `json:"first_bad_step"`
	// Joins are the units that a fan-in has made this one of.
	Joins []Joined  `json:"joins,omitempty"`
	Steps []StepWay `json:"steps"`
}

// Joined is a unit that a fan-in joins.
type Joined struct {
	Step          string `json:"step"`
	Unit          string `json:"unit"`
	CorrelationID string `json:"correlation_id"`
	Source        string `json:"source"`
}

// StepWay is what a unit met at one step. Times are in seconds, over all attempts
// that are kept.
type StepWay struct {
	Step          string         `json:"step"`
	State         State          `json:"state"`
	Attempts      int            `json:"attempts"`
	Replays       int            `json:"replays"`
	WaitedSeconds float64        `json:"waited_seconds"`
	WorkedSeconds float64        `json:"worked_seconds"`
	CPUSeconds    float64        `json:"cpu_seconds"`
	PeakBytes     int64          `json:"peak_bytes"`
	RowsIn        *int64         `json:"rows_in"`
	RowsOut       *int64         `json:"rows_out"`
	Rejects       int64          `json:"rejects"`
	Verdict       *checks.Status `json:"verdict"`
	Cause         Cause          `json:"cause,omitempty"`
	Error         string         `json:"error,omitempty"`
	Output        string         `json:"output,omitempty"`
	Events        []StepEvent    `json:"events"`
}

// StepEvent is an attempt that ended, or a decision.
type StepEvent struct {
	At            time.Time  `json:"at"`
	Kind          queue.Kind `json:"kind"`
	Attempt       int        `json:"attempt"`
	WaitedSeconds float64    `json:"waited_seconds"`
	WorkedSeconds float64    `json:"worked_seconds"`
	Worker        string     `json:"worker,omitempty"`
	Cause         string     `json:"cause,omitempty"`
	Detail        string     `json:"detail,omitempty"`
}

// Ways returns the units whose id or correlation id begins with a text, each with
// its way through the steps. run picks the units of a run instead, if it is not
// empty.
func (l *Ledger) Ways(ctx context.Context, id, run string) ([]UnitWay, error) {
	f := queue.Filter{Run: run}
	if id != "" {
		f.IDs = []string{id}
	}
	rows, err := l.q.Units(ctx, f)
	if err != nil {
		return nil, err
	}
	events, err := l.q.Events(ctx, f)
	if err != nil {
		return nil, err
	}
	if id != "" {
		if rows, events, err = l.withJoins(ctx, rows, events); err != nil {
			return nil, err
		}
	}
	var ways []*UnitWay
	byUnit := map[[2]string]*UnitWay{}
	for i := range rows {
		k := [2]string{rows[i].Pipeline, rows[i].Unit}
		if byUnit[k] == nil {
			byUnit[k] = l.way(&rows[i])
			ways = append(ways, byUnit[k])
		}
		byUnit[k].fill(l.runner(rows[i].Pipeline), &rows[i])
	}
	for i := range events {
		if w := byUnit[[2]string{events[i].Pipeline, events[i].Unit}]; w != nil {
			w.event(&events[i])
		}
	}
	out := make([]UnitWay, len(ways))
	for i, w := range ways {
		w.findBad(l.defs[w.Pipeline])
		if err := l.joins(ctx, w); err != nil {
			return nil, err
		}
		out[i] = *w
	}
	return out, nil
}

// withJoins adds the units that fan-ins made of those which are there.
func (l *Ledger) withJoins(ctx context.Context, rows []queue.Row, events []queue.Event) ([]queue.Row, []queue.Event, error) {
	units := map[string][]string{} // by pipeline
	known := map[queue.Key]bool{}
	for i := range rows {
		known[rows[i].Key] = true
		units[rows[i].Pipeline] = append(units[rows[i].Pipeline], rows[i].Unit)
	}
	for name, ids := range units {
		more, err := l.q.JoinedBy(ctx, name, ids)
		if err != nil {
			return nil, nil, err
		}
		for i := range more {
			if known[more[i].Key] {
				continue
			}
			known[more[i].Key] = true
			met, err := l.q.Events(ctx, queue.Filter{Pipeline: name, Unit: more[i].Unit})
			if err != nil {
				return nil, nil, err
			}
			rows, events = append(rows, more[i]), append(events, met...)
		}
	}
	return rows, events, nil
}

// joins adds what a unit was made of, if a fan-in made it.
func (l *Ledger) joins(ctx context.Context, w *UnitWay) error {
	d := l.defs[w.Pipeline]
	if d == nil {
		return nil
	}
	for _, s := range d.Steps {
		if !s.FanIn || w.step(s.Name).State == "" || joinedUnit(w.Pipeline, w.Run, s.Name) != w.Unit {
			continue
		}
		rows, err := l.q.Members(ctx, queue.Key{Pipeline: w.Pipeline, Step: s.Name, Unit: w.Unit})
		if err != nil {
			return err
		}
		for i := range rows {
			w.Joins = append(w.Joins, Joined{rows[i].Step, rows[i].Unit, rows[i].Correlation, rows[i].Source})
		}
	}
	return nil
}

func (l *Ledger) way(r *queue.Row) *UnitWay {
	w := &UnitWay{Version: 1, Pipeline: r.Pipeline, Unit: r.Unit, CorrelationID: r.Correlation, Source: r.Source, Run: r.Run}
	for _, s := range l.Steps(r.Pipeline) {
		w.Steps = append(w.Steps, StepWay{Step: s, Events: []StepEvent{}})
	}
	return w
}

func (w *UnitWay) step(name string) *StepWay {
	for i := range w.Steps {
		if w.Steps[i].Step == name {
			return &w.Steps[i]
		}
	}
	w.Steps = append(w.Steps, StepWay{Step: name, Events: []StepEvent{}}) // of an earlier form of the pipeline
	return &w.Steps[len(w.Steps)-1]
}

func (w *UnitWay) fill(r *Runner, row *queue.Row) {
	s := w.step(row.Step)
	s.State, s.Replays, s.Cause, s.Error = State(row.State), row.Replay, Cause(row.Cause), row.Err
	if row.Blocking {
		s.State = Blocked
	}
	if row.Skipped {
		s.State = Skipped
	}
	if b := decode(row.Body); b != nil {
		s.RowsIn, s.RowsOut, s.Rejects, s.Verdict, s.Output = b.RowsIn, b.Rows, b.Rejects, b.Verdict, r.path(b.Output)
	}
}

func (w *UnitWay) event(e *queue.Event) {
	s := w.step(e.Step)
	second := func(us int64) float64 { return (time.Duration(us) * time.Microsecond).Seconds() }
	s.Events = append(s.Events, StepEvent{
		At: e.At(), Kind: e.Kind, Attempt: e.Attempt, WaitedSeconds: second(e.WaitUS), WorkedSeconds: second(e.BusyUS),
		Worker: e.Worker, Cause: e.Cause, Detail: e.Detail,
	})
	if e.Worker == "" {
		return // a decision
	}
	if e.Kind != queue.KindSkipped && e.Kind != queue.KindReleased {
		s.Attempts++
	}
	s.WaitedSeconds += second(e.WaitUS)
	s.WorkedSeconds += second(e.BusyUS)
	s.CPUSeconds += second(e.CPUUS)
	s.PeakBytes = max(s.PeakBytes, e.PeakBytes)
}

// findBad names the first step at which something went wrong although what it
// read was fine.
func (w *UnitWay) findBad(d *definition) {
	if d == nil {
		return
	}
	bad := map[string]bool{}
	for _, s := range d.Steps {
		at := w.step(s.Name)
		if bad[s.Name] = at.State == Dead || at.Verdict != nil && *at.Verdict >= checks.Fail; !bad[s.Name] || w.FirstBadStep != nil {
			continue
		}
		fine := true
		for _, n := range s.Needs {
			fine = fine && !bad[n.Step]
		}
		if fine {
			w.FirstBadStep = new(s.Name)
		}
	}
}

// Runs returns the newest runs first.
func (l *Ledger) Runs(ctx context.Context, pipeline string, limit int) ([]queue.Run, error) {
	return l.q.Runs(ctx, pipeline, limit)
}

// Run returns a run. The error matches queue.ErrNotFound if there is none.
func (l *Ledger) Run(ctx context.Context, id string) (queue.Run, error) { return l.q.GetRun(ctx, id) }

// ReplayRun sends all units of a run through a step again, by default each
// through the steps that read the source. It returns how many there were.
func (l *Ledger) ReplayRun(ctx context.Context, run queue.Run, from string, force bool, d queue.Decision) (int, error) {
	def := l.defs[run.Pipeline]
	if def == nil {
		return 0, fmt.Errorf("the store does not know the steps of pipeline %s; run it once", run.Pipeline)
	}
	steps := []string{from}
	if from == "" {
		steps = nil
		for _, s := range def.Steps {
			if len(s.Needs) == 0 {
				steps = append(steps, s.Name)
			}
		}
	}
	n := 0
	for _, step := range steps {
		rows, err := l.q.Units(ctx, queue.Filter{Run: run.ID, Step: step, States: []queue.State{queue.Done, queue.Quarantined, queue.Dead, queue.Cancelled}})
		if err != nil {
			return n, err
		}
		for i := range rows {
			if err := l.Replay(ctx, rows[i].Key, step, force, d); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// Paused says of each step that takes no units why: a unit keeps its gate closed,
// or its attempts fail. pipeline picks one pipeline, empty is all.
func (l *Ledger) Paused(ctx context.Context, pipeline string) (out []string, err error) {
	gates, err := l.q.Gates(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range gates {
		if pipeline == "" || pipeline == g.Pipeline {
			out = append(out, fmt.Sprintf("%s/%s paused: %s", g.Pipeline, g.Step, g.Why))
		}
	}
	opened, err := l.q.Opened(ctx)
	if err != nil {
		return nil, err
	}
	for i := range opened {
		o := &opened[i]
		if pipeline != "" && pipeline != o.Pipeline {
			continue
		}
		state := "open until " + o.Until().Format("2006-01-02 15:04:05")
		if o.Probing {
			state = "open, one unit is tried now"
		}
		out = append(out, fmt.Sprintf("%s/%s %s: more than half of its last attempts failed", o.Pipeline, o.Step, state))
	}
	return out, nil
}
