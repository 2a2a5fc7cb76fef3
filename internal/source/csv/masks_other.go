//go:build !amd64

package csv

// masks sets bit i of dst[k] where src[64*k+i] is a or b. src must have 64
// bytes for each element of dst.
func masks(dst []uint64, src []byte, a, b byte) { masksSWAR(dst, src, a, b) }
