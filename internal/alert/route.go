package alert

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
)

// Console is the channel that messages go to when none is configured.
const Console = "console"

// Match says which incidents a route is for. Empty fields match all.
type Match struct {
	// Dataset is a glob over the whole name, such as "shop/*". A star also
	// matches slashes; a name without slash and star is in the namespace
	// "default".
	Dataset  string
	Owner    string
	Severity checks.Severity
	// Tag is one that the incident must have.
	Tag string
}

// Route sends incidents to channels. The first route that matches wins, unless
// it says Continue. A route without channels mutes what it matches.
type Route struct {
	Match    Match
	Channels []string
	// Continue goes on to the following routes after a match.
	Continue bool
}

func (r *Route) validate(known []string) error {
	var errs []error
	if err := r.Match.validate(); err != nil {
		errs = append(errs, err)
	}
	for _, c := range r.Channels {
		if !slices.Contains(known, c) {
			errs = append(errs, fmt.Errorf("the channel %q is not configured under alerts.channels", c))
		}
	}
	return errors.Join(errs...)
}

func (m *Match) validate() error {
	var errs []error
	if !validGlob(m.Dataset) {
		errs = append(errs, fmt.Errorf("the dataset pattern %q is broken: close its bracket", m.Dataset))
	}
	switch m.Severity {
	case "", checks.SeverityFail, checks.SeverityWarn:
	default:
		errs = append(errs, fmt.Errorf("the severity %q is unknown: use warn or fail", m.Severity))
	}
	return errors.Join(errs...)
}

func (m *Match) matches(i *Incident) bool {
	return (m.Dataset == "" || matchGlob(m.Dataset, i.Dataset)) &&
		(m.Owner == "" || m.Owner == i.Owner) &&
		(m.Severity == "" || m.Severity == i.Severity) &&
		(m.Tag == "" || slices.Contains(i.Tags, m.Tag))
}

// flat hides the slashes of names, which path.Match does not let a star cross.
func flat(s string) string { return strings.ReplaceAll(s, "/", "\x1f") }

func validGlob(pattern string) bool {
	_, err := path.Match(flat(pattern), "")
	return err == nil
}

func matchGlob(pattern, dataset string) bool {
	if !strings.ContainsAny(pattern, `/*?[\`) {
		pattern = "default/" + pattern
	}
	ok, err := path.Match(flat(pattern), flat(dataset))
	return err == nil && ok
}

// channelsFor returns the channels that the routes choose, in a fixed order.
func (o *Options) channelsFor(inc *Incident) []string {
	switch {
	case len(o.Channels) == 0:
		return []string{Console}
	case len(o.Routes) == 0:
		return slices.Clone(o.Channels)
	}
	var out []string
	for i := range o.Routes {
		r := &o.Routes[i]
		if !r.Match.matches(inc) {
			continue
		}
		for _, c := range r.Channels {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
		if !r.Continue {
			break
		}
	}
	return out
}
