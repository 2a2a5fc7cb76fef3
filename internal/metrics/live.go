package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the classic buckets of all histograms of times, in seconds.
var bounds = []float64{0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800}

// The native buckets of histograms of times.
const (
	nativeGrowth  = 1.1
	nativeBuckets = 100
	nativeReset   = time.Hour
)

// liveSeries is a series that many small events change. It lives as long as
// its pipeline or channel and keeps its value itself.
type liveSeries struct {
	metric prometheus.Metric
	labels prometheus.Labels
	size   int // a histogram counts with its classic buckets
}

// obtain returns the live series of the labels, and makes it if there is none.
// It returns nil if the budget of the process is used up. The caller holds mu.
func (m *Metrics) obtain(name string, values []string) prometheus.Metric {
	cleaned := make([]string, len(values))
	for i, v := range values {
		cleaned[i] = clean(v)
	}
	f := m.family(name, cleaned)
	k := key(name, cleaned)
	if l := m.live[k]; l != nil {
		return l.metric
	}
	labels := prometheus.Labels{}
	for i, v := range cleaned {
		if v != "" {
			labels[f.Labels[i]] = v
		}
	}
	l := &liveSeries{labels: labels, size: 1}
	if f.Type == Histogram {
		l.size = len(bounds) + 3
	}
	if selfSeries+m.liveSize+l.size > m.opts.Series {
		m.drop(budgetProcess, "", l.size)
		return nil
	}
	switch f.Type {
	case Counter:
		l.metric = prometheus.NewCounter(prometheus.CounterOpts{Name: f.Name, Help: f.Help, ConstLabels: labels})
	case Gauge:
		l.metric = prometheus.NewGauge(prometheus.GaugeOpts{Name: f.Name, Help: f.Help, ConstLabels: labels})
	default:
		l.metric = prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: f.Name, Help: f.Help, ConstLabels: labels, Buckets: bounds, NativeHistogramBucketFactor: nativeGrowth,
			NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeReset,
		})
	}
	m.live[k] = l
	m.liveSize += l.size
	m.dirty = true
	return l.metric
}

// nothing takes what a series beyond the budget would have counted.
type nothing struct{}

func (nothing) Add(float64)                                    {}
func (nothing) Set(float64)                                    {}
func (nothing) Observe(float64)                                {}
func (nothing) ObserveWithExemplar(float64, prometheus.Labels) {}

// timer is a histogram.
type timer interface {
	prometheus.Observer
	prometheus.ExemplarObserver
}

func (m *Metrics) counter(name string, values ...string) interface{ Add(float64) } {
	if c, ok := m.obtain(name, values).(prometheus.Counter); ok {
		return c
	}
	return nothing{}
}

func (m *Metrics) gauge(name string, values ...string) interface{ Set(float64) } {
	if g, ok := m.obtain(name, values).(prometheus.Gauge); ok {
		return g
	}
	return nothing{}
}

func (m *Metrics) histogram(name string, values ...string) timer {
	if h, ok := m.obtain(name, values).(timer); ok {
		return h
	}
	return nothing{}
}

// absent removes one live series. The caller holds mu.
func (m *Metrics) absent(name string, values ...string) {
	for i, v := range values {
		values[i] = clean(v)
	}
	k := key(name, values)
	if l := m.live[k]; l != nil {
		delete(m.live, k)
		m.liveSize -= l.size
		m.dirty = true
	}
}

// forget removes the live series with a label of this value. The caller holds
// mu.
func (m *Metrics) forget(label, value string) {
	for k, l := range m.live {
		if l.labels[label] == value {
			delete(m.live, k)
			m.liveSize -= l.size
			m.dirty = true
		}
	}
}
