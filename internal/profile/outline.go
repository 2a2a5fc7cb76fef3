package profile

import "github.com/profilerhq/profiler/internal/batch"

// Outline returns the parts of the statistics of a column that need no order of
// its values: name, type, counts, distinct values and Bounds; nil without such a
// column. More of it may be set, and none of that is to be relied on. It is
// meant for the merged columns of a baseline, where Column is costly.
func (p *Profile) Outline(name string) *Column {
	i, ok := p.index[name]
	if !ok {
		return nil
	}
	return p.outline(i)
}

func (p *Profile) outline(i int) *Column {
	l := p.lazyColumn(i)
	if l.done.Load() {
		return &l.summary
	}
	l.outlineOnce.Do(func() { l.outline = p.columns[i].outline() })
	return &l.outline
}

func (c *column) outline() Column {
	switch {
	case c.pool != nil:
		return c.pooledOutline()
	case c.dict == nil || c.sensitive:
		return c.summarize()
	}
	agg := c.tally()
	d := c.decide(&agg.facts)
	s := c.frame(&d, &agg.facts)
	s.Distinct = Estimate{Value: int64(len(c.values(d.typ))), Exact: true}
	s.relateDistinct()
	switch t := agg.times[d.typ.Family()]; {
	case d.typ.Numeric() && agg.nums.moments.N() > 0:
		s.minVal, s.maxVal = agg.nums.extremes()
	case d.typ.Temporal() && t != nil && t.n > 0:
		s.minVal, s.maxVal = t.min, t.max
	}
	return s
}

// tally is aggregate in any order, which is good for counts and bounds alone.
func (c *column) tally() *aggregates {
	agg := &aggregates{}
	for i := range c.dict.entries {
		e := &c.dict.entries[i]
		switch v := e.value(); {
		case e.typ.Numeric():
			agg.nums.add(v, e.count)
		case e.typ.Temporal():
			agg.timesOf(e.typ.Family()).add(v, e.count)
		}
		if c.hasText || e.typ == batch.String {
			agg.facts.add(e.flags, e.chars, e.count)
		}
	}
	return agg
}
