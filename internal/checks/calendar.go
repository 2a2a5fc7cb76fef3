package checks

import (
	"time"

	"github.com/profilerhq/profiler/internal/cron"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// calendar says which days count.
type calendar struct {
	days   [7]bool // by time.Weekday
	except map[string]bool
	text   string
}

var calendarKeys = []string{"days", "except"}

// parseCalendar reads days of the week, as `mon-fri`, or {days, except}, where
// except lists dates that do not count.
func parseCalendar(n *yamldoc.Node, errs *diag.List) *calendar {
	if n == nil {
		return nil
	}
	c := &calendar{except: map[string]bool{}}
	days := n
	if n.Kind() == yamldoc.Map {
		m := n.Mapping(errs)
		m.Unknown(calendarKeys, "calendar", errs)
		for _, item := range m.Get("except").Items() {
			if _, err := time.Parse(time.DateOnly, item.Raw()); err != nil {
				item.Errorf(errs, yamldoc.CodeValue, "expected a date like 2026-12-25, got %s", item.Describe())
			}
			c.except[item.Raw()] = true
		}
		if days = m.Get("days"); days == nil {
			c.days, c.text = [7]bool{true, true, true, true, true, true, true}, "all days"
			return c
		}
	}
	text, ok := days.String(errs)
	if !ok {
		return nil
	}
	week, err := cron.Weekdays(text)
	if err != nil {
		days.Errorf(errs, yamldoc.CodeValue, "%v; write days like mon-fri or mon,wed", err)
		return nil
	}
	c.days, c.text = week, text
	return c
}

// between returns how much time of the days that count lies between two times,
// by the days of their zone.
func (c *calendar) between(from, to time.Time) time.Duration {
	if c == nil {
		return to.Sub(from)
	}
	var sum time.Duration
	to = to.In(from.Location())
	for at := from; at.Before(to); {
		end := time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, at.Location())
		if !end.After(at) { // midnight does not exist
			end = at.Add(time.Hour)
		}
		if end.After(to) {
			end = to
		}
		if c.days[at.Weekday()] && !c.except[at.Format(time.DateOnly)] {
			sum += end.Sub(at)
		}
		at = end
	}
	return sum
}
