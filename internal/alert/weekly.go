package alert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/words"
)

// Weekly says which rules made the most noise, and how much of it was of use,
// so that they can be repaired.
type Weekly struct {
	From, To  time.Time
	Incidents int
	Resolved  int
	// Answered counts the incidents that somebody gave an answer for, Real those
	// that were true finds.
	Answered, Real int
	// Noisiest are the checks that opened the most incidents, at most
	// maxNoisiest.
	Noisiest []Noise
}

// Noise is what one check did.
type Noise struct {
	Dataset, Check        string
	Place                 string // of the rule
	Incidents             int
	Batches               int
	Answered, Real, Flaps int
}

const maxNoisiest = 10

// NewWeekly sums up the incidents that were opened from a time on, before
// another.
func NewWeekly(all []Incident, from, to time.Time) Weekly {
	w := Weekly{From: from, To: to}
	by := map[[2]string]*Noise{}
	for k := range all {
		i := &all[k]
		if i.Status == Pending || i.OpenedAt.Before(from) || !i.OpenedAt.Before(to) {
			continue
		}
		w.Incidents++
		if i.Status == Resolved {
			w.Resolved++
		}
		answered, useful := 0, 0
		if i.Answer != "" {
			answered = 1
		}
		if i.Answer == AnswerReal {
			useful = 1
		}
		w.Answered += answered
		w.Real += useful
		if len(i.Findings) == 0 {
			continue
		}
		f := &i.Findings[0]
		key := [2]string{i.Dataset, f.ID}
		n := by[key]
		if n == nil {
			n = &Noise{Dataset: i.Dataset, Check: f.ID, Place: Place(f.Rule)}
			by[key] = n
		}
		n.Incidents++
		n.Batches += i.Batches
		n.Answered += answered
		n.Real += useful
		n.Flaps += i.Flaps
	}
	for _, n := range by {
		w.Noisiest = append(w.Noisiest, *n)
	}
	slices.SortFunc(w.Noisiest, func(a, b Noise) int {
		return cmp.Or(cmp.Compare(b.Incidents, a.Incidents), cmp.Compare(b.Batches, a.Batches), strings.Compare(a.Dataset, b.Dataset), strings.Compare(a.Check, b.Check))
	})
	w.Noisiest = w.Noisiest[:min(len(w.Noisiest), maxNoisiest)]
	return w
}

// Title names the week.
func (w *Weekly) Title() string {
	return fmt.Sprintf("Week of %s: %s", w.From.UTC().Format("2 January"), words.Things(w.Incidents, "incident"))
}

// Useful says how much of the noise was of use.
func (w *Weekly) Useful() string {
	if w.Answered == 0 {
		return "nobody answered whether they were real: use Answer in the message, or profiler alert answer"
	}
	return fmt.Sprintf("%s of %s real (%d %%), %s without an answer", words.Count(w.Real), words.Plural(w.Answered, "answered one was", "answered ones were"),
		100*w.Real/w.Answered, words.Count(w.Incidents-w.Answered))
}

// Line describes what one check did.
func (n *Noise) Line() string {
	worth := words.Plural(n.Batches, "bad batch", "bad batches")
	if n.Check == KindDeadLetters {
		worth = given(n.Batches)
	}
	s := fmt.Sprintf("%s %s: %s, %s", Clean(n.Dataset), Clean(n.Check), words.Things(n.Incidents, "incident"), worth)
	if n.Flaps > 0 {
		s += ", " + words.Plural(n.Flaps, "came back", "came back")
	}
	if n.Answered > 0 {
		s += fmt.Sprintf(", %d of %d real", n.Real, n.Answered)
	}
	if n.Place != "" {
		s += " (" + n.Place + ")"
	}
	return s
}

// WeekTime is when the weekly message is sent.
type WeekTime struct {
	Day  time.Weekday
	At   time.Duration  // of the day
	Zone *time.Location // nil is UTC
}

// WeeklyDue returns the last time at which the weekly message was due; ok is
// false if there is none, or if it is more than a day ago.
func (o *Options) WeeklyDue(now time.Time) (due time.Time, ok bool) {
	w := o.Weekly
	if w == nil {
		return time.Time{}, false
	}
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	y, m, d := now.In(zone).Date()
	back := (int(now.In(zone).Weekday()) - int(w.Day) + 7) % 7
	due = onDay(y, m, d-back, w.At, zone)
	if due.After(now) {
		due = onDay(y, m, d-back-7, w.At, zone)
	}
	return due, now.Sub(due) <= 24*time.Hour
}
