// Package demo shows the product's main job on sample data: a shop's orders
// arrive day by day, a pipeline of three steps works on them, and on some days
// something goes wrong. It writes files and runs the pipeline as a user would;
// nothing in the product knows of it.
package demo

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/alert"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/datagen"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/words"
)

//go:embed files
var files embed.FS

// The calendar of the demo. It is fixed, so that every run shows the same.
const (
	historyDays = 42
	defaultDays = 21
)

var firstDay = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

// mishap is something that goes wrong on one day.
type mishap struct {
	fault datagen.Fault
	// swap replaces a file of the pipeline for the day: the deployment of a
	// mistake.
	file, by string
	step     string // where it begins
	what     string
}

// mishaps by the number of the day, from 1.
var mishaps = map[int]mishap{
	4:  {fault: datagen.NullEmails, step: "extract", what: "the shop leaves out a third of the emails"},
	9:  {file: "clean.awk", by: "clean_broken.awk", step: "clean", what: "a new version of the step clean drops three countries"},
	12: {fault: datagen.FrozenItems, step: "extract", what: "the shop counts one item in most orders; no rule is about items"},
	14: {file: "rates.csv", by: "rates_cents.csv", step: "enrich", what: "the table of rates is in cents"},
	19: {fault: datagen.NewStatus, step: "extract", what: "the shop sends a status that was never there"},
}

// Options say how the demo runs.
type Options struct {
	Out io.Writer
	// App is the connected product; its store is in Dir.
	App *app.App
	// Messages are the incidents' messages since the last day; it is read and
	// reset.
	Messages interface {
		io.Writer
		String() string
		Reset()
	}
	Dir  string
	Seed uint64
	// Days is how many days are lived through; 0 is 21.
	Days int
	// Pace is the wait between days.
	Pace time.Duration
	// Address of the pages, for the text.
	Address string
	Color   bool
	Env     func(string) (string, bool)
}

// Alerts are the settings of messages for a demo: weeks go by in seconds, and
// people are told of each day by itself.
func Alerts() alert.Options { return alert.Options{GroupWait: -1, DigestAbove: -1} }

// Found says how the mishaps and the findings agree.
type Found struct {
	Mishaps, Found, RightStep, FalseAlarms, Days int
}

// Prepare writes the pipeline and its rules to a folder.
func Prepare(dir string) error {
	return fs.WalkDir(files, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, strings.TrimPrefix(path, "files"))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
}

// demo is one run.
type demo struct {
	Options
	outcomes map[string]*monitor.Outcome // of the day, by step
	found    Found
}

// Run lives through the days. It returns the context's error when it was
// interrupted.
func Run(ctx context.Context, o Options) (Found, error) {
	if o.Days == 0 {
		o.Days = defaultDays
	}
	d := &demo{Options: o}
	for _, dir := range []string{"in", "archive"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o755); err != nil {
			return d.found, err
		}
	}
	if err := d.history(ctx); err != nil {
		return d.found, err
	}
	d.printf("\n  %-12s %6s   %-8s %-8s %-8s  %s\n", "day", "rows", "extract", "clean", "enrich", "what was found")
	for n := 1; n <= o.Days; n++ {
		if err := d.day(ctx, n); err != nil {
			return d.found, err
		}
		if n == o.Days {
			break
		}
		select {
		case <-ctx.Done():
			return d.found, ctx.Err()
		case <-time.After(o.Pace):
		}
	}
	d.summary()
	return d.found, nil
}

func (d *demo) printf(format string, args ...any) {
	fmt.Fprintf(d.Out, format, args...)
}

// paint colours a text for a terminal.
func (d *demo) paint(code, text string) string {
	if !d.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// history runs the pipeline over the earlier weeks, so that there is something
// to compare with.
func (d *demo) history(ctx context.Context) error {
	d.printf("%s\n\n", d.paint("1", "A shop's orders arrive day by day and go through three steps: extract → clean → enrich."))
	d.printf("  pipeline, rules and data:  %s\n", d.Dir)
	if d.Address != "" {
		d.printf("  pages and metrics:         %s and %s/metrics\n", d.Address, d.Address)
	}
	start := time.Now()
	for i := range historyDays {
		if _, err := d.write(firstDay.AddDate(0, 0, i), datagen.NoFault); err != nil {
			return err
		}
	}
	if _, err := d.run(ctx); err != nil {
		return err
	}
	if err := d.archive(); err != nil {
		return err
	}
	d.App.Flush(ctx)
	d.printf("  history:                   %d earlier days recorded in %s\n", historyDays, time.Since(start).Round(100*time.Millisecond))
	d.Messages.Reset()
	return nil
}

// write writes the orders of a day to the folder that the pipeline reads.
func (d *demo) write(day time.Time, fault datagen.Fault) (int, error) {
	f, err := os.Create(filepath.Join(d.Dir, "in", day.Format("2006-01-02")+".csv"))
	if err != nil {
		return 0, err
	}
	n, err := datagen.Shop{Seed: d.Seed}.WriteOrders(f, day, fault)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return n, err
}

// archive moves what is finished out of the pipeline's way.
func (d *demo) archive() error {
	done, err := filepath.Glob(filepath.Join(d.Dir, "in", "*.csv"))
	if err != nil {
		return err
	}
	for _, f := range done {
		if err := os.Rename(f, filepath.Join(d.Dir, "archive", filepath.Base(f))); err != nil {
			return err
		}
	}
	return nil
}

// run runs the pipeline over the files that wait.
func (d *demo) run(ctx context.Context) (runner.Summary, error) {
	p, err := pipeline.Load(filepath.Join(d.Dir, "pipeline.yaml"))
	if err != nil {
		return runner.Summary{}, err
	}
	d.outcomes = map[string]*monitor.Outcome{}
	return d.App.RunPipeline(ctx, p, app.RunOptions{Env: d.Env, Observed: func(o *monitor.Outcome) {
		if o.Side == string(runner.SideOutput) {
			d.outcomes[o.Origin.Step] = o
		}
	}})
}

// day lives through one day: the file arrives, the pipeline runs, and what was
// found is shown.
func (d *demo) day(ctx context.Context, n int) error {
	day := firstDay.AddDate(0, 0, historyDays+n-1)
	m, bad := mishaps[n]
	if m.file != "" {
		undo, err := d.swap(m.file, m.by)
		if err != nil {
			return err
		}
		defer undo()
	}
	rows, err := d.write(day, m.fault)
	if err != nil {
		return err
	}
	sum, err := d.run(ctx)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.App.Flush(ctx)
	if err := d.archive(); err != nil {
		return err
	}
	d.count(&sum, m, bad)
	d.show(day, rows, &sum)
	return nil
}

// swap puts another file in the place of one; undo puts it back.
func (d *demo) swap(file, by string) (undo func(), err error) {
	path := filepath.Join(d.Dir, file)
	good, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	wrong, err := os.ReadFile(filepath.Join(d.Dir, by))
	if err != nil {
		return nil, err
	}
	return func() { os.WriteFile(path, good, 0o644) }, os.WriteFile(path, wrong, 0o644) //nolint:errcheck // the next run would tell
}

func (d *demo) count(sum *runner.Summary, m mishap, bad bool) {
	d.found.Days++
	first := d.firstBad(sum)
	alarmed := first != ""
	switch {
	case bad:
		d.found.Mishaps++
		if alarmed {
			d.found.Found++
		}
		if first == m.step {
			d.found.RightStep++
		}
	case alarmed:
		d.found.FalseAlarms++
	}
}

// firstBad is the first step that failed by rules or, if none did, by what was
// learned; empty if all is well.
func (d *demo) firstBad(sum *runner.Summary) string {
	if sum.FirstBadStep != "" {
		return sum.FirstBadStep
	}
	for _, step := range []string{"extract", "clean", "enrich"} {
		if o := d.outcomes[step]; o != nil && len(o.Report.Alarming()) > 0 {
			return step
		}
	}
	return ""
}

// show prints the line of a day, and what people would have been told.
func (d *demo) show(day time.Time, rows int, sum *runner.Summary) {
	cell := func(step string) string {
		o := d.outcomes[step]
		switch {
		case o == nil:
			return fmt.Sprintf("%-8s", "–")
		case len(o.Report.Alarming()) > 0 && o.Report.Verdict < checks.Fail:
			return d.paint("1;31", fmt.Sprintf("%-8s", "learned"))
		case o.Report.Verdict >= checks.Fail:
			return d.paint("1;31", fmt.Sprintf("%-8s", "FAIL"))
		case o.Report.Verdict == checks.Warn:
			return d.paint("33", fmt.Sprintf("%-8s", "warn"))
		}
		return d.paint("32", fmt.Sprintf("%-8s", "ok"))
	}
	finding := ""
	first := d.firstBad(sum)
	if first != "" {
		finding = "began at " + d.paint("1", first)
	}
	line := fmt.Sprintf("  %-12s %6d   %s %s %s  %s", day.Format("Mon 01-02"), rows, cell("extract"), cell("clean"), cell("enrich"), finding)
	d.printf("%s\n", strings.TrimRight(line, " "))
	if o := d.outcomes[first]; o != nil {
		for i := range o.Report.Results {
			if r := &o.Report.Results[i]; r.Status >= checks.Fail {
				d.printf("      %s %s\n", d.paint("31", "✗"), wrap(r.ID+": "+r.Message, 8))
			}
		}
	}
	for line := range strings.SplitSeq(d.Messages.String(), "\n") {
		if dataset, ok := strings.CutSuffix(line, ": resolved"); ok {
			d.printf("      %s the incident of %s is resolved\n", d.paint("36", "→"), dataset)
		} else if strings.HasPrefix(line, "FAIL ") && strings.Contains(line, ": ") && !strings.Contains(line, "so far") {
			d.printf("      %s people are told once: %s\n", d.paint("36", "→"), strings.TrimPrefix(line, "FAIL "))
		}
	}
	d.Messages.Reset()
}

func (d *demo) summary() {
	f := d.found
	d.printf("\n%s\n", d.paint("1", fmt.Sprintf("%s, %s put in, %d found, %d at the step where they began, %s.", words.Things(f.Days, "day"), words.Things(f.Mishaps, "mishap"), f.Found, f.RightStep, words.Things(f.FalseAlarms, "false alarm"))))
	if f.Mishaps > 0 {
		d.printf("What was put in:\n")
	}
	for n := 1; n <= d.Days; n++ {
		if m, ok := mishaps[n]; ok {
			d.printf("  %s  %s\n", firstDay.AddDate(0, 0, historyDays+n-1).Format("Mon 01-02"), m.what)
		}
	}
}

// lineWidth is where long findings are broken.
const lineWidth = 100

// wrap breaks a text between words; further lines are indented.
func wrap(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > lineWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
