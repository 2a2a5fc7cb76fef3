// Package cron reads schedules in the five fields of cron and finds their
// times, in any time zone.
package cron

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schedule tells when something is due.
type Schedule interface {
	// Next returns the first time after t; the zero time if there is none.
	Next(t time.Time) time.Time
	// String returns the schedule as it is written.
	String() string
}

// Every returns the schedule of the multiples of a span since 1970 in UTC: with
// 15 minutes the quarters of each hour. The span is longer than nothing.
func Every(d time.Duration) Schedule { return every(d) }

type every time.Duration

func (e every) Next(t time.Time) time.Time {
	span := int64(e)
	n := t.UnixNano() / span
	if t.UnixNano() < 0 && t.UnixNano()%span != 0 {
		n--
	}
	return time.Unix(0, (n+1)*span).In(t.Location())
}

func (e every) String() string { return "every " + time.Duration(e).String() }

// Last returns the last time of a schedule at or before t, the zero time if
// there was none in the eight years before it.
func Last(s Schedule, t time.Time) time.Time {
	for back := time.Minute; back < horizon; back *= 4 {
		at := s.Next(t.Add(-back - time.Nanosecond))
		if at.IsZero() || at.After(t) {
			continue
		}
		for next := s.Next(at); !next.IsZero() && !next.After(t); next = s.Next(at) {
			at = next
		}
		return at
	}
	return time.Time{}
}

// horizon is how far times are looked for: the longest time without a 29th of
// February.
const horizon = 8 * 366 * 24 * time.Hour

// expression is a parsed schedule in the zone of its times.
type expression struct {
	text                              string
	minute, hour, day, month, weekday uint64 // bits of the allowed values
	anyDay, anyWeekday, anyHour       bool
	zone                              *time.Location
}

// field is one of the five.
type field struct {
	name     string
	min, max int
	names    []string // of the values from min on
}

var fields = [5]field{
	{name: "minute", min: 0, max: 59},
	{name: "hour", min: 0, max: 23},
	{name: "day of the month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "day of the week", min: 0, max: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse reads five fields: minute, hour, day of the month, month, day of the
// week. A field is a list of values, ranges a-b and steps */n, a/n or a-b/n, or
// *. Months and days have names too; 0 and 7 are Sunday. If both days are
// limited, one of them is enough, as in Vixie's cron. @hourly, @daily, @weekly,
// @monthly and @yearly stand for five fields. The times are those of zone; nil is
// UTC.
//
// Where the clock is put forward, a time that does not exist falls behind the
// gap; where it is put back, a time that comes twice counts once, unless the
// hour is *: that is due in each hour that passes.
func Parse(text string, zone *time.Location) (Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	written := strings.TrimSpace(text)
	if strings.HasPrefix(written, "@") {
		full, ok := macros[strings.ToLower(written)]
		if !ok {
			return nil, fmt.Errorf("%q is not known; write @hourly, @daily, @weekly, @monthly, @yearly or five fields", written)
		}
		text = full
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("a schedule has five fields (minute, hour, day, month, day of the week), not %d", len(parts))
	}
	e := &expression{text: written, zone: zone}
	for i, target := range []*uint64{&e.minute, &e.hour, &e.day, &e.month, &e.weekday} {
		set, err := fields[i].parse(parts[i])
		if err != nil {
			return nil, err
		}
		*target = set
	}
	if e.weekday>>7&1 != 0 {
		e.weekday |= 1
	}
	star := func(i int) bool { return strings.HasPrefix(parts[i], "*") || parts[i] == "?" }
	e.anyHour, e.anyDay, e.anyWeekday = star(1), star(2), star(4)
	if e.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("no day has this date, so the schedule is never due")
	}
	return e, nil
}

// parse returns the values of a field as bits.
func (f *field) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		bits, err := f.part(part)
		if err != nil {
			return 0, err
		}
		set |= bits
	}
	return set, nil
}

func (f *field) part(text string) (set uint64, err error) {
	span, step, stepped := strings.Cut(text, "/")
	n := 1
	if stepped {
		if n, err = strconv.Atoi(step); err != nil || n < 1 || n > f.max {
			return 0, fmt.Errorf("%q in the field %s: a step is a number from 1 to %d", text, f.name, f.max)
		}
	}
	lo, hi := f.min, f.max
	if f.max == 7 {
		hi = 6 // 7 is Sunday once more
	}
	if span != "*" && span != "?" {
		from, to, ranged := strings.Cut(span, "-")
		if lo, err = f.value(from, text); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if hi, err = f.value(to, text); err != nil {
				return 0, err
			}
		case !stepped:
			hi = lo
		}
		if hi < lo {
			return 0, fmt.Errorf("%q in the field %s runs backwards", text, f.name)
		}
	}
	for v := lo; v <= hi; v += n {
		set |= 1 << v
	}
	return set, nil
}

func (f *field) value(text, part string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.min + i, nil
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < f.min || v > f.max || strings.ContainsAny(text, "+-") {
		names := ""
		if f.names != nil {
			names = " or " + f.names[0] + " … " + f.names[len(f.names)-1]
		}
		return 0, fmt.Errorf("%q in the field %s: write %d … %d%s", part, f.name, f.min, f.max, names)
	}
	return v, nil
}

// String returns the schedule as it is written.
func (e *expression) String() string { return e.text }

// Next returns the first time after t, in the zone of t.
func (e *expression) Next(t time.Time) time.Time {
	var at time.Time
	if e.anyHour {
		at = e.nextHourly(t)
	} else {
		at = e.nextOfDay(t)
	}
	if at.IsZero() {
		return at
	}
	return at.In(t.Location())
}

// due reports whether a day is one of the schedule.
func (e *expression) due(day time.Time) bool {
	if e.month>>uint(day.Month())&1 == 0 {
		return false
	}
	inMonth, inWeek := e.day>>uint(day.Day())&1 != 0, e.weekday>>uint(day.Weekday())&1 != 0
	if e.anyDay || e.anyWeekday {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// nextHourly goes by the time that passes: each hour has its minutes.
func (e *expression) nextHourly(t time.Time) time.Time {
	at := t.Truncate(time.Minute).Add(time.Minute)
	for end := t.Add(horizon); at.Before(end); {
		local := at.In(e.zone)
		if !e.due(local) {
			next := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, e.zone)
			if !next.After(at) { // midnight does not exist
				next = at.Add(time.Hour)
			}
			at = next
			continue
		}
		if e.minute>>uint(local.Minute())&1 != 0 && e.hour>>uint(local.Hour())&1 != 0 {
			return at
		}
		at = at.Add(time.Minute)
	}
	return time.Time{}
}

// nextOfDay goes by the clock: each of its times comes once a day.
func (e *expression) nextOfDay(t time.Time) time.Time {
	local := t.In(e.zone)
	for days := range int(horizon / (24 * time.Hour)) {
		day := time.Date(local.Year(), local.Month(), local.Day()+days, 12, 0, 0, 0, e.zone)
		if !e.due(day) {
			continue
		}
		for hours := e.hour; hours != 0; hours &= hours - 1 {
			for minutes := e.minute; minutes != 0; minutes &= minutes - 1 {
				at := instant(day, bits.TrailingZeros64(hours), bits.TrailingZeros64(minutes))
				if at.After(t) {
					return at
				}
			}
		}
	}
	return time.Time{}
}

// instant returns when the clock shows a time of a day: the first time if it
// does twice, behind the gap if it never does.
func instant(day time.Time, hour, minute int) time.Time {
	y, m, d := day.Date()
	wall := time.Date(y, m, d, hour, minute, 0, 0, time.UTC)
	zone := day.Location()
	_, before := wall.Add(-36 * time.Hour).In(zone).Zone()
	_, after := wall.Add(36 * time.Hour).In(zone).Zone()
	early, late := wall.Add(-time.Duration(before)*time.Second).In(zone), wall.Add(-time.Duration(after)*time.Second).In(zone)
	if late.Before(early) {
		early, late = late, early
	}
	shows := func(t time.Time) bool { return t.Hour() == hour && t.Minute() == minute && t.Day() == d }
	switch {
	case shows(early):
		return early
	case shows(late):
		return late
	}
	return wall.Add(-time.Duration(before) * time.Second).In(zone)
}

// Weekdays reads the days of the week of a schedule, as mon-fri or sat,sun, by
// time.Weekday.
func Weekdays(text string) (days [7]bool, err error) {
	set, err := fields[4].parse(text)
	if err != nil {
		return days, err
	}
	for d := range days {
		days[d] = set>>d&1 != 0
	}
	days[0] = days[0] || set>>7&1 != 0
	return days, nil
}
