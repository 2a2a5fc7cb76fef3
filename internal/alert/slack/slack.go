// Package slack tells a Slack channel about incidents: one message per
// incident, edited in place while it lasts, with a reply in its thread when the
// severity rises or the incident ends.
package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	slackapi "github.com/slack-go/slack"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/secret"
)

// Config is the slack part of a channel in profiler.yaml. Token and WebhookURL
// are secrets.
type Config struct {
	// Token is a bot token (xoxb-…) with the scope chat:write.
	Token secret.Text
	// WebhookURL is an incoming webhook, the reduced mode without edits and
	// threads. Exactly one of Token and WebhookURL is set.
	WebhookURL secret.Text
	// Channel is the name with # or the id of the channel; only for a token.
	Channel string
	// AppToken is an app-level token (xapp-…) with the scope connections:write.
	// With it messages have buttons, whose clicks come by Socket Mode.
	AppToken secret.Text
	// APIURL stands for https://slack.com/api/ if it is set.
	APIURL string
}

// Channel is one Slack channel. It is safe for concurrent use.
type Channel struct {
	api      *slackapi.Client // nil in webhook mode
	socket   *slackapi.Client // for Socket Mode; nil without an app token
	external string
	// plainCharts is set once the workspace refused a chart: the block is rolled
	// out in phases.
	plainCharts atomic.Bool
	hook        doer
	webhook     string
	channel     string
	log         *slog.Logger
}

var (
	_ alert.DigestTaker = (*Channel)(nil)
	_ alert.Previewer   = (*Channel)(nil)
	_ alert.Listener    = (*Channel)(nil)
)

// TakesDigests is true: people read what is posted.
func (c *Channel) TakesDigests() bool { return true }

// Preview returns the texts and blocks of a message.
func (c *Channel) Preview(m alert.Message) any {
	p := map[string]any{"text": summary(&m), "blocks": c.layout(&m)}
	if c.channel != "" {
		p["channel"] = c.channel
	}
	return p
}

// Notifier checks the configuration and returns the channel; it does not ask
// Slack. Without any secret the error is alert.ErrNoSecret.
func (c Config) Notifier(o alert.ReceiverOptions) (alert.Notifier, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	o = o.WithDefaults()
	client := alert.NewHTTPClient(o.HTTPClient)
	ch := &Channel{hook: doer{client, true}, webhook: c.WebhookURL.Reveal(), channel: c.Channel, log: o.Logger, external: o.ExternalURL}
	if !c.Token.IsZero() {
		base := slackapi.APIURL
		if c.APIURL != "" {
			base = strings.TrimSuffix(c.APIURL, "/") + "/"
		}
		ch.api = slackapi.New(c.Token.Reveal(), slackapi.OptionAPIURL(base), slackapi.OptionHTTPClient(doer{client, false}),
			slackapi.OptionLog(log.New(io.Discard, "", 0)))
		if !c.AppToken.IsZero() {
			ch.socket = slackapi.New(c.Token.Reveal(), slackapi.OptionAppLevelToken(c.AppToken.Reveal()), slackapi.OptionAPIURL(base),
				slackapi.OptionHTTPClient(doer{client, false}), slackapi.OptionLog(log.New(io.Discard, "", 0)))
		}
	}
	return ch, nil
}

func (c Config) validate() error {
	switch {
	case c.Token.IsZero() && c.WebhookURL.IsZero():
		return alert.ErrNoSecret
	case !c.Token.IsZero() && !c.WebhookURL.IsZero():
		return errors.New("token and webhook_url are both set: remove one of them")
	case !c.Token.IsZero() && c.Channel == "":
		return errors.New("channel is missing: name the Slack channel, such as \"#data\"")
	case !c.WebhookURL.IsZero() && !c.AppToken.IsZero():
		return errors.New("app_token has no effect with webhook_url, whose messages have no buttons: remove it")
	case !c.WebhookURL.IsZero() && c.Channel != "":
		return errors.New("channel has no effect with webhook_url, which belongs to one channel: remove it")
	case !c.WebhookURL.IsZero() && !alert.IsHTTP(c.WebhookURL.Reveal()):
		return errors.New("webhook_url is not an http or https address")
	case c.APIURL != "" && !alert.IsHTTP(c.APIURL):
		return fmt.Errorf("api_url %q is not an http or https address", c.APIURL)
	}
	return nil
}

// Notify posts, edits or replies as the event asks for. A message that was
// deleted in Slack is posted again. Trying again after an error is harmless,
// except that an answer which got lost may double a post or a reply.
func (c *Channel) Notify(ctx context.Context, m alert.Message) (alert.Thread, bool, error) {
	var t alert.Thread
	var err *alert.Error
	if c.api == nil {
		err = c.notifyHook(ctx, &m)
	} else {
		t, err = c.notifyBot(ctx, &m)
	}
	if err != nil {
		return t, err.Reason.Retryable(), err
	}
	return t, false, nil
}

func (c *Channel) notifyBot(ctx context.Context, m *alert.Message) (alert.Thread, *alert.Error) {
	t := thread(m)
	if t.Message == "" {
		return c.say(ctx, m, c.channel, slackapi.MsgOptionPost())
	}
	now, err := c.say(ctx, m, t.Channel, slackapi.MsgOptionUpdate(t.Message))
	if err != nil {
		if errors.Is(err, errGone) {
			return c.say(ctx, m, c.channel, slackapi.MsgOptionPost())
		}
		return alert.Thread{}, err
	}
	if news := reply(m); news != "" {
		options := []slackapi.MsgOption{slackapi.MsgOptionTS(t.Message), quiet(cut(news, roomText, true))}
		if m.Event == alert.EventRepeated { // nobody reads threads of yesterday
			options = append(options, slackapi.MsgOptionBroadcast())
		}
		_, _, err := c.api.PostMessageContext(ctx, t.Channel, options...)
		if err != nil {
			return now, c.classify(m.Channel, err)
		}
	}
	return now, nil
}

// thread is where the message stands that a message changes.
func thread(m *alert.Message) alert.Thread {
	if m.Digest != nil {
		return m.Digest.Thread
	}
	return m.Incident.Threads[m.Channel]
}

// reply is what the thread of a message that stands is told.
func reply(m *alert.Message) string {
	switch {
	case m.Digest != nil && m.Digest.Over():
		return alert.DigestTitle(m.Digest)
	case m.Digest != nil || m.Weekly != nil:
		return ""
	}
	return alert.News(m)
}

// errGone says that the message to edit is not there any more, or is too old.
var errGone = errors.New("message is gone")

// say sends a message with its layout, or as plain text if Slack refuses that.
func (c *Channel) say(ctx context.Context, m *alert.Message, to string, how slackapi.MsgOption) (alert.Thread, *alert.Error) {
	blocks := c.layout(m)
	channel, ts, _, err := c.api.SendMessageContext(ctx, to, how, quiet(summary(m)), slackapi.MsgOptionBlocks(blocks...))
	if e, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok && c.chartRefused(e.Err, blocks) {
		channel, ts, _, err = c.api.SendMessageContext(ctx, to, how, quiet(summary(m)), slackapi.MsgOptionBlocks(c.layout(m)...))
	}
	if e, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok && layoutRefused(e.Err) {
		c.layoutRefused(ctx, m, e.Err)
		// No blocks at all would leave those of an edited message in place.
		channel, ts, _, err = c.api.SendMessageContext(ctx, to, how, quiet(plain(m)), slackapi.MsgOptionBlocks())
	}
	if e, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok {
		switch e.Err {
		case "message_not_found", "edit_window_closed", "cant_update_message":
			return alert.Thread{}, &alert.Error{Reason: alert.ClientError, Err: errGone}
		}
	}
	switch {
	case err != nil:
		return alert.Thread{}, c.classify(m.Channel, err)
	case ts == "" || channel == "":
		return alert.Thread{}, fail(alert.ServerError, "the answer is not Slack's: it names no message")
	}
	return alert.Thread{Channel: channel, Message: ts}, nil
}

// chartRefused reports whether Slack took offence at a chart, and remembers it:
// the workspace does not have that block yet.
func (c *Channel) chartRefused(code string, blocks []slackapi.Block) bool {
	if !layoutRefused(code) || c.plainCharts.Load() || !slices.ContainsFunc(blocks, isChart) {
		return false
	}
	c.plainCharts.Store(true)
	c.log.Info("slack does not take charts yet, drawing them of characters")
	return true
}

func (c *Channel) layoutRefused(ctx context.Context, m *alert.Message, code string) {
	c.log.LogAttrs(ctx, slog.LevelWarn, "slack refused the layout, sending plain text", slog.String("channel", m.Channel),
		slog.String("dataset", m.Incident.Dataset), slog.String("incident", m.Incident.ID), slog.String("err", code))
}

// quiet sets a text that is escaped already and keeps Slack from looking for
// names and links in it.
func quiet(text string) slackapi.MsgOption {
	return slackapi.MsgOptionCompose(slackapi.MsgOptionText(text, false), slackapi.MsgOptionParse(false),
		slackapi.MsgOptionDisableLinkUnfurl(), slackapi.MsgOptionDisableMediaUnfurl())
}

// notifyHook posts to the webhook. It cannot edit, so what would only change a
// message is left out.
func (c *Channel) notifyHook(ctx context.Context, m *alert.Message) *alert.Error {
	switch m.Event {
	case alert.EventUpdated, alert.EventAcknowledged, alert.EventSnoozed, alert.EventAnswered:
		return nil
	default:
	}
	if m.Digest != nil && m.Digest.Revision > 1 && !m.Digest.Over() {
		return nil
	}
	off := false
	blocks := c.layout(m)
	message := slackapi.WebhookMessage{Text: hookText(m), Blocks: &slackapi.Blocks{BlockSet: blocks}, Parse: "none", UnfurlLinks: &off, UnfurlMedia: &off}
	refused, err := c.post(ctx, m, &message)
	if err == nil && c.chartRefused(refused, blocks) {
		message.Blocks = &slackapi.Blocks{BlockSet: c.layout(m)}
		refused, err = c.post(ctx, m, &message)
	}
	if err == nil && layoutRefused(refused) {
		c.layoutRefused(ctx, m, refused)
		message.Text, message.Blocks = plain(m), nil
		refused, err = c.post(ctx, m, &message)
	}
	if err == nil && refused != "" {
		err = c.refusal(m.Channel, refused)
	}
	return err
}

// hookText leads with the news, as no thread tells it.
func hookText(m *alert.Message) string {
	if m.Digest != nil || m.Weekly != nil {
		return summary(m)
	}
	if news := alert.News(m); news != "" && m.Event != alert.EventResolved {
		return cut(news+". "+alert.Lead(&m.Incident), roomText, true)
	}
	return summary(m)
}

// post sends a webhook message. refused is the error that Slack names in a 4xx
// answer.
func (c *Channel) post(ctx context.Context, m *alert.Message, message *slackapi.WebhookMessage) (refused string, _ *alert.Error) {
	body, err := json.Marshal(message)
	if err != nil {
		return "", fail(alert.ClientError, "encode message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.webhook, bytes.NewReader(body))
	if err != nil {
		return "", fail(alert.ClientError, "the webhook address is broken: check alerts.channels.%s.slack.webhook_url", m.Channel)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.hook.Do(req)
	if err != nil {
		return "", c.classify(m.Channel, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", transport(err)
	case resp.StatusCode != http.StatusOK:
		return named(string(text)), nil
	case strings.TrimSpace(string(text)) != "ok":
		return "", fail(alert.ServerError, "the answer is not Slack's: check alerts.channels.%s.slack.webhook_url", m.Channel)
	}
	return "", nil
}
