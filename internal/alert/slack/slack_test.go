package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/secret"
)

var day0 = time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)

func incident() alert.Incident {
	return alert.Incident{
		ID: "01JD0000000000000000000000", Dataset: "shop/orders", Status: alert.Open, Severity: checks.SeverityFail, Owner: "orders-team",
		Origin:   checks.Origin{Pipeline: "daily", Step: "clean", Run: "R1", CorrelationID: "4bf92f35"},
		OpenedAt: day0, UpdatedAt: day0, LastBatch: "2026-11-01", Batches: 1, Rows: 1000, LastRun: "R1", Revision: 1,
		Findings: []checks.Result{
			{ID: "amount.range", Status: checks.Fail, Value: profile.FloatScalar(0.03), Limit: "at most 0 failing rows",
				Message: "30 of 1,000 rows (3 %) are outside 0 … 10,000; first: row 17 is -4.2", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 12}},
			{ID: "customer.in", Status: checks.Fail, Message: "2 of 1,000 rows are not in the list", Limit: "at most 0 failing rows", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 20}},
			{ID: "auto", Status: checks.Fail, Value: profile.IntScalar(9), Limit: "7"},
		},
		Folded: []string{"shop/daily"},
	}
}

func message(e alert.Event) alert.Message {
	return alert.Message{Key: "k", Channel: "data", Event: e, Incident: incident()}
}

// piped is a fake Slack inside the test's bubble: connections are pipes, so
// waiting costs no time.
type piped struct{ conns chan net.Conn }

func (p piped) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p piped) Close() error   { return nil }
func (p piped) Addr() net.Addr { return &net.TCPAddr{} }

// serve starts the fake in the current bubble and returns it with a client
// that reaches it under every name.
func serve(t *testing.T) (*slacktest.Server, *http.Client) {
	t.Helper()
	fake, l := slacktest.New(), piped{make(chan net.Conn)}
	srv := &http.Server{Handler: fake, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), ReadHeaderTimeout: time.Hour}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		a, b := net.Pipe()
		select {
		case l.conns <- a:
			return b, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		close(l.conns)
		_ = srv.Close()
		<-done
	})
	return fake, &http.Client{Transport: tr, Timeout: 3 * time.Second}
}

const (
	api  = "http://slack.test/api"
	hook = "http://slack.test" + slacktest.HookPath
)

func bot() Config {
	return Config{Token: secret.New(slacktest.Token), Channel: slacktest.Channel, APIURL: api}
}
func byHook() Config { return Config{WebhookURL: secret.New(hook)} }

func dispatcher(t *testing.T, c Config, client *http.Client, log *slog.Logger) *alert.Dispatcher {
	t.Helper()
	ch, err := c.Notifier(alert.ReceiverOptions{HTTPClient: client, Logger: log})
	require.NoError(t, err)
	d, err := alert.NewDispatcher(alert.DispatcherOptions{Channels: map[string]alert.Notifier{"data": ch}, Logger: log})
	require.NoError(t, err)
	return d
}

// story plays a whole incident through Decide, routes, dispatcher and channel.
type story struct {
	t   *testing.T
	d   *alert.Dispatcher
	cur *alert.Incident
	day int
}

func (s *story) batch(status checks.Status, severity checks.Severity) {
	s.t.Helper()
	o := alert.Options{Channels: []string{"data"}}
	r := checks.Report{Dataset: "shop/orders", Batch: fmt.Sprintf("b%d", s.day), At: day0.AddDate(0, 0, s.day), Rows: 1000,
		Results: []checks.Result{{ID: "amount.range", Status: status, Severity: severity, Message: fmt.Sprintf("%d rows are out of range", s.day+1)}}}
	c := alert.Decide(alert.Input{Current: s.cur, Report: r, Now: day0.Add(time.Duration(s.day) * time.Hour), ID: func() string { return "I1" }}, o)
	s.day++
	require.NotNil(s.t, c)
	var messages []alert.Message
	for _, n := range c.Notices(o) {
		messages = append(messages, alert.Message{Key: alert.Key(n.Story, n.Revision, n.Event, n.Channel), Channel: n.Channel, Event: n.Event, Incident: c.Incident})
	}
	for _, out := range s.d.Deliver(s.t.Context(), messages) {
		require.NoError(s.t, out.Err)
		if out.Thread != (alert.Thread{}) {
			c.Incident.Threads = map[string]alert.Thread{"data": out.Thread}
		}
	}
	s.cur = &c.Incident
}

func TestOneMessageTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	s := story{t: t, d: dispatcher(t, Config{Token: secret.New(slacktest.Token), Channel: slacktest.Channel, APIURL: fake.URL}, nil, nil)}

	s.batch(checks.Fail, checks.SeverityWarn)
	got, err := fake.WaitMessages(t.Context(), 1)
	require.NoError(t, err)
	require.Contains(t, got[0].Text, "shop/orders: 1 check fails. amount.range: 1 rows are out of range")
	require.Equal(t, alert.Thread{Channel: slacktest.ChannelID, Message: got[0].TS}, s.cur.Threads["data"])

	s.batch(checks.Fail, checks.SeverityWarn)
	got = fake.Messages()
	require.Equal(t, 1, got[0].Edits)
	require.Contains(t, string(got[0].Blocks), "2 rows are out of range")
	require.Empty(t, got[0].Replies)

	s.batch(checks.Fail, checks.SeverityFail)
	got = fake.Messages()
	require.Equal(t, 2, got[0].Edits)
	require.Len(t, got[0].Replies, 1)
	require.Equal(t, "Severity rose to fail: shop/orders: 1 check fails", got[0].Replies[0].Text)

	s.batch(checks.Pass, checks.SeverityFail)
	s.batch(checks.Pass, checks.SeverityFail)
	got = fake.Messages()
	require.Len(t, got, 1, "one incident is one message")
	require.Equal(t, 3, got[0].Edits)
	require.Len(t, got[0].Replies, 2)
	require.Equal(t, "Resolved after 2 healthy batches; 3 batches were affected in 4 h", got[0].Replies[1].Text)
	require.Contains(t, string(got[0].Blocks), "shop/orders: resolved")
	require.Equal(t, []string{"chat.postMessage", "chat.update", "chat.update", "chat.postMessage", "chat.update", "chat.postMessage"}, fake.Requests())
}

func TestWebhookPostsWhatItCannotEdit(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	s := story{t: t, d: dispatcher(t, Config{WebhookURL: secret.New(fake.HookURL)}, nil, nil)}
	for _, sev := range []checks.Severity{checks.SeverityWarn, checks.SeverityWarn, checks.SeverityFail} {
		s.batch(checks.Fail, sev)
	}
	s.batch(checks.Pass, "")
	s.batch(checks.Pass, "")
	got := fake.Messages()
	require.Len(t, got, 3, "opened, raised, resolved, but not updated")
	require.Contains(t, got[0].Text, "1 rows are out of range")
	require.Contains(t, got[1].Text, "Severity rose to fail")
	require.Contains(t, got[1].Text, "3 rows are out of range")
	require.Contains(t, got[2].Text, "shop/orders: resolved. Resolved after 2 healthy batches")
	require.Empty(t, s.cur.Threads)
}

func TestSlackMisbehaves(t *testing.T) {
	t.Parallel()
	type faults []slacktest.Fault
	type test struct {
		config Config
		faults faults
		event  alert.Event
		err    string // "" is delivered
		reason alert.Reason
		retry  bool
		tries  int
		took   [2]time.Duration
	}
	ms, s := time.Millisecond, time.Second
	limited := slacktest.Fault{Status: 429, RetryAfter: "1"}
	down := slacktest.Fault{Status: 500}
	token := bot()
	token.Token = secret.New("xoxb-stolen-999")
	nowhere := bot()
	nowhere.Channel = "#nowhere"
	gone := Config{WebhookURL: secret.New("http://slack.test/services/none")}
	tests := map[string]test{
		"429 twice with Retry-After":   {bot(), faults{limited, limited}, alert.EventOpened, "", "", false, 3, [2]time.Duration{2 * s, 2 * s}},
		"429 without Retry-After":      {bot(), faults{{Status: 429}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"429 with an odd Retry-After":  {bot(), faults{{Status: 429, RetryAfter: "soon"}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"429 for longer than there is": {bot(), faults{{Status: 429, RetryAfter: "30"}}, alert.EventOpened, "Slack limits the rate of messages", alert.RateLimited, true, 1, [2]time.Duration{0, 0}},
		"ok:false ratelimited":         {bot(), faults{{Error: "ratelimited"}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"500 twice":                    {bot(), faults{down, {Status: 503}}, alert.EventOpened, "", "", false, 3, [2]time.Duration{300 * ms, 600 * ms}},
		"500 for ever":                 {bot(), faults{down, down, down, down, down, down}, alert.EventOpened, "Slack answered 500", alert.ServerError, true, 5, [2]time.Duration{1500 * ms, 3 * s}},
		"ok:false internal_error":      {bot(), faults{{Error: "internal_error"}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"connection cut":               {bot(), faults{{Cut: true}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"slow once":                    {bot(), faults{{Delay: time.Minute}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{3100 * ms, 3200 * ms}},
		"slow for ever":                {bot(), faults{{Delay: time.Minute}, {Delay: time.Minute}}, alert.EventOpened, "Slack did not answer in time", alert.Timeout, true, 2, [2]time.Duration{5 * s, 5 * s}},
		"not Slack":                    {bot(), faults{{Raw: "<html>"}, {Raw: "{}"}}, alert.EventOpened, "", "", false, 3, [2]time.Duration{300 * ms, 600 * ms}},
		"invalid_blocks":               {bot(), faults{{Error: "invalid_blocks"}}, alert.EventOpened, "", "", false, 1, [2]time.Duration{0, 0}},
		"wrong token":                  {token, nil, alert.EventOpened, "Slack refused the token (invalid_auth): check alerts.channels.data.slack.token", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"unknown channel":              {nowhere, nil, alert.EventOpened, `Slack has no channel "#nowhere" for this app (channel_not_found): check alerts.channels.data.slack.channel, and invite the app if the channel is private`, alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"not in channel":               {bot(), faults{{Error: "not_in_channel"}}, alert.EventOpened, `the app is not in the Slack channel "#data" (not_in_channel): invite it there`, alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"archived":                     {bot(), faults{{Error: "is_archived"}}, alert.EventOpened, "the Slack channel is archived (is_archived): choose another one in alerts.channels.data.slack", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"missing scope":                {bot(), faults{{Error: "missing_scope"}}, alert.EventOpened, "Slack does not let this token post (missing_scope): add the scope chat:write to the app and install it again", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"an error never seen before":   {bot(), faults{{Error: "as_of_2031"}}, alert.EventOpened, "Slack refused the message (as_of_2031)", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"an error that is no name":     {bot(), faults{{Error: "token=xoxb-1 <!channel>"}}, alert.EventOpened, "Slack refused the message (unknown_error)", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"404":                          {bot(), faults{{Status: 404}}, alert.EventOpened, "Slack answered 404: check the URL in the configuration of the channel", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"redirect":                     {bot(), faults{{Status: 307}}, alert.EventOpened, "Slack answered with a redirect (307), which is not followed: check the URL in the configuration of the channel", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"hook: 429 with Retry-After":   {byHook(), faults{limited}, alert.EventOpened, "", "", false, 2, [2]time.Duration{s, s}},
		"hook: 500":                    {byHook(), faults{down}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"hook: cut":                    {byHook(), faults{{Cut: true}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"hook: slow":                   {byHook(), faults{{Delay: time.Minute}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{3100 * ms, 3200 * ms}},
		"hook: not Slack":              {byHook(), faults{{Raw: "<html>"}}, alert.EventOpened, "", "", false, 2, [2]time.Duration{100 * ms, 200 * ms}},
		"hook: invalid_blocks":         {byHook(), faults{{Error: "invalid_blocks"}}, alert.EventOpened, "", "", false, 1, [2]time.Duration{0, 0}},
		"hook: revoked":                {byHook(), faults{{Error: "invalid_token"}}, alert.EventOpened, "Slack refused the webhook (invalid_token): check alerts.channels.data.slack.webhook_url", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"hook: gone":                   {byHook(), faults{{Error: "channel_not_found"}}, alert.EventOpened, "the webhook's Slack channel is gone (channel_not_found): check alerts.channels.data.slack.webhook_url", alert.ClientError, false, 1, [2]time.Duration{0, 0}},
		"hook: not a hook":             {gone, nil, alert.EventOpened, "the answer is not Slack's: check alerts.channels.data.slack.webhook_url", alert.ServerError, true, 5, [2]time.Duration{1500 * ms, 3 * s}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake, client := serve(t)
				fake.Misbehave(tt.faults...)
				var logs bytes.Buffer
				d := dispatcher(t, tt.config, client, slog.New(slog.NewTextHandler(&logs, nil)))
				start := time.Now()
				out := d.Deliver(t.Context(), []alert.Message{message(tt.event)})[0]
				took := time.Since(start)
				if tt.err == "" {
					require.NoError(t, out.Err)
					require.Len(t, fake.Messages(), 1)
				} else {
					require.EqualError(t, out.Err, tt.err)
					require.Empty(t, fake.Messages())
				}
				require.Equal(t, tt.reason, out.Reason)
				require.Equal(t, tt.retry, out.Retry)
				require.Equal(t, tt.tries, out.Tries)
				require.GreaterOrEqual(t, took, tt.took[0])
				require.LessOrEqual(t, took, tt.took[1])
				for _, secret := range []string{slacktest.Token, "xoxb", "hook-secret", "/services/"} {
					require.NotContains(t, logs.String(), secret)
				}
			})
		})
	}
}

func TestRetryAfterReachesTheOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, client := serve(t)
		fake.Misbehave(slacktest.Fault{Status: 429, RetryAfter: "30"})
		out := dispatcher(t, bot(), client, nil).Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})[0]
		require.Equal(t, 30*time.Second, out.RetryAfter)
	})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "99999999999": 24 * time.Hour, "999999": 24 * time.Hour, "x": 0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2025 03:04:35 GMT": 0,
	} {
		require.Equal(t, want, alert.RetryAfter(header, now), header)
	}
}

func TestPlainTextStandsInForARefusedLayout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, client := serve(t)
		d := dispatcher(t, bot(), client, nil)
		out := d.Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})
		require.NotEmpty(t, fake.Messages()[0].Blocks)
		m := message(alert.EventUpdated)
		m.Incident.Threads = map[string]alert.Thread{"data": out[0].Thread}
		fake.Misbehave(slacktest.Fault{Error: "invalid_blocks"})
		require.NoError(t, d.Deliver(t.Context(), []alert.Message{m})[0].Err)
		got := fake.Messages()
		require.Len(t, got, 1)
		require.Equal(t, "[]", string(got[0].Blocks), "the old layout is taken away")
		require.Contains(t, got[0].Text, "rules/orders.yaml:12")
		require.Contains(t, got[0].Text, "first seen at step clean")
	})
}

func TestADeletedMessageIsPostedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, client := serve(t)
		d := dispatcher(t, bot(), client, nil)
		first := d.Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})[0]
		fake.Forget()
		m := message(alert.EventRaised)
		m.Incident.Threads = map[string]alert.Thread{"data": first.Thread}
		out := d.Deliver(t.Context(), []alert.Message{m})[0]
		require.NoError(t, out.Err)
		require.Len(t, fake.Messages(), 1)
		require.NotEqual(t, first.Thread, out.Thread)
		require.Equal(t, fake.Messages()[0].TS, out.Thread.Message)
	})
}

func TestAFailedReplyIsTriedAgainWithoutAnotherMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, client := serve(t)
		d := dispatcher(t, bot(), client, nil)
		first := d.Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})[0]
		m := message(alert.EventRaised)
		m.Incident.Threads = map[string]alert.Thread{"data": first.Thread}
		fake.Misbehave(slacktest.Fault{}, slacktest.Fault{Status: 429, RetryAfter: "2"})
		out := d.Deliver(t.Context(), []alert.Message{m})[0]
		require.NoError(t, out.Err)
		require.Equal(t, 2, out.Tries)
		got := fake.Messages()
		require.Len(t, got, 1)
		require.Equal(t, 2, got[0].Edits)
		require.Len(t, got[0].Replies, 1)
	})
}

func TestALostAnswerMayDoubleAPostButNotAnEdit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, client := serve(t)
		d := dispatcher(t, bot(), client, nil)
		first := d.Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})[0]
		m := message(alert.EventUpdated)
		m.Incident.Threads = map[string]alert.Thread{"data": first.Thread}
		fake.Misbehave(slacktest.Fault{Lost: true, Cut: true})
		require.NoError(t, d.Deliver(t.Context(), []alert.Message{m})[0].Err)
		require.Len(t, fake.Messages(), 1)
		fake.Misbehave(slacktest.Fault{Lost: true, Status: 500})
		require.NoError(t, d.Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})[0].Err)
		require.Len(t, fake.Messages(), 3, "delivery is at least once")
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	for _, c := range []Config{{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: "http://" + addr}, {WebhookURL: secret.New("http://" + addr + slacktest.HookPath)}} {
		ch, err := c.Notifier(alert.ReceiverOptions{})
		require.NoError(t, err)
		_, retry, err := ch.Notify(t.Context(), message(alert.EventOpened))
		require.True(t, retry)
		var e *alert.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, alert.Connection, e.Reason)
		require.Contains(t, err.Error(), "nothing listens on")
		require.NotContains(t, err.Error(), "hook-secret")
	}
}

func TestRedirectsDoNotCarrySecretsAway(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	for _, c := range []Config{{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: srv.URL}, {WebhookURL: secret.New(srv.URL + slacktest.HookPath)}} {
		ch, err := c.Notifier(alert.ReceiverOptions{})
		require.NoError(t, err)
		_, retry, err := ch.Notify(t.Context(), message(alert.EventOpened))
		require.ErrorContains(t, err, "redirect (307)")
		require.False(t, retry)
	}
	require.False(t, reached.Load())
}

func TestNewExplainsWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		c    Config
		want string
	}{
		"both":            {Config{Token: secret.New("xoxb-1"), WebhookURL: secret.New("https://h/x"), Channel: "#a"}, "token and webhook_url are both set: remove one of them"},
		"no channel":      {Config{Token: secret.New("xoxb-1")}, `channel is missing: name the Slack channel, such as "#data"`},
		"useless channel": {Config{WebhookURL: secret.New("https://h/x"), Channel: "#a"}, "channel has no effect with webhook_url, which belongs to one channel: remove it"},
		"webhook":         {Config{WebhookURL: secret.New("hooks.slack.com/secret")}, "webhook_url is not an http or https address"},
		"api":             {Config{Token: secret.New("xoxb-1"), Channel: "#a", APIURL: "ftp://x"}, `api_url "ftp://x" is not an http or https address`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.c.Notifier(alert.ReceiverOptions{})
			require.EqualError(t, err, tt.want)
		})
	}
	_, err := Config{Channel: "#data"}.Notifier(alert.ReceiverOptions{})
	require.ErrorIs(t, err, alert.ErrNoSecret)
	_, err = Config{Token: secret.New("xoxb-1"), Channel: "#data"}.Notifier(alert.ReceiverOptions{})
	require.NoError(t, err)
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	c := Config{Token: secret.New("xoxb-secret"), WebhookURL: secret.New("https://hooks/secret"), Channel: "#data"}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "config", c)
	j, err := json.Marshal(struct{ Config Config }{c})
	require.NoError(t, err)
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), b.String(), string(j)} {
		require.NotContains(t, s, "secret\"", s)
		require.NotContains(t, s, "xoxb-")
		require.NotContains(t, s, "hooks/")
		require.Contains(t, s, "#data")
	}
}

// acting collects what people do.
type acting struct {
	got chan alert.Action
	err error
}

func (a *acting) act(_ context.Context, x alert.Action) error {
	err := a.err // before the test may change it
	a.got <- x
	return err
}

// TestSocketMode clicks at every control of a message, through a lost
// connection too.
func TestSocketMode(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	var logs syncBuffer
	n, err := Config{Token: secret.New(slacktest.Token), AppToken: secret.New(slacktest.AppToken), Channel: slacktest.Channel, APIURL: fake.URL}.
		Notifier(alert.ReceiverOptions{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	require.NoError(t, err)
	ch := n.(alert.Listener)
	require.True(t, ch.Listens())
	_, _, err = ch.Notify(t.Context(), message(alert.EventOpened))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	a := &acting{got: make(chan alert.Action, 1)}
	done := make(chan struct{})
	go func() { defer close(done); ch.Listen(ctx, a.act) }()
	const id = "01JD0000000000000000000000"
	for _, tt := range []struct {
		action, option string
		want           alert.Action
	}{
		{"profiler_ack", "", alert.Action{Incident: id, Who: "ann", Do: alert.EventAcknowledged}},
		{"profiler_snooze", "8h", alert.Action{Incident: id, Who: "ann", Do: alert.EventSnoozed, For: 8 * time.Hour}},
		{"profiler_snooze", "next", alert.Action{Incident: id, Who: "ann", Do: alert.EventSnoozed}},
		{"profiler_answer", "fine-once", alert.Action{Incident: id, Who: "ann", Do: alert.EventAnswered, Answer: alert.AnswerFineOnce}},
	} {
		require.NoError(t, fake.Click(t.Context(), "ann", tt.action, tt.option))
		require.Equal(t, tt.want, <-a.got)
	}
	fake.Hangup()
	a.err = errors.New("the incident of <shop/orders> is resolved")
	require.NoError(t, fake.Click(t.Context(), "bob", "profiler_ack", ""))
	require.Equal(t, "bob", (<-a.got).Who)
	require.NoError(t, fake.Wait(t.Context(), func() bool { return len(fake.Ephemeral()) == 1 }))
	require.Equal(t, "That did not work: the incident of &lt;shop/orders&gt; is resolved", fake.Ephemeral()[0])
	stop()
	<-done
	for _, s := range []string{slacktest.Token, slacktest.AppToken, "ticket-"} {
		require.NotContains(t, logs.String(), s)
	}
}

// syncBuffer is a buffer for several writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestAWrongAppTokenIsSaid(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	var logs syncBuffer
	n, err := Config{Token: secret.New(slacktest.Token), AppToken: secret.New("xapp-stolen"), Channel: slacktest.Channel, APIURL: fake.URL}.
		Notifier(alert.ReceiverOptions{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	n.(alert.Listener).Listen(ctx, func(context.Context, alert.Action) error { return nil })
	require.NotContains(t, logs.String(), "xapp-stolen")
	require.Contains(t, logs.String(), "socket mode of slack ended")
}

func TestChartsAreDrawnWhereSlackDoesNotTakeThem(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	fake.NoCharts = true
	for _, c := range []Config{{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: fake.URL}, {WebhookURL: secret.New(fake.HookURL)}} {
		before := len(fake.Requests())
		d := dispatcher(t, c, nil, nil)
		m := message(alert.EventOpened)
		m.Incident.Chart = &alert.Chart{Column: "a", Bins: []string{"x", "y"}, Past: []float64{10, 90}, Now: []float64{90, 10}}
		require.NoError(t, d.Deliver(t.Context(), []alert.Message{m})[0].Err)
		last := fake.Messages()[len(fake.Messages())-1]
		require.NotContains(t, string(last.Blocks), "data_visualization")
		require.Contains(t, string(last.Blocks), "was ▂█")
		require.NoError(t, d.Deliver(t.Context(), []alert.Message{m})[0].Err)
		require.Len(t, fake.Requests(), before+3, "the second message knows")
	}
}

func TestARepeatIsSeenInTheChannel(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	d := dispatcher(t, Config{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: fake.URL}, nil, nil)
	first := d.Deliver(t.Context(), []alert.Message{message(alert.EventOpened)})[0]
	for k, e := range []alert.Event{alert.EventRaised, alert.EventRepeated, alert.EventReopened} {
		m := message(e)
		m.Incident.Threads = map[string]alert.Thread{"data": first.Thread}
		require.NoError(t, d.Deliver(t.Context(), []alert.Message{m})[0].Err)
		require.Equal(t, e == alert.EventRepeated, fake.Messages()[0].Replies[k].Broadcast)
	}
}

func TestADigestIsOneMessage(t *testing.T) {
	t.Parallel()
	fake := slacktest.Start()
	defer fake.Close()
	d := dispatcher(t, Config{Token: secret.New(slacktest.Token), Channel: "#data", APIURL: fake.URL}, nil, nil)
	i := incident()
	digest := alert.Digest{ID: "D1", Revision: 1, Entries: []alert.Entry{alert.EntryOf(&i, ""), alert.EntryOf(&i, "")}}
	tell := func() {
		out := d.Deliver(t.Context(), []alert.Message{{Key: "k", Channel: "data", Event: alert.EventDigest, Digest: &digest}})[0]
		require.NoError(t, out.Err)
		digest.Thread = out.Thread
		digest.Revision++
	}
	tell()
	digest.Entries[0].Status = alert.Resolved
	tell()
	require.Contains(t, fake.Messages()[0].Text, "2 incidents at once: 1 resolved")
	require.Empty(t, fake.Messages()[0].Replies)
	digest.Entries[1].Status = alert.Resolved
	tell()
	got := fake.Messages()
	require.Len(t, got, 1)
	require.Equal(t, "2 incidents at once: all resolved", got[0].Replies[0].Text)
}
