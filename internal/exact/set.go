package exact

import (
	"errors"
	"math/bits"
)

// Key is the identity of a row: 93 bits of a 128-bit hash.
type Key struct {
	lo uint64
	hi uint32 // 29 bits: 6 choose the segment, 23 stay in the slot
}

// NewKey makes a key of the halves of a 128-bit hash whose bits are all mixed.
func NewKey(hi, lo uint64) Key { return Key{lo: lo, hi: uint32(hi >> (64 - segmentBits - checkBits))} }

// Row is a row with its key. Number counts from 1 and grows from call to call.
type Row struct {
	Key    Key
	Number int64
	// Marked rows are left out of the reading Unmarked.
	Marked bool
}

// Repeat is a row whose key occurs more than once.
type Repeat struct {
	Row int64
	// Via is the row at which it showed: Row itself, or the row after it with
	// the same key if Row is the first of its key.
	Via int64
	// At is the index of Via among the rows that are being added, -1 while the
	// set ends.
	At int
	// All and Unmarked say in which readings it is repeated.
	All, Unmarked bool
}

// Tally counts what is repeated in one reading.
type Tally struct {
	Rows int64 // all rows of repeated keys, the first ones too
	Keys int64 // repeated keys
}

// Set finds the rows whose key occurs more than once, in two readings at once:
// among all rows, and among those that are not marked alone.
//
// It is 64 tables of open addressing by the first bits of the key. A table that
// may not grow goes to disk, with all later rows of its keys, and is counted
// alone in the end, by a set of the next bits. Nothing is allocated per row. A
// set is used by one goroutine and has to be closed.
type Set struct {
	// All and Unmarked are what was found so far; complete after Finish.
	All, Unmarked Tally

	space    *Space
	level    int
	segments [segments]segment
	store    *store // shared with the sets of the next levels
	repeat   func(Repeat)
	relief   func() bool
	spilled  bool
	warm     uint64
	err      error
}

const (
	segmentBits = 6
	segments    = 1 << segmentBits
	checkBits   = 23
	rowBits     = 38

	// The fields of slot.meta from the lowest bit on: flags, check, row.
	marked           = 1 << 0
	repeatedAll      = 1 << 1
	repeatedUnmarked = 1 << 2
	flagBits         = 3
	checkMask        = (1<<checkBits - 1) << flagBits
	rowShift         = flagBits + checkBits
	rowMask          = (1<<rowBits - 1) << rowShift

	slotSize  = 16 // bytes
	firstSize = 16 // slots of a new table
	// deepest is the last level that has bits of the check to divide by.
	deepest = checkBits / segmentBits
	// ahead is how many rows are looked up at a time, so that the waits for
	// memory run at the same time.
	ahead = 16
)

// errRows says that there are more rows than a slot can number.
var errRows = errors.New("there are more than 274,877,906,943 rows")

// slot is a key with its first row, 0 if empty. On disk it is a row, or a slot
// that moved there.
type slot struct{ lo, meta uint64 }

// segment is one of the tables of a set, or its part on disk.
type segment struct {
	slots  []slot
	n      int
	onDisk bool
	buf    []slot   // waits for its block
	blocks []uint32 // of the store
}

// NewSet returns an empty set. repeat is told of every repeated row, once, in
// no order; nil only counts.
func NewSet(space *Space, repeat func(Repeat)) *Set {
	return &Set{space: space, repeat: repeat}
}

// OnFull sets what to call when the disk is full; it reports whether it made
// room, so that it is worth another try.
func (s *Set) OnFull(relief func() bool) { s.relief = relief }

// Spilled reports whether rows wait on disk: a repetition among them shows at
// the end.
func (s *Set) Spilled() bool { return s.spilled }

// Err returns why the set cannot go on; nil if it can.
func (s *Set) Err() error { return s.err }

// Add takes rows. After an error, see Err, it does nothing.
func (s *Set) Add(rows []Row) {
	for from := 0; from < len(rows) && s.err == nil; from += ahead {
		part := rows[from:min(from+ahead, len(rows))]
		for i := range part {
			k := &part[i].Key
			if g := &s.segments[k.hi>>checkBits]; len(g.slots) > 0 {
				at, _ := bits.Mul64(k.lo, uint64(len(g.slots)))
				s.warm += g.slots[at].lo
			}
		}
		for i := range part {
			r := &part[i]
			if uint64(r.Number) >= 1<<rowBits {
				s.err = errRows
				return
			}
			meta := uint64(r.Number)<<rowShift | uint64(r.Key.hi&(1<<checkBits-1))<<flagBits
			if r.Marked {
				meta |= marked
			}
			s.insert(&s.segments[r.Key.hi>>checkBits], slot{r.Key.lo, meta}, from+i)
		}
	}
}

// insert adds a row, or a slot that comes from disk, to its segment.
func (s *Set) insert(g *segment, r slot, at int) {
	if 4*(g.n+1) > 3*len(g.slots) {
		if !g.onDisk && !s.grow(g) {
			if s.evict(g); s.err != nil {
				return
			}
		}
		if g.onDisk {
			s.later(g, r)
			return
		}
	}
	n := uint64(len(g.slots))
	i, _ := bits.Mul64(r.lo, n)
	for {
		sl := &g.slots[i]
		if sl.meta == 0 {
			*sl = r
			g.n++
			return
		}
		if sl.lo == r.lo && (sl.meta^r.meta)&checkMask == 0 {
			s.found(sl, r.meta, at)
			return
		}
		if i++; i == n {
			i = 0
		}
	}
}

// found counts a row whose key is there already.
func (s *Set) found(sl *slot, meta uint64, at int) {
	row := int64(meta >> rowShift)
	first := Repeat{Row: int64(sl.meta >> rowShift), Via: row, At: at}
	again := Repeat{Row: row, Via: row, At: at, All: true}
	s.All.Rows++
	if sl.meta&repeatedAll == 0 {
		sl.meta |= repeatedAll
		s.All.Rows++
		s.All.Keys++
		first.All = true
	}
	switch {
	case meta&marked != 0:
	case sl.meta&marked != 0: // the first one that is not marked takes the place
		if first.All && s.repeat != nil {
			s.repeat(first)
		}
		first.All = false
		sl.meta = sl.meta&^(rowMask|marked) | meta&rowMask
	default:
		again.Unmarked = true
		s.Unmarked.Rows++
		if sl.meta&repeatedUnmarked == 0 {
			sl.meta |= repeatedUnmarked
			s.Unmarked.Rows++
			s.Unmarked.Keys++
			first.Unmarked = true
		}
	}
	if s.repeat == nil {
		return
	}
	if first.All || first.Unmarked {
		s.repeat(first)
	}
	s.repeat(again)
}

// grow doubles a table, and reports whether there was memory for it. Slots keep
// their order, so that both are passed through once.
func (s *Set) grow(g *segment) bool {
	n := 2 * len(g.slots)
	switch {
	case n == 0:
		n = firstSize
		s.space.force(slotSize * firstSize)
	case s.level > deepest:
		s.space.force(slotSize * int64(n))
	case !s.space.take(slotSize * int64(n)):
		return false
	}
	old := g.slots
	g.slots = newSlots(n)
	for _, sl := range old {
		if sl.meta == 0 {
			continue
		}
		i, _ := bits.Mul64(sl.lo, uint64(n))
		for g.slots[i].meta != 0 {
			if i++; i == uint64(n) {
				i = 0
			}
		}
		g.slots[i] = sl
	}
	s.space.give(slotSize * int64(len(old)))
	freeSlots(old)
	return true
}

// release gives the memory of a table back.
func (s *Set) release(g *segment) {
	s.space.give(slotSize * int64(len(g.slots)))
	freeSlots(g.slots)
	g.slots, g.n = nil, 0
}

// evict moves a table to disk.
func (s *Set) evict(g *segment) {
	if s.store == nil {
		s.store, s.err = newStore(s.space)
		if s.err != nil {
			return
		}
	}
	old := g.slots
	g.onDisk, s.spilled = true, true
	g.buf = make([]slot, 0, s.store.perBlock)
	s.space.force(slotSize * int64(cap(g.buf)))
	for _, sl := range old {
		if sl.meta != 0 {
			s.later(g, sl)
		}
	}
	g.slots = old
	s.release(g)
}

// later leaves a row for the end.
func (s *Set) later(g *segment, r slot) {
	if s.err != nil {
		return
	}
	if g.buf = append(g.buf, r); len(g.buf) == cap(g.buf) {
		var block uint32
		block, s.err = s.store.write(g.buf, s.relief)
		g.blocks, g.buf = append(g.blocks, block), g.buf[:0]
	}
}

// Settle gives back the memory that is not needed after the last row: that of
// tables whose repetitions are all known. No row may follow.
func (s *Set) Settle() {
	for i := range s.segments {
		s.release(&s.segments[i])
	}
}

// Finish counts what is on disk. No row may follow. The error is that of the
// disk, of the memory, or of the context of the space.
func (s *Set) Finish() error {
	s.Settle()
	for i := range s.segments {
		g := &s.segments[i]
		if g.onDisk && s.err == nil {
			s.err = s.finish(g)
		}
	}
	if s.level == 0 && s.store != nil {
		s.store.dropScratch()
	}
	return s.err
}

// finish counts one segment: at once if it fits in memory, else by a set of the
// next bits of its keys.
func (s *Set) finish(g *segment) error {
	if s.fits(g) {
		return s.count(g)
	}
	next := &Set{space: s.space, level: s.level + 1, store: s.store, repeat: s.repeat, relief: s.relief}
	defer next.drop()
	for _, b := range g.blocks {
		rows, err := s.store.read(b)
		if err != nil {
			return err
		}
		next.replay(rows)
	}
	next.replay(g.buf)
	s.dropBuffer(g)
	if err := next.Finish(); err != nil {
		return err
	}
	s.All.add(next.All)
	s.Unmarked.add(next.Unmarked)
	return nil
}

func (t *Tally) add(o Tally) {
	t.Rows += o.Rows
	t.Keys += o.Keys
}

// replay adds rows from disk, in their order.
func (s *Set) replay(rows []slot) {
	shift := uint(flagBits + max(0, checkBits-segmentBits*s.level))
	for from := 0; from < len(rows); from += ahead {
		part := rows[from:min(from+ahead, len(rows))]
		for i := range part {
			if g := &s.segments[part[i].meta>>shift%segments]; len(g.slots) > 0 {
				at, _ := bits.Mul64(part[i].lo, uint64(len(g.slots)))
				s.warm += g.slots[at].lo
			}
		}
		for _, r := range part {
			if s.err != nil {
				return
			}
			s.insert(&s.segments[r.meta>>shift%segments], r, -1)
		}
	}
}

func (s *Set) dropBuffer(g *segment) {
	s.space.give(slotSize * int64(cap(g.buf)))
	g.buf, g.blocks = nil, nil
}

// drop gives back the memory of a set, not the store.
func (s *Set) drop() {
	for i := range s.segments {
		s.release(&s.segments[i])
		s.dropBuffer(&s.segments[i])
	}
}

// Close gives back all memory and removes the file. The tallies stay.
func (s *Set) Close() error {
	s.drop()
	if s.store == nil {
		return nil
	}
	st := s.store
	s.store = nil
	return st.close()
}
