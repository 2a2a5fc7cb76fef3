package report

import (
	"io"
	"slices"
	"strings"
)

// The escape sequences of the colours, used only with Options.Color.
const (
	styleNone   = ""
	styleDim    = "\x1b[2m"
	styleBold   = "\x1b[1m"
	styleRed    = "\x1b[31m"
	styleGreen  = "\x1b[32m"
	styleYellow = "\x1b[33m"
	styleCyan   = "\x1b[36m"
	styleBad    = "\x1b[1;31m"
	styleReset  = "\x1b[0m"
)

func (o Options) paint(style, s string) string {
	if !o.Color || style == styleNone || s == "" {
		return s
	}
	return style + s + styleReset
}

func (o Options) columns() int {
	if o.Width <= 0 {
		return 100
	}
	return max(o.Width, 40)
}

// cell is one place of a grid: a cleaned text on one line.
type cell struct {
	text  string
	style string
	// span makes the text run over this many columns to the right of its own,
	// aligned left; their cells are not shown.
	span int
	// fill makes the text for the cells there are; nil for a fixed text.
	fill func(room int) string
}

// track is one column of a grid.
type track struct {
	head  string
	right bool
	// least is the width below which the column is not cut; 0 means that it is
	// never cut.
	least int
	// soft is the width to which the column is cut before others are left out;
	// 0 means that columns are left out first.
	soft int
	// drop puts columns in the order in which they are left out when the
	// others do not fit: 1 first, 0 never.
	drop int
}

// gap is the space between two columns.
const gap = 2

// grid is an aligned table.
type grid struct {
	tracks []track
	rows   [][]cell
}

// widths returns the natural width of every column; cells that span others
// ask for nothing.
func (g *grid) widths() []int {
	w := make([]int, len(g.tracks))
	for i, t := range g.tracks {
		w[i] = textWidth(t.head)
	}
	for _, row := range g.rows {
		hidden := 0
		for i, c := range row {
			if hidden > 0 {
				hidden--
				continue
			}
			if c.span > 0 {
				hidden = c.span
				continue
			}
			w[i] = max(w[i], textWidth(c.text))
		}
	}
	return w
}

// fit makes the columns as wide as the terminal allows: it cuts columns to
// their soft widths, then leaves optional ones out (width -1), and cuts to the
// least widths when none of these is left.
func (g *grid) fit(columns int) []int {
	natural := g.widths()
	gone := make([]bool, len(natural))
	for {
		w, over := slices.Clone(natural), -gap-columns
		for i, n := range w {
			if gone[i] {
				w[i] = -1
				continue
			}
			over += n + gap
		}
		over = g.shrink(w, over, func(t track) int { return t.soft })
		victim := -1
		for i, t := range g.tracks {
			if t.drop > 0 && !gone[i] && (victim < 0 || t.drop < g.tracks[victim].drop) {
				victim = i
			}
		}
		if over <= 0 || victim < 0 {
			g.shrink(w, over, func(t track) int { return t.least })
			return w
		}
		gone[victim] = true
	}
}

// shrink takes cells from the widest columns above their limit until nothing
// is over, and returns what still is. A limit of 0 means that the column is
// not cut.
func (g *grid) shrink(w []int, over int, limit func(track) int) int {
	for over > 0 {
		widest := -1
		for i, t := range g.tracks {
			if least := limit(t); least > 0 && w[i] > least && (widest < 0 || w[i] > w[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return over
		}
		w[widest]--
		over--
	}
	return over
}

// write prints the header and the rows.
func (g *grid) write(b *strings.Builder, o Options) {
	w := g.fit(o.columns())
	head := make([]cell, len(g.tracks))
	for i, t := range g.tracks {
		head[i] = cell{text: t.head, style: styleBold}
	}
	g.line(b, o, w, head)
	for _, row := range g.rows {
		g.line(b, o, w, row)
	}
}

func (g *grid) line(b *strings.Builder, o Options, w []int, row []cell) {
	var line strings.Builder
	blank, used := 0, 0 // spaces owed, cells written with them
	for i := 0; i < len(row); i++ {
		c, room, right := row[i], w[i], g.tracks[i].right
		if c.span > 0 {
			room, right = o.columns()-used, false
			i += c.span
		}
		if room < 0 {
			continue
		}
		if c.fill != nil {
			c.text = c.fill(room)
		}
		text := cut(c.text, room)
		lead := 0
		if right {
			lead = room - textWidth(text)
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", blank+lead))
			line.WriteString(o.paint(c.style, text))
			blank = room - lead - textWidth(text) + gap
		} else {
			blank += room + gap
		}
		used += room + gap
	}
	b.WriteString(line.String())
	b.WriteByte('\n')
}

// Table writes an aligned table with a header line. right says which columns
// are aligned to the right, as numbers are; missing entries are left. Columns
// aligned to the left are cut with "…" when the table is wider than the
// terminal. Control characters are shown as escapes. Errors of w are not
// reported: callers that must know write to a buffer first.
func Table(w io.Writer, o Options, header []string, rows [][]string, right []bool) {
	g := grid{tracks: make([]track, len(header))}
	for i, h := range header {
		g.tracks[i].head = clean(h)
		if i < len(right) && right[i] {
			g.tracks[i].right = true
		} else {
			g.tracks[i].least = max(6, textWidth(h))
		}
	}
	for _, r := range rows {
		row := make([]cell, len(header))
		for i := range row {
			if i < len(r) {
				row[i].text = clean(r[i])
			}
		}
		g.rows = append(g.rows, row)
	}
	var b strings.Builder
	g.write(&b, o)
	_, _ = io.WriteString(w, b.String())
}
