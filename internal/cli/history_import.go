package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/partition"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
)

// importFlags are those of profiler history import.
type importFlags struct {
	source sourceFlags
	store  string
	rules  []string
	by     string
}

func (e *env) historyImportCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import SOURCE...", Short: "Fill the history from data of the past",
		Long: `Profiles data of the past and records it in the order of time, so that what is
learned need not start from nothing. Every file is a batch, of the day in its name
or else of the time when it was written. With --partition-by one table is taken
apart by a column of times, one batch for each day (hour, week, month).
Saved profiles (.profile) are imported as they are. No rule judges, nobody is told.`,
		Example: "  profiler history import 'archive/*.csv.gz' --dataset shop/orders\n  profiler history import orders.parquet --partition-by created_at:day",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.historyImport(cmd, args, &f) },
	}
	f.source.register(cmd)
	for _, name := range []string{"each", "at", "batch", "rows", "sample"} {
		cmd.Flags().MarkHidden(name) //nolint:errcheck // the flag exists
	}
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringArrayVar(&f.rules, "rules", nil, "rule `file` or folder, for its auto (repeatable; default: the folder rules/ if it exists)")
	cmd.Flags().StringVar(&f.by, "partition-by", "", "take the table apart by `COLUMN[:hour|day|week|month]`")
	return cmd
}

func (e *env) historyImport(cmd *cobra.Command, args []string, f *importFlags) error {
	for _, name := range []string{"each", "at", "batch", "rows", "sample"} {
		if cmd.Flags().Changed(name) {
			return usage("--%s has no meaning here: batches get their names and times from files or from --partition-by", name)
		}
	}
	var by partition.By
	var err error
	if f.by != "" {
		if by, err = partition.Parse(f.by); err != nil {
			return usage("--partition-by: %v", err)
		}
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lib, err := e.loadRules(f.rules, cfg)
	if err != nil {
		return err
	}
	profiles, rest := profilesAmong(args)
	var inputs []source.Input
	if len(rest) > 0 || len(profiles) == 0 {
		f.source.each = true
		if inputs, err = f.source.inputs(cmd, e, rest); err != nil {
			return err
		}
	}
	opts := e.appOptions(cfg)
	opts.Store = storeURL(f.store, cfg)
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	var all []app.Past
	for _, path := range profiles {
		p, err := importedProfile(path, f)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for _, in := range inputs {
		past, err := e.importInput(cmd.Context(), in, f, by)
		if err != nil {
			return err
		}
		all = append(all, past...)
	}
	return e.importAll(cmd.Context(), a, all, lib)
}

// profilesAmong parts saved profiles from other sources.
func profilesAmong(args []string) (profiles, rest []string) {
	for _, a := range args {
		if strings.HasSuffix(a, ".profile") {
			profiles = append(profiles, a)
		} else {
			rest = append(rest, a)
		}
	}
	return profiles, rest
}

func (e *env) importAll(ctx context.Context, a *app.App, all []app.Past, lib *rules.Library) error {
	slices.SortStableFunc(all, func(x, y app.Past) int { return x.At.Compare(y.At) })
	datasets := map[string]int{}
	for i := range all {
		all[i].Rules = lib.For(all[i].Dataset)
		datasets[all[i].Dataset]++
	}
	progress := func(n int) {
		if len(all) > 100 {
			e.note("%d of %d batches", n, len(all))
		}
	}
	if err := a.Import(ctx, all, progress); err != nil {
		return err
	}
	if len(all) == 0 {
		return &exitError{exitUnjudged, "nothing was imported: no row belongs to a batch; name a column of dates or times with --partition-by"}
	}
	for _, name := range sortedKeys(datasets) {
		text := "1 batch"
		if n := datasets[name]; n != 1 {
			text = fmt.Sprintf("%d batches", n)
		}
		e.note("%s: %s imported", name, text)
	}
	if len(datasets) > 1 && len(datasets) == len(all) {
		e.note("each batch is of a dataset of its own, so nothing can be learned; name one for all with --dataset")
	}
	return nil
}

func sortedKeys[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// importedProfile reads a saved profile; its batch is the day in its name.
func importedProfile(path string, f *importFlags) (app.Past, error) {
	p, err := app.ReadProfile(path)
	if err != nil {
		if errors.Is(err, profile.ErrFormat) {
			return app.Past{}, err
		}
		return app.Past{}, &exitError{exitUnjudged, readError("import", err).Error()}
	}
	past := app.Past{Dataset: p.Dataset, Batch: source.Stem(path), At: p.ProfiledAt, Profile: p}
	if f.source.dataset != "" {
		past.Dataset = rules.DatasetName(f.source.dataset)
		p.Dataset = past.Dataset
	}
	if part, ok := source.PartitionOf(source.Input{Files: []string{path}}, nil); ok {
		past.Batch, past.At = part.Name, part.From
	}
	return past, nil
}

// importInput profiles a source: one batch, or one for each span of time.
func (e *env) importInput(ctx context.Context, in source.Input, f *importFlags, by partition.By) ([]app.Past, error) {
	so, err := f.source.options(e)
	if err != nil {
		return nil, err
	}
	loc, err := f.source.location()
	if err != nil {
		return nil, err
	}
	r, done, err := e.open(ctx, in, so, f.source.progress)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	defer done()
	s := app.Subject(f.source.datasetOf(in), r, nil)
	if by.Column != "" {
		return e.importParts(ctx, r, by, s)
	}
	if s.At = s.Modified; s.At.IsZero() {
		s.At = time.Now()
	}
	if p, ok := source.PartitionOf(in, loc); ok {
		s.Batch, s.At = p.Name, p.From
	}
	o, err := monitor.New(monitor.Options{}).Observe(ctx, r, s)
	if err != nil {
		return nil, err
	}
	e.warn(o.Profile)
	return []app.Past{{Dataset: s.Dataset, Batch: o.Batch, At: s.At, Profile: o.Profile}}, nil
}

func (e *env) importParts(ctx context.Context, r *source.Reader, by partition.By, s monitor.Subject) ([]app.Past, error) {
	split, err := partition.Read(ctx, r, by, profile.Info{Dataset: s.Dataset, Source: s.Source, ProfiledAt: time.Now().UTC()})
	if errors.Is(err, partition.ErrNoColumn) {
		var names []string
		for _, c := range r.Columns() {
			names = append(names, c.Name)
		}
		return nil, usage("--partition-by: %s has no column %q; there are %s", s.Source.URL, by.Column, join(names[:min(8, len(names))]))
	}
	if err != nil {
		return nil, err
	}
	if split.Left > 0 {
		e.note("warning: %s no time in %s and is in no batch", haveNo(split.Left), by.Column)
	}
	out := make([]app.Past, len(split.Parts))
	for i, p := range split.Parts {
		out[i] = app.Past{Dataset: s.Dataset, Batch: p.Name, At: p.At, Profile: p.Profile}
	}
	return out, nil
}

func haveNo(n int64) string {
	if n == 1 {
		return "1 row has"
	}
	return fmt.Sprintf("%d rows have", n)
}
