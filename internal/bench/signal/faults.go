package signal

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
)

// Size is how large a fault is.
type Size uint8

// The sizes of a fault.
const (
	Small Size = iota
	Middle
	Large
	sizeCount
)

// String returns S, M or L.
func (s Size) String() string { return "SML"[s : s+1] }

// fault breaks a batch. It is a pure function of its input: the same random
// numbers break the same rows.
type fault struct {
	name  string
	sizes [sizeCount]float64 // what they mean is up to the fault
	// apply returns the broken batch and the names of the columns that are
	// broken, "" for the number of rows. nil says that nothing of the batch can
	// be broken so.
	apply func(in *victim, size float64, rng *rand.Rand) (*table, []string)
}

// victim is a batch that is about to be broken.
type victim struct {
	table    *table
	previous *table
	columns  []columnFacts // parallel to the columns of table
}

// columnFacts are what a fault wants to know of a column.
type columnFacts struct {
	kind     batch.Type
	count    int64 // of values
	distinct int64
	id       bool    // integers that go on from batch to batch
	decimals int     // of its numbers, at most
	mean, sd float64 // of its numbers
}

// factsOf describes the columns of a batch for the faults. previous may be
// nil.
func factsOf(t *table, p, previous *profile.Profile) []columnFacts {
	facts := make([]columnFacts, len(t.names))
	for i, name := range t.names {
		c := p.Column(name)
		if c == nil {
			continue
		}
		f := columnFacts{kind: c.Kind(), count: c.Count, distinct: c.Distinct.Value}
		f.mean, _ = c.Mean.Float()
		f.sd, _ = c.StdDev.Float()
		if f.kind.Numeric() {
			f.decimals = decimalsOf(t.cols[i])
		}
		f.id = c.Kind() == batch.Integer && isRunning(c, previous, name)
		facts[i] = f
	}
	return facts
}

func isRunning(c *profile.Column, previous *profile.Profile, name string) bool {
	if previous == nil || previous.Column(name) == nil {
		return false
	}
	lo, ok := c.Min.Float()
	last, had := previous.Column(name).Max.Float()
	return ok && had && lo > last && c.Distinct.Value > 1
}

func decimalsOf(col []string) int {
	most := 0
	for _, s := range col {
		for i := len(s) - 1; i >= 0; i-- {
			if s[i] == '.' {
				most = max(most, len(s)-1-i)
				break
			}
		}
	}
	return min(most, 15)
}

// choose draws one of the columns that fit, -1 if none does.
func (v *victim) choose(rng *rand.Rand, fits func(columnFacts) bool) int {
	var fit []int
	for i, f := range v.columns {
		if f.count > 0 && fits(f) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return -1
	}
	return fit[rng.IntN(len(fit))]
}

func anyColumn(columnFacts) bool { return true }

// measured columns hold numbers that measure: no running ids.
func measured(f columnFacts) bool { return f.kind.Numeric() && !f.id }

// category columns hold texts of few values.
func category(f columnFacts) bool {
	return f.kind == batch.String && f.distinct >= 2 && f.distinct <= max(50, f.count/20)
}

func texts(f columnFacts) bool { return f.kind == batch.String }

// faults are the rows of the table of the design, in its order.
var faults = []fault{
	{"missing volume", [3]float64{0.2, 0.5, 0.9}, missingVolume},
	{"duplicate load", [3]float64{0.2, 0.5, 1}, duplicateLoad},
	{"late partition", [3]float64{0.8, 0.5, 0.1}, latePartition},
	{"nulls", [3]float64{0.02, 0.1, 0.5}, nulls},
	{"default value", [3]float64{0.02, 0.1, 0.5}, defaultValue},
	{"unit x100", [3]float64{0.05, 0.3, 1}, unitTimes100},
	{"scale", [3]float64{1.1, 1.5, 3}, scale},
	{"mean shift", [3]float64{0.2, 0.5, 2}, meanShift},
	{"spread", [3]float64{1.2, 1.5, 3}, spreadOut},
	{"category dropped", [3]float64{0.05, 0.2, 0.5}, categoryDropped},
	{"new category", [3]float64{0.02, 0.1, 0.5}, newCategory},
	{"mojibake", [3]float64{0.02, 0.2, 1}, mojibake},
	{"columns swapped", [3]float64{0.05, 0.3, 1}, columnsSwapped},
	{"type change", [3]float64{0.02, 0.2, 1}, typeChange},
	{"hour shifted", [3]float64{1, 5, 12}, hourShifted},
	{"strings cut", [3]float64{0.9, 0.5, 0.1}, stringsCut},
	{"frozen values", [3]float64{0.1, 0.3, 1}, frozenValues},
	{"stale copy", [3]float64{1, 1, 1}, staleCopy},
	{"segment broken", [3]float64{0.05, 0.15, 0.4}, segmentBroken},
	{"precision lost", [3]float64{0.05, 0.3, 1}, precisionLost},
	{"sign flip", [3]float64{0.02, 0.2, 1}, signFlip},
	{"outliers x1000", [3]float64{0.002, 0.01, 0.05}, outliers},
}

// rowsBroken is what faults of whole rows touch.
var rowsBroken = []string{""}

// some returns about a share of n, drawn without repetition, ascending; at
// least one.
func some(rng *rand.Rand, n int, share float64) []int {
	k := min(n, max(1, int(math.Round(share*float64(n)))))
	rows := rng.Perm(n)[:k]
	slices.Sort(rows)
	return rows
}

func missingVolume(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	n := in.table.rows()
	keep := int(math.Round((1 - share) * float64(n)))
	rows := rng.Perm(n)[:keep]
	slices.Sort(rows)
	return in.table.pick(rows), rowsBroken
}

// duplicateLoad loads a part of the rows a second time, in one go.
func duplicateLoad(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	n := in.table.rows()
	return in.table.join(in.table.pick(some(rng, n, share))), rowsBroken
}

func latePartition(in *victim, share float64, _ *rand.Rand) (*table, []string) {
	return in.table.head(int(math.Round(share * float64(in.table.rows())))), rowsBroken
}

func staleCopy(in *victim, _ float64, _ *rand.Rand) (*table, []string) {
	return in.previous, rowsBroken
}

// change rewrites some values of a column that fits. f gets the value.
func change(in *victim, rng *rand.Rand, share float64, fits func(columnFacts) bool, f func(facts *columnFacts, text string) string) (*table, []string) {
	i := in.choose(rng, fits)
	if i < 0 {
		return nil, nil
	}
	col := slices.Clone(in.table.cols[i])
	for _, r := range some(rng, len(col), share) {
		if col[r] != null {
			col[r] = f(&in.columns[i], col[r])
		}
	}
	return in.table.with(i, col), in.table.names[i : i+1]
}

// calculate is change for numbers; results keep the decimals of the column.
func calculate(in *victim, rng *rand.Rand, share float64, f func(facts *columnFacts, x float64) float64) (*table, []string) {
	return change(in, rng, share, measured, func(facts *columnFacts, text string) string {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return text
		}
		return shortDecimal(f(facts, x), facts.decimals)
	})
}

// shortDecimal writes a number with at most so many decimals.
func shortDecimal(x float64, decimals int) string {
	p := math.Pow(10, float64(decimals))
	if r := math.Round(x*p) / p; math.Abs(r) < 1e15 {
		return strconv.FormatFloat(r, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

func nulls(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	return change(in, rng, share, anyColumn, func(*columnFacts, string) string { return null })
}

func defaultValue(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	number := []string{"0", "-1", "9999"}[rng.IntN(3)]
	text := []string{"", "unknown", "N/A"}[rng.IntN(3)]
	fits := func(f columnFacts) bool { return f.kind.Numeric() || f.kind == batch.String }
	return change(in, rng, share, fits, func(f *columnFacts, _ string) string {
		if f.kind.Numeric() {
			return number
		}
		return text
	})
}

func unitTimes100(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, share, func(_ *columnFacts, x float64) float64 { return 100 * x })
}

func scale(in *victim, by float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, 1, func(_ *columnFacts, x float64) float64 { return by * x })
}

func meanShift(in *victim, by float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, 1, func(f *columnFacts, x float64) float64 { return x + by*f.sd })
}

func spreadOut(in *victim, by float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, 1, func(f *columnFacts, x float64) float64 { return f.mean + by*(x-f.mean) })
}

func precisionLost(in *victim, by float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, 1, func(f *columnFacts, x float64) float64 {
		if f.sd == 0 {
			return x
		}
		return math.Round(x/(by*f.sd)) * by * f.sd
	})
}

func signFlip(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, share, func(_ *columnFacts, x float64) float64 { return -x })
}

func outliers(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	return calculate(in, rng, share, func(_ *columnFacts, x float64) float64 { return 1000 * x })
}

func typeChange(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	unit := []string{" EUR", " kg", "?"}[rng.IntN(3)]
	fits := func(f columnFacts) bool { return f.kind.Numeric() || f.kind.Temporal() }
	return change(in, rng, share, fits, func(_ *columnFacts, text string) string { return text + unit })
}

func hourShifted(in *victim, hours float64, rng *rand.Rand) (*table, []string) {
	return change(in, rng, 1, func(f columnFacts) bool { return f.kind == batch.Timestamp }, func(_ *columnFacts, text string) string {
		at, layout, ok := parseTime(text)
		if !ok {
			return text
		}
		return at.Add(hoursOf(hours)).Format(layout)
	})
}

func timesTen(text string, decimals int) string {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return shortDecimal(10*x, decimals)
}
