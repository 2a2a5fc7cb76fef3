package signal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/profile"
)

const (
	firstJudged    = 14 // index of the batch from which on pages count
	firstInjection = 31 // index of the first batch that is broken
	injections     = 9  // batches of a data set that are broken
	history        = 48 // batches before a sequence fault begins, fewer in short sets
)

// observed is a batch as detectors get it.
type observed struct {
	id       string
	at       time.Time
	features *anomaly.Features
	vector   vector  // for peers
	samples  samples // for peers
}

// outcome is what a detector says of a batch.
type outcome struct {
	score    float64 // in units of the limit: a page from 1 on
	page     bool
	warned   bool
	goesOn   bool     // the page goes on an earlier one
	columns  []string // in the order of the evidence, each once; "" is the number of rows
	decision anomaly.Decision
}

// detector decides about batches. judge changes nothing; take learns.
type detector interface {
	name() string
	judge(b *observed) outcome
	take(b *observed, o outcome)
}

// healthyRun is what a detector said of an unbroken batch.
type healthyRun struct {
	index   int
	label   *Label
	outcome outcome
	columns []string
}

// brokenRun is what a detector said of a broken batch.
type brokenRun struct {
	fault   int
	size    Size
	index   int
	score   float64
	page    bool
	rank    int  // of the first line of evidence that names the broken column, from 1; 0 if none does
	blind   bool // the healthy twin was paged too
	touched []string
	columns []string
}

// run is all that a detector said of one sequence.
type run struct {
	detector string
	healthy  []healthyRun
	broken   []brokenRun
	chains   []chainRun
	cpu      time.Duration // of all decisions
	judged   int           // decisions
}

// player replays one sequence for several detectors.
type player struct {
	seq     *sequence
	seed    uint64
	sizes   []Size
	at      []int // batches that are broken
	chains  bool  // sequence faults too
	peers   bool
	cache   cache
	runs    []*run
	all     []detector
	healthy []*observed

	rows    float64 // median
	columns int

	startState *auto         // when sequence faults begin
	startFacts []columnFacts // of that batch
}

// replay profiles and judges all batches of a sequence in order, and at some of
// them every broken version against the state of that moment.
func (p *player) replay(ctx context.Context) error {
	if p.all == nil {
		p.all = []detector{newAuto()}
	}
	if p.peers {
		p.all = append(p.all, peers()...)
	}
	for _, d := range p.all {
		p.runs = append(p.runs, &run{detector: d.name()})
	}
	var rows []float64
	var before *table
	var beforeProfile *profile.Profile
	for i := range p.seq.len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := p.seq.batch(i)
		prof, b, err := p.observe(ctx, i, t)
		if err != nil {
			return err
		}
		p.healthy = append(p.healthy, b)
		outcomes := p.judge(i, b)
		if p.chains && i == chainStart(p.seq.len()) {
			p.startState, p.startFacts = p.all[0].(*auto).clone(), factsOf(t, prof, beforeProfile)
		}
		if slices.Contains(p.at, i) {
			in := &victim{table: t, previous: before, columns: factsOf(t, prof, beforeProfile)}
			if err := p.breakAll(ctx, i, in, outcomes); err != nil {
				return err
			}
		}
		for k, d := range p.all {
			d.take(b, outcomes[k])
		}
		before, beforeProfile = t, prof
		rows = append(rows, float64(t.rows()))
		p.columns = max(p.columns, len(t.names))
	}
	p.rows = quantile(rows, 0.5)
	if p.chains {
		return p.playChains(ctx)
	}
	return nil
}

// observe profiles a batch.
func (p *player) observe(ctx context.Context, i int, t *table) (*profile.Profile, *observed, error) {
	at := p.seq.times[i]
	prof, err := p.cache.profile(ctx, "bench/"+p.seq.name, at, t)
	if err != nil {
		return nil, nil, err
	}
	b := &observed{id: fmt.Sprint(i), at: at, features: anomaly.Extract(prof, at)}
	if p.peers {
		b.vector, b.samples = vectorOf(prof), samplesOf(prof)
	}
	return prof, b, nil
}

// judge lets every detector judge an unbroken batch.
func (p *player) judge(i int, b *observed) []outcome {
	outcomes := make([]outcome, len(p.all))
	for k, d := range p.all {
		outcomes[k] = p.runs[k].time(d, b)
		p.runs[k].healthy = append(p.runs[k].healthy, healthyRun{index: i, label: label(p.seq.labels, p.seq.times[i]), outcome: outcomes[k], columns: outcomes[k].columns})
	}
	return outcomes
}

// time judges and counts the processor's time.
func (r *run) time(d detector, b *observed) outcome {
	start := threadTime()
	o := d.judge(b)
	r.cpu += threadTime() - start
	r.judged++
	return o
}

// breakAll judges the broken versions of a batch.
func (p *player) breakAll(ctx context.Context, i int, in *victim, healthy []outcome) error {
	for f := range faults {
		var before *table
		for _, size := range p.sizes {
			if size > Small && faults[f].sizes[size] == faults[f].sizes[size-1] {
				continue // the fault has one size
			}
			rng := p.random(faults[f].name, size, i)
			broken, touched := faults[f].apply(in, faults[f].sizes[size], rng)
			if broken == nil || broken.equal(in.table) || before != nil && broken.equal(before) {
				continue // without effect
			}
			before = broken
			if err := ctx.Err(); err != nil {
				return err
			}
			_, b, err := p.observe(ctx, i, broken)
			if err != nil {
				return err
			}
			for k, d := range p.all {
				o := p.runs[k].time(d, b)
				p.runs[k].broken = append(p.runs[k].broken, brokenRun{
					fault: f, size: size, index: i, score: o.score, page: o.page, rank: rankOf(o.columns, touched),
					blind: healthy[k].page, touched: touched, columns: o.columns,
				})
			}
		}
	}
	return nil
}

// random returns the random numbers of one broken batch.
func (p *player) random(fault string, size Size, i int) *rand.Rand {
	return seedOf(p.seed, p.seq.name, "/", fault, "/", size, "/", i)
}

// rankOf is the place, from 1, of the first of the touched columns; 0 if none
// is there.
func rankOf(columns, touched []string) int {
	return 1 + slices.IndexFunc(columns, func(c string) bool { return slices.Contains(touched, c) })
}

// injectionTimes spreads k broken batches evenly over those after the first 31.
func injectionTimes(n, k int) []int {
	var at []int
	for j := range k {
		if i := firstInjection + j*(n-1-firstInjection)/max(1, k-1); i < n && (len(at) == 0 || i > at[len(at)-1]) {
			at = append(at, i)
		}
	}
	return at
}
