package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/ruletest"
)

type workerFlags struct {
	store   string
	workers int
	dir     string
	drain   bool
	memory  memory
	output  outputFlags
}

func (e *env) workerCommand() *cobra.Command {
	var f workerFlags
	cmd := &cobra.Command{
		Use: "worker [PIPELINE.yaml…]", Short: "Work on the units of a store, on any machine",
		Long: `Takes units of the pipelines from the store and carries them through their steps;
without arguments those of the configuration (pipelines:). Any number of workers
share a store on Postgres; they need the same files and the same work directory,
such as a mounted one. It looks at no source: profiler run and profiler serve do.

Ctrl-C or SIGTERM stops the commands that run and gives their units back.`,
		Example: "  profiler worker --store postgres://profiler@db:5432/profiler?sslmode=require orders.yaml\n  profiler worker --drain orders.yaml",
		RunE:    func(cmd *cobra.Command, args []string) error { return e.runWorker(cmd, args, &f) },
	}
	f.output.registerMetrics(cmd)
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the store (default "+defaultStore+")")
	cmd.Flags().IntVar(&f.workers, "workers", 0, "run up to `N` commands of each pipeline at once (default: the number of cores)")
	cmd.Flags().StringVar(&f.dir, "work-dir", "", "`folder` for outputs, one below it for each pipeline (default: .profiler/runs/NAME beside the file)")
	cmd.Flags().BoolVar(&f.drain, "drain", false, "end when nothing is left to do")
	f.memory.register(cmd)
	return cmd
}

func (e *env) runWorker(cmd *cobra.Command, args []string, f *workerFlags) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if args, err = pipelineFiles(cfg.Pipelines); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		return usage("name pipeline files: profiler worker orders.yaml, or write pipelines: [folder/] in profiler.yaml")
	}
	var pipelines []*pipeline.Pipeline
	for _, path := range args {
		p, err := e.loadPipeline(path)
		if err != nil {
			return err
		}
		pipelines = append(pipelines, p)
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
	progress := &runProgress{e: e, reports: map[string]*checks.Report{}}
	err = a.Work(cmd.Context(), pipelines, app.RunOptions{
		Library: lib, Env: e.lookup, Dir: f.dir, Workers: f.workers, Progress: progress.event, Observed: progress.observed, Logger: e.log,
	}, f.drain)
	e.writeMetrics(cmd.Context(), m, &f.output, "")
	var diags diag.List
	if errors.As(err, &diags) {
		e.printDiagnostics(diags, readSource)
		return diags
	}
	if err == nil && cmd.Context().Err() != nil {
		return &exitError{exitInterrupted, ""}
	}
	return err
}

// pipelineFiles lists the YAML files of paths, which may be folders; tests in a
// folder are left out.
func pipelineFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, readError("pipelines", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		for _, pattern := range []string{"*.yaml", "*.yml"} {
			found, err := filepath.Glob(filepath.Join(path, pattern))
			if err != nil {
				return nil, usage("pipelines: %s: %v", path, err)
			}
			files = append(files, slices.DeleteFunc(found, ruletest.IsTest)...)
		}
	}
	return files, nil
}
