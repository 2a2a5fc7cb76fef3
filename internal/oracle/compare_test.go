package oracle

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/profile"
)

const (
	maxTop    = 20
	keptBytes = 252 // of a text: at least so many are shown
)

// comparison collects how a summary differs from the naive profile.
type comparison struct {
	where string
	found []string
	// merged says that the summary is of a merged profile, whose parts each
	// number their own rows.
	merged bool
}

func (d *comparison) addf(format string, args ...any) {
	if len(d.found) < 20 {
		d.found = append(d.found, d.where+": "+fmt.Sprintf(format, args...))
	}
}

func equal[T comparable](d *comparison, what string, want, got T) {
	if want != got {
		d.addf("%s is %v, want %v", what, got, want)
	}
}

// differences compares a summary with the naive profile of the same rows:
// what must be exact exactly, floating numbers within 1e-12 (moments 1e-9),
// approximate numbers within the bounds that they state.
func differences(want *Profile, got *profile.Summary) []string {
	d := &comparison{}
	return d.all(want, got)
}

// differencesMerged compares the summary of a merged profile.
func differencesMerged(want *Profile, got *profile.Summary) []string {
	d := &comparison{merged: true}
	return d.all(want, got)
}

func (d *comparison) all(want *Profile, got *profile.Summary) []string {
	d.where = "batch"
	equal(d, "rows", want.Rows, got.Rows)
	equal(d, "malformed", want.Malformed, got.Malformed.Count)
	equal(d, "blank lines", want.Blank, got.Source.BlankLines)
	if want.Malformed > 0 && got.Malformed.First == nil {
		d.addf("the first malformed record has no place")
	}
	d.duplicates(want, got)
	equal(d, "number of columns", len(want.Columns), len(got.Columns))
	for i := range want.Columns {
		w := &want.Columns[i]
		d.where = "column " + w.Name
		g := got.Column(w.Name)
		if i < len(got.Columns) && got.Columns[i].Name == w.Name {
			g = &got.Columns[i] // names that are no UTF-8 may look alike
		}
		if g != nil {
			d.column(w, g, mustBeExact(want, w))
		} else {
			d.addf("missing")
		}
	}
	return d.found
}

// mustBeExact is the rule of exactness: few rows, or few distinct values.
func mustBeExact(p *Profile, c *Column) bool {
	if c.TextBytes >= 4<<20 {
		return false
	}
	rows := p.Rows
	if c.List != "" {
		rows = c.Count + c.Nulls
	}
	return rows <= 65_536 && len(p.Columns) <= 32 || max(int64(c.Spellings), c.Distinct) <= 16_384 && len(p.Columns) <= 64
}

func (d *comparison) duplicates(want *Profile, got *profile.Summary) {
	g := got.Duplicates
	if want.Rows <= 65_536 && !g.Exact {
		d.addf("duplicates are not exact")
	}
	if g.Exact {
		if g.Value != want.Duplicates && g.Value != want.SameEmpty || g.Error != 0 {
			d.addf("duplicates are %+v, want %d", g, want.Duplicates)
		}
		return
	}
	if g.Value > 0 && abs(g.Value-want.Duplicates) > g.Error || g.Value == 0 && want.Duplicates > 2*g.Error {
		d.addf("duplicates are %+v, which is too far from %d", g, want.Duplicates)
	}
}

func abs(n int64) int64 { return max(n, -n) }

func (d *comparison) column(w *Column, g *profile.Column, exact bool) {
	list := ""
	if g.List != nil {
		list = *g.List
	}
	equal(d, "list", w.List, list)
	equal(d, "type", w.Type, g.Type)
	if w.Type != g.Type {
		return
	}
	equal(d, "types", fmt.Sprint(w.Types), fmt.Sprint(g.Types))
	equal(d, "count", w.Count, g.Count)
	equal(d, "nulls", w.Nulls, g.Nulls)
	equal(d, "invalid_utf8", w.Invalid, g.InvalidUTF8)
	equal(d, "codes", w.IsCode, g.Codes())
	d.mixed(w, g)
	d.distinct(w, g, exact)
	if g.Distinct.Exact {
		d.top(w, g)
	} else {
		d.frequent(w, g)
	}
	d.numbers(w, g, exact)
	d.times(w, g, exact)
	d.texts(w, g)
	if w.Trues != nil {
		f, _ := w.Trues.Float64()
		d.near("mean", f, 1e-12, g.Mean)
	}
}

func (d *comparison) mixed(w *Column, g *profile.Column) {
	if g.Mixed == nil {
		equal(d, "mixed", w.Mixed, 0)
		return
	}
	equal(d, "mixed", w.Mixed, g.Mixed.Count)
	if w.List != "" {
		if !d.merged {
			equal(d, "first mixed row", w.First.Row, g.Mixed.First.Row)
		}
		return // of the row, which has several values
	}
	if d.merged || w.WordAmongNumbers {
		return // the product keeps the first number, and a word is one at first
	}
	equal(d, "first mixed row", w.First.Row, g.Mixed.First.Row)
	equal(d, "first mixed type", w.First.Type, g.Mixed.First.Type)
	if !shown(w.First.Value, g.Mixed.First.Value) {
		d.addf("first mixed value is %q, want %q", g.Mixed.First.Value, w.First.Value)
	}
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// shown reports whether got is how a text is shown: itself, or the beginning
// of a long one; bytes that are no UTF-8 are replaced.
func shown(want, got string) bool {
	if valid(want) == got {
		return true
	}
	if len(want) <= keptBytes {
		return false
	}
	whole := func(s string) string { return strings.TrimRight(s, "\uFFFD…") } // where it was cut
	return strings.HasPrefix(got, whole(valid(want[:keptBytes]))) && strings.HasPrefix(valid(want), whole(got))
}

func (d *comparison) distinct(w *Column, g *profile.Column, exact bool) {
	e := g.Distinct
	switch {
	case exact && !e.Exact:
		d.addf("distinct is not exact with %d values in %d spellings", w.Distinct, w.Spellings)
	case e.Exact:
		equal(d, "distinct", w.Distinct, e.Value)
		equal(d, "the error of an exact distinct", 0, e.Error)
	case abs(e.Value-w.Distinct) > e.Error:
		d.addf("distinct is %+v, which is too far from %d", e, w.Distinct)
	case float64(e.Error) > 0.025*float64(e.Value)+1:
		d.addf("the error of distinct is %+v, above 2.5 %%", e)
	}
	if e.Value > g.Count {
		d.addf("distinct %d exceeds count %d", e.Value, g.Count)
	}
	switch {
	case g.Count == 0 && g.DistinctRatio != nil:
		d.addf("distinct_ratio of no values is %v", *g.DistinctRatio)
	case g.Count > 0 && g.DistinctRatio == nil:
		d.addf("distinct_ratio is missing")
	case g.Count > 0 && math.Abs(*g.DistinctRatio-float64(e.Value)/float64(g.Count)) > 1e-12:
		d.addf("distinct_ratio is %v", *g.DistinctRatio)
	}
	if v, ok := g.Metric("unique_rate"); ok && e.Exact && math.Abs(v*float64(w.Count)-float64(w.Unique)) > 1e-6 {
		d.addf("unique_rate is %v, want %d of %d", v, w.Unique, w.Count)
	}
}

// top compares exact frequent values: the 20 most frequent, ties by text.
func (d *comparison) top(w *Column, g *profile.Column) {
	want := w.Top[:min(maxTop, len(w.Top))]
	equal(d, "number of top values", len(want), len(g.Top))
	for i := range min(len(want), len(g.Top)) {
		t := g.Top[i]
		if t.Count != want[i].Count || t.Error != 0 || !shown(want[i].Text, t.Value) {
			d.addf("top value %d is %+v, want %q with %d", i+1, t, valid(want[i].Text), want[i].Count)
			return
		}
	}
}

// frequent compares estimated frequent values: their counts must lie within
// their errors, and a value with a twentieth of the rows must be there.
func (d *comparison) frequent(w *Column, g *profile.Column) {
	truth := map[string]int64{}
	for _, t := range w.Top {
		truth[valid(t.Text)] += t.Count
	}
	listed := map[string]bool{}
	for _, t := range g.Top {
		listed[t.Value] = true
		if n, ok := truth[t.Value]; len(t.Value) < keptBytes && !strings.Contains(t.Value, "\uFFFD") && (!ok || n < t.Count-t.Error || n > t.Count+t.Error) {
			d.addf("top value %+v occurs %d times", t, n)
		}
	}
	for _, t := range w.Top {
		if 20*t.Count >= w.Count && !listed[valid(t.Text)] && len(t.Text) < keptBytes {
			d.addf("top lacks %q with %d of %d", t.Text, t.Count, w.Count)
		}
	}
}

// near compares a number with a tolerance; NaN and infinities are null.
func (d *comparison) near(what string, want, tolerance float64, got profile.Scalar) {
	f, ok := got.Float()
	switch {
	case want-want != 0:
		if !got.IsNull() {
			d.addf("%s is %v, want null", what, got)
		}
	case !ok:
		d.addf("%s is null, want %v", what, want)
	case math.Abs(f-want) > tolerance:
		d.addf("%s is %v, want %v (difference %g, tolerance %g)", what, f, want, f-want, tolerance)
	}
}

func (d *comparison) counter(what string, want int64, got *int64) {
	if got == nil {
		d.addf("%s is null, want %d", what, want)
		return
	}
	equal(d, what, want, *got)
}

func (d *comparison) numbers(w *Column, g *profile.Column, exact bool) {
	n := w.Numbers
	if n == nil {
		if g.Zeros != nil || g.Negatives != nil || g.NaN != nil || g.Infinite != nil || !g.Sum.IsNull() {
			d.addf("has statistics of numbers")
		}
		return
	}
	d.counter("zeros", n.Zeros, g.Zeros)
	d.counter("negatives", n.Negatives, g.Negatives)
	d.counter("nan", n.NaN, g.NaN)
	d.counter("infinite", n.Infinite, g.Infinite)
	if len(n.Sorted) == 0 {
		if g.Quantiles != nil || g.Histogram != nil || !g.Min.IsNull() || !g.Mean.IsNull() {
			d.addf("has statistics of no values")
		}
		return
	}
	d.bound("min", n.Min, g.Min)
	d.bound("max", n.Max, g.Max)
	sum, _ := n.Sum.Float64()
	mean, _ := n.Mean.Float64()
	rounding := 0.0
	if n.Wide {
		rounding = n.Abs * 0x1p-52
	}
	far := math.IsInf(n.Abs*float64(n.N), 0) // a sum on the way may leave the range of float64
	switch {
	case far && g.Sum.IsNull():
	case n.Whole != nil:
		equal(d, "sum", n.Whole.String(), g.Sum.String())
		d.near("mean", mean, 1e-12*math.Abs(mean), g.Mean)
	default:
		d.near("sum", sum, 1e-12*math.Abs(sum)+(n.Abs*1e-26+rounding)*float64(n.N), g.Sum)
		if !math.IsInf(sum, 0) {
			d.near("mean", mean, 1e-12*math.Abs(mean)+n.Abs*1e-26+rounding, g.Mean)
		}
	}
	d.moments(&n.Moments, 1, rounding, g)
	d.quantiles(n.Sorted, g, exact, func(q float64, s profile.Scalar) (float64, bool) { return s.Float() }, 0)
	d.histogram(n.Sorted, g, func(s profile.Scalar) (float64, bool) { return s.Float() })
}

func (d *comparison) bound(what string, want *big.Rat, got profile.Scalar) {
	g := new(big.Rat)
	if i, ok := got.Int(); ok {
		g.SetInt64(i)
	} else if f, ok := got.Float(); ok {
		g.SetFloat64(f)
	} else {
		d.addf("%s is null, want %s", what, want.RatString())
		return
	}
	if g.Cmp(want) != 0 || got.String() == "-0" {
		d.addf("%s is %v, want %s", what, got, want.RatString())
	}
}

// moments compares standard deviation, skewness and kurtosis. unit is what the
// product divides the standard deviation by; rounding is how far the values
// themselves may be rounded.
func (d *comparison) moments(m *Moments, unit, rounding float64, g *profile.Column) {
	if m.Abs > 1e70 || m.StdDev > 0 && m.StdDev < 1e-70 {
		return // powers leave the range of float64: the product says null or a number
	}
	d.near("stddev", m.StdDev/unit, 1e-9*m.StdDev/unit+rounding/unit, g.StdDev)
	share := rounding / m.StdDev
	if share > 1e-3 {
		return
	}
	d.near("skewness", m.Skewness, (1e-9+100*share)*(1+math.Abs(m.Skewness)), g.Skewness)
	d.near("kurtosis", m.Excess, (1e-9+100*share)*(1+math.Abs(m.Excess)), g.Kurtosis)
}

// quantiles compares all seven. number gives the number that a quantile is
// shown as; step is how coarse that is.
func (d *comparison) quantiles(sorted []float64, g *profile.Column, exact bool, number func(q float64, s profile.Scalar) (float64, bool), step float64) {
	q := g.Quantiles
	if q == nil {
		d.addf("quantiles are missing")
		return
	}
	if exact && !q.Exact {
		d.addf("quantiles are not exact")
	}
	if q.Error < 0 || q.Error > 0.01 || q.Exact && q.Error != 0 {
		d.addf("the error of quantiles is %v", q.Error)
	}
	for _, s := range []struct {
		p float64
		s profile.Scalar
	}{{0.01, q.P01}, {0.05, q.P05}, {0.25, q.P25}, {0.5, q.P50}, {0.75, q.P75}, {0.95, q.P95}, {0.99, q.P99}} {
		v, ok := number(s.p, s.s)
		if !ok || s.s.String() == "-0" {
			d.addf("quantile %v is %v", s.p, s.s)
			continue
		}
		if q.Exact {
			want := Quantile(sorted, s.p)
			if math.Abs(v-want) > 1e-12*max(math.Abs(want), math.Abs(v))+step+1e-14*math.Abs(sorted[len(sorted)-1]) {
				d.addf("quantile %v is %v, want %v", s.p, v, want)
			}
			continue
		}
		below, _ := Ranks(sorted, v-step)
		_, upTo := Ranks(sorted, v+step)
		if slack := q.Error + 1/float64(len(sorted)); below > s.p+slack || upTo < s.p-slack {
			d.addf("quantile %v is %v, which has the ranks %v to %v (error %v)", s.p, v, below, upTo, q.Error)
		}
	}
}

// histogram compares the bins with the values: all of them are counted, and up
// to each edge as many as lie below it. Values next to an edge may be on either
// side; the bins of sketches may be off by their bound.
func (d *comparison) histogram(sorted []float64, g *profile.Column, number func(profile.Scalar) (float64, bool)) {
	h := g.Histogram
	if h == nil {
		d.addf("the histogram is missing")
		return
	}
	if len(h.Edges) != len(h.Counts)+1 || len(h.Counts) == 0 || len(h.Counts) > 50 {
		d.addf("the histogram has %d edges and %d counts", len(h.Edges), len(h.Counts))
		return
	}
	n := int64(len(sorted))
	slack := float64(n)*g.Quantiles.Error + 0.5
	near := 1e-9*(sorted[n-1]-sorted[0]) + 0x1p-52*max(-sorted[0], sorted[n-1])
	if math.IsInf(near, 0) {
		near = math.MaxFloat64 * 1e-9
	}
	var total int64
	for i, edge := range h.Edges {
		e, ok := number(edge)
		if !ok {
			d.addf("edge %d is %v", i, edge)
			return
		}
		below, _ := Ranks(sorted, e-near)
		_, upTo := Ranks(sorted, e+near)
		if i == 0 {
			below = 0
		}
		if i == len(h.Counts) {
			upTo = 1
		}
		if f := float64(total); f < below*float64(n)-slack || f > upTo*float64(n)+slack {
			d.addf("the histogram has %d values below %v, which has the ranks %v to %v of %d", total, edge, below, upTo, n)
		}
		if i < len(h.Counts) {
			total += h.Counts[i]
		}
	}
	equal(d, "the histogram's total", n, total)
}

func (d *comparison) times(w *Column, g *profile.Column, exact bool) {
	t := w.Times
	if t == nil {
		return
	}
	equal(d, "min", t.First, g.Min.String())
	equal(d, "max", t.Last, g.Max.String())
	unit, step := 1e6, 1.0 // microseconds in a second; a quantile is rounded to one
	if w.Type == tTime {
		unit = 1e9
	}
	mean, _ := t.Mean.Float64()
	meanType := w.Type
	if meanType == tDate {
		meanType = tTimestamp
	}
	if got, ok := fromShown(g.Mean.String(), meanType); !ok || math.Abs(got-mean) > 1+t.Abs*0x1p-52 {
		d.addf("mean is %v, want %s", g.Mean, showMicros(mean, meanType, w.Zoned))
	}
	d.moments(&t.Moments, unit, 0, g)
	number := func(q float64, s profile.Scalar) (float64, bool) {
		f, ok := fromShown(s.String(), w.Type)
		if want := Quantile(t.Sorted, q); ok && w.Type == tDate && math.Floor(want/dayMicros)*dayMicros == f && g.Quantiles.Exact {
			return want, true // a date is the day on which the quantile lies
		}
		return f, ok
	}
	d.quantiles(t.Sorted, g, exact, number, step)
	d.histogram(t.Sorted, g, func(s profile.Scalar) (float64, bool) { return fromShown(s.String(), w.Type) })
}

const dayMicros = 86_400e6

// fromShown reads the canonical text of a date, time or timestamp.
func fromShown(s, typ string) (float64, bool) {
	switch typ {
	case tDate:
		at, err := time.Parse("2006-01-02", s)
		return float64(at.UnixMicro()), err == nil
	case tTime:
		ns, ok := clock(s)
		return float64(ns), ok
	}
	at, err := time.Parse("2006-01-02T15:04:05.999999999", strings.TrimSuffix(s, "Z"))
	return float64(at.UnixMicro()), err == nil
}

func (d *comparison) texts(w *Column, g *profile.Column) {
	if w.Type == tString {
		d.counter("blank", w.Blank, g.Blank)
		d.counter("non_ascii", w.NonASCII, g.NonASCII)
	} else if g.Blank != nil || g.NonASCII != nil {
		d.addf("has statistics of texts")
	}
	lengths := w.Lists
	if w.Texts != nil {
		lengths = &w.Texts.Lengths
		if !shown(w.Texts.First, g.Min.String()) || !shown(w.Texts.Last, g.Max.String()) {
			d.addf("min and max are %q and %q, want %q and %q", g.Min, g.Max, valid(w.Texts.First), valid(w.Texts.Last))
		}
	}
	switch {
	case lengths == nil && g.Length != nil:
		d.addf("length is %+v, want null", *g.Length)
	case lengths != nil && g.Length == nil:
		d.addf("length is null")
	case lengths != nil:
		equal(d, "min length", lengths.Min, g.Length.Min)
		equal(d, "max length", lengths.Max, g.Length.Max)
		if mean := float64(lengths.Sum) / float64(lengths.N); math.Abs(mean-g.Length.Mean) > 1e-12*mean {
			d.addf("mean length is %v, want %v", g.Length.Mean, mean)
		}
	}
}
