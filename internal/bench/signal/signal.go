// Package signal measures the detector: how often it pages on healthy batches,
// and which faults it finds. Real and generated sequences of batches are
// profiled as the program profiles files, replayed in order with the defaults
// that are shipped, and at some batches every broken version is judged against
// the state of that moment. Rules of other tools judge the same profiles.
package signal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/profilerhq/profiler/internal/anomaly"
)

// Options say what to measure.
type Options struct {
	// Data is the folder with the real sets; empty leaves them out.
	Data string
	// Only are the names of sets to measure; empty takes all.
	Only []string
	// Seed is that of the synthetic sets and of the faults.
	Seed uint64
	// Batches cuts every sequence after so many batches; 0 does not.
	Batches int
	// Injections is the number of batches of a set that are broken; 0 is 9.
	Injections int
	// NoPeers, NoChains leave out the other detectors and the sequence faults.
	NoPeers, NoChains bool
	// Threads is the number of sets that are measured at once; 0 is one for
	// each core.
	Threads int
	// Cache is a folder that keeps profiles for further runs; empty keeps none.
	Cache string
	// Version names the program.
	Version string
	// Say is told what goes on; nil is nobody.
	Say func(format string, args ...any)
}

// Report is what was measured.
type Report struct {
	Version   string           `json:"version"`
	Date      time.Time        `json:"date"`
	Seed      uint64           `json:"seed"`
	Seconds   float64          `json:"seconds"`
	Sets      []SetReport      `json:"sets"`
	Absent    []string         `json:"absent"` // sets whose data is not there
	Detectors []DetectorReport `json:"detectors"`
	Chains    []ChainFigures   `json:"sequence_faults"`
	LeftOut   []LeftOut        `json:"leave_one_out"`
}

// SetReport is what the product's detector did on one set.
type SetReport struct {
	Name     string             `json:"name"`
	Real     bool               `json:"real"`
	HeldOut  bool               `json:"held_out"` // of tuning
	Batches  int                `json:"batches"`
	Rows     float64            `json:"rows"` // median
	Columns  int                `json:"columns"`
	FP       float64            `json:"fp"`
	Pages    []Page             `json:"pages"`
	Recall   [sizeCount]float64 `json:"recall"`
	Labelled int                `json:"labelled_pages"`
	CPU      float64            `json:"cpu_ms"`
	Missed   []Case             `json:"missed"` // broken batches without a page
}

// Page is a page on a healthy batch.
type Page struct {
	Batch   string   `json:"batch"`
	Index   int      `json:"index"`
	Score   float64  `json:"score"`
	Message string   `json:"message"`
	Label   string   `json:"label,omitempty"`
	Columns []string `json:"columns"`
}

// Case is one broken batch.
type Case struct {
	Fault   string   `json:"fault"`
	Size    string   `json:"size"`
	Index   int      `json:"index"`
	Score   float64  `json:"score"`
	Touched []string `json:"touched"`
	Columns []string `json:"columns"`
}

// DetectorReport are the figures of a detector on each group of sets.
type DetectorReport struct {
	Name   string    `json:"name"`
	Groups []Figures `json:"groups"`
}

// Group returns the figures of a group, nil if there are none.
func (d *DetectorReport) Group(name string) *Figures {
	i := slices.IndexFunc(d.Groups, func(f Figures) bool { return f.Group == name })
	if i < 0 {
		return nil
	}
	return &d.Groups[i]
}

// LeftOut are the figures of the product's detector on all real sets but one.
type LeftOut struct {
	Set      string             `json:"set"`
	FP       float64            `json:"fp"`
	Recall   [sizeCount]float64 `json:"recall"`
	Recall10 float64            `json:"recall_at_10"`
	// Own10 is the recall of the set that was left out, at the threshold that
	// gives 10 false pages per 1,000 batches on the others; OwnFP are its false
	// pages there.
	Own10 float64 `json:"own_recall_at_10"`
	OwnFP float64 `json:"own_fp_at_10"`
}

// ChainFigures are those of one sequence fault on a group of sets.
type ChainFigures struct {
	Fault string  `json:"fault"`
	Size  string  `json:"size,omitempty"`
	Group string  `json:"group"`
	Count int     `json:"count"`
	Found float64 `json:"found"`
	// Warned is the share that was paged or that the slow lane warned of.
	Warned float64 `json:"warned"`
	Delay  float64 `json:"delay"` // mean, of those that were found
	Quiet  float64 `json:"quiet"` // share of those that were found
}

// The groups of sets.
const (
	GroupReal      = "real"
	GroupTuned     = "real, tuned on"
	GroupHeldOut   = "real, kept out"
	GroupSynthetic = "synthetic"
	GroupWide      = "wide" // one broken column among 500, apart from the others
)

// SetNames lists the sets: real ones, then synthetic ones.
func SetNames() (public, generated []string) {
	m, err := readManifest("manifest.yaml", manifestText)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, s := range m.sets {
		public = append(public, s.name)
	}
	for _, f := range families {
		generated = append(generated, f.name)
	}
	return public, generated
}

// Run measures. Sets that are absent below Data are listed in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	begun := time.Now()
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	r := &Report{Version: o.Version, Date: begun.UTC().Truncate(time.Minute), Seed: o.Seed, Absent: []string{}}
	sequences, err := o.sequences(ctx, r)
	if err != nil {
		return nil, err
	}
	players, err := o.play(ctx, sequences)
	if err != nil {
		return nil, err
	}
	r.fill(players)
	r.Seconds = time.Since(begun).Round(time.Second / 10).Seconds()
	return r, nil
}

// sequences loads the sets that are asked for.
func (o *Options) sequences(ctx context.Context, r *Report) ([]*sequence, error) {
	m, err := readManifest("manifest.yaml", manifestText)
	if err != nil {
		return nil, err
	}
	wanted := func(name string) bool { return len(o.Only) == 0 || slices.Contains(o.Only, name) }
	var all []*sequence
	for i := range m.sets {
		s := &m.sets[i]
		if !wanted(s.name) {
			continue
		}
		q, err := loadSet(ctx, o.Data, s, m.batches)
		if o.Data == "" || errors.Is(err, errAbsent) {
			r.Absent = append(r.Absent, s.name)
			o.Say("%s: its data is absent", s.name)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	for _, f := range families {
		if wanted(f.name) {
			all = append(all, synthetic(f, o.Seed))
		}
	}
	if o.Batches > 0 {
		for _, q := range all {
			q.times = q.times[:min(o.Batches, len(q.times))]
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is nothing to measure: the data of all sets is absent")
	}
	return all, nil
}

// play replays all sequences, several at once; the order of the result is that
// of the sequences.
func (o *Options) play(ctx context.Context, sequences []*sequence) ([]*player, error) {
	players := make([]*player, len(sequences))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, o.threads()))
	var say sync.Mutex
	for k := range sequences {
		i := len(sequences) - 1 - k // the last are the longest
		at := injectionTimes(sequences[i].len(), cmp.Or(o.Injections, injections))
		players[i] = &player{seq: sequences[i], seed: o.Seed, sizes: []Size{Small, Middle, Large}, at: at, chains: !o.NoChains, peers: !o.NoPeers, cache: cache{o.Cache, o.Version}}
		g.Go(func() error {
			runtime.LockOSThread() // its time is measured
			defer runtime.UnlockOSThread()
			begun := time.Now()
			if err := players[i].replay(ctx); err != nil {
				return fmt.Errorf("%s: %w", sequences[i].name, err)
			}
			say.Lock()
			defer say.Unlock()
			o.Say("%s: %d batches, %d decisions, %.1f s", sequences[i].name, sequences[i].len(), players[i].runs[0].judged, time.Since(begun).Seconds())
			return nil
		})
	}
	return players, g.Wait()
}

func (o *Options) threads() int {
	if o.Threads > 0 {
		return o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// groupsOf are the groups that a set is in.
func groupsOf(s *sequence) []string {
	switch {
	case s.name == "wide":
		return []string{GroupWide}
	case !s.real:
		return []string{GroupSynthetic}
	case s.heldOut:
		return []string{GroupReal, GroupHeldOut}
	}
	return []string{GroupReal, GroupTuned}
}

var groups = []string{GroupReal, GroupTuned, GroupHeldOut, GroupSynthetic, GroupWide}

// fill makes the figures of the report.
func (r *Report) fill(players []*player) {
	for k := range players[0].runs {
		d := DetectorReport{Name: players[0].runs[k].detector}
		for _, group := range groups {
			if f := figuresOf(group, runsOf(players, k, group)); f != nil {
				d.Groups = append(d.Groups, *f)
			}
		}
		r.Detectors = append(r.Detectors, d)
	}
	for _, p := range players {
		r.Sets = append(r.Sets, p.report())
	}
	for _, group := range groups {
		r.Chains = append(r.Chains, chainFigures(group, runsOf(players, 0, group))...)
	}
	r.LeftOut = leftOut(runsOf(players, 0, GroupReal))
}

func runsOf(players []*player, detector int, group string) (runs []setRun) {
	for _, p := range players {
		if slices.Contains(groupsOf(p.seq), group) {
			runs = append(runs, setRun{p.seq.name, p.runs[detector]})
		}
	}
	return runs
}

func (p *player) report() SetReport {
	r := p.runs[0]
	t := r.tally()
	s := SetReport{Name: p.seq.name, Real: p.seq.real, HeldOut: p.seq.heldOut, Batches: p.seq.len(), Rows: p.rows, Columns: p.columns,
		FP: perMille(t.pages, t.judged), Labelled: t.labelled, Pages: []Page{}, Missed: []Case{}, CPU: ratio(r.cpu.Seconds()*1000, float64(r.judged))}
	for i := range s.Recall {
		s.Recall[i] = share(t.found[i], t.broken[i])
	}
	for _, h := range r.healthy {
		if h.index >= firstJudged && h.outcome.page {
			page := Page{Batch: p.seq.times[h.index].Format("2006-01-02 15:04"), Index: h.index, Score: h.outcome.score, Message: sentence(&h.outcome.decision), Columns: h.outcome.columns}
			if h.label != nil {
				page.Label = h.label.Why
			}
			s.Pages = append(s.Pages, page)
		}
	}
	for _, b := range r.broken {
		if !b.page {
			s.Missed = append(s.Missed, Case{faults[b.fault].name, b.size.String(), b.index, b.score, b.touched, b.columns})
		}
	}
	return s
}

// sentence is the evidence of a page in short.
func sentence(d *anomaly.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lane %d:", d.Lane)
	for _, e := range d.Evidence[:min(3, len(d.Evidence))] {
		if e.IsNumber() {
			fmt.Fprintf(&b, " %s %s %.4g, expected %.4g (z %.1f)", e.Column, e.Metric, e.Value, e.Expected, e.Z)
		} else {
			fmt.Fprintf(&b, " %s %s", e.Column, e.Shape)
		}
		b.WriteByte(';')
	}
	return strings.TrimSuffix(b.String(), ";")
}

// leftOut leaves out each set in turn.
func leftOut(runs []setRun) []LeftOut {
	out := []LeftOut{}
	if len(runs) < 2 {
		return out
	}
	for i, r := range runs {
		others := slices.Delete(slices.Clone(runs), i, i+1)
		var all tally
		var scored []scores
		for _, o := range others {
			all.add(o.run.tally())
			scored = append(scored, o.run.scores())
		}
		l := LeftOut{Set: r.set, FP: perMille(all.pages, all.judged), Recall10: recallAt(scored, 10)}
		for s := range l.Recall {
			l.Recall[s] = share(all.found[s], all.broken[s])
		}
		limit, own := limitAt(scored, 10), r.run.scores()
		l.Own10 = share(above(own.broken, limit), len(own.broken))
		l.OwnFP = perMille(above(own.healthy, limit), len(own.healthy))
		out = append(out, l)
	}
	return out
}

// chainFigures sums up the sequence faults of a group.
func chainFigures(group string, runs []setRun) []ChainFigures {
	var out []ChainFigures
	for _, r := range runs {
		for _, c := range r.run.chains {
			i := slices.IndexFunc(out, func(f ChainFigures) bool { return f.Fault == c.Fault && f.Size == c.Size })
			if i < 0 {
				i = len(out)
				out = append(out, ChainFigures{Fault: c.Fault, Size: c.Size, Group: group})
			}
			out[i].Count++
			out[i].Warned += float64(b2i(c.Warned))
			if c.Found {
				out[i].Found++
				out[i].Delay += float64(c.Delay)
				out[i].Quiet += float64(b2i(c.Quiet))
			}
		}
	}
	for i := range out {
		f := &out[i]
		f.Delay, f.Quiet, f.Found = ratio(f.Delay, f.Found), ratio(f.Quiet, f.Found), f.Found/float64(f.Count)
		f.Warned /= float64(f.Count)
	}
	return out
}
