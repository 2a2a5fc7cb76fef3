package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
)

// judgeFlags say what a batch is judged by and where that is recorded; check
// and tap share them.
type judgeFlags struct {
	store           string
	rules           []string
	baseline        string
	incidents       string
	failOn          string
	failingRows     int
	noRecord, alert bool
	memory          memory
}

// register adds the flags but --fail-on, whose default is the command's.
func (f *judgeFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.rules, "rules", nil, "rule `file` or folder (repeatable; default: the folder rules/ if it exists)")
	fl.StringVar(&f.store, "store", "", "`URL` of the history to judge against and to record in: sqlite:FILE or postgres://…")
	fl.StringVar(&f.baseline, "baseline", "", "saved .profile or `source` to compare with instead of the history")
	fl.StringVar(&f.incidents, "incidents", "", "`file` with answers about batches (default: that of the configuration)")
	fl.BoolVar(&f.noRecord, "no-record", false, "judge against the history and leave it as it was")
	fl.IntVar(&f.failingRows, "failing-rows", checks.DefaultFailingRows, "keep up to `N` failing rows of each check")
	fl.BoolVar(&f.alert, "alert", false, "send alerts even without a store")
	f.memory.register(cmd)
}

// options are those of the app, but for the baseline; the store of the
// configuration counts as given.
func (f *judgeFlags) options(e *env, cfg *config.Config, m *metrics.Metrics) app.Options {
	f.store = givenStore(f.store, cfg)
	o := e.appOptions(cfg)
	o.Store, o.NoRecord, o.Alert, o.Metrics, o.FailingRows = f.store, f.noRecord, f.alert, m, f.failingRows
	o.Memory = int64(f.memory)
	if f.incidents != "" {
		o.Incidents = f.incidents
	}
	o.Keys = e.keys(f.noRecord)
	if o.FailingRows == 0 {
		o.FailingRows = -1
	}
	return o
}

// recording returns the flags by which an outcome is kept or told.
func (f *judgeFlags) recording() (flags []string) {
	if f.store != "" && !f.noRecord {
		flags = append(flags, "--store (or add --no-record)")
	}
	if f.alert {
		flags = append(flags, "--alert")
	}
	return flags
}

// threshold checks the flags and reads --fail-on.
func (f *judgeFlags) threshold() (checks.Status, error) {
	if f.failingRows < 0 {
		return 0, usage("--failing-rows %d is negative", f.failingRows)
	}
	switch f.failOn {
	case "fail":
		return checks.Fail, nil
	case "warn":
		return checks.Warn, nil
	case "never":
		return checks.Error, nil
	}
	return 0, usage("--fail-on %q: write warn, fail or never", f.failOn)
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
	lib, diags, err := e.readRules(paths, cfg)
	if err != nil {
		return nil, err
	}
	if diags.HasErrors() {
		e.printDiagnostics(diags, lib.Source)
		return nil, diags
	}
	return lib, nil
}

// readRules is loadRules for callers that look at the mistakes themselves.
func (e *env) readRules(paths []string, cfg *config.Config) (*rules.Library, diag.List, error) {
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
		return nil, nil, readError("rules", err)
	}
	return lib, diags, nil
}

// setsFor chooses the rules of a dataset. A single rule file that is named
// applies without --dataset whatever the source is called.
func (f *judgeFlags) setsFor(lib *rules.Library, dataset string, named bool) ([]*rules.Set, error) {
	if !named && len(f.rules) == 1 {
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
	return nil, usage("no rule is about the dataset %s; %s", dataset, aboutOthers(lib, dataset))
}

// warnOfOthers says that rules which were named are about other datasets, where
// what was learned judges all the same.
func (e *env) warnOfOthers(f *judgeFlags, lib *rules.Library, dataset string, sets []*rules.Set) {
	if len(sets) == 0 && len(f.rules) > 0 {
		e.note("warning: no rule is about the dataset %s, so that only what was learned of it judges; %s", dataset, aboutOthers(lib, dataset))
	}
}

// aboutOthers hints at the dataset that was probably meant.
func aboutOthers(lib *rules.Library, dataset string) string {
	hint := diag.Hint(dataset, lib.Datasets())
	switch {
	case len(lib.Datasets()) == 0:
		hint = "the rule files name none; write dataset: " + dataset + " into one, or name the file with --rules"
	case hint == "":
		hint = "they are about " + strings.Join(lib.Datasets(), ", ") + "; name the dataset with --dataset"
	}
	return hint
}

// baseline reads what --baseline names: a saved profile, or a source, whose
// values are hashed as those of the batch are. opts are those of the app that
// judges the batch.
func (e *env) baseline(ctx context.Context, f *judgeFlags, src *sourceFlags, opts app.Options, sensitive checks.Sensitive) (*profile.Profile, error) {
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
	store := ""
	if len(sensitive) > 0 {
		store = opts.Store // it may have the key
	}
	a, err := app.New(ctx, app.Options{Logger: e.log, Store: store, NoRecord: true, Keys: opts.Keys})
	if err != nil {
		return nil, storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // nothing was written
	flags := *src
	flags.rows, flags.progress = 0, nil
	if out, tty := terminal(e.stderr); tty && !e.global.quiet {
		flags.progress = newProgress(out, in)
	}
	o, err := e.observe(ctx, a, in[0], &flags, func(s *monitor.Subject) error {
		s.Sensitive = sensitive
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o.Profile, nil
}

// appOptions are the parts of an app that the configuration decides.
func (e *env) appOptions(cfg *config.Config) app.Options {
	o := app.Options{Logger: e.log, Messages: e.stderr, Incidents: cfg.Incidents, Alerts: cfg.Alerts.Options(), Channels: map[string]alert.Receiver{}, ExternalURL: cfg.ExternalURL, AlertInterval: time.Second}
	o.Keys = e.keys(false)
	for _, c := range cfg.Alerts.Channels {
		o.Channels[c.Name] = c.Receiver
	}
	return o
}
