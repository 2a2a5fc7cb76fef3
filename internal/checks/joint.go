package checks

import (
	"fmt"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
)

// joint is the part of a binding that judges some of the rows, or several
// columns of a row: checks with where or by, and those of kind row. It needs
// all columns of a chunk at once.
type joint struct {
	cuts    []*cut              // one for each reading of where
	evals   [][]rowEvaluator    // by cut and segment; nil for numbers of the profile
	subsets []*subset           // by cut, of metrics
	start   func() rowEvaluator // of a segment
}

// divide prepares the cuts that the checks of the plan share.
func (e *Evaluation) divide() {
	e.cond = conditionsOf(&e.plan)
	for _, c := range e.plan.Checks {
		if !c.Enabled || !c.isJoint() {
			continue
		}
		for _, k := range e.cutsOf(c) {
			if c.Level == MetricLevel {
				e.subsetOf(k, c)
			}
		}
	}
}

// isJoint reports whether a check needs several columns of a chunk at once to
// know which rows it judges, and how.
func (c *Check) isJoint() bool {
	_, isRow := c.judge.(*rowExpression)
	return isRow || c.Where != nil || c.By != ""
}

// cutsOf returns the cuts of a check, one for each reading of its where.
func (e *Evaluation) cutsOf(c *Check) (out []*cut) {
	program := e.cond.index(c.Where)
	if program < 0 {
		return []*cut{e.cutOf(newCut(-1, 0, c.By))}
	}
	for _, r := range c.Where.Readings(true) {
		out = append(out, e.cutOf(newCut(program, r, c.By)))
	}
	return out
}

// cutOf returns the shared cut that equals one.
func (e *Evaluation) cutOf(k *cut) *cut {
	for _, old := range e.cuts {
		if old.program == k.program && old.reading == k.reading && old.by == k.by {
			return old
		}
	}
	e.cuts = append(e.cuts, k)
	return k
}

// subsetOf returns the shared profiles of the columns that a metric needs. A
// pattern needs all columns.
func (e *Evaluation) subsetOf(k *cut, c *Check) *subset {
	columns := []string{}
	if c.Column != "" {
		columns = append(append(columns, c.Column), c.Columns...)
	}
	if IsPattern(c.Column) || c.Kind == "duplicate_rows" {
		columns = nil
	}
	for _, s := range e.subsets {
		if s.cut == k && slices.Equal(s.columns, columns) && (s.columns == nil) == (columns == nil) {
			return s
		}
	}
	s := &subset{cut: k, columns: columns, total: profile.NewBuilder()}
	e.subsets = append(e.subsets, s)
	return s
}

// bindJoint starts a check with where or by, or over the columns of a row.
func (e *Evaluation) bindJoint(b *binding) {
	j := &joint{cuts: e.cutsOf(b.check)}
	b.joint = j
	switch judge := b.check.judge.(type) {
	case rowJudge:
		s := e.sampler(b.id)
		j.start = func() rowEvaluator { return e.startRow(judge, s) }
	case scanJudge:
		j.start = judge.scanner
	}
	if b.check.Level == MetricLevel {
		for _, k := range j.cuts {
			j.subsets = append(j.subsets, e.subsetOf(k, b.check))
		}
	}
	if j.start == nil {
		return
	}
	j.evals = make([][]rowEvaluator, len(j.cuts))
	for i, k := range j.cuts { // rows that came before the column did
		j.grow(i)
		for s, seg := range k.segments {
			if before := seg.before(e.listAt(b.index)); before.n > 0 {
				j.evals[i][s].absent(before)
			}
		}
	}
}

// startRow returns the state of a row check.
func (e *Evaluation) startRow(j rowJudge, s *sampler) rowEvaluator {
	eval := j.evaluator(s)
	switch x := eval.(type) {
	case exactEvaluator:
		x.useSpace(e.plan.Space)
	case *expressionEvaluator:
		x.use(e.cond)
	}
	return eval
}

// grow starts the segments that came since.
func (j *joint) grow(i int) {
	for len(j.evals[i]) < len(j.cuts[i].segments) {
		j.evals[i] = append(j.evals[i], j.start())
	}
}

// observeJoint judges the rows of a chunk by the checks that need several
// columns of it.
func (e *Evaluation) observeJoint(c *batch.Chunk, r *rows) {
	if len(e.cuts) == 0 {
		return
	}
	e.cond.Load(c.Rows, func(name string) *batch.Vector { return e.vector(name, c) })
	for _, k := range e.cuts {
		k.observe(c, e.cond, e.vector(k.by, c))
	}
	for _, s := range e.subsets {
		s.observe(e.columns(), c)
	}
	for _, b := range e.bound {
		if b.joint != nil && b.joint.start != nil {
			e.observeParts(b, c, r)
		}
	}
	e.firstOf(func(list string, column int) {
		for _, k := range e.cuts {
			k.countElements(list, c, &c.Vectors[column], e.plan.MarkRows)
		}
	})
}

// columns returns the columns so far, without what formats declare.
func (e *Evaluation) columns() []batch.Column {
	for i := len(e.known); i < len(e.names); i++ {
		e.known = append(e.known, batch.Column{Name: e.names[i], List: e.listOf[i]})
	}
	return e.known
}

// vector returns a column of a chunk, nil if the batch does not have it yet or if
// it is one of elements.
func (e *Evaluation) vector(name string, c *batch.Chunk) *batch.Vector {
	if i := slices.Index(e.names, name); i >= 0 && c.Vectors[i].Rows == nil {
		return &c.Vectors[i]
	}
	return nil
}

// observeParts gives each segment of a check its rows.
func (e *Evaluation) observeParts(b *binding, c *batch.Chunk, r *rows) {
	_, isRow := b.check.judge.(*rowExpression)
	r.v, r.cols, r.names = nil, r.cols[:0], nil
	if b.index >= 0 {
		r.v = &c.Vectors[b.index]
	}
	for _, name := range b.check.Columns {
		v := e.vector(name, c)
		if v == nil && !isRow {
			return // null in all rows, which are passed over
		}
		r.cols = append(r.cols, v)
	}
	if isRow {
		r.names = b.check.Columns
	}
	j := b.joint
	for i, k := range j.cuts {
		j.grow(i)
		for _, s := range k.touched {
			r.sel = k.rows(s)
			if k.by == "" && k.program < 0 {
				r.sel = nil
			} else if r.v != nil && r.v.Rows != nil {
				e.elements = r.v.ElementsOf(r.sel, e.elements)
				r.sel = e.elements
			}
			j.evals[i][s].observe(r)
		}
	}
	r.sel, r.names = nil, nil
}

// judgeJoint judges the batch by a check with where or by, or over the columns
// of a row.
func (e *Evaluation) judgeJoint(b *binding, in *Input, s *profile.Summary, col *profile.Column, res Result) Result {
	c, which := b.check, 0
	if c.Where != nil {
		for _, name := range c.Where.Columns() {
			if s.Column(name) == nil {
				return c.missing(name, b.id, s)
			}
		}
		r, problem := e.cond.resolve(e.cond.index(c.Where), s)
		if problem != "" {
			if e.plan.Sensitive.hides(c.Where.Columns()) {
				return res.errorf("the condition of where cannot be judged for its columns, which are sensitive")
			}
			return res.errorf("where %s: %s", c.Where.Text(), problem)
		}
		which = c.Where.Index(r, true)
	}
	if c.By != "" && s.Column(c.By) == nil {
		return c.missing(c.By, b.id, s)
	}
	g := &segmented{e: e, b: b, in: in, summary: s, col: col, cut: b.joint.cuts[which], which: which}
	switch j := c.judge.(type) {
	case rowJudge:
		res = g.rows(j, res)
	default:
		res = g.numbers(res)
	}
	if e.plan.FailingRows <= 0 {
		res.FailingRows = nil // the first one was drawn for the message
	}
	if c.Where != nil {
		text := c.Where.Text()
		if e.plan.Sensitive.hides(c.Where.Columns()) {
			text = "the condition holds"
		}
		res.Message = fmt.Sprintf("where %s: %s", text, res.Message)
	}
	return res
}

// outcomeOf ends the batch for the state of a row check.
func outcomeOf(eval rowEvaluator, col *profile.Column, s *profile.Summary) outcome {
	if d, ok := eval.(interface {
		datasetOutcome(s *profile.Summary) outcome
	}); ok && col == nil {
		return d.datasetOutcome(s)
	}
	return eval.outcome(col)
}

// evaluators returns the states of a binding.
func (b *binding) evaluators() []rowEvaluator {
	if b.joint != nil {
		return slices.Concat(b.joint.evals...)
	}
	return []rowEvaluator{b.eval}
}
