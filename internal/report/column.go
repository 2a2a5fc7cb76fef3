package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// charted reports whether the column is shown by numbers and a histogram; the
// others are shown by their frequent values.
func charted(c *profile.Column) bool { return c.Histogram != nil && c.Type != batch.Boolean.String() }

// nullsText is the share of nulls, with their number while it has one digit.
func nullsText(c *profile.Column) string {
	switch {
	case c.Nulls == 0:
		return "0"
	case c.Nulls < 10:
		return fmt.Sprintf("%s (%d)", words.Percent(share(c.Nulls, c.Count+c.Nulls)), c.Nulls)
	}
	return words.Percent(share(c.Nulls, c.Count+c.Nulls))
}

// blocks are the heights of a histogram of characters.
const blocks = "▁▂▃▄▅▆▇█"

// sparkCells is how many characters a histogram has at most.
const sparkCells = 10

// spark draws a histogram with block characters, joining its bins into at most
// ten. A bin without values is a space, one with few has at least the lowest
// block.
func spark(h *profile.Histogram) string {
	if h == nil {
		return ""
	}
	cells := rebin(h.Counts, sparkCells)
	top := 0.0
	for _, v := range cells {
		top = max(top, v)
	}
	heights := []rune(blocks)
	var b strings.Builder
	for _, v := range cells {
		if v <= 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(heights[min(len(heights)-1, int(v/top*float64(len(heights))))])
	}
	return b.String()
}

// rebin spreads counts of equal bins over at most n of equal width; a bin that
// lies in two cells counts in both by its parts.
func rebin(counts []int64, n int) []float64 {
	n = min(n, len(counts))
	out := make([]float64, n)
	width := float64(len(counts)) / float64(max(n, 1))
	for i := range out {
		lo, hi := float64(i)*width, float64(i+1)*width
		for j := int(lo); j < len(counts) && float64(j) < hi-1e-9; j++ {
			part := min(hi, float64(j+1)) - max(lo, float64(j))
			out[i] += part * float64(counts[j])
		}
	}
	return out
}

// quoted shows a value of a text column, in quotes where its ends or a comma
// would be misread.
func quoted(s string) string {
	c := clean(s)
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, ",") {
		return `"` + c + `"`
	}
	return c
}

// longest is how many cells one value gets in a list of frequent values that
// has this room.
func longest(room int) int { return min(28, max(12, room/3)) }

func temporal(c *profile.Column) bool {
	t, ok := batch.ParseType(c.Type)
	return ok && t.Temporal()
}

// rare is the share below which the most frequent value is not worth telling.
const rare = 0.001

// different reports whether no value of the column is frequent enough to tell
// its share.
func different(c *profile.Column) bool {
	return len(c.Top) > 1 && (c.Top[0].Count <= 1 || share(c.Top[0].Count, c.Count) < rare)
}

// variety says how different the values of such a column are.
func variety(c *profile.Column) string {
	switch {
	case c.Distinct.Exact && c.Distinct.Value == c.Count:
		return "all different"
	case share(c.Distinct.Value, c.Count) >= 0.9:
		return "mostly different"
	}
	return "none frequent"
}

// valuesText describes the values of a column that is not charted in at most
// room cells: its frequent values with their shares, or a few examples.
func valuesText(c *profile.Column, room int) string {
	switch {
	case c.Count == 0:
		return "no values"
	case c.Sensitive:
		return cut(maskedText(c), room)
	case len(c.Top) == 0:
		return cut(lengthText(c), room)
	case c.Distinct.Value == 1 && c.Distinct.Exact:
		return cut("always "+quoted(c.Top[0].Value), room)
	case different(c):
		lead := variety(c)
		if l := lengthText(c); l != "" && room >= 48 {
			lead += ", " + l
		}
		return listed(lead+": ", len(c.Top), room, func(i int) string {
			return cut(quoted(c.Top[i].Value), longest(room))
		}, true)
	}
	more := int64(len(c.Top)) < c.Distinct.Value
	return listed("", len(c.Top), room, func(i int) string {
		t := c.Top[i]
		about := ""
		if t.Error > 0 {
			about = "≈"
		}
		return cut(quoted(t.Value), longest(room)) + " " + about + words.Percent(share(t.Count, c.Count))
	}, more)
}

// maskedText describes a sensitive column.
func maskedText(c *profile.Column) string {
	text := "masked"
	if l := lengthText(c); l != "" {
		text += ", " + l
	}
	return text
}

// masksText lists the frequent shapes of the texts of a column with their
// shares, "" where it has none to tell: a shape of one text in a thousand is
// not worth it.
func masksText(c *profile.Column, room int) string {
	if len(c.Masks) == 0 || share(c.Masks[0].Count, c.Count) < rare {
		return ""
	}
	return listed("", len(c.Masks), room, func(i int) string {
		m := c.Masks[i]
		about := ""
		if m.Error > 0 {
			about = "≈"
		}
		return cut(quoted(m.Mask), longest(room)) + " " + about + words.Percent(share(m.Count, c.Count))
	}, len(c.Masks) == 10)
}

// listed joins as many items as there is room for, with "…" where some are
// left out or more says that there are others.
func listed(lead string, n, room int, item func(int) string, more bool) string {
	text := lead
	for i := range n {
		next := item(i)
		if i > 0 {
			next = ", " + next
		}
		tail := 0
		if i+1 < n || more {
			tail = 3
		}
		if i > 0 && textWidth(text+next)+tail > room {
			return text + ", …"
		}
		text += next
	}
	if more && textWidth(text)+3 <= room {
		text += ", …"
	}
	return cut(text, room)
}

// lengthText says how long the texts or lists of a column are.
func lengthText(c *profile.Column) string {
	if c.Length == nil {
		return ""
	}
	one, many := "character", "characters"
	if c.Type == batch.List.String() {
		one, many = "item", "items"
	}
	if c.Length.Min == c.Length.Max {
		return words.Plural(c.Length.Min, one, many)
	}
	return words.Count(c.Length.Min) + " to " + words.Plural(c.Length.Max, one, many)
}

// remark is one line below a profile.
type remark struct {
	warning bool
	// Column is empty for remarks on the whole batch.
	column string
	text   string
}

// remarks collects what a reader of the profile must know beside the table:
// warnings first, in the order of the columns.
func remarks(s *profile.Summary) []remark {
	var warnings, notes []remark
	if m := s.Malformed; m.Count > 0 {
		text := words.Plural(m.Count, "malformed record is", "malformed records are") + " not in the profile"
		if f := m.First; f != nil {
			text += "; first: record " + words.Count(f.Row)
			if f.Source != "" {
				text += " of " + clean(f.Source)
			}
			text += " at byte " + words.Count(f.Offset) + ": " + clean(f.Reason)
		}
		warnings = append(warnings, remark{warning: true, text: text})
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		if m := c.Mixed; m != nil {
			warnings = append(warnings, remark{true, c.Name, mixedText(c)})
		}
		if n := c.InvalidUTF8; n > 0 {
			warnings = append(warnings, remark{true, c.Name, words.Plural(n, "value is", "values are") + " not valid UTF-8; name the encoding with --encoding"})
		}
		if c.Count == 0 && c.Nulls > 0 {
			notes = append(notes, remark{column: c.Name, text: "has no values"})
		}
		if t := oddNumbers(c); t != "" {
			notes = append(notes, remark{column: c.Name, text: t})
		}
	}
	for _, n := range s.Source.Notes {
		notes = append(notes, remark{text: clean(n)})
	}
	if s.Source.BlankLines > 0 {
		notes = append(notes, remark{text: words.Plural(s.Source.BlankLines, "blank line was", "blank lines were") + " passed over"})
	}
	if t := approximate(s); t != "" {
		notes = append(notes, remark{text: t})
	}
	return append(warnings, notes...)
}

// oddNumbers tells of NaN and infinities.
func oddNumbers(c *profile.Column) string {
	var parts []string
	if c.NaN != nil && *c.NaN > 0 {
		parts = append(parts, words.Plural(*c.NaN, "value is NaN", "values are NaN"))
	}
	if c.Infinite != nil && *c.Infinite > 0 {
		parts = append(parts, words.Plural(*c.Infinite, "value is infinite", "values are infinite"))
	}
	return strings.Join(parts, ", ")
}

// approximate says how far estimated numbers of distinct values may be off.
func approximate(s *profile.Summary) string {
	worst, found := 0.0, false
	see := func(e profile.Estimate) {
		if !e.Exact {
			found = true
			worst = max(worst, share(e.Error, e.Value))
		}
	}
	for i := range s.Columns {
		see(s.Columns[i].Distinct)
	}
	see(s.Duplicates)
	if !found {
		return ""
	}
	if worst >= 1 {
		return "≈ is an estimate; its bound is in the JSON output"
	}
	return "≈ is an estimate, off by at most " + words.Percent(worst) + " of its value (three standard errors)"
}

// mixedText tells the types in a mixed column and where the first value stands
// that is unlike the most.
func mixedText(c *profile.Column) string {
	kinds := slices.Sorted(maps.Keys(c.Types))
	kinds = slices.DeleteFunc(kinds, func(t string) bool { return t == batch.Null.String() || c.Types[t] == 0 })
	slices.SortStableFunc(kinds, func(a, b string) int { return cmp.Compare(c.Types[b], c.Types[a]) })
	for i, t := range kinds {
		kinds[i] = words.Count(c.Types[t]) + " " + t
	}
	first := c.Mixed.First
	return fmt.Sprintf(`mixed types: %s; first %s in row %s: "%s"`, strings.Join(kinds, ", "), first.Type, words.Count(first.Row), cut(clean(first.Value), 60))
}

// sampled tells the number of rows, and of which they are a sample; share is nil
// if they are all.
func sampled(rows int64, share *float64, read int64) string {
	if share == nil {
		return words.Things(rows, "row")
	}
	return words.Count(rows) + " of " + words.Things(read, "row") + " (sample of " + strconv.FormatFloat(*share*100, 'g', 6, 64) + " %)"
}

// rowsOf tells the number of rows that a verdict is about.
func rowsOf(r *checks.Report) string {
	if r.Sample == nil {
		return sampled(r.Rows, nil, 0)
	}
	return sampled(r.Rows, &r.Sample.Share, r.Sample.RowsRead)
}

// headline is what a report says first of a batch.
func headline(s *profile.Summary) []string {
	parts := []string{
		sampled(s.Rows, s.Source.Sample, s.Source.RowsRead),
		words.Things(len(s.Columns), "column"),
	}
	if s.Bytes > 0 {
		parts = append(parts, words.Size(s.Bytes))
	}
	if s.Duplicates.Value > 0 {
		about := ""
		if !s.Duplicates.Exact {
			about = "≈"
		}
		parts = append(parts, about+words.Things(s.Duplicates.Value, "duplicate row"))
	}
	if s.Malformed.Count > 0 {
		parts = append(parts, words.Things(s.Malformed.Count, "malformed record"))
	}
	return parts
}

// origin names the source of a batch with its format.
func origin(s *profile.Summary) string {
	text := clean(s.Source.URL)
	var form []string
	for _, f := range []string{s.Source.Format, s.Source.Compression} {
		if f != "" && f != "none" {
			form = append(form, clean(f))
		}
	}
	if s.Source.Files > 1 {
		form = append(form, words.Things(s.Source.Files, "file"))
	}
	if len(form) == 0 {
		return text
	}
	if text == "" {
		return strings.Join(form, ", ")
	}
	return text + " (" + strings.Join(form, ", ") + ")"
}
