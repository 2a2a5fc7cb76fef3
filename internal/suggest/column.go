package suggest

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// suggest adds the rules of a column.
func (c *series) suggest(f *draft.File, s *subject) {
	if c.count == 0 || c.present < len(s.batches) {
		return
	}
	c.missing(f)
	kind, settled := c.kind()
	if !settled {
		return
	}
	if c.sensitive() { // what its values are is not known
		c.unique(f, kind)
		return
	}
	unique := c.unique(f, kind)
	formatted := c.format(f, s.opts.Formats[c.name])
	closed := !unique && !formatted && c.closedSet(f, kind)
	switch {
	case kind.Numeric() && !closed && !formatted:
		c.numbers(f, kind, unique)
	case kind == batch.String && !formatted && !closed:
		c.lengths(f)
	}
	c.order(f, kind)
}

// sensitive reports whether the values of the column are masked in any batch.
func (c *series) sensitive() bool {
	return slices.ContainsFunc(c.cols, func(col *profile.Column) bool { return col != nil && col.Sensitive })
}

// missing suggests not_null, or a limit of the share of nulls.
func (c *series) missing(f *draft.File) {
	if c.nulls == 0 {
		if c.count >= minRows {
			f.Add(c.name, draft.Item{Kind: "not_null"}.Because("no nulls in %s: at most %s of all rows have one (Wilson, 95 %%)", words.Things(c.count, "row"), share(wilsonUpper(0, c.count))))
		}
		return
	}
	if c.count+c.nulls < minRows {
		return
	}
	var rates []float64
	worst, smallest := 0.0, int64(math.MaxInt64)
	for _, col := range c.cols {
		if n := col.Count + col.Nulls; n > 0 {
			rate := float64(col.Nulls) / float64(n)
			rates = append(rates, (float64(col.Nulls)+0.5)/float64(n+1)) // none of n is no share of exactly 0
			worst, smallest = max(worst, rate), min(smallest, n)
		}
	}
	upper := band(rates, logitScale).hi
	if len(rates) == 1 {
		upper = wilsonUpper(c.nulls, c.nulls+c.count)
		upper = max(upper, band(rates, logitScale).hi)
	}
	// a batch as small as the smallest one has that share only within its chance
	upper = max(upper, wilsonUpper(int64(math.Round(worst*float64(smallest))), smallest))
	limit := tolerance(upper)
	if limit >= 0.95 {
		return
	}
	text := share(float64(c.nulls)/float64(c.nulls+c.count)) + " of all rows"
	if len(rates) > 1 {
		text += ", " + share(worst) + " in the worst batch"
	}
	f.Add(c.name, draft.Item{Kind: "null_rate", Value: draft.Map(draft.Pair{Key: "max", Value: draft.Percent(limit)})}.
		Because("nulls: %s; with head-room by Wilson's interval", text))
}

func share(f float64) string { return strings.Replace(draft.Percent(significant(f)), "%", " %", 1) }

// significant rounds to two significant digits.
func significant(f float64) float64 {
	if f == 0 {
		return 0
	}
	step := math.Pow(10, math.Floor(math.Log10(math.Abs(f)))-1)
	return math.Round(f/step) * step
}

var keyName = regexp.MustCompile(`(?i)(^|[_.-])(id|key|uuid|guid|code|no|nr|num|number|hash|token|sku|ean|isbn|iban)$|[a-z](Id|ID|Key|UUID|Code|No|Nr|Number)$|^(id|uuid|guid)`)

// unique suggests that no value repeats, where that is no matter of chance.
func (c *series) unique(f *draft.File, kind batch.Type) bool {
	if kind != batch.Integer && kind != batch.String || c.count < minRows {
		return false
	}
	for _, col := range c.cols {
		if col.Count != col.Distinct.Value || !col.Distinct.Exact {
			return false
		}
	}
	if kind == batch.Integer && !c.repeatsByChance() && !keyName.MatchString(c.name) {
		return false
	}
	if kind == batch.String && !c.looksLikeKey() {
		return false
	}
	f.Add(c.name, draft.Item{Kind: "unique"}.Because("%s, all different in each batch", words.Things(c.count, "value")))
	if len(f.Key) == 0 {
		f.Key = []string{c.name}
	}
	return true
}

// repeatsByChance reports whether integers drawn at random from the same range
// would have repeated: at least 3 pairs are expected then, and none has a
// chance of 5 %.
func (c *series) repeatsByChance() bool {
	expected := 0.0
	for _, col := range c.cols {
		lo, hi, ok := col.Bounds()
		if !ok {
			continue
		}
		width := float64(hi.Int) - float64(lo.Int) + 1
		n := float64(col.Count)
		expected += n * (n - 1) / 2 / width
	}
	return expected >= 3
}

// looksLikeKey reports whether texts are keys rather than sentences that happen
// to differ: by their name, or by few shapes that all of them have.
func (c *series) looksLikeKey() bool {
	if keyName.MatchString(c.name) {
		return true
	}
	if c.count < 100 {
		return false
	}
	for _, col := range c.cols {
		covered := int64(0)
		for i, m := range col.Masks {
			if i < 3 {
				covered += m.Count
			}
		}
		if col.Length == nil || col.Length.Max > 64 || covered < col.Count {
			return false
		}
	}
	return true
}

// lengths suggests the length of texts.
func (c *series) lengths(f *draft.File) {
	lo, hi := int64(math.MaxInt64), int64(0)
	for _, col := range c.cols {
		if col.Length == nil || col.Count == 0 {
			continue
		}
		lo, hi = min(lo, col.Length.Min), max(hi, col.Length.Max)
	}
	if hi == 0 || c.count < 100 {
		return
	}
	if lo == hi && c.distinct() >= 10 {
		f.Add(c.name, draft.Item{Kind: "length", Value: draft.Number(float64(lo))}.Because("all %s have %d characters", words.Things(c.count, "value"), lo))
		return
	}
	f.Add(c.name, draft.Item{Kind: "length", Value: draft.Map(draft.Pair{Key: "max", Value: draft.Number(roundUp(2 * float64(hi)))})}.
		Because("%d … %d characters; twice that is another column", lo, hi))
}

// distinct is the largest number of distinct values of a batch.
func (c *series) distinct() (n int64) {
	for _, col := range c.cols {
		if col != nil {
			n = max(n, col.Distinct.Value)
		}
	}
	return n
}

// order suggests that times run upwards where all of many batches do.
func (c *series) order(f *draft.File, kind batch.Type) {
	if !kind.Temporal() || len(c.cols) < 20 {
		return
	}
	for _, col := range c.cols {
		if col.Count > 0 && (col.Sorted == nil || *col.Sorted == "descending") {
			return
		}
	}
	f.Add(c.name, draft.Item{Kind: "increasing"}.With("severity", "warn").Because("the values run upwards in all %s", words.Plural(len(c.cols), "batch", "batches")))
}

// numbers suggests a range.
func (c *series) numbers(f *draft.File, kind batch.Type, unique bool) {
	if c.count < minRows {
		return
	}
	v := c.spread()
	if v == nil {
		return
	}
	if known, ok := c.calendar(kind, v); ok {
		f.Add(c.name, draft.Item{Kind: "range", Value: draft.Map(end("min", known.lo), end("max", known.hi))}.
			Because("%s … %s; by its name a part of a date or time", shown(v.min), shown(v.max)))
		return
	}
	lo, hi, heavy := v.limits(len(c.cols), c.count)
	if kind == batch.Integer {
		lo, hi = math.Floor(lo), math.Ceil(hi)
	}
	if c.rises(lowEnd) || c.rises(highEnd) || kind == batch.Integer && unique && len(c.cols) < minTrend {
		hi, heavy = math.Inf(1), false // running numbers and totals have no end
		if v.min < 0 {
			return
		}
		lo = 0
	}
	item := draft.Item{Kind: "range", Value: draft.Map(end("min", lo), end("max", hi))}
	if lo == math.Inf(-1) && hi == math.Inf(1) {
		return
	}
	why := shown(v.min) + " … " + shown(v.max)
	if v.min >= 0 && lo == 0 {
		why += ", never negative"
	}
	if math.IsInf(hi, 1) {
		why += ", and rising"
	}
	if heavy {
		item = item.With("warn", "0").With("fail", "0.1%")
		why += "; a long tail (99 % lie within " + shown(significant(v.p01)) + " … " + shown(significant(v.p99)) + "), so single values beyond only warn"
	}
	f.Add(c.name, item.Because("%s", why))
}

// shown writes a number for people.
func shown(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return words.Count(int64(f))
	}
	return draft.Number(f)
}

func end(key string, f float64) draft.Pair {
	if math.IsInf(f, 0) {
		return draft.Pair{}
	}
	return draft.Pair{Key: key, Value: draft.Number(f)}
}

// calendars are columns whose limits their names tell.
var calendars = []struct {
	name   *regexp.Regexp
	limits interval
}{
	{regexp.MustCompile(`(?i)(^|_)month$`), interval{1, 12}},
	{regexp.MustCompile(`(?i)(^|_)day$`), interval{1, 31}},
	{regexp.MustCompile(`(?i)(^|_)hour$`), interval{0, 23}},
	{regexp.MustCompile(`(?i)(^|_)(minute|second)$`), interval{0, 59}},
}

func (c *series) calendar(kind batch.Type, v *spread) (interval, bool) {
	for _, k := range calendars {
		if kind == batch.Integer && k.name.MatchString(c.name) && v.min >= k.limits.lo && v.max <= k.limits.hi {
			return k.limits, true
		}
	}
	return interval{}, false
}

// minTrend is how many batches show a trend.
const minTrend = 5

func lowEnd(c *profile.Column) float64  { f, _ := c.Min.Float(); return f }
func highEnd(c *profile.Column) float64 { f, _ := c.Max.Float(); return f }

// rises reports whether an end of the range rises from batch to batch, as those
// of running numbers and of totals do.
func (c *series) rises(end func(*profile.Column) float64) bool {
	if len(c.cols) < minTrend {
		return false
	}
	rises, steps := 0, 0
	var before *profile.Column
	for _, col := range c.cols {
		if col.Count == 0 {
			continue
		}
		if before != nil {
			steps++
			if end(col) > end(before) {
				rises++
			}
		}
		before = col
	}
	return steps >= minTrend-1 && rises*5 >= steps*4
}

// spread are the extremes of a column over all batches, and how far most of
// the values lie.
type spread struct{ min, max, p01, p99 float64 }

func (c *series) spread() *spread {
	s := &spread{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	for _, col := range c.cols {
		lo, ok1 := col.Min.Float()
		hi, ok2 := col.Max.Float()
		if !ok1 || !ok2 || col.Quantiles == nil {
			continue
		}
		q1, _ := col.Quantiles.P01.Float()
		q99, _ := col.Quantiles.P99.Float()
		s.min, s.max, s.p01, s.p99 = min(s.min, lo), max(s.max, hi), min(s.p01, q1), max(s.p99, q99)
	}
	if math.IsInf(s.min, 0) || math.IsInf(s.max, 0) || s.min == s.max {
		return nil
	}
	return s
}

// limits widens the range. Without a tail it is widened by half of itself, by
// more if there are few batches; a tail is doubled at least. Numbers that were
// never negative, and come near to zero, are taken to have no negative ones.
func (v *spread) limits(batches int, values int64) (lo, hi float64, heavy bool) {
	room := (v.max - v.min) * max(0.5, 2/math.Sqrt(float64(batches)), 30/math.Sqrt(float64(values)))
	core := v.p99 - v.p01
	upTail, downTail := v.max-v.p99 > core, v.p01-v.min > core
	lo, hi = v.min-room, v.max+room
	if upTail {
		hi = v.max + math.Max(room, v.max-v.p01)
	}
	if downTail {
		lo = v.min - math.Max(room, v.p99-v.min)
	}
	lo, hi = roundDown(lo), roundUp(hi)
	if v.min >= 0 && lo < 0 {
		lo = 0
	}
	if v.max <= 0 && hi > 0 {
		hi = 0
	}
	if v.min >= 0 && v.max <= 1 && v.max > 0.99 && core > 0.2 {
		hi = 1 // a share
	}
	return lo, hi, upTail || downTail
}
