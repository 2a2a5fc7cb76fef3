package signal

import "fmt"

// goal is a figure that a release should reach, and one that it works for.
type goal struct {
	what       string
	least, aim float64
	below      bool // less is better
	unit       string
	measured   func(r *Report) (float64, bool)
}

// sure are faults that must not be missed, from the middle size on.
var sure = []string{"unit x100", "type change", "stale copy", "duplicate load", "outliers x1000"}

var goals = []goal{
	{"false pages per 1,000, real, pooled", 11, 5, true, "", ofGroup(GroupReal, func(f *Figures) float64 { return f.FP.Value })},
	{"false pages per 1,000, real, worst set", 31, 15, true, "", ofGroup(GroupReal, func(f *Figures) float64 { return f.Worst })},
	{"recall at 10 false pages, real", 50, 60, false, " %", ofGroup(GroupReal, recall10)},
	{"recall at 10 false pages, synthetic", 84, 90, false, " %", ofGroup(GroupSynthetic, recall10)},
	{"middle faults, synthetic", 88, 93, false, " %", ofGroup(GroupSynthetic, func(f *Figures) float64 { return 100 * f.Recall[Middle].Value })},
	{"unit change, type change, stale copy, duplicate load, outliers at M and L, synthetic: the worst of them", 95, 99, false, " %", ofGroup(GroupSynthetic, worstSure)},
	{"broken column among the first 3 of the evidence, real", 85, 95, false, " %", ofGroup(GroupReal, attributed)},
	{"broken column among the first 3 of the evidence, synthetic", 85, 95, false, " %", ofGroup(GroupSynthetic, attributed)},
	{"slow drift M, synthetic, paged", 72, 90, false, " %", drifted(func(c *ChainFigures) float64 { return 100 * c.Found })},
	{"slow drift M, synthetic, paged or warned of", 72, 90, false, " %", drifted(func(c *ChainFigures) float64 { return 100 * c.Warned })},
}

func ofGroup(group string, f func(*Figures) float64) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		g := r.Detectors[0].Group(group)
		if g == nil {
			return 0, false
		}
		return f(g), true
	}
}

func recall10(f *Figures) float64 { return 100 * f.RecallAt[1].Recall.Value }

func attributed(f *Figures) float64 { return 100 * f.Attribution3 }

// worstSure is the lowest recall of the faults that must not be missed.
func worstSure(f *Figures) float64 {
	lowest := 1.0
	for _, ff := range f.Faults {
		for _, name := range sure {
			if ff.Fault != name {
				continue
			}
			for s := range ff.Recall {
				if ff.Count[s] > 0 && (Size(s) != Small || ff.Count[Middle] == 0) { //nolint:gosec // three sizes
					lowest = min(lowest, ff.Recall[s])
				}
			}
		}
	}
	return 100 * lowest
}

func drifted(f func(*ChainFigures) float64) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		for i := range r.Chains {
			if c := &r.Chains[i]; c.Fault == "slow drift" && c.Size == Middle.String() && c.Group == GroupSynthetic {
				return f(c), true
			}
		}
		return 0, false
	}
}

// goals writes what was reached of them; without the real sets only a part.
func (m *markdown) goals() {
	m.title("Goals")
	m.table("figure", ">goal", ">aim", ">measured", "")
	for _, g := range goals {
		v, ok := g.measured(m.report)
		if !ok {
			continue
		}
		reached := "missed"
		switch {
		case g.reaches(v, g.aim):
			reached = "aim"
		case g.reaches(v, g.least):
			reached = "goal"
		}
		sign := map[bool]string{true: "≤ ", false: "≥ "}[g.below]
		m.row(g.what, fmt.Sprintf("%s%.0f%s", sign, g.least, g.unit), fmt.Sprintf("%s%.0f%s", sign, g.aim, g.unit), number(v, 1)+g.unit, reached)
	}
}

func (g *goal) reaches(v, limit float64) bool {
	if g.below {
		return v <= limit
	}
	return v >= limit
}
