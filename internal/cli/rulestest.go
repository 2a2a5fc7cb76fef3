package cli

import (
	"bytes"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/ruletest"
)

type rulesTestFlags struct {
	format, file, run string
}

func (e *env) rulesTestCommand() *cobra.Command {
	var f rulesTestFlags
	cmd := &cobra.Command{
		Use: "test [FILE|FOLDER...]", Short: "Run the tests of rules",
		Long: `Runs the tests in every *_test.yaml below the folder rules/, or in the named
files and folders: rows, files or series of batches, and what the checks should
find in them. The exit code is 0 if all is as expected, 1 with a difference, 2
with a mistake in a file, and 3 if data could not be read.`,
		Example: "  profiler rules test\n  profiler rules test rules/orders_test.yaml -o junit --output-file tests.xml",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.rulesTest(cmd, args, &f) },
	}
	f.register(cmd)
	return cmd
}

func (f *rulesTestFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.format, "output", "o", "table", "`format`: table, json, junit, github")
	cmd.Flags().StringVar(&f.file, "output-file", "", "write the report to a `file` instead of standard output")
	cmd.Flags().StringVar(&f.run, "run", "", "run only tests whose names match a regular `expression`")
}

// chosen checks the flags and returns which tests are run.
func (f *rulesTestFlags) chosen() (*regexp.Regexp, error) {
	if !contains([]string{"table", "json", "junit", "github"}, f.format) {
		return nil, usage("unknown output format %q; write table, json, junit or github", f.format)
	}
	chosen, err := regexp.Compile(f.run)
	if err != nil {
		return nil, usage("--run %q is no regular expression", f.run)
	}
	return chosen, nil
}

func (e *env) rulesTest(cmd *cobra.Command, args []string, f *rulesTestFlags) error {
	chosen, err := f.chosen()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if _, err := os.Stat("rules"); err != nil {
			return usage("there is no folder rules/ here; name the files or the folder with tests")
		}
		args = []string{"rules"}
	}
	paths, err := ruletest.Find(args)
	if err != nil {
		return readError("tests", err)
	}
	if len(paths) == 0 {
		return usage("there is no *_test.yaml in %s", join(args))
	}
	var outcomes []*ruletest.Outcome
	worst := exitOK
	for _, path := range paths {
		file, err := ruletest.Read(path, e.lookup)
		if err != nil {
			return readError("tests", err)
		}
		if len(file.Problems) > 0 {
			e.printDiagnostics(file.Problems, file.Source)
		}
		if file.Problems.HasErrors() {
			worst = worse(worst, exitUsage)
			continue // the tests of the other files are run
		}
		for _, t := range file.Tests {
			if !chosen.MatchString(t.Name) {
				continue
			}
			o := ruletest.Run(cmd.Context(), file, t)
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			outcomes = append(outcomes, o)
			worst = worse(worst, testCode(o))
		}
	}
	if len(outcomes) == 0 && worst == exitOK {
		return usage("no test is named like %q", f.run)
	}
	return e.reportTests(outcomes, f, worst)
}

func testCode(o *ruletest.Outcome) int {
	switch {
	case o.Err != nil:
		return exitUnjudged
	case !o.Passed():
		return exitFail
	}
	return exitOK
}

func (e *env) reportTests(outcomes []*ruletest.Outcome, f *rulesTestFlags, code int) error {
	var b bytes.Buffer
	var err error
	switch f.format {
	case "json":
		err = ruletest.JSON(&b, outcomes)
	case "junit":
		err = ruletest.JUnit(&b, outcomes)
	case "github":
		ruletest.GitHub(&b, outcomes)
	default:
		if len(outcomes) > 0 {
			ruletest.Table(&b, outcomes, f.file == "" && e.color(e.stdout))
		}
	}
	if err != nil {
		return err
	}
	if err := e.emit(&outputFlags{file: f.file}, &b); err != nil {
		return err
	}
	return exitWith(code)
}
