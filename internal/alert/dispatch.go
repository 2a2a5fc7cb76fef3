package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Reason is the bounded cause of a failed delivery, as metrics name it.
type Reason string

// The reasons of failed deliveries.
const (
	Timeout     Reason = "timeout"
	Connection  Reason = "connection"
	ClientError Reason = "client_error"
	ServerError Reason = "server_error"
	RateLimited Reason = "rate_limited"
)

// Error is what notifiers return. Its text holds no secret and says what to do
// where a user can do something.
type Error struct {
	Reason Reason
	// RetryAfter is how long the receiver asks to wait; 0 if it did not say.
	RetryAfter time.Duration
	Err        error
}

// Error returns the text of the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrHeld is the error of a message that was not tried, because the receiver
// did not take the one before it.
var ErrHeld = errors.New("held back: the receiver did not take the message before it")

// Notifier delivers messages to one channel. It is called for one message at a
// time per channel. The thread it returns is stored with the incident even
// beside an error, unless it is zero. retry says that the same message may get
// through later; it means nothing without an error. Errors are of type *Error,
// others count as ClientError.
type Notifier interface {
	Notify(ctx context.Context, m Message) (t Thread, retry bool, err error)
}

// Outcome is what became of a message.
type Outcome struct {
	Message Message
	// Thread is where the incident's message now stands in the channel; zero if
	// nothing is to be stored.
	Thread Thread
	// Err is nil if the message was delivered. With Retry it stays in the
	// outbox, and RetryAfter is how long the receiver asked to wait; without, it
	// is given up.
	Err        error
	Retry      bool
	RetryAfter time.Duration
	Reason     Reason
	// Tries counts the calls of the notifier; 0 for messages that were held back.
	Tries int
}

// Observer is told once about each message that was tried: how long delivery
// took with all its waiting, and why it failed or "".
type Observer func(channel string, took time.Duration, reason Reason)

// Defaults of DispatcherOptions.
const (
	DefaultTimeout    = 5 * time.Second
	DefaultTries      = 5
	DefaultBackoff    = 200 * time.Millisecond
	DefaultBackoffMax = 30 * time.Second
)

// DispatcherOptions configure a Dispatcher. Zero values mean the defaults.
type DispatcherOptions struct {
	// Channels are the notifiers by the name that messages use.
	Channels map[string]Notifier
	Logger   *slog.Logger // nil discards
	Observer Observer     // nil is told nothing
	// Timeout bounds one Deliver with all its retries, as one-shot commands need
	// it; a negative one leaves that to the context.
	Timeout time.Duration
	// Tries bounds the tries of one message in one Deliver.
	Tries int
	// Interval is the least time between two messages of a channel; 0 is none.
	Interval time.Duration
	// Backoff is the wait after the first failed try; it doubles up to
	// BackoffMax. Half of each wait is random.
	Backoff, BackoffMax time.Duration
}

// Dispatcher delivers messages with retries. It is safe for concurrent use.
type Dispatcher struct {
	channels map[string]Notifier
	log      *slog.Logger
	observe  Observer
	timeout  time.Duration
	tries    int
	backoff  time.Duration
	maxWait  time.Duration
	interval time.Duration
	lanes    map[string]*lane
}

// lane lets one Deliver at a time into a channel, so that the order of messages
// holds, and remembers when it sent last.
type lane struct {
	turn chan struct{}
	last time.Time
}

// NewDispatcher returns a dispatcher for the channels of the options.
func NewDispatcher(o DispatcherOptions) (*Dispatcher, error) {
	d := &Dispatcher{
		channels: make(map[string]Notifier, len(o.Channels)), lanes: make(map[string]*lane, len(o.Channels)), interval: o.Interval,
		log: o.Logger, observe: o.Observer, timeout: o.Timeout, tries: o.Tries, backoff: o.Backoff, maxWait: o.BackoffMax,
	}
	for name, n := range o.Channels {
		if n == nil {
			return nil, fmt.Errorf("channel %q has no notifier", name)
		}
		d.channels[name], d.lanes[name] = n, &lane{turn: make(chan struct{}, 1)}
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.observe == nil {
		d.observe = func(string, time.Duration, Reason) {}
	}
	if d.timeout == 0 {
		d.timeout = DefaultTimeout
	}
	if d.tries <= 0 {
		d.tries = DefaultTries
	}
	if d.backoff <= 0 {
		d.backoff = DefaultBackoff
	}
	if d.maxWait <= 0 {
		d.maxWait = DefaultBackoffMax
	}
	return d, nil
}

// Channels returns the names of the channels, sorted.
func (d *Dispatcher) Channels() []string { return slices.Sorted(maps.Keys(d.channels)) }

// Deliver sends the messages and returns one outcome for each, in their order.
// It waits until all are sent or given up, at most for the timeout. Channels
// are served at the same time; within one, messages go out in the given order.
// After a failure that may pass the later messages of the channel are held
// back. The thread of a message is handed to the later ones of its incident.
func (d *Dispatcher) Deliver(ctx context.Context, messages []Message) []Outcome {
	if d.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
		defer cancel()
	}
	out := make([]Outcome, len(messages))
	byChannel := map[string][]int{}
	for k := range messages {
		out[k].Message = messages[k]
		byChannel[messages[k].Channel] = append(byChannel[messages[k].Channel], k)
	}
	var wg sync.WaitGroup
	for name, queue := range byChannel {
		wg.Go(func() { d.drain(ctx, name, queue, out) })
	}
	wg.Wait()
	return out
}

// drain sends the messages of one channel; queue holds their places in out.
func (d *Dispatcher) drain(ctx context.Context, name string, queue []int, out []Outcome) {
	n, ok := d.channels[name]
	if !ok {
		for _, k := range queue {
			out[k].Err = fmt.Errorf("the channel %q is not configured under alerts.channels", name)
			out[k].Reason = ClientError
		}
		return
	}
	l := d.lanes[name]
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		for _, k := range queue {
			out[k].Err, out[k].Reason, out[k].Retry = ctx.Err(), Timeout, true
		}
		return
	}
	down := false
	threads := map[string]Thread{}
	for _, k := range queue {
		o := &out[k]
		id := o.Message.Incident.ID
		if down || !sleep(ctx, d.interval-time.Since(l.last)) {
			o.Err, o.Retry, down = ErrHeld, true, true
			continue
		}
		if t, ok := threads[id]; ok {
			o.Message.Incident = o.Message.Incident.clone()
			if o.Message.Incident.Threads == nil {
				o.Message.Incident.Threads = map[string]Thread{}
			}
			o.Message.Incident.Threads[name] = t
		}
		d.send(ctx, name, n, o)
		l.last = time.Now()
		if o.Thread != (Thread{}) {
			threads[id] = o.Thread
		}
		down = o.Err != nil && o.Retry
	}
}

// send tries one message until it is through, refused, out of tries or out of
// time.
func (d *Dispatcher) send(ctx context.Context, name string, n Notifier, o *Outcome) {
	start := time.Now()
	for wait := d.backoff; ; wait = min(2*wait, d.maxWait) {
		o.Tries++
		t, retry, err := call(ctx, n, o.Message)
		if t != (Thread{}) {
			o.Thread = t
		}
		o.Err, o.Retry, o.Reason, o.RetryAfter = err, err != nil && retry, "", 0
		if err == nil {
			break
		}
		o.Reason = ClientError
		if e, ok := errors.AsType[*Error](err); ok {
			o.Reason, o.RetryAfter = e.Reason, e.RetryAfter
		}
		if !retry || o.Tries >= d.tries {
			break
		}
		if !sleep(ctx, max(o.RetryAfter, wait/2+rand.N(wait/2+1))) {
			break
		}
	}
	d.observe(name, time.Since(start), o.Reason)
	if o.Err != nil {
		d.log.LogAttrs(ctx, slog.LevelWarn, "message not delivered", slog.String("channel", name),
			slog.String("dataset", o.Message.Incident.Dataset), slog.String("incident", o.Message.Incident.ID),
			slog.String("reason", string(o.Reason)), slog.Bool("retry", o.Retry), slog.Int("tries", o.Tries),
			slog.Any("err", o.Err))
	}
}

// call turns a panic of a notifier into an error: telling people must never
// stop the work that it tells about.
func call(ctx context.Context, n Notifier, m Message) (t Thread, retry bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, retry, err = Thread{}, false, &Error{Reason: ClientError, Err: fmt.Errorf("BUG: notifier panics: %v", p)}
		}
	}()
	return n.Notify(ctx, m)
}

// sleep waits; it returns false, at once, if the context ends before.
func sleep(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
