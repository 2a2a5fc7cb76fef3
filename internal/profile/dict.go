package profile

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/batch"
)

// Bounds of what a column counts exactly. See Builder for the rule.
const (
	exactRows     = 65_536    // up to this many rows everything is exact
	exactDistinct = 16_384    // beyond them, up to this many distinct values
	exactBudget   = 2_097_152 // distinct values that all columns may hold together
	exactText     = 4 << 20   // bytes of text of one column's distinct values
	maxText       = 256       // bytes kept of one value
)

// Facts about the text of a value.
const (
	flagBlank     = 1 << iota // empty or white space only
	flagNonASCII              // holds a character beyond ASCII
	flagInvalid               // not valid UTF-8
	flagDigits                // digits only
	flagZeroFirst             // digits only, longer than one, the first is 0
	flagWord                  // a spelling of NaN or infinity
	flagCut                   // longer than maxText
	flagEpoch                 // digits only and an epoch time between 1990 and 2100
)

// entry is one distinct value of a column with its count.
type entry struct {
	hash  uint64 // text identity where values have text, else typed identity
	count uint64
	bits  uint64 // Int, or the bits of Float for numbers
	off   uint32 // text in the arena
	chars uint32 // length in characters of the whole text
	n     uint16 // bytes of text kept
	sub   uint16 // nanoseconds beyond the microseconds of a timestamp
	typ   batch.Type
	flags uint8
}

func (e *entry) value() batch.Value {
	v := batch.Value{Type: e.typ}
	if e.typ == batch.Number {
		v.Float = math.Float64frombits(e.bits)
		return v
	}
	v.Int = int64(e.bits)
	v.Float = float64(e.sub)
	return v
}

// dict counts the distinct values of a column exactly: open addressing over
// the identity hash. "Exact" means 64-bit hashes: with 65,536 values the
// chance of a collision is about 1e-10.
type dict struct {
	entries []entry
	slots   []uint32 // index into entries + 1, 0 is empty
	arena   []byte
}

func newDict() *dict { return &dict{slots: make([]uint32, 64)} }

func (d *dict) len() int { return len(d.entries) }

func (d *dict) text(e *entry) []byte { return d.arena[e.off : e.off+uint32(e.n)] }

// find returns the entry of a value, or nil.
func (d *dict) find(hash uint64, typ batch.Type) *entry {
	mask := uint64(len(d.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := d.slots[i]
		if s == 0 {
			return nil
		}
		if e := &d.entries[s-1]; e.hash == hash && e.typ == typ {
			return e
		}
	}
}

// insert adds a value that find did not know; text is cut to maxText and
// copied.
func (d *dict) insert(e entry, text []byte) *entry {
	if 2*(len(d.entries)+1) > len(d.slots) {
		d.grow()
	}
	text = cutText(text)
	e.off = uint32(len(d.arena))
	e.n = uint16(len(text))
	d.arena = append(d.arena, text...)
	d.entries = append(d.entries, e)
	d.place(uint32(len(d.entries)), e.hash)
	return &d.entries[len(d.entries)-1]
}

func (d *dict) place(index uint32, hash uint64) {
	mask := uint64(len(d.slots) - 1)
	i := hash & mask
	for d.slots[i] != 0 {
		i = (i + 1) & mask
	}
	d.slots[i] = index
}

func (d *dict) grow() {
	d.slots = make([]uint32, 4*len(d.slots))
	for i := range d.entries {
		d.place(uint32(i+1), d.entries[i].hash)
	}
}

// cutText shortens a text to maxText bytes at a character boundary.
func cutText(b []byte) []byte {
	if len(b) <= maxText {
		return b
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}

// describe returns the length in characters of a text and its facts. inferred
// is set for texts whose type was inferred, so that digits may be codes.
func describe(text []byte, typ batch.Type, inferred bool) (chars uint32, flags uint8) {
	ascii, blank, digits := true, true, len(text) > 0
	for _, ch := range text {
		if ch >= utf8.RuneSelf {
			ascii = false
			break
		}
		blank = blank && (ch == ' ' || (ch >= '\t' && ch <= '\r'))
		digits = digits && ch-'0' <= 9
	}
	chars = uint32(len(text))
	if !ascii {
		flags |= flagNonASCII
		digits = false
		chars = uint32(utf8.RuneCount(text))
		blank = isBlank(text)
		if !utf8.Valid(text) {
			flags |= flagInvalid
		}
	}
	if blank {
		flags |= flagBlank
	}
	if len(text) > maxText {
		flags |= flagCut
	}
	if !inferred {
		return chars, flags
	}
	if digits {
		flags |= flagDigits
		if len(text) > 1 && text[0] == '0' {
			flags |= flagZeroFirst
		}
		if isEpoch(text) {
			flags |= flagEpoch
		}
	} else if typ == batch.Number && batch.IsNumberWord(text) {
		flags |= flagWord
	}
	return chars, flags
}

func isBlank(text []byte) bool {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError || !isSpace(r) {
			return false
		}
		text = text[n:]
	}
	return true
}

func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

// isEpoch reports whether 12 to 19 digits are a time between 1990 and 2100 in
// milli-, micro- or nanoseconds since 1970.
func isEpoch(text []byte) bool {
	if len(text) < 12 || len(text) > 19 {
		return false
	}
	var n uint64
	for _, ch := range text {
		n = n*10 + uint64(ch-'0')
	}
	const from, to = 631_152_000, 4_102_444_800
	for _, unit := range []uint64{1e3, 1e6, 1e9} {
		if n >= from*unit && n < to*unit {
			return true
		}
	}
	return false
}

// sorted returns the entries in the order of hash and type, which does not
// depend on the order in which they came.
func (d *dict) sorted() []entry {
	out := slices.Clone(d.entries)
	slices.SortFunc(out, func(a, b entry) int {
		switch {
		case a.hash != b.hash:
			if a.hash < b.hash {
				return -1
			}
			return 1
		default:
			return int(a.typ) - int(b.typ)
		}
	})
	return out
}
