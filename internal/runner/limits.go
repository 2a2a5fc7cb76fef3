//go:build unix

package runner

import (
	"fmt"
	"strconv"

	"github.com/profilerhq/profiler/internal/cgroup"
	"github.com/profilerhq/profiler/internal/pipeline"
)

// Limited reports whether a step of a pipeline has limits that control groups can
// hold.
func Limited(p *pipeline.Pipeline) bool {
	for i := range p.Steps {
		if r := p.Steps[i].Resources; r.Memory > 0 || r.CPU > 0 {
			return true
		}
	}
	return false
}

// group makes the control group of an attempt, and returns which limits are left
// to other ways. It is nil without groups, and for a step without such limits.
func (r *Runner) group(s *pipeline.Step) (*cgroup.Group, pipeline.Resources) {
	t, left := r.options.Groups, s.Resources
	if t == nil || left.Memory == 0 && left.CPU == 0 {
		return nil, left
	}
	limits := cgroup.Limits{Memory: left.Memory}
	if t.LimitsCPU() {
		limits.CPU = left.CPU
	}
	g, err := t.New(limits)
	if err != nil {
		r.log.Warn("no control group for a command, its limits are those of each process", "step", s.Name, "err", err)
		return nil, left
	}
	left.Memory, left.CPU = 0, left.CPU-limits.CPU
	return g, left
}

// sizeText writes a number of bytes as in a pipeline file.
func sizeText(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
