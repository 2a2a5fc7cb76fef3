package sketch

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered is a column whose texts are numbers, with its hashes.
type numbered struct {
	values []uint64
	hashes []uint64
	buf    []byte
}

func numberedOf(v []uint64) *numbered {
	n := &numbered{values: v}
	for _, x := range v {
		n.hashes = append(n.hashes, mix(x))
	}
	return n
}

func (n *numbered) text(i int) []byte {
	n.buf = strconv.AppendUint(n.buf[:0], n.values[i], 10)
	return n.buf
}

// feed adds the column in slices through the sampler, or all of it without one.
func (n *numbered) feed(f *Frequent, sampler *Sampler, slice int) {
	var rows []int32
	for from := 0; from < len(n.values); from += slice {
		to := min(from+slice, len(n.values))
		text := func(i int) []byte { return n.text(from + i) }
		if sampler == nil {
			f.AddSlice(n.hashes[from:to], text)
			continue
		}
		sample := sampler.Draw(rows, to-from)
		rows = sample.Rows
		f.AddSample(n.hashes[from:to], sample, text)
	}
}

func (n *numbered) truth() map[string]uint64 {
	truth := map[string]uint64{}
	for i := range n.values {
		truth[string(n.text(i))]++
	}
	return truth
}

// numberShapes are columns with many distinct values and some frequent ones.
var numberShapes = map[string]func(r *rand.Rand, n int) []uint64{
	"zipf": func(r *rand.Rand, n int) []uint64 {
		z := rand.NewZipf(r, 1.2, 1, 1<<20)
		return draw(n, func(int) uint64 { return z.Uint64() })
	},
	"few heavy": func(r *rand.Rand, n int) []uint64 {
		return draw(n, func(i int) uint64 {
			if r.IntN(4) == 0 {
				return uint64(r.IntN(12))
			}
			return 1000 + uint64(i)
		})
	},
	"clusters": func(_ *rand.Rand, n int) []uint64 {
		return draw(n, func(i int) uint64 { return uint64(i / 500 % 700) })
	},
	"rounds":     func(_ *rand.Rand, n int) []uint64 { return draw(n, func(i int) uint64 { return uint64(i % 64) }) },
	"all unique": func(_ *rand.Rand, n int) []uint64 { return draw(n, func(i int) uint64 { return uint64(i) }) },
}

func draw(n int, f func(i int) uint64) []uint64 {
	v := make([]uint64, n)
	for i := range v {
		v[i] = f(i)
	}
	return v
}

func TestFrequentAddSliceIsAddInALoop(t *testing.T) {
	t.Parallel()
	for name, shape := range numberShapes {
		for _, n := range []int{0, 1, 2048, 2049, 30_000} {
			for _, slice := range []int{1, 63, 2000} {
				column := numberedOf(shape(newRand(uint64(n)), n))
				bulk, single := NewFrequent(), NewFrequent()
				column.feed(bulk, nil, slice)
				for i, hash := range column.hashes {
					single.Add(hash, column.text(i), 1)
				}
				require.Equal(t, encode(t, single), encode(t, bulk), name)
			}
		}
	}
}

// The stated bound is three standard errors: at most 1 % of the shown counts
// may be further off, and hardly any value that is not held may exceed Error.
func TestFrequentSampledBoundsHold(t *testing.T) {
	t.Parallel()
	for name, shape := range numberShapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown, outside, missing, runs := 0, 0, 0, 0
			for seed := range uint64(20) {
				for _, seen := range []uint64{1 << 17, 1 << 19, 1 << 40} {
					r := newRand(seed)
					column := numberedOf(shape(r, 40_000))
					f := NewFrequent()
					exact := numberedOf(shape(r, 3000)) // rows from before the sampling
					exact.feed(f, nil, 1000)
					column.feed(f, &Sampler{random: seed, seen: seen}, 1987)
					column.values = append(column.values, exact.values...)
					truth := column.truth()
					runs++
					held := map[string]bool{}
					for i := range f.counts {
						held[string(f.appendText(nil, i))] = true
					}
					for _, item := range f.Top(len(truth)) {
						shown++
						require.Greater(t, item.Count, f.Error())
						if math.Abs(float64(item.Count)-float64(truth[item.Text])) > float64(item.Error) {
							outside++
						}
					}
					for text, n := range truth {
						if !held[text] && n > f.Error() {
							missing++
							break
						}
					}
				}
			}
			require.LessOrEqual(t, outside, shown/100, "of %d shown", shown)
			require.LessOrEqual(t, missing, runs/100, "of %d runs", runs)
			if name == "all unique" {
				require.Zero(t, shown)
			} else {
				require.Greater(t, shown, 2*runs, "there is something to show")
			}
		})
	}
}

func TestFrequentSampledCountsAreUnbiased(t *testing.T) {
	t.Parallel()
	const seeds, rows = 2000, 1600
	column := numberedOf(draw(rows, func(i int) uint64 { return uint64(i*i) % 16 / 9 }))
	truth := float64(column.truth()["1"])
	var sum, squares float64
	for seed := range uint64(seeds) {
		f := NewFrequent()
		column.feed(f, &Sampler{random: mix(seed), seen: 1 << 40}, 101)
		for i, n := range f.counts {
			if string(f.appendText(nil, i)) == "1" {
				d := float64(n) - truth
				sum += d
				squares += d * d
			}
		}
	}
	sigma := math.Sqrt(truth * (sampleRate - 1))
	require.InDelta(t, 0, sum/seeds, 4*sigma/math.Sqrt(seeds))
	require.LessOrEqual(t, math.Sqrt(squares/seeds), sigma, "groups vary less than single draws")
}

func TestFrequentErrorOfSamples(t *testing.T) {
	t.Parallel()
	f := &Frequent{sampled: 1 << 40, rate: 16}
	for _, x := range []uint64{1600, 16_000, 1 << 20, 1 << 39} {
		up, down := float64(f.above(x)), float64(f.below(x))
		high, low := float64(x)+up, float64(x)-down
		// Both ends are three standard errors of their own count away.
		require.InDelta(t, 3*math.Sqrt(15*high), up, 2)
		require.InDelta(t, 3*math.Sqrt(15*low), down, 2)
		require.Greater(t, up, down)
	}
	require.InDelta(t, 9*15, f.above(0), 1)
	f.sampled = 160
	require.Equal(t, f.above(160), f.above(1<<30), "what was not sampled is certain")
	f = &Frequent{purged: 7}
	low, high := f.bounds(10)
	require.Equal(t, []uint64{7, 10, 17}, []uint64{f.Error(), low, high})
}

func TestFrequentMergeKeepsTheSampling(t *testing.T) {
	t.Parallel()
	whole := numberedOf(numberShapes["few heavy"](newRand(1), 60_000))
	var all []*Frequent
	for i := range 6 {
		part := &numbered{values: whole.values[i*10_000 : (i+1)*10_000], hashes: whole.hashes[i*10_000 : (i+1)*10_000]}
		f := NewFrequent()
		var sampler *Sampler
		if i%3 != 0 {
			sampler = &Sampler{random: uint64(i), seen: 1 << (17 + i)}
		}
		part.feed(f, sampler, 2000)
		var back Frequent
		reload(t, f, &back)
		require.Equal(t, f.Top(20), back.Top(20))
		require.Equal(t, f.Error(), back.Error())
		all = append(all, &back)
	}
	left, right := NewFrequent(), NewFrequent()
	for _, f := range all {
		left.Merge(f)
	}
	for _, f := range slices.Backward(all) {
		right.Merge(f)
	}
	require.Equal(t, uint64(40_000), left.sampled)
	require.Equal(t, uint64(16), left.rate)
	truth := whole.truth()
	for _, f := range []*Frequent{left, right} {
		top := f.Top(100)
		require.NotEmpty(t, top)
		for _, item := range top {
			require.InDelta(t, truth[item.Text], item.Count, float64(item.Error), item.Text)
		}
	}
	before := encode(t, left)
	left.Merge(NewFrequent())
	require.Equal(t, before, encode(t, left), "an empty summary changes nothing")
	refuses(t, before, NewFrequent())
}

func TestFrequentVersions(t *testing.T) {
	t.Parallel()
	f := NewFrequent()
	f.Add(1, []byte("x"), 3)
	require.Equal(t, []byte{'F', 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 3, 1, 'x'}, encode(t, f), "without samples the form is the first one")
	f.AddSample([]uint64{1, 1, 1}, Sample{Rows: []int32{0, 2}, Rate: 2, Last: 1}, func(int) []byte { return nil })
	require.Equal(t, []byte{'F', 2, 3, 2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 6, 1, 'x'}, encode(t, f))
	for name, b := range map[string][]byte{
		"no rows":       {'F', 2, 0, 2, 0, 0},
		"a rate of one": {'F', 2, 3, 1, 0, 0},
		"a rate of 65":  {'F', 2, 3, 65, 0, 0},
		"too many rows": {'F', 2, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xc0, 0x00, 2, 0, 0},
		"above 2^62":    {'F', 2, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 2, 0, 0},
		"version 0":     {'F', 0, 0, 0},
		"version 3":     {'F', 3, 3, 2, 0, 0},
	} {
		require.ErrorContains(t, NewFrequent().UnmarshalBinary(b), "decode top summary: ", name)
	}
}

func TestFrequentBulkDoesNotAllocate(t *testing.T) {
	column := numberedOf(draw(2000, func(i int) uint64 { return uint64(i) }))
	f, thin, sampler := NewFrequent(), NewFrequent(), &Sampler{seen: 1 << 40}
	text := func(i int) []byte { return column.text(i) }
	var rows []int32
	round := uint64(0)
	feed := func() {
		round++
		for i := range column.hashes {
			column.values[i] += 2000
			column.hashes[i] = mix(column.values[i])
		}
		f.AddSlice(column.hashes, text)
		sample := sampler.Draw(rows, len(column.hashes))
		rows = sample.Rows
		thin.AddSample(column.hashes, sample, text)
	}
	for range 500 {
		feed()
	}
	require.Zero(t, testing.AllocsPerRun(200, feed))
}
