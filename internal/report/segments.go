package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// segmentTable lays the segments of a check out, the worst first: those that
// are not as expected and those with failing rows, at most fewRows, or all.
// rest is how many segments of that kind are left out.
func segmentTable(r *checks.Result, all bool) (header []string, rows [][]string, rest int) {
	segments := slices.Clone(r.Segments)
	if r.Other != nil {
		segments = append(segments, *r.Other)
	}
	isOther := func(i int) bool { return r.Other != nil && i == len(segments)-1 }
	order := make([]int, 0, len(segments))
	for i := range segments {
		if s := &segments[i]; all || s.Status > checks.Learning || s.Failed != nil && *s.Failed > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &segments[a], &segments[b]
		return cmp.Or(-cmp.Compare(x.Status, y.Status), -cmp.Compare(failedShare(x), failedShare(y)))
	})
	if !all && len(order) > fewRows {
		order, rest = order[:fewRows], len(order)-fewRows
	}
	header = []string{"segment", "status", "observed"}
	for _, i := range order {
		s := &segments[i]
		name := exact(s.Value)
		switch {
		case isOther(i):
			name = "(other)"
		case s.Value.IsNull():
			name = "null"
		}
		seen := value(s.Observed)
		if s.Failed != nil && s.Evaluated != nil {
			seen = fmt.Sprintf("%s of %s", words.Count(*s.Failed), words.Count(*s.Evaluated))
		}
		rows = append(rows, []string{name, s.Status.String(), cmp.Or(seen, "no value")})
	}
	return header, rows, rest
}

func failedShare(s *checks.Segment) float64 {
	if s.Failed == nil || s.Evaluated == nil || *s.Evaluated == 0 {
		return 0
	}
	return float64(*s.Failed) / float64(*s.Evaluated)
}

// writeSegments shows the worst segments of a check on a terminal.
func writeSegments(b *strings.Builder, r *checks.Result, o Options) {
	header, rows, rest := segmentTable(r, o.Verbose)
	if len(rows) == 0 {
		return
	}
	g := grid{tracks: []track{{head: header[0], least: 6}, {head: header[1]}, {head: header[2], right: true}}}
	for _, row := range rows {
		cells := make([]cell, len(row))
		for i := range row {
			cells[i].text = clean(row[i])
		}
		g.rows = append(g.rows, cells)
	}
	writeInner(b, &g, o)
	if rest > 0 {
		b.WriteString(strings.Repeat(" ", resultIndent+2) + o.paint(styleDim, "… "+words.Things(rest, "more segment")) + "\n")
	}
}

// writeInner writes a table below a result.
func writeInner(b *strings.Builder, g *grid, o Options) {
	inner := o
	inner.Width = o.columns() - resultIndent - 2
	var lines strings.Builder
	g.write(&lines, inner)
	for line := range strings.Lines(lines.String()) {
		b.WriteString(strings.Repeat(" ", resultIndent+2) + line)
	}
}

// markdownSegments shows the worst segments of a check.
func markdownSegments(b *bytes.Buffer, r *checks.Result, o Options) {
	header, rows, rest := segmentTable(r, o.Verbose)
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\nSegments of %s:\n\n", md(title(r)))
	markdownTable(b, header, rows, []bool{false, false, true})
	if rest > 0 {
		fmt.Fprintf(b, "\n… %s\n", words.Things(rest, "more segment"))
	}
}

// htmlSegments lays out all segments for a page: the worst are shown, the
// others folded away.
func htmlSegments(r *checks.Result) (header []string, shown, hidden [][]string) {
	if len(r.Segments) == 0 {
		return nil, nil, nil
	}
	header, rows, _ := segmentTable(r, true)
	for _, row := range rows {
		for i := range row {
			row[i] = cut(clean(row[i]), 200)
		}
	}
	n := min(len(rows), fewRows)
	return header, rows[:n], rows[n:]
}
