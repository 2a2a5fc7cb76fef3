package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/words"
)

// Sizes of what is shown of one batch.
const (
	columnsShown     = 200
	failingRowsShown = 5
	topShown         = 3
)

// batchView is the body of a batch's page.
type batchView struct {
	Dataset link
	Batch   string
	Status  string
	At      when
	Facts   []fact
	Content content
}

func (p *Pages) batch(w http.ResponseWriter, r *http.Request) error {
	ctx, dataset, name := r.Context(), datasetOf(r), r.PathValue("batch")
	all, err := allColumns(r)
	if err != nil {
		return err
	}
	if name == "" {
		return notFound("The address ends before the name of the batch.")
	}
	found, _, err := Recent(ctx, p.opts.History, store.Query{Dataset: dataset, Batch: name}, 0, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return notFound("The history has no batch " + name + " of " + dataset + ". The retention may have deleted it.")
	}
	b := &found[0]
	recorded := whenOf(b.RecordedAt, p.opts.Now())
	view := batchView{
		Dataset: link{shown(dataset), DatasetPath(dataset)}, Batch: shown(name), Status: b.Verdict.String(),
		At: whenOf(b.At, p.opts.Now()), Facts: batchFacts(b, &recorded),
	}
	if view.Content, err = p.contentOf(ctx, b, all, BatchPath(dataset, name)); err != nil {
		return err
	}
	return p.write(w, r, http.StatusOK, "batch", layout{
		Title: view.Batch + " of " + view.Dataset.Text, Crumbs: []link{{"Datasets", "/"}, view.Dataset}, Body: view,
	})
}

// allColumns reads ?columns=all.
func allColumns(r *http.Request) (bool, error) {
	switch text := r.URL.Query().Get("columns"); text {
	case "":
		return false, nil
	case "all":
		return true, nil
	default:
		return false, badRequest("columns=" + cut(shown(text), 40) + " has no meaning; write columns=all or nothing.")
	}
}

// content is what was found in one batch.
type content struct {
	Trouble     string
	Loud        []resultView // what did not pass, worst first
	Passed      []resultView
	Tally       string
	Columns     []columnView
	MoreColumns string
	AllColumns  string // where all columns are shown
	Notes       []string
	NoProfile   bool
}

type resultView struct {
	Status, ID, Name, Column, Message, Limit, Value, Note, Owner, Place string
	Caption                                                             string // of the table
	Header                                                              []string
	Rows, Hidden                                                        [][]string
	More                                                                string
}

type columnView struct {
	Status                                string // of its worst check that did not pass
	Name, Type, Mixed                     string
	NullShare, Nulls, NullWidth, Distinct string
	Min, Max, Mean                        string
	Hist                                  *histogram
	Top                                   []topView
}

type topView struct{ Value, Share string }

func contentView(s *profile.Summary, report *checks.Report, all bool, href string) content {
	var c content
	order := make([]*checks.Result, len(report.Results))
	for i := range report.Results {
		order[i] = &report.Results[i]
	}
	slices.SortStableFunc(order, func(a, b *checks.Result) int { return cmp.Compare(b.Status, a.Status) })
	worst := map[string]checks.Status{}
	for _, r := range order {
		v := resultOf(r)
		if r.Status == checks.Pass {
			c.Passed = append(c.Passed, v)
			continue
		}
		c.Loud = append(c.Loud, v)
		if r.Status != checks.Learning {
			worst[r.Column] = max(worst[r.Column], r.Status)
		}
	}
	c.Tally = tallyOf(report.Results)
	if s == nil {
		c.NoProfile = true
		return c
	}
	for i := range s.Columns {
		if i == columnsShown && !all {
			c.MoreColumns, c.AllColumns = words.Things(len(s.Columns)-i, "more column"), href+"?columns=all#columns"
			break
		}
		v := columnOf(&s.Columns[i])
		if bad := worst[s.Columns[i].Name]; bad > checks.Learning {
			v.Status = bad.String()
		}
		c.Columns = append(c.Columns, v)
	}
	if share := s.Source.Sample; share != nil {
		c.Notes = append(c.Notes, fmt.Sprintf("%s of %s: a sample of %g %%, of which all numbers of columns are", words.Count(s.Rows), words.Things(s.Read(), "row"), *share*100))
	}
	if s.Malformed.Count > 0 {
		note := words.Things(s.Malformed.Count, "malformed record")
		if f := s.Malformed.First; f != nil {
			note += "; the first: " + shown(f.Reason)
		}
		c.Notes = append(c.Notes, note)
	}
	if s.Duplicates.Value > 0 {
		c.Notes = append(c.Notes, estimate(s.Duplicates)+" duplicate rows")
	}
	for _, n := range s.Source.Notes {
		c.Notes = append(c.Notes, shown(n))
	}
	return c
}

// tallyOf counts the results in words, the worst first.
func tallyOf(results []checks.Result) string {
	var n [checks.Error + 1]int64
	for i := range results {
		n[results[i].Status]++
	}
	text := words.Things(len(results), "check")
	for i, s := range []checks.Status{checks.Error, checks.Fail, checks.Warn, checks.Learning, checks.Pass} {
		if n[s] > 0 {
			text += map[bool]string{true: ": ", false: ", "}[!strings.Contains(text, ":")] + words.Count(n[s]) + " " +
				[]string{"in error", "failed", "warned", "learning", "passed"}[i]
		}
	}
	return text
}

func resultOf(r *checks.Result) resultView {
	v := resultView{
		Status: r.Status.String(), ID: shown(r.ID), Name: shown(r.Name), Column: shown(r.Column), Message: shown(r.Message),
		Limit: shown(r.Limit), Note: shown(r.Note), Owner: shown(r.Owner), Value: value(r.Value),
	}
	if r.Rule != nil {
		v.Place = shown(r.Rule.File)
		if r.Rule.Line > 0 {
			v.Place += ":" + strconv.Itoa(r.Rule.Line)
		}
	}
	if header, rows := report.EvidenceTable(r); len(rows) > 0 {
		v.Caption, v.Header = "Evidence", header
		for _, row := range rows {
			for i := range row {
				row[i] = cut(shown(row[i]), 200)
			}
			v.Rows = append(v.Rows, row)
		}
		return v
	}
	if len(r.FailingRows) == 0 {
		return v
	}
	v.Caption = "Failing rows"
	keys := map[string]bool{}
	for i := range r.FailingRows {
		for k := range r.FailingRows[i].Key {
			keys[k] = true
		}
	}
	names := slices.Sorted(maps.Keys(keys))
	v.Header = append(v.Header, "row")
	for _, k := range names {
		v.Header = append(v.Header, cut(shown(k), 60))
	}
	v.Header = append(v.Header, "value")
	for i := range r.FailingRows {
		f := &r.FailingRows[i]
		row := []string{words.Count(f.Row)}
		for _, k := range names {
			row = append(row, cut(shown(f.KeyPart(k)), 120))
		}
		row = append(row, exact(f.Value))
		if i < failingRowsShown {
			v.Rows = append(v.Rows, row)
		} else {
			v.Hidden = append(v.Hidden, row)
		}
	}
	if r.Failed != nil && *r.Failed > int64(len(r.FailingRows)) {
		v.More = words.Plural(*r.Failed-int64(len(r.FailingRows)), "more failing row was", "more failing rows were") + " not kept"
	}
	return v
}

func columnOf(c *profile.Column) columnView {
	v := columnView{
		Name: shown(c.Name), Type: c.Type, Distinct: estimate(c.Distinct),
		Min: cut(value(c.Min), 40), Max: cut(value(c.Max), 40), Mean: cut(value(c.Mean), 40), Hist: histogramOf(c), Nulls: words.Count(c.Nulls),
	}
	if c.Mixed != nil && c.Mixed.Count > 0 {
		v.Mixed = words.Plural(c.Mixed.Count, "value of another type", "values of other types")
	}
	if c.Nulls > 0 {
		share := float64(c.Nulls) / float64(c.Count+c.Nulls)
		v.NullShare, v.NullWidth = words.Percent(share), px(max(2, share*100))
	}
	if v.Hist != nil || c.Count == 0 {
		return v
	}
	for _, t := range c.Top[:min(len(c.Top), topShown)] {
		if t.Count < 2 {
			break // values that occur once say nothing
		}
		v.Top = append(v.Top, topView{cut(shown(quoteBlank(t.Value)), 28), words.Percent(float64(t.Count) / float64(c.Count))})
	}
	return v
}

// quoteBlank makes texts visible of which nothing could be seen.
func quoteBlank(s string) string {
	if strings.TrimSpace(s) == "" {
		return `"` + s + `"`
	}
	return s
}
