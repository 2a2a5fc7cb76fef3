package profile

import (
	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// column is the mergeable state of one column. As long as its distinct values
// are few (see exactRows and the constants beside it) they are counted and all
// statistics come from the counts; afterwards the values feed sketches.
//
// Nothing here depends on the type that the column will turn out to have: a
// text column that looked like numbers at first loses nothing.
type column struct {
	name     string
	list     string // the path of the lists whose elements are the values; "" for one value in each row
	salt     uint64 // of the column in the hashes of rows
	counters uint16 // that the frequent values of a sketched column get
	part     bool   // of one of many profiles: no counts by code
	declared batch.Type
	hasText  bool // values have source texts
	inferred bool // types were inferred from bare text

	rows, nulls uint64 // values, null or not: of the rows, or of the elements of the list
	empties     uint64 // quoted empty fields of inferred columns: "" or null by the column's type
	zoned       bool   // a timestamp named a zone
	types       [batch.TypeCount]uint64
	first       [batch.TypeCount]firstValue

	order     order  // of the rows
	sensitive bool   // keeps keyed hashes in the place of values
	keyed     *keyed // of a sensitive column while it is built
	clash     bool   // parts were hashed with different keys

	codes codes      // counts that are not in what follows yet
	dict  *dict      // nil once it was too large
	sk    *sketches  // nil until then
	agg   aggregates // fed together with sk
	pool  *pool      // in the place of all these: of profiles that are not merged yet
}

func (c *column) listPath() *string {
	if c.list == "" {
		return nil
	}
	return ptr(validText(c.list))
}

// firstValue is the place of the first value of a type.
type firstValue struct {
	Row  int64
	Text string
}

// sketches take the values of a column that is too large to be counted.
type sketches struct {
	strings group // String values, by text
	typed   group // all others, by meaning
	texts   group // all others, by their source text; unused where there is none
	// Spellings of NaN and infinity, which are numbers in a column of numbers and
	// texts in every other: by meaning, and by their source text. They are in
	// texts too.
	words, wordTexts group
	nums             *sketch.KLL[float64]
	times            [batch.TypeCount]*sketch.KLL[int64] // by family
	seed             uint64
	masks            masks // of texts
	samplers         samplers
}

// group counts distinct and frequent values of one identity.
type group struct {
	hll *sketch.HLL
	top *sketch.Frequent
	// counters is how many top is made with.
	counters uint16
	// meant is set where top keeps values by their meaning; see appendMeaning.
	meant bool
}

func (g *group) init() {
	if g.hll == nil {
		g.hll, g.top = sketch.NewHLL(), sketch.NewFrequentOf(int(g.counters))
		if g.meant {
			g.top.Formed(formMeaning)
		}
	}
}

func (g *group) add(hash uint64, text []byte, n uint64) {
	g.init()
	g.hll.Add(hash)
	g.top.Add(hash, text, n)
}

func (g *group) merge(o group) {
	if o.hll == nil {
		return
	}
	g.init()
	g.hll.Merge(o.hll)
	g.top.Merge(o.top)
}

func newColumn(name string) *column {
	return &column{name: name, salt: mix64(xxh3.HashString(name), tagColumnName), dict: newDict()}
}

// add takes the values of a vector; at is the chunk that numbers its rows.
// rowHashes, parallel to the rows, is added to, so that equal rows have equal
// sums.
func (c *column) add(v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	c.declare(v.Declared)
	c.hasText = c.hasText || v.HasText
	c.inferred = c.inferred || v.Inferred
	c.zoned = c.zoned || v.Zoned
	c.rows += uint64(v.Len())
	c.order.add(v)
	switch {
	case v.Dict != nil && c.dict == nil && v.Dict.Len() > exactDistinct/2:
		c.fold()
		c.addSketched(v, at, rowHashes)
	case v.Dict != nil && c.part:
		c.addEach(v, at, rowHashes)
	case v.Dict != nil:
		c.addCodes(v, at, rowHashes)
	case c.dict != nil:
		c.addCounted(v, at, rowHashes)
	default:
		c.addSketched(v, at, rowHashes)
	}
}

// addCounted counts the values of a plain vector.
func (c *column) addCounted(v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	salt := c.salt
	for i, typ := range v.Types {
		if typ == batch.Null {
			c.nulls++
			continue
		}
		text := v.Bytes(i)
		if v.Inferred && len(text) == 0 {
			c.empties++
			rowHashes[i] += mix64(1, salt)
			continue
		}
		hash := identity(v, i, text)
		rowHashes[i] += mix64(hash, salt)
		if c.first[typ].Row == 0 {
			c.meet(v, i, at.RowAt(v.RowOf(i)))
		}
		c.types[typ]++
		if e := c.dict.find(hash, typ); e != nil {
			e.count++
			continue
		}
		c.addNew(v.Value(i), text, hash, 1)
	}
}

// identity is the hash that tells the values of a column apart: by text where
// they have one, else by meaning.
func identity(v *batch.Vector, i int, text []byte) uint64 {
	if v.HasText || v.Types[i] == batch.String {
		return hashText(text)
	}
	return hashTyped(v.Value(i), text)
}

// firstWord is the place of the first spelling of NaN or infinity among the first
// values. It is a number or a text, as the other values of the column decide, so
// that the first other number is kept beside it.
const firstWord = batch.Null

// meet keeps the first value of a type.
func (c *column) meet(v *batch.Vector, i int, row int64) {
	typ, text := v.Types[i], v.AppendText(nil, i)
	if typ == batch.Number && v.Inferred && batch.IsNumberWord(text) {
		typ = firstWord
	}
	if c.first[typ].Row == 0 {
		c.first[typ] = firstValue{Row: row, Text: string(cutText(text))}
	}
}

// declare takes the type that the format declares for further values. Where
// parts of a batch disagree, the values decide.
func (c *column) declare(t batch.Type) {
	if c.declared == t {
		return
	}
	c.fold()
	switch {
	case c.rows == c.nulls:
		c.declared = t
	case c.declared.Family() == t.Family():
		c.declared = max(c.declared, t) // number over integer, timestamp over date
	default:
		c.declared = batch.Null
	}
}

// addNew counts a value that was not met before.
func (c *column) addNew(v batch.Value, text []byte, hash, n uint64) {
	e := entry{hash: hash, count: n, typ: v.Type, bits: bitsOf(v), sub: uint16(0)}
	if v.Type == batch.Timestamp {
		e.sub = uint16(v.Float)
	}
	if c.hasText || v.Type == batch.String {
		e.chars, e.flags = describe(text, v.Type, c.inferred)
	} else {
		e.chars = uint32(len(text))
	}
	c.dict.insert(e, text)
}

// flush gives the counted values to sketches; they are no longer exact.
func (c *column) flush() {
	if c.dict == nil {
		return
	}
	c.sk = newSketches(c.name, c.counters)
	d := c.dict
	c.dict = nil
	if c.sensitive {
		c.flushKeyed(d, c.hasText)
		return
	}
	c.addEntries(d.sorted(), d, c.hasText)
}

// limit flushes the counted values if they are more than may be kept for a
// batch of the given size. The rule looks at totals only, so it does not
// matter in which order or in how many parts the rows came.
func (c *column) limit(rows uint64, columns int) {
	if c.dict == nil || c.dict.len() <= 1024 {
		return
	}
	c.counters = countersOf(columns)
	if c.dict.len() > exactLimit(rows, columns) || len(c.dict.arena) > exactText {
		c.flush()
	}
}

// exactLimit returns how many distinct values are counted.
func exactLimit(rows uint64, columns int) int {
	n := min(exactDistinct, max(1024, exactBudget/max(1, columns)))
	if columns > 64 {
		n = min(n, 4096)
	}
	if columns > 500 {
		n = min(n, 1024)
	}
	if rows <= exactRows {
		n = max(n, min(exactRows, exactBudget/max(1, columns)))
	}
	return n
}

// countersOf returns how many frequent values a column of a table of the given
// width follows: a thousand columns have to share the memory.
func countersOf(columns int) uint16 {
	switch {
	case columns > 500:
		return 256
	case columns > 64:
		return 1024
	}
	return 2048
}

func newSketches(name string, counters uint16) *sketches {
	counters = max(counters, 256)
	g := group{counters: counters}
	seed := seedOf(name)
	typed := g
	typed.meant = true
	return &sketches{seed: seed, samplers: newSamplers(seed), masks: masks{random: ^seed}, strings: g, typed: typed, texts: g, words: g, wordTexts: g}
}

// merge adds the state of the same column of another part. o is unchanged.
// sameKey says that both profiles have one key.
func (c *column) merge(o *column, sameKey bool) {
	o = o.whole()
	c.fold()
	if c.clash = c.clash || o.clash || !c.agrees(o, sameKey); c.clash {
		c.rows, c.nulls = c.rows+o.rows, c.nulls+o.nulls
		return
	}
	c.adopt(o)
	c.declared = mergeDeclared(c, o)
	for t := range c.types {
		if c.first[t].Row == 0 {
			c.first[t] = o.first[t]
		}
		c.types[t] += o.types[t]
	}
	c.hasText = c.hasText || o.hasText
	c.inferred = c.inferred || o.inferred
	c.rows += o.rows
	c.nulls += o.nulls
	c.empties += o.empties
	c.zoned = c.zoned || o.zoned
	if c.sensitive {
		c.mergeKeyed(o)
		return
	}
	c.order.merge(&o.order)
	switch {
	case c.dict != nil && o.dict != nil:
		c.mergeDict(o.dict)
	case o.dict != nil:
		c.addEntries(o.dict.sorted(), o.dict, o.hasText)
	default:
		c.flush()
		c.agg.merge(&o.agg)
		c.sk.merge(o.sk)
	}
}

func mergeDeclared(c, o *column) batch.Type {
	switch {
	case c.rows == c.nulls && c.declared == batch.Null:
		return o.declared
	case o.rows == o.nulls && o.declared == batch.Null, c.declared == o.declared:
		return c.declared
	case c.declared.Family() == o.declared.Family():
		return max(c.declared, o.declared) // number over integer, timestamp over date
	}
	return batch.Null
}

func (c *column) mergeDict(o *dict) {
	for i := range o.entries {
		e := &o.entries[i]
		if mine := c.dict.find(e.hash, e.typ); mine != nil {
			mine.count += e.count
			continue
		}
		c.dict.insert(*e, o.text(e))
	}
}

func (s *sketches) merge(o *sketches) {
	s.strings.merge(o.strings)
	s.typed.merge(o.typed)
	s.texts.merge(o.texts)
	s.words.merge(o.words)
	s.wordTexts.merge(o.wordTexts)
	s.masks.merge(&o.masks)
	if o.nums != nil {
		if s.nums == nil {
			s.nums = sketch.NewKLL[float64](s.seed)
		}
		s.nums.Merge(o.nums)
	}
	for f, k := range o.times {
		if k == nil {
			continue
		}
		if s.times[f] == nil {
			s.times[f] = sketch.NewKLL[int64](s.seed)
		}
		s.times[f].Merge(k)
	}
}

func bitsOf(v batch.Value) uint64 {
	if v.Type == batch.Number {
		return floatBits(v.Float)
	}
	return uint64(v.Int)
}

// seedOf seeds the randomness of a column's sketches, so that the same input
// gives the same bytes.
func seedOf(name string) uint64 { return xxh3.HashString(name) }
