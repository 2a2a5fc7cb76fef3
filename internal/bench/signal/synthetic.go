package signal

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// family is a kind of synthetic data set. All have a season in volume and in
// mix, noise of the volume, effects of the batch on means beyond sampling, and
// three holidays with half the volume.
type family struct {
	name    string
	rows    int // of a usual batch
	batches int
	step    time.Duration
	growth  float64 // of the volume, per batch
	heavy   bool    // money with heavy tails
	bursts  float64 // share of batches in which one column has many nulls
	mixing  bool    // the mix of categories changes slowly
	columns int     // 0: the ten of base
}

const day = 24 * time.Hour

// families are the nine of the study and the wide one.
var families = []family{
	{name: "tiny", rows: 100, batches: 297},
	{name: "small", rows: 1000, batches: 297},
	{name: "growth", rows: 1000, batches: 297, growth: 0.01},
	{name: "medium", rows: 8000, batches: 180},
	{name: "heavy", rows: 2000, batches: 297, heavy: true},
	{name: "bursts", rows: 2000, batches: 297, bursts: 0.08},
	{name: "mixing", rows: 2000, batches: 297, mixing: true},
	{name: "hourly", rows: 1000, batches: 297, step: time.Hour},
	{name: "large", rows: 40_000, batches: 100},
	{name: "wide", rows: 400, batches: 100, columns: 500},
}

// synthetic returns the sequence of a family. Its batches are made on demand:
// batch i depends on the seed, the family and i alone.
func synthetic(f family, seed uint64) *sequence {
	if f.step == 0 {
		f.step = day
	}
	s := &sequence{name: f.name}
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) // a Monday
	for i := range f.batches {
		s.times = append(s.times, start.Add(time.Duration(i)*f.step))
	}
	s.batch = func(i int) *table { return f.batch(seed, i, s.times[i]) }
	return s
}

// seedOf hashes the parts of a name to a seed.
func seedOf(seed uint64, parts ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// world is what a family's batches have in common: how its columns are.
type world struct {
	slots  int       // in a cycle
	volume []float64 // factor by slot
	mix    [][]float64
}

// batch makes one batch.
func (f *family) batch(seed uint64, i int, at time.Time) *table {
	w := f.world(seed)
	rng := seedOf(seed, f.name, "batch", i)
	slot := i % w.slots
	rows := float64(f.rows) * w.volume[slot] * math.Exp(0.07*rng.NormFloat64()) * math.Pow(1+f.growth, float64(i))
	if f.isHoliday(seed, i) {
		rows /= 2
	}
	n := max(1, int(rows))
	if f.columns > 0 {
		return f.wide(seed, i, rng, n, slot)
	}
	return f.base(w, i, slot, at, rng, n)
}

func (f *family) world(seed uint64) *world {
	rng := seedOf(seed, f.name, "world")
	w := &world{slots: 7}
	if f.step == time.Hour {
		w.slots = 24
	}
	for s := range w.slots {
		v := 1 + 0.25*math.Sin(2*math.Pi*float64(s)/float64(w.slots)) + 0.1*rng.NormFloat64()
		if w.slots == 7 && s >= 5 {
			v *= 0.6
		}
		w.volume = append(w.volume, max(0.3, v))
		mix := make([]float64, len(kinds))
		for k := range mix {
			mix[k] = math.Exp(0.15 * rng.NormFloat64())
		}
		w.mix = append(w.mix, mix)
	}
	return w
}

// isHoliday is true of three batches of the sequence.
func (f *family) isHoliday(seed uint64, i int) bool {
	rng := seedOf(seed, f.name, "holidays")
	for n := range 3 {
		if i == f.batches*(n+1)/4+rng.IntN(max(1, f.batches/8)) {
			return true
		}
	}
	return false
}

var (
	kinds  = []string{"card", "cash", "transfer", "voucher", "invoice", "points", "mixed", "other"}
	shares = []float64{0.38, 0.22, 0.15, 0.1, 0.07, 0.04, 0.025, 0.015}
	cities = []string{
		"Berlin", "Paris", "Madrid", "Rome", "Vienna", "Warsaw", "Prague", "Lisbon", "Dublin", "Athens", "Oslo", "Helsinki",
		"Zürich", "Brussels", "Budapest", "Sofia", "Riga", "Vilnius", "Tallinn", "Porto", "Malmö", "Gdańsk", "Lyon", "Turin",
	}
	words = []string{"late", "gift", "please", "ring", "the", "bell", "leave", "at", "door", "fragile", "call", "before", "noon", "thanks"}
)

// base makes the ten columns.
func (f *family) base(w *world, i, slot int, at time.Time, rng *rand.Rand, n int) *table {
	t := &table{names: []string{"id", "created", "amount", "quantity", "weight", "score", "kind", "city", "note", "express"}}
	effect := func(scale float64) float64 { return scale * rng.NormFloat64() }
	money, spread := 3.2+effect(0.03), 0.6+effect(0.01)
	items := 2.5 * math.Exp(effect(0.02))
	weight, wspread := 12+effect(0.08), 3*math.Exp(effect(0.015))
	bonus := 0.03 * math.Exp(effect(0.1))
	burst := 0.0
	if f.bursts > 0 && rng.Float64() < f.bursts {
		burst = 0.1 + 0.3*rng.Float64()
	}
	mix := make([]float64, len(shares))
	for k := range mix {
		mix[k] = shares[k] * w.mix[slot][k] * math.Exp(effect(0.03))
		if f.mixing {
			mix[k] *= math.Exp(0.8 * math.Sin(float64(i)/60+float64(k)))
		}
	}
	kind, town := weighted(mix), weighted(zipf(len(cities)))
	express := 0.2 * math.Exp(effect(0.03))
	first := int64(1_000_000) + int64(i)*int64(8*f.rows)*int64(1+4*b2i(f.growth > 0))
	cols := make([][]string, len(t.names))
	for c := range cols {
		cols[c] = make([]string, n)
	}
	for r := range n {
		cols[0][r] = strconv.FormatInt(first+int64(r), 10)
		cols[1][r] = at.Add(f.timeOfDay(rng)).Format(time.DateTime)
		cols[2][r] = f.money(rng, money, spread)
		cols[3][r] = strconv.Itoa(1 + poisson(rng, items))
		cols[4][r] = decimal(weight+wspread*rng.NormFloat64(), 2)
		cols[5][r] = null
		if rng.Float64() >= bonus+burst {
			cols[5][r] = decimal(100*math.Sqrt(rng.Float64()), 1)
		}
		cols[6][r], cols[7][r] = kinds[kind(rng)], cities[town(rng)]
		cols[8][r] = note(rng)
		cols[9][r] = strconv.FormatBool(rng.Float64() < express)
	}
	t.cols = cols
	return t
}

// timeOfDay is when a row was made, within the step: mostly by day, or evenly
// within an hour.
func (f *family) timeOfDay(rng *rand.Rand) time.Duration {
	if f.step == time.Hour {
		return time.Duration(rng.Float64() * float64(time.Hour))
	}
	h := 14 + 3.5*rng.NormFloat64()
	return time.Duration(math.Mod(h+48, 24) * float64(time.Hour)).Truncate(time.Second)
}

func (f *family) money(rng *rand.Rand, mu, sigma float64) string {
	if !f.heavy {
		return decimal(math.Exp(mu+sigma*rng.NormFloat64()), 2)
	}
	return decimal(math.Exp(mu)*math.Pow(1-rng.Float64(), -1/1.6), 2) // Pareto, no variance
}

// note is an empty, a short or a longer text.
func note(rng *rand.Rand) string {
	k := rng.IntN(8)
	if k < 3 {
		return null
	}
	b := make([]byte, 0, 48)
	for j := range k {
		if j > 0 {
			b = append(b, ' ')
		}
		b = append(b, words[rng.IntN(len(words))]...)
	}
	return string(b)
}

// wide makes hundreds of columns of five kinds in turn. They are independent.
func (f *family) wide(seed uint64, i int, rng *rand.Rand, n, slot int) *table {
	t := &table{}
	for c := range f.columns {
		col := make([]string, n)
		own := seedOf(seed, f.name, "column", c)
		level, size := 50*own.Float64()+5, 1+9*own.Float64()
		level += size * 0.02 * rng.NormFloat64()
		season := math.Exp(0.15 * math.Sin(float64(slot+c)))
		kind := weighted([]float64{0.5 * season, 0.3, 0.15, 0.05})
		for r := range col {
			switch c % 5 {
			case 0:
				col[r] = decimal(level+size*rng.NormFloat64(), 2)
			case 1:
				col[r] = strconv.Itoa(poisson(rng, 2+size))
			case 2:
				col[r] = "v" + strconv.Itoa(kind(rng)+c%7)
			case 3:
				col[r] = null
				if rng.Float64() > 0.05 {
					col[r] = decimal(math.Exp(2+0.1*size*rng.NormFloat64()), 2)
				}
			case 4:
				col[r] = strconv.FormatBool(rng.Float64() < 0.3*season)
			}
		}
		t.names, t.cols = append(t.names, fmt.Sprintf("c%03d", c)), append(t.cols, col)
	}
	return t
}

// weighted returns a function that draws an index by its weight.
func weighted(weights []float64) func(*rand.Rand) int {
	sums := slices.Clone(weights)
	for i := 1; i < len(sums); i++ {
		sums[i] += sums[i-1]
	}
	return func(rng *rand.Rand) int {
		u := rng.Float64() * sums[len(sums)-1]
		for i, s := range sums {
			if u < s {
				return i
			}
		}
		return len(sums) - 1
	}
}

func zipf(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1 / float64(i+2)
	}
	return w
}

// poisson draws a count by multiplying (Knuth); mean is small.
func poisson(rng *rand.Rand, mean float64) int {
	limit, p, k := math.Exp(-mean), rng.Float64(), 0
	for p > limit {
		p *= rng.Float64()
		k++
	}
	return k
}

func decimal(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
