package batch

import (
	"encoding/binary"
	"math/bits"
)

// This file classifies the fields that near-unique columns are made of, eight
// bytes at a time: what it answers is what Classifier answers, which takes all
// that it leaves open.

const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	digit0 = 0x3030303030303030 // eight digits 0

	// clockZero is "00:00:00" in little endian, clockOver adds to its digits
	// what lifts those above 9, and to its colons what lifts all but 0, into
	// the highest bit.
	clockZero = 0x30303a30303a3030
	clockOver = 0x76767f76767f7676
)

// quick classifies a text of the form FormBare, FormQuoted or FormString that
// is neither empty nor a word for null. text[at:at+size] is the field, with
// RawSpare bytes behind it; quoted is set for FormString. ok false leaves it to
// the Classifier.
func (c *Classifier) quick(text []byte, at int, size uint32, quoted bool) (v Value, ok bool) {
	b := text[at : at+RawSpare]
	w, next := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if surelyText(w, next, size, quoted) {
		return Value{Type: String}, true
	}
	switch {
	case begins[b[0]] != beginsDigit:
		return Value{}, false
	case size == 19:
		return c.stamp(w, next, binary.LittleEndian.Uint64(b[11:]))
	case quoted || size > 16:
		return Value{}, false
	case size <= 8:
		return quickNumber(w, size)
	}
	high, ok := eightDigits(w)
	low, ok2 := digitsOf(next, size-8)
	return Value{Type: Integer, Int: int64(high*uint64(pow10[size-8]) + low)}, ok && ok2 //nolint:gosec // 16 digits
}

// stamp reads YYYY-MM-DD HH:MM:SS, of which the words are the bytes from 0, 8
// and 11 on.
func (c *Classifier) stamp(year, day, clock uint64) (v Value, ok bool) {
	rest := uint32(day & 0xffffff) //nolint:gosec // DD and what divides
	if (year != c.dayWord || rest != c.dayRest) && !c.stampDay(year, rest) {
		return Value{}, false
	}
	us, ok := clockOf(clock)
	return Value{Type: Timestamp, Int: c.stampUS + us}, ok
}

// stampDay keeps the day that a timestamp begins with: all up to its hour.
func (c *Classifier) stampDay(year uint64, day uint32) bool {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], year)
	binary.LittleEndian.PutUint32(b[8:], day)
	if b[4] != '-' || b[7] != '-' || b[10] != ' ' && b[10] != 'T' {
		return false
	}
	us, ok := c.parseDay(b[:10])
	if ok {
		c.dayWord, c.dayRest, c.stampUS = year, day, us
	}
	return ok
}

// onlyInText marks the bytes of w that are one of a to d or A to D, or beyond
// ASCII: after a digit none of them is in anything but a string.
func onlyInText(w uint64) uint64 {
	l := w | 0x20*ones
	return (((l|highs)-'a'*ones)&^(l+(0x7f-'d')*ones) | w) & highs
}

// quickNumber reads one to eight bytes of w that are digits, with a point
// between them or without.
func quickNumber(w uint64, size uint32) (Value, bool) {
	if n, ok := digitsOf(w, size); ok {
		return Value{Type: Integer, Int: int64(n)}, true //nolint:gosec // eight digits
	}
	w &= 1<<(8*size) - 1
	points := zeroBytes(w ^ '.'*ones)
	at := uint32(bits.TrailingZeros64(points)) >> 3 //nolint:gosec // at most 64
	if at == 0 || at >= size {
		return Value{}, false
	}
	below := uint64(1)<<(8*at) - 1
	n, ok := digitsOf(w&below|w>>8&^below, size-1)
	return Value{Type: Number, Float: float64(n) / pow10[size-1-at]}, ok
}

// digitsOf reads the first size bytes of w, one to eight, as a number.
func digitsOf(w uint64, size uint32) (uint64, bool) {
	unused := (64 - 8*size) & 63
	return eightDigits(w<<unused | digit0&(1<<unused-1))
}

// eightDigits reads w as a number: pairs of digits are joined, then pairs of
// those, then the two of four digits.
func eightDigits(w uint64) (uint64, bool) {
	d := w ^ digit0
	if (d|(d+0x76*ones))&highs != 0 {
		return 0, false
	}
	d = d*10 + d>>8
	const low = 0x000000ff000000ff
	return (d&low*(100+1_000_000<<32) + d>>16&low*(1+10_000<<32)) >> 32, true
}

// zeroBytes marks the zero bytes of w by their highest bit; bytes above the
// first one may be marked as well.
func zeroBytes(w uint64) uint64 { return (w - ones) &^ w & highs }

// clockOf reads HH:MM:SS from w and returns microseconds.
func clockOf(w uint64) (us int64, ok bool) {
	x := w ^ clockZero
	if (x|(x+clockOver))&highs != 0 {
		return 0, false
	}
	x = x*10 + x>>8
	h, m, s := x&0xff, x>>24&0xff, x>>48&0xff
	return int64(h*3600+m*60+s) * microsPerSecond, h < 24 && m < 60 && s < 60 //nolint:gosec // below 100 each
}
