package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is what the scripted notifier says to one call.
type answer struct {
	thread Thread
	retry  bool
	err    error
	take   time.Duration
	panics bool
}

// scripted answers its calls in turn and remembers them; after the script all
// goes well.
type scripted struct {
	mu      sync.Mutex
	answers []answer
	got     []string
	threads []Thread
	at      []time.Time
}

func (s *scripted) Notify(ctx context.Context, m Message) (Thread, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, m.Key)
	s.threads = append(s.threads, m.Incident.Threads[m.Channel])
	s.at = append(s.at, time.Now())
	var a answer
	if len(s.answers) > 0 {
		a, s.answers = s.answers[0], s.answers[1:]
	}
	if a.panics {
		panic("nil map")
	}
	if a.take > 0 {
		select {
		case <-time.After(a.take):
		case <-ctx.Done():
			return Thread{}, true, &Error{Reason: Timeout, Err: ctx.Err()}
		}
	}
	return a.thread, a.retry, a.err
}

func msg(incident string, e Event, n int) Message {
	return Message{Key: fmt.Sprintf("%s/%d/%s", incident, n, e), Channel: "data", Event: e, Incident: Incident{ID: incident, Dataset: "shop/orders"}}
}

var (
	errServer  = &Error{Reason: ServerError, Err: errors.New("500")}
	errRefused = &Error{Reason: ClientError, Err: errors.New("token refused")}
)

func limited(after time.Duration) error {
	return &Error{Reason: RateLimited, RetryAfter: after, Err: errors.New("429")}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	opened, resolved := msg("A", EventOpened, 1), msg("A", EventResolved, 4)
	other := msg("B", EventOpened, 1)
	th := Thread{Channel: "C1", Message: "10.1"}
	tests := map[string]struct {
		answers  []answer
		messages []Message
		sent     []string
		errs     []string // of the outcomes, "" for delivered
		retry    []bool
		took     [2]time.Duration // at least, at most
	}{
		"in order": {nil, []Message{opened, other, resolved}, []string{"A/1/opened", "B/1/opened", "A/4/resolved"}, []string{"", "", ""}, []bool{false, false, false}, [2]time.Duration{}},
		"a server error passes": {[]answer{{retry: true, err: errServer}, {retry: true, err: errServer}}, []Message{opened}, []string{"A/1/opened", "A/1/opened", "A/1/opened"}, []string{""}, []bool{false},
			[2]time.Duration{300 * time.Millisecond, 600 * time.Millisecond}},
		"Retry-After is honoured":                   {[]answer{{retry: true, err: limited(3 * time.Second)}}, []Message{opened}, []string{"A/1/opened", "A/1/opened"}, []string{""}, []bool{false}, [2]time.Duration{3 * time.Second, 3 * time.Second}},
		"a wait beyond the deadline is not begun":   {[]answer{{retry: true, err: limited(6 * time.Second)}}, []Message{opened}, []string{"A/1/opened"}, []string{"429"}, []bool{true}, [2]time.Duration{}},
		"a refusal is final, the next one is tried": {[]answer{{err: errRefused}}, []Message{opened, resolved}, []string{"A/1/opened", "A/4/resolved"}, []string{"token refused", ""}, []bool{false, false}, [2]time.Duration{}},
		"later ones of the channel are held":        {[]answer{{retry: true, err: limited(time.Minute)}}, []Message{opened, resolved, other}, []string{"A/1/opened"}, []string{"429", ErrHeld.Error(), ErrHeld.Error()}, []bool{true, true, true}, [2]time.Duration{}},
		"a hanging receiver ends with the time":     {[]answer{{take: time.Hour}}, []Message{opened}, []string{"A/1/opened"}, []string{"context deadline exceeded"}, []bool{true}, [2]time.Duration{5 * time.Second, 5 * time.Second}},
		"a panic is an error":                       {[]answer{{panics: true}}, []Message{opened, other}, []string{"A/1/opened", "B/1/opened"}, []string{"BUG: notifier panics: nil map", ""}, []bool{false, false}, [2]time.Duration{}},
		"tries are bounded":                         {[]answer{{retry: true, err: errServer}, {retry: true, err: errServer}, {retry: true, err: errServer}, {retry: true, err: errServer}}, []Message{opened}, []string{"A/1/opened", "A/1/opened", "A/1/opened"}, []string{"500"}, []bool{true}, [2]time.Duration{300 * time.Millisecond, 600 * time.Millisecond}},
		"threads go on to later messages":           {[]answer{{thread: th}}, []Message{opened, resolved}, []string{"A/1/opened", "A/4/resolved"}, []string{"", ""}, []bool{false, false}, [2]time.Duration{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &scripted{answers: tt.answers}
				observed := map[Reason]int{}
				d, err := NewDispatcher(DispatcherOptions{Channels: map[string]Notifier{"data": n}, Tries: 3,
					Observer: func(channel string, _ time.Duration, r Reason) { observed[r]++ }})
				require.NoError(t, err)
				start := time.Now()
				out := d.Deliver(t.Context(), tt.messages)
				took := time.Since(start)
				require.Equal(t, tt.sent, n.got)
				require.GreaterOrEqual(t, took, tt.took[0])
				require.LessOrEqual(t, took, tt.took[1])
				tried := 0
				for k, o := range out {
					require.Equal(t, tt.messages[k].Key, o.Message.Key)
					if tt.errs[k] == "" {
						require.NoError(t, o.Err, "message %d", k)
					} else {
						require.EqualError(t, o.Err, tt.errs[k], "message %d", k)
					}
					require.Equal(t, tt.retry[k], o.Retry, "message %d", k)
					if o.Tries > 0 {
						tried++
						require.Positive(t, observed[o.Reason])
					}
				}
				sum := 0
				for _, c := range observed {
					sum += c
				}
				require.Equal(t, tried, sum, "the observer hears once of each message tried")
			})
		})
	}
}

func TestThreadsGoOnWithinOneDelivery(t *testing.T) {
	t.Parallel()
	th := Thread{Channel: "C1", Message: "10.1"}
	n := &scripted{answers: []answer{{thread: th}, {}, {thread: Thread{Channel: "C1", Message: "20.2"}, err: errRefused}}}
	d, err := NewDispatcher(DispatcherOptions{Channels: map[string]Notifier{"data": n}})
	require.NoError(t, err)
	in := []Message{msg("A", EventOpened, 1), msg("A", EventRaised, 2), msg("B", EventOpened, 1)}
	in[1].Incident.Threads = map[string]Thread{"other": {}}
	out := d.Deliver(t.Context(), in)
	require.Equal(t, []Thread{{}, th, {}}, n.threads)
	require.Equal(t, map[string]Thread{"other": {}}, in[1].Incident.Threads, "the caller's messages stay as they are")
	require.Equal(t, th, out[0].Thread)
	require.Equal(t, Thread{Channel: "C1", Message: "20.2"}, out[2].Thread, "a thread beside an error is kept")
}

func TestMessagesOfAChannelKeepTheirDistance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &scripted{}
		d, err := NewDispatcher(DispatcherOptions{Channels: map[string]Notifier{"data": n}, Interval: time.Second, Timeout: 3500 * time.Millisecond})
		require.NoError(t, err)
		start := time.Now()
		var in []Message
		for k := range 6 {
			in = append(in, msg(fmt.Sprint(k), EventOpened, 1))
		}
		out := d.Deliver(t.Context(), in)
		require.Len(t, n.got, 4, "at 0, 1, 2 and 3 seconds")
		for k, at := range n.at {
			require.Equal(t, time.Duration(k)*time.Second, at.Sub(start))
		}
		require.ErrorIs(t, out[4].Err, ErrHeld)
		require.True(t, out[5].Retry)
		d.Deliver(t.Context(), in[4:])
		require.Equal(t, 4*time.Second, n.at[4].Sub(start), "another delivery keeps the distance too")
	})
}

func TestChannelsAreIndependent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow, quick := &scripted{answers: []answer{{take: time.Hour}}}, &scripted{}
		d, err := NewDispatcher(DispatcherOptions{Channels: map[string]Notifier{"data": slow, "other": quick}})
		require.NoError(t, err)
		start := time.Now()
		a, b, c := msg("A", EventOpened, 1), msg("A", EventOpened, 1), msg("A", EventOpened, 1)
		b.Channel, c.Channel = "other", "nowhere"
		out := d.Deliver(t.Context(), []Message{a, b, c})
		require.Equal(t, start, quick.at[0])
		require.Equal(t, Timeout, out[0].Reason)
		require.NoError(t, out[1].Err)
		require.EqualError(t, out[2].Err, `the channel "nowhere" is not configured under alerts.channels`)
		require.False(t, out[2].Retry)
	})
}

func TestConcurrentDeliveriesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &scripted{answers: []answer{{take: 2 * time.Second}}}
		d, err := NewDispatcher(DispatcherOptions{Channels: map[string]Notifier{"data": n}, Timeout: -1})
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { d.Deliver(t.Context(), []Message{msg("A", EventOpened, 1)}) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		out := d.Deliver(ctx, []Message{msg("B", EventOpened, 1)})
		require.ErrorIs(t, out[0].Err, context.DeadlineExceeded)
		require.True(t, out[0].Retry)
		out = d.Deliver(t.Context(), []Message{msg("C", EventOpened, 1)})
		require.NoError(t, out[0].Err)
		wg.Wait()
		require.Equal(t, []string{"A/1/opened", "C/1/opened"}, n.got)
	})
}

func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	d, err := NewDispatcher(DispatcherOptions{
		Channels: map[string]Notifier{"data": &scripted{answers: []answer{{err: errRefused}}}},
		Logger:   slog.New(slog.NewTextHandler(&b, nil)),
	})
	require.NoError(t, err)
	d.Deliver(t.Context(), []Message{msg("A", EventOpened, 1)})
	require.Contains(t, b.String(), `msg="message not delivered" channel=data dataset=shop/orders incident=A reason=client_error retry=false tries=1 err="token refused"`)
}

func TestNewDispatcherRefusesNil(t *testing.T) {
	t.Parallel()
	_, err := NewDispatcher(DispatcherOptions{Channels: map[string]Notifier{"data": nil}})
	require.EqualError(t, err, `channel "data" has no notifier`)
}
