package cli

import (
	"bytes"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/metrics"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/report"
	"github.com/profilerhq/profiler/internal/source"
)

// gathering is what profile and check do alike: each batch of their sources goes
// through the monitor, and the reports of all are printed together.
type gathering struct {
	e       *env
	flags   *sourceFlags
	output  *outputFlags
	format  report.Format
	options source.Options
	inputs  []source.Input
	config  *config.Config
	metrics *metrics.Metrics
	out     bytes.Buffer
}

// gather reads flags and configuration.
func (e *env) gather(kind report.Kind, sf *sourceFlags, of *outputFlags) (*gathering, error) {
	g := &gathering{e: e, flags: sf, output: of}
	var err error
	if g.format, err = of.reportFormat(kind); err != nil {
		return nil, err
	}
	if g.options, err = sf.options(e); err != nil {
		return nil, err
	}
	if g.config, err = e.config(); err != nil {
		return nil, err
	}
	g.metrics, err = e.metricsFor(g.config, of)
	return g, err
}

// find finds the batches that are named. It reads none of them.
func (g *gathering) find(cmd *cobra.Command, args []string) error {
	var err error
	if g.inputs, err = g.flags.inputs(cmd, g.e, args); err != nil {
		return err
	}
	return single(g.format, len(g.inputs))
}

// run observes the batches in turn, adds them to the report by seen, which
// returns an exit code, and prints it. A batch that cannot be read is told, and
// the others are observed all the same. The code that wins is returned.
func (g *gathering) run(ctx context.Context, a *app.App, complete func(*monitor.Subject) error, seen func(*monitor.Outcome) (int, error)) error {
	worst := exitOK
	for _, in := range g.inputs {
		o, err := g.e.observe(ctx, a, in, g.flags, complete)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			worst = worse(worst, g.e.report(err))
		}
		if o == nil {
			continue
		}
		code, err := seen(o)
		if err != nil {
			return err
		}
		worst = worse(worst, code)
	}
	g.e.writeMetrics(ctx, g.metrics, g.output, "")
	if g.out.Len() > 0 {
		if err := g.e.emit(g.output, &g.out); err != nil {
			return err
		}
	}
	return exitWith(worst)
}

// observe opens an input and sends it through the monitor. complete adds what
// the command knows of the batch to what its source tells; it may be nil.
func (e *env) observe(ctx context.Context, a *app.App, in source.Input, f *sourceFlags, complete func(*monitor.Subject) error) (*monitor.Outcome, error) {
	so, err := f.options(e)
	if err != nil {
		return nil, err
	}
	loc, err := f.location()
	if err != nil {
		return nil, err
	}
	at, err := f.when(loc)
	if err != nil {
		return nil, err
	}
	r, done, err := e.open(ctx, in, so, f.progress)
	if err != nil {
		a.ProfileFailed(ctx, f.datasetOf(in), "")
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	defer done()
	s := app.Subject(f.datasetOf(in), r, nil)
	s.Batch, s.At, s.Location = f.batch, at, loc
	if p, ok := source.PartitionOf(in, loc); ok && at.IsZero() {
		s.At, s.AsOf = p.From, p.To
		if s.Batch == "" {
			s.Batch = p.Name
		}
		if a.Store != nil && f.dataset == "" && in.Name != "" && strings.HasSuffix(s.Dataset, "/"+in.Name) {
			e.note("the dataset is %s; if every day has a file, name their common dataset with --dataset, so that days compare with each other", s.Dataset)
		}
	}
	if complete != nil {
		if err := complete(&s); err != nil {
			return nil, err
		}
	}
	o, err := a.Observe(ctx, r, s)
	e.noteSensitive(o)
	return o, err
}
