package cli

import (
	"encoding/base64"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/words"
)

// profileFlags are those of profiler profile.
type profileFlags struct {
	source sourceFlags
	output outputFlags
	store  string
	save   string
	sketch bool
}

func (e *env) profileCommand() *cobra.Command {
	var f profileFlags
	cmd := &cobra.Command{
		Use: "profile SOURCE...", Short: "Profile data and print a summary", GroupID: "",
		Long: `Reads files, folders, patterns or standard input (-) as one batch, or with --each
every file as one, and prints volume, shape and distribution of its columns.`,
		Example: "  profiler profile orders.csv\n  profiler profile 'in/*.parquet' -o json\n  zcat trips.csv.gz | profiler profile - --save trips.profile",
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.runProfile(cmd, args, &f)
		},
	}
	f.source.register(cmd)
	f.output.register(cmd, report.KindProfile)
	f.output.registerMetrics(cmd)
	cmd.Flags().StringVar(&f.store, "store", "", "record the batch in the history at this `URL`")
	cmd.Flags().StringVar(&f.save, "save", "", "save the profile to a `file` that merge, history and check --baseline read")
	cmd.Flags().BoolVar(&f.sketch, "sketch", false, "put the binary form into the JSON, as base64")
	return cmd
}

func (e *env) runProfile(cmd *cobra.Command, args []string, f *profileFlags) error {
	g, err := e.gather(report.KindProfile, &f.source, &f.output)
	if err != nil {
		return err
	}
	if err := g.find(cmd, args); err != nil {
		return err
	}
	if f.save != "" && len(g.inputs) > 1 {
		return usage("--save writes one profile, but there are %d batches; leave out --each", len(g.inputs))
	}
	defer boundMemory(e, 0)()
	var recorded []string
	if f.store != "" {
		recorded = []string{"--store"}
	}
	if err := f.source.keptNowhere(e, g.options, &f.output, g.config.Store.Reveal() != "", recorded...); err != nil {
		return err
	}
	sensitive, err := e.sensitiveRules(g.config)
	if err != nil {
		return err
	}
	opts := e.appOptions(g.config)
	opts.Store, opts.Metrics = givenStore(f.store, g.config), g.metrics
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	complete := func(s *monitor.Subject) error {
		s.Sensitive = append(sensitive(s.Dataset), f.source.sensitive...)
		return nil
	}
	return g.run(cmd.Context(), a, complete, func(o *monitor.Outcome) (int, error) { return exitOK, g.profiled(o, f) })
}

// profiled adds the profile of a batch to what is printed, and saves it.
func (g *gathering) profiled(o *monitor.Outcome, f *profileFlags) error {
	if f.save != "" {
		if err := saveProfile(f.save, o.Profile); err != nil {
			return writeError("save the profile", err)
		}
	}
	sum, err := summaryOf(o.Profile, f.sketch)
	if err != nil {
		return err
	}
	if err := report.Profile(&g.out, g.format, sum, g.e.reportOptions(&f.output, f.source.each)); err != nil {
		return err
	}
	g.e.warn(o.Profile)
	return nil
}

// warn tells what could not be read of a batch.
func (e *env) warn(p *profile.Profile) {
	if n, first := p.Stats.Malformed, p.Stats.FirstMalformed; n > 0 {
		e.note("warning: %s: %s left out; first: record %d at byte %d: %s", first.Source, words.Plural(n, "malformed record was", "malformed records were"), first.Row, first.Offset, first.Reason)
	}
	var invalid int64
	for _, c := range p.Summary().Columns {
		invalid += c.InvalidUTF8
	}
	if invalid > 0 {
		e.note("warning: %s: %s not valid UTF-8; name the encoding with --encoding", p.Source.URL, words.Plural(invalid, "value is", "values are"))
	}
}

// summaryOf returns the summary of a profile, with its binary form if that is
// wanted.
func summaryOf(p *profile.Profile, sketch bool) (*profile.Summary, error) {
	sum := *p.Summary()
	if sketch {
		b, err := p.Encode()
		if err != nil {
			return nil, err
		}
		sum.Sketch = base64.StdEncoding.EncodeToString(b)
	}
	return &sum, nil
}
