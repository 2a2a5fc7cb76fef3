package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/rules"
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
	)
	return cmd
}

func (e *env) rulesLintCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "lint [FILE|FOLDER...]", Short: "Report all mistakes in rule files",
		Long:    "Reads rule files (default: the folder rules/) and reports every mistake with its\nplace. The exit code is 0 without mistakes and 2 with any.",
		Example: "  profiler rules lint rules/\n  profiler rules lint rules/orders.yaml -o github",
		RunE:    func(_ *cobra.Command, args []string) error { return e.rulesLint(args, format) },
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "`format`: table, json, github")
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

func (e *env) rulesLint(args []string, format string) error {
	if !contains([]string{"table", "json", "github"}, format) {
		return usage("unknown output format %q; write table, json or github", format)
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
	if len(lib.Files) == 0 {
		return usage("there is no rule file in %s", join(args))
	}
	diags = diags.Sorted()
	switch format {
	case "json":
		problems := []lintProblem{}
		for _, d := range diags {
			problems = append(problems, lintProblem{d.Pos.File, d.Pos.Line, d.Pos.Column, d.Severity.String(), d.Code, d.Message, d.Hint})
		}
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(problems); err != nil {
			return err
		}
	case "github":
		for _, d := range diags {
			fmt.Fprintf(e.stdout, "::%s file=%s,line=%d,col=%d::%s\n", d.Severity, d.Pos.File, d.Pos.Line, d.Pos.Column, withHint(d))
		}
	default:
		for _, d := range diags {
			diag.Excerpt(e.stdout, d, lib.Source(d.Pos.File))
		}
		count := 0
		for _, s := range lib.Sets {
			count += len(s.Checks)
		}
		if !diags.HasErrors() {
			fmt.Fprintf(e.stdout, "%s, %s: no mistakes\n", plural(len(lib.Files), "rule file"), plural(count, "check"))
		}
	}
	if diags.HasErrors() {
		return &exitError{code: exitUsage, message: fmt.Sprintf("%s in %s", plural(len(diags), "mistake"), plural(len(lib.Files), "rule file"))}
	}
	return nil
}

func withHint(d diag.Diagnostic) string {
	if d.Hint == "" {
		return d.Message
	}
	return d.Message + "; " + d.Hint
}

// plural counts things in words.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
