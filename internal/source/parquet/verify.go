package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// slack is how many values more than a page has its runs may hold: they are of
// eight each, and some writers fill up their groups.
const slack = 512

var (
	errRuns  = errors.New("its runs do not fit to its values")
	errShort = errors.New("it has fewer values than it names")
	errDelta = errors.New("its differences do not fit to its values")
)

// check makes sure that a page holds the levels and values that it names, and
// no more: the decoder takes memory by what it finds in the page.
func (c *chunk) check(p *page, body []byte) error {
	if p.values < 0 || p.values > valueCount {
		return fmt.Errorf("it names %d values", p.values)
	}
	n := int(p.values)
	if !p.data() {
		c.dict = n
		return c.checkValues(format.Plain, n, body)
	}
	rep, def := bits.Len(uint(c.f.maxRep)), bits.Len(uint(c.f.maxDef)) //nolint:gosec // levels
	levels := func(width, size int, packed format.Encoding, v1 bool) (at []byte, err error) {
		if v1 {
			if len(body) < 4 {
				return nil, errShort
			}
			size, body = int(binary.LittleEndian.Uint32(body)), body[4:]
		}
		if size > len(body) {
			return nil, errShort
		}
		at, body = body[:size], body[size:]
		if width == 0 {
			return nil, nil
		}
		if v1 && packed != format.RLE {
			return nil, fmt.Errorf("its levels are written as %s, which cannot be read", packed)
		}
		return at, nil
	}
	v1 := p.kind == format.DataPage
	present := n
	if rep > 0 || !v1 {
		at, err := levels(rep, int(p.repBytes), p.repEncoding, v1)
		if err != nil {
			return err
		}
		if at != nil {
			if _, err := runs(at, rep, n, math.MaxUint32); err != nil {
				return err
			}
		}
	}
	if def > 0 || !v1 {
		at, err := levels(def, int(p.defBytes), p.defEncoding, v1)
		if err != nil {
			return err
		}
		if at != nil {
			if present, err = runs(at, def, n, uint32(c.f.maxDef)); err != nil { //nolint:gosec // a level
				return err
			}
		}
	}
	if !v1 && (p.nulls < 0 || def > 0 && n-present != int(p.nulls) || def == 0 && p.nulls != 0) {
		return fmt.Errorf("it names %d nulls and has %d", p.nulls, n-present)
	}
	return c.checkValues(p.encoding, present, body)
}

// widths are the bytes of a value by physical type; those of 0 bytes are of
// other lengths.
var widths = map[parquet.Kind]int{parquet.Int32: 4, parquet.Float: 4, parquet.Int64: 8, parquet.Double: 8, parquet.Int96: 12}

// checkValues makes sure that b holds n values.
func (c *chunk) checkValues(encoding format.Encoding, n int, b []byte) error {
	width := widths[c.f.kind]
	if c.f.kind == parquet.FixedLenByteArray {
		width = c.f.length
	}
	switch encoding {
	case format.Plain:
		switch {
		case c.f.kind == parquet.Boolean && (n+7)/8 > len(b), width > 0 && n > len(b)/width:
			return errShort
		case c.f.kind == parquet.ByteArray:
			return checkLengths(b, n)
		}
	case format.PlainDictionary, format.RLEDictionary: //nolint:staticcheck // old files have it
		if c.dict < 0 {
			return errors.New("there is no dictionary before it")
		}
		if n == 0 || len(b) == 0 {
			return nil // zeros may be left out
		}
		if b[0] > 32 {
			return errRuns
		}
		_, err := runs(b[1:], int(b[0]), n, math.MaxUint32)
		if errors.Is(err, errShort) {
			return nil // zeros may be left out
		}
		return err
	case format.RLE:
		if n == 0 {
			return nil
		}
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return errShort
		}
		_, err := runs(b[4:4+binary.LittleEndian.Uint32(b)], 1, n, math.MaxUint32)
		return err
	case format.ByteStreamSplit:
		if width > 0 && n > len(b)/width {
			return errShort
		}
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		if n == 0 {
			return nil
		}
		_, err := deltaHeader(b, n)
		return err
	case format.DeltaByteArray:
		if n == 0 {
			return nil
		}
		return checkPrefixes(b, n)
	default:
		return fmt.Errorf("its values are written as %s", encoding)
	}
	return nil
}

// checkLengths makes sure that b holds n texts, each after its length.
func checkLengths(b []byte, n int) error {
	for range n {
		if len(b) < 4 {
			return errShort
		}
		size := int(binary.LittleEndian.Uint32(b))
		if size > len(b)-4 {
			return errShort
		}
		b = b[4+size:]
	}
	return nil
}

// runs goes over values in the hybrid of runs and packed groups of the format.
// It makes sure that they are n values, or a few more, and returns how many of
// the first n equal want. The error is errShort if there are fewer.
func runs(b []byte, width, n int, want uint32) (equal int, err error) {
	have := 0
	bytes := (width + 7) / 8
	for len(b) > 0 {
		head, k := binary.Uvarint(b)
		if k <= 0 {
			return 0, errRuns
		}
		b = b[k:]
		count := head >> 1
		if head&1 == 1 { // groups of eight
			if count > (valueCount+slack)/8 {
				return 0, errRuns
			}
			size := int(count) * width
			if size > len(b) || width == 0 && 8*int(count) > n-have+slack {
				return 0, errRuns
			}
			equal += packedEqual(b[:size], width, min(8*int(count), max(0, n-have)), want)
			b = b[size:]
			have += 8 * int(count)
			continue
		}
		if count > uint64(max(0, n-have)+slack) || len(b) < bytes { //nolint:gosec // not negative
			return 0, errRuns
		}
		value := uint32(0)
		for i := range bytes {
			value |= uint32(b[i]) << (8 * i)
		}
		b = b[bytes:]
		if value == want {
			equal += min(int(count), max(0, n-have)) //nolint:gosec // bounded above
		}
		have += int(count) //nolint:gosec // bounded above
	}
	if have < n {
		return equal, errShort
	}
	return equal, nil
}

// packedEqual returns how many of the first n values in b equal want.
func packedEqual(b []byte, width, n int, want uint32) (equal int) {
	if want == math.MaxUint32 { // nothing to be counted
		return 0
	}
	if width == 1 {
		ones, all := 0, n
		for ; n >= 64; n, b = n-64, b[8:] {
			ones += bits.OnesCount64(binary.LittleEndian.Uint64(b))
		}
		for i := range n {
			ones += int(b[i/8] >> (i % 8) & 1)
		}
		switch want {
		case 0:
			return all - ones
		case 1:
			return ones
		}
		return 0
	}
	if width == 0 {
		if want == 0 {
			return n
		}
		return 0
	}
	word, have := uint64(0), 0
	for range n {
		for have < width {
			word |= uint64(b[0]) << have
			b, have = b[1:], have+8
		}
		if uint32(word&(1<<width-1)) == want {
			equal++
		}
		word, have = word>>width, have-width
	}
	return equal
}

// differences is the head of a block of differences.
type differences struct {
	miniBlocks, perMini, total int
	first                      int64
	rest                       []byte
}

// deltaHeader reads the head of n values in differences.
func deltaHeader(b []byte, n int) (d differences, err error) {
	var fields [3]uint64
	for i := range fields {
		x, k := binary.Uvarint(b)
		if k <= 0 {
			return d, errDelta
		}
		fields[i], b = x, b[k:]
	}
	first, k := binary.Varint(b)
	if k <= 0 {
		return d, errDelta
	}
	block, mini, total := fields[0], fields[1], fields[2]
	if block == 0 || block%128 != 0 || block > 1<<16 || mini == 0 || mini > block || block/mini%32 != 0 || total != uint64(n) { //nolint:gosec // not negative
		return d, errDelta
	}
	return differences{int(mini), int(block / mini), int(total), first, b[k:]}, nil //nolint:gosec // bounded above
}

// each calls f for each value and returns what follows them.
func (d differences) each(f func(int32) error) (rest []byte, err error) {
	b := d.rest
	if d.total == 0 {
		return b, nil
	}
	last := d.first
	if err := f(int32(last)); err != nil { //nolint:gosec // lengths are of 32 bits
		return nil, err
	}
	for left := d.total - 1; left > 0; {
		least, k := binary.Varint(b)
		if k <= 0 || len(b)-k < d.miniBlocks {
			return nil, errDelta
		}
		widths := b[k : k+d.miniBlocks]
		b = b[k+d.miniBlocks:]
		for _, w := range widths {
			if left == 0 {
				break
			}
			size := d.perMini * int(w) / 8
			if w > 64 || size > len(b) {
				return nil, errDelta
			}
			for i := range min(left, d.perMini) {
				last += least + int64(bitsAt(b[:size], i*int(w), int(w))) //nolint:gosec // wraps by the format
				if err := f(int32(last)); err != nil {                    //nolint:gosec // lengths are of 32 bits
					return nil, err
				}
			}
			left -= min(left, d.perMini)
			b = b[size:]
		}
	}
	return b, nil
}

// bitsAt returns the number of w bits that begins at a bit of b.
func bitsAt(b []byte, at, w int) (x uint64) {
	for got := 0; got < w; {
		shift := (at + got) % 8
		x |= uint64(b[(at+got)/8]>>shift) << got
		got += 8 - shift
	}
	if w < 64 {
		x &= 1<<w - 1
	}
	return x
}

// prefixLimit is the most bytes that texts may have that are written by what
// they share with the one before.
const prefixLimit = 256 << 20

// checkPrefixes makes sure that texts which are written by the length of what
// they share with the one before and the rest do not unfold to more than the
// limit.
func checkPrefixes(b []byte, n int) error {
	prefixes, err := deltaHeader(b, n)
	if err != nil {
		return err
	}
	sum := int64(0)
	add := func(x int32) error {
		if sum += int64(x); x < 0 || sum > prefixLimit {
			return fmt.Errorf("its texts have a negative length, or more than %d MiB", prefixLimit>>20)
		}
		return nil
	}
	rest, err := prefixes.each(add)
	if err != nil {
		return err
	}
	suffixes, err := deltaHeader(rest, n)
	if err != nil {
		return err
	}
	_, err = suffixes.each(add)
	return err
}
