package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/tap"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// exitPipe is what a shell shows of a program that ended by SIGPIPE.
const exitPipe = 141

// tapFlags are those of profiler tap.
type tapFlags struct {
	source           sourceFlags
	output           outputFlags
	judge            judgeFlags
	gate             bool
	hold, holdMemory string
	every            string
}

func (e *env) tapCommand() *cobra.Command {
	var f tapFlags
	cmd := &cobra.Command{
		Use: "tap", Short: "Profile and judge a stream on its way from stdin to stdout",
		Long: `Copies standard input to standard output byte for byte and profiles it on the
way. Without --gate the pipe is never held up: what the profile cannot keep up
with is left out of it, and the report says which part it saw. With --gate
nothing is written before the verdict, and nothing at all if it is fail.
The report goes to stderr or to --output-file.`,
		Example: "  extract | profiler tap --dataset shop/orders --format csv --rules rules/ | load\n" +
			"  extract | profiler tap --dataset shop/orders --rules rules/ --gate --hold /var/spool > orders.csv\n" +
			"  tail -F events.jsonl | profiler tap --dataset web/events --every 1m --store sqlite:profiler.db > /dev/null",
		RunE: func(cmd *cobra.Command, args []string) error { return e.runTap(cmd, args, &f) },
	}
	var shared cobra.Command
	f.source.register(&shared)
	shared.Flags().VisitAll(func(fl *pflag.Flag) {
		if fl.Name != "each" && fl.Name != "sample" { // there is one source, and it is seen whole or as far as that goes
			cmd.Flags().AddFlag(fl)
		}
	})
	f.output.register(cmd, report.KindCheck)
	f.output.registerMetrics(cmd)
	f.judge.register(cmd)
	fl := cmd.Flags()
	fl.Lookup("output-file").Usage = "write the report to a `file` instead of stderr"
	fl.StringVar(&f.judge.failOn, "fail-on", "", "exit 1 from this `verdict` on: warn, fail or never (default: never, with --gate fail)")
	fl.BoolVar(&f.gate, "gate", false, "hold all bytes until the verdict; release them unless it is fail")
	fl.StringVar(&f.holdMemory, "hold-memory", "64MiB", "with --gate: hold up to this `amount` in memory, the rest in a file")
	fl.StringVar(&f.hold, "hold", "", "with --gate: `folder` of that file (default: the one for temporary files)")
	fl.StringVar(&f.every, "every", "", "cut an endless stream into batches: after a `time` like 1m, or after so many rows")
	return cmd
}

func (e *env) runTap(cmd *cobra.Command, args []string, f *tapFlags) error {
	r, err := e.prepareTap(cmd, args, f)
	if err != nil {
		return err
	}
	defer r.close()
	signal.Ignore(syscall.SIGPIPE) // so that what is held can be removed
	defer signal.Reset(syscall.SIGPIPE)
	if f.gate {
		err = r.runGate(cmd.Context())
	} else {
		err = r.runPlain(cmd.Context())
	}
	var broken *tap.CopyError
	switch {
	case tap.BrokenPipe(err):
		return &exitError{code: exitPipe} // as cat: nobody wants more
	case errors.As(err, &broken):
		return &exitError{exitUnjudged, err.Error()}
	}
	return err
}

// prepareTap checks everything that is wrong usage, before any byte is read.
func (e *env) prepareTap(cmd *cobra.Command, args []string, f *tapFlags) (*tapRun, error) {
	r := &tapRun{e: e, f: f, dataset: rules.DatasetName("stdin"), explicit: f.judge.failOn != ""}
	if f.source.dataset != "" {
		r.dataset = rules.DatasetName(f.source.dataset)
	}
	if len(args) > 0 {
		return nil, usage("tap reads standard input and takes no source; leave out %s, or read it with profiler check", strings.Join(args, " "))
	}
	if _, tty := terminal(e.stdin); tty {
		return nil, usage("standard input is a terminal; pipe data into it")
	}
	if err := r.windows(); err != nil {
		return nil, err
	}
	if err := r.verdicts(); err != nil {
		return nil, err
	}
	var err error
	if r.source, err = f.source.options(e); err != nil {
		return nil, err
	}
	if r.location, err = f.source.location(); err != nil {
		return nil, err
	}
	if r.at, err = f.source.when(r.location); err != nil {
		return nil, err
	}
	if err := r.judged(cmd.Context()); err != nil {
		return nil, err
	}
	if err := r.reported(); err != nil {
		return nil, err
	}
	return r, nil
}

// windows checks --every and what goes with it.
func (r *tapRun) windows() error {
	f := r.f
	if f.every == "" {
		return nil
	}
	if n, err := strconv.ParseInt(strings.ReplaceAll(f.every, "_", ""), 10, 64); err == nil {
		r.every.Rows = n
	} else if d, err := yamldoc.ParseDuration(f.every); err == nil {
		r.every.Period = d
	}
	switch {
	case r.every.Rows <= 0 && r.every.Period <= 0:
		return usage("--every %q: write a time like 1m, or a number of rows like 100000", f.every)
	case r.every.Period > 0 && r.every.Period < time.Millisecond:
		return usage("--every %s is shorter than a millisecond", f.every)
	case f.gate:
		return usage("--gate holds the whole stream until its verdict; leave out --every")
	case f.source.batch != "":
		return usage("--batch names one batch, but --every makes many; leave out one of them")
	case f.source.at != "":
		return usage("--at is the time of one batch, but --every makes many; leave out one of them")
	case f.source.rows > 0:
		return usage("--rows reads the beginning, but --every reads on; leave out one of them")
	}
	switch f.source.format {
	case "", "csv", "tsv", "jsonl":
		return nil
	}
	return usage("--every cuts CSV and JSON lines, not %s", f.source.format)
}

// verdicts checks --fail-on and the flags of the gate.
func (r *tapRun) verdicts() (err error) {
	f := r.f
	switch {
	case r.explicit:
	case f.gate:
		f.judge.failOn = "fail"
	default:
		f.judge.failOn = "never"
	}
	if r.threshold, err = f.judge.threshold(); err != nil {
		return err
	}
	if r.memory, err = yamldoc.ParseBytes(f.holdMemory); err != nil || r.memory < 0 {
		return usage("--hold-memory %q is no amount; write one like 64MiB", f.holdMemory)
	}
	if f.hold != "" {
		if !f.gate {
			return usage("--hold is for --gate; without it nothing is held")
		}
		if info, err := os.Stat(f.hold); err != nil || !info.IsDir() {
			return usage("--hold %s is no folder; make it, or name another", f.hold)
		}
	}
	return nil
}

// judged finds the rules and what else the batch is judged by.
func (r *tapRun) judged(ctx context.Context) error {
	e, f := r.e, r.f
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lib, err := e.loadRules(f.judge.rules, cfg)
	if err != nil {
		return err
	}
	if r.metrics, err = e.metricsFor(cfg, &f.output); err != nil {
		return err
	}
	r.options = f.judge.options(e, cfg, r.metrics)
	if f.judge.baseline == source.Stdin {
		return usage("--baseline - is the stream itself; name a file")
	}
	if sets, err := f.judge.setsFor(lib, r.dataset, f.source.dataset != ""); err == nil {
		r.sensitive = append(rules.SensitiveOf(sets), f.source.sensitive...)
	} else {
		r.sensitive = f.source.sensitive
	}
	if r.options.Baseline, err = e.baseline(ctx, &f.judge, &f.source, r.options, r.sensitive); err != nil {
		return err
	}
	if len(lib.Sets) == 0 && len(f.judge.rules) == 0 {
		return nil
	}
	if r.sets, err = f.judge.setsFor(lib, r.dataset, f.source.dataset != ""); err == nil {
		e.warnOfOthers(&f.judge, lib, r.dataset, r.sets)
	}
	if len(f.judge.rules) == 0 && f.source.dataset == "" && !f.gate && !r.explicit {
		return nil // nothing asks for a verdict
	}
	return err
}

// reported checks how the report is written: a verdict where there is anything
// to judge by, else a profile.
func (r *tapRun) reported() (err error) {
	f := r.f
	r.kind = report.KindProfile
	if len(r.sets) > 0 || f.gate || r.explicit || f.judge.baseline != "" {
		r.kind = report.KindCheck
	}
	if r.format, err = f.output.reportFormat(r.kind); err != nil {
		return err
	}
	if !r.windowed() {
		return nil
	}
	if r.format == report.FormatHTML || r.format == report.FormatJUnit {
		return usage("a report in the form %s holds one batch, but --every makes many; write -o table or json", r.format)
	}
	r.out = r.e.stderr
	if f.output.file != "" {
		file, err := os.Create(f.output.file)
		if err != nil {
			return writeError("write the report", err)
		}
		r.out, r.file = file, file
	}
	return nil
}

// tapRun is one call of tap.
type tapRun struct {
	e         *env
	f         *tapFlags
	dataset   string
	sets      []*rules.Set
	sensitive checks.Sensitive
	source    source.Options
	location  *time.Location
	at        time.Time
	every     tap.Every
	explicit  bool // --fail-on was written
	threshold checks.Status
	memory    int64
	kind      report.Kind
	format    report.Format
	options   app.Options
	metrics   *metrics.Metrics
	out       io.Writer // of the reports of windows
	file      *os.File  // behind out; nil for stderr

	// Of the goroutine that judges, until Run has returned.
	app      *app.App
	outcome  *monitor.Outcome
	coverage tap.Coverage
	worst    int
}

func (r *tapRun) windowed() bool { return r.every != tap.Every{} }

// close closes the report. The store is closed with the process: an interrupted
// run may still use it.
func (r *tapRun) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// judge observes one window. It opens the store too, so that bytes flow while
// that takes its time, and although it fails.
func (r *tapRun) judge(ctx context.Context, w *tap.Window) error {
	err := r.observe(ctx, w)
	if !r.windowed() || err == nil || ctx.Err() != nil {
		return err
	}
	r.worst = worse(r.worst, r.e.report(err)) // the next window has its own chance
	return nil
}

func (r *tapRun) observe(ctx context.Context, w *tap.Window) error {
	if r.app == nil {
		a, err := app.New(ctx, r.options)
		if err != nil {
			return storeOrUsage(err)
		}
		r.app = a
	}
	in, err := w.Open(ctx)
	if err != nil {
		r.app.ProfileFailed(ctx, r.dataset, "")
		return asUsage(err)
	}
	defer in.Close() //nolint:errcheck // only read
	s := app.Subject(r.dataset, in.Source(), r.sets)
	s.Batch, s.At, s.Location, s.Sensitive = r.f.source.batch, r.at, r.location, r.sensitive
	if r.windowed() {
		s.Batch, s.At = w.Start.UTC().Format(time.RFC3339Nano), w.Start
	}
	o, err := r.app.Observe(ctx, in, s)
	r.e.noteSensitive(o)
	if o == nil {
		return err
	}
	if r.windowed() {
		r.app.Tell(ctx) // the end may be far
		r.worst = worse(r.worst, r.code(o))
		return errors.Join(err, r.reportWindow(ctx, o, w))
	}
	r.outcome, r.coverage = o, w.Coverage()
	return err
}

// code is the exit code that an outcome asks for. What was seen in part is not
// judged.
func (r *tapRun) code(o *monitor.Outcome) int {
	switch {
	case !r.explicit && !r.f.gate:
		return exitOK
	case o.Partial:
		return exitUnjudged
	}
	return verdictCode(o.Report.Verdict, r.threshold)
}

// failed reports what ended the profile early, and returns its exit code.
func (r *tapRun) failed(err error) int {
	if err == nil {
		return exitOK
	}
	var p *tap.PanicError
	if errors.As(err, &p) {
		if r.e.message(p.Error()); r.e.global.verbose {
			r.e.stderr.Write(p.Stack) //nolint:errcheck // for debugging
		}
		return exitUnjudged
	}
	return worse(exitOK, r.e.report(err))
}

// copyingProcs is how many threads may run Go code beside those that a profile
// keeps busy, so that the copying never waits for one of them.
const copyingProcs = 2

// runPlain copies whatever the profile does.
func (r *tapRun) runPlain(ctx context.Context) error {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + copyingProcs)
	t := tap.New(r.e.stdin, r.e.stdout, tap.Options{Source: r.source, Every: r.every, First: true})
	res, err := t.Run(ctx, r.judge, func() error { return closeOutput(r.e.stdout) })
	if err != nil {
		return err
	}
	code := r.failed(res.Err)
	if res.Err != nil {
		r.e.note("all %d bytes were passed on; the profile ended early", res.Bytes)
	}
	if r.outcome != nil {
		code = worse(code, r.code(r.outcome))
		if err := r.reportWhole(ctx, res.Bytes); err != nil {
			return err
		}
	}
	if code = worse(code, r.worst); !r.explicit {
		code = exitOK // the pipe is what counts
	}
	return exitWith(code)
}

// closeOutput tells the next program that all has come, while the profile may
// still be at work.
func closeOutput(w io.Writer) error {
	if c, ok := w.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
