package checks

import (
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/exact"
	"github.com/profilerhq/profiler/internal/profile"
)

// isCounted reports whether the metric is one that the profile of a large batch
// only estimates and that is counted exactly beside it because a rule asks. The
// estimate is judged where its bound keeps it clear of the limits; else, and
// where there is none, the exact number is.
func (m *metric) isCounted() bool {
	return slices.Contains([]string{"distinct", "distinct_rate", "unique_rate", "duplicate_rows"}, m.kind.name)
}

// exactEvaluator is a state with sets: it has to be given their space, and has
// to be closed.
type exactEvaluator interface {
	useSpace(*exact.Space)
	settle()
	close()
}

// counter returns the state that counts the rows of one batch.
func (m *metric) counter() rowEvaluator {
	if m.kind.dataset {
		return &rowCounter{}
	}
	k := &keyCounter{keys: newKeys(nil, &sampler{})}
	if m.kind.name == "distinct" {
		k.enough = m.largest() * 1.1
	}
	return k
}

// largest returns the largest limit.
func (m *metric) largest() float64 {
	top := math.Inf(-1)
	for _, f := range m.ends() {
		top = max(top, f)
	}
	return top
}

// ends returns the limits as numbers.
func (m *metric) ends() (ends []float64) {
	for _, z := range []*zone{m.warn, m.fail} {
		for _, l := range z.literals() {
			ends = append(ends, asFloat(l.value))
		}
	}
	return ends
}

// near reports whether a limit lies inside the bound of an estimate.
func (m *metric) near(v measurement) bool {
	f := asFloat(v.value)
	low, high := f-v.bound, f+v.bound
	if m.kind.dataset && f == 0 { // shown only as far as it exceeds the bound
		low, high = 0, 2*v.bound
	}
	return slices.ContainsFunc(m.ends(), func(end float64) bool { return end >= low && end <= high })
}

// exactResult judges the finished batch with that state.
func (m *metric) exactResult(in *Input, col *profile.Column, e rowEvaluator, res Result) Result {
	s := in.Profile.Summary()
	v := m.measure(s, col)
	if col != nil && (col.Distinct.Exact || col.Count == 0 || col.Kind() == batch.List || col.Kind() == batch.Struct) || col == nil && s.Duplicates.Exact {
		return m.result(in, col, res)
	}
	if v.ok && !m.near(v) {
		return res.judgeNumber(m.subject(col), v, limits{m.warn, m.fail, m.kind.share})
	}
	number, err := 0.0, ""
	switch c := e.(type) {
	case *rowCounter:
		number, err = c.duplicates()
	case *keyCounter:
		number, err = c.number(m.kind.name, col, v)
	}
	if err != "" {
		res.Limit = zoneLimit(m.warn, m.fail, m.kind.share)
		if !v.ok {
			return res.errorf("%s is not known: %s", m.subject(col), err)
		}
		return res.errorf("%s is %s ± %s, too near to the limit, and %s", m.subject(col), metricText(asFloat(v.value), m.kind.share), metricText(v.bound, m.kind.share), err)
	}
	v = measurement{value: batch.Value{Type: batch.Number, Float: number}, text: metricText(number, m.kind.share), ok: true}
	if !m.kind.share {
		v.value = batch.Value{Type: batch.Integer, Int: int64(number)}
	}
	return res.judgeNumber(m.subject(col), v, limits{m.warn, m.fail, m.kind.share})
}

// keyCounter counts the values of a column exactly.
type keyCounter struct {
	*keys
	// enough is a number of distinct values that is clear of all limits, the
	// estimate's bound included: with more there is nothing to tell. 0 is never.
	enough float64
	gone   bool
}

func (c *keyCounter) observe(r *rows) {
	if c.gone {
		return
	}
	c.keys.observe(r)
	if c.enough > 0 && c.byRows.Err() == nil && !c.byRows.Spilled() && c.distinct() > c.enough {
		c.gone = true
		c.close()
	}
}

// distinct returns how many values there are at least.
func (c *keyCounter) distinct() float64 {
	return float64(c.plain - c.byRows.All.Rows + c.byRows.All.Keys)
}

// number returns a metric of the finished column, or why it is not known.
// estimate is that of the profile.
func (c *keyCounter) number(name string, col *profile.Column, estimate measurement) (float64, string) {
	if c.gone {
		return max(math.Ceil(c.enough), asFloat(estimate.value)), ""
	}
	r := c.read(func(int) *profile.Column { return col })
	distinct, count := float64(r.evaluated-r.failed+r.repeated), float64(r.evaluated)
	switch name {
	case "distinct":
		return distinct, r.err
	case "distinct_rate":
		return distinct / count, r.err
	}
	return float64(r.evaluated-r.failed) / count, r.err
}

// rowCounter counts repeated rows exactly. Rows are equal if their values are
// written alike in text formats, and are equal elsewhere, as in the profile.
type rowCounter struct {
	space *exact.Space
	set   *exact.Set
	sums  []xxh3.Uint128
	rows  []exact.Row
}

func (c *rowCounter) useSpace(space *exact.Space) { c.space = space }

func (c *rowCounter) absent(earlier) {}

func (c *rowCounter) outcome(*profile.Column) outcome { return outcome{} }

func (c *rowCounter) observe(r *rows) {
	if c.set == nil {
		c.set = exact.NewSet(c.space, nil)
	}
	c.sums = slices.Grow(c.sums[:0], r.chunk.Rows)[:r.chunk.Rows]
	clear(c.sums)
	for col := range r.chunk.Vectors {
		v := &r.chunk.Vectors[col]
		salt := mix(uint64(col) + 1)
		at, last := uint64(0), -1
		for i := range v.Len() {
			row := v.RowOf(i)
			if at++; row != last { // the place of an element in its row
				at, last = 0, row
			}
			p, j := v.At(i)
			if p.Types[j] == batch.Null {
				continue
			}
			var id xxh3.Uint128
			if p.HasText {
				id = xxh3.Hash128(p.Bytes(j))
			} else {
				id = identity(p, j)
			}
			sum, salt := &c.sums[row], mix(salt+at)
			sum.Lo += mix(id.Lo ^ salt)
			sum.Hi += mix(id.Hi + salt)
		}
	}
	c.rows = c.rows[:0]
	for i, s := range c.sums {
		c.rows = append(c.rows, exact.Row{Key: exact.NewKey(mix(s.Hi), mix(s.Lo)), Number: r.chunk.RowAt(i)})
	}
	c.set.Add(c.rows)
}

// duplicates returns how many rows repeat an earlier one, or why that is not
// known.
func (c *rowCounter) duplicates() (float64, string) {
	if c.set == nil {
		return 0, ""
	}
	defer c.close()
	if err := c.set.Finish(); err != nil {
		return 0, "the rows cannot be counted: " + err.Error()
	}
	return float64(c.set.All.Rows - c.set.All.Keys), ""
}

func (c *rowCounter) settle() {
	if c.set != nil {
		c.set.Settle()
	}
}

func (c *rowCounter) close() {
	if c.set != nil {
		_ = c.set.Close() // what it holds is not wanted any more
	}
}
