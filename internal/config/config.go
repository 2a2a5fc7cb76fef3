// Package config reads profiler.yaml, the configuration of the service and of
// the commands. It is strict: unknown keys and values that cannot be used are
// errors with their place in the file, all of them at once. Of every setting
// in force it knows where it came from.
package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
)

// Defaults of the settings.
const (
	DefaultListen           = "127.0.0.1:8910"
	DefaultColumns          = "rules"
	DefaultSeriesPerDataset = 500
	DefaultSeries           = 20_000
	DefaultRetention        = 400 * 24 * time.Hour
	DefaultProfileRetention = 90 * 24 * time.Hour
	DefaultRunRetention     = 90 * 24 * time.Hour
)

// Config is the configuration in force. Printing, logging and encoding it
// shows the settings without secrets. Change it by Override, so that Settings
// stay true.
type Config struct {
	// Store is the address of the database; empty if none is configured.
	Store Secret
	// Listen is HOST:PORT of the service.
	Listen string
	// ExternalURL is the address of the service as people reach it, for links in
	// messages; empty leaves them out.
	ExternalURL string
	// WebConfig is the file with TLS and basic auth; empty for none.
	WebConfig string
	// Incidents is the file with answers about batches; empty for none.
	Incidents string
	// Rules and Pipelines are files and folders; nil if none are configured.
	Rules, Pipelines []string
	Metrics          Metrics
	Retention        Retention
	Alerts           Alerts

	settings map[string]Setting
}

// Metrics are the settings of the exported metrics.
type Metrics struct {
	// Columns is "rules", "all" or "none".
	Columns string
	// Families are the opt-in families that are exported.
	Families []string
	// SeriesPerDataset and Series are the budgets.
	SeriesPerDataset, Series int
}

// Retention says how long things are kept; 0 is for ever.
type Retention struct{ Profiles, Metrics, Results, Runs time.Duration }

// Alerts are the settings of messages about incidents.
type Alerts struct {
	// Channels are in the order of the file.
	Channels []Channel
	Routes   []alert.Route
	// Repeat is the time after which people are told again.
	Repeat time.Duration
	// ResolveAfter is the number of healthy batches in a row that resolve an
	// incident.
	ResolveAfter int
	// GroupWait is how long the first message of an incident waits for more.
	GroupWait time.Duration
	// ReopenWithin is how long an incident that is over opens again.
	ReopenWithin time.Duration
	Confirm      []alert.Confirm
	Silences     []alert.Silence
	Windows      []alert.Window
	Weekly       *alert.WeekTime // nil for none
}

// Channel is a receiver of messages. Without a secret, because the environment
// has an empty one, its messages are printed instead.
type Channel struct {
	Name string
	// Kind is "slack", "alertmanager", "webhook" or "pagerduty".
	Kind     string
	Receiver alert.Receiver
}

// Options returns what decides when and where people are told. The slices
// belong to the configuration.
func (a *Alerts) Options() alert.Options {
	o := alert.Options{
		ResolveAfter: a.ResolveAfter, Repeat: a.Repeat, Routes: a.Routes, GroupWait: orNever(a.GroupWait), ReopenWithin: orNever(a.ReopenWithin),
		Confirm: a.Confirm, Silences: a.Silences, Windows: a.Windows, Weekly: a.Weekly,
	}
	for i := range a.Channels {
		o.Channels = append(o.Channels, a.Channels[i].Name)
	}
	return o
}

// orNever turns a span of 0, which is written on purpose, into one that the
// options take for none.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// Setting is one setting in force and where its value came from.
type Setting struct {
	Key string
	// Value is the value as text; secrets are masked, and a value that came from
	// an environment variable is shown as it is written in the file.
	Value string
	// Origin is "default", the place in a file, or what Override was told.
	Origin string
}

// originDefault is the origin of what nobody set.
const originDefault = "default"

// Default returns the configuration without a file.
func Default() Config {
	c := Config{
		Listen:    DefaultListen,
		Metrics:   Metrics{Columns: DefaultColumns, SeriesPerDataset: DefaultSeriesPerDataset, Series: DefaultSeries},
		Retention: Retention{Profiles: DefaultProfileRetention, Metrics: DefaultRetention, Results: DefaultRetention, Runs: DefaultRunRetention},
		Alerts: Alerts{
			Repeat: alert.DefaultRepeat, ResolveAfter: alert.DefaultResolveAfter, GroupWait: alert.DefaultGroupWait, ReopenWithin: alert.DefaultReopenWithin,
			Weekly: &alert.WeekTime{Day: time.Monday, At: 9 * time.Hour},
		},
		settings: map[string]Setting{},
	}
	for _, f := range fields {
		c.note(f.key, show(f.target(&c)), originDefault)
	}
	c.note("alerts.weekly", defaultWeekly, originDefault)
	return c
}

func (c *Config) note(key, value, origin string) {
	if c.settings == nil {
		c.settings = map[string]Setting{}
	}
	c.settings[key] = Setting{key, value, origin}
}

// Settings returns every setting in force, sorted by key, without secrets.
func (c *Config) Settings() []Setting {
	out := make([]Setting, 0, len(c.settings))
	for _, s := range c.settings {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// String lists the settings, one line each, without secrets.
func (c Config) String() string {
	var b strings.Builder
	for _, s := range c.Settings() {
		fmt.Fprintf(&b, "%s: %s (%s)\n", s.Key, s.Value, s.Origin)
	}
	return b.String()
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// Format writes String for every verb.
func (c Config) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.String()) }

// MarshalJSON writes the settings as an object of texts, without secrets.
func (c Config) MarshalJSON() ([]byte, error) {
	out := map[string]string{}
	for k, s := range c.settings {
		out[k] = s.Value
	}
	return json.Marshal(out)
}

// LogValue logs the settings, without secrets.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range c.Settings() {
		attrs = append(attrs, slog.String(s.Key, s.Value))
	}
	return slog.GroupValue(attrs...)
}
