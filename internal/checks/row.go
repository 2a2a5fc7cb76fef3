package checks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rowset"
	"github.com/profilerhq/profiler/internal/words"
)

// rowJudge is a kind that judges rows.
type rowJudge interface {
	// evaluator returns the state that judges the rows of one batch.
	evaluator(s *sampler) rowEvaluator
	// phrase completes "30 of 1,000 rows are …", as in "outside 0 … 10", and
	// good completes "all 1,000 rows are …", as in "inside 0 … 10".
	phrase() string
	good() string
}

// rowEvaluator judges the rows of one batch.
type rowEvaluator interface {
	// observe takes the rows of a chunk: those of r.sel, all if it is nil.
	observe(r *rows)
	// absent takes the rows that came before the column did: they are null.
	absent(b earlier)
	// outcome ends the batch; col is the finished column, nil for checks over
	// several.
	outcome(col *profile.Column) outcome
}

// earlier are rows, or elements of a list, that came before a column of them
// did.
type earlier struct {
	first, n int64 // number of the first row, and how many rows or elements
	// rows are those of elements, if rows are marked; else they are those from
	// the first one on.
	rows *rowset.Set
}

// rows are the rows of a chunk as a check sees them.
type rows struct {
	chunk *batch.Chunk
	v     *batch.Vector   // of the check's column, nil for checks over several
	cols  []*batch.Vector // of a check over several columns
	keys  []keyColumn
	// sel are the rows that are judged, by their index, ascending; nil is all.
	// Checks with where or by are given a part of the rows. In a column of
	// elements of lists, they are elements.
	sel []int32
	// names of cols, where a report shows them with their values
	names []string
}

// rowOf returns the row of value i as an index in the chunk: its own, but for
// elements of lists.
func (r *rows) rowOf(i int) int {
	if r.v != nil {
		return r.v.RowOf(i)
	}
	return i
}

// number returns the number of the row of value i.
func (r *rows) number(i int) int64 { return r.chunk.RowAt(r.rowOf(i)) }

type keyColumn struct {
	name string
	v    *batch.Vector
}

// outcome is what an evaluator found.
type outcome struct {
	evaluated, failed int64
	failing           []FailingRow
	rejected          *rowset.Set // the failed rows; nil if none is marked
	err               string      // why it could not be judged
}

// share is that of the failed rows.
func (o *outcome) share() float64 {
	if o.evaluated == 0 {
		return 0
	}
	return float64(o.failed) / float64(o.evaluated)
}

// verdict is the judgement of one value.
type verdict uint8

const (
	skipped  verdict = iota // not evaluated
	accepted                // evaluated, good
	rejected                // evaluated, fails
)

// tally counts the judgements of one reading of a column.
type tally struct {
	evaluated, failed int64
	sample            sample
}

func (t *tally) count(v verdict, s *sampler, r *rows, i int) {
	if v == skipped {
		return
	}
	t.evaluated++
	if v == rejected {
		t.failed++
		t.sample.offer(s, r, i)
	}
}

func (t *tally) outcome() outcome {
	return outcome{evaluated: t.evaluated, failed: t.failed, failing: t.sample.rows(), rejected: t.sample.rejected}
}

// valueEvaluator judges single values. The type of a text column is known only
// at its end, so a kind whose judgement depends on it is tallied once for each
// family of types that it has an opinion on; the finished column picks one.
type valueEvaluator struct {
	s *sampler
	// families are the readings; the last one stands for all that are not
	// listed.
	families []batch.Type
	tallies  []tally
	// judge judges row i as a value of a column of the family.
	judge func(v *batch.Vector, i int, family batch.Type) verdict
	codes codeVerdicts
	// sure returns the first row from i on of a plain vector that is not surely
	// accepted in all readings, or their number; nil is i. It looks at many rows
	// at a time, and judge at those where it stops.
	sure func(v *batch.Vector, i int) int
	// inOrder is set when the judgement of a row depends on those before it, so
	// that equal values are not judged once.
	inOrder bool
	// check tells, for the finished column, why it cannot be judged; nil is
	// never.
	check func(col *profile.Column) string
}

func newValueEvaluator(s *sampler, families []batch.Type, judge func(v *batch.Vector, i int, family batch.Type) verdict) *valueEvaluator {
	return &valueEvaluator{s: s, families: families, tallies: make([]tally, len(families)), judge: judge}
}

func (e *valueEvaluator) observe(r *rows) {
	if r.v.Dict != nil && !e.inOrder {
		e.codes.observe(e, r)
		return
	}
	switch {
	case r.sel != nil:
		for _, i := range r.sel {
			e.judgeRow(r, int(i))
		}
	case e.sure == nil || r.v.Dict != nil:
		for i := range r.v.Len() {
			e.judgeRow(r, i)
		}
	default:
		e.observeSure(r)
	}
}

// judgeRow judges a row in all readings.
func (e *valueEvaluator) judgeRow(r *rows, i int) {
	v, j := r.v.At(i)
	for f, family := range e.families {
		e.tallies[f].count(e.judge(v, j, family), e.s, r, i)
	}
}

// observeSure judges single rows only where sure stops.
func (e *valueEvaluator) observeSure(r *rows) {
	good := 0
	for i, n := 0, r.v.Len(); i < n; i++ {
		next := e.sure(r.v, i)
		good += next - i
		if i = next; i < n {
			e.judgeRow(r, i)
		}
	}
	for f := range e.tallies {
		e.tallies[f].evaluated += int64(good)
	}
}

func (e *valueEvaluator) absent(earlier) {}

func (e *valueEvaluator) outcome(col *profile.Column) outcome {
	if e.check != nil {
		if msg := e.check(col); msg != "" {
			return outcome{err: msg}
		}
	}
	at := len(e.families) - 1
	if i := slices.Index(e.families, col.Kind().Family()); i >= 0 {
		at = i
	}
	return e.tallies[at].outcome()
}

// isNull reports whether row i has no value in a column of the family: a
// quoted empty field of a CSV is a text in a text column and null elsewhere.
func isNull(v *batch.Vector, i int, family batch.Type) bool {
	return v.Types[i] == batch.Null || (v.Inferred && family != batch.String && len(v.Bytes(i)) == 0)
}

// hasValue reports whether row i has a value in all readings.
func hasValue(v *batch.Vector, i int) bool {
	return v.Types[i] != batch.Null && (v.Types[i] != batch.String || !v.Inferred || len(v.Bytes(i)) > 0)
}

// maxShown is how many bytes of a value a report shows.
const maxShown = 200

// sampler draws failing rows fairly: those with the smallest hashes of their
// row numbers, whatever the chunks or workers.
type sampler struct {
	seed uint64
	max  int
	mark bool // all failing rows are remembered by their numbers
	// known are the values of other sources, for kinds that refer to them.
	known map[Reference]*Known
}

// sample holds the first failing row and up to max others, drawn fairly, and
// the numbers of all if they are marked.
type sample struct {
	first    *sampledRow
	drawn    []sampledRow // by hash
	rejected *rowset.Set
	last     int64 // row that was offered, from 1
}

func (s *sample) markRow(row int64) {
	if s.rejected == nil {
		s.rejected = &rowset.Set{}
	}
	s.rejected.Add(row)
}

type sampledRow struct {
	hash uint64
	FailingRow
}

// offer considers row i of a chunk; its value and key are copied only if it
// enters the sample. Of several elements of a row the first one stands for it.
func (s *sample) offer(by *sampler, r *rows, i int) {
	row := r.number(i)
	if row == s.last {
		return
	}
	s.last = row
	if by.mark {
		s.markRow(row)
	}
	if by.max <= 0 {
		return
	}
	hash := mix(uint64(row) ^ by.seed)
	enters := len(s.drawn) < by.max || hash < s.drawn[len(s.drawn)-1].hash
	if s.first != nil && !enters {
		return
	}
	picked := sampledRow{hash: hash, FailingRow: r.show(i)}
	if s.first == nil {
		s.first = &picked
	}
	if enters {
		s.insert(picked, by.max)
	}
}

func (s *sample) insert(p sampledRow, limit int) {
	at, _ := slices.BinarySearchFunc(s.drawn, p, func(a, b sampledRow) int { return cmp.Compare(a.hash, b.hash) })
	s.drawn = slices.Insert(s.drawn, at, p)
	if len(s.drawn) > limit {
		s.drawn = s.drawn[:limit]
	}
}

// rows returns the sample in row order, the first failing row always among
// them.
func (s *sample) rows() []FailingRow {
	if s.first == nil {
		return nil
	}
	drawn := slices.Clone(s.drawn)
	if !slices.ContainsFunc(drawn, func(r sampledRow) bool { return r.Row == s.first.Row }) {
		if len(drawn) > 0 {
			drawn = drawn[:len(drawn)-1]
		}
		drawn = append(drawn, *s.first)
	}
	slices.SortFunc(drawn, func(a, b sampledRow) int { return cmp.Compare(a.Row, b.Row) })
	out := make([]FailingRow, len(drawn))
	for i, d := range drawn {
		out[i] = d.FailingRow
	}
	return out
}

// show copies row i as a report shows it.
func (r *rows) show(i int) FailingRow {
	f := FailingRow{Row: r.number(i)}
	switch {
	case r.v != nil:
		f.Value = scalarAt(r.v, i)
	case len(r.cols) > 0:
		parts := make([]string, len(r.cols))
		for k, v := range r.cols {
			parts[k] = r.part(k, v, i)
		}
		f.Value = profile.TextScalar(strings.Join(parts, ", "))
	}
	for _, k := range r.keys {
		f.setKey(k.name, scalarAt(k.v, r.rowOf(i)))
	}
	return f
}

// part shows the value of one of several columns, which may not be there yet.
func (r *rows) part(k int, v *batch.Vector, i int) string {
	switch {
	case r.names == nil:
		return scalarAt(v, i).String()
	case v == nil || scalarAt(v, i).IsNull():
		return r.names[k] + " null"
	}
	return r.names[k] + " " + scalarAt(v, i).String()
}

func scalarAt(v *batch.Vector, i int) profile.Scalar {
	plain, j := v.At(i)
	if v.Masked && plain.Types[j] != batch.Null {
		return masked
	}
	return scalarOf(plain, j)
}

// scalarOf returns a value of a plain vector as the JSON shows it: numbers as numbers, all else
// as text.
func scalarOf(v *batch.Vector, i int) profile.Scalar {
	switch v.Types[i] {
	case batch.Null:
		return profile.Scalar{}
	case batch.Integer:
		if !v.Inferred || v.Bytes(i)[0] != '0' || len(v.Bytes(i)) == 1 {
			return profile.IntScalar(v.Ints[i])
		}
	case batch.Number:
		if s := profile.FloatScalar(v.Floats[i]); !s.IsNull() {
			return s
		}
	default:
	}
	text := v.AppendText(nil, i)
	if len(text) > maxShown {
		text = append(text[:maxShown], "…"...)
	}
	return profile.TextScalar(string(text))
}

func mix(x uint64) uint64 {
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// grade holds an outcome against the limits of the check, and returns the limit
// that decides.
func (c *Check) grade(o outcome) (Status, *Tolerance) {
	switch {
	case c.Fail.exceeded(o.failed, o.evaluated):
		if c.Severity == SeverityWarn {
			return Warn, c.Fail
		}
		return Fail, c.Fail
	case c.Warn.exceeded(o.failed, o.evaluated):
		return Warn, c.Warn
	case c.Fail == nil:
		return Pass, c.Warn
	}
	return Pass, c.Fail
}

// rowResult turns an outcome into the result of a row check.
func (c *Check) rowResult(res Result, j rowJudge, o outcome) Result {
	if o.err != "" {
		return res.errorf("%s", o.err)
	}
	res.Evaluated, res.Failed, res.FailingRows = &o.evaluated, &o.failed, o.failing
	share := o.share()
	res.Value = profile.FloatScalar(share)
	var limit *Tolerance
	res.Status, limit = c.grade(o)
	res.Limit = limit.String()
	res.FailLimit, res.WarnLimit = c.Fail.zone(o.evaluated), c.Warn.zone(o.evaluated)
	res.Message = rowMessage(j, o, share, res.hide, unitOf(res.elements))
	return res
}

// zone is the tolerance as limits of the failing share.
func (t *Tolerance) zone(evaluated int64) Zone {
	if t == nil {
		return Zone{}
	}
	share := t.Share
	if !t.IsShare && evaluated > 0 {
		share = float64(t.Rows) / float64(evaluated)
	}
	return Zone{Upper: &share}
}

// unit is what a row check judges.
type unit struct {
	name, names string
	first       string // as in "row 7 is 3"
}

// text counts units.
func (u unit) text(n int64) string {
	if n == 1 {
		return "1 " + u.name
	}
	return words.Count(n) + " " + u.names
}

func unitOf(elements bool) unit {
	if elements {
		return unit{"element", "elements", "an element of row "}
	}
	return unit{"row", "rows", "row "}
}

func rowMessage(j rowJudge, o outcome, share float64, hide bool, u unit) string {
	good, phrase := j.good(), j.phrase()
	if hide {
		good, phrase = maskedPhrase(j, true), maskedPhrase(j, false)
	}
	if o.evaluated == 0 {
		return "no " + u.names + " to judge"
	}
	if o.failed == 0 {
		if o.evaluated == 1 {
			return "the 1 " + u.name + " is " + good
		}
		return fmt.Sprintf("all %s are %s", u.text(o.evaluated), good)
	}
	verb := "are"
	if o.failed == 1 {
		verb = "is"
	}
	msg := fmt.Sprintf("%s of %s (%s) %s %s", words.Count(o.failed), u.text(o.evaluated), percent(share), verb, phrase)
	if len(o.failing) > 0 {
		f := o.failing[0]
		if _, several := j.(*rowExpression); several {
			msg += fmt.Sprintf("; first: row %s has %s", words.Count(f.Row), f.Value)
		} else {
			msg += fmt.Sprintf("; first: %s%s is %s", u.first, words.Count(f.Row), shown(f.Value))
		}
		if k := keyText(&f); k != "" {
			msg += " (" + k + ")"
		}
	}
	return msg
}

// masked is shown for a value of a sensitive column.
var masked = profile.TextScalar(profile.Masked)

func shown(s profile.Scalar) string {
	switch {
	case s.IsNull():
		return "null"
	case s == masked:
		return profile.Masked
	}
	if _, ok := s.Float(); ok {
		return s.String()
	}
	return fmt.Sprintf("%q", s.String())
}

func keyText(f *FailingRow) string {
	names := slices.Sorted(maps.Keys(f.Key))
	for i, n := range names {
		names[i] = n + " " + f.KeyPart(n)
	}
	return strings.Join(names, ", ")
}

// errorf makes the result one that could not be judged.
func (r Result) errorf(format string, args ...any) Result {
	r.Status, r.Message = Error, fmt.Sprintf(format, args...)
	return r
}

// lacks makes the result a failure for a column that is not there.
func (r Result) lacks(column, format string, args ...any) Result {
	r.absent = column
	return r.failReason(MissingColumn, format, args...)
}

// failReason makes the result a failure for a fixed reason of the contract.
func (r Result) failReason(reason, format string, args ...any) Result {
	r.Status, r.Reason, r.Message = Fail, reason, fmt.Sprintf(format, args...)
	if r.Severity == SeverityWarn {
		r.Status = Warn
	}
	return r
}
