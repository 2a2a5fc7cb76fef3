package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/words"
)

// Sizes of the page of datasets.
const (
	datasetsPerPage = 100
	sparkBatches    = 30
	incidentsShown  = 20
)

// datasetsView is the body of the first page.
type datasetsView struct {
	Incidents     []incidentView
	MoreIncidents string
	Counts        []statusCount
	Rows          []datasetRow
	Pager         pager
}

type statusCount struct {
	Status string
	Text   string
}

type datasetRow struct {
	Name, Href string
	Status     string // empty without any batch
	Batch      link
	At         when
	Rows       string
	Spark      *sparkline
	Findings   string
	Step       string
	Batches    string
}

// pager leads to the pages before and after.
type pager struct {
	Newer, Older         string
	NewerText, OlderText string
}

func (p *Pages) datasets(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	number, err := pageNumber(r)
	if err != nil {
		return err
	}
	infos, err := p.opts.History.Datasets(ctx)
	if err != nil {
		return err
	}
	view := datasetsView{Counts: countStatuses(infos)}
	if view.Incidents, view.MoreIncidents, err = p.openIncidents(ctx, ""); err != nil {
		return err
	}
	// What needs a look comes first.
	slices.SortStableFunc(infos, func(a, b store.DatasetInfo) int {
		return cmp.Compare(urgency(b.Verdict), urgency(a.Verdict))
	})
	skip := (number - 1) * datasetsPerPage
	if skip > 0 && skip >= len(infos) {
		return notFound("There are not so many datasets.")
	}
	rest := len(infos) - skip
	for _, info := range infos[skip : skip+min(rest, datasetsPerPage)] {
		row, err := p.datasetRow(ctx, info)
		if err != nil {
			return err
		}
		view.Rows = append(view.Rows, row)
	}
	view.Pager = pagerOf("/", number, rest > datasetsPerPage, "Previous datasets", "More datasets")
	return p.write(w, r, http.StatusOK, "datasets", layout{Title: "Datasets", Body: view})
}

func urgency(s checks.Status) int {
	if s == checks.Learning {
		return int(checks.Pass)
	}
	return int(s)
}

func countStatuses(infos []store.DatasetInfo) []statusCount {
	var n [checks.Error + 1]int
	for _, info := range infos {
		if info.Batch != "" {
			n[info.Verdict]++
		}
	}
	var out []statusCount
	for _, s := range []checks.Status{checks.Error, checks.Fail, checks.Warn, checks.Pass} {
		if n[s] > 0 {
			out = append(out, statusCount{s.String(), strconv.Itoa(n[s]) + " " + s.String()})
		}
	}
	return out
}

func (p *Pages) datasetRow(ctx context.Context, info store.DatasetInfo) (datasetRow, error) {
	row := datasetRow{Name: shown(info.Dataset), Href: DatasetPath(info.Dataset), Batches: words.Plural(info.Batches, "batch", "batches")}
	batches, _, err := Recent(ctx, p.opts.History, store.Query{Dataset: info.Dataset}, 0, sparkBatches)
	if err != nil || len(batches) == 0 {
		return row, err
	}
	last := &batches[0]
	row.Status, row.At, row.Rows = last.Verdict.String(), whenOf(last.At, p.opts.Now()), words.Count(last.Rows)
	row.Batch = link{shown(last.Batch), BatchPath(last.Dataset, last.Batch)}
	row.Step, row.Spark = stepOf(last.Origin), sparklineOf(oldestFirst(batches))
	if last.Verdict == checks.Pass || last.Verdict == checks.Learning {
		return row, nil
	}
	_, report, err := p.opts.History.Get(ctx, info.Dataset, last.Batch)
	switch {
	case errors.Is(err, store.ErrNotFound): // pruned in between
	case ctx.Err() != nil:
		return row, ctx.Err()
	case err != nil:
		p.opts.Logger.Error("batch not read", "dataset", info.Dataset, "batch", last.Batch, "err", err)
		row.Findings = "The results of this batch cannot be read."
	default:
		row.Findings = findings(report.Results)
	}
	return row, nil
}

// stepOf writes the place in a pipeline, empty outside of one.
func stepOf(o checks.Origin) string {
	switch {
	case o.Step == "":
		return shown(o.Pipeline)
	case o.Pipeline == "":
		return shown(o.Step)
	}
	return shown(o.Pipeline) + " › " + shown(o.Step)
}

// findings says in one sentence what is wrong: the worst result, and how many
// others there are.
func findings(results []checks.Result) string {
	var loud []*checks.Result
	for i := range results {
		if s := results[i].Status; s == checks.Warn || s == checks.Fail || s == checks.Error {
			loud = append(loud, &results[i])
		}
	}
	if len(loud) == 0 {
		return ""
	}
	slices.SortStableFunc(loud, func(a, b *checks.Result) int { return cmp.Compare(b.Status, a.Status) })
	text := finding(loud[0])
	if more := int64(len(loud) - 1); more > 0 {
		var names []string
		for _, r := range loud[1:min(len(loud), 4)] {
			names = append(names, shown(r.ID))
		}
		if more > 3 {
			names = append(names, "…")
		}
		text += fmt.Sprintf("; and %s: %s", words.Things(more, "other check"), strings.Join(names, ", "))
	}
	return text
}

// finding is one result in words, with the name of its check.
func finding(r *checks.Result) string {
	return cut(shown(r.ID)+": "+shown(r.Message), 240)
}

// incidentView is an open incident.
type incidentView struct {
	Dataset     string
	Href        string
	Status      string // of the severity: fail or warn
	State       string // acknowledged or snoozed
	Step        string
	Since       when
	First, Last link
	Batches     string
	Finding     string
	More        string
	Folded      []link
	Owner       string
}

// openIncidents returns the open incidents, of one dataset or all, and says
// how many more there are.
func (p *Pages) openIncidents(ctx context.Context, dataset string) ([]incidentView, string, error) {
	found, err := p.opts.History.Incidents(ctx, store.IncidentQuery{Dataset: dataset, Open: true})
	if err != nil {
		return nil, "", err
	}
	more := ""
	if n := len(found) - incidentsShown; n > 0 {
		more = words.Plural(n, "more incident is", "more incidents are") + " open."
	}
	var views []incidentView
	for i := range found[:min(len(found), incidentsShown)] {
		views = append(views, p.incident(&found[i]))
	}
	return views, more, nil
}

func (p *Pages) incident(in *alert.Incident) incidentView {
	v := incidentView{
		Dataset: shown(in.Dataset), Href: DatasetPath(in.Dataset), Status: string(in.Severity), Step: stepOf(in.Origin),
		Since: whenOf(in.OpenedAt, p.opts.Now()), Batches: words.Plural(in.Batches, "bad batch", "bad batches"), Owner: shown(in.Owner),
		First: link{shown(in.FirstBatch), BatchPath(in.Dataset, in.FirstBatch)}, Last: link{shown(in.LastBatch), BatchPath(in.Dataset, in.LastBatch)},
	}
	if in.DeadLetters != nil {
		v.Href, v.Batches = "", words.Plural(in.Batches, "unit was given up", "units were given up") // it may have no batch, and so no page
	}
	if in.Status != alert.Open {
		v.State = string(in.Status)
	}
	if len(in.Findings) > 0 {
		v.Finding = finding(&in.Findings[0])
		if n := int64(len(in.Findings) - 1); n > 0 {
			v.More = "and " + words.Things(n, "more finding")
		}
		if in.Findings[0].Status == checks.Error {
			v.Status = checks.Error.String()
		}
	}
	for _, d := range in.Folded {
		v.Folded = append(v.Folded, link{shown(d), DatasetPath(d)})
	}
	return v
}

// pageNumber reads ?page=, which counts from 1.
func pageNumber(r *http.Request) (int, error) {
	text := r.URL.Query().Get("page")
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 100_000 {
		return 0, badRequest(fmt.Sprintf("page=%s is not the number of a page; pages count from 1.", cut(shown(text), 40)))
	}
	return n, nil
}

// pagerOf links the pages around one.
func pagerOf(path string, number int, more bool, newer, older string) pager {
	p := pager{NewerText: newer, OlderText: older}
	if number > 1 {
		p.Newer = path + "?page=" + strconv.Itoa(number-1)
	}
	if more {
		p.Older = path + "?page=" + strconv.Itoa(number+1)
	}
	return p
}
