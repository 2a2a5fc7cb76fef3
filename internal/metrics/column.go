package metrics

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/profilerhq/profiler/internal/profile"
)

// columns adds the series of the columns that the options choose.
func (b *builder) columns(batch *Batch) {
	if b.m.opts.Columns == ColumnsNone {
		return
	}
	named := map[string]bool{}
	for _, c := range batch.RuleColumns {
		named[c] = true
	}
	for i := range batch.Report.Results {
		named[batch.Report.Results[i].Column] = true
	}
	for i := range batch.Summary.Columns {
		c := &batch.Summary.Columns[i]
		class := classRuleColumn
		if !named[c.Name] {
			class = classColumn
		}
		if class == classColumn && b.m.opts.Columns != ColumnsAll {
			continue
		}
		name := clean(c.Name)
		if !b.first("", []string{name}) {
			continue // two names that cannot be told apart in a label
		}
		b.group(class, i)
		if v, ok := c.Metric("null_rate"); ok {
			b.add("profiler_column_null_ratio", v, name)
		}
		b.add("profiler_column_distinct_values", float64(c.Distinct.Value), name)
		b.optIn(i, name, c, batch.Profile)
	}
}

// optIn adds the opt-in families of a column of numbers.
func (b *builder) optIn(index int, name string, c *profile.Column, p *profile.Profile) {
	if !c.Kind().Numeric() || len(b.m.opts.Families) == 0 {
		return
	}
	b.group(classOptIn, index)
	for _, stat := range []string{"min", "max", "mean", "stddev"} {
		if v, ok := c.Metric(stat); ok && slices.Contains(b.m.opts.Families, stat) {
			b.add("profiler_column_"+stat, v, name)
		}
	}
	if p == nil || !slices.Contains(b.m.opts.Families, "values") || c.Min.IsNull() {
		return // a column whose values are not shown has no smallest one
	}
	numbers, _ := p.Numbers(c.Name)
	h := exponential{positive: map[int]int64{}, negative: map[int]int64{}, schema: startSchema}
	for _, w := range numbers {
		h.add(w.Value, w.Weight)
	}
	if s := b.distribution(&h, name); s != nil {
		b.put(s)
	}
}

func (b *builder) distribution(h *exponential, name string) prometheus.Metric {
	if h.count == 0 {
		return nil
	}
	h.shrink(maxBuckets)
	values := []string{b.p.dataset, b.p.step, name}
	d, present := b.m.family("profiler_column_values", values).desc(values)
	s, err := prometheus.NewConstNativeHistogram(d, h.count, h.sum, h.positive, h.negative, h.zero, h.schema,
		prometheus.DefNativeHistogramZeroThreshold, time.Time{}, present...)
	if err != nil {
		panic("BUG: metrics: " + err.Error())
	}
	return s
}

const (
	// startSchema has buckets that grow by 2^(1/4).
	startSchema = 2
	// minSchema has the widest buckets that native histograms know.
	minSchema = -4
	// maxBuckets bounds one distribution.
	maxBuckets = 160
)

// exponential counts values in the buckets of a native histogram: bucket i of
// schema s holds the magnitudes in (2^((i-1)/2^s), 2^(i/2^s)].
type exponential struct {
	schema             int32
	positive, negative map[int]int64
	zero, count        uint64
	sum                float64
}

func (h *exponential) add(v float64, weight uint64) {
	h.count += weight
	h.sum += v * float64(weight)
	switch {
	case math.Abs(v) <= prometheus.DefNativeHistogramZeroThreshold:
		h.zero += weight
	case v > 0:
		h.positive[bucket(v, h.schema)] += int64(weight)
	default:
		h.negative[bucket(-v, h.schema)] += int64(weight)
	}
}

// bucket returns the bucket of a magnitude. The logarithm may be off by a
// rounding, which the bounds put right.
func bucket(v float64, schema int32) int {
	scale := math.Ldexp(1, int(schema))
	i := int(math.Ceil(math.Log2(v) * scale))
	for math.Exp2(float64(i)/scale) < v {
		i++
	}
	for math.Exp2(float64(i-1)/scale) >= v {
		i--
	}
	return i
}

// shrink doubles the width of the buckets until there are few enough.
func (h *exponential) shrink(limit int) {
	for len(h.positive)+len(h.negative) > limit && h.schema > minSchema {
		h.schema--
		h.positive, h.negative = halve(h.positive), halve(h.negative)
	}
}

func halve(buckets map[int]int64) map[int]int64 {
	out := make(map[int]int64, len(buckets))
	for i, n := range buckets {
		out[(i+1)>>1] += n // rounds up, below zero too
	}
	return out
}
