package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/suggest"
)

type suggestFlags struct {
	source       sourceFlags
	output       outputFlags
	store, since string
}

func (e *env) rulesSuggestCommand() *cobra.Command {
	var f suggestFlags
	cmd := &cobra.Command{
		Use: "suggest SOURCE...", Short: "Write a rule file that fits the data",
		Long: `Profiles sources, or reads profiles that profile --save wrote, or with --store
the recorded batches of --dataset, and writes rules that they keep, each with the
evidence for it. Several batches (--each, several profiles, a store) say more
than one: what changes from day to day is not taken for a rule.

Sources are read twice, to see that they keep the rules.`,
		Example: "  profiler rules suggest orders.csv --output-file rules/orders.yaml\n  profiler rules suggest 'days/*.csv' --each --dataset shop/orders\n  profiler rules suggest --store sqlite:profiler.db --dataset shop/orders --since 60d",
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := e.suggestRules(cmd, args, &f)
			if err != nil {
				return err
			}
			return e.emit(&f.output, bytes.NewBuffer(file.YAML()))
		},
	}
	f.source.register(cmd)
	cmd.Flags().StringVar(&f.output.file, "output-file", "", "write the rules to a `file` instead of standard output")
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of a history to read instead of sources")
	cmd.Flags().StringVar(&f.since, "since", "", "with --store: only batches since this time, or of the last `span`, like 60d")
	return cmd
}

// suggestRules reads batches and makes rules of them.
func (e *env) suggestRules(cmd *cobra.Command, args []string, f *suggestFlags) (*draft.File, error) {
	loc, err := f.source.location()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 && f.source.dataset != "" {
		return e.suggestFromStore(cmd, f)
	}
	if len(args) == 0 {
		return nil, usage("name a source, profiles, or a history: profiler rules suggest orders.csv, or --store URL --dataset NAME")
	}
	if f.store != "" {
		return nil, usage("--store reads recorded batches; leave out %s, or --store", args[0])
	}
	saved, paths := splitProfiles(args)
	batches, err := readProfiles(saved)
	if err != nil {
		return nil, err
	}
	s := suggester{env: e, flags: &f.source, options: suggest.Options{Location: loc}}
	if len(paths) > 0 {
		if err := s.read(cmd, paths); err != nil {
			return nil, err
		}
	}
	s.batches = append(s.batches, batches...)
	slices.SortStableFunc(s.batches, func(a, b suggest.Batch) int { return a.AsOf.Compare(b.AsOf) })
	s.options.Dataset = s.batches[0].Profile.Dataset
	if f.source.dataset != "" {
		s.options.Dataset = rules.DatasetName(f.source.dataset)
	}
	e.notePlaceholders(suggest.Placeholders(s.batches))
	return s.verified(cmd.Context())
}

// notePlaceholders tells of texts that probably mean null.
func (e *env) notePlaceholders(found map[string]string) {
	columns := map[string][]string{}
	for name, text := range found {
		columns[text] = append(columns[text], name)
	}
	for _, text := range slices.Sorted(maps.Keys(columns)) {
		names := columns[text]
		slices.Sort(names)
		e.note("%q stands among the numbers of %s; if it means nothing, read it as null: --null %s", text, join(names), shellQuote(text))
	}
}

// shellQuote quotes a text for a shell if it has to be.
func shellQuote(s string) string {
	if strings.ContainsAny(s, "?#\\ ") {
		return "'" + s + "'"
	}
	return s
}

func splitProfiles(args []string) (saved, paths []string) {
	for _, a := range args {
		if strings.HasSuffix(a, ".profile") {
			saved = append(saved, a)
		} else {
			paths = append(paths, a)
		}
	}
	return saved, paths
}

func readProfiles(paths []string) ([]suggest.Batch, error) {
	var batches []suggest.Batch
	for _, path := range paths {
		p, err := app.ReadProfile(path)
		if err != nil {
			if errors.Is(err, profile.ErrFormat) {
				return nil, err
			}
			return nil, readError("suggest", err)
		}
		batches = append(batches, suggest.Batch{Profile: p, AsOf: p.ProfiledAt})
	}
	return batches, nil
}

// suggestFromStore makes rules of recorded batches.
func (e *env) suggestFromStore(cmd *cobra.Command, f *suggestFlags) (*draft.File, error) {
	s, err := e.openStore(cmd, f.store)
	if err != nil {
		return nil, err
	}
	defer s.Close() //nolint:errcheck // only read
	dataset := rules.DatasetName(f.source.dataset)
	if err := knownDataset(cmd, s, dataset); err != nil {
		return nil, err
	}
	q := store.Query{Dataset: dataset}
	if q.Since, err = e.since(cmd.Context(), s, dataset, f.since); err != nil {
		return nil, err
	}
	recorded, err := s.Replay(cmd.Context(), q, false)
	if err != nil {
		return nil, &app.StoreError{Err: err}
	}
	var batches []suggest.Batch
	for _, r := range recorded {
		if r.Profile != nil {
			batches = append(batches, suggest.Batch{Profile: r.Profile, AsOf: app.AsOf(&r)})
		}
	}
	if len(batches) == 0 {
		return nil, usage("the history has no profiles of %s; widen --since", dataset)
	}
	return suggest.Rules(batches, suggest.Options{Dataset: dataset}), nil
}

// since reads a time, or a span back from the newest batch of a dataset.
func (e *env) since(ctx context.Context, s *store.Store, dataset, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, ok := parseSpan(text); ok {
		newest, err := s.Batches(ctx, store.Query{Dataset: dataset, All: true, Limit: 1})
		if err != nil {
			return time.Time{}, &app.StoreError{Err: err}
		}
		if len(newest) == 0 {
			return time.Time{}, nil
		}
		return newest[0].At.Add(-d), nil
	}
	t, err := parseTime("--since", text, time.UTC)
	if err != nil {
		return t, usage("--since %q is neither a span like 90d nor a time like 2026-03-01", text)
	}
	return t, nil
}

// suggester makes rules of sources.
type suggester struct {
	env     *env
	flags   *sourceFlags
	inputs  []source.Input
	batches []suggest.Batch
	options suggest.Options
}

// read profiles the sources.
func (s *suggester) read(cmd *cobra.Command, paths []string) error {
	inputs, err := s.flags.inputs(cmd, s.env, paths)
	if err != nil {
		return err
	}
	err = s.observe(cmd.Context(), inputs, nil, func(o *monitor.Outcome) {
		s.batches = append(s.batches, suggest.Batch{Profile: o.Profile, AsOf: o.AsOf})
		s.env.warn(o.Profile)
	})
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if !contains(in.Files, source.Stdin) { // read once
			s.inputs = append(s.inputs, in)
		}
	}
	return nil
}

// observe sends inputs through the monitor, with rules and without a store.
func (s *suggester) observe(ctx context.Context, inputs []source.Input, sets []*rules.Set, each func(*monitor.Outcome)) error {
	cfg, err := s.env.config()
	if err != nil {
		return err
	}
	sensitive, err := s.env.sensitiveRules(cfg)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Options{Logger: s.env.log, Keys: s.env.keys(true)})
	if err != nil {
		return err
	}
	for _, in := range inputs {
		o, err := s.env.observe(ctx, a, in, s.flags, func(sub *monitor.Subject) error {
			sub.Rules, sub.Sensitive = sets, append(sensitive(sub.Dataset), s.flags.sensitive...)
			return nil
		})
		if err != nil {
			return err
		}
		each(o)
	}
	return nil
}

// verified makes the rules, counts the formats of the data, and drops rules
// that the data itself does not keep.
func (s *suggester) verified(ctx context.Context) (*draft.File, error) {
	if len(s.inputs) == 0 {
		return suggest.Rules(s.batches, s.options), nil
	}
	const rulesFile, probeFile = "suggested", "probe"
	candidates := suggest.Candidates(s.batches)
	probe, err := parseDraft(probeFile, suggest.Probe(candidates))
	if err != nil {
		return nil, err
	}
	sets, err := parseDraft(rulesFile, suggest.Rules(s.batches, s.options))
	if err != nil {
		return nil, err
	}
	s.options.Formats = map[string]map[string]suggest.Tally{}
	for _, b := range s.batches {
		for _, name := range b.Profile.ColumnNames() {
			s.options.Formats[name] = map[string]suggest.Tally{}
		}
	}
	broken := map[[2]string]checks.Result{}
	err = s.observe(ctx, s.inputs, append(sets, probe...), func(o *monitor.Outcome) {
		for _, r := range o.Report.Results {
			switch {
			case r.Rule != nil && r.Rule.File == probeFile && r.Evaluated != nil && r.Failed != nil:
				s.options.Formats[r.Column][r.Note] = s.options.Formats[r.Column][r.Note].Add(*r.Evaluated, *r.Failed)
			case r.Rule != nil && r.Rule.File == rulesFile && (r.Status == checks.Fail || r.Status == checks.Error):
				broken[itemOf(&r)] = r
			}
		}
	})
	if err != nil {
		return nil, err
	}
	file := suggest.Rules(s.batches, s.options)
	file.Drop(func(column, kind string) bool {
		r, bad := broken[[2]string{column, kind}]
		if bad && kind != "format" {
			s.env.note("left out %s: %s", cmp.Or(column+"."+kind, kind), r.Message)
		}
		return bad && kind != "format"
	})
	return file, nil
}

// itemOf names the item of a draft that gave a result.
func itemOf(r *checks.Result) [2]string {
	if r.Kind == "freshness" {
		return [2]string{"", r.Kind} // it names its column itself
	}
	return [2]string{r.Column, r.Kind}
}

// parseDraft compiles a file that this program wrote.
func parseDraft(name string, f *draft.File) ([]*rules.Set, error) {
	if f.Len() == 0 {
		return nil, nil
	}
	sets, diags := rules.Parse(name, f.YAML(), nil)
	if diags.HasErrors() {
		panic("BUG: the suggested rules have a mistake: " + diags.Err().Error())
	}
	return sets, nil
}
