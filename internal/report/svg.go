package report

import (
	"fmt"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/words"
)

// The size of a chart in its own units.
const (
	chartWidth  = 300
	chartHeight = 72
)

// chart is a histogram as a picture and as a table.
type chart struct {
	Label    string // what the picture shows, for those who do not see it
	Width    int
	Height   int
	Bars     []chartBar
	From, To string
	Bins     []bin
}

type chartBar struct {
	X, Y, W, H string
	Title      string
}

type bin struct{ From, To, Count string }

// bar is a frequent value with its share.
type bar struct {
	Value, Share, Count string
	Width               string // percent of the most frequent
	Rest                bool   // stands for all other values
}

// chartOf draws the histogram of a column.
func chartOf(c *profile.Column) *chart {
	h := c.Histogram
	out := &chart{Width: chartWidth, Height: chartHeight}
	var top, total int64
	peak := 0
	for i, n := range h.Counts {
		total += n
		if n > top {
			top, peak = n, i
		}
	}
	width := float64(chartWidth) / float64(max(1, len(h.Counts)))
	for i, n := range h.Counts {
		b := bin{From: edge(h, i), To: edge(h, i+1), Count: words.Count(n)}
		out.Bins = append(out.Bins, b)
		if n == 0 {
			continue
		}
		height := max(1.5, float64(chartHeight-2)*float64(n)/float64(top))
		space := min(1, width/4)
		out.Bars = append(out.Bars, chartBar{
			X: fmt.Sprintf("%.2f", float64(i)*width), W: fmt.Sprintf("%.2f", width-space),
			Y: fmt.Sprintf("%.2f", float64(chartHeight)-height), H: fmt.Sprintf("%.2f", height),
			Title: b.From + " … " + b.To + ": " + b.Count,
		})
	}
	out.From, out.To = edge(h, 0), edge(h, len(h.Counts))
	out.Label = fmt.Sprintf("histogram of %s: %s from %s to %s, most between %s and %s", clean(c.Name), words.Things(total, "value"),
		out.From, out.To, edge(h, peak), edge(h, peak+1))
	return out
}

func edge(h *profile.Histogram, i int) string {
	if i < 0 || i >= len(h.Edges) {
		return ""
	}
	return momentOf(h.Edges[i])
}

// manyBars is how many frequent values a column shows as bars.
const manyBars = 6

// bars returns the frequent values of a column and one bar for all others.
func bars(c *profile.Column) []bar {
	var out []bar
	rest := c.Count
	widest := max(1, c.Top[0].Count)
	for i, t := range c.Top {
		if i == manyBars {
			break
		}
		rest -= t.Count
		about := ""
		if t.Error > 0 {
			about = "≈"
		}
		out = append(out, bar{
			Value: cut(quoted(t.Value), 60), Share: about + words.Percent(share(t.Count, c.Count)), Count: about + words.Count(t.Count),
			Width: fmt.Sprintf("%.1f", max(0.5, 100*float64(t.Count)/float64(widest))),
		})
	}
	if others := c.Distinct.Value - int64(len(out)); others > 0 && rest > 0 {
		about := ""
		if !c.Distinct.Exact {
			about = "≈"
		}
		out = append(out, bar{Value: about + words.Things(others, "other value"), Share: words.Percent(share(rest, c.Count)), Count: words.Count(rest), Width: "0", Rest: true})
	}
	return out
}
