package csv

import "encoding/binary"

const (
	ones  = 0x0101010101010101
	lows  = 0x7f7f7f7f7f7f7f7f
	highs = 0x8080808080808080
)

// zeros marks the zero bytes of x by their highest bit.
func zeros(x uint64) uint64 { return ^((x&lows + lows) | x | lows) }

// masksSWAR is masks in words of eight bytes: the reference, and the way where
// there are no wider registers.
func masksSWAR(dst []uint64, src []byte, a, b byte) {
	as, bs := ones*uint64(a), ones*uint64(b)
	for k := range dst {
		block := src[64*k:][:64]
		mask := uint64(0)
		for i := 0; i < 64; i += 8 {
			w := binary.LittleEndian.Uint64(block[i:])
			m := zeros(w^as) | zeros(w^bs)
			// Gathers the eight marks in the highest byte of the product.
			mask |= (m >> 7) * 0x0102040810204080 >> 56 << i
		}
		dst[k] = mask
	}
}
