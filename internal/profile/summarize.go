package profile

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// maxTop is how many frequent values a summary shows.
const maxTop = 20

// maxBins is how many bins a histogram has at most.
const maxBins = 50

// shareOfType is the part of the values that one type must have to be the
// column's; with less the column is text.
const shareOfType = 0.9

// decision is the type of a column and how its values count under it.
type decision struct {
	typ    batch.Type
	types  [batch.TypeCount]uint64 // counts by type, promoted
	values uint64                  // non-null values
	nulls  uint64
	mixed  uint64
	other  batch.Type // type of the first value that is not of the column's type
	codes  bool       // digits that were not taken for numbers
	words  bool       // spellings of NaN and infinity count as texts
}

// decide finds the type of the column from the counts of all its values.
func (c *column) decide(f *facts) decision {
	d := decision{types: c.types, nulls: c.nulls, values: c.rows - c.nulls - c.empties}
	if c.inferred {
		c.decideWords(&d, f)
	}
	switch {
	case c.declared != batch.Null:
		d.typ = c.declared
	case d.values == 0 && c.empties == 0:
		d.typ = batch.Null
	case d.values == 0:
		d.typ = batch.String
	default:
		d.typ = c.widest(&d, f)
	}
	if d.typ == batch.String {
		d.values += c.empties
		d.types[batch.String] += c.empties
	} else {
		d.nulls += c.empties
	}
	d.types[batch.Null] = d.nulls
	return d
}

// decideWords counts NaN and Inf as numbers if the other values are numbers,
// as text otherwise.
func (c *column) decideWords(d *decision, f *facts) {
	plain := d.values - f.words
	numeric := d.types[batch.Integer] + d.types[batch.Number] - f.words
	if plain > 0 && float64(numeric) < shareOfType*float64(plain) {
		d.types[batch.Number] -= f.words
		d.types[batch.String] += f.words
		d.words = f.words > 0
	}
}

// widest returns the type of the family that has at least 90 % of the values,
// String if none has, and promotes the counts to it.
func (c *column) widest(d *decision, f *facts) batch.Type {
	var families [batch.TypeCount]uint64
	for t, n := range d.types {
		families[batch.Type(t).Family()] += n
	}
	best := batch.String
	for t, n := range families {
		if batch.Type(t) != batch.Null && n > families[best] {
			best = batch.Type(t)
		}
	}
	if float64(families[best]) < shareOfType*float64(d.values) {
		d.mixed, d.other = d.values-families[best], c.firstOther(d, best)
		return batch.String
	}
	if best == batch.Number && c.inferred && c.isCode(d, f) {
		d.types[batch.String] += d.types[batch.Integer]
		d.types[batch.Integer] = 0
		d.codes = true
		return batch.String
	}
	d.mixed = d.values - families[best]
	if best == batch.String {
		d.mixed = 0 // any value is a text
		return best
	}
	if d.mixed > 0 {
		d.other = c.firstOther(d, best)
	}
	return promote(d, best)
}

// promote folds integers into numbers and dates into timestamps where both
// occur, and returns the narrowest type of the family that holds all.
func promote(d *decision, family batch.Type) batch.Type {
	var narrow batch.Type
	switch family {
	case batch.Number:
		narrow = batch.Integer
	case batch.Timestamp:
		narrow = batch.Date
	default:
		return family
	}
	if d.types[family] == 0 {
		return narrow
	}
	d.types[family] += d.types[narrow]
	d.types[narrow] = 0
	return family
}

// firstOther returns the type whose first value came first among the types
// outside of the family.
func (c *column) firstOther(d *decision, family batch.Type) batch.Type {
	other, row := batch.Null, int64(0)
	for i := range c.types {
		t := batch.Type(i)
		if t == batch.Null || t.Family() == family {
			continue
		}
		if f := c.firstOf(d, t); f.Row > 0 && (row == 0 || f.Row < row) {
			other, row = t, f.Row
		}
	}
	return other
}

// firstOf returns the first value of a type, among which a spelling of NaN or
// infinity counts as the column decided; without one its row is 0.
func (c *column) firstOf(d *decision, t batch.Type) firstValue {
	f, word := c.first[t], c.first[firstWord]
	as := batch.Number
	if d.words {
		as = batch.String
	}
	if t == as && word.Row > 0 && (f.Row == 0 || word.Row < f.Row) {
		return word
	}
	return f
}

// isCode reports whether integers are codes: at least 1 % of the texts of
// digits begin with a zero, or all have one width of 12 digits or more and are
// no epoch time.
func (c *column) isCode(d *decision, f *facts) bool {
	if f.digits == 0 {
		return false
	}
	if f.zeroFirst*100 >= f.digits {
		return true
	}
	return d.types[batch.Number] == 0 && f.digits == d.types[batch.Integer] &&
		f.minWidth == f.maxWidth && f.minWidth >= 12 && f.epochs < f.digits
}

// summarize computes the summary of the column.
func (c *column) summarize() Column {
	agg := &c.agg
	var ordered []*entry
	if c.dict != nil && !c.sensitive {
		agg, ordered = c.aggregate()
	}
	d := c.decide(&agg.facts)
	s := c.frame(&d, &agg.facts)
	s.trues = int64(agg.trues)
	if d.mixed > 0 && d.other != batch.Null {
		f := c.firstOf(&d, d.other)
		s.Mixed = &Mixed{Count: int64(d.mixed), First: MixedFirst{Row: f.Row, Type: d.other.String(), Value: validText(f.Text)}}
	}
	if c.sensitive {
		c.summarizeKeyed(&s, d)
		return s
	}
	c.summarizeValues(&s, d)
	s.Sorted = c.sorted(d.typ)
	switch {
	case d.typ.Numeric():
		c.summarizeNumbers(&s, &agg.nums, ordered)
	case d.typ.Temporal():
		c.summarizeTimes(&s, agg.times[d.typ.Family()])
	case d.typ == batch.String:
		c.summarizeText(&s, agg)
	case d.typ == batch.List && agg.lists.n > 0:
		s.Length = lengthOf(agg.lists)
	case d.typ == batch.Boolean && d.types[batch.Boolean] > 0:
		s.Mean = FloatScalar(float64(agg.trues) / float64(d.types[batch.Boolean]))
	}
	return s
}

// frame is the summary of a column as far as its counts tell it.
func (c *column) frame(d *decision, f *facts) Column {
	s := Column{
		Name: validText(c.name), List: c.listPath(), Type: d.typ.String(), kind: d.typ, Types: map[string]int64{},
		Count: int64(d.values), Nulls: int64(d.nulls), zoned: c.zoned, codes: d.codes,
		InvalidUTF8: int64(f.invalid), Top: []TopValue{},
	}
	for t, n := range d.types {
		if n > 0 {
			s.Types[batch.Type(t).String()] = int64(n)
		}
	}
	return s
}

// aggregate computes the aggregates of a column from its counted values.
// Floating sums depend on the order, so numbers and times are taken in the
// order of their bits, whatever the order in which they came; they are returned.
func (c *column) aggregate() (agg *aggregates, ordered []*entry) {
	type key struct {
		bits uint64
		*entry
	}
	agg = &aggregates{}
	var keys []key
	for i := range c.dict.entries {
		e := &c.dict.entries[i]
		if e.typ.Numeric() || e.typ.Temporal() {
			if keys == nil {
				keys = make([]key, 0, len(c.dict.entries)-i)
			}
			keys = append(keys, key{e.bits, e})
			continue
		}
		agg.add(e.value(), c.dict.text(e), c.hasText, e.chars, e.flags, e.count)
	}
	slices.SortFunc(keys, func(a, b key) int {
		switch {
		case a.bits < b.bits:
			return -1
		case a.bits > b.bits:
			return 1
		}
		return cmp.Or(cmp.Compare(a.sub, b.sub), cmp.Compare(a.typ, b.typ), cmp.Compare(a.hash, b.hash))
	})
	ordered = make([]*entry, len(keys))
	for i, k := range keys {
		ordered[i] = k.entry
		agg.add(k.value(), c.dict.text(k.entry), c.hasText, k.chars, k.flags, k.count)
	}
	return agg, ordered
}

// counted is a distinct value under the type of the column.
type counted struct {
	hash  uint64
	count uint64
	value batch.Value
	text  []byte
}

// canonical returns the one form that equal values of a column share: 3.0 and
// 3, 0 and -0 are integers, a day among timestamps is its midnight.
func canonical(v batch.Value, typ batch.Type) batch.Value {
	switch {
	case v.Type == batch.Date && typ == batch.Timestamp:
		v.Type = typ
	case v.Type == batch.Number && v.Float == math.Trunc(v.Float) && v.Float >= -1<<63 && v.Float < 1<<63:
		v = batch.Value{Type: batch.Integer, Int: int64(v.Float)}
	}
	return v
}

// values returns the distinct values by the identity of the column's type:
// texts for a string column, meanings otherwise, in no order.
func (c *column) values(typ batch.Type) []counted {
	if c.sensitive {
		return c.keyedValues(typ)
	}
	byText := typ == batch.String
	out := make([]counted, 0, len(c.dict.entries)+1)
	for i := range c.dict.entries {
		e := &c.dict.entries[i]
		v := counted{hash: e.hash, count: e.count, value: e.value(), text: c.dict.text(e)}
		switch {
		case e.typ == batch.String:
		case e.flags&flagWord != 0 && !typ.Numeric():
			v.value = batch.Value{Type: batch.String}
		case byText && c.hasText:
			v.value = batch.Value{Type: batch.String}
		case byText:
			v.text = v.value.AppendText(nil, c.zoned)
			v.hash, v.value = hashText(v.text), batch.Value{Type: batch.String}
		case c.hasText:
			v.hash = hashTyped(v.value, v.text)
			v.value = canonical(v.value, typ)
		default:
			v.value = canonical(v.value, typ)
		}
		out = append(out, v)
	}
	if byText && c.empties > 0 {
		out = append(out, counted{hash: hashText(nil), count: c.empties, value: batch.Value{Type: batch.String}})
	}
	if !byText && !c.hasText || byText && c.hasText && c.types[batch.String]+c.empties == c.rows-c.nulls {
		return out // the entries are apart already
	}
	place := make(map[uint64]int, len(out))
	n := 0
	for i := range out {
		if at, ok := place[out[i].hash]; ok {
			out[at].count += out[i].count
			continue
		}
		place[out[i].hash] = n
		out[n] = out[i]
		n++
	}
	return out[:n]
}

// summarizeValues fills what depends on distinct values: distinct and top.
func (c *column) summarizeValues(s *Column, d decision) {
	if c.dict != nil {
		vals := c.values(d.typ)
		once := int64(0)
		for i := range vals {
			once += int64(b2i(vals[i].count == 1))
		}
		s.unique = &once
		s.Distinct = Estimate{Value: int64(len(vals)), Exact: true}
		s.Top = c.topOf(vals)
		if s.Count > 0 {
			s.Entropy = entropyOf(vals, d.values)
		}
		if d.typ == batch.String {
			s.Masks = masksOf(vals)
		}
	} else {
		c.estimate(s, d)
	}
	s.relateDistinct()
}

func (c *Column) relateDistinct() {
	if c.Count > 0 {
		r := float64(c.Distinct.Value) / float64(c.Count)
		c.DistinctRatio = &r
	}
}

// show returns the text of the value as a report prints it.
func (v *counted) show(zoned bool) string {
	switch v.value.Type {
	case batch.String, batch.Binary, batch.Struct:
		return validText(string(v.text))
	default:
		return string(v.value.AppendText(nil, zoned))
	}
}

// ranked is a value among the frequent ones, with its text once that is needed.
type ranked struct {
	*counted
	text string
}

func (r *ranked) show(zoned bool) string {
	if r.text == "" {
		r.text = r.counted.show(zoned)
	}
	return r.text
}

// topOf returns the most frequent values, ties by code point of their texts.
func (c *column) topOf(vals []counted) []TopValue {
	top := make([]ranked, 0, maxTop+1)
	compare := func(a, b *ranked) int {
		if a.count != b.count {
			return cmp.Compare(b.count, a.count)
		}
		if a.value.Type == batch.String && b.value.Type == batch.String {
			return bytes.Compare(a.counted.text, b.counted.text)
		}
		return cmp.Compare(a.show(c.zoned), b.show(c.zoned))
	}
	for i := range vals {
		v := ranked{counted: &vals[i]}
		if len(top) == maxTop && compare(&v, &top[maxTop-1]) > 0 {
			continue
		}
		at := sort.Search(len(top), func(k int) bool { return compare(&top[k], &v) >= 0 })
		top = slices.Insert(top, at, v)
		top = top[:min(maxTop, len(top))]
	}
	out := make([]TopValue, len(top))
	for i := range top {
		out[i] = TopValue{Value: top[i].show(c.zoned), Count: int64(top[i].count)}
	}
	return out
}

// groupOf joins the groups that make the distinct values under a type.
func (c *column) groupOf(typ batch.Type) group {
	g := group{}
	g.merge(c.sk.strings)
	switch {
	case typ == batch.String && c.hasText:
		g.merge(c.sk.texts)
	case typ.Numeric() || typ == batch.String:
		g.merge(c.sk.typed)
		g.merge(c.sk.words)
	default:
		g.merge(c.sk.typed)
		g.merge(c.sk.wordTexts)
	}
	if typ == batch.String && c.empties > 0 {
		g.add(hashText(nil), nil, c.empties)
	}
	return g
}

// estimate fills what depends on distinct values from the sketches.
func (c *column) estimate(s *Column, d decision) {
	if d.typ == batch.String {
		s.Masks = c.estimateMasks(d.values)
	}
	g := c.groupOf(d.typ)
	if g.hll == nil {
		return
	}
	s.Distinct = Estimate{Value: min(int64(math.Round(g.hll.Estimate())), int64(d.values)), Error: int64(math.Ceil(g.hll.Error()))}
	if d.values > 0 {
		s.Entropy = g.estimateEntropy(d.values)
	}
	for _, it := range g.top.Top(maxTop) {
		s.Top = append(s.Top, TopValue{Value: c.frequentText(it.Text, d.typ), Count: int64(it.Count), Error: int64(it.Error)})
	}
}

// frequentText is the text of a value of the sketches under the type of the
// column: a day among timestamps is its midnight.
func (c *column) frequentText(text string, typ batch.Type) string {
	if typ != batch.Timestamp {
		return validText(text)
	}
	if len(text) == len(time.DateOnly) && text[4] == '-' {
		text += "T00:00:00"
	}
	if c.zoned && len(text) > len(time.DateOnly) && text[len(time.DateOnly)] == 'T' {
		text += "Z"
	}
	return validText(text)
}

func (c *column) summarizeNumbers(s *Column, n *numbers, ordered []*entry) {
	s.Zeros, s.Negatives = ptr(int64(n.zeros)), ptr(int64(n.negatives))
	s.Infinite, s.NaN = ptr(int64(n.infinite)), ptr(int64(n.nan))
	if n.moments.N() == 0 {
		return
	}
	lo, hi := n.extremes()
	s.minVal, s.maxVal = lo, hi
	s.Min, s.Max = numberScalar(lo), numberScalar(hi)
	s.Mean, s.StdDev = FloatScalar(n.moments.Mean()), FloatScalar(n.moments.StdDev())
	s.Skewness, s.Kurtosis = FloatScalar(n.moments.Skewness()), FloatScalar(n.moments.Kurtosis())
	s.Sum = FloatScalar(n.moments.Sum())
	if n.floats == 0 {
		s.Sum = Scalar{kind: scalarRaw, text: n.ints.String(), isSet: true}
		if i, ok := n.ints.Int64(); ok {
			s.Sum = IntScalar(i)
		}
		s.Mean = FloatScalar(n.ints.Float64() / float64(n.intN))
	}
	w, exact, rankErr := c.weightedNumbers(ordered)
	q := func(p float64) Scalar { return FloatScalar(sketch.QuantileOf(w, p)) }
	if !exact {
		q = func(p float64) Scalar { return FloatScalar(quantileAt(w, p)) }
	}
	s.Quantiles = quantiles(q, exact, rankErr)
	s.Histogram = histogramOf(w, asFloat(lo), asFloat(hi), s.kind == batch.Integer, FloatScalar)
}

// extremes returns the smallest and the largest finite number, compared exactly;
// an integer stands for a number that equals it. Profiles of version 1.1 know the
// bounds of numbers that are no integers only together with those of the integers,
// rounded to float64.
func (s *numbers) extremes() (lo, hi batch.Value) {
	low, high := s.bounds.low, s.bounds.high
	if !s.bounds.some {
		low, high = s.moments.Min(), s.moments.Max()
	}
	lo, hi = batch.Value{Type: batch.Number, Float: low}, batch.Value{Type: batch.Number, Float: high}
	onlyInts := !s.bounds.some && s.floats == 0
	if s.intN > 0 && (onlyInts || s.reaches(s.minInt, low, -1)) {
		lo = batch.Value{Type: batch.Integer, Int: s.minInt}
	}
	if s.intN > 0 && (onlyInts || s.reaches(s.maxInt, high, 1)) {
		hi = batch.Value{Type: batch.Integer, Int: s.maxInt}
	}
	return lo, hi
}

// reaches reports whether an integer lies beyond a number in the direction of
// sign, or equals it.
func (s *numbers) reaches(i int64, f float64, sign int) bool {
	if !s.bounds.some { // f is of integers too
		return float64(i) == f
	}
	return sign*batch.CompareIntFloat(i, f) >= 0
}

func asFloat(v batch.Value) float64 {
	if v.Type == batch.Number {
		return v.Float
	}
	return float64(v.Int)
}

func numberScalar(v batch.Value) Scalar {
	if v.Type == batch.Integer {
		return IntScalar(v.Int)
	}
	return FloatScalar(v.Float)
}

// weightedNumbers returns the finite numbers of the column by value. ordered are
// those of aggregate, which are nearly in their order already; nil if there are
// none at hand.
func (c *column) weightedNumbers(ordered []*entry) (w []sketch.Weighted[float64], exact bool, rankErr float64) {
	if c.dict == nil {
		if c.sk.nums == nil {
			return nil, false, 0
		}
		return c.sk.nums.Weighted(), false, c.sk.nums.Error()
	}
	w = make([]sketch.Weighted[float64], 0, len(c.dict.entries))
	take := func(e *entry) {
		if v := e.value(); e.typ.Numeric() && asFloat(v)-asFloat(v) == 0 {
			w = append(w, sketch.Weighted[float64]{Value: asFloat(v), Weight: e.count})
		}
	}
	for _, e := range ordered {
		take(e)
	}
	if ordered == nil {
		for i := range c.dict.entries {
			take(&c.dict.entries[i])
		}
	}
	return sortWeighted(w), true, 0
}

// weightedTimes returns the times of one family by value.
func (c *column) weightedTimes(family batch.Type) (w []sketch.Weighted[int64], exact bool, rankErr float64) {
	if c.dict == nil {
		k := c.sk.times[family]
		if k == nil {
			return nil, false, 0
		}
		return k.Weighted(), false, k.Error()
	}
	for i := range c.dict.entries {
		if e := &c.dict.entries[i]; e.typ.Family() == family {
			w = append(w, sketch.Weighted[int64]{Value: int64(e.bits), Weight: e.count})
		}
	}
	return sortWeighted(w), true, 0
}

func sortWeighted[T sketch.Ordered](w []sketch.Weighted[T]) []sketch.Weighted[T] {
	slices.SortFunc(w, func(a, b sketch.Weighted[T]) int { // none is NaN
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	n := 0
	for i := range w {
		if n > 0 && w[n-1].Value == w[i].Value {
			w[n-1].Weight += w[i].Weight
			continue
		}
		w[n] = w[i]
		n++
	}
	return w[:n]
}

// quantileAt returns the smallest value whose rank is at least p.
func quantileAt[T sketch.Ordered](w []sketch.Weighted[T], p float64) T {
	var total uint64
	for i := range w {
		total += w[i].Weight
	}
	target := p * float64(total)
	var seen uint64
	for i := range w {
		seen += w[i].Weight
		if float64(seen) >= target {
			return w[i].Value
		}
	}
	return w[len(w)-1].Value
}

func quantiles(q func(float64) Scalar, exact bool, rankErr float64) *Quantiles {
	return &Quantiles{
		Exact: exact, Error: rankErr, P01: q(0.01), P05: q(0.05), P25: q(0.25), P50: q(0.5),
		P75: q(0.75), P95: q(0.95), P99: q(0.99),
	}
}

func (c *column) summarizeTimes(s *Column, t *times) {
	if t == nil || t.n == 0 {
		return
	}
	typ := t.min.Type
	if s.kind == batch.Timestamp {
		typ = batch.Timestamp
	}
	show := func(us float64) Scalar {
		return TextScalar(string(batch.Value{Type: s.kind, Int: int64(math.Round(us))}.AppendText(nil, s.zoned)))
	}
	text := func(v batch.Value) Scalar {
		v.Type = typ
		return TextScalar(string(v.AppendText(nil, s.zoned)))
	}
	s.minVal, s.maxVal = t.min, t.max
	s.Min, s.Max = text(t.min), text(t.max)
	mean := s.kind
	if mean == batch.Date {
		mean = batch.Timestamp // the middle of dates has a time of day
	}
	s.Mean = TextScalar(string(batch.Value{Type: mean, Int: int64(math.Round(t.sum.Float64() / float64(t.n)))}.AppendText(nil, s.zoned)))
	unit := float64(time.Second / time.Microsecond)
	if s.kind == batch.Time || s.kind == batch.Duration {
		unit = float64(time.Second)
	}
	s.StdDev = FloatScalar(t.moments.StdDev() / unit) // in seconds
	s.Skewness, s.Kurtosis = FloatScalar(t.moments.Skewness()), FloatScalar(t.moments.Kurtosis())
	w, exact, rankErr := c.weightedTimes(s.kind.Family())
	q := func(p float64) Scalar { return show(sketch.QuantileOf(w, p)) }
	if !exact {
		q = func(p float64) Scalar { return show(float64(quantileAt(w, p))) }
	}
	s.Quantiles = quantiles(q, exact, rankErr)
	s.Histogram = histogramOf(w, float64(t.min.Int), float64(t.max.Int), false, show)
}

func (c *column) summarizeText(s *Column, agg *aggregates) {
	t := agg.text
	blank := int64(agg.facts.blank + c.empties)
	s.Blank, s.NonASCII = &blank, ptr(int64(agg.facts.nonASCII))
	if c.empties > 0 {
		t.addLength(0, c.empties)
		t.addText(nil)
	}
	if t.n == 0 {
		return
	}
	s.Length = lengthOf(t)
	s.Min, s.Max = TextScalar(t.first), TextScalar(t.last)
}

func lengthOf(t textStats) *Length {
	return &Length{Min: int64(t.min), Max: int64(t.max), Mean: float64(t.sum) / float64(t.n)}
}

// histogramOf counts weighted values in bins of equal width between lo and hi:
// as many bins as Rice's rule gives (2 n^(1/3)), at most 50, and for integers
// no more than there are whole numbers.
func histogramOf[T sketch.Ordered](w []sketch.Weighted[T], lo, hi float64, whole bool, edge func(float64) Scalar) *Histogram {
	if len(w) == 0 {
		return nil
	}
	var n uint64
	for i := range w {
		n += w[i].Weight
	}
	bins := min(maxBins, max(1, int(math.Ceil(2*math.Cbrt(float64(n))))))
	if whole && hi-lo < float64(bins) {
		bins = int(hi-lo) + 1
	}
	far := math.IsInf(hi-lo, 0)
	if (hi-lo)/float64(bins) == 0 {
		bins = 1
	}
	width := hi/float64(bins) - lo/float64(bins) // never overflows
	if !far && hi-lo < 1e-6*max(-lo, hi) {
		width = (hi - lo) / float64(bins) // nor vanishes between large neighbours
	}
	h := &Histogram{Counts: make([]int64, bins), Edges: make([]Scalar, 0, bins+1)}
	for i := range bins {
		at := lo + float64(i)*width
		if far {
			share := float64(i) / float64(bins)
			at = lo*(1-share) + hi*share
		}
		h.Edges = append(h.Edges, edge(at))
	}
	h.Edges = append(h.Edges, edge(hi))
	for i := range w {
		b := 0
		switch v := float64(w[i].Value); {
		case far:
			b = min(bins-1, max(0, int(v/width-lo/width)))
		case width > 0:
			b = min(bins-1, max(0, int((v-lo)/width)))
		}
		h.Counts[b] += int64(w[i].Weight)
	}
	return h
}

func ptr[T any](v T) *T { return &v }
