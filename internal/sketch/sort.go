package sketch

import "slices"

// sortBlock is the length that the sorting network brings into order.
const sortBlock = 8

// sortKeys brings v into ascending order; tmp has at least the length of v and
// loses its content. It is a merge sort without branches that depend on the
// values: a network on blocks of eight, then merges that a mispredicted
// comparison cannot slow down. Meant for up to some thousands of values, as
// they fit the first cache.
func sortKeys(v, tmp []int64) {
	n := len(v)
	if ascending(v) {
		return
	}
	whole := n &^ (sortBlock - 1)
	for i := 0; i < whole; i += sortBlock {
		sort8((*[sortBlock]int64)(v[i:]))
	}
	for i := whole + 1; i < n; i++ {
		x, j := v[i], i
		for ; j > whole && v[j-1] > x; j-- {
			v[j] = v[j-1]
		}
		v[j] = x
	}
	from, to := v, tmp[:n]
	for w := sortBlock; w < n; w *= 2 {
		i := 0
		for ; i+2*w <= n; i += 2 * w {
			mergeEqual(to[i:i+2*w], from[i:i+2*w])
		}
		if i+w < n {
			mergeAny(to[i:], from[i:i+w], from[i+w:])
		} else {
			copy(to[i:], from[i:])
		}
		from, to = to, from
	}
	if &from[0] != &v[0] {
		copy(v, from)
	}
}

// ascending tells whether no value is smaller than the one before it.
func ascending(v []int64) bool {
	for i := 1; i < len(v); i++ {
		if v[i-1] > v[i] {
			return false
		}
	}
	return true
}

// mergeEqual merges the two ascending halves of from, which are of equal
// length, into to from both ends at once: as many steps from the front as from
// the back meet in the middle, so that no end has to be looked for.
func mergeEqual(to, from []int64) {
	w := len(from) / 2
	to = to[:len(from)]
	l, r := 0, w
	m, s := w-1, 2*w-1
	for i, j := 0, len(to)-1; i < j; i, j = i+1, j-1 {
		x, y := from[l], from[r]
		step := 0
		if x <= y {
			step = 1
		}
		to[i] = min(x, y)
		l += step
		r += 1 - step
		x, y = from[m], from[s]
		step = 0
		if x > y {
			step = 1
		}
		to[j] = max(x, y)
		m -= step
		s -= 1 - step
	}
}

// mergeAny merges two ascending runs into to.
func mergeAny(to, a, b []int64) {
	k := 0
	for len(a) > 0 && len(b) > 0 {
		x, y := a[0], b[0]
		d := 0
		if x <= y {
			d = 1
		}
		to[k] = min(x, y)
		a = a[d:]
		b = b[1-d:]
		k++
	}
	copy(to[k:], a)
	copy(to[k+len(a):], b)
}

// sort8 is the network of 19 comparators for eight values (Batcher's odd-even
// merge sort has as many; Knuth, "The Art of Computer Programming", 5.3.4).
func sort8(p *[8]int64) {
	a, b, c, d, e, f, g, h := p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
	a, c = min(a, c), max(a, c)
	b, d = min(b, d), max(b, d)
	e, g = min(e, g), max(e, g)
	f, h = min(f, h), max(f, h)
	a, e = min(a, e), max(a, e)
	b, f = min(b, f), max(b, f)
	c, g = min(c, g), max(c, g)
	d, h = min(d, h), max(d, h)
	a, b = min(a, b), max(a, b)
	c, d = min(c, d), max(c, d)
	e, f = min(e, f), max(e, f)
	g, h = min(g, h), max(g, h)
	c, e = min(c, e), max(c, e)
	d, f = min(d, f), max(d, f)
	b, e = min(b, e), max(b, e)
	d, g = min(d, g), max(d, g)
	b, c = min(b, c), max(b, c)
	d, e = min(d, e), max(d, e)
	f, g = min(f, g), max(f, g)
	p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7] = a, b, c, d, e, f, g, h
}

// sortCounts brings c into ascending order of the values. Long lists take a
// radix sort over the bytes of the keys that differ, with a second list of the
// same length.
func sortCounts[T Ordered](c []Weighted[T]) {
	switch {
	case slices.IsSortedFunc(c, byValue[T]):
		return
	case len(c) < 256:
		slices.SortFunc(c, byValue[T])
		return
	}
	var places [8][256]uint32
	for i := range c {
		key := radixKey(c[i].Value)
		for d := range places {
			places[d][key>>(8*d)&0xff]++
		}
	}
	from, to := c, make([]Weighted[T], len(c))
	for d := range places {
		place := &places[d]
		shift := 8 * d
		if place[radixKey(c[0].Value)>>shift&0xff] == uint32(len(c)) {
			continue
		}
		sum := uint32(0)
		for i, n := range place {
			place[i] = sum
			sum += n
		}
		for _, w := range from {
			p := &place[radixKey(w.Value)>>shift&0xff]
			to[*p] = w
			*p++
		}
		from, to = to, from
	}
	if &from[0] != &c[0] {
		copy(c, from)
	}
}

// radixKey maps a value to an unsigned number with the same order.
func radixKey[T Ordered](v T) uint64 { return uint64(toKey(v)) ^ 1<<63 }
