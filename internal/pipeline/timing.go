package pipeline

import (
	"time"

	"github.com/profilerhq/profiler/internal/cron"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Overlap says what happens when a run is due while the one before still works.
type Overlap string

// What happens to a run that is due too early.
const (
	// OverlapSkip leaves it out.
	OverlapSkip Overlap = "skip"
	// OverlapQueue begins it when the one before has ended.
	OverlapQueue Overlap = "queue"
	// OverlapAllow begins it at once.
	OverlapAllow Overlap = "allow"
)

// Timing says when the service begins runs of a pipeline.
type Timing struct {
	// Schedule tells the times; nil is none.
	Schedule cron.Schedule
	// CatchUp begins a run for each time that was missed while no service ran.
	CatchUp bool
	Overlap Overlap
}

// timing reads schedule or every, and what stands beside them.
func (p *parser) timing(m *yamldoc.Mapping) {
	t := &p.pipeline.Timing
	t.Overlap = OverlapSkip
	schedule, every := m.Get("schedule"), m.Get("every")
	if schedule != nil && every != nil {
		m.KeyNode("every").Errorf(&p.errs, yamldoc.CodeValue, "schedule and every say the same; keep one")
		return
	}
	zone := time.UTC
	if name, ok := m.Get("timezone").String(&p.errs); ok {
		loc, err := time.LoadLocation(name)
		if err != nil {
			m.Get("timezone").Errorf(&p.errs, yamldoc.CodeValue, "unknown time zone %q; write one like Europe/Berlin", name)
		} else {
			zone = loc
		}
	}
	if text, ok := schedule.String(&p.errs); ok {
		s, err := cron.Parse(text, zone)
		if err != nil {
			schedule.Errorf(&p.errs, yamldoc.CodeValue, "%v", err)
		}
		t.Schedule = s
	}
	if d, ok := every.Duration(&p.errs); ok {
		if d < time.Second {
			every.Errorf(&p.errs, yamldoc.CodeValue, "every is at least 1s")
		} else {
			t.Schedule = cron.Every(d)
		}
	}
	yamldoc.Set(&t.CatchUp, m.Get("catch_up"), (*yamldoc.Node).Bool, &p.errs)
	if word, ok := m.Get("overlap").OneOf(&p.errs, string(OverlapSkip), string(OverlapQueue), string(OverlapAllow)); ok {
		t.Overlap = Overlap(word)
	}
	if s := p.pipeline.Source; s != nil && s.NATS != nil {
		for _, key := range []string{"schedule", "every"} {
			if n := m.KeyNode(key); n != nil {
				n.Errorf(&p.errs, yamldoc.CodeValue, "%s says when to look, and a stream is read all the time; leave it out", key)
			}
		}
	}
	if schedule == nil && every == nil {
		for _, key := range []string{"timezone", "catch_up", "overlap"} {
			if n := m.KeyNode(key); n != nil {
				n.Errorf(&p.errs, yamldoc.CodeValue, "%s says something about a schedule, and there is none; add schedule: or every:", key)
			}
		}
	}
}
