package app

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/store"
)

// claimLimit is how many messages of a channel are taken from the outbox at
// once. At one a second they must be sent within the lease of the claim.
const claimLimit = 30

// Waits after a failed delivery; each is the double of the one before, up to
// the last, and half of it is random.
const (
	firstWait   = 5 * time.Second
	longestWait = 5 * time.Minute
)

// courier sends the messages of one channel. Every channel has its own, so that
// a receiver that is down delays nobody else.
type courier struct {
	mu       sync.Mutex // held while it works
	failures int
	next     time.Time // not before
}

// couriers are made as channels appear.
type couriers struct {
	mu  sync.Mutex
	all map[string]*courier
}

func (c *couriers) of(channel string) *courier {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]*courier{}
	}
	if c.all[channel] == nil {
		c.all[channel] = &courier{}
	}
	return c.all[channel]
}

// stories are those that this process has something to tell about at its end.
type stories struct {
	mu  sync.Mutex
	ids []string
}

func (s *stories) add(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if !slices.Contains(s.ids, id) {
			s.ids = append(s.ids, id)
		}
	}
}

func (s *stories) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = nil
	return ids
}

// Tell sends what this process has to tell, at once and within the timeout of
// alerts; what cannot be sent stays in the outbox. One-shot commands call it at
// their end, which Close does.
func (a *App) Tell(ctx context.Context) {
	ids := a.untold.take()
	if len(ids) == 0 || a.Store == nil {
		return
	}
	timeout := a.opts.AlertTimeout
	if timeout == 0 {
		timeout = alert.DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, name := range a.alerting.Load().dispatcher.Channels() {
		wg.Go(func() { a.tellChannel(ctx, name, ids) })
	}
	wg.Wait()
}

// tellChannel sends the messages of some stories to a channel, and of the
// digests that they went into.
func (a *App) tellChannel(ctx context.Context, name string, ids []string) {
	c := a.couriers.of(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		claimed, err := a.Store.Claim(ctx, store.ClaimQuery{Channel: name, Stories: ids, Limit: claimLimit})
		if err != nil || len(claimed) == 0 {
			a.logStore(ctx, err)
			return
		}
		r := a.send(ctx, c, name, claimed)
		if r.down {
			return
		}
		if r.digest != "" && !slices.Contains(ids, r.digest) {
			ids = append(slices.Clone(ids), r.digest)
		}
	}
}

// Flush sends what is due in the outbox, to every channel, and waits for that.
// Channels that did not take a message lately are left alone for a while.
func (a *App) Flush(ctx context.Context) {
	var wg sync.WaitGroup
	for _, name := range a.alerting.Load().dispatcher.Channels() {
		wg.Go(func() { a.flushChannel(ctx, name, true) })
	}
	wg.Wait()
}

// dispatch begins to send what is due, without waiting for it.
func (a *App) dispatch(ctx context.Context) {
	for _, name := range a.alerting.Load().dispatcher.Channels() {
		a.sending.Go(func() { a.flushChannel(ctx, name, false) })
	}
}

func (a *App) flushChannel(ctx context.Context, name string, wait bool) {
	c := a.couriers.of(name)
	if wait {
		c.mu.Lock()
	} else if !c.mu.TryLock() {
		return // it is at work
	}
	defer c.mu.Unlock()
	for ctx.Err() == nil && !a.opts.Now().Before(c.next) {
		claimed, err := a.Store.Claim(ctx, store.ClaimQuery{Channel: name, Limit: claimLimit})
		if err != nil || len(claimed) == 0 {
			a.logStore(ctx, err)
			return
		}
		failpoint.Hit("after_claim")
		if a.send(ctx, c, name, claimed).down {
			return
		}
	}
}

func (a *App) logStore(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		a.log.Error("outbox not read or written", "err", err)
	}
}

// sent is what became of entries of the outbox.
type sent struct {
	down   bool   // the receiver did not take one of them
	digest string // the digest that others went into
}

// send sends claimed entries and settles each of them.
func (a *App) send(ctx context.Context, c *courier, name string, claimed []store.Delivery) (r sent) {
	// What is sent must be settled, even if nobody waits for it any more.
	settle := context.WithoutCancel(ctx)
	rest, digest, err := a.group(settle, name, claimed)
	if err != nil {
		a.logStore(settle, err)
		a.logStore(settle, a.Store.Release(settle, claimed...))
		return sent{down: true}
	}
	r.digest = digest
	var messages []alert.Message
	var entries []store.Delivery
	for _, d := range rest {
		m, ok := a.message(settle, &d)
		if !ok {
			a.logStore(settle, a.Store.GiveUp(settle, d, alert.Thread{}, "there is nothing to tell"))
			continue
		}
		messages, entries = append(messages, m), append(entries, d)
	}
	for k, out := range a.alerting.Load().dispatcher.Deliver(ctx, messages) {
		failpoint.Hit("after_send")
		if a.settle(settle, c, entries[k], out); out.Err != nil && out.Retry {
			r.down = true
		}
		failpoint.Hit("after_settle")
	}
	return r
}

// group takes the first messages of many new incidents, and what concerns those
// that a digest tells, into digests. It returns the others.
func (a *App) group(ctx context.Context, name string, claimed []store.Delivery) (rest []store.Delivery, digest string, err error) {
	set := a.alerting.Load()
	if !set.digests[name] {
		return claimed, "", nil
	}
	into := map[string][]store.Delivery{}
	var openings []alert.Opening
	first := map[string]store.Delivery{}
	for _, d := range claimed {
		in, err := a.incident(ctx, &d)
		switch {
		case err != nil:
			return nil, "", err
		case in == nil || d.Dataset == "":
			rest = append(rest, d)
		case in.Threads[name].Digest != "" && !leaves(d.Event):
			id := in.Threads[name].Digest
			into[id] = append(into[id], d)
		case in.Told[name] == 0 && in.Status != alert.Resolved:
			openings = append(openings, alert.Opening{Story: d.Story, At: in.OpenedAt})
			first[d.Story] = d
		default:
			rest = append(rest, d)
		}
	}
	grouped, err := a.groupOpenings(ctx, name, openings, first, into, set.options)
	if err != nil {
		return nil, "", err
	}
	for _, o := range openings {
		if !slices.Contains(grouped, o.Story) {
			rest = append(rest, first[o.Story])
		}
	}
	slices.SortFunc(rest, func(x, y store.Delivery) int { return int(x.ID - y.ID) })
	for id, all := range into {
		digest = id
		if err := a.Store.IntoDigest(ctx, alert.Digest{ID: id, Channel: name, OpenedAt: a.opts.Now()}, all); err != nil {
			return nil, "", err
		}
		for range all {
			a.suppressed("grouped")
		}
	}
	return rest, digest, nil
}

// leaves reports whether an event takes an incident out of its digest: after a day
// it deserves a message of its own.
func leaves(e alert.Event) bool {
	return e == alert.EventRepeated || e == alert.EventReopened || e == alert.EventWoke
}

func (a *App) groupOpenings(ctx context.Context, name string, openings []alert.Opening, first map[string]store.Delivery, into map[string][]store.Delivery, o alert.Options) ([]string, error) {
	if len(openings) == 0 {
		return nil, nil
	}
	now := a.opts.Now()
	recent, err := a.Store.ToldSince(ctx, name, now.Add(-alert.DigestWithin))
	if err != nil {
		return nil, err
	}
	current, err := a.Store.Digest(ctx, "", name)
	if err != nil {
		return nil, err
	}
	grouped, digest := alert.Group(openings, recent, current, now, o)
	if len(grouped) == 0 {
		return nil, nil
	}
	id := newID()
	if digest != nil {
		id = digest.ID
	}
	for _, story := range grouped {
		into[id] = append(into[id], first[story])
	}
	return grouped, nil
}

// incident returns the incident that an entry is about, nil if it is about none
// or it was deleted.
func (a *App) incident(ctx context.Context, d *store.Delivery) (*alert.Incident, error) {
	if d.Dataset == "" {
		return nil, nil //nolint:nilnil // it is about none
	}
	found, err := a.Store.Incidents(ctx, store.IncidentQuery{ID: d.Story, Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// message makes the message of an entry, of how things stand now. ok is false
// if there is nothing to tell.
func (a *App) message(ctx context.Context, d *store.Delivery) (m alert.Message, ok bool) {
	m = alert.Message{Key: d.Key(), Channel: d.Channel, Event: d.Event, Repeat: d.Repeat}
	switch {
	case d.Event == alert.EventWeekly:
		m.Weekly = &alert.Weekly{}
		return m, json.Unmarshal([]byte(d.Body), m.Weekly) == nil
	case d.Dataset == "":
		dg, err := a.digest(ctx, d.Story)
		a.logStore(ctx, err)
		m.Digest = dg
		return m, dg != nil
	}
	in, err := a.incident(ctx, d)
	a.logStore(ctx, err)
	if in == nil {
		return m, false
	}
	if in.Threads[d.Channel].Digest != "" {
		delete(in.Threads, d.Channel) // it gets a message of its own
	}
	switch told := in.Told[d.Channel] > 0; {
	case !told && in.Status == alert.Resolved:
		m.Event = alert.EventResolved
	case !told:
		m.Event = alert.EventOpened
	case d.Event == alert.EventOpened:
		m.Event = alert.EventUpdated
	}
	m.Incident = *in
	return m, true
}

// digest returns a digest with how its incidents stand.
func (a *App) digest(ctx context.Context, id string) (*alert.Digest, error) {
	d, err := a.Store.Digest(ctx, id, "")
	if err != nil || d == nil {
		return nil, err
	}
	for _, story := range d.Incidents {
		found, err := a.Store.Incidents(ctx, store.IncidentQuery{ID: story, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			d.Entries = append(d.Entries, alert.EntryOf(&found[0], a.opts.ExternalURL))
		}
	}
	return d, nil
}

// settle writes down what became of a message.
func (a *App) settle(ctx context.Context, c *courier, d store.Delivery, out alert.Outcome) {
	d.Event = out.Message.Event
	if d.Repeat {
		a.log.Warn("a message may have been sent twice: an earlier try was cut off", "channel", d.Channel, "message", d.Key())
	}
	var err error
	switch {
	case out.Err == nil && out.Message.Digest != nil:
		c.failures = 0
		err = a.Store.DigestSent(ctx, d, out.Thread, out.Message.Digest.Over())
	case out.Err == nil:
		c.failures = 0
		err = a.Store.Sent(ctx, d, out.Thread)
	case out.Tries == 0:
		err = a.Store.Release(ctx, d)
	case out.Retry:
		err = a.Store.Failed(ctx, d, out.Thread, out.Err.Error(), c.failed(a.opts.Now(), d.Attempts, out.RetryAfter))
		a.complain(d.Channel, out.Err)
	default:
		err = a.Store.GiveUp(ctx, d, out.Thread, out.Err.Error())
		a.complain(d.Channel, out.Err)
	}
	a.logStore(ctx, err)
}

// failed notes a failure and returns when the message may be tried again.
func (c *courier) failed(now time.Time, attempts int, after time.Duration) time.Time {
	c.failures++
	c.next = now.Add(max(backoff(c.failures), after))
	return now.Add(max(backoff(attempts+1), after))
}

// backoff is the wait after a number of failures in a row.
func backoff(failures int) time.Duration {
	wait := longestWait
	if failures < 8 {
		wait = min(firstWait<<(failures-1), longestWait)
	}
	return wait/2 + rand.N(wait/2+1)
}

// complain tells the user of a command that a message is not delivered.
func (a *App) complain(channel string, err error) {
	if a.opts.Messages != nil {
		a.printf("alert: channel %s: %v\n", channel, err)
	}
}

// countIncidents shows the incidents and the queues as metrics.
func (a *App) countIncidents(ctx context.Context) {
	if a.opts.Metrics == nil {
		return
	}
	open, err := a.Store.Incidents(ctx, store.IncidentQuery{Open: true})
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error("incidents not counted", "err", err)
		}
		return
	}
	counts := map[metrics.IncidentKind]int{}
	for _, i := range open {
		counts[metrics.IncidentKind{Severity: string(i.Severity), Status: string(i.Status)}]++
	}
	a.opts.Metrics.Incidents(counts)
	waiting, err := a.Store.Waiting(ctx)
	if err != nil {
		a.logStore(ctx, err)
		return
	}
	for _, name := range a.alerting.Load().dispatcher.Channels() {
		if n, ok := waiting[name]; ok || name != alert.Console {
			a.opts.Metrics.NotificationQueue(name, n)
		}
	}
}

// suppressed counts what is not sent on purpose.
func (a *App) suppressed(reasons ...string) {
	if a.opts.Metrics == nil {
		return
	}
	for _, r := range reasons {
		a.opts.Metrics.Suppressed(r)
	}
}
