package drift

import (
	"math"
	"slices"
)

// cell is one bin of both distributions.
type cell struct {
	text      string
	low, high float64 // as in Move
	p, q      float64 // shares of the baseline and of the batch
	d         float64 // what is left of p−q after the errors of the summaries
}

// cut ends a piece of the number line. Pieces of one bin add up.
type cut struct {
	at   float64
	with bool // values equal to at belong to the piece
	bin  int
}

// cellsOfNumbers sorts both lists into bins that follow from the baseline a
// alone: one for each value and one for all others if there are few, else the
// intervals between its deciles.
func cellsOfNumbers(a, b []weighted, distinct uint64, rankErrors float64) []cell {
	if distinct <= ownBins {
		cells, cuts := singles(a)
		return fill(cells, cuts, a, b, rankErrors)
	}
	cells, cuts := intervals(deciles(a))
	return fill(cells, cuts, a, b, rankErrors)
}

// testedCells returns the bins that the test of significance looks at. Single
// values of the baseline alone would not do: a value of the batch then misses
// them by construction, in a small sample of spread numbers nearly always. So
// each value of either side has its own bin.
func testedCells(cells []cell, a, b []weighted, distinct uint64, rankErrors float64) []cell {
	if distinct > ownBins {
		return cells
	}
	both := make([]weighted, 0, len(a)+len(b))
	walk(a, b, func(x float64, _, _ uint64) { both = append(both, weighted{Value: x}) })
	cells, cuts := singles(both)
	return fill(cells, cuts, a, b, rankErrors)
}

// fill computes the shares of the bins.
func fill(cells []cell, cuts []cut, a, b []weighted, rankErrors float64) []cell {
	upToA, upToB := upTo(a, cuts), upTo(b, cuts)
	n, m := upToA[len(cuts)-1], upToB[len(cuts)-1]
	inA, inB := make([]uint64, len(cells)), make([]uint64, len(cells))
	var lastA, lastB uint64
	var lastGap float64
	for i, c := range cuts {
		inA[c.bin] += upToA[i] - lastA
		inB[c.bin] += upToB[i] - lastB
		// Rank errors belong to cuts, not to bins: a shift that adds up over
		// bins stays visible, one that the errors can explain does not.
		gap := float64(upToA[i])/float64(n) - float64(upToB[i])/float64(m)
		gap = math.Copysign(max(0, math.Abs(gap)-rankErrors), gap)
		cells[c.bin].d += gap - lastGap
		lastA, lastB, lastGap = upToA[i], upToB[i], gap
	}
	for i := range cells {
		cells[i].p, cells[i].q = float64(inA[i])/float64(n), float64(inB[i])/float64(m)
		if rankErrors == 0 {
			cells[i].d = cells[i].p - cells[i].q
		}
	}
	return cells
}

func intervals(edges []float64) ([]cell, []cut) {
	var cells []cell
	var cuts []cut
	low := math.Inf(-1)
	for i, edge := range edges {
		cells = append(cells, cell{low: low, high: edge})
		cuts = append(cuts, cut{at: edge, bin: i})
		low = edge
	}
	cells = append(cells, cell{low: low, high: math.Inf(1)})
	return cells, append(cuts, cut{at: math.Inf(1), with: true, bin: len(edges)})
}

func singles(a []weighted) ([]cell, []cut) {
	var cells []cell
	var cuts []cut
	others := len(a)
	for i, w := range a {
		cells = append(cells, cell{low: w.Value, high: w.Value})
		cuts = append(cuts, cut{at: w.Value, bin: others}, cut{at: w.Value, with: true, bin: i})
	}
	cells = append(cells, cell{low: math.NaN(), high: math.NaN()})
	return cells, append(cuts, cut{at: math.Inf(1), with: true, bin: others})
}

// upTo returns the weight in front of each cut, for cuts in order.
func upTo(s []weighted, cuts []cut) []uint64 {
	out := make([]uint64, len(cuts))
	var i int
	var n uint64
	for k, c := range cuts {
		for ; i < len(s) && (s[i].Value < c.at || c.with && s[i].Value == c.at); i++ {
			n += s[i].Weight
		}
		out[k] = n
	}
	return out
}

// deciles returns the 10 to 90 % quantiles, each once and finite only, so that
// infinities fall into the bins at the ends. It is the inverse of the
// distribution function with averages at its steps (type 2 of Hyndman and Fan,
// "Sample Quantiles in Statistical Packages", 1996): all weights times a
// constant give the same quantiles.
func deciles(a []weighted) []float64 {
	n := float64(total(a))
	var edges []float64
	var up float64
	tenth := 1
	for i, w := range a {
		up += float64(w.Weight)
		for ; tenth < 10 && 10*up >= float64(tenth)*n; tenth++ {
			edge := w.Value
			if 10*up == float64(tenth)*n && i+1 < len(a) {
				edge = w.Value/2 + a[i+1].Value/2
			}
			if !math.IsInf(edge, 0) && !math.IsNaN(edge) {
				edges = append(edges, edge)
			}
		}
	}
	return slices.Compact(edges)
}

// cellsOfTexts lines up the most frequent texts of both sides, and one bin for
// the rest. Where a list leaves a count open, the point nearest to the other
// side is taken. It also returns the largest open share of one text, added
// over both sides.
func cellsOfTexts(baseline, batch Sample) (cells []cell, errs float64) {
	a, b := newCounts(baseline), newCounts(batch)
	var cover [2]float64
	for _, text := range union(baseline, batch) {
		lowP, highP := a.shares(text)
		lowQ, highQ := b.shares(text)
		p := min(max(lowQ, lowP), highP)
		q := min(max(p, lowQ), highQ)
		cells = append(cells, cell{text: text, low: math.NaN(), high: math.NaN(), p: p, q: q})
		cover[0] += p - lowP
		cover[1] += q - lowQ
	}
	rest := cell{low: math.NaN(), high: math.NaN()}
	var scaleP, scaleQ float64
	rest.p, scaleP = a.rest(cover[0])
	rest.q, scaleQ = b.rest(cover[1])
	for i := range cells {
		c := &cells[i]
		lowP, _ := a.shares(c.text)
		lowQ, _ := b.shares(c.text)
		if scaleP < 1 {
			c.p = lowP + (c.p-lowP)*scaleP
		}
		if scaleQ < 1 {
			c.q = lowQ + (c.q-lowQ)*scaleQ
		}
	}
	cells = append(cells, rest)
	for i := range cells {
		cells[i].d = cells[i].p - cells[i].q
	}
	return cells, a.open + b.open
}

// union returns the most frequent texts of the baseline, then those of the
// batch that are new.
func union(baseline, batch Sample) []string {
	seen := map[string]bool{}
	var texts []string
	for _, s := range []Sample{baseline, batch} {
		for _, v := range s.Values[:min(namedValues, len(s.Values))] {
			if !seen[v.Text] {
				seen[v.Text] = true
				texts = append(texts, v.Text)
			}
		}
	}
	return texts
}

// counts finds the bounds of a text's share on one side.
type counts struct {
	rows    float64
	values  map[string]Value
	missing uint64  // the most that a text that is not listed counts
	open    float64 // the largest share that is open for one text
	left    uint64  // rows that belong to no text asked for so far
	asked   map[string]bool
}

func newCounts(s Sample) *counts {
	c := &counts{rows: float64(s.rows()), values: make(map[string]Value, len(s.Values)), left: s.rows(), asked: map[string]bool{}}
	var listed, worst uint64
	for _, v := range s.Values {
		c.values[v.Text] = v
		listed += v.Count
		worst = max(worst, v.Error)
	}
	if !s.Exact {
		switch n := len(s.Values); {
		case s.Missing > 0:
			c.missing = s.Missing
		case n > 0:
			c.missing = s.Values[n-1].Count + worst
		default:
			c.missing = s.rows()
		}
		// What is listed by name cannot be anything else.
		c.missing = min(c.missing, s.rows()-listed)
	}
	c.open = float64(max(worst, c.missing)) / c.rows
	return c
}

// shares returns the bounds of a text's share and books its lower one.
func (c *counts) shares(text string) (low, high float64) {
	v, ok := c.values[text]
	if !ok {
		v.Error = c.missing
	}
	if !c.asked[text] {
		c.asked[text] = true
		c.left -= v.Count
	}
	return float64(v.Count) / c.rows, min(float64(v.Count+v.Error)/c.rows, 1)
}

// rest returns the share of all texts that were not asked for, once extra was
// given to those that were, and by which factor extra must shrink to fit.
func (c *counts) rest(extra float64) (share, scale float64) {
	free := float64(c.left) / c.rows
	if extra > free {
		return 0, free / extra
	}
	return free - extra, 1
}
