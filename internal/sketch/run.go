package sketch

import (
	"math"
	"math/bits"
)

// cutOf returns the lowest level down to which the weights of a run can be held
// as they are; digits counts the weights that have each binary digit.
func (l *ladder) cutOf(digits *[64]uint64) (cut int) {
	var held, below uint64
	for _, n := range digits {
		held += n
	}
	l.measure()
	if room := max(l.limit-l.size, 0); held <= uint64(room) {
		return 0
	}
	for cut = 0; cut < 63; cut++ {
		pieces := below>>cut + uint64(bits.OnesCount64(below&(1<<cut-1)))
		if held+pieces <= kllRun {
			return cut
		}
		held -= digits[cut]
		below += digits[cut] << cut
	}
	return cut
}

// picks chooses the places of the mass below the cut whose values stay.
func (l *ladder) picks(digits *[64]uint64, cut int) picks {
	p := picks{cut: cut, full: math.MaxUint64}
	var mass uint64
	for i := range cut {
		mass += digits[i] << i
	}
	if mass == 0 {
		return p
	}
	l.lossy = true
	// The piece that is shorter than the others lies at a random end, and is cut
	// into powers of two.
	whole, short := mass>>cut<<cut, mass&(1<<cut-1)
	choice := l.next()
	start, at := uint64(0), whole
	if choice>>63 != 0 {
		start, at = short, 0
	}
	if p.left = whole >> cut; p.left > 0 {
		p.full = start + choice&(1<<cut-1)
	}
	for rest := short; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		p.short[p.shorts] = at + l.next()&(1<<i-1)
		p.levels[p.shorts] = uint8(i)
		p.shorts++
		at += 1 << i
	}
	return p
}

// picks are places in the mass of a run below the cut, ascending.
type picks struct {
	cut  int
	sum  uint64 // mass passed
	full uint64 // next place of a full piece
	left uint64 // full pieces

	short  [64]uint64 // places in the short piece
	levels [64]uint8  // and their levels
	at     int
	shorts int
}

// pass goes over mass of one value and keeps it for each place inside.
func (p *picks) pass(l *ladder, key int64, mass uint64) {
	p.sum += mass
	for p.left > 0 && p.full < p.sum {
		l.push(p.cut, key)
		p.full += 1 << p.cut
		p.left--
	}
	for p.at < p.shorts && p.short[p.at] < p.sum {
		l.push(int(p.levels[p.at]), key)
		p.at++
	}
}

// join takes values that were appended in ascending order at start into the
// ascending run, if there is nothing between.
func (r *rung) join(start int) {
	if r.sorted < start || start == len(r.items) {
		return
	}
	if start == 0 || r.items[start-1] <= r.items[start] {
		r.sorted = len(r.items)
	}
}
