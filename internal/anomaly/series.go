package anomaly

import (
	"math"
	"slices"
)

// Bounds of the memory of a metric.
const (
	keptValues = 120 // values, and batches of K
	keptErrors = 60  // one-step errors of a predictor, for its scale
	recordSpan = 50  // batches of a block of records
	recordLen  = 8   // blocks: records are those of the last 351 to 400 batches
	firstError = 3   // values before the first error
)

// The predictors of section 2 of the design.
const (
	lastMedian = iota // median of the last 28
	slotMedian        // median of the last 5 of the same slot
	smoothed          // 0.6, 0.3 and 0.1 of the last three
	slotGrowth        // last of the same slot and the growth of the cycle's median
	predictors
)

const (
	shortWindow  = 28
	slotWindow   = 5
	slotLeast    = 2
	switchErrors = 8   // errors that a predictor needs to replace another
	switchGain   = 0.8 // and how much smaller its scale must be
)

// slotMode says which batches are of one slot.
type slotMode uint8

const (
	noSlots slotMode = iota
	daily            // by weekday
	hourly           // by hour
)

// cycle returns how many slots there are.
func (m slotMode) cycle() int {
	switch m {
	case daily:
		return 7
	case hourly:
		return 24
	default:
		return 0
	}
}

// slot returns the slot of a time in microseconds.
func (m slotMode) slot(us int64) int {
	switch m {
	case daily:
		return int(((floorDiv(us, dayMicros)+4)%7 + 7) % 7)
	case hourly:
		return int((floorDiv(us, hourMicros)%24 + 24) % 24)
	default:
		return 0
	}
}

// floorDiv is the quotient rounded down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// entry is a value of a series. Where a batch is held out the prediction takes
// its place.
type entry struct {
	seq      int64
	at       int64
	value    float64
	accepted bool
}

// errorWindow are the sizes of the last errors of a predictor.
type errorWindow struct {
	ring   []float64 // by age, oldest first
	sorted []float64
}

func (w *errorWindow) add(size float64) {
	if len(w.ring) == keptErrors {
		at, _ := slices.BinarySearch(w.sorted, w.ring[0])
		w.sorted = slices.Delete(w.sorted, at, at+1)
		copy(w.ring, w.ring[1:])
		w.ring = w.ring[:keptErrors-1]
	}
	w.ring = append(w.ring, size)
	at, _ := slices.BinarySearch(w.sorted, size)
	w.sorted = slices.Insert(w.sorted, at, size)
}

// scale is that of section 2: the larger of 1.4826 median |e| and q90 |e| /
// 1.645.
func (w *errorWindow) scale() float64 {
	if len(w.sorted) == 0 {
		return 0
	}
	return max(1.4826*quantile(w.sorted, 0.5), quantile(w.sorted, 0.9)/1.645)
}

// quantile of ascending values by linear interpolation.
func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// medianOf sorts values and returns their median.
func medianOf(v []float64) float64 {
	slices.Sort(v)
	return quantile(v, 0.5)
}

// records are the largest accepted errors of a predictor by direction: [0] of
// values above the prediction, [1] below, in blocks of batches.
type records struct {
	block int64 // of the newest entry
	most  [2][recordLen]float64
}

func (r *records) add(seq int64, e float64) {
	block := seq / recordSpan
	for b := max(r.block+1, block-recordLen+1); b <= block; b++ {
		r.most[0][b%recordLen], r.most[1][b%recordLen] = 0, 0
	}
	r.block = max(r.block, block)
	side := 0
	if e < 0 {
		side = 1
	}
	at := block % recordLen
	r.most[side][at] = max(r.most[side][at], math.Abs(e))
}

// largest returns the records as seen from a batch.
func (r *records) largest(seq int64) (above, below float64) {
	block := seq / recordSpan
	for b := max(0, block-recordLen+1); b <= r.block; b++ {
		above, below = max(above, r.most[0][b%recordLen]), max(below, r.most[1][b%recordLen])
	}
	return above, below
}

// oddError is the error of a batch that was held out and that nobody answered.
type oddError struct {
	seq int64
	e   float64
}

const (
	keptOdd = 8   // unanswered errors of a metric
	oddSpan = 400 // batches that they count for
)

// repeated returns the sizes, above and below the prediction, that were paged
// at least twice without an answer: the second largest of either direction.
func (s *series) repeated(seq int64) (above, below float64) {
	var most [2][2]float64
	for _, o := range s.odd {
		if seq-o.seq > oddSpan {
			continue
		}
		side, size := 0, o.e
		if o.e < 0 {
			side, size = 1, -o.e
		}
		switch m := &most[side]; {
		case size > m[0]:
			m[0], m[1] = size, m[0]
		case size > m[1]:
			m[1] = size
		}
	}
	return most[0][1], most[1][1]
}

// unanswered takes the value of a batch that stays held out. It changes no
// prediction; but what was paged twice and left alone is known.
func (s *series) unanswered(seq int64, x float64) {
	i, ok := slices.BinarySearchFunc(s.entries, seq, func(e entry, seq int64) int { return int(e.seq - seq) })
	if !ok || s.entries[i].accepted {
		return
	}
	e := x - s.entries[i].value
	above, below := s.records[s.current].largest(seq)
	if e > above || -e > below {
		s.odd = keepLast(append(s.odd, oddError{seq, e}), keptOdd)
	}
}

// series is what was learned of one metric.
type series struct {
	entries  []entry // oldest first
	accepted int     // values since the start of the level
	current  int     // predictor
	errors   [predictors]errorWindow
	records  [predictors]records
	odd      []oddError // of batches that nobody answered, oldest first
	zero     bool       // all accepted values were exactly 0 after the transform
	one      bool       // all were those of a rate of 1
	rows     float64    // behind all accepted values
	noise    float64    // standard error of the last accepted value
	floor    float64    // and its effect floor

	// Of what is above, for speed.
	low, high float64 // of the accepted entries
	medians   [3]float64
	haveCycle bool
	scales    [predictors]float64
}

// refresh computes what follows from entries and errors.
func (s *series) refresh(mode slotMode) {
	s.locate(mode)
	for k := range s.scales {
		s.scales[k] = s.errors[k].scale()
	}
	for k := range s.scales {
		if len(s.errors[k].ring) >= switchErrors && s.scales[k] < switchGain*s.scales[s.current] {
			s.current = k
		}
	}
}

// bound finds the range of the accepted entries.
func (s *series) bound() {
	s.low, s.high = math.Inf(1), math.Inf(-1)
	for i := range s.entries {
		if e := &s.entries[i]; e.accepted {
			s.low, s.high = min(s.low, e.value), max(s.high, e.value)
		}
	}
}

// locate computes what follows from the entries.
func (s *series) locate(mode slotMode) {
	s.bound()
	var buf [shortWindow]float64
	s.medians[0] = s.median(buf[:0], 0, shortWindow)
	cycle := mode.cycle()
	s.haveCycle = cycle > 0 && len(s.entries) >= 2*cycle
	if s.haveCycle {
		s.medians[1] = s.median(buf[:0], 0, cycle)
		s.medians[2] = s.median(buf[:0], cycle, cycle)
	}
}

// median of n entries, before the newest ones that are skipped.
func (s *series) median(buf []float64, skip, n int) float64 {
	end := max(0, len(s.entries)-skip)
	for _, e := range s.entries[max(0, end-n):end] {
		buf = append(buf, e.value)
	}
	return medianOf(buf)
}

// predict returns what predictor k expects at a time; ok is false where it
// knows too little.
func (s *series) predict(k int, at int64, mode slotMode) (p float64, ok bool) {
	n := len(s.entries)
	if n == 0 {
		return 0, false
	}
	switch k {
	case lastMedian:
		return s.medians[0], true
	case smoothed:
		if n < 3 {
			return 0, false
		}
		return 0.6*s.entries[n-1].value + 0.3*s.entries[n-2].value + 0.1*s.entries[n-3].value, true
	}
	if mode == noSlots {
		return 0, false
	}
	var buf [slotWindow]float64
	found := buf[:0]
	want := slotWindow
	if k == slotGrowth {
		if !s.haveCycle {
			return 0, false
		}
		want = 1
	}
	slot := mode.slot(at)
	for i := n - 1; i >= 0 && len(found) < want; i-- {
		if mode.slot(s.entries[i].at) == slot {
			found = append(found, s.entries[i].value)
		}
	}
	if k == slotGrowth {
		if len(found) == 0 {
			return 0, false
		}
		return found[0] + s.medians[1] - s.medians[2], true
	}
	if len(found) < slotLeast {
		return 0, false
	}
	return medianOf(found), true
}

// expect returns the prediction of the predictor in force, and which that is.
func (s *series) expect(at int64, mode slotMode) (p float64, k int, ok bool) {
	if p, ok = s.predict(s.current, at, mode); ok {
		return p, s.current, true
	}
	p, ok = s.predict(lastMedian, at, mode)
	return p, lastMedian, ok
}

// admit takes an accepted value; its errors count.
func (s *series) admit(seq, at int64, x, rows float64, mode slotMode) {
	s.learnAll(seq, at, x, mode)
	s.accept(x, rows)
	s.push(entry{seq, at, x, true})
	s.refresh(mode)
}

// learnAll takes the errors of all predictors.
func (s *series) learnAll(seq, at int64, x float64, mode slotMode) {
	if len(s.entries) < firstError {
		return
	}
	for k := range predictors {
		if p, ok := s.predict(k, at, mode); ok {
			s.learn(k, seq, x-p)
		}
	}
}

func (s *series) learn(k int, seq int64, e float64) {
	s.errors[k].add(math.Abs(e))
	s.records[k].add(seq, e)
}

func (s *series) accept(x, rows float64) {
	if s.accepted == 0 {
		s.zero, s.one, s.rows = true, true, 0
	}
	s.rows += rows
	s.accepted++
	s.zero = s.zero && x == 0
	s.one = s.one && x == math.Pi/2
}

// holdOut puts the prediction in the place of a value.
func (s *series) holdOut(seq, at int64, mode slotMode) {
	if p, _, ok := s.expect(at, mode); ok {
		s.push(entry{seq, at, p, false})
		s.refresh(mode)
	}
}

// excuse takes the value of a batch that somebody called fine: the like is known
// from now on, but what comes next is predicted as if it had not been. A
// prediction that follows the last values would call the next healthy batch odd.
func (s *series) excuse(seq, at int64, x, rows float64, mode slotMode) {
	p, _, ok := s.expect(at, mode)
	if !ok {
		s.admit(seq, at, x, rows, mode)
		return
	}
	s.learnAll(seq, at, x, mode)
	s.accept(x, rows)
	s.push(entry{seq, at, p, false})
	s.refresh(mode)
}

// admitLate accepts the value of a batch that was held out.
func (s *series) admitLate(seq int64, x, rows float64, mode slotMode) {
	i, ok := slices.BinarySearchFunc(s.entries, seq, func(e entry, seq int64) int { return int(e.seq - seq) })
	if !ok || s.entries[i].accepted {
		return
	}
	s.learn(s.current, seq, x-s.entries[i].value)
	s.accept(x, rows)
	s.entries[i].value, s.entries[i].accepted = x, true
	s.refresh(mode)
}

func (s *series) push(e entry) {
	if len(s.entries) == keptValues {
		copy(s.entries, s.entries[1:])
		s.entries = s.entries[:keptValues-1]
	}
	s.entries = append(s.entries, e)
}

// restart begins a new level with the given values; records are kept.
func (s *series) restart(level []entry, mode slotMode) {
	s.entries, s.accepted, s.current = append([]entry(nil), level...), len(level), lastMedian
	s.errors = [predictors]errorWindow{}
	s.zero, s.one = true, true
	for _, e := range level {
		s.zero, s.one = s.zero && e.value == 0, s.one && e.value == math.Pi/2
	}
	s.refresh(mode)
}
