package pipeline

import (
	"time"

	"github.com/profilerhq/profiler/internal/yamldoc"
)

// maxScaleAt bounds how many units one worker is asked to have before it.
const maxScaleAt = 1_000_000

// workers reads how many units may be in a step at once.
func (p *parser) workers(s *Step, m *yamldoc.Mapping, where string) {
	w := &s.Workers
	p.keys(m, "workers of "+where, []string{"min", "max", "scale_at"}, nil)
	w.Max, _ = p.count(m.Get("max"), 1, maxWorkers)
	w.ScaleAt, _ = p.count(m.Get("scale_at"), 1, maxScaleAt)
	w.Min, _ = p.count(m.Get("min"), 1, maxWorkers)
	low := m.Get("min")
	switch {
	case s.Worker && m.Has("scale_at"):
		m.KeyNode("scale_at").Errorf(&p.errs, yamldoc.CodeValue, "%s is for workers of the lease API, whose number this program does not decide", where)
	case low != nil && !m.Has("scale_at"):
		m.KeyNode("min").Errorf(&p.errs, yamldoc.CodeValue, "min says how far scale_at goes down, and there is none; add scale_at: 20")
	case w.Max > 0 && w.Min > w.Max:
		low.Errorf(&p.errs, yamldoc.CodeValue, "min (%d) is above max (%d)", w.Min, w.Max)
	}
	if w.ScaleAt > 0 {
		w.Min = max(w.Min, 1)
	}
}

// dlq reads how long dead letters are kept.
func (p *parser) dlq(n *yamldoc.Node) {
	m := n.Mapping(&p.errs)
	if m == nil {
		return
	}
	p.keys(m, "dlq", []string{"keep"}, nil)
	keep := m.Required("keep", "dlq", &p.errs)
	d, ok := keep.Duration(&p.errs)
	if p.pipeline.DLQKeep = d; ok && d < time.Minute {
		keep.Errorf(&p.errs, yamldoc.CodeValue, "keep is at least 1m, such as 30d; without dlq dead letters are kept for ever")
	}
}
