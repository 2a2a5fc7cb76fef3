package backtest

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/words"
)

// shownDays is how many batches a line names.
const shownDays = 6

// JSON writes the outcomes.
func JSON(w io.Writer, outcomes []*Outcome) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Version  int        `json:"version"`
		Datasets []*Outcome `json:"datasets"`
	}{1, outcomes})
}

// head says what was judged.
func (o *Outcome) head() string {
	text := fmt.Sprintf("%s, %s … %s", words.Plural(o.Batches, "batch", "batches"), o.From.Format("2006-01-02"), o.To.Format("2006-01-02"))
	if o.Batches == 0 {
		text = "no batch with a profile"
	}
	if o.Skipped > 0 {
		text += fmt.Sprintf("; %d more have no profile any more", o.Skipped)
	}
	if o.Real > 0 || o.Fine > 0 {
		text += fmt.Sprintf("; labelled real %d, fine %d", o.Real, o.Fine)
	}
	return text
}

// foot sums the failing batches up.
func (o *Outcome) foot(against string) string {
	text := fmt.Sprintf("%s of %d would have failed", words.Plural(len(o.Failing), "batch", "batches"), o.Batches)
	if o.Unknown > 0 {
		text += fmt.Sprintf(", %d more need their rows to say", o.Unknown)
	}
	if o.Real > 0 {
		text += fmt.Sprintf(", %d of the %d that are labelled real", o.Found, o.Real)
	}
	if against != "" {
		text += fmt.Sprintf("; by %s %d", against, len(o.AgainstFailing))
	}
	silent := 0
	for _, r := range o.Rules {
		if len(r.Fired) == 0 && r.NeedsRows == 0 && r.Error == 0 && (r.Change == nil || r.Change.Status != "removed") {
			silent++
		}
	}
	return text + fmt.Sprintf(". %s never spoke up.", words.Things(silent, "rule"))
}

// spoke are the rules that have something to tell, those that fire most first.
func (o *Outcome) spoke() []*Rule {
	var out []*Rule
	for _, r := range o.Rules {
		if len(r.Fired) > 0 || r.NeedsRows > 0 || r.Error > 0 || r.Change != nil && r.Change.Status != "same" {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *Rule) int { return len(b.Fired) - len(a.Fired) })
	return out
}

// days names the batches of firings, the newest ones if there are many.
func (r *Rule) days() string {
	names := make([]string, 0, shownDays+1)
	fired := r.Fired
	if len(fired) > shownDays {
		names = append(names, fmt.Sprintf("%d earlier", len(fired)-shownDays))
		fired = fired[len(fired)-shownDays:]
	}
	for _, f := range fired {
		names = append(names, name(f))
	}
	return strings.Join(names, ", ")
}

// name names a firing: its batch, with its time if the name tells nothing.
func name(f Firing) string {
	text := f.Batch
	if len(text) == 32 { // a hash
		text = f.At.Format("2006-01-02 15:04")
	}
	if f.Status == checks.Warn {
		text += " (warn)"
	}
	return text
}

// remark says what else is to tell of a rule.
func (r *Rule) remarks() (out []string) {
	if r.NeedsRows > 0 {
		out = append(out, fmt.Sprintf("%s need the rows: %s", words.Plural(r.NeedsRows, "batch", "batches"), r.Reason))
	}
	if r.Error > 0 {
		out = append(out, fmt.Sprintf("%s could not be judged: %s", words.Plural(r.Error, "batch", "batches"), r.Reason))
	}
	if r.Learning > 0 && len(r.Fired) == 0 && r.NeedsRows == 0 {
		out = append(out, fmt.Sprintf("learning on %s", words.Plural(r.Learning, "batch", "batches")))
	}
	return out
}

// difference says how a rule differs from the other version.
func (c *Change) difference() string {
	if c == nil || c.Status == "same" {
		return ""
	}
	parts := []string{}
	if c.Status != "changed" {
		parts = append(parts, c.Status)
	}
	if len(c.Added) > 0 {
		parts = append(parts, fmt.Sprintf("+%d", len(c.Added)))
	}
	if len(c.Gone) > 0 {
		parts = append(parts, fmt.Sprintf("-%d", len(c.Gone)))
	}
	if len(parts) == 0 {
		return "changed"
	}
	return strings.Join(parts, " ")
}

// labels says how many firings are of labelled batches.
func (r *Rule) labels() string {
	switch {
	case r.Real == 0 && r.Fine == 0:
		return ""
	case r.Fine == 0:
		return fmt.Sprintf("%d real", r.Real)
	case r.Real == 0:
		return fmt.Sprintf("%d fine", r.Fine)
	}
	return fmt.Sprintf("%d real, %d fine", r.Real, r.Fine)
}

// Table writes the outcomes for a terminal. against names the other version,
// empty without one.
func Table(w io.Writer, outcomes []*Outcome, against string) error {
	var b strings.Builder
	for i, o := range outcomes {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n%s\n\n", o.Dataset, o.head())
		rows := [][]string{{"RULE", "FAIL", "WARN", "LABELS", "AGAINST", "LAST"}}
		var notes [][]string
		for _, r := range o.spoke() {
			last := ""
			if len(r.Fired) > 0 {
				last = name(r.Fired[len(r.Fired)-1])
			}
			rows = append(rows, []string{r.ID, number(r.Fail), number(r.Warn), r.labels(), r.Change.difference(), last})
			notes = append(notes, r.notes())
		}
		grid(&b, rows, notes)
		fmt.Fprintf(&b, "%s\n", o.foot(against))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func number(n int) string {
	if n == 0 {
		return "·"
	}
	return fmt.Sprint(n)
}

// notes are the lines below a rule.
func (r *Rule) notes() (out []string) {
	if len(r.Fired) > 1 {
		out = append(out, "on "+r.days())
	}
	if len(r.Fired) > 0 {
		out = append(out, r.Fired[len(r.Fired)-1].Message)
	}
	if r.Change != nil && len(r.Change.Gone) > 0 {
		gone := r.Change.Gone
		if len(gone) > shownDays {
			gone = append([]string{fmt.Sprintf("%d earlier", len(gone)-shownDays)}, gone[len(gone)-shownDays:]...)
		}
		out = append(out, "no more on "+strings.Join(gone, ", "))
	}
	return append(out, r.remarks()...)
}

// grid aligns columns, with the notes of each row below it; columns that are
// empty but for their heads are left out.
func grid(b *strings.Builder, rows [][]string, notes [][]string) {
	if len(rows) == 1 {
		return
	}
	widths := make([]int, len(rows[0]))
	for c := range widths {
		used := 0
		for _, r := range rows[1:] {
			used = max(used, len([]rune(r[c])))
		}
		if used > 0 {
			widths[c] = max(used, len([]rune(rows[0][c])))
		}
	}
	for i, r := range rows {
		var line strings.Builder
		for c, cell := range r {
			if widths[c] == 0 {
				continue
			}
			pad := strings.Repeat(" ", widths[c]-len([]rune(cell)))
			if c == 1 || c == 2 { // numbers
				line.WriteString(pad + cell + "  ")
			} else {
				line.WriteString(cell + pad + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if i > 0 {
			for _, n := range notes[i-1] {
				b.WriteString("    " + n + "\n")
			}
		}
	}
	b.WriteString("\n")
}

// Markdown writes the outcomes for a merge request.
func Markdown(w io.Writer, outcomes []*Outcome, against string) error {
	var b strings.Builder
	b.WriteString("## Backtest of the rules\n")
	for _, o := range outcomes {
		fmt.Fprintf(&b, "\n### %s\n\n%s. **%s**\n", o.Dataset, o.head(), o.foot(against))
		rules := o.spoke()
		if len(rules) == 0 {
			continue
		}
		b.WriteString("\n| rule | fail | warn | labels |")
		rule := "| --- | ---: | ---: | --- |"
		if against != "" {
			fmt.Fprintf(&b, " against `%s` |", against)
			rule += " --- |"
		}
		b.WriteString(" when |\n" + rule + " --- |\n")
		for _, r := range rules {
			fmt.Fprintf(&b, "| `%s` | %d | %d | %s |", r.ID, r.Fail, r.Warn, r.labels())
			if against != "" {
				fmt.Fprintf(&b, " %s |", r.Change.difference())
			}
			fmt.Fprintf(&b, " %s |\n", cell(append([]string{r.days()}, r.remarks()...)))
		}
		b.WriteString(details(rules))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell joins texts for a cell of a table.
func cell(parts []string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(strings.Join(parts, "; "))
}

// details are the newest messages, folded.
func details(rules []*Rule) string {
	var b strings.Builder
	for _, r := range rules {
		if len(r.Fired) > 0 {
			f := r.Fired[len(r.Fired)-1]
			fmt.Fprintf(&b, "- `%s` %s: %s\n", r.ID, name(f), strings.ReplaceAll(f.Message, "\n", " "))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n<details><summary>The newest messages</summary>\n\n" + b.String() + "\n</details>\n"
}
