package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// clean makes control characters, line ends, bidirectional marks and invisible
// spaces visible as escapes, so that a value can neither steer a terminal nor
// break a table.
func clean(s string) string {
	plain := utf8.ValidString(s)
	for _, r := range s {
		if !visible(r) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteRune(utf8.RuneError)
		case visible(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// Line makes a text fit for a line of a terminal, as the values of tables are.
func Line(s string) string { return clean(s) }

func visible(r rune) bool { return r == utf8.RuneError || unicode.IsPrint(r) }

// runeWidth is the number of terminal cells of a character: 2 for wide and
// full-width ones, 0 for marks that combine, else 1 (Unicode Annex 11; the
// ambiguous are narrow).
func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
	}
	return 1
}

// textWidth is the number of terminal cells of a cleaned text.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// cut shortens a cleaned text to at most n cells, the last of them "…".
func cut(s string, n int) string {
	if textWidth(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	return strings.TrimRight(s[:prefix(s, n-1)], " ") + "…"
}

// prefix is the number of bytes of a text that fill at most n cells.
func prefix(s string, n int) int {
	used := 0
	for i, r := range s {
		if used += runeWidth(r); used > n {
			return i
		}
	}
	return len(s)
}

// wrap breaks a cleaned text into lines of at most n cells, between words
// where it can.
func wrap(s string, n int) []string {
	n = max(n, 8)
	var lines []string
	line, used := "", 0
	flush := func() {
		lines = append(lines, line)
		line, used = "", 0
	}
	for _, word := range strings.Fields(s) {
		w := textWidth(word)
		if used > 0 && used+1+w > n {
			flush()
		}
		for w > n {
			head := word[:prefix(word, n)]
			line = head
			flush()
			word = word[len(head):]
			w = textWidth(word)
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += w
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// indented writes the text wrapped to the width, its first line after lead and
// the others below it.
func indented(b *strings.Builder, lead, s string, columns int) {
	n := textWidth(lead)
	for i, line := range wrap(s, columns-n) {
		if i == 0 {
			b.WriteString(lead)
		} else {
			b.WriteString(strings.Repeat(" ", n))
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
}
