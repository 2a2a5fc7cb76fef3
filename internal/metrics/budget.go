package metrics

import (
	"cmp"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// The budgets.
const (
	budgetDataset = "dataset"
	budgetProcess = "process"
)

// The classes of series, in the order in which they are kept: what is last
// drops first.
const (
	classDataset    = iota // volume and shape
	classCheck             // checks and drift
	classRuleColumn        // columns that a rule names
	classColumn            // all other columns
	classOptIn             // opt-in families
)

// group is a bundle of series that are exported together or not at all: those
// of one check, or of one column.
type group struct {
	class, index  int
	dataset, step string
	counts        bool // counters, which change without a profile
	metrics       []prometheus.Metric
}

func compareGroups(a, b group) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.index, b.index), cmp.Compare(a.dataset, b.dataset), cmp.Compare(a.step, b.step))
}

// fit returns how many of the sorted groups are within a budget, and how many
// series these are. It stops at the first group that does not fit, so that the
// set depends on nothing but the order.
func fit(groups []group, budget int) (n, count int) {
	for _, g := range groups {
		if count+len(g.metrics) > budget {
			break
		}
		count += len(g.metrics)
		n++
	}
	return n, count
}

func countSeries(groups []group) int {
	n := 0
	for _, g := range groups {
		n += len(g.metrics)
	}
	return n
}

// trim chooses the series of a dataset within its budget. The caller holds mu.
func (m *Metrics) trim(d *dataset) {
	var all []group
	for _, p := range d.parts {
		all = append(all, p.groups...)
	}
	slices.SortFunc(all, compareGroups)
	n, count := fit(all, m.opts.SeriesPerDataset)
	d.kept, d.count, d.over = all[:n], count, countSeries(all[n:])
	d.flat = flatten(d.kept)
}

func flatten(groups []group) []prometheus.Metric {
	out := make([]prometheus.Metric, 0, countSeries(groups))
	for _, g := range groups {
		out = append(out, g.metrics...)
	}
	return out
}

// cut returns the series of all datasets that fit into the budget of the
// process beside those already used. The caller holds mu.
func (m *Metrics) cut(used int) (parts [][]prometheus.Metric, count int) {
	for _, d := range m.datasets {
		count += d.count
		d.cut = 0
	}
	if used+count <= m.opts.Series {
		for _, d := range m.datasets {
			parts = append(parts, d.flat)
		}
		return parts, count
	}
	var all []group
	for _, d := range m.datasets {
		all = append(all, d.kept...)
	}
	slices.SortFunc(all, compareGroups)
	n, count := fit(all, max(m.opts.Series-used, 0))
	for _, g := range all[n:] {
		m.datasets[g.dataset].cut += len(g.metrics)
	}
	return [][]prometheus.Metric{flatten(all[:n])}, count
}

// account counts the series of a dataset that its new profile left out, and
// publishes the result. The caller holds mu.
func (m *Metrics) account(d *dataset) {
	m.trim(d)
	m.publish()
	m.drop(budgetDataset, d.name, d.over)
	m.drop(budgetProcess, "", d.cut)
}

// drop counts series that were left out, and logs the first time. The caller
// holds mu.
func (m *Metrics) drop(budget, name string, n int) {
	if n == 0 {
		return
	}
	m.dropped[budget].Add(float64(n))
	if k := key(budget, []string{name}); !m.logged[k] {
		m.logged[k] = true
		limit := m.opts.Series
		attrs := []any{slog.String("budget", budget), slog.Int("dropped", n)}
		if budget == budgetDataset {
			limit = m.opts.SeriesPerDataset
			attrs = append(attrs, slog.String("dataset", name))
		}
		m.opts.Logger.Warn("metric series are left out because the budget is used up", append(attrs, slog.Int("limit", limit))...)
	}
}
