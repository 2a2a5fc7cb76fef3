// Package pagerduty pages people through PagerDuty's Events API, version 2. An
// incident of ours is an alert there; PagerDuty knows it again by its key, so
// that nobody is paged twice.
package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/secret"
)

// DefaultURL is PagerDuty's own address.
const DefaultURL = "https://events.pagerduty.com"

const enqueue = "/v2/enqueue"

// Lengths that PagerDuty takes.
const (
	keyLength  = 32
	maxSummary = 1024
	maxDetail  = 1000 // ours, of each detail
)

// Config is the pagerduty part of a channel in profiler.yaml.
type Config struct {
	// RoutingKey is the integration key of a service, 32 characters.
	RoutingKey secret.Text
	// URL stands for DefaultURL if it is set; without a path it gets
	// /v2/enqueue.
	URL string
}

// Channel is one service of PagerDuty. It is safe for concurrent use.
type Channel struct {
	key      string
	url      string
	client   *http.Client
	external string
}

var _ alert.Previewer = (*Channel)(nil)

// Notifier checks the configuration and returns the channel; it does not ask
// PagerDuty. Without a key the error is alert.ErrNoSecret.
func (c Config) Notifier(o alert.ReceiverOptions) (alert.Notifier, error) {
	key := c.RoutingKey.Reveal()
	switch {
	case c.RoutingKey.IsZero():
		return nil, alert.ErrNoSecret
	case len(key) != keyLength:
		return nil, fmt.Errorf("routing_key has %d characters: an integration key has %d", len(key), keyLength)
	case c.URL != "" && !alert.IsHTTP(c.URL):
		return nil, errors.New("url is not an http or https address")
	}
	return &Channel{key: key, url: address(c.URL), client: alert.NewHTTPClient(o.HTTPClient), external: o.ExternalURL}, nil
}

func address(base string) string {
	if base == "" {
		base = DefaultURL
	}
	if u, err := url.Parse(base); err == nil && strings.Trim(u.Path, "/") == "" {
		return strings.TrimSuffix(base, "/") + enqueue
	}
	return base
}

// event is what PagerDuty takes.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
	Links      []link   `json:"links,omitempty"`
	Payload    *payload `json:"payload,omitempty"` // of a trigger
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp time.Time         `json:"timestamp"`
	Component string            `json:"component,omitempty"` // the first bad step
	Group     string            `json:"group,omitempty"`     // the pipeline
	Class     string            `json:"class,omitempty"`     // the worst check
	Details   map[string]string `json:"custom_details,omitempty"`
}

// The actions of events.
const (
	trigger     = "trigger"
	acknowledge = "acknowledge"
	resolve     = "resolve"
)

// action is what a message means to PagerDuty; "" if it changes nothing there.
// A snoozed incident is quiet for now, as an acknowledged one is. The thread
// remembers the last action.
func action(m *alert.Message) string {
	want := trigger
	switch m.Incident.Status {
	case alert.Resolved:
		return resolve
	case alert.Acknowledged, alert.Snoozed:
		want = acknowledge
	case alert.Pending, alert.Open:
	}
	again := m.Event == alert.EventRaised || m.Event == alert.EventReopened || m.Event == alert.EventRepeated
	if m.Incident.Threads[m.Channel].Message == want && !again {
		return ""
	}
	return want
}

func (c *Channel) event(m *alert.Message, action string) event {
	i := &m.Incident
	e := event{RoutingKey: c.key, Action: action, DedupKey: alert.Fingerprint(i)}
	if action != trigger {
		return e
	}
	e.Client, e.ClientURL = "profiler", c.external
	if l := alert.Link(c.external, i); l != "" {
		text := "Report of " + alert.Clean(i.LastBatch)
		if i.DeadLetters != nil {
			text = "Open incidents"
		}
		e.Links = []link{{l, text}}
	}
	summary := alert.Title(i)
	if lead := alert.Lead(i); lead != "" {
		summary += ". " + lead
	}
	details := alert.Annotations(i)
	delete(details, "summary") // which the event has
	for k, v := range details {
		details[k] = alert.Shorten(v, maxDetail)
	}
	e.Payload = &payload{
		Summary: alert.Shorten(summary, maxSummary), Source: alert.Clean(i.Dataset), Severity: alert.SeverityLabel(i.Severity), Timestamp: i.OpenedAt,
		Component: alert.Clean(i.Origin.Step), Group: alert.Clean(i.Origin.Pipeline), Details: details,
	}
	if len(i.Findings) > 0 {
		e.Payload.Class = alert.Clean(i.Findings[0].ID)
	}
	return e
}

// TakesDigests is true: many incidents at once are one page.
func (c *Channel) TakesDigests() bool { return true }

// digestAction is what a digest means: a page until all of it is over, and no
// further one when it only changes.
func digestAction(d *alert.Digest) string {
	switch {
	case d.Over():
		return resolve
	case d.Thread.Message == trigger:
		return ""
	}
	return trigger
}

// of is the event of a message about an incident or a digest.
func (c *Channel) of(m *alert.Message, action string) event {
	if m.Digest == nil {
		return c.event(m, action)
	}
	e := event{RoutingKey: c.key, Action: action, DedupKey: "digest-" + m.Digest.ID}
	if action != trigger {
		return e
	}
	severity := alert.SeverityLabel(checks.SeverityWarn)
	for i := range m.Digest.Entries {
		if m.Digest.Entries[i].Severity != checks.SeverityWarn {
			severity = alert.SeverityLabel(checks.SeverityFail)
		}
	}
	e.Client, e.ClientURL = "profiler", c.external
	e.Payload = &payload{
		Summary: alert.Shorten(alert.DigestTitle(m.Digest), maxSummary), Source: "profiler", Severity: severity, Timestamp: m.Digest.OpenedAt,
		Details: map[string]string{"incidents": alert.Shorten(alert.Text(m), 10*maxDetail)},
	}
	return e
}

// Preview returns the event with its key masked.
func (c *Channel) Preview(m alert.Message) any {
	act := action(&m)
	if act == "" && m.Digest == nil {
		return nil
	}
	e := c.of(&m, act)
	e.RoutingKey = secret.Mask
	return e
}

// Notify triggers, acknowledges or resolves. Repeating it is harmless.
func (c *Channel) Notify(ctx context.Context, m alert.Message) (alert.Thread, bool, error) {
	act := action(&m)
	if m.Digest != nil {
		act = digestAction(m.Digest)
	}
	if act == "" {
		return alert.Thread{}, false, nil
	}
	event := c.of(&m, act)
	body, err := json.Marshal(event)
	if err != nil {
		return alert.Thread{}, false, alert.Fail(alert.ClientError, "encode event: %w", err)
	}
	if e := alert.Post(ctx, c.client, alert.Request{Who: "PagerDuty", URL: c.url, Body: body, Explain: c.explain}); e != nil {
		return alert.Thread{}, e.Reason.Retryable(), e
	}
	return alert.Thread{Channel: event.DedupKey, Message: act}, false, nil
}

// explain reads what PagerDuty says about an event that it refused.
func (c *Channel) explain(body []byte) string {
	var answer struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	text := strings.Join(append([]string{answer.Message}, answer.Errors...), "; ")
	return strings.ReplaceAll(strings.Trim(text, "; "), c.key, secret.Mask)
}
