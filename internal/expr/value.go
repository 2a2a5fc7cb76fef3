package expr

import (
	"math"
	"math/bits"

	"github.com/profilerhq/profiler/internal/batch"
)

// wrong is the type of a value that is not what its place asks for.
const wrong = batch.TypeCount

func asFloat(v batch.Value) float64 {
	if v.Type == batch.Integer {
		return float64(v.Int)
	}
	return v.Float
}

// none is the absence of a value.
var none = batch.Value{}

func number(f float64) batch.Value             { return batch.Value{Type: batch.Number, Float: f} }
func integer(i int64) batch.Value              { return batch.Value{Type: batch.Integer, Int: i} }
func mistyped() batch.Value                    { return batch.Value{Type: wrong} }
func absent(t batch.Type) bool                 { return t == batch.Null }
func span(nanos int64) batch.Value             { return batch.Value{Type: batch.Duration, Int: nanos} }
func floatsOf(a, b batch.Value) (x, y float64) { return asFloat(a), asFloat(b) }

// arithmetic computes a op b. Null comes before wrong.
func arithmetic(o op, a, b batch.Value) batch.Value {
	if absent(a.Type) || absent(b.Type) {
		return none
	}
	if !a.Type.Numeric() || !b.Type.Numeric() {
		if o == opSub && a.Type.Temporal() && a.Type.Family() == b.Type.Family() {
			return between(a, b)
		}
		return mistyped()
	}
	if a.Type == batch.Integer && b.Type == batch.Integer {
		return integers(o, a.Int, b.Int)
	}
	x, y := floatsOf(a, b)
	return floats(o, x, y)
}

func floats(o op, x, y float64) batch.Value {
	switch o {
	case opAdd:
		return number(x + y)
	case opSub:
		return number(x - y)
	case opMul:
		return number(x * y)
	default:
	}
	if y == 0 {
		return none
	}
	if o == opDiv {
		return number(x / y)
	}
	return number(math.Mod(x, y))
}

// integers computes in 64 bits, and in floating point what does not fit.
func integers(o op, x, y int64) batch.Value {
	switch o {
	case opAdd:
		if s := x + y; (s > x) == (y > 0) {
			return integer(s)
		}
	case opSub:
		if d := x - y; (d < x) == (y > 0) {
			return integer(d)
		}
	case opMul:
		if p, ok := multiply(x, y); ok {
			return integer(p)
		}
	default:
		switch {
		case y == 0:
			return none
		case y == -1 && o == opMod:
			return integer(0)
		case y == -1 && x == math.MinInt64:
			return number(1 << 63)
		case o == opMod:
			return integer(x % y)
		case x%y == 0:
			return integer(x / y)
		}
	}
	return floats(o, float64(x), float64(y))
}

func multiply(x, y int64) (int64, bool) {
	hi, lo := bits.Mul64(size(x), size(y))
	neg := (x < 0) != (y < 0)
	switch {
	case hi != 0 || lo > 1<<63 || lo == 1<<63 && !neg:
		return 0, false
	case neg:
		return -int64(lo), true //nolint:gosec // -(1<<63) wraps to itself, which is right
	}
	return int64(lo), true //nolint:gosec // checked
}

// size is the absolute value, also of the smallest integer.
func size(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// between is the span of time from b to a, at most 292 years either way.
func between(a, b batch.Value) batch.Value {
	if a.Type.Family() != batch.Timestamp {
		if d := a.Int - b.Int; (d < a.Int) == (b.Int > 0) {
			return span(d)
		}
		return span(limit(a.Int > b.Int))
	}
	micros := a.Int - b.Int // both lie within the years 0 to 9999, or were declared so
	if (micros < a.Int) != (b.Int > 0) && b.Int != 0 {
		return span(limit(a.Int > b.Int))
	}
	nanos, ok := multiply(micros, 1000)
	sub := int64(a.Float - b.Float)
	if total := nanos + sub; ok && (sub == 0 || (total > nanos) == (sub > 0)) {
		return span(total)
	}
	return span(limit(micros > 0))
}

func limit(positive bool) int64 {
	if positive {
		return math.MaxInt64
	}
	return math.MinInt64
}

// negative returns -a.
func negative(a batch.Value) batch.Value {
	switch {
	case absent(a.Type):
		return none
	case a.Type == batch.Integer && a.Int != math.MinInt64:
		return integer(-a.Int)
	case a.Type == batch.Integer:
		return number(1 << 63)
	case a.Type == batch.Number:
		return number(-a.Float)
	case a.Type == batch.Duration:
		return span(max(-a.Int, -math.MaxInt64))
	}
	return mistyped()
}

// rounded applies abs, floor, ceil or round with digits beyond the point.
func rounded(o op, a batch.Value, digits int64) batch.Value {
	switch {
	case absent(a.Type):
		return none
	case o == opAbs && (a.Type == batch.Integer && a.Int < 0 || a.Type == batch.Duration && a.Int < 0):
		return negative(a)
	case o == opAbs && a.Type == batch.Duration, a.Type == batch.Integer:
		return a
	case a.Type != batch.Number:
		return mistyped()
	}
	f := a.Float
	switch o {
	case opAbs:
		return number(math.Abs(f))
	case opFloor:
		return whole(math.Floor(f))
	case opCeil:
		return whole(math.Ceil(f))
	default:
	}
	if digits == 0 {
		return whole(math.Round(f))
	}
	scale := math.Pow10(int(digits))
	if scaled := math.Round(f * scale); math.Abs(scaled) < 1<<53 {
		return number(scaled / scale)
	}
	return a // has no such digits, or is NaN or an infinity
}

// whole makes an integer of a float without a fraction, where it fits.
func whole(f float64) batch.Value {
	if f >= -1<<63 && f < 1<<63 {
		return integer(int64(f))
	}
	return number(f)
}

// extreme returns the smaller or larger of two values; NaN if one is.
func extreme(o op, a, b batch.Value) batch.Value {
	if absent(a.Type) || absent(b.Type) {
		return none
	}
	if !ordered(a.Type) || a.Type.Family() != b.Type.Family() {
		return mistyped()
	}
	order, ok := batch.Compare(a, b)
	switch {
	case !ok && a.Type == batch.Number && a.Float != a.Float:
		return a
	case !ok:
		return b
	case order > 0 == (o == opMin):
		return b
	}
	return a
}

// ordered reports whether values of a type are numbers or times.
func ordered(t batch.Type) bool { return t.Numeric() || t.Temporal() }
