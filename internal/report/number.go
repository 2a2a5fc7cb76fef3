package report

import (
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

func share(n, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// value writes a scalar for a person: whole numbers in full, floats short,
// texts as they are.
func value(s profile.Scalar) string {
	if i, ok := s.Int(); ok {
		return words.GroupLong(strconv.FormatInt(i, 10))
	}
	if f, ok := s.Float(); ok {
		return words.Number(f)
	}
	return clean(s.String())
}

// exact writes a scalar with all its digits, "null" for none and texts in
// quotes: the form for failing rows.
func exact(s profile.Scalar) string {
	if s.IsNull() {
		return "null"
	}
	if _, ok := s.Float(); ok {
		return s.String()
	}
	if s.String() == profile.Masked {
		return profile.Masked
	}
	return `"` + clean(s.String()) + `"`
}

// moment shortens the text of a timestamp for a narrow column: no fraction, a
// space for the T, and no seconds if they are zero.
func moment(text string) string {
	if len(text) < 19 || text[10] != 'T' {
		return text
	}
	s := text[:10] + " " + text[11:19]
	return strings.TrimSuffix(s, ":00")
}

// day shortens the text of a date or timestamp to its day.
func day(text string) string {
	if len(text) > 10 && text[4] == '-' && text[7] == '-' {
		return text[:10]
	}
	return text
}

// clock shortens the text of a timestamp to a time of its day, 03-01 08:12.
func clock(text string) string {
	if d := day(text); d == text || len(text) < 16 || text[10] != 'T' {
		return d
	}
	return text[5:10] + " " + text[11:16]
}

// lasting writes a number of seconds in the unit that suits it.
func lasting(seconds float64) string {
	switch {
	case seconds >= 2*86400:
		return words.Number(seconds/86400) + " d"
	case seconds >= 2*3600:
		return words.Number(seconds/3600) + " h"
	case seconds >= 120:
		return words.Number(seconds/60) + " min"
	}
	return words.Number(seconds) + " s"
}

// stamp writes a time for a report, "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// estimate writes a number, with ≈ when it is none that was counted.
func estimate(e profile.Estimate) string {
	if e.Exact {
		return words.Count(e.Value)
	}
	return "≈" + words.Count(e.Value)
}
