package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/source"
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
	format, err := f.output.reportFormat(report.KindProfile)
	if err != nil {
		return err
	}
	so, err := f.source.options(e)
	if err != nil {
		return err
	}
	inputs, err := f.source.inputs(cmd, e, args)
	if err != nil {
		return err
	}
	if f.save != "" && len(inputs) > 1 {
		return usage("--save writes one profile, but there are %d batches; leave out --each", len(inputs))
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if err := single(format, len(inputs)); err != nil {
		return err
	}
	m, err := e.metricsFor(cfg, &f.output)
	if err != nil {
		return err
	}
	defer boundMemory(e, 0)()
	var recorded []string
	if f.store != "" {
		recorded = []string{"--store"}
	}
	if err := f.source.keptNowhere(e, so, &f.output, cfg.Store.Reveal() != "", recorded...); err != nil {
		return err
	}
	sensitive, err := e.sensitiveRules(cfg)
	if err != nil {
		return err
	}
	opts := e.appOptions(cfg)
	opts.Store, opts.Metrics = givenStore(f.store, cfg), m
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	var out bytes.Buffer
	worst := exitOK
	for _, in := range inputs {
		o, err := e.observe(cmd.Context(), a, in, &f.source, observeOptions{complete: func(s *monitor.Subject, _ source.Input) error {
			s.Sensitive = append(sensitive(s.Dataset), f.source.sensitive...)
			return nil
		}})
		if err != nil && cmd.Context().Err() != nil {
			return err
		}
		if err != nil {
			worst = worse(worst, e.report(err)) // the other batches are profiled all the same
		}
		if o == nil {
			continue
		}
		if f.save != "" {
			if err := saveProfile(f.save, o.Profile); err != nil {
				return writeError("save the profile", err)
			}
		}
		sum, err := summaryOf(o.Profile, f.sketch)
		if err != nil {
			return err
		}
		if err := report.Profile(&out, format, sum, e.reportOptions(&f.output, f.source.each)); err != nil {
			return err
		}
		e.warn(o.Profile)
	}
	e.writeMetrics(cmd.Context(), m, &f.output, "")
	if out.Len() > 0 {
		if err := e.emit(&f.output, &out); err != nil {
			return err
		}
	}
	return exitWith(worst)
}

// warn tells what could not be read of a batch.
func (e *env) warn(p *profile.Profile) {
	if n, first := p.Stats.Malformed, p.Stats.FirstMalformed; n > 0 {
		e.note("warning: %s: %s left out; first: record %d at byte %d: %s", first.Source, leftOut(n), first.Row, first.Offset, first.Reason)
	}
	var invalid int64
	for _, c := range p.Summary().Columns {
		invalid += c.InvalidUTF8
	}
	if invalid > 0 {
		e.note("warning: %s: %s not valid UTF-8; name the encoding with --encoding", p.Source.URL, arePlural(invalid, "value"))
	}
}

func arePlural(n int64, word string) string {
	if n == 1 {
		return "1 " + word + " is"
	}
	return fmt.Sprintf("%d %ss are", n, word)
}

func leftOut(n int64) string {
	if n == 1 {
		return "1 malformed record was"
	}
	return fmt.Sprintf("%d malformed records were", n)
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

// observeOptions are what check adds to reading a batch.
type observeOptions struct {
	complete func(*monitor.Subject, source.Input) error
}

// observe opens an input and sends it through the monitor.
func (e *env) observe(ctx context.Context, a *app.App, in source.Input, f *sourceFlags, opts observeOptions) (*monitor.Outcome, error) {
	so, err := f.options(e)
	if err != nil {
		return nil, err
	}
	loc, err := f.location()
	if err != nil {
		return nil, err
	}
	at, err := f.when(loc)
	if err != nil {
		return nil, err
	}
	r, done, err := e.open(ctx, in, so, f.progress)
	if err != nil {
		a.ProfileFailed(ctx, f.datasetOf(in), "")
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	defer done()
	s := app.Subject(f.datasetOf(in), r, nil)
	s.Batch, s.At, s.Location = f.batch, at, loc
	if p, ok := source.PartitionOf(in, loc); ok && at.IsZero() {
		s.At, s.AsOf = p.From, p.To
		if s.Batch == "" {
			s.Batch = p.Name
		}
		if a.Store != nil && f.dataset == "" && in.Name != "" && strings.HasSuffix(s.Dataset, "/"+in.Name) {
			e.note("the dataset is %s; if every day has a file, name their common dataset with --dataset, so that days compare with each other", s.Dataset)
		}
	}
	if opts.complete != nil {
		if err := opts.complete(&s, in); err != nil {
			return nil, err
		}
	}
	o, err := a.Observe(ctx, r, s)
	e.noteSensitive(o)
	return o, err
}
