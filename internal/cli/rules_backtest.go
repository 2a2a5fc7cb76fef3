package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/backtest"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

type backtestFlags struct {
	store, since, dataset, against, timezone string
	output                                   outputFlags
}

func (e *env) rulesBacktestCommand() *cobra.Command {
	var f backtestFlags
	cmd := &cobra.Command{
		Use: "backtest [FILE|FOLDER...]", Short: "What rules would have said of the recorded batches",
		Long: `Judges the recorded batches again by rule files (default: the folder rules/),
from their profiles and from what was counted on the day, without the data. It
says how often and when each rule would have fired, and with --against what
changes from another version of the rules. Rules whose rows nobody counted are
said to need them; nothing is guessed.`,
		Example: "  profiler rules backtest rules/ --since 90d\n  profiler rules backtest rules/ --against git:main -o markdown",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.rulesBacktest(cmd, args, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	fl.StringVar(&f.since, "since", "90d", "judge batches since this time, or those of the last `span` up to the newest one")
	fl.StringVar(&f.dataset, "dataset", "", "only this `dataset` (default: all that the rules are about)")
	fl.StringVar(&f.against, "against", "", "compare with the rules of a `version`: git:BRANCH, or another file or folder")
	fl.StringVar(&f.timezone, "timezone", "UTC", "`zone` of times that name none")
	fl.StringVarP(&f.output.format, "output", "o", "table", "`format`: table, json, markdown")
	fl.StringVar(&f.output.file, "output-file", "", "write the report to a `file` instead of standard output")
	return cmd
}

func (e *env) rulesBacktest(cmd *cobra.Command, args []string, f *backtestFlags) error {
	if !contains([]string{"table", "json", "markdown"}, f.output.format) {
		return usage("unknown output format %q; write table, json or markdown", f.output.format)
	}
	loc, err := (&sourceFlags{timezone: f.timezone}).location()
	if err != nil {
		return err
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = cfg.Rules
	}
	if len(args) == 0 {
		args = []string{"rules"}
	}
	lib, err := e.loadRules(args, cfg)
	if err != nil {
		return err
	}
	if len(lib.Sets) == 0 {
		return usage("there is no rule file in %s", join(args))
	}
	var other *rules.Library
	if f.against != "" {
		if other, err = e.versionOf(cmd.Context(), f.against, args); err != nil {
			return err
		}
	}
	s, err := e.openStore(cmd, f.store)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // only read
	datasets, err := backtested(cmd.Context(), s, lib, f.dataset)
	if err != nil {
		return err
	}
	var outcomes []*backtest.Outcome
	for _, d := range datasets {
		in, err := e.recorded(cmd.Context(), s, d, f.since, append(lib.For(d), setsOf(other, d)...))
		if err != nil {
			return err
		}
		in.Location = loc
		out := backtest.Run(cmd.Context(), in, lib.For(d))
		if other != nil {
			out.Compare(backtest.Run(cmd.Context(), in, other.For(d)))
		}
		outcomes = append(outcomes, out)
	}
	var b bytes.Buffer
	switch f.output.format {
	case "json":
		err = backtest.JSON(&b, outcomes)
	case "markdown":
		err = backtest.Markdown(&b, outcomes, f.against)
	default:
		err = backtest.Table(&b, outcomes, f.against)
	}
	if err != nil {
		return err
	}
	return e.emit(&f.output, &b)
}

func setsOf(lib *rules.Library, dataset string) []*rules.Set {
	if lib == nil {
		return nil
	}
	return lib.For(dataset)
}

// backtested returns the recorded datasets that the rules are about.
func backtested(ctx context.Context, s *store.Store, lib *rules.Library, only string) ([]string, error) {
	all, err := s.Datasets(ctx)
	if err != nil {
		return nil, &app.StoreError{Err: err}
	}
	var names, known []string
	for _, d := range all {
		known = append(known, d.Dataset)
		if len(lib.For(d.Dataset)) > 0 && (only == "" || rules.DatasetName(only) == d.Dataset) {
			names = append(names, d.Dataset)
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	if len(known) == 0 {
		return nil, usage("the history is empty; record batches with check --store or import them")
	}
	what := join(lib.Datasets())
	if only != "" {
		what = rules.DatasetName(only)
	}
	return nil, usage("the rules and the history have no dataset in common: the rules are about %s, the history has %s", what, join(known[:min(8, len(known))]))
}

// recorded reads the batches of a dataset and, before them, those that the
// rules compare the first ones with.
func (e *env) recorded(ctx context.Context, s *store.Store, dataset, since string, sets []*rules.Set) (backtest.Input, error) {
	in := backtest.Input{Dataset: dataset, Other: pastOf{app.History(s)}}
	var err error
	if in.From, err = e.since(ctx, s, dataset, since); err != nil {
		return in, err
	}
	judged, err := s.Replay(ctx, store.Query{Dataset: dataset, Since: in.From, All: true}, true)
	if err != nil {
		return in, &app.StoreError{Err: err}
	}
	batches, span := reach(sets)
	before := store.Query{Dataset: dataset, Before: in.From, Limit: batches}
	if span > 0 {
		before.Since = in.From.Add(-span)
		before.Limit = 0
	}
	var baseline []store.Recorded
	if !in.From.IsZero() && (batches > 0 || span > 0) {
		if baseline, err = s.Replay(ctx, before, false); err != nil {
			return in, &app.StoreError{Err: err}
		}
	}
	for _, r := range append(baseline, judged...) {
		if !r.SupersededAt.IsZero() {
			continue
		}
		in.Batches = append(in.Batches, backtest.Batch{
			Name: r.Batch.Batch, At: r.At, AsOf: app.AsOf(&r), Label: string(r.Label), Accepted: r.Accepted, Profile: r.Profile, Results: r.Results,
		})
	}
	return in, nil
}

// reach returns how far the checks look back, in batches and in time.
func reach(sets []*rules.Set) (batches int, span time.Duration) {
	const weeks = 4 * 7 // batches of one weekday
	for _, set := range sets {
		for _, c := range set.Checks {
			for _, n := range c.Needs() {
				batches, span = max(batches, n.Window.Batches), max(span, n.Window.Span)
				if n.Window.SameWeekday {
					span = max(span, (weeks+7)*24*time.Hour)
				}
			}
		}
	}
	if span > 0 && batches > 0 {
		span = max(span, time.Duration(batches)*48*time.Hour)
	}
	return batches, span
}

// pastOf answers by the history what the batches themselves cannot.
type pastOf struct{ h app.PastHistory }

func (p pastOf) Past(ctx context.Context, dataset, batch string, at time.Time, needs []checks.Need) map[checks.Need]checks.Past {
	return p.h.PastOf(ctx, dataset, batch, at, needs)
}

// versionOf reads another version of rules: git:REF, or a file or folder.
func (e *env) versionOf(ctx context.Context, version string, paths []string) (*rules.Library, error) {
	if ref, ok := strings.CutPrefix(version, "git:"); ok {
		dir, err := os.MkdirTemp("", "profiler-rules")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		if paths, err = checkout(ctx, ref, paths, dir); err != nil {
			return nil, err
		}
	} else {
		paths = []string{version}
	}
	lib, diags, err := rules.Load(paths, e.lookup)
	if err != nil {
		return nil, readError("--against", err)
	}
	if diags.HasErrors() {
		e.printDiagnostics(diags, lib.Source)
		return nil, diags
	}
	return lib, nil
}

// checkout writes the rule files of a version of the repository to a folder and
// returns their paths there.
func checkout(ctx context.Context, ref string, paths []string, dir string) ([]string, error) {
	var out []string
	for i, path := range paths {
		base := path
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			base = filepath.Dir(path)
		}
		top, err := git(ctx, base, "rev-parse", "--show-toplevel")
		if err != nil {
			return nil, usage("--against git:%s: %s is in no git repository: %v", ref, path, err)
		}
		abs, err := filepath.Abs(path)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, usage("--against: %v", err)
		}
		rel, err := filepath.Rel(strings.TrimSpace(string(top)), abs)
		if err != nil {
			return nil, usage("--against: %v", err)
		}
		archive, err := git(ctx, base, "-C", strings.TrimSpace(string(top)), "archive", "--format=tar", ref, "--", filepath.ToSlash(rel))
		if err != nil {
			return nil, usage("--against git:%s: %v", ref, err)
		}
		target := filepath.Join(dir, fmt.Sprint(i))
		if err := unpack(bytes.NewReader(archive), target); err != nil {
			return nil, err
		}
		out = append(out, filepath.Join(target, rel))
	}
	return out, nil
}

// git runs git in a folder; the error is its first line.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		if line == "" {
			return nil, err
		}
		return nil, errors.New(strings.TrimPrefix(line, "fatal: "))
	}
	return stdout.Bytes(), nil
}

// unpack writes the plain files of an archive below a folder.
func unpack(r io.Reader, dir string) error {
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive of git: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(tr, 16<<20))
		if err != nil {
			return fmt.Errorf("read the archive of git: %w", err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
}
