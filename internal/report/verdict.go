package report

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// fewRows is how many failing rows a report shows without Options.Verbose.
const fewRows = 5

// order is how early a status stands in a report: worst first, and learning
// before what passed.
func order(s checks.Status) int { return -int(s) }

// worstFirst returns the results of a report, worst first, in their own order
// where they are alike; the caller owns the slice.
func worstFirst(r *checks.Report) []checks.Result {
	out := slices.Clone(r.Results)
	slices.SortStableFunc(out, func(a, b checks.Result) int { return cmp.Compare(order(a.Status), order(b.Status)) })
	return out
}

// tally writes how many checks ended in which status: "12 checks: 9 pass,
// 1 warn, 2 fail".
func tally(r *checks.Report) string {
	n := map[checks.Status]int64{}
	for i := range r.Results {
		n[r.Results[i].Status]++
	}
	var parts []string
	for s := checks.Pass; s <= checks.Error; s++ {
		if n[s] > 0 {
			parts = append(parts, words.Count(n[s])+" "+s.String())
		}
	}
	text := words.Things(len(r.Results), "check")
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

func statusStyle(s checks.Status) string {
	switch s {
	case checks.Fail, checks.Error:
	case checks.Pass:
		return styleGreen
	case checks.Learning:
		return styleCyan
	case checks.Warn:
		return styleYellow
	}
	return styleBad
}

// place writes the rule's file and line, "" if unknown.
func place(r *checks.Rule) string {
	switch {
	case r == nil || r.File == "":
		return ""
	case r.Line <= 0:
		return r.File
	}
	return r.File + ":" + strconv.Itoa(r.Line)
}

// observed is what a check saw, in a few characters.
func observed(r *checks.Result) string {
	if r.Evaluated != nil && r.Failed != nil {
		return words.Count(*r.Failed) + " of " + words.Count(*r.Evaluated)
	}
	return value(r.Value)
}

// title names a result: its id, and the name that the rule gave it.
func title(r *checks.Result) string {
	if r.Name == "" || r.Name == r.ID {
		return clean(r.ID)
	}
	return clean(r.ID) + " (" + clean(r.Name) + ")"
}

// tableCheck writes a verdict for a terminal.
func tableCheck(w *bytes.Buffer, r *checks.Report, o Options) {
	var b strings.Builder
	verdictLine(&b, r, o)
	results := worstFirst(r)
	var brief []checks.Result
	last := checks.Pass
	for i := range results {
		res := &results[i]
		if res.Status == checks.Pass && !o.Verbose {
			brief = append(brief, *res)
			continue
		}
		if res.Status != last || res.Status > checks.Learning {
			b.WriteByte('\n') // learning and passed ones stand close together
		}
		last = res.Status
		writeResult(&b, res, o)
	}
	if len(brief) > 0 {
		b.WriteByte('\n')
		writeBrief(&b, brief, o)
	}
	w.WriteString(b.String())
}

func verdictLine(b *strings.Builder, r *checks.Report, o Options) {
	head := cut(clean(r.Dataset), o.columns())
	word := strings.ToUpper(r.Verdict.String())
	parts := []string{rowsOf(r), tally(r)}
	if r.Batch != "" {
		parts = append([]string{"batch " + cut(clean(r.Batch), 40)}, parts...)
	}
	line := strings.Join(parts, "  ")
	b.WriteString(o.paint(styleBold, head))
	if textWidth(head)+textWidth(word)+textWidth(line)+4 <= o.columns() {
		b.WriteString("  " + o.paint(statusStyle(r.Verdict), word) + "  " + line + "\n")
		return
	}
	b.WriteString("\n" + o.paint(statusStyle(r.Verdict), word) + "  ")
	indentedRest(b, len(word)+2, strings.Join(parts, " · "), o)
}

// indentedRest wraps a text whose first line begins at a place that something
// else was already written to.
func indentedRest(b *strings.Builder, at int, text string, o Options) {
	for i, line := range wrap(text, o.columns()-at) {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", at))
		}
		b.WriteString(line + "\n")
	}
}

// resultIndent is where the text of a result begins: after the longest word
// of a status.
const resultIndent = 10

func writeResult(b *strings.Builder, r *checks.Result, o Options) {
	word := strings.ToUpper(r.Status.String())
	b.WriteString(o.paint(statusStyle(r.Status), word))
	b.WriteString(strings.Repeat(" ", resultIndent-len(word)))
	at := place(r.Rule)
	name := cut(title(r), o.columns()-resultIndent)
	b.WriteString(o.paint(styleBold, name))
	if at != "" {
		at = clean(at)
		if fill := o.columns() - resultIndent - textWidth(name) - textWidth(at); fill >= 2 {
			b.WriteString("  " + o.paint(styleDim, at))
			at = ""
		}
	}
	b.WriteByte('\n')
	blank := strings.Repeat(" ", resultIndent)
	if at != "" {
		indented(b, blank, at, o.columns())
	}
	if r.Message != "" {
		indented(b, blank, clean(r.Message), o.columns())
	}
	if r.Limit != "" && !strings.Contains(r.Message, r.Limit) {
		indented(b, blank+"limit: ", clean(r.Limit), o.columns())
	}
	if r.Note != "" {
		indented(b, blank+"note: ", clean(r.Note), o.columns())
	}
	if r.Owner != "" && o.Verbose {
		indented(b, blank+"owner: ", clean(r.Owner), o.columns())
	}
	writeEvidence(b, r, o)
	writeSegments(b, r, o)
	writeFailing(b, r, o)
}

func writeFailing(b *strings.Builder, r *checks.Result, o Options) {
	shown := r.FailingRows
	if !o.Verbose && len(shown) > fewRows {
		shown = shown[:fewRows]
	}
	if len(shown) == 0 {
		return
	}
	header, rows := failingTable(r, shown)
	g := grid{tracks: []track{{head: header[0], right: true}}}
	for _, h := range header[1:] {
		g.tracks = append(g.tracks, track{head: cut(clean(h), 24), least: 6})
	}
	for _, row := range rows {
		cells := make([]cell, len(row))
		for i := range row {
			cells[i].text = clean(row[i])
		}
		g.rows = append(g.rows, cells)
	}
	writeInner(b, &g, o)
	blank := strings.Repeat(" ", resultIndent+2)
	if rest := restOfRows(r, len(shown)); rest > 0 {
		b.WriteString(blank + o.paint(styleDim, "… "+moreOf(r, rest)) + "\n")
	}
}

// moreOf counts rows or elements that are not shown.
func moreOf(r *checks.Result, rest int64) string {
	if r.OfElements() {
		return words.Things(rest, "more element")
	}
	return words.Things(rest, "more row")
}

// restOfRows is the number of failing rows that are not shown.
func restOfRows(r *checks.Result, shown int) int64 {
	all := int64(len(r.FailingRows))
	if r.Failed != nil {
		all = max(all, *r.Failed)
	}
	return all - int64(shown)
}

// failingTable lays failing rows out: their number, the columns of their key,
// and the value.
func failingTable(r *checks.Result, shown []checks.FailingRow) (header []string, rows [][]string) {
	keys := map[string]bool{}
	for _, f := range shown {
		for k := range f.Key {
			keys[k] = true
		}
	}
	names := slices.Sorted(maps.Keys(keys))
	header = append(append([]string{"row"}, names...), cmp.Or(r.Column, "value"))
	for _, f := range shown {
		row := []string{words.Count(f.Row)}
		for _, k := range names {
			row = append(row, f.KeyPart(k))
		}
		rows = append(rows, append(row, exact(f.Value)))
	}
	return header, rows
}

// writeBrief lists checks that passed with what they saw, as many on a line as
// fit.
func writeBrief(b *strings.Builder, results []checks.Result, o Options) {
	word := "PASS"
	b.WriteString(o.paint(styleGreen, word) + strings.Repeat(" ", resultIndent-len(word)))
	used := resultIndent
	for i := range results {
		item := clean(results[i].ID)
		if v := observed(&results[i]); v != "" {
			item += " (" + cut(v, 24) + ")"
		}
		item = cut(item, o.columns()-resultIndent-2)
		if i+1 < len(results) {
			item += ","
		}
		if i > 0 {
			if used+1+textWidth(item) > o.columns() {
				b.WriteString("\n" + strings.Repeat(" ", resultIndent))
				used = resultIndent
			} else {
				b.WriteByte(' ')
				used++
			}
		}
		b.WriteString(item)
		used += textWidth(item)
	}
	b.WriteByte('\n')
}
