package checks

import (
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/drift"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Sensitive names the columns whose values are never shown, by names or
// patterns in which * stands for any text. A name stands for all that is nested
// in it too, and for what it is nested in, as far as that is shown as a whole.
type Sensitive []string

// Has reports whether a column is sensitive.
func (s Sensitive) Has(column string) bool {
	for _, pattern := range s {
		if Match(pattern, column) || within(pattern, column) || holds(column, pattern) {
			return true
		}
	}
	return false
}

// within reports whether a column is nested in one that the pattern names.
func within(pattern, column string) bool {
	return Match(pattern+".*", column) || Match(pattern+"[]*", column)
}

// holds reports whether what the pattern names is nested in the column.
func holds(column, pattern string) bool {
	rest, ok := strings.CutPrefix(pattern, column)
	return ok && column != "" && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// revealing is a kind whose verdict needs the values of a column, or a number
// that tells of them, which the profile of a sensitive column does not have.
type revealing interface {
	// reveals returns the column, "" for none; own is that of the check.
	reveals(own string) string
}

// telling are the numbers of a column that tell its values.
var telling = map[string]bool{
	"min": true, "max": true, "mean": true, "median": true, "stddev": true, "variance": true, "sum": true,
	"skewness": true, "kurtosis": true, "true_rate": true,
}

func (m *metric) reveals(own string) string {
	if telling[m.kind.name] {
		return own
	}
	return ""
}

func (*quantile) reveals(own string) string { return own }

func (*mostCommon) reveals(own string) string { return own }

func (*valueSet) reveals(own string) string { return own }

func (f *freshness) reveals(string) string { return f.column }

// revealed returns the sensitive column whose values a check of a column needs,
// "" if it needs none.
func (e *Evaluation) revealed(c *Check, column string) string {
	j, ok := c.judge.(revealing)
	if !ok {
		return ""
	}
	if name := j.reveals(column); name != "" && e.plan.Sensitive.Has(name) {
		return name
	}
	return ""
}

// bindPlain starts to profile a sensitive column as it is, for the checks that
// need its values. That profile stays in memory and is dropped with the
// evaluation.
func (e *Evaluation) bindPlain(i int) {
	name := e.names[i]
	for _, c := range e.plan.Checks {
		own := c.Column
		if own != "" && (own == name || IsPattern(own) && Match(own, name)) {
			own = name
		}
		if !c.Enabled || e.revealed(c, own) != name {
			continue
		}
		p := &plainColumn{builder: profile.NewBuilder(), columns: []batch.Column{{Name: name, List: e.listOf[i]}}}
		e.plain[name] = p
		e.single[i] = append(e.single[i], &binding{eval: p})
		return
	}
}

// judgePlain judges a check that needs the values of a sensitive column.
func (e *Evaluation) judgePlain(b *binding, name string, in Input, res Result) Result {
	p, ok := e.plain[name]
	if !ok { // the batch does not have the column
		return b.check.judge.(batchJudge).result(&in, nil, res)
	}
	in.Profile = p.finish(in.Profile.Dataset)
	res = b.check.judge.(batchJudge).result(&in, in.Profile.Summary().Column(name), res)
	return b.check.concealed(res, name)
}

// concealed is a result about the values of a sensitive column as it may be
// shown.
func (c *Check) concealed(res Result, column string) Result {
	if l, ok := c.judge.(listing); ok {
		res.Limit = listText(l.listed())
	}
	if m, ok := c.judge.(*metric); ok && m.limitedByText() {
		res.Limit = "the limit of the rule"
	}
	return res.masked(c.subjectOf(column))
}

// plainColumn profiles the values of a sensitive column.
type plainColumn struct {
	builder *profile.Builder
	columns []batch.Column
	chunk   batch.Chunk
	done    *profile.Profile
}

var _ rowEvaluator = (*plainColumn)(nil)

func (p *plainColumn) observe(r *rows) {
	p.chunk.Vectors = append(p.chunk.Vectors[:0], *r.v)
	p.chunk.Filled()
	p.chunk.Rows, p.chunk.First = r.chunk.Rows, r.chunk.First
	_ = p.builder.Add(p.columns, &p.chunk) // nothing is left to fill
}

func (p *plainColumn) absent(earlier) {}

func (p *plainColumn) outcome(*profile.Column) outcome { return outcome{} }

func (p *plainColumn) finish(dataset string) *profile.Profile {
	if p.done == nil {
		p.done = p.builder.Finish(p.columns, profile.Info{Dataset: dataset})
	}
	return p.done
}

// unknownOfSensitive makes the result one of a number that no profile of a sensitive column
// has.
func (r Result) unknownOfSensitive(subject string) Result {
	r.Reason = "sensitive"
	return r.errorf("%s is not kept, because the column is sensitive", subject)
}

// masked takes what tells values out of a judged result. What is left is its
// status, and its limit as the rule has it.
func (r Result) masked(subject string) Result {
	r.Value = profile.Scalar{}
	switch {
	case r.Status == Error || r.Reason != "":
	case r.Status == Pass:
		r.Message = subject + " is as expected (" + r.Limit + "); its value is masked"
	default:
		r.Message = subject + " is not as expected: " + r.Limit + "; its value is masked"
	}
	return r
}

// subjectOf names what a check judges.
func (c *Check) subjectOf(column string) string {
	switch j := c.judge.(type) {
	case *quantile:
		return "quantile " + j.text + " of " + column
	case *mostCommon:
		return "the most common value of " + column
	case *freshness:
		return "the newest " + column
	}
	return c.Kind + " of " + column
}

// limitedByText reports whether a limit is a text, as that of a smallest value.
func (m *metric) limitedByText() bool {
	for _, z := range []*zone{m.warn, m.fail} {
		for _, l := range z.literals() {
			if l.value.Type == batch.String {
				return true
			}
		}
	}
	return false
}

// LintSensitive reports what a check asks of a sensitive column that can never
// be known of it.
func (c *Check) LintSensitive(s Sensitive, errs *diag.List) {
	switch j := c.judge.(type) {
	case *change:
		if telling[j.metric] && s.Has(j.column) {
			errs.Errorf(c.Pos, len(c.Kind), yamldoc.CodeValue, "the %s of a sensitive column is not kept, so there is none to compare with; compare its null_rate, distinct or mean_length", j.metric)
		}
	case *driftCheck:
		if needsNumbers[j.method] && s.Has(c.Column) {
			errs.Errorf(c.Pos, len(c.Kind), yamldoc.CodeValue, "%s compares numbers, of which a sensitive column keeps none; use js, hellinger, tv, linf or chi2", j.method)
		}
	}
}

// needsNumbers are the distances between numbers.
var needsNumbers = map[drift.Method]bool{drift.MethodPSI: true, drift.MethodKS: true, drift.MethodWasserstein: true}

// listing is a judge whose words list values of the column.
type listing interface{ listed() int }

func (s *set) listed() int { return len(s.literals) }

func (c *mostCommon) listed() int { return len(c.allowed) }

func (s *valueSet) listed() int { return len(s.literals) }

// listText stands for a list of values of a sensitive column.
func listText(n int) string {
	if n == 1 {
		return "the listed values"
	}
	return "the " + words.Count(n) + " listed values"
}

// maskedPhrase is the phrase of a row judge without values.
func maskedPhrase(j rowJudge, good bool) string {
	switch x := j.(type) {
	case *set:
		if (x.found == accepted) == good {
			return "one of " + listText(x.listed())
		}
		return "none of " + listText(x.listed())
	case *rowExpression:
		if good {
			return "in line with the condition"
		}
		return "against the condition"
	}
	if good {
		return j.good()
	}
	return j.phrase()
}

// hides reports whether a condition names a sensitive column, so that its text
// may hold a value of it.
func (s Sensitive) hides(columns []string) bool {
	for _, c := range columns {
		if s.Has(c) {
			return true
		}
	}
	return false
}
