package oracle

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	integers   = regexp.MustCompile(`^[+-]?[0-9]{1,19}$`)
	decimals   = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	words      = regexp.MustCompile(`(?i)^([+-]?)(nan|inf|infinity)$`)
	dates      = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	times      = regexp.MustCompile(`^[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?$`)
	timestamps = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)(?:([Zz])| ?([+-])([0-9]{2})(?::?([0-9]{2}))?)?$`)
	digits     = regexp.MustCompile(`^[0-9]+$`)
)

// maxTyped is the longest text that is taken for anything but a text.
const maxTyped = 64

// FromText classifies a field of a format without types of its own.
func FromText(text string) Value {
	v := Value{Type: tString, Text: text}
	s := strings.Trim(text, " \t")
	if s == "" || len(s) > maxTyped {
		return v
	}
	if integers.MatchString(s) {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			v.Type, v.Int = tInteger, i
			return v
		}
	}
	if decimals.MatchString(s) {
		v.Type, v.Float = tNumber, float(s)
		return v
	}
	if m := words.FindStringSubmatch(s); m != nil {
		v.Type, v.Word, v.Float = tNumber, true, math.NaN()
		if strings.EqualFold(m[2][:1], "i") {
			v.Float = math.Inf(1)
			if m[1] == "-" {
				v.Float = math.Inf(-1)
			}
		}
		return v
	}
	switch strings.ToLower(s) {
	case "true":
		v.Type, v.Int = tBoolean, 1
	case "false":
		v.Type = tBoolean
	default:
		return temporal(v, s)
	}
	return v
}

// float reads a number; one out of range is infinite.
func float(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64) // out of range is ±Inf, and nothing else is passed
	return f
}

// FromJSONString classifies a string of JSON: texts, dates and times.
func FromJSONString(text string) Value {
	v := Value{Type: tString, Text: text}
	if len(text) > 40 {
		return v
	}
	return temporal(v, text)
}

// FromJSONNumber classifies a valid number of JSON.
func FromJSONNumber(text string) Value {
	v := Value{Type: tNumber, Text: text}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		v.Type, v.Int = tInteger, i
		return v
	}
	v.Float = float(text)
	return v
}

// temporal reads dates, times of day and timestamps; anything else stays v.
func temporal(v Value, s string) Value {
	switch {
	case dates.MatchString(s):
		if at, err := time.Parse("2006-01-02", s); err == nil {
			v.Type, v.At = tDate, at
		}
	case times.MatchString(s):
		if ns, ok := clock(s); ok {
			v.Type, v.Int = tTime, ns
		}
	default:
		m := timestamps.FindStringSubmatch(s)
		if m == nil {
			return v
		}
		day, err := time.Parse("2006-01-02", m[1])
		ns, ok := clock(m[2])
		off, zoned, fits := offset(m[3], m[4], m[5], m[6])
		if err != nil || !ok || !fits {
			return v
		}
		v.Type, v.Zoned = tTimestamp, zoned
		v.At = day.Add(time.Duration(ns)).Add(-off)
	}
	return v
}

// clock reads HH:MM[:SS[.fraction]]; digits beyond nanoseconds are dropped.
func clock(s string) (ns int64, ok bool) {
	if len(s) == len("15:04") {
		s += ":00"
	}
	s = strings.Replace(s, ",", ".", 1)
	whole, fraction, _ := strings.Cut(s, ".")
	at, err := time.Parse("15:04:05", whole)
	if err != nil {
		return 0, false
	}
	midnight := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	ns = at.Sub(midnight).Nanoseconds()
	if fraction != "" {
		f, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		if err != nil {
			return 0, false
		}
		ns += f
	}
	return ns, true
}

// offset returns the zone of a timestamp as a distance east of UTC.
func offset(z, sign, hours, minutes string) (d time.Duration, zoned, ok bool) {
	if z != "" {
		return 0, true, true
	}
	if sign == "" {
		return 0, false, true
	}
	if minutes == "" {
		minutes = "00"
	}
	h, err1 := strconv.Atoi(hours)
	m, err2 := strconv.Atoi(minutes)
	if err1 != nil || err2 != nil || h > 23 || m > 59 {
		return 0, false, false
	}
	d = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if sign == "-" {
		d = -d
	}
	return d, true, true
}

// isCode reports whether the texts of digits of a column are codes: at least
// 1 % begin with a zero, or all values are digits of one width of 12 or more
// and are not all epoch times between 1990 and 2100.
func isCode(values []Value) bool {
	var all, zeros, epochs, integersOnly, others int
	widths := map[int]bool{}
	for _, v := range values {
		switch v.Type {
		case tInteger:
			integersOnly++
		case tNumber:
			others++
		}
		if v.Empty || !digits.MatchString(v.Text) {
			continue
		}
		all++
		widths[len(v.Text)] = true
		if len(v.Text) > 1 && v.Text[0] == '0' {
			zeros++
		}
		if isEpoch(v.Text) {
			epochs++
		}
	}
	if all == 0 {
		return false
	}
	if zeros*100 >= all {
		return true
	}
	if others > 0 || all != integersOnly || len(widths) != 1 || epochs == all {
		return false
	}
	for w := range widths {
		return w >= 12
	}
	return false
}

func isEpoch(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) < 12 {
		return false
	}
	from := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	to := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{time.UnixMilli(n), time.UnixMicro(n), time.Unix(0, n)} {
		if !at.Before(from) && at.Before(to) {
			return true
		}
	}
	return false
}
