package runner

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// Errors of an Inbox, to be told apart with errors.Is.
var (
	// ErrPath means that no pipeline takes what is sent there.
	ErrPath = errors.New("no pipeline takes data here")
	// ErrTooLarge means that the body is larger than the pipeline takes.
	ErrTooLarge = errors.New("the body is too large")
	// ErrReused means that the idempotency key came with another body before.
	ErrReused = errors.New("the idempotency key was used for another body")
	// ErrBusySteps means that too many units stand before a step.
	ErrBusySteps = errors.New("too many units stand before a step")
	// ErrBody means that the body cannot be read or cut.
	ErrBody = errors.New("the body cannot be taken")
)

// Pushed is one request to an Inbox.
type Pushed struct {
	// Body is read to its end, unless it is too large.
	Body io.Reader
	// Key makes a repeat harmless; empty makes a unit each time.
	Key string
	// Traceparent gives the correlation id if it is valid.
	Traceparent string
}

// Accepted is what became of a request.
type Accepted struct {
	Run           string   `json:"run"`
	Units         []string `json:"units"`
	CorrelationID string   `json:"correlation_id"`
	// Duplicate says that the key is known: nothing was added.
	Duplicate bool `json:"duplicate"`
}

// Inbox takes the units of pipelines whose source is HTTP. It is safe for
// concurrent use, by any number of processes on Postgres.
type Inbox struct{ runners map[string]*Runner }

// NewInbox returns the inbox of pipelines, or an error if two have the same path.
func NewInbox(runners []*Runner) (*Inbox, error) {
	b := &Inbox{map[string]*Runner{}}
	for _, r := range runners {
		s := r.options.Pipeline.Source
		if s == nil || s.HTTP == nil {
			continue
		}
		if other := b.runners[s.HTTP.Path]; other != nil {
			return nil, fmt.Errorf("the pipelines %s and %s both take what is sent to %s; change one of the paths", other.options.Pipeline.Name, r.options.Pipeline.Name, s.HTTP.Path)
		}
		b.runners[s.HTTP.Path] = r
	}
	return b, nil
}

// Accept stores a body as one or more units. When it returns without an error they
// survive a power cut. The errors match ErrPath, ErrTooLarge, ErrReused,
// ErrBusySteps or ErrBody, or say that nothing can be stored now.
func (b *Inbox) Accept(ctx context.Context, path string, in Pushed) (Accepted, error) {
	r := b.runners[path]
	if r == nil {
		return Accepted{}, ErrPath
	}
	room, full, err := r.room(ctx)
	if err != nil {
		return Accepted{}, err
	}
	if room == 0 {
		return Accepted{}, fmt.Errorf("%w: step %s", ErrBusySteps, full)
	}
	return r.accept(ctx, in)
}

// pushRun begins the ids of runs that a request began.
const pushRun = "push-"

// accept stores the body and begins a run of it. The id of the run follows from
// the key, so that of two requests with one key one begins it.
func (r *Runner) accept(ctx context.Context, in Pushed) (Accepted, error) {
	key := in.Key
	if key == "" {
		id, err := r.newID()
		if err != nil {
			return Accepted{}, err
		}
		key = "\x00" + id // no header has this
	}
	root := UnitID(r.options.Pipeline.Name, "http:"+key)
	a := Accepted{Run: pushRun + root, CorrelationID: cmp.Or(traceID(in.Traceparent), root)}
	var units []queue.Offer
	err := r.cutBody(in.Body, root, func(n int, o *origin) error {
		id := root
		if r.options.Pipeline.Source.Portion.Rows > 0 {
			id = UnitID(r.options.Pipeline.Name, fmt.Sprintf("http:%s\x00%d", key, n))
		}
		if err := keepBody(o, id); err != nil {
			return err
		}
		file, err := statSource(filepath.Join(r.originDir(), id))
		if err != nil {
			return fmt.Errorf("store the body: %w", err)
		}
		u := r.offer(id, "push "+id, file.text())
		u.Run, u.Correlation = a.Run, a.CorrelationID
		units, a.Units = append(units, u), append(a.Units, id)
		return nil
	})
	if err != nil {
		return Accepted{}, err
	}
	var all []queue.Offer
	for i := range r.options.Pipeline.Steps {
		s := &r.options.Pipeline.Steps[i]
		for _, u := range units {
			if len(s.Needs) == 0 {
				u.Step = s.Name
				all = append(all, u)
			}
		}
	}
	// What is acknowledged does not depend on the one who waits for the answer.
	first, err := r.options.Queue.BeginOnce(context.WithoutCancel(ctx), a.Run, r.options.Pipeline.Name, time.Time{}, all)
	a.Duplicate = !first
	return a, err
}

// newID returns an id that nobody else has.
func (r *Runner) newID() (string, error) {
	r.random.Lock()
	defer r.random.Unlock()
	id, err := ulid.New(ulid.Timestamp(r.options.Clock.Now()), r.options.Random)
	return id.String(), err
}

func keepBody(o *origin, id string) error {
	_, err := o.keep(id)
	if errors.Is(err, errOther) {
		return ErrReused
	}
	if err != nil {
		return fmt.Errorf("store the body: %w", err)
	}
	return nil
}

// cutBody gives each unit of a body to a function, from 0. The whole body is read
// before the first one is given, so that of a body that breaks off there is none.
func (r *Runner) cutBody(body io.Reader, root string, give func(n int, o *origin) error) error {
	source := r.options.Pipeline.Source
	var parts []*origin
	defer func() {
		for _, o := range parts {
			o.drop()
		}
	}()
	next := func() error {
		o, err := r.newOrigin()
		if err != nil {
			return fmt.Errorf("store the body: %w", err)
		}
		parts = append(parts, o)
		return nil
	}
	limited := &io.LimitedReader{R: body, N: source.HTTP.MaxBytes + 1}
	err := fill(limited, source.Portion, &parts, next)
	switch {
	case err != nil:
		return err
	case limited.N <= 0:
		return fmt.Errorf("%w: this pipeline takes %d bytes", ErrTooLarge, source.HTTP.MaxBytes)
	case len(parts) == 0:
		return fmt.Errorf("%w: it is empty", ErrBody)
	case source.Portion.Rows > 0:
		// The parts alone do not tell a longer body from a repeat.
		list, err := r.newOrigin()
		if err != nil {
			return fmt.Errorf("store the body: %w", err)
		}
		defer list.drop()
		for _, o := range parts {
			if _, err := fmt.Fprintln(list, o.sha()); err != nil {
				return fmt.Errorf("store the body: %w", err)
			}
		}
		if err := keepBody(list, root); err != nil {
			return err
		}
	}
	for n, o := range parts {
		if err := give(n, o); err != nil {
			return err
		}
	}
	return nil
}

// maxParts is how many units one body may be cut to.
const maxParts = 1000

// fill writes the body into as many parts as the cut wants.
func fill(body io.Reader, cut pipeline.Portion, parts *[]*origin, next func() error) error {
	in := bufio.NewReaderSize(body, 64<<10)
	var out *bufio.Writer
	lines := 0
	for {
		piece, err := in.ReadSlice('\n')
		if len(piece) > 0 {
			if out == nil || cut.Rows > 0 && lines == cut.Rows {
				if out != nil {
					if err := out.Flush(); err != nil {
						return fmt.Errorf("store the body: %w", err)
					}
				}
				if len(*parts) == maxParts {
					return fmt.Errorf("%w: it has more than %d times %d records; send several", ErrBody, maxParts, cut.Rows)
				}
				if err := next(); err != nil {
					return err
				}
				out, lines = bufio.NewWriterSize((*parts)[len(*parts)-1], 64<<10), 0
			}
			if _, err := out.Write(piece); err != nil {
				return fmt.Errorf("store the body: %w", err)
			}
			if piece[len(piece)-1] == '\n' {
				lines++
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if out == nil {
				return nil
			}
			if err := out.Flush(); err != nil {
				return fmt.Errorf("store the body: %w", err)
			}
			return nil
		case err != nil:
			return fmt.Errorf("%w: it broke off: %w", ErrBody, err)
		}
	}
}
