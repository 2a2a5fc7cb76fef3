package alert

import (
	"math"
	"slices"
	"strconv"

	"github.com/profilerhq/profiler/internal/profile"
)

// Chart compares a column of the bad batch with its past: shares of the rows in
// bins of numbers, or of values. Its texts are of data.
type Chart struct {
	Column string `json:"column"`
	// Bins are the labels; Past and Now are shares in percent.
	Bins []string  `json:"bins"`
	Past []float64 `json:"past"`
	Now  []float64 `json:"now"`
	// Values tells bins of values from intervals of numbers.
	Values bool `json:"values,omitempty"`
}

// MaxBins is the number of points that a chart may have.
const MaxBins = 20

// NewChart compares the columns of two profiles; nil if there is nothing to
// draw, as for sensitive columns, whose values never leave.
func NewChart(now, past *profile.Summary, column string) *Chart {
	if now == nil || past == nil || column == "" {
		return nil
	}
	a, b := now.Column(column), past.Column(column)
	if a == nil || b == nil {
		return nil
	}
	if c := numericChart(a, b); c != nil {
		c.Column = column
		return c
	}
	if c := valueChart(a, b); c != nil {
		c.Column = column
		return c
	}
	return nil
}

// innerBins are the bins within the past's range. There is one more on each
// side for what lies beyond.
const innerBins = MaxBins - 2

// numericChart divides the range of the past into bins of equal width, so that
// far outliers of today do not hide everything else.
func numericChart(now, past *profile.Column) *Chart {
	if now.Histogram == nil || past.Histogram == nil || past.Distinct.Value <= MaxBins && now.Distinct.Value <= MaxBins {
		return nil // few values are better shown one by one
	}
	pastEdges, ok := numbers(past.Histogram.Edges)
	nowEdges, good := numbers(now.Histogram.Edges)
	if !ok || !good {
		return nil
	}
	lo, hi := pastEdges[0], pastEdges[len(pastEdges)-1]
	if !(hi > lo) || math.IsInf(hi-lo, 0) {
		return nil
	}
	edges := make([]float64, innerBins+1)
	for k := range edges {
		edges[k] = lo + (hi-lo)*float64(k)/innerBins
	}
	c := &Chart{Past: rebin(past.Histogram, pastEdges, edges), Now: rebin(now.Histogram, nowEdges, edges)}
	digits := decimals((hi - lo) / innerBins)
	c.Bins = append(c.Bins, "< "+short(lo, digits))
	for k := range innerBins {
		c.Bins = append(c.Bins, short(edges[k], digits))
	}
	c.Bins = append(c.Bins, "> "+short(hi, digits))
	c.trim()
	return c
}

// trim takes away empty bins at the ends.
func (c *Chart) trim() {
	from, to := 0, len(c.Bins)
	empty := func(k int) bool { return c.Past[k] == 0 && c.Now[k] == 0 }
	for from < to-1 && empty(from) {
		from++
	}
	for to > from+1 && empty(to-1) {
		to--
	}
	c.Bins, c.Past, c.Now = c.Bins[from:to], c.Past[from:to], c.Now[from:to]
}

func numbers(edges []profile.Scalar) ([]float64, bool) {
	out := make([]float64, len(edges))
	for k := range edges {
		f, ok := edges[k].Float()
		if !ok {
			return nil, false
		}
		out[k] = f
	}
	return out, len(out) > 1
}

// rebin spreads the counts of a histogram over other bins, as if the values of
// each bin lay evenly in it, with one bin before and one after. The result is
// in percent.
func rebin(h *profile.Histogram, from, to []float64) []float64 {
	out := make([]float64, len(to)+1)
	total := 0.0
	for k, n := range h.Counts {
		lo, hi, count := from[k], from[k+1], float64(n)
		total += count
		for j := range out {
			a, b := math.Inf(-1), math.Inf(1)
			if j > 0 {
				a = to[j-1]
			}
			if j < len(to) {
				b = to[j]
			}
			out[j] += count * overlap(lo, hi, a, b)
		}
	}
	for j := range out {
		if total > 0 {
			out[j] = round(100 * out[j] / total)
		}
	}
	return out
}

// overlap is the share of lo … hi that lies in a … b.
func overlap(lo, hi, a, b float64) float64 {
	if hi <= lo { // a single value
		if lo >= a && lo < b {
			return 1
		}
		return 0
	}
	return max(0, min(hi, b)-max(lo, a)) / (hi - lo)
}

// maxValues is the number of values that a chart names.
const maxValues = 10

// valueChart compares the shares of the values that changed most, in the order
// of their share in the past.
func valueChart(now, past *profile.Column) *Chart {
	if len(past.Top) == 0 || len(now.Top) == 0 || past.Count == 0 || now.Count == 0 {
		return nil
	}
	share := func(c *profile.Column) map[string]float64 {
		out := map[string]float64{}
		for _, t := range c.Top {
			out[t.Value] = 100 * float64(t.Count) / float64(c.Count)
		}
		return out
	}
	was, is := share(past), share(now)
	var names []string
	for _, top := range [][]profile.TopValue{past.Top, now.Top} {
		for _, t := range top {
			if !slices.Contains(names, t.Value) {
				names = append(names, t.Value)
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		da, db := math.Abs(is[a]-was[a]), math.Abs(is[b]-was[b])
		switch {
		case da > db:
			return -1
		case da < db:
			return 1
		}
		return 0
	})
	names = names[:min(len(names), maxValues)]
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case was[a] > was[b]:
			return -1
		case was[a] < was[b]:
			return 1
		}
		return 0
	})
	c := &Chart{Values: true}
	for _, n := range names {
		c.Bins, c.Past, c.Now = append(c.Bins, n), append(c.Past, round(was[n])), append(c.Now, round(is[n]))
	}
	return c
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

// decimals is how many digits behind the point tell bins of a width apart.
func decimals(width float64) int {
	d := 0
	for width < 1 && d < 8 {
		width *= 10
		d++
	}
	return d
}

func short(f float64, digits int) string {
	if a := math.Abs(f); a >= 1e9 || a > 0 && a < 1e-6 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

// blocks are the heights of a bar drawn of characters.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// Bars draws shares with block characters, scaled to the largest of both.
func (c *Chart) Bars() (past, now string) {
	most := 0.0
	for k := range c.Bins {
		most = max(most, c.Past[k], c.Now[k])
	}
	draw := func(shares []float64) string {
		out := make([]rune, len(shares))
		for k, s := range shares {
			out[k] = blocks[0]
			if most > 0 && s > 0 {
				out[k] = blocks[1+int(math.Round(s/most*float64(len(blocks)-2)))]
			}
		}
		return string(out)
	}
	return draw(c.Past), draw(c.Now)
}

// Changes are the bins that changed most, at most n, the largest change first:
// "DE: was 45.1 %, is 73.4 %".
func (c *Chart) Changes(n int) []string {
	order := make([]int, len(c.Bins))
	for k := range order {
		order[k] = k
	}
	diff := func(k int) float64 { return math.Abs(c.Now[k] - c.Past[k]) }
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case diff(a) > diff(b):
			return -1
		case diff(a) < diff(b):
			return 1
		}
		return 0
	})
	var out []string
	for _, k := range order {
		if len(out) == n || diff(k) == 0 {
			break
		}
		label := c.Bins[k]
		if !c.Values && label != "" && label[0] != '<' && label[0] != '>' {
			label = "from " + label
		}
		out = append(out, Clean(label)+": was "+percent(c.Past[k])+", is "+percent(c.Now[k]))
	}
	return out
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) + " %" }
