package anomaly

import (
	"math"
	"slices"
	"time"
)

// Arrival is when a batch came: At is the time of its data, Came when it was
// recorded.
type Arrival struct{ At, Came time.Time }

// Late is a batch that should have come.
type Late struct {
	// Expected is when the like came at the latest; Due is with what it may be
	// later. Last is when the last batch came.
	Expected, Due, Last time.Time
	// History is how many arrivals are behind it.
	History int
}

const (
	leastArrivals = fullHistory
	sameWeekdays  = 4         // of one weekday, that all had a batch
	leastSlack    = time.Hour // by which a daily batch may be later than ever
	oneDay        = 24 * time.Hour
)

// Overdue finds the newest batch that always came by some time, and has not come
// by now: lane 0 for what is not there. Batches that come daily are expected at
// the latest time of day of the last 28, on weekdays on which the last four all
// came, and may be an hour later, or half of what these times span. All others
// are expected after 1.25 times the longest gap of the past, and at least twice
// the usual one. What was loaded long after its time is no arrival. ok is false
// while too little is known or nothing is late.
func Overdue(arrivals []Arrival, now time.Time) (late Late, ok bool) {
	came := lively(arrivals)
	if len(came) < leastArrivals {
		return late, false
	}
	gaps := make([]float64, 0, len(came))
	for i := 1; i < len(came); i++ {
		gaps = append(gaps, float64(came[i].Sub(came[i-1])))
	}
	slices.Sort(gaps)
	usual, longest := time.Duration(quantile(gaps, 0.5)), time.Duration(gaps[len(gaps)-1])
	if usual >= 20*time.Hour && usual <= 28*time.Hour {
		if late, ok, daily := overdueDay(came, now); daily {
			return late, ok
		}
	}
	last := came[len(came)-1]
	late = Late{Expected: last.Add(usual), Due: last.Add(max(2*usual, longest+longest/4)), Last: last, History: len(came)}
	return late, usual > 0 && !now.Before(late.Due)
}

// lively returns when batches came that came about when they were made, oldest
// first: others were loaded later, and their gaps mean nothing.
func lively(arrivals []Arrival) []time.Time {
	made := make([]time.Time, 0, len(arrivals))
	for _, a := range arrivals {
		made = append(made, a.At)
	}
	slices.SortFunc(made, time.Time.Compare)
	var gaps []float64
	for i := 1; i < len(made); i++ {
		if gap := made[i].Sub(made[i-1]); gap > 0 {
			gaps = append(gaps, float64(gap))
		}
	}
	most := 2 * time.Duration(medianOf(gaps))
	var came []time.Time
	for _, a := range arrivals {
		if lag := a.Came.Sub(a.At).Abs(); lag <= most {
			came = append(came, a.Came.UTC())
		}
	}
	slices.SortFunc(came, time.Time.Compare)
	return came
}

// overdueDay is Overdue for batches that come daily; daily is false where they
// come at all hours.
func overdueDay(came []time.Time, now time.Time) (late Late, ok, daily bool) {
	recent := came[max(0, len(came)-shortWindow):]
	begin := quietHour(recent)
	dayOf := func(at time.Time) int64 { return floorDiv(at.UnixNano()-int64(begin), int64(oneDay)) }
	since := func(at time.Time) time.Duration {
		return time.Duration(at.UnixNano() - int64(begin) - dayOf(at)*int64(oneDay))
	}
	earliest, latest := oneDay, time.Duration(0)
	for _, at := range recent {
		earliest, latest = min(earliest, since(at)), max(latest, since(at))
	}
	slack := max(leastSlack, (latest-earliest)/2)
	if latest+slack >= oneDay {
		return late, false, false
	}
	had := map[int64]bool{}
	for _, at := range came {
		had[dayOf(at)] = true
	}
	last := came[len(came)-1]
	first := dayOf(came[0])
	for day := dayOf(now); day > dayOf(last); day-- {
		expected := time.Unix(0, int64(begin)+day*int64(oneDay)).Add(latest).UTC()
		if now.Before(expected.Add(slack)) || !always(had, day, first) {
			continue
		}
		return Late{Expected: expected, Due: expected.Add(slack), Last: last, History: len(recent)}, true, true
	}
	return late, false, true
}

// always reports whether the same weekdays before a day all had a batch.
func always(had map[int64]bool, day, first int64) bool {
	n := 0
	for before := day - 7; before >= first && n < sameWeekdays; before -= 7 {
		if !had[before] {
			return false
		}
		n++
	}
	return n >= slotLeast
}

// quietHour is the middle of the longest part of the day in which nothing comes:
// there a day begins.
func quietHour(came []time.Time) time.Duration {
	at := make([]float64, 0, len(came))
	for _, c := range came {
		at = append(at, float64(c.Sub(c.Truncate(oneDay))))
	}
	slices.Sort(at)
	gap := at[0] + float64(oneDay) - at[len(at)-1]
	middle := at[len(at)-1] + gap/2
	for i := 1; i < len(at); i++ {
		if d := at[i] - at[i-1]; d > gap {
			gap, middle = d, at[i-1]+d/2
		}
	}
	return time.Duration(math.Mod(middle, float64(oneDay)))
}
