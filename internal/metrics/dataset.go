package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// Batch is one judged batch, as far as metrics show it.
type Batch struct {
	// Summary is of the batch's profile. Its fields are not changed.
	Summary *profile.Summary
	// Profile gives the distributions of profiler_column_values; nil leaves
	// them out.
	Profile *profile.Profile
	// Previous is the dataset's profile before this one, to see a change of the
	// schema at the first batch after a start; nil if there is none or it is
	// unknown. Later batches are compared with the one before in this process.
	Previous *profile.Summary
	Report   checks.Report
	// Took is how long reading and judging took; 0 if that is not known, as of a
	// batch that another process recorded.
	Took time.Duration
	// Known tells that the batch was counted by an earlier process: it is shown
	// and not counted again.
	Known bool
	// SourceKind is the kind of source: csv, parquet, postgres …
	SourceKind string
	// Owner is who the dataset belongs to.
	Owner string
	// NewestEvent is the newest value of the freshness column; zero if there is
	// no such column.
	NewestEvent time.Time
	// BaselineAt is the time of the baseline that drift was measured against;
	// zero if unknown.
	BaselineAt time.Time
	// RuleColumns are columns that rules name, beside those in the results; nil
	// are those of the batch before, or of Declare.
	RuleColumns []string
}

// Known is what the rules and the pipelines say of a dataset before its first
// batch.
type Known struct {
	Dataset, Step, Pipeline string
	SourceKind, Owner       string
	Checks                  []KnownCheck
	// Columns are those that the rules name, beside those that results show.
	Columns []string
}

// KnownCheck is a check whose counters start at 0.
type KnownCheck struct{ ID, Kind, Owner, RuleFile string }

// dataset holds the series of one dataset.
type dataset struct {
	name  string
	parts map[string]*part // by step
	// ruleColumns are the columns that rules name, beside those in the results.
	ruleColumns []string
	// kept are the groups within the dataset's budget, flat their series.
	kept  []group
	flat  []prometheus.Metric
	count int // series kept
	over  int // series left out by the dataset's budget
	cut   int // series left out by the budget of the process
}

// part is what is known of a dataset at one step, and its series.
type part struct {
	dataset, step, pipeline string
	sourceKind, owner       string

	profiles, failures, rows, bytes, malformed float64
	changes                                    map[string]float64
	changedAt                                  time.Time
	schema                                     []column
	checks                                     map[string]*check
	order                                      []string // ids of checks
	last                                       *Batch
	at                                         time.Time // the last profile was completed
	dataAt                                     time.Time // of the last profile's data
	groups                                     []group
}

// part returns the state of a dataset at a step. The caller holds mu.
func (m *Metrics) part(name, step string) (*dataset, *part) {
	name, step = clean(name), clean(step)
	d := m.datasets[name]
	if d == nil {
		d = &dataset{name: name, parts: map[string]*part{}}
		m.datasets[name] = d
	}
	p := d.parts[step]
	if p == nil {
		p = &part{dataset: name, step: step, changes: map[string]float64{}, checks: map[string]*check{}}
		d.parts[step] = p
	}
	return d, p
}

// Declare makes the counters of a dataset and its checks start at 0, so that
// the first failure is visible as an increase. It changes nothing that is
// counted already, and checks that it does not name are kept until the next
// batch.
func (m *Metrics) Declare(k Known) {
	m.mu.Lock()
	defer m.unlock()
	d, p := m.part(k.Dataset, k.Step)
	if k.Columns != nil {
		d.ruleColumns = k.Columns
	}
	parts := []*part{p}
	if k.Step == "" { // rules do not know at which steps their dataset appears
		for _, other := range d.parts {
			if other != p && !other.at.IsZero() {
				parts = append(parts, other)
			}
		}
	}
	for _, p := range parts {
		p.describe(k.Pipeline, k.SourceKind, k.Owner)
		for _, c := range k.Checks {
			s := p.check(clean(c.ID))
			s.kind, s.owner, s.file = clean(c.Kind), clean(c.Owner), clean(c.RuleFile)
		}
		m.recount(p)
	}
	d.settle()
	m.account(d)
}

// settle removes what was only declared, of no step, once the dataset has
// appeared at steps: it would be a second row without any profile.
func (d *dataset) settle() {
	p := d.parts[""]
	if p == nil || !p.at.IsZero() || p.profiles > 0 {
		return
	}
	for step, other := range d.parts {
		if step != "" && !other.at.IsZero() {
			delete(d.parts, "")
			return
		}
	}
}

func (p *part) describe(pipeline, kind, owner string) {
	for _, f := range []struct {
		target *string
		value  string
	}{{&p.pipeline, pipeline}, {&p.sourceKind, kind}, {&p.owner, owner}} {
		if f.value != "" {
			*f.target = clean(f.value)
		}
	}
}

// Observe counts a batch and replaces the series of its dataset and step. A
// batch whose data is older than what is shown, such as one of a backfill, is
// counted alone.
func (m *Metrics) Observe(b Batch) {
	name := b.Report.Dataset
	if name == "" {
		name = b.Summary.Dataset
	}
	m.mu.Lock()
	defer m.unlock()
	d, p := m.part(name, b.Report.Origin.Step)
	p.describe(b.Report.Origin.Pipeline, b.SourceKind, b.Owner)
	if b.RuleColumns != nil {
		d.ruleColumns = b.RuleColumns
	}
	b.RuleColumns = d.ruleColumns
	if !b.Known {
		p.profiles++
		p.rows += float64(b.Summary.Read())
		p.bytes += float64(b.Summary.Bytes)
		p.malformed += float64(b.Summary.Malformed.Count)
	}
	if b.Took > 0 {
		m.histogram("profiler_profile_duration_seconds", p.step).Observe(b.Took.Seconds())
	}
	if b.Report.At.Before(p.dataAt) {
		p.count(b.Report.Results)
		m.recount(p)
		m.account(d)
		return
	}
	p.at, p.dataAt = m.opts.Now(), b.Report.At
	if t, err := time.Parse(time.RFC3339Nano, b.Summary.ProfiledAt); err == nil {
		p.at = t
	}
	p.compare(b.Previous, b.Summary)
	p.judge(b.Report.Results, b.Known)
	p.last = &b
	m.build(p)
	p.last = nil // the profile is not kept alive
	d.settle()
	m.account(d)
}

// ProfileFailed counts a profile that ended with an error. The series of the
// last finished one stay as they are.
func (m *Metrics) ProfileFailed(name, step string) {
	m.mu.Lock()
	defer m.unlock()
	d, p := m.part(name, step)
	p.profiles++
	p.failures++
	m.recount(p)
	m.account(d)
}

// Forget removes the series of a dataset that is observed no more.
func (m *Metrics) Forget(name string) {
	m.mu.Lock()
	defer m.unlock()
	delete(m.datasets, clean(name))
	m.dirty = true
}

// builder collects the series of a part, each set of labels once.
type builder struct {
	m      *Metrics
	p      *part
	seen   map[string]bool
	groups []group
}

func (b *builder) group(class, index int) *group {
	b.groups = append(b.groups, group{class: class, index: index, dataset: b.p.dataset, step: b.p.step})
	return &b.groups[len(b.groups)-1]
}

// add makes a series of the dataset and step; values are those of the other
// labels. Later series with the same labels are left out.
func (b *builder) add(name string, v float64, values ...string) {
	values = slices.Concat([]string{b.p.dataset, b.p.step}, values)
	if b.first(name, values) {
		b.put(b.m.constant(name, v, values...))
	}
}

func (b *builder) first(name string, values []string) bool {
	k := key(name, values)
	if b.seen[k] {
		return false
	}
	b.seen[k] = true
	return true
}

func (b *builder) put(s prometheus.Metric) {
	g := &b.groups[len(b.groups)-1]
	g.metrics = append(g.metrics, s)
}

// build makes the series of a part. The caller holds mu.
func (m *Metrics) build(p *part) {
	b := &builder{m: m, p: p, seen: map[string]bool{}}
	b.counts()
	b.shape()
	b.checks()
	if p.last != nil {
		b.drift(p.last.Report.Results)
		b.columns(p.last)
	}
	p.groups = slices.DeleteFunc(b.groups, func(g group) bool { return len(g.metrics) == 0 })
}

// recount replaces the counters and the checks of a part and keeps what the
// last profile gave. The caller holds mu.
func (m *Metrics) recount(p *part) {
	b := &builder{m: m, p: p, seen: map[string]bool{}}
	b.counts()
	b.checks()
	for _, g := range p.groups {
		if !g.counts {
			b.groups = append(b.groups, g)
		}
	}
	p.groups = b.groups
}

// counts adds what exists from the first word about a dataset on.
func (b *builder) counts() {
	p := b.p
	b.group(classDataset, 0).counts = true
	b.add("profiler_dataset_info", 1, p.pipeline, p.sourceKind, p.owner)
	b.add("profiler_profiles_total", p.profiles)
	b.add("profiler_profile_failures_total", p.failures)
	b.add("profiler_profiled_rows_total", p.rows)
	b.add("profiler_profiled_bytes_total", p.bytes)
	b.add("profiler_malformed_records_total", p.malformed)
	for _, c := range changeKinds {
		b.add("profiler_schema_changes_total", p.changes[c], c)
	}
}

// shape adds what the last profile says of the whole batch.
func (b *builder) shape() {
	p := b.p
	if p.last == nil {
		return
	}
	s := p.last.Summary
	b.group(classDataset, 1)
	b.add("profiler_dataset_rows", float64(s.Read()))
	b.add("profiler_dataset_columns", float64(len(s.Columns)))
	b.add("profiler_dataset_size_bytes", float64(s.Bytes))
	b.add("profiler_dataset_last_profile_timestamp_seconds", seconds(p.at))
	if t := p.last.NewestEvent; !t.IsZero() {
		b.add("profiler_dataset_newest_event_timestamp_seconds", seconds(t))
	}
	if !p.changedAt.IsZero() {
		b.add("profiler_schema_last_change_timestamp_seconds", seconds(p.changedAt))
	}
	if t := p.last.BaselineAt; !t.IsZero() {
		b.add("profiler_drift_baseline_timestamp_seconds", seconds(t))
	}
}
