package backtest

import (
	"context"
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// history answers what checks ask of the past from the batches themselves: for
// each batch only of those before it.
type history struct {
	in      Input
	series  map[seriesKey][]point
	windows map[checks.Need]*window
	// compared are the columns, or patterns of them, of which whole profiles are
	// asked; slim are the profiles of these alone.
	compared []string
	slim     []*profile.Profile
}

type seriesKey struct{ column, metric string }

// point is a number of a batch; ok is false if it has none.
type point struct {
	v  float64
	ok bool
}

func newHistory(in Input, plan checks.Plan) *history {
	h := &history{in: in, series: map[seriesKey][]point{}, windows: map[checks.Need]*window{}, slim: make([]*profile.Profile, len(in.Batches))}
	for _, c := range plan.Checks {
		if slices.ContainsFunc(c.Needs(), func(n checks.Need) bool { return n.Profile }) {
			h.compared = append(h.compared, c.Column)
		}
	}
	return h
}

// part returns the profile of the columns of batch k that are compared.
func (h *history) part(k int) *profile.Profile {
	if h.slim[k] == nil {
		p := h.in.Batches[k].Profile
		h.slim[k] = p.Select(slices.DeleteFunc(p.ColumnNames(), func(name string) bool {
			return !slices.ContainsFunc(h.compared, func(pattern string) bool { return checks.Match(pattern, name) })
		}))
	}
	return h.slim[k]
}

// answer answers the needs of batch i.
func (h *history) answer(ctx context.Context, i int, needs []checks.Need) map[checks.Need]checks.Past {
	out := make(map[checks.Need]checks.Past, len(needs))
	var others []checks.Need
	for _, n := range needs {
		switch {
		case n.Window.Input:
			out[n] = checks.Past{Err: "the input of the step is not kept with the batch"}
		case n.Dataset != "" || n.Window.Pinned != "":
			others = append(others, n)
		case n.Profile:
			out[n] = h.profiles(i, n)
		default:
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
		if !h.counts(i, k) || n.Window.SameWeekday && b.At.Weekday() != at.Weekday() {
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
				s[j].v, s[j].ok = p.Summary().Metric(key.metric)
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

// window merges the profiles of a window that moves on: two stacks, one of
// merged suffixes of the older part and one of the newer part, so that a step
// costs about two merges however long the window is.
type window struct {
	h    *history
	next int // batches before this one were pushed
	// older are merged profiles of the older part: the last one is that of all
	// of it. Their batches are olderOf, the last one is the oldest.
	older   []*profile.Profile
	olderOf []int
	newer   *profile.Profile
	newerOf []int
}

func (w *window) at(i int, n checks.Need) checks.Past {
	at := w.h.in.Batches[i].At
	for ; w.next < i && w.h.in.Batches[w.next].At.Before(at); w.next++ {
		if w.h.counts(i, w.next) {
			w.push(w.next)
		}
	}
	var since time.Time
	if n.Window.Span > 0 {
		since = at.Add(-n.Window.Span)
	}
	for w.size() > 0 && (n.Window.Batches > 0 && w.size() > n.Window.Batches || w.h.in.Batches[w.oldest()].At.Before(since)) {
		w.pop()
	}
	past := checks.Past{Batches: w.size()}
	switch {
	case past.Batches == 0:
		return past
	case len(w.older) == 0:
		past.Profile = w.newer
	case w.newer == nil:
		past.Profile = w.older[len(w.older)-1]
	default:
		past.Profile = merged(w.newer, w.older[len(w.older)-1])
	}
	past.At = w.h.in.Batches[w.newest()].At
	return past
}

func (w *window) size() int { return len(w.olderOf) + len(w.newerOf) }

func (w *window) oldest() int {
	if len(w.olderOf) > 0 {
		return w.olderOf[len(w.olderOf)-1]
	}
	return w.newerOf[0]
}

func (w *window) newest() int {
	if len(w.newerOf) > 0 {
		return w.newerOf[len(w.newerOf)-1]
	}
	return w.olderOf[0]
}

func (w *window) push(k int) {
	p := w.h.part(k)
	if w.newer == nil {
		w.newer = p
	} else {
		w.newer = merged(p, w.newer)
	}
	w.newerOf = append(w.newerOf, k)
}

func (w *window) pop() {
	if len(w.older) == 0 { // turn the newer part over
		var all *profile.Profile
		for j := len(w.newerOf) - 1; j >= 0; j-- {
			p := w.h.part(w.newerOf[j])
			if all == nil {
				all = p
			} else {
				all = merged(all, p)
			}
			w.older, w.olderOf = append(w.older, all), append(w.olderOf, w.newerOf[j])
		}
		w.newer, w.newerOf = nil, nil
	}
	w.older, w.olderOf = w.older[:len(w.older)-1], w.olderOf[:len(w.olderOf)-1]
}

func merged(a, b *profile.Profile) *profile.Profile {
	m, err := profile.Merged(a, b)
	if err != nil { // of another sample: the newer ones stand alone
		return a
	}
	return m
}
