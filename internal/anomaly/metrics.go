package anomaly

import "math"

// Kind is one metric of a batch or of a column.
type Kind uint8

// The metrics. Those from KindRows to KindDuplicates are of the batch, all
// others of a column.
const (
	KindRows Kind = iota
	KindDuplicates
	KindNull
	KindUnparsable
	KindZero
	KindNegative
	KindInteger
	KindOneDecimal
	KindNaN
	KindTrue
	KindDistinctRatio
	KindTopShare
	KindDigit
	KindNonASCII
	KindBlank
	KindDistinct
	KindMean
	KindStdDev
	KindP50
	KindP25
	KindP75
	KindP05
	KindP95
	KindP01
	KindP99
	KindMin
	KindMax
	KindMeanLength
	KindLengthSpread
	KindMinLength
	KindMaxLength
	KindKS
	KindWasserstein
	KindTV
	KindUnseen
	KindLost
	KindHours
	KindWeekdays
	kindCount
)

// transform makes deviations of a metric comparable at any level.
type transform uint8

const (
	raw     transform = iota
	log1p             // ln(x+1)
	arcsine           // asin √p
	signed            // sign(x) ln(1+|x|)
)

// spec describes a metric: the table of section 1 of the design.
type spec struct {
	name  string
	form  transform
	noise float64 // se is noise/√n, in the unit of the transform
	floor float64 // effect that nobody would care about
	spread,
	// spread says that noise and floor are multiples of the column's spread.
	rising, // only increases count
	position, // moves with a running id
	lane1 bool
	share bool   // a share of rows that is not transformed, but while it was always 0
	shape string // what a deviation looks like
}

var specs = [kindCount]spec{
	KindRows:          {name: "row_count", form: log1p, noise: 1, floor: 0.04, lane1: true, shape: "volume"},
	KindDuplicates:    {name: "duplicate_rate", form: arcsine, noise: 0.5, floor: 0.02, rising: true, shape: "duplicate"},
	KindNull:          {name: "null_rate", form: arcsine, noise: 0.5, floor: 0.02, lane1: true, shape: "null"},
	KindUnparsable:    {name: "unparsable_rate", form: arcsine, noise: 0.5, floor: 0.02, lane1: true, shape: "type"},
	KindZero:          {name: "zero_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "default"},
	KindNegative:      {name: "negative_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "sign"},
	KindInteger:       {name: "integer_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "precision"},
	KindOneDecimal:    {name: "one_decimal_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "precision"},
	KindNaN:           {name: "nan_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "null"},
	KindTrue:          {name: "true_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "category"},
	KindDistinctRatio: {name: "distinct_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "duplicate"},
	KindTopShare:      {name: "top_share", form: arcsine, noise: 0.5, floor: 0.02, shape: "category"},
	KindDigit:         {name: "digit_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "format"},
	KindNonASCII:      {name: "non_ascii_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "encoding"},
	KindBlank:         {name: "blank_rate", form: arcsine, noise: 0.5, floor: 0.02, shape: "null"},
	KindDistinct:      {name: "distinct", form: log1p, noise: 1, floor: 0.04, shape: "category"},
	KindMean:          {name: "mean", noise: 1, floor: 0.05, spread: true, position: true, shape: "shift"},
	KindStdDev:        {name: "stddev", noise: 1, floor: 0.05, spread: true, position: true, shape: "spread"},
	KindP50:           {name: "median", noise: 1.4, floor: 0.05, spread: true, position: true, shape: "shift"},
	KindP25:           {name: "p25", noise: 1.6, floor: 0.05, spread: true, position: true, shape: "shift"},
	KindP75:           {name: "p75", noise: 1.6, floor: 0.05, spread: true, position: true, shape: "shift"},
	KindP05:           {name: "p05", noise: 2.5, floor: 0.05, spread: true, position: true, shape: "shift"},
	KindP95:           {name: "p95", noise: 2.5, floor: 0.05, spread: true, position: true, shape: "shift"},
	KindP01:           {name: "p01", noise: 5, floor: 0.05, spread: true, position: true, shape: "outlier"},
	KindP99:           {name: "p99", noise: 5, floor: 0.05, spread: true, position: true, shape: "outlier"},
	KindMin:           {name: "min", form: signed, noise: 1, floor: 0.3, position: true, shape: "outlier"},
	KindMax:           {name: "max", form: signed, noise: 1, floor: 0.3, position: true, shape: "outlier"},
	KindMeanLength:    {name: "mean_length", noise: 1, floor: 0.05, spread: true, shape: "length"},
	KindLengthSpread:  {name: "length_stddev", noise: 1, floor: 0.05, spread: true, shape: "length"},
	KindMinLength:     {name: "min_length", form: log1p, noise: 1, floor: 0.1, shape: "length"},
	KindMaxLength:     {name: "max_length", form: log1p, noise: 1, floor: 0.1, shape: "length"},
	KindKS:            {name: "ks", noise: 0.3, floor: 0.02, rising: true, position: true, shape: "distribution"},
	KindWasserstein:   {name: "wasserstein", noise: 0.5, floor: 0.02, rising: true, position: true, shape: "distribution"},
	KindTV:            {name: "tv", noise: 0.3, floor: 0.02, rising: true, shape: "category"},
	KindUnseen:        {name: "unseen_rate", noise: 0.3, floor: 0.01, rising: true, share: true, shape: "category"},
	KindLost:          {name: "lost_rate", noise: 0.3, floor: 0.01, rising: true, share: true, shape: "category"},
	KindHours:         {name: "hours_tv", noise: 0.3, floor: 0.02, rising: true, shape: "time"},
	KindWeekdays:      {name: "weekdays_tv", noise: 0.3, floor: 0.02, rising: true, shape: "time"},
}

// String returns the name of the metric, as rules have it where there is one.
func (k Kind) String() string {
	if k < kindCount {
		return specs[k].name
	}
	return "metric?"
}

// toPool says that the metric is a distance to the pool, which the state
// computes.
func (k Kind) toPool() bool { return k >= KindKS && k <= KindWeekdays }

// ofBatch says that the metric is of the batch, not of a column.
func (k Kind) ofBatch() bool { return k <= KindDuplicates }

// Numbers beyond it would not leave room for sums and squares.
const largest = 1e150

// bounded keeps a number within what can be computed with.
func bounded(x float64) float64 { return max(-largest, min(largest, x)) }

// apply transforms a natural value.
func (t transform) apply(x float64) float64 {
	switch t {
	case log1p:
		return math.Log1p(max(0, x))
	case arcsine:
		return math.Asin(math.Sqrt(min(1, max(0, x))))
	case signed:
		return math.Copysign(math.Log1p(math.Abs(x)), x)
	default:
		return x
	}
}

// invert is the inverse of apply, within the range of the metric.
func (t transform) invert(y float64) float64 {
	switch t {
	case log1p:
		return bounded(max(0, math.Expm1(y)))
	case arcsine:
		s := math.Sin(min(math.Pi/2, max(0, y)))
		return s * s
	case signed:
		return bounded(math.Copysign(math.Expm1(math.Abs(y)), y))
	default:
		return y
	}
}
