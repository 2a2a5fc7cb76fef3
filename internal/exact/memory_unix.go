//go:build linux || darwin || freebsd

package exact

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// newSlots returns an empty table. Large ones lie outside of the heap: the
// collector would let it grow to twice what is in use before it frees a table,
// and the limit of memory would not hold.
func newSlots(n int) []slot {
	if n < mappedSlots {
		return make([]slot, n)
	}
	b, err := syscall.Mmap(-1, 0, n*slotSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic("out of memory: " + err.Error()) // as the heap does it
	}
	mapped.Add(int64(n))
	return unsafe.Slice((*slot)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// freeSlots gives back a table of newSlots, which must not be used any more.
func freeSlots(s []slot) {
	if cap(s) < mappedSlots {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), cap(s)*slotSize)
	if err := syscall.Munmap(b); err != nil {
		panic("BUG: a table was freed twice: " + err.Error())
	}
	mapped.Add(-int64(cap(s)))
}

// mapped is how many slots lie outside of the heap.
var mapped atomic.Int64

// mappedSlots is the size from which on a table lies outside of the heap.
const mappedSlots = 64 << 10 / slotSize
