package parquet

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/profilerhq/profiler/internal/batch"
)

// plain holds the values that are left of a page without dictionary, for the
// types that are frequent. Nulls have no value in it.
type plain struct {
	int32s  []int32
	int64s  []int64
	floats  []float32
	doubles []float64
	bytes   []byte
	ends    []uint32 // offsets in bytes, one more than values
}

// begin takes the values of a page. It returns false for a type that has to be
// read in another way.
func (p *plain) begin(f *field, page parquet.Page) bool {
	*p = plain{}
	data := page.Data()
	switch f.as {
	case asInt32, asDecimal32, asDate:
		if data.Kind() != encoding.Int32 {
			return false
		}
		p.int32s = data.Int32()
	case asInt64, asDecimal64, asTimestamp:
		if data.Kind() != encoding.Int64 {
			return false
		}
		p.int64s = data.Int64()
	case asFloat:
		if data.Kind() != encoding.Float {
			return false
		}
		p.floats = data.Float()
	case asDouble:
		if data.Kind() != encoding.Double {
			return false
		}
		p.doubles = data.Double()
	case asText, asBinary:
		if data.Kind() != encoding.ByteArray {
			return false
		}
		p.bytes, p.ends = data.ByteArray()
	default:
		return false
	}
	return true
}

// take appends n rows to a plain vector.
func (p *plain) take(f *field, v *batch.Vector, def []byte, n int, c *converter) error {
	typ := declaredTypes[f.as]
	switch f.as {
	case asText, asBinary:
		return p.takeBytes(f, v, def, n)
	case asInt32:
		return take(&p.int32s, f, v, def, n, func(x int32) batch.Value { return batch.Value{Type: typ, Int: int64(x)} })
	case asDecimal32:
		return take(&p.int32s, f, v, def, n, func(x int32) batch.Value { return batch.Value{Type: typ, Float: c.decimals.Int(int64(x), f.scale)} })
	case asDate:
		return take(&p.int32s, f, v, def, n, func(x int32) batch.Value { return batch.Value{Type: typ, Int: f.times(int64(x), microsPerDay)} })
	case asInt64:
		return take(&p.int64s, f, v, def, n, func(x int64) batch.Value { return batch.Value{Type: typ, Int: x} })
	case asDecimal64:
		return take(&p.int64s, f, v, def, n, func(x int64) batch.Value { return batch.Value{Type: typ, Float: c.decimals.Int(x, f.scale)} })
	case asTimestamp:
		v.Zoned = v.Zoned || f.utc
		return take(&p.int64s, f, v, def, n, f.timestamp)
	case asFloat:
		return take(&p.floats, f, v, def, n, func(x float32) batch.Value { return batch.Value{Type: typ, Float: float64(x)} })
	default:
		return take(&p.doubles, f, v, def, n, func(x float64) batch.Value { return batch.Value{Type: typ, Float: x} })
	}
}

// take moves values from src to n new rows of v.
func take[T any](src *[]T, f *field, v *batch.Vector, def []byte, n int, convert func(T) batch.Value) error {
	types, ints, floats := v.Extend(n)
	from := *src
	for i := range types {
		if def != nil && def[i] != f.def {
			continue
		}
		if len(from) == 0 {
			return errFewer
		}
		x := convert(from[0])
		from = from[1:]
		types[i], ints[i], floats[i] = x.Type, x.Int, x.Float
	}
	*src = from
	return nil
}

func (p *plain) takeBytes(f *field, v *batch.Vector, def []byte, n int) error {
	typ := batch.Value{Type: declaredTypes[f.as]}
	for i := range n {
		if def != nil && def[i] != f.def {
			v.AppendNull()
			continue
		}
		if len(p.ends) < 2 {
			return errFewer
		}
		b := p.bytes[p.ends[0]:p.ends[1]]
		p.ends = p.ends[1:]
		if len(b) > valueLimit-v.Size() {
			return errLong
		}
		v.Append(typ, b)
	}
	return nil
}
