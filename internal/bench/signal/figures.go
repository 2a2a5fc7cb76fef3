package signal

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Interval is a figure with its 95 % interval: bootstrap over data sets.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Figures are what a detector reached on a group of data sets. Rates of pages
// are per 1,000 judged healthy batches, all others are shares from 0 to 1.
type Figures struct {
	Group    string   `json:"group"`
	Sets     int      `json:"sets"`
	Healthy  int      `json:"healthy"` // batches judged
	Broken   int      `json:"broken"`
	FP       Interval `json:"fp"` // pages per 1,000 healthy batches
	Median   float64  `json:"fp_median"`
	P90      float64  `json:"fp_p90"`
	Worst    float64  `json:"fp_worst"`
	WorstSet string   `json:"fp_worst_set"`
	// Episodes per 1,000: pages in a row count once.
	Episodes float64 `json:"fp_episodes"`
	// Labelled are the pages, of those in FP, that lie in a labelled window.
	Labelled int `json:"labelled_pages"`
	// Warnings on 1,000 healthy batches, and those of them that tell of a slow
	// change.
	Warnings     float64 `json:"warnings"`
	SlowWarnings float64 `json:"slow_warnings"`
	// Recall is by size S, M, L.
	Recall   [sizeCount]Interval `json:"recall"`
	RecallAt []RecallAt          `json:"recall_at"`
	// Attribution1 and Attribution3 are, of the pages on broken batches, those
	// that name the broken column in the first or one of the first 3 places.
	Attribution1 float64        `json:"attribution_1"`
	Attribution3 float64        `json:"attribution_3"`
	Precision    []Precision    `json:"precision"`
	Ages         []Age          `json:"ages"`
	Faults       []FaultFigures `json:"faults"`
	CPU          float64        `json:"cpu_ms"` // per decision
}

// RecallAt is the recall at the one threshold that gives so many false pages
// per 1,000 batches.
type RecallAt struct {
	FP     int      `json:"fp"`
	Recall Interval `json:"recall"`
}

// Precision is the share of pages that are right where a share of the batches
// is broken.
type Precision struct {
	Broken float64 `json:"broken"`
	Value  float64 `json:"value"`
}

// Age is the rate of false pages by the number of batches before.
type Age struct {
	From    int     `json:"from"`
	To      int     `json:"to"` // 0: no end
	Healthy int     `json:"healthy"`
	FP      float64 `json:"fp"`
}

// FaultFigures are the recall of one fault by size, NaN-free: Count says how
// many broken batches there were.
type FaultFigures struct {
	Fault        string             `json:"fault"`
	Recall       [sizeCount]float64 `json:"recall"`
	Count        [sizeCount]int     `json:"count"`
	Attribution3 float64            `json:"attribution_3"`
}

// ages are the spans of the history's age.
var ages = [][2]int{{7, 13}, {14, 29}, {30, 0}}

const (
	resamples   = 500 // of the bootstrap
	sweepPoints = 3
)

var sweep = [sweepPoints]int{5, 10, 20}

// setRun is a run with the set it is of.
type setRun struct {
	set string
	run *run
}

// tally counts what a run holds.
type tally struct {
	judged, pages, episodes, labelled int
	warnings, slow                    int
	found, broken                     [sizeCount]int
}

func (r *run) tally() (t tally) {
	paged := false
	for _, h := range r.healthy {
		if h.index < firstJudged {
			continue
		}
		t.judged++
		if h.outcome.warned {
			t.warnings++
			t.slow += b2i(len(h.outcome.decision.Slow) > 0)
		}
		if h.outcome.page {
			t.pages++
			if !paged {
				t.episodes++
			}
			if h.label != nil {
				t.labelled++
			}
		}
		paged = h.outcome.page
	}
	for _, b := range r.broken {
		t.broken[b.size]++
		if b.page {
			t.found[b.size]++
		}
	}
	return t
}

func (t *tally) add(o tally) {
	t.judged += o.judged
	t.pages += o.pages
	t.episodes += o.episodes
	t.labelled += o.labelled
	t.warnings += o.warnings
	t.slow += o.slow
	for s := range t.found {
		t.found[s] += o.found[s]
		t.broken[s] += o.broken[s]
	}
}

func perMille(n, of int) float64 { return 1000 * share(n, of) }

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// figuresOf measures a detector on the runs of a group; it returns nil without
// any.
func figuresOf(group string, runs []setRun) *Figures {
	if len(runs) == 0 {
		return nil
	}
	f := &Figures{Group: group, Sets: len(runs)}
	tallies := make([]tally, len(runs))
	var rates []float64
	var all tally
	for i, r := range runs {
		tallies[i] = r.run.tally()
		all.add(tallies[i])
		rate := perMille(tallies[i].pages, tallies[i].judged)
		rates = append(rates, rate)
		if rate > f.Worst || f.WorstSet == "" {
			f.Worst, f.WorstSet = rate, r.set
		}
	}
	f.Healthy, f.Labelled = all.judged, all.labelled
	f.FP.Value, f.Episodes = perMille(all.pages, all.judged), perMille(all.episodes, all.judged)
	f.Warnings, f.SlowWarnings = perMille(all.warnings, all.judged), perMille(all.slow, all.judged)
	f.Median, f.P90 = quantile(rates, 0.5), quantile(rates, 0.9)
	for s := range f.Recall {
		f.Broken += all.broken[s]
		f.Recall[s].Value = share(all.found[s], all.broken[s])
	}
	scored := make([]scores, len(runs))
	for i, r := range runs {
		scored[i] = r.run.scores()
	}
	for _, fp := range sweep {
		f.RecallAt = append(f.RecallAt, RecallAt{FP: fp, Recall: Interval{Value: recallAt(scored, fp)}})
	}
	f.intervals(tallies, scored)
	f.attribution(runs)
	f.byAge(runs)
	f.byFault(runs)
	recall := share(all.found[0]+all.found[1]+all.found[2], f.Broken)
	for _, p := range []float64{0.01, 0.001} {
		wrong := (1 - p) * f.FP.Value / 1000
		f.Precision = append(f.Precision, Precision{Broken: p, Value: ratio(p*recall, p*recall+wrong)})
	}
	return f
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// scores are those of a run, for the sweep of the threshold.
type scores struct {
	healthy, broken []float64
}

func (r *run) scores() (s scores) {
	for _, h := range r.healthy {
		if h.index >= firstJudged {
			s.healthy = append(s.healthy, h.outcome.score)
		}
	}
	for _, b := range r.broken {
		s.broken = append(s.broken, b.score)
	}
	return s
}

// recallAt is the share of broken batches above the lowest threshold that
// gives at most fp false pages per 1,000 healthy batches.
func recallAt(runs []scores, fp int) float64 {
	limit := limitAt(runs, fp)
	found, n := 0, 0
	for _, r := range runs {
		found += above(r.broken, limit)
		n += len(r.broken)
	}
	return share(found, n)
}

// limitAt is the lowest score above which there are at most fp of 1,000
// healthy batches.
func limitAt(runs []scores, fp int) float64 {
	var healthy []float64
	for _, r := range runs {
		healthy = append(healthy, r.healthy...)
	}
	slices.SortFunc(healthy, func(a, b float64) int { return cmp.Compare(b, a) })
	if allowed := fp * len(healthy) / 1000; allowed < len(healthy) {
		return healthy[allowed]
	}
	return math.Inf(-1)
}

func above(scores []float64, limit float64) (n int) {
	for _, s := range scores {
		if s > limit {
			n++
		}
	}
	return n
}

// intervals draws data sets with repetition.
func (f *Figures) intervals(tallies []tally, scored []scores) {
	rng := rand.New(rand.NewPCG(1, uint64(len(tallies))))
	var fp []float64
	var recall [sizeCount][]float64
	var at [sweepPoints][]float64
	for n := range resamples {
		var all tally
		drawn := make([]scores, len(tallies))
		for i := range tallies {
			k := rng.IntN(len(tallies))
			all.add(tallies[k])
			drawn[i] = scored[k]
		}
		fp = append(fp, perMille(all.pages, all.judged))
		for s := range recall {
			recall[s] = append(recall[s], share(all.found[s], all.broken[s]))
		}
		if n%5 == 0 { // sorting is slow
			for i, k := range sweep {
				at[i] = append(at[i], recallAt(drawn, k))
			}
		}
	}
	f.FP.bound(fp)
	for s := range recall {
		f.Recall[s].bound(recall[s])
	}
	for i := range at {
		f.RecallAt[i].Recall.bound(at[i])
	}
}

func (v *Interval) bound(drawn []float64) {
	v.Low, v.High = quantile(drawn, 0.025), quantile(drawn, 0.975)
}

// attribution is, of the broken batches that were paged, the share whose broken
// column is among the first lines of evidence.
func (f *Figures) attribution(runs []setRun) {
	paged, first, third := 0, 0, 0
	for _, r := range runs {
		for _, b := range r.run.broken {
			if !b.page {
				continue
			}
			paged++
			first += b2i(b.rank == 1)
			third += b2i(b.rank >= 1 && b.rank <= 3)
		}
	}
	f.Attribution1, f.Attribution3 = share(first, paged), share(third, paged)
}

func (f *Figures) byAge(runs []setRun) {
	for _, span := range ages {
		a := Age{From: span[0], To: span[1]}
		pages := 0
		for _, r := range runs {
			for _, h := range r.run.healthy {
				if h.index >= span[0] && (span[1] == 0 || h.index <= span[1]) {
					a.Healthy++
					pages += b2i(h.outcome.page)
				}
			}
		}
		a.FP = perMille(pages, a.Healthy)
		f.Ages = append(f.Ages, a)
	}
}

func (f *Figures) byFault(runs []setRun) {
	for i := range faults {
		ff := FaultFigures{Fault: faults[i].name}
		var found [sizeCount]int
		paged, named := 0, 0
		for _, r := range runs {
			for _, b := range r.run.broken {
				if b.fault != i {
					continue
				}
				ff.Count[b.size]++
				if b.page {
					found[b.size]++
					paged++
					named += b2i(b.rank >= 1 && b.rank <= 3)
				}
			}
		}
		for s := range found {
			ff.Recall[s] = share(found[s], ff.Count[s])
		}
		ff.Attribution3 = share(named, paged)
		f.Faults = append(f.Faults, ff)
	}
	var cpu, judged float64
	for _, r := range runs {
		cpu += r.run.cpu.Seconds() * 1000
		judged += float64(r.run.judged)
	}
	f.CPU = ratio(cpu, judged)
}
