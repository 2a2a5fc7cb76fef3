package batch

import (
	"math"
	"strconv"
	"time"
	"unsafe"
)

// Value is one classified value. Which field carries it depends on Type, as
// listed with the types. Zoned is set for a timestamp written with an offset.
type Value struct {
	Type  Type
	Zoned bool
	Int   int64
	Float float64
}

// Classifier finds the types of values that arrive as text. A time without a
// zone is taken as a reading of a clock: its wall time as if it were UTC. The
// zero value is ready. It is not safe for concurrent use.
type Classifier struct {
	day   [10]byte // the last date that was parsed, a cache for timestamps of one day
	dayUS int64
	dayOK bool

	dayWord uint64 // the first bytes of the last timestamp, see stamp
	dayRest uint32
	stampUS int64 // its day
}

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
	nanosPerSecond  = 1_000_000_000
)

// Text classifies a field of a text format without types of its own, as CSV:
// boolean, integer, number, date, time, timestamp or else string. White space
// around anything but a string is passed over. The words NaN and Inf are
// numbers here; whether they stay numbers is decided with the column.
func (c *Classifier) Text(b []byte) Value {
	t := trimSpace(b)
	if len(t) == 0 || len(t) > 64 {
		return Value{Type: String}
	}
	switch ch := t[0]; {
	case ch >= '0' && ch <= '9', ch == '-', ch == '+', ch == '.':
		if v, ok := parseInteger(t); ok {
			return v
		}
		if v, ok := c.temporal(t); ok {
			return v
		}
		return classifyNumber(t)
	case ch == 't' || ch == 'T' || ch == 'f' || ch == 'F':
		if equalFold(t, "true") {
			return Value{Type: Boolean, Int: 1}
		}
		if equalFold(t, "false") {
			return Value{Type: Boolean}
		}
	case ch == 'n' || ch == 'N' || ch == 'i' || ch == 'I':
		if f, ok := numberWord(t); ok {
			return Value{Type: Number, Float: f}
		}
	}
	return Value{Type: String}
}

// Quoted classifies a string of a format that types its numbers itself, as
// JSON: a date, a time, a timestamp or else a string.
func (c *Classifier) Quoted(b []byte) Value {
	if len(b) >= 8 && len(b) <= 40 && isDigit(b[0]) {
		if v, ok := c.temporal(b); ok {
			return v
		}
	}
	return Value{Type: String}
}

// NumberLiteral classifies the text of a JSON number, which must be valid.
func (c *Classifier) NumberLiteral(b []byte) Value {
	if v, ok := parseInteger(b); ok {
		return v
	}
	return classifyNumber(b)
}

// IsNumberWord reports whether the text is a spelling of NaN or of an
// infinity: words that are numbers only in a column of numbers.
func IsNumberWord(b []byte) bool {
	_, ok := numberWord(trimSpace(b))
	return ok
}

func numberWord(t []byte) (float64, bool) {
	sign := 1
	if len(t) > 0 && (t[0] == '-' || t[0] == '+') {
		if t[0] == '-' {
			sign = -1
		}
		t = t[1:]
	}
	switch {
	case equalFold(t, "nan"):
		return math.NaN(), true
	case equalFold(t, "inf"), equalFold(t, "infinity"):
		return math.Inf(sign), true
	}
	return 0, false
}

// parseInteger reads an optional sign and digits that fit 64 bits.
func parseInteger(t []byte) (Value, bool) {
	i := 0
	neg := false
	if t[0] == '-' || t[0] == '+' {
		neg = t[0] == '-'
		i = 1
	}
	if i == len(t) || len(t)-i > 19 {
		return Value{}, false
	}
	var n uint64
	for ; i < len(t); i++ {
		d := t[i] - '0'
		if d > 9 {
			return Value{}, false
		}
		n = n*10 + uint64(d)
	}
	switch {
	case neg && n <= 1<<63:
		return Value{Type: Integer, Int: -int64(n)}, true //nolint:gosec // -(1<<63) wraps to itself, which is right
	case !neg && n < 1<<63:
		return Value{Type: Integer, Int: int64(n)}, true //nolint:gosec // checked
	}
	return Value{}, false
}

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// classifyNumber reads decimals with optional exponent. Short ones are exact
// by the fast path of Clinger (1990): a mantissa below 2^53 over a power of
// ten up to 10^22.
func classifyNumber(t []byte) Value {
	i, neg := 0, false
	if t[0] == '-' || t[0] == '+' {
		neg = t[0] == '-'
		i = 1
	}
	var mant uint64
	digits, frac, dot, plain := 0, 0, false, true
scan:
	for ; i < len(t); i++ {
		switch ch := t[i]; {
		case isDigit(ch):
			if digits < 18 {
				mant = mant*10 + uint64(ch-'0')
			} else {
				plain = false
			}
			digits++
			if dot {
				frac++
			}
		case ch == '.' && !dot:
			dot = true
		case ch == 'e' || ch == 'E':
			plain = false
			break scan
		default:
			if f, ok := numberWord(t); ok {
				return Value{Type: Number, Float: f}
			}
			return Value{Type: String}
		}
	}
	if digits == 0 {
		return Value{Type: String}
	}
	if plain && mant < 1<<53 && frac < len(pow10) {
		f := float64(mant) / pow10[frac]
		if neg {
			f = -f
		}
		return Value{Type: Number, Float: f}
	}
	if !plain && !validExponent(t[i:]) {
		return Value{Type: String}
	}
	f, err := strconv.ParseFloat(unsafe.String(&t[0], len(t)), 64)
	if err != nil && !math.IsInf(f, 0) {
		return Value{Type: String}
	}
	return Value{Type: Number, Float: f}
}

// validExponent reports whether t is empty or an exponent as ParseFloat takes
// it, so that spellings of Go alone (1_0, 0x1p3) never count as numbers.
func validExponent(t []byte) bool {
	if len(t) == 0 {
		return true
	}
	t = t[1:]
	if len(t) > 0 && (t[0] == '-' || t[0] == '+') {
		t = t[1:]
	}
	if len(t) == 0 {
		return false
	}
	for _, ch := range t {
		if !isDigit(ch) {
			return false
		}
	}
	return true
}

// temporal reads ISO 8601 dates, times of day and timestamps (RFC 3339 with an
// optional zone, T or a space between the parts).
func (c *Classifier) temporal(t []byte) (Value, bool) {
	if len(t) >= 8 && t[2] == ':' {
		ns, rest, ok := parseClock(t)
		if !ok || len(rest) != 0 || len(t) < 8 {
			return Value{}, false
		}
		return Value{Type: Time, Int: ns}, true
	}
	if len(t) < 10 || t[4] != '-' || t[7] != '-' {
		return Value{}, false
	}
	day, ok := c.parseDay(t[:10])
	if !ok {
		return Value{}, false
	}
	if len(t) == 10 {
		return Value{Type: Date, Int: day}, true
	}
	if len(t) < 16 || (t[10] != 'T' && t[10] != ' ' && t[10] != 't') {
		return Value{}, false
	}
	ns, rest, ok := parseClock(t[11:])
	if !ok {
		return Value{}, false
	}
	v := Value{Type: Timestamp, Int: day + ns/1000, Float: float64(ns % 1000)}
	if len(rest) == 0 {
		return v, true
	}
	off, ok := parseOffset(rest)
	if !ok {
		return Value{}, false
	}
	v.Int -= off * microsPerSecond
	v.Zoned = true
	return v, true
}

func (c *Classifier) parseDay(t []byte) (int64, bool) {
	if c.dayOK && string(t) == string(c.day[:]) {
		return c.dayUS, true
	}
	y1, ok1 := twoDigits(t)
	y2, ok2 := twoDigits(t[2:])
	m, ok3 := twoDigits(t[5:])
	d, ok4 := twoDigits(t[8:])
	if !ok1 || !ok2 || !ok3 || !ok4 || m < 1 || m > 12 || d < 1 {
		return 0, false
	}
	y := y1*100 + y2
	if d > daysIn(y, m) {
		return 0, false
	}
	us := civilDays(y, m, d) * microsPerDay
	copy(c.day[:], t)
	c.dayUS, c.dayOK = us, true
	return us, true
}

func daysIn(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// civilDays counts days from 1970-01-01 in the proleptic Gregorian calendar
// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013).
func civilDays(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// parseClock reads HH:MM[:SS[.fraction]] and returns nanoseconds and the rest.
func parseClock(t []byte) (ns int64, rest []byte, ok bool) {
	if len(t) < 5 || t[2] != ':' {
		return 0, nil, false
	}
	h, ok1 := twoDigits(t)
	m, ok2 := twoDigits(t[3:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, nil, false
	}
	ns = int64(h*3600+m*60) * nanosPerSecond
	t = t[5:]
	if len(t) == 0 || t[0] != ':' {
		return ns, t, true
	}
	if len(t) < 3 {
		return 0, nil, false
	}
	s, ok3 := twoDigits(t[1:])
	if !ok3 || s > 59 {
		return 0, nil, false
	}
	ns += int64(s) * nanosPerSecond
	t = t[3:]
	if len(t) == 0 || (t[0] != '.' && t[0] != ',') {
		return ns, t, true
	}
	i, scale := 1, int64(nanosPerSecond/10)
	for ; i < len(t) && isDigit(t[i]); i++ {
		ns += int64(t[i]-'0') * scale
		scale /= 10
	}
	return ns, t[i:], i > 1
}

// parseOffset reads Z, ±HH, ±HHMM or ±HH:MM and returns seconds east of UTC.
func parseOffset(t []byte) (int64, bool) {
	if len(t) == 1 && (t[0] == 'Z' || t[0] == 'z') {
		return 0, true
	}
	if t[0] == ' ' && len(t) > 1 {
		t = t[1:]
	}
	if len(t) < 3 || (t[0] != '+' && t[0] != '-') {
		return 0, false
	}
	h, ok := twoDigits(t[1:])
	if !ok || h > 23 {
		return 0, false
	}
	m := 0
	switch {
	case len(t) == 3:
	case len(t) == 5:
		m, ok = twoDigits(t[3:])
	case len(t) == 6 && t[3] == ':':
		m, ok = twoDigits(t[4:])
	default:
		return 0, false
	}
	if !ok || m > 59 {
		return 0, false
	}
	off := int64(h*3600 + m*60)
	if t[0] == '-' {
		off = -off
	}
	return off, true
}

func twoDigits(t []byte) (int, bool) {
	if len(t) < 2 || !isDigit(t[0]) || !isDigit(t[1]) {
		return 0, false
	}
	return int(t[0]-'0')*10 + int(t[1]-'0'), true
}

func isDigit(b byte) bool { return b-'0' <= 9 }

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range len(word) {
		if b[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// AppendText appends the canonical text of a value that has no source text:
// numbers in their shortest form, dates and times by RFC 3339. A zoned column
// prints timestamps with Z.
func (v Value) AppendText(b []byte, zoned bool) []byte {
	switch v.Type {
	case Boolean:
		return strconv.AppendBool(b, v.Int != 0)
	case Integer, List:
		return strconv.AppendInt(b, v.Int, 10)
	case Number:
		return AppendFloat(b, v.Float)
	case Date:
		return appendDay(b, floorDiv(v.Int, microsPerDay))
	case Timestamp:
		day := floorDiv(v.Int, microsPerDay)
		b = append(appendDay(b, day), 'T')
		b = appendClock(b, (v.Int-day*microsPerDay)*1000+int64(v.Float))
		if zoned {
			b = append(b, 'Z')
		}
		return b
	case Time:
		if v.Int < 0 || v.Int >= microsPerDay*1000 {
			return time.Unix(0, v.Int).UTC().AppendFormat(b, "15:04:05.999999999")
		}
		return appendClock(b, v.Int)
	case Duration:
		return append(b, time.Duration(v.Int).String()...)
	default:
		return b
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendDay appends the date of a day since 1970-01-01 (H. Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", 2013). Years beyond four digits
// are left to the standard library.
func appendDay(b []byte, day int64) []byte {
	const first, last = -719_528, 2_932_896 // 0000-01-01 and 9999-12-31
	if day < first || day > last {
		return time.Unix(day*86_400, 0).UTC().AppendFormat(b, "2006-01-02")
	}
	z := day + 719_468 + 146_097 // one era more, so that all is positive
	era := z / 146_097
	doe := z - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := doy - (153*mp+2)/5 + 1
	m, y := mp+3, yoe+(era-1)*400
	if m > 12 {
		m, y = m-12, y+1
	}
	b = append(b, '0'+byte(y/1000), '0'+byte(y/100%10), '0'+byte(y/10%10), '0'+byte(y%10), '-') //nolint:gosec // four digits
	return append(b, '0'+byte(m/10), '0'+byte(m%10), '-', '0'+byte(d/10), '0'+byte(d%10))       //nolint:gosec // two digits each
}

// appendClock appends a time of day in nanoseconds, its fraction without
// trailing zeros.
func appendClock(b []byte, ns int64) []byte {
	s, frac := ns/nanosPerSecond, ns%nanosPerSecond
	h, m, s := s/3600, s/60%60, s%60
	b = append(b, '0'+byte(h/10), '0'+byte(h%10), ':', '0'+byte(m/10), '0'+byte(m%10), ':', '0'+byte(s/10), '0'+byte(s%10)) //nolint:gosec // two digits each
	if frac == 0 {
		return b
	}
	b = append(b, '.')
	for scale := int64(nanosPerSecond / 10); frac > 0; scale /= 10 {
		b = append(b, '0'+byte(frac/scale)) //nolint:gosec // a digit
		frac %= scale
	}
	return b
}

// AppendFloat appends the shortest decimal text that reads back as f, without
// an exponent where plain digits stay readable.
func AppendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Inf"...)
	case math.IsInf(f, -1):
		return append(b, "-Inf"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}
