package anomaly

import (
	"math"
	"slices"
)

// Label is somebody's answer to what was said about a batch. The values are
// those of `history label`.
type Label string

// The answers; the zero value is none.
const (
	NoLabel        Label = ""
	LabelReal      Label = "real"
	LabelFine      Label = "fine"
	LabelFineOnce  Label = "fine-once"
	LabelNewNormal Label = "new-normal"
)

const (
	newLevelRun = 3 // batches in a row that deviate alike: a new level
	pendingSpan = 7 // batches after which a weak page is admitted
)

// Outcome says what Add did.
type Outcome struct {
	// Admitted says that the batch is part of the baseline.
	Admitted bool
	// AdmittedLater are the ids of batches that were held out until now.
	AdmittedLater []string
	// NewLevel says that a run of pages was accepted as a new level.
	NewLevel bool
}

// Add takes the batch that was just judged: section 6 of the design. The
// decision must be that of Judge on this state with the same features and
// options; batches come in the order of their times. id names the batch. One of
// another share of the rows than those before makes the state begin anew.
func (s *State) Add(id string, f *Features, o Options, d Decision, label Label) Outcome {
	s.thaw()
	if s.sample != f.sample {
		*s = *NewState()
		s.sample = f.sample
	}
	seq := s.seq
	paged := d.Judged && d.Status == Fail
	deviates := paged && d.Lane != slowLane || d.NewLevel // a slow change is in the batches before too
	if paged && d.Lane == slowLane {
		s.slowPage = seq + 1
	}
	if s.slowPage == seq+1 || d.known {
		s.tell(d.told)
	}
	rec := batchRecord{seq: seq, at: f.at.UnixMicro(), id: id, paged: paged, scored: d.scored, d: d.d, q: d.q, c: d.c}
	s.batches = keepLast(append(s.batches, rec), keptBatches)
	var out Outcome
	switch {
	case label == LabelReal || label == LabelFineOnce:
		s.holdOut(seq, f, &d, false)
		s.run = nil
	case label == LabelNewNormal:
		s.admit(seq, f, &d)
		s.newLevel([]held{{seq: seq, f: f, values: d.values}}, d.heading)
		out.Admitted, s.run = true, nil
	case deviates && label == LabelFine:
		s.excuse(seq, f, &d)
		out.Admitted, s.run = true, nil
	case !deviates:
		s.admit(seq, f, &d)
		out.Admitted, s.run = true, nil
	default:
		s.holdOut(seq, f, &d, true)
		out = s.advanceRun(seq, &d)
	}
	s.calm++
	if paged {
		s.calm = 0
	}
	out.AdmittedLater = append(out.AdmittedLater, s.expire(seq)...)
	s.seq++
	s.settle()
	return out
}

// settle recomputes what depends on the batch that was added.
func (s *State) settle() {
	if mode := s.slots(); mode != s.mode {
		s.mode = mode
		for _, c := range s.columns {
			for _, x := range c.series {
				if x != nil {
					x.refresh(mode)
				}
			}
		}
	}
	s.thresholds()
	s.learnK()
}

// admit takes a batch into everything.
func (s *State) admit(seq int64, f *Features, d *Decision) {
	at := f.at.UnixMicro()
	for _, v := range d.values {
		x := s.seriesOf(v.column, v.kind)
		x.admit(seq, at, v.x, v.n, s.mode)
		x.noise, x.floor = v.noise, v.floor
	}
	s.admitRest(f, seq)
}

// excuse takes a batch that deviates and that somebody called fine.
func (s *State) excuse(seq int64, f *Features, d *Decision) {
	at := f.at.UnixMicro()
	for _, v := range d.values {
		x := s.seriesOf(v.column, v.kind)
		x.excuse(seq, at, v.x, v.n, s.mode)
	}
	s.admitRest(f, seq)
}

// seriesOf returns the series of an expectation, an empty one if it is new.
func (s *State) seriesOf(column columnKey, kind Kind) *series {
	c := s.column(column)
	if c.series[kind] == nil {
		c.series[kind] = &series{}
	}
	return c.series[kind]
}

// admitRest takes what is no series: pools, columns, fingerprints.
func (s *State) admitRest(f *Features, seq int64) {
	for i := range f.columns {
		c := &f.columns[i]
		s.column(columnKey{c.name, c.offset}).admit(c)
	}
	if f.rows > 0 || len(f.columns) > 0 || len(s.schemas) == 0 {
		s.schemas = keepLast(append(s.schemas, schemaOf(f)), schemaLast)
	}
	if f.copyable {
		s.repeats = s.repeats || slices.Contains(s.prints, f.fingerprint)
		s.prints = keepLast(append(s.prints, f.fingerprint), keptPrints)
	}
	s.hadRows, s.hadNone = s.hadRows || f.rows > 0, s.hadNone || f.rows == 0
	s.accepted++
	if i := s.find(seq); i >= 0 {
		s.batches[i].accepted = true
	}
}

func (s *State) find(seq int64) int {
	i, ok := slices.BinarySearchFunc(s.batches, seq, func(b batchRecord, seq int64) int { return int(b.seq - seq) })
	if !ok {
		return -1
	}
	return i
}

// holdOut puts the prediction in the place of every metric of the batch. wait
// says that it may be admitted later.
func (s *State) holdOut(seq int64, f *Features, d *Decision, wait bool) {
	at := f.at.UnixMicro()
	for _, v := range d.values {
		if c := s.index[v.column]; c != nil && c.series[v.kind] != nil {
			c.series[v.kind].holdOut(seq, at, s.mode)
		}
	}
	if wait {
		s.pending = append(s.pending, held{seq: seq, low: d.Lane == 2 && d.G < heldG, f: f, values: d.values})
	}
}

// advanceRun counts batches in a row that deviate in the same direction; the
// third makes all of them a new level.
func (s *State) advanceRun(seq int64, d *Decision) Outcome {
	if !d.Continues {
		s.run, s.heading = nil, d.heading
	}
	s.run = append(s.run, seq)
	if len(s.run) < newLevelRun {
		return Outcome{}
	}
	var level []held
	out := Outcome{NewLevel: true}
	for _, n := range s.run {
		if i := slices.IndexFunc(s.pending, func(h held) bool { return h.seq == n }); i >= 0 {
			level = append(level, s.pending[i])
			s.pending = slices.Delete(s.pending, i, i+1)
			if n == seq {
				out.Admitted = true
			} else {
				out.AdmittedLater = append(out.AdmittedLater, s.idOf(n))
			}
		}
	}
	for i := range level {
		s.admitLate(&level[i])
	}
	s.newLevel(level, d.heading)
	s.run = nil
	return out
}

func (s *State) idOf(seq int64) string {
	if i := s.find(seq); i >= 0 {
		return s.batches[i].id
	}
	return ""
}

// expire admits weak pages that nobody answered. Strong ones stay out, but their
// sizes are remembered: see unanswered.
func (s *State) expire(seq int64) []string {
	var out []string
	kept := s.pending[:0]
	for i := range s.pending {
		h := s.pending[i]
		switch due := h.seq+pendingSpan <= seq; {
		case due && h.low:
			out = append(out, s.idOf(h.seq))
			s.admitLate(&h)
		case due && !slices.Contains(s.run, h.seq):
			s.unanswered(&h)
		default:
			kept = append(kept, h)
		}
	}
	clear(s.pending[len(kept):])
	s.pending = kept
	return out
}

// unanswered remembers how far a batch deviated that stays held out.
func (s *State) unanswered(h *held) {
	for _, v := range h.values {
		if c := s.index[v.column]; c != nil && c.series[v.kind] != nil {
			c.series[v.kind].unanswered(h.seq, v.x)
		}
	}
}

// admitLate takes a batch that was held out into everything.
func (s *State) admitLate(h *held) {
	at := h.f.at.UnixMicro()
	for _, v := range h.values {
		c := s.column(v.column)
		x := c.series[v.kind]
		if x != nil {
			x.admitLate(h.seq, v.x, v.n, s.mode)
			continue
		}
		x = &series{}
		c.series[v.kind] = x
		x.admit(h.seq, at, v.x, v.n, s.mode)
	}
	s.admitRest(h.f, h.seq)
}

// newLevel starts the metrics that deviated anew, from the given batches.
func (s *State) newLevel(level []held, d direction) {
	last := level[len(level)-1]
	s.level = level[0].seq
	for _, v := range last.values {
		c := s.index[v.column]
		if c == nil || c.series[v.kind] == nil || !s.moved(c.series[v.kind], level, v) {
			continue
		}
		var entries []entry
		for i := range level {
			for _, o := range level[i].values {
				if o.column == v.column && o.kind == v.kind {
					entries = append(entries, entry{level[i].seq, level[i].f.at.UnixMicro(), o.x, true})
				}
			}
		}
		c.series[v.kind].restart(entries, s.mode)
	}
	for _, h := range d.top {
		if c := s.index[h.column]; c != nil && (h.kind.toPool() || specs[h.kind].position) {
			c.restart()
			for i := range level {
				for j := range level[i].f.columns {
					if f := &level[i].f.columns[j]; f.name == h.column.name && f.offset == h.column.offset {
						c.admit(f)
					}
				}
			}
		}
	}
}

// moved reports whether a metric of the last batch of a new level lies apart
// from what was accepted before the level.
func (s *State) moved(x *series, level []held, v observed) bool {
	first := level[0].seq
	var before []float64
	for _, e := range x.entries {
		if e.seq < first {
			before = append(before, e.value)
		}
	}
	if len(before) == 0 {
		return false
	}
	center := medianOf(before)
	return math.Abs(v.x-center) >= again*(math.Hypot(max(x.scales[lastMedian], 0), v.noise)+v.floor)
}
