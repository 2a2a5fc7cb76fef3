package textformat

import (
	"encoding/json"
	"unicode/utf8"
)

// uuid accepts 32 hexadecimal digits in the groups 8-4-4-4-12, of any version
// and variant, the nil and the max UUID included.
func uuid(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isHex(c) {
				return false
			}
		}
	}
	return true
}

// jsonText accepts any JSON value, at most 10,000 levels deep.
func jsonText(b []byte) bool { return json.Valid(b) && utf8.Valid(b) }

// base64 accepts the standard alphabet with its padding, without line breaks.
// The bits that pad the last character are 0, as an encoder writes them.
func base64(b []byte) bool {
	if len(b) == 0 || len(b)%4 != 0 {
		return false
	}
	pad := 0
	for pad < 2 && b[len(b)-1-pad] == '=' {
		pad++
	}
	b = b[:len(b)-pad]
	for _, c := range b {
		if sextet(c) < 0 {
			return false
		}
	}
	unused := [3]int{0, 3, 15}[pad]
	return sextet(b[len(b)-1])&unused == 0
}

// sextet returns the value of a character of base64, -1 for any other.
func sextet(c byte) int {
	switch {
	case isUpper(c):
		return int(c - 'A')
	case isLetter(c):
		return int(c-'a') + 26
	case isDigit(c):
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// hex accepts one or more hexadecimal digits, without a prefix.
func hex(b []byte) bool { return len(b) > 0 && all(b, isHex) }

// semver accepts MAJOR.MINOR.PATCH with an optional pre-release and build,
// without the letter v before it.
func semver(b []byte) bool {
	for part := range 3 {
		n := 0
		for n < len(b) && isDigit(b[n]) {
			n++
		}
		if n == 0 || n > 1 && b[0] == '0' {
			return false
		}
		b = b[n:]
		if part < 2 {
			if len(b) == 0 || b[0] != '.' {
				return false
			}
			b = b[1:]
		}
	}
	if len(b) > 0 && b[0] == '-' {
		rest, ok := identifiers(b[1:], true)
		if !ok {
			return false
		}
		b = rest
	}
	if len(b) > 0 && b[0] == '+' {
		rest, ok := identifiers(b[1:], false)
		return ok && len(rest) == 0
	}
	return len(b) == 0
}

// identifiers reads identifiers with dots between them up to a plus sign and
// returns the rest. Numbers among them have no leading zero where they order
// versions.
func identifiers(b []byte, ordered bool) (rest []byte, ok bool) {
	for {
		n, digits := 0, true
		for n < len(b) && (isAlnum(b[n]) || b[n] == '-') {
			digits = digits && isDigit(b[n])
			n++
		}
		if n == 0 || ordered && digits && n > 1 && b[0] == '0' {
			return nil, false
		}
		b = b[n:]
		if len(b) == 0 || b[0] != '.' {
			return b, true
		}
		b = b[1:]
	}
}
