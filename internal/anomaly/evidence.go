package anomaly

import (
	"cmp"
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/drift"
)

// Evidence is one line of a decision: the strongest metric of a column, or what
// of the contract is broken.
type Evidence struct {
	// Column is empty for the batch itself.
	Column string
	// Metric is the name of the strongest metric; Also are further ones of the
	// column that deviate, strongest first.
	Metric string
	Also   []string
	// Value and Expected are natural numbers; Low and High are the band that is
	// normal. Text and Was take their places where numbers have no meaning.
	Value, Expected, Low, High float64
	Text, Was                  string
	// Numeric says that Value and Expected mean something.
	numeric bool
	Z       float64
	// N is the number of rows behind the value, History the accepted values of
	// the metric.
	N       int64
	History int
	// Unit is what Value and the others count: Age, Seconds or plain numbers.
	Unit Unit
	// Shape guesses the fault: volume, null, type, unit, category, duplicate,
	// copy, stale, outlier, shift, spread, distribution, precision, default, sign,
	// encoding, length, format, time or schema.
	Shape string
	// New is a text that was never seen before and explains most of a change.
	New string
	// Gone is a text that was frequent and is missing.
	Gone string
	// Beyond says that the line is beyond chance: Benjamini and Hochberg over
	// all metrics with the tail of Student t(6).
	Beyond bool

	status Status // of the line, for lane 0
}

// Unit is what a number counts.
type Unit uint8

// The units. An age is in seconds from a time to that of the batch, and negative
// after it.
const (
	Plain Unit = iota
	Age
	Seconds
)

// unitOf is that of a metric of a column; c is nil for the batch.
func unitOf(k Kind, c *column) Unit {
	switch {
	case c == nil || !specs[k].position || k.toPool():
		return Plain
	case c.kind == batch.Date || c.kind == batch.Timestamp:
		return Age
	case c.kind == batch.Duration:
		return Seconds
	}
	return Plain
}

// IsNumber reports whether Value and Expected mean something.
func (e *Evidence) IsNumber() bool { return e.numeric }

const (
	mostEvidence = 10
	leastZ       = 1.5  // below it a line says nothing
	beyondRate   = 0.01 // false discoveries among the marked lines
	bandZ        = again
	batchFirst   = 1.5 // weight of the batch's own metrics in the order of lines
)

// evidence joins the broken contract and the findings, strongest first, one line
// for each column.
func evidence(contract []Evidence, v *view, _ slotMode) []Evidence {
	out := slices.Clone(contract)
	for i := range out {
		out[i].Beyond = out[i].status == Fail
	}
	order := make([]int, len(v.findings))
	for i := range order {
		order[i] = i
	}
	strength := func(i int) float64 { return max(v.findings[i].z, v.findings[i].alone) }
	// What follows from the number of rows comes behind it.
	rank := func(i int) float64 {
		if v.findings[i].column.name == "" {
			return batchFirst * strength(i)
		}
		return strength(i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(b), rank(a)) })
	beyond := significant(v.findings)
	at := map[string]int{}
	for _, i := range order {
		fd := &v.findings[i]
		if strength(i) < leastZ {
			continue
		}
		name := fd.column.name
		if j, ok := at[name]; ok {
			if e := &out[j]; len(e.Also) < 5 && !slices.Contains(e.Also, fd.kind.String()) && e.Metric != fd.kind.String() {
				e.Also = append(e.Also, fd.kind.String())
			}
			continue
		}
		if len(at) == mostEvidence {
			continue
		}
		at[name] = len(out)
		out = append(out, line(fd, v, beyond[i], strength(i)))
	}
	return out
}

// line is the evidence of the strongest metric of a column.
func line(fd *finding, v *view, beyond bool, z float64) Evidence {
	form := specs[fd.kind].form
	e := Evidence{
		Column: fd.column.name, Metric: fd.kind.String(), Value: fd.natural, Expected: form.invert(fd.expected),
		Low: form.invert(fd.expected - bandZ*fd.width), High: form.invert(fd.expected + bandZ*fd.width),
		Z: z, N: int64(fd.n), History: fd.h, numeric: true, Beyond: beyond, New: fd.newest, Gone: fd.gone,
	}
	if specs[fd.kind].spread && e.Low < 0 && (fd.kind == KindStdDev || fd.kind == KindMeanLength || fd.kind == KindLengthSpread) {
		e.Low = 0
	}
	if specs[fd.kind].rising {
		e.Low = 0
	}
	e.Shape, e.Unit = shapeOf(fd, v), unitOf(fd.kind, v.columns[fd.column.name])
	return e
}

// significant marks the findings beyond chance.
func significant(found []finding) []bool {
	p := make([]float64, len(found))
	for i := range found {
		p[i] = StudentTail6(found[i].z)
	}
	return drift.BenjaminiHochberg(p, beyondRate)
}

// StudentTail6 is the two-sided tail of Student's t with 6 degrees of freedom:
// with θ = atan(t/√6) it is 1 − sin θ (1 + ½ cos²θ + ⅜ cos⁴θ) (Abramowitz,
// Stegun, "Handbook of Mathematical Functions", 26.7.4).
func StudentTail6(t float64) float64 {
	sin, cos := math.Sincos(math.Atan(math.Abs(t) / math.Sqrt(6)))
	c2 := cos * cos
	return max(0, 1-sin*(1+c2/2+3*c2*c2/8))
}

// shapeOf guesses what a deviation looks like.
func shapeOf(fd *finding, v *view) string {
	var mine []*finding
	for i := range v.findings {
		if f := &v.findings[i]; f.column.name == fd.column.name {
			mine = append(mine, f)
		}
	}
	get := func(k Kind) *finding {
		for _, f := range mine {
			if f.kind == k {
				return f
			}
		}
		return nil
	}
	deviates := func(k Kind) bool { f := get(k); return f != nil && f.z >= again }
	c := v.columns[fd.column.name]
	temporal := c != nil && (c.kind == batch.Date || c.kind == batch.Timestamp)
	switch {
	case fd.kind.ofBatch():
	case fd.kind != KindNull && deviates(KindNull) && get(KindNull).z >= 0.5*fd.z:
		return "null"
	case fd.kind != KindUnparsable && deviates(KindUnparsable):
		return "type"
	case temporal && (fd.kind == KindMean || fd.kind == KindP50 || fd.kind == KindMin || fd.kind == KindP01 || fd.kind == KindP05 || fd.kind == KindP25):
		if fd.sign > 0 {
			return "stale"
		}
		return "time"
	case isUnit(get):
		return "unit"
	case fd.kind == KindDistinctRatio && fd.sign > 0, fd.kind == KindDistinct && deviates(KindUnseen):
		return "category"
	case specs[fd.kind].position && deviates(KindZero) && get(KindZero).sign > 0:
		return "default"
	case (fd.kind == KindMean || fd.kind == KindStdDev || fd.kind == KindWasserstein) && (deviates(KindMax) || deviates(KindMin)) && !deviates(KindP50):
		return "outlier"
	}
	return specs[fd.kind].shape
}

// isUnit reports whether the middle of the values was multiplied by one factor
// that is no drift.
func isUnit(get func(Kind) *finding) bool {
	var low, high float64
	n := 0
	for _, k := range []Kind{KindP25, KindP50, KindP75} {
		f := get(k)
		if f == nil || math.Abs(f.expected) < 1e-9 || f.natural == 0 || (f.natural > 0) != (f.expected > 0) {
			continue
		}
		r := math.Abs(math.Log(f.natural / f.expected))
		if n == 0 {
			low, high = r, r
		}
		low, high = min(low, r), max(high, r)
		n++
	}
	return n >= 2 && low > math.Log(4) && high-low < 0.3*high
}
