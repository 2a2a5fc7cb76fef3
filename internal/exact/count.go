package exact

import "math/bits"

// fits makes room for all rows of a segment, twice, and reports whether there
// was memory for that: at once for the largest segment, if it may be.
func (s *Set) fits(g *segment) bool {
	n := s.onDisk(g)
	if n <= len(s.store.ordered) {
		return true
	}
	s.store.dropScratch()
	largest := n
	for i := range s.segments {
		largest = max(largest, s.onDisk(&s.segments[i]))
	}
	return s.store.makeScratch(largest) || s.store.makeScratch(n)
}

// onDisk returns how many rows of a segment wait for the end.
func (s *Set) onDisk(g *segment) int {
	if !g.onDisk {
		return 0
	}
	return len(g.blocks)*s.store.perBlock + len(g.buf)
}

func (s *store) makeScratch(n int) bool {
	if !s.space.take(int64(2*n+tableSlots) * slotSize) {
		return false
	}
	s.readIn, s.ordered, s.table = newSlots(n), newSlots(n), newSlots(tableSlots)
	return true
}

func (s *store) dropScratch() {
	s.space.give(int64(len(s.readIn)+len(s.ordered)+len(s.table)) * slotSize)
	freeSlots(s.readIn)
	freeSlots(s.ordered)
	freeSlots(s.table)
	s.readIn, s.ordered, s.table = nil, nil, nil
}

// Rows are counted in buckets of about bucketRows, by a table that stays in the
// cache of a core.
const (
	bucketRows    = 1 << 10
	maxBucketBits = 12
	tableSlots    = 4 * bucketRows
)

// count counts a segment that fits in memory: it orders the rows by the first
// bits of their keys, and looks for repetitions in one bucket after the other
// (a radix join: P. Boncz, S. Manegold, M. Kersten, "Database architecture
// optimized for the new bottleneck", 1999).
func (s *Set) count(g *segment) error {
	st, n := s.store, 0
	for _, b := range g.blocks {
		rows, err := st.read(b)
		if err != nil {
			return err
		}
		n += copy(st.readIn[n:], rows)
	}
	n += copy(st.readIn[n:], g.buf)
	s.dropBuffer(g)
	part := min(maxBucketBits, max(1, bits.Len(uint(n/bucketRows))))
	var ends [1 << maxBucketBits]int32
	rows := st.readIn[:n]
	for i := range rows {
		ends[rows[i].lo>>(64-part)]++
	}
	sum := int32(0)
	for i := range ends[:1<<part] {
		ends[i], sum = sum, sum+ends[i]
	}
	for i := range rows {
		at := &ends[rows[i].lo>>(64-part)]
		st.ordered[*at] = rows[i]
		*at++
	}
	from := int32(0)
	for _, to := range ends[:1<<part] {
		s.countBucket(st.ordered[from:to], part)
		from = to
	}
	return nil
}

// countBucket looks for repetitions among rows whose keys have the first bits
// in common, in the order of the rows.
func (s *Set) countBucket(rows []slot, part int) {
	st := s.store
	n := firstSize
	for n < 2*len(rows) {
		n *= 2
	}
	if n > len(st.table) { // many rows of few keys, or of one
		s.space.force(int64(n-len(st.table)) * slotSize)
		freeSlots(st.table)
		st.table = newSlots(n)
	}
	table := st.table[:n]
	clear(table)
	shift, mask := 64-bits.Len(uint(n-1)), n-1
	for _, r := range rows {
		i := int(r.lo << part >> shift)
		for table[i].meta != 0 {
			if table[i].lo == r.lo && (table[i].meta^r.meta)&checkMask == 0 {
				break
			}
			i = (i + 1) & mask
		}
		if sl := &table[i]; sl.meta == 0 {
			*sl = r
		} else {
			s.found(sl, r.meta, -1)
		}
	}
}
