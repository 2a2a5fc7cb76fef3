package profile

import (
	"bytes"
	"cmp"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
)

// order knows whether the values of a column stand in order. The type of a
// column is known at its end only, so the order of its texts is followed, and
// that of its numbers and of each family of times; values of other types are
// passed over. A run is followed until it is broken, which for nearly all
// columns happens within a few rows: from then on a vector costs a look at
// the types that it holds.
//
// Orders merge like strings are joined: the merge is associative, an order
// without values is neutral, and which part comes first matters.
type order struct {
	text textRun
	runs [runCount]valueRun

	dict    *batch.Vector // the dictionary of which present is known
	entries int           // so many of its entries
	present typeSet       // the types in them
}

// The runs of values beside texts.
const (
	runNumbers = iota
	runStamps  // dates and timestamps
	runClocks
	runDurations
	runCount

	noRun = runCount // of types that no run follows
)

// typeSet has a bit for each type.
type typeSet uint32

// ordered are the types of all runs of values.
const ordered = 1<<batch.Integer | 1<<batch.Number | 1<<batch.Date | 1<<batch.Timestamp | 1<<batch.Time | 1<<batch.Duration

func (s typeSet) has(t batch.Type) bool { return s>>t&1 != 0 }

// trend tells how each value of a run compares with the one before it.
type trend uint8

const (
	met  trend = 1 << iota // there is a value
	rose                   // a value is above the one before it
	fell                   // a value is below it

	broken = met | rose | fell
)

// step is the trend from a value to the next one, given how they compare.
func step(order int) trend {
	switch {
	case order < 0:
		return rose
	case order > 0:
		return fell
	}
	return 0
}

// word is what the summary says: nil for no values, and where there is no order.
func (t trend) word() *string {
	switch t {
	case met:
		return ptr("constant")
	case met | rose:
		return ptr("ascending")
	case met | fell:
		return ptr("descending")
	default:
		return nil
	}
}

// valid reports whether a run can have the trend.
func (t trend) valid() bool { return t == 0 || t&met != 0 && t <= broken }

// typesOfRun are the types whose values a run follows.
var typesOfRun = [runCount]typeSet{
	runNumbers:   1<<batch.Integer | 1<<batch.Number,
	runStamps:    1<<batch.Date | 1<<batch.Timestamp,
	runClocks:    1 << batch.Time,
	runDurations: 1 << batch.Duration,
}

// runOf is the run that values of a type belong to.
var runOf = func() (runs [batch.TypeCount]uint8) {
	for t := range runs {
		runs[t] = noRun
		for n, types := range typesOfRun {
			if types.has(batch.Type(t)) { //nolint:gosec // a type
				runs[t] = uint8(n) //nolint:gosec // one of a few
			}
		}
	}
	return runs
}()

// point is a number or a time as batch has it.
type point struct {
	typ   batch.Type
	int   int64
	float float64
}

// compare orders two values of a run exactly: -1, 0 or 1.
func (p point) compare(o point) int {
	switch {
	case p.typ == batch.Number && o.typ == batch.Number:
		return cmp.Compare(p.float, o.float)
	case p.typ == batch.Number:
		return -batch.CompareIntFloat(o.int, p.float)
	case o.typ == batch.Number:
		return batch.CompareIntFloat(p.int, o.float)
	case p.int != o.int:
		return cmp.Compare(p.int, o.int)
	}
	return cmp.Compare(p.float, o.float)
}

// valueRun follows numbers or times. The ends of a broken one are zero.
type valueRun struct {
	trend       trend
	first, last point
}

func (r *valueRun) add(p point) {
	if r.trend == 0 {
		*r = valueRun{met, p, p}
		return
	}
	if r.trend |= step(r.last.compare(p)); r.trend == broken {
		r.first, r.last = point{}, point{}
		return
	}
	r.last = p
}

func (r *valueRun) merge(o *valueRun) {
	switch {
	case o.trend == 0 || r.trend == broken:
		return
	case r.trend == 0:
		*r = *o
		return
	case o.trend == broken:
		*r = *o
		return
	}
	first := r.first
	r.add(o.first)
	if r.trend |= o.trend; r.trend == broken {
		*r = valueRun{trend: broken}
		return
	}
	r.first, r.last = first, o.last
}

// textRun follows texts by their bytes. The ends of a broken one are empty.
type textRun struct {
	trend       trend
	first, last textEnd
}

// textEnd is the first or last text of a run.
type textEnd struct {
	text []byte // its first maxText bytes
	long bool   // it has more
	hash uint64 // of the whole of a long text
}

// endOf keeps a text in the memory of buf.
func endOf(text, buf []byte) textEnd {
	e := viewOf(text)
	e.text = append(buf[:0], e.text...)
	return e
}

// viewOf is the end that a text would be, in the memory of the text.
func viewOf(text []byte) textEnd {
	if len(text) > maxText {
		return textEnd{text: text[:maxText], long: true, hash: xxh3.Hash(text)}
	}
	return textEnd{text: text}
}

// stepTo is the trend from one text to the next. Two texts that agree in their
// first 256 bytes and differ behind them break the order: what is kept of a
// part cannot tell which is the larger.
func (e textEnd) stepTo(o textEnd) trend {
	if t := step(bytes.Compare(e.text, o.text)); t != 0 {
		return t
	}
	switch {
	case e.long && o.long && e.hash != o.hash:
		return rose | fell
	case e.long == o.long:
		return 0
	case o.long:
		return rose
	}
	return fell
}

// stepText is stepTo for two whole texts.
func stepText(a, b []byte) trend {
	if t := step(bytes.Compare(a[:min(maxText, len(a))], b[:min(maxText, len(b))])); t != 0 || len(a) <= maxText && len(b) <= maxText {
		return t
	}
	if len(a) > maxText && len(b) > maxText && !bytes.Equal(a, b) {
		return rose | fell
	}
	return step(cmp.Compare(len(a), len(b)))
}

func (r *textRun) merge(o *textRun) {
	switch {
	case o.trend == 0 || r.trend == broken:
		return
	case r.trend == 0:
		r.trend, r.first, r.last = o.trend, o.first.clone(), o.last.clone()
		return
	}
	if r.trend |= o.trend; r.trend != broken {
		r.trend |= r.last.stepTo(o.first)
	}
	if r.trend == broken {
		*r = textRun{trend: broken}
		return
	}
	r.last = o.last.clone()
}

func (e textEnd) clone() textEnd {
	e.text = bytes.Clone(e.text)
	return e
}

// unknownOrder is that of values about which nothing is known.
func unknownOrder() order {
	o := order{text: textRun{trend: broken}}
	for i := range o.runs {
		o.runs[i].trend = broken
	}
	return o
}

// wanted returns the types whose values a run still waits for.
func (o *order) wanted() typeSet {
	if o.text.trend != broken {
		return (1<<batch.TypeCount - 1) &^ (1 << batch.Null)
	}
	var s typeSet
	for n, types := range typesOfRun {
		if o.runs[n].trend != broken {
			s |= types
		}
	}
	return s
}

// add takes the values of a vector, the rows that follow those before.
func (o *order) add(v *batch.Vector) {
	wanted := o.wanted()
	if wanted == 0 {
		o.dict = nil
		return
	}
	types := o.typesOf(v)
	if wanted&types == 0 {
		return
	}
	if o.text.trend != broken {
		o.addTexts(v)
	}
	if types&ordered != 0 {
		o.addValues(v, types)
	}
}

// typesOf returns the types that may occur in a vector: of a dictionary those
// of all entries, which are looked at once.
func (o *order) typesOf(v *batch.Vector) (s typeSet) {
	if v.Dict == nil {
		return typesIn(v.Types)
	}
	if o.dict != v.Dict || o.entries > v.Dict.Len() {
		o.dict, o.entries, o.present = v.Dict, 0, 0
	}
	for _, t := range v.Dict.Types[o.entries:] {
		o.present |= 1 << t
	}
	o.entries = v.Dict.Len()
	return o.present
}

// typesIn returns the types that occur; mostly it is one.
func typesIn(types []batch.Type) (s typeSet) {
	if len(types) == 0 {
		return 0
	}
	differs := batch.Type(0)
	for _, t := range types {
		differs |= t ^ types[0]
	}
	if differs == 0 {
		return 1 << types[0]
	}
	for _, t := range types {
		s |= 1 << (t & 31)
	}
	return s
}

// addTexts follows texts until they are out of order. A value without a source
// text breaks their order: it would not be known how it is written.
func (o *order) addTexts(v *batch.Vector) {
	r := &o.text
	plain := v
	if v.Dict != nil {
		plain = v.Dict
	}
	var last []byte // of this vector
	there := false
	before := -1
	for i := range v.Len() {
		j := i
		if v.Dict != nil {
			if j = int(v.Codes[i]); j == before {
				continue
			}
			before = j
		}
		typ := plain.Types[j]
		if typ == batch.Null {
			continue
		}
		if !plain.HasText && typ != batch.String {
			*r = textRun{trend: broken}
			return
		}
		text := plain.Bytes(j)
		switch {
		case there:
			r.trend |= stepText(last, text)
		case r.trend == 0:
			r.trend, r.first = met, endOf(text, nil)
		default:
			r.trend |= r.last.stepTo(viewOf(text))
		}
		if r.trend == broken {
			*r = textRun{trend: broken}
			return
		}
		last, there = text, true
	}
	if there {
		r.last = endOf(last, r.last.text)
	}
}

// addValues follows numbers and times until all that occur, which are of the
// given types, are out of order.
func (o *order) addValues(v *batch.Vector, types typeSet) {
	plain := v
	if v.Dict != nil {
		plain = v.Dict
	}
	before := -1
	for i := range v.Len() {
		j := i
		if v.Dict != nil {
			if j = int(v.Codes[i]); j == before {
				continue
			}
			before = j
		}
		typ := plain.Types[j]
		n := runOf[typ]
		if n == noRun {
			continue
		}
		r := &o.runs[n]
		p := point{typ, plain.Ints[j], plain.Floats[j]}
		if r.trend == broken || typ == batch.Number && p.float != p.float {
			continue
		}
		if r.add(p); r.trend == broken && o.wanted()&types == 0 {
			return
		}
	}
}

func (o *order) merge(other *order) {
	o.text.merge(&other.text)
	for i := range o.runs {
		o.runs[i].merge(&other.runs[i])
	}
}

// sorted tells the order of the values of the column's type, as bounds and
// quantiles do; nil where there is none.
func (c *column) sorted(typ batch.Type) *string {
	switch n := runOf[typ]; {
	case typ == batch.String:
		return c.order.text.trend.word()
	case n != noRun:
		return c.order.runs[n].trend.word()
	}
	return nil
}
