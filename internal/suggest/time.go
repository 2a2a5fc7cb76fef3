package suggest

import (
	"fmt"
	"time"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/draft"
)

// stale is how old the newest value of a column may be before the column is not
// taken for one that says when something happened.
const stale = 10 * 24 * time.Hour

// freshness suggests a limit for the column of times whose newest value is
// nearest to the time of the batches.
func (s *subject) freshness(f *draft.File) {
	var best *series
	var least time.Duration
	for _, c := range s.columns {
		kind, ok := c.kind()
		if !ok || kind != batch.Timestamp && kind != batch.Date || c.present < len(s.batches) {
			continue
		}
		if lag, ok := s.lag(c); ok && (best == nil || lag < least) {
			best, least = c, lag
		}
	}
	if best == nil {
		return
	}
	limit := niceAge(2 * least)
	f.Add("", draft.Item{Kind: "freshness", Value: draft.Map(draft.Pair{Key: "column", Value: draft.Text(best.name)}, draft.Pair{Key: "max_age", Value: limit})}.
		Because("the newest value is up to %s old at the time of its batch; twice that", niceAge(least)))
}

// lag is how old the newest value of a column is at most.
func (s *subject) lag(c *series) (time.Duration, bool) {
	worst, known := time.Duration(0), 0
	for i, b := range s.batches {
		if b.AsOf.IsZero() || c.cols[i].Count == 0 {
			continue
		}
		_, hi, ok := c.cols[i].Bounds()
		if !ok {
			return 0, false
		}
		newest := time.UnixMicro(hi.Int).UTC()
		if s.opts.Location != nil && !c.cols[i].Zoned() {
			newest = time.Date(newest.Year(), newest.Month(), newest.Day(), newest.Hour(), newest.Minute(), newest.Second(), 0, s.opts.Location)
		}
		lag := b.AsOf.Sub(newest)
		if lag > stale || lag < -stale {
			return 0, false
		}
		worst = max(worst, lag)
		known++
	}
	return worst, known > 0 && known*2 >= len(s.batches)
}

// niceAge writes a span as people do, rounded up.
func niceAge(d time.Duration) string {
	const day = 24 * time.Hour
	for _, nice := range []struct {
		limit, unit time.Duration
		name        string
	}{{time.Hour, 5 * time.Minute, "m"}, {day - time.Hour, time.Hour, "h"}} {
		if d <= nice.limit {
			n := max(1, (d+nice.unit-1)/nice.unit)
			if nice.name == "m" {
				if n*5 == 60 {
					return "1h"
				}
				return fmt.Sprintf("%dm", n*5)
			}
			return fmt.Sprintf("%dh", n)
		}
	}
	return fmt.Sprintf("%dd", (d+day-1)/day)
}
