package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/words"
)

// Sizes of the page of a dataset.
const (
	chartBatches   = 90
	batchesPerPage = 30
)

// datasetView is the body of a dataset's page.
type datasetView struct {
	Name      string
	Status    string
	Last      link
	At        when
	Facts     []fact
	Incidents []incidentView
	Chart     *historyChart
	Content   content
	Batches   []batchRow
	Pager     pager
	Steps     bool // some batch comes from a pipeline
	OnlyTable bool // a later page of batches
}

type fact struct {
	Name, Value string
	When        *when
}

type batchRow struct {
	Status, Batch, Href string
	At                  when
	Rows, Change, Step  string
	Label               string
}

// datasetOf puts the name of a dataset together again.
func datasetOf(r *http.Request) string { return r.PathValue("namespace") + "/" + r.PathValue("name") }

func (p *Pages) dataset(w http.ResponseWriter, r *http.Request) error {
	ctx, name := r.Context(), datasetOf(r)
	number, err := pageNumber(r)
	if err != nil {
		return err
	}
	all, err := allColumns(r)
	if err != nil {
		return err
	}
	skip := (number - 1) * batchesPerPage
	batches, more, err := Recent(ctx, p.opts.History, store.Query{Dataset: name}, skip, max(chartBatches, batchesPerPage+1))
	if err != nil {
		return err
	}
	if len(batches) == 0 {
		return p.nothing(ctx, name, number)
	}
	view := datasetView{Name: shown(name), OnlyTable: number > 1}
	for i := range batches[:min(len(batches), batchesPerPage)] {
		var before *store.Batch
		if i+1 < len(batches) {
			before = &batches[i+1]
		}
		row := p.batchRow(&batches[i], before)
		view.Batches, view.Steps = append(view.Batches, row), view.Steps || row.Step != ""
	}
	view.Pager = pagerOf(DatasetPath(name), number, more || len(batches) > batchesPerPage, "Newer batches", "Older batches")
	title := view.Name
	if number > 1 {
		title += fmt.Sprintf(", batches %s to %s", words.Count(skip+1), words.Count(skip+len(view.Batches)))
	} else if err := p.newest(ctx, &view, batches, all); err != nil {
		return err
	}
	return p.write(w, r, http.StatusOK, "dataset", layout{Title: title, Crumbs: []link{{"Datasets", "/"}}, Body: view})
}

// nothing explains why a dataset has no batches to show.
func (p *Pages) nothing(ctx context.Context, name string, number int) error {
	if number > 1 {
		return notFound("There are not so many batches.")
	}
	infos, err := p.opts.History.Datasets(ctx)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.Dataset == name {
			return notFound("The dataset " + name + " has no batch. None was recorded yet, or the retention has deleted them.")
		}
	}
	return notFound("No batch of the dataset " + name + " was ever recorded.")
}

// newest fills in what only the first page has: the chart, and the results and
// columns of the newest batch.
func (p *Pages) newest(ctx context.Context, view *datasetView, batches []store.Batch, all bool) error {
	last := &batches[0]
	view.Status, view.Last = last.Verdict.String(), link{shown(last.Batch), BatchPath(last.Dataset, last.Batch)}
	view.At = whenOf(last.At, p.opts.Now())
	view.Chart = historyChartOf(oldestFirst(batches[:min(len(batches), chartBatches)]))
	view.Facts = batchFacts(last, nil)
	var err error
	if view.Incidents, _, err = p.openIncidents(ctx, last.Dataset); err != nil {
		return err
	}
	view.Content, err = p.contentOf(ctx, last, all, DatasetPath(last.Dataset))
	return err
}

// contentOf reads the results and the profile of a batch. What cannot be read
// is said on the page, so that the rest of it can be seen.
func (p *Pages) contentOf(ctx context.Context, b *store.Batch, all bool, href string) (content, error) {
	summary, report, err := p.get(ctx, b.Dataset, b.Batch)
	switch {
	case ctx.Err() != nil:
		return content{}, ctx.Err()
	case errors.Is(err, store.ErrNotFound):
		return content{Trouble: "This batch was deleted meanwhile."}, nil
	case err != nil:
		p.opts.Logger.Error("batch not read", "dataset", b.Dataset, "batch", b.Batch, "err", err)
		return content{Trouble: "The results of this batch cannot be read: " + shown(err.Error())}, nil
	}
	return contentView(summary, &report, all, href), nil
}

func (p *Pages) get(ctx context.Context, dataset, batch string) (*profile.Summary, checks.Report, error) {
	prof, report, err := p.opts.History.Get(ctx, dataset, batch)
	if err != nil || prof == nil {
		return nil, report, err
	}
	return prof.Summary(), report, nil
}

func (p *Pages) batchRow(b, before *store.Batch) batchRow {
	row := batchRow{
		Status: b.Verdict.String(), Batch: shown(b.Batch), Href: BatchPath(b.Dataset, b.Batch), At: whenOf(b.At, p.opts.Now()),
		Rows: words.Count(b.Rows), Step: stepOf(b.Origin), Label: string(b.Label),
	}
	if before != nil && before.Rows > 0 {
		row.Change = change(float64(b.Rows)/float64(before.Rows) - 1)
	}
	return row
}

// change writes a relative change with its sign.
func change(share float64) string {
	switch {
	case share == 0:
		return "±0 %"
	case share < 0:
		return "−" + words.Percent(-share)
	case share >= 9:
		return "×" + words.Number(float64(int64((share+1)*10))/10)
	}
	return "+" + words.Percent(share)
}

// batchFacts is what the store knows of a batch beside its verdict.
func batchFacts(b *store.Batch, recorded *when) []fact {
	facts := []fact{{Name: "rows", Value: words.Count(b.Rows)}}
	if b.Bytes > 0 {
		facts = append(facts, fact{Name: "size", Value: words.Size(b.Bytes)})
	}
	for _, f := range []fact{
		{Name: "pipeline", Value: shown(b.Origin.Pipeline)}, {Name: "step", Value: shown(b.Origin.Step)}, {Name: "run", Value: shown(b.Origin.Run)},
		{Name: "unit", Value: shown(b.Origin.Unit)}, {Name: "correlation id", Value: shown(b.Origin.CorrelationID)}, {Name: "label", Value: string(b.Label)},
	} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	if b.Score != nil {
		facts = append(facts, fact{Name: "score", Value: words.Number(*b.Score)})
	}
	if recorded != nil {
		facts = append(facts, fact{Name: "recorded", When: recorded})
	}
	return facts
}
