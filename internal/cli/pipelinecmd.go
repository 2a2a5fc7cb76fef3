package cli

import (
	"bytes"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/rules"
)

func (e *env) pipelineCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pipeline", Short: "Check pipelines, show their graph", RunE: needSubcommand}
	cmd.AddCommand(e.pipelineValidateCommand(), e.pipelineGraphCommand())
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
	files, err := pipelineFiles(args)
	if err != nil {
		return err
	}
	var failed error
	for _, path := range files {
		p, err := e.loadPipeline(path)
		if err != nil {
			failed = err
			continue
		}
		var diags diag.List
		if err := p.Check(); errors.As(err, &diags) {
			e.printDiagnostics(diags, readSource)
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
		if _, err := e.stdout.Write([]byte(path + ": " + p.Name + ", " + plural(len(names), "step") + ": " + strings.Join(names, ", ") + "\n")); err != nil {
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
			p, err := e.loadPipeline(args[0])
			if err != nil {
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
