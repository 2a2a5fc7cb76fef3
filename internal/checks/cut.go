package checks

import (
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/expr"
	"github.com/profilerhq/profiler/internal/profile"
)

// maxSegments is how many segments of a check are told apart; the rows of
// further ones are taken together.
const maxSegments = 1000

// conditions are the expressions of an evaluation: those of where and of the
// checks of kind row. What they have in common is computed once for each chunk.
type conditions struct {
	*expr.Evaluator
	programs []*expr.Program
}

// conditionsOf collects the expressions of a plan.
func conditionsOf(plan *Plan) *conditions {
	c := &conditions{}
	for _, check := range plan.Checks {
		j, isRow := check.judge.(*rowExpression)
		if check.Enabled && check.Where != nil {
			c.add(check.Where)
		}
		if check.Enabled && isRow {
			c.add(j.program)
		}
	}
	c.Evaluator = expr.NewEvaluator(c.programs...)
	return c
}

func (c *conditions) add(p *expr.Program) {
	if c.index(p) < 0 {
		c.programs = append(c.programs, p)
	}
}

// index returns the place of a program, -1 for nil; equal texts have one.
func (c *conditions) index(p *expr.Program) int {
	return slices.IndexFunc(c.programs, func(q *expr.Program) bool { return p != nil && q.Text() == p.Text() })
}

// resolve picks the reading of a program for the finished batch. problem says
// why it cannot be judged.
func (c *conditions) resolve(i int, s *profile.Summary) (r expr.Reading, problem string) {
	return c.Resolve(i, func(name string) (batch.Type, bool) {
		if col := s.Column(name); col != nil {
			return col.Kind(), true
		}
		return batch.Null, false
	})
}

// cut divides the rows of each chunk: it leaves those out that where does not
// select, under one reading of its columns, and puts the others in segments by
// the values of a column. Checks with the same where and by share their cuts.
type cut struct {
	program int // of where, -1 without
	reading expr.Reading
	by      string // the column of segments, "" without

	index      map[string]int32 // of segments, by the text of their value
	null, rest int32            // the segments of null and of the rest, -1 until they are met
	segments   []segmentRows    // without by there is one

	// of the chunk
	selected []int32 // the rows, ascending
	ids      []int32 // their segments
	touched  []int32 // segments with rows, in the order in which they came
	counts   []int32 // rows by segment, 0 for those that are not touched
	starts   []int32 // where the rows of a touched segment begin in grouped
	grouped  []int32 // the rows by segment
	text     []byte
	elements []int32 // of a list, by their rows
}

// segmentRows is a segment of a cut.
type segmentRows struct {
	value    profile.Scalar
	n, first int64               // rows so far, and the number of the first one
	lists    map[string]*earlier // elements so far, by list
}

// before returns what came before a new column of a list, or of rows without
// one.
func (s *segmentRows) before(list string) earlier {
	if list == "" {
		return earlier{first: s.first, n: s.n}
	}
	if b := s.lists[list]; b != nil {
		return b.clone()
	}
	return earlier{}
}

// countElements counts the elements of a list in the segments of a chunk, which
// was divided.
func (c *cut) countElements(list string, chunk *batch.Chunk, v *batch.Vector, mark bool) {
	for _, s := range c.touched {
		seg := &c.segments[s]
		if seg.lists == nil {
			seg.lists = map[string]*earlier{}
		}
		if seg.lists[list] == nil {
			seg.lists[list] = &earlier{}
		}
		c.elements = v.ElementsOf(c.rows(s), c.elements)
		for k, i := range c.elements {
			c.elements[k] = v.Rows[i]
		}
		seg.lists[list].add(chunk, c.elements, mark)
	}
}

func newCut(program int, reading expr.Reading, by string) *cut {
	c := &cut{program: program, reading: reading, by: by, index: map[string]int32{}, null: -1, rest: -1}
	if by == "" {
		c.add(profile.Scalar{})
	}
	return c
}

// observe divides the rows of a chunk. by is the column of segments, nil for
// one of nulls.
func (c *cut) observe(chunk *batch.Chunk, cond *conditions, by *batch.Vector) {
	c.selected = c.selected[:0]
	if c.program < 0 {
		for i := range chunk.Rows {
			c.selected = append(c.selected, int32(i)) //nolint:gosec // a chunk has a few thousand rows
		}
	} else {
		for i, t := range cond.Truth(c.program, c.reading) {
			if t == expr.True {
				c.selected = append(c.selected, int32(i)) //nolint:gosec // a chunk has a few thousand rows
			}
		}
	}
	c.touched = c.touched[:0]
	if c.by == "" {
		c.grouped = append(c.grouped[:0], c.selected...)
		if len(c.selected) > 0 {
			c.touched, c.counts[0], c.starts[0] = append(c.touched, 0), int32(len(c.selected)), 0 //nolint:gosec // as above
		}
	} else {
		c.group(by)
	}
	for _, s := range c.touched {
		seg := &c.segments[s]
		if seg.n == 0 {
			seg.first = chunk.RowAt(int(c.grouped[c.starts[s]]))
		}
		seg.n += int64(c.counts[s])
	}
}

// group puts the selected rows in segments, each in ascending order.
func (c *cut) group(by *batch.Vector) {
	clear(c.counts)
	c.ids = c.ids[:0]
	for _, i := range c.selected {
		s := c.segmentOf(by, int(i))
		if c.counts[s]++; c.counts[s] == 1 {
			c.touched = append(c.touched, s)
		}
		c.ids = append(c.ids, s)
	}
	at := int32(0)
	for _, s := range c.touched {
		c.starts[s] = at
		at += c.counts[s]
		c.counts[s] = 0
	}
	c.grouped = slices.Grow(c.grouped[:0], len(c.selected))[:len(c.selected)]
	for k, i := range c.selected {
		s := c.ids[k]
		c.grouped[c.starts[s]+c.counts[s]] = i
		c.counts[s]++
	}
}

// rows returns the rows of a touched segment in the chunk.
func (c *cut) rows(s int32) []int32 {
	return c.grouped[c.starts[s] : c.starts[s]+c.counts[s] : c.starts[s]+c.counts[s]]
}

// segmentOf returns the segment of row i. A segment is a value as it is
// written; null is one.
func (c *cut) segmentOf(by *batch.Vector, i int) int32 {
	if by == nil {
		return c.nullSegment()
	}
	v, j := by.At(i)
	if v.Types[j] == batch.Null {
		return c.nullSegment()
	}
	text := v.Bytes(j)
	if !v.HasText && v.Types[j] != batch.String && v.Types[j] != batch.Binary {
		c.text = v.AppendText(c.text[:0], j)
		text = c.text
	}
	if s, ok := c.index[string(text)]; ok {
		return s
	}
	if len(c.segments) >= maxSegments {
		if c.rest < 0 {
			c.rest = c.add(profile.Scalar{})
		}
		return c.rest
	}
	s := c.add(scalarAt(by, i))
	c.index[string(text)] = s
	return s
}

func (c *cut) nullSegment() int32 {
	if c.null < 0 {
		c.null = c.add(profile.Scalar{})
	}
	return c.null
}

func (c *cut) add(value profile.Scalar) int32 {
	c.segments = append(c.segments, segmentRows{value: value})
	c.counts, c.starts = append(c.counts, 0), append(c.starts, 0)
	return int32(len(c.segments) - 1) //nolint:gosec // about maxSegments
}

// subset profiles the rows of each segment of a cut, as far as checks of
// numbers need them. Checks of the same columns share it.
type subset struct {
	cut     *cut
	columns []string // nil is all
	parts   []*profile.Builder
	total   *profile.Builder // of all rows that where selects; unused without it
	present []batch.Column   // the columns met so far, in the order in which they came
	at      []int            // their places among the columns of the batch
	chunk   batch.Chunk      // the rows of one part
}

// extend takes in the columns that the batch has by now.
func (s *subset) extend(columns []batch.Column) {
	for i, c := range columns {
		if (s.columns == nil || slices.Contains(s.columns, c.Name)) && !slices.Contains(s.at, i) {
			s.present, s.at = append(s.present, c), append(s.at, i)
		}
	}
}

// observe takes the rows of a chunk, which the cut has divided.
func (s *subset) observe(columns []batch.Column, c *batch.Chunk) {
	s.extend(columns)
	if s.cut.program >= 0 && len(s.cut.selected) > 0 {
		_ = s.total.Add(s.present, s.take(c, s.cut.selected)) // nothing is left to fill
	}
	if s.cut.by == "" {
		return
	}
	for len(s.parts) < len(s.cut.segments) {
		s.parts = append(s.parts, profile.NewPartBuilder())
	}
	for _, seg := range s.cut.touched {
		_ = s.parts[seg].Add(s.present, s.take(c, s.cut.rows(seg))) // nothing is left to fill
	}
}

// take copies some rows of the columns.
func (s *subset) take(c *batch.Chunk, sel []int32) *batch.Chunk {
	s.chunk.Reset(len(s.at), nil)
	s.chunk.Filled()
	s.chunk.Rows, s.chunk.First = len(sel), c.RowAt(int(sel[0]))
	for k, i := range s.at {
		s.chunk.Vectors[k].AppendRows(&c.Vectors[i], sel)
	}
	return &s.chunk
}

// finish returns the profiles of the segments, by segment, and of all selected
// rows.
func (s *subset) finish(columns []batch.Column, info profile.Info) (parts []*profile.Profile, total *profile.Profile) {
	s.extend(columns)
	for _, b := range s.parts {
		parts = append(parts, b.Finish(s.present, info))
	}
	return parts, s.total.Finish(s.present, info)
}

// subsetProfiles are the finished profiles of a subset.
type subsetProfiles struct {
	parts []*profile.Profile
	total *profile.Profile
}

// profilesOf ends a subset; several checks may ask.
func (e *Evaluation) profilesOf(s *subset, in *Input) (parts []*profile.Profile, total *profile.Profile) {
	p, ok := e.profiles[s]
	if !ok {
		p.parts, p.total = s.finish(e.columns(), profile.Info{Dataset: in.Profile.Dataset})
		e.profiles[s] = p
	}
	return p.parts, p.total
}
