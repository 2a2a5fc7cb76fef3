package checks

import (
	"bytes"
	"math/bits"
)

// decimal is a number as its text says it: digits times ten to the power of
// exp. The digits keep the text's memory and are in two parts, before and
// after the point; the last one is not 0. There are none for 0.
type decimal struct {
	whole, fraction []byte
	exp             int
}

// maxExponent bounds exponents, far beyond those of any float.
const maxExponent = 1 << 20

// parseDecimal reads digits with an optional sign, fraction and exponent. White
// space around them is passed over. The sign is dropped.
func parseDecimal(text []byte) (d decimal, ok bool) {
	text = unsignedText(bytes.Trim(text, " \t"))
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		if d.exp, ok = parseExponent(text[i+1:]); !ok {
			return d, false
		}
		text = text[:i]
	}
	d.whole, d.fraction, _ = bytes.Cut(text, []byte{'.'})
	if len(d.whole)+len(d.fraction) == 0 || !allDigits(d.whole) || !allDigits(d.fraction) {
		return d, false
	}
	d.exp -= len(d.fraction)
	kept := bytes.TrimRight(d.fraction, "0")
	d.exp += len(d.fraction) - len(kept)
	d.fraction = kept
	if len(kept) == 0 {
		whole := bytes.TrimRight(d.whole, "0")
		d.exp += len(d.whole) - len(whole)
		d.whole = whole
	}
	if d.isZero() {
		d.exp = 0
	}
	return d, true
}

func unsignedText(text []byte) []byte {
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		return text[1:]
	}
	return text
}

func allDigits(text []byte) bool {
	for _, c := range text {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

func parseExponent(text []byte) (int, bool) {
	negative := len(text) > 0 && text[0] == '-'
	text = unsignedText(text)
	if len(text) == 0 || !allDigits(text) {
		return 0, false
	}
	n := 0
	for _, c := range text {
		n = min(n*10+int(c-'0'), maxExponent)
	}
	if negative {
		n = -n
	}
	return n, true
}

func (d decimal) isZero() bool { return len(d.whole)+len(d.fraction) == 0 }

// places is the number of digits after the point that the number needs.
func (d decimal) places() int { return max(0, -d.exp) }

// mod returns the digits modulo m, which is at most 10^18.
func (d decimal) mod(m uint64) uint64 {
	r := uint64(0)
	for _, part := range [2][]byte{d.whole, d.fraction} {
		for _, c := range part {
			r = (r*10 + uint64(c-'0')) % m
		}
	}
	return r
}

// step is a positive decimal that others may be multiples of: digits times ten
// to the power of exp. The last of its digits is not 0.
type step struct {
	digits uint64
	exp    int
}

// maxStepDigits keeps the remainders of step times ten within 64 bits.
const maxStepDigits = 18

// divides reports whether a number is a whole multiple of the step. With no
// zeros at the end of either, a number that has more places than the step
// cannot be one; the others are decided by the remainder of digits·10^(their
// exponents' difference).
func (s step) divides(d decimal) bool {
	switch {
	case d.isZero():
		return true
	case d.exp < s.exp:
		return false
	}
	return mulMod(d.mod(s.digits), powMod(10, d.exp-s.exp, s.digits), s.digits) == 0
}

func mulMod(a, b, m uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return bits.Rem64(hi, lo, m)
}

func powMod(base uint64, exp int, m uint64) uint64 {
	r := 1 % m
	for base %= m; exp > 0; exp >>= 1 {
		if exp&1 == 1 {
			r = mulMod(r, base, m)
		}
		base = mulMod(base, base, m)
	}
	return r
}
