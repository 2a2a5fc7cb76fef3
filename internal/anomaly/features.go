package anomaly

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/profile"
)

// Features are what the decision knows of a batch: section 1 of the design. They
// do not change once they are made and may be shared.
type Features struct {
	at          time.Time
	rows        int64   // that were taken
	sample      float64 // the share of all rows that they are; 0 is all
	fingerprint uint64
	copyable    bool // distinctive enough to be told from another batch
	format      string
	measures    []measure // of the batch
	columns     []column
}

// column are the features of a column. A column of running numbers has a second
// one, offset, whose values are those minus the batch's minimum.
type column struct {
	name     string
	offset   bool
	kind     batch.Type
	declared bool
	mixed    bool
	count    int64
	spread   float64 // robust standard deviation, 0 without one
	low      float64 // of integers, for the steps of running ids
	high     float64
	stepping bool // low and high are set
	measures []measure
	digest   digest
}

// measure is a metric with a value.
type measure struct {
	kind  Kind
	value float64 // natural
	n     float64 // rows behind it
	extra float64 // standard error of the sketch, in the unit of noise·√n
}

// At returns the time of the batch.
func (f *Features) At() time.Time { return f.at }

// Rows returns the number of rows of the batch.
func (f *Features) Rows() int64 { return f.rows }

// Extract takes the features of a profile. at is the time of the batch, from
// which the ages of times are measured. The profile is only read.
func Extract(p *profile.Profile, at time.Time) *Features {
	s := p.Summary()
	f := &Features{at: at.UTC(), rows: s.Rows, sample: p.Stats.Sample, fingerprint: p.Fingerprint(), format: s.Source.Format}
	n := float64(s.Rows)
	f.add(KindRows, float64(s.Read()), max(1, n), 0)
	if s.Rows > 0 {
		f.add(KindDuplicates, float64(s.Duplicates.Value)/n, n, rateError(float64(s.Duplicates.Value)/n, float64(s.Duplicates.Error)/3/n, n))
	}
	distinct := int64(0)
	f.columns = make([]column, 0, len(s.Columns))
	for i := range s.Columns {
		c := &s.Columns[i]
		distinct = max(distinct, c.Distinct.Value)
		f.columns = append(f.columns, extractColumn(p, c, s, f.at))
		if last := &f.columns[len(f.columns)-1]; last.stepping && c.DistinctRatio != nil && *c.DistinctRatio > 0.5 {
			f.columns = append(f.columns, offsetColumn(p, c))
		}
	}
	f.copyable = s.Rows >= 20 && distinct >= 20
	return f
}

func (f *Features) add(k Kind, v, n, extra float64) {
	f.measures = appendMeasure(f.measures, k, v, n, extra)
}

func (c *column) add(k Kind, v, n, extra float64) {
	c.measures = appendMeasure(c.measures, k, v, n, extra)
}

// appendMeasure leaves out what is no number.
func appendMeasure(m []measure, k Kind, v, n, extra float64) []measure {
	if v-v != 0 || n <= 0 {
		return m
	}
	if extra-extra != 0 {
		extra = 0
	}
	return append(m, measure{kind: k, value: bounded(v), n: n, extra: extra})
}

// numbersOf returns the numbers of a column within what can be computed with.
func numbersOf(p *profile.Profile, name string) (w []point, rankErr float64) {
	w, rankErr = p.Numbers(name)
	for i := range w {
		w[i].Value = bounded(w[i].Value)
	}
	return w, rankErr
}

// rateError is the standard error dp of a share p after the transform.
func rateError(p, dp, n float64) float64 {
	if dp <= 0 {
		return 0
	}
	return dp / (2 * math.Sqrt(max(p*(1-p), 0.25/max(1, n), dp*dp)))
}

func extractColumn(p *profile.Profile, c *profile.Column, s *profile.Summary, at time.Time) column {
	out := column{name: c.Name, kind: c.Kind(), count: c.Count, declared: isDeclared(s.Source.Format)}
	rows, count := float64(s.Rows), float64(c.Count)
	if s.Rows > 0 {
		out.add(KindNull, float64(c.Nulls)/rows, rows, 0)
	}
	if c.Count == 0 {
		return out
	}
	mixed := 0.0
	if c.Mixed != nil {
		mixed = float64(c.Mixed.Count)
	}
	out.mixed = mixed > maxMixed*count
	out.add(KindUnparsable, mixed/count, count, 0)
	d := float64(c.Distinct.Value)
	dErr := float64(c.Distinct.Error) / 3
	if d > 0 {
		out.add(KindDistinct, d, count, dErr/d)
		out.add(KindDistinctRatio, min(1, d/count), count, rateError(d/count, dErr/count, count))
	}
	if len(c.Top) > 0 {
		out.add(KindTopShare, float64(c.Top[0].Count)/count, count, float64(c.Top[0].Error)/count)
	}
	switch k := c.Kind(); {
	case k.Numeric():
		out.numbers(p, c)
	case k == batch.String:
		out.texts(p, c)
	case k == batch.Boolean:
		if v, ok := c.Metric("true_rate"); ok {
			out.add(KindTrue, v, count, 0)
		}
		out.digest = digestTexts(p, c)
	case k.Temporal():
		out.times(p, c, at)
	}
	return out
}

// maxMixed is the share of values of other types up to which an inferred type
// is firm.
const maxMixed = 0.05

// isDeclared reports whether a format declares the types of its columns.
func isDeclared(format string) bool {
	switch format {
	case "csv", "tsv", "json", "jsonl", "":
		return false
	}
	return true
}

func (c *column) numbers(p *profile.Profile, s *profile.Column) {
	count := float64(s.Count)
	rate := func(k Kind, n *int64) {
		if n != nil {
			c.add(k, float64(*n)/count, count, 0)
		}
	}
	rate(KindZero, s.Zeros)
	rate(KindNegative, s.Negatives)
	if s.NaN != nil && s.Infinite != nil {
		c.add(KindNaN, float64(*s.NaN+*s.Infinite)/count, count, 0)
	}
	w, rankErr := numbersOf(p, s.Name)
	if len(w) == 0 {
		return
	}
	whole, tenth := decimals(w)
	c.add(KindInteger, whole, count, rateError(whole, rankErr/3, count))
	c.add(KindOneDecimal, tenth, count, rateError(tenth, rankErr/3, count))
	c.position(s, w, 0)
	c.digest.numbers = condense(w, digestPoints)
	if lo, hi, ok := s.Bounds(); ok && s.Kind() == batch.Integer && lo.Type == batch.Integer && hi.Type == batch.Integer {
		c.low, c.high, c.stepping = float64(lo.Int), float64(hi.Int), true
	}
}

// offsetColumn are the features of a column of integers minus its minimum.
func offsetColumn(p *profile.Profile, s *profile.Column) column {
	lo, _, _ := s.Bounds()
	base := float64(lo.Int)
	c := column{name: s.Name, offset: true, kind: s.Kind(), count: s.Count}
	w, _ := numbersOf(p, s.Name)
	c.position(s, w, base)
	c.digest.numbers = condense(shifted(w, base), digestPoints)
	return c
}

// position takes what says where the numbers of a column lie.
func (c *column) position(s *profile.Column, w []point, base float64) {
	n := float64(s.Count)
	std, ok := s.StdDev.Float()
	if !ok {
		std = 0
	}
	add := func(k Kind, v profile.Scalar, extra float64) {
		if x, ok := v.Float(); ok {
			c.add(k, x-base, n, extra)
		}
	}
	at := midQuantiles(w)
	c.spread = robustSpread(at, std)
	add(KindMean, s.Mean, 0)
	if ok && s.Count > 1 {
		c.add(KindStdDev, std, n, 0)
	}
	rankErr := 0.0
	if s.Quantiles != nil {
		rankErr = s.Quantiles.Error
	}
	c.addQuantiles(at, base, n, rankErr)
	add(KindMin, s.Min, 0)
	add(KindMax, s.Max, 0)
}

// quantileExtra turns an error of ranks into one of values in spreads: the
// noise of a quantile is √(p(1−p)) over its density.
func quantileExtra(k Kind, p float64) float64 { return specs[k].noise / math.Sqrt(p*(1-p)) }

// decimals returns the shares of ascending numbers that are whole, and that have
// one decimal at most.
func decimals(w []point) (whole, tenth float64) {
	var total, wholes, tenths float64
	for i := range w {
		x, n := w[i].Value, float64(w[i].Weight)
		total += n
		if x == math.Trunc(x) {
			wholes += n
			tenths += n
			continue
		}
		if t := x * 10; math.Abs(t-math.Round(t)) <= 1e-9*math.Abs(t) {
			tenths += n
		}
	}
	if total == 0 {
		return math.NaN(), math.NaN()
	}
	return wholes / total, tenths / total
}

func (c *column) texts(p *profile.Profile, s *profile.Column) {
	n := float64(s.Count)
	if s.Blank != nil {
		c.add(KindBlank, float64(*s.Blank)/n, n, 0)
	}
	if s.NonASCII != nil {
		c.add(KindNonASCII, float64(*s.NonASCII)/n, n, 0)
	}
	if len(s.Masks) > 0 {
		digits, bound := 0.0, 0.0
		for _, m := range s.Masks {
			if strings.Contains(m.Mask, "9") {
				digits += float64(m.Count)
				bound = max(bound, float64(m.Error))
			}
		}
		share := min(1, digits/n)
		c.add(KindDigit, share, n, rateError(share, bound/n, n))
	}
	if l := s.Length; l != nil {
		c.add(KindMeanLength, l.Mean, n, 0)
		c.add(KindMinLength, float64(l.Min), n, 0)
		c.add(KindMaxLength, float64(l.Max), n, 0)
		c.spread = math.Max(1, l.Mean/10)
	}
	c.digest = digestTexts(p, s)
}

// times takes ages, and where in the day and in the week times lie. Position
// itself always grows.
func (c *column) times(p *profile.Profile, s *profile.Column, at time.Time) {
	w, rankErr := numbersOf(p, s.Name)
	if len(w) == 0 {
		return
	}
	kind := s.Kind()
	switch kind {
	case batch.Duration:
		c.ages(scaled(w, 1e-9), float64(s.Count), rankErr)
		c.digest.numbers = condense(scaled(w, 1e-9), digestPoints)
	case batch.Date, batch.Timestamp:
		now := float64(at.UnixMicro())
		ages := make([]point, len(w))
		for i := range w {
			ages[len(w)-1-i] = point{Value: (now - w[i].Value) * 1e-6, Weight: w[i].Weight}
		}
		c.ages(ages, float64(s.Count), rankErr)
	default:
	}
	c.clock(w, kind, at)
}

func scaled(w []point, by float64) []point {
	out := make([]point, len(w))
	for i := range w {
		out[i] = point{Value: w[i].Value * by, Weight: w[i].Weight}
	}
	return out
}

const (
	hourMicros = 3_600_000_000
	dayMicros  = 24 * hourMicros
	hourNanos  = 3_600_000_000_000
)

// clock counts hours of the day, and days of the week from that of the batch:
// the times of a batch lie on its own day, whichever that is.
func (c *column) clock(w []point, kind batch.Type, at time.Time) {
	switch kind {
	case batch.Time:
		c.digest.hours = make([]float64, 24)
		for i := range w {
			c.digest.hours[modulo(math.Floor(w[i].Value/hourNanos), 24)] += float64(w[i].Weight)
		}
		return
	case batch.Timestamp:
		c.digest.hours = make([]float64, 24)
	case batch.Date:
	default:
		return
	}
	c.digest.weekdays = make([]float64, 7)
	today := math.Floor(float64(at.UnixMicro()) / dayMicros)
	for i := range w {
		c.digest.weekdays[modulo(math.Floor(w[i].Value/dayMicros)-today, 7)] += float64(w[i].Weight)
		if kind == batch.Timestamp {
			c.digest.hours[modulo(math.Floor(w[i].Value/hourMicros), 24)] += float64(w[i].Weight)
		}
	}
}

func modulo(x, n float64) int { return int(math.Mod(math.Mod(x, n)+n, n)) }

// ages takes mean, spread and quantiles of ascending numbers.
func (c *column) ages(w []point, n, rankErr float64) {
	var total, mean, square float64
	for i := range w {
		k := float64(w[i].Weight)
		total += k
		delta := w[i].Value - mean
		mean += delta * k / total
		square += k * delta * (w[i].Value - mean)
	}
	std := 0.0
	if total > 1 {
		std = math.Sqrt(max(0, square/(total-1)))
	}
	at := midQuantiles(w)
	c.spread = robustSpread(at, std)
	c.add(KindMean, mean, n, 0)
	if total > 1 {
		c.add(KindStdDev, std, n, 0)
	}
	c.addQuantiles(at, 0, n, rankErr)
	c.add(KindMin, w[0].Value, n, 0)
	c.add(KindMax, w[len(w)-1].Value, n, 0)
}

// The quantiles of a column, and how far their ranks are from the nearer end.
var (
	quantileKinds  = [...]Kind{KindP01, KindP05, KindP25, KindP50, KindP75, KindP95, KindP99}
	quantileShares = [...]float64{0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99}
)

// addQuantiles takes quantiles minus base. rankErr is three standard errors of
// their ranks.
func (c *column) addQuantiles(at [len(quantileKinds)]float64, base, n, rankErr float64) {
	for i, k := range quantileKinds {
		p := quantileShares[i]
		c.add(k, at[i]-base, n, rankErr/3*quantileExtra(k, min(p, 1-p)))
	}
}

// robustSpread is the standard deviation as the quartiles have it, but at least
// a tenth of the true one. Where the quartiles are one value they say nothing.
func robustSpread(at [len(quantileKinds)]float64, std float64) float64 {
	if at[2] == at[4] {
		return bounded(std)
	}
	return bounded(max((at[4]-at[2])/1.349, 0.1*std))
}

// midQuantiles returns the quantiles of the mid-distribution function of
// ascending numbers, linear between distinct values (Ma, Genton, Parzen,
// "Asymptotic properties of sample quantiles of discrete distributions", 2011).
// Where values repeat, as counts do, they move smoothly with the shares: the
// plain median of a count jumps from 3 to 4 by chance.
func midQuantiles(w []point) (out [len(quantileKinds)]float64) {
	midQuantilesAt(w, quantileShares[:], out[:])
	return out
}

// quantileNoise is the standard error of a quantile of n values, by the ranks
// that one standard error of its rank leads to in the pool: where values are
// sparse a quantile moves far. That of the digests in the pool, half the share
// of a point, is a part of it. 0 for other metrics.
func quantileNoise(pool []point, k Kind, n float64) float64 {
	i := slices.Index(quantileKinds[:], k)
	if i < 0 {
		return 0
	}
	p := quantileShares[i]
	delta := math.Hypot(math.Sqrt(p*(1-p)/n), 0.5/digestPoints)
	var at [2]float64
	midQuantilesAt(pool, []float64{p - delta, p + delta}, at[:])
	return (at[1] - at[0]) / 2
}

// midQuantilesAt is midQuantiles at ascending shares.
func midQuantilesAt(w []point, shares, out []float64) {
	total := 0.0
	for i := range w {
		total += float64(w[i].Weight)
	}
	i, before := 0, 0.0
	low, lowAt := w[0].Value, 0.0
	for k, p := range shares {
		for i < len(w) && before+float64(w[i].Weight)/2 < p*total {
			low, lowAt = w[i].Value, before+float64(w[i].Weight)/2
			before += float64(w[i].Weight)
			i++
		}
		switch {
		case i == len(w):
			out[k] = w[len(w)-1].Value
		case i == 0:
			out[k] = w[0].Value
		default:
			high, highAt := w[i].Value, before+float64(w[i].Weight)/2
			out[k] = low + (high-low)*(p*total-lowAt)/(highAt-lowAt)
		}
	}
}

// micros is the time that many microseconds after 1970.
func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }
