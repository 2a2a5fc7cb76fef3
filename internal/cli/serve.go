package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/store"
)

type serveFlags struct {
	store, listen, webConfig string
	external                 bool
}

func (e *env) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve metrics and pages of what was recorded, and send its alerts", Args: noArgs,
		Long: `Serves /metrics, the web pages and health addresses over the history that check,
profile and run record, and sends the messages that wait in its outbox.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.runServe(cmd, &f) },
	}
	cmd.Flags().StringVar(&f.store, "store", "", "`URL` of the history (default "+defaultStore+")")
	cmd.Flags().StringVar(&f.listen, "listen", "", "`address` to listen on (default "+config.DefaultListen+")")
	cmd.Flags().StringVar(&f.webConfig, "web.config.file", "", "`file` with TLS and basic auth, as of the Prometheus exporter toolkit")
	cmd.Flags().BoolVar(&f.external, "allow-external", false, "allow an address that other machines reach without TLS and credentials")
	return cmd
}

func (e *env) runServe(cmd *cobra.Command, f *serveFlags) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	lib, err := e.loadRules(nil, cfg)
	if err != nil {
		return err
	}
	if f.listen == "" {
		f.listen = cfg.Listen
	}
	if f.webConfig == "" {
		f.webConfig = cfg.WebConfig
	}
	mo := metricsOptions(cfg)
	mo.Process = true
	m, err := e.newMetrics(mo)
	if err != nil {
		return err
	}
	opts := e.appOptions(cfg)
	opts.Store, opts.Metrics, opts.AlertTimeout = storeURL(f.store, cfg), m, time.Minute
	opts.AlertTries = 2 // what fails waits in the outbox
	opts.Retention = store.Retention{Profiles: cfg.Retention.Profiles, Metrics: cfg.Retention.Metrics, Results: cfg.Retention.Results}
	opts.RunRetention = cfg.Retention.Runs
	a, err := app.New(cmd.Context(), opts)
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	declare(cmd.Context(), a, cfg, lib)
	a.UseRules(lib)
	reload := func(ctx context.Context) error { return e.reload(ctx, a) }
	defer e.reloadOnHangup(cmd.Context(), reload)()
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	served, ended, err := e.servePipelines(ctx, a, cfg, lib)
	if err != nil {
		return err
	}
	defer func() {
		stop()
		<-ended
	}()
	e.log.Info("watching", "store", a.Store.String())
	err = a.Serve(cmd.Context(), app.ServeOptions{
		ServeOptions: api.ServeOptions{
			Address: f.listen, WebConfigFile: f.webConfig, AllowExternal: f.external,
		},
		Version: e.version, Reload: reload, Pipelines: served,
	})
	if err != nil {
		return usage("%v", err)
	}
	if cmd.Context().Err() != nil {
		return cmd.Context().Err() // Ctrl-C
	}
	return nil
}

// servePipelines runs the configured pipelines; nil if there are none. ended is
// closed when their units are given back.
func (e *env) servePipelines(ctx context.Context, a *app.App, cfg *config.Config, lib *rules.Library) (served *app.Pipelines, ended chan struct{}, err error) {
	ended = make(chan struct{})
	files, err := pipelineFiles(cfg.Pipelines)
	if err != nil {
		return nil, nil, err
	}
	var all []*pipeline.Pipeline
	for _, path := range files {
		p, err := e.loadPipeline(path)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		close(ended)
		return nil, ended, nil
	}
	served, err = a.Pipelines(ctx, all, app.RunOptions{Library: lib, Env: e.lookup, Logger: e.log, Unmetered: true})
	var diags diag.List
	if errors.As(err, &diags) {
		e.printDiagnostics(diags, readSource)
		return nil, nil, diags
	}
	if err != nil {
		return nil, nil, err
	}
	go func() {
		defer close(ended)
		if err := served.Serve(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("pipelines are not served", "err", err)
		}
	}()
	return served, ended, nil
}

// declare makes the counters of what is configured start at 0.
func declare(ctx context.Context, a *app.App, cfg *config.Config, lib *rules.Library) {
	var channels []string
	for _, c := range cfg.Alerts.Channels {
		channels = append(channels, c.Name)
	}
	known := map[string]*metrics.Known{}
	for _, s := range lib.Sets {
		if s.Dataset == "" || hasPattern(s.Dataset) {
			continue
		}
		k := known[s.Dataset]
		if k == nil {
			k = &metrics.Known{Dataset: s.Dataset, Owner: s.Owner}
			known[s.Dataset] = k
		}
		k.Columns = append(k.Columns, app.RuleColumns([]*rules.Set{s})...)
		for _, c := range s.Checks {
			if !hasPattern(c.Column) {
				k.Checks = append(k.Checks, metrics.KnownCheck{ID: c.ID, Kind: c.Kind, Owner: c.Owner, RuleFile: s.File})
			}
		}
	}
	datasets := make([]metrics.Known, 0, len(known))
	for _, k := range known {
		datasets = append(datasets, *k)
	}
	a.Declare(ctx, datasets, channels)
	a.ConfigLoaded(true, time.Now())
}

func hasPattern(s string) bool {
	for _, r := range s {
		if r == '*' {
			return true
		}
	}
	return false
}

// reload reads configuration and rules again. What is invalid changes nothing
// and is reported.
func (e *env) reload(ctx context.Context, a *app.App) error {
	cfg, err := e.config()
	var lib *rules.Library
	if err == nil {
		lib, err = e.loadRules(nil, cfg)
	}
	if err == nil {
		opts := e.appOptions(cfg)
		err = errors.Join(a.Reconfigure(opts.Channels, opts.Alerts), a.ReadAnswers(ctx, opts.Incidents))
	}
	if err != nil {
		a.ConfigLoaded(false, time.Now())
		return errors.Join(errors.New("the configuration was not reloaded; the old one stays in force"), err)
	}
	declare(ctx, a, cfg, lib)
	a.UseRules(lib)
	return nil
}

// reloadOnHangup reloads at SIGHUP, as POST /-/reload does, from its return on
// until the context or stop ends it.
func (e *env) reloadOnHangup(ctx context.Context, reload func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				if err := reload(ctx); err != nil {
					e.log.Error("reload", "err", err)
					continue
				}
				e.log.Info("reloaded", slog.String("by", "SIGHUP"))
			}
		}
	}()
	return func() {
		signal.Stop(hup)
		cancel()
		<-done
	}
}
