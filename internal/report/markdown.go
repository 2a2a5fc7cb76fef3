package report

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// longestMarkdown is how many characters of a value a Markdown table shows.
const longestMarkdown = 80

// markdownEscaper defuses what Markdown and HTML give a meaning, and mentions
// of people.
var markdownEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "`", "\\`", "|", `\|`, "*", `\*`, "_", `\_`,
	"~", `\~`, "[", `\[`, "]", `\]`, "#", `\#`, "!", `\!`, "@", "@\u200b", "://", ":\u200b//", "www.", "www\u200b.",
)

// md writes any text as inert Markdown on one line.
func md(s string) string { return markdownEscaper.Replace(clean(s)) }

func mdCut(s string, n int) string { return markdownEscaper.Replace(cut(clean(s), n)) }

// markdownTable writes a table; the cells are escaped here.
func markdownTable(b *bytes.Buffer, header []string, rows [][]string, right []bool) {
	b.WriteByte('|')
	for _, h := range header {
		b.WriteString(" " + md(h) + " |")
	}
	b.WriteString("\n|")
	for i := range header {
		if i < len(right) && right[i] {
			b.WriteString(" ---: |")
		} else {
			b.WriteString(" --- |")
		}
	}
	b.WriteByte('\n')
	for _, row := range rows {
		b.WriteByte('|')
		for i := range header {
			text := ""
			if i < len(row) {
				text = mdCut(row[i], longestMarkdown)
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteByte('\n')
	}
}

// markdownProfile writes a summary for a merge request.
func markdownProfile(b *bytes.Buffer, s *profile.Summary, o Options) {
	fmt.Fprintf(b, "### %s\n\n%s\n", md(s.Dataset), md(strings.Join(headline(s), " · ")))
	if from := origin(s); from != "" {
		fmt.Fprintf(b, "\n%s\n", md(from))
	}
	if len(s.Columns) > 0 {
		b.WriteByte('\n')
		shown := s.Columns
		if !o.Verbose && len(shown) > manyColumns {
			shown = shown[:manyColumns]
		}
		var rows [][]string
		for i := range shown {
			rows = append(rows, markdownColumn(&shown[i]))
		}
		markdownTable(b, []string{"column", "type", "nulls", "distinct", "min", "max", "mean", "values"}, rows,
			[]bool{false, false, true, true, true, true, true, false})
		if rest := len(s.Columns) - len(shown); rest > 0 {
			fmt.Fprintf(b, "\n… %s more columns\n", words.Count(rest))
		}
	}
	for i, r := range remarks(s) {
		if i == 0 {
			b.WriteByte('\n')
		}
		text := md(r.text)
		if r.column != "" {
			text = "**" + mdCut(r.column, 40) + "**: " + text
		}
		if r.warning {
			text = "⚠️ " + text
		}
		b.WriteString("- " + text + "\n")
	}
}

func markdownColumn(c *profile.Column) []string {
	typ := c.Type
	if c.Mixed != nil {
		typ += " (mixed)"
	}
	row := []string{c.Name, typ, nullsText(c), estimate(c.Distinct), "", "", "", ""}
	if !charted(c) {
		row[7] = valuesText(c, longestMarkdown)
		return row
	}
	short := moment
	if c.Type == batch.Date.String() {
		short = day
	}
	row[4], row[5], row[6] = moment(value(c.Min)), moment(value(c.Max)), short(rounded(c.Mean))
	row[7] = strings.ReplaceAll(spark(c.Histogram), " ", "\u2800") // HTML would join spaces
	return row
}

var statusSigns = map[checks.Status]string{
	checks.Pass: "✅", checks.Learning: "🌱", checks.Warn: "⚠️", checks.Fail: "❌", checks.Error: "🚫",
}

// markdownCheck writes a verdict for a merge request or a step summary.
func markdownCheck(b *bytes.Buffer, r *checks.Report, o Options) {
	fmt.Fprintf(b, "### %s %s: %s\n\n", statusSigns[r.Verdict], md(r.Dataset), r.Verdict)
	if r.Batch != "" {
		fmt.Fprintf(b, "batch %s, ", md(r.Batch))
	}
	fmt.Fprintf(b, "%s, %s\n", rowsOf(r), tally(r))
	results := worstFirst(r)
	var loud, quiet [][]string
	for i := range results {
		res := &results[i]
		row := []string{statusSigns[res.Status] + " " + res.Status.String(), title(res), resultText(res), place(res.Rule)}
		if res.Status == checks.Pass {
			quiet = append(quiet, row)
		} else {
			loud = append(loud, row)
		}
	}
	header := []string{"", "check", "result", "rule"}
	if len(loud) > 0 {
		b.WriteByte('\n')
		markdownResults(b, header, loud)
	}
	for i := range results {
		markdownEvidence(b, &results[i])
		markdownSegments(b, &results[i], o)
		markdownFailing(b, &results[i], o)
	}
	if len(quiet) > 0 {
		fmt.Fprintf(b, "\n<details><summary>%s passed</summary>\n\n", words.Things(len(quiet), "check"))
		markdownResults(b, header, quiet)
		b.WriteString("\n</details>\n")
	}
}

// markdownResults writes results with their messages in full.
func markdownResults(b *bytes.Buffer, header []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat(" --- |", len(header)))
	for _, row := range rows {
		b.WriteByte('|')
		for _, text := range row {
			b.WriteString(" " + mdCut(text, 600) + " |")
		}
		b.WriteByte('\n')
	}
}

func resultText(r *checks.Result) string {
	text := r.Message
	if r.Limit != "" && !strings.Contains(text, r.Limit) {
		text += " (limit: " + r.Limit + ")"
	}
	if r.Note != "" {
		text += "; note: " + r.Note
	}
	return text
}

func markdownFailing(b *bytes.Buffer, r *checks.Result, o Options) {
	shown := r.FailingRows
	if !o.Verbose && len(shown) > fewRows {
		shown = shown[:fewRows]
	}
	if len(shown) == 0 {
		return
	}
	fmt.Fprintf(b, "\nRows that fail %s:\n\n", md(title(r)))
	header, rows := failingTable(r, shown)
	markdownTable(b, header, rows, []bool{true})
	if rest := restOfRows(r, len(shown)); rest > 0 {
		fmt.Fprintf(b, "\n… %s\n", moreOf(r, rest))
	}
}
