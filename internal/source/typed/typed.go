// Package typed converts values of formats that declare types: decimals,
// halves and times, in the way in which all of them are profiled.
package typed

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"unsafe"
)

// MaxScale is the largest number of digits behind the point, or before it for
// a negative scale, that a decimal may declare.
const MaxScale = 1000

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// Decimals converts decimals to the float64 nearest to them. The zero value is
// ready; it keeps memory between calls and serves one goroutine.
type Decimals struct {
	text  []byte
	big   big.Int
	shift big.Int
	limbs [4]uint64
}

// Int returns the float64 nearest to unscaled / 10^scale. Both being exact
// below 2^53 and to 10^22, one division rounds right (Clinger 1990); anything
// else goes through its text.
func (d *Decimals) Int(unscaled int64, scale int) float64 {
	if unscaled > -1<<53 && unscaled < 1<<53 && scale >= 0 && scale < len(pow10) {
		return float64(unscaled) / pow10[scale]
	}
	d.text = strconv.AppendInt(d.text[:0], unscaled, 10)
	return d.scaled(scale)
}

// beyondBytes is the length from which on a number is infinite as a float64,
// whatever its scale: 2^4352 is 10^1310, MaxScale takes 1000 digits of it.
const beyondBytes = 545

// Bytes is Int of a number in two's complement, highest byte first.
func (d *Decimals) Bytes(b []byte, scale int) float64 {
	if len(b) == 0 {
		return 0
	}
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) { // only the sign once more
		b = b[1:]
	}
	if len(b) > beyondBytes {
		return math.Inf(1 - 2*int(b[0]>>7))
	}
	if len(b) <= 8 {
		n := int64(int8(b[0])) //nolint:gosec // the sign
		for _, x := range b[1:] {
			n = n<<8 | int64(x)
		}
		return d.Int(n, scale)
	}
	if len(b) <= 8*len(d.limbs) {
		return d.short(b, scale)
	}
	d.big.SetBytes(b)
	if b[0] >= 0x80 {
		d.shift.SetUint64(1)
		d.shift.Lsh(&d.shift, uint(8*len(b))) //nolint:gosec // a length
		d.big.Sub(&d.big, &d.shift)
	}
	if d.big.IsInt64() {
		return d.Int(d.big.Int64(), scale)
	}
	d.text = d.big.Append(d.text[:0], 10)
	return d.scaled(scale)
}

// short is Bytes of at most 256 bits, without taking memory.
func (d *Decimals) short(b []byte, scale int) float64 {
	negative := b[0] >= 0x80
	fill := byte(0)
	if negative {
		fill = 0xff
	}
	for i := range d.limbs { // lowest first, as two's complement
		d.limbs[i] = 0
		for k := range 8 {
			x := fill
			if at := len(b) - 8*i - 8 + k; at >= 0 {
				x = b[at]
			}
			d.limbs[i] = d.limbs[i]<<8 | uint64(x)
		}
	}
	sign := uint64(int64(d.limbs[0]) >> 63) //nolint:gosec // two's complement
	if d.limbs[1] == sign && d.limbs[2] == sign && d.limbs[3] == sign {
		return d.Int(int64(d.limbs[0]), scale) //nolint:gosec // two's complement
	}
	d.text = d.text[:0]
	if negative {
		d.text = append(d.text, '-')
		carry := uint64(1)
		for i := range d.limbs {
			d.limbs[i], carry = bits.Add64(^d.limbs[i], 0, carry)
		}
	}
	d.appendLimbs()
	return d.scaled(scale)
}

// appendLimbs appends the digits of the number in d.limbs and clears it.
func (d *Decimals) appendLimbs() {
	const group = 1e19 // the most digits that fit into a limb
	var groups [5]uint64
	n := 0
	for d.limbs != [4]uint64{} {
		rest := uint64(0)
		for i := len(d.limbs) - 1; i >= 0; i-- {
			d.limbs[i], rest = bits.Div64(rest, d.limbs[i], group)
		}
		groups[n] = rest
		n++
	}
	for i := n - 1; i >= 0; i-- {
		start := len(d.text)
		d.text = strconv.AppendUint(d.text, groups[i], 10)
		if missing := 19 - (len(d.text) - start); i < n-1 && missing > 0 {
			d.text = append(d.text, "0000000000000000000"[:missing]...)
			copy(d.text[start+missing:], d.text[start:len(d.text)-missing])
			copy(d.text[start:], "0000000000000000000"[:missing])
		}
	}
}

// mostDigits is how many digits decide which float64 is nearest: one between two
// of them has up to 767. strconv.ParseFloat looks at 800.
const mostDigits = 790

// scaled reads the digits in d.text as a decimal of the scale.
func (d *Decimals) scaled(scale int) float64 {
	if n := len(d.text); n > mostDigits { // a digit stands for the rest
		rest := strings.Trim(unsafe.String(&d.text[mostDigits], n-mostDigits), "0")
		d.text, scale = d.text[:mostDigits], scale-(n-mostDigits)
		if rest != "" {
			d.text, scale = append(d.text, '1'), scale+1
		}
	}
	d.text = append(d.text, 'e')
	d.text = strconv.AppendInt(d.text, int64(-scale), 10)
	f, _ := strconv.ParseFloat(unsafe.String(&d.text[0], len(d.text)), 64) // out of range is an infinity or 0, which is nearest
	return f
}

// Half returns the number of an IEEE 754 binary16.
func Half(h uint16) float64 {
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

// Times returns n * unit, or the multiple of unit nearest to it that an int64
// can hold; exact is false then. unit is positive.
func Times(n, unit int64) (product int64, exact bool) {
	if n > math.MaxInt64/unit {
		return math.MaxInt64 / unit * unit, false
	}
	if n < math.MinInt64/unit {
		return math.MinInt64 / unit * unit, false
	}
	return n * unit, true
}

// Timestamp converts a count of units of so many nanoseconds since 1970 to
// microseconds and the nanoseconds (0 to 999) beyond them. exact is false if
// the time is out of range and the nearest one is returned.
func Timestamp(n, unit int64) (micros, nanos int64, exact bool) {
	if unit >= 1000 {
		micros, exact = Times(n, unit/1000)
		return micros, 0, exact
	}
	micros, nanos = n/1000, n%1000
	if nanos < 0 {
		micros, nanos = micros-1, nanos+1000
	}
	return micros, nanos, true
}

// AppendUUID appends the usual text of the 16 bytes of a UUID.
func AppendUUID(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for i, x := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[x>>4], digits[x&15])
	}
	return dst
}

// Names tells columns of equal names apart. The zero value is ready.
type Names struct {
	used map[string]bool
	next map[string]int // the first number to try for a name
}

// Unique returns the name, or the name with the first number from 2 on that no
// column so far has.
func (n *Names) Unique(name string) string {
	if n.used == nil {
		n.used, n.next = map[string]bool{}, map[string]int{}
	}
	unique := name
	if n.used[name] {
		k := max(2, n.next[name])
		for unique = name + "_" + strconv.Itoa(k); n.used[unique]; unique = name + "_" + strconv.Itoa(k) {
			k++
		}
		n.next[name] = k
	}
	n.used[unique] = true
	return unique
}

// QuoteName puts quotes around the name of a field that would read as a path.
func QuoteName(name string) string {
	if name != "" && name != "*" && !strings.ContainsAny(name, `.["`) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
}

// ListOf returns the path of the list whose elements a column holds, by the name
// that the column has: up to the last [] outside of quotes. It is empty for one
// of the rows.
func ListOf(name string) string {
	end, quoted := 0, false
	for i := 0; i < len(name); i++ {
		switch {
		case quoted && name[i] == '\\' && i+1 < len(name) && name[i+1] == '"':
			i++
		case name[i] == '"':
			quoted = !quoted
		case !quoted && name[i] == '[' && i+1 < len(name) && name[i+1] == ']':
			end = i + 2
		}
	}
	return name[:end]
}
