package cli

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
)

// checkFlags are those of profiler check.
type checkFlags struct {
	source sourceFlags
	output outputFlags
	judge  judgeFlags
	parts  partsFlags
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
	f.judge.register(cmd)
	f.parts.register(cmd)
	cmd.Flags().StringVar(&f.judge.failOn, "fail-on", "fail", "exit 1 from this `verdict` on: warn, fail or never")
	return cmd
}

// sensitive names the columns that are sensitive in any of the batches.
func (f *checkFlags) sensitive(lib *rules.Library, inputs []source.Input) checks.Sensitive {
	out := checks.Sensitive(f.source.sensitive)
	for _, in := range inputs {
		sets, err := f.judge.setsFor(lib, f.source.datasetOf(in), f.source.dataset != "")
		if err == nil { // else it is told when the batch is judged
			out = append(out, rules.SensitiveOf(sets)...)
		}
	}
	return out
}

func (e *env) runCheck(cmd *cobra.Command, args []string, f *checkFlags) error {
	format, err := f.output.reportFormat(report.KindCheck)
	if err != nil {
		return err
	}
	threshold, err := f.judge.threshold()
	if err != nil {
		return err
	}
	so, err := f.source.options(e)
	if err != nil {
		return err
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lib, err := e.loadRules(f.judge.rules, cfg)
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
	parts, err := f.parts.open(e, so, inputs)
	if err != nil {
		return err
	}
	defer parts.abort()
	m, err := e.metricsFor(cfg, &f.output)
	if err != nil {
		return err
	}
	defer boundMemory(e, int64(f.judge.memory))()
	if err := f.source.keptNowhere(e, so, &f.output, cfg.Store.Reveal() != "" && !f.judge.noRecord, f.judge.recording()...); err != nil {
		return err
	}
	opts := f.judge.options(e, cfg, m)
	if opts.Baseline, err = e.baseline(cmd.Context(), &f.judge, &f.source, opts, f.sensitive(lib, inputs)); err != nil {
		return err
	}
	opts.MarkRows = parts != nil
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	var out bytes.Buffer
	worst := exitOK
	for _, in := range inputs {
		o, err := e.observe(cmd.Context(), a, in, &f.source, observeOptions{complete: func(s *monitor.Subject, _ source.Input) error {
			sets, err := f.judge.setsFor(lib, s.Dataset, f.source.dataset != "")
			s.Rules, s.Sensitive = sets, f.source.sensitive
			if err == nil {
				e.warnOfOthers(&f.judge, lib, s.Dataset, sets)
			}
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
		if err := parts.write(cmd.Context(), o); err != nil {
			return err
		}
		ro, closeSummary := e.stepSummary(format, e.reportOptions(&f.output, f.source.each))
		err = report.Check(&out, format, &o.Report, o.Profile.Summary(), ro)
		closeSummary()
		if err != nil {
			return err
		}
	}
	e.writeMetrics(cmd.Context(), m, &f.output, "")
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
