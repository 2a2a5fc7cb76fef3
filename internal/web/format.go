package web

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
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

// value writes a scalar: whole numbers in full, floats short, times without
// what says nothing.
func value(s profile.Scalar) string {
	if i, ok := s.Int(); ok {
		if i > -10000 && i < 10000 {
			return strconv.FormatInt(i, 10)
		}
		return words.Count(i)
	}
	if f, ok := s.Float(); ok {
		return words.Number(f)
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
		return words.Count(e.Value)
	}
	return "≈" + words.Count(e.Value)
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
