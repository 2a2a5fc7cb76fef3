package profile

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// reader takes fields off the front of b. After the first error every method
// returns zero values, so that a caller may check once.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = formatError("damaged or truncated")
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fixed() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) float() float64 { return math.Float64frombits(r.fixed()) }

func (r *reader) byte() uint8 {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) bool() bool { return r.byte() == 1 }

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) typ() batch.Type {
	t := batch.Type(r.byte())
	if t >= batch.TypeCount {
		r.fail()
		return batch.Null
	}
	return t
}

// small reads a length that must fit 32 bits.
func (r *reader) small() uint32 {
	v := r.uint()
	if v > math.MaxUint32 {
		r.fail()
	}
	return uint32(v)
}

func (r *reader) value() batch.Value {
	return batch.Value{Type: r.typ(), Int: r.int(), Float: r.float()}
}

// section returns the tag and the content of the next section, checked by its
// CRC; tagEnd ends them.
func (r *reader) section() (tag uint64, part *reader) {
	tag = r.uint()
	if tag == tagEnd || r.err != nil {
		return tag, nil
	}
	b := r.bytes()
	if len(r.b) < 4 || crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(r.b) {
		r.fail()
		return tag, nil
	}
	r.b = r.b[4:]
	return tag, &reader{b: b}
}

type unmarshaler interface{ UnmarshalBinary([]byte) error }

// sketch reads an optional sketch into what make returns.
func sketchOf[S unmarshaler](r *reader, newSketch func() S) (s S) {
	b := r.bytes()
	if len(b) == 0 {
		return s
	}
	s = newSketch()
	if err := s.UnmarshalBinary(b); err != nil {
		r.fail()
	}
	return s
}

func (p *Profile) decodeColumn(r *reader, elements bool) error {
	c := &column{}
	ordered := false
	for len(r.b) > 0 {
		tag, part := r.section()
		if r.err != nil {
			return r.err
		}
		if part == nil {
			return formatError("damaged or truncated")
		}
		part.columnPart(tag, c)
		ordered = ordered || tag == tagOrder
		if part.err != nil {
			return part.err
		}
	}
	if !ordered && c.rows > c.nulls {
		c.order = unknownOrder() // version 1.0 lacks it
	}
	if _, ok := p.index[c.name]; ok {
		return formatError("column %q occurs twice", c.name)
	}
	if elements != (c.list != "") {
		return formatError("column %q does not say what it is of", c.name)
	}
	p.append(c)
	return nil
}

func (r *reader) columnPart(tag uint64, c *column) {
	if (tag > tagDict && tag <= tagTimesKLL || tag == tagMasks || tag == tagWords) && c.sk == nil {
		c.sk = newSketches(c.name, c.counters)
	}
	switch tag {
	case tagName:
		c.name = r.text()
	case tagPath:
		c.list = r.text()
	case tagCounts:
		c.declared, c.hasText, c.inferred = r.typ(), r.bool(), r.bool()
		c.rows, c.nulls, c.empties, c.zoned = r.uint(), r.uint(), r.uint(), r.uint() > 0
		for i := range r.uint() {
			n := r.uint()
			if i < uint64(batch.TypeCount) {
				c.types[i] = n
			} else if n > 0 {
				r.fail() // a type that this version does not know
			}
			if r.err != nil {
				return
			}
		}
	case tagFirst:
		for len(r.b) > 0 {
			t := r.typ()
			f := firstValue{Row: r.int(), Text: r.text()}
			if t == batch.Number && c.inferred && batch.IsNumberWord([]byte(f.Text)) {
				t = firstWord // older files have it among the numbers
			}
			c.first[t] = f
		}
	case tagDict:
		c.dict = r.dict()
	case tagAggregates:
		r.aggregates(&c.agg)
	case tagGroups:
		for _, g := range []*group{&c.sk.strings, &c.sk.typed, &c.sk.texts} {
			r.group(g)
		}
	case tagNumbersKLL:
		c.sk.nums = sketchOf(r, func() *sketch.KLL[float64] { return sketch.NewKLL[float64](c.sk.seed) })
	case tagTimesKLL:
		for len(r.b) > 0 {
			c.sk.times[r.typ()] = sketchOf(r, func() *sketch.KLL[int64] { return sketch.NewKLL[int64](c.sk.seed) })
		}
	case tagOrder:
		r.order(&c.order)
	case tagLengths:
		for len(r.b) > 0 && r.err == nil {
			if len(c.agg.lengths) > maxLength+1 {
				r.fail()
				return
			}
			c.agg.lengths = append(c.agg.lengths, r.uint())
		}
	case tagWords:
		b := &c.agg.nums.bounds
		b.some, b.low, b.high = r.bool(), r.float(), r.float()
		if b.some && !(b.low <= b.high) {
			r.fail()
		}
		for _, g := range []*group{&c.sk.words, &c.sk.wordTexts} {
			r.group(g)
		}
	case tagKeyed:
		c.sensitive = true
		r.aggregates(&c.agg)
	case tagMasks:
		m := &c.sk.masks
		m.n = r.uint()
		m.strings, m.others = sketchOf(r, sketch.NewFrequent), sketchOf(r, sketch.NewFrequent)
	}
}

func (r *reader) group(g *group) {
	g.hll, g.top = sketchOf(r, sketch.NewHLL), sketchOf(r, sketch.NewFrequent)
	if (g.hll == nil) != (g.top == nil) {
		r.fail()
	}
	if g.meant && g.top != nil {
		g.top.Formed(formMeaning)
	}
}

// leastEntry is how many bytes an entry of a dictionary takes at least: two fixed
// numbers and six bytes.
const leastEntry = 22

func (r *reader) dict() *dict {
	n := r.uint()
	d := newDict()
	d.reserve(int(min(n, uint64(len(r.b))/leastEntry))) //nolint:gosec // no more than there are bytes
	for range n {
		e := entry{hash: r.fixed(), typ: r.typ(), flags: r.byte(), count: r.uint(), bits: r.fixed()}
		e.sub, e.chars = uint16(r.uint()), r.small()
		text := r.bytes()
		if r.err != nil || len(text) > maxText || e.count == 0 || e.typ == batch.Null || d.find(e.hash, e.typ) != nil {
			r.fail()
			return d
		}
		d.insert(e, text)
	}
	return d
}

func (r *reader) order(o *order) {
	t := &o.text
	if t.trend = r.trend(); t.trend != 0 && t.trend != broken {
		t.first, t.last = r.textEnd(), r.textEnd()
	}
	for i := range o.runs {
		run := &o.runs[i]
		if run.trend = r.trend(); run.trend == 0 || run.trend == broken {
			continue
		}
		for _, p := range []*point{&run.first, &run.last} {
			v := r.value()
			if runOf[v.Type] != uint8(i) || v.Float != v.Float { //nolint:gosec // one of a few
				r.fail()
			}
			*p = point{v.Type, v.Int, v.Float}
		}
	}
}

func (r *reader) trend() trend {
	t := trend(r.byte())
	if !t.valid() {
		r.fail()
	}
	return t
}

func (r *reader) textEnd() textEnd {
	e := textEnd{text: slices.Clone(r.bytes()), long: r.bool()}
	if e.long {
		e.hash = r.fixed()
	}
	if len(e.text) > maxText || e.long && len(e.text) < maxText {
		r.fail()
	}
	return e
}

func (r *reader) textStats(s *textStats) {
	s.n, s.sum, s.min, s.max = r.uint(), r.uint(), r.small(), r.small()
	s.haveBounds, s.first, s.last = r.bool(), r.text(), r.text()
}

func (r *reader) aggregates(a *aggregates) {
	f := &a.facts
	for _, n := range []*uint64{&f.digits, &f.zeroFirst, &f.epochs, &f.words, &f.blank, &f.nonASCII, &f.invalid} {
		*n = r.uint()
	}
	f.minWidth, f.maxWidth = r.small(), r.small()
	a.trues = r.uint()
	r.textStats(&a.text)
	r.textStats(&a.lists)
	n := &a.nums
	r.moments(&n.moments)
	r.sum(&n.ints)
	for _, v := range []*uint64{&n.floats, &n.intN, &n.zeros, &n.negatives, &n.infinite, &n.nan} {
		*v = r.uint()
	}
	n.minInt, n.maxInt = r.int(), r.int()
	n.minInf, n.maxInf = r.bool(), r.bool()
	for len(r.b) > 0 {
		t := r.typ()
		s := &times{n: r.uint()}
		r.sum(&s.sum)
		r.moments(&s.moments)
		s.haveBounds, s.min, s.max = r.bool(), r.value(), r.value()
		a.times[t] = s
	}
}

func (r *reader) moments(m *sketch.Moments) {
	if err := m.UnmarshalBinary(r.bytes()); err != nil {
		r.fail()
	}
}

func (r *reader) sum(s *sketch.Sum128) {
	if err := s.UnmarshalBinary(r.bytes()); err != nil {
		r.fail()
	}
}

func (r *reader) rowSet(s *rowSet) error {
	s.hll = sketchOf(r, sketch.NewHLL)
	n := r.uint()
	if n > uint64(len(r.b)/8) {
		r.fail()
	}
	for range n {
		if r.err != nil {
			break
		}
		s.hashes = append(s.hashes, r.fixed())
	}
	return r.err
}
