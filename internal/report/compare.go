package report

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// ComparisonTable is two batches beside each other, the columns that moved most
// first.
type ComparisonTable struct {
	Left, Right         string // names of the sides
	LeftRows, RightRows int64
	Change              string // of the rows, in words
	Rows                []ComparisonRow
}

// ComparisonRow is a column of two batches; pairs are left and right.
type ComparisonRow struct {
	Name, Status, Type      string
	Nulls, Distinct, Middle [2]profile.Scalar
	Distance, Note          string
}

// Comparison writes a comparison as a table, or as Markdown.
func Comparison(b *bytes.Buffer, f Format, t ComparisonTable, o Options) {
	head := []string{"COLUMN", "", "TYPE", "NULLS", "DISTINCT", "MEDIAN", "DISTANCE", "WHAT MOVED MOST"}
	right := []bool{false, false, false, true, true, true, true, false}
	var lines [][]string
	for i := range t.Rows {
		r := &t.Rows[i]
		lines = append(lines, []string{r.Name, r.Status, r.Type, pairText(r.Nulls, true), pairText(r.Distinct, false), pairText(r.Middle, false), r.Distance, r.Note})
	}
	title := fmt.Sprintf("%s → %s", clean(t.Left), clean(t.Right))
	rows := words.Count(t.LeftRows) + " → " + words.Things(t.RightRows, "row") + t.Change
	if f == FormatMarkdown {
		for i := range head {
			head[i] = strings.ToLower(head[i])
		}
		fmt.Fprintf(b, "### %s\n\n%s\n\n", md(title), md(rows))
		markdownTable(b, head, lines, right)
		return
	}
	b.WriteString(o.paint(styleBold, cut(title, o.columns())) + "\n" + rows + "\n\n")
	g := grid{}
	for i, h := range head {
		t := track{head: h, right: right[i]}
		switch h {
		case "COLUMN":
			t.least = 12
		case "WHAT MOVED MOST":
			t.least, t.drop = 12, 1
		}
		g.tracks = append(g.tracks, t)
	}
	styles := map[string]string{"drift": styleYellow, "type": styleBad, "added": styleBad, "removed": styleBad, "same": styleDim}
	for _, line := range lines {
		row := make([]cell, len(line))
		for i, text := range line {
			row[i].text = clean(text)
		}
		row[1].style = styles[line[1]]
		g.rows = append(g.rows, row)
	}
	var text strings.Builder
	g.write(&text, o)
	b.WriteString(text.String())
}

// pairText writes two numbers, or one where they are alike.
func pairText(p [2]profile.Scalar, share bool) string {
	var texts [2]string
	for i := range p {
		texts[i] = value(p[i])
		if v, ok := p[i].Float(); ok && share {
			texts[i] = strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*v), "0"), ".") + " %"
		}
		texts[i] = cut(texts[i], 20)
	}
	switch {
	case texts[0] == texts[1]:
		return texts[0]
	case texts[0] == "":
		return "→ " + texts[1]
	case texts[1] == "":
		return texts[0] + " →"
	}
	return texts[0] + " → " + texts[1]
}
