// Package runner executes a pipeline: it carries each unit of the source through
// the steps, calls hooks around them, and acts on what they say. It does not know
// what profiling is. Where a unit stands is kept by package queue, what the steps
// write are files in a work directory.
//
// A step gets its input on stdin and gives its output on stdout, or takes the
// paths as {input} and {output}. Of several inputs none is on stdin: {input}
// gives all paths in the order of needs, {input:step} one of them. The paths are
// in the environment too: PROFILER_INPUT (several are joined by the list
// separator of the system, a colon), PROFILER_INPUT_<STEP> for each needed step,
// and PROFILER_OUTPUT, which a command may write instead of stdout. Commands
// start in the folder of the pipeline file. When a command has ended, what it
// left running in its process group is killed.
package runner

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/profilerhq/profiler/internal/cgroup"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// DefaultGrace is the time between SIGTERM and SIGKILL.
const DefaultGrace = 10 * time.Second

// DefaultLease is how long a unit belongs to a process that does not say anything.
const DefaultLease = time.Minute

// Clock is the time that a runner sees. Both methods may be called concurrently.
type Clock interface {
	Now() time.Time
	// Wait returns after a time, or earlier when changed is closed or ctx ends.
	Wait(ctx context.Context, changed <-chan struct{}, d time.Duration)
}

// Options of a runner. Only Pipeline and Queue are required.
type Options struct {
	Pipeline *pipeline.Pipeline
	// Queue keeps the units. It stays the caller's.
	Queue *queue.Queue
	// Worker names this process in the queue, by default host and process number.
	Worker string
	// Lease is how long a unit is held without a sign of life, by default
	// DefaultLease.
	Lease time.Duration
	// Look is how often Serve looks for new files and for times that are due, by
	// default every second.
	Look time.Duration
	// Dir is the work directory for outputs; by default
	// .profiler/runs/<pipeline> beside the pipeline file.
	Dir string
	// RunID names the run, by default a new ULID.
	RunID string
	// Hooks are called around each step, in this order.
	Hooks []Hook
	// RulesFingerprint identifies the rules that apply to a step. When it is not
	// the one of the stored verdict, the stored output is judged again. Nil means
	// that rules never change. It is called once per step.
	RulesFingerprint func(*pipeline.Step) (string, error)
	// Owner says whose the output of a step is by its rules, and with which tags;
	// nil says nothing. It is called once per step.
	Owner func(*pipeline.Step) (owner string, tags []string)
	// Canary is told what became of a canary, by Serve. An error makes it be told
	// again. Nil sends none.
	Canary func(context.Context, CanaryEnd) error
	// Logger gets what happens; nil drops it.
	Logger *slog.Logger
	// Clock is the system's by default.
	Clock Clock
	// Random gives the run id and the jitter, by default crypto/rand.
	Random io.Reader
	// Workers is the number of commands and hooks that run at once. By default it
	// is the number of cores, and steps with scale_at have their workers beside
	// them.
	Workers int
	// Grace is the time between SIGTERM and SIGKILL, by default DefaultGrace.
	Grace time.Duration
	// Groups hold the commands of steps with limits of memory or processors. Nil
	// leaves the limits to rlimit and the affinity of processes. It stays the
	// caller's.
	Groups *cgroup.Tree
	// Env is the environment of commands, by default that of the process. A valid
	// TRACEPARENT in it gives the correlation id of all units.
	Env []string
	// Progress is told what happens. The calls come one after the other; a slow
	// one holds the run up. Nil is allowed.
	Progress func(Event)
}

// Runner executes one pipeline. Run may be called again after it has returned.
type Runner struct {
	options Options
	dir     string // of the pipeline file, absolute
	work    string
	trace   string
	env     []string
	prints  []string // fingerprint per step
	rules   []string // rules fingerprint per step
	fans    []queue.FanIn
	log     *slog.Logger
	client  *http.Client
	bounded bool // by Options.Workers, steps with scale_at included
	random  sync.Mutex
	telling sync.Mutex  // of Options.Progress
	filling atomic.Bool // a stream is still read
	foreign databases
}

// New checks the options and that every program of the pipeline is there; such
// problems come as the error of Pipeline.Check.
func New(o Options) (*Runner, error) {
	if o.Pipeline == nil {
		return nil, errors.New("runner: no pipeline")
	}
	if err := o.Pipeline.Check(); err != nil {
		return nil, err
	}
	if o.Queue == nil {
		return nil, errors.New("runner: no queue")
	}
	bounded := o.Workers > 0
	if !bounded {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.Look <= 0 {
		o.Look = time.Second
	}
	if o.Worker == "" {
		host, _ := os.Hostname()
		o.Worker = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if o.Clock == nil {
		o.Clock = systemClock{o.Queue}
	}
	if o.Random == nil {
		o.Random = crand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.RunID == "" {
		id, err := ulid.New(ulid.Timestamp(o.Clock.Now()), o.Random)
		if err != nil {
			return nil, fmt.Errorf("make a run id: %w", err)
		}
		o.RunID = id.String()
	}
	r := &Runner{options: o, bounded: bounded, client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	r.fans = fanIns(o.Pipeline)
	r.log = o.Logger.With("pipeline", o.Pipeline.Name)
	var err error
	if r.dir, err = filepath.Abs(o.Pipeline.Dir); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(r.dir, ".profiler", "runs", o.Pipeline.Name)
	}
	if r.work, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	for _, v := range o.Env {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case name == "TRACEPARENT":
			r.trace = traceID(value)
		case reserved(name):
		default:
			r.env = append(r.env, v)
		}
	}
	return r, nil
}

// reserved reports whether the runner alone sets this variable for commands.
func reserved(name string) bool {
	switch name {
	case "PROFILER_UNIT_ID", "PROFILER_ATTEMPT", "PROFILER_CORRELATION_ID", "PROFILER_IDEMPOTENCY_KEY",
		"PROFILER_RUN_ID", "PROFILER_PIPELINE", "PROFILER_STEP", pipeline.VariableOutput, "PROFILER_CANARY", "TRACESTATE":
		return true
	}
	return name == pipeline.VariableInput || name == pipeline.VariableInputs || strings.HasPrefix(name, pipeline.VariableInput+"_")
}

// RunID returns the id of the run.
func (r *Runner) RunID() string { return r.options.RunID }

// Dir returns the work directory, absolute.
func (r *Runner) Dir() string { return r.work }

// Run carries all units through the pipeline and returns when nothing is left to
// do. When ctx ends, commands are stopped and what is not finished is reported
// as cancelled, which is no error. The error says that the run as a whole could
// not be carried out: the source cannot be listed, another process works on the
// same store (ErrBusy), or the store or the work directory cannot be written; the
// summary then has what was done until then.
func (r *Runner) Run(ctx context.Context) (Summary, error) {
	p := r.options.Pipeline
	empty := newSummary(p, r.options.RunID)
	for i := range p.Steps {
		if p.Steps[i].Worker {
			return empty, fmt.Errorf("step %q waits for workers of the lease API; run the pipeline in profiler serve (pipelines: in profiler.yaml)", p.Steps[i].Name)
		}
	}
	if p.Source != nil && p.Source.HTTP != nil {
		return empty, fmt.Errorf("source: http waits for what is sent to %s; run the pipeline in profiler serve (pipelines: in profiler.yaml)", p.Source.HTTP.Path)
	}
	unlock, err := lock(r.options.Queue)
	if err != nil {
		return empty, err
	}
	defer unlock()
	defer r.foreign.close()
	if err := r.prepare(ctx); err != nil {
		return empty, err
	}
	since, err := r.options.Queue.LastEvent(ctx)
	if err != nil {
		return empty, err
	}
	units, err := r.units(ctx)
	failpoint.Hit("after_source")
	var in *intake
	if err == nil && p.Source.Streams() {
		in, err = r.intake(ctx, false)
	}
	if err == nil {
		err = r.begin(ctx, units)
	}
	pulled := func(bool) error { return nil }
	if err == nil && in != nil {
		q := r.options.Queue
		if err = errors.Join(q.Filled(ctx, p.Name, r.options.RunID), q.Fill(ctx, r.options.RunID)); err == nil {
			pulled = r.drain(ctx, in)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			empty.Cancelled = true
			return empty, nil
		}
		return empty, err
	}
	stop := r.listen(ctx)
	err = newExecutor(r).work(ctx)
	err = errors.Join(err, pulled(err != nil))
	stop()
	r.warnOfChanges()
	done := context.WithoutCancel(ctx)
	// What came out of a stream is acknowledged: the next run works on it.
	if (ctx.Err() != nil || err != nil) && !p.Source.Streams() {
		err = errors.Join(err, r.options.Queue.Cancel(done, r.options.RunID))
	}
	failpoint.Hit("before_run_end")
	sum, why := r.summarize(done, r.options.RunID, ctx.Err() != nil)
	err = errors.Join(err, why, r.end(done, &sum, ctx.Err() != nil || err != nil))
	return sum, errors.Join(err, r.addEarlier(done, &sum, since))
}

// lock takes the right to work on units. The error is ErrBusy if another process
// has it.
func lock(q *queue.Queue) (unlock func(), err error) {
	unlock, err = q.Lock()
	if errors.Is(err, queue.ErrBusy) {
		return nil, ErrBusy
	}
	return unlock, err
}

// Work takes units of the pipelines from their queue, which is one and the same,
// and carries them through their steps. It looks at no source. With drain it
// returns when nothing is left to do, else when ctx ends; commands that run then
// are stopped and their units given back. Without it it tries again while the store
// or a work directory cannot be written.
func Work(ctx context.Context, runners []*Runner, drain bool) error {
	if len(runners) == 0 {
		return errors.New("runner: no pipelines to work for")
	}
	q := runners[0].options.Queue
	unlock, err := lock(q)
	if err != nil {
		return err
	}
	defer unlock()
	group, ctx := errgroup.WithContext(ctx)
	defer runners[0].listen(ctx)()
	for _, r := range runners {
		if err := errors.Join(r.prepare(ctx), r.define(ctx)); err != nil {
			return err
		}
		defer r.foreign.close()
		group.Go(func() error {
			if drain {
				return newExecutor(r).work(ctx)
			}
			persist(ctx, r.log, "pipeline not worked on", func() error { return r.serveUnits(ctx) })
			return nil
		})
	}
	return group.Wait()
}

// listen hears of units that other processes make ready, until it is stopped.
func (r *Runner) listen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.options.Queue.Listen(ctx); err != nil {
			r.log.Warn("not told about new units, looking for them every second", "err", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// prepare makes the work directory, cleans it and looks at what the steps do.
func (r *Runner) prepare(ctx context.Context) error {
	if err := r.clean(ctx); err != nil {
		return err
	}
	return r.fingerprints()
}

// clean makes the work directory and removes what killed processes left there.
// Where one process works at a time the caller is that one.
func (r *Runner) clean(ctx context.Context) error {
	if err := r.makeDir(); err != nil {
		return err
	}
	if err := r.sweep(ctx, r.options.Queue.Alone()); err != nil {
		return err
	}
	if err := r.sweepOrphans(ctx); err != nil && ctx.Err() == nil {
		r.log.Warn("old files not removed", "err", err)
	}
	return nil
}

func (r *Runner) makeDir() error {
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return fmt.Errorf("work directory: %w", err)
	}
	return nil
}

// fingerprints finds those of the steps and of their rules.
func (r *Runner) fingerprints() error {
	p := r.options.Pipeline
	var prints, all []string
	for i := range p.Steps {
		does, err := fingerprint(p, &p.Steps[i])
		if err != nil {
			return err
		}
		rules := ""
		if r.options.RulesFingerprint != nil {
			if rules, err = r.options.RulesFingerprint(&p.Steps[i]); err != nil {
				return fmt.Errorf("rules of step %q: %w", p.Steps[i].Name, err)
			}
		}
		prints = append(prints, does)
		all = append(all, rules+"/"+string(p.Steps[i].OnFail))
	}
	r.prints, r.rules = prints, all
	return nil
}

// begin offers the units to the first steps. Gates that an earlier run has closed
// are open again: the units that closed them are judged anew.
func (r *Runner) begin(ctx context.Context, units []queue.Offer) error {
	q, p := r.options.Queue, r.options.Pipeline
	if err := r.define(ctx); err != nil {
		return err
	}
	if err := q.Resume(ctx, p.Name); err != nil {
		return err
	}
	var all []queue.Offer
	for i := range p.Steps {
		if len(p.Steps[i].Needs) > 0 {
			continue
		}
		for _, u := range units {
			u.Step = p.Steps[i].Name
			all = append(all, u)
		}
	}
	return q.Begin(ctx, r.options.RunID, p.Name, all...)
}

// end writes how the run ended, and earlier ones whose last units it has worked
// on. A stream that was stopped in the middle leaves units to the next run; its run
// ends with them.
func (r *Runner) end(ctx context.Context, s *Summary, stopped bool) error {
	if !stopped || !r.options.Pipeline.Source.Streams() {
		state := queue.RunEnded
		if s.Cancelled {
			state = queue.RunCancelled
		}
		if err := r.options.Queue.End(ctx, queue.Run{ID: r.options.RunID, State: state, Verdict: s.Verdict.String(), FirstBadStep: s.FirstBadStep}); err != nil {
			return err
		}
	}
	return r.endFinished(ctx)
}

// endFinished ends the runs of the pipeline that have nothing left to do.
func (r *Runner) endFinished(ctx context.Context) error {
	p, q := r.options.Pipeline, r.options.Queue
	open, err := q.FinishedRuns(ctx, p.Name, len(p.FanIns()) > 0)
	if err != nil {
		return err
	}
	for _, id := range open {
		sum, err := r.summarize(ctx, id, false)
		if err != nil {
			return err
		}
		if err := q.End(ctx, queue.Run{ID: id, State: queue.RunEnded, Verdict: sum.Verdict.String(), FirstBadStep: sum.FirstBadStep}); err != nil {
			return err
		}
		r.log.Info("run ended", "run", id, "verdict", sum.Verdict, "dead_letters", len(sum.DeadLetters))
	}
	return nil
}

// warnOfChanges tells which steps name a file that is another one than at the
// start, such as a log that they write: all their units will run again.
func (r *Runner) warnOfChanges() {
	p := r.options.Pipeline
	for i := range p.Steps {
		if now, err := fingerprint(p, &p.Steps[i]); err != nil || now != r.prints[i] {
			r.log.Warn("a file that the command names changed during the run, so that the next run repeats the step", "step", p.Steps[i].Name, "err", err)
		}
	}
}

// fraction returns a random number in [0, 1).
func (r *Runner) fraction() float64 {
	r.random.Lock()
	defer r.random.Unlock()
	var b [8]byte
	if _, err := io.ReadFull(r.options.Random, b[:]); err != nil {
		return 0.5 // the middle of the jitter
	}
	return float64(binary.LittleEndian.Uint64(b[:])>>11) / (1 << 53)
}

// systemClock is the clock of the system.
type systemClock struct{ queue *queue.Queue }

func (systemClock) Now() time.Time { return time.Now() }

func (c systemClock) Wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	c.queue.Wait(ctx, changed, d)
}
