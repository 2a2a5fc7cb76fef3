package sketch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func addText(f *Frequent, text string, n uint64) {
	var hash uint64
	for _, c := range []byte(text) {
		hash = mix(hash ^ uint64(c))
	}
	f.Add(hash, []byte(text), n)
}

func frequentOf(v []float64) *Frequent {
	f := NewFrequent()
	for _, x := range v {
		addText(f, strconv.FormatFloat(x, 'g', -1, 64), 1)
	}
	return f
}

// requireBounds proves the bound of every counter, that no value above the
// bound is missing, and that Top shows exactly what it may.
func requireBounds(t *testing.T, truth map[string]uint64, f *Frequent) {
	t.Helper()
	require.LessOrEqual(t, len(f.counts), frequentCounters)
	held := map[string]uint64{}
	shown := 0
	for i := range f.counts {
		held[string(f.appendText(nil, i))] = f.counts[i]
		if f.counts[i] > f.Error() {
			shown++
		}
	}
	require.Len(t, held, len(f.counts), "each value has one counter")
	var total uint64
	for text, n := range truth {
		total += n
		// A plain comparison first: there are very many values.
		if count := held[text]; count > n || count+f.Error() < n {
			require.Failf(t, "outside the bound", "%q: count %d, error %d, truth %d", text, count, f.Error(), n)
		}
	}
	for text := range held {
		if truth[text] == 0 {
			require.Failf(t, "never seen", "%q", text)
		}
	}
	// Each purge takes its median from at least half of the counters.
	require.LessOrEqual(t, f.Error(), total/(frequentCounters/2))

	top := f.Top(len(truth) + 1)
	require.Len(t, top, shown)
	for i, item := range top {
		require.Equal(t, held[item.Text], item.Count)
		require.Equal(t, f.Error(), item.Error)
		if i > 0 {
			before := top[i-1]
			require.True(t, before.Count > item.Count || before.Count == item.Count && before.Text < item.Text)
		}
	}
	short := f.Top(3)
	require.Equal(t, top[:min(3, shown)], short)
}

func truthOf(v []float64) map[string]uint64 {
	truth := map[string]uint64{}
	for _, x := range v {
		truth[strconv.FormatFloat(x, 'g', -1, 64)]++
	}
	return truth
}

// zipf has many rare values and some frequent ones.
func zipf(r *rand.Rand, n int) []float64 {
	z := rand.NewZipf(r, 1.2, 1, 1<<20)
	return fill(n, func(int) float64 { return float64(z.Uint64()) })
}

func TestFrequentBoundsAlwaysHold(t *testing.T) {
	t.Parallel()
	shapes := slices.Clone(generators)
	shapes = append(shapes, struct {
		name string
		make func(r *rand.Rand, n int) []float64
	}{"zipf", zipf})
	for _, g := range shapes {
		for _, n := range []int{0, 1, 2048, 2049, 30_000} {
			t.Run(fmt.Sprint(g.name, n), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(3) {
					r := newRand(seed)
					data := g.make(r, n)
					truth := truthOf(data)
					f := frequentOf(data)
					requireBounds(t, truth, f)
					if len(truth) <= frequentCounters {
						require.Zero(t, f.Error(), "exact while all values fit")
						require.Len(t, f.Top(n+1), len(truth))
					}
					var back Frequent
					reload(t, f, &back)
					requireBounds(t, truth, &back)

					var sketches []*Frequent
					for _, part := range parts(r, data, 5) {
						var one Frequent
						reload(t, frequentOf(part), &one)
						sketches = append(sketches, &one)
					}
					merged := mergeTree(r, sketches, func(a, b *Frequent) *Frequent {
						before := encode(t, b)
						a.Merge(b)
						require.Equal(t, before, encode(t, b), "the other side must stay unchanged")
						return a
					})
					requireBounds(t, truth, merged)
				}
			})
		}
	}
}

func TestFrequentFindsHeavyValuesAmongNoise(t *testing.T) {
	t.Parallel()
	f := NewFrequent()
	truth := map[string]uint64{}
	for i := range 60_000 {
		text := "noise" + strconv.Itoa(i)
		if i%10 == 0 {
			text = "heavy" + strconv.Itoa(i%70)
		}
		addText(f, text, 3)
		truth[text] += 3
	}
	requireBounds(t, truth, f)
	top := f.Top(10)
	require.Len(t, top, 7)
	for _, item := range top {
		require.Contains(t, item.Text, "heavy")
	}
}

func TestFrequentOfUniqueValuesShowsNothing(t *testing.T) {
	t.Parallel()
	f := NewFrequent()
	for i := range 50_000 {
		addText(f, strconv.Itoa(i), 1)
	}
	require.Positive(t, f.Error())
	require.Empty(t, f.Top(10))
}

func TestFrequentAddDetails(t *testing.T) {
	t.Parallel()
	f := NewFrequent()
	f.Add(1, []byte("none"), 0)
	require.Empty(t, f.Top(1))
	buffer := []byte("first")
	f.Add(0, buffer, 2)
	copy(buffer, "other")
	f.Add(0, buffer, 1<<40)
	f.Add(0, buffer, 0)
	f.Add(5, []byte("é"), 7)
	f.Add(6, []byte("z"), 7)
	f.Add(7, nil, 7)
	require.Equal(t, []Item{{0, "first", 1<<40 + 2, 0}, {7, "", 7, 0}, {6, "z", 7, 0}, {5, "é", 7, 0}}, f.Top(9))
	require.Empty(t, f.Top(0))
	require.Empty(t, f.Top(-1))
}

func TestFrequentWeightsStayInsideTheBound(t *testing.T) {
	t.Parallel()
	r := newRand(5)
	f := NewFrequent()
	truth := map[string]uint64{}
	for _, v := range zipf(r, 40_000) {
		text, n := strconv.Itoa(int(v)), r.Uint64N(50)
		addText(f, text, n)
		if n > 0 {
			truth[text] += n
		}
	}
	requireBounds(t, truth, f)
}

func TestFrequentMergeLaws(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 1500, 30_000} {
		r := newRand(uint64(n))
		a, b := zipf(r, n), generators[6].make(r, n)
		ab, ba := frequentOf(a), frequentOf(b)
		ab.Merge(frequentOf(b))
		ba.Merge(frequentOf(a))
		require.Equal(t, encode(t, ab), encode(t, ba), "commutative")

		before := encode(t, ab)
		ab.Merge(NewFrequent())
		require.Equal(t, before, encode(t, ab), "an empty summary changes nothing")
		empty := NewFrequent()
		empty.Merge(ab)
		require.Equal(t, before, encode(t, empty), "nor does it on the other side")
		for i := range 5000 {
			addText(empty, "new text"+strconv.Itoa(i), 9)
		}
		require.Equal(t, before, encode(t, ab), "no memory is shared")

		twice := frequentOf(a)
		twice.Merge(twice)
		truth := truthOf(append(slices.Clone(a), a...))
		requireBounds(t, truth, twice)
	}
}

func TestFrequentMergeCutsAtTheLimit(t *testing.T) {
	t.Parallel()
	rare, often := NewFrequent(), NewFrequent()
	for i := range frequentCounters {
		addText(rare, "rare"+strconv.Itoa(i), 1)
		addText(often, "often"+strconv.Itoa(i), 5)
	}
	rare.Merge(often)
	require.Equal(t, uint64(1), rare.Error(), "the 2,049th largest count")
	require.Len(t, rare.Top(5000), frequentCounters)
	require.Equal(t, uint64(4), rare.Top(1)[0].Count)
}

func TestSelectRank(t *testing.T) {
	t.Parallel()
	r := newRand(3)
	for _, n := range []int{1, 2, 3, 10, 257, 2048} {
		for _, distinct := range []uint64{1, 2, 5, 1 << 40} {
			v := make([]uint64, n)
			for i := range v {
				v[i] = r.Uint64N(distinct)
			}
			sorted := slices.Sorted(slices.Values(v))
			for _, k := range []int{0, n / 3, n / 2, n - 1} {
				require.Equal(t, sorted[k], selectRank(v, k))
			}
		}
	}
}

func TestFrequentRefusesBadContent(t *testing.T) {
	t.Parallel()
	f := NewFrequent()
	for i := range 100 {
		addText(f, strconv.Itoa(i), 1+uint64(i))
	}
	refuses(t, encode(t, f), NewFrequent())
	item := []byte{1, 2, 3, 4, 5, 6, 7, 8, 3, 1, 'x'}
	zero := slices.Clone(item)
	zero[8] = 0
	huge := []byte{'F', 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1}
	for name, b := range map[string][]byte{
		"same hash twice": slices.Concat([]byte{'F', 1, 0, 2}, item, item),
		"count of zero":   slices.Concat([]byte{'F', 1, 0, 1}, zero),
		"overflow":        slices.Concat(huge, item),
		"text too long":   {'F', 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 3, 9, 'x'},
		"forged count":    {'F', 1, 0, 0xff, 0xf},
		"above the limit": {'F', 1, 0, 0x81, 0x10},
	} {
		require.ErrorContains(t, NewFrequent().UnmarshalBinary(b), "decode top summary: ", name)
	}
}

func TestFrequentAddDoesNotAllocate(t *testing.T) {
	f := NewFrequent()
	text := []byte("0123456789")
	i := uint64(0)
	add := func() {
		f.Add(mix(i), text, 1)
		f.Add(mix(i%100), text, 5)
		i++
	}
	for range 20_000 {
		add()
	}
	require.Zero(t, testing.AllocsPerRun(20_000, add))
}

func FuzzFrequentUnmarshal(f *testing.F) {
	for _, n := range []int{0, 1, 40, 20_000} {
		f.Add(encode(f, frequentOf(zipf(newRand(1), n))))
	}
	thin := NewFrequent()
	numberedOf(numberShapes["few heavy"](newRand(3), 40_000)).feed(thin, &Sampler{seen: 1 << 40}, 2000)
	f.Add(encode(f, thin))
	other := frequentOf(zipf(newRand(2), 20_000))
	fuzz(f, NewFrequent, func(s *Frequent) {
		s.Top(10)
		s.Entropy(1000, 100, 3)
		s.Add(7, []byte("seven"), 1)
		if s.Error() < 1<<40 {
			s.Merge(other)
		}
	})
}

// TestFrequentFormsTextsWhenAsked proves that a summary which keeps what its
// texts are made of is the same, through purges, merging and encoding, as one
// that is given the texts.
func TestFrequentFormsTextsWhenAsked(t *testing.T) {
	t.Parallel()
	form := func(b, text []byte) []byte { return append(append(b, "value "...), text...) }
	fill := func(seed uint64, formed bool) *Frequent {
		f := NewFrequentOf(64)
		if formed {
			f.Formed(form)
		}
		r := newRand(seed)
		hashes := make([]uint64, 700)
		for i := range hashes {
			hashes[i] = mix(r.Uint64N(30 + r.Uint64N(400)))
		}
		f.AddSlice(hashes, func(i int) []byte {
			text := strconv.AppendUint(nil, hashes[i], 10)
			if !formed {
				text = form(nil, text)
			}
			return text
		})
		return f
	}
	for seed := range uint64(20) {
		want, got, plain := fill(seed, false), fill(seed, true), NewFrequent()
		require.NotZero(t, want.Error(), "there were purges")
		plain.Merge(got)
		for _, f := range []*Frequent{got, plain} {
			require.Equal(t, want.Top(10), f.Top(10))
			require.Equal(t, encode(t, want), encode(t, f))
		}
		other := fill(seed+100, false)
		want.Merge(other)
		got.Merge(other)
		require.Equal(t, want.Top(10), got.Top(10), "with texts that were formed before")
		require.Equal(t, encode(t, want), encode(t, got), "and asking for them changes nothing")
		var back Frequent
		require.NoError(t, back.UnmarshalBinary(encode(t, got)))
		back.Formed(form)
		back.Add(7, []byte("7"), 1_000)
		require.Equal(t, "value 7", back.Top(1)[0].Text)
	}
}
