package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rowset"
	"github.com/profilerhq/profiler/internal/words"
)

// shownSegments is how many segments a result lists: the largest by rows.
const shownSegments = 50

// namedSegments is how many of the worst segments a message names.
const namedSegments = 3

// Segment is the judgement of the rows with one value of the column that by
// names.
type Segment struct {
	// Value is the value of the segment, null is one; it is null for "other".
	Value  profile.Scalar `json:"value"`
	Status Status         `json:"status"`
	// Observed is the share of failing rows of a row check, else the number.
	Observed profile.Scalar `json:"observed"`
	// Evaluated and Failed count rows of row checks; nil for others.
	Evaluated *int64 `json:"evaluated"`
	Failed    *int64 `json:"failed"`

	name, limit string  // in a message
	excess      float64 // how far a number is out of its zone
}

// excessOf returns how far a number is out of the zones of its result, of those
// of fail first.
func excessOf(r *Result) float64 {
	f, ok := r.Value.Float()
	if !ok {
		return 0
	}
	excess := 0.0
	for _, z := range []Zone{r.WarnLimit, r.FailLimit} {
		if z.Lower != nil {
			excess = max(excess, *z.Lower-f)
		}
		if z.Upper != nil {
			excess = max(excess, f-*z.Upper)
		}
	}
	return excess
}

// linked is a judge of rows that depend on each other, so that the rows of
// several segments cannot be judged together.
type linked interface{ linked() }

func (*unique) linked() {}

func (*order) linked() {}

// segmented judges a check with where, and segment by segment with by.
type segmented struct {
	e       *Evaluation
	b       *binding
	in      *Input
	summary *profile.Summary
	col     *profile.Column
	cut     *cut
	which   int // of the cuts of the binding
}

// order returns the segments with rows, the largest first; those that are
// listed, and the others, which are folded into one.
func (g *segmented) order() (listed, folded []int) {
	all := []int{}
	for i := range g.cut.segments {
		if g.cut.segments[i].n > 0 && int32(i) != g.cut.rest { //nolint:gosec // about maxSegments
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(g.cut.segments[b].n, g.cut.segments[a].n) })
	listed = all[:min(len(all), shownSegments)]
	folded = slices.Clone(all[len(listed):])
	if g.cut.rest >= 0 {
		folded = append(folded, int(g.cut.rest))
	}
	return listed, folded
}

// name returns what a message calls a segment.
func (g *segmented) name(i int) string {
	v := g.cut.segments[i].value
	switch {
	case v.IsNull():
		return "null"
	case v.String() == "":
		return `""`
	}
	return v.String()
}

// rows judges a row check.
func (g *segmented) rows(j rowJudge, res Result) Result {
	c, evals := g.b.check, g.b.joint.evals[g.which]
	if c.By == "" {
		o := outcomeOf(evals[0], g.col, g.summary)
		g.b.rejected = o.rejected
		return c.rowResult(res, j, o)
	}
	if _, ok := j.(linked); ok && g.cut.rest >= 0 {
		return res.errorf("%s has more than %s values, which are more than %s can be judged by", c.By, words.Count(maxSegments), c.Kind)
	}
	outcomes := make([]outcome, len(g.cut.segments))
	for i := range outcomes {
		outcomes[i] = outcome{}
		if i < len(evals) {
			outcomes[i] = outcomeOf(evals[i], g.col, g.summary)
		}
		if outcomes[i].err != "" {
			return res.errorf("%s", outcomes[i].err)
		}
	}
	s := &sampler{seed: seedOf(g.b.id), max: g.e.plan.FailingRows}
	whole := s.fold(outcomes)
	g.b.rejected = whole.rejected
	res = c.rowResult(res, j, whole)
	listed, folded := g.order()
	if len(listed) == 0 {
		return res
	}
	for _, i := range listed {
		res.Segments = append(res.Segments, c.segmentOf(g.cut.segments[i].value, g.name(i), outcomes[i]))
	}
	if len(folded) > 0 {
		var rest []outcome
		for _, i := range folded {
			rest = append(rest, outcomes[i])
		}
		other := c.segmentOf(profile.Scalar{}, "other", s.fold(rest))
		res.Other = &other
	}
	return g.conclude(res, func(s *Segment) string {
		return fmt.Sprintf("%s %s of %s (%s)", s.name, words.Count(*s.Failed), words.Count(*s.Evaluated), percent(s.share()))
	}, "above the limit")
}

// segmentOf judges the rows of a segment.
func (c *Check) segmentOf(value profile.Scalar, name string, o outcome) Segment {
	s := Segment{Value: value, Evaluated: &o.evaluated, Failed: &o.failed, name: name, Observed: profile.FloatScalar(o.share())}
	var limit *Tolerance
	s.Status, limit = c.grade(o)
	s.limit = limit.String()
	return s
}

func (s *Segment) share() float64 {
	f, _ := s.Observed.Float()
	return f
}

// fold joins the outcomes of several parts of the rows.
func (s *sampler) fold(parts []outcome) (o outcome) {
	var rows []FailingRow
	for _, p := range parts {
		o.evaluated += p.evaluated
		o.failed += p.failed
		rows = append(rows, p.failing...)
		if p.rejected != nil {
			if o.rejected == nil {
				o.rejected = &rowset.Set{}
			}
			o.rejected.Union(p.rejected)
		}
	}
	if len(rows) == 0 || s.max <= 0 {
		return o
	}
	var all sample
	for i := range rows {
		picked := sampledRow{hash: mix(uint64(rows[i].Row) ^ s.seed), FailingRow: rows[i]}
		if all.first == nil || rows[i].Row < all.first.Row {
			all.first = &picked
		}
		all.insert(picked, s.max)
	}
	o.failing = all.rows()
	return o
}

// numbers judges a number of the profile, of the selected rows and of each
// segment.
func (g *segmented) numbers(res Result) Result {
	c, sub := g.b.check, g.b.joint.subsets[g.which]
	parts, total := g.e.profilesOf(sub, g.in)
	hidden := g.e.revealed(c, g.b.column)
	if c.Where == nil && hidden != "" {
		total = g.e.plain[hidden].finish(g.in.Profile.Dataset)
	} else if c.Where == nil {
		total = g.in.Profile
	}
	var evals []rowEvaluator
	if g.b.joint.evals != nil {
		evals = g.b.joint.evals[g.which]
	}
	frame := res
	if c.By == "" {
		return g.number(total, at(evals, 0), frame)
	}
	all, isMerged := g.merged(evals)
	res = g.number(total, all, frame)
	listed, folded := g.order()
	if len(listed) == 0 {
		return res
	}
	res.Reason = ""
	judged := func(p *profile.Profile, eval rowEvaluator, value profile.Scalar, name string) Segment {
		r := g.number(p, eval, frame)
		observed := r.Value
		if hidden != "" && r.Reason == "" {
			observed = masked
		}
		return Segment{Value: value, Status: r.Status, Observed: observed, name: name, limit: r.Limit, excess: excessOf(&r)}
	}
	for _, i := range listed {
		res.Segments = append(res.Segments, judged(parts[i], at(evals, i), g.cut.segments[i].value, g.name(i)))
	}
	if len(folded) > 0 && isMerged {
		rest, some := []*profile.Profile{}, []rowEvaluator{}
		for _, i := range folded {
			rest = append(rest, parts[i])
			some = append(some, at(evals, i))
		}
		p, err := profile.Merged(rest...)
		if err != nil {
			return frame.errorf("the segments beyond the first %d cannot be taken together: %s", shownSegments, err)
		}
		eval, _ := g.merged(some)
		other := judged(p, eval, profile.Scalar{}, "other")
		res.Other = &other
	}
	subject := c.Kind
	if g.b.column != "" {
		subject += " of " + g.b.column
	}
	if hidden != "" {
		subject += " is masked"
	}
	if v := res.Value; !v.IsNull() {
		subject += " is " + metricWords(c, v)
	}
	res.Message = subject
	return g.conclude(res, func(s *Segment) string {
		if hidden != "" {
			return s.name
		}
		if s.Observed.IsNull() {
			return s.name + " has no value"
		}
		return s.name + " " + metricWords(c, s.Observed)
	}, "not as expected")
}

// number judges the number of some rows.
func (g *segmented) number(p *profile.Profile, eval rowEvaluator, res Result) Result {
	in := *g.in
	in.Profile = p
	var col *profile.Column
	if g.b.column != "" {
		col = p.Summary().Column(g.b.column)
	}
	if j, ok := g.b.check.judge.(scanJudge); ok {
		return j.result(&in, col, eval, res)
	}
	res = g.b.check.judge.(batchJudge).result(&in, col, res)
	if hidden := g.e.revealed(g.b.check, g.b.column); hidden != "" {
		return g.b.check.concealed(res, hidden)
	}
	return res
}

// merged joins the states of several segments of a number that is taken from
// the rows; ok is true if there is none to join.
func (g *segmented) merged(evals []rowEvaluator) (all rowEvaluator, ok bool) {
	if g.b.joint.start == nil {
		return nil, true
	}
	all = g.b.joint.start()
	m, ok := all.(interface{ merge(o rowEvaluator) })
	if !ok {
		return all, false
	}
	for _, e := range evals {
		m.merge(e)
	}
	return all, true
}

func at(evals []rowEvaluator, i int) rowEvaluator {
	if i < len(evals) {
		return evals[i]
	}
	return nil
}

// metricWords shows a number in a message as the check shows it.
func metricWords(c *Check, v profile.Scalar) string {
	f, ok := v.Float()
	if !ok {
		return v.String()
	}
	m, ok := c.judge.(interface{ isShare() bool })
	return metricText(f, ok && m.isShare())
}

// isShare reports whether the number is a fraction.
func (m *metric) isShare() bool { return m.kind.share }

// conclude gives the result the status of its worst segment and names the
// worst ones. tell describes a segment, bad what is wrong with it.
func (g *segmented) conclude(res Result, tell func(*Segment) string, bad string) Result {
	all := make([]*Segment, 0, len(res.Segments)+1)
	for i := range res.Segments {
		all = append(all, &res.Segments[i])
	}
	if res.Other != nil {
		all = append(all, res.Other)
	}
	slices.SortStableFunc(all, func(a, b *Segment) int {
		return cmp.Or(-cmp.Compare(a.Status, b.Status), -cmp.Compare(a.failShare(), b.failShare()), -cmp.Compare(a.failures(), b.failures()), -cmp.Compare(a.excess, b.excess))
	})
	res.Status, res.Limit = all[0].Status, all[0].limit
	isRow := g.b.check.Level == RowLevel
	if !isRow && res.Status > Learning {
		res.Message += ", expected " + res.Limit
	} else if !isRow {
		res.Message += ", as expected (" + res.Limit + ")"
	}
	_, folded := g.order()
	n := int64(len(res.Segments) + len(folded))
	segments := words.Count(n) + " segments of " + g.b.check.By
	if g.cut.rest >= 0 {
		segments = "more than " + words.Count(maxSegments) + " segments of " + g.b.check.By
	}
	suspects := slices.IndexFunc(all, func(s *Segment) bool { return s.Status <= Learning && s.failures() == 0 })
	if suspects < 0 {
		suspects = len(all)
	}
	if suspects == 0 {
		if res.Message += " in each of " + segments; n == 1 {
			res.Message = strings.TrimSuffix(res.Message, " in each of "+segments) + " in the one segment of " + g.b.check.By
		}
		return res
	}
	failing := slices.IndexFunc(all, func(s *Segment) bool { return s.Status <= Learning })
	if failing < 0 {
		failing = len(all)
	}
	if failing > 0 {
		res.Message += "; " + bad + " in " + words.Count(failing) + " of " + segments + ": "
	} else {
		res.Message += "; worst of " + segments + ": "
	}
	names := make([]string, 0, namedSegments)
	for _, s := range all[:min(suspects, namedSegments)] {
		names = append(names, tell(s))
	}
	res.Message += strings.Join(names, ", ")
	if slices.Equal(slices.Compact(slices.Clone(names)), []string{profile.Masked}) { // there is nothing to tell
		res.Message = strings.TrimSuffix(res.Message, ": ")
		return res
	}
	if more := suspects - len(names); more > 0 {
		res.Message += " and " + words.Count(more) + " more"
	}
	return res
}

func (s *Segment) failShare() float64 {
	if s.Failed == nil {
		return 0
	}
	return s.share()
}

func (s *Segment) failures() int64 {
	if s.Failed == nil {
		return 0
	}
	return *s.Failed
}
