package checks

import (
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/profile"
)

var (
	// ofAllRows are the numbers and kinds that are known of all rows, also when the
	// columns are of a sample.
	ofAllRows = []string{"row_count", "column_count", "bytes", "malformed", "parsable", "schema", "arrival"}
	// countsRows are those that depend on how many rows a sample has.
	countsRows = []string{"null_count", "distinct", "distinct_rate", "unique_rate", "sum", "duplicate_rows", "unique", "values"}
)

// CountsRows reports whether a metric depends on how many rows were taken, so that
// that of a sample is none of the batch. row_count does not: all rows are counted.
func CountsRows(metric string) bool { return slices.Contains(countsRows, metric) }

// NotCompared says why a metric of a sample is not compared with the past; it is
// empty if it is, and of all rows (share 0).
func NotCompared(metric string, share float64) string {
	if share == 0 || !CountsRows(metric) {
		return ""
	}
	return metric + " of a sample (" + percent(share) + ") depends on how many rows it has and is not compared; compare a share, such as null_rate, or profile all rows"
}

// number is the metric that a check is about, else its kind.
func (c *Check) number() string {
	switch j := c.judge.(type) {
	case *change:
		return j.metric
	case *balance:
		return j.of.metric
	}
	return c.Kind
}

// tellSample says in the message of a result that not all rows were judged, and
// whether the result would be another one if they were.
func (c *Check) tellSample(r *Result, s *profile.Summary) {
	if s.Source.Sample == nil || r.Reason != "" || r.Status == Error || r.Status == Learning {
		return
	}
	number := c.number()
	if f, ok := c.judge.(*freshness); ok && f.column == "" || c.Where == nil && slices.Contains(ofAllRows, number) {
		return
	}
	_, perRow := c.judge.(rowJudge)
	tell := " (of a sample of " + percent(*s.Source.Sample)
	switch {
	case CountsRows(number):
		tell += ", which has fewer repetitions and a smaller sum than all rows"
	case slices.Contains(ofAllRows, number): // of the rows that a condition selects
		tell += ", which has fewer of them than all rows"
	case perRow && r.Status == Pass:
		tell += "; the other rows were not judged"
	}
	r.Message = strings.TrimPrefix(r.Message+tell+")", " ")
}
