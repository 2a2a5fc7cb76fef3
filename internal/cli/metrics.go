package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/profilerhq/profiler/internal/metrics"
)

// metricsFor makes the metrics of a one-shot command; nil if nobody wants any.
func (e *env) metricsFor(f *outputFlags) (*metrics.Metrics, error) {
	if f.metricsFile == "" && f.pushGateway == "" {
		return nil, nil
	}
	return e.newMetrics(metrics.Options{})
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

// writeMetrics writes and pushes metrics. What fails is a message and never
// changes the exit code.
func (e *env) writeMetrics(ctx context.Context, m *metrics.Metrics, f *outputFlags) {
	if m == nil {
		return
	}
	if f.metricsFile != "" {
		if err := m.WriteTextfile(f.metricsFile); err != nil {
			e.message("metrics file not written: " + err.Error())
		}
	}
	if f.pushGateway != "" {
		ctx, cancel := context.WithTimeout(ctx, pushTimeout)
		defer cancel()
		if err := m.Push(ctx, f.pushGateway, nil); err != nil {
			e.message("metrics not pushed: " + err.Error())
		}
	}
}
