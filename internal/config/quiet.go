package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// defaultWeekly is when the weekly message is sent if nobody says otherwise.
const defaultWeekly = "mon 09:00"

// eachOf calls a function with the mapping of each item of a list, and notes
// what it returns as a setting.
func (d *decoder) eachOf(v value, key string, read func(*yamldoc.Node, *yamldoc.Mapping) string) {
	if !d.expand(v.node) {
		return
	}
	items, _ := v.node.List(d.errs)
	for i, item := range items {
		m := item.Mapping(d.errs)
		if m == nil {
			continue
		}
		if shown := read(item, m); !d.draft {
			d.config.note(fmt.Sprintf("alerts.%s[%d]", key, i), shown, origin(value{node: item, overlay: v.overlay}))
		}
	}
}

// silences reads alerts.silences.
func (d *decoder) silences(v value) {
	d.eachOf(v, "silences", func(item *yamldoc.Node, m *yamldoc.Mapping) string {
		var s alert.Silence
		var shown []string
		moment := func(name string, t *time.Time) func(*yamldoc.Node) {
			return func(n *yamldoc.Node) {
				if d.later(n) {
					return
				}
				at, ok := parseMoment(n.Raw())
				if !ok {
					n.Errorf(d.errs, yamldoc.CodeValue, "expected a time such as 2026-12-24T00:00Z, got %s", n.Describe())
					return
				}
				*t = at
				shown = append(shown, name+": "+n.Raw())
			}
		}
		m.Fill("a silence", yamldoc.Fields{
			"match": func(n *yamldoc.Node) { shown = append(shown, "match: {"+d.match(&s.Match, n)+"}") },
			"from":  moment("from", &s.From), "to": moment("to", &s.To), "why": d.why(&s.Why, &shown),
		}, d.errs)
		m.Required("why", "a silence", d.errs)
		if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
			item.Errorf(d.errs, yamldoc.CodeValue, "this silence ends before it begins")
		}
		d.config.Alerts.Silences = append(d.config.Alerts.Silences, s)
		return strings.Join(shown, ", ")
	})
}

// maintenance reads alerts.maintenance: silences that come back on days of the
// week.
func (d *decoder) maintenance(v value) {
	d.eachOf(v, "maintenance", func(_ *yamldoc.Node, m *yamldoc.Mapping) string {
		var w alert.Window
		var shown []string
		clock := func(name string, at *time.Duration) func(*yamldoc.Node) {
			return func(n *yamldoc.Node) {
				if d.later(n) {
					return
				}
				var ok bool
				if *at, ok = parseClock(n.Raw()); !ok {
					n.Errorf(d.errs, yamldoc.CodeValue, `expected a time of the day such as "22:00", got %s`, n.Describe())
					return
				}
				shown = append(shown, name+": "+n.Raw())
			}
		}
		m.Fill("a maintenance window", yamldoc.Fields{
			"match": func(n *yamldoc.Node) { shown = append(shown, "match: {"+d.match(&w.Match, n)+"}") },
			"days": func(n *yamldoc.Node) {
				w.Days = d.days(n)
				shown = append(shown, "days: "+written(n, strings.ToLower(fmt.Sprint(w.Days))))
			},
			"from": clock("from", &w.From), "to": clock("to", &w.To), "timezone": d.zone(&w.Zone, &shown), "why": d.why(&w.Why, &shown),
		}, d.errs)
		for _, key := range []string{"from", "to", "why"} {
			m.Required(key, "a maintenance window", d.errs)
		}
		d.config.Alerts.Windows = append(d.config.Alerts.Windows, w)
		return strings.Join(shown, ", ")
	})
}

func (d *decoder) why(text *string, shown *[]string) func(*yamldoc.Node) {
	return func(n *yamldoc.Node) {
		if d.later(n) {
			return
		}
		s, ok := n.String(d.errs)
		if ok && strings.TrimSpace(s) == "" {
			n.Errorf(d.errs, yamldoc.CodeValue, "say what it is for")
			return
		}
		*text = s
		*shown = append(*shown, "why: "+written(n, s))
	}
}

func (d *decoder) zone(zone **time.Location, shown *[]string) func(*yamldoc.Node) {
	return func(n *yamldoc.Node) {
		if d.later(n) {
			return
		}
		name, ok := n.String(d.errs)
		if !ok {
			return
		}
		z, err := time.LoadLocation(name)
		if err != nil || name == "" {
			n.Errorf(d.errs, yamldoc.CodeValue, "expected a time zone such as Europe/Berlin, got %s", n.Describe())
			return
		}
		*zone = z
		*shown = append(*shown, "timezone: "+written(n, name))
	}
}

var weekdays = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday, "thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

func (d *decoder) days(n *yamldoc.Node) []time.Weekday {
	items, _ := n.List(d.errs)
	var out []time.Weekday
	for _, item := range items {
		if d.later(item) {
			continue
		}
		day, ok := weekdays[strings.ToLower(item.Raw())]
		if !ok {
			item.Errorf(d.errs, yamldoc.CodeValue, "expected one of mon, tue, wed, thu, fri, sat, sun, got %s", item.Describe())
			continue
		}
		out = append(out, day)
	}
	return out
}

// confirm reads alerts.confirm: a number for all, or a list of numbers with
// what they are for.
func (d *decoder) confirm(v value) {
	if v.node.Kind() == yamldoc.List {
		d.eachOf(v, "confirm", func(_ *yamldoc.Node, m *yamldoc.Mapping) string {
			c := alert.Confirm{Batches: 1}
			var shown []string
			m.Fill("an entry of \"confirm\"", yamldoc.Fields{
				"match": func(n *yamldoc.Node) { shown = append(shown, "match: {"+d.match(&c.Match, n)+"}") },
				"batches": func(n *yamldoc.Node) {
					c.Batches = d.batches(n)
					shown = append(shown, "batches: "+written(n, strconv.Itoa(c.Batches)))
				},
			}, d.errs)
			m.Required("batches", "an entry of \"confirm\"", d.errs)
			d.config.Alerts.Confirm = append(d.config.Alerts.Confirm, c)
			return strings.Join(shown, ", ")
		})
		return
	}
	if !d.expand(v.node) {
		return
	}
	n := d.batches(v.node)
	d.config.Alerts.Confirm = []alert.Confirm{{Batches: n}}
	d.config.note("alerts.confirm", written(v.node, strconv.Itoa(n)), origin(v))
}

// maxConfirm bounds the bad batches that are waited for: beyond it somebody
// meant something else.
const maxConfirm = 100

func (d *decoder) batches(n *yamldoc.Node) int {
	if d.later(n) {
		return 1
	}
	v, ok := n.Int(d.errs)
	if ok && (v < 1 || v > maxConfirm) {
		n.Errorf(d.errs, yamldoc.CodeValue, "expected a number of batches from 1 to %d, got %s", maxConfirm, n.Describe())
		return 1
	}
	return int(v)
}

// weekly reads alerts.weekly: a day and a time in UTC, or off.
func (d *decoder) weekly(v value) {
	if !d.expand(v.node) {
		return
	}
	text, ok := v.node.String(d.errs)
	if !ok {
		return
	}
	if text == "off" {
		d.config.Alerts.Weekly = nil
	} else {
		day, clock, _ := strings.Cut(text, " ")
		weekday, known := weekdays[strings.ToLower(day)]
		at, good := parseClock(clock)
		if !known || !good {
			v.node.Errorf(d.errs, yamldoc.CodeValue, "expected a day and a time such as %q, or off, got %s", defaultWeekly, v.node.Describe())
			return
		}
		d.config.Alerts.Weekly = &alert.WeekTime{Day: weekday, At: at}
	}
	d.config.note("alerts.weekly", written(v.node, text), origin(v))
}

// parseMoment reads a time with its zone, or a day, which begins in UTC.
func parseMoment(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseClock reads a time of the day.
func parseClock(text string) (time.Duration, bool) {
	if text == "24:00" {
		return 24 * time.Hour, true
	}
	t, err := time.Parse("15:04", text)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err == nil
}
