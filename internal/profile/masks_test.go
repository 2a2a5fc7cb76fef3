package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// shaped are texts of three shapes that hardly repeat, a few empty ones among
// them, and their counts by mask.
func shaped(rng *rand.Rand, n int) (cells []cellOf, masks map[string]int64) {
	masks = map[string]int64{}
	for range n {
		s, mask := "", ""
		switch k := rng.IntN(100); {
		case k < 70:
			s, mask = fmt.Sprintf("A%03d-%05d", rng.IntN(1000), rng.IntN(100_000)), "A999-99999"
		case k < 90:
			s, mask = fmt.Sprintf("%012d", rng.IntN(1e12)), "9{12}"
		case k < 98:
			s, mask = "no "+strconv.Itoa(100+rng.IntN(900)), "aa 999"
		}
		cells = append(cells, textCell(s))
		masks[mask]++
	}
	return cells, masks
}

func profileOf(t *testing.T, cells []cellOf) *Profile {
	t.Helper()
	b := NewBuilder()
	columns := []batch.Column{{Name: "v"}}
	for at := 0; at < len(cells); at += 5000 {
		part := cells[at:min(at+5000, len(cells))]
		var c batch.Chunk
		c.Reset(1, nil)
		c.Filled()
		for _, x := range part {
			c.Vectors[0].Append(x.value, []byte(x.text))
		}
		c.Vectors[0].HasText, c.Rows, c.First = true, len(part), int64(at+1)
		require.NoError(t, b.Add(columns, &c))
	}
	return b.Finish(columns, Info{})
}

func requireMasks(t *testing.T, want map[string]int64, got []MaskCount, exact bool) {
	t.Helper()
	seen := map[string]MaskCount{}
	for _, m := range got {
		seen[m.Mask] = m
		require.Equal(t, exact, m.Error == 0, m.Mask)
		require.InDelta(t, want[m.Mask], m.Count, float64(m.Error), m.Mask)
		require.Less(t, m.Error, want[m.Mask], m.Mask)
	}
	require.Len(t, seen, len(want))
}

func TestMasks(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1000, 60_000, 150_000, 300_000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			cells, want := shaped(rand.New(rand.NewPCG(uint64(n), 1)), n)
			p := profileOf(t, cells)
			if n == 0 {
				require.Nil(t, p.Column("v").Masks)
				return
			}
			exact := n <= 65_536
			require.Equal(t, exact, p.Column("v").Distinct.Exact)
			requireMasks(t, want, p.Column("v").Masks, exact)
			b, err := p.Encode()
			require.NoError(t, err)
			again, err := Decode(b)
			require.NoError(t, err)
			require.Equal(t, p.Column("v").Masks, again.Column("v").Masks)
			other, more := shaped(rand.New(rand.NewPCG(uint64(n), 2)), n/2)
			for mask, k := range more {
				want[mask] += k
			}
			m, err := Merged(again, profileOf(t, other))
			require.NoError(t, err)
			requireMasks(t, want, m.Column("v").Masks, m.Column("v").Distinct.Exact)
		})
	}
}

// Numbers of a column that turns out to be one of codes have shapes too, and
// those of a column of numbers none.
func TestMasksOfOtherTypes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	var mixed, numbers []cellOf
	for i := range 120_000 {
		c := intCell(10_000 + int64(rng.IntN(90_000)))
		numbers = append(numbers, c)
		if i%5 == 0 {
			c = textCell(fmt.Sprintf("x%05d", rng.IntN(100_000)))
		}
		mixed = append(mixed, c)
	}
	requireMasks(t, map[string]int64{"99999": 96_000, "a99999": 24_000}, profileOf(t, mixed).Column("v").Masks, false)
	require.Nil(t, profileOf(t, numbers).Column("v").Masks)
}

// A profile that does not know the masks of all its values shows none.
func TestMasksOfOlderProfiles(t *testing.T) {
	t.Parallel()
	cells, _ := shaped(rand.New(rand.NewPCG(9, 1)), 90_000)
	p, q := profileOf(t, cells), profileOf(t, cells)
	old := p.columns[0]
	require.NotNil(t, old.sk)
	old.sk.masks = masks{}
	require.Nil(t, p.Column("v").Masks)
	m, err := Merged(p, q)
	require.NoError(t, err)
	require.Nil(t, m.Column("v").Masks)
}

func TestEntropy(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	for _, c := range []struct {
		name  string
		n     int
		value func(i int) int64
	}{
		{"constant", 100, func(int) int64 { return 7 }},
		{"all different", 4096, func(i int) int64 { return int64(i) }},
		{"few", 10_000, func(int) int64 { return int64(rng.ExpFloat64() * 3) }},
		{"skewed and many", 150_000, func(int) int64 { return int64(math.Exp(rng.NormFloat64() * 5)) }},
		{"all different and many", 100_000, func(i int) int64 { return int64(i) }},
	} {
		t.Run(c.name, func(t *testing.T) { //nolint:paralleltest // one generator
			var cells []cellOf
			counts := map[int64]float64{}
			for i := range c.n {
				x := c.value(i)
				cells = append(cells, intCell(x))
				counts[x]++
			}
			want := 0.0
			for _, k := range counts {
				want -= k / float64(c.n) * math.Log2(k/float64(c.n))
			}
			col := profileOf(t, cells).Column("v")
			e := col.Entropy
			require.Equal(t, col.Distinct.Exact, e.Exact)
			if e.Exact {
				require.InDelta(t, want, e.Value, 1e-9)
				require.Equal(t, []float64{e.Value, e.Value}, []float64{e.Low, e.High})
				require.Zero(t, e.Error())
				return
			}
			require.LessOrEqual(t, e.Low, want)
			require.GreaterOrEqual(t, e.High, want)
			require.InDelta(t, want, e.Value, 0.5)
			require.InDelta(t, want, e.Value, e.Error())
		})
	}
	require.Nil(t, profileOf(t, []cellOf{nullCell}).Column("v").Entropy)
}
