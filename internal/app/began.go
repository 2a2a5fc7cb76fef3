package app

import (
	"fmt"
	"strings"
	"sync"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
)

// trails remember what the steps of a pipeline did to each unit, so that a
// finding can name the step where it began.
type trails struct {
	mu    sync.Mutex
	units map[string]map[string]stepTrail // by unit, then by step
	order []string                        // units, oldest first
}

// stepTrail is what is known of a step's output.
type stepTrail struct {
	rows int64
	bad  bool // a result failed
}

// maxTrails bounds the units that are remembered.
const maxTrails = 4096

// add remembers an output and returns what is known of the unit so far.
func (t *trails) add(unit, step string, s stepTrail) map[string]stepTrail {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.units == nil {
		t.units = map[string]map[string]stepTrail{}
	}
	if t.units[unit] == nil {
		t.units[unit] = map[string]stepTrail{}
		if t.order = append(t.order, unit); len(t.order) > maxTrails {
			delete(t.units, t.order[0])
			t.order = t.order[1:]
		}
	}
	t.units[unit][step] = s
	out := make(map[string]stepTrail, len(t.units[unit]))
	for name, s := range t.units[unit] {
		out[name] = s
	}
	return out
}

// began tells in the learned finding of a step's output at which step it began:
// the first one whose output is abnormal while what it read is not. steps are
// those before it, in the order of the pipeline.
func (h *Hook) began(out *monitor.Outcome) {
	o := &out.Report.Origin
	unit := o.CorrelationID
	if unit == "" {
		unit = o.Run + "\x1f" + o.Unit
	}
	known := h.trails.add(unit, o.Step, stepTrail{out.Profile.Read(), len(out.Report.Alarming()) > 0})
	i := autoOf(&out.Report)
	if i < 0 || out.Report.Results[i].Status != checks.Fail {
		return
	}
	r := &out.Report.Results[i]
	first, rows := o.Step, []checks.StepRows{}
	for k := range h.pipeline.Steps {
		name := h.pipeline.Steps[k].Name
		s, ok := known[name]
		if !ok || name != o.Step && !contains(out.Ancestors, name) {
			continue
		}
		if s.bad && first == o.Step {
			first = name
		}
		rows = append(rows, checks.StepRows{Step: name, Rows: s.rows})
	}
	r.FirstBadStep, r.StepRows = first, rows
	r.Message += beganText(first, o.Step, rows)
}

func autoOf(r *checks.Report) int {
	for i := range r.Results {
		if r.Results[i].Kind == checks.KindAuto {
			return i
		}
	}
	return -1
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// beganText says where it began, and what became of the rows on the way.
func beganText(first, here string, rows []checks.StepRows) string {
	text := "; began at " + first
	if first == here && len(rows) > 1 {
		text += ", whose input is as expected"
	}
	if len(rows) > 1 {
		parts := make([]string, len(rows))
		for i, r := range rows {
			parts[i] = fmt.Sprintf("%s %d", r.Step, r.Rows)
		}
		text += "; rows: " + strings.Join(parts, " → ")
	}
	return text
}
