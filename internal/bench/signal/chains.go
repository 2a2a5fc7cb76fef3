package signal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/profilerhq/profiler/internal/anomaly"
)

// Faults that stretch over several batches. Each is played against a copy of
// what the detector had learned when it began, and what it says is admitted or
// held out as in life. A page counts only where the unbroken sequence has none.
const (
	driftBatches  = 30
	stepBatches   = 20
	stuckBatches  = 5
	chainColumns  = 3 // columns that drift or step, one after the other
	poisonedShare = 0.05
)

var driftSizes = [sizeCount]float64{0.5, 1.5, 4}

// chainRun is what a detector said of one sequence fault.
type chainRun struct {
	Fault string `json:"fault"`
	Size  string `json:"size,omitempty"`
	// Found says that it was paged while it lasted; Delay is the number of
	// batches from the first broken one to the page.
	Found bool `json:"found"`
	Delay int  `json:"delay"`
	// Warned says that it was paged, or that the slow lane named the column.
	Warned bool `json:"warned"`
	// Quiet says that one episode was all: nothing later than four batches
	// after the first page.
	Quiet bool `json:"quiet"`
}

// chainStart is the index at which sequence faults begin, so that the longest
// of them fits; -1 if none does.
func chainStart(n int) int {
	if n < firstInjection+driftBatches {
		return -1
	}
	return min(2*firstInjection, n-driftBatches)
}

// playChains plays all sequence faults against the product's detector.
func (p *player) playChains(ctx context.Context) error {
	start := chainStart(p.seq.len())
	if start < 0 {
		return nil
	}
	for rep := range chainColumns {
		for size, sd := range driftSizes {
			err := p.chain(ctx, chainFault{name: "slow drift", size: Size(size).String(), start: start, length: driftBatches, rep: rep, //nolint:gosec // three sizes
				shift: func(k int) float64 { return sd * float64(k+1) / driftBatches }})
			if err != nil {
				return err
			}
		}
		err := p.chain(ctx, chainFault{name: "permanent step", start: start, length: stepBatches, rep: rep, shift: func(int) float64 { return 2 }})
		if err != nil {
			return err
		}
	}
	stuck := func(int) *table { return p.seq.batch(start - 1) }
	if err := p.chain(ctx, chainFault{name: "stuck upstream", start: start, length: stuckBatches, table: stuck}); err != nil {
		return err
	}
	double := func(k int) *table {
		switch k {
		case 0:
			return nil // it is late
		case 1:
			return p.seq.batch(start).join(p.seq.batch(start + 1))
		}
		return p.seq.batch(start + k)
	}
	if err := p.chain(ctx, chainFault{name: "a day late, then double", start: start, length: 2, table: double}); err != nil {
		return err
	}
	return p.poison(ctx, start)
}

// chainFault is a fault of several batches: either a shift of the mean of one
// column in units of its standard deviation, or other tables.
type chainFault struct {
	name, size         string
	start, length, rep int
	shift              func(k int) float64
	table              func(k int) *table // nil: no batch at all
}

// chain plays one sequence fault.
func (p *player) chain(ctx context.Context, f chainFault) error {
	state := p.startState.clone()
	var column, decimals int
	var sd float64
	if f.shift != nil {
		in := &victim{table: p.seq.batch(f.start), columns: p.startFacts}
		if column = in.choose(seedOf(p.seed, p.seq.name, "/", f.name, "/", f.rep), varying); column < 0 {
			return nil
		}
		sd, decimals = p.startFacts[column].sd, p.startFacts[column].decimals
	}
	var pages []int
	warned := false
	for k := range f.length {
		if err := ctx.Err(); err != nil {
			return err
		}
		i := f.start + k
		var t *table
		if f.shift != nil {
			t = shifted(p.seq.batch(i), column, f.shift(k)*sd, decimals)
		} else {
			t = f.table(k)
		}
		if t == nil {
			continue
		}
		_, b, err := p.observe(ctx, i, t)
		if err != nil {
			return err
		}
		o := state.judge(b)
		state.take(b, o)
		if column >= 0 && f.shift != nil {
			name := p.seq.batch(i).names[column]
			warned = warned || slowly(&o, name) && !slowly(&p.runs[0].healthy[i].outcome, name)
		}
		if o.page && !p.runs[0].healthy[i].outcome.page {
			pages = append(pages, k)
		}
	}
	c := chainRun{Fault: f.name, Size: f.size, Found: len(pages) > 0, Warned: warned || len(pages) > 0}
	if c.Found {
		c.Delay = pages[0]
		c.Quiet = pages[len(pages)-1]-pages[0] <= 4
	}
	p.runs[0].chains = append(p.runs[0].chains, c)
	return nil
}

// slowly reports whether the slow lane names a column.
func slowly(o *outcome, column string) bool {
	return slices.ContainsFunc(o.decision.Slow, func(e anomaly.Evidence) bool { return e.Column == column })
}

// varying columns hold numbers that measure and differ.
func varying(f columnFacts) bool { return measured(f) && f.sd > 0 }

// shifted adds to all numbers of a column.
func shifted(t *table, column int, by float64, decimals int) *table {
	col := make([]string, t.rows())
	for r, s := range t.cols[column] {
		col[r] = s
		if x, err := strconv.ParseFloat(s, 64); err == nil && s != null {
			col[r] = shortDecimal(x+by, decimals)
		}
	}
	return t.with(column, col)
}

// poison replays the sequence with a history in which a twentieth of the
// batches was broken and nobody noticed, and then breaks a batch in all ways of
// the middle size.
func (p *player) poison(ctx context.Context, start int) error {
	state := newAuto()
	var before *table
	for i := range start {
		b := p.healthy[i]
		t := p.seq.batch(i)
		rng := p.random("poison", Large, i)
		if i > 0 && rng.Float64() < poisonedShare {
			f := faults[rng.IntN(len(faults))]
			in := &victim{table: t, previous: before, columns: p.startFacts}
			if broken, _ := f.apply(in, f.sizes[Large], rng); broken != nil && !broken.equal(t) {
				var err error
				if _, b, err = p.observe(ctx, i, broken); err != nil {
					return err
				}
			}
		}
		state.take(b, state.judge(b))
		before = t
	}
	in := &victim{table: p.seq.batch(start), previous: before, columns: p.startFacts}
	for f := range faults {
		broken, _ := faults[f].apply(in, faults[f].sizes[Middle], p.random(faults[f].name, Middle, start))
		if broken == nil || broken.equal(in.table) {
			continue
		}
		_, b, err := p.observe(ctx, start, broken)
		if err != nil {
			return err
		}
		p.runs[0].chains = append(p.runs[0].chains, chainRun{Fault: "any fault after a poisoned history", Size: Middle.String(), Found: state.judge(b).page, Quiet: true})
	}
	return nil
}

// auto is the product's detector with its defaults.
type auto struct {
	state   *anomaly.State
	options anomaly.Options
}

func newAuto() *auto {
	return &auto{state: anomaly.NewState(), options: anomaly.Options{Preset: anomaly.Normal}}
}

func (a *auto) name() string { return "profiler" }

func (a *auto) clone() *auto { return &auto{state: a.state.Clone(), options: a.options} }

func (a *auto) judge(b *observed) outcome {
	d := a.state.Judge(b.features, a.options)
	o := outcome{score: d.Score, page: d.Status == anomaly.Fail, warned: d.Status == anomaly.Warn, goesOn: d.Continues, decision: d}
	if d.NewLevel {
		o.score = 0 // whatever the limit, it is no page
	}
	for _, e := range d.Evidence {
		if !slices.Contains(o.columns, e.Column) {
			o.columns = append(o.columns, e.Column)
		}
	}
	if math.IsNaN(o.score) {
		panic(fmt.Sprintf("BUG: batch %s has a score of NaN", b.id))
	}
	return o
}

func (a *auto) take(b *observed, o outcome) {
	a.state.Add(b.id, b.features, a.options, o.decision, anomaly.NoLabel)
}
