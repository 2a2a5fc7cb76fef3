package signal

import (
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/drift"
	"github.com/profilerhq/profiler/internal/profile"
)

// The peers are the rules of other tools and papers, written again on our
// profiles; they are not their code. Each learns from all batches, because that
// is what they do, except for OnlineNormal, which leaves out what it reports.

// peers returns new peers, without a history.
func peers() []detector {
	return []detector{&zScore{}, &onlineNormal{}, &anyDrift{}, &anyPSI{}, &neighbours{}}
}

// vector is a batch as the peers see it: numbers by name, in a fixed order.
type vector struct {
	names  []string // metric, then the column
	values []float64
}

// vectorOf takes the batch's rows and of each column what the tools compute.
// Where the numbers of an id lie is left out, as their users would.
func vectorOf(p *profile.Profile) vector {
	s := p.Summary()
	var v vector
	add := func(name string, x float64, ok bool) {
		if ok && !math.IsNaN(x) && !math.IsInf(x, 0) {
			v.names, v.values = append(v.names, name), append(v.values, x)
		}
	}
	add("rows", float64(s.Rows), true)
	for i := range s.Columns {
		c := &s.Columns[i]
		for _, m := range []string{"null_rate", "distinct_rate", "top_share", "mean", "stddev", "min", "max", "median", "mean_length"} {
			x, ok := c.Metric(m)
			add(m+" "+c.Name, x, ok && !(isID(c) && m != "null_rate" && m != "distinct_rate"))
		}
	}
	return v
}

// isID tells of integers that are all different.
func isID(c *profile.Column) bool {
	return c.Kind() == batch.Integer && c.Count >= 20 && c.DistinctRatio != nil && *c.DistinctRatio > 0.99
}

// column is the column of a metric's name, "" for rows.
func column(metric string) string {
	for i := range metric {
		if metric[i] == ' ' {
			return metric[i+1:]
		}
	}
	return ""
}

// running is mean and variance of a metric (Welford 1962).
type running struct {
	n        float64
	mean, m2 float64
}

func (r *running) add(x float64) {
	r.n++
	d := x - r.mean
	r.mean += d / r.n
	r.m2 += d * (x - r.mean)
}

func (r *running) z(x float64) float64 {
	if r == nil || r.n < 3 {
		return 0
	}
	d := math.Abs(x - r.mean)
	switch sd := math.Sqrt(r.m2 / (r.n - 1)); {
	case d <= 1e-12*math.Abs(r.mean):
		return 0
	case sd == 0:
		return 1e6
	default:
		return d / sd
	}
}

// zScore pages if rows, a null rate or a mean is more than three standard
// deviations from its mean.
type zScore struct{ past map[string]*running }

func (z *zScore) name() string { return "z-score" }

func usual(metric string) bool {
	return metric == "rows" || hasMetric(metric, "null_rate") || hasMetric(metric, "mean")
}

func hasMetric(name, metric string) bool {
	return len(name) > len(metric) && name[:len(metric)] == metric && name[len(metric)] == ' '
}

func (z *zScore) judge(b *observed) outcome {
	return worst(b.vector, func(name string, x float64) float64 {
		if !usual(name) {
			return 0
		}
		return z.past[name].z(x) / 3
	})
}

func (z *zScore) take(b *observed, _ outcome) { learn(&z.past, b.vector) }

func learn(past *map[string]*running, v vector) {
	if *past == nil {
		*past = map[string]*running{}
	}
	for i, name := range v.names {
		r := (*past)[name]
		if r == nil {
			r = &running{}
			(*past)[name] = r
		}
		r.add(v.values[i])
	}
}

// worst pages by the largest score of a metric; 1 is the limit.
func worst(v vector, score func(name string, x float64) float64) outcome {
	scores := make([]float64, len(v.names))
	for i, name := range v.names {
		scores[i] = score(name, v.values[i])
	}
	return ranked(scores, func(i int) string { return column(v.names[i]) })
}

// ranked makes an outcome of scores, of which the largest decides.
func ranked(scores []float64, column func(i int) string) outcome {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	var o outcome
	for _, i := range order {
		if c := column(i); scores[i] > 0 && len(o.columns) < 3 && !slices.Contains(o.columns, c) {
			o.columns = append(o.columns, c)
		}
	}
	if len(order) > 0 {
		o.score = scores[order[0]]
	}
	o.page = o.score > 1
	return o
}

// onlineNormal is the strategy of Deequ with its defaults: three standard
// deviations of a running mean, for rows, null rates and means by themselves;
// what it reports does not change the mean.
type onlineNormal struct{ past map[string]*running }

func (n *onlineNormal) name() string { return "OnlineNormal" }

func (n *onlineNormal) judge(b *observed) outcome {
	return worst(b.vector, func(name string, x float64) float64 {
		if !usual(name) {
			return 0
		}
		return n.past[name].z(x) / 3
	})
}

func (n *onlineNormal) take(b *observed, _ outcome) {
	var v vector
	for i, name := range b.vector.names {
		if n.past[name].z(b.vector.values[i]) <= 3 {
			v.names, v.values = append(v.names, name), append(v.values, b.vector.values[i])
		}
	}
	learn(&n.past, v)
}

// anyDrift pages if any column drifted from the previous batch, by Evidently's
// defaults: up to 1,000 rows the p value of KS or chi² below 0.05, beyond
// Wasserstein or Jensen-Shannon from 0.1 on.
type anyDrift struct{ previous samples }

func (d *anyDrift) name() string { return "any drift" }

func (d *anyDrift) judge(b *observed) outcome {
	return d.previous.compare(b.samples, func(before, now drift.Sample) float64 {
		numeric := now.Numbers != nil
		method := map[[2]bool]drift.Method{
			{true, true}: drift.MethodKS, {false, true}: drift.MethodChi2, {true, false}: drift.MethodWasserstein, {false, false}: drift.MethodJS,
		}[[2]bool{numeric, now.Rows <= 1000}]
		o, err := drift.Compare(method, before, now)
		switch {
		case err != nil:
			return 0
		case now.Rows > 1000:
			return o.Distance / 0.1
		}
		return math.Log(max(o.P, 1e-300)) / math.Log(0.05)
	})
}

func (d *anyDrift) take(b *observed, _ outcome) { d.previous = b.samples }

// anyPSI pages if the PSI of any column to the previous batch exceeds 0.2.
type anyPSI struct{ previous samples }

func (d *anyPSI) name() string { return "PSI" }

func (d *anyPSI) judge(b *observed) outcome {
	return d.previous.compare(b.samples, func(before, now drift.Sample) float64 {
		o, err := drift.Compare(drift.MethodPSI, before, now)
		if err != nil {
			return 0
		}
		return o.Distance / 0.2
	})
}

func (d *anyPSI) take(b *observed, _ outcome) { d.previous = b.samples }

// samples are the columns of a batch for drift.
type samples struct {
	names []string
	of    map[string]drift.Sample
}

// samplesOf leaves out times and ids, whose position moves by nature.
func samplesOf(p *profile.Profile) samples {
	s := samples{of: map[string]drift.Sample{}}
	for _, name := range p.ColumnNames() {
		c := p.Column(name)
		if c.Count == 0 || c.Kind().Temporal() || isID(c) {
			continue
		}
		d := drift.Sample{Rows: uint64(c.Count), Distinct: uint64(max(0, c.Distinct.Value))} //nolint:gosec // a count
		if c.Kind().Numeric() {
			d.Numbers, d.RankError = p.Numbers(name)
		} else {
			values, missing := p.Values(name, 1000)
			for _, v := range values {
				d.Values = append(d.Values, drift.Value{Text: v.Text, Count: v.Count, Error: v.Error})
			}
			d.Missing, d.Exact = missing, missing == 0
		}
		s.names, s.of[name] = append(s.names, name), d
	}
	return s
}

// compare scores each column that both batches have.
func (s *samples) compare(now samples, score func(before, now drift.Sample) float64) outcome {
	scores := make([]float64, len(now.names))
	for i, name := range now.names {
		before, ok := s.of[name]
		if ok && (before.Numbers == nil) == (now.of[name].Numbers == nil) {
			scores[i] = score(before, now.of[name])
		}
	}
	return ranked(scores, func(i int) string { return now.names[i] })
}

// neighbours pages if the mean distance to the five nearest batches exceeds
// that of 99 % of the history, as in Redyuk et al., "Automating Data Quality
// Validation for Dynamic Data Ingestion" (EDBT 2021). Metrics are scaled to
// the range of the history.
type neighbours struct{ past []vector }

func (n *neighbours) name() string { return "kNN" }

const nearest = 5

func (n *neighbours) judge(b *observed) outcome {
	if len(n.past) < 8 {
		return outcome{}
	}
	scaled, names := scaleVectors(append(slices.Clone(n.past), b.vector))
	last := len(scaled) - 1
	var usual []float64
	for i := range last {
		usual = append(usual, meanNearest(scaled[i], scaled[:last], i))
	}
	limit := quantile(usual, 0.99)
	o := outcome{score: meanNearest(scaled[last], scaled[:last], -1) / max(limit, 1e-9)}
	o.page = o.score > 1
	away := make([]float64, len(names))
	for j := range names {
		x := scaled[last][j]
		away[j] = max(0, x-1, -x) // beyond the range of the history
	}
	o.columns = ranked(away, func(i int) string { return column(names[i]) }).columns
	return o
}

func (n *neighbours) take(b *observed, _ outcome) { n.past = append(n.past, b.vector) }

// scaleVectors scales each metric to 0 … 1 over all vectors but the last. A
// metric that a vector lacks is 0 there.
func scaleVectors(all []vector) (scaled [][]float64, names []string) {
	index := map[string]int{}
	for _, v := range all {
		for _, name := range v.names {
			if _, ok := index[name]; !ok {
				index[name] = len(names)
				names = append(names, name)
			}
		}
	}
	scaled = make([][]float64, len(all))
	for i, v := range all {
		scaled[i] = make([]float64, len(names))
		for k, name := range v.names {
			scaled[i][index[name]] = v.values[k]
		}
	}
	for j := range names {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, row := range scaled[:len(scaled)-1] {
			lo, hi = min(lo, row[j]), max(hi, row[j])
		}
		width := hi - lo
		if width == 0 {
			width = max(math.Abs(lo), 1) * 1e-3
		}
		for _, row := range scaled {
			row[j] = (row[j] - lo) / width
		}
	}
	return scaled, names
}

// meanNearest is the mean distance to the nearest of the others; self is the
// index of x among them, or -1.
func meanNearest(x []float64, others [][]float64, self int) float64 {
	var d []float64
	for i, o := range others {
		if i == self {
			continue
		}
		sum := 0.0
		for j := range x {
			diff := x[j] - o[j]
			sum += diff * diff
		}
		d = append(d, math.Sqrt(sum))
	}
	slices.Sort(d)
	d = d[:min(nearest, len(d))]
	sum := 0.0
	for _, v := range d {
		sum += v
	}
	return sum / float64(max(1, len(d)))
}

// quantile interpolates (type 7); NaN of nothing.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
