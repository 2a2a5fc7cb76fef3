package batch

import (
	"cmp"
	"math"
)

// Compare orders two values of one family of types, exactly over integers and
// floats. ok is false for NaN and for values of different families.
func Compare(a, b Value) (order int, ok bool) {
	if a.Type.Family() != b.Type.Family() {
		return 0, false
	}
	switch {
	case !a.Type.Numeric():
		return cmp.Or(cmp.Compare(a.Int, b.Int), cmp.Compare(a.Float, b.Float)), true
	case a.Type == Integer && b.Type == Integer:
		return cmp.Compare(a.Int, b.Int), true
	case a.Type == Number && b.Type == Number:
		return cmp.Compare(a.Float, b.Float), a.Float == a.Float && b.Float == b.Float
	case a.Type == Integer:
		return CompareIntFloat(a.Int, b.Float), b.Float == b.Float
	}
	return -CompareIntFloat(b.Int, a.Float), a.Float == a.Float
}

// CompareIntFloat compares an integer with a float that is not NaN, without
// rounding the integer: -1, 0 or 1.
func CompareIntFloat(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Trunc(f)
	return cmp.Or(cmp.Compare(i, int64(whole)), cmp.Compare(0, f-whole))
}

// Identity is a value as the key of a map, by its family and meaning: 3 and 3.0
// are one.
type Identity struct {
	family Type
	bits   uint64
	rest   float64
}

// IdentityOf returns the identity of a number, a time or a truth value.
func IdentityOf(v Value) Identity {
	k := Identity{family: v.Type.Family(), bits: uint64(v.Int), rest: v.Float}
	if v.Type != Number {
		return k
	}
	k.rest = 0
	if f := v.Float; f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
		k.bits = uint64(int64(f))
		return k
	}
	k.family, k.bits = TypeCount, math.Float64bits(v.Float) // a number that is no integer
	return k
}
