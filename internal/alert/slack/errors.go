package slack

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	slackapi "github.com/slack-go/slack"

	"github.com/profilerhq/profiler/internal/alert"
)

// fail makes the error of a delivery.
func fail(reason alert.Reason, format string, args ...any) *alert.Error {
	return alert.Fail(reason, format, args...)
}

// doer sends requests for slack-go and turns every answer but 200 into an
// error of ours, so that no URL, which may hold a secret, gets into a text.
type doer struct {
	client *http.Client
	// keep lets 4xx answers through, whose body says what is wrong.
	keep bool
}

// Do sends the request.
func (d doer) Do(req *http.Request) (*http.Response, error) {
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, transport(err)
	}
	code := resp.StatusCode
	refused := code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout
	if code == http.StatusOK || d.keep && refused {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, alert.MaxAnswer), resp.Body}
		return resp, nil
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, alert.MaxAnswer))
	_ = resp.Body.Close()
	if e := alert.StatusError("Slack", resp); e != nil {
		return nil, e
	}
	return nil, fail(alert.ClientError, "Slack answered %d: check the URL in the configuration of the channel", code)
}

func transport(err error) *alert.Error { return alert.TransportError("Slack", err) }

// classify turns what slack-go returns into an error of ours. name is the
// channel in the configuration.
func (c *Channel) classify(name string, err error) *alert.Error {
	if e, ok := errors.AsType[*alert.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[slackapi.SlackErrorResponse](err); ok {
		return c.refusal(name, named(e.Err))
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) {
		return fail(alert.ServerError, "the answer is not Slack's: check alerts.channels.%s.slack.api_url", name)
	}
	return transport(err)
}

// refusal explains an error that Slack names.
func (c *Channel) refusal(name, code string) *alert.Error {
	at := "alerts.channels." + name + ".slack"
	switch code {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return fail(alert.RateLimited, "Slack limits the rate of messages (%s)", code)
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "rollup_error":
		return fail(alert.ServerError, "Slack has a problem (%s)", code)
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type":
		return fail(alert.ClientError, "Slack refused the token (%s): check %s.token", code, at)
	case "missing_scope", "no_permission":
		return fail(alert.ClientError, "Slack does not let this token post (%s): add the scope chat:write to the app and install it again", code)
	case "invalid_token", "no_service", "no_team", "no_active_hooks", "action_prohibited":
		return fail(alert.ClientError, "Slack refused the webhook (%s): check %s.webhook_url", code, at)
	case "channel_is_archived", "is_archived":
		return fail(alert.ClientError, "the Slack channel is archived (%s): choose another one in %s", code, at)
	case "not_in_channel":
		return fail(alert.ClientError, "the app is not in the Slack channel %q (%s): invite it there", c.channel, code)
	case "channel_not_found":
		if c.webhook != "" {
			return fail(alert.ClientError, "the webhook's Slack channel is gone (%s): check %s.webhook_url", code, at)
		}
		return fail(alert.ClientError, "Slack has no channel %q for this app (%s): check %s.channel, and invite the app if the channel is private", c.channel, code, at)
	}
	return fail(alert.ClientError, "Slack refused the message (%s)", code)
}

// named makes sure that an error's name from outside is no more than a name.
func named(s string) string {
	s = strings.TrimSpace(s)
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && (r < '0' || r > '9') }
	if s == "" || len(s) > 60 || strings.ContainsFunc(s, odd) {
		return "unknown_error"
	}
	return s
}

// layoutRefused reports whether Slack took offence at the blocks.
func layoutRefused(code string) bool {
	switch code {
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "blocks_not_supported":
		return true
	}
	return false
}
