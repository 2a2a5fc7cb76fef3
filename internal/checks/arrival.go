package checks

import (
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/cron"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

var arrivalParams = []Param{
	{Name: "expect", Form: FormText, Required: true, Summary: "When a batch is expected: five fields of cron."},
	{Name: "grace", Form: FormSpan, Summary: "How much later it may come.", Default: "0s"},
	{Name: "timezone", Form: FormText, Summary: "The zone of the times.", Default: "that of the rule file, else UTC"},
}

var arrivalSpec = Spec{
	Kind: "arrival", Level: BatchLevel, Dataset: true, Params: arrivalParams, Example: `arrival: {expect: "0 6 * * mon-fri", grace: 1h}`,
	Summary: "A batch comes at the times of a schedule; serve tells of one that never came.",
	parse:   parseArrival,
}

// arrival expects batches at the times of a schedule. A batch that is judged is
// there, so the check passes with it; that none came is judged by the clock of
// the service.
type arrival struct {
	schedule cron.Schedule
	text     string
	grace    time.Duration
	zone     *time.Location // of the rule itself, nil is that of the file
}

func parseArrival(_ *Check, p params, errs *diag.List) judge {
	if p.zoned("arrival", errs) {
		return nil
	}
	m := p.mapping("arrival", arrivalParams, errs)
	if m == nil {
		if p.node.IsNull() {
			errs.Errorf(p.where(), 7, yamldoc.CodeMissingKey, "check \"arrival\" needs a schedule, as in arrival: {expect: \"0 6 * * *\", grace: 1h}")
		}
		return nil
	}
	before := len(*errs)
	a := &arrival{}
	if name, ok := m.Get("timezone").String(errs); ok {
		zone, err := time.LoadLocation(name)
		if err != nil {
			m.Get("timezone").Errorf(errs, yamldoc.CodeValue, "unknown time zone %q; write one like Europe/Berlin", name)
		}
		a.zone = zone
	}
	n := m.Required("expect", `check "arrival"`, errs)
	if text, ok := n.String(errs); ok {
		var err error
		if a.schedule, err = cron.Parse(text, a.zone); err != nil {
			n.Errorf(errs, yamldoc.CodeValue, "%v", err)
		}
		a.text = text
	}
	if n := m.Get("grace"); n != nil {
		if a.grace, _ = n.Duration(errs); a.grace < 0 {
			n.Errorf(errs, yamldoc.CodeValue, "grace cannot be negative")
		}
	}
	if len(*errs) > before {
		return nil
	}
	return a
}

// InZone tells the check the zone of the rule file, for times that name none of
// their own.
func (c *Check) InZone(zone *time.Location) {
	if a, ok := c.judge.(*arrival); ok && a.zone == nil && zone != nil {
		a.schedule, _ = cron.Parse(a.text, zone) // it was read before
	}
}

func (a *arrival) needs(string) []Need { return nil }

func (a *arrival) words() string {
	text := "a batch at " + a.schedule.String()
	if a.grace > 0 {
		text += ", at most " + age(a.grace) + " later"
	}
	return text
}

func (a *arrival) result(_ *Input, _ *profile.Column, res Result) Result {
	res.Limit, res.Message = a.words(), "the batch is there"
	return res
}

// Expectation says when batches of a dataset are expected.
type Expectation struct {
	check   *Check
	arrival *arrival
}

// Expects returns the expectation of a check of the kind arrival that is
// enabled; ok is false for any other.
func (c *Check) Expects() (e Expectation, ok bool) {
	a, ok := c.judge.(*arrival)
	return Expectation{c, a}, ok && c.Enabled
}

// Due returns the last time before now at which a batch was expected and has to
// be there by now, and the time before it; ok is false if there is none.
func (e Expectation) Due(now time.Time) (due, before time.Time, ok bool) {
	due = cron.Last(e.arrival.schedule, now.Add(-e.arrival.grace))
	if due.IsZero() {
		return due, before, false
	}
	before = cron.Last(e.arrival.schedule, due.Add(-time.Nanosecond))
	return due, before, true
}

// Next returns the next time after now at which a batch has to be there.
func (e Expectation) Next(now time.Time) time.Time {
	next := e.arrival.schedule.Next(now.Add(-e.arrival.grace))
	if next.IsZero() {
		return next
	}
	return next.Add(e.arrival.grace)
}

// Grace is how much later than expected a batch may come.
func (e Expectation) Grace() time.Duration { return e.arrival.grace }

// Missed is the result for a batch that did not come. last is when the last one
// did; zero if there never was one. The value is how late it is, in seconds.
func (e Expectation) Missed(due, last, now time.Time) Result {
	res := e.check.result(e.check.ID, "")
	res.Limit = e.arrival.words()
	res.Value = profile.FloatScalar(now.Sub(due).Seconds())
	came := "none ever came"
	if !last.IsZero() {
		came = "the last one came " + last.UTC().Format(time.RFC3339)
	}
	return res.failReason("missing batch", "no batch came that was expected %s; %s", due.UTC().Format(time.RFC3339), came)
}

// String describes the expectation.
func (e Expectation) String() string { return fmt.Sprintf("%s: %s", e.check.ID, e.arrival.words()) }
