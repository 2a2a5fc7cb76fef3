package profile

import (
	"math/bits"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
)

// uniform reports whether all values of a vector are of one type that is told
// by loops over all of them, and chooses their rows. Columns that are not counted
// are so nearly always, and then each of the loops below does one thing for all
// values.
func (s *stream) uniform(v *batch.Vector) (typ batch.Type, ok bool) {
	plain := v
	var types typeSet
	if v.Dict == nil {
		types = typesIn(v.Types)
	} else {
		plain = v.Dict
		for _, code := range v.Codes {
			types |= 1 << (plain.Types[code] & 31)
		}
	}
	values := types &^ (1 << batch.Null)
	if bits.OnesCount32(uint32(values)) != 1 {
		return batch.Null, false
	}
	typ = batch.Type(bits.TrailingZeros32(uint32(values))) //nolint:gosec // a type
	s.choose(v, plain, types != values)
	switch typ {
	case batch.Number:
		return typ, !plain.HasText || !plain.Inferred || !hasWords(plain, s.rows)
	case batch.String, batch.Integer, batch.Date, batch.Time, batch.Timestamp:
		return typ, true
	default:
		return batch.Null, false
	}
}

// choose sets rows to where the values of a vector are in its plain form, and
// places to their rows in the vector.
func (s *stream) choose(v, plain *batch.Vector, nulls bool) {
	s.places = s.every(v.Len())
	if nulls {
		s.some = slices.Grow(s.some[:0], v.Len())
		for i := range v.Len() {
			j := i
			if v.Dict != nil {
				j = int(v.Codes[i])
			}
			if plain.Types[j] != batch.Null {
				s.some = append(s.some, int32(i)) //nolint:gosec // a row of a chunk
			}
		}
		s.places = s.some
	}
	if v.Dict == nil {
		s.rows = s.places
		return
	}
	s.entries = slices.Grow(s.entries[:0], len(s.places))[:len(s.places)]
	for i, place := range s.places {
		s.entries[i] = int32(v.Codes[place]) //nolint:gosec // a place in a dictionary
	}
	s.rows = s.entries
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
func (c *column) addUniform(s *stream, v *batch.Vector, typ batch.Type, at *batch.Chunk, rowHashes []uint64) {
	plain := v
	if v.Dict != nil {
		plain = v.Dict
	}
	s.begin(plain)
	c.nulls += uint64(v.Len() - len(s.rows)) //nolint:gosec // rows of a chunk
	texts := plain.HasText || typ == batch.String
	if texts {
		s.texts.take(plain, s.rows, &s.bounds)
		if plain.Inferred && s.texts.min == 0 {
			c.dropEmpty(s, plain, rowHashes)
			s.bounds = extremes{}
			s.texts.take(plain, s.rows, &s.bounds)
		}
	}
	rows := s.rows
	if len(rows) == 0 {
		return
	}
	for i := 0; i < len(rows) && c.first[typ].Row == 0; i++ {
		c.meet(plain, int(rows[i]), at.RowAt(v.RowOf(int(s.places[i]))))
	}
	c.types[typ] += uint64(len(rows))
	if typ != batch.String {
		s.typed.hashes = appendTyped(s.typed.hashes[:0], plain, typ, rows)
	}
	hashes := s.typed.hashes
	if texts {
		hashes = s.texts.hashes
		c.addFacts(s, plain, typ)
	}
	for i, place := range s.places[:len(hashes)] {
		rowHashes[place] += mix64(hashes[i], c.salt)
	}
	s.feedUniform(c, plain, typ, hashes, texts)
}

// feedUniform gives rows of one type to the sketches. hashes are those of their
// texts, if they have any.
func (s *stream) feedUniform(c *column, v *batch.Vector, typ batch.Type, hashes []uint64, texts bool) {
	l := &s.others
	if typ == batch.String {
		l = &s.strings
	}
	ownRows, ownHashes, typedRows := l.rows, l.hashes, s.typed.rows
	if texts {
		l.rows, l.hashes = s.rows, hashes
	}
	if typ != batch.String {
		s.typed.rows = s.rows
		s.collectUniform(&c.agg, v, typ, s.rows)
	}
	s.feed(c.sk, &c.agg)
	l.rows, l.hashes, s.typed.rows = ownRows, ownHashes, typedRows
}

// dropEmpty counts the quoted empty fields among the chosen rows apart.
func (c *column) dropEmpty(s *stream, v *batch.Vector, rowHashes []uint64) {
	// The memory may be that of the rows: what is kept lies before what is read.
	places, rows := slices.Grow(s.some[:0], len(s.places)), slices.Grow(s.entries[:0], len(s.rows))
	for i, row := range s.rows {
		place := s.places[i]
		if len(v.Bytes(int(row))) > 0 {
			places, rows = append(places, place), append(rows, row)
			continue
		}
		c.empties++
		rowHashes[place] += mix64(1, c.salt)
	}
	s.places, s.some, s.rows, s.entries = places, places, rows, rows
}

// addFacts adds the lengths and the facts of the texts that were just taken. In
// ASCII their type says nearly all; describe is asked about the rest.
func (c *column) addFacts(s *stream, v *batch.Vector, typ batch.Type) {
	a, t := &c.agg, &s.texts
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
	case !hasWords(v, rows):
		for _, row := range rows {
			s.floats = append(s.floats, v.Floats[row])
		}
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
