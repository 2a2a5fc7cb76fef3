// Package webhook tells any HTTP server about incidents, in the body that
// Alertmanager sends to its webhooks (version 4), signed with a shared secret.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/secret"
)

// SignatureHeader carries "t=UNIX,v1=HEX", where HEX is the HMAC-SHA-256 of
// "UNIX.BODY" with the secret.
const SignatureHeader = "Profiler-Signature"

// KeyHeader carries the key of the message, the same at each try, by which a
// receiver can tell a repeat.
const KeyHeader = "Idempotency-Key"

// Config is the webhook part of a channel in profiler.yaml. The address may
// hold a secret too.
type Config struct {
	URL secret.Text
	// Secret signs the body; empty leaves the signature out.
	Secret secret.Text
}

// Channel is one webhook. It is safe for concurrent use.
type Channel struct {
	config   Config
	client   *http.Client
	now      func() time.Time
	external string
}

var _ alert.Previewer = (*Channel)(nil)

// Notifier checks the configuration and returns the channel; it does not ask
// the server. An empty address is alert.ErrNoSecret.
func (c Config) Notifier(o alert.ReceiverOptions) (alert.Notifier, error) {
	switch {
	case c.URL.IsZero() && !c.Secret.IsZero():
		return nil, errors.New("url is missing: name the address of the webhook")
	case c.URL.IsZero():
		return nil, alert.ErrNoSecret
	case !alert.IsHTTP(c.URL.Reveal()):
		return nil, errors.New("url is not an http or https address")
	}
	o = o.WithDefaults()
	return &Channel{config: c, client: alert.NewHTTPClient(o.HTTPClient), now: o.Now, external: o.ExternalURL}, nil
}

// Body is what is sent: the shape of Alertmanager's webhook, version 4. One
// incident is one group with one alert.
type Body struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"` // "firing" or "resolved"
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []Alert           `json:"alerts"`
}

// Alert is the alert of an incident.
type Alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // the zero time while it lasts
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// NewBody returns the body of a message.
func NewBody(m *alert.Message, external string) Body {
	i := &m.Incident
	status := "firing"
	if i.Status == alert.Resolved {
		status = "resolved"
	}
	labels, group := alert.Labels(i, i.Owner, alert.SeverityLabel(i.Severity)), alert.GroupLabels(i)
	notes := alert.Annotations(i)
	notes["event"], notes["incident_status"] = string(m.Event), string(i.Status)
	return Body{
		Version: "4", GroupKey: groupKey(group),
		Status: status, Receiver: m.Channel,
		GroupLabels:  group,
		CommonLabels: labels, CommonAnnotations: notes, ExternalURL: external,
		Alerts: []Alert{{
			Status: status, Labels: labels, Annotations: notes, StartsAt: i.OpenedAt, EndsAt: i.ResolvedAt,
			GeneratorURL: alert.Link(external, i), Fingerprint: alert.Fingerprint(i),
		}},
	}
}

// groupKey writes labels as Alertmanager writes those of a group.
func groupKey(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{}:{" + strings.Join(parts, ", ") + "}"
}

// Preview returns the body.
func (c *Channel) Preview(m alert.Message) any { return NewBody(&m, c.external) }

// Notify posts the message. An answer that got lost makes it post again, with
// the same key.
func (c *Channel) Notify(ctx context.Context, m alert.Message) (alert.Thread, bool, error) {
	body, err := json.Marshal(NewBody(&m, c.external))
	if err != nil {
		return alert.Thread{}, false, alert.Fail(alert.ClientError, "encode message: %w", err)
	}
	h := http.Header{KeyHeader: {m.Key}}
	if !c.config.Secret.IsZero() {
		h.Set(SignatureHeader, Sign(c.config.Secret.Reveal(), c.now(), body))
	}
	if e := alert.Post(ctx, c.client, alert.Request{Who: "the webhook", URL: c.config.URL.Reveal(), Header: h, Body: body}); e != nil {
		return alert.Thread{}, e.Reason.Retryable(), e
	}
	return alert.Thread{Message: alert.Fingerprint(&m.Incident)}, false, nil
}

// Sign returns the signature of a body at a time.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
