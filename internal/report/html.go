package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

//go:embed page.html
var pageText string

// page is what the template of the HTML report shows. Every text in it is
// data; the template escapes it.
type page struct {
	Title   string
	Lines   []string // below the title
	Source  string
	Report  *htmlReport // nil for a profile alone
	Remarks []htmlRemark
	Columns []htmlColumn
	Index   bool // lists the columns by name first
	Footer  string
}

type htmlRemark struct {
	Warning      bool
	Column, Text string
}

type htmlReport struct {
	Verdict string
	Tally   string
	Loud    []htmlResult
	Passed  []htmlResult
}

type htmlResult struct {
	Status, Title, Message, Limit, Place, Note, Owner, Observed string
	Header                                                      []string
	Rows                                                        [][]string // the first few
	Hidden                                                      [][]string // the others that were kept
	More                                                        string     // tells of those that were not
	EvidenceHeader                                              []string
	Evidence                                                    [][]string
	SegmentHeader                                               []string
	Segments                                                    [][]string // the worst
	OtherSegments                                               [][]string // the others
}

type htmlColumn struct {
	ID       string // of the section, unique on the page
	Name     string
	Type     string
	Mixed    bool
	Nulls    string
	Distinct string
	NullBar  string // width of the bar in percent, "" for none
	Facts    []fact
	Chart    *chart
	Top      []bar
	Values   string // in place of a chart
}

type fact struct{ Name, Value string }

// parsePage parses the template of the page; the text is part of the program.
func parsePage() *template.Template {
	return template.Must(template.New("page").Parse(pageText))
}

// indexed is the number of columns from which a page lists them by name first.
const indexed = 12

func htmlProfile(w io.Writer, s *profile.Summary, o Options) error {
	p := page{Title: clean(s.Dataset), Lines: headline(s), Footer: footer(o)}
	p.describe(s)
	return p.write(w)
}

func htmlCheck(w io.Writer, r *checks.Report, s *profile.Summary, o Options) error {
	p := page{Title: clean(r.Dataset), Footer: footer(o), Report: &htmlReport{Verdict: r.Verdict.String(), Tally: tally(r)}}
	if s != nil {
		p.Lines = headline(s)
		p.describe(s)
	} else {
		p.Lines = []string{rowsOf(r)}
	}
	if r.Batch != "" {
		p.Lines = append([]string{"batch " + clean(r.Batch)}, p.Lines...)
	}
	if t := stamp(r.At); t != "" {
		p.Lines = append(p.Lines, "of "+t+" UTC")
	}
	for _, res := range worstFirst(r) {
		h := htmlResultOf(&res)
		if res.Status == checks.Pass {
			p.Report.Passed = append(p.Report.Passed, h)
		} else {
			p.Report.Loud = append(p.Report.Loud, h)
		}
	}
	return p.write(w)
}

func (p *page) write(w io.Writer) error {
	if err := parsePage().Execute(w, p); err != nil {
		return fmt.Errorf("write HTML: %w", err)
	}
	return nil
}

// describe adds the columns of a summary and what is remarkable about them.
func (p *page) describe(s *profile.Summary) {
	p.Source = origin(s)
	for _, r := range remarks(s) {
		p.Remarks = append(p.Remarks, htmlRemark{r.warning, clean(r.column), r.text})
	}
	p.Index = len(s.Columns) >= indexed
	for i := range s.Columns {
		p.Columns = append(p.Columns, htmlColumnOf(&s.Columns[i], i))
	}
}

func footer(o Options) string {
	text := "profiler"
	if o.Version != "" {
		text += " " + clean(o.Version)
	}
	if !o.Now.IsZero() {
		text += ", " + o.Now.Format(time.RFC3339)
	}
	return text
}

func htmlResultOf(r *checks.Result) htmlResult {
	h := htmlResult{
		Status: r.Status.String(), Title: title(r), Message: clean(r.Message), Place: clean(place(r.Rule)),
		Note: clean(r.Note), Owner: clean(r.Owner), Observed: observed(r),
	}
	if !strings.Contains(r.Message, r.Limit) {
		h.Limit = clean(r.Limit)
	}
	h.EvidenceHeader, h.Evidence = htmlEvidence(r)
	h.SegmentHeader, h.Segments, h.OtherSegments = htmlSegments(r)
	if len(r.FailingRows) > 0 {
		h.Header, h.Rows = failingTable(r, r.FailingRows)
		for i := range h.Rows {
			for j := range h.Rows[i] {
				h.Rows[i][j] = cut(clean(h.Rows[i][j]), 200)
			}
		}
		for i := range h.Header {
			h.Header[i] = clean(h.Header[i])
		}
		if rest := restOfRows(r, len(r.FailingRows)); rest > 0 {
			one, many := "failing row", "failing rows"
			if r.OfElements() {
				one, many = "failing element", "failing elements"
			}
			h.More = fmt.Sprintf("%s of %s are shown", words.Count(len(h.Rows)), words.Plural(rest+int64(len(h.Rows)), one, many))
		}
		if len(h.Rows) > fewRows {
			h.Rows, h.Hidden = h.Rows[:fewRows], h.Rows[fewRows:]
		}
	}
	return h
}

func htmlColumnOf(c *profile.Column, i int) htmlColumn {
	h := htmlColumn{
		ID: fmt.Sprintf("c%d", i+1), Name: clean(c.Name), Type: c.Type, Mixed: c.Mixed != nil,
		Nulls: nullsText(c), Distinct: estimate(c.Distinct), Facts: facts(c),
	}
	if c.Nulls > 0 {
		h.NullBar = fmt.Sprintf("%.1f", max(2, 100*share(c.Nulls, c.Count+c.Nulls)))
	}
	switch {
	case charted(c):
		h.Chart = chartOf(c)
	case c.Count == 0 || len(c.Top) == 0 || different(c):
		h.Values = valuesText(c, 200)
	default:
		h.Top = bars(c)
	}
	return h
}

// facts lists the statistics of a column that have a meaning for it.
func facts(c *profile.Column) []fact {
	var out []fact
	add := func(name, text string) {
		if text != "" {
			out = append(out, fact{name, cut(text, 60)})
		}
	}
	scalar := func(name string, s profile.Scalar) { add(name, momentOf(s)) }
	scalar("min", c.Min)
	scalar("max", c.Max)
	if c.Type == batch.Date.String() {
		add("mean", day(rounded(c.Mean)))
	} else {
		scalar("mean", c.Mean)
	}
	if q := c.Quantiles; q != nil {
		about := ""
		if !q.Exact {
			about = "≈"
		}
		for _, p := range []struct {
			name string
			s    profile.Scalar
		}{{"p5", q.P05}, {"p25", q.P25}, {"median", q.P50}, {"p75", q.P75}, {"p95", q.P95}} {
			if text := momentOf(p.s); text != "" {
				add(p.name, about+text)
			}
		}
	}
	add("std. dev.", deviation(c))
	scalar("skewness", c.Skewness)
	for _, n := range []struct {
		name string
		n    *int64
	}{{"zeros", c.Zeros}, {"negatives", c.Negatives}, {"infinite", c.Infinite}, {"NaN", c.NaN}, {"blank", c.Blank}, {"non-ASCII", c.NonASCII}} {
		if n.n != nil && *n.n > 0 {
			add(n.name, words.Count(*n.n))
		}
	}
	add("length", lengthText(c))
	if e := c.Entropy; e != nil {
		about := ""
		if !e.Exact {
			about = "≈"
		}
		add("entropy", about+strconv.FormatFloat(e.Value, 'f', 2, 64)+" bits")
	}
	if c.Sorted != nil && *c.Sorted != "constant" {
		add("sorted", *c.Sorted)
	}
	add("shapes", masksText(c, 60))
	return out
}

// momentOf writes a statistic: numbers short, times without a T.
func momentOf(s profile.Scalar) string {
	if _, ok := s.Int(); ok {
		return value(s)
	}
	return moment(rounded(s))
}
