package alert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/alertmanager"
	"github.com/profilerhq/profiler/internal/alert/pagerduty"
	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/secret"
)

// canary is in every credential and address of the receivers below.
const canary = "s3cr3t-marked-canary-0123456789a"

// targets are all kinds of receivers, at an address.
func targets(url string) map[string]alert.Receiver {
	return map[string]alert.Receiver{
		"slack bot":     slack.Config{Token: secret.New("xoxb-" + canary), Channel: "#data", APIURL: url + "/api/"},
		"slack webhook": slack.Config{WebhookURL: secret.New(url + "/services/" + canary)},
		"alertmanager":  alertmanager.Config{URLs: []secret.Text{secret.URL(url)}, Token: secret.New(canary)},
		"webhook":       webhook.Config{URL: secret.New(url + "/" + canary), Secret: secret.New(canary)},
		"pagerduty":     pagerduty.Config{RoutingKey: secret.New(canary), URL: url},
	}
}

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func incident() alert.Incident {
	return alert.Incident{
		ID: "01JD0000000000000000000000", Dataset: "shop/orders", Status: alert.Open, Severity: checks.SeverityFail, Owner: "orders-team",
		Origin:   checks.Origin{Pipeline: "daily", Step: "clean", Run: "R1", CorrelationID: "4bf92f35"},
		OpenedAt: noon, UpdatedAt: noon, FirstBatch: "2026-11-01", LastBatch: "2026-11-01", Batches: 1, Rows: 1000, LastRun: "R1", Revision: 1,
		Findings: []checks.Result{
			{ID: "amount.range", Status: checks.Fail, Value: profile.FloatScalar(0.03), Limit: "at most 0 failing rows",
				Message: "30 of 1,000 rows (3 %) are outside 0 … 10,000; first: row 17 is -4.2", Rule: &checks.Rule{File: "rules/orders.yaml", Line: 12}},
			{ID: "customer.in", Status: checks.Fail, Message: "2 of 1,000 rows are not in the list", Limit: "at most 0 failing rows"},
		},
		Folded: []string{"shop/daily"},
	}
}

func message(e alert.Event) alert.Message {
	m := alert.Message{Key: "01JD/1/" + string(e) + "/data", Channel: "data", Event: e, Incident: incident()}
	if e == alert.EventResolved {
		m.Incident.Status, m.Incident.ResolvedAt, m.Incident.Healthy = alert.Resolved, noon.Add(time.Hour), 2
	}
	return m
}

// notifier makes a notifier and keeps what it logs.
func notifier(t *testing.T, r alert.Receiver, client *http.Client) (alert.Notifier, *bytes.Buffer) {
	t.Helper()
	var logs bytes.Buffer
	n, err := r.Notifier(alert.ReceiverOptions{
		HTTPClient: client, Logger: slog.New(slog.NewJSONHandler(&logs, nil)), Now: func() time.Time { return noon.Add(time.Minute) }, ExternalURL: "https://profiler.example/",
	})
	require.NoError(t, err)
	return n, &logs
}

func failed(t *testing.T, err error) *alert.Error {
	t.Helper()
	var e *alert.Error
	require.ErrorAs(t, err, &e)
	return e
}

// TestEveryStatusOfEveryReceiver is the table of what answers mean.
func TestEveryStatusOfEveryReceiver(t *testing.T) {
	t.Parallel()
	meaning := func(code int) (alert.Reason, bool) {
		switch {
		case code == 429:
			return alert.RateLimited, true
		case code == 408 || code >= 500:
			return alert.ServerError, true
		}
		return alert.ClientError, false
	}
	var mu sync.Mutex
	code := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "your request to "+r.URL.Path+" with "+canary)
	}))
	defer srv.Close()
	for name, r := range targets(srv.URL) {
		for c := 300; c < 600; c++ {
			mu.Lock()
			code = c
			mu.Unlock()
			n, logs := notifier(t, r, nil)
			_, retry, err := n.Notify(t.Context(), message(alert.EventOpened))
			e := failed(t, err)
			reason, again := meaning(c)
			require.Equal(t, reason, e.Reason, "%s %d", name, c)
			require.Equal(t, again, retry, "%s %d", name, c)
			want := time.Duration(0)
			if again && c != 408 || c == 408 {
				want = 7 * time.Second
			}
			require.Equal(t, want, e.RetryAfter, "%s %d", name, c)
			require.NotContains(t, err.Error()+logs.String(), canary, "%s %d", name, c)
		}
	}
}

func TestReceiversThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	faults := map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-release:
			}
		},
		"resets": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		},
		"stops in the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	for fault, h := range faults {
		srv := httptest.NewUnstartedServer(h)
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		srv.Start()
		for name, r := range targets(srv.URL) {
			client := &http.Client{}
			want := alert.Connection
			if fault == "hangs" {
				client.Timeout, want = 20*time.Millisecond, alert.Timeout
			}
			n, logs := notifier(t, r, client)
			_, retry, err := n.Notify(t.Context(), message(alert.EventOpened))
			e := failed(t, err)
			if fault == "stops in the answer" && name == "slack bot" {
				want = alert.ServerError // an answer that ends too early is broken JSON to slack-go
			}
			require.Equal(t, want, e.Reason, "%s %s: %v", name, fault, err)
			require.True(t, retry)
			require.NotContains(t, err.Error()+logs.String(), canary)
			require.NotContains(t, err.Error(), srv.URL)
		}
		if fault == "hangs" {
			close(release)
		}
		srv.Close()
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	for name, r := range targets(srv.URL) {
		n, _ := notifier(t, r, nil)
		_, retry, err := n.Notify(t.Context(), message(alert.EventOpened))
		require.ErrorContains(t, err, "redirect (307)", name)
		require.False(t, retry)
	}
}

// recorder is a receiver that takes everything.
type recorder struct {
	mu      sync.Mutex
	bodies  [][]byte
	headers []http.Header
	paths   []string
	status  int
	answer  string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.headers, r.paths = append(r.bodies, b), append(r.headers, q.Header), append(r.paths, q.URL.Path)
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
	_, _ = io.WriteString(w, r.answer)
}

func (r *recorder) last(t *testing.T, v any) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.NotEmpty(t, r.bodies)
	require.NoError(t, json.Unmarshal(r.bodies[len(r.bodies)-1], v))
}

func record(t *testing.T) (*recorder, string) {
	t.Helper()
	r := &recorder{}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return r, srv.URL
}

func notify(t *testing.T, n alert.Notifier, m alert.Message) alert.Thread {
	t.Helper()
	th, _, err := n.Notify(context.WithoutCancel(t.Context()), m)
	require.NoError(t, err)
	return th
}

type sentAlert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
}

func TestAlertmanagerBodies(t *testing.T) {
	t.Parallel()
	rec, url := record(t)
	n, _ := notifier(t, alertmanager.Config{URLs: []secret.Text{secret.URL(url + "/")}, Token: secret.New(canary)}, nil)
	m := message(alert.EventOpened)
	m.Incident.Severity = checks.SeverityWarn
	th := notify(t, n, m)
	require.Equal(t, alert.Thread{Channel: "orders-team", Message: "warning"}, th)
	var got []sentAlert
	rec.last(t, &got)
	require.Equal(t, "/api/v2/alerts", rec.paths[0])
	require.Equal(t, "Bearer "+canary, rec.headers[0].Get("Authorization"))
	require.Len(t, got, 1)
	require.Equal(t, map[string]string{"alertname": "ProfilerIncident", "dataset": "shop/orders", "data_owner": "orders-team", "severity": "warning"}, got[0].Labels)
	require.Equal(t, noon, got[0].StartsAt)
	require.Equal(t, noon.Add(5*time.Minute), got[0].EndsAt, "it ends four intervals after now if nobody refreshes it")
	require.Equal(t, "https://profiler.example/datasets/shop/orders/batches/2026-11-01", got[0].GeneratorURL)
	require.Equal(t, "shop/orders: 2 checks fail", got[0].Annotations["summary"])
	require.Equal(t, "clean", got[0].Annotations["first_bad_step"])
	require.Contains(t, got[0].Annotations["description"], "amount.range: 30 of 1,000 rows")

	// The severity rises: the old labels end, the new ones begin, at once.
	m = message(alert.EventRaised)
	m.Incident.Threads = map[string]alert.Thread{"data": th}
	m.Incident.Origin.Step = "extract"
	th = notify(t, n, m)
	rec.last(t, &got)
	require.Len(t, got, 2)
	require.Equal(t, "warning", got[0].Labels["severity"])
	require.Equal(t, noon.Add(time.Minute), got[0].EndsAt)
	require.Equal(t, "critical", got[1].Labels["severity"])
	require.NotContains(t, got[1].Labels, "step")

	// Refreshing keeps the labels that were sent, whatever the incident is by now.
	i := message(alert.EventOpened).Incident
	i.Owner, i.Status = "others", alert.Acknowledged
	i.Threads = map[string]alert.Thread{"data": th}
	require.NoError(t, n.(alert.Refresher).Refresh(t.Context(), "data", []alert.Incident{i, message(alert.EventResolved).Incident, incident()}))
	rec.last(t, &got)
	require.Len(t, got, 1, "neither resolved incidents nor those it was never told of")
	require.Equal(t, "orders-team", got[0].Labels["data_owner"])
	require.Equal(t, noon.Add(5*time.Minute), got[0].EndsAt)

	m = message(alert.EventResolved)
	m.Incident.Threads = i.Threads
	notify(t, n, m)
	rec.last(t, &got)
	require.Len(t, got, 1)
	require.Equal(t, "critical", got[0].Labels["severity"])
	require.Equal(t, noon.Add(time.Minute), got[0].EndsAt)
}

func TestAlertmanagerPeers(t *testing.T) {
	t.Parallel()
	a, urlA := record(t)
	b, urlB := record(t)
	n, logs := notifier(t, alertmanager.Config{URLs: []secret.Text{secret.URL(urlA), secret.URL(urlB)}}, nil)
	notify(t, n, message(alert.EventOpened))
	require.Len(t, a.bodies, 1)
	require.Len(t, b.bodies, 1)
	a.status = 500
	notify(t, n, message(alert.EventUpdated))
	require.Contains(t, logs.String(), "an Alertmanager of several did not take the alerts")
	b.status, b.answer = 400, `"start time must be before end time"`
	_, retry, err := n.Notify(t.Context(), message(alert.EventUpdated))
	require.EqualError(t, err, "Alertmanager answered 500")
	require.True(t, retry, "one of them may take it later")
	a.status = 400
	_, retry, err = n.Notify(t.Context(), message(alert.EventUpdated))
	require.EqualError(t, err, "Alertmanager answered 400: start time must be before end time")
	require.False(t, retry)
}

func TestWebhookBody(t *testing.T) {
	t.Parallel()
	rec, url := record(t)
	n, _ := notifier(t, webhook.Config{URL: secret.New(url + "/in"), Secret: secret.New(canary)}, nil)
	notify(t, n, message(alert.EventOpened))
	var got webhook.Body
	rec.last(t, &got)
	require.Equal(t, "4", got.Version)
	require.Equal(t, "firing", got.Status)
	require.Equal(t, `{}:{alertname="ProfilerIncident", dataset="shop/orders"}`, got.GroupKey)
	require.Equal(t, "data", got.Receiver)
	require.Equal(t, "https://profiler.example/", got.ExternalURL)
	require.Equal(t, "critical", got.CommonLabels["severity"])
	require.Len(t, got.Alerts, 1)
	require.Equal(t, alert.Fingerprint(&alert.Incident{Dataset: "shop/orders"}), got.Alerts[0].Fingerprint)
	require.True(t, got.Alerts[0].EndsAt.IsZero())
	require.Equal(t, "01JD/1/opened/data", rec.headers[0].Get(webhook.KeyHeader))
	require.Equal(t, webhook.Sign(canary, noon.Add(time.Minute), rec.bodies[0]), rec.headers[0].Get(webhook.SignatureHeader))
	require.True(t, strings.HasPrefix(rec.headers[0].Get(webhook.SignatureHeader), fmt.Sprintf("t=%d,v1=", noon.Add(time.Minute).Unix())))

	notify(t, n, message(alert.EventResolved))
	rec.last(t, &got)
	require.Equal(t, "resolved", got.Status)
	require.Equal(t, noon.Add(time.Hour), got.Alerts[0].EndsAt)

	n, _ = notifier(t, webhook.Config{URL: secret.New(url)}, nil)
	notify(t, n, message(alert.EventOpened))
	require.Empty(t, rec.headers[2].Get(webhook.SignatureHeader), "without a secret there is nothing to sign with")
}

// TestSignature is computed with openssl: printf '1793534400.{"a":1}' | openssl dgst -sha256 -hmac key.
// Dead units are an alert of their own, whatever is known of the data of their step.
func TestDeadUnitsAreAnAlertOfTheirOwn(t *testing.T) {
	t.Parallel()
	m := message(alert.EventOpened)
	letter := &alert.DeadUnit{Unit: "U1", Source: "in/1.csv", Run: "R1", CorrelationID: "C1", Cause: "data", Error: "line 2 is broken", Attempts: 1, At: noon}
	m.Incident = alert.DecideDead(alert.DeadInput{
		Letters: alert.DeadLetters{Pipeline: "daily", Step: "clean", Dead: 1, First: letter, Last: letter}, Died: 1, Dataset: "shop/orders", Owner: "orders-team", Now: noon,
		ID: func() string { return "01JD" },
	}, alert.Options{}).Incident
	labels := map[string]string{
		"alertname": "ProfilerIncident", "dataset": "shop/orders", "data_owner": "orders-team", "severity": "critical",
		"check": "dead_letters", "pipeline": "daily", "step": "clean",
	}
	lead := "dead_letters: 1 dead letter at step clean of pipeline daily: in/1.csv (data, 1 attempt): line 2 is broken"
	advice := "look profiler dlq list --pipeline daily --step clean · once it is mended profiler dlq replay U1 · if it is not wanted profiler dlq discard U1"

	rec, url := record(t)
	n, _ := notifier(t, alertmanager.Config{URLs: []secret.Text{secret.URL(url)}}, nil)
	notify(t, n, m)
	var alerts []sentAlert
	rec.last(t, &alerts)
	require.Equal(t, labels, alerts[0].Labels)
	require.Equal(t, lead, alerts[0].Annotations["description"])
	require.Equal(t, advice, alerts[0].Annotations["advice"])
	require.Equal(t, []string{"1", "0", "1", "R1", "C1"}, []string{alerts[0].Annotations["dead_letters"], alerts[0].Annotations["tried_again"], alerts[0].Annotations["given_up"], alerts[0].Annotations["run"], alerts[0].Annotations["correlation"]})
	require.NotContains(t, alerts[0].Annotations, "rows")

	rec, url = record(t)
	n, _ = notifier(t, webhook.Config{URL: secret.New(url)}, nil)
	notify(t, n, m)
	var body webhook.Body
	rec.last(t, &body)
	require.Equal(t, `{}:{alertname="ProfilerIncident", check="dead_letters", dataset="shop/orders", pipeline="daily", step="clean"}`, body.GroupKey)
	require.Equal(t, labels, body.Alerts[0].Labels)
	require.NotEqual(t, alert.Fingerprint(&alert.Incident{Dataset: "shop/orders"}), body.Alerts[0].Fingerprint)

	rec, url = record(t)
	rec.status = http.StatusAccepted
	n, _ = notifier(t, pagerduty.Config{RoutingKey: secret.New(canary), URL: url}, nil)
	notify(t, n, m)
	var page pagerEvent
	rec.last(t, &page)
	require.Equal(t, body.Alerts[0].Fingerprint, page.DedupKey)
	require.Equal(t, "shop/orders: 1 dead letter at step clean. "+lead, page.Payload.Summary)
	require.Equal(t, "dead_letters", page.Payload.Class)
}

func TestSignature(t *testing.T) {
	t.Parallel()
	require.Equal(t, "t=1793534400,v1=4e11c9ce6182943135beab90ba9557b92bb8341300fa1f12d4d650b59e47ac66", webhook.Sign("key", time.Unix(1793534400, 0), []byte(`{"a":1}`)))
}

type pagerEvent struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Links       []struct{ Href, Text string }
	Payload     struct {
		Summary, Source, Severity, Component, Class string
		Timestamp                                   time.Time
		CustomDetails                               map[string]string `json:"custom_details"`
	}
}

func TestPagerDutyEvents(t *testing.T) {
	t.Parallel()
	rec, url := record(t)
	rec.status = http.StatusAccepted
	n, _ := notifier(t, pagerduty.Config{RoutingKey: secret.New(canary), URL: url}, nil)
	notify(t, n, message(alert.EventOpened))
	var got pagerEvent
	rec.last(t, &got)
	require.Equal(t, "/v2/enqueue", rec.paths[0])
	require.Equal(t, canary, got.RoutingKey)
	require.Equal(t, "trigger", got.EventAction)
	require.Equal(t, alert.Fingerprint(&alert.Incident{Dataset: "shop/orders"}), got.DedupKey)
	require.Equal(t, "critical", got.Payload.Severity)
	require.Equal(t, "shop/orders", got.Payload.Source)
	require.Equal(t, "clean", got.Payload.Component)
	require.Equal(t, "amount.range", got.Payload.Class)
	require.Equal(t, noon, got.Payload.Timestamp)
	require.Contains(t, got.Payload.Summary, "shop/orders: 2 checks fail. amount.range: 30 of 1,000 rows")
	require.Equal(t, "2026-11-01", got.Payload.CustomDetails["batch"])
	require.Equal(t, "https://profiler.example/datasets/shop/orders/batches/2026-11-01", got.Links[0].Href)

	m := message(alert.EventUpdated)
	m.Incident.Threads = map[string]alert.Thread{"data": {Message: "trigger"}}
	notify(t, n, m)
	require.Len(t, rec.bodies, 1, "an update changes nothing there")

	m.Event, m.Incident.Status = alert.EventAcknowledged, alert.Acknowledged
	th := notify(t, n, m)
	m.Incident.Threads["data"] = th
	rec.last(t, &got)
	require.Equal(t, "acknowledge", got.EventAction)
	require.NotContains(t, string(rec.bodies[1]), "payload")
	m.Event, m.Incident.Status = alert.EventSnoozed, alert.Snoozed
	notify(t, n, m)
	require.Len(t, rec.bodies, 2, "it is quiet already")

	notify(t, n, message(alert.EventResolved))
	rec.last(t, &got)
	require.Equal(t, "resolve", got.EventAction)
	require.Equal(t, alert.Fingerprint(&alert.Incident{Dataset: "shop/orders"}), got.DedupKey)

	rec.status, rec.answer = 400, `{"status":"invalid event","message":"Event object is invalid","errors":["'`+canary+`' is no key"]}`
	_, retry, err := n.Notify(t.Context(), message(alert.EventOpened))
	require.EqualError(t, err, "PagerDuty answered 400: Event object is invalid; '<secret>' is no key")
	require.False(t, retry)
}

func TestPagerDutyLengths(t *testing.T) {
	t.Parallel()
	rec, url := record(t)
	n, _ := notifier(t, pagerduty.Config{RoutingKey: secret.New(canary), URL: url + "/other"}, nil)
	m := message(alert.EventOpened)
	m.Incident.Findings[0].Message = strings.Repeat("é", 5000)
	notify(t, n, m)
	var got pagerEvent
	rec.last(t, &got)
	require.Equal(t, "/other", rec.paths[0])
	require.Len(t, []rune(got.Payload.Summary), 1024)
	for k, v := range got.Payload.CustomDetails {
		require.LessOrEqual(t, len([]rune(v)), 1000, k)
	}
	require.Less(t, len(rec.bodies[0]), 512<<10, "PagerDuty takes 512 kB")
}
