package sketch

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// ladder is a KLL over integer keys. A value at level i weighs 2^i.
type ladder struct {
	n       uint64
	random  uint64 // state of splitmix64
	size    int    // values held
	limit   int    // size at which the next value compresses first
	lossy   bool
	levels  []rung
	scratch []int64
}

// rung is one level: an ascending run, then values in any order.
type rung struct {
	items  []int64
	sorted int
}

// next returns 64 random bits.
func (l *ladder) next() uint64 { return splitmix(&l.random) }

// splitmix returns 64 random bits and advances the state: splitmix64 (Steele,
// Lea, Flood 2014).
func splitmix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// grown accounts for values that were appended to the levels, and for their
// weight.
func (l *ladder) grown(values int, weight uint64) {
	l.size += values
	l.n += weight
	if l.size > l.limit {
		l.compress()
	}
}

// push appends a value to a level that may not exist yet.
func (l *ladder) push(level int, key int64) {
	l.reach(level)
	l.levels[level].items = append(l.levels[level].items, key)
	l.size++
}

// reach makes level i exist.
func (l *ladder) reach(i int) {
	for len(l.levels) <= i {
		l.levels = append(l.levels, rung{})
	}
}

// top is the highest level whose capacity counts. It follows from n and not
// from the heaviest value: otherwise one heavy value would shrink all levels
// below it. At most k values lie above it, and they are kept as they are.
func (l *ladder) top() int {
	return max(0, bits.Len64(l.n/kllK)-1)
}

func kllCapacity(level, top int) int {
	c := kllCapacities[min(top-level, len(kllCapacities)-1)]
	if level == 0 {
		return max(c, kllBuffer)
	}
	return c
}

// compress makes room for at least kllFree values by halving the lowest full
// level until enough is free.
func (l *ladder) compress() {
	l.reach(0)
	for {
		full := l.measure()
		if l.size+kllFree <= l.limit || full < 0 {
			return
		}
		l.compact(full)
	}
}

// measure sets the limit to what n allows and returns the lowest full level,
// or -1.
func (l *ladder) measure() (full int) {
	full = -1
	top := l.top()
	capacity, above := 0, 0
	for i := range top + 1 {
		c := kllCapacity(i, top)
		capacity += c
		if full < 0 && i < len(l.levels) && len(l.levels[i].items) >= c {
			full = i
		}
	}
	for i := top + 1; i < len(l.levels); i++ {
		above += len(l.levels[i].items)
	}
	l.limit = max(3*kllK, capacity) + 2*kllFree + above
	return full
}

// compact replaces the values of level i by half of them one level higher.
// Both which half and which end of an odd level stays are random: a fixed
// choice would push all ranks to one side.
func (l *ladder) compact(i int) {
	l.reach(i + 1)
	low := &l.levels[i]
	l.sort(low)
	choice := l.next()
	even, kept := low.items, low.items[:0]
	if len(even)%2 == 1 {
		if choice&2 != 0 {
			kept, even = low.items[:1], even[1:]
		} else {
			kept, even = even[len(even)-1:], even[:len(even)-1]
		}
	}
	run := l.scratch[:0]
	for j := int(choice & 1); j < len(even); j += 2 {
		run = append(run, even[j])
	}
	low.items = append(low.items[:0], kept...)
	low.sorted = len(low.items)
	l.levels[i+1].add(run)
	l.size -= len(run)
	l.scratch = run[:0]
	l.lossy = true
}

// sort brings all values of a level into ascending order.
func (l *ladder) sort(r *rung) {
	if r.sorted == len(r.items) {
		return
	}
	if r.sorted <= 8 {
		r.sorted = 0
	}
	tail := r.items[r.sorted:]
	l.scratch = slices.Grow(l.scratch[:0], len(tail))[:len(tail)]
	sortKeys(tail, l.scratch)
	if r.sorted > 0 {
		copy(l.scratch, tail)
		r.items = r.items[:r.sorted]
		r.add(l.scratch)
	}
	r.sorted = len(r.items)
}

// add takes an ascending run that shares no memory with the level.
func (r *rung) add(run []int64) {
	n := len(r.items)
	r.items = append(r.items, run...)
	if r.sorted < n {
		return
	}
	r.sorted = len(r.items)
	i, j := n-1, len(run)-1
	for k := len(r.items) - 1; j >= 0 && i >= 0; k-- {
		a, b := r.items[i], run[j]
		if a > b {
			r.items[k] = a
			i--
		} else {
			r.items[k] = b
			j--
		}
	}
	copy(r.items, run[:j+1])
}

func (l *ladder) merge(o *ladder) {
	if o.n == 0 {
		return
	}
	if l.n == 0 {
		l.copyFrom(o)
		return
	}
	for i := range o.levels {
		l.reach(i)
		// The items are copied first: o may be l itself.
		items, sorted := o.levels[i].items, o.levels[i].sorted
		l.scratch = append(l.scratch[:0], items...)
		if sorted < len(items) {
			slices.Sort(l.scratch)
		}
		l.levels[i].add(l.scratch)
		l.size += len(l.scratch)
	}
	l.n += o.n
	l.lossy = l.lossy || o.lossy
	if l.size >= l.limit {
		l.compress()
	}
}

func (l *ladder) copyFrom(o *ladder) {
	scratch := l.scratch
	*l = *o
	l.scratch = scratch
	l.levels = make([]rung, len(o.levels))
	for i := range o.levels {
		l.levels[i] = rung{slices.Clone(o.levels[i].items), o.levels[i].sorted}
	}
}

func (l *ladder) appendTo(b []byte, reals bool) []byte {
	b = binary.AppendUvarint(b, kllK)
	flags := byte(0)
	if l.lossy {
		flags |= kllFlagLossy
	}
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint64(b, l.random)
	b = binary.AppendUvarint(b, l.n)
	height := len(l.levels)
	for height > 0 && len(l.levels[height-1].items) == 0 {
		height--
	}
	b = binary.AppendUvarint(b, uint64(height))
	var items []int64
	for i := range height {
		items = append(items[:0], l.levels[i].items...)
		slices.Sort(items)
		b = binary.AppendUvarint(b, uint64(len(items)))
		for j, key := range items {
			switch {
			case reals:
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(fromKey[float64](key)))
			case j == 0:
				b = binary.AppendUvarint(b, uint64(key<<1)^uint64(key>>63))
			default:
				b = binary.AppendUvarint(b, uint64(key)-uint64(items[j-1]))
			}
		}
	}
	return b
}

func (l *ladder) decode(r *reader, reals bool) {
	if k := r.uvarint(); r.err == nil && k != kllK {
		r.fail("k is %d, want %d", k, kllK)
	}
	flags := r.byte()
	if flags&^kllFlagLossy != 0 {
		r.fail("flags %#x are not known", flags)
	}
	l.lossy = flags&kllFlagLossy != 0
	l.random = r.uint64()
	l.n = r.uvarint()
	l.levels = make([]rung, r.count(64, 1))
	rest := l.n
	for i := range l.levels {
		l.decodeLevel(r, i, reals)
		n := uint64(len(l.levels[i].items))
		if n > rest>>i {
			r.fail("the weights exceed the count")
			return
		}
		rest -= n << i
		l.size += int(n)
	}
	if r.err != nil {
		return
	}
	if rest != 0 {
		r.fail("the weights do not sum to the count")
		return
	}
	if h := len(l.levels); h > 0 && len(l.levels[h-1].items) == 0 {
		r.fail("the highest level is empty")
	}
}

func (l *ladder) decodeLevel(r *reader, i int, reals bool) {
	bytesPerItem := 1
	if reals {
		bytesPerItem = 8
	}
	n := r.count(math.MaxInt32, bytesPerItem)
	items := make([]int64, 0, n)
	for j := range n {
		var key int64
		switch {
		case reals:
			key = r.realKey()
		case j == 0:
			z := r.uvarint()
			key = int64(z>>1) ^ -int64(z&1)
		default:
			key = int64(uint64(items[j-1]) + r.uvarint())
		}
		if j > 0 && key < items[j-1] {
			r.fail("the values of level %d do not ascend", i)
		}
		if r.err != nil {
			return
		}
		items = append(items, key)
	}
	l.levels[i] = rung{items, n}
}

// realKey reads a float64 and refuses NaN and −0, which no summary holds.
func (r *reader) realKey() int64 {
	v := r.float64()
	if math.IsNaN(v) || v == 0 && math.Signbit(v) {
		r.fail("a value is not allowed")
	}
	return toKey(v)
}
