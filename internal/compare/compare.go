// Package compare sets two profiles beside each other: what came, what went,
// and how far the values of each column moved.
package compare

import (
	"math"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// Side names one of the two.
type Side struct {
	Dataset string    `json:"dataset"`
	Batch   string    `json:"batch,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Rows    int64     `json:"rows"`
}

// Pair is a number on both sides; null where a side has none.
type Pair struct {
	Left  profile.Scalar `json:"left"`
	Right profile.Scalar `json:"right"`
}

// Texts is a text on both sides.
type Texts struct {
	Left  string `json:"left"`
	Right string `json:"right"`
}

// The states of a column.
const (
	Both    = "both"
	Added   = "added"
	Removed = "removed"
)

// Column is a column of either side.
type Column struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Type     Texts  `json:"type"`
	NullRate Pair   `json:"null_rate"`
	Distinct Pair   `json:"distinct"`
	Min      Pair   `json:"min"`
	Max      Pair   `json:"max"`
	Mean     Pair   `json:"mean"`
	Median   Pair   `json:"median"`
	// Drift is nil for columns of one side, for those without values, and for
	// those whose position moves by nature.
	Drift *checks.Distance `json:"drift"`
}

// Result is the comparison.
type Result struct {
	Version int  `json:"version"`
	Left    Side `json:"left"`
	Right   Side `json:"right"`
	// Change is the change of the rows as a share of the left ones; null if there
	// are none.
	Change  profile.Scalar `json:"change"`
	Columns []Column       `json:"columns"`
}

// Profiles compares two profiles: columns of the right side in their order,
// those that went behind them.
func Profiles(left, right *profile.Profile, l, r Side) Result {
	l.Rows, r.Rows = left.Read(), right.Read()
	out := Result{Version: 1, Left: l, Right: r, Columns: []Column{}}
	if l.Rows > 0 {
		out.Change = profile.FloatScalar(float64(r.Rows-l.Rows) / float64(l.Rows))
	}
	for _, name := range right.ColumnNames() {
		out.Columns = append(out.Columns, column(left, right, name))
	}
	for _, name := range left.ColumnNames() {
		if right.Column(name) == nil {
			out.Columns = append(out.Columns, column(left, right, name))
		}
	}
	return out
}

func column(left, right *profile.Profile, name string) Column {
	l, r := left.Column(name), right.Column(name)
	c := Column{Name: name, Status: Both}
	switch {
	case l == nil:
		c.Status = Added
	case r == nil:
		c.Status = Removed
	default:
		c.Drift = checks.DistanceOf(left, right, name)
	}
	if l != nil {
		c.Type.Left = l.Type
	}
	if r != nil {
		c.Type.Right = r.Type
	}
	c.NullRate, c.Distinct = metric(l, r, "null_rate"), metric(l, r, "distinct")
	c.Min, c.Max = of(l, r, func(c *profile.Column) profile.Scalar { return c.Min }), of(l, r, func(c *profile.Column) profile.Scalar { return c.Max })
	c.Mean = of(l, r, func(c *profile.Column) profile.Scalar { return c.Mean })
	c.Median = of(l, r, func(c *profile.Column) profile.Scalar {
		if c.Quantiles == nil {
			return profile.Scalar{}
		}
		return c.Quantiles.P50
	})
	return c
}

func metric(l, r *profile.Column, name string) Pair {
	return of(l, r, func(c *profile.Column) profile.Scalar {
		if v, ok := c.Metric(name); ok {
			return profile.FloatScalar(v)
		}
		return profile.Scalar{}
	})
}

func of(l, r *profile.Column, get func(*profile.Column) profile.Scalar) (p Pair) {
	if l != nil {
		p.Left = get(l)
	}
	if r != nil {
		p.Right = get(r)
	}
	return p
}

// Moved returns the columns by how much they changed: those that came or went
// or changed their type, then by their distance. The caller owns the slice.
func (r *Result) Moved() []Column {
	weight := func(c *Column) float64 {
		switch {
		case c.Status != Both:
			return 3
		case c.Type.Left != c.Type.Right:
			return 2
		case c.Drift == nil:
			return math.Inf(-1)
		case !c.Drift.Significant:
			return c.Drift.Value - 1
		}
		return min(1, c.Drift.Value)
	}
	out := slices.Clone(r.Columns)
	slices.SortStableFunc(out, func(a, b Column) int {
		x, y := weight(&a), weight(&b)
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out
}
