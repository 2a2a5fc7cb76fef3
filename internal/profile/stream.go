package profile

import (
	"math"
	"sync"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
	"github.com/profilerhq/profiler/internal/textfacts"
)

// stream feeds sketches with the values of a column that repeat too seldom to
// be counted. The values of a vector are collected by what is done with them,
// so that each sketch gets a slice. Distinct values, bounds and sums take all of
// them; quantiles and frequent values draw samples of a long column.
//
// Nothing of it belongs to a column between two vectors: whoever is at work takes
// one that was used just now, whose memory is still in the cache.
type stream struct {
	v       *batch.Vector // the vector at hand, for the texts below
	strings lane          // String values
	others  lane          // all other values, by their text
	typed   lane          // the same by their meaning
	nums    draw
	ints    []int64
	floats  []float64
	times   [batch.TypeCount]timeLane // by family
	bounds  extremes
	texts   texts   // of the vector at hand, where its values are of one type
	rows    []int32 // of these values in the plain vector
	places  []int32 // and in the chunk
	all     []int32 // 0, 1, 2 …
	some    []int32 // memory for places that are not all
	entries []int32 // memory for rows that are not the places
	buf     []byte
}

// lane is the part of a vector that feeds one group.
type lane struct {
	draw
	hashes []uint64
	rows   []int32 // of v, or entries of its dictionary
	text   func(i int) []byte
}

type timeLane struct {
	draw
	values []int64
}

// draw samples the values of a lane.
type draw struct {
	sampler *sketch.Sampler // of the column
	buf     []int32
}

func (d *draw) next(n int) sketch.Sample {
	s := d.sampler.Draw(d.buf, n)
	d.buf = s.Rows
	return s
}

// samplers say how far the samples of a column are.
type samplers struct {
	strings, others, typed, nums sketch.Sampler
	times                        [batch.TypeCount]sketch.Sampler // by family
}

func newSamplers(seed uint64) (s samplers) {
	for i, sampler := range []*sketch.Sampler{&s.strings, &s.others, &s.typed, &s.nums} {
		*sampler = *sketch.NewSampler(mix64(uint64(i), seed))
	}
	for f := range s.times {
		s.times[f] = *sketch.NewSampler(mix64(uint64(f), ^seed))
	}
	return s
}

// streams are those that nobody uses.
var streams = sync.Pool{New: func() any { return newStream() }}

func newStream() *stream {
	s := &stream{}
	source := func(l *lane) func(int) []byte {
		return func(i int) []byte { return cutText(s.v.Bytes(int(l.rows[i]))) }
	}
	s.strings.text, s.others.text = source(&s.strings), source(&s.others)
	s.typed.text = s.meaning
	return s
}

// of makes the stream that of a column with these samplers.
func (s *stream) of(samples *samplers) *stream {
	s.strings.sampler, s.others.sampler, s.typed.sampler, s.nums.sampler = &samples.strings, &samples.others, &samples.typed, &samples.nums
	for f := range s.times {
		s.times[f].sampler = &samples.times[f]
	}
	return s
}

// release gives the stream to whoever wants one.
func (s *stream) release() {
	s.v, s.bounds = nil, extremes{}
	streams.Put(s)
}

// meaning returns what stands for a typed value.
func (s *stream) meaning(i int) []byte {
	row := int(s.typed.rows[i])
	var text []byte
	if s.v.Types[row] == batch.Binary {
		text = s.v.Bytes(row)
	}
	s.buf = appendMeaning(s.buf[:0], s.v.Value(row), text)
	return s.buf
}

// addSketched feeds the values of a vector to sketches and aggregates.
func (c *column) addSketched(v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	s := streams.Get().(*stream).of(&c.sk.samplers)
	defer s.release()
	if typ, ok := s.uniform(v); ok {
		c.addUniform(s, v, typ, at, rowHashes)
		return
	}
	c.addMixed(s, v, at, rowHashes)
}

// addMixed is addSketched for any vector: the reference of addUniform.
func (c *column) addMixed(s *stream, v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	a := &c.agg
	plain, codes := v, v.Codes
	if v.Dict != nil {
		plain = v.Dict
	}
	s.begin(plain)
	texts := plain.HasText
	for i := range rowHashes[:v.Len()] {
		j := i
		if v.Dict != nil {
			j = int(codes[i])
		}
		typ := plain.Types[j]
		if typ == batch.Null {
			c.nulls++
			continue
		}
		text := plain.Bytes(j)
		if plain.Inferred && len(text) == 0 {
			c.empties++
			rowHashes[i] += mix64(1, c.salt)
			continue
		}
		hash := identity(plain, j, text)
		rowHashes[i] += mix64(hash, c.salt)
		if c.first[typ].Row == 0 {
			c.meet(plain, j, at.RowAt(v.RowOf(i)))
		}
		c.types[typ]++
		var flags uint8
		if texts || typ == batch.String {
			var chars uint32
			chars, flags = describe(text, typ, c.inferred)
			a.facts.add(flags, chars, 1)
			a.text.addLength(chars, 1)
			if typ == batch.String {
				a.lengths.add(chars, 1)
			}
			s.bounds.offer(text)
		}
		if typ == batch.String {
			s.strings.hashes, s.strings.rows = append(s.strings.hashes, hash), append(s.strings.rows, int32(j)) //nolint:gosec // an index of a chunk
			continue
		}
		val := plain.Value(j)
		if texts {
			s.others.hashes, s.others.rows = append(s.others.hashes, hash), append(s.others.rows, int32(j)) //nolint:gosec // an index of a chunk
			hash = hashTyped(val, text)
			if flags&flagWord != 0 {
				c.sk.addWord(val, hash, text, 1)
				s.collect(a, val)
				continue
			}
		}
		s.typed.hashes, s.typed.rows = append(s.typed.hashes, hash), append(s.typed.rows, int32(j)) //nolint:gosec // an index of a chunk
		s.collect(a, val)
	}
	s.feed(c.sk, a)
}

// addWord counts a spelling of NaN or infinity; hash is that of its meaning.
func (s *sketches) addWord(v batch.Value, hash uint64, text []byte, n uint64) {
	s.words.add(hash, v.AppendText(nil, false), n)
	s.wordTexts.add(hashText(text), text, n)
}

func (s *stream) begin(v *batch.Vector) {
	s.v = v
	for _, l := range []*lane{&s.strings, &s.others, &s.typed} {
		l.hashes, l.rows = l.hashes[:0], l.rows[:0]
	}
	s.ints, s.floats = s.ints[:0], s.floats[:0]
}

// collect keeps a number or a time and counts what has no order.
func (s *stream) collect(a *aggregates, v batch.Value) {
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
		s.times[f].values = append(s.times[f].values, v.Int)
		a.timesOf(f).bound(v)
	case batch.Boolean:
		a.trues += uint64(v.Int)
	case batch.List:
		a.lists.addLength(uint32(min(v.Int, math.MaxUint32)), 1)
	default:
	}
}

// feed gives what was collected to the sketches and aggregates.
func (s *stream) feed(sk *sketches, a *aggregates) {
	s.bounds.settle(&a.text)
	sk.strings.addLane(&s.strings)
	sk.texts.addLane(&s.others)
	sk.masks.addLane(batch.String, &s.strings)
	sk.masks.addLane(batch.Null, &s.others)
	sk.typed.addLane(&s.typed)
	if len(s.floats) > 0 {
		a.nums.addFloats(s.floats)
	}
	if len(s.ints) > 0 {
		a.nums.addInts(s.ints)
		for _, x := range s.ints {
			s.floats = append(s.floats, float64(x))
		}
	}
	if len(s.floats) > 0 {
		sk.numbers().AddSample(s.floats, s.nums.next(len(s.floats)))
	}
	for f := range s.times {
		l := &s.times[f]
		if len(l.values) == 0 {
			continue
		}
		t := a.times[f]
		t.n += uint64(len(l.values))
		t.moments.AddInts(l.values, &t.sum)
		sk.timesOf(batch.Type(f)).AddSample(l.values, l.next(len(l.values))) //nolint:gosec // a type
		l.values = l.values[:0]
	}
}

// addLane counts the distinct and the frequent values of a lane.
func (g *group) addLane(l *lane) {
	if len(l.hashes) == 0 {
		return
	}
	g.init()
	g.hll.AddHashes(l.hashes)
	g.top.AddSample(l.hashes, l.next(len(l.hashes)), l.text)
}

func (s *sketches) numbers() *sketch.KLL[float64] {
	if s.nums == nil {
		s.nums = sketch.NewKLL[float64](s.seed)
	}
	return s.nums
}

func (s *sketches) timesOf(f batch.Type) *sketch.KLL[int64] {
	if s.times[f] == nil {
		s.times[f] = sketch.NewKLL[int64](s.seed)
	}
	return s.times[f]
}

func (a *aggregates) timesOf(f batch.Type) *times {
	if a.times[f] == nil {
		a.times[f] = &times{}
	}
	return a.times[f]
}

// addInts adds integers.
func (s *numbers) addInts(ints []int64) {
	if s.intN == 0 {
		s.minInt, s.maxInt = ints[0], ints[0]
	}
	lo, hi := s.minInt, s.maxInt
	for _, x := range ints {
		lo, hi = min(lo, x), max(hi, x)
		if x <= 0 {
			s.zeros += uint64(b2i(x == 0))
			s.negatives += uint64(b2i(x < 0))
		}
	}
	s.minInt, s.maxInt = lo, hi
	s.intN += uint64(len(ints))
	s.moments.AddInts(ints, &s.ints)
}

// addFloats adds finite numbers that are no integers.
func (s *numbers) addFloats(floats []float64) {
	s.floats += uint64(len(floats))
	for _, f := range floats {
		s.bounds.add(f)
		if f <= 0 {
			s.zeros += uint64(b2i(f == 0))
			s.negatives += uint64(b2i(f < 0))
		}
	}
	s.moments.AddSlice(floats)
}

// describe returns the length in characters of a text and its facts. inferred
// is set for texts whose type was inferred, so that digits may be codes.
func describe(text []byte, typ batch.Type, inferred bool) (chars uint32, flags uint8) {
	n, facts := textfacts.TextFacts(text)
	flags = uint8(facts)
	if len(text) > maxText {
		flags |= flagCut
	}
	if !inferred {
		return uint32(n), flags &^ (flagDigits | flagZeroFirst | flagEpoch) //nolint:gosec // a record is limited
	}
	if typ == batch.Number && flags&flagDigits == 0 && batch.IsNumberWord(text) {
		flags |= flagWord
	}
	return uint32(n), flags //nolint:gosec // a record is limited
}
