package profile

import (
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/textfacts"
)

// uniform reports whether all values of a plain vector are of one type, of
// which a text tells all facts, and chooses their rows. Columns that are not
// counted are so nearly always, and then each of the loops below does one thing
// for all of them.
func (s *stream) uniform(v *batch.Vector) (typ batch.Type, ok bool) {
	if v.Dict != nil || !v.HasText {
		return batch.Null, false
	}
	rows := slices.Grow(s.rows[:0], len(v.Types))
	for i, t := range v.Types {
		if t == typ {
			if t != batch.Null {
				rows = append(rows, int32(i)) //nolint:gosec // a row of a chunk
			}
			continue
		}
		if t == batch.Null {
			continue
		}
		if typ != batch.Null {
			return batch.Null, false
		}
		typ, rows = t, append(rows, int32(i)) //nolint:gosec // a row of a chunk
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
	if typ == batch.String && v.Inferred {
		c.dropEmpty(v, rowHashes)
	}
	rows := s.rows
	if len(rows) == 0 {
		return
	}
	if c.first[typ].Row == 0 {
		c.meet(v, int(rows[0]), at.RowAt(v.RowOf(int(rows[0]))))
	}
	c.types[typ] += uint64(len(rows))
	s.texts.take(v, rows, &s.bounds)
	for i, hash := range s.texts.hashes {
		rowHashes[rows[i]] += mix64(hash, c.salt)
	}
	c.addFacts(v, typ)
	l := &s.others
	if typ == batch.String {
		l = &s.strings
	}
	l.rows, s.rows = rows, l.rows
	l.hashes, s.texts.hashes = s.texts.hashes, l.hashes
	if typ != batch.String {
		s.typed.rows = append(s.typed.rows[:0], rows...)
		s.typed.hashes = appendTyped(s.typed.hashes[:0], v, typ, rows)
		s.collectUniform(a, v, typ, rows)
	}
	s.feed(c.sk, a)
}

// dropEmpty counts the quoted empty fields among the chosen rows apart.
func (c *column) dropEmpty(v *batch.Vector, rowHashes []uint64) {
	s := c.sk.stream
	kept := s.rows[:0]
	for _, row := range s.rows {
		if len(v.Bytes(int(row))) > 0 {
			kept = append(kept, row)
			continue
		}
		c.empties++
		rowHashes[row] += mix64(1, c.salt)
	}
	s.rows = kept
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
			a.lengths.addBytes(v, s.rows)
		}
		if typ.Temporal() && t.max <= maxText {
			return // holds digits and what divides them
		}
	}
	for _, row := range s.rows {
		text := v.Bytes(int(row))
		if plain && hasNoFacts(text, typ) {
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

// hasNoFacts reports whether it is sure that nothing is to be told of an ASCII
// text of a value besides its length.
func hasNoFacts(text []byte, typ batch.Type) bool {
	n := len(text)
	switch typ {
	case batch.String:
		return n > 0 && n <= maxText && text[0] > ' ' && (text[0]-'0' > 9 || n >= 8 && !textfacts.EightDigits(text))
	case batch.Number:
		// So many digits are an integer; the words are letters at their end.
		return n > 0 && n <= 18 && text[n-1]-'0' <= 9
	default:
	}
	return false
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
