// Package backtest judges recorded batches again by other rules, from their
// profiles and from what was counted on the day. It reads no rows and guesses
// nothing: what only the rows can tell is said to need them.
package backtest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
)

// Batch is a recorded batch.
type Batch struct {
	Name string
	// At is the time of the batch, AsOf that from which its freshness was
	// measured.
	At, AsOf time.Time
	// Label is what somebody said of it: real, fine, fine-once, new-normal or
	// nothing.
	Label string
	// Accepted says that it may be part of a baseline.
	Accepted bool
	// Profile is nil if it was not kept; the batch is not judged then.
	Profile *profile.Profile
	Results []checks.Result
}

// Past answers what the batches themselves cannot: other datasets and pinned
// profiles.
type Past interface {
	Past(ctx context.Context, dataset, batch string, at time.Time, needs []checks.Need) map[checks.Need]checks.Past
}

// Input is what is judged.
type Input struct {
	Dataset string
	// Batches are in the order of time; those before From are baseline alone.
	Batches []Batch
	From    time.Time
	Other   Past
	// Location is the zone of times that name none; nil is UTC.
	Location *time.Location
}

// Firing is one batch on which a rule spoke up.
type Firing struct {
	Batch   string        `json:"batch"`
	At      time.Time     `json:"at"`
	Status  checks.Status `json:"status"`
	Message string        `json:"message"`
	Label   string        `json:"label"`
}

// Rule is what came of one check over all batches.
type Rule struct {
	ID     string       `json:"id"`
	Kind   string       `json:"check"`
	Column string       `json:"column"`
	Rule   *checks.Rule `json:"rule"`
	// The numbers of batches by outcome; NeedsRows is how many could not be
	// judged again, for Reason.
	Pass      int    `json:"pass"`
	Learning  int    `json:"learning"`
	Warn      int    `json:"warn"`
	Fail      int    `json:"fail"`
	Error     int    `json:"error"`
	NeedsRows int    `json:"needs_rows"`
	Reason    string `json:"reason,omitempty"`
	// Real is how many of the firings are of batches that are labelled real,
	// Fine of those that are labelled otherwise.
	Real   int      `json:"real"`
	Fine   int      `json:"fine"`
	Fired  []Firing `json:"fired"`
	Change *Change  `json:"against,omitempty"`
}

// Change is how a rule differs from that of another version.
type Change struct {
	// Status is added, removed, changed (it fires on other batches) or same.
	Status string `json:"status"`
	// Added are the batches on which it fires and the other version does not,
	// Gone those on which only the other version does.
	Added []string `json:"added"`
	Gone  []string `json:"gone"`
}

// Outcome is the backtest of one dataset.
type Outcome struct {
	Dataset string    `json:"dataset"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	// Batches were judged; Skipped have no profile any more.
	Batches int `json:"batches"`
	Skipped int `json:"skipped"`
	// Real and Fine count the labels of the batches.
	Real  int     `json:"real"`
	Fine  int     `json:"fine"`
	Rules []*Rule `json:"rules"`
	// Failing are the batches on which any rule fails; labelled ones among them
	// are Found. Unknown is how many may fail too: a rule about them needs their
	// rows. AgainstFailing are those of the other version.
	Failing        []string `json:"failing"`
	Unknown        int      `json:"unknown"`
	Found          int      `json:"found"`
	AgainstFailing []string `json:"against_failing,omitempty"`
}

// Run judges the batches by the sets.
func Run(ctx context.Context, in Input, sets []*rules.Set) *Outcome {
	out := &Outcome{Dataset: in.Dataset, Rules: []*Rule{}, Failing: []string{}}
	index := map[string]*Rule{}
	judged := judgeAll(ctx, in, rules.Plan(sets, 1))
	for i := range in.Batches {
		b := &in.Batches[i]
		if b.At.Before(in.From) {
			continue
		}
		out.count(b)
		if b.Profile == nil {
			continue
		}
		failing, unknown := false, false
		for _, r := range judged[i] {
			rule := index[r.ID]
			if rule == nil {
				rule = &Rule{ID: r.ID, Kind: r.Kind, Column: r.Column, Rule: r.Rule, Fired: []Firing{}}
				index[r.ID] = rule
				out.Rules = append(out.Rules, rule)
			}
			rule.add(b, &r)
			failing = failing || r.NeedsRows == "" && r.Status == checks.Fail
			unknown = unknown || r.NeedsRows != ""
		}
		switch {
		case failing:
			out.Failing = append(out.Failing, b.Name)
			if b.Label == labelReal {
				out.Found++
			}
		case unknown:
			out.Unknown++
		}
	}
	return out
}

const labelReal = "real"

func (o *Outcome) count(b *Batch) {
	if b.Profile == nil {
		o.Skipped++
		return
	}
	if o.Batches++; o.Batches == 1 {
		o.From = b.At
	}
	o.To = b.At
	switch b.Label {
	case "":
	case labelReal:
		o.Real++
	default:
		o.Fine++
	}
}

// job is a batch that is judged, with what it is compared with.
type job struct {
	i    int
	eval *checks.Evaluation
	past map[checks.Need]checks.Past
}

// judgeAll judges the batches from in.From on that have a profile; the results
// stand at their places. One goroutine goes through the past, whose windows move
// on from batch to batch; the others judge.
func judgeAll(ctx context.Context, in Input, plan checks.Plan) [][]checks.Replayed {
	out := make([][]checks.Replayed, len(in.Batches))
	jobs := make(chan job)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range jobs {
				b := &in.Batches[j.i]
				asOf, modified := measuredFrom(b)
				out[j.i] = j.eval.Replay(checks.Input{Profile: b.Profile, At: b.At, AsOf: asOf, Modified: modified, Location: in.Location, Past: j.past}, b.Results)
			}
		})
	}
	h := newHistory(in, plan)
	for i := range in.Batches {
		b := &in.Batches[i]
		if b.Profile == nil || b.At.Before(in.From) || ctx.Err() != nil {
			continue
		}
		e := checks.NewReplay(plan, b.Profile.ColumnNames())
		jobs <- job{i, e, h.answer(ctx, i, e.Needs(nil))}
	}
	close(jobs)
	workers.Wait()
	return out
}

// measuredFrom returns the moment from which freshness was measured on the day
// and when the source was written, as far as the results of the day tell them.
func measuredFrom(b *Batch) (asOf, modified time.Time) {
	asOf = b.AsOf
	for i := range b.Results {
		r := &b.Results[i]
		age, ok := r.Value.Float()
		if r.Kind != "freshness" || !ok || age <= 0 {
			continue
		}
		old := time.Duration(age * float64(time.Second))
		if r.Column == "" {
			modified = asOf.Add(-old)
			continue
		}
		if col := b.Profile.Column(r.Column); col != nil && col.Zoned() {
			if _, hi, ok := col.Bounds(); ok {
				asOf = time.UnixMicro(hi.Int).UTC().Add(old)
			}
		}
	}
	return asOf, modified
}

func (r *Rule) add(b *Batch, res *checks.Replayed) {
	if res.NeedsRows != "" {
		r.NeedsRows++
		r.Reason = res.NeedsRows
		return
	}
	switch res.Status {
	case checks.Pass:
		r.Pass++
		return
	case checks.Learning:
		r.Learning++
		return
	case checks.Error:
		r.Error++
		r.Reason = res.Message
		return
	case checks.Warn:
		r.Warn++
	case checks.Fail:
		r.Fail++
	}
	switch b.Label {
	case "":
	case labelReal:
		r.Real++
	default:
		r.Fine++
	}
	r.Fired = append(r.Fired, Firing{b.Name, b.At, res.Status, res.Message, b.Label})
}

// Compare sets what differs from the outcome of another version of the rules.
func (o *Outcome) Compare(other *Outcome) {
	index := map[string]*Rule{}
	for _, r := range other.Rules {
		index[r.ID] = r
	}
	for _, r := range o.Rules {
		old := index[r.ID]
		delete(index, r.ID)
		r.Change = changeOf(r, old)
	}
	for _, old := range other.Rules { // in their order
		if index[old.ID] == nil {
			continue
		}
		gone := &Rule{ID: old.ID, Kind: old.Kind, Column: old.Column, Rule: old.Rule, Fired: []Firing{}}
		gone.Change = changeOf(gone, old)
		gone.Change.Status = "removed"
		o.Rules = append(o.Rules, gone)
	}
	o.AgainstFailing = other.Failing
}

func changeOf(r, old *Rule) *Change {
	c := &Change{Status: "same", Added: []string{}, Gone: []string{}}
	if old == nil {
		c.Status = "added"
		old = &Rule{}
	}
	fires := func(r *Rule, f Firing) bool {
		return slices.ContainsFunc(r.Fired, func(g Firing) bool { return g.Batch == f.Batch && g.Status == f.Status })
	}
	for _, f := range r.Fired {
		if !fires(old, f) {
			c.Added = append(c.Added, f.Batch)
		}
	}
	for _, f := range old.Fired {
		if !fires(r, f) {
			c.Gone = append(c.Gone, f.Batch)
		}
	}
	if c.Status == "same" && (len(c.Added) > 0 || len(c.Gone) > 0 || r.NeedsRows != old.NeedsRows || r.Error != old.Error) {
		c.Status = "changed"
	}
	return c
}
