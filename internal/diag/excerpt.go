package diag

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

const (
	excerptCells = 100 // longest shown part of a source line, in terminal cells
	excerptLead  = 40  // cells kept before the caret when a line is cut
	tabCells     = 4
)

// Excerpt writes the diagnostic on one line and below it the source line that
// it is about, with a caret underline:
//
//	rules/orders.yaml:14:15: unknown key "maks" in check "range"; did you mean "max"?
//	  14 |     - range: {maks: 5}
//	     |               ^^^^
//
// Tabs are shown as spaces, wide characters count two cells, control characters
// are replaced, and a long line is cut around the caret. If the position is not
// inside the source, only the first line is written. A failed write is ignored;
// the writer is expected to be a terminal or a buffer.
func Excerpt(w io.Writer, d Diagnostic, source []byte) {
	_, _ = io.WriteString(w, excerpt(d, source))
}

func excerpt(d Diagnostic, source []byte) string {
	head := d.Error() + "\n"
	line, ok := sourceLine(source, d.Pos.Line)
	if !ok {
		return head
	}
	number := fmt.Sprintf("%4s", strconv.Itoa(d.Pos.Line))
	cells := layout(line)
	start, count := max(d.Pos.Column, 1)-1, max(d.Width, 1)
	start = min(start, len(cells))
	end := min(start+count, len(cells))

	from, to := window(cells, start)
	end = min(end, to)
	var text, caret strings.Builder
	if from > 0 {
		text.WriteString("…")
		caret.WriteString(" ")
	}
	for i := from; i < to; i++ {
		text.WriteString(cells[i].text)
		mark := " "
		if i >= start && i < end && d.Pos.Column > 0 {
			mark = "^"
		}
		if i < end {
			caret.WriteString(strings.Repeat(mark, cells[i].width))
		}
	}
	if to < len(cells) {
		text.WriteString("…")
	}
	if start >= len(cells) && d.Pos.Column > 0 {
		caret.WriteString("^")
	}
	out := head + number + " | " + strings.TrimRight(text.String(), " ") + "\n"
	if d.Pos.Column > 0 {
		out += strings.Repeat(" ", len(number)) + " | " + caret.String() + "\n"
	}
	return out
}

func sourceLine(source []byte, number int) (string, bool) {
	if number < 1 {
		return "", false
	}
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	for range number - 1 {
		_, rest, ok := bytes.Cut(source, []byte("\n"))
		if !ok {
			return "", false
		}
		source = rest
	}
	line, _, _ := bytes.Cut(source, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), true
}

// cell is one character of the source as it is shown.
type cell struct {
	text  string
	width int
}

func layout(line string) []cell {
	cells := make([]cell, 0, len(line))
	for len(line) > 0 {
		r, size := utf8.DecodeRuneInString(line)
		line = line[size:]
		cells = append(cells, show(r))
	}
	return cells
}

func show(r rune) cell {
	switch {
	case r == '\t':
		return cell{strings.Repeat(" ", tabCells), tabCells}
	case unicode.In(r, unicode.Mn, unicode.Me):
		return cell{string(r), 0}
	case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
		return cell{string(utf8.RuneError), 1}
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return cell{string(r), 2}
	default:
		return cell{string(r), 1}
	}
}

// window returns the part of the line to show: all of it if it fits, else a
// part around the caret.
func window(cells []cell, caret int) (from, to int) {
	total := 0
	for _, c := range cells {
		total += c.width
	}
	if total <= excerptCells {
		return 0, len(cells)
	}
	from = min(caret, len(cells))
	for lead := 0; from > 0 && lead+cells[from-1].width <= excerptLead; from-- {
		lead += cells[from-1].width
	}
	used := 0
	for to = from; to < len(cells) && used+cells[to].width <= excerptCells; to++ {
		used += cells[to].width
	}
	return from, to
}
