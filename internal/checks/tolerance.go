package checks

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/words"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Tolerance is the number of failing rows that a row check puts up with, as a
// count or as a share of the evaluated rows. The zero value tolerates none.
type Tolerance struct {
	Rows    int64
	Share   float64
	IsShare bool
}

// exceeded reports whether more rows failed than are tolerated.
func (t *Tolerance) exceeded(failed, evaluated int64) bool {
	if t == nil {
		return false
	}
	if t.IsShare {
		return float64(failed) > t.Share*float64(evaluated)
	}
	return failed > t.Rows
}

// String returns the limit in words.
func (t *Tolerance) String() string {
	if t.IsShare {
		return fmt.Sprintf("at most %s failing rows", percent(t.Share))
	}
	if t.Rows == 1 {
		return "at most 1 failing row"
	}
	return fmt.Sprintf("at most %s failing rows", words.Count(t.Rows))
}

// parseTolerances reads warn and fail of a row check: fail: 0 unless only warn
// is written.
func (c *Check) parseTolerances(m *yamldoc.Mapping, errs *diag.List) {
	c.Warn = parseTolerance(m.Get("warn"), errs)
	c.Fail = parseTolerance(m.Get("fail"), errs)
	if c.Warn == nil && c.Fail == nil {
		c.Fail = &Tolerance{}
	}
	if c.Warn != nil && c.Fail != nil && c.Warn.IsShare == c.Fail.IsShare &&
		(c.Warn.Rows > c.Fail.Rows || c.Warn.Share > c.Fail.Share) {
		m.KeyNode("warn").Errorf(errs, yamldoc.CodeValue, "warn (%s) tolerates more than fail (%s); swap them", m.Get("warn").Raw(), m.Get("fail").Raw())
	}
}

func parseTolerance(n *yamldoc.Node, errs *diag.List) *Tolerance {
	if n == nil {
		return nil
	}
	if n.IsPercent() {
		share, ok := n.Percent(errs)
		if !ok {
			return nil
		}
		if share < 0 || share > 1 {
			n.Errorf(errs, yamldoc.CodeValue, "%s is no share of rows; write 0%% to 100%%", n.Raw())
			return nil
		}
		return &Tolerance{Share: share, IsShare: true}
	}
	if n.Kind() != yamldoc.Int {
		n.Errorf(errs, yamldoc.CodeType, "expected a count of rows like 10 or a percentage like 1%%, got %s", n.Describe())
		return nil
	}
	rows, ok := n.Int(errs)
	if ok && rows < 0 {
		n.Errorf(errs, yamldoc.CodeValue, "a count of rows cannot be negative")
		return nil
	}
	return &Tolerance{Rows: rows}
}

// percent formats a share: 3 %, 0.25 %, below 0.01 %.
func percent(share float64) string {
	p := share * 100
	switch {
	case p != 0 && p < 0.01 && p > -0.01:
		return "less than 0.01 %"
	case p != 100 && p > 99.99 && p < 100:
		return "more than 99.99 %"
	}
	digits := 2
	if p >= 10 || p <= -10 {
		digits = 1
	}
	s := strconv.FormatFloat(p, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + " %"
}

// number formats a metric for a message: separators of thousands, at most six
// significant digits beyond the point.
func number(f float64) string {
	if f == float64(int64(f)) && f < 1e15 && f > -1e15 {
		return words.Count(int64(f))
	}
	s := strconv.FormatFloat(f, 'g', 6, 64)
	if strings.ContainsAny(s, "e") {
		return s
	}
	whole, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || frac == "" {
		return s
	}
	if n == 0 {
		return s
	}
	return words.Count(n) + "." + frac
}
