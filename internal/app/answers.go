package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/answers"
	"github.com/profilerhq/profiler/internal/store"
)

// answersAuthor begins the author of labels that come from the file of
// incidents, so that they can be taken back when the file no longer says so.
const answersAuthor = "incidents file"

// AnswersError says that the file of incidents cannot be read or is wrong.
type AnswersError struct{ text string }

// Error returns where and what.
func (e *AnswersError) Error() string { return e.text }

// ReadAnswers reads the file of incidents and labels the recorded batches as it
// says; batches that come later are labelled when they are recorded. Labels that
// an earlier form of the file gave are taken back; those that people gave stay,
// where the file does not name the batch. An empty path is no file.
func (a *App) ReadAnswers(ctx context.Context, path string) error {
	if path == "" {
		a.answers.Store(nil)
		return nil
	}
	all, diags, err := answers.Load(path)
	if err != nil {
		return &AnswersError{err.Error()}
	}
	if len(diags) > 0 {
		return &AnswersError{diags[0].Error() + more(len(diags)-1)}
	}
	a.answers.Store(&all)
	if a.Store == nil || a.opts.NoRecord {
		return nil
	}
	return a.applyAnswers(ctx, all)
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// applyAnswers brings the labels of recorded batches in line with the file.
func (a *App) applyAnswers(ctx context.Context, all []answers.Answer) error {
	entries, err := a.Store.History(ctx, store.HistoryQuery{})
	if err != nil {
		return &StoreError{err}
	}
	change := map[string][]store.Labelled{}
	for i := range entries {
		e := &entries[i]
		var now store.Label
		if e.Label != nil {
			now = *e.Label
		}
		want := answers.Of(all, e.Dataset, e.At)
		switch {
		case want != nil && store.Label(want.As) != now:
			change[e.Dataset] = append(change[e.Dataset], labelled(e.Batch, want))
		case want == nil && now != "":
			who, err := a.Store.LabelAuthor(ctx, e.Dataset, e.Batch)
			if err != nil {
				return &StoreError{err}
			}
			if strings.HasPrefix(who, answersAuthor) {
				change[e.Dataset] = append(change[e.Dataset], store.Labelled{Batch: e.Batch, Who: answersAuthor})
			}
		}
	}
	for dataset, labels := range change {
		if err := a.Store.SetLabels(ctx, dataset, labels); err != nil {
			return &StoreError{err}
		}
	}
	return nil
}

func labelled(batch string, a *answers.Answer) store.Labelled {
	who := answersAuthor
	if a.By != "" {
		who += ": " + a.By
	}
	return store.Labelled{Batch: batch, Label: store.Label(a.As), Who: who}
}

// answerOf is the label that the file gives a batch which is about to be
// recorded; nil is none.
func (a *App) answerOf(dataset, batch string, at time.Time) *store.Labelled {
	all := a.answers.Load()
	if all == nil {
		return nil
	}
	want := answers.Of(*all, dataset, at)
	if want == nil {
		return nil
	}
	l := labelled(batch, want)
	return &l
}
