package alert

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Silence is a time in which nobody is told anything new about what it matches.
// What still fails when it is over is told then.
type Silence struct {
	Match    Match
	From, To time.Time // From is inclusive, To exclusive; zero is open
	Why      string
}

func (s *Silence) covers(now time.Time) bool {
	return (s.From.IsZero() || !now.Before(s.From)) && (s.To.IsZero() || now.Before(s.To))
}

func (s *Silence) validate() error {
	var errs []error
	if err := s.Match.validate(); err != nil {
		errs = append(errs, err)
	}
	if s.Why == "" {
		errs = append(errs, errors.New("why is missing: say what it is for"))
	}
	if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
		errs = append(errs, errors.New("it ends before it begins"))
	}
	return errors.Join(errs...)
}

// Window is a time of maintenance that comes back on days of the week.
type Window struct {
	Match Match
	// Days are those on which it begins; none are all.
	Days []time.Weekday
	// From and To are times of the day in Zone. A To that is not after From is
	// on the next day.
	From, To time.Duration
	Zone     *time.Location // nil is UTC
	Why      string
}

func (w *Window) covers(now time.Time) bool {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	local := now.In(zone)
	// A window that goes over midnight began yesterday.
	for _, back := range []int{0, 1} {
		y, m, d := local.AddDate(0, 0, -back).Date()
		if len(w.Days) > 0 && !slices.Contains(w.Days, time.Date(y, m, d, 12, 0, 0, 0, zone).Weekday()) {
			continue
		}
		from := onDay(y, m, d, w.From, zone)
		to := onDay(y, m, d, w.To, zone)
		if w.To <= w.From {
			to = onDay(y, m, d+1, w.To, zone)
		}
		if !now.Before(from) && now.Before(to) {
			return true
		}
	}
	return false
}

// onDay is a reading of the clock on a day, also where the clock is changed.
func onDay(y int, m time.Month, d int, at time.Duration, zone *time.Location) time.Time {
	return time.Date(y, m, d, int(at/time.Hour), int(at/time.Minute)%60, 0, 0, zone)
}

func (w *Window) validate() error {
	var errs []error
	if err := w.Match.validate(); err != nil {
		errs = append(errs, err)
	}
	if w.Why == "" {
		errs = append(errs, errors.New("why is missing: say what it is for"))
	}
	for _, at := range []time.Duration{w.From, w.To} {
		if at < 0 || at > 24*time.Hour {
			errs = append(errs, fmt.Errorf("%s is no time of the day", at))
		}
	}
	return errors.Join(errs...)
}
