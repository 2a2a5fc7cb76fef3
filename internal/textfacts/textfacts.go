// Package textfacts finds facts about single texts at a few nanoseconds each:
// length in characters, blank, beyond ASCII, digits only; and masks, which show
// the shape of a text without its content. All functions are pure and allocate
// nothing.
package textfacts

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Flags are facts about a text. The bits are those that saved profiles keep
// (docs/format/profile.md); the missing ones, 32 and 64, depend on more than the
// text.
type Flags uint8

// The facts about a text.
const (
	Blank     Flags = 1   // empty or white space only
	NonASCII  Flags = 2   // holds a byte beyond ASCII
	Invalid   Flags = 4   // not valid UTF-8
	Digits    Flags = 8   // ASCII digits only, at least one
	ZeroFirst Flags = 16  // digits only, more than one, and the first is 0
	Epoch     Flags = 128 // digits only and an epoch time between 1990 and 2100
)

const (
	highs = 0x8080808080808080
	ones  = 0x0101010101010101
	zeros = 0x3030303030303030 // eight digits 0
)

// TextFacts returns the length of b in characters and its facts. A byte that is
// no part of valid UTF-8 counts as one character.
func TextFacts(b []byte) (chars int, flags Flags) {
	high, other := scan(b)
	if high != 0 {
		return nonASCII(b)
	}
	chars = len(b)
	if other == 0 {
		if chars == 0 {
			return 0, Blank
		}
		return chars, digits(b)
	}
	if blankASCII(b) {
		flags = Blank
	}
	return chars, flags
}

// scan returns a number with the high bit of a byte set where b is beyond
// ASCII, and, as long as it is not, another one where b is no digit. It reads
// eight bytes at a time; the last ones overlap those before.
func scan(b []byte) (high, other uint64) {
	n := len(b)
	if n < 8 {
		w := short(b)
		return w & highs, notDigits(w)
	}
	for i := 0; i+8 < n; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		high |= w
		other |= notDigits(w)
	}
	w := binary.LittleEndian.Uint64(b[n-8:])
	return (high | w) & highs, other | notDigits(w)
}

// short returns all bytes of a text below eight bytes in one word. Some may be
// in it twice, and where none is there is a digit.
func short(b []byte) uint64 {
	n := len(b)
	switch {
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		return uint64(b[0]) | uint64(b[n>>1])<<8 | uint64(b[n-1])<<16 | 0x3030303030000000
	}
	return zeros
}

// notDigits sets the high bit of each byte of w, which must be ASCII, that is no
// digit. No sum leaves its byte.
func notDigits(w uint64) uint64 {
	return (w + ones*(0x80-'9'-1) | ^((w | highs) - zeros)) & highs
}

// digits returns the facts about a text of one or more digits.
func digits(b []byte) Flags {
	flags := Digits
	if len(b) > 1 && b[0] == '0' {
		flags |= ZeroFirst
	}
	if len(b) >= 12 && len(b) <= 19 && isEpoch(b) {
		flags |= Epoch
	}
	return flags
}

// isEpoch reports whether 12 to 19 digits are a time between 1990 and 2100 in
// milli-, micro- or nanoseconds since 1970.
func isEpoch(b []byte) bool {
	var n uint64
	for _, ch := range b {
		n = n*10 + uint64(ch-'0')
	}
	const from, to = 631_152_000, 4_102_444_800
	return n >= from*1e3 && n < to*1e3 || n >= from*1e6 && n < to*1e6 || n >= from*1e9 && n < to*1e9
}

func blankASCII(b []byte) bool {
	for _, ch := range b {
		if ch != ' ' && ch-'\t' > '\r'-'\t' {
			return false
		}
	}
	return true
}

func nonASCII(b []byte) (chars int, flags Flags) {
	flags = NonASCII
	if utf8.Valid(b) {
		chars = starts(b)
	} else {
		chars = utf8.RuneCount(b)
		flags |= Invalid
	}
	if blank(b) {
		flags |= Blank
	}
	return chars, flags
}

// starts counts the bytes that begin a character of valid UTF-8: all but those
// of the form 10xxxxxx.
func starts(b []byte) int {
	n := len(b)
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		n -= bits.OnesCount64(w & ^(w << 1) & highs)
		b = b[8:]
	}
	for _, ch := range b {
		if ch&0xc0 == 0x80 {
			n--
		}
	}
	return n
}

// blank reports whether a text has nothing but white space of Unicode.
func blank(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || !isSpace(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

// IsASCII reports whether all bytes of b are ASCII: asked once for the data of a
// whole column it tells that every length in bytes is one in characters.
func IsASCII(b []byte) bool {
	for len(b) >= 32 {
		w := binary.LittleEndian.Uint64(b) | binary.LittleEndian.Uint64(b[8:]) |
			binary.LittleEndian.Uint64(b[16:]) | binary.LittleEndian.Uint64(b[24:])
		if w&highs != 0 {
			return false
		}
		b = b[32:]
	}
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&highs != 0 {
			return false
		}
		b = b[8:]
	}
	return short(b)&highs == 0
}

// Span is the place of a text in the data of a column: bytes Start to End.
type Span struct{ Start, End uint32 }

// Fact is what is known of one text.
type Fact struct {
	Chars uint32
	Flags Flags
}

// AppendColumn appends the facts about each text of a column to dst. The spans
// must lie inside data.
func AppendColumn(dst []Fact, data []byte, spans []Span) []Fact {
	for _, s := range spans {
		chars, flags := TextFacts(data[s.Start:s.End])
		dst = append(dst, Fact{uint32(chars), flags})
	}
	return dst
}
