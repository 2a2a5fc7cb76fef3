package backtest

import (
	"slices"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
)

// window merges the profiles of a window that moves on. Columns of counted
// numbers, whose merge costs most, slide: what comes is added, what goes is
// taken away. The others are merged by stacks.
type window struct {
	h       *history
	next    int   // batches before this one were taken
	batches []int // of the window, oldest first
	slides  map[string]*profile.Slide
	stacks  stacks
}

// at moves the window to what batch i is compared with.
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
	for len(w.batches) > 0 && (n.Window.Batches > 0 && len(w.batches) > n.Window.Batches || w.h.in.Batches[w.batches[0]].At.Before(since)) {
		w.pop()
	}
	past := checks.Past{Batches: len(w.batches)}
	if past.Batches == 0 {
		return past
	}
	if w.h.share(w.batches[0]) != w.h.share(i) {
		return checks.Past{} // samples of another share do not merge
	}
	past.Profile = w.merged()
	past.At = w.h.in.Batches[w.batches[len(w.batches)-1]].At
	return past
}

// push takes a batch; of samples of another share those before go. All columns of the first one slide, until one of them has
// something else than counted numbers.
func (w *window) push(k int) {
	p := w.h.in.Batches[k].Profile
	if n := len(w.batches); n > 0 && w.h.share(w.batches[n-1]) != w.h.share(k) {
		w.batches, w.slides, w.stacks = nil, nil, stacks{}
	}
	if w.slides == nil {
		w.slides = map[string]*profile.Slide{}
		for _, name := range w.h.comparedOf(k) {
			w.slides[name] = &profile.Slide{Name: name}
		}
	}
	stopped := false
	for name, s := range w.slides {
		if !s.Push(p) {
			delete(w.slides, name)
			stopped = true
		}
	}
	w.batches = append(w.batches, k)
	if stopped {
		w.restack()
		return
	}
	w.stacks.push(w, k)
}

func (w *window) pop() {
	for _, s := range w.slides {
		s.Pop()
	}
	w.batches = w.batches[1:]
	w.stacks.pop(w)
}

// restack merges the window anew, after columns stopped to slide.
func (w *window) restack() {
	w.stacks = stacks{}
	for _, k := range w.batches {
		w.stacks.push(w, k)
	}
}

// part returns what the stacks merge of batch k: without the values that slide.
func (w *window) part(k int) *profile.Profile {
	return w.h.in.Batches[k].Profile.Hollow(w.h.comparedOf(k), func(name string) bool { return w.slides[name] != nil })
}

// merged returns the profile of the window.
func (w *window) merged() *profile.Profile {
	p := w.stacks.profile()
	for name, s := range w.slides {
		q, ok := s.Into(p)
		if !ok {
			delete(w.slides, name)
			w.restack()
			return w.merged()
		}
		p = q
	}
	return p
}

// stacks merge profiles: one stack of merged suffixes of the older part and one
// of the newer part, so that a step costs about two merges however long the
// window is.
type stacks struct {
	// older are merged profiles of the older part: the last one is that of all
	// of it.
	older   []*profile.Profile
	newer   *profile.Profile
	newerOf []int // batches, oldest first
}

func (s *stacks) push(w *window, k int) {
	p := w.part(k)
	if s.newer == nil {
		s.newer = p
	} else {
		s.newer = merged(p, s.newer)
	}
	s.newerOf = append(s.newerOf, k)
}

func (s *stacks) pop(w *window) {
	if len(s.older) == 0 { // turn the newer part over
		var all *profile.Profile
		for _, k := range slices.Backward(s.newerOf) {
			p := w.part(k)
			if all == nil {
				all = p
			} else {
				all = merged(all, p)
			}
			s.older = append(s.older, all)
		}
		s.newer, s.newerOf = nil, nil
	}
	s.older = s.older[:len(s.older)-1]
}

func (s *stacks) profile() *profile.Profile {
	switch {
	case len(s.older) == 0:
		return s.newer
	case s.newer == nil:
		return s.older[len(s.older)-1]
	}
	return merged(s.newer, s.older[len(s.older)-1])
}

func merged(a, b *profile.Profile) *profile.Profile {
	m, err := profile.Merged(a, b)
	if err != nil { // of another sample: the newer ones stand alone
		return a
	}
	return m
}
