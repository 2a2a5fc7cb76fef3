package anomaly

import (
	"cmp"
	"math"
	"slices"

	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/sketch"
)

const (
	digestPoints = 128 // numbers that stand for those of a batch
	poolPoints   = 256 // and for those of seven batches
	digestValues = 100 // texts of a batch
	poolValues   = 200 // and of seven batches
	textLimit    = 48  // bytes of a text that are kept
)

// point is a number with its weight in rows.
type point = sketch.Weighted[float64]

// value is a text with its rows.
type value struct {
	text  string
	count float64
}

// digest is what the distances to the pool need of the values of a column.
// Only one of numbers and values has entries.
type digest struct {
	numbers  []point // ascending
	values   []value // by text
	rest     float64 // rows of texts that are not listed
	missing  float64 // the most that a text which is not listed can count
	hours    []float64
	weekdays []float64
}

func (d *digest) isEmpty() bool {
	return len(d.numbers) == 0 && len(d.values) == 0 && d.rest == 0 && len(d.hours) == 0 && len(d.weekdays) == 0
}

// condense replaces ascending numbers by at most n, each the middle of an equal
// share of the rows.
func condense(w []point, n int) []point {
	if len(w) <= n {
		return slices.Clone(w)
	}
	var total uint64
	for i := range w {
		total += w[i].Weight
	}
	out := make([]point, 0, n)
	var before uint64 // rows in front of w[i]
	i, taken := 0, uint64(0)
	for k := range n {
		middle := (float64(k) + 0.5) / float64(n) * float64(total)
		for i < len(w)-1 && float64(before+w[i].Weight) <= middle {
			before += w[i].Weight
			i++
		}
		upTo := uint64(math.Round(float64(k+1) / float64(n) * float64(total)))
		weight := upTo - taken
		taken = upTo
		if last := len(out) - 1; last >= 0 && out[last].Value == w[i].Value {
			out[last].Weight += weight
		} else if weight > 0 {
			out = append(out, point{Value: w[i].Value, Weight: weight})
		}
	}
	return out
}

// shifted returns the numbers minus base.
func shifted(w []point, base float64) []point {
	out := slices.Clone(w)
	for i := range out {
		out[i].Value -= base
	}
	return out
}

// addNumbers merges two ascending lists into one of at most n points.
func addNumbers(a, b []point, n int) []point {
	out := make([]point, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var next point
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Value <= b[0].Value:
			next, a = a[0], a[1:]
		default:
			next, b = b[0], b[1:]
		}
		if last := len(out) - 1; last >= 0 && out[last].Value == next.Value {
			out[last].Weight += next.Weight
		} else {
			out = append(out, next)
		}
	}
	return condense(out, n)
}

// digestTexts takes the frequent values of a column of texts or booleans. Those
// of a sensitive column are hashes, which another key would change: its shape is
// not learned.
func digestTexts(p *profile.Profile, col *profile.Column) digest {
	if col.Sensitive {
		return digest{}
	}
	values, missing := p.Values(col.Name, digestValues)
	d := digest{missing: float64(missing)}
	listed := 0.0
	for _, v := range values {
		n := float64(v.Count)
		listed += n
		d.values = append(d.values, value{cutText(v.Text), n})
	}
	d.rest = max(0, float64(col.Count)-listed)
	slices.SortFunc(d.values, func(a, b value) int { return cmp.Compare(a.text, b.text) })
	d.values = joinValues(d.values)
	return d
}

func cutText(s string) string {
	if len(s) > textLimit {
		return s[:textLimit]
	}
	return s
}

// joinValues adds up equal neighbours, in place.
func joinValues(v []value) []value {
	n := 0
	for i := range v {
		if n > 0 && v[n-1].text == v[i].text {
			v[n-1].count += v[i].count
			continue
		}
		v[n] = v[i]
		n++
	}
	return v[:n]
}

// add joins another digest to a pool's.
func (d *digest) add(o *digest) {
	d.numbers = addNumbers(d.numbers, o.numbers, poolPoints)
	d.addValues(o)
	d.hours = addCounts(d.hours, o.hours)
	d.weekdays = addCounts(d.weekdays, o.weekdays)
}

func (d *digest) addValues(o *digest) {
	if len(o.values) == 0 && o.rest == 0 {
		return
	}
	all := append(slices.Clone(d.values), o.values...)
	slices.SortStableFunc(all, func(a, b value) int { return cmp.Compare(a.text, b.text) })
	all = joinValues(all)
	d.rest += o.rest
	d.missing += o.missing
	if len(all) > poolValues {
		slices.SortFunc(all, func(a, b value) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.text, b.text)) })
		d.missing = max(d.missing, all[poolValues].count)
		for _, v := range all[poolValues:] {
			d.rest += v.count
		}
		all = all[:poolValues]
		slices.SortFunc(all, func(a, b value) int { return cmp.Compare(a.text, b.text) })
	}
	d.values = all
}

func addCounts(a, b []float64) []float64 {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return slices.Clone(b)
	}
	out := slices.Clone(a)
	for i := range out {
		out[i] += b[i]
	}
	return out
}

// total returns the rows that the texts of a digest stand for.
func (d *digest) total() float64 {
	n := d.rest
	for i := range d.values {
		n += d.values[i].count
	}
	return n
}

// textChange says how the texts of a batch differ from those of the pool.
type textChange struct {
	tv     float64 // total variation
	unseen float64 // share of the batch's rows whose text the pool never had
	lost   float64 // share of the pool's rows whose text the batch should have, and has not
	newest string  // the most frequent unseen text
	gone   string  // the most frequent lost one
}

// leastExpected is how often a text must be expected in a batch to be missed
// there: by chance it is absent once in 3,000 batches.
const leastExpected = 8

// textDistance compares the texts of two digests. A text that is missing from
// an inexact list counts what lies nearest to the other side.
func textDistance(pool, batch *digest) textChange {
	var c textChange
	n, m := pool.total(), batch.total()
	if n == 0 || m == 0 {
		return textChange{tv: math.NaN(), unseen: math.NaN(), lost: math.NaN()}
	}
	i, j := 0, 0
	restP, restQ := pool.rest/n, batch.rest/m
	most, largest := 0.0, 0.0
	tv, unseen := 0.0, 0.0
	for i < len(pool.values) || j < len(batch.values) {
		switch {
		case j == len(batch.values) || i < len(pool.values) && pool.values[i].text < batch.values[j].text:
			p := pool.values[i].count / n
			if p*m >= leastExpected && batch.missing == 0 {
				c.lost += p
				if p > largest {
					largest, c.gone = p, pool.values[i].text
				}
			}
			q := min(p, batch.missing/m, max(0, restQ))
			restQ -= q
			tv += math.Abs(p - q)
			i++
		case i == len(pool.values) || batch.values[j].text < pool.values[i].text:
			q := batch.values[j].count / m
			p := min(q, pool.missing/n, max(0, restP))
			restP -= p
			tv += math.Abs(p - q)
			unseen += q - p
			if q-p > most {
				most, c.newest = q-p, batch.values[j].text
			}
			j++
		default:
			tv += math.Abs(pool.values[i].count/n - batch.values[j].count/m)
			i++
			j++
		}
	}
	tv += math.Abs(max(0, restP) - max(0, restQ))
	c.tv, c.unseen = tv/2, unseen
	return c
}

// numberDistance returns the largest difference of the distribution functions
// and the earth mover's distance of ascending numbers.
func numberDistance(pool, batch []point) (ks, wasserstein float64) {
	var n, m uint64
	for i := range pool {
		n += pool[i].Weight
	}
	for i := range batch {
		m += batch[i].Weight
	}
	if n == 0 || m == 0 {
		return math.NaN(), math.NaN()
	}
	var upToP, upToQ uint64
	last, gap := 0.0, 0.0
	for i, j := 0, 0; i < len(pool) || j < len(batch); {
		var x float64
		if j == len(batch) || i < len(pool) && pool[i].Value <= batch[j].Value {
			x = pool[i].Value
			upToP += pool[i].Weight
			i++
		} else {
			x = batch[j].Value
			upToQ += batch[j].Weight
			j++
		}
		if gap > 0 {
			wasserstein += gap * (x - last)
		}
		next := math.Abs(float64(upToP)/float64(n) - float64(upToQ)/float64(m))
		if i < len(pool) && pool[i].Value == x || j < len(batch) && batch[j].Value == x {
			gap, last = next, x
			continue // equal values count together
		}
		ks = max(ks, next)
		gap, last = next, x
	}
	return ks, wasserstein
}

// countDistance returns the total variation of two lists of counts.
func countDistance(pool, batch []float64) float64 {
	var n, m, tv float64
	for i := range pool {
		n += pool[i]
	}
	for i := range batch {
		m += batch[i]
	}
	if n == 0 || m == 0 || len(pool) != len(batch) {
		return math.NaN()
	}
	for i := range pool {
		tv += math.Abs(pool[i]/n - batch[i]/m)
	}
	return tv / 2
}
