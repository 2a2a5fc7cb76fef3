package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// field is a setting with a fixed key.
type field struct {
	key    string
	target func(c *Config) any // *Secret, *string, *[]string, *int or *time.Duration
	// path marks files, which are relative to the configuration file.
	path bool
	// words are the allowed texts; nil allows all that expected does.
	words []string
	// least is the smallest number or span.
	least int64
	// expected says in words what is allowed, for a text that good refuses.
	expected string
	good     func(text string) bool
}

const storeForms = "sqlite:PATH or postgres://user@host:5432/database"

// fields are all settings but channels and routes.
var fields = []field{
	{key: "store", target: func(c *Config) any { return &c.Store }, expected: storeForms, good: validStore},
	{key: "listen", target: func(c *Config) any { return &c.Listen }, expected: "an address such as " + DefaultListen, good: validListen},
	{key: "external_url", target: func(c *Config) any { return &c.ExternalURL }, expected: "an http or https address such as https://profiler.example", good: alert.IsHTTP},
	{key: "web_config", target: func(c *Config) any { return &c.WebConfig }, path: true},
	{key: "rules", target: func(c *Config) any { return &c.Rules }, path: true},
	{key: "incidents", target: func(c *Config) any { return &c.Incidents }, path: true},
	{key: "pipelines", target: func(c *Config) any { return &c.Pipelines }, path: true},
	{key: "metrics.columns", target: func(c *Config) any { return &c.Metrics.Columns }, words: []string{"rules", "all", "none"}},
	{key: "metrics.families", target: func(c *Config) any { return &c.Metrics.Families }, words: []string{"min", "max", "mean", "stddev", "values"}},
	{key: "metrics.series", target: func(c *Config) any { return &c.Metrics.Series }, least: 32},
	{key: "metrics.series_per_dataset", target: func(c *Config) any { return &c.Metrics.SeriesPerDataset }, least: 1},
	{key: "retention.metrics", target: func(c *Config) any { return &c.Retention.Metrics }},
	{key: "retention.profiles", target: func(c *Config) any { return &c.Retention.Profiles }},
	{key: "retention.results", target: func(c *Config) any { return &c.Retention.Results }},
	{key: "retention.runs", target: func(c *Config) any { return &c.Retention.Runs }},
	{key: "alerts.group_wait", target: func(c *Config) any { return &c.Alerts.GroupWait }},
	{key: "alerts.reopen_within", target: func(c *Config) any { return &c.Alerts.ReopenWithin }},
	{key: "alerts.repeat", target: func(c *Config) any { return &c.Alerts.Repeat }, least: int64(time.Second)},
	{key: "alerts.resolve_after", target: func(c *Config) any { return &c.Alerts.ResolveAfter }, least: 1},
}

func fieldOf(key string) *field {
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	if i < 0 {
		return nil
	}
	return &fields[i]
}

// Keys returns the keys that Override takes, sorted.
func Keys() []string {
	out := make([]string, 0, len(fields))
	for _, f := range fields {
		out = append(out, f.key)
	}
	slices.Sort(out)
	return out
}

func validStore(text string) bool {
	path, isFile := strings.CutPrefix(text, "sqlite:")
	return (isFile && path != "") || maskedURL(text) != Mask
}

func validListen(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// show writes the value behind a target as text.
func show(target any) string {
	switch t := target.(type) {
	case *Secret:
		return t.String()
	case *string:
		return *t
	case *[]string:
		return strings.Join(*t, ", ")
	case *int:
		return strconv.Itoa(*t)
	case *time.Duration:
		return showDuration(*t)
	}
	panic(fmt.Sprintf("BUG: config: a setting of type %T", target))
}

func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "0"
	case d%day == 0 && d > day:
		return strconv.Itoa(int(d/day)) + "d"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return d.String()
}

// fromNode stores the value of a node, with paths relative to dir. A mistake is
// reported and changes nothing.
func (f *field) fromNode(c *Config, n *yamldoc.Node, dir string, errs *diag.List) bool {
	switch t := f.target(c).(type) {
	case *Secret:
		text, ok := n.String(errs)
		if ok && !f.good(text) {
			// The value is not repeated: it may hold a password.
			n.Errorf(errs, yamldoc.CodeValue, "expected %s", f.expected)
			return false
		}
		if ok {
			*t = NewStoreURL(storeIn(dir, text))
		}
		return ok
	case *string:
		text, ok := f.word(n, errs)
		if ok && f.path {
			text = in(dir, text)
		}
		if ok {
			*t = text
		}
		return ok
	case *[]string:
		list, ok := f.list(n, dir, errs)
		if ok {
			*t = list
		}
		return ok
	case *int:
		v, ok := n.Int(errs)
		if ok && (v < f.least || v > 1<<31-1) {
			n.Errorf(errs, yamldoc.CodeValue, "expected a whole number of %d or more, got %s", f.least, n.Describe())
			return false
		}
		if ok {
			*t = int(v)
		}
		return ok
	case *time.Duration:
		v, ok := n.Duration(errs)
		if ok && int64(v) < f.least {
			n.Errorf(errs, yamldoc.CodeValue, "expected a time span of %s or more, got %s", time.Duration(f.least), n.Describe())
			return false
		}
		if ok {
			*t = v
		}
		return ok
	}
	return false
}

func (f *field) word(n *yamldoc.Node, errs *diag.List) (string, bool) {
	if f.words != nil {
		return n.OneOf(errs, f.words...)
	}
	text, ok := n.String(errs)
	switch {
	case ok && f.good != nil && !f.good(text):
		n.Errorf(errs, yamldoc.CodeValue, "expected %s, got %s", f.expected, n.Describe())
		return "", false
	case ok && text == "":
		n.Errorf(errs, yamldoc.CodeValue, "expected a path, got %s", n.Describe())
		return "", false
	}
	return text, ok
}

func (f *field) list(n *yamldoc.Node, dir string, errs *diag.List) ([]string, bool) {
	items, ok := n.List(errs)
	out := make([]string, 0, len(items))
	for _, item := range items {
		text, good := f.word(item, errs)
		if ok = ok && good; f.path {
			text = in(dir, text)
		}
		out = append(out, text)
	}
	return out, ok
}

// fromText stores a value that is given as text, by a flag or a variable of the
// environment. A mistake changes nothing, and the error does not repeat the
// text.
func (f *field) fromText(c *Config, text string) error {
	switch t := f.target(c).(type) {
	case *Secret:
		if !f.good(text) {
			return fmt.Errorf("expected %s", f.expected)
		}
		*t = NewStoreURL(text)
	case *string:
		if err := f.check(text); err != nil {
			return err
		}
		*t = text
	case *[]string:
		var list []string
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			if err := f.check(item); err != nil {
				return err
			}
			list = append(list, item)
		}
		*t = list
	case *int:
		v, err := strconv.ParseInt(text, 10, 32)
		if err != nil || v < f.least {
			return fmt.Errorf("expected a whole number of %d or more", f.least)
		}
		*t = int(v)
	case *time.Duration:
		v, err := yamldoc.ParseDuration(text)
		if err != nil || int64(v) < f.least {
			return fmt.Errorf("expected a time span of %s or more, such as 90d", time.Duration(f.least))
		}
		*t = v
	}
	return nil
}

func (f *field) check(text string) error {
	switch {
	case f.words != nil && !slices.Contains(f.words, text):
		return fmt.Errorf("expected one of %s", strings.Join(f.words, ", "))
	case f.good != nil && !f.good(text):
		return fmt.Errorf("expected %s", f.expected)
	}
	return nil
}

// Override sets one setting from outside of the file, such as a flag
// ("flag --listen") or a variable of the environment. Lists are separated by
// commas, and paths are relative to the working directory. The error names the
// origin and never holds the value.
func (c *Config) Override(key, value, origin string) error {
	f := fieldOf(key)
	if f == nil {
		err := fmt.Errorf("%s: there is no setting %q", origin, key)
		if hint := diag.Hint(key, Keys()); hint != "" {
			return fmt.Errorf("%w; %s", err, hint)
		}
		return err
	}
	if err := f.fromText(c, value); err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	c.note(key, show(f.target(c)), origin)
	return nil
}

// Environment returns the settings that variables of the environment give:
// PROFILER_STORE for store, PROFILER_METRICS_SERIES for metrics.series. Empty
// ones do not count. Pass the result to Load before what flags give. The values
// are not masked, so it is not for showing.
func Environment(lookup func(string) (string, bool)) []Setting {
	var out []Setting
	for _, key := range Keys() {
		name := "PROFILER_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		if v, ok := lookup(name); ok && v != "" {
			out = append(out, Setting{key, v, "environment variable " + name})
		}
	}
	return out
}
