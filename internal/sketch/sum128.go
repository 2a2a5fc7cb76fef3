package sketch

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// Sum128 is the exact sum of int64 values in 128 bits, two's complement. The
// zero value is the sum of nothing. It wraps around beyond ±2^127, which takes
// more than 2^64 values.
type Sum128 struct {
	hi int64
	lo uint64
}

// Add adds v.
func (s *Sum128) Add(v int64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(v), 0)
	s.hi += v>>63 + int64(carry)
}

// AddWeighted adds v n times.
func (s *Sum128) AddWeighted(v int64, n uint64) {
	magnitude := uint64(v)
	if v < 0 {
		magnitude = -magnitude
	}
	hi, lo := bits.Mul64(magnitude, n)
	p := Sum128{int64(hi), lo}
	if v < 0 {
		p = p.negate()
	}
	s.Merge(p)
}

// Merge adds the sum o.
func (s *Sum128) Merge(o Sum128) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi += o.hi + int64(carry)
}

func (s Sum128) negate() Sum128 {
	lo, borrow := bits.Sub64(0, s.lo, 0)
	return Sum128{-s.hi - int64(borrow), lo}
}

// Float64 returns the nearest float64; ties go to even.
func (s Sum128) Float64() float64 {
	negative := s.hi < 0
	if negative {
		s = s.negate()
	}
	hi, lo := uint64(s.hi), s.lo
	f := float64(lo)
	if hi != 0 {
		n := bits.LeadingZeros64(hi)
		head := hi<<n | lo>>(64-n)
		// The digits cut off matter only for a tie: one bit stands for them.
		if lo<<n != 0 {
			head |= 1
		}
		f = math.Ldexp(float64(head), 64-n)
	}
	if negative {
		return -f
	}
	return f
}

// Int64 returns the sum, and whether it fits into an int64.
func (s Sum128) Int64() (v int64, ok bool) {
	v = int64(s.lo)
	return v, s.hi == v>>63
}

// String returns the sum in decimal.
func (s Sum128) String() string {
	v := big.NewInt(s.hi)
	v.Lsh(v, 64)
	return v.Add(v, new(big.Int).SetUint64(s.lo)).String()
}

// AppendBinary appends the encoded sum to b. The error is always nil.
func (s Sum128) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, kindSum, version)
	b = binary.LittleEndian.AppendUint64(b, s.lo)
	return binary.LittleEndian.AppendUint64(b, uint64(s.hi)), nil
}

// UnmarshalBinary replaces the sum by the encoded one. On an error the sum is
// unchanged.
func (s *Sum128) UnmarshalBinary(b []byte) error {
	r := open(b, kindSum, "sum")
	out := Sum128{lo: r.uint64(), hi: int64(r.uint64())}
	if err := r.close(); err != nil {
		return err
	}
	*s = out
	return nil
}
