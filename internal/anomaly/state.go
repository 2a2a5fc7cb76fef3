package anomaly

import (
	"slices"
)

const (
	keptBatches = 400
	poolBlock   = 7 // batches of a block of the pool
	poolBlocks  = 4
	stepWindow  = 7 // batches that tell a running id
	keptSpreads = 28
	keptPrints  = 28 // fingerprints of accepted batches
	schemaLast  = 7  // batches whose columns are known
)

// State is what was learned of one dataset. Use NewState or Decode.
type State struct {
	seq      int64 // of the next batch
	accepted int   // batches that were admitted
	batches  []batchRecord
	columns  []*columnState
	schemas  []schema // of the last accepted batches, oldest first
	prints   []uint64 // of accepted batches, oldest first
	repeats  bool     // an accepted batch was identical to an earlier one
	hadRows  bool     // some accepted batch had rows
	hadNone  bool     // some accepted batch had none
	pending  []held
	told     []toldChange // slow changes that are known
	slowPage int64        // 1 more than the seq of the last page for one; 0 before it
	level    int64        // of the first batch of the newest level that was accepted
	run      []int64      // pages in a row in the same direction
	heading  direction    // of the first of them
	calm     int          // batches since the last page
	thK      float64      // threshold of K; 0 before it is known
	sample   float64      // the share of the rows that the features are of; 0 is all

	late []byte // of a decoded state: what only learning needs; see thaw

	// Of what is above, for speed.
	mode     slotMode
	index    map[columnKey]*columnState
	thD, thQ float64 // of D and Q
	thC      float64 // of C
}

// batchRecord is what is kept of a batch.
type batchRecord struct {
	seq      int64
	at       int64
	id       string
	accepted bool
	paged    bool
	scored   bool
	d, q, c  float64
}

type columnKey struct {
	name   string
	offset bool
}

// columnState is what was learned of one column; the one without a name has the
// metrics of the batch.
type columnState struct {
	key     columnKey
	series  [kindCount]*series
	spreads []float64 // of accepted batches, oldest first
	steps   []bool    // of accepted batches: whether their minimum exceeded the maximum before
	high    float64   // maximum of the last accepted batch
	stepped bool      // high is set
	pool    []digest  // blocks of accepted batches, oldest first
	inBlock int       // batches in the newest block

	spread float64
	merged digest
}

// held is a batch that was held out and may still be admitted.
type held struct {
	seq    int64
	low    bool // paged by lane 2 with little more than the limit
	f      *Features
	values []observed
}

// observed is a value of a metric of a batch.
type observed struct {
	column columnKey
	kind   Kind
	x      float64 // after the transform
	noise  float64 // standard error
	floor  float64 // effect that nobody would care about
	n      float64 // rows behind it
}

// NewState returns the state of a dataset of which nothing is known.
func NewState() *State {
	s := &State{index: map[columnKey]*columnState{}}
	s.derive()
	return s
}

// Batches returns how many accepted batches the state was learned from.
func (s *State) Batches() int { return s.accepted }

// LastAt returns the newest batch time in microseconds since 1970; ok is false
// before the first batch.
func (s *State) LastAt() (us int64, ok bool) {
	if len(s.batches) == 0 {
		return 0, false
	}
	return s.batches[len(s.batches)-1].at, true
}

// of returns the state that judges features: this one, or an empty one when those
// before were of another share of the rows.
func (s *State) of(f *Features) *State {
	if s.sample == f.sample {
		return s
	}
	return NewState()
}

// Known returns the ids of the last batches, and whether each was admitted.
func (s *State) Known() map[string]bool {
	known := make(map[string]bool, len(s.batches))
	for i := range s.batches {
		known[s.batches[i].id] = s.batches[i].accepted
	}
	return known
}

// column returns the state of a column, which it makes if need be.
func (s *State) column(key columnKey) *columnState {
	if c := s.index[key]; c != nil {
		return c
	}
	c := &columnState{key: key}
	s.columns = append(s.columns, c)
	s.index[key] = c
	return c
}

// derive computes what follows from the stored fields.
func (s *State) derive() {
	s.mode = s.slots()
	s.index = make(map[columnKey]*columnState, len(s.columns))
	for _, c := range s.columns {
		s.index[c.key] = c
		c.derive()
		for _, x := range c.series {
			if x != nil {
				x.bound()
			}
		}
	}
	s.thresholds()
}

func (c *columnState) derive() {
	c.spread = medianOf(slices.Clone(c.spreads))
	c.merged = digest{}
	for i := range c.pool {
		c.merged.add(&c.pool[i])
	}
}

// slots finds the rhythm of the dataset from the gaps between its batches.
func (s *State) slots() slotMode {
	const kept = 60
	var gaps []float64
	last := s.batches[max(0, len(s.batches)-kept):]
	for i := 1; i < len(last); i++ {
		gaps = append(gaps, float64(last[i].at-last[i-1].at)/hourMicros)
	}
	if len(gaps) < 2 {
		return noSlots
	}
	switch m := medianOf(gaps); {
	case m >= 20 && m <= 28:
		return daily
	case m > 0 && m < 2:
		return hourly
	}
	return noSlots
}

// thresholds learns those of D and Q from the scores of accepted batches.
func (s *State) thresholds() {
	var d, q, c []float64
	for i := range s.batches {
		if b := &s.batches[i]; b.accepted && b.scored {
			d, q, c = append(d, b.d), append(q, b.q), append(c, b.c)
		}
	}
	s.thD, s.thQ, s.thC = thresholdOf(d, leastD), thresholdOf(q, leastQ), thresholdOf(c, leastC)
}

// thresholdOf is what accepted scores rarely reach, and never less than least.
// It sorts them.
func thresholdOf(scores []float64, least float64) float64 {
	if len(scores) < fewScores {
		return earlyFactor * least
	}
	slices.Sort(scores)
	return max(least, 1.15*quantile(scores, 0.98))
}

// running reports whether a column of integers goes on where the batch before
// ended.
func (c *columnState) running(f *column) bool {
	if len(c.steps) == 0 {
		return c.stepped && f.low > c.high
	}
	n := 0
	for _, step := range c.steps {
		if step {
			n++
		}
	}
	return 5*n >= 4*len(c.steps)
}

// admit takes the features of an accepted batch that are no series.
func (c *columnState) admit(f *column) {
	if f.spread > 0 {
		c.spreads = keepLast(append(c.spreads, f.spread), keptSpreads)
	}
	if f.stepping {
		if c.stepped {
			c.steps = keepLast(append(c.steps, f.low > c.high), stepWindow)
		}
		c.high, c.stepped = f.high, true
	}
	if !f.digest.isEmpty() {
		if len(c.pool) == 0 || c.inBlock == poolBlock {
			c.pool, c.inBlock = keepLast(append(c.pool, digest{}), poolBlocks), 0
		}
		c.pool[len(c.pool)-1].add(&f.digest)
		c.inBlock++
	}
	c.derive()
}

// restart forgets the values of earlier batches.
func (c *columnState) restart() { c.pool, c.inBlock, c.spreads = nil, 0, nil }

// keepLast drops the oldest elements beyond n.
func keepLast[T any](s []T, n int) []T {
	if len(s) <= n {
		return s
	}
	return slices.Delete(s, 0, len(s)-n)
}
