package signal

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/profilerhq/profiler/internal/batch"
)

func hoursOf(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }

// mass returns categories of a column whose values together come closest to a
// share of its values, drawn in a random order.
func mass(col []string, share float64, rng *rand.Rand) map[string]bool {
	counts := map[string]int{}
	total := 0
	for _, s := range col {
		if s != null {
			counts[s]++
			total++
		}
	}
	values := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	want, got := share*float64(total), 0.0
	chosen := map[string]bool{}
	for _, v := range values {
		c := float64(counts[v])
		if len(chosen) < len(values)-1 && math.Abs(got+c-want) < math.Abs(got-want) {
			chosen[v] = true
			got += c
		}
	}
	return chosen
}

// categoryDropped drops the rows of some categories, of about a share of the
// mass: at least half of it and at most twice.
func categoryDropped(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	i := in.choose(rng, category)
	if i < 0 {
		return nil, nil
	}
	col := in.table.cols[i]
	chosen := mass(col, share, rng)
	var keep []int
	for r, s := range col {
		if !chosen[s] {
			keep = append(keep, r)
		}
	}
	if lost := float64(len(col)-len(keep)) / float64(len(col)); lost < share/2 || lost > 2*share {
		return nil, nil
	}
	return in.table.pick(keep), []string{in.table.names[i], ""}
}

func newCategory(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	return change(in, rng, share, category, func(*columnFacts, string) string { return "brand new" })
}

// mojibake reads UTF-8 as Latin-1. Texts without any other letter than those
// of ASCII get one first.
func mojibake(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	return change(in, rng, share, texts, func(_ *columnFacts, text string) string {
		at := strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
		if at < 0 {
			text = accent(text)
		}
		var b strings.Builder
		for _, c := range []byte(text) {
			b.WriteRune(rune(c))
		}
		return b.String()
	})
}

var accents = strings.NewReplacer("a", "ä", "e", "é", "i", "í", "o", "ö", "u", "ü", "A", "Ä", "E", "É", "I", "Í", "O", "Ö", "U", "Ü")

// accent puts accents on the vowels of a text, or an accented letter behind it.
func accent(text string) string {
	if a := accents.Replace(text); a != text {
		return a
	}
	return text + "é"
}

// columnsSwapped swaps two columns of one kind in some rows.
func columnsSwapped(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	swappable := func(f columnFacts) bool { return f.kind.Numeric() || f.kind == batch.String }
	i := in.choose(rng, func(f columnFacts) bool { return swappable(f) && in.partners(f.kind) > 1 })
	if i < 0 {
		return nil, nil
	}
	j := i
	for j == i {
		j = in.choose(rng, func(f columnFacts) bool { return f.kind.Family() == in.columns[i].kind.Family() })
	}
	a, b := slices.Clone(in.table.cols[i]), slices.Clone(in.table.cols[j])
	for _, r := range some(rng, len(a), share) {
		a[r], b[r] = b[r], a[r]
	}
	return in.table.with(i, a).with(j, b), []string{in.table.names[i], in.table.names[j]}
}

// partners counts the columns of a kind.
func (v *victim) partners(kind batch.Type) (n int) {
	for _, f := range v.columns {
		if f.count > 0 && f.kind.Family() == kind.Family() {
			n++
		}
	}
	return n
}

// stringsCut cuts texts at a percentile of their lengths.
func stringsCut(in *victim, percentile float64, rng *rand.Rand) (*table, []string) {
	i := in.choose(rng, texts)
	if i < 0 {
		return nil, nil
	}
	var lengths []int
	for _, s := range in.table.cols[i] {
		if s != null {
			lengths = append(lengths, utf8.RuneCountInString(s))
		}
	}
	slices.Sort(lengths)
	limit := max(1, lengths[int(percentile*float64(len(lengths)-1))])
	col := slices.Clone(in.table.cols[i])
	for r, s := range col {
		if s != null && utf8.RuneCountInString(s) > limit {
			col[r] = string([]rune(s)[:limit])
		}
	}
	return in.table.with(i, col), in.table.names[i : i+1]
}

// frozenValues repeats a value to the end of the batch, as of a sensor that
// hangs.
func frozenValues(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	i := in.choose(rng, func(f columnFacts) bool { return f.distinct > 1 })
	if i < 0 {
		return nil, nil
	}
	col := slices.Clone(in.table.cols[i])
	first := min(len(col)-1, int(math.Round((1-share)*float64(len(col)))))
	at := max(0, first-1)
	for at > 0 && col[at] == null {
		at--
	}
	last := col[at]
	for r := first; r < len(col); r++ {
		col[r] = last
	}
	return in.table.with(i, col), in.table.names[i : i+1]
}

// segmentBroken nulls a column, or makes its numbers ten times as large, in the
// rows of some categories of another column.
func segmentBroken(in *victim, share float64, rng *rand.Rand) (*table, []string) {
	by := in.choose(rng, category)
	if by < 0 {
		return nil, nil
	}
	chosen := mass(in.table.cols[by], share, rng)
	broken := *in
	broken.columns = slices.Clone(in.columns)
	broken.columns[by].count = 0 // not itself
	times10 := rng.IntN(2) == 1
	i := broken.choose(rng, func(f columnFacts) bool { return !times10 || measured(f) })
	if i < 0 {
		return nil, nil
	}
	col := slices.Clone(in.table.cols[i])
	for r, s := range in.table.cols[by] {
		switch {
		case !chosen[s] || col[r] == null:
		case times10:
			col[r] = timesTen(col[r], in.columns[i].decimals)
		default:
			col[r] = null
		}
	}
	return in.table.with(i, col), in.table.names[i : i+1]
}
