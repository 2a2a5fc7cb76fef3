package checks

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// What names what deviates: the metric, of its column.
func (e *Evidence) What() string { return strings.ReplaceAll(e.Metric, "_", " ") }

// Seen writes the value with its unit.
func (e *Evidence) Seen() string {
	if v, ok := e.Value.Float(); ok {
		return e.measure(v)
	}
	return e.Value.String()
}

// Normal writes what was expected: a band of numbers, or a text.
func (e *Evidence) Normal() string {
	lo, ok := e.Low.Float()
	hi, also := e.High.Float()
	if !ok || !also {
		return e.Expected.String()
	}
	return e.measure(lo) + " … " + e.measure(hi)
}

// String writes a line of evidence as people read it: "null_rate of
// amount is 30 %, expected 0 % … 1.2 % (null)".
func (e *Evidence) String() string {
	what := strings.ReplaceAll(e.Metric, "_", " ")
	if e.Column == nil {
		switch e.Metric {
		case "fingerprint":
			return e.Value.String()
		case "row_count":
			what = "row count"
		}
	} else {
		what += " of " + *e.Column
	}
	if e.Metric == "column" && e.Column != nil {
		return fmt.Sprintf("column %s is %s", *e.Column, e.Value)
	}
	v, ok := e.Value.Float()
	if !ok {
		return fmt.Sprintf("%s is %s, it was %s", what, e.Value, e.Expected)
	}
	text := what + " is " + e.measure(v) + ", expected " + e.Normal()
	if e.Since != "" {
		text += ", since " + e.Since
	}
	if e.New != "" {
		text += fmt.Sprintf(", new: %q", e.New)
	}
	if e.Gone != "" {
		text += fmt.Sprintf(", gone: %q", e.Gone)
	}
	return text + " (" + e.Shape + ")"
}

// measure writes a number of the line with its unit.
func (e *Evidence) measure(v float64) string {
	if e.Unit == "" {
		return measureText(e.Metric, v)
	}
	const most = 9e9 // seconds that a duration holds, 285 years
	span := age(time.Duration(math.Round(min(most, math.Abs(v)))) * time.Second)
	switch {
	case e.Unit != UnitAge || e.Metric == "stddev":
		if v < 0 {
			return "-" + span
		}
		return span
	case v < 0:
		return span + " after the batch"
	}
	return span + " before the batch"
}

// measureText writes a value of a metric with its unit.
func measureText(metric string, v float64) string {
	if strings.HasSuffix(metric, "_rate") || strings.HasSuffix(metric, "_share") {
		return trimZeros(strconv.FormatFloat(100*v, 'f', 2, 64)) + " %"
	}
	if a := math.Abs(v); a != 0 && (a < 0.001 || a >= 1e9) {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	digits := 3
	if math.Abs(v) >= 100 {
		digits = 0
	}
	return grouped(trimZeros(strconv.FormatFloat(v, 'f', digits, 64)))
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// grouped writes commas between thousands.
func grouped(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return sign + whole
}
