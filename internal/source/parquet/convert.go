package parquet

import (
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/typed"
)

const (
	microsPerDay = 86_400_000_000
	nanosPerDay  = 1_000 * microsPerDay
	julianEpoch  = 2_440_588 // the Julian day of 1970-01-01
)

// converter turns values of a file into values of a batch.
type converter struct {
	text     []byte
	decimals typed.Decimals
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
			c.text = typed.AppendUUID(c.text[:0], b)
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
		return batch.Value{Type: batch.Number, Float: half(x.ByteArray())}
	case asFloat:
		return batch.Value{Type: batch.Number, Float: float64(x.Float())}
	case asDouble:
		return batch.Value{Type: batch.Number, Float: x.Double()}
	case asDecimal32:
		return batch.Value{Type: batch.Number, Float: c.decimals.Int(int64(x.Int32()), f.scale)}
	case asDecimal64:
		return batch.Value{Type: batch.Number, Float: c.decimals.Int(x.Int64(), f.scale)}
	case asDecimalBytes:
		return batch.Value{Type: batch.Number, Float: c.decimals.Bytes(x.ByteArray(), f.scale)}
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

// times is typed.Times, and counts what is out of range.
func (f *field) times(n, unit int64) int64 {
	t, exact := typed.Times(n, unit)
	if !exact {
		f.clamped++
	}
	return t
}

// timestamp converts a count of units since 1970 to microseconds and the
// nanoseconds beyond them.
func (f *field) timestamp(n int64) batch.Value {
	us, ns, exact := typed.Timestamp(n, f.unit)
	if !exact {
		f.clamped++
	}
	return batch.Value{Type: batch.Timestamp, Int: us, Float: float64(ns)}
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

// half reads an IEEE 754 half, lowest byte first.
func half(b []byte) float64 {
	if len(b) != 2 {
		return math.NaN()
	}
	return typed.Half(uint16(b[0]) | uint16(b[1])<<8)
}
