package suggest

import (
	"cmp"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/draft"
	"github.com/profilerhq/profiler/internal/words"
)

const (
	// maxSet is how many values a closed set may have.
	maxSet = 50
	// smallSet is how many it may have if there are few batches.
	smallSet = 20
	// maxText is how many bytes a value of a set may have; longer ones are
	// sentences.
	maxText = 60
	// minTimes is how often each of its values has to occur.
	minTimes = 5
)

// value is what is known of one value of a column.
type value struct {
	text    string
	count   int64
	batches int
}

// values returns all values of a column, or false if not all are known or
// there are too many.
func (c *series) values() ([]value, bool) {
	index := map[string]*value{}
	for i, col := range c.cols {
		if col == nil || col.Count == 0 {
			continue
		}
		list, missing := c.profiles[i].Values(c.name, maxSet+1)
		if missing > 0 || len(list) > maxSet {
			return nil, false
		}
		for _, v := range list {
			if index[v.Text] == nil {
				index[v.Text] = &value{text: v.Text}
			}
			index[v.Text].count += int64(v.Count)
			index[v.Text].batches++
		}
	}
	if len(index) == 0 || len(index) > maxSet {
		return nil, false
	}
	out := make([]value, 0, len(index))
	for _, v := range index {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b value) int {
		x, isA := parseInt(a.text)
		y, isB := parseInt(b.text)
		if isA && isB {
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.text, b.text))
		}
		return cmp.Compare(a.text, b.text)
	})
	return out, true
}

// closedSet suggests a list of values where the data supports that there are no
// others: no value was seen only a few times, and none in one batch alone. The
// share of values that were not seen yet is bounded by Good and Turing; what it
// may come to is tolerated.
func (c *series) closedSet(f *draft.File, kind batch.Type) bool {
	if kind != batch.String && kind != batch.Integer || c.count < 100 {
		return false
	}
	list, ok := c.values()
	if len(list) > smallSet && len(c.cols) < 3 { // one batch knows little of others
		return false
	}
	if !ok || int64(len(list))*20 > c.count || len(list) < 2 && kind != batch.String {
		return false
	}
	if kind == batch.Integer && !isCode(list) {
		return false
	}
	once, least := int64(0), list[0].count
	for _, v := range list {
		if v.count < minTimes || len(c.cols) >= 3 && v.batches < 3 {
			return false
		}
		if len(v.text) > maxText {
			return false
		}
		if v.count == 1 {
			once++
		}
		least = min(least, v.count)
	}
	_, upper := unseen(once, c.count)
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = v.text
		if kind == batch.String {
			texts[i] = draft.Text(v.text)
		}
	}
	item := draft.Item{Kind: "in", Value: draft.List(texts)}
	if len(texts) > 8 {
		item.Value, item.Lines = "", wrap("[", texts, "]")
	}
	perBatch := c.count / int64(len(c.cols))
	if float64(perBatch)*upper > 0.05 { // a new value in the next batch would be no surprise
		item = item.With("warn", "0").With("fail", draft.Percent(max(0.01, tolerance(upper))))
	}
	f.Add(c.name, item.Because("%s, each at least %s times in %s; the share of values not seen yet is below %s (Good-Turing, 95 %%)",
		words.Things(len(list), "value"), words.Count(least), words.Things(c.count, "row"), share(upper)))
	return true
}

// isCode reports whether integers are flags or codes rather than counts: two
// values, or few with gaps between them.
func isCode(list []value) bool {
	numbers := make([]int64, 0, len(list))
	for _, v := range list {
		n, ok := parseInt(v.text)
		if !ok {
			return false
		}
		numbers = append(numbers, n)
	}
	lo, hi := slices.Min(numbers), slices.Max(numbers)
	if len(numbers) == 2 {
		return lo == 0 && hi == 1
	}
	return len(numbers) <= 10 && lo >= 0 && hi-lo > 4*int64(len(numbers))
}
