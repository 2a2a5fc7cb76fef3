// Package words writes numbers for people: in reports, on pages and in messages.
package words

import (
	"math"
	"strconv"
	"strings"
)

// Count writes a whole number with separators of thousands: 12,345.
func Count[N ~int | ~int64](n N) string { return Group(strconv.FormatInt(int64(n), 10)) }

// Things counts things whose plural ends with s: 1 row, 2,000 rows.
func Things[N ~int | ~int64](n N, word string) string { return Plural(n, word, word+"s") }

// Plural counts things: 1 batch, 2 batches.
func Plural[N ~int | ~int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Group puts commas between the thousands of a decimal number. Numbers with an
// exponent stay as they are.
func Group(s string) string {
	if strings.ContainsAny(s, "eE") {
		return s
	}
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

// GroupLong groups numbers of five digits and more: those of four are often
// years.
func GroupLong(s string) string {
	whole, _, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if len(whole) < 5 {
		return s
	}
	return Group(s)
}

// Percent writes a share with at most one decimal, and never rounds to 0 % or
// 100 % what is neither.
func Percent(share float64) string {
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
	return Group(strconv.FormatFloat(p, 'f', 0, 64)) + " %"
}

// Size writes bytes in binary units: 1.5 MiB.
func Size(bytes int64) string {
	if bytes < 1024 {
		return Things(bytes, "byte")
	}
	v, unit := float64(bytes), 0
	for v >= 1023.95 && unit < 6 {
		v /= 1024
		unit++
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + string("KMGTPE"[unit-1]) + "iB"
}

// Number writes a float with four significant digits, its whole part in full
// up to a billion.
func Number(f float64) string {
	a := math.Abs(f)
	switch {
	case f == 0:
		return "0"
	case a >= 1e9 || a < 1e-4:
		return strconv.FormatFloat(f, 'g', 4, 64)
	case f == math.Trunc(f):
		return GroupLong(strconv.FormatFloat(f, 'f', 0, 64))
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
	return Group(s)
}
