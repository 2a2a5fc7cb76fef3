package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/alertmanager"
	"github.com/profilerhq/profiler/internal/alert/pagerduty"
	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/secret"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// channelKey is a key of a kind of channel.
type channelKey struct {
	name string
	// secret texts are never shown.
	secret bool
	// list takes a list of texts too.
	list bool
	// address is an http or https address, or empty.
	address bool
}

// channelKind is a kind of channel and what its values make.
type channelKind struct {
	name     string
	keys     []channelKey
	receiver func(v channelValues) alert.Receiver
	// needs names the keys of which one must be there.
	needs string
}

// channelValues are the texts of a channel by key.
type channelValues map[string][]string

func (v channelValues) text(key string) string {
	if len(v[key]) == 0 {
		return ""
	}
	return v[key][0]
}

func (v channelValues) secret(key string) secret.Text { return secret.New(v.text(key)) }

// channelKinds are all kinds of channels.
var channelKinds = []channelKind{
	{
		name: "slack", needs: `"token" or "webhook_url"`,
		keys: []channelKey{{name: "token", secret: true}, {name: "webhook_url", secret: true}, {name: "app_token", secret: true}, {name: "channel"}, {name: "api_url", address: true}},
		receiver: func(v channelValues) alert.Receiver {
			return slack.Config{Token: v.secret("token"), WebhookURL: v.secret("webhook_url"), AppToken: v.secret("app_token"), Channel: v.text("channel"), APIURL: v.text("api_url")}
		},
	},
	{
		name: "alertmanager", needs: `"url"`,
		keys: []channelKey{{name: "url", list: true}, {name: "token", secret: true}},
		receiver: func(v channelValues) alert.Receiver {
			c := alertmanager.Config{Token: v.secret("token")}
			for _, u := range v["url"] {
				c.URLs = append(c.URLs, secret.URL(u))
			}
			return c
		},
	},
	{
		name: "webhook", needs: `"url"`,
		keys: []channelKey{{name: "url", secret: true}, {name: "secret", secret: true}},
		receiver: func(v channelValues) alert.Receiver {
			return webhook.Config{URL: v.secret("url"), Secret: v.secret("secret")}
		},
	},
	{
		name: "pagerduty", needs: `"routing_key"`,
		keys: []channelKey{{name: "routing_key", secret: true}, {name: "url", address: true}},
		receiver: func(v channelValues) alert.Receiver {
			return pagerduty.Config{RoutingKey: v.secret("routing_key"), URL: v.text("url")}
		},
	},
}

func kindOf(name string) *channelKind {
	i := slices.IndexFunc(channelKinds, func(k channelKind) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &channelKinds[i]
}

func kindNames() []string {
	var out []string
	for _, k := range channelKinds {
		out = append(out, k.name)
	}
	return out
}

func (k *channelKind) key(name string) *channelKey {
	i := slices.IndexFunc(k.keys, func(k channelKey) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &k.keys[i]
}

func (k *channelKind) keyNames() []string {
	var out []string
	for _, k := range k.keys {
		out = append(out, k.name)
	}
	return out
}

// channels reads alerts.channels.
func (d *decoder) channels(v value) {
	if v.node.Kind() != yamldoc.Map {
		v.node.Mapping(d.errs)
		return
	}
	for _, e := range v.entries {
		if e.value.node.Kind() != yamldoc.Map {
			e.value.node.Mapping(d.errs)
			continue
		}
		d.channel(e.key.Raw(), e.value)
	}
}

// channel reads one channel, which has one kind.
func (d *decoder) channel(name string, v value) {
	c := Channel{Name: name}
	for _, e := range v.entries {
		kind := kindOf(e.key.Raw())
		switch {
		case kind == nil:
			x := e.key.Diagnostic(yamldoc.CodeUnknownKey, "unknown channel kind %q", e.key.Raw())
			x.Hint = diag.Hint(e.key.Raw(), kindNames())
			d.errs.Add(x)
		case c.Kind != "":
			e.key.Errorf(d.errs, yamldoc.CodeValue, "the channel %q is of the kind %q already: give the second one a name of its own", name, c.Kind)
		default:
			c.Kind = kind.name
			c.Receiver = d.receiver(kind, "alerts.channels."+name+"."+kind.name+".", e.value)
		}
	}
	if len(v.entries) == 0 {
		v.node.Errorf(d.errs, yamldoc.CodeMissingKey, "the channel %q has no kind, such as slack", name)
	}
	d.config.Alerts.Channels = append(d.config.Alerts.Channels, c)
}

// receiver reads the keys of a channel and asks the channel itself whether they
// belong together.
func (d *decoder) receiver(kind *channelKind, prefix string, v value) alert.Receiver {
	if v.node.Kind() != yamldoc.Map {
		v.node.Mapping(d.errs)
		return nil
	}
	values := channelValues{}
	good := true
	for _, e := range v.entries {
		k := kind.key(e.key.Raw())
		if k == nil {
			x := e.key.Diagnostic(yamldoc.CodeUnknownKey, "unknown key %q in channel kind %q", e.key.Raw(), kind.name)
			x.Hint = diag.Hint(e.key.Raw(), kind.keyNames())
			d.errs.Add(x)
			good = false
			continue
		}
		texts, ok := d.channelTexts(k, e.value.node)
		if good = good && ok; !ok {
			continue
		}
		values[k.name] = texts
		d.config.note(prefix+k.name, shownChannel(k, e.value.node, texts), origin(e.value))
	}
	r := kind.receiver(values)
	if good && !d.draft {
		d.complete(kind, r, v)
	}
	return r
}

func (d *decoder) channelTexts(k *channelKey, n *yamldoc.Node) ([]string, bool) {
	if !d.expand(n) {
		return nil, false
	}
	if k.list && n.Kind() == yamldoc.List {
		return n.StringList(d.errs)
	}
	text, ok := n.String(d.errs)
	if ok && k.address && text != "" && !alert.IsHTTP(text) {
		n.Errorf(d.errs, yamldoc.CodeValue, "expected an http or https address, got %s", n.Describe())
		return nil, false
	}
	return []string{text}, ok
}

// shownChannel is a value as the settings show it. Addresses may hold a
// password.
func shownChannel(k *channelKey, n *yamldoc.Node, texts []string) string {
	if k.secret {
		return secret.New(texts[0]).String()
	}
	shown := make([]string, len(texts))
	for i, t := range texts {
		if shown[i] = t; alert.IsHTTP(t) {
			shown[i] = secret.URL(t).String()
		}
	}
	return written(n, strings.Join(shown, ", "))
}

// complete reports what the channel says about its settings.
func (d *decoder) complete(kind *channelKind, r alert.Receiver, v value) {
	_, err := r.Notifier(alert.ReceiverOptions{})
	if errors.Is(err, alert.ErrNoSecret) {
		if slices.ContainsFunc(kind.keys, func(k channelKey) bool { return k.secret && v.get(k.name).node != nil }) {
			return // the environment has an empty one: messages are printed
		}
		v.node.Errorf(d.errs, yamldoc.CodeMissingKey, "missing key %s in channel kind %q", kind.needs, kind.name)
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
