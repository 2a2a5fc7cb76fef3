package sketch

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

const (
	hllPrecision = 14
	hllRegisters = 1 << hllPrecision
	hllTail      = 64 - hllPrecision // bits of the hash that a register looks at
	hllMaxValue  = hllTail + 1

	// hllStandardError is 1.04/√m for m = 16,384 registers.
	hllStandardError = 0.0081

	// A sparse table becomes dense when it would need more than this many slots.
	hllMaxSlots = 1024

	// Up to this many registers the sparse encoding is shorter than the packed
	// one: at most two bytes each and one more for each of 128 wide gaps.
	hllMaxSparse = 4096

	hllFormSparse = 0
	hllFormDense  = 1
	hllPackedSize = hllRegisters * 6 / 8
)

// HLL counts distinct values: a HyperLogLog of 16,384 registers (Flajolet et
// al. 2007) with the improved estimator of Ertl, "New cardinality estimation
// algorithms for HyperLogLog sketches", arXiv 1702.01284. It is fed with 64-bit
// hashes of good quality. Below about 770 distinct values it keeps a list of
// the registers in use, above 16 KiB of registers. The zero value is an empty
// summary.
type HLL struct {
	dense *registers
	// slots is an open addressing table of register<<8 | value; 0 is free.
	slots []uint32
	used  int
}

// NewHLL returns an empty summary.
func NewHLL() *HLL { return &HLL{} }

// Add counts the value with this hash. It allocates only while the summary is
// small and grows.
func (h *HLL) Add(hash uint64) {
	if d := h.dense; d != nil {
		v := uint8(bits.LeadingZeros64(hash<<hllPrecision|1<<(hllPrecision-1))) + 1
		if i := hash >> hllTail; d[i] < v {
			d[i] = v
		}
		return
	}
	v := uint8(bits.LeadingZeros64(hash<<hllPrecision|1<<(hllPrecision-1))) + 1
	h.raise(uint32(hash>>hllTail), v)
}

// AddHashes counts the values with these hashes. It gives what Add gives one by
// one.
func (h *HLL) AddHashes(hashes []uint64) {
	for i, hash := range hashes {
		if d := h.dense; d != nil {
			d.addHashes(hashes[i:])
			return
		}
		h.Add(hash)
	}
}

// registers are those of the dense form.
type registers [hllRegisters]uint8

func (d *registers) addHashes(hashes []uint64) {
	for _, hash := range hashes {
		v := uint8(bits.LeadingZeros64(hash<<hllPrecision|1<<(hllPrecision-1))) + 1
		if i := hash >> hllTail; d[i] < v {
			d[i] = v
		}
	}
}

// raise lifts one register to at least v.
func (h *HLL) raise(register uint32, v uint8) {
	if h.dense != nil {
		h.dense[register] = max(h.dense[register], v)
		return
	}
	if h.used >= len(h.slots)*3/4 {
		h.grow()
		h.raise(register, v)
		return
	}
	mask := uint32(len(h.slots) - 1)
	for i := register & mask; ; i = (i + 1) & mask {
		switch s := h.slots[i]; {
		case s == 0:
			h.slots[i] = register<<8 | uint32(v)
			h.used++
			return
		case s>>8 == register:
			h.slots[i] = register<<8 | max(s&0xff, uint32(v))
			return
		}
	}
}

// grow moves the registers to a table of four times the size, or to the dense
// form.
func (h *HLL) grow() {
	old := h.slots
	if size := max(16, 4*len(old)); size <= hllMaxSlots {
		h.slots, h.used = make([]uint32, size), 0
	} else {
		h.dense, h.slots, h.used = new(registers), nil, 0
	}
	for _, s := range old {
		if s != 0 {
			h.raise(s>>8, uint8(s))
		}
	}
}

// Merge adds the values of o, which stays unchanged. The result depends
// neither on order nor on grouping: equal values give equal bytes.
func (h *HLL) Merge(o *HLL) {
	if o.dense == nil {
		for _, s := range o.slots {
			if s != 0 {
				h.raise(s>>8, uint8(s))
			}
		}
		return
	}
	for h.dense == nil {
		h.grow()
	}
	d := h.dense
	for i, v := range o.dense {
		d[i] = max(d[i], v)
	}
}

// Estimate returns the estimated number of distinct values; 0 when empty.
func (h *HLL) Estimate() float64 {
	var counts [hllMaxValue + 1]int
	if h.dense != nil {
		for _, v := range h.dense {
			counts[v]++
		}
	} else {
		for _, s := range h.slots {
			counts[s&0xff]++
		}
		counts[0] = hllRegisters - h.used
	}
	const m = float64(hllRegisters)
	z := m * hllTau(1-float64(counts[hllMaxValue])/m)
	for k := hllTail; k >= 1; k-- {
		z = (z + float64(counts[k])) / 2
	}
	z += m * hllSigma(float64(counts[0])/m)
	return m * m / (2 * math.Ln2 * z)
}

// hllSigma is σ of Ertl's algorithm 6, which corrects for registers at zero.
func hllSigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		last := z
		z += x * y
		y += y
		if z == last {
			return z
		}
	}
}

// hllTau is τ of Ertl's algorithm 6, which corrects for saturated registers.
func hllTau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		last := z
		y /= 2
		z -= (1 - x) * (1 - x) * y
		if z == last {
			return z / 3
		}
	}
}

// Error returns three standard errors of the estimate in values, rounded up;
// 0 when empty. The true count is inside in about 99.7 % of all cases.
func (h *HLL) Error() float64 {
	return math.Ceil(3 * hllStandardError * h.Estimate())
}

// AppendBinary appends the encoded summary to b. Equal registers give equal
// bytes. The error is always nil.
func (h *HLL) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, kindDistinct, version, hllPrecision)
	list := h.inUse()
	if len(list) > hllMaxSparse {
		b = append(b, hllFormDense)
		for i := 0; i < hllRegisters; i += 4 {
			r := h.dense[i : i+4]
			w := uint32(r[0]) | uint32(r[1])<<6 | uint32(r[2])<<12 | uint32(r[3])<<18
			b = append(b, byte(w), byte(w>>8), byte(w>>16))
		}
		return b, nil
	}
	b = append(b, hllFormSparse)
	b = binary.AppendUvarint(b, uint64(len(list)))
	next := uint32(0)
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(s>>8-next))
		b = append(b, byte(s))
		next = s>>8 + 1
	}
	return b, nil
}

// inUse returns register<<8 | value of the registers above zero, ascending.
func (h *HLL) inUse() []uint32 {
	list := make([]uint32, 0, max(h.used, 64))
	if h.dense != nil {
		for i, v := range h.dense {
			if v > 0 {
				list = append(list, uint32(i)<<8|uint32(v))
			}
		}
		return list
	}
	for _, s := range h.slots {
		if s != 0 {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return list
}

// UnmarshalBinary replaces the summary by the encoded one and copies what it
// needs of b. On an error the summary is unchanged.
func (h *HLL) UnmarshalBinary(b []byte) error {
	r := open(b, kindDistinct, "distinct")
	if p := r.byte(); r.err == nil && p != hllPrecision {
		r.fail("precision is %d, want %d", p, hllPrecision)
	}
	var out HLL
	switch form := r.byte(); {
	case r.err != nil:
	case form == hllFormSparse:
		out.decodeSparse(r)
	case form == hllFormDense:
		out.decodeDense(r)
	default:
		r.fail("form %d is not known", form)
	}
	if err := r.close(); err != nil {
		return err
	}
	*h = out
	return nil
}

func (h *HLL) decodeSparse(r *reader) {
	n := r.count(hllMaxSparse, 2)
	next := uint64(0)
	for range n {
		gap := r.uvarint()
		v := r.byte()
		if r.err != nil {
			return
		}
		if gap >= hllRegisters-next {
			r.fail("a register is out of range")
			return
		}
		if v < 1 || v > hllMaxValue {
			r.fail("register value %d is out of range", v)
			return
		}
		h.raise(uint32(next+gap), v)
		next += gap + 1
	}
}

func (h *HLL) decodeDense(r *reader) {
	packed := r.bytes(hllPackedSize)
	if r.err != nil {
		return
	}
	h.dense = new(registers)
	used := 0
	for i := range h.dense {
		group := packed[i/4*3:]
		w := uint32(group[0]) | uint32(group[1])<<8 | uint32(group[2])<<16
		v := uint8(w >> (i % 4 * 6) & 63)
		if v > hllMaxValue {
			r.fail("register value %d is out of range", v)
			return
		}
		if v > 0 {
			used++
		}
		h.dense[i] = v
	}
	if used <= hllMaxSparse {
		r.fail("the dense form holds only %d registers", used)
	}
}
