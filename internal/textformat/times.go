package textformat

import "bytes"

const minutesPerDay = 24 * 60

// date accepts a day of the calendar: 2026-02-28.
func date(b []byte) bool {
	_, ok := parseDate(b)
	return ok
}

// clock accepts a time of day with seconds, and with an offset or without.
func clock(b []byte) bool {
	t, ok := parseClock(b)
	return ok && (!t.leap || t.endOfDay())
}

// datetime accepts a date, T and a time with its offset. A leap second is
// accepted in the last minute of a month of UTC.
func datetime(b []byte) bool {
	if len(b) < 20 || b[10]|0x20 != 't' {
		return false
	}
	d, ok := parseDate(b[:10])
	if !ok {
		return false
	}
	t, ok := parseClock(b[11:])
	switch {
	case !ok || !t.zoned:
		return false
	case !t.leap:
		return true
	case !t.endOfDay():
		return false
	}
	switch utc := t.minute - t.offset; { // it may be another day there
	case utc < 0:
		return d.day == 1
	case utc >= minutesPerDay:
		return d.day == daysIn(d.year, d.month)-1
	}
	return d.day == daysIn(d.year, d.month)
}

type calendarDay struct{ year, month, day int }

func parseDate(b []byte) (d calendarDay, ok bool) {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return d, false
	}
	century, ok1 := twoDigits(b)
	year, ok2 := twoDigits(b[2:])
	month, ok3 := twoDigits(b[5:])
	day, ok4 := twoDigits(b[8:])
	d = calendarDay{century*100 + year, month, day}
	return d, ok1 && ok2 && ok3 && ok4 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(d.year, month)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// timeOfDay is a time as it is written; minute is of the day, offset in
// minutes east of UTC.
type timeOfDay struct {
	minute, offset int
	zoned, leap    bool // leap is a second of 60
}

// endOfDay reports whether the minute is the last one of a day in UTC.
func (t timeOfDay) endOfDay() bool {
	return (t.minute-t.offset+minutesPerDay)%minutesPerDay == minutesPerDay-1
}

// parseClock reads HH:MM:SS[.fraction][Z|±HH:MM].
func parseClock(b []byte) (t timeOfDay, ok bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return t, false
	}
	h, ok1 := twoDigits(b)
	m, ok2 := twoDigits(b[3:])
	s, ok3 := twoDigits(b[6:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 60 {
		return t, false
	}
	t = timeOfDay{minute: h*60 + m, leap: s == 60}
	b = b[8:]
	if len(b) > 0 && b[0] == '.' {
		n := 1
		for n < len(b) && isDigit(b[n]) {
			n++
		}
		if n == 1 {
			return t, false
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return t, true
	}
	t.zoned = true
	if len(b) == 1 {
		return t, b[0]|0x20 == 'z'
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return t, false
	}
	h, ok1 = twoDigits(b[1:])
	m, ok2 = twoDigits(b[4:])
	t.offset = h*60 + m
	if b[0] == '-' {
		t.offset = -t.offset
	}
	return t, ok1 && ok2 && h <= 23 && m <= 59
}

func twoDigits(b []byte) (int, bool) {
	if len(b) < 2 || !isDigit(b[0]) || !isDigit(b[1]) {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}

// duration accepts P1Y2M3DT4H5M6S with any of its parts left out, but not all,
// and P2W. The last part may have a fraction.
func duration(b []byte) bool {
	if len(b) == 0 || b[0] != 'P' {
		return false
	}
	days, clock, timed := b[1:], []byte(nil), false
	if i := bytes.IndexByte(b, 'T'); i > 0 {
		days, clock, timed = b[1:i], b[i+1:], true
	}
	if !timed && len(days) > 1 && days[len(days)-1] == 'W' {
		n, _ := decimalPrefix(days)
		return n == len(days)-1
	}
	n, fraction, ok := designated(days, "YMD")
	if !ok || fraction && timed {
		return false
	}
	if !timed {
		return n > 0
	}
	n, _, ok = designated(clock, "HMS")
	return ok && n > 0
}

// designated counts the parts of a text that are each a number and one of the
// units, in the order of the units. fraction tells that the last one has a
// fraction, which no other may have.
func designated(b []byte, units string) (parts int, fraction, ok bool) {
	for len(b) > 0 {
		var n int
		if fraction {
			return 0, false, false
		}
		if n, fraction = decimalPrefix(b); n == 0 || n == len(b) {
			return 0, false, false
		}
		for len(units) > 0 && units[0] != b[n] {
			units = units[1:]
		}
		if len(units) == 0 {
			return 0, false, false
		}
		units, b = units[1:], b[n+1:]
		parts++
	}
	return parts, fraction, true
}

// decimalPrefix returns the length of the digits that a text begins with, with
// a fraction if it has one.
func decimalPrefix(b []byte) (n int, fraction bool) {
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	if n == 0 || n == len(b) || b[n] != '.' && b[n] != ',' {
		return n, false
	}
	end := n + 1
	for end < len(b) && isDigit(b[end]) {
		end++
	}
	if end == n+1 {
		return 0, false
	}
	return end, true
}
