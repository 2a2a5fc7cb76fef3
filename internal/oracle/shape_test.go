package oracle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/profile"
)

// shapes compares the shapes of all columns of a summary with the naive ones.
// With anyOrder the rows of the summary may have come in another order.
func shapes(want *Profile, got *profile.Summary, anyOrder bool) []string {
	d := &comparison{}
	for i := range want.Columns {
		w := &want.Columns[i]
		d.where = "column " + w.Name
		g := got.Column(w.Name)
		if g == nil {
			d.addf("missing")
			continue
		}
		d.entropy(w, g)
		d.masks(w, g)
		if anyOrder {
			continue
		}
		sorted := ""
		if g.Sorted != nil {
			sorted = *g.Sorted
		}
		equal(d, "sorted", w.Sorted, sorted)
	}
	return d.found
}

func (d *comparison) entropy(w *Column, g *profile.Column) {
	e := g.Entropy
	switch {
	case (w.Count == 0) != (e == nil):
		d.addf("entropy is %v of %d values", e, w.Count)
	case e == nil:
	case e.Low > e.Value || e.Value > e.High || e.Low < 0 || e.Exact != g.Distinct.Exact:
		d.addf("entropy is %+v", *e)
	case w.Bits < e.Low-1e-9 || w.Bits > e.High+1e-9 || e.Exact && e.Low != e.High:
		d.addf("entropy is %+v, want %v", *e, w.Bits)
	}
}

func (d *comparison) masks(w *Column, g *profile.Column) {
	if (w.Type == tString) != (g.Masks != nil) {
		d.addf("masks are %v of a column of type %s", g.Masks, w.Type)
		return
	}
	truth := map[string]int64{}
	for _, m := range w.Masks {
		truth[m.Text] = m.Count
	}
	listed := map[string]bool{}
	for i, m := range g.Masks {
		listed[m.Mask] = true
		if abs(truth[m.Mask]-m.Count) > m.Error {
			d.addf("mask %+v occurs %d times", m, truth[m.Mask])
		}
		if g.Distinct.Exact && (m.Error != 0 || w.Masks[i] != Counted{m.Mask, m.Count}) {
			d.addf("mask %d is %+v, want %+v", i+1, m, w.Masks[i])
		}
	}
	for _, m := range w.Masks {
		if 10*m.Count >= w.Count && w.Count > 10_000 && !listed[m.Text] {
			d.addf("masks lack %+v", m)
		}
	}
	if g.Distinct.Exact {
		equal(d, "number of masks", min(10, len(w.Masks)), len(g.Masks))
	}
}

// sortedKinds are columns in order, and nearly so.
var sortedKinds = func() (out []kind) {
	add := func(name string, f func(i, n int) string) {
		out = append(out, kind{name, func(*rand.Rand) maker {
			return func(_ *rand.Rand, i, n int) cell { return text(f(i, n)) }
		}})
	}
	add("ids", func(i, _ int) string { return strconv.Itoa(i) })
	add("falling", func(i, n int) string { return strconv.FormatFloat(float64(n-i/3)/2, 'f', -1, 64) })
	add("padded", func(i, _ int) string { return fmt.Sprintf("K%08d", i) })
	add("one", func(int, int) string { return "same" })
	add("days in order", func(i, _ int) string { return fmt.Sprintf("2024-%02d-%02d", 1+i/28%12, 1+i%28) })
	add("seconds", func(i, _ int) string {
		return fmt.Sprintf("2024-01-%02dT%02d:%02d:%02d", 1+i/86400, i/3600%24, i/60%60, i%60)
	})
	add("last is wrong", func(i, n int) string { return strconv.Itoa(i % max(1, n-1)) })
	add("rarely a text", func(i, _ int) string {
		if i%97 == 50 {
			return "n/a"
		}
		return strconv.Itoa(i * 3)
	})
	add("shapes", func(i, _ int) string {
		return []string{"Ab-1", "x y", "ÄÖ9", "木村", "e\u0301", strings.Repeat("z", 300), strings.Repeat("aB", 40)}[i*i%7] + strconv.Itoa(i*i%10)
	})
	return append(out, holes("ids with holes", 0.2, 0.1, out[0]), holes("texts with holes in order", 0.2, 0, out[2]))
}()

func TestShapes(t *testing.T) {
	t.Parallel()
	words := map[string]int{}
	sizes := []int{0, 1, 2, 400, 3000}
	if long {
		sizes = append(sizes, 20_000, 70_000)
	}
	for seed, n := range sizes {
		for from := 0; from < len(kinds)+len(sortedKinds); from += 15 {
			all := append(slices.Clone(sortedKinds), kinds...)
			of := all[from:min(from+15, len(all))]
			g := generate(uint64(seed), n, of...)
			text, table := g.write(style{delimiter: ','})
			want := Of(table)
			got := profileCSV(t, text, CSV{Delimiter: ','}).Summary()
			require.Empty(t, shapes(want, got, false), "%d rows", n)
			for _, c := range want.Columns {
				words[c.Sorted]++
			}
		}
	}
	for _, w := range []string{"", "ascending", "descending", "constant"} {
		require.Positive(t, words[w], "%v", words)
	}
}

// TestShapesBeyondExactness compares columns of sketches, whole and merged from
// parts in their order.
func TestShapesBeyondExactness(t *testing.T) {
	t.Parallel()
	const n = 100_000
	g := generate(7, n, append(slices.Clone(sortedKinds), kindsNamed(t, "unique numbers", "unique texts", "skewed", "9 % text", "11 % text")...)...)
	s := style{delimiter: ','}
	text, table := g.write(s)
	want := Of(table)
	whole := profileCSV(t, text, s.csv())
	require.False(t, whole.Column("ids").Distinct.Exact)
	require.Empty(t, shapes(want, whole.Summary(), false))
	var parts []*profile.Profile
	for _, part := range []*grid{g.cut(0, 5_000), g.cut(5_000, 72_000), g.cut(72_000, n)} {
		text, _ := part.write(s)
		parts = append(parts, throughFile(t, profileCSV(t, text, s.csv())))
	}
	require.Empty(t, shapes(want, merged(t, parts...).Summary(), false))
	require.Empty(t, shapes(want, merged(t, parts[0], merged(t, parts[1], parts[2])).Summary(), false))
	back := merged(t, parts[2], parts[1], parts[0])
	require.Empty(t, shapes(want, back.Summary(), true))
	require.Nil(t, back.Column("ids").Sorted)
}

// TestShapesOfJSON compares values that a format types itself.
func TestShapesOfJSON(t *testing.T) {
	t.Parallel()
	text := writeJSON(typedTable(3, 3_000))
	require.Empty(t, shapes(Of(ReadJSONL(text)), profileJSON(t, text).Summary(), false))
}

func TestNaiveEntropy(t *testing.T) {
	t.Parallel()
	_, table := generate(1, 4096, sortedKinds[0], sortedKinds[3]).write(style{delimiter: ','})
	p := Of(table)
	require.InDelta(t, 11, p.Columns[0].Bits, 1e-9)
	require.InDelta(t, 12, p.Columns[1].Bits, 1e-9)
	require.Zero(t, math.Abs(p.Columns[2].Bits))
}
