package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/ruletest"
	"github.com/profilerhq/profiler/internal/source"
	"github.com/profilerhq/profiler/internal/words"
)

func (e *env) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", Short: "Work on rule files",
		RunE: needSubcommand,
	}
	cmd.AddCommand(
		e.rulesLintCommand(),
		e.rulesTestCommand(),
		e.rulesSchemaCommand(),
		e.rulesSuggestCommand(),
		e.rulesImportCommand(),
		e.rulesBacktestCommand(),
		e.rulesDocsCommand(),
	)
	return cmd
}

// lintFlags are those of profiler rules lint.
type lintFlags struct {
	format, source, dataset string
}

func (e *env) rulesLintCommand() *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use: "lint [FILE|FOLDER...]", Short: "Report all mistakes in rule files",
		Long: `Reads rule files (default: the folder rules/) with their tests and reports every
mistake with its place: of the language, checks that contradict each other or
say the same twice, and with --source what does not go with its columns and
their types. The exit code is 0 without mistakes and 2 with any; warnings alone
are 0.`,
		Example: "  profiler rules lint rules/\n  profiler rules lint rules/orders.yaml --source orders.csv\n  profiler rules lint -o github",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.rulesLint(cmd, args, &f) },
	}
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "`format`: table, json, github")
	cmd.Flags().StringVar(&f.source, "source", "", "compare with the columns of this `source`, which is read")
	cmd.Flags().StringVar(&f.dataset, "dataset", "", "`name` of the dataset of --source (default: from the source)")
	return cmd
}

// lintProblem is a diagnostic as JSON.
type lintProblem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

func (e *env) rulesLint(cmd *cobra.Command, args []string, f *lintFlags) error {
	if !contains([]string{"table", "json", "github"}, f.format) {
		return usage("unknown output format %q; write table, json or github", f.format)
	}
	if f.dataset != "" && f.source == "" {
		return usage("--dataset names the dataset of --source; add that")
	}
	if len(args) == 0 {
		if _, err := os.Stat("rules"); err != nil {
			return usage("there is no folder rules/ here; name the files or the folder to check")
		}
		args = []string{"rules"}
	}
	lib, diags, err := rules.Load(args, e.lookup)
	if err != nil {
		return readError("rules", err)
	}
	tests, testDiags, text, err := e.lintTests(args, lib)
	if err != nil {
		return err
	}
	if len(lib.Files)+tests == 0 {
		return usage("there is no rule file in %s", join(args))
	}
	diags.Add(testDiags...)
	diags.Add(lib.Lint()...)
	if f.source != "" {
		found, err := e.lintSource(cmd.Context(), lib, args, f)
		if err != nil {
			return err
		}
		diags.Add(found...)
	}
	return e.reportLint(lib, tests, diags.Sorted(), text, f.format)
}

// lintTests reads the tests among the arguments, how many files there are.
func (e *env) lintTests(args []string, lib *rules.Library) (files int, diags diag.List, text func(string) []byte, err error) {
	texts := map[string]func(string) []byte{}
	text = func(file string) []byte {
		if source := texts[file]; source != nil {
			return source(file)
		}
		return lib.Source(file)
	}
	paths, err := ruletest.Find(args)
	if err != nil {
		return 0, nil, nil, readError("tests", err)
	}
	for _, path := range paths {
		if !ruletest.IsTest(path) {
			continue // a rule file that is named
		}
		t, err := ruletest.Read(path, e.lookup)
		if err != nil {
			return 0, nil, nil, readError("tests", err)
		}
		files++
		for _, d := range t.Problems {
			texts[d.Pos.File] = t.Source
		}
		diags.Add(t.Problems...)
	}
	return files, diags, text, nil
}

// lintSource judges a source by the rules and returns what does not go with its
// columns.
func (e *env) lintSource(ctx context.Context, lib *rules.Library, args []string, f *lintFlags) (diag.List, error) {
	inputs, err := source.Expand([]string{f.source}, false)
	if err != nil {
		return nil, asUsage(err)
	}
	a, err := app.New(ctx, app.Options{Logger: e.log})
	if err != nil {
		return nil, err
	}
	var sets []*rules.Set
	sf := sourceFlags{dataset: f.dataset, timezone: "UTC"}
	o, err := e.observe(ctx, a, inputs[0], &sf, func(s *monitor.Subject) error {
		named := judgeFlags{rules: args}
		sets, err = named.setsFor(lib, s.Dataset, f.dataset != "")
		s.Rules = sets
		return err
	})
	if err != nil {
		return nil, err
	}
	var columns []string
	for _, c := range o.Profile.Summary().Columns {
		columns = append(columns, c.Name)
	}
	return rules.Against(sets, columns, o.Report.Results), nil
}

func (e *env) reportLint(lib *rules.Library, tests int, diags diag.List, text func(string) []byte, format string) error {
	switch format {
	case "json":
		problems := []lintProblem{}
		for _, d := range diags {
			problems = append(problems, lintProblem{d.Pos.File, d.Pos.Line, d.Pos.Column, d.Severity.String(), d.Code, d.Message, d.Hint})
		}
		if err := writeJSON(e.stdout, problems); err != nil {
			return err
		}
	case "github":
		for _, d := range diags {
			fmt.Fprintf(e.stdout, "::%s file=%s,line=%d,col=%d::%s\n", d.Severity, d.Pos.File, d.Pos.Line, d.Pos.Column, withHint(d))
		}
	default:
		for _, d := range diags {
			diag.Excerpt(e.stdout, d, text(d.Pos.File))
		}
	}
	if diags.HasErrors() {
		files := words.Things(len(lib.Files), "rule file")
		if tests > 0 {
			files = words.Things(len(lib.Files)+tests, "file")
		}
		return &exitError{code: exitUsage, message: found(diags) + " in " + files}
	}
	if format == "table" {
		fmt.Fprintln(e.stdout, summaryOfLint(lib, tests, diags))
	}
	return nil
}

// summaryOfLint is the last line where nothing is wrong.
func summaryOfLint(lib *rules.Library, tests int, diags diag.List) string {
	count := 0
	for _, s := range lib.Sets {
		count += len(s.Checks)
	}
	text := words.Things(len(lib.Files), "rule file") + ", " + words.Things(count, "check")
	if tests > 0 {
		text += ", " + words.Things(tests, "file") + " of tests"
	}
	return text + ": " + found(diags)
}

// found counts mistakes and warnings.
func found(diags diag.List) string {
	mistakes := 0
	for _, d := range diags {
		if d.Severity == diag.Error {
			mistakes++
		}
	}
	text := "no mistakes"
	if mistakes > 0 {
		text = words.Things(mistakes, "mistake")
	}
	if n := len(diags) - mistakes; n > 0 {
		text += ", " + words.Things(n, "warning")
	}
	return text
}

func withHint(d diag.Diagnostic) string {
	if d.Hint == "" {
		return d.Message
	}
	return d.Message + "; " + d.Hint
}
