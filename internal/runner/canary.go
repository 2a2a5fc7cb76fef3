package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/queue"
)

// canaryKept is how long the units and outputs of a canary are kept.
const canaryKept = 24 * time.Hour

// CanaryEnd is what became of a canary.
type CanaryEnd struct {
	Run string
	// At is when it was sent, Took how long its way was until now.
	At   time.Time
	Took time.Duration
	// Problem says why it did not come through, empty if it did.
	Problem string
	// Outputs are the outputs of the steps of which something is expected, as
	// absolute paths.
	Outputs map[string][]string
}

func (v *visit) canary() bool { return queue.IsCanary(v.lease.Run) }

// passOver gives the step's input on as its output, without doing its work.
func (v *visit) passOver() error {
	v.attempts = 0
	v.end(Done)
	if len(v.inputs) != 1 {
		return nil // nothing behind it needs an output
	}
	var err error
	v.output = v.inputs[0].Path
	v.sha, v.bytes, err = hashFile(v.output)
	return err
}

// canaryRun is the id of the canary of a pipeline at a time.
func canaryRun(name string, at time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "canary\x00%s\x00%d", name, at.UnixNano()))
	return queue.CanaryPrefix + hex.EncodeToString(sum[:10])
}

// canary ends the canaries that came through or are late, and begins the one that
// is due.
func (c *conductor) canary(ctx context.Context) error {
	p := c.r.options.Pipeline
	if p.Canary == nil || c.r.options.Canary == nil {
		return nil
	}
	q, now := c.r.options.Queue, c.r.options.Clock.Now()
	open, err := q.OpenCanaries(ctx, p.Name)
	if err != nil {
		return err
	}
	for i := range open {
		if err := c.endCanary(ctx, &open[i], now); err != nil {
			return err
		}
	}
	if c.nextCanary.IsZero() {
		c.nextCanary = p.Canary.Next(now)
	}
	if c.nextCanary.After(now) {
		return nil
	}
	at := c.nextCanary
	c.nextCanary = p.Canary.Next(now)
	return errors.Join(c.beginCanary(ctx, at), c.forgetCanaries(ctx, now))
}

// beginCanary sends the input through the steps as units that nobody has seen, so
// that no step is skipped.
func (c *conductor) beginCanary(ctx context.Context, at time.Time) error {
	p := c.r.options.Pipeline
	path, err := filepath.Abs(p.Path(p.Canary.Input))
	if err != nil {
		return err
	}
	id := canaryRun(p.Name, at)
	units, err := c.r.identify(ctx, path)
	if err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	for i := range units {
		units[i].Unit = UnitID(p.Name, id+"\x00"+units[i].Unit)
		units[i].Correlation = units[i].Unit
	}
	return c.begin(ctx, id, at, units)
}

// endCanary tells what became of a canary, if it has come to its end or is late.
// Of several services each may tell it: it is the same batch.
func (c *conductor) endCanary(ctx context.Context, run *queue.Run, now time.Time) error {
	p, q := c.r.options.Pipeline, c.r.options.Queue
	rows, err := q.Units(ctx, queue.Filter{Pipeline: p.Name, Run: run.ID})
	if err != nil {
		return err
	}
	started := time.UnixMicro(run.StartedUS)
	end := CanaryEnd{Run: run.ID, At: started, Took: now.Sub(started), Outputs: map[string][]string{}}
	open, stands, failed := 0, map[string]string{}, ""
	for i := range rows {
		u := &rows[i]
		stands[u.Step] = string(u.State)
		switch u.State {
		case queue.Ready, queue.Waiting, queue.Running:
			open++
		case queue.Done:
			if o := decode(u.Body); o != nil && o.Output != "" && p.Canary.Expect[u.Step] != "" {
				end.Outputs[u.Step] = append(end.Outputs[u.Step], c.r.path(o.Output))
			}
		default:
			why := u.Err
			if why == "" {
				why = u.Cause
			}
			failed = strings.TrimSuffix(fmt.Sprintf("it is %s at step %s: %s", u.State, u.Step, why), ": ")
		}
	}
	state := queue.RunEnded
	switch missing := c.missing(end.Outputs, stands); {
	case failed != "" && open == 0:
		end.Problem = failed
	case open == 0 && missing == "" && end.Took > p.Canary.Within:
		end.Problem = fmt.Sprintf("it came through after %s, later than %s", end.Took.Round(time.Second), p.Canary.Within)
	case open == 0 && missing == "":
	case end.Took > p.Canary.Within:
		end.Problem, state = fmt.Sprintf("it has not come through within %s: %s", p.Canary.Within, missing), queue.RunCancelled
		if missing == "" {
			end.Problem = fmt.Sprintf("it has not come through within %s", p.Canary.Within)
		}
	default:
		return nil
	}
	if err := c.r.options.Canary(ctx, end); err != nil {
		return err
	}
	if state == queue.RunCancelled {
		if err := q.Cancel(ctx, run.ID); err != nil {
			return err
		}
	}
	return q.End(ctx, queue.Run{ID: run.ID, State: state})
}

// missing names the first step that has not given what is expected of it, and the
// step at which the canary stands.
func (c *conductor) missing(outputs map[string][]string, stands map[string]string) string {
	p := c.r.options.Pipeline
	lacks, at := "", ""
	for i := range p.Steps {
		name := p.Steps[i].Name
		if at == "" && stands[name] != "" && stands[name] != string(queue.Done) {
			at = fmt.Sprintf(", it is %s at step %s", stands[name], name)
		}
		if lacks == "" && p.Canary.Expect[name] != "" && len(outputs[name]) == 0 {
			lacks = fmt.Sprintf("step %s has no output of it", name)
		}
	}
	if lacks == "" {
		return ""
	}
	return lacks + at
}

// forgetCanaries deletes the units and outputs of old canaries.
func (c *conductor) forgetCanaries(ctx context.Context, now time.Time) error {
	outputs, err := c.r.options.Queue.ForgetCanaries(ctx, c.r.options.Pipeline.Name, now.Add(-canaryKept))
	for _, body := range outputs {
		o := decode(body)
		if o == nil || !filepath.IsLocal(o.Output) {
			continue // the file of a step that was passed over
		}
		path := c.r.path(o.Output)
		err = errors.Join(err, os.RemoveAll(path), os.RemoveAll(path+".parts"))
		os.Remove(path + ".rejects") //nolint:errcheck // there may be none
	}
	return err
}
