package profile

import (
	"math"
	"slices"
	"sync"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// Slide is one column of counted numbers over profiles that come and go in
// their order, as those of a window that moves on. A step costs a pass over the
// numbers, however many profiles the window has; the outcome is that of Merged.
// The zero value with a Name is empty.
type Slide struct {
	Name string

	parts   []*Profile // with the column, oldest first
	numbers []sketch.Weighted[float64]
	shared  bool       // numbers were given out
	like    *column    // the first one with values
	only    batch.Type // of its numbers; Null if there are several
}

// digest is what a slide needs of a column of one profile.
type digest struct {
	numbers []sketch.Weighted[float64]
	nums    numbers
	facts   facts
	only    batch.Type // of all numbers; Null if there are several
}

// maxWhole is the largest integer up to which all have a float64 of their own.
const maxWhole = 1 << 53

// digest returns what a slide needs of a column, nil if it cannot follow it: it
// must be counted and have finite numbers alone that a float64 tells apart.
func (c *column) digest() *digest {
	if c.dict == nil || c.sensitive || c.clash || c.codes.dict != nil || c.pool != nil {
		return nil
	}
	d := &digest{}
	for i := range c.dict.entries {
		e := &c.dict.entries[i]
		v := e.value()
		f := asFloat(v)
		if !e.typ.Numeric() || f-f != 0 || e.typ == batch.Integer && math.Abs(f) > maxWhole {
			return nil
		}
		if i == 0 {
			d.only = e.typ
		} else if d.only != e.typ {
			d.only = batch.Null
		}
		if c.hasText {
			d.facts.add(e.flags, e.chars, e.count)
		}
		d.nums.add(v, e.count)
	}
	d.numbers, _, _ = c.weightedNumbers(nil)
	return d
}

func (p *Profile) digest(name string) (*column, *digest) {
	i, ok := p.index[name]
	if !ok {
		return nil, nil
	}
	l := p.lazyColumn(i)
	l.digestOnce.Do(func() { l.digest = p.columns[i].digest() })
	return p.columns[i], l.digest
}

// Push adds the newest profile, which must not change any more. It returns false
// if the column cannot be followed exactly; the slide is of no use then.
func (s *Slide) Push(p *Profile) bool {
	c, d := p.digest(s.Name)
	if d == nil || !s.takes(p, c, d) {
		return false
	}
	s.parts = append(s.parts, p)
	s.numbers, s.shared = withNumbers(s.numbers, d.numbers), false
	return true
}

// takes reports whether a column is of the form of those before, so that the
// merged one is too.
func (s *Slide) takes(p *Profile, c *column, d *digest) bool {
	if len(s.parts) > 0 {
		if o := s.parts[0]; p.Dataset != o.Dataset || p.key != o.key || p.Stats.Sample != o.Stats.Sample {
			return false
		}
	}
	if c.rows == c.nulls {
		return !c.hasText && !c.inferred && c.declared == batch.Null || s.like != nil && c.hasForm(s.like)
	}
	if s.like == nil {
		s.like, s.only = c, d.only
	}
	return c.hasForm(s.like) && (c.hasText || d.only == s.only && d.only != batch.Null)
}

func (c *column) hasForm(o *column) bool {
	return c.list == o.list && c.hasText == o.hasText && c.inferred == o.inferred && c.declared == o.declared
}

// Pop takes the oldest profile away again.
func (s *Slide) Pop() {
	_, d := s.parts[0].digest(s.Name)
	s.parts = s.parts[1:]
	if s.shared {
		s.numbers, s.shared = slices.Clone(s.numbers), false
	}
	s.numbers = withoutNumbers(s.numbers, d.numbers)
}

// Into returns the profile with the slide in the place of its column of that
// name; the profile is to be that of the same batches. ok is false if the column
// would not be one of counted numbers.
func (s *Slide) Into(p *Profile) (q *Profile, ok bool) {
	c := s.column(len(p.columns))
	i, known := p.index[s.Name]
	if c == nil || !known {
		return nil, false
	}
	q = &Profile{Info: p.Info, rows: p.rows, columns: slices.Clone(p.columns), index: p.index, lists: p.lists, dups: p.dups, key: p.key}
	q.columns[i] = c
	return q, true
}

// column returns the pooled column of a profile of the given width, nil if
// merging would not leave it one of counted numbers.
func (s *Slide) column(width int) *column {
	if len(s.parts) == 0 || s.like == nil {
		return nil
	}
	c := &column{name: s.Name, list: s.like.list, declared: s.like.declared, hasText: s.like.hasText, inferred: s.like.inferred}
	c.pool = &pool{numbers: s.numbers, parts: slices.Clone(s.parts)}
	entries, texts := 0, 0
	for _, p := range s.parts {
		o, d := p.digest(s.Name)
		c.rows, c.nulls, c.empties, c.zoned = c.rows+o.rows, c.nulls+o.nulls, c.empties+o.empties, c.zoned || o.zoned
		for t, n := range o.types {
			if c.first[t].Row == 0 {
				c.first[t] = o.first[t]
			}
			c.types[t] += n
		}
		c.pool.facts.merge(d.facts)
		c.pool.nums.merge(&d.nums)
		entries, texts = entries+o.dict.len(), texts+len(o.dict.arena)
	}
	if entries > exactLimit(c.rows, width) || texts > exactText || !c.decide(&c.pool.facts).typ.Numeric() {
		return nil
	}
	s.shared = true
	return c
}

// pool is the state of a column of several profiles that are not merged yet: its
// numbers are known, the rest once somebody asks for it.
type pool struct {
	numbers []sketch.Weighted[float64]
	nums    numbers
	facts   facts
	parts   []*Profile
	once    sync.Once
	merged  *column
}

// whole returns the column with all of its state.
func (c *column) whole() *column {
	k := c.pool
	if k == nil {
		return c
	}
	k.once.Do(func() {
		m := empty()
		for _, p := range k.parts {
			_ = m.merge(p.Select([]string{c.name})) // they agree
		}
		k.merged = m.columns[0]
	})
	return k.merged
}

// pooledOutline is the outline of the column, from its numbers alone.
func (c *column) pooledOutline() Column {
	d := c.decide(&c.pool.facts)
	s := c.frame(&d, &c.pool.facts)
	s.Distinct = Estimate{Value: int64(len(c.pool.numbers)), Exact: true}
	s.relateDistinct()
	if n := &c.pool.nums; n.moments.N() > 0 {
		s.minVal, s.maxVal = n.extremes()
	}
	return s
}

// withNumbers returns the sum of two lists by value, in memory of its own.
func withNumbers(all, more []sketch.Weighted[float64]) []sketch.Weighted[float64] {
	out := make([]sketch.Weighted[float64], 0, len(all)+len(more))
	for _, w := range more {
		k := upTo(all, w.Value)
		out = append(out, all[:k]...)
		all = all[k:]
		if len(all) > 0 && all[0].Value == w.Value {
			w.Weight += all[0].Weight
			all = all[1:]
		}
		out = append(out, w)
	}
	return append(out, all...)
}

// withoutNumbers takes numbers out of a list that has them, in its memory.
func withoutNumbers(all, gone []sketch.Weighted[float64]) []sketch.Weighted[float64] {
	out, rest := all[:0], all
	for _, w := range gone {
		k := upTo(rest, w.Value)
		out = append(out, rest[:k]...)
		last := rest[k]
		rest = rest[k+1:]
		if last.Weight -= w.Weight; last.Weight > 0 {
			out = append(out, last)
		}
	}
	return append(out, rest...)
}

// upTo returns how many numbers are below v; few of them are expected to be.
func upTo(all []sketch.Weighted[float64], v float64) int {
	step := 1
	for step < len(all) && all[step].Value < v {
		step *= 2
	}
	lo, hi := step/2, min(step, len(all))
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); all[mid].Value < v { //nolint:gosec // a sum of two lengths
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
