// Package alertmanager tells Prometheus Alertmanagers about incidents through
// their API, version 2. Alertmanager forgets what it is not told again, so the
// service refreshes every alert until its incident is resolved.
package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/secret"
)

// RefreshEvery is how often alerts that are not resolved are sent again. They
// end by themselves after four times that.
const RefreshEvery = time.Minute

const expireAfter = 4 * RefreshEvery

// who is the receiver's name in messages.
const who = "Alertmanager"

// Config is the alertmanager part of a channel in profiler.yaml.
type Config struct {
	// URLs are the addresses of all peers, without /api/v2; each is told
	// everything. They may hold a user and a password for basic authentication.
	URLs []secret.Text
	// Token is sent as a bearer token if it is set.
	Token secret.Text
}

// Channel is a cluster of Alertmanagers. It is safe for concurrent use.
type Channel struct {
	peers    []string // addresses of /api/v2/alerts
	header   http.Header
	client   *http.Client
	log      *slog.Logger
	now      func() time.Time
	external string
}

var (
	_ alert.Refresher = (*Channel)(nil)
	_ alert.Previewer = (*Channel)(nil)
)

// Notifier checks the configuration and returns the channel; it does not ask
// Alertmanager.
func (c Config) Notifier(o alert.ReceiverOptions) (alert.Notifier, error) {
	if len(c.URLs) == 0 || len(c.URLs) == 1 && c.URLs[0].IsZero() {
		return nil, errors.New("url is missing: name the address of Alertmanager, such as http://127.0.0.1:9093")
	}
	o = o.WithDefaults()
	ch := &Channel{client: alert.NewHTTPClient(o.HTTPClient), log: o.Logger, now: o.Now, external: o.ExternalURL}
	for _, address := range c.URLs {
		u := address.Reveal()
		if !alert.IsHTTP(u) {
			return nil, errors.New("url is not an http or https address")
		}
		ch.peers = append(ch.peers, strings.TrimSuffix(strings.TrimSuffix(u, "/"), "/api/v2")+"/api/v2/alerts")
	}
	if !c.Token.IsZero() {
		ch.header = http.Header{"Authorization": {"Bearer " + c.Token.Reveal()}}
	}
	return ch, nil
}

// postable is an alert as the API takes it.
type postable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Generator   string            `json:"generatorURL,omitempty"`
}

// Notify sends the alert of an incident, or ends it. When a label changes, as
// the severity does when it rises, the alert with the old ones ends in the same
// request. One peer that takes it is enough. The thread holds the labels that
// may change, the owner and the severity. Repeating it is harmless.
func (c *Channel) Notify(ctx context.Context, m alert.Message) (alert.Thread, bool, error) {
	alerts, t := c.alerts(&m)
	if err := c.post(ctx, m.Channel, alerts); err != nil {
		return alert.Thread{}, err.Reason.Retryable(), err
	}
	return t, false, nil
}

// Preview returns the alerts.
func (c *Channel) Preview(m alert.Message) any {
	alerts, _ := c.alerts(&m)
	return alerts
}

// alerts are those that a message sends, and the thread that comes of them.
func (c *Channel) alerts(m *alert.Message) ([]postable, alert.Thread) {
	i := &m.Incident
	now := c.now()
	t := alert.Thread{Channel: i.Owner, Message: alert.SeverityLabel(i.Severity)}
	var alerts []postable
	if old := i.Threads[m.Channel]; old.Message != "" && old != t {
		alerts = append(alerts, c.alert(i, old, now, true))
	}
	return append(alerts, c.alert(i, t, now, i.Status == alert.Resolved)), t
}

// RefreshEvery is the interval of Refresh.
func (c *Channel) RefreshEvery() time.Duration { return RefreshEvery }

// Refresh sends the alerts of incidents again, with the labels that they were
// sent with.
func (c *Channel) Refresh(ctx context.Context, channel string, incidents []alert.Incident) error {
	now := c.now()
	var alerts []postable
	for k := range incidents {
		i := &incidents[k]
		if t := i.Threads[channel]; t.Message != "" && i.Status != alert.Resolved {
			alerts = append(alerts, c.alert(i, t, now, false))
		}
	}
	if len(alerts) == 0 {
		return nil
	}
	if err := c.post(ctx, channel, alerts); err != nil {
		return err
	}
	return nil
}

func (c *Channel) alert(i *alert.Incident, t alert.Thread, now time.Time, ended bool) postable {
	labels := alert.Labels(i, t.Channel, t.Message)
	p := postable{Labels: labels, Annotations: alert.Annotations(i), StartsAt: i.OpenedAt, EndsAt: now.Add(expireAfter), Generator: alert.Link(c.external, i)}
	if ended {
		p.EndsAt = now
	}
	if !p.EndsAt.After(p.StartsAt) {
		p.StartsAt = p.EndsAt.Add(-time.Millisecond) // Alertmanager refuses an alert that ends as it starts
	}
	return p
}

// post sends alerts to all peers. They do not pass alerts on to each other, so
// each must hear of it; a peer that does not answer hears it at the next
// refresh.
func (c *Channel) post(ctx context.Context, channel string, alerts []postable) *alert.Error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return alert.Fail(alert.ClientError, "encode alerts: %w", err)
	}
	var worst *alert.Error
	reached := false
	for _, peer := range c.peers {
		e := alert.Post(ctx, c.client, alert.Request{Who: who, URL: peer, Header: c.header, Body: body, Explain: explain})
		switch {
		case e == nil:
			reached = true
		case worst == nil || !worst.Reason.Retryable():
			worst = e
		}
	}
	if reached && worst != nil {
		c.log.LogAttrs(ctx, slog.LevelWarn, "an Alertmanager of several did not take the alerts", slog.String("channel", channel), slog.Any("err", worst))
		return nil
	}
	return worst
}

// explain reads the text of a refusal, which is a JSON text.
func explain(body []byte) string {
	var text string
	if json.Unmarshal(body, &text) != nil {
		return ""
	}
	return text
}
