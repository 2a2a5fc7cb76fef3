package rules

import (
	"slices"

	"github.com/profilerhq/profiler/internal/anomaly"
	"github.com/profilerhq/profiler/internal/diag"
	"github.com/profilerhq/profiler/internal/yamldoc"
)

// Auto says how batches are judged by what was learned.
type Auto struct {
	Preset anomaly.Preset
	// OnFail is block, warn or quarantine; empty is warn.
	OnFail string
	// Ignore are columns that are left out: names or patterns.
	Ignore []string
	Pos    diag.Position
}

var autoKeys = []string{"preset", "on_fail", "ignore"}

// parseAuto reads `auto: normal` or its long form; nil is none.
func parseAuto(n *yamldoc.Node, errs *diag.List) *Auto {
	if n == nil || n.IsNull() {
		return nil
	}
	a := &Auto{Preset: anomaly.Normal, Pos: n.Pos()}
	if n.Kind() != yamldoc.Map {
		a.Preset = parsePreset(n, errs)
		return a
	}
	m := n.Mapping(errs)
	m.Unknown(autoKeys, "auto", errs)
	if p := m.Get("preset"); p != nil {
		a.Preset = parsePreset(p, errs)
	}
	a.OnFail, _ = m.Get("on_fail").OneOf(errs, "block", "warn", "quarantine")
	for _, item := range m.Get("ignore").Items() {
		if name, ok := item.String(errs); ok {
			a.Ignore = append(a.Ignore, name)
		}
	}
	return a
}

// parsePreset reads a preset; YAML takes an unquoted off for false.
func parsePreset(n *yamldoc.Node, errs *diag.List) anomaly.Preset {
	if n.Kind() == yamldoc.Bool && n.Raw() == "false" || n.Raw() == "off" {
		return anomaly.Off
	}
	name, _ := n.OneOf(errs, "off", "quiet", "normal", "high")
	p, ok := anomaly.ParsePreset(name)
	if !ok {
		return anomaly.Normal
	}
	return p
}

// AutoOf joins what the sets of a dataset say of the learned decision: the first
// preset and the first on_fail, and all columns that are ignored. Without a
// word it is normal.
func AutoOf(sets []*Set) Auto {
	out := Auto{Preset: anomaly.Normal}
	found := false
	for _, s := range sets {
		if s.Auto == nil {
			continue
		}
		if !found {
			out.Preset, out.Pos, found = s.Auto.Preset, s.Auto.Pos, true
		}
		if out.OnFail == "" {
			out.OnFail = s.Auto.OnFail
		}
		for _, name := range s.Auto.Ignore {
			if !slices.Contains(out.Ignore, name) {
				out.Ignore = append(out.Ignore, name)
			}
		}
	}
	return out
}
