package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// channels reads alerts.channels.
func (d *decoder) channels(v value) {
	if v.node.Kind() != yamldoc.Map {
		v.node.Mapping(d.errs)
		return
	}
	for _, e := range v.entries {
		c := Channel{Name: e.key.Raw()}
		if e.value.node.Kind() != yamldoc.Map {
			e.value.node.Mapping(d.errs)
			continue
		}
		for _, k := range e.value.entries {
			kind := k.key.Raw()
			switch {
			case kind == "slack":
				d.slack(&c, k.value)
			case slices.Contains(laterKinds, kind):
				x := k.key.Diagnostic(yamldoc.CodeUnknownKey, "the channel kind %q %s", kind, notYet)
				x.Hint = "use slack"
				d.errs.Add(x)
			default:
				x := k.key.Diagnostic(yamldoc.CodeUnknownKey, "unknown channel kind %q", kind)
				x.Hint = diag.Hint(kind, []string{"slack"})
				d.errs.Add(x)
			}
		}
		if len(e.value.entries) == 0 {
			e.value.node.Errorf(d.errs, yamldoc.CodeMissingKey, "the channel %q has no kind, such as slack", c.Name)
		}
		d.config.Alerts.Channels = append(d.config.Alerts.Channels, c)
	}
}

// slack reads a Slack channel.
func (d *decoder) slack(c *Channel, v value) {
	if v.node.Kind() != yamldoc.Map {
		v.node.Mapping(d.errs)
		return
	}
	s := &c.Slack
	keys := []string{"token", "webhook_url", "channel", "api_url"}
	good := true
	for _, e := range v.entries {
		key := e.key.Raw()
		if !slices.Contains(keys, key) {
			x := e.key.Diagnostic(yamldoc.CodeUnknownKey, "unknown key %q in channel kind \"slack\"", key)
			x.Hint = diag.Hint(key, keys)
			d.errs.Add(x)
			good = false
			continue
		}
		n := e.value.node
		if !d.expand(n) {
			good = false
			continue
		}
		text, ok := n.String(d.errs)
		if good = good && ok; !ok {
			continue
		}
		shown := written(n, text)
		switch key {
		case "token":
			s.Token = NewSecret(text)
			shown = s.Token.String()
		case "webhook_url":
			s.WebhookURL = NewSecret(text)
			shown = s.WebhookURL.String()
		case "channel":
			s.Channel = text
		case "api_url":
			if s.APIURL = text; !validHTTP(text) {
				n.Errorf(d.errs, yamldoc.CodeValue, "expected an http or https address, got %s", n.Describe())
				good = false
			}
		}
		d.config.note("alerts.channels."+c.Name+".slack."+key, shown, origin(e.value))
	}
	if good && !d.draft {
		d.complete(s, v)
	}
}

func validHTTP(text string) bool {
	u, err := url.Parse(text)
	return text == "" || (err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https"))
}

// complete asks the channel itself whether its settings belong together.
func (d *decoder) complete(s *Slack, v value) {
	_, err := slack.New(slack.Options{Config: s.Config()})
	if errors.Is(err, slack.ErrNoSecret) {
		if v.get("token").node != nil || v.get("webhook_url").node != nil {
			return // the environment has an empty one: messages are printed
		}
		v.node.Errorf(d.errs, yamldoc.CodeMissingKey, "missing key \"token\" or \"webhook_url\" in channel kind \"slack\"")
		return
	}
	if err != nil {
		v.node.Errorf(d.errs, yamldoc.CodeValue, "%s", err)
	}
}

// routes reads alerts.routes.
func (d *decoder) routes(v value) {
	if !d.expand(v.node) {
		return
	}
	items, _ := v.node.List(d.errs)
	for i, item := range items {
		m := item.Mapping(d.errs)
		if m == nil {
			continue
		}
		var r alert.Route
		var shown []string
		m.Fill("a route", yamldoc.Fields{
			"match":    func(n *yamldoc.Node) { shown = append(shown, "match: {"+d.match(&r.Match, n)+"}") },
			"channels": func(n *yamldoc.Node) { yamldoc.Set(&r.Channels, n, (*yamldoc.Node).StringList, d.errs) },
			"continue": func(n *yamldoc.Node) {
				if !d.later(n) {
					yamldoc.Set(&r.Continue, n, (*yamldoc.Node).Bool, d.errs)
				}
			},
		}, d.errs)
		m.Required("channels", "a route", d.errs)
		shown = append(shown, "channels: ["+strings.Join(r.Channels, ", ")+"]")
		if r.Continue {
			shown = append(shown, "continue: true")
		}
		d.config.Alerts.Routes = append(d.config.Alerts.Routes, r)
		d.config.note(fmt.Sprintf("alerts.routes[%d]", i), strings.Join(shown, ", "), origin(value{node: item, overlay: v.overlay}))
	}
}

// later reports whether the value can only be read once variables are replaced.
func (d *decoder) later(n *yamldoc.Node) bool { return d.draft && strings.Contains(n.Raw(), "${") }

// match reads what a route is for and returns it as text.
func (d *decoder) match(m *alert.Match, n *yamldoc.Node) string {
	var shown []string
	text := func(key string, set func(string)) func(*yamldoc.Node) {
		return func(n *yamldoc.Node) {
			if d.later(n) {
				return
			}
			s, ok := n.String(d.errs)
			if !ok {
				return
			}
			if s == "" {
				n.Errorf(d.errs, yamldoc.CodeValue, "an empty text matches nothing on purpose: name something or remove the key")
				return
			}
			set(s)
			shown = append(shown, key+": "+written(n, s))
		}
	}
	n.Mapping(d.errs).Fill(`"match"`, yamldoc.Fields{
		"owner": text("owner", func(s string) { m.Owner = s }),
		"tag":   text("tag", func(s string) { m.Tag = s }),
		"dataset": func(n *yamldoc.Node) {
			text("dataset", func(s string) { m.Dataset = s })(n)
			o := alert.Options{Routes: []alert.Route{{Match: alert.Match{Dataset: m.Dataset}}}}
			if o.Validate() != nil {
				n.Errorf(d.errs, yamldoc.CodeValue, "the dataset pattern is broken: close its bracket")
			}
		},
		"severity": func(n *yamldoc.Node) {
			if d.later(n) {
				return
			}
			s, ok := n.OneOf(d.errs, "fail", "warn")
			if !ok {
				return
			}
			m.Severity = "fail"
			if s == "warn" {
				m.Severity = "warn"
			}
			shown = append(shown, "severity: "+s)
		},
	}, d.errs)
	return strings.Join(shown, ", ")
}

// crossCheck reports routes to channels that do not exist. It is for what is in
// force, not for drafts.
func (d *decoder) crossCheck(root value) {
	var names []string
	for _, e := range root.get("alerts").get("channels").entries {
		names = append(names, e.key.Raw())
	}
	for _, item := range root.get("alerts").get("routes").node.Items() {
		if item.Kind() != yamldoc.Map {
			continue
		}
		for _, n := range item.Mapping(d.errs).Get("channels").Items() {
			if !n.IsScalar() || slices.Contains(names, n.Raw()) || strings.Contains(n.Raw(), "${") {
				continue // what has a variable left is reported already
			}
			x := n.Diagnostic(yamldoc.CodeValue, "the channel %q is not configured under alerts.channels", n.Raw())
			if n.FromEnv() {
				x.Message = fmt.Sprintf("%s is no channel under alerts.channels", n.Describe())
			}
			x.Hint = diag.Hint(n.Raw(), names)
			d.errs.Add(x)
		}
	}
}
