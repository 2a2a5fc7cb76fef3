package checks

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/exact"
)

const microsPerDay = 86_400_000_000

// Tags keep values of different families apart under one hash.
const (
	tagNumber   = 0x9ae16a3b2f90404f
	tagFraction = 0x651e95c4d06fbfb0
	tagTime     = 0xc3a5c85c97cb3127
	tagClock    = 0xb492b66fbe98f273
	tagDuration = 0x9ddfea08eb382d69
	tagBoolean  = 0x8f3907f7f0b1c3a5
	tagList     = 0xa0761d6478bd642f
)

// word is the identity of a value of 64 bits: both halves are permutations of
// it, so that no two values of a family share one.
func word(x, tag uint64) xxh3.Uint128 {
	return xxh3.Uint128{Lo: mix(x ^ tag), Hi: mix(x*0xff51afd7ed558ccd ^ tag>>7)}
}

// identity is the identity of row i by its meaning, for all formats: 3 and 3.0
// are one number, a date is its midnight, -0 is 0, there is one NaN. Texts are
// their bytes.
func identity(v *batch.Vector, i int) xxh3.Uint128 {
	switch v.Types[i] {
	case batch.Integer:
		return word(uint64(v.Ints[i]), tagNumber)
	case batch.Number:
		f := v.Floats[i]
		switch {
		case f == math.Trunc(f) && f >= -1<<63 && f < 1<<63:
			return word(uint64(int64(f)), tagNumber)
		case math.IsNaN(f):
			f = math.NaN()
		}
		return word(math.Float64bits(f), tagFraction)
	case batch.Date, batch.Timestamp:
		id := word(uint64(v.Ints[i]), tagTime)
		if ns := v.Floats[i]; ns != 0 {
			id.Hi ^= mix(uint64(ns) ^ tagClock)
		}
		return id
	case batch.Time:
		return word(uint64(v.Ints[i]), tagClock)
	case batch.Duration:
		return word(uint64(v.Ints[i]), tagDuration)
	case batch.Boolean:
		return word(uint64(v.Ints[i]), tagBoolean)
	case batch.List, batch.Struct:
		if !v.HasText {
			return word(uint64(v.Ints[i]), tagList)
		}
		id := xxh3.Hash128(v.Bytes(i))
		id.Hi ^= tagList
		return id
	default:
		return xxh3.Hash128(v.Bytes(i))
	}
}

// rowKey makes one key of the identities of several columns.
func rowKey(parts []byte) exact.Key {
	h := xxh3.Hash128(parts)
	return exact.NewKey(h.Hi, h.Lo)
}

func appendID(b []byte, id xxh3.Uint128) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, id.Lo), id.Hi)
}

// spelling tells values that are written in the one usual form of their column
// from others. Among usual values two texts are equal if and only if their
// meanings are, so for them the reading of the column does not matter.
type spelling struct {
	shape   []byte // of timestamps: the first one
	scratch []byte
}

// usual reports whether the text of row i is the usual one of its value. Values
// without source text have one alone.
func (s *spelling) usual(v *batch.Vector, i int) bool {
	typ := v.Types[i]
	if !v.HasText || typ == batch.String || typ == batch.Binary || typ == batch.List || typ == batch.Struct {
		return true
	}
	text := v.Bytes(i)
	if typ == batch.Integer {
		return usualInteger(text)
	}
	val := v.Value(i)
	if typ == batch.Timestamp {
		if val.Int%microsPerDay != 0 || val.Float != 0 {
			return s.usualTimestamp(text)
		}
		val.Type = batch.Date // midnight, however it is written
	}
	s.scratch = val.AppendText(s.scratch[:0], false)
	return string(s.scratch) == string(text)
}

// usualInteger reports whether the text of an integer has no sign but a minus,
// no zero before it and no space around it.
func usualInteger(b []byte) bool {
	if len(b) == 1 {
		return true
	}
	if b[0] == '-' {
		b = b[1:]
	}
	return b[0] >= '1' && b[0] <= '9' && b[len(b)-1] >= '0' // no space at the end
}

// maxShape is the longest text whose fraction of a second has no digits that
// get lost.
const maxShape = len("2006-01-02T15:04:05.999999999")

// usualTimestamp reports whether a timestamp is written like the first one of
// the column: other digits, all else equal, so the offset too.
func (s *spelling) usualTimestamp(b []byte) bool {
	if s.shape == nil {
		s.shape = append([]byte{}, b...)
	}
	if len(b) != len(s.shape) || len(b) < 16 || len(b) > maxShape {
		return false
	}
	inZone := false
	for i, ch := range s.shape {
		inZone = inZone || i > 10 && (ch == '+' || ch == '-')
		if ch != b[i] && (inZone || !isDigit(ch) || !isDigit(b[i])) {
			return false
		}
	}
	return true
}

func isDigit(ch byte) bool { return ch-'0' <= 9 }

// looksLikeText guesses from the rows of a chunk whether a column will turn out
// to hold texts: by the rules of the profile, which decides at the end.
func looksLikeText(v *batch.Vector) bool {
	var families [batch.TypeCount]int
	values, zeros := 0, 0
	for i := range v.Len() {
		p, j := v.At(i)
		typ := p.Types[j]
		if typ == batch.Null || p.Inferred && len(p.Bytes(j)) == 0 {
			continue
		}
		values++
		families[typ.Family()]++
		if typ == batch.Integer && p.Inferred {
			if b := p.Bytes(j); len(b) > 1 && b[0] == '0' {
				zeros++
			}
		}
	}
	best := batch.String
	for t, n := range families {
		if n > families[best] {
			best = batch.Type(t)
		}
	}
	return best == batch.String || 10*families[best] < 9*values || best == batch.Number && 100*zeros >= families[best]
}
