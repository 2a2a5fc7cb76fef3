package jsonl

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends the text of a valid string without its escapes. Half of a
// surrogate pair becomes U+FFFD.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			dst = append(dst, text[i])
			i++
			continue
		}
		if text[i+1] != 'u' {
			dst = append(dst, plain(text[i+1]))
			i += 2
			continue
		}
		u, _ := hex4(text[i+2:])
		i += 6
		if utf16.IsSurrogate(u) {
			low, ok := rune(0), false
			if i+6 <= len(text) && text[i] == '\\' && text[i+1] == 'u' {
				low, ok = hex4(text[i+2:])
			}
			u = utf16.DecodeRune(u, low)
			if ok && u != utf8.RuneError {
				i += 6
			}
		}
		dst = utf8.AppendRune(dst, u)
	}
	return dst
}

// plain returns what an escape of one letter stands for.
func plain(letter byte) byte {
	switch letter {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return letter
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var u rune
	for _, ch := range b[:4] {
		switch {
		case ch-'0' <= 9:
			u = u<<4 | rune(ch-'0')
		case ch|0x20 >= 'a' && ch|0x20 <= 'f':
			u = u<<4 | rune(ch|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return u, true
}

// appendEscaped appends a text as the inside of a JSON string.
func appendEscaped(dst []byte, text string) []byte {
	const digits = "0123456789abcdef"
	for i := range len(text) {
		switch ch := text[i]; {
		case ch == '"' || ch == '\\':
			dst = append(dst, '\\', ch)
		case ch < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[ch>>4], digits[ch&15])
		default:
			dst = append(dst, ch)
		}
	}
	return dst
}
