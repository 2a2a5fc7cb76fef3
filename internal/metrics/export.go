package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"

	"github.com/profilerhq/profiler/internal/neterr"
)

// Handler serves the metrics in the format that the client asks for: text,
// OpenMetrics with exemplars, or protobuf with native histograms. The query
// name[] chooses families.
func (m *Metrics) Handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, CoalesceGather: true, ErrorHandling: promhttp.HTTPErrorOnError})
	if m.opts.Process {
		return promhttp.InstrumentMetricHandler(m.registry, h)
	}
	return h
}

// WriteTextfile writes all metrics to a file in text form, for the textfile
// collector of the node exporter. A reader sees the old file or the new one,
// never a part.
func (m *Metrics) WriteTextfile(path string) error {
	if err := prometheus.WriteToTextfile(path, m.registry); err != nil {
		return fmt.Errorf("write metrics to %s: %w", path, err)
	}
	return nil
}

// pushTimeout bounds a push, so that a command does not hang at its end.
const pushTimeout = 10 * time.Second

// DefaultJob is the job that Push names if the grouping has none.
const DefaultJob = "profiler"

// Push sends all metrics to a Pushgateway and replaces what its group had. The
// grouping may hold the job and further labels such as the pipeline, which the
// gateway adds to every series. A user and password in the address are sent as
// basic auth; the error holds neither.
func (m *Metrics) Push(ctx context.Context, address string, grouping map[string]string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("push metrics: the address is not of the form http://HOST:PORT")
	}
	user := u.User
	u.User = nil
	job := DefaultJob
	labels := map[string]string{}
	for k, v := range grouping {
		if v = clean(v); k == "job" && v != "" {
			job = v
		} else if v != "" {
			labels[k] = v
		}
	}
	p := push.New(u.String(), job).Gatherer(without{m.registry, labels}).Client(&http.Client{Timeout: pushTimeout})
	for k, v := range labels {
		p = p.Grouping(k, v)
	}
	if user != nil {
		password, _ := user.Password()
		p = p.BasicAuth(user.Username(), password)
	}
	if err := p.PushContext(ctx); err != nil {
		return fmt.Errorf("push metrics to %s: %w", u.Host, neterr.Reason(err))
	}
	return nil
}

// without takes the labels of a grouping off the series that have them with
// the same value: the gateway refuses them and adds them itself.
type without struct {
	from   prometheus.Gatherer
	labels map[string]string
}

// Gather returns the series. Those of another value keep their label, and the
// push fails.
func (w without) Gather() ([]*dto.MetricFamily, error) {
	families, err := w.from.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			m.Label = slices.DeleteFunc(slices.Clone(m.GetLabel()), func(l *dto.LabelPair) bool {
				v, ok := w.labels[l.GetName()]
				return ok && v == l.GetValue()
			})
		}
	}
	return families, err
}
