package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/demo"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/neterr"
)

type demoFlags struct {
	once   bool
	days   int
	seed   uint64
	pace   time.Duration
	listen string
	dir    string
}

func (e *env) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use: "demo", Short: "Watch a sample pipeline whose faults are found", Args: noArgs,
		Long: `Runs a sample pipeline day by day and shows what is found and where it began.
The pages and /metrics stay up until Ctrl-C; with --once it ends by itself.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.runDemo(cmd, &f) },
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "run without waits and end after the last day")
	cmd.Flags().IntVar(&f.days, "days", 21, "live through `N` days")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "`seed` of the sample data")
	cmd.Flags().DurationVar(&f.pace, "pace", 700*time.Millisecond, "`wait` between days")
	cmd.Flags().StringVar(&f.listen, "listen", defaultListen, "`address` of the pages and the metrics")
	cmd.Flags().StringVar(&f.dir, "dir", "", "keep pipeline, data and history in this `folder` (default: a temporary one, removed at the end)")
	return cmd
}

func (e *env) runDemo(cmd *cobra.Command, f *demoFlags) error {
	if f.days < 1 || f.days > 366 {
		return usage("--days %d: write 1 to 366", f.days)
	}
	dir, cleanup, err := demoDir(f.dir)
	if err != nil {
		return err
	}
	defer cleanup()
	m, err := e.newMetrics(metrics.Options{Process: true, Columns: metrics.ColumnsRules})
	if err != nil {
		return err
	}
	var messages bytes.Buffer
	a, err := app.New(cmd.Context(), app.Options{Store: "sqlite:" + dir + "/profiler.db", Metrics: m, Logger: e.log, Messages: &messages, Alerts: demo.Alerts()})
	if err != nil {
		return storeOrUsage(err)
	}
	defer a.Close() //nolint:errcheck // everything is written
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	listener, err := listen(ctx, f.listen, cmd.Flags().Changed("listen"))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		served <- a.Serve(ctx, app.ServeOptions{ServeOptions: api.ServeOptions{Listener: listener, AllowExternal: true}, Version: e.version})
	}()
	o := demo.Options{
		Out: e.stdout, App: a, Messages: &messages, Dir: dir, Seed: f.seed, Days: f.days, Pace: f.pace,
		Address: "http://" + listener.Addr().String(), Color: e.color(e.stdout), Env: e.lookup,
	}
	if f.once {
		o.Pace = 0
	}
	_, err = demo.Run(ctx, o)
	if err == nil && !f.once {
		e.note("the pages stay up at %s; Ctrl-C ends", o.Address)
		<-ctx.Done()
		err = ctx.Err()
	}
	stop()
	return errors.Join(err, <-served)
}

// demoDir prepares the folder of the demo.
func demoDir(dir string) (path string, cleanup func(), err error) {
	cleanup = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "profiler-demo-"); err != nil {
			return "", nil, err
		}
		path := dir
		cleanup = func() { os.RemoveAll(path) } //nolint:errcheck // a temporary folder
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", nil, usage("the folder %s is not empty; name a new one", dir)
	}
	if err := demo.Prepare(dir); err != nil {
		cleanup()
		return "", nil, usage("prepare the demo: %v", err)
	}
	return dir, cleanup, nil
}

// defaultListen is the address of the service.
const defaultListen = "127.0.0.1:8910"

// listen opens an address; the default one gives way to a free port if it is
// taken.
func listen(ctx context.Context, address string, chosen bool) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil && !chosen {
		l, err = config.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, usage("listen on %s: %v; write host:port, such as %s", address, neterr.Reason(err), defaultListen)
	}
	return l, nil
}
