package bench

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/words"
)

// Markdown writes the report as tables.
func (r *Report) Markdown(w io.Writer) error {
	m := &markdown{report: r}
	m.head()
	m.goals()
	m.programs()
	m.files()
	m.columns()
	m.tap()
	m.checks()
	m.growth()
	m.accuracy()
	_, err := w.Write(m.Bytes())
	return err
}

type markdown struct {
	bytes.Buffer

	report *Report
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

// table begins a table; columns that begin with > are aligned to the right.
func (m *markdown) table(columns ...string) {
	m.line("")
	var names, rules []string
	for _, c := range columns {
		name, right := strings.CutPrefix(c, ">")
		names = append(names, name)
		rules = append(rules, map[bool]string{false: "---", true: "---:"}[right])
	}
	m.row(names...)
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
	m.line("# Speed of profiler %s", r.Programs[0].Version)
	m.line("")
	memory := ""
	if r.Machine.Memory > 0 {
		memory = fmt.Sprintf(", %.0f GB of memory", float64(r.Machine.Memory)/1e9)
	}
	m.line("%s, %s, %s%s, %s. %s for each program, %s of each in turn, files in the cache of the system. %s of the table `trips`.",
		r.Date.Format("2006-01-02 15:04 MST"), r.Machine.CPU, words.Things(r.Machine.Cores, "core"), memory, r.Machine.System,
		words.Things(r.Threads, "thread"), words.Things(r.Runs, "run"), words.Things(r.Rows, "row"))
	m.line("Medians, with the range in brackets. CPU is user and system time of the process; MB are 10⁶ bytes.")
}

func (m *markdown) programs() {
	m.line("")
	m.line("## Programs")
	m.line("")
	m.line("The last columns are a run that reads nothing. It is part of all runs below, and less memory than that cannot be measured.")
	m.table("program", "version", "computes", ">start, CPU s", ">start, MB")
	for _, p := range m.report.Programs {
		cpu, rss := "", ""
		if p.Start != nil && p.Start.Failure == "" {
			cpu, rss = number(p.Start.CPU.Median), megabytes(p.Start.RSS.Median)
		}
		version := p.Version
		if p.Missing != "" {
			version = "missing: " + p.Missing
		}
		m.row(p.Name, version, p.Computes, cpu, rss)
	}
}

// files are the tasks in which all programs read one file.
func (m *markdown) files() {
	for _, t := range m.report.Tasks {
		switch t.Name {
		case "columns", "tap", "checks", "growth":
			continue
		}
		m.line("")
		m.line("## %s", strings.ToUpper(t.Title[:1])+t.Title[1:])
		m.line("")
		m.line("%s", describe(&t))
		m.table("program", ">CPU s", ">CPU / profiler's", ">wall s", ">MB/s", ">peak MB")
		for i := range t.Results {
			res := &t.Results[i]
			if res.Failure != "" {
				m.row(res.Name, res.Failure, "", "", "", "")
				continue
			}
			m.row(res.Name, ranged(res.CPU), times(ratio(res, t.result(ours), cpuOf)), ranged(res.Wall), rate(&t, res), peak(res.RSS))
		}
	}
}

func (m *markdown) columns() {
	first := map[string]float64{}
	for _, t := range m.report.Tasks {
		if t.Name != "columns" {
			continue
		}
		if len(first) == 0 {
			m.line("")
			m.line("## Many columns")
			m.line("")
			m.line("The same number of values in more and more columns: what one value costs, and how often that is the cost at the fewest columns.")
			m.table(">columns", ">rows", "program", ">CPU s", ">CPU ns per value", ">growth", ">wall s", ">peak MB")
		}
		for _, res := range t.Results {
			if res.Failure != "" {
				m.row(words.Count(t.Columns), words.Count(t.Rows), res.Name, res.Failure, "", "", "", "")
				continue
			}
			perValue := res.CPU.Median * 1e9 / float64(t.Rows*int64(t.Columns))
			if first[res.Name] == 0 {
				first[res.Name] = perValue
			}
			m.row(words.Count(t.Columns), words.Count(t.Rows), res.Name, ranged(res.CPU), number(perValue), number(perValue/first[res.Name])+"x", ranged(res.Wall), peak(res.RSS))
		}
	}
}

func (m *markdown) tap() {
	t := m.report.task("tap")
	if t == nil {
		return
	}
	m.line("")
	m.line("## Through a pipe")
	m.line("")
	m.line("`cat FILE | … | cat`: what the program in the middle takes, and how long the whole pipe. %s", describe(t))
	m.line("A tap that cannot keep up lets bytes pass unseen: what counts is what it profiles. How much a tap slows the pipe is its wall time beside that of `cat` with the same pace.")
	m.table("in the middle", ">CPU s", ">wall s", ">MB/s", ">profiled", ">MB/s profiled", ">peak MB")
	for _, res := range t.Results {
		if res.Failure != "" {
			m.row(res.Name, res.Failure, "", "", "", "", "")
			continue
		}
		seen, profiled := "", ""
		if s, ok := throughput(t.Name, res.Name)(m.report); ok && strings.HasPrefix(res.Name, oursTap) {
			seen, profiled = percent(res.Seen.Median), number(s.Median)
		}
		m.row(res.Name, ranged(res.CPU), ranged(res.Wall), rate(t, &res), seen, profiled, peak(res.RSS))
	}
}

func (m *markdown) checks() {
	t := m.report.task("checks")
	if t == nil {
		return
	}
	m.line("")
	m.line("## Row checks")
	m.line("")
	m.line("A profile, and the same profile with 20 simple row checks of which all rows pass. %s", describe(t))
	m.table("command", ">CPU s", ">more CPU", ">wall s", ">peak MB")
	for i := range t.Results {
		res, more := &t.Results[i], ""
		if s, ok := ratio(res, t.result(ours), cpuOf); ok && i > 0 {
			more = fmt.Sprintf("%+.0f %%", 100*(s.Median-1))
			if s.Min < s.Max {
				more += fmt.Sprintf(" (%+.0f to %+.0f)", 100*(s.Min-1), 100*(s.Max-1))
			}
		}
		m.row(res.Name, ranged(res.CPU), more, ranged(res.Wall), peak(res.RSS))
	}
}

func (m *markdown) growth() {
	type base struct{ cpu, rss float64 }
	first := map[string]base{}
	for _, t := range m.report.Tasks {
		if t.Name != "growth" {
			continue
		}
		if len(first) == 0 {
			m.line("")
			m.line("## Growth")
			m.line("")
			m.line("More and more rows of `trips`: what one row costs, and how the peak of memory grows.")
			m.table("form", ">rows", ">CPU s", ">CPU ns per value", ">growth", ">peak MB", ">growth")
		}
		res := t.result(ours)
		perValue := res.CPU.Median * 1e9 / float64(t.Rows*int64(t.Columns))
		b, ok := first[t.Title]
		if !ok {
			b = base{perValue, res.RSS.Median}
			first[t.Title] = b
		}
		m.row(t.Title, words.Count(t.Rows), ranged(res.CPU), number(perValue), number(perValue/b.cpu)+"x", peak(res.RSS), number(quotient(res.RSS.Median, b.rss))+"x")
	}
}

func (m *markdown) accuracy() {
	if len(m.report.Accuracy) == 0 {
		return
	}
	m.line("")
	m.line("## Accuracy")
	m.line("")
	m.line("Of the run on CSV, against exact numbers. Errors of distinct values are relative; errors of quantiles are of rank, the largest of those that the program gives.")
	m.table("column", ">distinct, exact", ">profiler", ">error", ">rank error", ">DuckDB SUMMARIZE", ">error", ">rank error")
	for _, a := range m.report.Accuracy {
		cells := []string{a.Column, words.Count(a.Distinct), words.Count(a.Ours.Distinct), percent(a.Ours.DistinctError), rank(a.Ours)}
		if a.Peer == nil {
			cells = append(cells, "", "", "")
		} else {
			cells = append(cells, words.Count(a.Peer.Distinct), percent(a.Peer.DistinctError), rank(*a.Peer))
		}
		m.row(cells...)
	}
}

func describe(t *Task) string {
	return fmt.Sprintf("%s of %s, %s MB.", words.Things(t.Rows, "row"), words.Things(t.Columns, "column"), number(float64(t.Bytes)/1e6))
}

// number shows three digits, and all before the point.
func number(f float64) string {
	switch {
	case f >= 100:
		return words.Count(int64(f + 0.5))
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

func ranged(s Spread) string {
	if s.Min == s.Max {
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Min), number(s.Max))
}

func times(s Spread, ok bool) string {
	switch {
	case !ok:
		return ""
	case s.Min == s.Max:
		return number(s.Median) + "x"
	}
	return fmt.Sprintf("%sx (%s–%s)", number(s.Median), number(s.Min), number(s.Max))
}

func megabytes(bytes float64) string {
	if bytes <= 0 {
		return "unknown"
	}
	return strconv.FormatFloat(bytes/1e6, 'f', 0, 64)
}

func peak(s Spread) string {
	if s.Min == s.Max || s.Max <= 0 {
		return megabytes(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", megabytes(s.Median), megabytes(s.Min), megabytes(s.Max))
}

func rate(t *Task, r *Result) string {
	if r.Wall.Median <= 0 {
		return "" // the clock did not move
	}
	return number(float64(t.Bytes) / 1e6 / r.Wall.Median)
}

func percent(f float64) string { return strconv.FormatFloat(100*f, 'f', 2, 64) + " %" }

func rank(a Answer) string {
	if a.RankError == nil {
		return ""
	}
	return percent(*a.RankError)
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
