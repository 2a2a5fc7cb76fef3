package monitor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/rules"
	"github.com/profilerhq/profiler/internal/words"
)

// Learner knows what was learned of datasets.
type Learner interface {
	// Learned returns the state of the subject's dataset from the batches
	// strictly before it, the batch itself left out. The state may be used until
	// the next call; nothing is judged if it is nil.
	Learned(ctx context.Context, s Subject) (*Learned, error)
}

// Learned is a state and which version of the history it is of.
type Learned struct {
	State   *anomaly.State
	Version int64
}

// Auto is the learned decision on a batch with everything that learning from it
// needs.
type Auto struct {
	Features *anomaly.Features
	Options  anomaly.Options
	Decision anomaly.Decision
	// Before is the state that judged; nil if it could not be read.
	Before *Learned
	Result checks.Result
}

// learned judges a batch by what was learned; nil where nothing judges. A sample
// that stands for its batch is compared with samples of the same share alone:
// another share begins anew.
func (m *Monitor) learned(ctx context.Context, o *Outcome) *Auto {
	if m.opts.Learner == nil || o.Side == SideInput {
		return nil
	}
	setting := rules.AutoOf(o.Rules)
	if setting.Preset == anomaly.Off {
		return nil
	}
	a := &Auto{Options: anomaly.Options{Preset: setting.Preset, Ignore: setting.Ignore}}
	before, err := m.opts.Learner.Learned(ctx, o.Subject)
	switch {
	case err != nil:
		a.Features = anomaly.Extract(o.Profile, o.At)
		a.Result = autoFrame(&setting, o.Rules)
		a.Result.Status = checks.Error
		a.Result.Message = "what was learned could not be read: " + err.Error()
		return a
	case before == nil:
		return nil
	}
	a.Before = before
	a.Features = anomaly.Extract(o.Profile, o.At)
	a.Decision = before.State.Judge(a.Features, a.Options)
	a.Result = autoFrame(&setting, o.Rules)
	fillAuto(&a.Result, &a.Decision)
	return a
}

// SideInput is the side of a batch that a step of a pipeline reads: it was
// judged where it was written.
const SideInput = "input"

// autoFrame is the result without a decision.
func autoFrame(a *rules.Auto, sets []*rules.Set) checks.Result {
	r := checks.Result{
		ID: checks.KindAuto, Kind: checks.KindAuto, Severity: checks.SeverityFail, OnFail: a.OnFail,
		Learned: &checks.Learned{Preset: a.Preset.String(), Evidence: []checks.Evidence{}},
	}
	if a.Pos.File != "" {
		r.Rule = &checks.Rule{File: a.Pos.File, Line: a.Pos.Line}
	}
	for _, s := range sets {
		if r.Owner == "" {
			r.Owner = s.Owner
		}
		r.Tags = append(r.Tags, s.Tags...)
	}
	return r
}

// Missing is the learned result for a batch that did not come.
func Missing(sets []*rules.Set, l *anomaly.Late, now time.Time) checks.Result {
	setting := rules.AutoOf(sets)
	r := autoFrame(&setting, sets)
	lane := 0
	by := l.Expected.UTC().Format(time.RFC3339)
	r.Status, r.Reason, r.Limit, r.Value = checks.Fail, "missing batch", "a batch by "+by, profile.FloatScalar(now.Sub(l.Expected).Seconds())
	r.Learned.Lane, r.Learned.Baseline.Batches = &lane, l.History
	r.Learned.Evidence = []checks.Evidence{{
		Metric: "arrival", Value: profile.TextScalar("missing"), Expected: profile.TextScalar("by " + by), Z: missingZ, History: l.History, Shape: "late", BeyondChance: true,
	}}
	r.Message = fmt.Sprintf("no batch came; by the %s before one was expected %s at the latest, the last one came %s",
		words.Plural(l.History, "batch", "batches"), by, l.Last.UTC().Format(time.RFC3339))
	return r
}

// missingZ is that of what breaks the contract.
const missingZ = 60

var autoStatus = map[anomaly.Status]checks.Status{
	anomaly.Learning: checks.Learning, anomaly.Pass: checks.Pass, anomaly.Warn: checks.Warn, anomaly.Fail: checks.Fail,
}

// fillAuto writes a decision as a result.
func fillAuto(r *checks.Result, d *anomaly.Decision) {
	r.Status = autoStatus[d.Status]
	l := r.Learned
	l.Baseline = checks.LearnedBaseline{Batches: d.Batches, Wanted: d.Wanted}
	l.Continues = d.Continues
	if d.HasScore {
		score := math.Round(d.Score*1e4) / 1e4
		l.Score, r.Value = &score, profile.FloatScalar(score)
	}
	if d.Lane != anomaly.NoLane {
		lane := d.Lane
		l.Lane = &lane
	}
	if d.Status >= anomaly.Warn || d.Lane == 2 {
		for i := range d.Evidence {
			l.Evidence = append(l.Evidence, evidenceOf(&d.Evidence[i]))
		}
	}
	for i := range d.Slow {
		e := evidenceOf(&d.Slow[i])
		e.Since = d.Slow[i].Was
		l.Slow = append(l.Slow, e)
	}
	r.Message = autoMessage(d, l)
}

func evidenceOf(e *anomaly.Evidence) checks.Evidence {
	out := checks.Evidence{
		Metric: e.Metric, Z: math.Round(e.Z*100) / 100, Rows: e.N, History: e.History, Shape: e.Shape, Also: e.Also, New: e.New, Gone: e.Gone, BeyondChance: e.Beyond,
	}
	if e.Column != "" {
		out.Column = &e.Column
	}
	if !e.IsNumber() {
		out.Value, out.Expected = profile.TextScalar(e.Text), profile.TextScalar(e.Was)
		return out
	}
	out.Value, out.Expected = profile.FloatScalar(e.Value), profile.FloatScalar(e.Expected)
	switch e.Unit {
	case anomaly.Age:
		out.Unit = checks.UnitAge
	case anomaly.Seconds:
		out.Unit = checks.UnitSeconds
	case anomaly.Plain:
	}
	out.Low, out.High = profile.FloatScalar(e.Low), profile.FloatScalar(e.High)
	return out
}

// autoMessage says in one line what was found.
func autoMessage(d *anomaly.Decision, l *checks.Learned) string {
	batches := words.Plural(d.Batches, "batch", "batches")
	learning := ""
	if d.Wanted > 0 {
		learning = fmt.Sprintf("learning: %d of %s", d.Batches, words.Plural(d.Wanted, "batch", "batches"))
	}
	lines := l.Evidence
	if len(lines) > 3 {
		lines = lines[:3]
	}
	var parts []string
	for i := range lines {
		parts = append(parts, lines[i].String())
	}
	found := strings.Join(parts, "; ")
	var slow []string
	for i := range l.Slow[:min(3, len(l.Slow))] {
		slow = append(slow, l.Slow[i].String())
	}
	slowly := "a slow change: " + strings.Join(slow, "; ")
	switch d.Status {
	case anomaly.Learning:
		return learning
	case anomaly.Pass:
		return "like the " + batches + " before"
	case anomaly.Fail:
		if d.Lane == 3 {
			return slowly
		}
		head := "unlike the " + batches + " before: "
		if d.Critical() && d.Lane != 0 {
			head = "far from the " + batches + " before: "
		}
		if d.Continues {
			head = "still " + head
		}
		if learning != "" {
			found += " (" + learning + ")"
		}
		return head + found
	default:
	}
	if d.NewLevel {
		return "a new level is accepted: " + found
	}
	if d.Unanswered {
		return "as twice before without an answer: " + found
	}
	if len(l.Slow) > 0 && d.G < 1 {
		return slowly
	}
	return "a little unlike the " + batches + " before: " + found
}
