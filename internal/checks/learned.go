package checks

import "github.com/profilerhq/profiler/internal/profile"

// KindAuto is the kind, and the id, of the learned decision on a whole batch.
const KindAuto = "auto"

// Learned is what the learned decision has beside the keys of a result.
type Learned struct {
	// Score is the strength of the decision: what pages is above the limit of
	// the preset. It is nil while too little is learned.
	Score  *float64 `json:"score"`
	Preset string   `json:"preset"`
	// Lane decided: 0 contract, 1 volume and completeness, 2 everything, 3 slow
	// changes; nil while everything is learned.
	Lane     *int            `json:"lane"`
	Baseline LearnedBaseline `json:"baseline"`
	// Evidence is strongest first.
	Evidence []Evidence `json:"evidence"`
	// Slow are changes over many batches.
	Slow []Evidence `json:"slow,omitempty"`
	// Continues says that the batch goes on what the one before was paged for.
	Continues bool `json:"continues,omitempty"`
	// FirstBadStep is the step of a pipeline whose output is abnormal while what
	// it read is not; StepRows are the rows of the steps on the way.
	FirstBadStep string     `json:"first_bad_step,omitempty"`
	StepRows     []StepRows `json:"step_rows,omitempty"`
}

// StepRows is how many rows a step of a pipeline wrote.
type StepRows struct {
	Step string `json:"step"`
	Rows int64  `json:"rows"`
}

// LearnedBaseline says how much was learned.
type LearnedBaseline struct {
	// Batches is how many accepted batches are behind the decision; Wanted how
	// many the next stage of learning needs, 0 if nothing is missing.
	Batches int `json:"batches"`
	Wanted  int `json:"wanted,omitempty"`
}

// Evidence is what deviates in one column, or in the batch where Column is
// empty.
type Evidence struct {
	Column *string `json:"column"`
	Metric string  `json:"metric"`
	// Value and Expected are numbers, or texts where the contract is broken.
	Value    profile.Scalar `json:"value"`
	Expected profile.Scalar `json:"expected"`
	// Low and High are the band that is normal; null for texts.
	Low  profile.Scalar `json:"low"`
	High profile.Scalar `json:"high"`
	Z    float64        `json:"z"`
	// Rows is how many rows are behind the value, History how many batches
	// behind the expectation.
	Rows    int64  `json:"rows"`
	History int    `json:"history"`
	Shape   string `json:"shape"`
	// Unit is empty for plain numbers and shares; see the units.
	Unit string `json:"unit,omitempty"`
	// Also are further metrics of the column that deviate.
	Also []string `json:"also,omitempty"`
	// New is a value that was never seen before.
	New string `json:"new,omitempty"`
	// Gone is a value that was frequent and is missing.
	Gone string `json:"gone,omitempty"`
	// BeyondChance says that the line alone is no accident.
	BeyondChance bool `json:"beyond_chance"`
	// Since is the batch with which a slow change began.
	Since string `json:"since,omitempty"`
}

// The units of evidence.
const (
	UnitAge     = "age"     // seconds from a time to that of the batch; negative after it
	UnitSeconds = "seconds" // of a duration
)

// counts returns what a result counts as in the verdict: a learned fail stops
// nothing by itself.
func (r *Result) counts() Status {
	if r.Kind == KindAuto && r.Status == Fail && !r.Stops() {
		return Warn
	}
	return r.Status
}

// Stops reports whether a failed result closes gates: every one but a learned
// one whose on_fail does not say so.
func (r *Result) Stops() bool {
	return r.Kind != KindAuto || r.OnFail == "block" || r.OnFail == "quarantine"
}
