package profile

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/batch"
)

// HashName names the hash of values in saved profiles. Profiles of different
// hashes do not merge.
const HashName = "xxh3-64/1"

// Tags keep the families of values apart under one hash.
const (
	tagNumber   = 0x9ae16a3b2f90404f
	tagTime     = 0xc3a5c85c97cb3127
	tagClock    = 0xb492b66fbe98f273
	tagDuration = 0x9ddfea08eb382d69
	tagBoolean  = 0x8f3907f7f0b1c3a5
	tagBinary   = 0xd6e8feb86659fd93
	tagList     = 0xa0761d6478bd642f
	tagStruct   = 0xe7037ed1a0b428db
	// tagColumnName keeps the name of a column apart from an equal text in it.
	tagColumnName = 0x2d358dccaa6c78a5
)

// hashText is the identity of a text: equal texts have equal hashes, whatever
// the format they came in.
func hashText(b []byte) uint64 { return xxh3.Hash(b) }

// mix64 is the finalizer of splitmix64 (Steele, Lea, Flood 2014) over a tagged
// word.
func mix64(x, tag uint64) uint64 {
	x ^= tag
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// hashTyped is the identity of a value by its meaning: 3 and 3.0 are one
// number, a date is its midnight, -0 is 0, there is one NaN.
func hashTyped(v batch.Value, text []byte) uint64 {
	switch v.Type {
	case batch.Integer:
		return mix64(uint64(v.Int), tagNumber)
	case batch.Number:
		f := v.Float
		if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
			return mix64(uint64(int64(f)), tagNumber)
		}
		if math.IsNaN(f) {
			f = math.NaN()
		}
		return mix64(math.Float64bits(f), ^uint64(tagNumber))
	case batch.Date, batch.Timestamp:
		return mix64(uint64(v.Int), tagTime) ^ mix64(uint64(v.Float), tagClock)*uint64(b2i(v.Float != 0))
	case batch.Time:
		return mix64(uint64(v.Int), tagClock)
	case batch.Duration:
		return mix64(uint64(v.Int), tagDuration)
	case batch.Boolean:
		return mix64(uint64(v.Int), tagBoolean)
	case batch.Binary:
		return mix64(xxh3.Hash(text), tagBinary)
	case batch.List:
		return mix64(uint64(v.Int), tagList)
	case batch.Struct:
		return mix64(0, tagStruct)
	default:
		return hashText(text)
	}
}

// appendMeaning appends what stands for a typed value until somebody asks for its
// canonical text; text is that of a Binary.
func appendMeaning(b []byte, v batch.Value, text []byte) []byte {
	b = append(b, byte(v.Type))
	if v.Type == batch.Binary {
		return append(b, cutText(text)...)
	}
	b = binary.LittleEndian.AppendUint64(b, bitsOf(v))
	if v.Type == batch.Timestamp {
		b = binary.LittleEndian.AppendUint16(b, uint16(v.Float)) // below 1,000
	}
	return b
}

// formMeaning appends the canonical text of what appendMeaning appended.
func formMeaning(b, m []byte) []byte {
	v, m := batch.Value{Type: batch.Type(m[0])}, m[1:]
	switch v.Type {
	case batch.Binary:
		return append(b, m...)
	case batch.Number:
		v.Float = math.Float64frombits(binary.LittleEndian.Uint64(m))
	default:
		v.Int = int64(binary.LittleEndian.Uint64(m)) //nolint:gosec // bits
		if v.Type == batch.Timestamp {
			v.Float = float64(binary.LittleEndian.Uint16(m[8:]))
		}
	}
	return canonical(v, v.Type).AppendText(b, false)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Fingerprint identifies the rows of the profile and the names of its columns,
// whatever the order of the rows and wherever they came from: profiles of equal
// rows have equal fingerprints, and those of different rows, by all odds,
// different ones.
func (p *Profile) Fingerprint() uint64 {
	h := mix64(p.rows, uint64(len(p.columns)))
	for _, c := range p.columns {
		c = c.whole()
		h = mix64(h, xxh3.HashString(c.name))
		h = mix64(h, c.nulls)
	}
	if p.dups.hll != nil {
		b, err := p.dups.hll.AppendBinary(nil)
		if err != nil {
			panic("BUG: a sketch that cannot be written: " + err.Error())
		}
		return mix64(h, xxh3.Hash(b))
	}
	var sum, square uint64 // do not depend on the order
	for _, x := range p.dups.hashes {
		sum += x
		square += x * x
	}
	return mix64(mix64(h, sum), square)
}
