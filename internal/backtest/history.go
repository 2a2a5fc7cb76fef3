package backtest

import (
	"context"
	"slices"

	"github.com/profilerhq/profiler/internal/checks"
)

// history answers what checks ask of the past from the batches themselves: for
// each batch only of those before it.
type history struct {
	in      Input
	series  map[seriesKey][]point
	windows map[checks.Need]*window
	// compared are the columns, or patterns of them, of which whole profiles are
	// asked; names are those of each batch, once they were asked for.
	compared []string
	names    [][]string
}

type seriesKey struct{ column, metric string }

// point is a number of a batch; ok is false if it has none.
type point struct {
	v  float64
	ok bool
}

func newHistory(in Input, plan checks.Plan) *history {
	h := &history{in: in, series: map[seriesKey][]point{}, windows: map[checks.Need]*window{}, names: make([][]string, len(in.Batches))}
	for _, c := range plan.Checks {
		if slices.ContainsFunc(c.Needs(), func(n checks.Need) bool { return n.Profile }) {
			h.compared = append(h.compared, c.Column)
		}
	}
	return h
}

// comparedOf returns the columns of batch k that are compared.
func (h *history) comparedOf(k int) []string {
	if h.names[k] == nil {
		h.names[k] = slices.DeleteFunc(h.in.Batches[k].Profile.ColumnNames(), func(name string) bool {
			return !slices.ContainsFunc(h.compared, func(pattern string) bool { return checks.Match(pattern, name) })
		})
	}
	return h.names[k]
}

// answer answers the needs of batch i.
func (h *history) answer(ctx context.Context, i int, needs []checks.Need) map[checks.Need]checks.Past {
	out := make(map[checks.Need]checks.Past, len(needs))
	var others []checks.Need
	for _, n := range needs {
		switch {
		case n.Results != "":
			out[n] = checks.Past{} // what the rule said of other days is being found out
		case n.Window.Input:
			out[n] = checks.Past{Err: "the input of the step is not kept with the batch"}
		case n.Dataset != "" || n.Window.Pinned != "":
			others = append(others, n)
		case n.Profile:
			out[n] = h.profiles(i, n)
		default:
			if why := checks.NotCompared(n.Metric, h.share(i)); why != "" {
				out[n] = checks.Past{Err: why}
				continue
			}
			out[n] = h.values(i, n)
		}
	}
	if len(others) == 0 {
		return out
	}
	if h.in.Other == nil {
		for _, n := range others {
			out[n] = checks.Past{Err: "it compares with what is not among the batches"}
		}
		return out
	}
	b := &h.in.Batches[i]
	for n, p := range h.in.Other.Past(ctx, h.in.Dataset, b.Name, b.At, others) {
		out[n] = p
	}
	return out
}

// sameWeekdays is how many batches of one weekday are compared with.
const sameWeekdays = 4

// values returns the series of a metric, newest first.
func (h *history) values(i int, n checks.Need) (past checks.Past) {
	limit := n.Window.Batches
	if n.Window.SameWeekday {
		limit = sameWeekdays
	}
	at := h.in.Batches[i].At
	for k := i - 1; k >= 0; k-- {
		b := &h.in.Batches[k]
		if n.Window.Span > 0 && b.At.Before(at.Add(-n.Window.Span)) {
			break
		}
		if !h.counts(i, k) || checks.NotCompared(n.Metric, h.share(k)) != "" || n.Window.SameWeekday && b.At.Weekday() != at.Weekday() {
			continue
		}
		p := h.point(k, seriesKey{n.Column, n.Metric})
		if !p.ok {
			continue
		}
		if past.Values = append(past.Values, p.v); limit > 0 && len(past.Values) == limit {
			break
		}
	}
	return past
}

// share is the share of its rows that the profile of batch i is of, 0 if all.
func (h *history) share(i int) float64 {
	if p := h.in.Batches[i].Profile; p != nil {
		return p.Stats.Sample
	}
	return 0
}

// counts reports whether batch k is a part of what batch i compares with.
func (h *history) counts(i, k int) bool {
	b := &h.in.Batches[k]
	return b.Accepted && b.Profile != nil && b.At.Before(h.in.Batches[i].At)
}

// point returns a metric of batch k, computed once.
func (h *history) point(k int, key seriesKey) point {
	s := h.series[key]
	if s == nil {
		s = make([]point, len(h.in.Batches))
		for j := range h.in.Batches {
			p := h.in.Batches[j].Profile
			switch {
			case p == nil:
			case key.column == "":
				s[j].v, s[j].ok = p.Metric(key.metric)
			default:
				if col := p.Column(key.column); col != nil {
					s[j].v, s[j].ok = col.Metric(key.metric)
				}
			}
		}
		h.series[key] = s
	}
	return s[k]
}

// profiles returns the merged profile of a window.
func (h *history) profiles(i int, n checks.Need) checks.Past {
	w := h.windows[n]
	if w == nil {
		w = &window{h: h}
		h.windows[n] = w
	}
	return w.at(i, n)
}
