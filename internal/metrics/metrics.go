// Package metrics exports what the service knows as Prometheus metrics. It
// keeps one immutable snapshot of finished series and hands it out at a scrape:
// a scrape never profiles, never queries a database and never waits for one.
//
// Series are keyed by their labels, so that a duplicate, which would make a
// whole scrape fail, cannot occur. Names, labels and budgets are described in
// the documentation; Families is the same list for programs.
package metrics

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Defaults of Options.
const (
	DefaultSeriesPerDataset = 500
	DefaultSeries           = 20_000
)

// minSeries leaves room for the series about the service itself.
const minSeries = 32

// The values of Options.Columns.
const (
	ColumnsRules = "rules"
	ColumnsAll   = "all"
	ColumnsNone  = "none"
)

// Options configure the metrics. The zero value exports the columns that rules
// name, within the default budgets.
type Options struct {
	// Columns says which columns have series: "rules" (the default) those that
	// a rule names, "all" or "none".
	Columns string
	// Families names the opt-in families to export, see OptIn.
	Families []string
	// SeriesPerDataset bounds the series of one dataset, all its steps together;
	// 0 is DefaultSeriesPerDataset.
	SeriesPerDataset int
	// Series bounds all series of this package; 0 is DefaultSeries. Those of the
	// Go runtime and the process do not count.
	Series int
	// Process adds the metrics of the Go runtime, the process and the handler,
	// for a service.
	Process bool
	// Version and Revision are facts of the build.
	Version, Revision string
	Logger            *slog.Logger     // nil discards
	Now               func() time.Time // nil is time.Now
}

// Metrics holds the series. It is safe for concurrent use.
type Metrics struct {
	opts     Options
	families map[string]*family
	registry *prometheus.Registry

	mu       sync.Mutex
	datasets map[string]*dataset
	live     map[string]*liveSeries
	liveSize int
	dirty    bool                          // live series came or went since the last snapshot
	dropped  map[string]prometheus.Counter // by budget
	logged   map[string]bool

	snapshot atomic.Pointer[snapshot]
}

// snapshot is what a scrape gets. It is never changed after it was published.
type snapshot struct{ parts [][]prometheus.Metric }

// family is a Family with its descriptors by the labels that are not empty.
type family struct {
	Family
	descs map[uint]*prometheus.Desc
}

var _ prometheus.Collector = (*Metrics)(nil)

// New returns metrics with a registry of their own. It fails on options that
// do not exist.
func New(o Options) (*Metrics, error) {
	o.Columns = cmp.Or(o.Columns, ColumnsRules)
	o.SeriesPerDataset = cmp.Or(o.SeriesPerDataset, DefaultSeriesPerDataset)
	o.Series = cmp.Or(o.Series, DefaultSeries)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := validate(&o); err != nil {
		return nil, err
	}
	m := &Metrics{
		opts: o, families: map[string]*family{}, registry: prometheus.NewRegistry(), datasets: map[string]*dataset{},
		live: map[string]*liveSeries{}, dropped: map[string]prometheus.Counter{}, logged: map[string]bool{},
	}
	for i := range families {
		m.families[families[i].Name] = &family{families[i], map[uint]*prometheus.Desc{}}
	}
	for _, budget := range []string{budgetDataset, budgetProcess} {
		f := m.families["profiler_metric_series_dropped_total"]
		m.dropped[budget] = prometheus.NewCounter(prometheus.CounterOpts{Name: f.Name, Help: f.Help, ConstLabels: prometheus.Labels{LabelBudget: budget}})
	}
	cs := []prometheus.Collector{m}
	if o.Process {
		cs = append(cs, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	for _, c := range cs {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, severity := range []string{"fail", "warn"} {
		for _, status := range []string{"acknowledged", "open", "snoozed"} {
			m.gauge("profiler_incidents_active", severity, status)
		}
	}
	for _, reason := range suppressions {
		m.counter("profiler_notifications_suppressed_total", reason)
	}
	m.publish()
	return m, nil
}

func validate(o *Options) error {
	var errs []error
	if !slices.Contains([]string{ColumnsRules, ColumnsAll, ColumnsNone}, o.Columns) {
		errs = append(errs, fmt.Errorf("columns %q is none of rules, all and none", o.Columns))
	}
	for _, f := range o.Families {
		if !slices.Contains(OptIn(), f) {
			errs = append(errs, fmt.Errorf("family %q is none of %s", f, strings.Join(OptIn(), ", ")))
		}
	}
	if o.SeriesPerDataset < 1 {
		errs = append(errs, fmt.Errorf("series per dataset is %d: give 1 or more", o.SeriesPerDataset))
	}
	if o.Series < minSeries {
		errs = append(errs, fmt.Errorf("series is %d: give %d or more", o.Series, minSeries))
	}
	return errors.Join(errs...)
}

// Service reports whether the metrics are those of a service, which counts what
// all processes do with its store, and not of a one-shot command.
func (m *Metrics) Service() bool { return m.opts.Process }

// Registerer takes further collectors into the same exposition, such as the
// statistics of a database connection pool.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// RegisterDB shows the statistics of a pool of database connections as
// go_sql_*, by the name of the pool. A scrape reads counters of the pool and
// sends nothing to the database. Without Options.Process it does nothing.
func (m *Metrics) RegisterDB(name string, pool *sql.DB) error {
	if !m.opts.Process {
		return nil
	}
	if err := m.registry.Register(collectors.NewDBStatsCollector(pool, name)); err != nil {
		return fmt.Errorf("register metrics of the pool %s: %w", name, err)
	}
	return nil
}

// Describe sends nothing: labels that are empty are left out, so that a family
// has no single set of label names that could be declared.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect hands out the last finished snapshot.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, part := range m.snapshot.Load().parts {
		for _, metric := range part {
			ch <- metric
		}
	}
}

// publish makes a new snapshot of what is there. The caller holds mu.
func (m *Metrics) publish() {
	s := &snapshot{}
	process := m.liveSize + selfSeries
	parts, inDatasets := m.cut(process)
	s.parts = append(s.parts, parts...)
	live := make([]prometheus.Metric, 0, len(m.live))
	for _, l := range m.live {
		live = append(live, l.metric)
	}
	self := []prometheus.Metric{
		m.constant("profiler_metric_series", float64(inDatasets), budgetDataset),
		m.constant("profiler_metric_series", float64(process), budgetProcess),
		m.dropped[budgetDataset], m.dropped[budgetProcess],
		m.constant("profiler_build_info", 1, clean(m.opts.Version), clean(m.opts.Revision), runtime.Version()),
	}
	s.parts = append(s.parts, live, self)
	m.snapshot.Store(s)
	m.dirty = false
}

// unlock publishes what changed and gives mu back.
func (m *Metrics) unlock() {
	if m.dirty {
		m.publish()
	}
	m.mu.Unlock()
}

// selfSeries is the number of series that every snapshot adds.
const selfSeries = 5

// family returns the family of a name. Names are written by this package, so a
// missing one is a mistake of ours.
func (m *Metrics) family(name string, values []string) *family {
	f := m.families[name]
	if f == nil || len(values) != len(f.Labels) {
		panic(fmt.Sprintf("BUG: metrics: no family %s with %d labels", name, len(values)))
	}
	return f
}

// desc returns the descriptor for the labels that have a value, and these
// values.
func (f *family) desc(values []string) (*prometheus.Desc, []string) {
	var mask uint
	present := make([]string, 0, len(values))
	for i, v := range values {
		if v != "" {
			mask |= 1 << i
			present = append(present, v)
		}
	}
	d := f.descs[mask]
	if d == nil {
		var names []string
		for i, n := range f.Labels {
			if mask&(1<<i) != 0 {
				names = append(names, n)
			}
		}
		d = prometheus.NewDesc(f.Name, f.Help, names, nil)
		f.descs[mask] = d
	}
	return d, present
}

// constant makes a finished series. The values must be clean.
func (m *Metrics) constant(name string, v float64, values ...string) prometheus.Metric {
	f := m.family(name, values)
	d, present := f.desc(values)
	kind := prometheus.GaugeValue
	if f.Type == Counter {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(d, kind, v, present...)
}

// maxLabel is the longest label value in bytes. Prometheus can be told to
// refuse a scrape with longer ones.
const maxLabel = 512

// clean makes a text fit for a label value: UTF-8 of a bounded length. All
// other characters are escaped by the exposition.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxLabel {
		return s
	}
	const more = "…"
	return strings.ToValidUTF8(s[:maxLabel-len(more)], "") + more
}

// key names a series: no label value can be mistaken for two.
func key(name string, values []string) string {
	var b strings.Builder
	b.WriteString(name)
	for _, v := range values {
		b.WriteByte(0xff) // which is in no clean value
		b.WriteString(v)
	}
	return b.String()
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
