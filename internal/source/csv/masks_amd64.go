package csv

import "golang.org/x/sys/cpu"

// masksAVX2 is masks for n blocks of 64 bytes, for processors with AVX2.
//
//go:noescape
func masksAVX2(dst *uint64, src *byte, n int, a, b byte)

var hasAVX2 = cpu.X86.HasAVX2

// masks sets bit i of dst[k] where src[64*k+i] is a or b. src must have 64
// bytes for each element of dst.
func masks(dst []uint64, src []byte, a, b byte) {
	if len(dst) == 0 {
		return
	}
	if !hasAVX2 {
		masksSWAR(dst, src, a, b)
		return
	}
	_ = src[64*len(dst)-1]
	masksAVX2(&dst[0], &src[0], len(dst), a, b)
}
