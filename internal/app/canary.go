package app

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/compare"
	"github.com/profilerhq/profiler/internal/monitor"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/runner"
	"github.com/profilerhq/profiler/internal/source"
)

// differencesShown is how many differences a message about a canary names.
const differencesShown = 3

// canaryEnded records what became of a canary as a batch of a dataset of its own,
// with one result and without data: an incident of it opens and ends as for other
// batches.
func (a *App) canaryEnded(ctx context.Context, p *pipeline.Pipeline, end runner.CanaryEnd) error {
	c := p.Canary
	if end.Problem == "" {
		for _, step := range slices.Sorted(maps.Keys(c.Expect)) {
			diffs, err := a.canaryDiffs(ctx, p, step, end.Outputs[step])
			if err != nil {
				end.Problem = fmt.Sprintf("the output of step %s cannot be compared: %v", step, err)
			} else if len(diffs) > 0 {
				end.Problem = fmt.Sprintf("the output of step %s is not as in %s: %s", step, c.Expect[step], someOf(diffs))
			}
			if end.Problem != "" {
				break
			}
		}
	}
	res := checks.Result{
		ID: "canary", Kind: "canary", Status: checks.Pass, Severity: checks.SeverityFail, Limit: fmt.Sprintf("as expected within %s", c.Within),
		Message: fmt.Sprintf("the canary came through as expected within %s", end.Took.Round(time.Millisecond)),
		Rule:    &checks.Rule{File: c.Pos.File, Line: c.Pos.Line, Column: c.Pos.Column},
	}
	if end.Problem != "" {
		res.Status, res.Message = checks.Fail, "the canary failed: "+end.Problem
		a.log.Error("canary failed", "pipeline", p.Name, "run", end.Run, "err", end.Problem)
	}
	at := end.At.UTC()
	o := &monitor.Outcome{Subject: monitor.Subject{Dataset: p.CanaryDataset(), Batch: at.Format(time.RFC3339), At: at, AsOf: at}}
	o.Report = checks.Report{
		Version: 1, Dataset: o.Dataset, Batch: o.Batch, At: at, Verdict: checks.VerdictOf([]checks.Result{res}), Results: []checks.Result{res},
	}
	if a.opts.Metrics != nil {
		a.opts.Metrics.Canary(p.Name, end.Problem == "")
	}
	return (&storeSink{a}).Accept(ctx, o)
}

func someOf(diffs []string) string {
	if more := len(diffs) - differencesShown; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(diffs[:differencesShown], "; "), more)
	}
	return strings.Join(diffs, "; ")
}

// canaryDiffs compares what a step made of the canary with what is expected.
func (a *App) canaryDiffs(ctx context.Context, p *pipeline.Pipeline, step string, paths []string) ([]string, error) {
	expected, err := ReadProfile(p.Path(p.Canary.Expect[step]))
	if err != nil {
		return nil, err
	}
	var parts []*profile.Profile
	for _, path := range paths {
		got, err := profileFile(ctx, path, source.Options{Format: p.Step(step).Format.Out})
		if err != nil {
			return nil, err
		}
		parts = append(parts, got)
	}
	got, err := profile.Merged(parts...)
	if err != nil {
		return nil, err
	}
	return differences(expected, got), nil
}

// differences says in which facts a profile is not as expected: rows, columns,
// their types, nulls, distinct values, bounds, means, and how their values are
// spread.
func differences(expected, got *profile.Profile) (out []string) {
	r := compare.Profiles(expected, got, compare.Side{}, compare.Side{})
	if r.Left.Rows != r.Right.Rows {
		out = append(out, fmt.Sprintf("%d rows instead of %d", r.Right.Rows, r.Left.Rows))
	}
	keyed := map[string]bool{} // whose values are hashed with some key
	for _, p := range []*profile.Profile{expected, got} {
		for _, c := range p.Summary().Columns {
			keyed[c.Name] = keyed[c.Name] || c.Sensitive
		}
	}
	for i := range r.Columns {
		c := &r.Columns[i]
		switch {
		case c.Status == compare.Added:
			out = append(out, fmt.Sprintf("a column %q more", c.Name))
			continue
		case c.Status == compare.Removed:
			out = append(out, fmt.Sprintf("no column %q", c.Name))
			continue
		case c.Type.Left != c.Type.Right:
			out = append(out, fmt.Sprintf("column %q is %s instead of %s", c.Name, c.Type.Right, c.Type.Left))
			continue
		}
		before := len(out)
		for _, m := range []struct {
			name  string
			pair  compare.Pair
			value bool // tells a value, which a sensitive column has not
		}{{"null rate", c.NullRate, false}, {"distinct", c.Distinct, false}, {"min", c.Min, true}, {"max", c.Max, true}, {"mean", c.Mean, true}, {"median", c.Median, true}} {
			if m.value && keyed[c.Name] || same(m.pair.Left, m.pair.Right) {
				continue
			}
			out = append(out, fmt.Sprintf("%s of column %q is %s instead of %s", m.name, c.Name, shownScalar(m.pair.Right), shownScalar(m.pair.Left)))
		}
		if d := c.Drift; len(out) == before && d != nil && d.Value > sameShare && !keyed[c.Name] {
			out = append(out, fmt.Sprintf("the values of column %q are spread differently (%s %.3g)", c.Name, d.Method, d.Value))
		}
	}
	return out
}

func shownScalar(s profile.Scalar) string {
	if s.IsNull() {
		return "none"
	}
	return s.String()
}

// sameShare is how far apart numbers may be, as a share, that come from the same
// data in another order.
const sameShare = 1e-9

// same reports whether two numbers or texts are equal, numbers up to rounding.
func same(a, b profile.Scalar) bool {
	x, okX := a.Float()
	y, okY := b.Float()
	if okX && okY {
		return math.Abs(x-y) <= sameShare*max(math.Abs(x), math.Abs(y))
	}
	return a.IsNull() == b.IsNull() && a.String() == b.String()
}
