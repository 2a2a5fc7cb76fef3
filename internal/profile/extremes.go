package profile

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// extremes finds the smallest and the largest of some texts by code point. Their
// first 16 bytes decide as two numbers; the texts are compared only where those
// are equal.
type extremes struct {
	low, high extreme
	some      bool
}

type extreme struct {
	a, b uint64
	text []byte // not copied
}

func (e *extremes) offer(text []byte) {
	a, b := leading(text)
	e.offerLeading(a, b, text)
}

// offerLeading is offer for a text of which the leading bytes are known.
func (e *extremes) offerLeading(a, b uint64, text []byte) {
	_, borrow := bits.Sub64(e.low.b, b, 0)
	_, above := bits.Sub64(e.low.a, a, borrow)
	_, borrow = bits.Sub64(b, e.high.b, 0)
	_, below := bits.Sub64(a, e.high.a, borrow)
	if e.some && above&below != 0 {
		return
	}
	e.decide(a, b, text)
}

func (e *extremes) decide(a, b uint64, text []byte) {
	if !e.some {
		e.low = extreme{a, b, text}
		e.high, e.some = e.low, true
		return
	}
	if l := &e.low; a < l.a || a == l.a && (b < l.b || b == l.b && bytes.Compare(text, l.text) < 0) {
		*l = extreme{a, b, text}
	} else if h := &e.high; a > h.a || a == h.a && (b > h.b || b == h.b && bytes.Compare(text, h.text) > 0) {
		*h = extreme{a, b, text}
	}
}

// leading returns the first 16 bytes as numbers that order as the bytes do; a
// shorter text is filled up with zeros.
func leading(t []byte) (a, b uint64) {
	switch n := len(t); {
	case n >= 16:
		return binary.BigEndian.Uint64(t), binary.BigEndian.Uint64(t[8:])
	case n > 8:
		return binary.BigEndian.Uint64(t), binary.BigEndian.Uint64(t[n-8:]) << (8 * (16 - n))
	case n == 8:
		return binary.BigEndian.Uint64(t), 0
	case n >= 4:
		return uint64(binary.BigEndian.Uint32(t))<<32 | uint64(binary.BigEndian.Uint32(t[n-4:])<<(8*(8-n))), 0
	}
	for i, c := range t {
		a |= uint64(c) << (56 - 8*i)
	}
	return a, 0
}

// settle gives what was found to the statistics of a column and begins anew.
func (e *extremes) settle(s *textStats) {
	if e.some {
		s.addText(e.low.text)
		s.addText(e.high.text)
	}
	*e = extremes{}
}
