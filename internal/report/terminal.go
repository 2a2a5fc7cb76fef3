package report

import (
	"bytes"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// manyColumns is how many columns of a wide table are shown without
// Options.Verbose.
const manyColumns = 100

// manyRemarks is how many remarks are shown without Options.Verbose.
const manyRemarks = 30

// tableProfile writes a summary for a terminal.
func tableProfile(w *bytes.Buffer, s *profile.Summary, o Options) {
	var b strings.Builder
	b.WriteString(o.paint(styleBold, cut(clean(s.Dataset), o.columns())))
	b.WriteByte('\n')
	indented(&b, "", strings.Join(headline(s), " · "), o.columns())
	if from := origin(s); from != "" {
		b.WriteString(o.paint(styleDim, cut(from, o.columns())))
		b.WriteByte('\n')
	}
	if len(s.Columns) > 0 {
		b.WriteByte('\n')
		shown := s.Columns
		if !o.Verbose && len(shown) > manyColumns {
			shown = shown[:manyColumns]
		}
		g := profileGrid(shown, o)
		g.write(&b, o)
		if rest := len(s.Columns) - len(shown); rest > 0 {
			b.WriteString(o.paint(styleDim, "… "+words.Count(rest)+" more columns; -v shows all"))
			b.WriteByte('\n')
		}
	}
	writeRemarks(&b, remarks(s), o)
	w.WriteString(b.String())
}

func writeRemarks(b *strings.Builder, list []remark, o Options) {
	if len(list) == 0 {
		return
	}
	b.WriteByte('\n')
	for i, r := range list {
		if !o.Verbose && i == manyRemarks {
			b.WriteString(o.paint(styleDim, "… "+words.Count(len(list)-i)+" more remarks; -v shows all") + "\n")
			return
		}
		text := r.text
		if r.column != "" {
			text = cut(clean(r.column), 40) + ": " + text
		}
		var lines strings.Builder
		lead, style := "· ", styleDim
		if r.warning {
			lead, style = "! ", styleYellow
		}
		indented(&lines, lead, text, o.columns())
		for line := range strings.Lines(lines.String()) {
			b.WriteString(o.paint(style, strings.TrimSuffix(line, "\n")))
			b.WriteByte('\n')
		}
	}
}

// The columns of the profile table.
const (
	trackName = iota
	trackType
	trackNulls
	trackDistinct
	trackMin
	trackMax
	trackMean
	trackMedian
	trackStdDev
	trackShape
	trackCount
)

// profileGrid lays the columns of a profile out. Columns of texts use the
// place of the numbers for their frequent values. Where timestamps do not fit
// they are cut to dates.
func profileGrid(columns []profile.Column, o Options) grid {
	g := profileRows(columns, moment)
	room := -gap
	for i, w := range g.widths() {
		if i == trackName {
			w = min(w, g.tracks[i].soft)
		}
		if i != trackMedian && i != trackStdDev {
			room += w + gap
		}
	}
	if room > o.columns() {
		g = profileRows(columns, day)
	}
	return g
}

func profileRows(columns []profile.Column, short func(string) string) grid {
	g := grid{tracks: []track{
		trackName:     {head: "COLUMN", least: 10, soft: 24},
		trackType:     {head: "TYPE"},
		trackNulls:    {head: "NULLS", right: true},
		trackDistinct: {head: "DISTINCT", right: true},
		trackMin:      {head: "MIN", right: true, least: 8},
		trackMax:      {head: "MAX", right: true, least: 8},
		trackMean:     {head: "MEAN", right: true, drop: 3},
		trackMedian:   {head: "MEDIAN", right: true, drop: 2},
		trackStdDev:   {head: "STDDEV", right: true, drop: 1},
		trackShape:    {head: "HISTOGRAM"},
	}}
	for i := range columns {
		g.rows = append(g.rows, profileRow(&columns[i], short))
	}
	if !anyCharted(columns) {
		for i := trackMin; i < trackShape; i++ {
			g.tracks[i].head = ""
		}
		g.tracks[trackMin].head, g.tracks[trackShape].head = "VALUES", ""
		g.tracks[trackMin].right = false
	}
	return g
}

func anyCharted(columns []profile.Column) bool {
	for i := range columns {
		if charted(&columns[i]) {
			return true
		}
	}
	return false
}

func profileRow(c *profile.Column, short func(string) string) []cell {
	row := make([]cell, trackCount)
	row[trackName].text = cut(clean(c.Name), 40)
	row[trackType].text = c.Type
	if c.Mixed != nil {
		row[trackType] = cell{text: c.Type + "!", style: styleYellow}
	}
	row[trackNulls].text = nullsText(c)
	switch {
	case c.Nulls == 0:
		row[trackNulls].style = styleDim
	case c.Count == 0:
		row[trackNulls].style = styleYellow
	}
	row[trackDistinct].text = estimate(c.Distinct)
	if !charted(c) {
		row[trackMin] = cell{span: trackShape - trackMin, fill: func(room int) string { return valuesText(c, room) }}
		if c.Count == 0 {
			row[trackMin].style = styleDim
		}
		return row
	}
	if lo, hi := value(c.Min), value(c.Max); lo != hi && short(lo) == short(hi) {
		short = clock // all on one day
	}
	row[trackMin].text = cut(short(value(c.Min)), 24)
	row[trackMax].text = cut(short(value(c.Max)), 24)
	if c.Type == batch.Date.String() {
		short = day
	}
	row[trackMean].text = cut(short(rounded(c.Mean)), 24)
	if q := c.Quantiles; q != nil {
		row[trackMedian].text = cut(short(rounded(q.P50)), 24)
		if !q.Exact && row[trackMedian].text != "" {
			row[trackMedian].text = "≈" + row[trackMedian].text
		}
	}
	row[trackStdDev].text = cut(deviation(c), 24)
	row[trackShape] = cell{text: spark(c.Histogram), style: styleCyan}
	return row
}

// rounded writes a statistic: numbers short, times as their text.
func rounded(s profile.Scalar) string {
	if f, ok := s.Float(); ok {
		return words.Number(f)
	}
	return clean(s.String())
}

// deviation writes the standard deviation, of times as a length of time.
func deviation(c *profile.Column) string {
	f, ok := c.StdDev.Float()
	if !ok || !temporal(c) {
		return rounded(c.StdDev)
	}
	return lasting(f)
}
