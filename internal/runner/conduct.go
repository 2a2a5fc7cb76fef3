package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// Serve begins runs of the pipelines at their times and when their watched
// sources have new files, and works on all units until ctx ends. Several
// processes may do so on one Postgres: each run is begun once. While the store or
// a work directory cannot be written, or another process works on an SQLite file,
// it tries again.
func Serve(ctx context.Context, runners []*Runner) error {
	if len(runners) == 0 {
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for _, r := range runners {
		c := &conductor{r: r, sizes: map[string]sourceFile{}, known: map[string]bool{}}
		go c.conduct(ctx)
		if r.options.Pipeline.Source.Streams() {
			readers.Go(func() { r.follow(ctx) })
		}
	}
	return serveUnits(ctx, runners)
}

// serveUnits works on the units of all pipelines until ctx ends. What stops one
// pipeline does not stop the others.
func serveUnits(ctx context.Context, runners []*Runner) error {
	first := runners[0]
	var unlock func()
	persist(ctx, first.log, "units not worked on", func() (err error) {
		unlock, err = lock(first.options.Queue)
		return err
	})
	if unlock == nil {
		return ctx.Err()
	}
	defer unlock()
	defer first.listen(ctx)()
	var working sync.WaitGroup
	for _, r := range runners {
		working.Go(func() {
			persist(ctx, r.log, "pipeline not worked on", func() error { return r.serveUnits(ctx) })
		})
	}
	working.Wait()
	return nil
}

// serveUnits works on the units of the pipeline until ctx ends, or something is
// wrong with the store or the work directory.
func (r *Runner) serveUnits(ctx context.Context) error {
	defer r.foreign.close()
	if err := r.clean(ctx); err != nil {
		return err
	}
	if r.prints == nil { // others of this process may read them by now
		if err := r.fingerprints(); err != nil {
			return err
		}
	}
	if err := r.define(ctx); err != nil {
		return err
	}
	x := newExecutor(r)
	x.stay = true
	return x.work(ctx)
}

// Bounds of the pause before something is tried again.
const (
	shortestRest = time.Second
	longestRest  = 5 * time.Second
)

// persist calls a function until it succeeds or ctx ends, and tells why it does
// not succeed.
func persist(ctx context.Context, log *slog.Logger, what string, try func() error) {
	for rest := shortestRest; ; rest = min(2*rest, longestRest) {
		begun := time.Now()
		err := try()
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(begun) > time.Minute { // it went well for a while
			rest = shortestRest
		}
		log.Error(what+", trying again", "err", strings.ReplaceAll(err.Error(), "\n", "; "), "in", rest) //nolint:sloglint // what is a constant of each caller
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// conductor begins and ends the runs of one pipeline.
type conductor struct {
	r          *Runner
	sizes      map[string]sourceFile // of watched files when they were last listed
	known      map[string]bool       // units that were offered, by id
	next       time.Time             // when the schedule is due
	full       string                // the step that holds the source back
	nextCanary time.Time             // when one is due
	// expired is when old dead letters were last looked for.
	expired time.Time
	swept   time.Time // when old files were removed
}

func (c *conductor) conduct(ctx context.Context) {
	tick := time.NewTicker(c.r.options.Look)
	defer tick.Stop()
	for {
		if now := c.r.options.Clock.Now(); now.Sub(c.swept) > sweepEvery {
			c.swept = now
			if err := errors.Join(c.r.sweep(ctx, false), c.r.sweepOrigins(ctx), c.r.sweepOrphans(ctx)); err != nil && ctx.Err() == nil {
				c.r.log.Warn("old files not removed", "err", err)
			}
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.r.log.Error("pipeline not served", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look begins what is due and ends what is finished.
func (c *conductor) look(ctx context.Context) error {
	p := c.r.options.Pipeline
	var err error
	if p.Source.Streams() { // the hours before get no more units
		err = c.r.options.Queue.Filled(ctx, p.Name, hourRun(p.Name, c.r.options.Clock.Now()))
	}
	err = errors.Join(err, c.r.endFinished(ctx), c.expire(ctx), c.canary(ctx))
	if p.Timing.Schedule != nil {
		err = errors.Join(err, c.schedule(ctx))
	}
	if p.Source != nil && p.Source.Watch {
		err = errors.Join(err, c.watch(ctx))
	}
	return err
}

// schedule begins the run that is due. Its id follows from the time, so that of
// two services one begins it.
func (c *conductor) schedule(ctx context.Context) error {
	t, q := &c.r.options.Pipeline.Timing, c.r.options.Queue
	now := c.r.options.Clock.Now()
	if c.next.IsZero() {
		last, err := q.LastScheduled(ctx, c.r.options.Pipeline.Name)
		if err != nil {
			return err
		}
		c.next = t.Schedule.Next(now)
		if t.CatchUp && !last.IsZero() {
			c.next = t.Schedule.Next(last)
		}
	}
	for !c.next.IsZero() && !c.next.After(now) {
		begun, err := c.fire(ctx, c.next)
		if err != nil {
			return err
		}
		if !begun && t.Overlap != pipeline.OverlapSkip {
			return nil // it is tried again
		}
		c.next = t.Schedule.Next(c.next)
		if !t.CatchUp && !c.next.After(now) {
			c.r.log.Warn("times were missed and are left out", "from", c.next, "catch_up", false)
			c.next = t.Schedule.Next(now)
		}
	}
	return nil
}

// fire begins the run of a time. It reports false if the run before still works,
// or if too many units of those before stand ready.
func (c *conductor) fire(ctx context.Context, at time.Time) (bool, error) {
	p, q := c.r.options.Pipeline, c.r.options.Queue
	if p.Timing.Overlap == pipeline.OverlapAllow {
		if room, err := c.holds(ctx); err != nil || room == 0 {
			return false, err
		}
	} else {
		open, err := q.OpenRuns(ctx, p.Name)
		if err != nil {
			return false, err
		}
		if len(open) > 0 {
			c.r.log.Warn("a run is due and the one before still works", "due", at, "run", open[0], "overlap", p.Timing.Overlap)
			return false, nil
		}
	}
	units, err := c.r.units(ctx)
	if err != nil {
		return true, err
	}
	id := scheduledRun(p.Name, at)
	if p.Source == nil {
		units = []queue.Offer{c.r.offer(UnitID(p.Name, id), "", "")}
	}
	return true, c.begin(ctx, id, at, units)
}

// scheduledRun is the id of the run of a pipeline at a time.
func scheduledRun(name string, at time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "run\x00%s\x00%d", name, at.Unix()))
	return hex.EncodeToString(sum[:13])
}

// begin begins a run with its units, unless somebody has.
func (c *conductor) begin(ctx context.Context, id string, at time.Time, units []queue.Offer) error {
	p, q := c.r.options.Pipeline, c.r.options.Queue
	var all []queue.Offer
	for i := range p.Steps {
		for _, u := range units {
			if len(p.Steps[i].Needs) == 0 {
				u.Step, u.Run = p.Steps[i].Name, id
				all = append(all, u)
			}
		}
	}
	first, err := q.BeginOnce(ctx, id, p.Name, at, all)
	if err == nil && first {
		log := c.r.log.With("run", id, "units", len(units))
		if !at.IsZero() {
			log = log.With("due", at.UTC())
		}
		log.Info("run begun")
	}
	return err
}

// watch begins a run of the files that are new and do not change any more.
func (c *conductor) watch(ctx context.Context) error {
	all, err := c.r.sourceFiles()
	if err != nil {
		return err
	}
	var settled []string
	sizes := map[string]sourceFile{}
	for _, path := range all {
		now, err := statSource(path)
		if err != nil {
			continue // it is gone, or comes later
		}
		sizes[path] = now
		if before, ok := c.sizes[path]; ok && before == now && !c.known[now.text()] {
			settled = append(settled, path)
		}
	}
	c.sizes = sizes
	room, err := c.holds(ctx)
	if err != nil {
		return err
	}
	settled = settled[:min(room, len(settled))]
	if len(settled) == 0 {
		return nil
	}
	var units []queue.Offer
	for _, path := range settled {
		found, err := c.r.identify(ctx, path)
		if err != nil {
			return err
		}
		units = append(units, found...)
	}
	fresh, err := c.unknown(ctx, units)
	if err != nil {
		return err
	}
	if len(fresh) > 0 {
		id, err := ulid.New(ulid.Timestamp(c.r.options.Clock.Now()), c.r.options.Random)
		if err != nil {
			return err
		}
		if err := c.begin(ctx, id.String(), time.Time{}, fresh); err != nil {
			return err
		}
	}
	for _, path := range settled {
		c.known[sizes[path].text()] = true
	}
	return nil
}

// unknown leaves out units that the queue has.
func (c *conductor) unknown(ctx context.Context, units []queue.Offer) ([]queue.Offer, error) {
	steps := c.r.options.Pipeline.Steps
	root := slices.IndexFunc(steps, func(s pipeline.Step) bool { return len(s.Needs) == 0 })
	var fresh []queue.Offer
	for _, u := range units {
		_, err := c.r.options.Queue.Get(ctx, queue.Key{Pipeline: u.Pipeline, Step: steps[root].Name, Unit: u.Unit})
		if errors.Is(err, queue.ErrNotFound) {
			fresh = append(fresh, u)
		} else if err != nil {
			return nil, err
		}
	}
	return fresh, nil
}
