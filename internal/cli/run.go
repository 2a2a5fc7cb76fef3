package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/words"
)

type runFlags struct {
	output  outputFlags
	store   string
	workers int
	dir     string
	memory  memory
}

func (e *env) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run PIPELINE.yaml", Short: "Run a pipeline to its end on this machine",
		Long: `Carries every unit of the source through the steps, profiles and judges what each
step gives, and stops at gates. Running it again skips finished units.

Exit code 1: a gate blocked or units are dead. 3: something stayed unjudged.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name one pipeline file: profiler run pipeline.yaml")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.runRun(cmd, args[0], &f) },
	}
	cmd.Flags().StringVarP(&f.output.format, "output", "o", "table", "`format` of the summary: table, json")
	cmd.Flags().StringVar(&f.output.file, "output-file", "", "write the summary to a `file` instead of standard output")
	f.output.registerMetrics(cmd)
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().IntVar(&f.workers, "workers", 0, "run up to `N` commands at once (default: the number of cores)")
	f.memory.register(cmd)
	cmd.Flags().StringVar(&f.dir, "work-dir", "", "`folder` for outputs and dead letters (default: .profiler/runs/NAME beside the file)")
	return cmd
}

// loadPipeline reads a pipeline file, looks up the programs and files that it
// names, and prints all mistakes.
func (e *env) loadPipeline(path string) (*pipeline.Pipeline, error) {
	p, err := pipeline.LoadChecked(path)
	return p, e.explained(err)
}

// explained prints the mistakes of a pipeline file, or says why it cannot be read.
func (e *env) explained(err error) error {
	var diags diag.List
	switch {
	case errors.As(err, &diags):
		e.printDiagnostics(diags, readSource)
		return diags
	case err != nil:
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return readError("pipeline", pe)
		}
		return usage("%v", err)
	}
	return nil
}

// readSource reads a file for an excerpt; nothing if it is gone.
func readSource(file string) []byte {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return b
}

func (e *env) runRun(cmd *cobra.Command, path string, f *runFlags) error {
	if f.output.format != "table" && f.output.format != "json" {
		return usage("unknown output format %q; write table or json", f.output.format)
	}
	if f.workers < 0 {
		return usage("--workers %d is negative", f.workers)
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	p, err := e.loadPipeline(path)
	if err != nil {
		return err
	}
	lib, err := e.loadRules(nil, cfg)
	if err != nil {
		return err
	}
	m, err := e.metricsFor(cfg, &f.output)
	if err != nil {
		return err
	}
	opts := e.appOptions(cfg)
	opts.Store, opts.Metrics, opts.Memory = storeURL(f.store, cfg), m, int64(f.memory)
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	log := e.log
	if !e.global.verbose {
		log = slog.New(slog.DiscardHandler) // the lines of progress say the same
	}
	progress := &runProgress{e: e, reports: map[string]*checks.Report{}}
	sum, err := a.RunPipeline(cmd.Context(), p, app.RunOptions{
		Library: lib, Env: e.lookup, Dir: f.dir, Workers: f.workers, Progress: progress.event, Observed: progress.observed, Logger: log,
	})
	var diags diag.List
	if errors.As(err, &diags) {
		e.printDiagnostics(diags, readSource)
		return diags
	}
	e.writeMetrics(cmd.Context(), m, &f.output, p.Name)
	var missing *fs.PathError
	if errors.As(err, &missing) {
		return &exitError{exitUnjudged, fmt.Sprintf("%s: %s: %v; check the source of the pipeline", path, missing.Path, missing.Err)}
	}
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if f.output.format == "json" {
		if err := writeJSON(&out, sum); err != nil {
			return err
		}
	} else {
		writeSummary(&out, &sum, progress, e.reportOptions(&f.output, false))
	}
	switch {
	case progress.any, sum.Cancelled:
	case p.Source.Streams():
		e.note("warning: %s: the stream %s has no new messages, so there is nothing to do", path, p.Source.NATS.Stream)
	default:
		e.note("warning: %s: no file matches %s, so there is nothing to do", path, strings.Join(p.Source.Files, ", "))
	}
	if err := e.emit(&f.output, &out); err != nil {
		return err
	}
	return exitWith(sum.ExitCode())
}

// storeOrUsage gives errors of making an app their exit codes.
func storeOrUsage(err error) error {
	var st *app.StoreError
	if errors.As(err, &st) {
		return storeError(st.Err)
	}
	var answers *app.AnswersError
	if errors.As(err, &answers) {
		return usage("%v", answers)
	}
	return err
}

// runProgress prints a line for every unit that leaves a step.
type runProgress struct {
	e       *env
	reports map[string]*checks.Report // by step and unit
	any     bool                      // unit was met
}

func (r *runProgress) observed(o *monitor.Outcome) {
	if o.Side == string(runner.SideOutput) {
		rep := o.Report
		r.reports[o.Origin.Step+"\x00"+o.Origin.Unit] = &rep
	}
}

func (r *runProgress) event(ev runner.Event) {
	r.any = true
	name := ev.Source
	if name == "" {
		name = ev.Unit
	}
	name = report.Line(name)
	switch ev.Kind {
	case runner.Started, runner.Held, runner.Resumed:
	case runner.Scaled:
		if r.e.global.verbose {
			r.e.note("%-12s up to %s at once", ev.Step, words.Things(ev.Workers, "unit"))
		}
	case runner.Retrying:
		r.e.note("%-12s %s: attempt %d failed: %v; again in %s", ev.Step, name, ev.Attempt, report.Line(ev.Err.Error()), ev.Wait.Round(time.Millisecond))
	case runner.Paused:
		r.e.note("%-12s paused: its gate is closed, further units wait", ev.Step)
	case runner.Finished:
		rows, verdict := "", ""
		if ev.Rows != nil {
			rows = "  " + words.Things(int(*ev.Rows), "row")
		}
		if ev.Verdict != nil {
			verdict = "  " + ev.Verdict.String()
		}
		why := ""
		if rep := r.reports[ev.Step+"\x00"+ev.Unit]; rep != nil && ev.State != runner.Dead {
			why = worstMessage(rep)
		}
		if why == "" && ev.Err != nil {
			why = "  " + ev.Err.Error()
		}
		if ev.State == runner.Skipped && !r.e.global.verbose {
			return
		}
		r.e.note("%-12s %s  %s%s%s%s", ev.Step, name, ev.State, rows, verdict, report.Line(why))
	}
}

// worstMessage returns the message of the worst result that is not good.
func worstMessage(rep *checks.Report) string {
	worst := rep.Worst()
	if worst == nil {
		return ""
	}
	return "  " + worst.ID + ": " + worst.Message
}

// writeSummary prints the table of steps and what was kept back.
func writeSummary(out *bytes.Buffer, sum *runner.Summary, p *runProgress, o report.Options) {
	verdict := strings.ToUpper(sum.Verdict.String())
	if sum.Cancelled {
		verdict = "INTERRUPTED"
	}
	fmt.Fprintf(out, "%s  run %s  %s\n\n", sum.Pipeline, sum.Run, verdict)
	number := func(n *int64) string {
		if n == nil {
			return "–"
		}
		return strconv.FormatInt(*n, 10)
	}
	var rows [][]string
	for _, s := range sum.Steps {
		verdict := "–"
		if s.Verdict != nil {
			verdict = s.Verdict.String()
		}
		rows = append(rows, []string{s.Name, unitsText(s.Units), strconv.Itoa(s.Attempts), number(s.RowsIn), number(s.RowsOut), verdict, s.Duration.Round(time.Millisecond).String()})
	}
	report.Table(out, o, []string{"step", "units", "attempts", "rows in", "rows out", "verdict", "time"}, rows, []bool{false, false, true, true, true, false, true})
	if sum.FirstBadStep != "" {
		fmt.Fprintf(out, "\nfirst bad step: %s\n", sum.FirstBadStep)
	}
	for _, d := range sum.DeadLetters {
		name := d.Source
		if name == "" {
			name = d.Unit
		}
		fmt.Fprintf(out, "%s  %s at %s (%s): %s\n", d.State, report.Line(name), d.Step, d.Cause, report.Line(d.Error))
		if last := lastLine(d.Stderr); last != "" && !strings.HasSuffix(d.Error, last) {
			fmt.Fprintf(out, "   stderr: %s\n", report.Line(last))
		}
	}
	for _, w := range sum.Waits {
		fmt.Fprintf(out, "waiting  %s: %s\n", w.Step, w.Why)
	}
	if sum.Cancelled {
		out.WriteString("\ninterrupted: run it again to go on\n")
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func unitsText(u runner.Units) string {
	var parts []string
	for _, c := range []struct {
		n    int
		name string
	}{{u.Done, "done"}, {u.Skipped, "skipped"}, {u.Blocked, "blocked"}, {u.Quarantined, "quarantined"}, {u.Dead, "dead"}, {u.Waiting, "waiting"}, {u.Cancelled, "cancelled"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
