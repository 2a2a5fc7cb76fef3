package checks

import (
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rowset"
)

// Rejected are the rows that one row check of a batch rejects, where or not they
// are tolerated.
type Rejected struct {
	ID string
	// Rows has the numbers of the rows; it is never nil.
	Rows *rowset.Set
	// Warns is set if the check never fails a batch, however many rows it
	// rejects.
	Warns bool

	columns []string // that the reason shows
	hidden  []bool   // those of them that are sensitive
	several bool
	phrase  string
}

// Rejected returns the rejected rows of the row checks, in the order of the
// results and without those that reject none. It is called after Results, with
// a plan that marks rows.
func (e *Evaluation) Rejected() []Rejected {
	var out []Rejected
	for _, b := range e.bound {
		j, ok := b.check.judge.(rowJudge)
		if !ok || b.rejected == nil || b.rejected.Len() == 0 {
			continue
		}
		c := b.check
		r := Rejected{ID: b.id, Rows: b.rejected, Warns: c.Fail == nil || c.Severity == SeverityWarn, columns: c.Columns, several: true, phrase: j.phrase()}
		if b.column != "" {
			r.columns, r.several = []string{b.column}, false
		}
		for _, name := range r.columns {
			r.hidden = append(r.hidden, e.plan.Sensitive.Has(name))
		}
		if slices.Contains(r.hidden, true) {
			r.phrase = maskedPhrase(j, false)
		}
		out = append(out, r)
	}
	return out
}

// Reason says why row i of a chunk is rejected, as in "amount is -4.2, outside
// 0 … 10,000". columns are the reader's, one for each vector of the chunk. The
// error is that of filling one.
func (r *Rejected) Reason(columns []batch.Column, c *batch.Chunk, i int) (string, error) {
	parts := make([]string, len(r.columns))
	for k, name := range r.columns {
		value := profile.Scalar{}
		if at := slices.IndexFunc(columns, func(c batch.Column) bool { return c.Name == name }); at >= 0 {
			v, err := c.Fill(at)
			if err != nil {
				return "", err
			}
			if v.Rows != nil { // which of them it was is not known any more
				return "an element of " + name + " is " + r.phrase, nil
			}
			if value = scalarAt(v, i); r.hidden[k] && !value.IsNull() {
				value = masked
			}
		}
		switch {
		case r.several:
			parts[k] = name + " " + shown(value)
		case value.IsNull():
			return name + " is " + r.phrase, nil
		default:
			return name + " is " + shown(value) + ", " + r.phrase, nil
		}
	}
	return strings.Join(parts, ", ") + ": " + r.phrase, nil
}
