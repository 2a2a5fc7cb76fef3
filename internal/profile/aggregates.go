package profile

import (
	"math"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// aggregates are the exact statistics of a column that need no values kept.
// They are fed with single values once a column is too large to be counted,
// and from the counted values otherwise.
type aggregates struct {
	facts facts
	text  textStats
	nums  numbers
	times [batch.TypeCount]*times // by family: Timestamp, Time, Duration
	lists textStats               // item counts of lists
	trues uint64
	// lengths are those of String values.
	lengths lengths
}

// facts count values by what their text looks like.
type facts struct {
	digits, zeroFirst, epochs, words uint64
	blank, nonASCII, invalid         uint64
	minWidth, maxWidth               uint32 // of texts of digits
}

func (f *facts) add(flags uint8, chars uint32, n uint64) {
	if flags == 0 {
		return
	}
	if flags&flagDigits != 0 {
		if f.digits == 0 {
			f.minWidth, f.maxWidth = chars, chars
		}
		f.minWidth, f.maxWidth = min(f.minWidth, chars), max(f.maxWidth, chars)
		f.digits += n
	}
	if flags&^flagDigits == 0 {
		return
	}
	f.zeroFirst += n * uint64(flags/flagZeroFirst&1)
	f.epochs += n * uint64(flags/flagEpoch&1)
	f.words += n * uint64(flags/flagWord&1)
	f.blank += n * uint64(flags/flagBlank&1)
	f.nonASCII += n * uint64(flags/flagNonASCII&1)
	f.invalid += n * uint64(flags/flagInvalid&1)
}

func (f *facts) merge(o facts) {
	if f.digits == 0 {
		f.minWidth, f.maxWidth = o.minWidth, o.maxWidth
	} else if o.digits > 0 {
		f.minWidth, f.maxWidth = min(f.minWidth, o.minWidth), max(f.maxWidth, o.maxWidth)
	}
	f.digits += o.digits
	f.zeroFirst += o.zeroFirst
	f.epochs += o.epochs
	f.words += o.words
	f.blank += o.blank
	f.nonASCII += o.nonASCII
	f.invalid += o.invalid
}

// textStats summarise lengths and the order of texts. For lists the lengths
// are item counts and there are no texts.
type textStats struct {
	n, sum     uint64
	min, max   uint32
	first      string // smallest text by code point, cut to maxText bytes
	last       string // largest text
	haveBounds bool
}

func (s *textStats) addLength(chars uint32, n uint64) {
	if s.n == 0 {
		s.min, s.max = chars, chars
	}
	s.min, s.max = min(s.min, chars), max(s.max, chars)
	s.n += n
	s.sum += uint64(chars) * n
}

func (s *textStats) addText(text []byte) {
	if !s.haveBounds {
		s.first, s.haveBounds = string(cutText(text)), true
		s.last = s.first
		return
	}
	if string(text) < s.first {
		s.first = string(cutText(text))
	} else if string(text) > s.last {
		s.last = string(cutText(text))
	}
}

func (s *textStats) merge(o textStats) {
	if o.n > 0 {
		if s.n == 0 {
			s.min, s.max = o.min, o.max
		}
		s.min, s.max = min(s.min, o.min), max(s.max, o.max)
	}
	s.n += o.n
	s.sum += o.sum
	if !o.haveBounds {
		return
	}
	if !s.haveBounds {
		s.first, s.last, s.haveBounds = o.first, o.last, true
		return
	}
	s.first, s.last = min(s.first, o.first), max(s.last, o.last)
}

// numbers summarise integers and floating numbers.
type numbers struct {
	moments          sketch.Moments // finite values
	ints             sketch.Sum128  // sum of the integers, exact
	floats           uint64         // how many were no integers
	intN             uint64
	minInt, maxInt   int64
	bounds           floatBounds // of the finite ones that are no integers
	zeros, negatives uint64
	infinite, nan    uint64
	maxInf, minInf   bool // +Inf, -Inf seen
}

func (s *numbers) add(v batch.Value, n uint64) {
	if v.Type == batch.Integer {
		if s.intN == 0 {
			s.minInt, s.maxInt = v.Int, v.Int
		}
		s.minInt, s.maxInt = min(s.minInt, v.Int), max(s.maxInt, v.Int)
		s.intN += n
		s.ints.AddWeighted(v.Int, n)
		s.moments.AddWeighted(float64(v.Int), n)
		switch {
		case v.Int == 0:
			s.zeros += n
		case v.Int < 0:
			s.negatives += n
		}
		return
	}
	s.floats += n
	switch f := v.Float; {
	case math.IsNaN(f):
		s.nan += n
		return
	case math.IsInf(f, 0):
		s.infinite += n
		s.maxInf = s.maxInf || f > 0
		s.minInf = s.minInf || f < 0
		if f < 0 {
			s.negatives += n
		}
		return
	case f == 0:
		s.zeros += n
	case f < 0:
		s.negatives += n
	}
	s.bounds.add(v.Float)
	s.moments.AddWeighted(v.Float, n)
}

// floatBounds are the smallest and the largest of some finite numbers.
type floatBounds struct {
	low, high float64
	some      bool
}

func (b *floatBounds) add(f float64) {
	switch {
	case !b.some:
		b.low, b.high, b.some = f, f, true
	case f < b.low:
		b.low = f
	case f > b.high:
		b.high = f
	}
}

func (b *floatBounds) merge(o floatBounds) {
	if o.some {
		b.add(o.low)
		b.add(o.high)
	}
}

func (s *numbers) merge(o *numbers) {
	s.moments.Merge(o.moments)
	s.ints.Merge(o.ints)
	if o.intN > 0 {
		if s.intN == 0 {
			s.minInt, s.maxInt = o.minInt, o.maxInt
		}
		s.minInt, s.maxInt = min(s.minInt, o.minInt), max(s.maxInt, o.maxInt)
	}
	s.bounds.merge(o.bounds)
	s.floats += o.floats
	s.intN += o.intN
	s.zeros += o.zeros
	s.negatives += o.negatives
	s.infinite += o.infinite
	s.nan += o.nan
	s.maxInf = s.maxInf || o.maxInf
	s.minInf = s.minInf || o.minInf
}

// times summarise one family of times by their Ints. A difference of the
// offset keeps moments exact enough: microseconds since 1970 are near 2^51.
type times struct {
	n          uint64
	sum        sketch.Sum128
	moments    sketch.Moments // of the value minus base
	min, max   batch.Value
	haveBounds bool
}

func (s *times) add(v batch.Value, n uint64) {
	s.n += n
	s.sum.AddWeighted(v.Int, n)
	s.moments.AddWeighted(float64(v.Int), n)
	s.bound(v)
}

// bound takes a value into the bounds alone.
func (s *times) bound(v batch.Value) {
	if !s.haveBounds {
		s.min, s.max, s.haveBounds = v, v, true
		return
	}
	if before(v, s.min) {
		s.min = v
	}
	if before(s.max, v) {
		s.max = v
	}
}

func before(a, b batch.Value) bool {
	return a.Int < b.Int || a.Int == b.Int && a.Float < b.Float
}

func (s *times) merge(o *times) {
	if o.n == 0 {
		return
	}
	s.n += o.n
	s.sum.Merge(o.sum)
	s.moments.Merge(o.moments)
	if !s.haveBounds {
		s.min, s.max, s.haveBounds = o.min, o.max, true
		return
	}
	if before(o.min, s.min) {
		s.min = o.min
	}
	if before(s.max, o.max) {
		s.max = o.max
	}
}

// add takes a value n times. text is its source text, or its bytes.
func (a *aggregates) add(v batch.Value, text []byte, hasText bool, chars uint32, flags uint8, n uint64) {
	if hasText || v.Type == batch.String {
		a.facts.add(flags, chars, n)
		a.text.addLength(chars, n)
		a.text.addText(text)
	}
	switch v.Type {
	case batch.String:
		a.lengths.add(chars, n)
	case batch.Integer, batch.Number:
		a.nums.add(v, n)
	case batch.Date, batch.Timestamp, batch.Time, batch.Duration:
		a.timesOf(v.Type.Family()).add(v, n)
	case batch.Boolean:
		a.trues += uint64(v.Int) * n
	case batch.List:
		a.lists.addLength(uint32(min(v.Int, math.MaxUint32)), n)
	default:
	}
}

func (a *aggregates) merge(o *aggregates) {
	a.facts.merge(o.facts)
	a.text.merge(o.text)
	a.nums.merge(&o.nums)
	a.lists.merge(o.lists)
	a.lengths.merge(o.lengths)
	a.trues += o.trues
	for f, t := range o.times {
		if t == nil {
			continue
		}
		if a.times[f] == nil {
			a.times[f] = &times{}
		}
		a.times[f].merge(t)
	}
}
