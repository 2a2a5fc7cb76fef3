package batch

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// This file is the look-up of fields in the dictionary of a column: the most
// frequent thing that happens to a field, so there is a loop for each length of
// fields without a branch that the data would decide.

// slot is a place of the dictionary's table: 48 bits of the hash of a field with
// its form, and the index of its entry + 1 in 16 bits; 0 is free. With the place
// it tells fields by more than 60 bits: the chance that two of some 10,000
// distinct fields are taken for one is below 1e-9. Eight bytes keep the table of
// a column in the second cache, which decides its speed.
type slot uint64

const (
	slotIndexBits = 16
	slotIndex     = 1<<slotIndexBits - 1

	minSlots      = 512 // of a table
	minSlotsDense = 128 // of one of many

	// golden is 2^64 over the golden ratio: products with it lie further apart
	// than random numbers for fields that differ in a few digits (D. Knuth, "The
	// Art of Computer Programming" 3, 6.4).
	golden = 0x9e3779b97f4a7c15

	// Up to so many fields another seed is tried when two of them should be at
	// one slot: if both come often, which is looked at first would be right or
	// wrong by chance.
	fewFields = 24
)

// width is the way that the fields of a column are hashed, by the longest of
// them. All entries of a table are hashed in one way.
type width uint8

const (
	width7  width = iota // up to 7 bytes: one word with its length
	width16              // up to 16 bytes: two words
	width32              // up to 32 bytes: four words; a hash of what is longer
)

var widthBytes = [...]uint32{width7: 7, width16: 16, width32: MaxField}

// lowBytes masks the first n bytes of four words that hold a field.
var lowBytes = func() (m [33][4]uint64) {
	for n := range m {
		for i := range m[n] {
			switch size := n - 8*i; {
			case size >= 8:
				m[n][i] = ^uint64(0)
			case size > 0:
				m[n][i] = 1<<(8*size) - 1
			}
		}
	}
	return m
}()

// encode sets v to codes of the dictionary and adds fields that are new to it.
func (e *Encoder) encode(text []byte, fields []Field, v *Vector) {
	if e.dict == nil {
		e.dict = &Vector{HasText: true, Inferred: e.opts.Inferred}
		e.seed = golden
		if e.roomy() {
			e.resize(minSlots)
		} else {
			e.resize(minSlotsDense)
		}
	}
	v.HasText, v.Inferred, v.Dict = true, e.opts.Inferred, e.dict
	v.Codes = resize(v.Codes, len(fields))
	text = text[:len(text)+RawSpare]
	before := len(e.dict.Types)
	for done := 0; done < len(fields); {
		rest, codes := fields[done:], v.Codes[done:len(fields)]
		switch e.width {
		case width7:
			done += e.encode7(text, rest, codes)
		case width16:
			done += e.encode16(text, rest, codes)
		default:
			done += e.encode32(text, rest, codes)
		}
		if done < len(fields) { // one that is too long for the width
			e.widen(fields[done])
		}
	}
	v.Zoned = e.dict.Zoned
	e.rows += len(fields)
	e.judge(len(e.dict.Types)-before, len(fields))
}

// encode7 looks fields of up to 7 bytes up, and returns how many came before one
// that is longer.
func (e *Encoder) encode7(text []byte, fields []Field, codes []uint32) int {
	slots, shift, seed := e.slots, e.shift, e.seed
	codes = codes[:len(fields)]
	for i, f := range fields {
		start, meta := int(uint32(f)), uint32(f>>32) //nolint:gosec // the low half
		size := meta & MaxField
		if size > 7 {
			return i
		}
		hash, tag := hash7(binary.LittleEndian.Uint64(text[start:start+8]), size, meta, seed)
		at := hash >> (shift & 63)
		if s := slots[at]; uint64(s)&^slotIndex == tag && s != 0 {
			codes[i] = uint32(s&slotIndex) - 1
			continue
		}
		codes[i] = e.search(at, tag, meta, text[start:start+int(size)])
		slots, shift, seed = e.slots, e.shift, e.seed
	}
	return len(fields)
}

// encode16 is encode7 for fields of up to 16 bytes.
func (e *Encoder) encode16(text []byte, fields []Field, codes []uint32) int {
	slots, shift, seed := e.slots, e.shift, e.seed
	codes = codes[:len(fields)]
	for i, f := range fields {
		start, meta := int(uint32(f)), uint32(f>>32) //nolint:gosec // the low half
		size := meta & MaxField
		if size > 16 {
			return i
		}
		b, m := text[start:start+16], &lowBytes[size]
		hash, tag := hash16(binary.LittleEndian.Uint64(b)&m[0], binary.LittleEndian.Uint64(b[8:])&m[1], meta, seed)
		at := hash >> (shift & 63)
		if s := slots[at]; uint64(s)&^slotIndex == tag && s != 0 {
			codes[i] = uint32(s&slotIndex) - 1
			continue
		}
		codes[i] = e.search(at, tag, meta, text[start:start+int(size)])
		slots, shift, seed = e.slots, e.shift, e.seed
	}
	return len(fields)
}

// encode32 is encode7 for fields of any length.
func (e *Encoder) encode32(text []byte, fields []Field, codes []uint32) int {
	slots, shift, seed := e.slots, e.shift, e.seed
	codes = codes[:len(fields)]
	for i, f := range fields {
		start, meta := int(uint32(f)), uint32(f>>32) //nolint:gosec // the low half
		size := meta & MaxField
		hash, tag := hash32(text, start, size, meta, seed)
		at := hash >> (shift & 63)
		if s := slots[at]; uint64(s)&^slotIndex == tag && s != 0 {
			codes[i] = uint32(s&slotIndex) - 1
			continue
		}
		codes[i] = e.search(at, tag, meta, text[start:start+int(size)])
		slots, shift, seed = e.slots, e.shift, e.seed
	}
	return len(fields)
}

// hash7 spreads a field of up to 7 bytes, which begins w, with its length and
// form. A product with an odd number, as seed is, loses nothing; its upper half
// goes into the lower one since that is what the tag keeps.
func hash7(w uint64, size, meta uint32, seed uint64) (hash, tag uint64) {
	hash = (w&lowBytes[size&7][0] | uint64(meta>>fieldSizeBits<<3|size)<<56) * seed
	return hash, (hash ^ hash>>32) << slotIndexBits
}

// hash16 spreads a field of up to 16 bytes.
func hash16(lo, hi uint64, meta uint32, seed uint64) (hash, tag uint64) {
	a, b := bits.Mul64(lo^seed, hi^0xe7037ed1a0b428db^uint64(meta)<<32)
	hash = (a ^ b) * 0x9fb21c651e98df25
	return hash, hash << slotIndexBits
}

// hash32 spreads a field of any length: its four words, or a hash of it.
func hash32(text []byte, start int, size, meta uint32, seed uint64) (hash, tag uint64) {
	if size > 32 {
		h := xxh3.Hash128(text[start : start+int(size)])
		return hash16(h.Lo, h.Hi, meta, seed)
	}
	b, m := text[start:start+32], &lowBytes[size]
	a, c := bits.Mul64(binary.LittleEndian.Uint64(b)&m[0]^0xa0761d6478bd642f, binary.LittleEndian.Uint64(b[8:])&m[1]^0x8ebc6af09c88c6e3)
	d, f := bits.Mul64(binary.LittleEndian.Uint64(b[16:])&m[2]^0x589965cc75374cc3, binary.LittleEndian.Uint64(b[24:])&m[3]^0x1d8e4e27c47d124f)
	return hash16(a^c, d^f, meta, seed)
}

// search looks on from the slot at which a field should be, and enters it as a
// new one if it is not found.
func (e *Encoder) search(at, tag uint64, meta uint32, text []byte) uint32 {
	for home := at; ; {
		s := e.slots[at]
		if s == 0 {
			return e.add(at, home, tag, meta, text)
		}
		if uint64(s)&^slotIndex == tag {
			return uint32(s&slotIndex) - 1
		}
		if at++; at == uint64(len(e.slots)) {
			at = 0
		}
	}
}

// add enters a new field at a free slot, home being the one where it should be,
// and returns its code.
func (e *Encoder) add(at, home, tag uint64, meta uint32, text []byte) uint32 {
	n := len(e.dict.Types) + 1
	val := e.value(text, Form(meta>>fieldSizeBits))
	e.dict.Append(val, text)
	e.metas = append(e.metas, meta)
	e.slots[at] = slot(tag | uint64(n)) //nolint:gosec // at most a few 10,000
	switch {
	case e.full():
		e.seed = golden
		e.resize(2 * len(e.slots))
	case at != home && n <= fewFields:
		e.seed = e.seed*0xd1342543de82ef95&^7 | 5 // odd, and no power of what it was
		e.resize(len(e.slots))
	}
	return uint32(n - 1) //nolint:gosec // see above
}

// full reports whether the table should grow. A small one is kept so empty that
// the first place that is looked at is nearly always the right one: a value that
// comes often and has to be looked for would be mispredicted each time. A large
// one has to fit the cache, and so have those of many columns together.
func (e *Encoder) full() bool {
	n, slots := len(e.dict.Types), len(e.slots)
	switch {
	case !e.roomy():
	case slots < 4096:
		return 16*n > slots
	case slots < 16_384:
		return 4*n > slots
	}
	return 4*n > 3*slots
}

// roomy reports whether the table has few enough beside it to be kept empty.
func (e *Encoder) roomy() bool { return e.opts.Limit >= DictLimit(1) }

// widen makes the table one for a field that is longer than all before.
func (e *Encoder) widen(f Field) {
	_, size, _ := f.parts()
	for size > widthBytes[e.width] {
		e.width++
	}
	e.resize(len(e.slots))
}

// resize makes the table n slots, a power of two up to 65,536, and enters all
// fields anew.
func (e *Encoder) resize(n int) {
	e.slots, e.shift = make([]slot, n), uint(64-bits.TrailingZeros(uint(n)))
	var buf [2 * RawSpare]byte
	for i, meta := range e.metas {
		text := e.dict.Bytes(i)
		if len(text) <= RawSpare {
			clear(buf[copy(buf[:], text):])
			text = buf[:]
		}
		hash, tag := e.hash(text, meta)
		at := hash >> e.shift
		for e.slots[at] != 0 {
			if at++; at == uint64(n) {
				at = 0
			}
		}
		e.slots[at] = slot(tag | uint64(i+1))
	}
}

// hash hashes the field that begins a text as the width of the table wants it.
func (e *Encoder) hash(text []byte, meta uint32) (hash, tag uint64) {
	size := meta & MaxField
	switch e.width {
	case width7:
		return hash7(binary.LittleEndian.Uint64(text), size, meta, e.seed)
	case width16:
		m := &lowBytes[size]
		return hash16(binary.LittleEndian.Uint64(text)&m[0], binary.LittleEndian.Uint64(text[8:])&m[1], meta, e.seed)
	default:
	}
	return hash32(text, 0, size, meta, e.seed)
}
