package alert

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// Defaults of Options.
const (
	DefaultResolveAfter = 2
	DefaultRepeat       = 24 * time.Hour
	DefaultGroupWait    = 30 * time.Second
	DefaultReopenWithin = time.Hour
	DefaultDigestAbove  = 5
	DigestWithin        = 10 * time.Minute
)

// Options are the settings that decide when and where people are told. The
// zero value resolves after 2 healthy batches, repeats every 24 hours, waits 30
// seconds for more of the same, and tells nobody but the console.
type Options struct {
	// ResolveAfter is the number of healthy batches in a row that resolve an
	// incident; 0 is DefaultResolveAfter.
	ResolveAfter int
	// Repeat is the time after which people are told again about an incident
	// that is still open; 0 is DefaultRepeat, a negative one never repeats.
	Repeat time.Duration
	// GroupWait is how long the first message about an incident waits, as a bad
	// load fails many checks at once; 0 is DefaultGroupWait, a negative one does
	// not wait.
	GroupWait time.Duration
	// ReopenWithin is the time after its end within which a failure opens the
	// same incident again; 0 is DefaultReopenWithin, a negative one looks at
	// batches alone.
	ReopenWithin time.Duration
	// Confirm says how many bad batches in a row open an incident; the first
	// that matches counts. Where none does it is 1, and 2 for drift alone at the
	// first step of a pipeline.
	Confirm []Confirm
	// Routes choose the channels. Without any, all Channels are told.
	Routes []Route
	// Channels are the names of all configured channels, in the order of the
	// configuration. Without any, messages go to Console.
	Channels []string
	// Silences and Windows are times in which nobody is told anything new.
	Silences []Silence
	Windows  []Window
	// Weekly is when the weekly message is sent; nil sends none.
	Weekly *WeekTime
	// DigestAbove is the number of new incidents of a channel within
	// DigestWithin above which one digest tells them; 0 is DefaultDigestAbove, a
	// negative one never digests.
	DigestAbove int
}

// Confirm is a number of bad batches for what it matches.
type Confirm struct {
	Match   Match
	Batches int
}

// Validate returns everything that is wrong with the options, joined: routes
// to unknown channels and broken patterns.
func (o *Options) Validate() error {
	var errs []error
	if o.ResolveAfter < 0 {
		errs = append(errs, fmt.Errorf("resolve_after is %d: it must be at least 1", o.ResolveAfter))
	}
	add := func(err error, format string, args ...any) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err))
		}
	}
	for i := range o.Routes {
		add(o.Routes[i].validate(o.Channels), "route %d", i+1)
	}
	for i := range o.Silences {
		add(o.Silences[i].validate(), "silence %d", i+1)
	}
	for i := range o.Windows {
		add(o.Windows[i].validate(), "maintenance window %d", i+1)
	}
	for i := range o.Confirm {
		add(o.Confirm[i].Match.validate(), "confirm %d", i+1)
	}
	return errors.Join(errs...)
}

func (o *Options) resolveAfter() int {
	if o.ResolveAfter <= 0 {
		return DefaultResolveAfter
	}
	return o.ResolveAfter
}

// groupWait returns how long first messages wait.
func (o *Options) groupWait() time.Duration { return max(orDefault(o.GroupWait, DefaultGroupWait), 0) }

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// digestAbove returns the limit of single messages, -1 for none.
func (o *Options) digestAbove() int {
	switch {
	case o.DigestAbove == 0:
		return DefaultDigestAbove
	case o.DigestAbove < 0:
		return -1
	}
	return o.DigestAbove
}

// repeatDue reports whether the time of a repeat has come.
func (o *Options) repeatDue(inc *Incident, now time.Time) bool {
	every := orDefault(o.Repeat, DefaultRepeat)
	return every > 0 && now.Sub(inc.NotifiedAt) >= every
}

// confirmations returns how many bad batches in a row open an incident.
func (o *Options) confirmations(i *Incident, first bool) int {
	for k := range o.Confirm {
		if o.Confirm[k].Match.matches(i) {
			return max(o.Confirm[k].Batches, 1)
		}
	}
	if first && slices.IndexFunc(i.Findings, func(f checks.Result) bool { return f.Kind != "drift" }) < 0 {
		return 2
	}
	return 1
}

// findings returns the results that open an incident, worst first: those that
// failed or could not be judged, and warnings where a route asks for them.
func (o *Options) findings(r *checks.Report) []checks.Result {
	if bad := r.Alarming(); len(bad) > 0 {
		return worstFirst(bad)
	}
	var out []checks.Result
	for i := range r.Results {
		if res := &r.Results[i]; res.Status == checks.Warn && o.warns(r.Dataset, res) {
			out = append(out, *res)
		}
	}
	return out
}

// warns reports whether a route asks for the warnings of a check.
func (o *Options) warns(dataset string, r *checks.Result) bool {
	as := Incident{Dataset: dataset, Owner: r.Owner, Tags: r.Tags, Severity: checks.SeverityWarn}
	for i := range o.Routes {
		m := o.Routes[i].Match
		if m.Severity == checks.SeverityWarn && len(o.Routes[i].Channels) > 0 && m.matches(&as) {
			return true
		}
	}
	return false
}

// silencedBy returns why people are not told of an incident now, "" if they
// are.
func (o *Options) silencedBy(i *Incident, now time.Time) string {
	for k := range o.Silences {
		if s := &o.Silences[k]; s.Match.matches(i) && s.covers(now) {
			return s.Why
		}
	}
	for k := range o.Windows {
		if w := &o.Windows[k]; w.Match.matches(i) && w.covers(now) {
			return w.Why
		}
	}
	return ""
}
