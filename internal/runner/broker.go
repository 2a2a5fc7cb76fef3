package runner

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// Errors of a Broker, to be told apart with errors.Is.
var (
	// ErrLease means that a lease is not one that was given out.
	ErrLease = errors.New("this is no lease of this store")
	// ErrUnknownStep means that there is no such step for outside workers.
	ErrUnknownStep = errors.New("no such step")
	// ErrWork means that what a worker sends cannot be used.
	ErrWork = errors.New("the work cannot be taken")
)

// maxInline is the largest input or output inside a message, in bytes.
const maxInline = 1 << 20

// Assignment is a unit that an outside worker has.
type Assignment struct {
	Lease         string  `json:"lease"`
	UnitID        string  `json:"unit_id"`
	Attempt       int     `json:"attempt"`
	CorrelationID string  `json:"correlation_id"`
	Traceparent   string  `json:"traceparent"`
	Idempotency   string  `json:"idempotency_key"`
	Input         Content `json:"input"`
	// Inputs are those of a step that needs several, by step.
	Inputs map[string]Content `json:"inputs,omitempty"`
	// Members are what a step with fan_in joins.
	Members      []Member `json:"members,omitempty"`
	LeaseSeconds float64  `json:"lease_seconds"`
	// Canary says that the unit is a canary, whose result belongs to nothing real.
	Canary bool `json:"canary,omitempty"`
}

// Content is data: inside the message up to 1 MiB, or a path that both sides
// reach.
type Content struct {
	Ref    string `json:"ref,omitempty"`
	Inline []byte `json:"inline,omitempty"` // base64 in JSON
}

// Member is an output that a fan-in joins.
type Member struct {
	Step          string  `json:"step"`
	UnitID        string  `json:"unit_id"`
	CorrelationID string  `json:"correlation_id"`
	Source        string  `json:"source,omitempty"`
	Input         Content `json:"input"`
}

// Rejected is a bad record that a worker reports.
type Rejected struct {
	Record string `json:"record"`
	Reason string `json:"reason"`
	Body   string `json:"body"`
}

// WorkState is what became of a unit.
type WorkState struct {
	State   State          `json:"state"`
	Verdict *checks.Status `json:"verdict"`
	// RunAt is when the unit will be given out again.
	RunAt *time.Time `json:"run_at,omitempty"`
}

// Broker gives units out to workers that do not share the store, and takes their
// results. It is safe for concurrent use, by any number of processes on Postgres.
type Broker struct {
	runners map[string]*Runner
	q       *queue.Queue
	key     []byte
	seen    judgements
}

// NewBroker returns the broker of the pipelines' steps that are for outside
// workers. The runners are of one queue.
func NewBroker(ctx context.Context, runners []*Runner) (*Broker, error) {
	b := &Broker{runners: map[string]*Runner{}}
	for _, r := range runners {
		if err := errors.Join(r.makeDir(), r.fingerprints()); err != nil {
			return nil, err
		}
		b.runners[r.options.Pipeline.Name], b.q = r, r.options.Queue
	}
	if b.q == nil {
		return b, nil
	}
	var err error
	b.key, err = b.q.Secret(ctx)
	return b, err
}

// token names an attempt in a way that nobody else can make up.
type token struct {
	Pipeline, Step, Unit string
	Attempt              int
}

func (b *Broker) sign(t token) string {
	body, err := json.Marshal(t)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	mac := hmac.New(sha256.New, b.key)
	mac.Write(body)
	return base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (b *Broker) read(text string) (t token, r *Runner, err error) {
	body, sum, _ := strings.Cut(text, ".")
	raw, err1 := base64.RawURLEncoding.DecodeString(body)
	got, err2 := base64.RawURLEncoding.DecodeString(sum)
	mac := hmac.New(sha256.New, b.key)
	mac.Write(raw)
	if err1 != nil || err2 != nil || !hmac.Equal(got, mac.Sum(nil)) || json.Unmarshal(raw, &t) != nil {
		return t, nil, ErrLease
	}
	r = b.runners[t.Pipeline]
	if r == nil || r.options.Pipeline.Step(t.Step) == nil {
		return t, nil, ErrUnknownStep
	}
	return t, r, nil
}

// Lease gives out at most n units of a step. It waits for the first one up to the
// given time, and returns none after it.
func (b *Broker) Lease(ctx context.Context, name, step, worker string, n int, wait time.Duration) ([]Assignment, error) {
	r := b.runners[name]
	if r == nil || r.options.Pipeline.Step(step) == nil || !r.options.Pipeline.Step(step).Worker {
		return nil, fmt.Errorf("%w: pipeline %q has no step %q with worker: true", ErrUnknownStep, name, step)
	}
	end := time.Now().Add(wait)
	for {
		changed := b.q.Changed()
		work, err := b.claim(ctx, r, step, worker, n)
		if err != nil || len(work) > 0 || ctx.Err() != nil || !time.Now().Before(end) {
			return work, err
		}
		b.q.Wait(ctx, changed, time.Until(end))
	}
}

func (b *Broker) claim(ctx context.Context, r *Runner, step, worker string, n int) ([]Assignment, error) {
	s := r.options.Pipeline.Step(step)
	leases, err := b.q.Claim(ctx, r.request(s, worker, n, true))
	if err != nil {
		return nil, err
	}
	var out []Assignment
	for i := range leases {
		v := b.visit(r, &leases[i])
		if w, given := b.give(ctx, v); given {
			out = append(out, w)
		} else if v.fatal != nil {
			return out, v.fatal
		}
	}
	return out, nil
}

func (b *Broker) visit(r *Runner, l *queue.Lease) *visit {
	at := 0
	for i := range r.options.Pipeline.Steps {
		if r.options.Pipeline.Steps[i].Name == l.Step {
			at = i
		}
	}
	return &visit{outcome: &outcome{attempts: l.Tries}, r: r, lease: l, step: at, s: &r.options.Pipeline.Steps[at], seen: &b.seen, tell: func(Event) {}}
}

// give prepares a unit for a worker. What needs no worker is done here: a unit
// that is unchanged, one whose output only waits for its verdict, one that cannot
// be read.
func (b *Broker) give(ctx context.Context, v *visit) (w Assignment, given bool) {
	if err := v.attach(ctx); err != nil {
		v.giveBack(ctx, err)
		return w, false
	}
	resumed, err := v.tooLong(ctx)
	switch {
	case err != nil:
	case resumed, v.cause == CauseUnreadable:
		v.end(Dead)
		resumed = true
	default:
		resumed, err = v.resume(ctx)
	}
	if err != nil {
		v.giveBack(ctx, err)
		return w, false
	}
	if !resumed && v.output != "" {
		b.settle(ctx, v)
		return w, false
	}
	if resumed {
		v.commit(ctx)
		return w, false
	}
	w = Assignment{
		Lease: b.sign(token{v.lease.Pipeline, v.lease.Step, v.lease.Unit, v.lease.Attempt}), UnitID: v.lease.Unit, Attempt: v.attempts,
		CorrelationID: v.lease.Correlation, Idempotency: v.idempotencyKey(), LeaseSeconds: v.r.lease(v.s).Seconds(), Canary: v.canary(),
		Traceparent: traceparent(v.lease.Correlation, v.lease.Run, v.s.Name, v.lease.Unit, v.attempts),
	}
	room := int64(maxInline) // of the whole message
	for i, in := range v.inputs {
		c, err := content(in.Path, room)
		if err != nil {
			v.giveBack(ctx, err)
			return w, false
		}
		if v.joined != nil {
			room -= int64(len(c.Inline))
			m := v.joined[i]
			w.Members = append(w.Members, Member{m.Step, m.Unit, m.CorrelationID, m.Source, c})
			continue
		}
		if len(v.inputs) == 1 {
			w.Input = c
			continue
		}
		if w.Inputs == nil {
			w.Inputs = map[string]Content{}
		}
		w.Inputs[in.Step] = c
	}
	return w, true
}

// content puts a small file into the message and names a large one.
func content(path string, room int64) (Content, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Content{}, err
	}
	if info.Size() > room {
		return Content{Ref: path}, nil
	}
	data, err := os.ReadFile(path)
	return Content{Inline: data}, err
}

// settle judges the output of a visit and ends it, or gives it back.
func (b *Broker) settle(ctx context.Context, v *visit) {
	retry := v.judge(ctx)
	switch {
	case v.state == "" && (ctx.Err() != nil || v.fatal != nil):
		v.giveBack(ctx, v.fatal)
	case v.state == "" && retry && v.attempts < v.s.Retry.Attempts:
		v.again(ctx)
	default:
		if v.state == "" {
			v.giveUp()
		}
		v.commit(ctx)
	}
}

// Heartbeat prolongs a lease and returns for how long. The error matches
// queue.ErrFenced if it is over.
func (b *Broker) Heartbeat(ctx context.Context, lease string) (time.Duration, error) {
	t, r, err := b.read(lease)
	if err != nil {
		return 0, err
	}
	d := r.lease(r.options.Pipeline.Step(t.Step))
	return d, b.q.Heartbeat(ctx, &queue.Lease{Key: queue.Key{Pipeline: t.Pipeline, Step: t.Step, Unit: t.Unit}, Attempt: t.Attempt}, d)
}

// held returns the visit of a lease that is still held, or what became of the
// unit if this very attempt has ended.
func (b *Broker) held(ctx context.Context, lease string) (*visit, *WorkState, error) {
	t, r, err := b.read(lease)
	if err != nil {
		return nil, nil, err
	}
	k := queue.Key{Pipeline: t.Pipeline, Step: t.Step, Unit: t.Unit}
	l, row, err := b.q.Held(ctx, k, t.Attempt)
	if errors.Is(err, queue.ErrFenced) && row.Attempt == t.Attempt {
		return nil, stateOf(&row), nil // a repeat gets the same answer
	}
	if err != nil {
		return nil, nil, err
	}
	v := b.visit(r, &l)
	return v, nil, v.attach(ctx)
}

func stateOf(row *queue.Row) *WorkState {
	s := &WorkState{State: State(row.State)}
	if row.Blocking {
		s.State = Blocked
	}
	if row.State == queue.Ready {
		s.RunAt = new(time.UnixMicro(row.RunAtUS).UTC())
	}
	if b := decode(row.Body); b != nil && row.State != queue.Ready {
		s.Verdict = b.Verdict
	}
	return s
}

// Complete takes the output of a unit, profiles and judges it, and commits it.
func (b *Broker) Complete(ctx context.Context, lease string, output Content, rejects []Rejected) (WorkState, error) {
	v, ended, err := b.held(ctx, lease)
	if err != nil || ended != nil {
		return orZero(ended), err
	}
	v.began = true
	if err := v.take(output, rejects); err != nil {
		return WorkState{}, err
	}
	b.settle(ctx, v)
	return b.after(ctx, v)
}

func orZero(s *WorkState) WorkState {
	if s == nil {
		return WorkState{}
	}
	return *s
}

// after tells what became of the unit of a visit.
func (b *Broker) after(ctx context.Context, v *visit) (WorkState, error) {
	if v.fatal != nil {
		return WorkState{}, v.fatal
	}
	row, err := b.q.Get(ctx, v.lease.Key)
	if err != nil {
		return WorkState{}, err
	}
	if row.Attempt != v.lease.Attempt {
		return WorkState{}, queue.ErrFenced
	}
	return *stateOf(&row), nil
}

// take writes what a worker sends as the output of the attempt.
func (v *visit) take(output Content, rejects []Rejected) error {
	dir, name := v.r.stepDir(v.step), v.r.outputName(v.lease)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("work directory: %w", err)
	}
	temporary, final := filepath.Join(dir, "."+name+".tmp"), filepath.Join(dir, name)
	defer os.Remove(temporary) //nolint:errcheck // it is renamed
	switch {
	case output.Ref != "" && len(output.Inline) > 0:
		return fmt.Errorf("%w: the output is inline and a ref; send one", ErrWork)
	case len(output.Inline) > maxInline:
		return fmt.Errorf("%w: the output inside the message has %d bytes, at most %d; write it to a file and send its ref", ErrWork, len(output.Inline), maxInline)
	case output.Ref != "":
		if err := v.r.copyRef(output.Ref, temporary); err != nil {
			return err
		}
	default:
		if err := os.WriteFile(temporary, output.Inline, 0o644); err != nil {
			return fmt.Errorf("store the output: %w", err)
		}
	}
	if err := v.takeRejects(final, rejects); err != nil {
		return err
	}
	if err := publish(temporary, final); err != nil {
		return fmt.Errorf("store the output: %w", err)
	}
	var err error
	if v.sha, v.bytes, err = hashFile(final); err != nil {
		return fmt.Errorf("store the output: %w", err)
	}
	v.output = final
	return nil
}

// copyRef takes a file of the work directory; others are none of a worker's
// business.
func (r *Runner) copyRef(ref, to string) error {
	path, err := filepath.EvalSymlinks(r.path(ref))
	if err != nil {
		return fmt.Errorf("%w: the ref %s: %w", ErrWork, ref, err)
	}
	work, err := filepath.EvalSymlinks(r.work)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(work, path)
	info, statErr := os.Stat(path)
	if err != nil || !filepath.IsLocal(rel) || statErr != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%w: the ref %s is not a file below the work directory %s", ErrWork, ref, r.work)
	}
	if err := os.Link(path, to); err == nil {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

func (v *visit) takeRejects(final string, rejects []Rejected) error {
	if len(rejects) == 0 {
		return nil
	}
	if len(rejects) > maxRejects {
		return fmt.Errorf("%w: more than %d rejected records; fail the unit with the class data", ErrWork, maxRejects)
	}
	var text []byte
	for _, r := range rejects {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	temporary := filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".rejects.tmp")
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("store the rejects: %w", err)
	}
	v.rejectf, v.rejects = final+".rejects", int64(len(rejects))
	return publish(temporary, v.rejectf)
}

// The classes of failures, which mean what the exit codes 65, 75 and 1 mean.
const (
	ClassData      = "data"
	ClassTemporary = "temporary"
	ClassError     = "error"
)

// Fail takes the failure of an attempt. retryAfter is the shortest time until the
// next one.
func (b *Broker) Fail(ctx context.Context, lease, class, message string, retryAfter time.Duration) (WorkState, error) {
	v, ended, err := b.held(ctx, lease)
	if err != nil || ended != nil {
		return orZero(ended), err
	}
	v.began = true
	v.err, v.cause, v.retryAfter = errors.New(strings.ToValidUTF8(message, "\uFFFD")), CauseAttempts, retryAfter
	retry := false
	switch class {
	case ClassData:
		v.cause = CauseData
	case ClassTemporary:
		retry = true
	case ClassError:
		for _, on := range v.s.Retry.On {
			retry = retry || on == pipeline.OnExit
		}
	default:
		return WorkState{}, fmt.Errorf("%w: unknown class %q; write data, temporary or error", ErrWork, class)
	}
	if retry && v.attempts < v.s.Retry.Attempts {
		v.again(ctx)
	} else {
		v.giveUp()
		v.commit(ctx)
	}
	return b.after(ctx, v)
}
