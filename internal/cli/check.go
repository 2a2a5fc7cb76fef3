package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/alert/slack"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
)

// checkFlags are those of profiler check.
type checkFlags struct {
	source          sourceFlags
	output          outputFlags
	store           string
	rules           []string
	baseline        string
	failOn          string
	failingRows     int
	noRecord, alert bool
}

func (e *env) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check SOURCE...", Short: "Judge data by rules",
		Long: `Reads a batch as profile does and judges it by rule files. The exit code tells
the verdict: 0 pass or warn, 1 fail, 3 could not judge.`,
		Example: "  profiler check orders.csv --rules rules/\n  profiler check orders.csv --rules rules/orders.yaml --store sqlite:profiler.db -o json",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runCheck(cmd, args, &f) },
	}
	f.source.register(cmd)
	f.output.register(cmd, report.KindCheck)
	f.output.registerMetrics(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.rules, "rules", nil, "rule `file` or folder (repeatable; default: the folder rules/ if it exists)")
	fl.StringVar(&f.store, "store", "", "`URL` of the history to judge against and to record in: sqlite:FILE or postgres://…")
	fl.StringVar(&f.baseline, "baseline", "", "saved .profile or `source` to compare with instead of the history")
	fl.BoolVar(&f.noRecord, "no-record", false, "judge against the history and leave it as it was")
	fl.StringVar(&f.failOn, "fail-on", "fail", "exit 1 from this `verdict` on: warn, fail or never")
	fl.IntVar(&f.failingRows, "failing-rows", checks.DefaultFailingRows, "keep up to `N` failing rows of each check")
	fl.BoolVar(&f.alert, "alert", false, "send alerts even without a store")
	return cmd
}

func (e *env) runCheck(cmd *cobra.Command, args []string, f *checkFlags) error {
	format, err := f.output.reportFormat(report.KindCheck)
	if err != nil {
		return err
	}
	threshold, err := failThreshold(f.failOn)
	if err != nil {
		return err
	}
	if f.failingRows < 0 {
		return usage("--failing-rows %d is negative", f.failingRows)
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lib, err := e.loadRules(f.rules, cfg)
	if err != nil {
		return err
	}
	inputs, err := f.source.inputs(cmd, e, args)
	if err != nil {
		return err
	}
	if err := single(format, len(inputs)); err != nil {
		return err
	}
	m, err := e.metricsFor(&f.output)
	if err != nil {
		return err
	}
	f.store = givenStore(f.store, cfg)
	opts := e.appOptions(cfg)
	opts.Store, opts.NoRecord, opts.Alert, opts.Metrics, opts.FailingRows = f.store, f.noRecord, f.alert, m, f.failingRows
	if opts.FailingRows == 0 {
		opts.FailingRows = -1
	}
	if opts.Baseline, err = e.baseline(cmd, f); err != nil {
		return err
	}
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	var out bytes.Buffer
	worst := exitOK
	for _, in := range inputs {
		o, err := e.observe(cmd.Context(), a, in, &f.source, observeOptions{complete: func(s *monitor.Subject, in source.Input) error {
			sets, err := f.setsFor(lib, s.Dataset, in)
			s.Rules = sets
			return err
		}})
		if err != nil && cmd.Context().Err() != nil {
			return err
		}
		if err != nil {
			worst = worse(worst, e.report(err)) // the other batches are judged all the same
		}
		if o == nil {
			continue
		}
		worst = worse(worst, verdictCode(o.Report.Verdict, threshold))
		ro, closeSummary := e.stepSummary(format, e.reportOptions(&f.output, f.source.each))
		err = report.Check(&out, format, &o.Report, o.Profile.Summary(), ro)
		closeSummary()
		if err != nil {
			return err
		}
	}
	e.writeMetrics(cmd.Context(), m, &f.output)
	if out.Len() == 0 {
		return exitWith(worst)
	}
	if err := e.emit(&f.output, &out); err != nil {
		return err
	}
	return exitWith(worst)
}

func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// worse returns the code that wins: 2, 3, 1, 0.
func worse(a, b int) int {
	for _, code := range []int{exitUsage, exitUnjudged, exitFail} {
		if a == code || b == code {
			return code
		}
	}
	return exitOK
}

// failThreshold reads --fail-on.
func failThreshold(word string) (checks.Status, error) {
	switch word {
	case "fail":
		return checks.Fail, nil
	case "warn":
		return checks.Warn, nil
	case "never":
		return checks.Error, nil
	}
	return 0, usage("--fail-on %q: write warn, fail or never", word)
}

func verdictCode(v, threshold checks.Status) int {
	switch {
	case v == checks.Error:
		return exitUnjudged
	case v >= threshold && v >= checks.Warn:
		return exitFail
	}
	return exitOK
}

// loadRules reads the named rule files, else those of the configuration, else
// the folder rules/ if there is one.
func (e *env) loadRules(paths []string, cfg *config.Config) (*rules.Library, error) {
	if len(paths) == 0 {
		paths = cfg.Rules
	}
	if len(paths) == 0 {
		if info, err := os.Stat("rules"); err == nil && info.IsDir() {
			paths = []string{"rules"}
		}
	}
	lib, diags, err := rules.Load(paths, e.lookup)
	if err != nil {
		return nil, readError("rules", err)
	}
	if diags.HasErrors() {
		e.printDiagnostics(diags, lib.Source)
		return nil, diags
	}
	return lib, nil
}

// setsFor chooses the rules of a dataset. A single rule file that is named
// applies without --dataset whatever the source is called.
func (f *checkFlags) setsFor(lib *rules.Library, dataset string, _ source.Input) ([]*rules.Set, error) {
	if f.source.dataset == "" && len(f.rules) == 1 {
		if info, err := os.Stat(f.rules[0]); err == nil && !info.IsDir() {
			return lib.Sets, nil
		}
	}
	sets := lib.For(dataset)
	for _, s := range lib.Sets {
		if s.Dataset == "" && contains(f.rules, s.File) { // a file that is named and names no dataset
			sets = append(sets, s)
		}
	}
	if len(sets) > 0 || f.store != "" {
		return sets, nil
	}
	if len(lib.Sets) == 0 {
		return nil, usage("there are no rules for %s; write some to rules/, or name a file with --rules", dataset)
	}
	hint := diag.Hint(dataset, lib.Datasets())
	switch {
	case len(lib.Datasets()) == 0:
		hint = "the rule files name none; write dataset: " + dataset + " into one, or name the file with --rules"
	case hint == "":
		hint = "they are about " + strings.Join(lib.Datasets(), ", ") + "; name the dataset with --dataset"
	}
	return nil, usage("no rule is about the dataset %s; %s", dataset, hint)
}

// baseline reads what --baseline names: a saved profile, or a source.
func (e *env) baseline(cmd *cobra.Command, f *checkFlags) (*profile.Profile, error) {
	if f.baseline == "" {
		return nil, nil
	}
	if strings.HasSuffix(f.baseline, ".profile") {
		p, err := app.ReadProfile(f.baseline)
		if err == nil || errors.Is(err, profile.ErrFormat) {
			return p, err
		}
		return nil, &exitError{exitUnjudged, readError("--baseline", err).Error()}
	}
	in, err := source.Expand([]string{f.baseline}, false)
	if err != nil {
		return nil, asUsage(err)
	}
	a, err := app.New(cmd.Context(), app.Options{Logger: e.log})
	if err != nil {
		return nil, err
	}
	flags := f.source
	flags.rows = 0
	o, err := e.observe(cmd.Context(), a, in[0], &flags, observeOptions{})
	if err != nil {
		return nil, err
	}
	return o.Profile, nil
}

// appOptions are the parts of an app that the configuration decides.
func (e *env) appOptions(cfg *config.Config) app.Options {
	o := app.Options{Logger: e.log, Messages: e.stderr, Alerts: cfg.Alerts.Options(), Channels: map[string]slack.Config{}}
	for _, c := range cfg.Alerts.Channels {
		o.Channels[c.Name] = c.Slack.Config()
	}
	return o
}
