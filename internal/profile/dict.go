package profile

import (
	"cmp"
	"math"
	"math/bits"
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

// reserve makes room for n entries of an empty dictionary.
func (d *dict) reserve(n int) {
	size := len(d.slots)
	for size < 2*(n+1) {
		size *= 4
	}
	if size > len(d.slots) {
		d.slots = make([]uint32, size)
	}
	d.entries = make([]entry, 0, n)
}

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
	factor := 4
	if len(d.slots) >= 4096 {
		factor = 2 // many columns come to their limit little above
	}
	d.slots = make([]uint32, factor*len(d.slots))
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

// sorted returns the entries in the order of hash and type, which does not
// depend on the order in which they came. The hashes are as good as random, so
// that the first bits of each nearly tell its place; the rest is a few steps.
func (d *dict) sorted() []entry {
	n := len(d.entries)
	shift := 64 - bits.Len(uint(n))
	ends := make([]uint32, n<<1|1) // by first bits, of which there are at most 2n
	for i := range d.entries {
		ends[d.entries[i].hash>>shift]++
	}
	sum, most := uint32(0), uint32(0)
	for i, count := range ends {
		ends[i] = sum
		sum += count
		most = max(most, count)
	}
	out := make([]entry, n)
	for i := range d.entries {
		to := &ends[d.entries[i].hash>>shift]
		out[*to] = d.entries[i]
		*to++
	}
	if most > 32 { // not random, as in a file that was made to be slow
		slices.SortFunc(out, func(a, b entry) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.typ, b.typ)) })
		return out
	}
	for i := 1; i < n; i++ {
		for j := i; j > 0 && out[j].before(&out[j-1]); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func (e *entry) before(o *entry) bool {
	return e.hash < o.hash || e.hash == o.hash && e.typ < o.typ
}
