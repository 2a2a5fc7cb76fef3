package web

import (
	"fmt"
	"math"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/profilerhq/profiler/internal/profile"
)

// shown makes control characters and marks that turn the direction of text
// visible, so that a name cannot pose as another.
func shown(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return r != unicode.ReplacementChar && !unicode.IsPrint(r) }

// cut shortens a text to n characters.
func cut(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimRight(string(runes[:n-1]), " ") + "…"
}

// count writes a number of things with thousands separators.
func count(n int64) string { return group(strconv.FormatInt(n, 10)) }

func group(s string) string {
	sign, whole, rest := "", s, ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if i := strings.IndexByte(whole, '.'); i >= 0 {
		whole, rest = whole[:i], whole[i:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + whole + rest
}

// plural writes a number of things with their word.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// percent writes a share with at most one decimal, and never rounds to 0 % or
// 100 % what is neither.
func percent(share float64) string {
	p := share * 100
	switch {
	case p <= 0:
		return "0 %"
	case p < 0.1:
		return "<0.1 %"
	case p > 99.9 && p < 100:
		return ">99.9 %"
	case p < 10 || p > 99 && p < 100:
		return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 1, 64), ".0") + " %"
	}
	return group(strconv.FormatFloat(p, 'f', 0, 64)) + " %"
}

// number writes a float with four significant digits, whole numbers below a
// billion in full.
func number(f float64) string {
	a := math.Abs(f)
	switch {
	case f == 0:
		return "0"
	case a >= 1e9 || a < 1e-4:
		return strconv.FormatFloat(f, 'g', 4, 64)
	case f == math.Trunc(f) && a < 10000: // may be a year
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	s := strconv.FormatFloat(f, 'f', max(0, 3-int(math.Floor(math.Log10(a)))), 64)
	if strings.ContainsRune(s, '.') {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return group(s)
}

// value writes a scalar: whole numbers in full, floats short, times without
// what says nothing.
func value(s profile.Scalar) string {
	if i, ok := s.Int(); ok {
		if i > -10000 && i < 10000 {
			return strconv.FormatInt(i, 10)
		}
		return count(i)
	}
	if f, ok := s.Float(); ok {
		return number(f)
	}
	return shown(moment(s.String()))
}

// moment shortens the text of a timestamp: no fraction, a space for the T.
func moment(text string) string {
	if len(text) < 19 || text[4] != '-' || text[10] != 'T' || text[13] != ':' {
		return text
	}
	return strings.TrimSuffix(text[:10]+" "+text[11:19], ":00")
}

// exact writes a scalar with all its digits, "null" for none.
func exact(s profile.Scalar) string {
	if s.IsNull() {
		return "null"
	}
	return cut(shown(s.String()), 120)
}

// estimate writes a number, with ≈ when it was not counted.
func estimate(e profile.Estimate) string {
	if e.Exact {
		return count(e.Value)
	}
	return "≈" + count(e.Value)
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

// stamp writes a time in UTC, "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// when is a time for machines, for people, and as a distance from now.
type when struct{ Machine, Text, Age string }

func whenOf(t, now time.Time) when {
	if t.IsZero() {
		return when{}
	}
	return when{Machine: t.UTC().Format(time.RFC3339), Text: stamp(t), Age: age(now.Sub(t))}
}

// age writes how long ago something was, in its largest unit.
func age(d time.Duration) string {
	format := "%d %s ago"
	if d < 0 {
		format, d = "in %d %s", -d
	}
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf(format, d/time.Minute, "min")
	case d < 48*time.Hour:
		return fmt.Sprintf(format, d/time.Hour, "h")
	case d < 60*24*time.Hour:
		return fmt.Sprintf(format, d/(24*time.Hour), "days")
	case d < 730*24*time.Hour:
		return fmt.Sprintf(format, d/(30*24*time.Hour), "months")
	}
	return fmt.Sprintf(format, d/(365*24*time.Hour), "years")
}

// DatasetPath returns the address of a dataset's page.
func DatasetPath(dataset string) string {
	namespace, name, found := strings.Cut(dataset, "/")
	if !found {
		namespace, name = "default", dataset
	}
	return "/datasets/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

// BatchPath returns the address of a batch's page.
func BatchPath(dataset, batch string) string {
	at := DatasetPath(dataset) + "/batches/"
	if path.Clean("/"+batch) != "/"+batch {
		return at + url.PathEscape(batch) // servers clean such paths
	}
	parts := strings.Split(batch, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return at + strings.Join(parts, "/")
}
