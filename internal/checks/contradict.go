package checks

import (
	"slices"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Codes of findings about checks that do not go together.
const (
	CodeContradiction = "contradiction"
	CodeRepeated      = "repeated-check"
)

// Contradictions compares the checks of a dataset with each other: an error for
// two that no batch with a value can pass, a warning for what never passes or
// says the same twice. Checks with where, those that only warn or tolerate
// failing rows, and patterns are left out: there both may be meant.
func Contradictions(all []*Check) diag.List {
	var errs diag.List
	c := &comparer{errs: &errs, columns: map[string][]*Check{}}
	for _, check := range all {
		if !check.Enabled || IsPattern(check.Column) {
			continue
		}
		c.repeated(check)
		if !check.strict() {
			continue
		}
		if c.columns[check.Column] == nil {
			c.order = append(c.order, check.Column)
		}
		c.columns[check.Column] = append(c.columns[check.Column], check)
	}
	for _, name := range c.order {
		c.column(c.columns[name])
	}
	return errs.Sorted()
}

// strict reports whether the check fails as soon as one row does, or its number
// is out of its zone, over all rows.
func (c *Check) strict() bool {
	if c.Where != nil || c.Severity == SeverityWarn {
		return false
	}
	return c.Level != RowLevel || c.Fail != nil && !c.Fail.IsShare && c.Fail.Rows == 0 || c.Fail != nil && c.Fail.IsShare && c.Fail.Share == 0
}

type comparer struct {
	errs    *diag.List
	columns map[string][]*Check
	order   []string
	seen    []*Check
}

func (c *comparer) report(severity diag.Severity, code string, at *Check, format string, args ...any) {
	d := diag.List{}
	d.Errorf(at.Pos, len(at.Kind), code, format, args...)
	d[0].Severity = severity
	c.errs.Add(d...)
}

// place names another check in a message.
func (c *Check) place(from *Check) string {
	at := c.Pos
	if at.File == from.Pos.File {
		at.File = ""
	}
	at.Column = 0
	if at.File == "" {
		return strconv.Quote(c.Kind) + " in line " + at.String()
	}
	return strconv.Quote(c.Kind) + " in " + at.String()
}

// repeated warns of a check that another one says already.
func (c *comparer) repeated(check *Check) {
	for _, o := range c.seen {
		if o.Kind == check.Kind && o.Column == check.Column && o.By == check.By && o.sense() != "" && o.sense() == check.sense() {
			c.report(diag.Warning, CodeRepeated, check, "it says the same as %s", o.place(check))
			return
		}
	}
	c.seen = append(c.seen, check)
}

// sense is what a check says, empty where that is not known.
func (c *Check) sense() string {
	limits := ""
	for _, t := range []*Tolerance{c.Warn, c.Fail} {
		if limits += "|"; t != nil {
			limits += t.String()
		}
	}
	where := "|"
	if c.Where != nil {
		where += c.Where.Text()
	}
	switch j := c.judge.(type) {
	case *unique:
		return strings.Join(j.columns, ",") + limits + where
	case *set:
		var b strings.Builder
		for _, l := range j.literals {
			b.WriteString(l.text + "\x00")
		}
		return j.phrase() + b.String() + limits + where
	case rowJudge:
		return j.phrase() + limits + where
	case *metric:
		text := ""
		for _, z := range []*zone{j.warn, j.fail} {
			if text += "|"; z != nil {
				text += z.words(false)
			}
		}
		return text + where + string(c.Severity)
	}
	return ""
}

// column compares the checks of one column, or those of the dataset.
func (c *comparer) column(list []*Check) {
	for i, a := range list {
		for _, b := range list[:i] {
			c.pair(b, a)
		}
	}
	for _, a := range list {
		if s, ok := a.judge.(*set); ok && s.found == accepted {
			c.allowed(a, s, list)
		}
	}
	c.distinct(list)
}

// pair compares two checks, of which b stands later.
func (c *comparer) pair(a, b *Check) {
	kinds := func(x, y string) bool { return a.Kind == x && b.Kind == y || a.Kind == y && b.Kind == x }
	switch {
	case kinds("is_null", "not_null"), kinds("is_null", "not_blank"):
		c.report(diag.Error, CodeContradiction, b, "it contradicts %s: no row passes both", a.place(b))
	case kinds("increasing", "decreasing"):
		x, y := a.judge.(*order), b.judge.(*order)
		if x.strictly || y.strictly {
			c.report(diag.Error, CodeContradiction, b, "it contradicts %s: no two rows pass both", a.place(b))
		} else {
			c.report(diag.Warning, CodeContradiction, b, "with %s only a column of one value passes", a.place(b))
		}
	default:
		x, y := intervalOf(a), intervalOf(b)
		alike := a.Kind == b.Kind && a.Kind != "quantile" || a.Kind == "range" || b.Kind == "range" // a min and a max may be apart
		if x != nil && y != nil && alike && x.about == y.about && x.apart(y) {
			c.report(diag.Error, CodeContradiction, b, "it contradicts %s: no value is both %s and %s", a.place(b), x.words, y.words)
		}
	}
}

// interval is what a check allows for the values of a column, or for one number.
type interval struct {
	about          string // "values", or the name of a metric
	lo, hi         *literal
	loOpen, hiOpen bool
	words          string
}

// intervalOf returns the interval of a check, nil if it has none. The smallest,
// the largest and any other value in the middle lie within the range of the
// values.
func intervalOf(c *Check) *interval {
	switch j := c.judge.(type) {
	case *bounds:
		return &interval{"values", j.lo, j.hi, j.loOpen, j.hiOpen, j.words()}
	case *metric:
		if j.fail == nil || j.fail.oneOf != nil || c.By != "" {
			return nil
		}
		about := j.kind.name
		if j.kind.ordered() {
			about = "values"
		}
		return &interval{about, j.fail.lo, j.fail.hi, j.fail.loOpen, j.fail.hiOpen, j.fail.words(j.kind.share)}
	case *quantile:
		if j.fail == nil || j.fail.oneOf != nil || c.By != "" {
			return nil
		}
		return &interval{"values", j.fail.lo, j.fail.hi, j.fail.loOpen, j.fail.hiOpen, j.fail.words(false)}
	}
	return nil
}

// apart reports whether no value lies in both.
func (i *interval) apart(o *interval) bool {
	before := func(hi *literal, hiOpen bool, lo *literal, loOpen bool) bool {
		if hi == nil || lo == nil || hi.value.Type.Family() != lo.value.Type.Family() || hi.value.Type == batch.String {
			return false
		}
		order, ok := batch.Compare(hi.value, lo.value)
		return ok && (order < 0 || order == 0 && (hiOpen || loOpen))
	}
	return before(i.hi, i.hiOpen, o.lo, o.loOpen) || before(o.hi, o.hiOpen, i.lo, i.loOpen)
}

// allowed judges the values of a closed list by the other checks of the column.
func (c *comparer) allowed(a *Check, s *set, others []*Check) {
	for _, b := range others {
		j, isRow := b.judge.(rowJudge)
		if b == a || !isRow || b.Columns != nil || b.Pos.Compare(a.Pos) < 0 && b.Kind == "in" {
			continue
		}
		switch b.Kind {
		case "unique", "increasing", "decreasing", "references", "row", "parsable", "is_null", "not_null":
			continue
		}
		failed, n := s.judgedBy(j)
		switch {
		case n > 0 && len(failed) == n:
			c.report(diag.Error, CodeContradiction, a, "it contradicts %s: none of its values passes that", b.place(a))
		case len(failed) > 0:
			c.report(diag.Warning, CodeContradiction, a, "%s of the list never pass %s", list(failed, 5), b.place(a))
		}
	}
}

// judgedBy judges the listed values as a column of their own and returns those
// that fail, of how many.
func (s *set) judgedBy(j rowJudge) (failed []string, n int) {
	var chunk batch.Chunk
	chunk.Vectors = make([]batch.Vector, 1)
	v := &chunk.Vectors[0]
	for _, l := range s.literals {
		value := l.value
		if l.quoted {
			value = batch.Value{Type: batch.String}
		}
		v.HasText = true
		v.Append(value, []byte(l.text))
	}
	chunk.Rows, chunk.First = v.Len(), 1
	chunk.Filled()
	columns := []batch.Column{{Name: "value"}}
	builder := profile.NewBuilder()
	if err := builder.Add(columns, &chunk); err != nil {
		return nil, 0
	}
	col := &builder.Finish(columns, profile.Info{}).Summary().Columns[0]
	e := j.evaluator(&sampler{max: len(s.literals)})
	e.observe(&rows{chunk: &chunk, v: v})
	o := e.outcome(col)
	if o.err != "" {
		return nil, 0
	}
	for _, f := range o.failing {
		failed = append(failed, s.literals[f.Row-1].text)
	}
	return failed, int(o.evaluated)
}

// distinct compares unique with a bound on how many values there are.
func (c *comparer) distinct(list []*Check) {
	rows := int64(1) // that the batch is known to have
	for _, check := range c.columns[""] {
		if m, ok := check.judge.(*metric); ok && m.kind.name == "row_count" && m.fail != nil && m.fail.lo != nil {
			rows = max(rows, int64(asFloat(m.fail.lo.value)))
		}
	}
	for _, u := range list {
		if j, ok := u.judge.(*unique); !ok || len(j.columns) > 0 || u.By != "" {
			continue
		}
		for _, b := range list {
			most := int64(-1)
			switch j := b.judge.(type) {
			case *set:
				if j.found == accepted {
					most = int64(len(j.literals))
				}
			case *metric:
				if j.kind.name == "distinct" && j.fail != nil && j.fail.hi != nil && b.By == "" {
					most = int64(asFloat(j.fail.hi.value))
				}
			}
			severity := diag.Error
			switch {
			case most < 0:
				continue
			case most >= rows && most > 1, slices.ContainsFunc(list, func(c *Check) bool { return c.Kind == "is_null" }):
				continue
			case most >= rows:
				severity = diag.Warning
			}
			c.report(severity, CodeContradiction, u, "with %s at most %s, so that more rows are never all different", b.place(u), values(most))
		}
	}
}

func values(n int64) string {
	if n == 1 {
		return "1 value is allowed"
	}
	return words.Count(n) + " values are allowed"
}

// looser reports a warn zone that lies around the fail zone: it never warns.
func looser(warn, fail *zone, node *yamldoc.Node, errs *diag.List) {
	if warn == nil || fail == nil || warn.oneOf != nil || fail.oneOf != nil || node == nil {
		return
	}
	within := func(outer, inner *literal, outerOpen, innerOpen bool, sign int) bool {
		if outer == nil {
			return true
		}
		if inner == nil {
			return false
		}
		order, ok := batch.Compare(outer.value, inner.value)
		return ok && (order*sign < 0 || order == 0 && (!outerOpen || innerOpen))
	}
	if within(warn.lo, fail.lo, warn.loOpen, fail.loOpen, 1) && within(warn.hi, fail.hi, warn.hiOpen, fail.hiOpen, -1) {
		node.Errorf(errs, yamldoc.CodeValue, "warn (%s) allows all that fail (%s) allows, so it never warns; swap them", warn.words(false), fail.words(false))
	}
}
