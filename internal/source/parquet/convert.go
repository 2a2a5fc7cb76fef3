package parquet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"github.com/profilerhq/profiler/internal/batch"
)

const (
	microsPerDay = 86_400_000_000
	nanosPerDay  = 1_000 * microsPerDay
	julianEpoch  = 2_440_588 // the Julian day of 1970-01-01
)

// converter turns values of a file into values of a batch.
type converter struct {
	text  []byte
	big   big.Int
	shift big.Int
}

var errLong = errors.New("a chunk of its texts is longer than 2 GiB")

// values appends values of a column to its vector.
func (c *converter) values(f *field, v *batch.Vector, values []parquet.Value) error {
	for i := range values {
		x := values[i]
		if x.IsNull() {
			v.AppendNull()
			continue
		}
		switch f.as {
		case asText, asBinary:
			b := x.ByteArray()
			if len(b) > valueLimit-v.Size() {
				return errLong
			}
			v.Append(batch.Value{Type: declaredTypes[f.as]}, b)
		case asUUID:
			b := x.ByteArray()
			if len(b) != 16 {
				return fmt.Errorf("a UUID has %d bytes", len(b))
			}
			c.text = appendUUID(c.text[:0], b)
			v.Append(batch.Value{Type: batch.String}, c.text)
		default:
			v.Append(c.value(f, x), nil)
		}
	}
	return nil
}

// value converts a value that has no text.
func (c *converter) value(f *field, x parquet.Value) batch.Value {
	switch f.as {
	case asBoolean:
		if x.Boolean() {
			return batch.Value{Type: batch.Boolean, Int: 1}
		}
		return batch.Value{Type: batch.Boolean}
	case asInt32:
		return batch.Value{Type: batch.Integer, Int: int64(x.Int32())}
	case asInt64:
		return batch.Value{Type: batch.Integer, Int: x.Int64()}
	case asUint32:
		return batch.Value{Type: batch.Integer, Int: int64(x.Uint32())}
	case asUint64:
		if u := x.Uint64(); u > math.MaxInt64 {
			return batch.Value{Type: batch.Number, Float: float64(u)}
		}
		return batch.Value{Type: batch.Integer, Int: x.Int64()}
	case asFloat16:
		return batch.Value{Type: batch.Number, Float: float16(x.ByteArray())}
	case asFloat:
		return batch.Value{Type: batch.Number, Float: float64(x.Float())}
	case asDouble:
		return batch.Value{Type: batch.Number, Float: x.Double()}
	case asDecimal32:
		return batch.Value{Type: batch.Number, Float: c.decimal(int64(x.Int32()), f.scale)}
	case asDecimal64:
		return batch.Value{Type: batch.Number, Float: c.decimal(x.Int64(), f.scale)}
	case asDecimalBytes:
		return batch.Value{Type: batch.Number, Float: c.decimalBytes(x.ByteArray(), f.scale)}
	case asDate:
		return batch.Value{Type: batch.Date, Int: f.times(int64(x.Int32()), microsPerDay)}
	case asTime:
		if f.unit == 1_000_000 {
			return batch.Value{Type: batch.Time, Int: int64(x.Int32()) * f.unit}
		}
		return batch.Value{Type: batch.Time, Int: f.times(x.Int64(), f.unit)}
	case asTimestamp:
		t := f.timestamp(x.Int64())
		t.Zoned = f.utc
		return t
	case asInt96:
		return f.int96(x)
	default: // the others never come here
		return batch.Value{}
	}
}

// times multiplies, and takes the nearest of the two ends out of range.
func (f *field) times(n, unit int64) int64 {
	if n > math.MaxInt64/unit {
		f.clamped++
		return math.MaxInt64 / unit * unit
	}
	if n < math.MinInt64/unit {
		f.clamped++
		return math.MinInt64 / unit * unit
	}
	return n * unit
}

// timestamp converts a count of units since 1970 to microseconds and the
// nanoseconds beyond them.
func (f *field) timestamp(n int64) batch.Value {
	if f.unit >= 1000 {
		return batch.Value{Type: batch.Timestamp, Int: f.times(n, f.unit/1000)}
	}
	us, rest := n/1000, n%1000
	if rest < 0 {
		us, rest = us-1, rest+1000
	}
	return batch.Value{Type: batch.Timestamp, Int: us, Float: float64(rest)}
}

// int96 converts nanoseconds of a Julian day, the timestamp of old writers.
func (f *field) int96(x parquet.Value) batch.Value {
	i := x.Int96()
	nanos := int64(uint64(i[1])<<32 | uint64(i[0])) //nolint:gosec // two halves of a signed number
	day := int64(int32(i[2])) - julianEpoch         //nolint:gosec // signed as well
	day += nanos / nanosPerDay
	if nanos %= nanosPerDay; nanos < 0 {
		day, nanos = day-1, nanos+nanosPerDay
	}
	us := f.times(day, microsPerDay)
	if us > math.MaxInt64-microsPerDay {
		return batch.Value{Type: batch.Timestamp, Int: us}
	}
	return batch.Value{Type: batch.Timestamp, Int: us + nanos/1000, Float: float64(nanos % 1000)}
}

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// decimal returns the float64 nearest to unscaled / 10^scale. Both being exact
// below 2^53 and to 10^22, one division rounds right (Clinger 1990); anything
// else goes through its text.
func (c *converter) decimal(unscaled int64, scale int) float64 {
	if unscaled > -1<<53 && unscaled < 1<<53 && scale < len(pow10) {
		return float64(unscaled) / pow10[scale]
	}
	c.text = strconv.AppendInt(c.text[:0], unscaled, 10)
	return c.scaled(scale)
}

// scaled reads the digits in c.text as a decimal of the scale.
func (c *converter) scaled(scale int) float64 {
	c.text = append(c.text, 'e', '-')
	c.text = strconv.AppendInt(c.text, int64(scale), 10)
	f, _ := strconv.ParseFloat(unsafe.String(&c.text[0], len(c.text)), 64) // out of range is an infinity or 0, which is nearest
	return f
}

// decimalBytes is decimal of a number in two's complement, highest byte first.
func (c *converter) decimalBytes(b []byte, scale int) float64 {
	if len(b) == 0 {
		return 0
	}
	if len(b) <= 8 {
		n := int64(int8(b[0])) //nolint:gosec // the sign
		for _, x := range b[1:] {
			n = n<<8 | int64(x)
		}
		return c.decimal(n, scale)
	}
	c.big.SetBytes(b)
	if b[0] >= 0x80 {
		c.shift.SetUint64(1)
		c.shift.Lsh(&c.shift, uint(8*len(b))) //nolint:gosec // a length
		c.big.Sub(&c.big, &c.shift)
	}
	if c.big.IsInt64() {
		return c.decimal(c.big.Int64(), scale)
	}
	c.text = c.big.Append(c.text[:0], 10)
	return c.scaled(scale)
}

// float16 reads an IEEE 754 half, lowest byte first.
func float16(b []byte) float64 {
	if len(b) != 2 {
		return math.NaN()
	}
	h := uint16(b[0]) | uint16(b[1])<<8
	exp, frac := int(h>>10&31), float64(h&1023)
	f := 0.0
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		f = math.Inf(1)
	default:
		f = math.Ldexp(frac+1024, exp-25)
	}
	if h>>15 == 1 {
		return -f
	}
	return f
}

func appendUUID(dst, b []byte) []byte {
	for i, part := range [][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[part[0]:part[1]])
	}
	return dst
}
