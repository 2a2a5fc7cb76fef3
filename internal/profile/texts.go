package profile

import (
	"encoding/binary"
	"math/bits"

	"github.com/profilerhq/profiler/internal/batch"
)

// texts is what one pass over the texts of a vector finds: their identities,
// bounds and lengths, and whether any of them needs a closer look. It reads the
// words of a text once for all of that.
type texts struct {
	hashes   []uint64
	union    uint64 // of all words: a high bit where any text is beyond ASCII
	min, max uint32 // lengths in bytes
	sum      uint64
	// unsure are the rows of which, if the texts are strings in ASCII, a look has
	// to tell whether they are blank, cut or digits alone.
	unsure []int32
}

// The first words of the default secret of XXH3 and its multipliers (Y. Collet,
// "XXH3 specification", github.com/Cyan4973/xxHash/blob/dev/doc).
const (
	secret0  = 0xbe4ba423396cfeb8
	secret8  = 0x1cad21f72c81017c
	secret16 = 0xdb979083e96dd4de
	secret24 = 0x1f67b3b7a4a44072
	secret32 = 0x78e5c0cc4ee679cb
	secret40 = 0x2172ffcc7dd05a82
	secret48 = 0x8e2443f7744608b8
	secret56 = 0x4c263a81e69035e0

	prime1   = 0x9e3779b185ebca87
	primeMX1 = 0x165667919e3779f9
	primeMX2 = 0x9fb21c651e98df25

	highBits = 0x8080808080808080
)

// take reads the texts of the given rows, and offers them as bounds. The hashes
// are those of hashText, which is the reference: texts of 4 to 32 bytes are
// hashed here, so that nothing is called for them.
func (t *texts) take(v *batch.Vector, rows []int32, bounds *extremes) {
	hashes, unsure := t.hashes[:0], t.unsure[:0]
	union, sum := uint64(0), uint64(0)
	least, most := ^uint32(0), uint32(0)
	for _, row := range rows {
		b := v.Bytes(int(row))
		n := len(b)
		var hash, first, second uint64 // the hash, and the leading bytes
		switch {
		case n > 32 || n < 4:
			hash = hashText(b)
			for rest := b; len(rest) > 0; {
				w, size := someBytes(rest)
				union |= w
				rest = rest[size:]
			}
			first, second = leading(b)
			if n < 4 || n > maxText || isUnsure(first, first) {
				unsure = append(unsure, row)
			}
		case n > 16:
			w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			w2, w3 := binary.LittleEndian.Uint64(b[n-16:]), binary.LittleEndian.Uint64(b[n-8:])
			union |= w0 | w1 | w2 | w3
			hash = avalanche(uint64(n)*prime1 + fold(w0^secret0, w1^secret8) + fold(w2^secret16, w3^secret24)) //nolint:gosec // a length
			first, second = bits.ReverseBytes64(w0), bits.ReverseBytes64(w1)
			if isUnsure(w0, first) {
				unsure = append(unsure, row)
			}
		case n > 8:
			w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
			union |= w0 | w1
			first, second = bits.ReverseBytes64(w0), bits.ReverseBytes64(w1)<<(8*(16-n))
			if isUnsure(w0, first) {
				unsure = append(unsure, row)
			}
			w0, w1 = w0^(secret24^secret32), w1^(secret40^secret48)
			hash = avalanche(uint64(n) + bits.ReverseBytes64(w0) + w1 + fold(w0, w1)) //nolint:gosec // a length
		default:
			w0, w1 := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[n-4:])
			union |= uint64(w0 | w1)
			first = uint64(bits.ReverseBytes32(w0))<<32 | uint64(bits.ReverseBytes32(w1)<<(8*(8-n)))
			if isUnsure(uint64(w0)|uint64(w1)<<32, first) {
				unsure = append(unsure, row)
			}
			x := (uint64(w1) | uint64(w0)<<32) ^ (secret8 ^ secret16)
			x ^= bits.RotateLeft64(x, 49) ^ bits.RotateLeft64(x, 24)
			x *= primeMX2
			x = (x ^ (x>>35 + uint64(n))) * primeMX2 //nolint:gosec // a length
			hash = x ^ x>>28
		}
		hashes = append(hashes, hash)
		size := uint32(n) //nolint:gosec // a record is limited
		sum += uint64(size)
		least, most = min(least, size), max(most, size)
		bounds.offerLeading(first, second, b)
	}
	t.unsure = unsure
	t.hashes, t.union, t.sum, t.min, t.max = hashes, union, sum, least, most
}

// isUnsure reports whether a text may be blank or digits alone: w are eight of its
// bytes, or all, and first begins with the first one.
func isUnsure(w, first uint64) bool {
	const digit0, over = 0x3030303030303030, 0x7676767676767676
	d := w ^ digit0
	return (d|(d+over))&highBits == 0 || first>>56 <= ' '
}

func someBytes(b []byte) (w uint64, size int) {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b), 8
	}
	return uint64(b[0]), 1
}

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

func avalanche(x uint64) uint64 {
	x = (x ^ x>>37) * primeMX1
	return x ^ x>>32
}

// ascii reports whether all texts are ASCII, so that every length in bytes is
// one in characters.
func (t *texts) ascii() bool { return t.union&highBits == 0 }
