package web

import (
	"fmt"
	"strings"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/store"
	"github.com/profilerhq/profiler/internal/words"
)

// The parts of the history chart, in its own units: one slot per batch, the
// bars of the rows above, the strip of the verdicts below.
const (
	slot        = 10
	fewestSlots = 30
	barsHeight  = 150
	stripHeight = 24
	stripGap    = 12
	chartHeight = barsHeight + stripGap + stripHeight
)

// historyChart shows rows and verdicts of batches, oldest first.
type historyChart struct {
	Label             string
	Width, Height     int
	Base              int
	Bars              []historyBar
	Top, Middle       string
	MiddleY           int
	First, Last, Span string
}

type historyBar struct {
	// X and W are those of the bar, Y and H its height; MarkY and MarkH those of
	// the verdict below it.
	SlotX, X, W, Y, H, MarkY, MarkH string
	Status                          string
	Title, Href                     string
}

func historyChartOf(batches []store.Batch) *historyChart {
	if len(batches) == 0 {
		return nil
	}
	n := len(batches)
	slots := max(n, fewestSlots)
	c := &historyChart{Width: slots * slot, Height: chartHeight, Base: barsHeight, MiddleY: barsHeight / 2}
	var top int64
	for i := range batches {
		top = max(top, batches[i].Rows)
	}
	top = roundUp(top)
	c.Top, c.Middle = short(float64(top)), short(float64(top)/2)
	for i := range batches {
		b := &batches[i]
		x := float64((slots - n + i) * slot)
		height := float64(barsHeight) * float64(b.Rows) / float64(top)
		if b.Rows > 0 {
			height = max(height, 2)
		}
		mark := map[checks.Status]int{checks.Warn: 14, checks.Fail: stripHeight, checks.Error: stripHeight}[b.Verdict]
		if mark == 0 {
			mark = 6
		}
		c.Bars = append(c.Bars, historyBar{
			SlotX: px(x), X: px(x + 1), W: px(slot - 2), Y: px(barsHeight - height), H: px(height),
			MarkY: px(float64(chartHeight - mark)), MarkH: px(float64(mark)), Status: b.Verdict.String(),
			Title: fmt.Sprintf("%s, %s: %s, %s", shown(b.Batch), stamp(b.At), words.Things(b.Rows, "row"), b.Verdict),
			Href:  BatchPath(b.Dataset, b.Batch),
		})
	}
	first, last := &batches[0], &batches[n-1]
	c.First, c.Last = first.At.UTC().Format("2006-01-02"), last.At.UTC().Format("2006-01-02")
	if n < fewestSlots {
		c.Span = c.First
		if c.Last != c.First {
			c.Span += " … " + c.Last
		}
	}
	c.Label = fmt.Sprintf("rows and verdicts of the last %s from %s to %s: %s to %s rows, %s", words.Plural(n, "batch", "batches"),
		c.First, c.Last, words.Count(fewest(batches)), words.Count(most(batches)), tally(batches))
	return c
}

// roundUp returns the next number with one or two leading digits that an axis
// can end with.
func roundUp(n int64) int64 {
	step := int64(1)
	for n/step >= 100 {
		step *= 10
	}
	if step == 1 && n <= 10 {
		return max(2, n+n%2)
	}
	for _, nice := range []int64{10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100} {
		if nice*step >= n {
			return nice * step
		}
	}
	return n
}

// short writes a number for an axis.
func short(f float64) string {
	for _, u := range []struct {
		size float64
		unit string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e4, " k"}} {
		if f >= u.size {
			if u.unit == " k" {
				u.size = 1e3
			}
			return words.Number(f/u.size) + u.unit
		}
	}
	return words.Number(f)
}

func fewest(batches []store.Batch) int64 {
	least := batches[0].Rows
	for i := range batches {
		least = min(least, batches[i].Rows)
	}
	return least
}

func most(batches []store.Batch) int64 {
	greatest := batches[0].Rows
	for i := range batches {
		greatest = max(greatest, batches[i].Rows)
	}
	return greatest
}

// tally counts verdicts in words, the worst first.
func tally(batches []store.Batch) string {
	counts := map[checks.Status]int64{}
	for i := range batches {
		counts[batches[i].Verdict]++
	}
	var parts []string
	for _, s := range []checks.Status{checks.Error, checks.Fail, checks.Warn, checks.Pass} {
		if counts[s] > 0 {
			parts = append(parts, words.Count(counts[s])+" "+s.String())
		}
	}
	return strings.Join(parts, ", ")
}

// The size of a sparkline and of the histogram of a column.
const (
	sparkWidth, sparkHeight = 132, 30
	histWidth, histHeight   = 132, 34
)

// sparkline shows the rows of the last batches, with a mark at bad ones.
type sparkline struct {
	Label         string
	Width, Height int
	Line, Area    string
	Marks         []sparkMark
}

type sparkMark struct{ X, Y, Status, Cross string }

func sparklineOf(batches []store.Batch) *sparkline {
	if len(batches) < 2 {
		return nil
	}
	top := float64(max(1, most(batches)))
	s := &sparkline{Width: sparkWidth, Height: sparkHeight}
	var line strings.Builder
	const margin = 4
	step := float64(sparkWidth-2*margin) / float64(len(batches)-1)
	bad := int64(0)
	for i := range batches {
		x := margin + float64(i)*step
		y := margin + float64(sparkHeight-2*margin)*(1-float64(batches[i].Rows)/top)
		fmt.Fprintf(&line, "%s%s %s", map[bool]string{true: "M", false: "L"}[i == 0], px(x), px(y))
		if v := batches[i].Verdict; v == checks.Fail || v == checks.Error || v == checks.Warn {
			if v != checks.Warn {
				bad++
			}
			s.Marks = append(s.Marks, sparkMark{X: px(x), Y: px(y), Status: v.String(),
				Cross: fmt.Sprintf("M%s %sl6 6m0 -6l-6 6", px(x-3), px(y-3))})
		}
	}
	s.Line = line.String()
	s.Area = s.Line + fmt.Sprintf("V%d H%d Z", sparkHeight, margin)
	s.Label = fmt.Sprintf("rows of the last %s: %s to %s, now %s; %s failed", words.Plural(len(batches), "batch", "batches"),
		words.Count(fewest(batches)), words.Count(most(batches)), words.Count(batches[len(batches)-1].Rows), words.Count(bad))
	return s
}

// histogram shows the distribution of a column.
type histogram struct {
	Label         string
	Width, Height int
	Path          string
}

func histogramOf(c *profile.Column) *histogram {
	h := c.Histogram
	if h == nil || len(h.Counts) == 0 || len(h.Edges) != len(h.Counts)+1 {
		return nil
	}
	var top, total int64
	peak := 0
	for i, n := range h.Counts {
		total += n
		if n > top {
			top, peak = n, i
		}
	}
	if top == 0 {
		return nil
	}
	var b strings.Builder
	width := float64(histWidth) / float64(len(h.Counts))
	for i, n := range h.Counts {
		if n == 0 {
			continue
		}
		height := max(1.5, float64(histHeight-1)*float64(n)/float64(top))
		fmt.Fprintf(&b, "M%s %dv-%sh%sv%sz", px(float64(i)*width), histHeight, px(height), px(max(width-min(1, width/4), 0.5)), px(height))
	}
	return &histogram{
		Width: histWidth, Height: histHeight, Path: b.String(),
		Label: fmt.Sprintf("histogram of %s: %s from %s to %s, most between %s and %s", shown(c.Name), words.Things(total, "value"),
			value(h.Edges[0]), value(h.Edges[len(h.Counts)]), value(h.Edges[peak]), value(h.Edges[peak+1])),
	}
}

// px writes a coordinate.
func px(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
