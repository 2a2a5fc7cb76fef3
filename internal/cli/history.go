package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

// defaultStore is where the history is unless something else is said.
const defaultStore = "sqlite:profiler.db"

func (e *env) historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history", Short: "What was recorded: batches, verdicts, profiles",
		RunE: needSubcommand,
	}
	cmd.AddCommand(e.historyListCommand(), e.historyShowCommand(), e.historyLabelCommand(), e.historyImportCommand(), e.historyCompareCommand(), e.historyExportCommand())
	return cmd
}

// needSubcommand reports a missing or misspelled subcommand.
func needSubcommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	if len(args) == 0 {
		return usage("%s needs one of: %v; see %s --help", cmd.CommandPath(), join(names), cmd.CommandPath())
	}
	hint := diag.Hint(args[0], names)
	if hint == "" {
		hint = "write one of: " + join(names)
	}
	return usage("unknown command %q for %s; %s", args[0], cmd.CommandPath(), hint)
}

// noArgs refuses arguments of commands that take flags alone.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "leave it out"
	if cmd.Flags().Lookup("dataset") != nil {
		hint = "write --dataset " + args[0] + " for a dataset"
	}
	return usage("%s takes no argument like %q; %s, see %s --help", cmd.CommandPath(), args[0], hint, cmd.CommandPath())
}

func join(names []string) string {
	return strings.Join(names, ", ")
}

type historyFlags struct {
	store, dataset, from, to string
	all                      bool
	output                   outputFlags
}

func (e *env) historyListCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List recorded batches, oldest first", Args: noArgs,
		Example: "  profiler history list --dataset shop/orders --from 2026-03-01",
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.historyList(cmd, &f) },
	}
	f.output.register(cmd, report.KindHistory, "json")
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "only this `dataset`")
	cmd.Flags().StringVar(&f.from, "from", "", "from this `time` on")
	cmd.Flags().StringVar(&f.to, "to", "", "before this `time`")
	cmd.Flags().BoolVar(&f.all, "all", false, "superseded batches and inputs of steps too")
	return cmd
}

// openStore opens an existing history for reading.
func (e *env) openStore(cmd *cobra.Command, url string) (*store.Store, error) {
	cfg, err := e.config()
	if err != nil {
		return nil, err
	}
	s, err := store.Open(cmd.Context(), storeURL(url, cfg), store.Options{Logger: e.log, MustExist: true})
	if err != nil {
		return nil, storeError(err)
	}
	return s, nil
}

// storeError gives errors of opening a store their exit code: an address that
// cannot be meant is wrong usage, all else is a source out of reach.
func storeError(err error) error {
	if isStoreTrouble(err) {
		return &app.StoreError{Err: err}
	}
	return usage("%v", err)
}

// isStoreTrouble tells what a store cannot do from wrong usage.
func isStoreTrouble(err error) bool {
	for _, trouble := range []error{db.ErrUnavailable, db.ErrReadOnly, db.ErrFull, db.ErrCorrupt, db.ErrSchema} {
		if errors.Is(err, trouble) {
			return true
		}
	}
	return false
}

func (e *env) historyList(cmd *cobra.Command, f *historyFlags) error {
	format := report.FormatJSON // written here, all other forms by the report
	var err error
	if f.output.format != string(report.FormatJSON) {
		if format, err = f.output.reportFormat(report.KindHistory); err != nil {
			return err
		}
	}
	from, err := parseTime("--from", f.from, time.UTC)
	if err != nil {
		return err
	}
	to, err := parseTime("--to", f.to, time.UTC)
	if err != nil {
		return err
	}
	s, err := e.openStore(cmd, f.store)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // only read
	q := store.HistoryQuery{From: from, To: to, All: f.all}
	if f.dataset != "" {
		q.Dataset = rules.DatasetName(f.dataset)
		if err := knownDataset(cmd, s, q.Dataset); err != nil {
			return err
		}
	}
	entries, err := s.History(cmd.Context(), q)
	if err != nil {
		return &app.StoreError{Err: err}
	}
	var out bytes.Buffer
	if format == report.FormatJSON {
		if entries == nil {
			entries = []store.Entry{}
		}
		if err := writeJSON(&out, entries); err != nil {
			return err
		}
		return e.emit(&f.output, &out)
	}
	rows := make([]report.HistoryRow, len(entries))
	for i, h := range entries {
		rows[i] = report.HistoryRow{Dataset: h.Dataset, Batch: h.Batch, At: h.At, Rows: h.Rows, Verdict: h.Verdict.String(), Score: h.Score, RecordedAt: h.RecordedAt}
		if h.Label != nil {
			rows[i].Label = string(*h.Label)
		}
	}
	if err := report.History(&out, format, rows, e.reportOptions(&f.output, false)); err != nil {
		return err
	}
	return e.emit(&f.output, &out)
}

// knownDataset reports a dataset that was never recorded, with the nearest
// name.
func knownDataset(cmd *cobra.Command, s *store.Store, name string) error {
	all, err := s.Datasets(cmd.Context())
	if err != nil {
		return &app.StoreError{Err: err}
	}
	var names []string
	for _, d := range all {
		if d.Dataset == name {
			return nil
		}
		names = append(names, d.Dataset)
	}
	hint := diag.Hint(name, names)
	switch {
	case hint == "" && len(names) == 0:
		hint = "the history is empty"
	case hint == "":
		hint = "there are " + join(names[:min(8, len(names))])
	}
	return usage("the history has no dataset %s; %s", name, hint)
}

func (e *env) historyShowCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use: "show DATASET BATCH", Short: "Show the profile and the results of a recorded batch",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("name a dataset and a batch: profiler history show shop/orders 2026-03-01")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.historyShow(cmd, args, &f) },
	}
	f.output.register(cmd, report.KindCheck)
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	return cmd
}

func (e *env) historyShow(cmd *cobra.Command, args []string, f *historyFlags) error {
	format, err := f.output.reportFormat(report.KindCheck)
	if err != nil {
		return err
	}
	s, err := e.openStore(cmd, f.store)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // only read
	dataset := rules.DatasetName(args[0])
	if err := knownDataset(cmd, s, dataset); err != nil {
		return err
	}
	p, rep, err := s.Get(cmd.Context(), dataset, args[1])
	if errors.Is(err, store.ErrNotFound) {
		return e.unknownBatch(cmd, s, dataset, args[1])
	}
	if err != nil {
		return &app.StoreError{Err: err}
	}
	var out bytes.Buffer
	var sum *profile.Summary
	if p != nil {
		sum = p.Summary()
	}
	if format == report.FormatJSON {
		err = showJSON(&out, sum, &rep)
	} else {
		o := e.reportOptions(&f.output, false)
		err = report.Check(&out, format, &rep, sum, o)
		if err == nil && sum != nil && report.Supports(format, report.KindProfile) && format != report.FormatHTML {
			out.WriteString("\n")
			err = report.Profile(&out, format, sum, o)
		}
	}
	if err != nil {
		return err
	}
	return e.emit(&f.output, &out)
}

// showJSON writes the profile JSON with the verdict and the results beside it.
func showJSON(out *bytes.Buffer, sum *profile.Summary, rep *checks.Report) error {
	head := []byte(`{}`)
	if sum != nil {
		b, err := json.Marshal(sum)
		if err != nil {
			return err
		}
		head = b
	}
	tail, err := json.Marshal(struct {
		Batch   string          `json:"batch"`
		At      time.Time       `json:"at"`
		Verdict checks.Status   `json:"verdict"`
		Results []checks.Result `json:"results"`
		Origin  checks.Origin   `json:"origin,omitzero"`
	}{rep.Batch, rep.At, rep.Verdict, rep.Results, rep.Origin})
	if err != nil {
		return err
	}
	joined := bytes.TrimSuffix(head, []byte("}"))
	if len(joined) > 1 {
		joined = append(joined, ',')
	}
	joined = append(joined, tail[1:]...)
	if err := json.Indent(out, joined, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	return nil
}

func (e *env) unknownBatch(cmd *cobra.Command, s *store.Store, dataset, batch string) error {
	list, err := s.Batches(cmd.Context(), store.Query{Dataset: dataset, All: true, Limit: 50})
	if err != nil {
		return &app.StoreError{Err: err}
	}
	var names []string
	for _, b := range list {
		names = append(names, b.Batch)
	}
	hint := diag.Hint(batch, names)
	if hint == "" {
		hint = fmt.Sprintf("the newest are %s", join(names[:min(5, len(names))]))
	}
	return usage("the dataset %s has no batch %q; %s", dataset, batch, hint)
}
