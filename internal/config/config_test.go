package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/alert/alertmanager"
	"github.com/profilerhq/profiler/internal/alert/pagerduty"
	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/alert/webhook"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/secret"
)

const canary = "canary-7f3a"

// environment has every variable that the tests use.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"CANARY": canary, "STORE": "postgres://me:" + canary + "@db:5432/p?password=" + canary, "ADDR": "0.0.0.0:1", "EMPTY": "", "N": "600",
	}[name]
	return v, ok
}

// write makes a configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profiler.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func load(t *testing.T, text, env string, overrides ...config.Setting) *config.Config {
	t.Helper()
	c, list, err := config.Load(write(t, text), env, environment, overrides...)
	require.NoError(t, err)
	require.Empty(t, list)
	return c
}

const full = `store: ${env:STORE}
listen: 127.0.0.1:9000
web_config: web.yml
rules: [rules/, /etc/rules]
pipelines: [pipelines/nightly.yaml]
metrics: {columns: all, series_per_dataset: "${env:N}", series: 30_000, families: [min, values]}
retention: {profiles: 30d, metrics: 1w, results: 0, runs: 36h}
alerts:
  channels:
    data: {slack: {token: "${env:CANARY}", channel: "#data", api_url: "http://127.0.0.1:1"}}
    hook: {slack: {webhook_url: "https://hooks.example/canary-7f3a"}}
  routes:
    - {match: {owner: orders-team, dataset: "shop/*"}, channels: [data, hook], continue: true}
    - {match: {severity: fail, tag: gold}, channels: []}
    - {channels: [data]}
  repeat: 12h
  resolve_after: 3
  group_wait: 0
  reopen_within: 2h
  confirm: [{match: {dataset: "shop/*"}, batches: 2}]
  silences: [{match: {owner: x}, from: 2026-12-24T00:00Z, to: 2026-12-27, why: stocktaking}]
  maintenance: [{match: {}, days: [sat, sun], from: "22:00", to: "06:00", timezone: Europe/Berlin, why: nightly load}]
  weekly: fri 16:30
overlays:
  local: {store: "sqlite:profiler.db", metrics: {columns: none}, alerts: {channels: {data: {slack: {channel: "#test"}}}}}
  production: {listen: "${env:ADDR}"}
  empty:
`

func TestLoad(t *testing.T) {
	t.Parallel()
	path := write(t, full)
	dir := filepath.Dir(path)
	c, list, err := config.Load(path, "", environment)
	require.NoError(t, err)
	require.Empty(t, list)
	store, _ := environment("STORE")
	require.Equal(t, store, c.Store.Reveal())
	require.Equal(t, "127.0.0.1:9000", c.Listen)
	require.Equal(t, filepath.Join(dir, "web.yml"), c.WebConfig)
	require.Equal(t, []string{filepath.Join(dir, "rules"), "/etc/rules"}, c.Rules)
	require.Equal(t, []string{filepath.Join(dir, "pipelines/nightly.yaml")}, c.Pipelines)
	require.Equal(t, config.Metrics{Columns: "all", Families: []string{"min", "values"}, SeriesPerDataset: 600, Series: 30_000}, c.Metrics)
	const day = 24 * time.Hour
	require.Equal(t, config.Retention{Profiles: 30 * day, Metrics: 7 * day, Results: 0, Runs: 36 * time.Hour}, c.Retention)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	require.Equal(t, alert.Options{
		ResolveAfter: 3, Repeat: 12 * time.Hour, Channels: []string{"data", "hook"}, GroupWait: -1, ReopenWithin: 2 * time.Hour,
		Confirm:  []alert.Confirm{{Match: alert.Match{Dataset: "shop/*"}, Batches: 2}},
		Silences: []alert.Silence{{Match: alert.Match{Owner: "x"}, From: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 27, 0, 0, 0, 0, time.UTC), Why: "stocktaking"}},
		Windows:  []alert.Window{{Days: []time.Weekday{time.Saturday, time.Sunday}, From: 22 * time.Hour, To: 6 * time.Hour, Zone: berlin, Why: "nightly load"}},
		Weekly:   &alert.WeekTime{Day: time.Friday, At: 16*time.Hour + 30*time.Minute},
		Routes: []alert.Route{
			{Match: alert.Match{Owner: "orders-team", Dataset: "shop/*"}, Channels: []string{"data", "hook"}, Continue: true},
			{Match: alert.Match{Severity: "fail", Tag: "gold"}, Channels: []string{}},
			{Channels: []string{"data"}},
		},
	}, c.Alerts.Options())
	require.Equal(t, []config.Channel{
		{Name: "data", Kind: "slack", Receiver: slack.Config{Token: secret.New(canary), Channel: "#data", APIURL: "http://127.0.0.1:1"}},
		{Name: "hook", Kind: "slack", Receiver: slack.Config{WebhookURL: secret.New("https://hooks.example/" + canary)}},
	}, c.Alerts.Channels)
}

func TestChannelKinds(t *testing.T) {
	t.Parallel()
	c := load(t, `alerts:
  channels:
    am: {alertmanager: {url: ["http://me:`+canary+`@a:9093", "http://b:9093/"], token: "${env:CANARY}"}}
    am2: {alertmanager: {url: "http://a:9093"}}
    pd: {pagerduty: {routing_key: "0123456789abcdef0123456789abcdef", url: "http://pd"}}
    hook: {webhook: {url: "https://h/${env:CANARY}", secret: "${env:CANARY}"}}
    quiet: {pagerduty: {routing_key: "${env:EMPTY}"}}
`, "")
	var kinds []string
	var all []alert.Receiver
	for _, ch := range c.Alerts.Channels {
		kinds, all = append(kinds, ch.Name+" "+ch.Kind), append(all, ch.Receiver)
	}
	require.Equal(t, []string{"am alertmanager", "am2 alertmanager", "pd pagerduty", "hook webhook", "quiet pagerduty"}, kinds)
	require.Equal(t, []alert.Receiver{
		alertmanager.Config{URLs: []secret.Text{secret.URL("http://me:" + canary + "@a:9093"), secret.URL("http://b:9093/")}, Token: secret.New(canary)},
		alertmanager.Config{URLs: []secret.Text{secret.URL("http://a:9093")}},
		pagerduty.Config{RoutingKey: secret.New("0123456789abcdef0123456789abcdef"), URL: "http://pd"},
		webhook.Config{URL: secret.New("https://h/" + canary), Secret: secret.New(canary)},
		pagerduty.Config{},
	}, all)
	shown := c.String() + fmt.Sprintf("%v %+v %#v", all, all, all)
	b, err := json.Marshal(all)
	require.NoError(t, err)
	shown += string(b)
	require.NotContains(t, shown, canary)
	require.NotContains(t, shown, "0123456789abcdef")
	require.Contains(t, shown, "http://me:xxxxx@a:9093, http://b:9093/")
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	c := load(t, strings.Replace(full, "${env:STORE}", "${env:NOT_SET}", 1), "local")
	require.Equal(t, "profiler.db", filepath.Base(strings.TrimPrefix(c.Store.Reveal(), "sqlite:")), "what an overlay replaces is not evaluated")
	require.Equal(t, "none", c.Metrics.Columns)
	require.Equal(t, 30_000, c.Metrics.Series, "mappings are merged")
	require.Equal(t, "#test", c.Alerts.Channels[0].Receiver.(slack.Config).Channel)
	require.Equal(t, canary, c.Alerts.Channels[0].Receiver.(slack.Config).Token.Reveal())
	require.Len(t, c.Alerts.Channels, 2)
	require.Equal(t, "0.0.0.0:1", load(t, full, "production").Listen)
	require.Equal(t, "127.0.0.1:9000", load(t, full, "empty").Listen)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	path := write(t, full)
	c, _, err := config.Load(path, "local", environment, config.Setting{Key: "alerts.repeat", Value: "48h", Origin: "flag --repeat"})
	require.NoError(t, err)
	dir := filepath.Dir(path) + "/"
	var b strings.Builder
	for _, s := range c.Settings() {
		fmt.Fprintf(&b, "%s | %s | %s\n", s.Key, strings.ReplaceAll(s.Value, dir, ""), strings.ReplaceAll(s.Origin, dir, ""))
	}
	require.Equal(t, `alerts.channels.data.slack.api_url | http://127.0.0.1:1 | profiler.yaml:10
alerts.channels.data.slack.channel | #test | profiler.yaml:25 (overlay local)
alerts.channels.data.slack.token | <secret> | profiler.yaml:10 from ${env:CANARY}
alerts.channels.hook.slack.webhook_url | <secret> | profiler.yaml:11
alerts.confirm[0] | match: {dataset: shop/*}, batches: 2 | profiler.yaml:20
alerts.group_wait | 0 | profiler.yaml:18
alerts.maintenance[0] | match: {}, days: [saturday sunday], from: 22:00, to: 06:00, timezone: Europe/Berlin, why: nightly load | profiler.yaml:22
alerts.reopen_within | 2h | profiler.yaml:19
alerts.repeat | 2d | flag --repeat
alerts.resolve_after | 3 | profiler.yaml:17
alerts.routes[0] | match: {owner: orders-team, dataset: shop/*}, channels: [data, hook], continue: true | profiler.yaml:13
alerts.routes[1] | match: {severity: fail, tag: gold}, channels: [] | profiler.yaml:14
alerts.routes[2] | channels: [data] | profiler.yaml:15
alerts.silences[0] | match: {owner: x}, from: 2026-12-24T00:00Z, to: 2026-12-27, why: stocktaking | profiler.yaml:21
alerts.weekly | fri 16:30 | profiler.yaml:23
external_url |  | default
incidents |  | default
listen | 127.0.0.1:9000 | profiler.yaml:2
metrics.columns | none | profiler.yaml:25 (overlay local)
metrics.families | min, values | profiler.yaml:6
metrics.series | 30000 | profiler.yaml:6
metrics.series_per_dataset | ${env:N} | profiler.yaml:6 from ${env:N}
pipelines | pipelines/nightly.yaml | profiler.yaml:5
retention.metrics | 7d | profiler.yaml:7
retention.profiles | 30d | profiler.yaml:7
retention.results | 0 | profiler.yaml:7
retention.runs | 36h | profiler.yaml:7
rules | rules, /etc/rules | profiler.yaml:4
store | sqlite:profiler.db | profiler.yaml:25 (overlay local)
web_config | web.yml | profiler.yaml:3
`, b.String())
}

func TestDefault(t *testing.T) {
	t.Parallel()
	c := config.Default()
	require.Equal(t, "127.0.0.1:8910", c.Listen)
	require.Len(t, c.Settings(), len(config.Keys())+1, "the weekly message has a form of its own")
	for _, s := range c.Settings() {
		require.Equal(t, "default", s.Origin, s.Key)
	}
	for _, text := range []string{"", "# nothing\n", "{}\n", "---\n"} {
		require.Equal(t, c.Settings(), load(t, text, "").Settings(), text)
	}
}

func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, env, want string }{
		{"unknown key", "lisen: x\n", "", `profiler.yaml:1:1: unknown key "lisen" in the configuration; did you mean "listen"?`},
		{"unknown nested key", "metrics: {colums: all}\n", "", `profiler.yaml:1:11: unknown key "colums" in "metrics"; did you mean "columns"?`},
		{"no mapping", "- a\n", "", `profiler.yaml:1:1: expected a mapping, got a list`},
		{"section is no mapping", "metrics: 5\nretention: [a]\nalerts: x\n", "", `profiler.yaml:1:10: expected a mapping, got number 5
profiler.yaml:2:12: expected a mapping, got a list
profiler.yaml:3:9: expected a mapping, got text "x"`},
		{"second document", "listen: a:1\n---\nlisten: b:1\n", "", `profiler.yaml:3:1: a second document: a configuration has one`},
		{"values", "listen: 8910\nstore: mysql://u:p@h/d\nmetrics: {columns: sum, families: [median], series: 3, series_per_dataset: x}\nretention: {runs: 90}\nalerts: {repeat: 0, resolve_after: 0}\nrules: a\nweb_config: ''\n", "", `profiler.yaml:1:9: expected an address such as 127.0.0.1:8910, got number 8910
profiler.yaml:2:8: expected sqlite:PATH or postgres://user@host:5432/database
profiler.yaml:3:20: expected one of rules, all, none, got text "sum"
profiler.yaml:3:36: expected one of min, max, mean, stddev, values, got text "median"; did you mean "mean"?
profiler.yaml:3:53: expected a whole number of 32 or more, got number 3
profiler.yaml:3:76: expected a whole number, got text "x"
profiler.yaml:4:19: expected a duration like "30s", "2h" or "7d", got number 90; add a unit, such as 90s
profiler.yaml:5:18: expected a time span of 1s or more, got number 0
profiler.yaml:5:36: expected a whole number of 1 or more, got number 0
profiler.yaml:6:8: expected a list, got text "a"
profiler.yaml:7:13: expected a path, got text ""`},
		{"variable", "listen: ${env:NOT_SET}\n", "", `profiler.yaml:1:9: environment variable "NOT_SET" is not set; set it before the start`},
		{"not yet", "tokens: []\n", "", `profiler.yaml:1:1: "tokens" is not supported by this version yet; remove it`},
		{"quiet times", "alerts:\n  confirm: 0\n  weekly: noon\n  silences:\n    - {from: yesterday, until: x}\n    - {from: 2026-02-01, to: 2026-01-01, why: ' '}\n  maintenance:\n    - {days: [sat, sunday], from: 25:00, timezone: Mars/X, why: y}\n", "", `profiler.yaml:2:12: expected a number of batches from 1 to 100, got number 0
profiler.yaml:3:11: expected a day and a time such as "mon 09:00", or off, got text "noon"
profiler.yaml:5:7: missing key "why" in a silence
profiler.yaml:5:14: expected a time such as 2026-12-24T00:00Z, got text "yesterday"
profiler.yaml:5:25: unknown key "until" in a silence
profiler.yaml:6:7: this silence ends before it begins
profiler.yaml:6:47: say what it is for
profiler.yaml:8:7: missing key "to" in a maintenance window
profiler.yaml:8:20: expected one of mon, tue, wed, thu, fri, sat, sun, got text "sunday"
profiler.yaml:8:35: expected a time of the day such as "22:00", got text "25:00"
profiler.yaml:8:52: expected a time zone such as Europe/Berlin, got text "Mars/X"`},
		{"channels", "alerts:\n  channels:\n    a: {slak: {}}\n    b: {}\n    c: {slack: {}}\n    d: {slack: {token: x}}\n    e: {slack: {token: x, webhook_url: 'https://h'}}\n    f: {slack: {token: x, channel: '#c', api_url: h, tokn: y}}\n    g: {slack: {webhook_url: h}}\n    h: slack\n    i: {slack: x}\n", "", `profiler.yaml:3:9: unknown channel kind "slak"; did you mean "slack"?
profiler.yaml:4:8: the channel "b" has no kind, such as slack
profiler.yaml:5:16: missing key "token" or "webhook_url" in channel kind "slack"
profiler.yaml:6:16: channel is missing: name the Slack channel, such as "#data"
profiler.yaml:7:16: token and webhook_url are both set: remove one of them
profiler.yaml:8:51: expected an http or https address, got text "h"
profiler.yaml:8:54: unknown key "tokn" in channel kind "slack"; did you mean "token"?
profiler.yaml:9:16: webhook_url is not an http or https address
profiler.yaml:10:8: expected a mapping, got text "slack"
profiler.yaml:11:16: expected a mapping, got text "x"`},
		{"kinds of channels", "alerts:\n  channels:\n    prom: {alertmanager: {url: x}}\n    oncall: {pagerduty: {}}\n    hook: {webhook: {secret: s}}\n    none: {alertmanager: {}}\n    two: {webhook: {url: 'http://h'}, pagerduty: {routing_key: x}}\n    short: {pagerduty: {routing_key: x}}\n", "", `profiler.yaml:3:26: url is not an http or https address
profiler.yaml:4:25: missing key "routing_key" in channel kind "pagerduty"
profiler.yaml:5:21: url is missing: name the address of the webhook
profiler.yaml:6:26: url is missing: name the address of Alertmanager, such as http://127.0.0.1:9093
profiler.yaml:7:39: the channel "two" is of the kind "webhook" already: give the second one a name of its own
profiler.yaml:8:24: routing_key has 1 characters: an integration key has 32`},
		{"routes", "alerts:\n  channels: {data: {slack: {token: x, channel: c}}}\n  routes:\n    - {channels: [dta]}\n    - {match: {severity: error, owner: '', dataset: '[a', team: x}, channel: [data]}\n    - 5\n    - {channels: data}\n", "", `profiler.yaml:4:19: the channel "dta" is not configured under alerts.channels; did you mean "data"?
profiler.yaml:5:7: missing key "channels" in a route
profiler.yaml:5:26: expected one of fail, warn, got text "error"
profiler.yaml:5:40: an empty text matches nothing on purpose: name something or remove the key
profiler.yaml:5:53: the dataset pattern is broken: close its bracket
profiler.yaml:5:59: unknown key "team" in "match"; did you mean "tag"?
profiler.yaml:5:69: unknown key "channel" in a route; did you mean "channels"?
profiler.yaml:6:7: expected a mapping, got number 5
profiler.yaml:7:18: expected a list, got text "data"; write [data]`},
		{"overlay that is not chosen", "overlays: {a: {listn: x}, b: 5, c: {overlays: {}}, d: {listen: '${env:NOT_SET}', rules: ['${env:NOT_SET}']}}\n", "", `profiler.yaml:1:16: unknown key "listn" in the configuration; did you mean "listen"?
profiler.yaml:1:30: expected a mapping, got number 5
profiler.yaml:1:37: an overlay cannot have overlays`},
		{"base under an overlay", "listen: x\noverlays: {a: {listen: 'a:1'}}\n", "a", `profiler.yaml:1:9: expected an address such as 127.0.0.1:8910, got text "x"`},
		{"no such overlay", "overlays: {production: {}}\n", "prodction", `profiler.yaml:1:11: there is no overlay "prodction"; did you mean "production"?`},
		{"no overlays", "listen: 'a:1'\n", "x", `profiler.yaml:1:1: there is no overlay "x"`},
		{"no overlays in an empty file", "", "x", `profiler.yaml: there is no overlay "x"`},
		{"part of a slack channel in an overlay", "overlays: {a: {alerts: {channels: {data: {slack: {channel: x}}}}}}\n", "a", `profiler.yaml:1:50: missing key "token" or "webhook_url" in channel kind "slack"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, tt.text)
			c, list, err := config.Load(path, tt.env, environment)
			require.Nil(t, c)
			require.Error(t, err)
			require.Equal(t, tt.want, strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""))
			require.Equal(t, list.Error(), err.Error())
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load("no/profiler.yaml", "", environment)
	require.EqualError(t, err, "read configuration: open no/profiler.yaml: no such file or directory")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestQuietTimes(t *testing.T) {
	t.Parallel()
	require.Nil(t, load(t, "alerts: {weekly: off}\n", "").Alerts.Weekly)
	require.Equal(t, []alert.Confirm{{Batches: 3}}, load(t, "alerts: {confirm: 3}\n", "").Alerts.Confirm)
	o := config.Default()
	require.Equal(t, 30*time.Second, o.Alerts.Options().GroupWait)
	require.Equal(t, &alert.WeekTime{Day: time.Monday, At: 9 * time.Hour}, o.Alerts.Options().Weekly)
}

func TestEmptySecretIsNoMistake(t *testing.T) {
	t.Parallel()
	c := load(t, "alerts: {channels: {data: {slack: {token: '${env:EMPTY}', channel: '#data'}}}}\n", "")
	require.Equal(t, slack.Config{Channel: "#data"}, c.Alerts.Channels[0].Receiver)
}

func TestOverride(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, value, want, err string }{
		{"store", "sqlite:x.db", "sqlite:x.db", ""},
		{"store", "postgres://me:" + canary + "@h:5432/d?sslpassword=" + canary, "postgres://me:<secret>@h:5432/d?…", ""},
		{"store", canary, "", "flag: expected sqlite:PATH or postgres://user@host:5432/database"},
		{"store", "", "", "flag: expected sqlite:PATH or postgres://user@host:5432/database"},
		{"listen", ":0", ":0", ""},
		{"listen", "h:70000", "", "flag: expected an address such as 127.0.0.1:8910"},
		{"rules", "a, b,", "a, b", ""},
		{"web_config", "w.yml", "w.yml", ""},
		{"metrics.columns", "none", "none", ""},
		{"metrics.columns", "x", "", "flag: expected one of rules, all, none"},
		{"metrics.families", "min,max", "min, max", ""},
		{"metrics.families", "min,x", "", "flag: expected one of min, max, mean, stddev, values"},
		{"metrics.series", "100", "100", ""},
		{"metrics.series", "1e3", "", "flag: expected a whole number of 32 or more"},
		{"metrics.series_per_dataset", "0", "", "flag: expected a whole number of 1 or more"},
		{"retention.runs", "2w", "14d", ""},
		{"retention.runs", "90", "", "flag: expected a time span of 0s or more, such as 90d"},
		{"alerts.repeat", "90m", "90m", ""},
		{"alerts.resolve_after", "4", "4", ""},
		{"alerts.channels", "x", "", `flag: there is no setting "alerts.channels"`},
		{"listn", "x", "", `flag: there is no setting "listn"; did you mean "listen"?`},
	}
	for _, tt := range tests {
		c := config.Default()
		before := c.Settings()
		err := c.Override(tt.key, tt.value, "flag")
		if tt.err != "" {
			require.EqualError(t, err, tt.err)
			require.Equal(t, before, c.Settings(), "a mistake changes nothing")
			continue
		}
		require.NoError(t, err)
		require.Contains(t, c.Settings(), config.Setting{Key: tt.key, Value: tt.want, Origin: "flag"})
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	vars := config.Environment(func(name string) (string, bool) {
		v, ok := map[string]string{"PROFILER_LISTEN": "e:1", "PROFILER_STORE": "sqlite:e.db", "PROFILER_METRICS_SERIES": "100", "PROFILER_RULES": ""}[name]
		return v, ok
	})
	require.Len(t, vars, 3)
	flag := config.Setting{Key: "listen", Value: "f:1", Origin: "flag --listen"}
	file := "listen: 'a:1'\nstore: ${env:NOT_SET}\nmetrics: {series: 50, series_per_dataset: 5}\nrules: [r]\noverlays: {o: {metrics: {series: 60, series_per_dataset: 6}}}\n"
	c := load(t, file, "o", append(vars, flag)...)
	require.Equal(t, "f:1", c.Listen, "flags win over the environment")
	require.Equal(t, "sqlite:e.db", c.Store.Reveal(), "the environment wins over the file, whose variable need not exist")
	require.Equal(t, 100, c.Metrics.Series, "the environment wins over an overlay")
	require.Equal(t, 6, c.Metrics.SeriesPerDataset, "an overlay wins over the file")
	require.Equal(t, "r", filepath.Base(c.Rules[0]), "the file wins over the default, and an empty variable counts for nothing")
	require.Contains(t, c.Settings(), config.Setting{Key: "metrics.series", Value: "100", Origin: "environment variable PROFILER_METRICS_SERIES"})
	_, _, err := config.Load(write(t, file), "", environment, config.Setting{Key: "store", Value: canary, Origin: "flag --store"})
	require.EqualError(t, err, "flag --store: expected sqlite:PATH or postgres://user@host:5432/database")
}

func TestStorePaths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sqlite:a.db": "sqlite:DIR/a.db", "sqlite:/a.db": "sqlite:/a.db", "sqlite:///a.db": "sqlite:///a.db", "sqlite::memory:": "sqlite::memory:", "postgres://h/d": "postgres://h/d",
	} {
		path := write(t, "store: '"+in+"'\n")
		c, _, err := config.Load(path, "", environment)
		require.NoError(t, err)
		require.Equal(t, strings.Replace(want, "DIR", filepath.Dir(path), 1), c.Store.Reveal())
	}
}

// TestSecretsNeverShow puts a secret wherever one can be and prints everything
// in every way.
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	c := load(t, full, "")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	text := slog.New(slog.NewTextHandler(&log, nil))
	type hidden struct {
		inner config.Config
		s     config.Secret
		a     config.Alerts
	}
	h := hidden{*c, c.Store, c.Alerts}
	out := ""
	for _, v := range []any{c, *c, c.Alerts, c.Alerts.Channels, &c.Alerts.Channels[0], c.Store, &c.Store, h, &h, c.Settings(), fmt.Errorf("x %v", c.Alerts)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			out += fmt.Sprintf(verb, v)
		}
		logger.Info("m", "v", v)
		text.Info("m", "v", v)
		if b, err := json.Marshal(v); err == nil {
			out += string(b)
		}
	}
	marshalled, err := c.Store.MarshalText()
	require.NoError(t, err)
	out += string(marshalled) + log.String() + c.String()
	require.NotContains(t, out, canary)
	require.NotContains(t, out, fmt.Sprintf("%x", canary))
	require.Contains(t, out, config.Mask)

	// Mistakes around secrets.
	for _, broken := range []string{
		"store: '" + canary + "'", "store: ${env:CANARY}", "store: mysql://u:" + canary + "@h/d", "store: 'postgres://u:" + canary + "@[/d'", "listen: ${env:CANARY}",
		"metrics: {columns: '${env:CANARY}', series: '${env:CANARY}', families: ['${env:CANARY}']}", "retention: {runs: '${env:CANARY}'}",
		"alerts: {channels: {a: {slack: {webhook_url: '" + canary + "'}}}}", "alerts: {channels: {a: {slack: {token: '" + canary + "'}}}}",
		"alerts: {channels: {a: {slack: {tokn: '" + canary + "'}}}}", "alerts: {channels: {a: {slack: {token: ['" + canary + "']}}}}",
		"alerts: {channels: {a: {slack: {token: t, channel: c, api_url: '${env:CANARY}'}}}}",
		"alerts: {channels: {a: {slack: {token: '" + canary + "${env:NOT_SET}', channel: c}}}}",
		"alerts: {channels: {a: {webhook: {secret: '" + canary + "'}}}}", "alerts: {routes: [{channels: ['${env:CANARY}'], match: {severity: '${env:CANARY}'}}]}",
		"tokens: [{sha256: '" + canary + "'}]",
	} {
		_, list, err := config.Load(write(t, broken+"\n"), "", environment)
		require.Error(t, err, broken)
		require.NotContains(t, err.Error()+fmt.Sprintf("%+v", list), canary, broken)
	}
	for _, key := range append(config.Keys(), "none") {
		c := config.Default()
		if err := c.Override(key, "\x00"+canary, "flag"); err != nil {
			require.NotContains(t, errors.Join(err).Error(), canary)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(full, "local")
	f.Add("overlays: {a: &x {listen: *x}}", "a")
	f.Add("store: [&a {b: *a}]\nalerts: {routes: [[]], channels: {a: }}", "")
	f.Fuzz(func(t *testing.T, text, env string) {
		path := filepath.Join(t.TempDir(), "profiler.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		c, list, err := config.Load(path, env, environment)
		require.Equal(t, err == nil, c != nil)
		require.Equal(t, err != nil, list.HasErrors())
		if c != nil {
			require.NotContains(t, c.String(), "password="+canary)
		}
	})
}
