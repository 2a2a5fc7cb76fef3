package anomaly

import (
	"cmp"
	"math"
	"slices"
)

const (
	slowShort = 7  // batches of now, and of a block of the long window
	slowFrom  = 90 // the long window: t−90 … t−30
	slowTo    = 30
	slowLeast = 14 // values of the long window
	slowMADs  = 4
	slowWarns = 2 // times the range of the long window's own blocks
	slowPages = 6
	slowHolds = 5 // batches in a row, before a slow change pages
	cusumSlack,
	cusumLimit = 0.5, 8
)

// slowKinds are the metrics that the slow lane watches; the first that changed
// speaks for its column.
var slowKinds = [...]Kind{KindNull, KindP50, KindMean, KindTV}

// toldChange is a slow change that was paged, or that was part of the story.
type toldChange struct {
	column columnKey
	kind   Kind
	seq    int64   // of the batch that paged
	size   float64 // natural, of the change
}

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
// of the last batches with that of batches long before. A change warns; what is
// told is worth a page. Where levels wander by themselves, as with seasons and
// weather, a change has to go far beyond that.
func (s *State) slowChanges(f *Features, o Options) (out []Evidence, told []toldChange) {
	if s.accepted < slowTo+slowLeast {
		return nil, nil
	}
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
		for _, k := range slowKinds {
			e, page, ok := s.slowChange(known, k, c)
			if !ok {
				continue
			}
			if page {
				told = append(told, toldChange{known.key, k, s.seq, math.Abs(e.Value - e.Expected)})
			}
			out = append(out, e)
			break
		}
	}
	slices.SortStableFunc(out, func(a, b Evidence) int { return cmp.Compare(b.Z, a.Z) })
	return out, told
}

// slowChange compares one metric. What the batch itself has is not looked at:
// the lane asks where the batches before it have gone.
func (s *State) slowChange(c *columnState, k Kind, f *column) (e Evidence, page, ok bool) {
	x, floor := c.series[k], slowFloor(k, c.spread)
	if x == nil || floor <= 0 || len(x.entries) < slowShort+slowHolds {
		return Evidence{}, false, false
	}
	form := specs[k].form
	long := x.longBefore(s.seq, s.level, form)
	if len(long) < slowLeast {
		return Evidence{}, false, false
	}
	wander := 0.0
	was := medianOf(slices.Clone(long))
	for i := 0; i+slowShort <= len(long); i += slowShort {
		wander = max(wander, math.Abs(meanOf(long[i:i+slowShort])-was))
	}
	spread := deviationOf(long, was)
	is := x.lately(0, form)
	diff := math.Abs(is - was)
	if k == KindTV && is < was || diff < floor || diff <= slowMADs*spread || diff <= slowWarns*wander {
		return Evidence{}, false, false
	}
	unit := max(spread, floor/slowMADs)
	e = Evidence{
		Column: c.key.name, Metric: k.String(), Value: is, Expected: was, Low: was - slowMADs*spread, High: was + slowMADs*spread,
		Z: zOf(diff, unit), N: f.count, History: len(long), Shape: "slow", numeric: true, Unit: unitOf(k, f), Was: s.cusum(x, form, was, unit, is > was),
	}
	for i := range s.told {
		if t := &s.told[i]; t.column == c.key && s.seq-t.seq < slowFrom && (t.kind != k || diff < 2*t.size) {
			return Evidence{}, false, false
		}
	}
	if len(long) < 4*slowShort {
		return e, false, true
	}
	least := max(floor, slowMADs*spread, slowPages*wander)
	for back := range slowHolds {
		if then := x.lately(back, form); math.Abs(then-was) < least || then > was != (is > was) {
			return e, false, true
		}
	}
	return e, true, true
}

// longBefore returns the accepted natural values of the long window, oldest
// first, and none of before the level.
func (s *series) longBefore(seq, level int64, form transform) (out []float64) {
	for i := range s.entries {
		if e := &s.entries[i]; e.accepted && e.seq < seq-slowTo && e.seq >= max(level, seq-slowFrom) {
			out = append(out, form.invert(e.value))
		}
	}
	return out
}

// lately is the median of the last natural values but the newest ones that are
// skipped.
func (s *series) lately(skip int, form transform) float64 {
	var buf [slowShort]float64
	n := len(s.entries) - skip
	for i, e := range s.entries[n-slowShort : n] {
		buf[i] = form.invert(e.value)
	}
	return medianOf(buf[:])
}

// deviationOf is the scale of section 2 of the design around a center: where most
// values are equal the largest tenth says how far the others go.
func deviationOf(v []float64, center float64) float64 {
	size := make([]float64, len(v))
	for i := range v {
		size[i] = math.Abs(v[i] - center)
	}
	slices.Sort(size)
	return max(1.4826*quantile(size, 0.5), quantile(size, 0.9)/1.645)
}

func meanOf(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}

// toldLately reports whether a slow change paged within the batches of now: what
// follows it in other columns is one story with it.
func (s *State) toldLately() bool { return s.slowPage > 0 && s.seq+1-s.slowPage < slowTo }

// tell remembers slow changes, so that they page once and warn no more.
func (s *State) tell(told []toldChange) {
	for _, t := range told {
		s.told = slices.DeleteFunc(s.told, func(old toldChange) bool { return old.column == t.column })
		s.told = append(s.told, t)
	}
	s.told = slices.DeleteFunc(s.told, func(t toldChange) bool { return s.seq-t.seq >= slowFrom })
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
