package checks

import (
	"slices"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/expr"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var rowSpec = Spec{
	Kind: "row", Level: RowLevel, Dataset: true,
	Short: &Param{Form: FormCondition, Summary: "The condition that every row fulfils."}, Example: "row: shipped_at >= created_at",
	Summary: "A condition over the columns of a row holds, as in row: shipped_at >= created_at.",
	parse: func(c *Check, p params, errs *diag.List) judge {
		if p.node.IsNull() {
			errs.Errorf(p.where(), 3, yamldoc.CodeMissingKey, "check \"row\" needs a condition, as in row: shipped_at >= created_at")
			return nil
		}
		program := parseCondition(p.node, errs)
		if program == nil {
			return nil
		}
		c.Columns = program.Columns()
		return &rowExpression{program}
	},
}

// parseCondition compiles an expression of a rule.
func parseCondition(n *yamldoc.Node, errs *diag.List) *expr.Program {
	text, ok := n.String(errs)
	if !ok {
		return nil
	}
	return expr.Compile(text, n.PosAt, errs)
}

// rowExpression judges rows by a condition.
type rowExpression struct{ program *expr.Program }

func (j *rowExpression) phrase() string { return "against " + j.program.Text() }

func (j *rowExpression) good() string { return "in line with " + j.program.Text() }

func (j *rowExpression) evaluator(s *sampler) rowEvaluator {
	e := &expressionEvaluator{program: j.program, s: s, readings: j.program.Readings(false), tallies: []*tally{{}}}
	e.class = make([]int, len(e.readings))
	e.truths = make([][]expr.Truth, len(e.readings))
	return e
}

// expressionEvaluator tallies a condition for each reading of its columns.
// Readings that agreed in all rows so far share a tally.
type expressionEvaluator struct {
	program  *expr.Program
	s        *sampler
	cond     *conditions
	index    int // of the program among the conditions
	readings []expr.Reading
	truths   [][]expr.Truth // of the chunk, by reading
	class    []int          // the tally of a reading
	tallies  []*tally
}

// use gives the evaluator what evaluates its condition.
func (e *expressionEvaluator) use(c *conditions) { e.cond, e.index = c, c.index(e.program) }

var verdicts = [4]verdict{expr.False: rejected, expr.True: accepted, expr.Null: skipped, expr.Wrong: rejected}

func (e *expressionEvaluator) observe(r *rows) {
	if r.chunk.Rows == 0 {
		return
	}
	for i, reading := range e.readings {
		e.truths[i] = e.cond.Truth(e.index, reading)
	}
	e.split()
	for k, t := range e.tallies {
		truth := e.truths[slices.Index(e.class, k)]
		if r.sel != nil {
			for _, i := range r.sel {
				t.count(verdicts[truth[i]&3], e.s, r, int(i))
			}
			continue
		}
		for i, v := range truth {
			t.count(verdicts[v&3], e.s, r, i)
		}
	}
}

// split gives readings that disagree in this chunk tallies of their own.
func (e *expressionEvaluator) split() {
	for k := range e.tallies {
		first := slices.Index(e.class, k)
		for i := first + 1; i < len(e.class); i++ {
			if e.class[i] != k || &e.truths[i][0] == &e.truths[first][0] {
				continue
			}
			t := *e.tallies[k]
			t.sample.drawn = slices.Clone(t.sample.drawn)
			if t.sample.rejected != nil {
				own := t.sample.rejected.Clone()
				t.sample.rejected = &own
			}
			e.tallies = append(e.tallies, &t)
			own := len(e.tallies) - 1
			same := &e.truths[i][0]
			for j := i; j < len(e.class); j++ {
				if e.class[j] == k && &e.truths[j][0] == same {
					e.class[j] = own
				}
			}
		}
	}
}

func (e *expressionEvaluator) absent(earlier) {}

// outcome is not asked for: a condition is over columns.
func (e *expressionEvaluator) outcome(*profile.Column) outcome { return e.tallies[0].outcome() }

// datasetOutcome ends the batch.
func (e *expressionEvaluator) datasetOutcome(s *profile.Summary) outcome {
	r, problem := e.cond.resolve(e.index, s)
	if problem != "" {
		return outcome{err: problem}
	}
	return e.tallies[e.class[e.program.Index(r, false)]].outcome()
}
