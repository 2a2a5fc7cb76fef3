package yamldoc

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/diag"
)

// String returns the text of a scalar as written: 010 gives "010", true gives
// "true". An empty value, a list or a mapping is reported.
func (n *Node) String(errs *diag.List) (string, bool) {
	if n == nil || n.broken {
		return "", false
	}
	if !n.IsScalar() || n.IsNull() {
		n.wrong(errs, "a text", "")
		return "", false
	}
	return n.text, true
}

// OneOf returns the text of a scalar if it is one of the allowed words, which
// are compared exactly. Anything else is reported with the nearest word.
func (n *Node) OneOf(errs *diag.List, allowed ...string) (string, bool) {
	text, ok := n.String(errs)
	if !ok {
		return "", false
	}
	for _, a := range allowed {
		if a == text {
			return text, true
		}
	}
	d := n.Diagnostic(CodeValue, "expected one of %s, got %s", strings.Join(allowed, ", "), n.Describe())
	if !n.env {
		d.Hint = diag.Hint(text, allowed)
	}
	errs.Add(d)
	return "", false
}

// Bool returns true or false. Only these two words without quotes are booleans.
func (n *Node) Bool(errs *diag.List) (value, ok bool) {
	if n == nil {
		return false, false
	}
	if n.typed() && (n.text == "true" || n.text == "false") {
		return n.text == "true", true
	}
	hint := ""
	if n.IsScalar() {
		switch strings.ToLower(n.text) {
		case "yes", "on", "y", "true":
			hint = "write true"
		case "no", "off", "n", "false":
			hint = "write false"
		}
		if n.style != plain && hint != "" {
			hint += " without quotes"
		}
	}
	n.wrong(errs, "true or false", hint)
	return false, false
}

// Int returns a whole number between -2^63 and 2^63-1. Underscores between
// digits are allowed, leading zeros and fractions are not.
func (n *Node) Int(errs *diag.List) (int64, bool) {
	if !n.number(errs, "a whole number") {
		return 0, false
	}
	if numberShape(n.text) != Int {
		n.wrong(errs, "a whole number", "")
		return 0, false
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, 64)
	if err != nil {
		n.wrong(errs, "a whole number of at most 64 bits", "")
		return 0, false
	}
	return v, true
}

// Float returns the number nearest to the one written. Infinity and
// not-a-number cannot be written.
func (n *Node) Float(errs *diag.List) (float64, bool) {
	if !n.number(errs, "a number") {
		return 0, false
	}
	v, err := parseNumber(n.text)
	if err != nil {
		n.wrong(errs, "a number", err.Error())
		return 0, false
	}
	return v, true
}

// typed reports whether the text may be read as something other than text:
// without quotes, or when all of it was a variable.
func (n *Node) typed() bool { return n.IsScalar() && (n.style == plain || n.whole) }

// number checks that the node can be read as a number at all and reports the
// usual mistakes.
func (n *Node) number(errs *diag.List, expected string) bool {
	if n == nil || n.broken {
		return false
	}
	if !n.IsScalar() {
		n.wrong(errs, expected, "")
		return false
	}
	shape := numberShape(n.text)
	switch {
	case n.typed() && shape != Text:
		return true
	case shape != Text:
		n.wrong(errs, expected, "remove the quotes")
	case leadingZero(n.text):
		n.wrong(errs, expected, "remove the leading zero")
	default:
		n.wrong(errs, expected, "")
	}
	return false
}

// Percent returns a share: "5%" gives 0.05, and a plain number such as 0.05 is
// taken as it is. The result may be negative or above 1.
func (n *Node) Percent(errs *diag.List) (float64, bool) {
	if n == nil || n.broken {
		return 0, false
	}
	if n.IsScalar() && !n.IsNull() {
		v, isPercent, err := parseRatio(n.text)
		if err == nil && (isPercent || n.typed()) {
			return v, true
		}
	}
	n.wrong(errs, `a percentage like "5%" or a number`, "")
	return 0, false
}

// Duration returns a time span written with units: "90s", "1h30m", "7d", "2w".
// The units are ns, us, ms, s, m, h, d (24 hours) and w (7 days); 0 needs none.
// A negative span is reported.
func (n *Node) Duration(errs *diag.List) (time.Duration, bool) {
	if n == nil || n.broken {
		return 0, false
	}
	if !n.IsScalar() || n.IsNull() {
		n.wrong(errs, durationExpected, "")
		return 0, false
	}
	v, err := ParseDuration(n.text)
	if err != nil {
		hint := ""
		if numberShape(n.text) == Int && !n.env {
			hint = "add a unit, such as " + n.text + "s"
		}
		n.wrong(errs, durationExpected, hint)
		return 0, false
	}
	return v, true
}

// Bytes returns an amount of memory in bytes: "64MiB", "1.5GB", or a plain
// number of bytes. KiB, MiB, GiB, TiB are powers of 1024; kB, KB, MB, GB, TB
// powers of 1000.
func (n *Node) Bytes(errs *diag.List) (int64, bool) {
	if n == nil || n.broken {
		return 0, false
	}
	if n.IsScalar() && !n.IsNull() {
		if v, err := ParseBytes(n.text); err == nil {
			return v, true
		}
	}
	n.wrong(errs, `an amount like "64MiB"`, "")
	return 0, false
}

// Time returns a moment written as a date (2026-03-01) or a date and time by
// RFC 3339, where seconds and zone may be missing. Without a zone it is UTC.
// Quotes make no difference.
func (n *Node) Time(errs *diag.List) (time.Time, bool) { return n.TimeIn(errs, time.UTC) }

// TimeIn is Time with another zone for values that have none.
func (n *Node) TimeIn(errs *diag.List, zone *time.Location) (time.Time, bool) {
	if n == nil {
		return time.Time{}, false
	}
	if n.IsScalar() && !n.IsNull() {
		if t, ok := parseTime(n.text, zone); ok {
			return t, true
		}
	}
	n.wrong(errs, "a time like 2026-03-01T08:30:00Z", "")
	return time.Time{}, false
}

// List returns the items of a list.
func (n *Node) List(errs *diag.List) ([]*Node, bool) {
	if n == nil {
		return nil, false
	}
	if n.shape != List {
		n.wrong(errs, "a list", "")
		return nil, false
	}
	return n.items, true
}

// Items returns the items of a list, the node itself if it is something else,
// and nothing for an empty value: for keys that take one value or several.
func (n *Node) Items() []*Node {
	switch {
	case n.IsNull():
		return nil
	case n.shape == List:
		return n.items
	}
	return []*Node{n}
}

// StringList returns the texts of a list of scalars. It is false if the node is
// no list or any item is no text; all such items are reported.
func (n *Node) StringList(errs *diag.List) ([]string, bool) {
	if n == nil {
		return nil, false
	}
	if n.shape != List {
		hint := ""
		if n.Kind() == Text && !n.env && len(n.text) <= maxShown {
			hint = "write [" + n.src.token(n.offset, n.style, n.text) + "]"
		}
		n.wrong(errs, "a list", hint)
		return nil, false
	}
	out, all := make([]string, 0, len(n.items)), true
	for _, item := range n.items {
		text, ok := item.String(errs)
		out, all = append(out, text), all && ok
	}
	if !all {
		return nil, false
	}
	return out, true
}

// plainKind tells what a value without quotes is.
func plainKind(text string) Kind {
	switch text {
	case "", "~", "null":
		return Null
	case "true", "false":
		return Bool
	}
	if k := numberShape(text); k != Text {
		return k
	}
	if _, ok := parseTime(text, time.UTC); ok {
		return Date
	}
	return Text
}

// numberShape returns Int, Float or Text.
func numberShape(text string) Kind {
	s := strings.TrimLeft(text, "+-")
	if len(text)-len(s) > 1 || leadingZero(text) {
		return Text
	}
	kind := Int
	whole, rest := digits(s)
	if !whole.ok {
		return Text
	}
	some := whole.n > 0
	if strings.HasPrefix(rest, ".") {
		kind = Float
		var fraction run
		fraction, rest = digits(rest[1:])
		if !fraction.ok {
			return Text
		}
		some = some || fraction.n > 0
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		kind = Float
		var exponent run
		exponent, rest = digits(strings.TrimPrefix(strings.TrimPrefix(rest[1:], "+"), "-"))
		if !exponent.ok || exponent.n == 0 {
			return Text
		}
	}
	if !some || rest != "" {
		return Text
	}
	return kind
}

type run struct {
	n  int
	ok bool
}

// digits takes digits with single underscores between them off the front.
func digits(s string) (run, string) {
	i, n := 0, 0
	for ; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		} else if s[i] != '_' || i == 0 || s[i-1] == '_' {
			break
		}
	}
	return run{n, i == 0 || s[i-1] != '_'}, s[i:]
}

// leadingZero reports whether the text is digits with a zero in front, which
// some tools take for an octal number.
func leadingZero(text string) bool {
	s := strings.TrimLeft(text, "+-")
	return len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9'
}

func parseNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, errors.New("the number is too large")
	}
	return v, nil
}

// parseRatio shifts the decimal point in the text, so that 0.1% is the number
// nearest to 0.001.
func parseRatio(text string) (v float64, isPercent bool, err error) {
	s, isPercent := strings.CutSuffix(text, "%")
	s = strings.TrimRight(s, " ")
	shape := numberShape(s)
	switch {
	case shape == Text:
		return 0, isPercent, errors.New("no number")
	case isPercent && !strings.ContainsAny(s, "eE"):
		s += "e-2"
	case isPercent:
		v, err = parseNumber(s)
		return v / 100, true, err
	}
	v, err = parseNumber(s)
	return v, isPercent, err
}

const durationExpected = `a duration like "30s", "2h" or "7d"`

var errDuration = errors.New("expected " + durationExpected)

// ParseDuration reads the durations of the file formats, see Node.Duration.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	var total time.Duration
	for rest := text; rest != ""; {
		i := 0
		for i < len(rest) && (rest[i] >= '0' && rest[i] <= '9' || rest[i] == '.') {
			i++
		}
		j := i
		for j < len(rest) && (rest[j] < '0' || rest[j] > '9') && rest[j] != '.' {
			j++
		}
		number, unit := rest[:i], rest[i:j]
		factor := time.Duration(1)
		switch unit {
		case "d":
			factor, unit = 24, "h"
		case "w":
			factor, unit = 7*24, "h"
		}
		d, err := time.ParseDuration(number + unit)
		if err != nil || number == "" || unit == "" || d > (math.MaxInt64-total)/factor {
			return 0, errDuration
		}
		total += d * factor
		rest = rest[j:]
	}
	if text == "" {
		return 0, errDuration
	}
	return total, nil
}

// ParseBytes reads amounts of memory, see Node.Bytes.
func ParseBytes(text string) (int64, error) {
	bad := errors.New(`expected an amount like "64MiB"`)
	i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '_' && r != '.' })
	if i < 0 {
		i = len(text)
	}
	factor, ok := byteUnit(strings.TrimSpace(text[i:]))
	number := text[:i]
	shape := numberShape(number)
	if !ok || shape == Text {
		return 0, bad
	}
	if shape == Int {
		v, err := strconv.ParseUint(strings.ReplaceAll(number, "_", ""), 10, 64)
		hi, lo := bits.Mul64(v, uint64(factor))
		if err != nil || hi != 0 || lo > math.MaxInt64 {
			return 0, bad
		}
		return int64(lo), nil
	}
	v, err := parseNumber(number)
	if v *= float64(factor); err != nil || v >= math.MaxInt64 || v != math.Trunc(v) {
		return 0, bad
	}
	return int64(v), nil
}

func byteUnit(unit string) (int64, bool) {
	switch unit {
	case "", "B":
		return 1, true
	case "kB", "KB":
		return 1e3, true
	case "MB":
		return 1e6, true
	case "GB":
		return 1e9, true
	case "TB":
		return 1e12, true
	case "KiB":
		return 1 << 10, true
	case "MiB":
		return 1 << 20, true
	case "GiB":
		return 1 << 30, true
	case "TiB":
		return 1 << 40, true
	}
	return 0, false
}

func parseTime(text string, zone *time.Location) (time.Time, bool) {
	if len(text) < len("2006-01-02") || text[4] != '-' || text[7] != '-' {
		return time.Time{}, false
	}
	if len(text) > 10 && (text[10] == ' ' || text[10] == 't') {
		text = text[:10] + "T" + text[11:]
	}
	for _, layout := range []string{
		time.DateOnly, time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
