package metrics

import (
	"slices"

	"github.com/profilerhq/profiler/internal/checks"
)

// severities are the values of the label severity that limits have.
var severities = []string{string(checks.SeverityFail), string(checks.SeverityWarn)}

// check is what is known of one check at one step.
type check struct {
	id, kind, owner, file           string
	evaluations, failures, failedBy float64
	// limits are the severities that have a limit, remembered for evaluations
	// that end before they know their limits.
	limits []string
	result *checks.Result // of the last batch; nil before the first one
}

// check returns the state of a check, a new one if there is none.
func (p *part) check(id string) *check {
	c := p.checks[id]
	if c == nil {
		c = &check{id: id}
		p.checks[id] = c
		p.order = append(p.order, id)
	}
	return c
}

// judge shows the results of a batch, and counts them if they are not known
// already. Checks without a result are forgotten.
func (p *part) judge(results []checks.Result, known bool) {
	now := map[string]*checks.Result{}
	p.order = p.order[:0]
	for i := range results {
		r := &results[i]
		id := clean(r.ID)
		switch had := now[id]; {
		case had == nil:
			p.order = append(p.order, id)
			now[id] = r
		case r.Status > had.Status: // two results of one name: the worse one counts
			now[id] = r
		}
	}
	for id := range p.checks {
		if now[id] == nil {
			delete(p.checks, id)
		}
	}
	for _, id := range p.order {
		c, r := p.checks[id], now[id]
		if c == nil {
			c = &check{id: id}
			p.checks[id] = c
		}
		c.kind, c.owner, c.result = clean(r.Kind), clean(r.Owner), r
		if r.Rule != nil {
			c.file = clean(r.Rule.File)
		}
		if !known {
			c.count(r.Status)
		}
		c.limits = limitsOf(r, c.limits)
	}
}

func (c *check) count(s checks.Status) {
	c.evaluations++
	c.failures += truth(s == checks.Fail)
	c.failedBy += truth(s == checks.Error)
}

// count counts the results of a batch that is not the newest: the checks keep
// what they show.
func (p *part) count(results []checks.Result) {
	worst := map[string]checks.Status{}
	for i := range results {
		id := clean(results[i].ID)
		if s, ok := worst[id]; !ok || results[i].Status > s {
			worst[id] = results[i].Status
		}
	}
	for id, s := range worst {
		if c := p.checks[id]; c != nil {
			c.count(s)
		}
	}
}

// limitsOf returns the severities that the check has limits of: by the limits
// in force, else as before, else that of the check. The limit that an
// evaluation violated is always there.
func limitsOf(r *checks.Result, before []string) []string {
	var out []string
	for _, s := range severities {
		if z, ok := zone(r, s); ok && (z.Lower != nil || z.Upper != nil) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		out = before
	}
	if len(out) == 0 {
		out = []string{string(severityOf(r))}
	}
	missing := ""
	if r.Status == checks.Fail || r.Status == checks.Warn {
		missing = r.Status.String()
	}
	if missing != "" && !slices.Contains(out, missing) {
		out = append(slices.Clone(out), missing)
	}
	return out
}

func severityOf(r *checks.Result) checks.Severity {
	if r.Severity == checks.SeverityWarn {
		return checks.SeverityWarn
	}
	return checks.SeverityFail
}

// zone returns the limits of a severity. In a check whose violations count as
// warnings, the limit of fail is one of warn.
func zone(r *checks.Result, severity string) (checks.Zone, bool) {
	if severityOf(r) == checks.SeverityFail {
		if severity == string(checks.SeverityFail) {
			return r.FailLimit, true
		}
		return r.WarnLimit, true
	}
	if severity == string(checks.SeverityFail) {
		return checks.Zone{}, false
	}
	if r.WarnLimit.Lower == nil && r.WarnLimit.Upper == nil {
		return r.FailLimit, true
	}
	return r.WarnLimit, true
}

// checks adds the series of all checks of the part, in the order of the rules.
func (b *builder) checks() {
	for i, id := range b.p.order {
		c := b.p.checks[id]
		b.group(classCheck, 2*i).counts = true
		b.add("profiler_check_info", 1, id, c.kind, c.owner, c.file)
		b.add("profiler_check_evaluations_total", c.evaluations, id)
		b.add("profiler_check_failures_total", c.failures, id)
		b.add("profiler_check_errors_total", c.failedBy, id)
		if c.result != nil {
			b.outcome(c)
		}
	}
}

func (b *builder) outcome(c *check) {
	r := c.result
	b.add("profiler_check_last_evaluation_timestamp_seconds", seconds(b.p.at), c.id)
	if v, ok := r.Value.Float(); ok {
		b.add("profiler_check_value", v, c.id)
	}
	if r.Failed != nil {
		b.add("profiler_check_failed_rows", float64(*r.Failed), c.id)
	}
	for _, s := range severities {
		z, _ := zone(r, s)
		if z.Upper != nil {
			b.add("profiler_check_upper_limit", *z.Upper, c.id, s)
		}
		if z.Lower != nil {
			b.add("profiler_check_lower_limit", *z.Lower, c.id, s)
		}
	}
	if r.Status == checks.Learning {
		return
	}
	for _, s := range c.limits {
		b.add("profiler_check_passed", truth(!violated(r, s)), c.id, s)
	}
}

// violated reports whether a result is outside of its limits of a severity. An
// evaluation that ended in an error never counts as passed.
func violated(r *checks.Result, severity string) bool {
	if severity == string(checks.SeverityFail) {
		return r.Status >= checks.Fail
	}
	return r.Status >= checks.Warn
}

// drift adds the distances of all drift checks. A column that has several
// shows the worst.
func (b *builder) drift(results []checks.Result) {
	worst := map[string]int{}
	var order []string
	for i := range results {
		r := &results[i]
		if _, ok := r.Value.Float(); r.Method == "" || !ok {
			continue
		}
		name := clean(r.Column)
		if j, ok := worst[name]; !ok {
			order = append(order, name)
			worst[name] = i
		} else if r.Status > results[j].Status {
			worst[name] = i
		}
	}
	for i, name := range order {
		r := &results[worst[name]]
		v, _ := r.Value.Float()
		method := clean(r.Method)
		b.group(classCheck, 2*i+1)
		b.add("profiler_drift_score", v, name, method)
		for _, s := range severities {
			z, _ := zone(r, s)
			if z.Upper == nil {
				continue
			}
			b.add("profiler_drift_limit", *z.Upper, name, method, s)
			if r.Status != checks.Error {
				b.add("profiler_drift_detected", truth(violated(r, s)), name, s)
			}
		}
	}
}
