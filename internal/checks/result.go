// Package checks judges batches. It is a pure function of its input: a
// profile, what the row evaluators saw, and the history that the checks asked
// for. It does no I/O and reads no clock, so tests of rules, backtests and
// production run the same code.
package checks

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/profile"
)

// Status is the outcome of one check on one batch, or of a batch.
type Status uint8

// The statuses in the order of the verdict: the worst result of a batch is its
// verdict. Learning counts as Pass; Error means that it could not be judged
// and never counts as Pass.
const (
	Pass Status = iota
	Learning
	Warn
	Fail
	Error
)

var statusNames = [...]string{"pass", "learning", "warn", "fail", "error"}

// String returns the word of the contract.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// MarshalText writes the word of the contract.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of the contract.
func (s *Status) UnmarshalText(b []byte) error {
	for i, n := range statusNames {
		if n == string(b) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("unknown status %q", b)
}

// Severity says what a violated fail limit counts as.
type Severity string

// The severities of a check.
const (
	SeverityFail Severity = "fail"
	SeverityWarn Severity = "warn"
)

// Result is one check judged on one batch.
type Result struct {
	ID       string         `json:"id"`
	Kind     string         `json:"check"`
	Name     string         `json:"name,omitempty"`
	Column   string         `json:"column"`
	Status   Status         `json:"status"`
	Severity Severity       `json:"severity"`
	Value    profile.Scalar `json:"value"`
	// Evaluated and Failed count rows of row checks; nil for others.
	Evaluated *int64 `json:"evaluated"`
	Failed    *int64 `json:"failed"`
	// Limit is the violated or guarding limit in words.
	Limit string `json:"limit"`
	// Reason is a fixed phrase where the contract names one: "missing column",
	// "no value", "type changed" …
	Reason      string       `json:"reason,omitempty"`
	Message     string       `json:"message"`
	FailingRows []FailingRow `json:"failing_rows"`
	Rule        *Rule        `json:"rule"`
	Owner       string       `json:"owner,omitempty"`
	Tags        []string     `json:"tags,omitempty"`
	Note        string       `json:"note,omitempty"`
	OnFail      string       `json:"on_fail,omitempty"`
	// Condition identifies what the check counts and its limits, so that counts
	// can be judged again; see Evaluation.Replay.
	Condition string `json:"-"`
	// Warn and Fail are the numeric limits in force, for metrics and charts.
	WarnLimit Zone `json:"-"`
	FailLimit Zone `json:"-"`
	// Method is the distance of a drift check.
	Method string `json:"method,omitempty"`
	// Moved are the bins or values that explain most of a drift.
	Moved []Moved `json:"moved,omitempty"`
	// BaselineAt is the time of the newest batch of the baseline that a drift
	// check compared with; nil if unknown.
	BaselineAt *time.Time `json:"baseline_at,omitempty"`
	// Segments are the largest segments of a check with by, by their rows, at
	// most 50; Other are all others together. The figures of the result are
	// those of all rows, its status is that of the worst segment.
	Segments []Segment `json:"segments,omitempty"`
	Other    *Segment  `json:"other,omitempty"`
	// Learned is set in the result of the learned decision alone.
	*Learned

	absent string
	// drift is what a rule over several columns looks at once all are compared.
	drift *driftDecision

	// hide says that the check is about a sensitive column: its message must not
	// have values.
	hide bool
	// elements says that a row check judges elements of lists.
	elements bool
}

// OfElements reports whether Evaluated and Failed count elements of lists in the
// place of rows. A result that was stored does not know it.
func (r *Result) OfElements() bool { return r.elements }

// Moved is a bin or a value of a distribution: its shares of the rows before and
// now, and the part of the distance that it explains.
type Moved struct {
	Label    string  `json:"label"`
	Baseline float64 `json:"baseline"`
	Batch    float64 `json:"batch"`
	Part     float64 `json:"part"`
}

// Rule is the place of the check in a rule file.
type Rule struct {
	File string `json:"file"`
	Line int    `json:"line"`
	// Column is where the check begins in the line, from 1.
	Column int `json:"-"`
}

// MissingColumn is the reason of a check whose column is not there.
const MissingColumn = "missing column"

// Absent returns the column that is not there, for the reason MissingColumn.
func (r *Result) Absent() string { return r.absent }

// FailingRow is a row that violates a row check. Row counts from 1, the header
// not counted. A value of the key is its text, nil where it is null.
type FailingRow struct {
	Row   int64              `json:"row"`
	Key   map[string]*string `json:"key"`
	Value profile.Scalar     `json:"value"`
}

// KeyPart returns the value of a column of the key as a report shows it.
func (f *FailingRow) KeyPart(column string) string {
	text, ok := f.Key[column]
	switch {
	case !ok:
		return ""
	case text == nil:
		return "null"
	}
	return *text
}

func (f *FailingRow) setKey(column string, value profile.Scalar) {
	if f.Key == nil {
		f.Key = map[string]*string{}
	}
	f.Key[column] = nil
	if !value.IsNull() {
		text := value.String()
		f.Key[column] = &text
	}
}

// Zone is an allowed interval; a nil end is open.
type Zone struct {
	Lower, Upper *float64
}

// Report is the verdict of one batch with all its results: the JSON of
// `profiler check`.
type Report struct {
	Version int       `json:"version"`
	Dataset string    `json:"dataset"`
	Batch   string    `json:"batch,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Verdict Status    `json:"verdict"`
	Rows    int64     `json:"rows"`
	Sample  *Sample   `json:"sample,omitempty"`
	Results []Result  `json:"results"`
	Origin  Origin    `json:"origin,omitzero"`
}

// Sample says that a verdict is about a part of the rows: a share, drawn by
// chance, of those that were read.
type Sample struct {
	Share    float64 `json:"share"`
	RowsRead int64   `json:"rows_read"`
}

// SampleOf returns of what sample a profile is, nil if it is of all rows.
func SampleOf(p *profile.Profile) *Sample {
	if p.Stats.Sample == 0 {
		return nil
	}
	return &Sample{Share: p.Stats.Sample, RowsRead: p.Stats.RowsRead}
}

// RowsRead is the number of rows of the batch: Rows, or more if these are a sample.
func (r *Report) RowsRead() int64 {
	if r.Sample == nil {
		return r.Rows
	}
	return r.Sample.RowsRead
}

// Origin says where in a pipeline a batch came from; empty outside of one.
type Origin struct {
	Pipeline      string `json:"pipeline,omitempty"`
	Step          string `json:"step,omitempty"`
	Run           string `json:"run,omitempty"`
	Unit          string `json:"unit,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
}

// VerdictOf returns the worst status of the results in the order of the
// contract; Learning counts as Pass, no result is Pass.
func VerdictOf(results []Result) Status {
	v := Pass
	for i := range results {
		if s := results[i].counts(); s != Learning {
			v = max(v, s)
		}
	}
	return v
}

// Worst returns the first of the worst results, nil if none is worse than a pass.
func (r *Report) Worst() *Result {
	var worst *Result
	for i := range r.Results {
		if one := &r.Results[i]; one.Status >= Warn && (worst == nil || one.Status > worst.Status) {
			worst = one
		}
	}
	return worst
}

// Alarming returns the results that open an incident: fail and error.
func (r *Report) Alarming() []Result {
	var out []Result
	for i := range r.Results {
		if s := r.Results[i].Status; s == Fail || s == Error {
			out = append(out, r.Results[i])
		}
	}
	return out
}

// MarshalJSON writes results as a list even if there is none.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report // without this method
	if r.Results == nil {
		r.Results = []Result{}
	}
	return json.Marshal(plain(r))
}

// MarshalJSON writes failing rows as a list even if there is none.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result // without this method
	if r.FailingRows == nil {
		r.FailingRows = []FailingRow{}
	}
	column := &r.Column
	if r.Column == "" {
		column = nil
	}
	return json.Marshal(struct {
		plain
		Column *string `json:"column"`
	}{plain(r), column})
}
