package cli

import (
	"bytes"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/pipetest"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/ruletest"
	"github.com/profilerhq/profiler/internal/words"
)

func (e *env) pipelineCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pipeline", Short: "Check and test pipelines, show their graph", RunE: needSubcommand}
	cmd.AddCommand(e.pipelineValidateCommand(), e.pipelineGraphCommand(), e.pipelineTestCommand())
	return cmd
}

func (e *env) pipelineValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE…", Short: "Find mistakes in pipeline files",
		Long: `Reads pipeline files and the rules that they name, and looks up every program and
file on this machine. All mistakes are printed with their places.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("name pipeline files: profiler pipeline validate pipeline.yaml")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return e.pipelineValidate(args) },
	}
}

func (e *env) pipelineValidate(args []string) error {
	var files []string
	for _, arg := range args {
		found, err := pipelineFiles([]string{arg})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return usage("%s: the folder has no pipeline (*.yaml, *.yml); name a file or another folder", arg)
		}
		files = append(files, found...)
	}
	var failed error
	for _, path := range files {
		p, err := e.loadPipeline(path)
		if err != nil {
			failed = err
			continue
		}
		if bad, err := e.validateRules(p.RuleFiles()); bad || err != nil {
			failed = errors.Join(err, diag.List{})
			continue
		}
		names := make([]string, len(p.Steps))
		for i := range p.Steps {
			names[i] = p.Steps[i].Name
		}
		text := path + ": " + p.Name + ", " + words.Things(len(names), "step") + ": " + strings.Join(names, ", ") + "\n"
		if said := p.Canary.Compared(); said != "" {
			text += path + ": " + said + "\n"
		}
		if _, err := e.stdout.Write([]byte(text)); err != nil {
			return err
		}
	}
	if failed != nil {
		return &exitError{exitUsage, ""}
	}
	return nil
}

// validateRules reads the rule files of steps and prints their mistakes.
func (e *env) validateRules(paths []string) (bad bool, err error) {
	if len(paths) == 0 {
		return false, nil
	}
	_, diags, err := rules.Load(paths, e.lookup)
	if err != nil {
		e.message(err.Error())
		return true, nil
	}
	e.printDiagnostics(diags, readSource)
	return diags.HasErrors(), nil
}

func (e *env) pipelineGraphCommand() *cobra.Command {
	var f outputFlags
	cmd := &cobra.Command{
		Use: "graph FILE", Short: "Print the graph of a pipeline as a Mermaid flowchart",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("name one pipeline file: profiler pipeline graph pipeline.yaml")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := pipeline.Load(args[0])
			if err := e.explained(err); err != nil {
				return err
			}
			var out bytes.Buffer
			if err := p.Mermaid(&out); err != nil {
				return err
			}
			return e.emit(&f, &out)
		},
	}
	cmd.Flags().StringVar(&f.file, "output-file", "", "write to a `file` instead of standard output")
	return cmd
}

func (e *env) pipelineTestCommand() *cobra.Command {
	var f rulesTestFlags
	cmd := &cobra.Command{
		Use: "test [FILE|FOLDER…]", Short: "Run the tests of pipelines",
		Long: `Runs the tests in the named files, or in every *_test.yaml below the folders: given
these files, when the pipeline runs, then outputs, verdicts and dead letters are
as written. Each test runs the real commands in a folder and with a store of its
own. The exit code is 0 if all is as expected, 1 with a difference, 2 with a
mistake in a file, 3 if a pipeline could not be run.`,
		Example: "  profiler pipeline test pipelines/",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.pipelineTest(cmd, args, &f) },
	}
	f.register(cmd)
	return cmd
}

func (e *env) pipelineTest(cmd *cobra.Command, args []string, f *rulesTestFlags) error {
	chosen, err := f.chosen()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"pipelines"}
	}
	paths, err := ruletest.Find(args)
	if err != nil {
		return readError("tests", err)
	}
	if len(paths) == 0 {
		return usage("there is no *_test.yaml in %s", join(args))
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lib, err := e.loadRules(nil, cfg)
	if err != nil {
		return err
	}
	var outcomes []*ruletest.Outcome
	worst := exitOK
	for _, path := range paths {
		file, err := pipetest.Read(path)
		if err != nil {
			return readError("tests", err)
		}
		if file.Problems.HasErrors() {
			e.printDiagnostics(file.Problems, file.Source)
			worst = worse(worst, exitUsage)
			continue // the tests of the other files are run
		}
		for _, t := range file.Tests {
			if !chosen.MatchString(t.Name) {
				continue
			}
			o := pipetest.Run(cmd.Context(), file, t, lib)
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
