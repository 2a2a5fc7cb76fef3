package parquet

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// hasOldLevels reports whether levels of a data page are written as BIT_PACKED,
// which the format gave up in 2013 and which the decoder does not read.
func (p *page) hasOldLevels(f *field) bool {
	return p.kind == format.DataPage &&
		(f.maxRep > 0 && p.repEncoding == format.BitPacked || f.maxDef > 0 && p.defEncoding == format.BitPacked)
}

// renewLevels writes the levels of a page anew as RLE, in the memory of out, and
// changes what the page says of itself. body is the page without its header. As
// BIT_PACKED they have no length, and their bits go from the highest of a byte
// to the lowest.
func (p *page) renewLevels(f *field, body, out []byte) ([]byte, error) {
	if p.values < 0 || p.values > valueCount {
		return nil, fmt.Errorf("it names %d values", p.values)
	}
	n := int(p.values)
	for _, level := range []struct {
		highest  int
		encoding *format.Encoding
	}{{int(f.maxRep), &p.repEncoding}, {int(f.maxDef), &p.defEncoding}} {
		width := bits.Len(uint(level.highest)) //nolint:gosec // not negative
		switch {
		case width == 0:
			continue
		case *level.encoding != format.BitPacked:
			if len(body) < 4 || int(binary.LittleEndian.Uint32(body)) > len(body)-4 {
				return nil, errShort
			}
			size := 4 + int(binary.LittleEndian.Uint32(body))
			out, body = append(out, body[:size]...), body[size:]
			continue
		}
		size := (n*width + 7) / 8
		if size > len(body) {
			return nil, errShort
		}
		out, body = appendLevels(out, body[:size], width, n), body[size:]
		*level.encoding = format.RLE
	}
	out = append(out, body...)
	p.unpacked = int32(len(out)) //nolint:gosec // at most twice a page
	return out, nil
}

// appendLevels appends n levels of BIT_PACKED as one run of RLE, with its length.
func appendLevels(out, b []byte, width, n int) []byte {
	at := len(out)
	out = append(out, 0, 0, 0, 0)
	groups := (n + 7) / 8
	out = binary.AppendUvarint(out, uint64(groups)<<1|1) //nolint:gosec // not negative
	from := len(out)
	out = append(out, make([]byte, groups*width)...)
	packed := out[from:]
	for i := range n {
		for bit := range width { // of the level, from its highest
			if k := i*width + bit; b[k/8]>>(7-k%8)&1 != 0 {
				to := i*width + width - 1 - bit
				packed[to/8] |= 1 << (to % 8)
			}
		}
	}
	binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-4)) //nolint:gosec // a page
	return out
}
