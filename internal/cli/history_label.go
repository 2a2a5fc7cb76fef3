package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/answers"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

// labelFlags are those of profiler history label.
type labelFlags struct {
	store, as, by string
	takeBack      bool
}

var labels = []string{string(store.LabelReal), string(store.LabelFine), string(store.LabelFineOnce), string(store.LabelNewNormal)}

func (e *env) historyLabelCommand() *cobra.Command {
	var f labelFlags
	cmd := &cobra.Command{
		Use: "label DATASET FROM..TO", Short: "Answer what was said about batches",
		Long: `Says whether what was found in batches is real, and what is learned from them:
  real        a true find: the batches stay out of all baselines
  fine        normal: they are part of the baselines, and the like pages no more
  fine-once   an exception: they stay out of the baselines
  new-normal  the beginning of a new level
FROM and TO are names of batches, days or times; one of them alone is one batch or
one day. What was learned of the dataset is learned anew with the answers. An open
incident whose bad batches are all among them is answered too: fine, fine-once and
new-normal close it, real acknowledges it.`,
		Example: "  profiler history label shop/orders --as real 2026-03-01..2026-03-03\n  profiler history label shop/orders --take-back 2026-03-01",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("name a dataset and batches: profiler history label shop/orders --as real 2026-03-01..2026-03-03")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.historyLabel(cmd, args, &f) },
	}
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.as, "as", "", "the `answer`: "+strings.Join(labels, ", "))
	cmd.Flags().StringVar(&f.by, "by", "", "`name` of who answers (default: the user of this machine)")
	cmd.Flags().BoolVar(&f.takeBack, "take-back", false, "take earlier answers back")
	return cmd
}

func (e *env) historyLabel(cmd *cobra.Command, args []string, f *labelFlags) error {
	switch {
	case f.takeBack && f.as != "":
		return usage("--as and --take-back exclude each other")
	case !f.takeBack && !contains(labels, f.as):
		return usage("--as %q: write one of %s", f.as, join(labels))
	}
	a, err := e.alertApp(cmd, f.store)
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // everything is written
	dataset := rules.DatasetName(args[0])
	if err := knownDataset(cmd, a.Store, dataset); err != nil {
		return err
	}
	entries, err := a.Store.History(cmd.Context(), store.HistoryQuery{Dataset: dataset})
	if err != nil {
		return &app.StoreError{Err: err}
	}
	chosen, err := chooseEntries(entries, args[1])
	if err != nil {
		return err
	}
	who := e.who(f.by)
	var all []store.Labelled
	for _, c := range chosen {
		all = append(all, store.Labelled{Batch: c.Batch, Label: store.Label(f.as), Who: who})
	}
	incident, err := a.Label(cmd.Context(), dataset, all)
	switch {
	case errors.Is(err, store.ErrInvalid):
		return usage("%v", err)
	case err != nil:
		return &app.StoreError{Err: err}
	}
	what := "labelled " + f.as
	if f.takeBack {
		what = "without a label"
	}
	text := "1 batch"
	if len(all) != 1 {
		text = fmt.Sprintf("%d batches", len(all))
	}
	if incident != nil {
		what += "; its incident is " + string(incident.Status)
	}
	e.note("%s: %s %s", dataset, text, what)
	return nil
}

// chooseEntries finds the batches that FROM..TO names.
func chooseEntries(entries []store.Entry, span string) ([]store.Entry, error) {
	first, last, isRange := strings.Cut(span, "..")
	if !isRange {
		last = first
	}
	from, to, exact, err := place(entries, first)
	if err != nil {
		return nil, err
	}
	if isRange {
		if _, to, _, err = place(entries, last); err != nil {
			return nil, err
		}
		exact = ""
	}
	var out []store.Entry
	for _, e := range entries {
		if exact != "" && e.Batch == exact || exact == "" && !e.At.Before(from) && e.At.Before(to) {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, usage("%s: there is no batch in that span", span)
	}
	return out, nil
}

// place returns the span of a batch by its name, which is exact then, or of a
// day or a time.
func place(entries []store.Entry, text string) (from, to time.Time, exact string, err error) {
	for _, e := range entries {
		if e.Batch == text {
			return e.At, e.At.Add(time.Microsecond), text, nil
		}
	}
	from, to, ok := answers.Span(text)
	if !ok {
		return from, to, "", usage("%q is no batch of the dataset, no day and no time; write 2026-03-01..2026-03-03", text)
	}
	return from, to, "", nil
}
