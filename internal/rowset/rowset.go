// Package rowset holds sets of row numbers compactly: two bytes for each of few
// rows, a bit for each of many. It is the scheme of Roaring bitmaps (D. Lemire
// and others, "Consistently faster and smaller compressed bitmaps with
// Roaring", 2016) without runs.
package rowset

import (
	"maps"
	"math/bits"
	"slices"
)

const (
	blockBits = 16
	blockRows = 1 << blockBits
	blockMask = blockRows - 1
	// sparse is how many rows a block lists before it becomes a bitmap, which
	// takes less from there on.
	sparse = blockRows / 16
)

// Set is a set of row numbers, which are not negative. The zero value is empty.
// A set takes at most one bit for each row up to its largest, and 64 bytes for
// each block of 65,536 rows that has any. It is used by one goroutine at a time,
// by Has as by Add.
type Set struct {
	blocks map[int64]*block
	last   *block // that was used last, of number at
	at     int64
	n      int64
}

// block is 65,536 rows: a sorted list, or a bitmap if bits is not nil.
type block struct {
	list []uint16
	bits *[blockRows / 64]uint64
}

// Len returns the number of rows.
func (s *Set) Len() int64 { return s.n }

func (s *Set) block(number int64) *block {
	if s.last != nil && s.at == number {
		return s.last
	}
	b := s.blocks[number]
	if b != nil {
		s.last, s.at = b, number
	}
	return b
}

// Add adds a row.
func (s *Set) Add(row int64) {
	number := row >> blockBits
	b := s.block(number)
	if b == nil {
		if s.blocks == nil {
			s.blocks = map[int64]*block{}
		}
		b = &block{}
		s.blocks[number], s.last, s.at = b, b, number
	}
	if b.add(uint16(row & blockMask)) { //nolint:gosec // masked
		s.n++
	}
}

func (b *block) add(low uint16) bool {
	if b.bits != nil {
		word, bit := &b.bits[low>>6], uint64(1)<<(low&63)
		fresh := *word&bit == 0
		*word |= bit
		return fresh
	}
	n := len(b.list)
	if n == 0 || b.list[n-1] < low { // rows mostly come in their order
		b.list = append(b.list, low)
	} else {
		at, found := slices.BinarySearch(b.list, low)
		if found {
			return false
		}
		b.list = slices.Insert(b.list, at, low)
	}
	if len(b.list) > sparse {
		b.bits = new([blockRows / 64]uint64)
		for _, l := range b.list {
			b.bits[l>>6] |= 1 << (l & 63)
		}
		b.list = nil
	}
	return true
}

// AddRange adds n rows from first on.
func (s *Set) AddRange(first, n int64) {
	for row := first; row < first+n; row++ {
		s.Add(row)
	}
}

// Has reports whether a row is in the set.
func (s *Set) Has(row int64) bool {
	b := s.block(row >> blockBits)
	return b != nil && b.has(uint16(row&blockMask)) //nolint:gosec // masked
}

func (b *block) has(low uint16) bool {
	if b.bits != nil {
		return b.bits[low>>6]>>(low&63)&1 != 0
	}
	_, found := slices.BinarySearch(b.list, low)
	return found
}

// Union adds the rows of another set, which stays as it is.
func (s *Set) Union(o *Set) {
	if o == nil {
		return
	}
	for number, b := range o.blocks {
		for low := range b.all {
			s.Add(number<<blockBits | int64(low))
		}
	}
}

// Clone returns a copy.
func (s *Set) Clone() Set {
	c := Set{n: s.n, blocks: make(map[int64]*block, len(s.blocks))}
	for number, b := range s.blocks {
		own := &block{list: slices.Clone(b.list)}
		if b.bits != nil {
			copied := *b.bits
			own.bits = &copied
		}
		c.blocks[number] = own
	}
	return c
}

// All calls f for each row in ascending order until it returns false.
func (s *Set) All(f func(row int64) bool) {
	numbers := slices.Sorted(maps.Keys(s.blocks))
	for _, number := range numbers {
		for low := range s.blocks[number].all {
			if !f(number<<blockBits | int64(low)) {
				return
			}
		}
	}
}

func (b *block) all(yield func(uint16) bool) {
	for _, l := range b.list {
		if !yield(l) {
			return
		}
	}
	if b.bits == nil {
		return
	}
	for w, word := range b.bits {
		for ; word != 0; word &= word - 1 {
			if !yield(uint16(w<<6 + bits.TrailingZeros64(word))) { //nolint:gosec // below 65,536
				return
			}
		}
	}
}
