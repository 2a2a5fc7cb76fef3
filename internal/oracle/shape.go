package oracle

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shape is what the values of a column look like together.
type Shape struct {
	Bits   float64   // entropy
	Sorted string    // "" for no order
	Masks  []Counted // all of them, most frequent first, ties by text; nil unless texts
}

// keptOfText is how much of a text is kept for masks and for its order.
const keptOfText = 256

// shape computes the shape of the values under the column's type, in row order.
func (c *Column) shape(values []Value) {
	for _, t := range c.Top {
		p := float64(t.Count) / float64(c.Count)
		c.Bits -= p * math.Log2(p)
	}
	c.Sorted = sortedness(c.Type, values)
	if c.Type != tString {
		return
	}
	count := map[string]int64{}
	for _, v := range values {
		count[maskOf(kept(v.show(tString, false)))]++
	}
	for mask, n := range count {
		c.Masks = append(c.Masks, Counted{mask, n})
	}
	slices.SortFunc(c.Masks, func(a, b Counted) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
}

// kept is the beginning of a text up to keptOfText bytes, without a part of a
// character.
func kept(s string) string {
	if len(s) <= keptOfText {
		return s
	}
	n := keptOfText
	for n > keptOfText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// maskOf writes the shape of a text symbol by symbol and then shortens it.
func maskOf(s string) string {
	var symbols []rune
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case unicode.In(r, unicode.Mn, unicode.Mc, unicode.Me):
			continue
		case unicode.In(r, unicode.Lu, unicode.Lt):
			r = 'A'
		case unicode.In(r, unicode.Ll):
			r = 'a'
		case unicode.IsLetter(r):
			r = 'x'
		case unicode.In(r, unicode.Nd):
			r = '9'
		}
		symbols = append(symbols, r)
	}
	var b strings.Builder
	for i := 0; i < len(symbols); {
		j := i
		for j < len(symbols) && symbols[j] == symbols[i] {
			j++
		}
		if b.Len() >= 48 {
			return b.String() + "…"
		}
		if j-i > 8 {
			fmt.Fprintf(&b, "%c{%d}", symbols[i], j-i)
		} else {
			b.WriteString(strings.Repeat(string(symbols[i]), j-i))
		}
		i = j
	}
	return b.String()
}

// sortedness compares every value of the column's type with the one before it.
func sortedness(typ string, values []Value) string {
	var of []Value
	for _, v := range values {
		if typ == tString || family(v.Type) == family(typ) && !(v.Type == tNumber && math.IsNaN(v.Float)) {
			of = append(of, v)
		}
	}
	var compare func(a, b Value) int
	switch family(typ) {
	case tString:
		compare = func(a, b Value) int { return strings.Compare(a.show(tString, false), b.show(tString, false)) }
	case tNumber:
		compare = compareNumbers
	case tTimestamp:
		compare = func(a, b Value) int { return a.At.Compare(b.At) }
	case tTime:
		compare = func(a, b Value) int { return cmp.Compare(a.Int, b.Int) }
	default:
		return ""
	}
	if len(of) == 0 {
		return ""
	}
	rises, falls := false, false
	for i := 1; i < len(of); i++ {
		switch compare(of[i-1], of[i]) {
		case -1:
			rises = true
		case 1:
			falls = true
		}
		if typ == tString && sameStart(of[i-1].show(tString, false), of[i].show(tString, false)) {
			return "" // the product keeps no more of a text
		}
	}
	switch {
	case rises && falls:
		return ""
	case rises:
		return "ascending"
	case falls:
		return "descending"
	}
	return "constant"
}

// sameStart reports whether two long texts differ, but not in what is kept.
func sameStart(a, b string) bool {
	return a != b && min(len(a), len(b)) > keptOfText && a[:keptOfText] == b[:keptOfText]
}

// compareNumbers compares exactly, as fractions.
func compareNumbers(a, b Value) int {
	exact := func(v Value) (*big.Rat, int) {
		if v.Type == tInteger {
			return new(big.Rat).SetInt64(v.Int), 0
		}
		if math.IsInf(v.Float, 0) {
			return nil, int(math.Copysign(1, v.Float))
		}
		return new(big.Rat).SetFloat64(v.Float), 0
	}
	x, far := exact(a)
	y, far2 := exact(b)
	if x == nil || y == nil {
		return cmp.Compare(far, far2)
	}
	return x.Cmp(y)
}
