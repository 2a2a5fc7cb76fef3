package oracle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// ErrUnsupported says that a Parquet file holds what ReadParquet cannot read.
var ErrUnsupported = errors.New("not read by the oracle")

// ReadParquet reads a flat Parquet file row by row through the Rows interface.
func ReadParquet(data []byte) (*Table, error) {
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	t := &Table{Declared: []string{}}
	var convert []func(parquet.Value) Value
	for _, field := range f.Schema().Fields() {
		if !field.Leaf() || field.Repeated() {
			return nil, fmt.Errorf("column %s: %w", field.Name(), ErrUnsupported)
		}
		typ, c := leaf(field.Type())
		if c == nil {
			return nil, fmt.Errorf("column %s of type %s: %w", field.Name(), field.Type(), ErrUnsupported)
		}
		t.Names, t.Declared, convert = append(t.Names, field.Name()), append(t.Declared, typ), append(convert, c)
	}
	buf := make([]parquet.Row, 64)
	for _, group := range f.RowGroups() {
		rows := group.Rows()
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				values := make([]Value, len(t.Names))
				for _, v := range row {
					values[v.Column()] = null
					if !v.IsNull() {
						values[v.Column()] = convert[v.Column()](v)
					}
				}
				t.Rows = append(t.Rows, values)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read rows: %w", err)
			}
		}
		if err := rows.Close(); err != nil {
			return nil, fmt.Errorf("close: %w", err)
		}
	}
	return t, nil
}

// leaf returns the type of a leaf and how its values are read; nil if that is
// not known here.
func leaf(typ parquet.Type) (string, func(parquet.Value) Value) {
	if l := typ.LogicalType(); l != nil && l.Value != nil {
		return logical(typ.Kind(), l)
	}
	switch typ.Kind() {
	case parquet.Boolean:
		return tBoolean, func(v parquet.Value) Value {
			if v.Boolean() {
				return Value{Type: tBoolean, Int: 1}
			}
			return Value{Type: tBoolean}
		}
	case parquet.Int32:
		return tInteger, func(v parquet.Value) Value { return Value{Type: tInteger, Int: int64(v.Int32())} }
	case parquet.Int64:
		return tInteger, func(v parquet.Value) Value { return Value{Type: tInteger, Int: v.Int64()} }
	case parquet.Float:
		return tNumber, func(v parquet.Value) Value { return Value{Type: tNumber, Float: float64(v.Float())} }
	case parquet.Double:
		return tNumber, func(v parquet.Value) Value { return Value{Type: tNumber, Float: v.Double()} }
	case parquet.ByteArray:
		return tBinary, func(v parquet.Value) Value { return Value{Type: tBinary, Text: string(v.ByteArray())} }
	default:
		return "", nil
	}
}

func logical(kind parquet.Kind, l *format.LogicalType) (string, func(parquet.Value) Value) {
	switch l := l.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		return tString, func(v parquet.Value) Value { return Value{Type: tString, Text: string(v.ByteArray())} }
	case *format.IntType:
		switch {
		case !l.IsSigned:
		case kind == parquet.Int32:
			return tInteger, func(v parquet.Value) Value { return Value{Type: tInteger, Int: int64(v.Int32())} }
		case kind == parquet.Int64:
			return tInteger, func(v parquet.Value) Value { return Value{Type: tInteger, Int: v.Int64()} }
		}
	case *format.DecimalType:
		return tNumber, decimal(kind, int(l.Scale))
	case *format.DateType:
		return tDate, func(v parquet.Value) Value {
			return Value{Type: tDate, At: time.Unix(int64(v.Int32())*86_400, 0).UTC()}
		}
	case *format.TimeType:
		return tTime, func(v parquet.Value) Value {
			n := v.Int64()
			if kind == parquet.Int32 {
				n = int64(v.Int32())
			}
			return Value{Type: tTime, Int: n * unit(l.Unit)}
		}
	case *format.TimestampType:
		return tTimestamp, func(v parquet.Value) Value {
			per := 1_000_000_000 / unit(l.Unit)
			n := v.Int64()
			return Value{Type: tTimestamp, At: time.Unix(n/per, n%per*unit(l.Unit)).UTC(), Zoned: l.IsAdjustedToUTC}
		}
	}
	return "", nil
}

// unit returns the nanoseconds of a unit of time.
func unit(u format.TimeUnit) int64 {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return 1_000_000
	case *format.MicroSeconds:
		return 1_000
	}
	return 1
}

// decimal returns the float64 nearest to an unscaled integer over a power of
// ten, by way of a fraction.
func decimal(kind parquet.Kind, scale int) func(parquet.Value) Value {
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
	return func(v parquet.Value) Value {
		unscaled := new(big.Int)
		switch kind {
		case parquet.Int32:
			unscaled.SetInt64(int64(v.Int32()))
		case parquet.Int64:
			unscaled.SetInt64(v.Int64())
		default:
			b := v.ByteArray()
			unscaled.SetBytes(b)
			if len(b) > 0 && b[0] >= 0x80 { // two's complement
				unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
		}
		f, _ := new(big.Rat).SetFrac(unscaled, ten).Float64()
		return Value{Type: tNumber, Float: f}
	}
}
