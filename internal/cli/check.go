package cli

import (
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
	threshold, err := f.judge.threshold()
	if err != nil {
		return err
	}
	g, err := e.gather(report.KindCheck, &f.source, &f.output)
	if err != nil {
		return err
	}
	lib, err := e.loadRules(f.judge.rules, g.config)
	if err != nil {
		return err
	}
	if err := g.find(cmd, args); err != nil {
		return err
	}
	parts, err := f.parts.open(e, g.options, g.inputs)
	if err != nil {
		return err
	}
	defer parts.abort()
	defer boundMemory(e, int64(f.judge.memory))()
	if err := f.source.keptNowhere(e, g.options, &f.output, g.config.Store.Reveal() != "" && !f.judge.noRecord, f.judge.recording()...); err != nil {
		return err
	}
	opts := f.judge.options(e, g.config, g.metrics)
	if opts.Baseline, err = e.baseline(cmd.Context(), &f.judge, &f.source, opts, f.sensitive(lib, g.inputs)); err != nil {
		return err
	}
	opts.MarkRows = parts != nil
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	complete := func(s *monitor.Subject) error {
		sets, err := f.judge.setsFor(lib, s.Dataset, f.source.dataset != "")
		s.Rules, s.Sensitive = sets, f.source.sensitive
		if err == nil {
			e.warnOfOthers(&f.judge, lib, s.Dataset, sets)
		}
		return err
	}
	return g.run(cmd.Context(), a, complete, func(o *monitor.Outcome) (int, error) {
		if err := parts.write(cmd.Context(), o); err != nil {
			return exitOK, err
		}
		return verdictCode(o.Report.Verdict, threshold), g.judged(o)
	})
}

// judged adds the results of a batch to what is printed.
func (g *gathering) judged(o *monitor.Outcome) error {
	options, closeSummary := g.e.stepSummary(g.format, g.e.reportOptions(g.output, g.flags.each))
	defer closeSummary()
	return report.Check(&g.out, g.format, &o.Report, o.Profile.Summary(), options)
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
