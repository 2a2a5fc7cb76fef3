package typed

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// nearest is the oracle: the rational number, rounded once.
func nearest(unscaled *big.Int, scale int) float64 {
	x := new(big.Rat).SetInt(unscaled)
	p := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil))
	if scale >= 0 {
		x.Quo(x, p)
	} else {
		x.Mul(x, p)
	}
	f, _ := x.Float64()
	return f
}

func TestDecimalsAreNearest(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var d Decimals
	for range 20_000 {
		n := int64(rnd.Uint64()) >> rnd.IntN(63)
		scale := rnd.IntN(60) - 20
		require.Equal(t, nearest(big.NewInt(n), scale), d.Int(n, scale), "%d / 10^%d", n, scale)
		b := make([]byte, rnd.IntN(40)+1)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		for i := range rnd.IntN(len(b)) { // short numbers, and zeros in long ones
			b[i] = []byte{0, 0xff}[i%2*rnd.IntN(2)]
		}
		x := new(big.Int).SetBytes(b)
		if b[0] >= 0x80 {
			x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		require.Equal(t, nearest(x, scale), d.Bytes(b, scale), "%v / 10^%d", x, scale)
	}
	require.Zero(t, d.Bytes(nil, 3))
}

func TestDecimalsAllocateNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	var d Decimals
	d.Int(math.MinInt64, MaxScale)
	wide := bytes.Repeat([]byte{0x81}, 32)
	d.Bytes(wide, 5)
	require.Zero(t, testing.AllocsPerRun(100, func() { d.Int(123456789012345678, 4); d.Bytes(wide, 5) }))
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	var c Decimals
	for _, tc := range []struct {
		n     int64
		scale int
		want  float64
	}{
		{694, 2, 6.94}, {-1, 0, -1}, {1<<53 + 1, 0, 1 << 53}, {1<<53 + 1, 1, 900719925474099.3}, {math.MaxInt64, 18, 9.223372036854775807},
		{math.MinInt64, 3, -9223372036854775.808}, {1, 23, 1e-23}, {7, 400, 0},
	} {
		require.Equal(t, tc.want, c.Int(tc.n, tc.scale), "%d / 10^%d", tc.n, tc.scale)
	}
	for _, tc := range []struct {
		b     []byte
		scale int
		want  float64
	}{
		{nil, 2, 0}, {[]byte{0xff}, 0, -1}, {[]byte{0x02, 0xb6}, 2, 6.94}, {[]byte{0xfd, 0x4a}, 2, -6.94},
		{append(bytes.Repeat([]byte{0xff}, 15), 0xfe), 1, -0.2}, {append([]byte{1}, make([]byte, 8)...), 0, 18446744073709551616}, {append([]byte{0xff}, make([]byte, 8)...), 1, -1844674407370955161.6},
	} {
		require.Equal(t, tc.want, c.Bytes(tc.b, tc.scale), "%x / 10^%d", tc.b, tc.scale)
	}
}

func TestHalf(t *testing.T) {
	t.Parallel()
	for h, want := range map[uint16]float64{
		0: 0, 1: math.Ldexp(1, -24), 0x03ff: math.Ldexp(1023, -24), 0x0400: math.Ldexp(1, -14), 0x3c00: 1, 0x3555: 0.333251953125, 0x7bff: 65504, 0xfbff: -65504, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1),
	} {
		require.Equal(t, want, Half(h), "%04x", h)
	}
	require.True(t, math.Signbit(Half(0x8000)))
	require.True(t, math.IsNaN(Half(0x7e00)))
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		n, unit, want int64
		exact         bool
	}{
		{7, 1000, 7000, true},
		{math.MaxInt64, 1, math.MaxInt64, true},
		{math.MaxInt64, 1000, math.MaxInt64 / 1000 * 1000, false},
		{math.MinInt64, 1000, math.MinInt64 / 1000 * 1000, false},
		{math.MaxInt64 / 1000, 1000, math.MaxInt64 / 1000 * 1000, true},
	} {
		got, exact := Times(tc.n, tc.unit)
		require.Equal(t, tc.want, got)
		require.Equal(t, tc.exact, exact)
	}
	for _, tc := range []struct {
		n, unit, micros, nanos int64
		exact                  bool
	}{
		{-1, 1, -1, 999, true},
		{1_000, 1, 1, 0, true},
		{-1, 1_000, -1, 0, true},
		{2, 1_000_000_000, 2_000_000, 0, true},
		{math.MinInt64, 1_000_000_000, math.MinInt64 / 1_000_000 * 1_000_000, 0, false},
	} {
		us, ns, exact := Timestamp(tc.n, tc.unit)
		require.Equal(t, []any{tc.micros, tc.nanos, tc.exact}, []any{us, ns, exact}, "%d of %d", tc.n, tc.unit)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a": "a", "a.b": `"a.b"`, "": `""`, "a[0]": `"a[0]"`, `"`: `"\""`} {
		require.Equal(t, want, QuoteName(in))
	}
	require.Equal(t, "00010203-0405-0607-0809-0a0b0c0d0eff", string(AppendUUID(nil, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255})))
}

// TestLongDecimals has numbers that would take minutes as decimal texts.
func TestLongDecimals(t *testing.T) {
	t.Parallel()
	var d Decimals
	long := make([]byte, 16<<20)
	long[0] = 1
	require.Equal(t, math.Inf(1), d.Bytes(long, MaxScale))
	long[0] = 0x80
	require.Equal(t, math.Inf(-1), d.Bytes(long, MaxScale))
	for i := range long {
		long[i] = 0xff
	}
	require.Equal(t, -0.01, d.Bytes(long, 2))
	for _, n := range []int{540, beyondBytes, beyondBytes + 1} {
		for _, sign := range []byte{0x7f, 0x01, 0x80, 0xff, 0x00} {
			b := make([]byte, n)
			b[0], b[1] = sign, 0x80
			unscaled := new(big.Int).SetBytes(b)
			if sign >= 0x80 {
				unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
			}
			require.Equal(t, nearest(unscaled, MaxScale), d.Bytes(b, MaxScale), "%d bytes, %x", n, sign)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	var n Names
	var got []string
	for _, name := range []string{"a", "a", "a_3", "a", "a", "a_3"} {
		got = append(got, n.Unique(name))
	}
	require.Equal(t, []string{"a", "a_2", "a_3", "a_4", "a_5", "a_3_2"}, got)
	for range 100_000 { // minutes if each one tried all numbers
		n.Unique("b")
	}
	require.Equal(t, "b_100001", n.Unique("b"))
}
