package slack

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/profilerhq/profiler/internal/alert"
)

// reconnectAfter is the first wait after Socket Mode ended with an error; it
// doubles up to reconnectMost.
const (
	reconnectAfter = time.Second
	reconnectMost  = time.Minute
)

var errAppToken = errors.New("the app token was refused: check app_token")

// Listens reports whether there is an app token.
func (c *Channel) Listens() bool { return c.socket != nil }

// Listen receives clicks by Socket Mode, which needs no port that others can
// reach. Slack hears at once that a click has come; what it does is shown by
// the message, and an error is told to the one who clicked.
func (c *Channel) Listen(ctx context.Context, act func(context.Context, alert.Action) error) {
	wait := reconnectAfter
	for ctx.Err() == nil {
		start := time.Now()
		err := c.listen(ctx, act)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > reconnectMost {
			wait = reconnectAfter
		}
		c.log.LogAttrs(ctx, slog.LevelWarn, "socket mode of slack ended, connecting again", slog.Duration("wait", wait), slog.String("err", socketError(err)))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, reconnectMost)
	}
}

// socketError is an error without addresses, which hold tickets.
func socketError(err error) string {
	switch {
	case err == nil:
		return "the connection was closed"
	case strings.Contains(err.Error(), "://"):
		return "connect to Slack: check app_token and the network"
	}
	return alert.Clean(err.Error())
}

func (c *Channel) listen(ctx context.Context, act func(context.Context, alert.Action) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	client := socketmode.New(c.socket, socketmode.OptionLog(log.New(io.Discard, "", 0)))
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case e := <-client.Events:
			switch e.Type {
			case socketmode.EventTypeInvalidAuth:
				return errAppToken
			case socketmode.EventTypeConnectionError:
				c.log.LogAttrs(ctx, slog.LevelWarn, "socket mode of slack cannot connect, trying again")
			default:
			}
			if e.Type != socketmode.EventTypeInteractive || e.Request == nil {
				continue
			}
			if err := client.AckCtx(ctx, e.Request.EnvelopeID, nil); err != nil && ctx.Err() == nil {
				c.log.LogAttrs(ctx, slog.LevelWarn, "slack does not hear that a click has come", slog.Any("err", err))
			}
			if click, ok := e.Data.(slackapi.InteractionCallback); ok {
				c.clicked(ctx, &click, act)
			}
		}
	}
}

// clicked does what somebody asks for.
func (c *Channel) clicked(ctx context.Context, click *slackapi.InteractionCallback, act func(context.Context, alert.Action) error) {
	if click.Type != slackapi.InteractionTypeBlockActions {
		return
	}
	for _, b := range click.ActionCallback.BlockActions {
		a, ok := actionOf(b)
		if !ok {
			continue
		}
		if a.Who = click.User.Name; a.Who == "" {
			a.Who = click.User.ID
		}
		err := act(ctx, a)
		if err == nil {
			continue
		}
		c.log.LogAttrs(ctx, slog.LevelWarn, "a click was not done", slog.String("incident", a.Incident), slog.Any("err", err))
		text := cut("That did not work: "+alert.Clean(err.Error()), roomText, true)
		if _, err := c.api.PostEphemeralContext(ctx, click.Channel.ID, click.User.ID, quiet(text)); err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "the one who clicked was not told", slog.Any("err", c.classify("", err)))
		}
	}
}

// actionOf reads one of our controls.
func actionOf(b *slackapi.BlockAction) (alert.Action, bool) {
	if b == nil {
		return alert.Action{}, false
	}
	choice, id, _ := strings.Cut(b.SelectedOption.Value, "/")
	switch b.ActionID {
	case actionAck:
		return alert.Action{Incident: b.Value, Do: alert.EventAcknowledged}, b.Value != ""
	case actionSnooze:
		span := map[string]time.Duration{snoozeHour: time.Hour, snoozeDay: 8 * time.Hour, snoozeNext: 0}
		d, known := span[choice]
		return alert.Action{Incident: id, Do: alert.EventSnoozed, For: d}, known && id != ""
	case actionAnswer:
		return alert.Action{Incident: id, Do: alert.EventAnswered, Answer: alert.Answer(choice)}, id != ""
	}
	return alert.Action{}, false
}
