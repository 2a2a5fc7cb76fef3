package report

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/profile"
)

// count writes a number of things with thousands separators.
func count(n int64) string { return group(strconv.FormatInt(n, 10)) }

// plural writes a number of things with their word.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// group puts commas between the thousands of a decimal number.
func group(s string) string {
	sign, whole, rest := "", s, ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if strings.ContainsAny(whole, "eE") {
		return s
	}
	if i := strings.IndexByte(whole, '.'); i >= 0 {
		whole, rest = whole[:i], whole[i:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + whole + rest
}

// percent writes a share with at most one decimal, and never rounds a share
// to 0 % or 100 % that is not.
func percent(share float64) string {
	p := share * 100
	switch {
	case p <= 0:
		return "0 %"
	case p < 0.1:
		return "<0.1 %"
	case p < 100 && p > 99.9:
		return ">99.9 %"
	case p < 10 || p > 99 && p < 100:
		return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 1, 64), ".0") + " %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}

func share(n, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// size writes bytes in binary units.
func size(bytes int64) string {
	if bytes < 1024 {
		return plural(bytes, "byte", "bytes")
	}
	v, unit := float64(bytes), 0
	for v >= 1023.95 && unit < 6 {
		v /= 1024
		unit++
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + string("KMGTPE"[unit-1]) + "iB"
}

// number writes a float with four significant digits, its whole part in full
// up to a billion.
func number(f float64) string {
	a := math.Abs(f)
	switch {
	case f == 0:
		return "0"
	case a >= 1e9 || a < 1e-4:
		return strconv.FormatFloat(f, 'g', 4, 64)
	case f == math.Trunc(f):
		return groupLong(strconv.FormatFloat(f, 'f', 0, 64))
	}
	decimals := max(0, 3-int(math.Floor(math.Log10(a))))
	switch {
	case a >= 10000:
		decimals = 0
	case a >= 1000:
		decimals = 1
	}
	s := strconv.FormatFloat(f, 'f', decimals, 64)
	if strings.ContainsRune(s, '.') {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return group(s)
}

// groupLong groups numbers of five digits and more: those of four are often
// years.
func groupLong(s string) string {
	whole, _, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if len(whole) < 5 {
		return s
	}
	return group(s)
}

// value writes a scalar for a person: whole numbers in full, floats short,
// texts as they are.
func value(s profile.Scalar) string {
	if i, ok := s.Int(); ok {
		return groupLong(strconv.FormatInt(i, 10))
	}
	if f, ok := s.Float(); ok {
		return number(f)
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
		return number(seconds/86400) + " d"
	case seconds >= 2*3600:
		return number(seconds/3600) + " h"
	case seconds >= 120:
		return number(seconds/60) + " min"
	}
	return number(seconds) + " s"
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
		return count(e.Value)
	}
	return "≈" + count(e.Value)
}
