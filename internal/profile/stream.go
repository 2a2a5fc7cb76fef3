package profile

import (
	"math"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// scratch collects the numbers and times of a vector, so that they are added
// together.
type scratch struct {
	ints   []int64
	floats []float64
	times  [batch.TypeCount][]int64 // by family
}

// addSketched feeds the values of a plain vector to sketches and aggregates.
func (c *column) addSketched(v *batch.Vector, first int64, rowHashes []uint64) {
	s, a := c.sk, &c.agg
	texts := v.HasText
	for i, typ := range v.Types {
		if typ == batch.Null {
			c.nulls++
			continue
		}
		text := v.Bytes(i)
		if v.Inferred && len(text) == 0 {
			c.empties++
			rowHashes[i] += mix64(1, c.salt)
			continue
		}
		hash := identity(v, i, text)
		rowHashes[i] += mix64(hash, c.salt)
		if c.first[typ].Row == 0 {
			c.meet(v, i, first+int64(i))
		}
		c.types[typ]++
		if texts || typ == batch.String {
			chars, flags := describe(text, typ, c.inferred)
			a.facts.add(flags, chars, 1)
			a.text.addLength(chars, 1)
			a.text.addText(text)
		}
		s.count(v.Value(i), hash, text, texts)
		a.collect(&s.scratch, v.Value(i))
		s.rank(v.Value(i), text, hash, texts, 1)
	}
	a.addCollected(&s.scratch)
}

// count feeds what counts distinct values.
func (s *sketches) count(v batch.Value, hash uint64, text []byte, texts bool) {
	if v.Type == batch.String {
		s.strings.distinct(hash)
		return
	}
	if texts {
		s.texts.distinct(hash)
		hash = hashTyped(v, text)
	}
	s.typed.distinct(hash)
}

// rank feeds what ranks values: frequent values and quantiles.
func (s *sketches) rank(v batch.Value, text []byte, hash uint64, texts bool, n uint64) {
	if v.Type == batch.String {
		s.strings.frequent(hash, cutText(text), n)
		return
	}
	s.frequentTyped(v, text, hash, texts, n)
	switch {
	case v.Type == batch.Integer:
		s.addNumber(float64(v.Int), n)
	case v.Type == batch.Number && v.Float-v.Float == 0: // finite
		s.addNumber(v.Float, n)
	case v.Type.Temporal():
		f := v.Type.Family()
		if s.times[f] == nil {
			s.times[f] = sketch.NewKLL[int64](s.seed)
		}
		s.times[f].AddWeighted(v.Int, n)
	}
}

// frequentTyped counts a value that is no string. Where it has a text that
// alone counts: what it means can be told from it in the end.
func (s *sketches) frequentTyped(v batch.Value, text []byte, hash uint64, texts bool, n uint64) {
	if texts {
		s.texts.frequent(hash, cutText(text), n)
		if v.Type != batch.List && v.Type != batch.Struct {
			return
		}
		hash = hashTyped(v, text)
	}
	if v.Type != batch.Binary {
		s.text = v.AppendText(s.text[:0], false)
		text = s.text
	}
	s.typed.frequent(hash, cutText(text), n)
}

func (s *sketches) addNumber(f float64, n uint64) {
	if s.nums == nil {
		s.nums = sketch.NewKLL[float64](s.seed)
	}
	if n == 1 {
		s.nums.Add(f)
	} else {
		s.nums.AddWeighted(f, n)
	}
}

// collect keeps a number or a time for addCollected and counts what has none.
func (a *aggregates) collect(s *scratch, v batch.Value) {
	switch v.Type {
	case batch.Integer:
		s.ints = append(s.ints, v.Int)
	case batch.Number:
		if v.Float-v.Float == 0 {
			s.floats = append(s.floats, v.Float)
		} else {
			a.nums.add(v, 1)
		}
	case batch.Date, batch.Timestamp, batch.Time, batch.Duration:
		f := v.Type.Family()
		s.times[f] = append(s.times[f], v.Int)
		a.timesOf(f).bound(v)
	case batch.Boolean:
		a.trues += uint64(v.Int)
	case batch.List:
		a.lists.addLength(uint32(min(v.Int, math.MaxUint32)), 1)
	default:
	}
}

func (a *aggregates) timesOf(f batch.Type) *times {
	if a.times[f] == nil {
		a.times[f] = &times{}
	}
	return a.times[f]
}

// addCollected adds the collected numbers and times.
func (a *aggregates) addCollected(s *scratch) {
	if len(s.ints) > 0 {
		s.floats = a.nums.addInts(s.ints, s.floats)
	}
	if len(s.floats) > 0 {
		a.nums.addFloats(s.floats, len(s.floats)-len(s.ints))
	}
	s.ints, s.floats = s.ints[:0], s.floats[:0]
	for f, values := range s.times {
		if len(values) == 0 {
			continue
		}
		t := a.times[f]
		t.n += uint64(len(values))
		for _, x := range values {
			s.floats = append(s.floats, float64(x))
			t.sum.Add(x)
		}
		t.moments.AddSlice(s.floats)
		s.times[f], s.floats = values[:0], s.floats[:0]
	}
}

// addInts adds integers but for their moments: it appends them to floats.
func (s *numbers) addInts(ints []int64, floats []float64) []float64 {
	if s.intN == 0 {
		s.minInt, s.maxInt = ints[0], ints[0]
	}
	lo, hi := s.minInt, s.maxInt
	for _, x := range ints {
		lo, hi = min(lo, x), max(hi, x)
		s.ints.Add(x)
		floats = append(floats, float64(x))
		if x <= 0 {
			if x == 0 {
				s.zeros++
			} else {
				s.negatives++
			}
		}
	}
	s.minInt, s.maxInt = lo, hi
	s.intN += uint64(len(ints))
	return floats
}

// addFloats adds finite numbers; the first n of them are no integers and not
// counted yet.
func (s *numbers) addFloats(floats []float64, n int) {
	s.floats += uint64(n)
	for _, f := range floats[:n] {
		if f <= 0 {
			if f == 0 {
				s.zeros++
			} else {
				s.negatives++
			}
		}
	}
	s.moments.AddSlice(floats)
}
