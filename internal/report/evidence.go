package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// EvidenceTable lays out what a learned decision found: a line for a column,
// strongest first, then what changes slowly. Without a finding it is empty.
func EvidenceTable(r *checks.Result) (header []string, rows [][]string) {
	if r.Learned == nil || r.Status < checks.Warn {
		return nil, nil
	}
	header = []string{"column", "what", "is", "expected", "z", "rows", "shape"}
	for _, lines := range [][]checks.Evidence{r.Evidence, r.Slow} {
		for i := range lines {
			e := &lines[i]
			column, shape := "(batch)", e.Shape
			if e.Column != nil {
				column = *e.Column
			}
			if e.Since != "" {
				shape += ", since " + e.Since
			}
			rows = append(rows, []string{column, e.What(), e.Seen(), e.Normal(), strconv.FormatFloat(e.Z, 'f', 1, 64), words.Count(e.Rows), shape})
		}
	}
	return header, rows
}

var evidenceRight = []bool{false, false, true, true, true, true, false}

// manyEvidence is how many lines the message has already.
const manyEvidence = 3

// writeEvidence shows the lines on a terminal, where the message leaves some out
// or more is asked for.
func writeEvidence(b *strings.Builder, r *checks.Result, o Options) {
	header, rows := EvidenceTable(r)
	if len(rows) == 0 || len(rows) <= manyEvidence && !o.Verbose {
		return
	}
	g := grid{}
	for i, h := range header {
		t := track{head: h, right: evidenceRight[i]}
		if i == 0 {
			t.least = 8
		}
		g.tracks = append(g.tracks, t)
	}
	for _, row := range rows {
		cells := make([]cell, len(row))
		for i := range row {
			cells[i].text = clean(row[i])
		}
		g.rows = append(g.rows, cells)
	}
	writeInner(b, &g, o)
}

// markdownEvidence shows the lines in a merge request.
func markdownEvidence(b *bytes.Buffer, r *checks.Result) {
	header, rows := EvidenceTable(r)
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\nUnlike %s before:\n\n", words.Plural(r.Baseline.Batches, "batch", "batches"))
	markdownTable(b, header, rows, evidenceRight)
}

// htmlEvidence lays the lines out for a page.
func htmlEvidence(r *checks.Result) (header []string, rows [][]string) {
	header, rows = EvidenceTable(r)
	for _, row := range rows {
		for i := range row {
			row[i] = cut(clean(row[i]), 200)
		}
	}
	return header, rows
}
