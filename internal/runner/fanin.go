package runner

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// joinedUnit is the id of the unit that a fan-in makes of a run.
func joinedUnit(name, run, step string) string { return UnitID(name, "fan_in\x00"+run+"\x00"+step) }

// fanIns describes the steps that join the units of a run, in the order of the
// pipeline.
func fanIns(p *pipeline.Pipeline) []queue.FanIn {
	var all []queue.FanIn
	for _, s := range p.FanIns() {
		f := queue.FanIn{Step: s.Name, Before: p.Before(s), Unit: func(run string) string { return joinedUnit(p.Name, run, s.Name) }}
		for _, n := range s.Needs {
			f.Needs = append(f.Needs, queue.FanInNeed{Step: n.Step, Any: n.Quality == pipeline.Any})
		}
		// A unit that a gate keeps back is missing wherever an edge on the way wants
		// it through the gate.
		hold := map[string]bool{}
		for _, name := range append(p.Before(s), s.Name) {
			for _, n := range p.Step(name).Needs {
				hold[n.Step] = hold[n.Step] || n.Quality == pipeline.Pass
			}
		}
		for _, name := range f.Before {
			if hold[name] {
				f.Hold = append(f.Hold, name)
			}
		}
		all = append(all, f)
	}
	return all
}

// gather makes the fan-ins ready whose units are all there. It looks once after a
// unit has left a step and nothing before a fan-in is worked on here; what other
// processes do is seen by the poll.
func (x *executor) gather(ctx context.Context) (formed bool) {
	p := x.r.options.Pipeline
	if x.gathered || len(x.r.fans) == 0 {
		return false
	}
	busy := func(f *queue.FanIn) bool {
		for _, name := range f.Before {
			for i := range p.Steps {
				if p.Steps[i].Name == name && x.inStep[i] > 0 {
					return true
				}
			}
		}
		return false
	}
	idle := false
	for i := range x.r.fans {
		idle = idle || !busy(&x.r.fans[i])
	}
	if !idle {
		return false
	}
	x.gathered = true
	failpoint.Hit("before_gather")
	n, err := x.r.options.Queue.Gather(ctx, p.Name, x.r.fans)
	if n > 0 {
		failpoint.Hit("after_gather")
	}
	if err != nil && ctx.Err() == nil {
		x.r.log.Warn("fan-ins not looked at", "err", err) // the next look finds the same
	}
	return n > 0
}

// joined is one output that a fan-in joins, in the form of the list that its
// command gets.
type joined struct {
	Path          string `json:"path"`
	Step          string `json:"step"`
	Unit          string `json:"unit"`
	Source        string `json:"source"`
	CorrelationID string `json:"correlation_id"`
}

// attachSet finds what a fan-in joins.
func (v *visit) attachSet(ctx context.Context) error {
	rows, err := v.r.options.Queue.Members(ctx, v.lease.Key)
	if err != nil {
		return err
	}
	h := sha256.New()
	sum, known := int64(0), true
	v.joined = []joined{}
	for _, n := range v.s.Needs {
		for i := range rows {
			row := &rows[i]
			if row.Step != n.Step {
				continue
			}
			o := decode(row.Body)
			if o == nil || o.Output == "" {
				v.err, v.cause = fmt.Errorf("unit %s has no output of step %q any more; replay it first", row.Unit, row.Step), CauseUnreadable
				return nil
			}
			if err := v.join(row, v.r.path(o.Output)); err != nil {
				return err
			}
			fmt.Fprintf(h, "%s %s %s\n", row.Step, row.Unit, o.SHA256)
			if known = known && o.Rows != nil; known {
				sum += *o.Rows
			}
		}
	}
	if len(rows) == 0 {
		return fmt.Errorf("BUG: unit %s of step %q joins nothing", v.lease.Unit, v.s.Name)
	}
	v.shas = []string{hex.EncodeToString(h.Sum(nil))}
	if known {
		v.rowsIn = &sum
	}
	return nil
}

// join adds an output to what a fan-in joins: a file, or each file of a folder.
func (v *visit) join(row *queue.Row, path string) error {
	add := func(path, source string) {
		v.inputs = append(v.inputs, InputFile{Step: row.Step, Path: path, Judgement: v.seen.get(path)})
		v.joined = append(v.joined, joined{path, row.Step, row.Unit, source, row.Correlation})
	}
	if !v.r.options.Pipeline.Step(row.Step).Folder() {
		add(path, row.Source)
		return nil
	}
	files, err := FilesOf(path)
	if err != nil {
		return fmt.Errorf("unit %s: the output of step %q: %w", row.Unit, row.Step, err)
	}
	for _, name := range files {
		add(filepath.Join(path, name), partSource(row.Source, name))
	}
	return nil
}

// setUnit is what the output of a fan-in, and of a step behind one, is known by
// beside its unit: the same set in another run has the same one. Empty for other
// steps, whose units are the same in all runs.
func (v *visit) setUnit() string {
	if !v.s.Joined || len(v.shas) == 0 {
		return ""
	}
	return UnitID(v.lease.Pipeline, "set\x00"+v.s.Name+"\x00"+strings.Join(v.shas, "\x00"))
}

// earlier returns what is stored of the unit's output under the present
// fingerprint. A fan-in, and a step behind it, takes the one of an earlier run that joined the same,
// unless somebody wants it anew.
func (v *visit) earlier(ctx context.Context) (string, error) {
	q, code := v.r.options.Queue, v.r.prints[v.step]
	body, err := q.Output(ctx, v.lease.Key, code)
	set := v.setUnit()
	if err != nil || body != "" || set == "" || v.lease.Replay > 0 {
		return body, err
	}
	return q.Output(ctx, queue.Key{Pipeline: v.lease.Pipeline, Step: v.lease.Step, Unit: set}, code)
}

// layout is how a fan-in finds its inputs on disk: a folder of links for each
// step that it needs, and a list.
type layout struct {
	dir  string // all of it
	list string
	// inputs has one entry per needed step, in the order of needs.
	inputs []pipeline.Input
}

// lay makes the layout of an attempt. The caller removes its folder.
func (v *visit) lay() (err error) {
	root := filepath.Join(v.r.stepDir(v.step), "."+v.r.outputName(v.lease)+".inputs.tmp")
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	l := &layout{dir: root, list: filepath.Join(root, "list.jsonl")}
	v.layout = l
	at := map[string]int{}
	for _, n := range v.s.Needs {
		at[n.Step] = len(l.inputs)
		l.inputs = append(l.inputs, pipeline.Input{Step: n.Step, Path: filepath.Join(root, "in", n.Step)})
		if err := os.MkdirAll(filepath.Join(root, "in", n.Step), 0o755); err != nil {
			return err
		}
	}
	f, err := os.Create(l.list)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, m := range v.joined {
		in := &l.inputs[at[m.Step]]
		// Names sort in the order of the list.
		link := filepath.Join(in.Path, fmt.Sprintf("%06d-%s", len(in.Files), m.Unit))
		if err := place(m.Path, link); err != nil {
			return err
		}
		in.Files = append(in.Files, link)
		m.Path = link
		if err := enc.Encode(m); err != nil {
			return err
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// place makes a file visible under another name, without copying where the
// system allows it. Commands must not change it.
func place(path, link string) error {
	if os.Link(path, link) == nil {
		return nil
	}
	return os.Symlink(path, link)
}

func (l *layout) remove() {
	if l != nil {
		os.RemoveAll(l.dir) //nolint:errcheck // the sweeper finds it
	}
}

// setEnvironment tells the command of a fan-in where its inputs are.
func (l *layout) setEnvironment(set func(name, value string)) {
	var dirs []string
	for _, in := range l.inputs {
		dirs = append(dirs, in.Path)
		set(pipeline.InputVariable(in.Step), in.Path)
	}
	set(pipeline.VariableInput, strings.Join(dirs, string(os.PathListSeparator)))
	set(pipeline.VariableInputs, l.list)
}
