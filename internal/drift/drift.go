// Package drift measures how far the values of a batch are from those of a
// baseline. It works on summaries alone (sorted values with weights, frequent
// texts with counts) and is pure: equal input gives equal output.
package drift

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/profilerhq/profiler/internal/sketch"
)

// Alpha is the p value below which a distance is beyond sampling, and the rate
// of false discoveries for several columns.
const Alpha = 0.001

const (
	// ownBins is the most distinct numbers that get a bin each.
	ownBins = 20

	// namedValues is the most texts of one side that get a bin each.
	namedValues = 100

	// nearUniqueCover is the share of rows that the most frequent texts must
	// reach. Below it most rows would fall into one bin.
	nearUniqueCover = 0.5

	// maxRatio is the largest reported Wasserstein distance.
	maxRatio = 60
)

// Method names a distance. The zero value is no method.
type Method string

// The methods of rule files. MethodAuto stands for the one that Auto chooses.
const (
	MethodPSI         Method = "psi"
	MethodKS          Method = "ks"
	MethodWasserstein Method = "wasserstein"
	MethodJS          Method = "js"
	MethodHellinger   Method = "hellinger"
	MethodTV          Method = "tv"
	MethodLInf        Method = "linf"
	MethodChi2        Method = "chi2"
	MethodAuto        Method = "auto"
)

var (
	// ErrNotComparable tells that the method has no meaning for these values.
	// The error around it says why and what to do.
	ErrNotComparable = errors.New("not comparable")

	// ErrNoValues tells that a side holds no value.
	ErrNoValues = errors.New("no value")

	// ErrNoBaseline tells that the baseline holds no value. It is an
	// ErrNoValues too.
	ErrNoBaseline = fmt.Errorf("%w in the baseline", ErrNoValues)
)

// Methods returns every method in the order of the documentation, MethodAuto
// last. The caller owns the slice.
func Methods() []Method {
	return []Method{
		MethodPSI, MethodKS, MethodWasserstein, MethodJS, MethodHellinger, MethodTV, MethodLInf, MethodChi2, MethodAuto,
	}
}

// Parse returns the method of that name; false if there is none.
func Parse(name string) (Method, bool) {
	m := Method(name)
	return m, slices.Contains(Methods(), m)
}

// Defaults returns the distances from which a method warns and fails when the
// rule names none, in the unit of the method; NaN for an unknown method.
func (m Method) Defaults() (warn, fail float64) {
	switch m {
	case MethodPSI:
		return 0.1, 0.25
	case MethodWasserstein:
		return 0.1, 0.3
	case MethodLInf:
		return 0.05, 0.15
	case MethodKS, MethodJS, MethodHellinger, MethodTV, MethodChi2, MethodAuto:
		return 0.1, 0.2
	}
	return math.NaN(), math.NaN()
}

// onNumbers tells whether the method needs an order of the values or bins that
// follow from it.
func (m Method) onNumbers() bool {
	return m == MethodPSI || m == MethodKS || m == MethodWasserstein
}

// Sample summarises the values of one column, without nulls and NaN. It holds
// numbers or texts, never both. The zero value is a sample without values. The
// functions of this package only read it.
type Sample struct {
	// Numbers are values ascending with weights; nil for texts. Equal
	// neighbours count together. Only the ratios of the weights matter.
	Numbers []sketch.Weighted[float64]

	// RankError bounds how far a rank may be off, as a share of the rows; 0
	// when Numbers are the true values.
	RankError float64

	// Values are the most frequent texts, each once, most frequent first. The
	// first 100 get a bin each, further ones only help to find the counts of
	// the other side's.
	Values []Value

	// Exact tells that Values holds every text of the column.
	Exact bool

	// Missing is the most that a text which is not in Values can count; it is
	// not read if Exact is set. For a list of sketch.Frequent that was not cut
	// it is twice the Error. If 0, the count and error of the last of Values
	// take its place.
	Missing uint64

	// Rows is the number of values that the sample stands for. If 0, the sum of
	// the weights or counts.
	Rows uint64

	// Distinct is the number of different values, which may be an estimate. If
	// 0, the number of Numbers or Values.
	Distinct uint64
}

// Value is a text with its count. The true count is between Count and
// Count+Error.
type Value struct {
	Text         string
	Count, Error uint64
}

// Outcome is what a comparison found.
type Outcome struct {
	// Method is the distance that was computed, never MethodAuto.
	Method Method

	// Distance is in the unit of the method, 0 for equal distributions.
	Distance float64

	// P is the chance of a difference of this size or more between two samples
	// of one distribution. Errors of the summaries are taken off first.
	P float64

	// Significant tells that P is below Alpha.
	Significant bool

	// RankErrors is the sum of both sides' rank errors, as a share of rows.
	RankErrors float64

	// CountErrors is the sum of what both sides leave open about one text's
	// count at most, as shares of their rows.
	CountErrors float64

	// Moved are the bins or texts that explain most of the distance, largest
	// first, at most 10; nil if nothing differs. The caller owns it.
	Moved []Move

	// BaselineRows and BatchRows are the numbers of values behind the samples.
	BaselineRows, BatchRows uint64
}

// Move is the part of one bin in a distance.
type Move struct {
	// Label describes the bin: "10 … 20", "≥ 95", `value "BR"`, "all others".
	Label string

	// Text is the text of a bin that stands for one text, else empty.
	Text string

	// Low and High are the ends of a bin of numbers: values from Low to below
	// High, infinite for an open end, both the same for a single number. Both
	// are NaN for texts and for all others.
	Low, High float64

	// Baseline and Batch are the shares of the rows in this bin.
	Baseline, Batch float64

	// Part is the share of the distance that the bin explains, from 0 to 1. For
	// ks, wasserstein and linf, which are no sums over bins, it is the share of
	// the rows that moved.
	Part float64
}

// Auto chooses the method for a column: ks for numbers with more than 20
// distinct values, tv for all others. numeric tells that the column holds
// numbers, times of day or durations. Whether the position of the values moves
// by nature, as with dates and running ids, is for the caller to know. For
// texts that are nearly all different Compare refuses the method that Auto
// returns.
func Auto(baseline Sample, numeric bool) Method {
	if !numeric {
		return MethodTV
	}
	if b := prepare(baseline.Numbers); max(baseline.Distinct, uint64(len(b))) > ownBins {
		return MethodKS
	}
	return MethodTV
}

// Compare measures the distance from the baseline to the batch. Errors are
// ErrNoBaseline or ErrNoValues when a side is empty, and ErrNotComparable when
// one side holds numbers and the other texts, when the method needs numbers and
// there are none, when nearly all texts of the baseline are different, and for
// an unknown method.
func Compare(m Method, baseline, batch Sample) (Outcome, error) {
	if m == MethodAuto {
		m = Auto(baseline, baseline.Numbers != nil)
	}
	if _, ok := Parse(string(m)); !ok {
		return Outcome{}, fmt.Errorf("%w: unknown method %q", ErrNotComparable, string(m))
	}
	baseKind, batchKind := baseline.kind(), batch.kind()
	switch {
	case baseKind == kindEmpty:
		return Outcome{}, ErrNoBaseline
	case batchKind == kindEmpty:
		return Outcome{}, ErrNoValues
	case baseKind != batchKind:
		return Outcome{}, fmt.Errorf("%w: the baseline holds %s, the batch %s", ErrNotComparable, baseKind, batchKind)
	case baseKind == kindTexts && m.onNumbers():
		return Outcome{}, fmt.Errorf("%w: %s needs numbers and the column holds texts; use one of %s", ErrNotComparable, m, textMethods())
	case baseKind == kindTexts:
		return compareTexts(m, baseline, batch)
	}
	return compareNumbers(m, baseline, batch), nil
}

func textMethods() string {
	var names []string
	for _, m := range Methods() {
		if !m.onNumbers() && m != MethodAuto {
			names = append(names, string(m))
		}
	}
	return strings.Join(names, ", ")
}

// kind is what a sample holds, in the words of messages.
type kind string

const (
	kindEmpty   kind = "nothing"
	kindNumbers kind = "numbers"
	kindTexts   kind = "texts"
)

func (s Sample) kind() kind {
	if s.Numbers != nil {
		if total(s.Numbers) == 0 {
			return kindEmpty
		}
		return kindNumbers
	}
	if s.rows() == 0 {
		return kindEmpty
	}
	return kindTexts
}

// rows returns the number of values behind the sample, at least what is listed
// by name.
func (s Sample) rows() uint64 {
	if s.Numbers != nil {
		if s.Rows == 0 {
			return total(s.Numbers)
		}
		return s.Rows
	}
	var sum uint64
	for _, v := range s.Values {
		sum += v.Count
	}
	return max(s.Rows, sum)
}

func compareNumbers(m Method, baseline, batch Sample) Outcome {
	a, b := prepare(baseline.Numbers), prepare(batch.Numbers)
	errs := baseline.RankError + batch.RankError
	distinct := max(baseline.Distinct, uint64(len(a)))
	cells := cellsOfNumbers(a, b, distinct, errs)
	o := outcome(m, cells, baseline.rows(), batch.rows())
	o.RankErrors = errs
	ksOf := sync.OnceValue(func() float64 { return KS(a, b) })
	switch m {
	case MethodKS:
		o.Distance = ksOf()
	case MethodWasserstein:
		o.Distance = wassersteinRatio(a, b)
	default:
	}
	ks := func() float64 {
		if p, ok := ksExact(ksOf(), o.BaselineRows, o.BatchRows); ok && errs == 0 {
			return p
		}
		return KolmogorovLimit(max(0, ksOf()-errs), float64(o.BaselineRows), float64(o.BatchRows))
	}
	if m == MethodKS || m == MethodWasserstein {
		o.P = ks()
	} else {
		o.P = tableP(testedCells(cells, a, b, distinct, errs), float64(o.BaselineRows), float64(o.BatchRows), ks)
	}
	o.Significant = o.P < Alpha
	return o
}

func compareTexts(m Method, baseline, batch Sample) (Outcome, error) {
	if err := nearUnique(baseline); err != nil {
		return Outcome{}, err
	}
	cells, errs := cellsOfTexts(baseline, batch)
	o := outcome(m, cells, baseline.rows(), batch.rows())
	o.CountErrors = errs
	o.P = tableP(cells, float64(o.BaselineRows), float64(o.BatchRows), nil)
	o.Significant = o.P < Alpha
	return o, nil
}

// NearUnique reports whether the texts of a sample are so nearly all different
// that the most frequent ones cover less than half of the rows. Their lengths
// can be compared as numbers instead.
func NearUnique(s Sample) bool { return s.Numbers == nil && s.rows() > 0 && nearUnique(s) != nil }

func nearUnique(baseline Sample) error {
	distinct := max(baseline.Distinct, uint64(len(baseline.Values)))
	if distinct <= namedValues {
		return nil
	}
	var named uint64
	for _, v := range baseline.Values[:min(namedValues, len(baseline.Values))] {
		named += v.Count
	}
	cover := float64(named) / float64(baseline.rows())
	if cover >= nearUniqueCover {
		return nil
	}
	return fmt.Errorf("%w: the %d most frequent of about %d texts cover %.1f %% of the baseline's rows, so most rows would share one bin; check the lengths, the format or the distinct rate instead",
		ErrNotComparable, namedValues, distinct, 100*cover)
}

// outcome computes the distance over bins and which bins explain it. For ks
// and wasserstein the caller replaces the distance.
func outcome(m Method, cells []cell, n, batch uint64) Outcome {
	p, q := make([]float64, len(cells)), make([]float64, len(cells))
	for i, c := range cells {
		p[i], q[i] = c.p, c.q
	}
	o := Outcome{Method: m, BaselineRows: n, BatchRows: batch}
	switch m {
	case MethodPSI:
		o.Distance = PSI(p, q)
	case MethodJS:
		o.Distance = JS(p, q)
	case MethodHellinger:
		o.Distance = Hellinger(p, q)
	case MethodTV:
		o.Distance = TotalVariation(p, q)
	case MethodLInf:
		o.Distance = LInf(p, q)
	case MethodChi2:
		o.Distance = cramersV(p, q, float64(n), float64(batch))
	default:
	}
	o.Moved = moves(m, cells, float64(n), float64(batch))
	return o
}
