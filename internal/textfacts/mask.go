package textfacts

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

const (
	// maskRun is the longest run of one symbol that a mask spells out.
	maskRun = 8

	// maskLimit is the length in bytes from which on a mask is cut.
	maskLimit = 48

	// maskCut marks a mask that was cut.
	maskCut = '…'

	// maskNone stands for characters that a mask passes over.
	maskNone = -1

	// MaxMask is the most bytes that AppendMask appends: runs end at latest with
	// the last byte below the limit, the longest one is eight characters of four
	// bytes, and the mark follows.
	MaxMask = maskLimit - 1 + maskRun*utf8.UTFMax + len(string(maskCut))
)

// asciiMask are the symbols of the ASCII characters.
var asciiMask = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = '9'
		case c >= 'A' && c <= 'Z':
			t[c] = 'A'
		case c >= 'a' && c <= 'z':
			t[c] = 'a'
		default:
			t[c] = byte(c)
		}
	}
	return t
}()

// AppendMask appends the mask of a text to dst: its shape without its content,
// so that `Z123-45` becomes `A999-99`.
//
//   - A digit of any script becomes 9, a capital letter A, a small one a, a
//     letter without case x. Marks that combine with a letter are passed over, so
//     that both spellings of é are a.
//   - A byte that is no part of valid UTF-8 becomes U+FFFD. All other characters
//     stay as they are.
//   - A run of more than eight equal symbols is its first and the length in
//     braces, as in `9{12}`. Braces of the text itself stay too: a mask is for
//     reading and comparing, not for turning back.
//   - From 48 bytes on, at the end of a run, a mask is cut and ends with `…`;
//     MaxMask is the most that is appended.
//
// It allocates nothing if dst has room for MaxMask more bytes. Its cost is
// linear in the length of text up to the cut.
func AppendMask(dst, text []byte) []byte {
	if out, ok := appendShort(dst, text); ok {
		return out
	}
	start := len(dst)
	last, run := rune(maskNone), 0
	for len(text) > 0 {
		var symbol rune
		size := 1
		if c := text[0]; c < utf8.RuneSelf {
			symbol = rune(asciiMask[c])
		} else {
			symbol, size = maskOf(text)
		}
		text = text[size:]
		switch symbol {
		case maskNone:
			continue
		case last:
			run++
			continue
		}
		dst = appendRun(dst, last, run)
		last, run = symbol, 1
		if len(dst)-start >= maskLimit {
			return utf8.AppendRune(dst, maskCut)
		}
	}
	return appendRun(dst, last, run)
}

// appendShort is AppendMask for ASCII below the cut without long runs: symbol by
// symbol, without a branch that the text decides. ok is false for other texts.
func appendShort(dst, text []byte) (out []byte, ok bool) {
	if len(text) >= maskLimit {
		return dst, false
	}
	n := len(dst)
	dst = append(dst, text...)
	out = dst
	run, longest, union := 0, 0, byte(0)
	last := byte(0xff)
	for i, c := range out[n:] {
		symbol := asciiMask[c&(utf8.RuneSelf-1)]
		out[n+i] = symbol
		union |= c
		run++
		if symbol != last { // a conditional move
			run = 1
		}
		longest, last = max(longest, run), symbol
	}
	return out, longest <= maskRun && union < utf8.RuneSelf
}

// maskOf returns the symbol of the first character of a text, which is beyond
// ASCII, and its length in bytes.
func maskOf(text []byte) (symbol rune, size int) {
	r, size := utf8.DecodeRune(text)
	switch {
	case unicode.IsUpper(r), unicode.IsTitle(r):
		return 'A', size
	case unicode.IsLower(r):
		return 'a', size
	case unicode.IsLetter(r):
		return 'x', size
	case unicode.IsDigit(r):
		return '9', size
	case unicode.IsMark(r):
		return maskNone, size
	}
	return r, size
}

func appendRun(dst []byte, symbol rune, n int) []byte {
	if n > maskRun {
		dst = utf8.AppendRune(dst, symbol)
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(n), 10)
		return append(dst, '}')
	}
	for range n {
		dst = utf8.AppendRune(dst, symbol)
	}
	return dst
}
