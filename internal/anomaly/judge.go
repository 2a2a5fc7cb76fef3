package anomaly

import (
	"math"
	"slices"
)

// Preset is how readily a batch pages: the only knob.
type Preset uint8

// The presets of rule files.
const (
	Off Preset = iota
	Quiet
	Normal
	High
)

var presetNames = [...]string{"off", "quiet", "normal", "high"}

// String returns the word of rule files.
func (p Preset) String() string {
	if int(p) < len(presetNames) {
		return presetNames[p]
	}
	return "preset?"
}

// ParsePreset returns the preset of that name; false if there is none.
func ParsePreset(name string) (Preset, bool) {
	i := slices.Index(presetNames[:], name)
	return Preset(max(0, i)), i >= 0 //nolint:gosec // one of four
}

// Options say how a batch is judged.
type Options struct {
	// Preset is Normal by default wherever something judges; the zero value
	// judges nothing and admits everything.
	Preset Preset
	// Ignore are columns that are left out: names, or patterns in which * stands
	// for any text.
	Ignore []string
}

// Status is what a decision says of a batch.
type Status uint8

// The statuses: Fail is a page.
const (
	Learning Status = iota
	Pass
	Warn
	Fail
)

var statusNames = [...]string{"learning", "pass", "warn", "fail"}

// String returns the word of the contract.
func (s Status) String() string { return statusNames[min(int(s), len(statusNames)-1)] }

// Numbers of section 2 to 5 of the design.
const (
	leastHistory = 7  // accepted batches, and values of a metric
	fullHistory  = 14 // accepted batches from which on all lanes judge
	longHistory  = 30 // and from which on the preset holds
	fewScores    = 7
	leastD       = 2.6
	leastQ       = 1.6
	leastC       = 2.2
	leastK       = 0.05
	earlyG       = 1.6 / 1.15 // G is divided by it up to longHistory batches; see youth
	earlyFactor  = 1.5
	floorRatio   = 0.3
	mostZ        = 60
	clipQ        = 12
	clipK        = 6
	neighbours   = 5
	criticalG    = 2
	lane1Limit   = 4.0
	lane2Record  = 0.5
	heldG        = 1.5 // from which on a page is held out until an answer
	again        = 2.6 // z from which on a metric deviates
)

// setting is a preset in numbers.
type setting struct {
	record1 float64 // c of lane 1
	volume  float64 // V that pages
	page    float64 // G that pages
	warn    float64 // G that warns
	slow    bool    // slow changes page
}

var settings = map[Preset]setting{
	Quiet:  {record1: 0.25, volume: lane1Limit, page: 1.6, warn: 1},
	Normal: {record1: 0.25, volume: lane1Limit, page: 1.15, warn: 0.9, slow: true},
	High:   {record1: 0.5, volume: 2.4, page: 1, warn: math.Inf(1), slow: true},
}

// NoLane says that no lane decided.
const (
	NoLane   = -1
	slowLane = 3
)

// Decision is what is said of one batch. It holds on to nothing that changes.
type Decision struct {
	Status Status
	// Judged is false where the preset is Off.
	Judged bool
	// Lane decided: 0 contract, 1 volume and completeness, 2 everything, 3 slow
	// changes; NoLane while everything is learned.
	Lane int
	// Score is G of lane 2, which is less while the history is short. Where lane 1 alone judges it is V over its limit, and
	// where lane 0 pages at least 2. HasScore is false before anything is scored.
	Score    float64
	HasScore bool
	// G is the score of lane 2, D, Q, C and K its ratios to their thresholds, V
	// the largest z of lane 1 over its limit; each 0 where it is not known.
	G, D, Q, C, K, V float64
	// Batches is how many accepted batches are behind the decision. Wanted is how
	// many the next stage of learning needs, 0 if there is none.
	Batches, Wanted int
	// Calm is how many batches went by since the last page.
	Calm int
	// Continues says that the page goes on the one of the batch before.
	Continues bool
	// NewLevel says that the batch goes on the pages before it, and is one too
	// many for a fault: with it a new level is accepted. It warns.
	NewLevel bool
	// Unanswered says that lane 1 would page, had the like not been paged twice
	// without an answer. It warns.
	Unanswered bool
	// Evidence is grouped by column, strongest first.
	Evidence []Evidence
	// Slow are slow changes: they warn and never page.
	Slow []Evidence

	values  []observed
	told    []toldChange // slow changes that are worth a page
	known   bool         // a page told of them already
	alone   float64      // V as if no page had been left without an answer
	scored  bool         // D, Q and C are known
	d, q, c float64      // before the division by thresholds
	heading direction
}

// Critical reports whether a page is far beyond its limit.
func (d *Decision) Critical() bool { return d.Status == Fail && d.Score >= criticalG }

// finding is a metric beside its expectation.
type finding struct {
	observed
	natural  float64
	expected float64 // transformed
	width    float64 // denominator of z
	h        int
	z        float64 // lane 2
	z1       float64 // lane 1, for its metrics
	alone    float64 // z1 as if no page had been left without an answer
	sign     int8
	newest   string // the never-seen text behind it
	gone     string // the text that is missing
}

// Judge decides on a batch. It only reads the state and the features.
func (s *State) Judge(f *Features, o Options) Decision {
	s = s.of(f)
	d := Decision{Lane: NoLane, Batches: s.accepted, Calm: s.calm}
	set, ok := settings[o.Preset]
	if !ok {
		d.values = s.observe(f, o, 0).values()
		return d
	}
	d.Judged = true
	view := s.observe(f, o, set.record1)
	d.values = view.values()
	contract := s.contract(f, o)
	s.score(&d, view.findings)
	d.Slow, d.told = s.slowChanges(f, o)
	d.known = s.toldLately()
	d.decide(set, contract, len(d.Slow) > 0)
	d.Evidence = evidence(contract, view, s.mode)
	if d.Lane == slowLane {
		d.Evidence = d.withSlow()
	}
	d.heading = headingOf(contract, view.findings)
	d.Continues = d.Status == Fail && len(s.run) > 0 && s.heading.agrees(d.heading, view.findings)
	if d.Continues && len(s.run)+1 >= newLevelRun {
		d.Status, d.NewLevel = Warn, true
	}
	return d
}

// decide turns scores into a status: sections 3 to 5 of the design.
func (d *Decision) decide(set setting, contract []Evidence, slow bool) {
	limit := set.volume
	switch {
	case d.Batches < leastHistory:
		d.Wanted, limit = leastHistory, math.Inf(1)
	case d.Batches < fullHistory:
		d.Wanted, limit = fullHistory, earlyFactor*limit
	}
	d.V /= limit
	d.Unanswered = d.V < 1 && d.alone >= limit
	d.HasScore = d.Batches >= leastHistory
	d.G /= youth(d.Batches)
	d.Score = d.G
	if d.Batches < fullHistory {
		d.Score = d.V
	}
	d.Status = Pass
	if d.Wanted > 0 {
		d.Status = Learning
	} else {
		d.Lane = 2
	}
	worst := Pass
	for i := range contract {
		worst = max(worst, contract[i].status)
	}
	switch {
	case worst == Fail:
		d.Status, d.Lane, d.HasScore = Fail, 0, true
		d.Score = max(d.Score, criticalG)
	case d.V >= 1:
		d.Status, d.Lane = Fail, 1
		d.Score = max(d.Score, d.V*set.page)
	case d.Lane == 2 && d.G >= set.page:
		d.Status = Fail
	case d.Lane == 2 && len(d.told) > 0 && set.slow && !d.known:
		d.Status, d.Lane = Fail, slowLane
		d.Score = max(d.Score, set.page)
	case worst == Warn:
		d.Status, d.Lane = Warn, 0
	case d.Lane == 2 && (d.G >= set.warn || slow || d.Unanswered):
		d.Status = Warn
	}
}

// withSlow is the evidence of a page for slow changes: those that page come
// first, and each column once.
func (d *Decision) withSlow() []Evidence {
	pages := func(e *Evidence) bool {
		return slices.ContainsFunc(d.told, func(t toldChange) bool { return t.column.name == e.Column })
	}
	var out []Evidence
	for _, first := range []bool{true, false} {
		for i := range d.Slow {
			if e := &d.Slow[i]; pages(e) == first {
				out = append(out, *e)
			}
		}
	}
	for i := range d.Evidence {
		if e := &d.Evidence[i]; !slices.ContainsFunc(out, func(o Evidence) bool { return o.Column == e.Column }) {
			out = append(out, *e)
		}
	}
	return out[:min(len(out), mostEvidence)]
}

// youth is how much further a batch must deviate while few are behind the
// thresholds of the scores: the largest of n scores is itself exceeded once in
// n+1 batches. It falls to 1 as the number of batches grows.
func youth(batches int) float64 {
	return 1 + (earlyG-1)*longHistory/float64(max(longHistory, batches))
}

// view are the findings of a batch, with the state of their columns.
type view struct {
	findings []finding
	all      []observed
	columns  map[string]*column
}

func (v *view) values() []observed { return v.all }

// observe computes every metric of the batch and how far it is from what was
// expected. Those with too little history have no z.
func (s *State) observe(f *Features, o Options, record1 float64) *view {
	v := &view{columns: make(map[string]*column, len(f.columns))}
	v.all = make([]observed, 0, 32*(len(f.columns)+1))
	v.findings = make([]finding, 0, cap(v.all))
	t := takes{s: s, v: v, at: f.at.UnixMicro(), record1: record1}
	t.column(columnKey{}, f.measures, 0, false, false)
	for i := range f.columns {
		c := &f.columns[i]
		if ignored(o.Ignore, c.name) {
			continue
		}
		if !c.offset {
			v.columns[c.name] = c
		}
		key := columnKey{c.name, c.offset}
		known := s.index[key]
		measures, change := c.measures, textChange{}
		if known != nil {
			measures, change = appendPool(measures, known, c)
		}
		running := false
		if base := s.index[columnKey{c.name, false}]; base != nil && (c.stepping || c.offset) {
			running = base.running(c)
		}
		t.change = change
		t.column(key, measures, c.spread, c.offset != running, c.offset)
	}
	return v
}

// takes collects the metrics of a batch.
type takes struct {
	s       *State
	v       *view
	at      int64
	record1 float64
	change  textChange
}

// column takes the metrics of a column. Where position is masked those that
// move with a running id are learned, but not judged.
func (t *takes) column(key columnKey, measures []measure, spread float64, masked, offset bool) {
	known := t.s.index[key]
	if known != nil && known.spread > 0 {
		spread = known.spread
	}
	for i := range measures {
		m := &measures[i]
		sp := &specs[m.kind]
		x := sp.form.apply(m.value)
		unit := 1.0
		if sp.spread {
			unit = spread
		}
		se := unit * math.Hypot(sp.noise/math.Sqrt(m.n), m.extra)
		f := sp.floor
		switch {
		case sp.spread && unit == 0:
			f *= max(1e-2*math.Abs(x), 1e-9) // of a column that never varied
		case sp.spread:
			f *= unit
		}
		if known != nil && len(known.merged.numbers) > 0 {
			se = max(se, quantileNoise(known.merged.numbers, m.kind, m.n))
		}
		o := observed{key, m.kind, x, se, f, m.n}
		t.v.all = append(t.v.all, o)
		if known == nil || known.series[m.kind] == nil || masked && (sp.position || offset) {
			continue
		}
		x0 := known.series[m.kind]
		if x0.accepted < leastHistory {
			continue
		}
		fd := finding{observed: o, natural: m.value, h: x0.accepted}
		if t.judge(&fd, x0, sp) {
			switch m.kind {
			case KindUnseen, KindTV:
				fd.newest = t.change.newest
			case KindLost:
				fd.gone = t.change.gone
			default:
			}
			t.v.findings = append(t.v.findings, fd)
		}
	}
}

// judge computes z: section 2 of the design.
func (t *takes) judge(fd *finding, x *series, sp *spec) bool {
	p, k, ok := x.expect(t.at, t.s.mode)
	if !ok {
		return false
	}
	fd.expected = p
	e := fd.x - p
	same, opposite := x.records[k].largest(t.s.seq)
	seen, other := same, opposite
	if len(x.odd) > 1 {
		above, below := x.repeated(t.s.seq)
		same, opposite = max(same, above), max(opposite, below)
	}
	fd.sign = 1
	if e < 0 {
		fd.sign = -1
		same, opposite, seen, other = opposite, same, other, seen
	}
	if (sp.form == arcsine || sp.share) && (x.zero || x.one) {
		t.judgeFirst(fd, x, sp)
		return true
	}
	se, f := fd.noise, fd.floor
	s := x.scales[k] * (1 + 4/float64(x.accepted))
	size := math.Abs(e)
	if sp.rising && e < 0 {
		size = 0
	}
	width := func(c, same, opposite float64) float64 { return math.Hypot(max(s, c*same, c/2*opposite), se) + f }
	fd.width = width(lane2Record, same, opposite)
	fd.z = zOf(size, fd.width)
	if sp.lane1 {
		fd.z1 = zOf(size, width(t.record1, same, opposite))
		fd.alone = zOf(size, width(t.record1, seen, other))
	}
	return true
}

// judgeFirst computes z of a rate that was exactly 0, or exactly 1, in the whole
// history: the never-seen rule of section 2 of the design, and no more than the
// binomial tail allows. What was paged before without an answer counts as ever.
func (t *takes) judgeFirst(fd *finding, x *series, sp *spec) {
	away := fd.natural
	if x.one {
		away = 1 - away
	}
	above, below := x.repeated(t.s.seq)
	known := max(above, below)
	if sp.share {
		known = arcsine.apply(known)
	}
	size := arcsine.apply(away)
	width := func(c float64) float64 { return math.Hypot(c*known, 0.3*0.5/math.Sqrt(fd.n)) + 0.4*0.02 }
	most := neverSeen(away, fd.n, x)
	w := width(lane2Record)
	fd.width = w
	if sp.share {
		fd.width = arcsine.invert(bandZ*w) / bandZ // the band is not transformed
	}
	fd.z = min(zOf(size, w), most)
	if sp.lane1 {
		fd.z1 = min(zOf(size, width(t.record1)), most)
		fd.alone = fd.z1
	}
}

// neverSeen is how far beyond chance a first deviation of a rate is that was
// exactly 0, or exactly 1, on all rows so far: the upper tail of the binomial
// distribution with p = 1/(N+2), N the rows of the history (Laplace's rule of
// succession), as a standard normal deviate. One null in a small batch is no
// news after a thousand rows without any.
func neverSeen(rate, n float64, x *series) float64 {
	return normalDeviate(binomialTail(math.Round(rate*n), math.Round(n), 1/(x.rows+2)))
}

// binomialTail is the chance of k or more of n, each with p, which is small.
func binomialTail(k, n, p float64) float64 {
	if k <= 0 {
		return 1
	}
	logOf := func(x float64) float64 { v, _ := math.Lgamma(x + 1); return v }
	tail := 0.0
	for i := k; i <= n && i < k+64; i++ {
		tail += math.Exp(logOf(n) - logOf(i) - logOf(n-i) + i*math.Log(p) + (n-i)*math.Log1p(-p))
	}
	return min(1, tail)
}

// normalDeviate is the z that a standard normal variable exceeds with chance p;
// 0 for p from one half on, at most the cap.
func normalDeviate(p float64) float64 {
	switch {
	case p >= 0.5:
		return 0
	case p < 1e-300:
		return mostZ
	}
	return math.Sqrt2 * math.Erfcinv(2*p)
}

// zOf never is NaN or above the cap.
func zOf(size, width float64) float64 {
	switch z := size / width; {
	case size == 0:
		return 0
	case z < mostZ:
		return z
	}
	return mostZ
}

// appendPool adds the distances of a column to the pool.
func appendPool(m []measure, known *columnState, c *column) (all []measure, change textChange) {
	pool, d, n := &known.merged, &c.digest, float64(c.count)
	all = m[:len(m):len(m)]
	switch {
	case len(pool.numbers) > 0 && len(d.numbers) > 0:
		ks, w := numberDistance(pool.numbers, d.numbers)
		all = appendMeasure(all, KindKS, ks, n, 0)
		if known.spread > 0 {
			all = appendMeasure(all, KindWasserstein, min(mostZ, w/known.spread), n, 0)
		}
	case pool.total() > 0 && d.total() > 0:
		change = textDistance(pool, d)
		all = appendMeasure(all, KindTV, change.tv, n, 0)
		all = appendMeasure(all, KindUnseen, change.unseen, n, 0)
		all = appendMeasure(all, KindLost, change.lost, n, 0)
	}
	if len(d.hours) > 0 {
		all = appendMeasure(all, KindHours, countDistance(pool.hours, d.hours), n, 0)
	}
	if len(d.weekdays) > 0 {
		all = appendMeasure(all, KindWeekdays, countDistance(pool.weekdays, d.weekdays), n, 0)
	}
	return all, change
}

// score computes V, D, Q, C, K and G.
func (s *State) score(d *Decision, found []finding) {
	if s.accepted < leastHistory || len(found) == 0 {
		return
	}
	z := make([]float64, len(found))
	for i := range found {
		z[i] = found[i].z
		d.V = max(d.V, found[i].z1)
		d.alone = max(d.alone, found[i].alone)
	}
	slices.Sort(z)
	d.scored, d.d, d.q, d.c = true, z[len(z)-1], rootMeanSquare(z), columnScore(found)
	d.D, d.Q, d.C = d.d/s.thD, d.q/s.thQ, d.c/s.thC
	product, n := max(floorRatio, d.D)*max(floorRatio, d.Q)*max(floorRatio, d.C), 3.0
	if s.thK > 0 {
		d.K = s.distance(found) / s.thK
		product, n = product*max(floorRatio, d.K), 4
	}
	d.G = math.Pow(product, 1/n)
}

// columnScore is C: of the column that deviates most, the root mean square of
// its three strongest metrics. Unlike Q it is not diluted by other columns.
func columnScore(found []finding) float64 {
	most := 0.0
	for i := 0; i < len(found); {
		var top [3]float64 // ascending
		name := found[i].column.name
		for ; i < len(found) && found[i].column.name == name; i++ {
			z := min(found[i].z, clipQ)
			for k := range top {
				if z > top[k] {
					if k > 0 {
						top[k-1] = top[k]
					}
					top[k] = z
				}
			}
		}
		most = max(most, top[0]*top[0]+top[1]*top[1]+top[2]*top[2])
	}
	return math.Sqrt(most / 3)
}

// rootMeanSquare is Q of ascending z: over the largest tenth, at least 3.
func rootMeanSquare(z []float64) float64 {
	n := min(len(z), max(3, (len(z)+9)/10))
	sum := 0.0
	for _, v := range z[len(z)-n:] {
		v = min(v, clipQ)
		sum += v * v
	}
	return math.Sqrt(sum / float64(n))
}
