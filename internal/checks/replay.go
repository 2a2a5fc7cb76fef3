package checks

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Replayed is a check judged again, without the rows of the batch.
type Replayed struct {
	Result
	// NeedsRows says why it cannot be judged without the rows; empty if it was.
	NeedsRows string
}

// NewReplay starts the evaluation of a batch whose rows are gone. columns are
// those of its profile. Needs is asked as of any evaluation, Replay gives the
// results.
func NewReplay(plan Plan, columns []string) *Evaluation {
	rule, rest := takeParsable(plan.Checks)
	plan.Checks = rest
	e := &Evaluation{plan: plan, parsableRule: rule, withoutRows: true, open: map[place]bool{}, ids: map[string]bool{}}
	list := make([]batch.Column, len(columns))
	for i, name := range columns {
		list[i].Name = name
	}
	e.bind(list)
	return e
}

// Replay judges the batch from its profile. Checks of rows are judged from the
// counts that stored, the results of the day, has of the same condition, with
// the limits of today; without such counts they need the rows. The order is that
// of Results.
func (e *Evaluation) Replay(in Input, stored []Result) []Replayed {
	s := in.Profile.Summary()
	then := make(map[string]*Result, len(stored))
	for i := range stored {
		if c := stored[i].Condition; c != "" {
			then[conditionPart(c)] = &stored[i]
		}
	}
	out := []Replayed{{Result: e.parsable(s)}}
	e.sortBound()
	done := make([]bool, len(e.plan.Checks))
	next := 0
	for order, c := range e.plan.Checks {
		for ; next < len(e.bound) && e.bound[next].order == order; next++ {
			out = append(out, e.replay(e.bound[next], &in, s, then))
			done[order] = true
		}
		if c.Enabled && !done[order] {
			out = append(out, Replayed{Result: c.missing(c.Column, e.ownID(c.ID), s)})
		}
	}
	return out
}

func (e *Evaluation) replay(b *binding, in *Input, s *profile.Summary, then map[string]*Result) Replayed {
	c := b.check
	res := c.result(b.id, b.column)
	var col *profile.Column
	if b.index >= 0 {
		col = s.Column(b.column)
	}
	needed := slices.Clone(c.Columns)
	if c.Where != nil {
		needed = append(needed, c.Where.Columns()...)
	}
	if c.By != "" {
		needed = append(needed, c.By)
	}
	for _, name := range needed {
		if s.Column(name) == nil {
			return Replayed{Result: c.missing(name, b.id, s)}
		}
	}
	if c.isJoint() {
		return c.fromCounts(res, then)
	}
	switch j := c.judge.(type) {
	case *metric:
		if !j.isCounted() || j.clear(s, col) {
			return Replayed{Result: j.result(in, col, res)}
		}
	case batchJudge:
		return Replayed{Result: j.result(in, col, res)}
	}
	return c.fromCounts(res, then)
}

// clear reports whether the profile alone tells on which side of its limits a
// number lies.
func (m *metric) clear(s *profile.Summary, col *profile.Column) bool {
	if col != nil && (col.Distinct.Exact || col.Count == 0) || col == nil && s.Duplicates.Exact {
		return true
	}
	v := m.measure(s, col)
	return v.ok && !m.near(v)
}

// fromCounts judges a check by what was counted on the day.
func (c *Check) fromCounts(res Result, then map[string]*Result) Replayed {
	old := then[conditionPart(res.Condition)]
	switch {
	case old == nil:
		return Replayed{Result: res, NeedsRows: "nobody counted its rows: the rule is new, or what it says of a row has changed"}
	case old.Status == Error:
		return Replayed{Result: res, NeedsRows: "it could not be judged on the day: " + old.Message}
	case old.Condition == res.Condition || old.Reason != "":
		return Replayed{Result: sameOutcome(res, old)}
	case c.By != "":
		return Replayed{Result: res, NeedsRows: "its limits have changed, and the rows of each segment are not kept"}
	}
	switch j := c.judge.(type) {
	case rowJudge:
		if old.Evaluated == nil || old.Failed == nil {
			break
		}
		res = c.rowResult(res, j, outcome{evaluated: *old.Evaluated, failed: *old.Failed, failing: old.FailingRows})
		if c.Where != nil {
			res.Message = fmt.Sprintf("where %s: %s", c.Where.Text(), res.Message)
		}
		return Replayed{Result: res}
	case *metric:
		f, ok := old.Value.Float()
		if !ok {
			break
		}
		v := measurement{value: batch.Value{Type: batch.Number, Float: f}, text: metricText(f, j.kind.share), ok: true}
		return Replayed{Result: res.judgeNumber(j.kind.name+" of "+res.Column, v, limits{j.warn, j.fail, j.kind.share})}
	}
	return Replayed{Result: res, NeedsRows: "its limits have changed, and its number is not kept by itself"}
}

// sameOutcome is a result with the outcome of an earlier one.
func sameOutcome(res Result, old *Result) Result {
	res.Status, res.Value, res.Evaluated, res.Failed, res.Limit = old.Status, old.Value, old.Evaluated, old.Failed, old.Limit
	res.Reason, res.Message, res.FailingRows, res.Segments, res.Other = old.Reason, old.Message, old.FailingRows, old.Segments, old.Other
	res.WarnLimit, res.FailLimit, res.Method = old.WarnLimit, old.FailLimit, old.Method
	return res
}

// fingerprint remembers what the check counts and by which limits it judges
// that, as the rule has it.
func (c *Check) fingerprint(spec *Spec, node *yamldoc.Node, item *yamldoc.Mapping) {
	var counted, judged strings.Builder
	fmt.Fprintf(&counted, "%s\n%s\n%s\n", c.Kind, item.Get("where").Raw(), c.By)
	fmt.Fprintf(&judged, "%s\n", c.Severity)
	for _, key := range []string{"warn", "fail"} {
		judged.WriteString(key)
		canonical(&judged, item.Get(key))
	}
	if spec.Level == RowLevel || node.Kind() != yamldoc.Map {
		target := &judged
		if spec.Level == RowLevel {
			target = &counted
		}
		canonical(target, node)
	} else {
		for _, e := range node.Mapping(nil).Entries() {
			target := &counted
			if slices.Contains(zoneKeys, e.Key.Raw()) || e.Key.Raw() == "warn" || e.Key.Raw() == "fail" {
				target = &judged
			}
			target.WriteString(e.Key.Raw())
			canonical(target, e.Value)
		}
	}
	c.counted, c.judged = counted.String(), hashText(judged.String())
}

// canonical writes a value so that equal texts mean equal values.
func canonical(b *strings.Builder, n *yamldoc.Node) {
	switch n.Kind() {
	case yamldoc.Null:
		b.WriteString("~;")
	case yamldoc.List:
		b.WriteString("[")
		for _, item := range n.Items() {
			canonical(b, item)
		}
		b.WriteString("]")
	case yamldoc.Map:
		entries := slices.Clone(n.Mapping(nil).Entries())
		if len(entries) == 0 {
			b.WriteString("~;")
			return
		}
		slices.SortFunc(entries, func(x, y yamldoc.Entry) int { return strings.Compare(x.Key.Raw(), y.Key.Raw()) })
		b.WriteString("{")
		for _, e := range entries {
			fmt.Fprintf(b, "%q:", e.Key.Raw())
			canonical(b, e.Value)
		}
		b.WriteString("}")
	default:
		fmt.Fprintf(b, "%d%q;", n.Kind(), n.Raw())
	}
}

// condition identifies what a check counts on a column and, behind a slash, the
// limits by which that is judged.
func (c *Check) condition(column string) string {
	return hashText(c.counted+"\n"+column) + "/" + c.judged
}

// conditionPart is the part of a condition that says what is counted.
func conditionPart(condition string) string {
	part, _, _ := strings.Cut(condition, "/")
	return part
}

func hashText(s string) string {
	h := xxh3.Hash128([]byte(s)).Bytes()
	return hex.EncodeToString(h[:8])
}
