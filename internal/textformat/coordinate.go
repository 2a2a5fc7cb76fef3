package textformat

import (
	"bytes"
	"strconv"
)

func latitude(b []byte) bool { return degrees(b, 90) }

func longitude(b []byte) bool { return degrees(b, 180) }

// maxDegrees is how many bytes of a number are read; no coordinate needs more.
const maxDegrees = 32

// degrees accepts a decimal number from -limit to limit.
func degrees(b []byte, limit float64) bool {
	if len(b) > maxDegrees || !decimal(b) {
		return false
	}
	f, err := strconv.ParseFloat(string(b), 64)
	return err == nil && f >= -limit && f <= limit
}

// decimal accepts digits with an optional sign, fraction and exponent.
func decimal(b []byte) bool {
	b = unsigned(b)
	if i := bytes.IndexAny(b, "eE"); i >= 0 {
		exponent := unsigned(b[i+1:])
		if len(exponent) == 0 || !all(exponent, isDigit) {
			return false
		}
		b = b[:i]
	}
	whole, fraction, _ := bytes.Cut(b, []byte{'.'})
	return len(whole)+len(fraction) > 0 && all(whole, isDigit) && all(fraction, isDigit)
}

// unsigned drops a sign.
func unsigned(b []byte) []byte {
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		return b[1:]
	}
	return b
}
