package profile

import (
	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/sketch"
)

// maxLength is the longest text whose length is counted by itself.
const maxLength = 1024

// lengths counts texts by their characters; the last place is for all longer
// ones. It is as long as the longest text needs.
type lengths []uint64

func (l *lengths) add(chars uint32, n uint64) {
	at := int(min(chars, maxLength+1))
	if at >= len(*l) {
		*l = append(*l, make([]uint64, at+1-len(*l))...)
	}
	(*l)[at] += n
}

func (l *lengths) merge(o lengths) {
	if len(o) > len(*l) {
		*l = append(*l, make([]uint64, len(o)-len(*l))...)
	}
	for i, n := range o {
		(*l)[i] += n
	}
}

// addBytes counts the rows of a vector whose texts are ASCII and were taken.
func (l *lengths) addBytes(v *batch.Vector, rows []int32, t *texts) {
	if t.min == t.max {
		l.add(t.min, uint64(len(rows)))
		return
	}
	for _, row := range rows {
		l.add(uint32(len(v.Bytes(int(row)))), 1) //nolint:gosec // a record is limited
	}
}

// Lengths returns how many texts of a column of texts have which length in
// characters, by length; all longer than 1,024 count as 1,025. It is nil for
// sensitive and for other columns, where most values are no texts, and for profiles saved before
// version 1.2 with estimates.
func (p *Profile) Lengths(name string) []sketch.Weighted[float64] {
	i, ok := p.index[name]
	if !ok || p.outline(i).kind != batch.String || p.columns[i].sensitive {
		return nil
	}
	c := p.columns[i].whole()
	agg := &c.agg
	if c.dict != nil {
		agg, _ = c.aggregate()
	}
	counts := append(lengths(nil), agg.lengths...)
	if c.empties > 0 {
		counts.add(0, c.empties)
	}
	var out []sketch.Weighted[float64]
	var total uint64
	for at, n := range counts {
		if n > 0 {
			out = append(out, sketch.Weighted[float64]{Value: float64(at), Weight: n})
			total += n
		}
	}
	if 2*total <= uint64(p.outline(i).Count) { //nolint:gosec // a count
		return nil
	}
	return out
}
