package profile

import (
	"encoding/hex"
	"fmt"
	"math"

	"github.com/profilerhq/profiler/internal/batch"
)

// A sensitive column keeps no value: not its texts, numbers or bounds, nor what
// they could be computed from. Its distinct values are known by their keyed
// hashes; what is counted besides are types, lengths, and signs of numbers.

// keyed hashes the values of a sensitive column while it is built.
type keyed struct {
	*hasher
	dict   *batch.Vector // the dictionary whose entries are known
	known  []token       // by code
	stream *stream       // of hashes, once they are not counted any more
	name   [16]byte
}

// token is what a sensitive column keeps of a value.
type token struct {
	identity uint64 // of the value, for the hash of its row; never kept
	hash     uint64 // keyed, of the identity that its format gives it
	typed    uint64 // keyed, of its meaning
	chars    uint32
	flags    uint8
}

// Protect makes the columns that sensitive names ones that keep no value but
// keyed hashes, and the hashes of rows keyed ones. It must be called before the
// first Begin.
func (b *Builder) Protect(key *Key, sensitive func(column string) bool) {
	b.key, b.sensitive = key, sensitive
	b.p.key, b.rowKey = key.ID(), key.hasher()
}

// tokenOf returns what is kept of entry i of a plain vector.
func (c *column) tokenOf(v *batch.Vector, i int) token {
	typ, text := v.Types[i], v.Bytes(i)
	t := token{identity: identity(v, i, text)}
	t.hash = c.keyed.value(t.identity)
	t.typed = t.hash
	if v.HasText && typ != batch.String {
		t.typed = c.keyed.value(hashTyped(v.Value(i), text))
	}
	if v.HasText || typ == batch.String {
		t.chars, t.flags = describe(text, typ, c.inferred)
	}
	return t
}

// tokens returns those of a dictionary, which may have grown.
func (k *keyed) tokens(c *column, d *batch.Vector) []token {
	if k.dict != d {
		k.dict, k.known = d, k.known[:0]
	}
	for i := len(k.known); i < d.Len(); i++ {
		t := token{}
		if d.Types[i] != batch.Null && !emptyField(d, i) {
			t = c.tokenOf(d, i)
		}
		k.known = append(k.known, t)
	}
	return k.known
}

// addKeyed takes the values of a vector of a sensitive column, as add does of
// others.
func (c *column) addKeyed(v *batch.Vector, at *batch.Chunk, rowHashes []uint64) {
	if c.declared != v.Declared {
		c.declare(v.Declared)
	}
	c.hasText = c.hasText || v.HasText
	c.inferred = c.inferred || v.Inferred
	c.zoned = c.zoned || v.Zoned
	c.rows += uint64(v.Len())
	var known []token
	if v.Dict != nil {
		known = c.keyed.tokens(c, v.Dict)
	}
	var s *stream
	if c.dict == nil {
		s = c.keyed.streamOf(c.sk)
		s.begin(v)
	}
	for i := range v.Len() {
		plain, j := v.At(i)
		typ := plain.Types[j]
		switch {
		case typ == batch.Null:
			c.nulls++
			continue
		case emptyField(plain, j):
			c.empties++
			rowHashes[i] += mix64(1, c.salt)
			continue
		}
		var t token
		if known != nil {
			t = known[j]
		} else {
			t = c.tokenOf(plain, j)
		}
		rowHashes[i] += mix64(t.identity, c.salt)
		if c.first[typ].Row == 0 {
			c.meetKeyed(plain, j, at.RowAt(v.RowOf(i)))
		}
		c.types[typ]++
		c.agg.describe(plain.Value(j), &t, plain.HasText)
		switch {
		case s == nil:
			c.countKeyed(typ, &t)
		case typ == batch.String:
			s.strings.hashes = append(s.strings.hashes, t.hash)
		default:
			if plain.HasText {
				s.others.hashes = append(s.others.hashes, t.hash)
			}
			s.typed.hashes = append(s.typed.hashes, t.typed)
		}
	}
	if s != nil {
		c.sk.strings.addLane(&s.strings)
		c.sk.texts.addLane(&s.others)
		c.sk.typed.addLane(&s.typed)
	}
}

// streamOf returns the stream that feeds hashes to sketches.
func (k *keyed) streamOf(sk *sketches) *stream {
	if k.stream != nil {
		return k.stream
	}
	k.stream = newStream().of(&sk.samplers)
	for _, l := range []*lane{&k.stream.strings, &k.stream.others, &k.stream.typed} {
		l.text = func(i int) []byte {
			k.name = hashName(l.hashes[i])
			return k.name[:]
		}
	}
	names := k.stream.typed.text
	k.stream.typed.text = func(i int) []byte {
		k.stream.buf = appendMeaning(k.stream.buf[:0], batch.Value{Type: batch.Binary}, names(i))
		return k.stream.buf
	}
	return k.stream
}

// describe counts what is kept of a value beside its hash.
func (a *aggregates) describe(v batch.Value, t *token, texts bool) {
	if texts || v.Type == batch.String {
		a.facts.add(t.flags, t.chars, 1)
		a.text.addLength(t.chars, 1)
	}
	n := &a.nums
	switch f := v.Float; v.Type {
	case batch.Integer:
		n.zeros += uint64(b2i(v.Int == 0))
		n.negatives += uint64(b2i(v.Int < 0))
	case batch.Number:
		n.zeros += uint64(b2i(f == 0))
		n.negatives += uint64(b2i(f < 0))
		n.infinite += uint64(b2i(math.IsInf(f, 0)))
		n.nan += uint64(b2i(f != f))
	case batch.List:
		a.lists.addLength(uint32(min(v.Int, math.MaxUint32)), 1)
	default:
	}
}

// countKeyed counts a value of a sensitive column. Entries of its dictionary have
// the hash of the meaning where others have the value.
func (c *column) countKeyed(typ batch.Type, t *token) {
	if e := c.dict.find(t.hash, typ); e != nil {
		e.count++
		return
	}
	c.dict.insert(entry{hash: t.hash, count: 1, typ: typ, bits: t.typed, flags: t.flags & flagWord}, nil)
}

// hashName is the text that stands for a value in lists of values, so that they
// compare.
func hashName(h uint64) (name [16]byte) {
	var b [8]byte
	for i := range b {
		b[i] = byte(h >> (56 - 8*i))
	}
	hex.Encode(name[:], b[:])
	return name
}

// flushKeyed gives counted hashes to the sketches.
func (c *column) flushKeyed(d *dict, texts bool) {
	if c.sk == nil {
		c.sk = newSketches(c.name, c.counters)
	}
	var meaning []byte
	for _, e := range d.sorted() {
		name := hashName(e.hash)
		if e.typ == batch.String {
			c.sk.strings.add(e.hash, name[:], e.count)
			continue
		}
		if texts {
			c.sk.texts.add(e.hash, name[:], e.count)
		}
		name = hashName(e.bits)
		meaning = appendMeaning(meaning[:0], batch.Value{Type: batch.Binary}, name[:])
		c.sk.typed.add(e.bits, meaning, e.count)
	}
}

// keyedValues returns the distinct values by their hashes, as values does.
func (c *column) keyedValues(typ batch.Type) []counted {
	place := map[uint64]int{}
	out := make([]counted, 0, len(c.dict.entries)+1)
	count := func(hash, n uint64) {
		if at, ok := place[hash]; ok {
			out[at].count += n
			return
		}
		place[hash] = len(out)
		name := hashName(hash)
		out = append(out, counted{hash: hash, count: n, value: batch.Value{Type: batch.String}, text: name[:]})
	}
	for i := range c.dict.entries {
		e := &c.dict.entries[i]
		if typ == batch.String || e.flags&flagWord != 0 && !typ.Numeric() {
			count(e.hash, e.count)
		} else {
			count(e.bits, e.count)
		}
	}
	if typ == batch.String && c.empties > 0 {
		count(emptyText, c.empties)
	}
	return out
}

// summarizeKeyed completes the summary of a sensitive column.
func (c *column) summarizeKeyed(s *Column, d decision) {
	s.Sensitive = true
	if s.Mixed != nil {
		s.Mixed.First.Value = Masked
	}
	c.summarizeValues(s, d)
	if len(s.Top) > 0 {
		s.topCount = s.Top[0].Count
	}
	s.Top, s.Masks = nil, nil
	switch a := &c.agg; {
	case d.typ.Numeric():
		n := &a.nums
		s.Zeros, s.Negatives = ptr(int64(n.zeros)), ptr(int64(n.negatives))
		s.Infinite, s.NaN = ptr(int64(n.infinite)), ptr(int64(n.nan))
	case d.typ == batch.String:
		c.summarizeText(s, a)
	case d.typ == batch.List && a.lists.n > 0:
		s.Length = lengthOf(a.lists)
	}
	s.Min, s.Max = Scalar{}, Scalar{}
}

// mergeKeyed adds the state of the same sensitive column of another part. Their
// keys are equal.
func (c *column) mergeKeyed(o *column) {
	c.agg.merge(&o.agg)
	switch {
	case c.dict != nil && o.dict != nil:
		c.mergeDict(o.dict)
	case o.dict != nil:
		c.flushKeyed(o.dict, o.hasText)
	default:
		c.flush()
		c.sk.merge(o.sk)
	}
}

// adopt makes a column without values one of the kind that the other is.
func (c *column) adopt(o *column) {
	if c.rows == c.nulls && o.rows > o.nulls {
		c.sensitive = o.sensitive
	}
}

// agrees reports whether two states of a column can be merged: values that are
// hashed with a key only with such.
func (c *column) agrees(o *column, sameKey bool) bool {
	if c.rows == c.nulls || o.rows == o.nulls {
		return true
	}
	return c.sensitive == o.sensitive && (sameKey || !c.sensitive)
}

// Key returns the id of the key that sensitive columns and rows were hashed
// with; "" if none was.
func (p *Profile) Key() string { return p.key }

// Comparable returns an ErrKey if the values of a column cannot be compared,
// because its values are hashed with different keys or on one side only.
func Comparable(a, b *Profile, column string) error {
	i, ok := a.index[column]
	j, ok2 := b.index[column]
	if !ok || !ok2 {
		return nil
	}
	x, y := a.columns[i], b.columns[j]
	if !x.clash && !y.clash && x.agrees(y, a.key == b.key) {
		return nil
	}
	return keyError(column, x, y, a.key, b.key)
}

func keyError(column string, x, y *column, a, b string) error {
	switch {
	case x.clash || y.clash:
		return fmt.Errorf("%w: column %q is hashed with several keys, or in some of the profiles with none", ErrKey, column)
	case x.sensitive && y.sensitive:
		return fmt.Errorf("%w: column %q is hashed with %s and with %s", ErrKey, column, a, b)
	}
	return fmt.Errorf("%w: column %q is hashed with a key in one and not in the other", ErrKey, column)
}

// keysAgree returns an ErrKey if another profile cannot be merged into this one.
func (p *Profile) keysAgree(o *Profile) error {
	for _, c := range o.columns {
		if i, ok := p.index[c.name]; ok && !p.columns[i].agrees(c, p.key == o.key) {
			return keyError(c.name, p.columns[i], c, p.key, o.key)
		}
	}
	if p.key != o.key && p.rows > 0 && o.rows > 0 {
		name := func(k string) string {
			if k == "" {
				return "no key"
			}
			return k
		}
		return fmt.Errorf("%w: rows are hashed with %s and with %s", ErrKey, name(p.key), name(o.key))
	}
	return nil
}

// meetKeyed is meet without the text.
func (c *column) meetKeyed(v *batch.Vector, i int, row int64) {
	typ := v.Types[i]
	if typ == batch.Number && v.Inferred && batch.IsNumberWord(v.Bytes(i)) {
		typ = firstWord
	}
	if c.first[typ].Row == 0 {
		c.first[typ].Row = row
	}
}
