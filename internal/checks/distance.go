package checks

import (
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/drift"
	"github.com/profilerhq/profiler/internal/profile"
)

// Distance is how far the values of a column moved.
type Distance struct {
	// Method is ks or tv; Of is "lengths" where those of texts were compared.
	Method      string  `json:"method"`
	Of          string  `json:"of,omitempty"`
	Value       float64 `json:"value"`
	P           float64 `json:"p"`
	Significant bool    `json:"significant"`
	Moved       []Moved `json:"moved"`
}

// DistanceOf compares a column of two profiles by the method auto; nil where
// that has no meaning: no values, other types, dates and running ids.
func DistanceOf(before, now *profile.Profile, column string) *Distance {
	a, b := before.Column(column), now.Column(column)
	if a == nil || b == nil || a.Count == 0 || b.Count == 0 || a.Kind().Family() != b.Kind().Family() {
		return nil
	}
	d := &driftCheck{method: drift.MethodAuto}
	x, y, of := sampleOf(before, a), sampleOf(now, b), ""
	method, err := d.resolve(a, b, x)
	if err != "" || a.Kind() == batch.Null {
		return nil
	}
	if drift.NearUnique(x) {
		l, r := before.Lengths(column), now.Lengths(column)
		if len(l) == 0 || len(r) == 0 {
			return nil
		}
		x, y, method, of = drift.Sample{Numbers: l}, drift.Sample{Numbers: r}, drift.MethodKS, "lengths"
	}
	out, cerr := drift.Compare(method, x, y)
	if cerr != nil {
		return nil
	}
	res := &Distance{Method: string(out.Method), Of: of, Value: out.Distance, P: out.P, Significant: out.Significant, Moved: []Moved{}}
	for _, m := range out.Moved {
		res.Moved = append(res.Moved, Moved{m.Label, m.Baseline, m.Batch, m.Part})
	}
	return res
}
