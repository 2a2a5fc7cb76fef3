package anomaly

import (
	"math"
	"slices"
)

const (
	slowShort = 7  // batches of now
	slowFrom  = 90 // the long window: t−90 … t−30
	slowTo    = 30
	slowLeast = 14 // values of the long window
	slowMADs  = 4
	cusumSlack,
	cusumLimit = 0.5, 8
)

// slowFloor is the change of a metric that is worth a word: half a spread, five
// points of total variation, two points of nulls; 0 for metrics that the slow
// lane does not watch.
func slowFloor(k Kind, spread float64) float64 {
	switch k {
	case KindMean, KindP50:
		return 0.5 * spread
	case KindTV:
		return 0.05
	case KindNull:
		return 0.02
	default:
		return 0
	}
}

// slowChanges is the slow lane: section 7 of the design. It compares the median
// of the last batches with that of batches long before.
func (s *State) slowChanges(f *Features, o Options) []Evidence {
	if s.accepted < slowTo+slowLeast {
		return nil
	}
	var out []Evidence
	for i := range f.columns {
		c := &f.columns[i]
		known := s.index[columnKey{c.name, c.offset}]
		if known == nil || ignored(o.Ignore, c.name) {
			continue
		}
		base := s.index[columnKey{c.name, false}]
		if c.stepping || c.offset {
			if base == nil || base.running(c) != c.offset {
				continue
			}
		}
		for _, k := range []Kind{KindNull, KindP50, KindMean, KindTV} {
			if e, ok := s.slowChange(known, k, c); ok {
				out = append(out, e)
				break
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Evidence) int { return int(math.Copysign(1, b.Z-a.Z)) })
	return out
}

// slowChange compares one metric.
func (s *State) slowChange(c *columnState, k Kind, f *column) (Evidence, bool) {
	x, floor := c.series[k], slowFloor(k, c.spread)
	if x == nil || floor <= 0 {
		return Evidence{}, false
	}
	form := specs[k].form
	var long []float64
	for i := range x.entries {
		if e := &x.entries[i]; e.accepted && e.seq < s.seq-slowTo && e.seq >= s.seq-slowFrom {
			long = append(long, form.invert(e.value))
		}
	}
	n := len(x.entries)
	if len(long) < slowLeast || n < slowShort {
		return Evidence{}, false
	}
	var short []float64
	for _, e := range x.entries[n-slowShort:] {
		short = append(short, form.invert(e.value))
	}
	was, is := medianOf(long), medianOf(short)
	deviation := make([]float64, len(long))
	for i, v := range long {
		deviation[i] = math.Abs(v - was)
	}
	spread := 1.4826 * medianOf(deviation)
	diff := math.Abs(is - was)
	if k == KindTV && is < was || diff < floor || diff <= slowMADs*spread {
		return Evidence{}, false
	}
	since := s.cusum(x, form, was, max(spread, floor/slowMADs), is > was)
	e := Evidence{
		Column: c.key.name, Metric: k.String(), Value: is, Expected: was, Low: was - slowMADs*spread, High: was + slowMADs*spread,
		Z: zOf(diff, max(spread, floor/slowMADs)), N: f.count, History: len(long), Shape: "slow", numeric: true, Was: since,
	}
	return e, true
}

// cusum dates the start of a slow change: the tabular CUSUM of the residuals to
// the long baseline (Page, 1954). It returns the id of the batch, or "".
func (s *State) cusum(x *series, form transform, was, scale float64, rising bool) string {
	sum, start, found := 0.0, int64(-1), int64(-1)
	for i := range x.entries {
		e := &x.entries[i]
		r := (form.invert(e.value) - was) / scale
		if !rising {
			r = -r
		}
		if sum == 0 {
			start = e.seq
		}
		sum = max(0, sum+r-cusumSlack)
		if sum > cusumLimit && found < 0 {
			found = start
		}
		if sum == 0 {
			found = -1
		}
	}
	if found < 0 {
		return ""
	}
	return s.idOf(found)
}
