package profile

import (
	"math/bits"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// uniform reports whether all values of a plain vector are of one type, of
// which a text tells all facts, and chooses their rows. Columns that are not
// counted are so nearly always, and then each of the loops below does one thing
// for all of them.
func (s *stream) uniform(v *batch.Vector) (typ batch.Type, ok bool) {
	if v.Dict != nil || !v.HasText {
		return batch.Null, false
	}
	types := typesIn(v.Types)
	values := types &^ (1 << batch.Null)
	if bits.OnesCount32(uint32(values)) != 1 {
		return batch.Null, false
	}
	typ = batch.Type(bits.TrailingZeros32(uint32(values))) //nolint:gosec // a type
	rows := s.every(len(v.Types))
	if types != values {
		rows = slices.Grow(s.some[:0], len(rows))
		for i, t := range v.Types {
			if t != batch.Null {
				rows = append(rows, int32(i)) //nolint:gosec // a row of a chunk
			}
		}
		s.some = rows
	}
	s.rows = rows
	if typ == batch.Number && v.Inferred && hasWords(v, rows) {
		return batch.Null, false
	}
	switch typ {
	case batch.String, batch.Integer, batch.Number, batch.Date, batch.Time, batch.Timestamp:
		return typ, true
	default:
		return batch.Null, false
	}
}

// every returns the first n rows; the slice is not to be changed.
func (s *stream) every(n int) []int32 {
	for i := len(s.all); i < n; i++ {
		s.all = append(s.all, int32(i)) //nolint:gosec // a row of a chunk
	}
	return s.all[:n]
}

// hasWords reports whether numbers may be spellings of NaN or infinity, which
// are kept apart.
func hasWords(v *batch.Vector, rows []int32) bool {
	for _, row := range rows {
		if f := v.Floats[row]; f-f != 0 {
			return true
		}
	}
	return false
}

// addUniform is addSketched for the rows that uniform chose.
func (c *column) addUniform(v *batch.Vector, typ batch.Type, at *batch.Chunk, rowHashes []uint64) {
	s, a := c.sk.stream, &c.agg
	s.begin(v)
	c.nulls += uint64(v.Len() - len(s.rows)) //nolint:gosec // rows of a chunk
	s.texts.take(v, s.rows, &s.bounds)
	if typ == batch.String && v.Inferred && s.texts.min == 0 {
		c.dropEmpty(v, rowHashes)
		s.bounds = extremes{}
		s.texts.take(v, s.rows, &s.bounds)
	}
	rows := s.rows
	if len(rows) == 0 {
		return
	}
	if c.first[typ].Row == 0 {
		c.meet(v, int(rows[0]), at.RowAt(v.RowOf(int(rows[0]))))
	}
	c.types[typ] += uint64(len(rows))
	hashes := s.texts.hashes
	for i, row := range rows {
		rowHashes[row] += mix64(hashes[i], c.salt)
	}
	c.addFacts(v, typ)
	l := &s.others
	if typ == batch.String {
		l = &s.strings
	}
	ownRows, ownHashes, typedRows := l.rows, l.hashes, s.typed.rows
	l.rows, l.hashes = rows, hashes
	if typ != batch.String {
		s.typed.rows = rows
		s.typed.hashes = appendTyped(s.typed.hashes[:0], v, typ, rows)
		s.collectUniform(a, v, typ, rows)
	}
	s.feed(c.sk, a)
	l.rows, l.hashes, s.typed.rows = ownRows, ownHashes, typedRows
}

// dropEmpty counts the quoted empty fields among the chosen rows apart.
func (c *column) dropEmpty(v *batch.Vector, rowHashes []uint64) {
	s := c.sk.stream
	kept := slices.Grow(s.some[:0], len(s.rows)) // may be the memory of the rows, of which it has a part
	for _, row := range s.rows {
		if len(v.Bytes(int(row))) > 0 {
			kept = append(kept, row)
			continue
		}
		c.empties++
		rowHashes[row] += mix64(1, c.salt)
	}
	s.rows, s.some = kept, kept
}

// addFacts adds the lengths and the facts of the texts that were just taken. In
// ASCII their type says nearly all; describe is asked about the rest.
func (c *column) addFacts(v *batch.Vector, typ batch.Type) {
	s, a := c.sk.stream, &c.agg
	t := &s.texts
	plain := t.ascii()
	if plain {
		a.text.addLengths(t.min, t.max, uint64(len(s.rows)), t.sum)
		if typ == batch.String {
			a.lengths.addBytes(v, s.rows, t)
			for _, row := range t.unsure {
				chars, flags := describe(v.Bytes(int(row)), typ, c.inferred)
				a.facts.add(flags, chars, 1)
			}
			return
		}
		if typ.Temporal() && t.max <= maxText {
			return // holds digits and what divides them
		}
	}
	for _, row := range s.rows {
		text := v.Bytes(int(row))
		if plain && typ == batch.Number && isPlainNumber(text) {
			continue
		}
		chars, flags := describe(text, typ, c.inferred)
		a.facts.add(flags, chars, 1)
		if !plain {
			a.text.addLength(chars, 1)
			if typ == batch.String {
				a.lengths.add(chars, 1)
			}
		}
	}
}

// isPlainNumber reports whether it is sure that nothing is to be told of the text
// of a number besides its length: so many digits are an integer, and the words
// are letters at their end.
func isPlainNumber(text []byte) bool {
	n := len(text)
	return n > 0 && n <= 18 && text[n-1]-'0' <= 9
}

// addLengths adds n lengths with these bounds and this sum.
func (s *textStats) addLengths(least, most uint32, n, sum uint64) {
	if s.n == 0 {
		s.min, s.max = least, most
	}
	s.min, s.max = min(s.min, least), max(s.max, most)
	s.n += n
	s.sum += sum
}

// appendTyped appends the identities by meaning of rows of one type.
func appendTyped(hashes []uint64, v *batch.Vector, typ batch.Type, rows []int32) []uint64 {
	switch typ {
	case batch.Integer:
		for _, row := range rows {
			hashes = append(hashes, mix64(uint64(v.Ints[row]), tagNumber)) //nolint:gosec // bits
		}
	case batch.Date, batch.Timestamp:
		for _, row := range rows {
			h := mix64(uint64(v.Ints[row]), tagTime) //nolint:gosec // bits
			if v.Floats[row] != 0 {
				h = hashTyped(v.Value(int(row)), nil)
			}
			hashes = append(hashes, h)
		}
	default:
		for _, row := range rows {
			hashes = append(hashes, hashTyped(v.Value(int(row)), nil))
		}
	}
	return hashes
}

// collectUniform is collect for rows of one type.
func (s *stream) collectUniform(a *aggregates, v *batch.Vector, typ batch.Type, rows []int32) {
	switch {
	case typ == batch.Integer:
		for _, row := range rows {
			s.ints = append(s.ints, v.Ints[row])
		}
	case typ.Temporal():
		f := typ.Family()
		values := s.times[f].values
		for _, row := range rows {
			values = append(values, v.Ints[row])
		}
		s.times[f].values = values
		a.timesOf(f).boundRows(v, typ, rows)
	default:
		for _, row := range rows {
			s.collect(a, v.Value(int(row)))
		}
	}
}

// boundRows takes rows of one type into the bounds alone.
func (s *times) boundRows(v *batch.Vector, typ batch.Type, rows []int32) {
	low, high := v.Ints[rows[0]], v.Ints[rows[0]]
	for _, row := range rows {
		low, high = min(low, v.Ints[row]), max(high, v.Ints[row])
	}
	if s.haveBounds && low > s.min.Int && high < s.max.Int {
		return
	}
	for _, row := range rows {
		if x := v.Ints[row]; x == low || x == high {
			s.bound(batch.Value{Type: typ, Int: x, Float: v.Floats[row]})
		}
	}
}
