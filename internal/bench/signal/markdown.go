package signal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Markdown writes the report as tables.
func (r *Report) Markdown(w io.Writer) error {
	m := &markdown{report: r}
	m.head()
	m.goals()
	m.detectors()
	m.sets()
	m.faults()
	m.chains()
	m.life()
	m.leftOut()
	m.pages()
	_, err := w.Write(m.Bytes())
	return err
}

type markdown struct {
	bytes.Buffer

	report *Report
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

func (m *markdown) title(text string) { m.line("\n## %s\n", text) }

// table begins a table; columns that begin with > are aligned to the right.
func (m *markdown) table(columns ...string) {
	rules := make([]string, len(columns))
	for i, c := range columns {
		rules[i] = "---"
		if name, right := strings.CutPrefix(c, ">"); right {
			columns[i], rules[i] = name, "---:"
		}
	}
	m.row(columns...)
	m.row(rules...)
}

func (m *markdown) row(cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	m.line("| %s |", strings.Join(cells, " | "))
}

func (m *markdown) head() {
	r := m.report
	m.line("# Pages that are right: profiler %s", r.Version)
	m.line("")
	m.line("Measured on %s in %.0f s, seed %d. One decision for each data set and batch. FP is the number of pages on 1,000 healthy batches, judged from batch 15 on; recall is the share of broken batches that are paged, each judged against what was learned before it. Brackets hold the 95 %% interval of a bootstrap over data sets.",
		r.Date.Format("2006-01-02"), r.Seconds, r.Seed)
	if len(r.Absent) > 0 {
		m.line("\nThe data of %s is absent.", strings.Join(r.Absent, ", "))
	}
}

func (m *markdown) detectors() {
	m.title("Detectors")
	m.line("Other tools' rules are written again on the same profiles; they are not their code.\n")
	m.table("sets", "detector", ">FP", ">median", ">p90", ">worst", ">episodes", ">recall S/M/L %", ">recall at 5/10/20 FP %", ">named 1st / in 3 %", ">right of 100 pages at 1 % / 0.1 % broken", ">CPU ms")
	for _, group := range groups {
		for _, d := range m.report.Detectors {
			f := d.Group(group)
			if f == nil {
				continue
			}
			m.row(group, d.Name, bracketed(f.FP, 1, 1), number(f.Median, 1), number(f.P90, 1), fmt.Sprintf("%.1f %s", f.Worst, f.WorstSet), number(f.Episodes, 1),
				percents(f.Recall[0].Value, f.Recall[1].Value, f.Recall[2].Value), recallCells(f), percents(f.Attribution1, f.Attribution3),
				percents(f.Precision[0].Value, f.Precision[1].Value), number(f.CPU, 2))
		}
	}
	m.title("Intervals of the detector")
	m.table("sets", ">sets", ">healthy", ">broken", ">FP", ">S %", ">M %", ">L %", ">at 5 FP %", ">at 10 FP %", ">at 20 FP %")
	for _, f := range m.report.Detectors[0].Groups {
		cells := []string{f.Group, fmt.Sprint(f.Sets), fmt.Sprint(f.Healthy), fmt.Sprint(f.Broken), bracketed(f.FP, 1, 1)}
		for _, v := range f.Recall {
			cells = append(cells, bracketed(v, 100, 0))
		}
		for _, v := range f.RecallAt {
			cells = append(cells, bracketed(v.Recall, 100, 0))
		}
		m.row(cells...)
	}
}

func recallCells(f *Figures) string {
	var v []float64
	for _, r := range f.RecallAt {
		v = append(v, r.Recall.Value)
	}
	return percents(v...)
}

func bracketed(v Interval, by float64, digits int) string {
	return fmt.Sprintf("%s [%s, %s]", number(by*v.Value, digits), number(by*v.Low, digits), number(by*v.High, digits))
}

func number(x float64, digits int) string { return fmt.Sprintf("%.*f", digits, x) }

// percents writes shares as whole percents: 40/51/64.
func percents(shares ...float64) string {
	texts := make([]string, len(shares))
	for i, s := range shares {
		texts[i] = number(100*s, 0)
	}
	return strings.Join(texts, "/")
}

func (m *markdown) sets() {
	m.title("Sets")
	m.table("set", "kind", ">batches", ">rows", ">columns", ">FP", ">pages", ">in labelled windows", ">recall S/M/L %", ">CPU ms")
	for _, s := range m.report.Sets {
		kind := "synthetic"
		if s.Real {
			kind = "real"
		}
		if s.HeldOut {
			kind = "real, kept out of tuning"
		}
		m.row(s.Name, kind, fmt.Sprint(s.Batches), number(s.Rows, 0), fmt.Sprint(s.Columns), number(s.FP, 1), fmt.Sprint(len(s.Pages)), fmt.Sprint(s.Labelled), percents(s.Recall[:]...), number(s.CPU, 2))
	}
}

func (m *markdown) faults() {
	m.title("Recall by fault and size")
	m.line("Percent of the broken batches S/M/L that are paged; in brackets how many there were of the middle size, and how often a page names the broken column among the first three.\n")
	d := &m.report.Detectors[0]
	columns := []string{"fault"}
	for _, f := range d.Groups {
		columns = append(columns, ">"+f.Group)
	}
	m.table(columns...)
	for i := range faults {
		cells := []string{faults[i].name}
		for _, f := range d.Groups {
			cells = append(cells, f.Faults[i].cell())
		}
		m.row(cells...)
	}
}

func (f *FaultFigures) cell() string {
	texts := make([]string, 0, sizeCount)
	for s, r := range f.Recall {
		if f.Count[s] == 0 {
			texts = append(texts, "–")
			continue
		}
		texts = append(texts, number(100*r, 0))
	}
	n := max(f.Count[Small], f.Count[Middle])
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%d, %.0f %%)", strings.Join(texts, "/"), n, 100*f.Attribution3)
}

func (m *markdown) chains() {
	if len(m.report.Chains) == 0 {
		return
	}
	m.title("Faults of several batches")
	m.line("Delay is the mean number of batches from the first broken one to the page. Quiet is the share in which no page came later than four batches after the first.\n")
	m.table("sets", "fault", "size", ">played", ">paged %", ">paged or warned %", ">delay", ">quiet %")
	for _, c := range m.report.Chains {
		m.row(c.Group, c.Fault, c.Size, fmt.Sprint(c.Count), number(100*c.Found, 0), number(100*c.Warned, 0), number(c.Delay, 1), number(100*c.Quiet, 0))
	}
}

func (m *markdown) life() {
	m.title("FP by the age of the history, and warnings")
	columns := []string{"sets"}
	for _, a := range ages {
		columns = append(columns, ">"+span(a[0], a[1]))
	}
	columns = append(columns, ">warnings per 1,000", ">of a slow change")
	m.table(columns...)
	for _, f := range m.report.Detectors[0].Groups {
		cells := []string{f.Group}
		for _, a := range f.Ages {
			cells = append(cells, fmt.Sprintf("%.1f of %d", a.FP, a.Healthy))
		}
		cells = append(cells, number(f.Warnings, 1), number(f.SlowWarnings, 1))
		m.row(cells...)
	}
}

func span(from, to int) string {
	if to == 0 {
		return fmt.Sprintf("%d batches and more", from)
	}
	return fmt.Sprintf("%d to %d batches", from, to)
}

func (m *markdown) leftOut() {
	if len(m.report.LeftOut) == 0 {
		return
	}
	m.title("Without one set")
	m.line("The figures of all real sets but one, and what the set that was left out gives at the threshold that has 10 FP on the others.\n")
	m.table("left out", ">FP", ">recall S/M/L %", ">recall at 10 FP %", ">its own recall there %", ">its own FP there")
	for _, l := range m.report.LeftOut {
		m.row(l.Set, number(l.FP, 1), percents(l.Recall[:]...), number(100*l.Recall10, 0), number(100*l.Own10, 0), number(l.OwnFP, 1))
	}
}

func (m *markdown) pages() {
	m.title("Pages on healthy batches")
	m.table("set", "batch", ">score", "evidence", "label")
	for _, s := range m.report.Sets {
		for _, p := range s.Pages {
			m.row(s.Name, p.Batch, number(p.Score, 2), shorten(p.Message, 160), p.Label)
		}
	}
}

func shorten(text string, most int) string {
	text = strings.ReplaceAll(text, "\n", " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
