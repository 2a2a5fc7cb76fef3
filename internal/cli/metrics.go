package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/profilerhq/profiler/internal/config"
	"github.com/profilerhq/profiler/internal/metrics"
)

// metricsFor makes the metrics of a one-shot command; nil if nobody wants any.
func (e *env) metricsFor(cfg *config.Config, f *outputFlags) (*metrics.Metrics, error) {
	if f.metricsFile == "" && f.pushGateway == "" {
		return nil, nil
	}
	return e.newMetrics(metricsOptions(cfg))
}

// metricsOptions are what the configuration decides about metrics.
func metricsOptions(cfg *config.Config) metrics.Options {
	c := &cfg.Metrics
	return metrics.Options{Columns: c.Columns, Families: c.Families, SeriesPerDataset: c.SeriesPerDataset, Series: c.Series}
}

func (e *env) newMetrics(o metrics.Options) (*metrics.Metrics, error) {
	o.Version, o.Logger = e.version, e.log
	if e.log == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := metrics.New(o)
	if err != nil {
		return nil, usage("metrics: %v", err)
	}
	return m, nil
}

// pushTimeout bounds a push, which never holds a pipeline up.
const pushTimeout = 5 * time.Second

// writeMetrics writes and pushes metrics, also of a command that was
// interrupted. A pushed group is that of the pipeline, if there is one. What
// fails is a message and never changes the exit code.
func (e *env) writeMetrics(ctx context.Context, m *metrics.Metrics, f *outputFlags, pipeline string) {
	if m == nil {
		return
	}
	if f.metricsFile != "" {
		if err := m.WriteTextfile(f.metricsFile); err != nil {
			e.message("metrics file not written: " + err.Error())
		}
	}
	if f.pushGateway != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushTimeout)
		defer cancel()
		if err := m.Push(ctx, f.pushGateway, map[string]string{metrics.LabelPipeline: pipeline}); err != nil {
			e.message("metrics not pushed: " + err.Error())
		}
	}
}
